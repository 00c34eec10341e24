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

const LIMITS: JsonLimits = JsonLimits { depth: 16, values: 1000 };
const JSON: (&str, &str) = ("content-type", "application/json");

fn classify(line: (&str, &str, &str), headers: &[(&str, &str)], body: &str) -> Result<Action, ActionError> {
    let catalog = catalog();
    let view = request(line, headers).unwrap();
    let route = Route::find(&view, &catalog);
    let body = (route.body_use(&view, false) == BodyUse::Meaning).then_some(body.as_bytes());
    route.classify(&view, body, LIMITS)
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
    let line = ("POST", "forum.example", "/threads/t-1/replies");
    assert_eq!(classify(line, &[("content-type", "text/plain")], "to=a").unwrap().missing, ["/body/to"]);
    let twins = r#"{"to":"a","TO":"b"}"#;
    assert_eq!(
        classify(line, &[JSON], twins).unwrap().missing,
        ["/body/to"],
        "a twin that differs only in case"
    );
}

#[test]
fn arguments_that_differ_only_in_case_are_refused() {
    let call = |arguments: &str| {
        mcp(&format!(
            r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{"name":"publish_reply","arguments":{arguments}}}}}"#
        ))
    };
    for twins in [r#"{"x":1,"X":2}"#, r#"{"thread_id":"t-1","\u017fo":1,"So":2}"#, r#"{"k":1,"\u212a":2}"#] {
        let error = call(twins).unwrap_err();
        assert_eq!(error.reason().as_str(), "mcp_malformed", "{twins}");
    }
    assert!(call(r#"{"x":{"a":1,"A":2},"xs":1}"#).is_ok());
}

/// What may be left out and is there for other readers is not left out.
#[test]
fn an_optional_counterparty_is_absent_for_every_reader_or_missing() {
    let mut data = json!({"http": [{"authority": "forum.example", "routes": [
        {"method": "POST", "path": "/replies", "operation": "forum.publish", "verb": "publish", "effects": effects(true),
         "counterparties": [{"kind": "person", "value": "/body/cc", "optional": true}]}]}]});
    let catalog = Catalog::parse(Some(data.take())).unwrap();
    let missing = |content_type: &str, body: Option<&[u8]>| {
        let view = request(("POST", "forum.example", "/replies"), &[("content-type", content_type)]).unwrap();
        Route::find(&view, &catalog).classify(&view, body, LIMITS).unwrap().missing
    };
    for (body, absent) in [
        (r#"{"text":"x"}"#, true),
        (r#"{"cc":null}"#, true),
        ("{}", true),
        ("null", true),
        ("", true),
        (r#"{"CC":"eve@evil.example"}"#, false),
        (r#"{"cc":"bea","Cc":"eve"}"#, false),
        (r#"[{"cc":"eve"}]"#, false),
        (r#"{"cc":{"a":1}}"#, false),
        (r#""cc""#, false),
    ] {
        assert_eq!(missing("application/json", Some(body.as_bytes())).is_empty(), absent, "{body}");
    }
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/grpc",
        "application/json, text/plain",
    ] {
        assert_eq!(missing(content_type, Some(b"{\"cc\":\"eve\"}")), ["/body/cc"], "{content_type}");
    }
    assert_eq!(missing("application/json", None), ["/body/cc"], "not read");
    let call = |arguments: &str| {
        mcp(&format!(
            r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{"name":"publish_reply",
                "arguments":{{"thread_id":"t-1","to":"a"{arguments}}}}}}}"#
        ))
        .unwrap()
        .missing
    };
    assert_eq!((call(""), call(r#","CC":"eve""#)), (vec![], vec!["/cc".to_owned()]));
}

/// Readers differ in which of several values they take.
#[test]
fn one_of_several_values_of_a_query_names_nothing() {
    let catalog = Catalog::parse(Some(json!({"http": [{"authority": "a", "routes": [
        {"method": "GET", "path": "/threads", "operation": "forum.read", "verb": "read", "effects": effects(false),
         "resource": {"type": "thread", "id": "/query/id/0"}},
        {"method": "GET", "path": "/named", "operation": "forum.read", "verb": "read", "effects": effects(false),
         "resource": {"type": "thread", "id": "/query/id"}}]}]})))
    .unwrap();
    for (query, expected) in [
        ("id=t-1", Some("thread/t-1")),
        ("id=t-1&x=2", Some("thread/t-1")),
        ("id=t-1&id=t-2", None),
        ("id=t-1&id[]=t-2", None),
        ("id=t-1&ID[]=t-2", None),
        ("id=t-1&id%5B0%5D=t-2", None),
        ("id=t-1&ID=t-2", None),
        ("x=1", None),
    ] {
        for path in ["/threads", "/named"] {
            let view = request(("GET", "a", &format!("{path}?{query}")), &[]).unwrap();
            let action = Route::find(&view, &catalog).classify(&view, None, LIMITS).unwrap();
            let name = action.resource.as_ref().map(|resource| resource.name.as_str());
            assert_eq!(name, expected, "{path}?{query}");
            assert_eq!(action.missing.is_empty(), expected.is_some());
        }
    }
}

/// The filter looks at `arguments` alone, and an approval binds them alone.
#[test]
fn a_call_has_no_parameters_that_nobody_looks_at() {
    let call = |more: &str| {
        mcp(&format!(
            r#"{{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{{"name":"publish_reply","arguments":{{}}{more}}}}}"#
        ))
    };
    assert!(call(r#","_meta":{"progressToken":1},"task":{"ttl":1}"#).is_ok());
    for more in [r#","inputResponses":{}"#, r#","requestState":"x""#, r#","uri":"a""#] {
        assert_eq!(call(more).unwrap_err().reason().as_str(), "mcp_malformed", "{more}");
    }
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
