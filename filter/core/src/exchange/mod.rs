//! One request from its first header to its effect: events in, steps out. The pipeline of the design, top to bottom.

mod approve;
mod conclude;
mod evaluate;
mod event;
mod key_wait;
mod possession;
mod shadow;
#[cfg(test)]
mod tests;
mod transaction;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::action::{Action, BodyUse, Route};
use crate::approval::{Approval, Binding};
use crate::audit;
use crate::config::{BodyTooLarge, PathAmbiguous, TokenMissing};
use crate::decision::Decision;
use crate::dpop::{Mark, Proof};
use crate::engine::{ActiveBundle, Engine};
use crate::ids::{Now, UnixSeconds};
use crate::input::Identity;
use crate::policy::EvaluationBudget;
use crate::reason;
use crate::registry::Registration;
use crate::request::{Circumstances, Reading, RequestView, is_own};
use crate::token::{CachedToken, Scheme, TokenError, Unverified, VerifiedToken};

pub use conclude::{Conclusion, Counted};
pub use event::{Body, Event, Need, Nonce, SignatureQuestion, Step, Stored};
pub use key_wait::KeyWait;
pub use shadow::Shadow;

use conclude::Refusal;
use evaluate::{Asking, Evaluation};
use key_wait::Awaiting;
use transaction::TXN_TOKEN_HEADER;

/// A request on its way through the pipeline.
pub struct Exchange {
    nonce: Nonce,
    stage: Stage,
    /// The bundle that was in force when the request came: a reload does not change the rules under its feet.
    bundle: Option<Rc<ActiveBundle>>,
    request: Option<RequestView>,
    /// The client's own copies of headers that only the filter may send: never forwarded, come what may.
    own_headers: Vec<String>,
    circumstances: Circumstances,
    scheme: Scheme,
    /// The policy is to decide although no token came along.
    nameless: bool,
    /// Of a verified token, from then on; whether its bearer may use it is settled in [`Exchange::possess`].
    identity: Option<Arc<CachedToken<Identity>>>,
    /// Whether whoever sent it has shown everything that the token asks of its bearer.
    proven: bool,
    /// When the proof was made that came with a hop list.
    hop_proof: Option<UnixSeconds>,
    /// The transaction token that came along with an access token.
    transaction: Option<Arc<CachedToken<Identity>>>,
    registration: Registration,
    action: Option<Action>,
    body: Vec<u8>,
    body_sha256: Option<String>,
    /// There is a body, and nobody read it.
    body_unread: bool,
    binding: Option<Binding>,
    approval: Option<Approval>,
    /// The token that the approval was read from.
    approval_token: Option<Box<VerifiedToken>>,
    /// Keys were waited for just now: what is still missing stays missing.
    has_waited: bool,
    /// All waits of a request together are no longer than the first may be.
    keys_until: Option<Now>,
    /// What the evaluations may cost together, from the first one on.
    budget: Option<EvaluationBudget>,
    /// What the policy printed, where that is wanted.
    lines: Vec<String>,
    /// What the candidate would have decided.
    candidate: Option<Shadow>,
    counted: Counted,
}

impl fmt::Debug for Exchange {
    /// Without headers, body and tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("id", &self.nonce.decision_id()).finish_non_exhaustive()
    }
}

/// What the exchange waits for.
enum Stage {
    Headers,
    Keys(Box<Awaiting>),
    TokenSignature(Box<Unverified>, String),
    /// The client's certificate, which the token is bound to.
    Certificate,
    ProofSignature(Box<Proof>),
    /// The slot that the proof has to be marked as used in.
    ProofSlot(Mark, u32),
    ProofSpent(Mark, u32),
    Body,
    /// An answer that the policy asked for.
    Answer(Box<Asking>),
    ApprovalSignature(Box<Unverified>, String),
    /// The slot with the challenge that the approval answers, before the policy decides.
    ApprovedChallenge,
    /// The slot again, after a race was lost: the decision stands, the challenge is still to be spent.
    Spending(Box<Decision>, u32),
    Spent(Box<Decision>, u32),
    /// The slot for a new challenge.
    Opening(Box<Decision>, u32),
    Opened(Box<Decision>, u32, crate::approval::Opened),
    Over,
}

impl Exchange {
    /// A request of which nothing is known yet.
    #[must_use]
    pub fn new(nonce: Nonce) -> Self {
        Self {
            nonce,
            stage: Stage::Headers,
            bundle: None,
            request: None,
            own_headers: Vec::new(),
            circumstances: Circumstances::default(),
            scheme: Scheme::Bearer,
            nameless: false,
            identity: None,
            proven: false,
            hop_proof: None,
            transaction: None,
            registration: Registration::Unregistered,
            action: None,
            body: Vec::new(),
            body_sha256: None,
            body_unread: false,
            binding: None,
            approval: None,
            approval_token: None,
            has_waited: false,
            keys_until: None,
            budget: None,
            lines: Vec::new(),
            candidate: None,
            counted: Counted::default(),
        }
    }

