//! An engine with its issuers, and a proxy around it, played by hand: what the tests of the pipeline send requests to.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value, json};

use super::*;

pub(super) const POLICY: &str = r#"
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

pub(super) fn catalog() -> Value {
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

pub(super) fn targz(policy: &str) -> Vec<u8> {
    targz_with(policy, &json!({}))
}

/// With these members of `data.remit` beside the catalog.
pub(super) fn targz_with(policy: &str, facts: &Value) -> Vec<u8> {
    let mut data = catalog();
    for (name, value) in facts.as_object().unwrap() {
        data["remit"][name] = value.clone();
    }
    let (manifest, data) = (json!({"revision": "r1", "roots": ["remit"]}).to_string(), data.to_string());
    packed(&[("/.manifest", manifest.as_str()), ("/data.json", data.as_str()), ("/authz.rego", policy)])
}

/// An engine, two signers and the proxy's shared data.
pub(super) struct World {
    pub(super) engine: Engine,
    pub(super) idp: Signer,
    pub(super) approvals: Signer,
    pub(super) shared: BTreeMap<String, (Vec<u8>, u32)>,
    /// What the host answers to a signature question.
    pub(super) host: Option<bool>,
    pub(super) asked_host: usize,
    /// The digest of the connection's certificate.
    pub(super) certificate: Option<String>,
    pub(super) asked_certificate: usize,
    /// Writes that lose their race.
    pub(super) conflicts: u32,
    pub(super) body_asked: Option<usize>,
    pub(super) minted: u8,
    /// What is fetched, by path, while requests wait; `None`: nothing is fetched, and no wait brings anything.
    pub(super) served: Option<BTreeMap<String, Answer>>,
    /// Paths of the fetches.
    pub(super) fetched: Vec<String>,
    pub(super) waited_for: Vec<SourceId>,
    pub(super) upstream: asking::Upstream,
}

/// What came of a request.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) outcome: String,
    pub(super) reasons: String,
    pub(super) reply: Option<Reply>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) removed: Vec<String>,
    pub(super) record: Value,
    pub(super) cached: Option<bool>,
    pub(super) remembered: Option<bool>,
    pub(super) metadata: Option<Value>,
}

impl Came {
    pub(super) fn told(&self) -> Value {
        serde_json::from_str(&self.reply.as_ref().unwrap().body).unwrap()
    }

    pub(super) fn summary(&self) -> (u16, &str, &str) {
        (self.reply.as_ref().map_or(0, |reply| reply.status), self.outcome.as_str(), self.reasons.as_str())
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(POLICY, &json!({}))
    }

    pub(super) fn with(policy: &str, changes: &Value) -> Self {
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
    pub(super) fn fetch(&mut self, now: u64) {
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

    pub(super) fn token(&self) -> String {
        self.idp.token(&claims())
    }

    pub(super) fn send(&mut self, line: (&str, &str), headers: &[(&str, &str)], body: Option<&[u8]>) -> Came {
        self.send_at(NOW, line, headers, body)
    }

    pub(super) fn send_at(
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

    pub(super) fn read(&mut self) -> Came {
        let bearer = format!("Bearer {}", self.token());
        self.send(("GET", "/threads/1"), &[("authorization", &bearer)], None)
    }

    pub(super) fn publish(&mut self, headers: &[(&str, &str)], text: &str) -> Came {
        let bearer = format!("Bearer {}", self.token());
        let mut all = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        all.extend(headers);
        let call = call("publish", text);
        self.send(("POST", "/mcp"), &all, Some(call.as_bytes()))
    }

    pub(super) fn approval(&self, challenge: &Value, changes: &Value) -> String {
        let claims = json!({
            "iss": "https://approvals.example", "sub": "carol", "aud": challenge["audience"],
            "iat": NOW, "exp": NOW + 200, "jti": "x", "nonce": challenge["id"], "decision": "approved",
            "requester": challenge["requester"], "action_digest": challenge["action_digest"]});
        let header = json!({"alg": "EdDSA", "kid": "a1", "typ": "agent-approval+jwt"});
        self.approvals.token_of(&header.to_string(), &with(claims, changes).to_string())
    }
}

pub(super) fn call(tool: &str, text: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
           "params": {"name": tool, "arguments": {"text": text}}})
    .to_string()
}

/// The headers of a `tools/call`, whose body comes later.
pub(super) fn call_headers(bearer: &str) -> Vec<(String, Vec<u8>)> {
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

impl World {
    /// Puts a bundle in force whose data has these facts, as a fetch does.
    pub(super) fn know(&mut self, facts: &Value) {
        self.activate(&targz_with(POLICY, facts));
    }

    /// Puts a packed bundle in force.
    pub(super) fn activate(&mut self, bytes: &[u8]) {
        let limits = self.engine.config.limits;
        let bundle =
            crate::bundle::Bundle::from_targz(bytes, &crate::engine::bundle_limits(&limits)).unwrap();
        let active = ActiveBundle::load(&bundle, "remit/authz/decision", &limits).unwrap();
        self.engine.activate(active);
    }
}
