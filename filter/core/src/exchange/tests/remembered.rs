//! Decisions that are remembered: the same for equal inputs, and never for unequal ones.

use super::*;

/// What was read of the memory: nothing, a miss or a hit.
fn looked_up(world: &mut World, token: &str, path: &str) -> (Option<bool>, String) {
    let bearer = format!("Bearer {token}");
    let came = world.send(("GET", path), &[("authorization", &bearer)], None);
    (came.remembered, came.outcome)
}

const OF_ONE_THREAD: &str = r#"
package remit.authz

decision := {"allowed": input.parsed_path[1] == "1", "reasons": ["by_thread"]}
"#;

#[test]
fn an_equal_request_is_not_evaluated_again() {
    let mut world = World::with(OF_ONE_THREAD, &json!({}));
    let one = world.token();
    let other = world.idp.token(&with(claims(), &json!({"jti": "j-2"})));
    for (token, path, expected) in [
        // Of a token that may never come again nothing is kept.
        (&one, "/threads/1", (None, "allow")),
        (&one, "/threads/1", (Some(false), "allow")),
        (&one, "/threads/1", (Some(true), "allow")),
        (&one, "/threads/2", (Some(false), "deny")),
        (&one, "/threads/2", (Some(true), "deny")),
        (&one, "/threads/1", (Some(true), "allow")),
        (&other, "/threads/1", (None, "allow")),
        (&other, "/threads/1", (Some(false), "allow")),
        (&one, "/threads/1?x=1", (Some(false), "allow")),
    ] {
        let (remembered, outcome) = looked_up(&mut world, token, path);
        assert_eq!((remembered, outcome.as_str()), expected, "{path}");
    }
}

#[test]
fn audit_and_ids_are_each_requests_own() {
    let mut world = World::with(OF_ONE_THREAD, &json!({}));
    let bearer = format!("Bearer {}", world.token());
    let records: Vec<Value> = (0..2)
        .map(|_| world.send(("GET", "/threads/1"), &[("authorization", &bearer)], None).record)
        .collect();
    let without_id = |record: &Value| with(record.clone(), &json!({"decision_id": null}));
    assert_ne!(records[0]["decision_id"], records[1]["decision_id"]);
    assert_eq!(without_id(&records[0]), without_id(&records[1]));
}

#[test]
fn what_no_two_requests_share_is_not_remembered() {
    for read in [
        "input.remit.now",
        "input.attributes.request.time.seconds",
        "input.attributes.request.http.id",
        "input.attributes.request.http.headers.cookie",
        "input.parsed_body",
        "input.attributes.source.address",
        "input",
    ] {
        let policy = format!("package remit.authz\nread := {read}\ndecision := true\n");
        let mut world = World::with(&policy, &json!({}));
        let token = world.token();
        for _ in 0..2 {
            assert_eq!(looked_up(&mut world, &token, "/threads/1"), (None, "allow".to_owned()), "{read}");
        }
    }
}

#[test]
fn failures_are_not_remembered() {
    let mut world = World::with("package remit.authz\ndecision := 7\n", &json!({}));
    let token = world.token();
    for expected in [None, Some(false), Some(false)] {
        assert_eq!(looked_up(&mut world, &token, "/threads/1"), (expected, "deny".to_owned()));
    }
}

#[test]
fn a_reload_forgets_and_so_does_the_token() {
    let mut world = World::with(OF_ONE_THREAD, &json!({}));
    let token = world.token();
    let hits = |world: &mut World| [0; 3].map(|_| looked_up(world, &token, "/threads/1").0);
    assert_eq!(hits(&mut world), [None, Some(false), Some(true)]);
    let archive = targz(OF_ONE_THREAD);
    let bundle = crate::bundle::Bundle::from_targz(&archive, &crate::bundle::BundleLimits::default());
    let limits = world.engine.config.limits;
    let active = ActiveBundle::load(&bundle.unwrap(), "remit/authz/decision", &limits).unwrap();
    world.engine.activate(active);
    assert_eq!(hits(&mut world), [Some(false), Some(true), Some(true)]);
    world.engine.tokens.invalidate();
    assert_eq!(hits(&mut world), [None, Some(false), Some(true)]);
}

#[test]
fn an_approval_is_part_of_the_input() {
    let mut world = World::new();
    let challenge = world.publish(&[], "x").told()["error"]["data"]["challenge"].clone();
    let approval = world.approval(&challenge, &json!({}));
    assert_eq!(world.publish(&[("agent-approval", &approval)], "x").outcome, "allow");
    assert_eq!(world.publish(&[], "x").outcome, "require_approval");
    let spent = world.publish(&[("agent-approval", &approval)], "x");
    assert_eq!(spent.reasons, "approval_spent");
}

#[test]
fn the_memory_is_bounded_and_can_be_turned_off() {
    for (limits, expected) in [
        (json!({"decision_cache_entries": 0}), [None, None, None]),
        (json!({"decision_cache_bytes": 64}), [None, Some(false), Some(false)]),
        (json!({}), [None, Some(false), Some(true)]),
    ] {
        let mut world = World::with(OF_ONE_THREAD, &json!({"limits": limits}));
        let token = world.token();
        assert_eq!([0; 3].map(|_| looked_up(&mut world, &token, "/threads/1").0), expected, "{limits}");
    }
    let mut world = World::with(OF_ONE_THREAD, &json!({"limits": {"decision_cache_entries": 8}}));
    let token = world.token();
    for n in 0..50 {
        looked_up(&mut world, &token, &format!("/threads/{n}"));
        assert!(world.engine.bundle(at(NOW).seconds()).unwrap().decisions.borrow().len() <= 8);
    }
}
