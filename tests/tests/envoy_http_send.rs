//! Policies that ask with `http.send` in real Envoy: what good and bad servers become, that others are served meanwhile,
//! and that a result has the shape that real OPA gives it.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::process::Command;
use std::thread;
use std::time::Duration;

use remit_tests::http::{Request, send};
use remit_tests::proxy::{Options, Proxy};
use remit_tests::upstream::{Manner, Upstream};
use remit_tests::world::{FORUM, THREAD, World, bundle, call, get};
use serde_json::{Value, json};
use xtask::go::OPA;

/// Asks about whoever sends `x-ask`; all others are allowed.
const ASKS: &str = r#"package remit.authz

default decision := false

asks := input.attributes.request.http.headers["x-ask"]

decision if not asks

decision if {
	asks
	not http.send({"method": "GET", "url": sprintf("http://users.example/%s", [asks]), "timeout": "400ms"}).body.blocked
}
"#;

/// The server that is asked, the proxy with this policy, and a token for it.
fn start(name: &'static str, policy: &str) -> (Upstream, Proxy, String) {
    let world = World::new().unwrap();
    let users = Upstream::start().unwrap();
    let hosts = json!({"users.example": {"cluster": "bundles"}, "127.0.0.1": {"cluster": "bundles"},
                       format!("127.0.0.1:{}", users.port()): {"cluster": "bundles"},
                       "nowhere.example": {"cluster": "no-such-cluster"}});
    let changes = json!({"builtins": {"http_send": {"hosts": hosts, "max_response_bytes": 2000}}});
    let configuration = world.config_with_bundle(&bundle("asks", policy).unwrap(), changes);
    let bundles_port = Some(users.port());
    let proxy = Proxy::start(&Options { name, configuration, bundles_port, ..Options::default() }).unwrap();
    (users, proxy, world.token().unwrap())
}

