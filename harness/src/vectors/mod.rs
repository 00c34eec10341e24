//! Test vectors: a capture of attacks on tokens and delegations, each with what must come of it.
//!
//! What is expected is written beside each attack, after the requirement; nothing is taken from what the filter answers.
//! The same seed gives the same bytes.

mod carrier;
mod chain;
mod claims;
mod evidence;
mod header;
mod transaction;

use serde_json::{Map, Value, json};

use crate::capture::VERSION;

const ISSUER: &str = "https://idp.internal.example";
const RSA: &str = "https://rsa.internal.example";
const RECEIPTS: &str = "https://receipts.internal.example";
const HOPS: &str = "https://hops.internal.example";
const TRANSACTIONS: &str = "https://tts.internal.example";
const AUDIENCE: &str = "https://tools.internal.example";
const PERSON: &str = "bea.lindqvist@internal.example";
const AGENT: &str = "agent-analyst";
/// When the capture begins, 2026-03-18T14:02:00Z.
const START: u64 = 1_773_842_520;

/// What must come of an attack.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// It is none.
    Allowed,
    /// 401 for this reason.
    Refused(&'static str),
    /// 403 for this reason.
    Forbidden(&'static str),
    /// Another status, for this reason.
    Status(u16, &'static str),
    /// 403 by the policy: nobody acts.
    NoAgent,
}
use Expected::{Allowed, Forbidden, NoAgent, Refused};

/// The capture that is made.
struct Corpus {
    family: &'static str,
    number: usize,
    tokens: Map<String, Value>,
    exchanges: Vec<Value>,
    state: u64,
}

/// The vectors of a seed, as the lines of a capture.
#[must_use]
pub fn generate(seed: u64) -> String {
    let mut corpus = Corpus { family: "", number: 0, tokens: Map::new(), exchanges: Vec::new(), state: seed };
    for (family, add) in [
        ("carrier", carrier::add as fn(&mut Corpus)),
        ("header", header::add),
        ("claims", claims::add),
        ("chain", chain::add),
        ("transaction", transaction::add),
        ("evidence", evidence::add),
    ] {
        (corpus.family, corpus.number) = (family, 0);
        corpus.token("a good one before", json!({}), Allowed);
        add(&mut corpus);
        corpus.token("a good one after", json!({}), Allowed);
    }
    let key = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    let header = json!({
        "remit_capture": VERSION, "name": "token vectors", "start": "2026-03-18T14:02:00Z",
        "issuers": {
            ISSUER: key("ES256", "k-1"), RSA: key("RS256", "k-2"), RECEIPTS: key("ES256", "k-3"),
            HOPS: key("ES256", "k-4"), TRANSACTIONS: key("EdDSA", "k-5"),
            "https://elsewhere.example": key("ES256", "k-1"),
            "holder-0": key("EdDSA", "holder-0"), "holder-1": key("ES256", "holder-1"),
            "holder-2": key("EdDSA", "holder-2"), "holder-3": key("EdDSA", "holder-3"),
        },
        "tokens": corpus.tokens,
    });
    let lines = std::iter::once(header).chain(corpus.exchanges);
    lines.map(|line| format!("{line}\n")).collect()
}

impl Corpus {
    /// A token of the issuer, with these claims over the good ones.
    fn token(&mut self, attack: &str, changes: Value, expected: Expected) {
        self.template(attack, json!({"claims": over(base(), changes)}), expected);
    }

    /// A good token that is forged so.
    fn forged(&mut self, attack: &str, forge: Value, expected: Expected) {
        self.template(attack, json!({"claims": base(), "forge": forge}), expected);
    }

    /// Members of the claims, as written, behind the good ones.
    fn written(&mut self, attack: &str, members: &str, expected: Expected) {
        self.forged(attack, json!({"claims_text": format!(",{members}")}), expected);
    }

    /// A claim as written, in place of the good one.
    fn claim(&mut self, claim: &str, written: &str, expected: Expected) {
        let members = format!(",\"{claim}\":{written}");
        let template =
            json!({"claims": over(base(), json!({claim: null})), "forge": {"claims_text": members}});
        self.template(&format!("{claim}: {written}"), template, expected);
    }

    fn template(&mut self, attack: &str, template: Value, expected: Expected) {
        let id = self.add(attack, expected, |id| json!({"token": id}));
        self.tokens.insert(id, template);
    }

    /// A request with these further members of the exchange; returns its name.
    fn add(&mut self, attack: &str, expected: Expected, more: impl FnOnce(&str) -> Value) -> String {
        self.number = self.number.saturating_add(1);
        let id = format!("{}-{:03}", self.family, self.number);
        let (outcome, reasons, status) = match expected {
            Allowed => ("allow", vec!["within_remit"], 200),
            Refused(reason) => ("deny", vec![reason], 401),
            Forbidden(reason) => ("deny", vec![reason], 403),
            Expected::Status(status, reason) => ("deny", vec![reason], status),
            NoAgent => ("deny", vec!["agent_unregistered", "delegation_missing"], 403),
        };
        let request = json!({"method": "GET", "authority": "forum.internal.example",
            "path": "/api/v1/threads/t-4711"});
        let exchange = json!({"id": id, "title": attack, "request": request,
            "expect": {"outcome": outcome, "reasons": reasons, "status": status}});
        let mut exchange = over(exchange, more(&id));
        // Members of the request are put into it, not over it.
        let headers = exchange.as_object_mut().and_then(|members| members.remove("headers"));
        if let (Some(headers), Some(request)) = (headers, exchange.pointer_mut("/request")) {
            *request = over(request.take(), json!({"headers": headers}));
        }
        self.exchanges.push(exchange);
        id
    }

    /// A number below `bound`, by the seed (SplitMix64).
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

/// A member name that no reader knows.
fn unknown(corpus: &mut Corpus) -> String {
    (0..6).map(|_| char::from(b'a'.saturating_add(u8::try_from(corpus.below(26)).unwrap_or(0)))).collect()
}

fn task() -> Value {
    json!({"type": "agent_task", "task_id": "task-1", "actions": ["forum.thread.read"], "locations": ["thread/*"]})
}

/// The claims of a good token.
fn base() -> Value {
    json!({"iss": ISSUER, "sub": PERSON, "sub_profile": "user", "aud": AUDIENCE, "scope": "tools",
        "act": {"sub": AGENT, "sub_profile": "ai_agent"}, "authorization_details": [task()]})
}

/// The members of one object over those of another.
fn over(mut base: Value, changes: Value) -> Value {
    if let (Value::Object(base), Value::Object(changes)) = (&mut base, changes) {
        base.extend(changes);
    }
    base
}

/// An object with one member replaced, or, by `null`, without it.
fn but(mut base: Value, member: &str, value: Value) -> Value {
    if let Value::Object(base) = &mut base {
        if value.is_null() {
            base.remove(member);
        } else {
            base.insert(member.to_owned(), value);
        }
    }
    base
}

#[cfg(test)]
mod tests;
