//! `PolicyInput` → `Decision`: what the policy sees, what it asks for, what it says, and what a failure of it becomes.

use std::rc::Rc;

use super::event::{Need, Step};
use super::{Exchange, Refusal, Stage};
use crate::action::Action;
use crate::body;
use crate::config::{FailureMode, Failures};
use crate::decision::{DecidedBy, Decision, Unexplained};
use crate::engine::{ActiveBundle, Engine};
use crate::ids::{Now, ReasonCode};
use crate::input::{self, Parts};
use crate::policy::{
    Document, EvaluationBudget, EvaluationError, Footprint, Held, HttpReply, Policy, Surroundings,
};
use crate::reason;
use crate::registry::Registration;

/// The most rules that a record names.
const MAX_RULES: usize = 16;

/// What an evaluation comes to.
#[cfg_attr(
    not(target_family = "wasm"),
    expect(clippy::large_enum_variant, reason = "taken apart where it is returned")
)]
pub(super) enum Evaluation {
    Decided(Decision),
    /// An answer is missing that the policy asks for.
    Asks(Box<Asking>),
}

/// An evaluation that has to wait for an answer.
#[derive(Debug)]
pub(super) struct Asking {
    around: Surroundings,
    input: Document,
    /// Held until the answer is there: others count it.
    place: Option<Rc<()>>,
}

impl Exchange {
    pub(super) fn evaluate(&mut self, engine: &Engine, now: Now) -> Result<Evaluation, Refusal> {
        let bundle = self.bundle.as_ref().ok_or_else(Refusal::internal)?;
        let action = self.action.as_ref().ok_or_else(Refusal::internal)?;
        let input = self.asked(engine, bundle, action, self.registration, bundle.policy.footprint(), now)?;
        let remembers = bundle.remembers(&input, self.counted.token_cached != Some(false));
        if let Some(key) = &remembers {
            let known = bundle.decisions.borrow_mut().find(key);
            self.counted.decision_remembered = Some(known.is_some());
            if let Some(decision) = known {
                return Ok(Evaluation::Decided(decision));
            }
        }
        self.counted.evaluated = true;
        let around = self.around(engine, &bundle.policy, now);
        self.run(engine, around, input, remembers)
    }

    /// What is around an evaluation, as far as the policy looks there.
    pub(super) fn around(&self, engine: &Engine, policy: &Policy, now: Now) -> Surroundings {
        if policy.looks_around() {
            engine.surroundings(now).drawing(self.nonce.lots())
        } else {
            Surroundings::default()
        }
    }

    /// What the policy was asked, put together once more when the exchange is over, with what it does not read: for the tools
    /// of authors. `None` where the request came to no action.
    #[must_use]
    pub fn input(&self, engine: &Engine, now: Now) -> Option<Document> {
        let (bundle, action) = (self.bundle.as_ref()?, self.action.as_ref()?);
        self.asked(engine, bundle, action, self.registration, Footprint::whole(), now).ok()
    }

    /// Evaluates the policy; once, or again with an answer.
    fn run(
        &mut self,
        engine: &Engine,
        mut around: Surroundings,
        input: Document,
        remembers: Option<(u64, Document)>,
    ) -> Result<Evaluation, Refusal> {
        let bundle = self.bundle.as_ref().ok_or_else(Refusal::internal)?;
        // Kept for a second evaluation, and for the explanation; a clone shares.
        let again = input.clone();
        // One for the request: it goes on where a wait interrupted it.
        let budget = self.budget.unwrap_or_else(|| engine.config.limits.evaluation()).begun();
        self.budget = Some(budget);
        let evaluated = bundle.policy.evaluate_in(&mut around, input, &budget);
        if evaluated == Err(EvaluationError::Waiting) {
            self.budget = Some(budget.paused());
            return Ok(Evaluation::Asks(Box::new(Asking { around, input: again, place: None })));
        }
        self.lines = around.take_lines();
        let failures = &engine.config.failures;
        let (reason, mode) = match evaluated {
            Ok(evaluated) => match evaluated.value.to_json().map(Decision::from_policy) {
                Some(Ok(mut decision)) => {
                    if !decision.outcome.allows() {
                        explain(&mut decision, bundle, &mut around, again, &budget);
                    }
                    // With more time its rules may be known the next time.
                    if let Some(key) = remembers.filter(|_| decision.unexplained.is_none()) {
                        let bytes = key.1.bytes().saturating_add(evaluated.value.bytes());
                        bundle.decisions.borrow_mut().keep(key, decision.clone(), bytes);
                    }
                    return Ok(Evaluation::Decided(decision));
                }
                _ => (reason::DECISION_MALFORMED, failures.evaluation),
            },
            Err(mut error) => {
                if let EvaluationError::TimeExhausted { milliseconds } = &mut error {
                    *milliseconds = engine.config.limits.evaluation_ms.into();
                }
                let (reason, mode) = failure(&error, failures);
                self.counted.detail = Some(error.to_string());
                (reason, mode)
            }
        };
        Ok(Evaluation::Decided(Decision::of_failure(reason, mode, 500)))
    }

