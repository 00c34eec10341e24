//! Policies that ask with `http.send`: the exchange waits, goes on with the answer, and fails closed.

use super::*;
use crate::policy::{HttpCall, HttpReply};

/// What policies call.
#[derive(Default)]
pub(super) struct Upstream {
    /// The replies, in order; then nothing.
    replies: Vec<HttpReply>,
    calls: Vec<HttpCall>,
}

impl Upstream {
    pub(super) fn reply(&mut self, call: HttpCall) -> HttpReply {
        self.calls.push(call);
        if self.replies.is_empty() { HttpReply::Nothing } else { self.replies.remove(0) }
    }
}

const ASKS: &str = r#"
package remit.authz

default decision := {"allowed": false, "reasons": ["blocked"]}

decision := {"allowed": true, "reasons": ["known"]} if not blocked

blocked if http.send({"method": "GET", "url": concat("", ["http://users.example/", input.remit.delegation.actor.sub])}).body.blocked
"#;

fn world(policy: &str, more: &Value) -> World {
    let hosts = json!({"users.example": {"cluster": "users"}});
    World::with(policy, &with(json!({"builtins": {"http_send": {"hosts": hosts, "max_waits": 1}}}), more))
}

fn says(body: &Value) -> HttpReply {
    let json = ("content-type".to_owned(), b"application/json".to_vec());
    HttpReply::Response { status: 200, headers: vec![json], body: body.to_string().into_bytes() }
}

#[test]
fn the_answer_decides() {
    for (reply, expected) in [
        (says(&json!({"blocked": false})), (0, "allow", "known")),
        (says(&json!({"blocked": true})), (403, "deny", "blocked")),
        (HttpReply::Nothing, (500, "deny", "http_send_failed")),
        (HttpReply::Late, (500, "deny", "http_send_failed")),
        (HttpReply::TooLarge, (500, "deny", "http_send_failed")),
    ] {
        let mut world = world(ASKS, &json!({}));
        // As often as it is asked: no decision is remembered.
        world.upstream.replies = vec![reply.clone(), reply.clone()];
        for n in 1..=2 {
            let came = world.read();
            assert_eq!(came.summary(), expected, "{reply:?}");
            assert_eq!((came.remembered, world.upstream.calls.len()), (None, n));
        }
        assert_eq!(world.upstream.calls[0].cluster, "users");
        assert_eq!(world.upstream.calls[0].headers[3], (":path".to_owned(), "/agent-7".to_owned()));
    }
    let came = world(ASKS, &json!({})).read();
    assert_eq!(came.record["detail"], "http.send: GET http://users.example/agent-7: no connection");
    let came = world(ASKS, &json!({"failures": {"evaluation": "allow"}})).read();
    assert_eq!(came.summary(), (0, "allow", "http_send_failed"));
}

#[test]
fn a_body_is_kept_and_an_approval_is_spent_once() {
    let approved = "input.remit.approval.approver.sub == \"carol\"";
    let asks = "http.send({\"method\": \"POST\", \"url\": \"http://users.example/\", \"body\": input.remit.action.arguments}).status_code == 200";
    let policy = POLICY.replace(approved, &format!("{approved}\n\t{asks}"));
    let mut world = world(&policy, &json!({}));
    world.upstream.replies = vec![says(&json!({})), says(&json!({}))];
    let challenge = world.publish(&[], "x").told()["error"]["data"]["challenge"].clone();
    let approval = world.approval(&challenge, &json!({}));
    assert_eq!(world.publish(&[("agent-approval", &approval)], "x").outcome, "allow");
    assert_eq!(world.upstream.calls[0].body, b"{\"text\":\"x\"}");
    assert_eq!(world.publish(&[("agent-approval", &approval)], "x").reasons, "approval_spent");
}

#[test]
fn those_who_wait_are_counted_and_what_ends_meanwhile_is_over() {
    let mut world = world(ASKS, &json!({}));
    let bearer = format!("Bearer {}", world.token());
    let begin = |world: &mut World, id: u8| {
        let mut pairs = call_headers(&bearer);
        (pairs[0].1, pairs[3].1) = (b"GET".to_vec(), b"/threads/1".to_vec());
        let mut exchange = Exchange::new(Nonce::new(&[id; 32]));
        let mut event = Event::Headers { pairs, ends: true, circumstances: Circumstances::default() };
        loop {
            match exchange.advance(&mut world.engine, event, at(NOW)) {
                Step::Need(Need::Signature(_)) => event = Event::Signature(None),
                step => return (exchange, step),
            }
        }
    };
    let (mut first, step) = begin(&mut world, 1);
    assert!(matches!(step, Step::Need(Need::HttpCall(_))), "{step:?}");
    let (_, step) = begin(&mut world, 2);
    let Step::Done(refused) = step else { panic!("{step:?}") };
    assert_eq!(refused.reasons, [reason::HTTP_SEND_BUSY]);
    // Its token has ended when the answer comes.
    let reply = Event::HttpReply(says(&json!({"blocked": false})));
    let Step::Done(ended) = first.advance(&mut world.engine, reply, at(NOW + 4000)) else { panic!() };
    assert_eq!(ended.reasons.first().map(|code| code.as_str()), Some("token_expired"));
    let (dropped, step) = begin(&mut world, 3);
    assert!(matches!(step, Step::Need(Need::HttpCall(_))), "{step:?}");
    drop(dropped);
    assert!(matches!(begin(&mut world, 4).1, Step::Need(Need::HttpCall(_))));
}

#[test]
fn what_is_printed_goes_to_the_log_where_it_is_wanted() {
    let policy = "package remit.authz\ndecision if { print(\"agent\",\n\tinput.remit.delegation.actor.sub, input.nobody); trace(\"a\\nb\") }\n";
    let bearer = |world: &World| format!("Bearer {}", world.token());
    for (print, expected) in [(true, vec!["a b", "authz.rego:2: agent agent-7 <undefined>"]), (false, vec![])]
    {
        let mut world = World::with(policy, &json!({"builtins": {"print": print}}));
        let mut pairs = call_headers(&bearer(&world));
        (pairs[0].1, pairs[3].1) = (b"GET".to_vec(), b"/threads/1".to_vec());
        let mut exchange = Exchange::new(Nonce::new(&[1; 32]));
        let mut event = Event::Headers { pairs, ends: true, circumstances: Circumstances::default() };
        let conclusion = loop {
            match exchange.advance(&mut world.engine, event, at(NOW)) {
                Step::Need(Need::Signature(_)) => event = Event::Signature(None),
                Step::Need(need) => panic!("{need:?}"),
                Step::Done(conclusion) => break conclusion,
            }
        };
        assert_eq!(conclusion.outcome.as_str(), "allow");
        assert_eq!(conclusion.lines, expected);
    }
}

#[test]
fn the_runtime_says_who_this_is_and_nothing_else() {
    let policy = "package remit.authz\ndecision if { opa.runtime() == {\"config\": {\"labels\": {\"region\": \"eu\"}}, \"env\": {}, \"version\": opa.runtime().version} }\n";
    let mut world = World::with(policy, &json!({"labels": {"region": "eu"}}));
    assert_eq!(world.read().outcome, "allow");
}
