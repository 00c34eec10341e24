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

fn keys(kind: &str, changes: Value) -> Value {
    let mut source = json!({"cluster": "c", "authority": "a.example", "path": "/jwks"});
    source.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({ kind: source })
}

#[test]
fn keys_are_fetched_by_defaults_that_can_be_changed() {
    let document = with("/issuers/0/keys", keys("http", json!({})));
    let config = Config::parse(document.to_string().as_bytes()).unwrap();
    let KeySource::Http(fetch) = &config.issuers[0].keys else { panic!() };
    let expected = crate::source::Plan {
        timeout_ms: 1000,
        refresh_seconds: 60,
        min_refresh_seconds: Some(30),
        max_age_seconds: 3600,
        refetch_seconds: 30,
        polling: None,
    };
    assert_eq!((fetch.plan(), config.limits.key_waits), (expected, 64));
}

fn list(uri: &str) -> Value {
    json!({"uri": uri, "http": {"cluster": "keys", "authority": "idp.example", "path": "/1"}})
}

#[test]
fn policies_without_tokens_need_neither_issuer_nor_audience() {
    let bare = json!({"version": 1, "bundle": good()["bundle"]});
    let mut document = bare.clone();
    document["failures"] = json!({"token_missing": "decide_without"});
    let config = Config::parse(document.to_string().as_bytes()).unwrap();
    assert_eq!((config.issuers.len(), config.resource.as_str()), (0, ""));
    let mut audience = document.clone();
    audience["approvals"] = good()["approvals"].clone();
    let mut tokens = document.clone();
    tokens["issuers"] = good()["issuers"].clone();
    for (document, pointer) in [(bare, "/resource"), (audience, "/resource"), (tokens, "/resource")] {
        let error = Config::parse(document.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(pointer), "{error}");
    }
}

