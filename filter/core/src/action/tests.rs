//! Tables of requests: what each means, and what has no meaning.

use serde_json::json;

use super::*;
use crate::request::tests::request;

/// What a catalog has to state of every operation.
pub(crate) fn effects(side_effect: bool) -> Value {
    json!({"side_effect": side_effect, "visibility": "internal", "reversible": false, "privilege": false,
           "money": false, "open_world": false})
}

fn catalog() -> Catalog {
    Catalog::parse(Some(json!({
        "mcp": [{"authority": "forum.example", "path": "/mcp", "tools": {
            "publish_reply": {
                "operation": "forum.publish", "verb": "publish",
                "resource": {"type": "thread", "id": "/thread_id"},
                "effects": effects(true),
                "counterparties": [{"kind": "person", "value": "/to"},
                                   {"kind": "person", "value": "/cc", "optional": true}]}}}],
        "http": [{"authority": "forum.example", "routes": [
            {"method": "GET", "path": "/threads/{thread}", "operation": "forum.read", "verb": "read",
             "resource": {"type": "thread", "id": "/path/thread"}, "effects": effects(false)},
            {"method": "GET", "path": "/threads/mine", "operation": "forum.list", "verb": "list",
             "effects": effects(false)},
            {"method": "POST", "path": "/threads/{thread}/replies", "operation": "forum.publish", "verb": "publish",
             "resource": {"type": "thread", "id": "/path/thread"}, "effects": effects(true),
             "counterparties": [{"kind": "person", "value": "/body/to"}]}]}]
    })))
    .unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn classify(line: (&str, &str, &str), headers: &[(&str, &str)], body: &str) -> Result<Action, ActionError> {
    let catalog = catalog();
    let view = request(line, headers).unwrap();
    let route = Route::find(&view, &catalog);
    let body = (route.body_use(&view, false) == BodyUse::Meaning).then_some(body.as_bytes());
    route.classify(&view, body, 16)
}

fn mcp(body: &str) -> Result<Action, ActionError> {
    classify(("POST", "forum.example", "/mcp"), &[JSON], body)
}

#[test]
fn a_tool_call_and_a_route_mean_the_same() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"publish_reply",
        "arguments":{"thread_id":"t-1","to":["a@x","b@x"],"text":"hello"}}}"#;
    let call = mcp(body).unwrap();
    assert_eq!(call.operation, "forum.publish");
    assert_eq!(call.resource.as_ref().unwrap().name, "thread/t-1");
    assert_eq!(call.counterparties.len(), 2);
    assert_eq!(call.counterparties[0].from, "/to");
    assert_eq!(call.mcp_id, Some(McpId::Number(1)));
    assert!(call.missing.is_empty());

    let line = ("POST", "forum.example", "/threads/t-1/replies");
    let post = classify(line, &[JSON], r#"{"to":"a@x","text":"hello"}"#).unwrap();
    assert_eq!(post.operation, call.operation);
    assert_eq!(post.resource, call.resource);
    assert_eq!(post.arguments["body"]["text"], "hello");
}

#[test]
fn what_the_catalog_needs_and_the_request_lacks_is_missing() {
    let body = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"publish_reply",
        "arguments":{"thread_id":{"$ne":1},"to":["a",{}]}}}"#;
    assert_eq!(mcp(body).unwrap().missing, ["/thread_id", "/to"]);
    let body = r#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"publish_reply",
        "arguments":{"thread_id":"t-1","Thread_ID":"t-2","to":"a","\u017fo":1,"TO":"b"}}}"#;
    assert_eq!(mcp(body).unwrap().missing, ["/thread_id", "/to"], "a twin that differs only in case");
    let line = ("POST", "forum.example", "/threads/t-1/replies");
    assert_eq!(classify(line, &[("content-type", "text/plain")], "to=a").unwrap().missing, ["/body/to"]);
}

#[test]
fn operations_by_route() {
    for (line, expected, classified) in [
        (("GET", "forum.example", "/threads/t-1"), "forum.read", true),
        (("GET", "forum.example", "/threads/mine"), "forum.list", true),
        (("GET", "FORUM.example:443", "/threads/mine"), "forum.list", true),
        (("GET", "forum.example", "/threads/"), "GET /threads/", false),
        (("GET", "forum.example", "/threads/mine;x"), "GET /threads/mine;x", false),
        (("GET", "forum.example", "//threads/mine"), "GET //threads/mine", false),
        (("GET", "forum.example", "/threads//mine"), "GET /threads//mine", false),
        (("HEAD", "forum.example", "/threads/mine"), "HEAD /threads/mine", false),
        (("GET", "other.example", "/threads/mine"), "GET /threads/mine", false),
        (("GET", "forum.example.", "/threads/mine"), "GET /threads/mine", false),
        (("GET", "forum.example", "/mcp"), "mcp.listen", true),
        (("DELETE", "forum.example", "/mcp"), "mcp.terminate", true),
        (("PUT", "forum.example", "/mcp"), "PUT mcp", false),
        (("GET", "forum.example", "/mcp?x=1"), "GET mcp", false),
        (("GET", "forum.example", "/mcp/"), "GET /mcp/", false),
    ] {
        let action = classify(line, &[], "").unwrap();
        assert_eq!((action.operation.as_str(), action.classified), (expected, classified), "{line:?}");
    }
}

