//! The core itself as a subject: no module, no host, the same pipeline.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use remit_core::effect::{Effect, Forward};
use remit_core::engine::Engine;
use remit_core::exchange::{Body, Conclusion, Event, Exchange, Need, Nonce, Step, Stored};
use remit_core::ids::{Now, UnixSeconds};
use remit_core::policy;
use remit_core::request::Circumstances;
use sha2::{Digest, Sha256};

use super::run::response_seen;
use super::{Audit, Document, Forwarded, Observed, Reply, Subject, WireRequest};
use crate::capture::Response;

/// What every connection looks like.
pub(super) const ATTRIBUTES: [(&[&str], &str); 3] = [
    (&["source", "address"], "127.0.0.1:40000"),
    (&["destination", "address"], "127.0.0.1:10000"),
    (&["request", "protocol"], "HTTP/1.1"),
];

/// What an evaluation may take, in milliseconds. The clock of a replay stands still while a request is decided: what a
/// busy machine takes longer for is not the policy's doing, and must not change its decisions.
const EVALUATION_MS: u64 = 10_000;

/// The core, with shared data in memory and nonces from a seed.
#[derive(Debug)]
pub struct Native {
    engine: Engine,
    shared: BTreeMap<String, (Vec<u8>, u32)>,
    seed: u64,
    exchanges: u64,
    documents: Vec<Document>,
    asked: Option<policy::Document>,
}

impl Native {
    /// Configures the core as the filter would be.
    ///
    /// # Errors
    ///
    /// When the configuration is not accepted.
    pub fn new(plugin_config: &str, seed: u64) -> Result<Self> {
        let mut engine =
            Engine::configure(plugin_config.as_bytes()).context("the filter refuses its configuration")?;
        engine.config.limits.evaluation_ms = EVALUATION_MS;
        let (shared, documents) = (BTreeMap::new(), Vec::new());
        Ok(Self { engine, shared, seed, exchanges: 0, documents, asked: None })
    }

    /// What the policy was asked about the last request; `None` where it was not asked.
    #[must_use]
    pub fn asked(&self) -> Option<&policy::Document> {
        self.asked.as_ref()
    }

    /// The engine, as it is after the last request.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn nonce(&mut self) -> Nonce {
        self.exchanges = self.exchanges.saturating_add(1);
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.exchanges.to_be_bytes());
        Nonce::new(&hash.finalize().into())
    }

    /// Fetches what is due.
    fn fetch(&mut self, now: UnixSeconds) {
        loop {
            let due = self.engine.due(now);
            if due.is_empty() {
                return;
            }
            for (source, fetch) in due {
                // What is refused shows in the decisions.
                let _ = self.engine.answered(&source, Document::answer(&self.documents, &fetch), now);
            }
        }
    }

    fn circumstances(&self) -> Circumstances {
        Circumstances::ask(self.engine.properties(), |path| {
            let known = ATTRIBUTES.iter().find(|(known, _)| *known == path);
            known.map(|(_, value)| value.as_bytes().to_vec())
        })
    }

    /// What the shell of the filter does, without a proxy.
    fn conclude(&mut self, request: &WireRequest, now: Now) -> (Conclusion, Duration) {
        let mut exchange = Exchange::new(self.nonce());
        let mut event = Event::Headers {
            pairs: request.pairs().into_iter().map(|(name, value)| (name, value.into_bytes())).collect(),
            ends: request.ends_with_headers(),
            circumstances: self.circumstances(),
        };
        let mut added = Duration::ZERO;
        loop {
            let began = Instant::now();
            let step = exchange.advance(&mut self.engine, event, now);
            added = added.saturating_add(began.elapsed());
            event = match step {
                Step::Done(conclusion) => {
                    let counted = &conclusion.counted;
                    let was_asked = counted.evaluated || counted.decision_remembered == Some(true);
                    self.asked = was_asked.then(|| exchange.input(&self.engine, now)).flatten();
                    return (*conclusion, added);
                }
                Step::Need(need) => self.provide(need, request, now),
            };
        }
    }

    fn provide(&mut self, need: Need, request: &WireRequest, now: Now) -> Event {
        match need {
            Need::Keys { .. } => {
                self.fetch(now.seconds());
                Event::Keys { circumstances: self.circumstances() }
            }
            Need::Body { limit } if request.body.len() > limit => Event::Body(Body::TooLarge),
            Need::Body { .. } => Event::Body(Body::Whole(request.body.clone())),
            Need::HttpCall(call) => Event::HttpReply(Document::reply(&self.documents, &call)),
            Need::Signature(_) => Event::Signature(None),
            // As over a connection without TLS.
            Need::Certificate => Event::Certificate(None),
            Need::State { key } => Event::State(Some(match self.shared.get(&key) {
                Some((value, version)) => (Some(value.clone()), *version),
                None => (None, 0),
            })),
            Need::Store { key, value, version } => {
                let there = self.shared.get(&key).map_or(0, |(_, version)| *version);
                if version != there {
                    return Event::Stored(Stored::Conflict);
                }
                self.shared.insert(key, (value, there.saturating_add(1)));
                Event::Stored(Stored::Done)
            }
        }
    }
}

impl Subject for Native {
    fn name(&self) -> &str {
        "native"
    }

    fn serve(&mut self, documents: Vec<Document>) {
        self.documents = documents;
    }

    fn carry(&mut self, request: &WireRequest, response: &Response, now: Now) -> Result<Observed> {
        self.fetch(now.seconds());
        let (conclusion, added) = self.conclude(request, now);
        let audit = Audit::of(&conclusion.record.to_line());
        let observed = Observed { audit, added, ..Observed::default() };
        Ok(match conclusion.effect {
            Effect::Reply(reply) => Observed {
                status: reply.status,
                reply: Some(Reply {
                    status: reply.status,
                    headers: reply.headers,
                    body: reply.body.into_bytes(),
                }),
                ..observed
            },
            Effect::Forward(forward) => Observed {
                status: response.status,
                forwarded: Some(Forwarded {
                    headers: changed(request.pairs(), &forward),
                    body: request.body.clone(),
                    response_headers: response_seen(response, &forward.response_headers),
                }),
                ..observed
            },
        })
    }
}

/// The request's headers with the changes of a decision, as the filter's shell makes them.
fn changed(mut headers: Vec<(String, String)>, forward: &Forward) -> Vec<(String, String)> {
    headers.retain(|(name, _)| !forward.remove_headers.contains(name));
    let mut done: Vec<&str> = Vec::new();
    for (name, value) in &forward.set_headers {
        if !done.contains(&name.as_str()) {
            headers.retain(|(known, _)| known != name);
            done.push(name);
        }
        headers.push((name.clone(), value.clone()));
    }
    if let (Some(path), Some((_, value))) =
        (&forward.path, headers.iter_mut().find(|(name, _)| name == ":path"))
    {
        value.clone_from(path);
    }
    headers
}
