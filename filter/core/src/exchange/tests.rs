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

mod transaction;

const POLICY: &str = r#"
package remit.authz

default decision := {"allowed": false, "reasons": ["outside_remit"]}

decision := {"allowed": true, "reasons": ["reads"], "headers": {"x-scope": input.remit.token.scope}} if {
	input.remit.action.verb == "read"
}

decision := {"allowed": false, "outcome": "require_approval", "reasons": ["publishes"]} if {
	input.remit.action.verb == "publish"
	not input.remit.approval
}

decision := {"allowed": true, "reasons": ["approved"]} if {
	input.remit.action.verb == "publish"
	input.remit.approval.approver.sub == "carol"
}
"#;

fn catalog() -> Value {
    json!({"remit": {"catalog": {
        "mcp": [{"authority": "forum.example", "path": "/mcp", "tools": {
            "read": {"operation": "forum.read", "verb": "read", "effects": effects(false)},
            "publish": {"operation": "forum.publish", "verb": "publish", "effects": effects(true)}}}],
        "http": [{"authority": "forum.example", "routes": [
            {"method": "GET", "path": "/threads/{t}", "operation": "forum.read", "verb": "read",
             "effects": effects(false)},
            {"method": "POST", "path": "/replies", "operation": "forum.publish", "verb": "publish",
             "effects": effects(true)}]}]}}})
}

fn targz(policy: &str) -> Vec<u8> {
    targz_with(policy, &json!({}))
}

/// With these members of `data.remit` beside the catalog.
fn targz_with(policy: &str, facts: &Value) -> Vec<u8> {
    let mut data = catalog();
    for (name, value) in facts.as_object().unwrap() {
        data["remit"][name] = value.clone();
    }
    let (manifest, data) = (json!({"revision": "r1", "roots": ["remit"]}).to_string(), data.to_string());
    packed(&[("/.manifest", manifest.as_str()), ("/data.json", data.as_str()), ("/authz.rego", policy)])
}

/// An engine, two signers and the proxy's shared data.
struct World {
    engine: Engine,
    idp: Signer,
    approvals: Signer,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    /// What the host answers to a signature question.
    host: Option<bool>,
    asked_host: usize,
    /// The digest of the connection's certificate.
    certificate: Option<String>,
    asked_certificate: usize,
    /// Writes that lose their race.
    conflicts: u32,
    body_asked: Option<usize>,
    minted: u8,
    /// What is fetched, by path, while requests wait; `None`: nothing is fetched, and no wait brings anything.
    served: Option<BTreeMap<String, Answer>>,
    /// Paths of the fetches.
    fetched: Vec<String>,
    waited_for: Vec<SourceId>,
    upstream: asking::Upstream,
}

/// What came of a request.
#[derive(Debug)]
struct Came {
    outcome: String,
    reasons: String,
    reply: Option<Reply>,
    headers: Vec<(String, String)>,
    removed: Vec<String>,
    record: Value,
    cached: Option<bool>,
    remembered: Option<bool>,
    metadata: Option<Value>,
}

impl Came {
    fn told(&self) -> Value {
        serde_json::from_str(&self.reply.as_ref().unwrap().body).unwrap()
    }

    fn summary(&self) -> (u16, &str, &str) {
        (self.reply.as_ref().map_or(0, |reply| reply.status), self.outcome.as_str(), self.reasons.as_str())
    }
}

impl World {
    fn new() -> Self {
        Self::with(POLICY, &json!({}))
    }

    fn with(policy: &str, changes: &Value) -> Self {
        let (idp, approvals) = (Signer::new(Algorithm::Es256, "k1"), Signer::new(Algorithm::EdDsa, "a1"));
        let bundle = base64::engine::general_purpose::STANDARD.encode(targz(policy));
        let document = json!({
            "version": 1, "resource": "https://tools.example", "denials": {"mcp_status": 403},
            "issuers": [{"issuer": "https://idp.example", "algorithms": ["ES256"],
                         "keys": {"inline": {"keys": [idp.jwk()]}}}],
            "approvals": {"status_url": "https://approvals.example/{challenge}", "issuers": [
                {"issuer": "https://approvals.example", "algorithms": ["EdDSA"],
                 "keys": {"inline": {"keys": [approvals.jwk()]}}}]},
            "bundle": {"inline": bundle}});
        let mut document = with(document, changes);
        // What is tested are instructions; a busy machine must not run out of time first.
        document["limits"]["evaluation_ms"] = json!(1000);
        let engine = Engine::configure(document.to_string().as_bytes()).unwrap();
        Self {
            engine,
            idp,
            approvals,
            shared: BTreeMap::new(),
            host: None,
            asked_host: 0,
            certificate: None,
            asked_certificate: 0,
            conflicts: 0,
            body_asked: None,
            minted: 0,
            served: None,
            fetched: Vec::new(),
            waited_for: Vec::new(),
            upstream: asking::Upstream::default(),
        }
    }

    /// What the shell's tick does.
    fn fetch(&mut self, now: u64) {
        let Some(served) = self.served.clone() else { return };
        loop {
            let due = self.engine.due(at(now).seconds());
            if due.is_empty() {
                return;
            }
            for (id, fetch) in due {
                let answer = served.get(&fetch.place.path).cloned().unwrap_or(Answer::Nothing);
                self.fetched.push(fetch.place.path);
                // What is refused is seen in what requests become.
                let _ = self.engine.answered(&id, answer, at(now).seconds());
            }
        }
    }

