//! Chains, roots and tasks, accepted and refused.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::keys::Algorithm;
use crate::token::testing::{AUDIENCE, ISSUER, Signer, claims, with};

fn resolve_with(changes: &Value, rules: &IssuerRules) -> Result<Delegation, DelegationError> {
    let token = Signer::new(Algorithm::Hs256, "k1").verified(&with(claims(), changes));
    Delegation::resolve(&token, rules)
}

fn rules() -> IssuerRules {
    let actor_issuers = ["https://agents.example", "https://other.example"].map(str::to_owned).to_vec();
    IssuerRules { actor_issuers, ..IssuerRules::new(ISSUER, &[Algorithm::Hs256], AUDIENCE) }
}

fn resolve(changes: &Value) -> Result<Delegation, DelegationError> {
    resolve_with(changes, &rules())
}

const DIGEST: &str = "kVA6-g663_iH0WXdBMQbihieIu3IqC7o2ThM49o7OC4";

fn prompt() -> Value {
    json!({ "alg": "sha-256", "salt": "cTdWZDBjMkxoQjl3", "digest": DIGEST })
}

/// Actors `a1` (the current one) to `a<depth>`.
fn nested(depth: usize) -> Value {
    (1..=depth)
        .rev()
        .fold(Value::Null, |inner, n| with(json!({ "sub": format!("a{n}") }), &json!({ "act": inner })))
}

#[test]
fn a_delegation_reads_as_documented() {
    let prompt = prompt();
    let delegation = resolve(&json!({
        "act": { "sub": "agent-7", "iss": "https://agents.example", "act": { "sub": "planner", "exp": 1, "aud": "x" } },
        "may_act": { "sub": "anyone" },
        "authorization_details": [
            { "type": "agent_task", "task_id": "t-1", "requested_by": "alice", "actions": ["forum.read"],
              "locations": ["https://forum.example/"], "identifiers": { "thread": ["t-4711"] },
              "prompt": prompt, "max_calls": 20, "expires": 1_773_842_600.5 },
        ],
    }))
    .unwrap();
    assert_eq!(
        serde_json::to_value(&delegation).unwrap(),
        json!({
            "principal": { "iss": ISSUER, "sub": "alice", "kind": "human" },
            "actor": { "iss": "https://agents.example", "sub": "agent-7" }, "actor_kind": "unknown",
            "chain": [{ "iss": "https://agents.example", "sub": "agent-7" }, { "iss": ISSUER, "sub": "planner" }],
            "depth": 2, "chain_complete": true, "evidence": "asserted", "traceable": true,
            "task": { "task_id": "t-1", "requested_by": "alice", "actions": ["forum.read"],
                "locations": ["https://forum.example/"], "identifiers": { "thread": ["t-4711"] },
                "max_calls": 20, "expires": 1_773_842_600 },
            "prompt_digest": prompt,
        })
    );
}

#[test]
fn without_act_there_is_no_actor() {
    let delegation = resolve(&json!({ "act": null })).unwrap();
    assert_eq!((delegation.actor, delegation.depth, delegation.task), (None, 0, None));
}