fn answer(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Manner {
    Manner::Answer(status, vec![("content-type".to_owned(), kind.to_owned())], body.into())
}

#[test]
fn the_answer_decides_and_whatever_goes_wrong_denies() {
    let (users, proxy, token) = start("http-send", ASKS);
    let asking = get(&token).header("x-ask", "agent");
    for (manner, expected) in [
        (answer(200, "application/json", "{\"blocked\": false}"), "200 allow "),
        (answer(200, "application/json", "{\"blocked\": true}"), "403 deny "),
        (answer(404, "application/json", "{}"), "200 allow "),
        (answer(200, "text/html", "<p>sorry</p>"), "200 allow "),
        (answer(200, "application/json", vec![b' '; 2001]), "500 deny http_send_failed"),
        (Manner::Reset, "500 deny http_send_failed"),
        (Manner::Late(Duration::from_secs(2)), "500 deny http_send_failed"),
    ] {
        users.behave(manner.clone());
        let seen = proxy.send(&asking).unwrap();
        assert_eq!(seen.summary(), expected, "{manner:?}: {}", seen.audit.line);
        let asked = users.take();
        assert_eq!(asked[0].path, "/agent", "{manner:?}");
        assert_eq!(asked[0].values("host"), ["users.example"]);
    }
    // A body that came while the request waited goes on whole, and those who ask nothing ask nobody.
    users.behave(answer(200, "application/json", "{}"));
    let _ = proxy.upstream.take();
    let read = call(&token, "read_thread", &json!({"thread_id": "t-4711", "note": "x".repeat(40_000)}));
    let body = read.body.clone();
    assert_eq!(proxy.send(&read.chunked(1000).header("x-ask", "agent")).unwrap().summary(), "200 allow ");
    assert_eq!(Some(&proxy.upstream.take()[0].body), body.as_ref());
    let _ = users.take();
    assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow ");
    assert_eq!(users.take(), []);
    let replies = proxy.statistic("remit_http_send", &["result=\"response\""]).unwrap();
    assert_eq!(replies, 5);
    proxy.finish().unwrap();
}

#[test]
fn others_are_served_while_a_request_waits() {
    let (users, proxy, token) = start("http-send-waits", ASKS);
    users.behave(Manner::Late(Duration::from_secs(10)));
    let (port, asking) = (proxy.port, get(&token).header("x-ask", "slow"));
    let slow = thread::spawn(move || send(port, &asking));
    proxy.wait_until("the call is made", || Ok(!users.take().is_empty())).unwrap();
    // One worker: it answers others, and the one that waits comes last.
    for _ in 0..10 {
        assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow ");
    }
    assert_eq!(slow.join().unwrap().unwrap().status, 500);
    let reasons: Vec<_> = proxy.audits().unwrap().iter().map(|audit| audit.reasons().join(",")).collect();
    assert_eq!(reasons.last().map(String::as_str), Some("http_send_failed"), "{reasons:?}");
    // A client that goes away leaves its call behind: it is the root's, whoever made it, so that its token always comes
    // back and nothing is kept for it. Nothing that comes of it hurts.
    for _ in 0..5 {
        let mut gone = std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
        let request = Request::new("GET", FORUM, THREAD).bearer(&token).header("x-ask", "gone");
        std::io::Write::write_all(&mut gone, request.head().as_bytes()).unwrap();
        proxy.wait_until("the call is made", || Ok(!users.take().is_empty())).unwrap();
        drop(gone);
    }
    proxy
        .wait_until("each call has come to its end", || {
            Ok(proxy.statistic("envoy_cluster_upstream_rq_timeout", &["envoy_cluster_name=\"bundles\""])?
                == 6)
        })
        .unwrap();
    users.behave(answer(200, "application/json", "{}"));
    let asking = get(&token).header("x-ask", "agent");
    assert_eq!(proxy.send(&asking).unwrap().summary(), "200 allow ");
    proxy.finish().unwrap();
}

/// Asks as `x-request` says, and gives what came of it.
const RELAYS: &str = "package remit.authz\ndecision := {\"allowed\": false, \"http_status\": 200, \"body\": json.marshal(result)}\n\
                      result := http.send(json.unmarshal(input.attributes.request.http.headers[\"x-request\"]))\n";

#[test]
fn responses_are_kept_for_later_decisions_as_the_policy_and_the_server_say() {
    let (users, proxy, token) = start("http-send-cache", RELAYS);
    let kept = |headers: &[(&str, &str)], body: &str| {
        let kind = [("content-type", "application/json")];
        let headers =
            kind.iter().chain(headers).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Manner::Answer(200, headers.collect(), body.as_bytes().to_vec())
    };
    let ask = |url: &str, more: &Value| {
        let mut request = json!({"method": "GET", "url": format!("http://users.example/{url}")});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let seen = proxy.send(&get(&token).header("x-request", &request.to_string())).unwrap();
        serde_json::from_slice::<Value>(&seen.answer.body).unwrap()["body"]["n"].clone()
    };
    // How often the server is asked for three decisions, and what each of them sees.
    for (number, (headers, more, expected, sees)) in [
        (vec![("cache-control", "max-age=600")], json!({"cache": true}), 1, [1, 1, 1]),
        (vec![("cache-control", "max-age=600")], json!({}), 3, [1, 2, 3]),
        (vec![("cache-control", "max-age=600")], json!({"cache": false}), 3, [1, 2, 3]),
        (vec![("cache-control", "no-store, max-age=600")], json!({"cache": true}), 3, [1, 2, 3]),
        (vec![("cache-control", "max-age=0")], json!({"cache": true}), 3, [1, 2, 3]),
        (vec![], json!({"cache": true}), 3, [1, 2, 3]),
        (
            vec![("cache-control", "no-store")],
            json!({"force_cache": true, "force_cache_duration_seconds": 600}),
            1,
            [1, 1, 1],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let _ = users.take();
        let url = format!("kept/{number}");
        for (n, sees) in (1..).zip(sees) {
            users.behave(kept(&headers, &json!({"n": n}).to_string()));
            assert_eq!(ask(&url, &more), json!(sees), "{headers:?} {more}");
        }
        assert_eq!(users.take().len(), expected, "{headers:?} {more}");
    }
    // Another URL, another method and another body are other requests.
    users.behave(kept(&[("cache-control", "max-age=600")], "{\"n\": 9}"));
    for more in [
        json!({"cache": true}),
        json!({"cache": true, "method": "POST"}),
        json!({"cache": true, "headers": {"x-a": "1"}}),
    ] {
        ask("other", &more);
    }
    assert_eq!(users.take().len(), 3);
    // What is too old is asked about by its ETag, and what has not changed stays.
    users.behave(kept(&[("cache-control", "max-age=1"), ("etag", "\"e1\"")], "{\"n\": 1}"));
    assert_eq!(ask("etag", &json!({"cache": true})), json!(1));
    thread::sleep(Duration::from_millis(2100));
    users.behave(Manner::Answer(
        304,
        vec![("cache-control".to_owned(), "max-age=600".to_owned())],
        Vec::new(),
    ));
    assert_eq!(ask("etag", &json!({"cache": true})), json!(1));
    assert_eq!(ask("etag", &json!({"cache": true})), json!(1));
    let asked = users.take();
    assert_eq!(
        asked.iter().map(|one| one.values("if-none-match")).collect::<Vec<_>>(),
        [vec![], vec!["\"e1\""]]
    );
    // What the policy keeps for so long is asked for anew after that.
    users.behave(kept(&[], "{\"n\": 1}"));
    let briefly = json!({"force_cache": true, "force_cache_duration_seconds": 1});
    assert_eq!(ask("briefly", &briefly), json!(1));
    users.behave(kept(&[], "{\"n\": 2}"));
    thread::sleep(Duration::from_millis(2100));
    assert_eq!(ask("briefly", &briefly), json!(2));
    // A failure is not kept.
    users.behave(Manner::Reset);
    let spared = json!({"force_cache": true, "force_cache_duration_seconds": 600, "raise_error": false});
    assert_eq!(ask("failed", &spared), Value::Null);
    users.behave(kept(&[], "{\"n\": 3}"));
    assert_eq!(ask("failed", &spared), json!(3));
    proxy.finish().unwrap();
}

/// `http.send` of real OPA and of the filter against the same server.
#[test]
fn results_are_those_of_opa() {
    let Some(opa) = OPA.find_or_skip() else { return };
    let (users, proxy, token) = start("http-send-opa", RELAYS);
    let url = format!("http://127.0.0.1:{}/x?y=1", users.port());
    for (manner, request) in [
        (answer(200, "application/json", "{\"b\": [1, 2.5, \"x\"], \"a\": null}"), json!({"method": "get"})),
        (answer(201, "text/plain", "{\"a\": 1}"), json!({"method": "POST", "body": {"k": [true]}})),
        (answer(201, "text/plain", "{\"a\": 1}"), json!({"method": "POST", "force_json_decode": true})),
        (answer(404, "text/html", "<p>no</p>"), json!({"method": "GET", "raise_error": false})),
        (answer(500, "application/problem+json", "{\"a\": "), json!({"method": "PUT", "raw_body": "r"})),
        (answer(302, "application/json", "{}"), json!({"method": "GET", "headers": {"X-A": "b"}})),
        (answer(204, "application/json", ""), json!({"method": "DELETE", "timeout": "3s", "cache": true})),
        (answer(200, "application/json", "{}"), json!({"method": "GET", "colour": 1, "raise_error": false})),
        (answer(200, "application/json", "{}"), json!({"method": 1, "raise_error": false})),
    ] {
        let mut request = request;
        request["url"] = json!(url);
        users.behave(manner.clone());
        let _ = users.take();
        let seen = proxy.send(&get(&token).header("x-request", &request.to_string())).unwrap();
        let ours: Value = serde_json::from_slice(&seen.answer.body)
            .unwrap_or_else(|_| panic!("{request}: {}", seen.audit.line));
        let asked_by_us = users.take();
        let query = format!("http.send({request})");
        let output = Command::new(&opa).args(["eval", "--format", "json", &query]).output().unwrap();
        let output: Value = serde_json::from_slice(&output.stdout).unwrap();
        let theirs = output.pointer("/result/0/expressions/0/value").cloned().unwrap_or_default();
        assert_eq!(plain(&ours), plain(&theirs), "{request} {manner:?}");
        let asked_by_opa = users.take();
        let sent = |asked: &[remit_tests::upstream::Arrived]| {
            asked.first().map(|one| {
                (one.method.clone(), one.path.clone(), one.body.clone(), one.values("x-a").join(""))
            })
        };
        assert_eq!(sent(&asked_by_us), sent(&asked_by_opa), "{request}");
    }
    proxy.finish().unwrap();
}

/// Without what depends on the connection, and without the words of an error.
fn plain(result: &Value) -> Value {
    let mut result = result.clone();
    if let Some(headers) = result.get_mut("headers").and_then(Value::as_object_mut) {
        headers.retain(|name, _| name == "content-type");
    }
    // The phrase is the server's own, which proxies do not pass on.
    if let Some(Value::String(status)) = result.get_mut("status") {
        status.truncate(3);
    }
    if let Some(error) = result.get_mut("error").and_then(Value::as_object_mut) {
        error.retain(|name, _| name == "code");
    }
    result
}
