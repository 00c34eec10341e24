//! Registry and kill list of the bundle, and what records say of agent and credential.

use super::*;

#[test]
fn the_kill_list_counts_for_remembered_tokens_too() {
    let mut world = World::new();
    assert_eq!(world.read().outcome, "allow");
    let iss = "https://idp.example";
    for (list, entry, status) in [
        ("tokens", json!({"iss": iss, "jti": claims()["jti"]}), 401),
        ("keys", json!({"iss": iss, "kid": "k1"}), 401),
        ("principals", json!({"iss": iss, "sub": "alice"}), 403),
        ("actors", json!({"iss": iss, "sub": "agent-7"}), 403),
        ("agents", json!({"iss": iss, "sub": "agent-7"}), 403),
    ] {
        world.know(&json!({"revoked": {list: [entry]}}));
        let reason = format!("revoked_{}", list.trim_end_matches('s'));
        let came = world.read();
        assert_eq!(came.summary(), (status, "deny", reason.as_str()));
        assert_eq!(came.cached, Some(true));
        assert_eq!(came.record["detail"], format!("revoked by data.remit.revoked at /{list}/0"));
        assert_eq!(came.record["agent"]["sub"], "agent-7");
        let told = came.told();
        assert_eq!(told["reasons"][0], if status == 401 { "invalid_token" } else { reason.as_str() });
        world.know(&json!({}));
        assert_eq!(world.read().outcome, "allow");
    }

    let challenge = world.publish(&[], "hello").told()["error"]["data"]["challenge"].clone();
    let approval = world.approval(&challenge, &json!({}));
    for (list, entry, expected) in [
        ("principals", json!({"iss": "https://approvals.example", "sub": "carol"}), "revoked_approver"),
        ("tokens", json!({"iss": "https://approvals.example", "jti": "x"}), "revoked_approval"),
        ("keys", json!({"iss": "https://approvals.example", "kid": "a1"}), "revoked_approval"),
    ] {
        world.know(&json!({"revoked": {list: [entry]}}));
        let came = world.publish(&[("agent-approval", &approval)], "hello");
        assert_eq!(came.summary(), (403, "deny", expected));
    }
    world.know(&json!({"revoked": {"principals": [{"iss": iss, "sub": "carol"}]}}));
    assert_eq!(world.publish(&[("agent-approval", &approval)], "hello").outcome, "allow");
}

#[test]
fn records_say_whether_the_agent_is_registered() {
    let iss = "https://idp.example";
    let entry = |expires: Value| json!({"owner": "o", "capabilities": [], "expires": expires});
    for mode in ["enforce", "observe"] {
        let mut world = World::with(POLICY, &json!({"mode": mode}));
        for (agents, registered) in [
            (json!({}), false),
            (json!({iss: {"agent-7": entry(json!(null))}}), true),
            (json!({iss: {"agent-7": entry(json!(NOW))}}), false),
            (json!({iss: {"agent-7": entry(json!(NOW + 1))}}), true),
            (json!({"https://other.example": {"agent-7": entry(json!(null))}}), false),
        ] {
            world.know(&json!({"registry": {"agents": agents}}));
            assert_eq!(world.read().record["registered"], registered, "{agents}");
        }
        let came = world.send(("GET", "/threads/1"), &[], None);
        assert_eq!(came.record.get("registered"), None, "nobody knows whose request it is");
    }
}

#[test]
fn records_name_the_credential_and_do_not_hold_it() {
    let mut world = World::new();
    for _ in 0..2 {
        let token = &world.read().record["token"];
        let expected = json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1", "jti": claims()["jti"],
                              "lifetime_seconds": token["lifetime_seconds"]});
        assert_eq!(*token, expected);
        assert!(token["lifetime_seconds"].is_u64());
    }
}

#[test]
fn malformed_facts_refuse_the_bundle() {
    let limits = crate::config::Limits::default();
    for (facts, few, expected) in [
        (json!({"registry": {"agents": []}}), false, "data.remit.registry at /agents: "),
        (json!({"revoked": {"tokens": [{}]}}), false, "data.remit.revoked at /tokens/0: "),
        (json!({"revoked": {"tasks": ["t"]}}), true, "data.remit.revoked at /tasks/0: more entries"),
        (
            json!({"registry": {"agents": {"i": {"a": {}}}}}),
            true,
            "data.remit.registry at /agents/i/a: more agents",
        ),
    ] {
        let bytes = targz_with(POLICY, &facts);
        let bundle =
            crate::bundle::Bundle::from_targz(&bytes, &crate::engine::bundle_limits(&limits)).unwrap();
        let limits = match few {
            true => crate::config::Limits { registry_agents: 0, revoked_entries: 0, ..limits },
            false => limits,
        };
        let error = ActiveBundle::load(&bundle, "remit/authz/decision", &limits).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}