#[test]
fn chains_are_refused_for_their_faults() {
    let agent = json!({ "sub": "a1" });
    for (act, expected, invalid) in [
        (json!("agent"), "delegation_malformed", true),
        (json!(["agent"]), "delegation_malformed", true),
        (json!({}), "delegation_malformed", true),
        (json!({ "sub": "" }), "delegation_malformed", true),
        (json!({ "sub": 7 }), "delegation_malformed", true),
        (json!({ "sub": "a1", "iss": 7 }), "delegation_malformed", true),
        (json!({ "sub": "a1", "act": {} }), "delegation_malformed", true),
        (json!({ "sub": "a1", "act": "a2" }), "delegation_malformed", true),
        (json!({ "sub": "alice" }), "delegation_self", true),
        (json!({ "sub": "alice", "iss": ISSUER }), "delegation_self", true),
        (json!({ "sub": "a1", "act": agent }), "delegation_cycle", true),
        (json!({ "sub": "a1", "act": { "sub": "a2", "act": agent } }), "delegation_cycle", true),
        (json!({ "sub": "a1", "act": { "sub": "alice" } }), "delegation_cycle", true),
        (nested(5), "delegation_too_deep", false),
    ] {
        let error = resolve(&json!({ "act": act })).unwrap_err();
        assert_eq!(error.reason().as_str(), expected, "{act}");
        assert_eq!(error.is_invalid_token(), invalid, "{act}");
    }
    let null = Signer::new(Algorithm::Hs256, "k1");
    let mut claims = claims();
    claims["act"] = Value::Null;
    let error = Delegation::resolve(&null.verified(&claims), &rules()).unwrap_err();
    assert_eq!(error, DelegationError::Malformed { claim: "act", hop: 1 });
}

#[test]
fn the_same_name_at_another_issuer_is_someone_else() {
    let act = json!({ "sub": "alice", "iss": "https://other.example", "act": { "sub": "alice", "iss": "https://third.example" } });
    assert_eq!(resolve(&json!({ "act": act })).unwrap().depth, 2);
}

#[test]
fn an_issuer_speaks_for_others_only_where_it_may() {
    for (act, expected) in [
        (json!({ "sub": "a" }), None),
        (json!({ "sub": "a", "iss": ISSUER }), None),
        (json!({ "sub": "a", "iss": "https://agents.example" }), None),
        (json!({ "sub": "a", "iss": "https://agents.example/" }), Some("actor_issuer_not_allowed")),
        (json!({ "sub": "a", "iss": "https://bank.example" }), Some("actor_issuer_not_allowed")),
        // Who acted before gives no rights, so whoever it was may be named.
        (json!({ "sub": "a", "act": { "sub": "b", "iss": "https://bank.example" } }), None),
    ] {
        let result = resolve(&json!({ "act": act }));
        let found = result.as_ref().err().map(|error| error.reason().as_str().to_owned());
        assert_eq!(found.as_deref(), expected, "{act}");
        assert!(result.err().is_none_or(|error| !error.is_invalid_token()));
    }
}

#[test]
fn depth_is_limited_and_never_cut() {
    for (limit, depth, passes) in [(4, 4, true), (4, 5, false), (0, 0, true), (0, 1, false), (8, 8, true)] {
        let rules = IssuerRules { max_chain_depth: limit, ..rules() };
        let result = resolve_with(&json!({ "act": nested(depth) }), &rules);
        assert_eq!(result.map(|d| d.depth).ok(), passes.then_some(depth), "{limit} {depth}");
    }
}

#[test]
fn the_root_is_classified() {
    use PrincipalKind::{Agent, Human, Service, Unknown};
    for (profile, by_claim, human, unattended) in [
        (json!("user"), Some(Human), Some(Human), Human),
        (json!("user user"), Some(Human), Some(Human), Human),
        (json!("ai_agent user"), None, None, Agent),
        (json!("user service"), None, None, Service),
        (json!("user admin"), None, None, Unknown),
        (json!("ai_agent"), None, None, Agent),
        (json!("service"), None, None, Service),
        (json!("superuser"), None, None, Unknown),
        (Value::Null, None, Some(Human), Unknown),
    ] {
        for (subjects, expected) in
            [(Subjects::Claim, by_claim), (Subjects::Human, human), (Subjects::Unattended, Some(unattended))]
        {
            let result =
                resolve_with(&json!({ "sub_profile": profile }), &IssuerRules { subjects, ..rules() });
            match (result, expected) {
                (Ok(delegation), Some(kind)) => {
                    assert_eq!(delegation.principal.kind, kind, "{profile} {subjects:?}");
                    assert_eq!(delegation.traceable, kind == Human, "{profile} {subjects:?}");
                }
                (Err(error), None) => {
                    assert_eq!(error.reason().as_str(), "not_traceable", "{profile} {subjects:?}");
                    assert!(!error.is_invalid_token());
                }
                (result, _) => panic!("{profile} {subjects:?}: {result:?}"),
            }
        }
    }
    let error = resolve(&json!({ "sub_profile": ["user"] })).unwrap_err();
    assert_eq!(error.reason().as_str(), "delegation_malformed");
}

