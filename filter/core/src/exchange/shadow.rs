//! The candidate: what another policy would have decided on the same request. It changes nothing, whatever it does.

use serde::Serialize;
use serde_json::Value;

use super::{Exchange, Refusal};
use crate::action::{BodyUse, Route};
use crate::decision::{Decision, Outcome};
use crate::engine::{ActiveBundle, Engine};
use crate::ids::{Now, ReasonCode};
use crate::policy::{EvaluationBudget, EvaluationError};
use crate::registry::Registration;

/// Why a candidate was not asked, or not to the end: what the request's evaluations may cost was spent.
const SPENT: &str = "budget_spent";

/// What the candidate would have decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shadow {
    /// Revision of the candidate.
    pub revision: String,
    /// Its outcome; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Its reasons.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<ReasonCode>,
    /// In what it differs from what was decided: `outcome`, `reasons`, `changes` to request or reply. None: in nothing.
    pub differs: Vec<&'static str>,
    /// It came to no decision of its policy's.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// Why it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<&'static str>,
}

impl Shadow {
    /// How it went, for a metric.
    #[must_use]
    pub fn result(&self) -> &'static str {
        match (self.skipped, self.failed, self.differs.is_empty()) {
            (Some(_), ..) => "skipped",
            (None, true, _) => "failed",
            (None, false, true) => "same",
            (None, false, false) => "different",
        }
    }
}

impl Exchange {
    /// Asks the candidate, if there is one and this request is in its sample.
    pub(super) fn shadow(&mut self, engine: &Engine, decision: &Decision, now: Now) {
        let Some(candidate) = engine.candidate().filter(|it| it.samples(self.nonce.sample())) else { return };
        let Some(bundle) = candidate.policy() else { return };
        let other = match self.would_decide(engine, bundle, candidate.has_same_catalog(), now) {
            Ok(other) => other,
            Err(Unasked::Refused(refusal)) => refusal.decision(),
            Err(Unasked::Skipped(why)) => {
                self.candidate = Some(Shadow {
                    revision: bundle.revision.clone(),
                    outcome: None,
                    reasons: Vec::new(),
                    differs: Vec::new(),
                    failed: false,
                    skipped: Some(why),
                });
                return;
            }
        };
        self.candidate = Some(Shadow {
            revision: bundle.revision.clone(),
            outcome: Some(other.outcome),
            differs: differences(decision, &other),
            failed: other.is_failure(),
            reasons: other.reasons,
            skipped: None,
        });
    }

    fn would_decide(
        &self,
        engine: &Engine,
        bundle: &ActiveBundle,
        same_catalog: bool,
        now: Now,
    ) -> Result<Decision, Unasked> {
        self.hold_to_kill_list(bundle)?;
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        let reads = bundle.policy.reads();
        let route = Route::find(request, &bundle.catalog);
        let needed = reads.body || route.body_use(request, reads.arguments) == BodyUse::Meaning;
        // Reading it for the candidate would let the candidate change what becomes of the request.
        if needed && self.body_unread && !self.counted.truncated {
            return Err(Unasked::Skipped("body_unread"));
        }
        let action = if same_catalog {
            None
        } else {
            let body = needed.then_some(self.body.as_slice());
            let action = route.classify(request, body, engine.config.limits.json());
            Some(action.map_err(Refusal::from)?)
        };
        let action = action.as_ref().or(self.action.as_ref()).ok_or_else(Refusal::internal)?;
        let identity = self.identity.as_ref();
        let agent = identity.and_then(|identity| identity.derived.delegation.agent());
        let registration =
            agent.map_or(Registration::Unregistered, |agent| bundle.registry.state(agent, now.seconds()));
        let input = self.asked(engine, bundle, action, registration, bundle.policy.footprint(), now)?;
        let remembers = bundle.remembers(&input, self.counted.token_cached != Some(false));
        if let Some(known) = remembers.as_ref().and_then(|key| bundle.decisions.borrow_mut().find(key)) {
            return Ok(known);
        }
        let own = engine.candidate().map(|candidate| candidate.budget).ok_or_else(Refusal::internal)?;
        let left = match &self.budget {
            Some(budget) => budget.left().ok_or(Unasked::Skipped(SPENT))?,
            None => engine.config.limits.evaluation().begun(),
        };
        let budget = EvaluationBudget { time: left.time.min(own.time), since: left.since, ..own };
        let mut around = self.around(engine, &bundle.policy, now);
        let evaluated = match bundle.policy.evaluate_in(&mut around, input, &budget) {
            Ok(evaluated) => evaluated,
            // The call would be made for the candidate alone, and the request would wait for it.
            Err(EvaluationError::Waiting) => return Err(Unasked::Skipped("http_send")),
            // What the policy in force left for it was less than its own.
            Err(EvaluationError::TimeExhausted { .. }) if budget.time < own.time => {
                return Err(Unasked::Skipped(SPENT));
            }
            Err(error) => return Ok(super::evaluate::failed(&error)),
        };
        let Some(Ok(decision)) = evaluated.value.to_json().map(Decision::from_policy) else {
            return Ok(Decision::deny(crate::reason::DECISION_MALFORMED, 500));
        };
        if let Some(key) = remembers {
            let bytes = key.1.bytes().saturating_add(evaluated.value.bytes());
            bundle.decisions.borrow_mut().keep(key, decision.clone(), bytes);
        }
        Ok(decision)
    }
}

/// Why the candidate's policy was not asked.
enum Unasked {
    /// Under the candidate the request would have ended before.
    Refused(Refusal),
    /// It cannot be asked without changing something.
    Skipped(&'static str),
}

impl From<Refusal> for Unasked {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn differences(decision: &Decision, other: &Decision) -> Vec<&'static str> {
    let changes = |decision: &Decision| {
        let Decision { headers, remove_headers, response_headers, set_query, remove_query, .. } = decision;
        let forward = (headers.clone(), remove_headers.clone(), response_headers.clone());
        let reply = (decision.status, decision.body.clone(), decision.challenge.clone());
        (
            forward,
            set_query.clone(),
            remove_query.clone(),
            reply,
            decision.metadata.clone().map(Value::Object),
        )
    };
    [
        ("outcome", decision.outcome != other.outcome),
        ("reasons", decision.reasons != other.reasons),
        ("changes", changes(decision) != changes(other)),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}
