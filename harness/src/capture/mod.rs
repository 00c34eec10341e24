//! Recorded traffic, format version 1: a header line, then one exchange a line. Captures hold no credentials: tokens
//! are named templates that are signed when the capture is replayed.

mod body;
mod error;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use remit_core::decision::Outcome;
use remit_core::ids::Now;
use remit_core::keys::Algorithm;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::forge::Forge;

pub use body::Body;
pub use error::{CaptureError, CaptureFault};
pub use read::CaptureLimits;

/// The version of the format that is read and written.
pub const VERSION: u32 = 1;

/// Claims that hold a time; they move with the capture in [`Capture::rebased`].
const TIMES: [&str; 5] = ["auth_time", "exp", "expires", "iat", "nbf"];

/// Recorded traffic.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    /// What was recorded.
    pub name: String,
    /// The instant that `at` counts from.
    pub start: Now,
    /// Whose keys the harness makes up, by `iss`.
    pub issuers: BTreeMap<String, IssuerKey>,
    /// What tokens say, by the name that exchanges use.
    pub tokens: BTreeMap<String, Template>,
    /// What the filter gets where it fetches, in the order of their times.
    pub fetched: Vec<Fetched>,
    /// The exchanges, in the order of their times.
    pub exchanges: Vec<Exchange>,
}

/// What the key pair of an issuer is like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerKey {
    /// Its algorithm.
    pub alg: Algorithm,
    /// Its `kid`.
    pub kid: String,
}

/// What a server that the filter fetches from answers, from some time on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// Seconds after the start. The last one of the same cluster and path whose time has come counts; without any, there
    /// is no answer.
    #[serde(default)]
    pub at: f64,
    /// The cluster that is asked.
    pub cluster: String,
    /// The path that is asked for.
    pub path: String,
    /// HTTP status.
    #[serde(default = "default_status")]
    pub status: u16,
    /// Headers in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// A JWK Set of the public keys of these entries of `issuers`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_of: Option<Vec<String>>,
    /// Else this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// `typ` of its header.
    #[serde(default = "default_type")]
    pub typ: String,
    /// Who of `issuers` signs it; absent: the claim `iss`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// `exp` − `iat` where the claims do not give `exp`.
    #[serde(default = "default_lifetime")]
    pub lifetime_seconds: u64,
    /// Its claims. `iat`, `exp` and `jti` are filled in; one that is `null` is left out.
    pub claims: Map<String, Value>,
    /// Claims of its receipts, newest first, over those that are filled in: they become `actor_receipts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<Map<String, Value>>,
    /// The root of a hop list, and what was derived from it: each is signed with the key of the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
    /// Binds it to a key that the harness makes up (`cnf.jkt`), and has a proof sent with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpop: Option<Algorithm>,
    /// What is wrong with it, beyond its claims.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forge: Option<Forge>,
}

/// A token of a hop list; the first is the root, whose claims are added to the template's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hop {
    /// Whose key it confirms, by a name among the capture's issuers.
    pub holder: String,
    /// Its claims, over those that are filled in.
    pub claims: Map<String, Value>,
}

/// One request, what the upstream answered, and what Remit should make of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Its name, unique in the capture.
    pub id: String,
    /// Seconds after the start.
    #[serde(default)]
    pub at: f64,
    /// What happens, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What the agent sends.
    pub request: Request,
    /// The template of the token that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The template of the transaction token that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn_token: Option<String>,
    /// Claims of the proof of its hop list's last key, over those that are filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop_proof: Option<Map<String, Value>>,
    /// What is unlike an honest client in how it proves possession of the token's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<ProofTemplate>,
    /// The approval that goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalTemplate>,
    /// What the upstream answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// What Remit should make of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expectation>,
}

/// What the agent sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// HTTP method.
    #[serde(default = "default_method")]
    pub method: String,
    /// `http` or `https`.
    #[serde(default = "default_scheme")]
    pub scheme: String,
    /// Host and port.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Further headers, in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

/// What the upstream answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// HTTP status.
    #[serde(default = "default_status")]
    pub status: u16,
    /// Headers, in order.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Its body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
}

impl Default for Response {
    fn default() -> Self {
        Self { status: default_status(), headers: Vec::new(), body: None }
    }
}

