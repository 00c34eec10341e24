//! The whole pipeline on requests, natively: what each becomes, and that nothing stops it from deciding the next one.
#![expect(clippy::arithmetic_side_effects, reason = "counters of a test")]

mod approvals;
mod asking;
mod bundles;
mod explained;
mod facts;
mod keys;
mod late;
mod nameless;
mod possession;
mod reloads;
mod remembered;
mod shadow;
mod transaction;
mod world;

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value, json};

use super::*;
use crate::action::tests::effects;
use crate::bundle::testing::packed;
use crate::effect::{Effect, Reply};
use crate::engine::SourceId;
use crate::keys::Algorithm;
use crate::source::Answer;
use crate::token::testing::{NOW, Signer, at, claims, with};
use world::*;

#[test]
fn a_read_goes_through_with_the_filters_headers() {
    let mut world = World::new();
    let came = world.read();
    assert_eq!(came.summary(), (0, "allow", "reads"));
    let header = |name: &str| came.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    assert_eq!(header("x-remit-agent"), Some("agent-7"));
    assert_eq!(header("x-remit-principal"), Some("alice"));
    assert_eq!(header("x-scope"), Some("forum:write"));
    assert_eq!(came.record["agent"]["sub"], "agent-7");
    assert_eq!(came.record["bundle"], "r1");
    assert_eq!(came.cached, Some(false));
    assert_eq!(world.read().cached, Some(true));
    let other = world.idp.token(&with(claims(), &json!({"jti": "j-2"})));
    let bearer = format!("Bearer {other}");
    for expected in [Some(false), Some(true)] {
        let came = world.send(("GET", "/threads/1"), &[("authorization", &bearer)], None);
        assert_eq!((came.cached, came.outcome.as_str()), (expected, "allow"));
    }
    assert!(world.body_asked.is_none(), "nobody reads the body of a GET");
}

#[test]
fn bad_credentials_are_told_nothing_and_recorded_exactly() {
    let mut world = World::new();
    let good = world.token();
    let other = Signer::new(Algorithm::Es256, "k1").token(&claims());
    let changed = |changes: Value| world.idp.token(&with(claims(), &changes));
    let none = world.idp.token_of(r#"{"alg":"none","kid":"k1","typ":"at+jwt"}"#, &claims().to_string());
    let table: Vec<(Vec<String>, &str)> = vec![
        (vec![], "token_missing"),
        (vec![format!("Bearer {good}"), format!("Bearer {good}")], "token_ambiguous"),
        (vec![format!("Bearer {good}, Bearer {good}")], "token_ambiguous"),
        (vec!["Bearer garbage".into()], "token_malformed"),
        (vec!["Basic YTpi".into()], "token_scheme_not_accepted"),
        (vec![format!("Bearer {none}")], "token_header_refused"),
        (vec![format!("Bearer {other}")], "signature_invalid"),
        (vec![format!("Bearer {}", changed(json!({"iat": NOW - 900, "exp": NOW - 100})))], "token_expired"),
        (vec![format!("Bearer {}", changed(json!({"nbf": NOW + 100})))], "token_not_yet_valid"),
        (vec![format!("Bearer {}", changed(json!({"exp": NOW + 9000})))], "token_lifetime_exceeded"),
        (vec![format!("Bearer {}", changed(json!({"exp": null})))], "claim_missing"),
        (vec![format!("Bearer {}", changed(json!({"cnf": {"jkt": "x"}})))], "claim_malformed"),
        (vec![format!("Bearer {}", changed(json!({"cnf": {"kid": "x"}})))], "confirmation_unsupported"),
        (vec![format!("DPoP {good}")], "unbound_token_with_proof"),
        (vec![format!("Bearer {}", changed(json!({"aud": "https://other.example"})))], "audience_mismatch"),
        (vec![format!("Bearer {}", changed(json!({"iss": "https://evil.example"})))], "issuer_unknown"),
    ];
    for (authorizations, expected) in table {
        let headers: Vec<_> = authorizations.iter().map(|value| ("authorization", value.as_str())).collect();
        let came = world.send(("GET", "/threads/1"), &headers, None);
        assert_eq!(came.summary(), (401, "deny", expected));
        let body = &came.reply.as_ref().unwrap().body;
        if expected != "token_missing" {
            assert!(!body.contains(expected), "{body}");
        }
        let record = came.record.to_string();
        assert!(!record.contains(&good) && !record.contains("eyJ"), "{record}");
        assert_eq!(world.read().outcome, "allow", "the next good request is served");
    }
    let untraceable = format!("Bearer {}", changed_subject(&world));
    let came = world.send(("GET", "/threads/1"), &[("authorization", &untraceable)], None);
    assert_eq!(came.summary(), (403, "deny", "not_traceable"));
}

fn changed_subject(world: &World) -> String {
    world.idp.token(&with(claims(), &json!({"sub_profile": "service"})))
}

#[test]
fn bad_bodies_are_refused() {
    let mut world = World::with(POLICY, &json!({"limits": {"body_bytes": 1000, "json_depth": 8}}));
    let deep = format!("{}{}", "[".repeat(9), "]".repeat(9));
    let large = "x".repeat(1001);
    let invalid = [b'{', 0xff, b'}'];
    let table: [(&[u8], &str, u16); 9] = [
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"x"}"#, "body_duplicate_key", 400),
        (deep.as_bytes(), "body_too_deep", 400),
        (&invalid, "body_not_utf8", 400),
        (b"{} x", "body_malformed", 400),
        (b"", "body_malformed", 400),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, "mcp_batch", 400),
        (br#"{"jsonrpc":"2.0"}"#, "mcp_malformed", 400),
        (large.as_bytes(), "body_too_large", 413),
        (b"late", "body_late", 408),
    ];
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    for (body, expected, status) in table {
        let came = world.send(("POST", "/mcp"), &headers, Some(body));
        assert_eq!(came.summary(), (status, "deny", expected));
        assert_eq!(world.read().outcome, "allow");
    }
    for (length, expected) in
        [("3", "body_length_mismatch"), ("x", "body_length_mismatch"), ("5000", "body_too_large")]
    {
        let headers = [headers[0], headers[1], ("content-length", length)];
        let came = world.send(("POST", "/mcp"), &headers, Some(call("read", "x").as_bytes()));
        assert_eq!(came.reasons, expected);
    }
    let unknown = world.send(("POST", "/mcp"), &headers, Some(call("explode", "x").as_bytes()));
    assert_eq!(unknown.summary(), (403, "deny", "outside_remit"));
    assert_eq!(unknown.told()["error"]["code"], crate::effect::MCP_DENIED);
    let listen = world.send(("GET", "/mcp"), &headers, Some(call("publish", "x").as_bytes()));
    assert_eq!(listen.record["action"]["classified"], false, "a GET with a body is no request for a stream");
    let unknown = world.send(("GET", "/elsewhere"), &headers, None);
    assert_eq!(unknown.summary(), (403, "deny", "outside_remit"));
}

