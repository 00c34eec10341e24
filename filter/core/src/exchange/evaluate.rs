//! `PolicyInput` → `Decision`: what the policy sees, what it says, and what a failure of it becomes.

use super::{Exchange, Refusal};
use crate::body;
use crate::config::{FailureMode, Failures};
use crate::decision::Decision;
use crate::engine::Engine;
use crate::ids::{Now, ReasonCode};
use crate::input::{self, Parts};
use crate::policy::{EvaluationError, Surroundings};
use crate::reason;

impl Exchange {
    pub(super) fn evaluate(&mut self, engine: &Engine, now: Now) -> Result<Decision, Refusal> {
        let bundle = self.bundle.as_ref().ok_or_else(Refusal::internal)?;
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        let identity = self.identity.as_ref();
        let action = self.action.as_ref().ok_or_else(Refusal::internal)?;
        let reads = bundle.policy.reads();
        let contract = &engine.contract;
        let parsed_body = if reads.body && !contract.skips_body {
            let rules = contract.body_rules(&engine.config.limits);
            Some(body::parse(request, &self.body, self.counted.truncated, &rules)?)
        } else {
            None
        };
        let parts = Parts {
            request,
            contract,
            circumstances: &self.circumstances,
            body: &self.body,
            parsed_body,
            truncated: self.counted.truncated,
            transaction: self.transaction.as_ref().map(|transaction| &transaction.derived),
            registration: self.registration,
            action,
            approval: self.approval.as_ref(),
            mode: self.mode(engine),
            id: self.nonce.decision_id(),
            now,
        };
        let asked = input::compose(parts, &reads);
        // Not for a token that is seen for the first time: many are never seen again.
        let seen = self.counted.token_cached == Some(true);
        let remembers =
            identity.filter(|_| seen && reads.repeats()).map(|identity| (identity.serial, asked.clone()));
        if let Some(key) = &remembers {
            let known = bundle.decisions.borrow_mut().find(key);
            self.counted.decision_remembered = Some(known.is_some());
            if let Some(decision) = known {
                return Ok(decision);
            }
        }
        let failures = &engine.config.failures;
        self.counted.evaluated = true;
        let budget = engine.config.limits.evaluation();
        let mut around = Surroundings::at(now);
        let (reason, mode) = match bundle.policy.evaluate_in(
            &mut around,
            asked.of(
                identity.map(|identity| &identity.derived),
                identity.filter(|_| reads.claims).map(|identity| identity.token.claims()),
                reads.moment.then_some(now),
            ),
            &budget,
        ) {
            Ok(evaluated) => match evaluated.value.to_json().map(Decision::from_policy) {
                Some(Ok(decision)) => {
                    if let Some(key) = remembers {
                        let bytes = key.1.bytes().saturating_add(evaluated.value.bytes());
                        bundle.decisions.borrow_mut().keep(key, decision.clone(), bytes);
                    }
                    return Ok(decision);
                }
                _ => (reason::DECISION_MALFORMED, failures.evaluation),
            },
            Err(error) => {
                let (reason, mode) = failure(&error, failures);
                self.counted.detail = Some(error.to_string());
                (reason, mode)
            }
        };
        Ok(Decision::of_failure(reason, mode, 500))
    }
}

fn failure(error: &EvaluationError, failures: &Failures) -> (ReasonCode, FailureMode) {
    match error {
        EvaluationError::Undefined => (reason::DECISION_UNDEFINED, failures.evaluation),
        EvaluationError::Conflict { .. } => (reason::DECISION_CONFLICT, failures.evaluation),
        EvaluationError::BudgetExhausted { .. } => {
            (reason::INSTRUCTIONS_EXHAUSTED, failures.budget_exhausted)
        }
        EvaluationError::TimeExhausted { .. } => (reason::TIME_EXHAUSTED, failures.budget_exhausted),
        EvaluationError::Overflow | EvaluationError::Disagreement | EvaluationError::Failed { .. } => {
            (reason::EVALUATION_FAILED, failures.evaluation)
        }
    }
}
