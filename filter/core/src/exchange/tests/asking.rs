//! Policies that ask with `http.send`: the exchange waits, goes on with the answer, and fails closed.

use super::*;
use crate::policy::{HttpCall, HttpReply};

/// What policies call.
#[derive(Default)]
pub(super) struct Upstream {
    /// The replies, in order; then nothing.
    replies: Vec<HttpReply>,
    calls: Vec<HttpCall>,
    /// How long each reply takes.
    seconds: u64,
    /// The facts of a bundle that comes into force meanwhile.
    meanwhile: Option<Value>,
}

impl World {
    pub(super) fn reply(&mut self, call: HttpCall, now: &mut u64) -> HttpReply {
        *now += self.upstream.seconds;
        if let Some(facts) = self.upstream.meanwhile.take() {
            self.know(&facts);
        }
        let upstream = &mut self.upstream;
        upstream.calls.push(call);
        if upstream.replies.is_empty() { HttpReply::Nothing } else { upstream.replies.remove(0) }
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
fn what_ended_while_the_answer_was_on_its_way_counts_no_longer() {
    let iss = "https://idp.example";
    let killed = |list: &str, entry: Value| Some(json!({"revoked": {list: [entry]}}));
    let good = || vec![says(&json!({"blocked": false}))];
    for (meanwhile, expected) in [
        (Some(json!({})), (0, "allow", "known")),
        (killed("agents", json!({"iss": iss, "sub": "agent-8"})), (0, "allow", "known")),
        (killed("agents", json!({"iss": iss, "sub": "agent-7"})), (403, "deny", "revoked_agent")),
        (killed("keys", json!({"iss": iss, "kid": "k1"})), (401, "deny", "revoked_key")),
    ] {
        let mut world = world(ASKS, &json!({}));
        world.upstream = Upstream { replies: good(), meanwhile, ..Upstream::default() };
        assert_eq!(world.read().summary(), expected);
    }

    let source = json!({"bundle": {"http": {"cluster": "b", "authority": "b.example", "path": "/", "refresh_seconds": 10,
                                            "max_age_seconds": 20}}});
    for (seconds, failures, expected) in [
        (20, json!({}), (0, "allow", "known")),
        (21, json!({}), (503, "deny", "no_bundle")),
        (21, json!({"failures": {"no_bundle": "allow"}}), (0, "allow", "known")),
    ] {
        let mut world = world(ASKS, &with(source.clone(), &failures));
        let answer = |body| Answer::Response {
            status: 200,
            etag: None,
            fresh_seconds: None,
            content_type: None,
            body,
        };
        world.served = Some(BTreeMap::from([("/".to_owned(), answer(targz(ASKS)))]));
        world.fetch(NOW);
        world.upstream = Upstream { replies: good(), seconds, ..Upstream::default() };
        assert_eq!(world.read().summary(), expected, "{seconds} {failures}");
    }

    let approved = "input.remit.approval.approver.sub == \"carol\"";
    let asks = "http.send({\"method\": \"GET\", \"url\": \"http://users.example/\"}).status_code == 200";
    let policy = POLICY.replace(approved, &format!("{approved}\n\t{asks}"));
    let carol = json!({"iss": "https://approvals.example", "sub": "carol"});
    for (seconds, meanwhile, expected) in [
        (39, None, (0, "allow", "approved")),
        (40, None, (403, "deny", "approval_invalid")),
        (0, killed("principals", carol), (403, "deny", "revoked_approver")),
    ] {
        let mut world = world(&policy, &json!({}));
        let challenge = world.publish(&[], "x").told()["error"]["data"]["challenge"].clone();
        let approval = world.approval(&challenge, &json!({"exp": NOW + 10}));
        world.upstream = Upstream { replies: good(), seconds, meanwhile, ..Upstream::default() };
        let spent = world.shared.clone();
        assert_eq!(world.publish(&[("agent-approval", &approval)], "x").summary(), expected, "{seconds}");
        assert_eq!(world.shared != spent, expected.0 == 0, "what is refused spends nothing");
    }
}

#[test]
fn the_proof_of_a_hop_list_is_held_to_its_time_again() {
    for (seconds, expected) in [(10, (0, "allow", "known")), (11, (401, "deny", "hop_proof_invalid"))] {
        let mut world = world(ASKS, &json!({}));
        let mut document = serde_json::to_value(&world.engine.config).unwrap();
        document["issuers"][0]["attenuation"] = json!("hop_list");
        world.engine = Engine::configure(document.to_string().as_bytes()).unwrap();
        let holder = Signer::new(Algorithm::Es256, "holder");
        let tools = json!({"forum.read": {"text": {"constraint_type": "wildcard"}}});
        let root = json!({"act": null, "cnf": {"jwk": holder.jwk()}, "del_depth": 0, "del_max_depth": 3,
                          "authorization_details": [{"type": "attenuating_agent_token", "tools": tools}]});
        let bearer = format!("Bearer {}", world.idp.token(&with(claims(), &root)));
        let proof = json!({"jti": "p-1", "iat": NOW - 80, "aat_id": claims()["jti"], "aat_tool": "forum.read",
                           "aat_aud": "https://tools.example", "hta": {"text": "x"}});
        let header = json!({"alg": "ES256", "kid": "holder", "typ": "aat-pop+jwt"});
        let proof = holder.token_of(&header.to_string(), &proof.to_string());
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("agent-hop-proof", proof.as_str()),
        ];
        world.upstream =
            Upstream { replies: vec![says(&json!({"blocked": false}))], seconds, ..Upstream::default() };
        let came = world.send(("POST", "/mcp"), &headers, Some(call("read", "x").as_bytes()));
        assert_eq!(came.summary(), expected, "{seconds}: {}", came.record);
    }
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

#[test]
fn the_evaluations_of_a_request_share_its_time() {
    // No time at all: the clock is not looked at within the first few steps, so a short evaluation ends, and none after it begins.
    let spent = |world: &mut World| world.engine.config.limits.evaluation_ms = 0;
    let candidate = json!({"bundle": {"inline": base64::engine::general_purpose::STANDARD.encode(targz("package remit.authz\ndecision := true\n"))}});
    let mut world = World::with("package remit.authz\ndecision := false\n", &json!({"candidate": candidate}));
    let came = world.read();
    assert_eq!(came.record["rules"][0]["rule"], "data.remit.authz.decision");
    assert_eq!(came.record["candidate"]["outcome"], "allow");
    let mut world = World::with("package remit.authz\ndecision := false\n", &json!({"candidate": candidate}));
    spent(&mut world);
    for _ in 0..3 {
        let came = world.read();
        assert_eq!((came.outcome.as_str(), came.remembered == Some(true)), ("deny", false));
        assert_eq!(
            (&came.record["rules"], &came.record["unexplained"]),
            (&Value::Null, &json!("budget_spent"))
        );
        assert_eq!(came.record["candidate"]["skipped"], "budget_spent", "{}", came.record);
    }
    // What was spent before a wait is gone after it.
    let mut world = self::world(ASKS, &json!({}));
    spent(&mut world);
    world.upstream.replies = vec![says(&json!({"blocked": false}))];
    let came = world.read();
    assert_eq!(came.summary(), (500, "deny", "time_exhausted"));
    assert_eq!(world.upstream.calls.len(), 1);
}