#[test]
fn defaults_are_filled_in() {
    let config = Config::parse(good().to_string().as_bytes()).unwrap();
    assert_eq!(config.mode, Mode::Enforce);
    assert_eq!(config.decision, "remit/authz/decision");
    assert_eq!(config.issuers[0].max_lifetime_seconds, 900);
    assert_eq!(config.failures.no_bundle, FailureMode::Deny);
    assert!(config.signatures.host);
    assert_eq!(
        (config.dpop.algs().as_str(), config.dpop.max_age_seconds),
        ("ES256 ES384 EdDSA RS256 PS256", 60)
    );
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
        (with("/issuers/0/keys", json!({"http": {"cluster": "c", "authority": "a"}})), "/keys/http: path"),
        (with("/issuers/0/keys", keys("http", json!({"path": "x"}))), "/keys/http: path"),
        (with("/issuers/0/keys", keys("http", json!({"jwks_authorities": {"h": "c"}}))), "jwks_authorities"),
        (
            with("/issuers/0/keys", keys("discovery", json!({"jwks_authorities": {"h": ""}}))),
            "jwks_authorities",
        ),
        (with("/issuers/0/keys", keys("http", json!({"refetch_seconds": 0}))), "refetch_seconds: 1 to 86400"),
        (with("/issuers/0/keys", keys("http", json!({"min_refresh_seconds": 0}))), "min_refresh_seconds"),
        (with("/issuers/0/keys", keys("discovery", json!({"timeout_ms": 0}))), "/keys/discovery: timeout_ms"),
        (with("/issuers/0/keys", keys("discovery", json!({"authority": ""}))), "/keys/discovery: authority"),
        (with("/issuers/0/keys", keys("other", json!({}))), "/issuers/0/keys"),
        (
            with(
                "/issuers/0",
                json!({"issuer": "urn:idp", "algorithms": ["ES256"], "keys": {"discovery":
                {"cluster": "c", "authority": "a"}}}),
            ),
            "/issuers/0/keys/discovery: path",
        ),
        (with("/limits", json!({"key_waits": 65_537})), "/limits/key_waits"),
        (with("/bundle", json!({"http": {"cluster": "b"}})), "/bundle"),
        (with("/bundle/http/timeout_ms", json!(0)), "/bundle/http"),
        (with("/bundle/http/max_age_seconds", json!(1)), "/bundle/http"),
        (with("/decision", json!("/a/b")), "/decision"),
        (with("/candidate", json!({})), "/candidate: exactly one"),
        (with("/status", json!({"cluster": "", "authority": "a"})), "/status: cluster"),
        (with("/status", json!({"cluster": "c", "authority": "a", "path": "x"})), "/status: path"),
        (
            with("/status", json!({"cluster": "c", "authority": "a", "interval_seconds": 0})),
            "/status/interval_seconds",
        ),
        (with("/candidate", json!({"bundle": {"inline": ""}, "fraction": 1.5})), "/candidate/fraction"),
        (with("/candidate", json!({"bundle": {"inline": ""}, "instructions": 1})), "/candidate/instructions"),
        (
            with("/candidate", json!({"bundle": {"inline": ""}, "evaluation_ms": 0})),
            "/candidate/evaluation_ms",
        ),
        (
            with("/candidate", json!({"bundles": {" ": {"source": {"inline": ""}}}})),
            "/candidate/bundles/ : a name",
        ),
        (with("/denials", json!({"mcp_status": 500})), "/denials/mcp_status"),
        (with("/audit", json!({"log": false, "filter_state": false})), "/audit"),
        (with("/audit", json!({"console": true})), "/audit"),
        (with("/limits", json!({"json_depth": 4000})), "/limits/json_depth"),
        (with("/limits", json!({"evaluation_signatures": 1025})), "/limits/evaluation_signatures"),
        (with("/limits", json!({"evaluation_token_bytes": 255})), "/limits/evaluation_token_bytes"),
        (with("/limits", json!({"body_bytes": "1"})), "/limits/body_bytes"),
        (with("/limits", json!({"body_values": 0})), "/limits/body_values"),
        (with("/input", json!({"skip-request-body-parse": true})), "/input"),
        (with("/path", json!("envoy/authz/allow")), "path"),
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
fn settings_of_an_issuer_go_together() {
    let txn = |changes: Value| {
        let mut issuer = json!({"issuer": "https://tts.example", "algorithms": ["ES256"],
            "keys": {"inline": {"keys": []}}, "carrier": "txn_token"});
        for (name, value) in changes.as_object().unwrap() {
            issuer[name] = value.clone();
        }
        let mut document = good();
        document["issuers"].as_array_mut().unwrap().push(issuer);
        document
    };
    let mut two = txn(json!({"without_iss": true}));
    let second = with("/issuers/0", two["issuers"][1].clone())["issuers"][0].clone();
    two["issuers"].as_array_mut().unwrap().push(second);
    two["issuers"][2]["issuer"] = json!("https://tts2.example");
    for (document, expected) in [
        (with("/issuers/0/profile", json!("ping")), "/issuers/0/profile"),
        (txn(json!({"sender_constraint": "required"})), "/issuers/1/sender_constraint"),
        (txn(json!({"status": "required"})), "/issuers/1/status_lists"),
        (txn(json!({"status_lists": [list("https://tts.example/1")]})), "/issuers/1/status_lists"),
        (txn(json!({"authentication": {"max_age_seconds": 60}})), "/issuers/1/authentication"),
        (with("/issuers/0/types", json!([])), "/issuers/0/types"),
        (with("/issuers/0/types", json!(["at+jwt", "txntoken+jwt"])), "/issuers/0/types"),
        (with("/issuers/0/types", json!(["application/Oauth-Id-Jag+jwt"])), "/issuers/0/types"),
        (with("/issuers/0/types", json!(["dpop+jwt"])), "/issuers/0/types"),
        (with("/issuers/0/types", json!(["agent-approval+jwt"])), "/issuers/0/types"),
        (with("/issuers/0/without_iss", json!(true)), "/issuers/0/without_iss"),
        (with("/issuers/0/subject_issuer", json!("https://a.example")), "/issuers/0/subject_issuer"),
        (with("/issuers/0/principal", json!("act")), "/issuers/0/principal"),
        (with("/issuers/0/clients", json!([""])), "/issuers/0/clients"),
        (with("/issuers/0/clients", json!("a")), "/issuers/0/clients"),
        (with("/issuers/0/detail_types", json!(["agent_task"])), "/issuers/0/detail_types"),
        (with("/issuers/0/prompt_digest", json!("always")), "/issuers/0/prompt_digest"),
        (with("/issuers/0/attenuation", json!("trusted")), "/issuers/0/attenuation"),
        (txn(json!({"types": ["txntoken+jwt"]})), "/issuers/1/types"),
        (txn(json!({"profile": "okta"})), "/issuers/1/profile"),
        (txn(json!({"attenuation": "receipts"})), "/issuers/1/attenuation"),
        (txn(json!({"subject_issuer": ""})), "/issuers/1/subject_issuer"),
        (two, "/issuers/2/without_iss"),
    ] {
        let message = Config::parse(document.to_string().as_bytes()).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    for (profile, setting, value, fits) in [
        ("rfc8693", "principal", "innermost_act", true),
        ("keycloak", "principal", "sub", true),
        ("auth0", "principal", "sub", false),
        ("okta", "principal", "innermost_act", false),
        ("entra", "principal", "innermost_act", false),
        ("entra", "subjects", "human", false),
        ("entra", "subjects", "unattended", true),
        ("rfc8693", "attenuation", "receipts", true),
        ("auth0", "attenuation", "receipts", true),
        ("okta", "attenuation", "receipts", false),
        ("entra", "attenuation", "receipts", false),
        ("keycloak", "attenuation", "hop_list", false),
        ("rfc8693", "attenuation", "hop_list", true),
    ] {
        let mut document = with("/issuers/0/profile", json!(profile));
        document["issuers"][0][setting] = json!(value);
        let result = Config::parse(document.to_string().as_bytes());
        let message = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert_eq!(result.is_ok(), fits, "{profile} {setting}: {message}");
        assert!(fits || message.contains(&format!("/issuers/0/{setting}")), "{message}");
    }
    // One authorization server may issue both kinds, each under its own settings.
    let both = Config::parse(txn(json!({"issuer": "https://idp.example"})).to_string().as_bytes()).unwrap();
    assert_eq!(both.issuers[0].types(), ["at+jwt"]);
    assert_eq!(both.issuers[1].types(), ["txntoken+jwt"]);
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