    /// Has a call made that the policy wants, if there is room for one more request that waits.
    pub(super) fn ask(
        &mut self,
        engine: &mut Engine,
        mut asking: Box<Asking>,
        now: Now,
    ) -> Result<Step, Refusal> {
        asking.place = asking.place.or_else(|| engine.http_wait());
        let Some(call) = asking.around.wanted().filter(|_| asking.place.is_some()).cloned() else {
            let decision =
                Decision::of_failure(reason::HTTP_SEND_BUSY, engine.config.failures.evaluation, 503);
            return self.decided(engine, decision, now);
        };
        self.stage = Stage::Answer(asking);
        Ok(Step::Need(Need::HttpCall(call)))
    }

    /// Takes the answer to the policy.
    pub(super) fn answered(
        &mut self,
        engine: &mut Engine,
        mut asking: Asking,
        reply: HttpReply,
        now: Now,
    ) -> Result<Step, Refusal> {
        // An answer may be long in coming.
        self.still_good(engine, now)?;
        asking.around.take_reply(reply, now);
        if asking.around.wanted().is_some() {
            return self.ask(engine, Box::new(asking), now);
        }
        if self.budget.is_some_and(|budget| budget.time.is_zero()) {
            let mode = engine.config.failures.budget_exhausted;
            return self.decided(engine, Decision::of_failure(reason::TIME_EXHAUSTED, mode, 500), now);
        }
        let Asking { around, input, place } = asking;
        match self.run(engine, around, input, None)? {
            Evaluation::Decided(decision) => self.decided(engine, decision, now),
            Evaluation::Asks(asking) => self.ask(engine, Box::new(Asking { place, ..*asking }), now),
        }
    }

    /// What this policy is asked about the request.
    pub(super) fn asked(
        &self,
        engine: &Engine,
        bundle: &ActiveBundle,
        action: &Action,
        registration: Registration,
        footprint: &Footprint,
        now: Now,
    ) -> Result<Document, Refusal> {
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
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
            identity: self.identity.as_deref(),
            transaction: self.transaction.as_ref().map(|transaction| &transaction.derived),
            registration,
            action,
            approval: self.approval.as_ref(),
            mode: self.mode(engine),
            id: self.nonce.decision_id(),
            now,
        };
        Ok(input::compose(parts, &reads, footprint))
    }
}

/// The denial that a failure is where no setting says otherwise.
pub(super) fn failed(error: &EvaluationError) -> Decision {
    Decision::deny(failure(error, &Failures::default()).0, 500)
}

/// Which rules made the decision, if there is time left to find out.
fn explain(
    decision: &mut Decision,
    bundle: &ActiveBundle,
    around: &mut Surroundings,
    input: Document,
    budget: &EvaluationBudget,
) {
    let Some(left) = budget.left() else {
        decision.unexplained = Some(Unexplained::BudgetSpent);
        return;
    };
    let explanation = bundle.policy.explain(around, input, &left);
    decision.rules = rules(&explanation.held);
    decision.unexplained = explanation
        .cut
        .map(|error| if error.is_exhaustion() { Unexplained::BudgetSpent } else { Unexplained::Failed });
}

/// What is kept of an explanation: names and places, no values.
fn rules(held: &[Held]) -> Vec<DecidedBy> {
    let shown = |held: &Held| DecidedBy {
        rule: if held.is_default { format!("default {}", held.rule) } else { held.rule.clone() },
        at: format!("{}:{}", held.at.file, held.at.line),
    };
    held.iter().take(MAX_RULES).map(shown).collect()
}

fn failure(error: &EvaluationError, failures: &Failures) -> (ReasonCode, FailureMode) {
    match error {
        EvaluationError::Undefined => (reason::DECISION_UNDEFINED, failures.evaluation),
        EvaluationError::Conflict { .. } => (reason::DECISION_CONFLICT, failures.evaluation),
        EvaluationError::BudgetExhausted { .. } => {
            (reason::INSTRUCTIONS_EXHAUSTED, failures.budget_exhausted)
        }
        EvaluationError::TimeExhausted { .. } => (reason::TIME_EXHAUSTED, failures.budget_exhausted),
        EvaluationError::MemoryExhausted { .. } => (reason::MEMORY_EXHAUSTED, failures.budget_exhausted),
        EvaluationError::HttpSend { .. } => (reason::HTTP_SEND_FAILED, failures.evaluation),
        EvaluationError::HttpCalls { .. } => (reason::HTTP_SEND_CALLS, failures.evaluation),
        EvaluationError::Overflow
        | EvaluationError::Disagreement
        | EvaluationError::Waiting
        | EvaluationError::Failed { .. } => (reason::EVALUATION_FAILED, failures.evaluation),
    }
}
