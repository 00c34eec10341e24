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
    let mut world = World::with(NAMELESS, &changes(&json!({"issuers": [], "approvals": null})));
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
