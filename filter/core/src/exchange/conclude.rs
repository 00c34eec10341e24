//! The end of an exchange: its effect, its audit record and what metrics count. Every failure ends here.

use serde_json::Value;

use super::{Exchange, KeyWait, Shadow, Step};
use crate::action::ActionError;
use crate::approval::ApprovalError;
use crate::audit::AuditRecord;
use crate::body::BodyError;
use crate::config::Mode;
use crate::decision::{Challenge, Decision, Outcome, Unexplained};
use crate::delegation::DelegationError;
use crate::effect::{self, Credential, Effect, Telling};
use crate::engine::Engine;
use crate::ids::{Now, ReasonCode};
use crate::reason;
use crate::request::RequestError;
use crate::revocation::Revoked;
use crate::token::{Scheme, TokenError};

/// What an exchange ends with. The shell writes the record before it carries out the effect.
#[derive(Debug)]
pub struct Conclusion {
    /// What the shell does.
    pub effect: Effect,
    /// What is recorded.
    pub record: AuditRecord,
    /// What is counted.
    pub counted: Counted,
    /// Whether the decision was put into effect.
    pub enforced: bool,
    /// The decision, for metrics.
    pub outcome: Outcome,
    /// Its reasons, for metrics.
    pub reasons: Vec<ReasonCode>,
    /// What the policy gave for the access log.
    pub metadata: Option<Value>,
    /// What the policy printed, for the proxy's log.
    pub lines: Vec<String>,
}

/// What is counted apart from the decision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Whether the token was found in the cache; `None` when there was none to look up.
    pub token_cached: Option<bool>,
    /// Whether the decision on an equal input was still known; `None` where decisions are not remembered.
    pub decision_remembered: Option<bool>,
    /// What became of a wait for keys, if one was called for.
    pub key_wait: Option<KeyWait>,
    /// Whether the agent is registered; `None` where no agent or no bundle is known.
    pub registered: Option<bool>,
    /// Whether the policy was evaluated.
    pub evaluated: bool,
    /// Whether the body was over the limit and the policy decided without it.
    pub truncated: bool,
    /// Whether the pipeline came to no decision of the policy's.
    pub failed: bool,
    /// Why it is not known which rules denied.
    pub unexplained: Option<Unexplained>,
    /// What the candidate would have decided, where it was asked.
    pub candidate: Option<Shadow>,
    pub(super) detail: Option<String>,
}

/// A request that ends before the policy is asked.
#[derive(Debug)]
pub(super) struct Refusal {
    reason: ReasonCode,
    status: u16,
    credential: Option<Credential>,
    challenge: Option<Challenge>,
    detail: Option<String>,
    /// The detail is about what the client sent, and the client may know it.
    told: bool,
}

impl Refusal {
    pub(super) fn of(reason: ReasonCode, status: u16) -> Self {
        Self { reason, status, credential: None, challenge: None, detail: None, told: false }
    }

    pub(super) fn credential(
        reason: ReasonCode,
        status: u16,
        credential: Credential,
        detail: String,
    ) -> Self {
        Self { credential: Some(credential), detail: Some(detail), ..Self::of(reason, status) }
    }

    /// A denial that tells the client what to come back with.
    pub(super) fn challenging(reason: ReasonCode, status: u16, parameters: String) -> Self {
        Self { challenge: Some(Challenge { parameters, status }), ..Self::of(reason, status) }
    }

    /// The decision that it amounts to.
    pub(super) fn decision(self) -> Decision {
        Decision::deny(self.reason, self.status)
    }

    pub(super) fn bad_request(reason: ReasonCode) -> Self {
        Self::of(reason, 400)
    }

    pub(super) fn state_unavailable() -> Self {
        Self::of(reason::STATE_UNAVAILABLE, 503)
    }

    /// The shell fed an event that nobody asked for. It cannot happen; if it does, it denies.
    pub(super) fn internal() -> Self {
        Self::of(reason::OUT_OF_ORDER, 500)
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let credential = matches!(error, RequestError::TokenAmbiguous).then_some(Credential::Invalid);
        let (detail, told) = (Some(error.to_string()), credential.is_none());
        Self { credential, detail, told, ..Self::of(error.reason(), error.status()) }
    }
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        let credential =
            if matches!(error, TokenError::Missing) { Credential::Missing } else { Credential::Invalid };
        Self::credential(error.reason(), 401, credential, error.to_string())
    }
}

impl From<DelegationError> for Refusal {
    fn from(error: DelegationError) -> Self {
        let (status, credential) =
            if error.is_invalid_token() { (401, Some(Credential::Invalid)) } else { (403, None) };
        Self { credential, detail: Some(error.to_string()), ..Self::of(error.reason(), status) }
    }
}

impl From<Revoked> for Refusal {
    fn from(revoked: Revoked) -> Self {
        let (status, credential) =
            if revoked.is_invalid_token() { (401, Some(Credential::Invalid)) } else { (403, None) };
        Self { credential, detail: Some(revoked.to_string()), ..Self::of(revoked.reason(), status) }
    }
}

