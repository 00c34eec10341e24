//! What of an exchange must be the same through every subject, with placeholders for what cannot be.

use remit_core::effect::MCP_APPROVAL_REQUIRED;
use remit_harness::replay::{Observed, Played, Replay};
use remit_harness::scenario::Scenario;
use serde_json::Value;

use crate::world::with_patience;

/// Headers that the filter sets for the upstream, and the one that it takes away.
pub const OWN_HEADERS: [&str; 5] =
    ["x-remit-agent", "x-remit-principal", "x-remit-task", "x-remit-decision-id", "agent-approval"];

/// A scenario's plugin configuration, for machines that are slow.
#[must_use]
pub fn config(scenario: &Scenario) -> String {
    let mut config = scenario.plugin_config_document();
    with_patience(&mut config);
    Value::Object(config).to_string()
}

/// What is compared of one exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparable {
    /// Its id.
    pub id: String,
    /// The status that the client saw.
    pub status: u16,
    /// The audit line, byte for byte but for the placeholders.
    pub audit: String,
    /// The filter's own reply, byte for byte but for the placeholders.
    pub reply: Option<String>,
    /// What the upstream got.
    pub forwarded: Option<Received>,
}

/// A request as the upstream got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its body.
    pub body: Vec<u8>,
    /// The filter's own headers.
    pub headers: Vec<(String, String)>,
}

/// Everything of a replay that must agree.
#[must_use]
pub fn comparable(replay: &Replay) -> Vec<Comparable> {
    replay.exchanges.iter().map(of).collect()
}

fn of(played: &Played) -> Comparable {
    let observed = &played.observed;
    let volatile = Volatile::of(observed);
    let own = |headers: &[(String, String)]| {
        let own = headers.iter().filter(|(name, _)| OWN_HEADERS.contains(&name.as_str()));
        let mut own: Vec<_> = own.map(|(name, value)| (name.clone(), volatile.replace(value))).collect();
        own.sort();
        own
    };
    Comparable {
        id: played.id.clone(),
        status: observed.status,
        audit: observed.audit.as_ref().map(|audit| volatile.replace(&audit.line)).unwrap_or_default(),
        reply: observed.reply.as_ref().map(|reply| volatile.replace(&String::from_utf8_lossy(&reply.body))),
        forwarded: observed
            .forwarded
            .as_ref()
            .map(|forwarded| Received { body: forwarded.body.clone(), headers: own(&forwarded.headers) }),
    }
}

/// The values of one exchange that differ between two runs of the same subject.
struct Volatile(Vec<(String, &'static str)>);

impl Volatile {
    fn of(observed: &Observed) -> Self {
        let mut values = Vec::new();
        if let Some(audit) = &observed.audit {
            for (pointer, placeholder) in [
                // Envoy's clock is the real one.
                ("/time", "<time>"),
                // Random.
                ("/decision_id", "<decision>"),
                // The harness names a token by the time at which it was minted.
                ("/token/jti", "<jti>"),
                // Random as well: it names the challenge that an earlier exchange was given.
                ("/approval/challenge", "<challenge>"),
                // Of an approval that names the challenge, says the time and has a random signature.
                ("/approval/sha256", "<approval>"),
            ] {
                values.extend(audit.text(pointer).map(|value| (value.to_owned(), placeholder)));
            }
            // Keys of a hop list's holders are made for each replay.
            for pointer in ["/agent/sub", "/chain/0/sub", "/chain/1/sub", "/chain/2/sub"] {
                let key = audit
                    .text(pointer)
                    .filter(|sub| sub.starts_with("urn:ietf:params:oauth:jwk-thumbprint:"));
                values.extend(key.map(|key| (key.to_owned(), "<holder>")));
            }
            // `expired at 1773842000`, `not valid before …`: claims that move with the start of the scenario.
            if let Some(seconds) = audit.text("/detail").and_then(seconds_in) {
                values.push((seconds, "<seconds>"));
            }
        }
        let reply =
            observed.reply.as_ref().and_then(|reply| serde_json::from_slice::<Value>(&reply.body).ok());
        let challenge = reply.as_ref().and_then(|reply| {
            let in_rpc = || {
                let error = reply.get("error")?;
                let asks = error.get("code")?.as_i64() == Some(MCP_APPROVAL_REQUIRED);
                asks.then(|| error.pointer("/data/challenge")).flatten()
            };
            reply.get("challenge").or_else(in_rpc)
        });
        if let Some(challenge) = challenge {
            // Random, and repeated in `status_url`.
            values
                .extend(challenge.get("id").and_then(Value::as_str).map(|id| (id.to_owned(), "<challenge>")));
            // The time at which it was opened, and five minutes.
            values.extend(
                challenge.get("expires").and_then(Value::as_u64).map(|at| (at.to_string(), "<expires>")),
            );
        }
        Self(values)
    }

    fn replace(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (value, placeholder)| text.replace(value, placeholder))
    }
}

/// The first number in a text that is long enough to be a time in seconds.
fn seconds_in(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() >= 10).map(str::to_owned)
}
