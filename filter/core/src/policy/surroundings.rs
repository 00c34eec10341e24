//! What is around an evaluation besides its input: what builtins that look outside go by, and what they leave.

use super::error::EvaluationError;
use crate::ids::Now;

/// What an evaluation may go by besides input and data. One is made for each decision.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// The one instant of the evaluation.
    now: Option<Now>,
    /// Why the evaluation was stopped, if a builtin stopped it.
    stopped: Option<EvaluationError>,
}

impl Surroundings {
    /// With this as the present, however often the policy asks.
    #[must_use]
    pub fn at(now: Now) -> Self {
        Self { now: Some(now), ..Self::default() }
    }

    /// The present, where there is one.
    pub(super) fn now(&self) -> Option<Now> {
        self.now
    }

    /// Ends the evaluation. The first reason stays.
    pub(super) fn stop(&mut self, error: EvaluationError) {
        self.stopped.get_or_insert(error);
    }

    /// Why the evaluation was stopped. A value that it has all the same is not to be believed.
    pub(super) fn take_stop(&mut self) -> Option<EvaluationError> {
        self.stopped.take()
    }
}