#[test]
fn mcp_methods_by_name() {
    for (body, expected, verb) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#, "initialize", Verb::Session),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            "notifications/initialized",
            Verb::Session,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, "tools/list", Verb::Session),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a:b"}}"#,
            "resources/read",
            Verb::Read,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "mcp.reply", Verb::Session),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/explode"}"#, "tools/explode", Verb::Unknown),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"Publish_Reply"}}"#,
            "tools/call Publish_Reply",
            Verb::Unknown,
        ),
    ] {
        let action = mcp(body).unwrap();
        assert_eq!((action.operation.as_str(), action.verb), (expected, verb), "{body}");
        assert_eq!(action.classified, verb != Verb::Unknown);
    }
}

#[test]
fn the_table_of_methods_is_sorted() {
    let mut methods = Vec::new();
    for method in
        ["completion/complete", "ping", "tools/list", "tasks/get", "server/discover", "prompts/list"]
    {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        methods.push(mcp(&body).unwrap().classified);
    }
    assert!(methods.iter().all(|classified| *classified));
}

#[test]
fn messages_that_servers_could_read_differently_are_refused() {
    for (body, expected) in [
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "mcp_batch"),
        ("[]", "mcp_batch"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#, "body_duplicate_key"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#, "mcp_malformed"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":1}"#, "mcp_malformed"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
            "mcp_malformed",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":[]}}"#,
            "mcp_malformed",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#, "mcp_malformed"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["a"]}"#, "mcp_malformed"),
        (r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"publish_reply"}}"#, "mcp_malformed"),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","URI":"b"}}"#,
            "mcp_malformed",
        ),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, "mcp_malformed"),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "mcp_malformed"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "mcp_malformed"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "mcp_malformed"),
        ("1", "mcp_malformed"),
        ("", "body_malformed"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, "body_malformed"),
        (&format!("{}{}", "[".repeat(17), "]".repeat(17)), "body_too_deep"),
    ] {
        assert_eq!(mcp(body).unwrap_err().reason().as_str(), expected, "{body}");
    }
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let line = ("POST", "forum.example", "/mcp");
    for (header, expected) in [
        (("content-encoding", "gzip"), "body_encoded"),
        (("mcp-method", "tools/list"), "mcp_header_mismatch"),
    ] {
        assert_eq!(classify(line, &[JSON, header], ping).unwrap_err().reason().as_str(), expected);
    }
    // As UTF-7 `+ACI-` is a quotation mark, so that the name ends there and another member follows.
    let hidden = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"+ACI-,+ACI-b":1}}"#;
    let utf7 = [("content-type", "application/json; charset=utf-7")];
    assert_eq!(classify(line, &utf7, hidden).unwrap_err().reason().as_str(), "body_encoded");
    let error = classify(line, &[("content-type", "text/plain")], ping).unwrap_err();
    assert_eq!(error.reason().as_str(), "mcp_malformed");
}

#[test]
fn a_mistake_in_the_catalog_is_named_by_pointer() {
    let entry = json!({"operation": "a", "verb": "read", "effects": effects(false)});
    let route = |path: &str| {
        json!({"method": "GET", "path": path, "operation": "a", "verb": "read",
                                    "effects": effects(false)})
    };
    let http = |routes: Value| json!({"http": [{"authority": "a", "routes": routes}]});
    let mcp = |authority: &str, tool: Value| json!({"mcp": [{"authority": authority, "path": "/", "tools": {"t": tool}}]});
    for (document, expected) in [
        (json!({"grpc": []}), "grpc"),
        (mcp("A", entry.clone()), "/mcp/0"),
        (
            mcp("a", json!({"operation": "a", "verb": "read", "effects": {"side_effect": false}})),
            "/mcp/0/tools/t",
        ),
        (
            mcp("a", json!({"operation": "a", "verb": "look", "effects": effects(false)})),
            "/mcp/0/tools/t/verb",
        ),
        (mcp("a", json!({"operation": "a", "verb": "read", "effects": effects(true)})), "/mcp/0/tools/t"),
        (http(json!([route("threads")])), "/http/0/routes/0"),
        (http(json!([route("/a/{x}b")])), "/http/0/routes/0"),
        (http(json!([route("/{x}/{x}")])), "/http/0/routes/0"),
        (http(json!([route("/{x}"), route("/{y}")])), "/http/0/routes/1"),
        (http(json!([{"method": "get", "path": "/"}])), "/http/0/routes/0"),
        (http(json!([{"method": "GET", "path": "/", "surprise": 1}])), "/http/0/routes/0"),
    ] {
        let message = Catalog::parse(Some(document.clone())).unwrap_err().to_string();
        assert!(message.contains(expected), "{document}: {message}");
    }
}