    fn token(&self) -> String {
        self.idp.token(&claims())
    }

    fn send(&mut self, line: (&str, &str), headers: &[(&str, &str)], body: Option<&[u8]>) -> Came {
        self.send_at(NOW, line, headers, body)
    }

    fn send_at(
        &mut self,
        mut now: u64,
        line: (&str, &str),
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Came {
        let mut pairs: Vec<(String, Vec<u8>)> = vec![
            (":method".into(), line.0.into()),
            (":scheme".into(), b"https".to_vec()),
            (":authority".into(), b"forum.example".to_vec()),
            (":path".into(), line.1.into()),
        ];
        pairs.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
        self.minted += 1;
        let mut exchange = Exchange::new(Nonce::new(&[self.minted; 32]));
        let mut event =
            Event::Headers { pairs, ends: body.is_none(), circumstances: Circumstances::default() };
        let conclusion = loop {
            event = match exchange.advance(&mut self.engine, event, at(now)) {
                Step::Need(Need::Body { limit }) => {
                    self.body_asked = Some(limit);
                    Event::Body(match body.unwrap_or_default() {
                        body if body.len() > limit => Body::TooLarge,
                        b"late" => Body::Late,
                        body => Body::Whole(body.to_vec()),
                    })
                }
                Step::Need(Need::Keys { source, .. }) => {
                    self.waited_for.push(source);
                    self.fetch(now);
                    Event::Keys { circumstances: Circumstances::default() }
                }
                Step::Need(Need::HttpCall(call)) => Event::HttpReply(self.reply(call, &mut now)),
                Step::Need(Need::Signature(_)) => {
                    self.asked_host += 1;
                    Event::Signature(self.host)
                }
                Step::Need(Need::Certificate) => {
                    self.asked_certificate += 1;
                    Event::Certificate(self.certificate.clone())
                }
                Step::Need(Need::State { key }) => {
                    let stored = self.shared.get(&key);
                    Event::State(Some((
                        stored.map(|(v, _)| v.clone()),
                        stored.map_or(0, |(_, version)| *version),
                    )))
                }
                Step::Need(Need::Store { key, value, version }) => {
                    let current = self.shared.get(&key).map_or(0, |(_, version)| *version);
                    Event::Stored(if self.conflicts > 0 {
                        self.conflicts -= 1;
                        Stored::Conflict
                    } else if version == current {
                        self.shared.insert(key, (value, version + 1));
                        Stored::Done
                    } else {
                        Stored::Conflict
                    })
                }
                Step::Done(conclusion) => break conclusion,
            };
        };
        let late = exchange.advance(&mut self.engine, Event::Signature(None), at(now));
        let Step::Done(late) = late else { panic!("an exchange that is over needs nothing") };
        assert_eq!(late.reasons, [reason::OUT_OF_ORDER]);
        let (reply, forwarded, removed) = match conclusion.effect {
            Effect::Reply(reply) => (Some(reply), Vec::new(), Vec::new()),
            Effect::Forward(forward) => (None, forward.set_headers, forward.remove_headers),
        };
        Came {
            outcome: conclusion.outcome.as_str().to_owned(),
            reasons: conclusion.reasons.iter().map(|r| r.as_str()).collect::<Vec<_>>().join(","),
            reply,
            headers: forwarded,
            removed,
            record: serde_json::from_str(&conclusion.record.to_line()).unwrap(),
            cached: conclusion.counted.token_cached,
            remembered: conclusion.counted.decision_remembered,
            metadata: conclusion.metadata,
        }
    }

    fn read(&mut self) -> Came {
        let bearer = format!("Bearer {}", self.token());
        self.send(("GET", "/threads/1"), &[("authorization", &bearer)], None)
    }

    fn publish(&mut self, headers: &[(&str, &str)], text: &str) -> Came {
        let bearer = format!("Bearer {}", self.token());
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        all.extend(headers);
        let call = call("publish", text);
        self.send(("POST", "/mcp"), &all, Some(call.as_bytes()))
    }

    fn approval(&self, challenge: &Value, changes: &Value) -> String {
        let claims = json!({
            "iss": "https://approvals.example", "sub": "carol", "aud": challenge["audience"],
            "iat": NOW, "exp": NOW + 200, "jti": "x", "nonce": challenge["id"], "decision": "approved",
            "requester": challenge["requester"], "action_digest": challenge["action_digest"]});
        let header = json!({"alg": "EdDSA", "kid": "a1", "typ": "agent-approval+jwt"});
        self.approvals.token_of(&header.to_string(), &with(claims, changes).to_string())
    }
}

fn call(tool: &str, text: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
           "params": {"name": tool, "arguments": {"text": text}}})
    .to_string()
}

/// The headers of a `tools/call`, whose body comes later.
fn call_headers(bearer: &str) -> Vec<(String, Vec<u8>)> {
    let pairs = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "forum.example"),
        (":path", "/mcp"),
        ("authorization", bearer),
        ("content-type", "application/json"),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec()
}

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

impl World {
    /// Puts a bundle in force whose data has these facts, as a fetch does.
    fn know(&mut self, facts: &Value) {
        let limits = self.engine.config.limits;
        let bytes = targz_with(POLICY, facts);
        let bundle =
            crate::bundle::Bundle::from_targz(&bytes, &crate::engine::bundle_limits(&limits)).unwrap();
        let active = ActiveBundle::load(&bundle, "remit/authz/decision", &limits).unwrap();
        self.engine.activate(active);
    }
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
