//! How much a policy may hold when it loads, and how much one evaluation may cost.

use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::{ExecutionTimerConfig, monotonic_now};

use crate::config::HttpSend;

/// The bounds of a policy's source, and what it may call.
#[derive(Debug, Clone)]
pub struct PolicyLimits {
    /// Bytes of all modules together.
    pub source_bytes: usize,
    /// How deep rules may call each other; each level takes some of the module's stack.
    pub rule_depth: usize,
    /// Whether what the policy prints is wanted; else `print` is taken out of it.
    pub print: bool,
    /// Where `http.send` may go; `None`: a policy that calls it is refused.
    pub http_send: Option<HttpSend>,
}

impl Default for PolicyLimits {
    fn default() -> Self {
        Self { source_bytes: 4 << 20, rule_depth: 64, print: false, http_send: None }
    }
}

/// What one evaluation may cost. The evaluations of a request share its time; each has its own count of instructions, since
/// regorus does not say how many one took, and of bytes, which are free again when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluationBudget {
    /// Instructions of the bytecode; the interpreter counts none.
    pub instructions: usize,
    /// Time on the evaluator's own clock, which it looks at once in 128 steps.
    pub time: Duration,
    /// Bytes of the values that builtins make, kept or not.
    pub bytes: usize,
    /// Signatures that `io.jwt.*` checks: the time that has passed is not looked at during one.
    pub signatures: u32,
    /// The longest token that `io.jwt.*` reads, in bytes.
    pub token_bytes: usize,
    /// The moment on the evaluator's clock from which the time counts; `None`: with the evaluation.
    pub since: Option<Duration>,
}

impl Default for EvaluationBudget {
    fn default() -> Self {
        Self {
            instructions: 100_000,
            time: Duration::from_millis(50),
            bytes: 16 << 20,
            signatures: 32,
            token_bytes: 64 << 10,
            since: None,
        }
    }
}

impl EvaluationBudget {
    /// From now on, unless its time counts already.
    #[must_use]
    pub fn begun(self) -> Self {
        Self { since: self.since.or_else(monotonic_now), ..self }
    }

    /// What is left for a further evaluation, from now on; `None`: nothing. Without a clock, all of it.
    #[must_use]
    pub fn left(&self) -> Option<Self> {
        let now = monotonic_now();
        let spent = self.since.zip(now).map_or(Duration::ZERO, |(since, now)| now.saturating_sub(since));
        let time = self.time.checked_sub(spent).filter(|time| !time.is_zero())?;
        Some(Self { time, since: now, ..*self })
    }

    /// What is left when its time stops counting, which may be no time.
    #[must_use]
    pub fn paused(&self) -> Self {
        let time = self.left().map_or(Duration::ZERO, |left| left.time);
        Self { time, since: None, ..*self }
    }

    pub(super) fn timer(&self) -> ExecutionTimerConfig {
        let check_interval = NonZeroU32::MIN.saturating_add(127);
        ExecutionTimerConfig { limit: self.time, check_interval }
    }
}
