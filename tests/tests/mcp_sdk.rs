//! The official MCP SDKs on both sides of the proxy: what is allowed works as without it, and a denial is an error of the
//! call, not the end of the session.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails says where"
)]

use std::io::Write as _;

use remit_core::effect::{MCP_APPROVAL_REQUIRED, MCP_DENIED};
use remit_tests::mcp::{Client, Sdk, Server};
use remit_tests::proxy::{Options, Proxy};
use remit_tests::world::{World, now};
use serde_json::{Value, json};

/// An SDK; `None`, and a loud word, where it cannot be had. With `REMIT_REQUIRE_SDKS` set that is a failure.
fn had(sdk: anyhow::Result<Sdk>) -> Option<Sdk> {
    match sdk {
        Ok(sdk) => Some(sdk),
        Err(error) if std::env::var_os("REMIT_REQUIRE_SDKS").is_some() => panic!("{error:#}"),
        Err(error) => {
            // Past the harness, which keeps the output of tests that pass.
            let _ = writeln!(std::io::stderr(), "\nskipped: a test with an MCP SDK: {error:#}\n");
            None
        }
    }
}

fn started(world: &World, name: &'static str, server: &Server, changes: Value) -> Proxy {
    let configuration = world.config(changes);
    let upstream_port = Some(server.port);
    Proxy::start(&Options { name, configuration, upstream_port, ..Options::default() }).unwrap()
}

/// A client whose session is initialised.
fn connected(sdk: &Sdk, proxy: &Proxy, tokens: &[&str]) -> Client {
    let mut client = Client::start(sdk, proxy.port).unwrap();
    client.present(tokens).unwrap();
    let session = client.ask(&json!({"do": "initialize"})).unwrap();
    assert_eq!(session.get("server"), Some(&json!("forum")), "{session}");
    assert_eq!(session.get("session").and_then(Value::as_str).map(str::len), Some(32), "{session}");
    client
}

fn read(client: &mut Client) {
    let answer = client.call("read_thread", &json!({"thread_id": "t-4711"}), None).unwrap();
    assert_eq!(answer, json!({"is_error": false, "text": "thread t-4711: the build is slow"}));
}

#[test]
fn a_session_in_python_survives_its_denials() {
    let Some(python) = had(Sdk::python()) else { return };
    a_session_survives_its_denials(&python, &python, "mcp-python");
}

#[test]
fn a_session_in_typescript_survives_its_denials() {
    let (Some(python), Some(typescript)) = (had(Sdk::python()), had(Sdk::typescript())) else { return };
    a_session_survives_its_denials(&python, &typescript, "mcp-typescript");
}