    /// Takes an event to the next step. Every error on the way becomes a conclusion, in [`Refusal`]'s one place.
    pub fn advance(&mut self, engine: &mut Engine, event: Event, now: Now) -> Step {
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let next = match (stage, event) {
            (Stage::Headers, Event::Headers { pairs, ends, circumstances }) => {
                self.circumstances = circumstances;
                self.parse(engine, pairs, ends, now)
            }
            (Stage::Keys(awaiting), Event::Keys { circumstances }) => {
                // The bundle that came meanwhile may read what the one before did not.
                self.circumstances = circumstances;
                self.keys_answered(engine, *awaiting, now)
            }
            (Stage::TokenSignature(unverified, text), Event::Signature(answer)) => {
                self.verify(engine, *unverified, &text, answer, now)
            }
            (Stage::Certificate, Event::Certificate(digest)) => {
                self.compare_certificate(engine, digest.as_deref(), now)
            }
            (Stage::ProofSignature(proof), Event::Signature(answer)) => {
                self.verify_proof(engine, *proof, answer, now)
            }
            (Stage::ProofSlot(mark, tries), Event::State(stored)) => {
                self.spend_proof(engine, mark, stored, tries, now)
            }
            (Stage::ProofSpent(mark, tries), Event::Stored(stored)) => {
                self.after_proof(engine, mark, stored, tries, now)
            }
            (Stage::Answer(asking), Event::HttpReply(reply)) => self.answered(engine, *asking, reply, now),
            (Stage::Body, Event::Body(body)) => self.read_body(engine, body, now),
            (Stage::ApprovalSignature(unverified, text), Event::Signature(answer)) => {
                self.verify_approval(engine, *unverified, &text, answer, now)
            }
            (Stage::ApprovedChallenge, Event::State(stored)) => self.look_up_challenge(engine, stored, now),
            (Stage::Spending(decision, tries), Event::State(stored)) => {
                self.spend(engine, *decision, stored, tries, now)
            }
            (Stage::Spent(decision, tries), Event::Stored(stored)) => {
                self.after_spending(engine, *decision, stored, tries, now)
            }
            (Stage::Opening(decision, tries), Event::State(stored)) => {
                self.open_challenge(engine, *decision, stored, tries, now)
            }
            (Stage::Opened(decision, tries, opened), Event::Stored(stored)) => {
                self.after_opening(engine, *decision, &opened, stored, tries, now)
            }
            _ => Err(Refusal::internal()),
        };
        next.unwrap_or_else(|refusal| self.refuse(engine, refusal, now))
    }

    /// bytes → [`RequestView`]
    fn parse(
        &mut self,
        engine: &mut Engine,
        pairs: Vec<(String, Vec<u8>)>,
        ends: bool,
        now: Now,
    ) -> Result<Step, Refusal> {
        self.own_headers = pairs
            .iter()
            .filter(|(name, _)| is_own(name))
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        let any_authorization = engine.config.issuers.is_empty();
        let any_path = engine.config.failures.path_ambiguous == PathAmbiguous::Decide;
        let reading = Reading { any_authorization, any_path };
        let request = RequestView::parse_as(pairs, ends, &engine.config.limits, reading)?;
        if any_authorization {
            self.request = Some(request);
            return self.come_without_token(engine, now);
        }
        let authorization = request.header("authorization").map(str::to_owned);
        // Beside another token it is read later.
        let alone = authorization.is_none();
        let txn_token = request.header(TXN_TOKEN_HEADER).filter(|_| alone).map(str::to_owned);
        self.request = Some(request);
        match (authorization, txn_token) {
            (Some(authorization), _) => self.present(engine, &authorization, now),
            (None, Some(text)) => self.transact(engine, &text, now),
            (None, None) => self.come_without_token(engine, now),
        }
    }

    /// A request that names nobody, which only a policy that is configured for it decides on.
    fn come_without_token(&mut self, engine: &mut Engine, now: Now) -> Result<Step, Refusal> {
        if engine.config.failures.token_missing != TokenMissing::DecideWithout {
            return Err(TokenError::Missing.into());
        }
        self.nameless = true;
        self.identified(engine, now)
    }

