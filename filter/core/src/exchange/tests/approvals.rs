//! Approvals on the way of a request: bound to one action, spent once, raced for.

use super::*;

#[test]
fn an_approval_lets_one_action_through_once() {
    let mut world = World::new();
    let first = world.publish(&[], "hello");
    assert_eq!(first.summary(), (403, "require_approval", "publishes"));
    let challenge = first.told()["error"]["data"]["challenge"].clone();
    assert_eq!(
        world.publish(&[], "hello").told()["error"]["data"]["challenge"],
        challenge,
        "a retry changes nothing"
    );
    assert_eq!(challenge["action"]["arguments"]["text"], "hello");

    let digest = crate::audit::sha256(crate::approval::canonical(&challenge["action"]).unwrap().as_bytes());
    assert_eq!(challenge["action_digest"]["value"], digest, "what is displayed is what is digested");

    let good = world.approval(&challenge, &json!({}));
    for (approval, text, expected) in [
        (good.clone(), "something else", "approval_for_other_action"),
        (world.approval(&challenge, &json!({"decision": "denied"})), "hello", "approval_not_approved"),
        (world.approval(&challenge, &json!({"sub": "agent-7"})), "hello", "approval_by_involved_party"),
        (world.approval(&challenge, &json!({"sub": "console"})), "hello", "approval_by_involved_party"),
        (
            world.approval(&challenge, &json!({"nonce": "0".repeat(32)})),
            "hello",
            "approval_unknown_challenge",
        ),
        (world.approval(&challenge, &json!({"nonce": 1})), "hello", "approval_malformed"),
        (world.approval(&challenge, &json!({"act": {"sub": "bot"}})), "hello", "approval_not_by_human"),
        (world.approval(&challenge, &json!({"sub_profile": "ai_agent"})), "hello", "approval_not_by_human"),
        (world.approval(&challenge, &json!({"jti": null})), "hello", "approval_malformed"),
        (world.approval(&challenge, &json!({"exp": NOW + 301})), "hello", "approval_invalid"),
        (world.approval(&challenge, &json!({"aud": "https://other.example"})), "hello", "approval_invalid"),
        (
            world.approval(&challenge, &json!({"requester": {"iss": "x", "sub": "y"}})),
            "hello",
            "approval_for_other_action",
        ),
        (
            world.approval(&challenge, &json!({"requester": challenge["requester"]["act"]})),
            "hello",
            "approval_for_other_action",
        ),
        (world.token(), "hello", "approval_invalid"),
        ("garbage".into(), "hello", "approval_invalid"),
    ] {
        let came = world.publish(&[("agent-approval", &approval)], text);
        assert_eq!(came.summary(), (403, "deny", expected));
    }
    // An approval by somebody whom the policy does not accept is not spent.
    let other = world.approval(&challenge, &json!({"sub": "dave"}));
    assert_eq!(world.publish(&[("agent-approval", &other)], "hello").outcome, "deny");

    let came = world.publish(&[("agent-approval", &good)], "hello");
    assert_eq!(came.summary(), (0, "allow", "approved"));
    assert_eq!(came.record["approval"]["approver"]["sub"], "carol");
    let again = world.publish(&[("agent-approval", &good)], "hello");
    assert_eq!(again.summary(), (403, "deny", "approval_spent"));
    let fresh = world.publish(&[], "hello").told()["error"]["data"]["challenge"]["id"].clone();
    assert_ne!(fresh, challenge["id"], "the same action again needs a new approval");
}

#[test]
fn an_approval_binds_the_bytes_of_a_plain_body() {
    let mut world = World::new();
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "text/plain")];
    let challenge = world.send(("POST", "/replies"), &headers, Some(b"one")).told()["challenge"].clone();
    let approval = world.approval(&challenge, &json!({}));
    let headers = [headers[0], headers[1], ("agent-approval", &approval)];
    for (line, body, expected) in [
        (("POST", "/replies"), b"two".as_slice(), "approval_for_other_action"),
        (("POST", "/replies?x=1"), b"one", "approval_for_other_action"),
        (("POST", "/replies"), b"one", "approved"),
    ] {
        assert_eq!(world.send(line, &headers, Some(body)).reasons, expected);
    }
}

#[test]
fn races_for_a_challenge_are_retried_and_then_denied() {
    let mut world = World::new();
    world.conflicts = 3;
    let challenge = world.publish(&[], "a").told()["error"]["data"]["challenge"].clone();
    let approval = world.approval(&challenge, &json!({}));
    world.conflicts = 100;
    let came = world.publish(&[("agent-approval", &approval)], "a");
    assert_eq!(came.summary(), (503, "deny", "state_unavailable"));
    assert_eq!(world.publish(&[], "b").reasons, "publishes,state_unavailable");
    world.conflicts = 2;
    assert_eq!(world.publish(&[("agent-approval", &approval)], "a").outcome, "allow");
    for (value, _) in world.shared.values_mut() {
        *value = b"not what was written".to_vec();
    }
    let came = world.publish(&[("agent-approval", &approval)], "a");
    assert_eq!(came.summary(), (503, "deny", "state_unavailable"));
}

#[test]
fn full_slots_open_no_further_challenge() {
    let mut world = World::with(POLICY, &json!({"limits": {"challenge_slots": 1, "challenges_per_slot": 2}}));
    assert_eq!(world.publish(&[], "a").outcome, "require_approval");
    assert_eq!(world.publish(&[], "b").outcome, "require_approval");
    assert_eq!(world.publish(&[], "c").summary(), (403, "deny", "publishes,challenges_full"));
    assert_eq!(world.publish(&[], "a").outcome, "require_approval");
}