fn a_session_survives_its_denials(python: &Sdk, sdk: &Sdk, name: &'static str) {
    let world = World::new().unwrap();
    let server = Server::start(python).unwrap();
    let proxy = started(&world, name, &server, json!({}));
    let token = world.token().unwrap();
    let mut client = connected(sdk, &proxy, &[&token]);

    let tools = client.ask(&json!({"do": "list"})).unwrap();
    assert_eq!(tools, json!({"tools": ["read_thread", "publish_reply", "explode"]}));
    read(&mut client);
    // The one came in the stream that answers the call, the other in the one that the client listens to.
    let events = client.ask(&json!({"do": "events", "count": 2})).unwrap();
    let mut events: Vec<_> = events["events"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    events.sort_unstable();
    assert_eq!(events, ["log: reading t-4711", "notifications/resources/list_changed"]);
    let calls = server.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0]["headers"]["x-remit-agent"], "agent-analyst", "{calls:?}");

    // Denied: an error of the call, with the reasons.
    for (tool, arguments, reason) in [
        ("explode", json!({}), "action_unclassified"),
        ("read_thread", json!({"thread_id": "t-1"}), "resource_outside_task"),
    ] {
        let denied = client.call(tool, &arguments, None).unwrap();
        let error = &denied["mcp_error"];
        assert_eq!(
            (&error["code"], &error["data"]["outcome"]),
            (&json!(MCP_DENIED), &json!("deny")),
            "{denied}"
        );
        assert_eq!(error["data"]["reasons"], json!([reason]));
        assert_eq!(error["data"]["decision_id"].as_str().map(str::len), Some(32));
        read(&mut client);
    }
    let _ = server.calls();

    // Needs approval: the error has the challenge, its approval lets exactly this call through, once.
    let post = json!({"thread_id": "t-4711", "text": "use the cache"});
    let denied = client.call("publish_reply", &post, None).unwrap();
    assert_eq!(denied["mcp_error"]["code"], MCP_APPROVAL_REQUIRED, "{denied}");
    assert_eq!(denied["mcp_error"]["message"], "this action needs the approval of a human");
    let approval =
        world.approval(json!({"error": denied["mcp_error"]}).to_string().as_bytes(), &json!({})).unwrap();
    read(&mut client);
    let other = json!({"thread_id": "t-4711", "text": "delete the cache"});
    for (arguments, reason) in
        [(&other, Some("approval_for_other_action")), (&post, None), (&post, Some("approval_spent"))]
    {
        let answer = client.call("publish_reply", arguments, Some(&approval)).unwrap();
        match reason {
            Some(reason) => assert_eq!(answer["mcp_error"]["data"]["reasons"], json!([reason]), "{answer}"),
            None => assert_eq!(answer["text"], "published in t-4711: use the cache", "{answer}"),
        }
    }
    let calls = server.calls();
    let published: Vec<_> = calls.iter().filter(|call| call["called"] == "publish_reply").collect();
    assert_eq!(published.len(), 1, "{calls:?}");
    assert_eq!(published[0]["headers"].get("agent-approval"), None);

    read(&mut client);
    assert_eq!(client.close().unwrap(), json!({"closed": true}));
    let access = proxy.finish().unwrap();
    let lines = |method: &str| -> Vec<_> {
        access.iter().filter(|line| line["method"] == method).map(|line| line["status"].clone()).collect()
    };
    assert_eq!((lines("GET"), lines("DELETE")), (vec![json!(200)], vec![json!(200)]));
    // No status tells the SDK that its transport is broken.
    assert!(lines("POST").iter().all(|status| *status == 200 || *status == 202), "{:?}", lines("POST"));
}

#[test]
fn an_expired_token_is_replaced_by_the_clients_authentication() {
    let Some(python) = had(Sdk::python()) else { return };
    let world = World::new().unwrap();
    let server = Server::start(&python).unwrap();
    let proxy = started(&world, "mcp-tokens", &server, json!({}));
    let seconds = now().seconds().0;
    let old = world.token_with(&json!({"iat": seconds - 700, "exp": seconds - 100})).unwrap();
    let good = world.token().unwrap();
    let mut client = connected(&python, &proxy, &[&old, &good]);
    client.present(&[&old, &good]).unwrap();
    read(&mut client);
    assert_eq!(client.close().unwrap(), json!({"closed": true}));

    // Without another token the session ends, as the SDK has it for every 401.
    let mut client = connected(&python, &proxy, &[&good]);
    client.present(&[&old]).unwrap();
    let broken = client.call("read_thread", &json!({"thread_id": "t-4711"}), None).unwrap();
    assert!(broken["broken"].to_string().contains("401 Unauthorized"), "{broken}");
    proxy.finish().unwrap();
}

#[test]
fn another_status_than_200_breaks_the_session() {
    // Why `denials.mcp_status` is 200 unless somebody knows better.
    let Some(python) = had(Sdk::python()) else { return };
    let world = World::new().unwrap();
    let server = Server::start(&python).unwrap();
    let proxy = started(&world, "mcp-403", &server, json!({"denials": {"mcp_status": 403}}));
    let token = world.token().unwrap();
    let mut client = connected(&python, &proxy, &[&token]);
    let broken = client.call("explode", &json!({}), None).unwrap();
    assert!(broken["broken"].to_string().contains("403 Forbidden"), "{broken}");
    proxy.finish().unwrap();
}