    /// What the request is about, as far as the headers tell, and whether its body is needed.
    fn identified(&mut self, engine: &mut Engine, now: Now) -> Result<Step, Refusal> {
        self.bundle = engine.bundle(now.seconds()).cloned();
        let Some(bundle) = &self.bundle else {
            // What the hops allow is said in the catalog's terms, and who holds them is proven with the action.
            let granted = self.identity.as_ref().is_some_and(|identity| identity.derived.grant.is_some());
            if granted {
                return Err(Refusal::of(reason::NO_BUNDLE, 503));
            }
            let decision = Decision::of_failure(reason::NO_BUNDLE, engine.config.failures.no_bundle, 503);
            return Ok(self.conclude(engine, decision, None, now));
        };
        if self.identity.is_none() && !self.nameless {
            return Err(Refusal::internal());
        }
        let identity = self.identity.as_ref();
        if let Some(agent) = identity.and_then(|identity| identity.derived.delegation.agent()) {
            self.registration = bundle.registry.state(agent, now.seconds());
            self.counted.registered = Some(self.registration == Registration::Registered);
        }
        self.hold_to_kill_list(bundle)?;
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        let reads = bundle.policy.reads();
        let route = Route::find(request, &bundle.catalog);
        let granted = identity.is_some_and(|identity| identity.derived.grant.is_some());
        let means = granted || route.body_use(request, reads.arguments) == BodyUse::Meaning;
        if !means && !reads.body {
            return self.classify(engine, None, false, now);
        }
        if !means && engine.contract.is_stream(request) {
            // As opa-envoy-plugin has it: nothing is cut, there is just nothing that could be parsed.
            return self.classify(engine, None, false, now);
        }
        if request.ends_with_headers {
            return self.classify(engine, Some(Vec::new()), false, now);
        }
        if declared_length(request)?.is_some_and(|length| length > engine.config.limits.body_bytes) {
            return self.read_body(engine, Body::TooLarge, now);
        }
        self.stage = Stage::Body;
        Ok(Step::Need(Need::Body { limit: engine.config.limits.body_bytes }))
    }

    fn read_body(&mut self, engine: &mut Engine, body: Body, now: Now) -> Result<Step, Refusal> {
        match body {
            Body::Whole(bytes) if bytes.len() <= engine.config.limits.body_bytes => {
                let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
                let declared = declared_length(request)?.unwrap_or(bytes.len());
                // A filter before this one may have cut it; a policy is told, an action would be another.
                let cut = declared > bytes.len() && !self.means_something(engine)?;
                if declared != bytes.len() && !cut {
                    return Err(Refusal::bad_request(reason::BODY_LENGTH_MISMATCH));
                }
                self.classify(engine, Some(bytes), false, now)
            }
            Body::Late => Err(Refusal::of(reason::BODY_LATE, 408)),
            Body::Unreadable => Err(Refusal::of(reason::BODY_UNREADABLE, 500)),
            _ if engine.config.failures.body_too_large == BodyTooLarge::DecideWithout => {
                self.classify(engine, None, true, now)
            }
            _ => Err(Refusal::of(reason::BODY_TOO_LARGE, 413)),
        }
    }

    /// Whether the body says what the request means, or what a hop list has to allow.
    fn means_something(&self, engine: &Engine) -> Result<bool, Refusal> {
        let bundle = self.bundle.as_ref().ok_or_else(Refusal::internal)?;
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        let granted = self.identity.as_ref().is_some_and(|identity| identity.derived.grant.is_some());
        let reads = bundle.policy.reads();
        let body_use = Route::find(request, &bundle.catalog).body_use(request, reads.arguments);
        Ok(granted || body_use == BodyUse::Meaning || engine.config.approvals.is_some())
    }

    /// `Delegation` and body → [`Action`]
    fn classify(
        &mut self,
        engine: &mut Engine,
        body: Option<Vec<u8>>,
        truncated: bool,
        now: Now,
    ) -> Result<Step, Refusal> {
        let bundle = self.bundle.clone().ok_or_else(Refusal::internal)?;
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        self.body_sha256 = body.as_deref().map(audit::sha256);
        let route = Route::find(request, &bundle.catalog);
        let action = route.classify(request, body.as_deref(), engine.config.limits.json())?;
        self.body_unread = body.is_none() && !request.ends_with_headers;
        self.body = body.unwrap_or_default();
        self.counted.truncated = truncated;
        self.action = Some(action);
        self.hold_to_grant(engine, now)?;
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        if request.header(crate::request::APPROVAL_HEADER).is_some() {
            return self.present_approval(engine, now);
        }
        self.decide(engine, now)
    }

    /// `PolicyInput` → [`Decision`], and what it asks for besides.
    fn decide(&mut self, engine: &mut Engine, now: Now) -> Result<Step, Refusal> {
        self.still_good(engine, now)?;
        match self.evaluate(engine, now)? {
            Evaluation::Decided(decision) => self.decided(engine, decision, now),
            Evaluation::Asks(asking) => self.ask(engine, asking, now),
        }
    }

    fn decided(&mut self, engine: &mut Engine, decision: Decision, now: Now) -> Result<Step, Refusal> {
        self.shadow(engine, &decision, now);
        if self.approval.is_some() && decision.outcome.allows() {
            return self.begin_spending(engine, decision, 0);
        }
        if decision.outcome == crate::decision::Outcome::RequireApproval && self.approval.is_none() {
            return self.ask_for_approval(engine, decision, now);
        }
        Ok(self.conclude(engine, decision, None, now))
    }
}

/// `content-length` (RFC 9110 section 8.6): digits only.
fn declared_length(request: &RequestView) -> Result<Option<usize>, Refusal> {
    let Some(text) = request.header("content-length") else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse() {
        Ok(length) if digits => Ok(Some(length)),
        _ => Err(Refusal::bad_request(reason::BODY_LENGTH_MISMATCH)),
    }
}
