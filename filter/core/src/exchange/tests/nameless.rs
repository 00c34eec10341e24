//! Requests without a token, where the policy is to decide on them.

use serde_json::json;

use super::*;

const NAMELESS: &str = r#"package remit.authz
import rego.v1
default decision := {"allowed": false, "reasons": ["nobody"]}
decision := {"allowed": true, "headers": {"x-basic": input.attributes.request.http.headers.authorization}} if {
	not input.remit.token
	not input.remit.delegation
	input.remit.registration == "unregistered"
	input.parsed_path == ["open"]
}
decision := {"allowed": true, "reasons": ["known"]} if input.remit.token.sub == "alice"
decision := {"allowed": false, "outcome": "require_approval", "reasons": ["ask"]} if {
	not input.remit.token
	input.parsed_path == ["ask"]
}
"#;

fn changes(more: &Value) -> Value {
    with(json!({"failures": {"token_missing": "decide_without"}}), more)
}

#[test]
fn the_policy_decides_and_nobody_is_named() {
    let mut world = World::with(NAMELESS, &changes(&json!({"issuers": []})));
    for authorization in ["Basic YTpi", "Bearer garbage", "Bearer a, Bearer b", "anything"] {
        let came = world.send(("GET", "/open"), &[("authorization", authorization)], None);
        assert_eq!(came.summary(), (0, "allow", ""), "{authorization}");
        assert!(came.headers.contains(&("x-basic".into(), authorization.into())), "{:?}", came.headers);
        let own: Vec<_> = came.headers.iter().filter(|(name, _)| name.starts_with("x-remit-")).collect();
        assert_eq!(own.len(), 1, "the decision's id and nothing else: {own:?}");
        assert_eq!((&came.record["token_missing"], &came.record["token"]), (&json!(true), &Value::Null));
        assert_eq!((came.cached, came.remembered), (None, None));
    }
    let twice = [("authorization", "a"), ("authorization", "b"), ("x-remit-agent", "boss")];
    let came = world.send(("GET", "/open"), &twice, None);
    assert_eq!((came.outcome.as_str(), came.removed[0].as_str()), ("allow", "x-remit-agent"));
    let good = format!("Bearer {}", world.token());
    let came = world.send(("GET", "/else"), &[("authorization", &good), ("txn-token", "x")], None);
    assert_eq!(came.summary(), (403, "deny", "nobody"), "no issuer, no token");
}

#[test]
fn a_token_that_is_there_has_to_be_good() {
    let mut world = World::with(NAMELESS, &changes(&json!({})));
    let good = format!("Bearer {}", world.token());
    for (headers, path, expected) in [
        (vec![], "/else", (403, "deny", "nobody")),
        (vec![("authorization", good.as_str())], "/else", (0, "allow", "known")),
        (vec![("authorization", "Bearer garbage")], "/open", (401, "deny", "token_malformed")),
        (vec![("authorization", "Basic YTpi")], "/open", (401, "deny", "token_scheme_not_accepted")),
        (
            vec![("authorization", good.as_str()), ("authorization", "x")],
            "/open",
            (401, "deny", "token_ambiguous"),
        ),
        (vec![("txn-token", "garbage")], "/open", (401, "deny", "token_malformed")),
    ] {
        let came = world.send(("GET", path), &headers, None);
        assert_eq!(came.summary(), expected, "{headers:?}");
        assert_eq!(came.record["token_missing"] == json!(true), expected.2 == "nobody");
    }
    let mut strict = World::with(NAMELESS, &json!({}));
    assert_eq!(strict.send(("GET", "/open"), &[], None).summary(), (401, "deny", "token_missing"));
}

#[test]
fn nobody_can_be_approved_for() {
    let mut world = World::with(NAMELESS, &changes(&json!({})));
    let expected = (403, "deny", "ask,approval_without_token");
    assert_eq!(world.send(("POST", "/ask"), &[], Some(b"{}")).summary(), expected);
    let came = world.send(("POST", "/ask"), &[("agent-approval", "a.b.c")], Some(b"{}"));
    assert_eq!(came.summary(), (403, "deny", "approval_without_token"));
    assert!(world.shared.is_empty(), "no challenge was opened");
}