#[test]
fn a_body_over_the_limit_can_be_decided_without() {
    let changes = json!({"limits": {"body_bytes": 10}, "failures": {"body_too_large": "decide_without"}});
    let mut world = World::with(POLICY, &changes);
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    // An MCP message that was not read means nothing; a plain request that would need approval has nothing to bind.
    let came = world.send(("POST", "/mcp"), &headers, Some(call("read", "x").as_bytes()));
    assert_eq!(came.summary(), (403, "deny", "outside_remit"));
    let came = world.send(("POST", "/replies"), &headers, Some(b"0123456789a"));
    assert_eq!(came.summary(), (403, "deny", "publishes,approval_unbindable"));
}

#[test]
fn the_hosts_answer_counts_where_it_may_be_asked() {
    let mut world = World::new();
    world.host = Some(false);
    assert_eq!(world.read().reasons, "signature_invalid");
    world.host = Some(true);
    assert_eq!(world.read().outcome, "allow");
    assert_eq!(world.asked_host, 2);
    let mut world = World::with(POLICY, &json!({"signatures": {"host": false}}));
    world.host = Some(false);
    assert_eq!(world.read().outcome, "allow");
    assert_eq!(world.asked_host, 0);
}

#[test]
fn policies_that_give_no_decision_deny_by_their_own_reason() {
    let head = "package remit.authz\n";
    let long = "decision if { every a in numbers_list { every b in numbers_list { every c in numbers_list { a + b + c >= 0 } } } }\nnumbers_list := [x | some x in [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33,34,35,36,37,38,39,40]]\n";
    let rules: String = (0..30).map(|n| format!("a{} := concat(\"\", [a{n}, a{n}])\n", n + 1)).collect();
    let doubled = format!("a0 := \"text\"\n{rules}decision if count(a30) > 0\n");
    for (policy, expected) in [
        ("decision if input.nothing\n".to_owned(), "decision_undefined"),
        ("decision := \"allow\"\n".to_owned(), "decision_malformed"),
        ("decision := {\"allowed\": true, \"reasons\": [1]}\n".to_owned(), "decision_malformed"),
        (
            "decision := true if input.remit\ndecision := false if input.remit.v == 1\n".to_owned(),
            "decision_conflict",
        ),
        (long.to_owned(), "instructions_exhausted"),
        (doubled, "memory_exhausted"),
    ] {
        let mut world = World::with(&format!("{head}{policy}"), &json!({}));
        let came = world.read();
        assert_eq!(came.summary(), (500, "deny", expected), "{policy}");
        assert_eq!(world.read().reasons, expected, "the evaluator is usable afterwards");
        let failures = json!({"failures": {"evaluation": "allow", "budget_exhausted": "allow"}});
        let mut world = World::with(&format!("{head}{policy}"), &failures);
        assert_eq!(world.read().summary(), (0, "allow", expected));
    }
}

#[test]
fn observe_mode_decides_and_never_blocks() {
    let mut world = World::with(POLICY, &json!({"mode": "observe"}));
    let came = world.send(("GET", "/threads/1"), &[], None);
    assert_eq!(came.summary(), (0, "deny", "token_missing"));
    assert_eq!(came.record["enforced"], false);
    assert_eq!(world.publish(&[], "x").summary(), (0, "require_approval", "publishes"));
    let forged = [("X-Remit-Agent", "boss"), ("agent-approval", "x")];
    let came = world.send(("GET", "/a/../b"), &forged, None);
    assert_eq!(came.summary(), (0, "deny", "path_ambiguous"));
    assert_eq!(came.removed, ["x-remit-agent", "agent-approval"], "even where the request could not be read");
    assert!(world.shared.is_empty(), "nothing is asked of anybody");
    assert_eq!(world.read().record["enforced"], true);
}