#[test]
fn tasks_are_refused_for_their_faults() {
    let task = |changes: &Value| json!([with(json!({ "type": "agent_task", "task_id": "t" }), changes)]);
    let many: Vec<_> = (0..65).map(|n| n.to_string()).collect();
    for (details, member) in [
        (json!({}), "authorization_details"),
        (json!(["x"]), "authorization_details"),
        (json!([{}]), "type"),
        (json!([{ "type": 1 }]), "type"),
        (json!([{ "type": "payment", "amount": 1 }]), "type"),
        (
            json!([{ "type": "agent_task", "task_id": "a" }, { "type": "agent_task", "task_id": "b" }]),
            "authorization_details",
        ),
        (task(&json!({ "task_id": null })), "task_id"),
        (task(&json!({ "task_id": "" })), "task_id"),
        (task(&json!({ "task_id": 1 })), "task_id"),
        (task(&json!({ "requested_by": {} })), "requested_by"),
        (task(&json!({ "actions": "forum.read" })), "actions"),
        (task(&json!({ "actions": [1] })), "actions"),
        (task(&json!({ "actions": [""] })), "actions"),
        (task(&json!({ "actions": many })), "actions"),
        (task(&json!({ "locations": {} })), "locations"),
        (task(&json!({ "identifiers": [] })), "identifiers"),
        (task(&json!({ "identifiers": { "thread": "t" } })), "identifiers"),
        (task(&json!({ "prompt": "hello" })), "prompt"),
        (task(&json!({ "prompt": { "alg": "sha-256", "digest": DIGEST } })), "prompt"),
        (task(&json!({ "prompt": with(prompt(), &json!({ "alg": "md5" })) })), "prompt"),
        (task(&json!({ "prompt": with(prompt(), &json!({ "alg": 256 })) })), "prompt"),
        (task(&json!({ "prompt": with(prompt(), &json!({ "salt": "c2hvcnQ" })) })), "prompt"),
        (task(&json!({ "prompt": with(prompt(), &json!({ "salt": "A".repeat(88) })) })), "prompt"),
        (task(&json!({ "prompt": with(prompt(), &json!({ "salt": "cTdWZDBjMkxoQjl3==" })) })), "prompt"),
        (task(&json!({ "prompt": with(prompt(), &json!({ "digest": "AAAA" })) })), "prompt"),
        (task(&json!({ "prompt": with(prompt(), &json!({ "text": "hello" })) })), "prompt"),
        (task(&json!({ "max_calls": -1 })), "max_calls"),
        (task(&json!({ "max_calls": 1.5 })), "max_calls"),
        (task(&json!({ "max_calls": "1" })), "max_calls"),
        (task(&json!({ "expires": "2026-03-18" })), "expires"),
        (task(&json!({ "max_amount": 1 })), "unknown member"),
    ] {
        let error = resolve(&json!({ "authorization_details": details })).unwrap_err();
        assert_eq!(error, DelegationError::TaskMalformed { member }, "{details}");
        assert_eq!(error.reason().as_str(), "task_malformed");
        assert!(!error.is_invalid_token());
    }
}

#[test]
fn what_a_task_leaves_out_stays_out() {
    let task = json!([{ "type": "agent_task", "task_id": "t", "locations": [] }]);
    let delegation = resolve(&json!({ "authorization_details": task })).unwrap();
    assert_eq!(serde_json::to_value(delegation.task).unwrap(), json!({ "task_id": "t", "locations": [] }));
}

