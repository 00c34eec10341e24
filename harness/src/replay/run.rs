//! The replay itself: one exchange after the other, with tokens and approvals minted as the agent would have them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow};
use remit_core::dpop::PROOF_HEADER;
use remit_core::ids::Now;
use remit_core::request::APPROVAL_HEADER;

use super::expect::{NOT_SENT, compare};
use super::{Mismatch, Observed, Subject};
use crate::capture::{Exchange, Response};
use crate::proof::{Proven, proof};
use crate::scenario::Scenario;

/// A request as it goes over the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireRequest {
    /// HTTP method.
    pub method: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Host and port.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Headers in order, without pseudo-headers.
    pub headers: Vec<(String, String)>,
    /// Body; empty: none.
    pub body: Vec<u8>,
}

impl WireRequest {
    /// All headers, pseudo-headers first, in the order in which Envoy has them.
    #[must_use]
    pub fn pairs(&self) -> Vec<(String, String)> {
        self.lines().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect()
    }

    /// The same with names as they were written.
    pub fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let pseudo = [
            (":authority", self.authority.as_str()),
            (":path", &self.path),
            (":method", &self.method),
            (":scheme", &self.scheme),
        ];
        pseudo.into_iter().chain(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Whether the request ends with its headers.
    #[must_use]
    pub fn ends_with_headers(&self) -> bool {
        self.body.is_empty()
    }
}

/// A replayed exchange.
#[derive(Debug, Clone)]
pub struct Played {
    /// Its id.
    pub id: String,
    /// What happens in it.
    pub title: Option<String>,
    /// When it happened, by the subject's clock.
    pub time: Now,
    /// What came of it.
    pub observed: Observed,
    /// Whether the capture expects anything of it.
    pub is_checked: bool,
    /// What is not as expected.
    pub mismatches: Vec<Mismatch>,
}

/// A replayed capture.
#[derive(Debug, Clone)]
pub struct Replay {
    /// Name of the capture.
    pub name: String,
    /// Name of the subject.
    pub subject: String,
    /// The exchanges in order.
    pub exchanges: Vec<Played>,
}

impl Replay {
    /// Whether every exchange is as expected.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        self.exchanges.iter().all(|played| played.mismatches.is_empty())
    }
}

/// Replays a scenario through a subject.
///
/// # Errors
///
/// When the subject does not work, or a token cannot be minted; the error names the exchange. That there is nothing to
/// approve is no error but a fault of the exchange: it comes of an earlier decision, and is not sent.
pub fn replay(scenario: &mut Scenario, subject: &mut dyn Subject) -> Result<Replay> {
    let mut exchanges: Vec<Played> = Vec::new();
    let mut replies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut proofs: BTreeMap<String, String> = BTreeMap::new();
    for exchange in scenario.capture.exchanges.clone() {
        let time = subject.clock(scenario.capture.time_of(&exchange));
        let at = || format!("exchange {}", exchange.id);
        let mut request = wire_request(scenario, &exchange, time).with_context(at)?;
        prove(scenario, &exchange, &mut request, &mut proofs, time);
        let response = exchange.response.clone().unwrap_or_default();
        let observed = match approval(scenario, &exchange, &replies, time) {
            Ok(approval) => {
                request.headers.extend(approval);
                subject.serve(scenario.served(time));
                subject.carry(&request, &response, time).with_context(at)?
            }
            Err(fault) => Observed { fault: Some(format!("{NOT_SENT}{fault:#}")), ..Observed::default() },
        };
        if let Some(reply) = &observed.reply {
            replies.insert(exchange.id.clone(), reply.body.clone());
        }
        exchanges.push(Played {
            mismatches: compare(exchange.expect.as_ref(), &observed),
            is_checked: exchange.expect.is_some(),
            id: exchange.id,
            title: exchange.title,
            time,
            observed,
        });
    }
    Ok(Replay { name: scenario.capture.name.clone(), subject: subject.name().to_owned(), exchanges })
}

fn wire_request(scenario: &mut Scenario, exchange: &Exchange, now: Now) -> Result<WireRequest> {
    let request = &exchange.request;
    let mut headers = request.headers.clone();
    if let Some(template) = &exchange.token {
        headers.push(("authorization".to_owned(), format!("Bearer {}", scenario.mint(template, now)?)));
        headers.extend(scenario.mint_hops(template, exchange.hop_proof.as_ref(), now)?);
    }
    if let Some(template) = &exchange.txn_token {
        headers.push(("txn-token".to_owned(), scenario.mint(template, now)?));
    }
    Ok(WireRequest {
        method: request.method.clone(),
        scheme: request.scheme.clone(),
        authority: request.authority.clone(),
        path: request.path.clone(),
        headers,
        body: request.body.as_ref().map(crate::capture::Body::to_bytes).unwrap_or_default(),
    })
}

/// Gives the request the proof of possession that goes with its token, where one does, and the scheme that says so.
fn prove(
    scenario: &Scenario,
    exchange: &Exchange,
    request: &mut WireRequest,
    sent: &mut BTreeMap<String, String>,
    now: Now,
) {
    let template = exchange.proof.clone().unwrap_or_default();
    let own = exchange.token.as_deref().and_then(|token| scenario.keys().proof_key(token));
    let scheme = template.scheme.as_deref().unwrap_or(if own.is_some() { "DPoP" } else { "Bearer" });
    let authorization = request.headers.iter_mut().find(|(name, _)| name == "authorization");
    let Some((_, authorization)) = authorization.filter(|_| exchange.token.is_some()) else { return };
    let Some(token) = authorization.strip_prefix("Bearer ").map(str::to_owned) else { return };
    *authorization = format!("{scheme} {token}");
    let key = match &template.key_of {
        Some(other) => scenario.keys().proof_key(other),
        None => own,
    };
    let Some(key) = key.filter(|_| !template.absent) else { return };
    let path = request.path.split('?').next().unwrap_or_default();
    let uri = format!("{}://{}{path}", request.scheme, request.authority);
    let jti = format!("{}-{}", exchange.id, now.0);
    let about = Proven { method: &request.method, uri: &uri, token: &token, jti: &jti };
    let again = template.same_as.as_ref().and_then(|id| sent.get(id).cloned());
    let text = again.unwrap_or_else(|| proof(key, about, now, &template));
    sent.insert(exchange.id.clone(), text.clone());
    request.headers.push((PROOF_HEADER.to_owned(), text));
}

/// The header with the approval, where the exchange has one.
fn approval(
    scenario: &mut Scenario,
    exchange: &Exchange,
    replies: &BTreeMap<String, Vec<u8>>,
    now: Now,
) -> Result<Option<(String, String)>> {
    let Some(approval) = &exchange.approval else { return Ok(None) };
    let of = &approval.challenge_of;
    let reply = replies.get(of).ok_or_else(|| anyhow!("{of} was forwarded, so it holds no challenge"))?;
    let minted = scenario.mint_approval(approval, reply, now).with_context(|| of.clone())?;
    Ok(Some((APPROVAL_HEADER.to_owned(), minted)))
}

/// The status and headers of a response with what a filter added.
pub(super) fn response_seen(response: &Response, added: &[(String, String)]) -> Vec<(String, String)> {
    response.headers.iter().chain(added).cloned().collect()
}