#[test]
fn what_cannot_be_parsed_is_told_and_paths_may_be_left_to_the_policy() {
    let policy = "package remit.authz\ndecision := {\"allowed\": false, \"body\": json.marshal([input.parsed_path, input.parsed_body, input.truncated_body, input.remit.action.classified])}\n";
    let json = ("content-type", "application/json");
    let strict = changes(&json!({"issuers": []}));
    let lenient = json!({"token_missing": "decide_without", "path_ambiguous": "decide", "body_too_large": "decide_without"});
    let lenient = with(strict.clone(), &json!({"failures": lenient, "limits": {"body_bytes": 20}}));
    for (changes, path, headers, body, expected) in [
        (&strict, "/a", vec![json], "{\"a\":1}", r#"[["a"],{"a":1},false,false]"#),
        (&strict, "/a%2fb", vec![], "", "path_ambiguous"),
        (&strict, "/a", vec![json], "{", "malformed JSON at line 1 column 1"),
        (&strict, "/a", vec![json, ("content-length", "9")], "{\"a\":1}", "body_length_mismatch"),
        (&strict, "/a", vec![json, ("content-length", "x")], "{\"a\":1}", "body_length_mismatch"),
        (&lenient, "/a%2f../b", vec![], "", r#"[["a","..","b"],null,false,false]"#),
        (
            &lenient,
            "/threads/../threads/1",
            vec![],
            "",
            r#"[["threads","..","threads","1"],null,false,false]"#,
        ),
        (&lenient, "/threads/1", vec![], "", r#"[["threads","1"],null,false,true]"#),
        (&lenient, "/threads%2f1", vec![], "", r#"[["threads","1"],null,false,false]"#),
        (&lenient, "/a%", vec![], "", "path_undecodable"),
        (&lenient, "/a", vec![json], "{\"a\":\"over the limit\"}", r#"[["a"],null,true,false]"#),
    ] {
        let mut world = World::with(policy, changes);
        let method = if body.is_empty() { "GET" } else { "POST" };
        let came = world.send((method, path), &headers, Some(body.as_bytes()));
        let reply = came.reply.as_ref().unwrap();
        assert!(reply.body.contains(expected), "{path} {body}: {reply:?}");
        assert_eq!(reply.status == 400, !expected.starts_with('['), "{path} {body}");
    }
    let mut bare = with(strict, &json!({"denials": {"body": "policy"}}));
    bare["approvals"] = Value::Null;
    let mut world = World::with(policy, &bare);
    let reply =
        world.send(("POST", "/a"), &[json, ("content-length", "9")], Some(b"{\"a\":1}")).reply.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (403, r#"[["a"],null,true,false]"#));
    assert_eq!(reply.headers, []);
    let reply = world.send(("POST", "/a"), &[json], Some(b"{")).reply.unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (400, "body: malformed JSON at line 1 column 1"));
}

#[test]
fn the_decisions_id_is_in_the_metadata() {
    let policy = "package remit.authz\ndecision := {\"allowed\": input.parsed_path == [\"open\"], \"dynamic_metadata\": {\"decision_id\": \"own\", \"k\": 1}} if input.parsed_path != [\"bare\"]\ndecision := true if input.parsed_path == [\"bare\"]\ndecision := 1 if input.parsed_path == [\"bad\"]\n";
    let mut world = World::with(policy, &changes(&json!({"issuers": []})));
    for (path, expected) in [
        ("/open", Some(json!({"decision_id": "id", "k": 1}))),
        ("/else", Some(json!({"decision_id": "id", "k": 1}))),
        ("/bare", Some(json!({"decision_id": "id"}))),
        ("/bad", None),
    ] {
        let came = world.send(("GET", path), &[], None);
        let expected = expected.map(|mut metadata| {
            metadata["decision_id"] = came.record["decision_id"].clone();
            metadata
        });
        assert_eq!(came.metadata, expected, "{path}");
    }
}
