//! Tables of configurations: what is taken, and what each mistake is answered with.

use serde_json::{Value, json};

use super::*;

fn good() -> Value {
    json!({
        "version": 1,
        "resource": "https://tools.example",
        "issuers": [{"issuer": "https://idp.example", "algorithms": ["ES256"], "keys": {"inline": {"keys": []}}}],
        "approvals": {"issuers": [
            {"issuer": "https://approvals.example", "algorithms": ["EdDSA"], "keys": {"inline": {"keys": []}}}]},
        "bundle": {"http": {"cluster": "bundles", "authority": "bundles.example", "path": "/agents.tar.gz"}}
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut document = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        other => other[name] = value,
    }
    document
}

fn list(uri: &str) -> Value {
    json!({"uri": uri, "http": {"cluster": "keys", "authority": "idp.example", "path": "/1"}})
}

#[test]
fn defaults_are_filled_in() {
    let config = Config::parse(good().to_string().as_bytes()).unwrap();
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.decision, "remit/authz/decision");
    assert_eq!(config.issuers[0].max_lifetime_seconds, 900);
    assert_eq!(config.failures.no_bundle, FailureMode::Deny);
    assert!(config.signatures.host);
    assert_eq!((config.dpop.algs().as_str(), config.dpop.max_age_seconds), ("ES256 EdDSA RS256 PS256", 60));
    assert_eq!(config.issuers[0].sender_constraint, SenderConstraint::AsBound);
    assert_eq!(config.issuers[0].status, StatusRule::AsPresent);
}

#[test]
fn a_mistake_is_named_by_pointer() {
    for (document, expected) in [
        (with("/version", json!(2)), "/version"),
        (with("/mode", json!("enforced")), "/mode"),
        (with("/resource", json!("")), "/resource"),
        (with("/issuers", json!([])), "/issuers"),
        (with("/surprise", json!(1)), "surprise"),
        (with("/issuers/0/algorithms", json!(["none"])), "/issuers/0/algorithms/0"),
        (with("/issuers/0/algorithms", json!([])), "/issuers/0"),
        (with("/issuers/0/keys", json!({"secret": "AAAA"})), "/issuers/0"),
        (with("/issuers/0/algorithms", json!(["HS256"])), "/issuers/0"),
        (with("/issuers/0/max_lifetime_seconds", json!(0)), "/issuers/0"),
        (with("/issuers/0/clock_skew_seconds", json!(301)), "/issuers/0"),
        (with("/issuers/0/clock_skew_seconds", json!(-1)), "/issuers/0/clock_skew_seconds"),
        (with("/approvals/issuers/0/algorithms", json!(["HS256"])), "/approvals/issuers/0"),
        (with("/approvals/challenge_seconds", json!(0)), "/approvals/challenge_seconds"),
        (with("/bundle", json!({"http": {"cluster": "b"}})), "/bundle"),
        (with("/bundle/http/timeout_ms", json!(0)), "/bundle/http"),
        (with("/bundle/http/max_age_seconds", json!(1)), "/bundle/http"),
        (with("/decision", json!("/a/b")), "/decision"),
        (with("/denials", json!({"mcp_status": 500})), "/denials/mcp_status"),
        (with("/limits", json!({"json_depth": 4000})), "/limits/json_depth"),
        (with("/limits", json!({"body_bytes": "1"})), "/limits/body_bytes"),
        (with("/limits", json!({"proof_jti_bytes": 1})), "/limits/proof_jti_bytes"),
        (with("/limits", json!({"proof_slots": 0})), "/limits/proof_slots"),
        (with("/limits", json!({"proofs_per_slot": 0})), "/limits/proofs_per_slot"),
        (with("/limits", json!({"status_list_bytes": 1})), "/limits/status_list_bytes"),
        (with("/limits", json!({"status_list_unpacked_bytes": 0})), "/limits/status_list_unpacked_bytes"),
        (with("/dpop", json!({"algorithms": []})), "/dpop/algorithms"),
        (with("/dpop", json!({"algorithms": ["HS256"]})), "/dpop/algorithms"),
        (with("/dpop", json!({"max_age_seconds": 0})), "/dpop/max_age_seconds"),
        (with("/dpop", json!({"max_age_seconds": 601})), "/dpop/max_age_seconds"),
        (with("/dpop", json!({"clock_skew_seconds": 301})), "/dpop/clock_skew_seconds"),
        (with("/issuers/0/sender_constraint", json!("always")), "/issuers/0/sender_constraint"),
        (with("/issuers/0/status", json!("always")), "/issuers/0/status"),
        (with("/issuers/0/authentication", json!({"acr": "x"})), "/issuers/0/authentication"),
        (with("/issuers/0/authentication", json!({"acr_values": ["a b"]})), "/authentication/acr_values"),
        (with("/issuers/0/authentication", json!({"acr_values": ["\""]})), "/authentication/acr_values"),
        (with("/issuers/0/status_lists", json!([list("")])), "/issuers/0/status_lists/0: uri"),
        (with("/issuers/0/status_lists", json!([list("a"), list("a")])), "/issuers/0/status_lists/1: this"),
        (with("/issuers/0/status_lists", json!(vec![list("a"); 65])), "/issuers/0: status_lists"),
        (with("/issuers/0/status_lists", json!([{"uri": "a"}])), "/issuers/0/status_lists/0"),
    ] {
        let message = Config::parse(document.to_string().as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn what_is_not_one_json_document_is_refused() {
    for (bytes, expected) in [
        (b"".as_slice(), "malformed JSON"),
        (b"{", "malformed JSON"),
        (br#"{"version":1,"version":1}"#, "duplicate key"),
        (b"\xff", "not UTF-8"),
        (b"[]", "top level"),
    ] {
        let message = Config::parse(bytes).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(matches!(Config::parse(&vec![b' '; MAX_CONFIG_BYTES + 1]), Err(ConfigError::TooLarge { .. })));
}
