//! What came too late, or never: a token that ends while its request's body is on the way, a body that nobody can read.

use super::*;

/// The reason for a call whose headers come at [`NOW`] and whose body comes some seconds later.
fn reason_after(world: &mut World, changes: &Value, seconds: u64, body: Body) -> String {
    let bearer = format!("Bearer {}", world.idp.token(&with(claims(), changes)));
    let pairs = call_headers(&bearer);
    let mut exchange = Exchange::new(Nonce::new(&[9; 32]));
    let mut event = Event::Headers { pairs, ends: false, circumstances: Circumstances::default() };
    let mut body = Some(body);
    let mut now = NOW;
    loop {
        event = match exchange.advance(&mut world.engine, event, at(now)) {
            Step::Need(Need::Signature(_)) => Event::Signature(None),
            Step::Need(Need::Body { .. }) => {
                now = NOW + seconds;
                Event::Body(body.take().unwrap())
            }
            Step::Need(need) => panic!("{need:?}"),
            Step::Done(conclusion) => return conclusion.reasons[0].as_str().to_owned(),
        };
    }
}

#[test]
fn times_hold_when_the_policy_decides() {
    let task =
        json!([{"type": "agent_task", "task_id": "t", "actions": ["forum.read"], "expires": NOW + 20}]);
    for (changes, seconds, expected) in [
        (json!({}), 10, "reads"),
        (json!({"authorization_details": task}), 10, "reads"),
        (json!({"authorization_details": task}), 55, "task_expired"),
        (json!({}), 335, "token_expired"),
    ] {
        let mut world = World::new();
        let whole = || Body::Whole(call("read", "x").into_bytes());
        for _ in 0..2 {
            assert_eq!(reason_after(&mut world, &changes, seconds, whole()), expected, "{changes} {seconds}");
        }
    }
}

#[test]
fn a_body_that_the_host_keeps_is_not_an_empty_one() {
    assert_eq!(reason_after(&mut World::new(), &json!({}), 0, Body::Unreadable), "body_unreadable");
}