/// An approval of what an earlier exchange was held for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalTemplate {
    /// The exchange whose reply holds the challenge.
    pub challenge_of: String,
    /// Who signs it.
    pub issuer: String,
    /// Claims, over those that the challenge gives; one that is `null` is left out.
    #[serde(default)]
    pub claims: Map<String, Value>,
}

/// What is unlike an honest client in a proof of possession (RFC 9449).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProofTemplate {
    /// The authorization scheme in place of the one that fits the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The token whose key signs it, in place of the exchange's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_of: Option<String>,
    /// The earlier exchange whose proof is sent once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// Header parameters over those of a good proof; one that is `null` is left out.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub header: Map<String, Value>,
    /// Claims over those of a good proof; one that is `null` is left out.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub claims: Map<String, Value>,
    /// No proof is sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// What Remit should make of an exchange; what is absent is not compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectation {
    /// The decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Its reason codes, in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasons: Option<Vec<String>>,
    /// The status that the client sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether it is kept from the upstream, in whatever way: for captures that are replayed against anybody's bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<bool>,
}

fn default_type() -> String {
    "at+jwt".to_owned()
}
const fn default_lifetime() -> u64 {
    600
}
fn default_method() -> String {
    "GET".to_owned()
}
fn default_scheme() -> String {
    "https".to_owned()
}
const fn default_status() -> u16 {
    200
}

impl Capture {
    /// When an exchange happens.
    #[must_use]
    pub fn time_of(&self, exchange: &Exchange) -> Now {
        self.after(exchange.at)
    }

    /// So many seconds after the start.
    #[must_use]
    pub fn after(&self, seconds: f64) -> Now {
        // Saturates; the reader lets no negative or immense `at` pass.
        let nanos = (seconds * 1e9).round() as u64;
        Now(self.start.0.saturating_add(nanos))
    }

    /// The exchange with this id.
    #[must_use]
    pub fn exchange(&self, id: &str) -> Option<&Exchange> {
        self.exchanges.iter().find(|exchange| exchange.id == id)
    }

    /// The capture as if it had begun at another time: every time in the claims moves along, so that what was valid
    /// then is valid now. For subjects whose clock is the real one.
    #[must_use]
    pub fn rebased(mut self, start: Now) -> Self {
        let delta = i128::from(start.seconds().0).saturating_sub(i128::from(self.start.seconds().0));
        self.start = start;
        for template in self.tokens.values_mut() {
            let hops = template.hops.iter_mut().map(|hop| &mut hop.claims);
            for claims in hops.chain(&mut template.receipts).chain([&mut template.claims]) {
                claims.iter_mut().for_each(|(name, value)| shift(name, value, delta));
            }
        }
        for claims in self.exchanges.iter_mut().filter_map(|exchange| exchange.hop_proof.as_mut()) {
            claims.iter_mut().for_each(|(name, value)| shift(name, value, delta));
        }
        for approval in self.exchanges.iter_mut().filter_map(|exchange| exchange.approval.as_mut()) {
            approval.claims.iter_mut().for_each(|(name, value)| shift(name, value, delta));
        }
        for proof in self.exchanges.iter_mut().filter_map(|exchange| exchange.proof.as_mut()) {
            proof.claims.iter_mut().for_each(|(name, value)| shift(name, value, delta));
        }
        self
    }
}

fn shift(name: &str, value: &mut Value, delta: i128) {
    match value {
        Value::Number(number) if TIMES.contains(&name) => {
            let moved = number.as_i64().map(|time| i128::from(time).saturating_add(delta));
            if let Some(moved) = moved.and_then(|time| i64::try_from(time).ok()) {
                *value = Value::from(moved);
            } else if let (Some(time), Ok(delta)) = (number.as_f64(), i32::try_from(delta)) {
                // NumericDates may have fractions (RFC 7519 section 2). What no i32 holds would lose them.
                *value = Value::from(time + f64::from(delta));
            }
        }
        Value::Object(members) => members.iter_mut().for_each(|(name, value)| shift(name, value, delta)),
        Value::Array(items) => items.iter_mut().for_each(|value| shift("", value, delta)),
        _ => {}
    }
}