#[test]
fn the_limit_of_task_items_is_configurable() {
    let details = json!([{ "type": "agent_task", "task_id": "t", "identifiers": { "a": [], "b": [] } }]);
    let changes = json!({ "authorization_details": details });
    for (max_task_items, passes) in [(2, true), (1, false)] {
        let rules = Arc::new(IssuerRules { max_task_items, ..rules() });
        assert_eq!(resolve_with(&changes, &rules).is_ok(), passes, "{max_task_items}");
    }
}

#[test]
fn clients_may_be_listed() {
    let rules = IssuerRules { clients: vec!["console".into(), "cli".into()], ..rules() };
    for (changes, passes) in [
        (json!({}), true),
        (json!({ "client_id": "cli" }), true),
        (json!({ "client_id": null, "azp": "cli" }), true),
        (json!({ "client_id": "Console" }), false),
        (json!({ "client_id": null }), false),
    ] {
        let result = resolve_with(&changes, &rules);
        match result {
            Ok(_) => assert!(passes, "{changes}"),
            Err(error) => {
                assert_eq!((passes, error.reason().as_str()), (false, "client_not_allowed"), "{changes}");
                assert!(!error.is_invalid_token());
            }
        }
    }
}

#[test]
fn types_of_details_may_be_the_policys() {
    let task = json!({ "type": "agent_task", "task_id": "t" });
    let payment = json!({ "type": "payment", "amount": 1 });
    let rules = IssuerRules { detail_types: vec!["payment".into()], ..rules() };
    for (details, has_task) in [
        (json!([payment]), Some(false)),
        (json!([payment, task, payment]), Some(true)),
        (json!([payment, { "type": "transfer" }]), None),
        (json!([payment, { "type": "attenuating_agent_token" }]), None),
        (json!([task, task]), None),
    ] {
        let result = resolve_with(&json!({ "authorization_details": details }), &rules);
        assert_eq!(result.map(|d| d.task.is_some()).ok(), has_task, "{details}");
    }
}

#[test]
fn an_ai_agent_may_need_the_digest_of_its_prompt() {
    let rules =
        IssuerRules { prompt_digest: PromptDigests::Required, subjects: Subjects::Unattended, ..rules() };
    let actor = |profile: &str| json!({ "sub": "a1", "sub_profile": profile });
    let details = json!([{ "type": "agent_task", "task_id": "t", "prompt": prompt() }]);
    for (changes, passes) in [
        (json!({ "authorization_details": details }), true),
        (json!({ "act": actor("ai_agent"), "authorization_details": details }), true),
        (json!({ "act": actor("ai_agent") }), false),
        // Unclassified: the stricter rule applies.
        (json!({}), false),
        (json!({ "act": actor("robot") }), false),
        (json!({ "act": actor("service") }), true),
        (json!({ "act": null }), true),
        (json!({ "act": null, "sub_profile": "ai_agent" }), false),
        (json!({ "act": null, "sub_profile": null }), false),
        (json!({ "act": null, "sub_profile": "service" }), true),
        (json!({ "act": actor("ai_agent"), "tctx": { "prompt": prompt() } }), false),
    ] {
        let result = resolve_with(&changes, &rules);
        match result {
            Ok(_) => assert!(passes, "{changes}"),
            Err(error) => {
                assert_eq!((passes, error.reason().as_str()), (false, "prompt_digest_missing"), "{changes}");
                assert!(!error.is_invalid_token());
            }
        }
    }
}

#[test]
fn a_task_ends_without_tolerance() {
    use crate::token::testing::{NOW, at};
    let task = |expires: f64| json!([{ "type": "agent_task", "task_id": "t", "expires": expires }]);
    let delegation = resolve(&json!({ "authorization_details": task(NOW as f64 + 1.5) })).unwrap();
    assert!(delegation.times_hold(at(NOW)).is_ok());
    assert_eq!(delegation.times_hold(at(NOW + 1)), Err(DelegationError::TaskExpired));
    assert!(resolve(&json!({})).unwrap().times_hold(at(NOW + 9999)).is_ok());
}