impl From<ActionError> for Refusal {
    fn from(error: ActionError) -> Self {
        Self { detail: Some(error.to_string()), told: true, ..Self::of(error.reason(), error.status()) }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        Self { detail: Some(error.to_string()), told: true, ..Self::bad_request(error.reason()) }
    }
}

impl From<ApprovalError> for Refusal {
    fn from(error: ApprovalError) -> Self {
        Self { detail: Some(error.to_string()), ..Self::of(error.reason(), 403) }
    }
}

/// What a client is told besides the decision.
#[derive(Default)]
struct Told {
    challenge: Option<Value>,
    credential: Option<Credential>,
    detail: Option<String>,
}

impl Exchange {
    pub(super) fn refuse(&mut self, engine: &Engine, refusal: Refusal, now: Now) -> Step {
        self.counted.failed = true;
        self.counted.detail = refusal.detail;
        let mut decision = Decision::deny(refusal.reason, refusal.status);
        decision.challenge = refusal.challenge;
        let detail = self.counted.detail.clone().filter(|_| refusal.told);
        let told = Told { credential: refusal.credential, detail, challenge: None };
        self.end(engine, decision, told, engine.config.mode, now)
    }

    /// `Decision` → `Effect` → `AuditRecord`
    pub(super) fn conclude(
        &mut self,
        engine: &Engine,
        mut decision: Decision,
        challenge: Option<Value>,
        now: Now,
    ) -> Step {
        self.counted.failed = decision.is_failure();
        // As opa-envoy-plugin does, for those who come from it and those who read metadata.
        if !self.counted.failed && (self.nameless || decision.metadata.is_some()) {
            let id = Value::from(self.nonce.decision_id());
            decision.metadata.get_or_insert_default().insert("decision_id".to_owned(), id);
        }
        let mode = self.mode(engine);
        self.end(engine, decision, Told { challenge, ..Told::default() }, mode, now)
    }

    /// Whether what the policy decides is enforced. What is refused before it is asked goes by the configuration alone.
    pub(super) fn mode(&self, engine: &Engine) -> Mode {
        let observes = self.bundle.as_ref().is_some_and(|bundle| bundle.observes);
        if observes { Mode::Observe } else { engine.config.mode }
    }

    fn end(&mut self, engine: &Engine, mut decision: Decision, told: Told, mode: Mode, now: Now) -> Step {
        let request = self.request.as_ref();
        let delegation = self.identity.as_ref().map(|identity| &identity.derived.delegation);
        self.counted.unexplained = decision.unexplained;
        let mut record = AuditRecord::of(&decision, self.nonce.decision_id(), mode, now);
        if let Some(request) = request {
            record.requested(request.method(), &request.authority(), &request.target.path);
        }
        if let Some(delegation) = delegation {
            record.delegated(delegation);
        }
        if let Some(txn) = self.txn() {
            record.part_of(txn);
        }
        if let Some(identity) = &self.identity {
            record.authorized_by(identity.derived.audited.clone());
        }
        if self.nameless {
            record.without_token();
        }
        record.registered(self.counted.registered);
        if let Some(action) = &self.action {
            record.acted(action);
        }
        if let Some(body_sha256) = self.body_sha256.take() {
            record.carried(body_sha256);
        }
        if let Some(approval) = &self.approval {
            record.approved(approval.audited());
        }
        if let Some(bundle) = &self.bundle {
            record.decided_by(&bundle.revision, &bundle.revisions);
        }
        if let Some(candidate) = self.candidate.take() {
            record.shadowed(candidate.clone());
            self.counted.candidate = Some(candidate);
        }
        if let Some(detail) = self.counted.detail.take() {
            record.failed(&detail);
        }
        let effect = match decision.permit(mode) {
            Some(permit) => {
                let id = self.nonce.decision_id();
                let own = std::mem::take(&mut self.own_headers);
                // Whose token was presented by somebody else is recorded, and told to nobody.
                let delegation = delegation.filter(|_| self.proven);
                Effect::Forward(effect::forward(permit, &decision, request, own, delegation, id))
            }
            None => {
                let mcp = self.action.as_ref().and_then(|action| {
                    (action.protocol == crate::action::Protocol::Mcp && action.method != "GET")
                        .then_some(action.mcp_id.as_ref())
                });
                let dpop = (self.scheme == Scheme::Dpop).then(|| engine.config.dpop.algs());
                let decision_id = self.nonce.decision_id();
                let Told { challenge, credential, detail } = told;
                let telling = Telling { decision_id, mcp, challenge, credential, detail, dpop };
                let reply = effect::reply(&decision, &telling, engine.config.denials);
                record.replied(reply.status);
                Effect::Reply(reply)
            }
        };
        Step::Done(Box::new(Conclusion {
            effect,
            record,
            counted: std::mem::take(&mut self.counted),
            enforced: decision.is_enforced(mode),
            outcome: decision.outcome,
            reasons: std::mem::take(&mut decision.reasons),
            metadata: decision.metadata.take().map(Value::Object),
            lines: std::mem::take(&mut self.lines),
        }))
    }
}
