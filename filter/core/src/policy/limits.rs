//! How much a policy may hold when it loads, and how much one evaluation may cost.

use std::num::NonZeroU32;
use std::time::Duration;

use regorus::utils::limits::ExecutionTimerConfig;

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

/// What one evaluation may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EvaluationBudget {
    /// Instructions of the bytecode; the interpreter counts none.
    pub instructions: usize,
    /// Time on the evaluator's own clock, which it looks at once in 128 steps.
    pub time: Duration,
    /// Bytes of the values that builtins make, kept or not.
    pub bytes: usize,
}

impl Default for EvaluationBudget {
    fn default() -> Self {
        Self { instructions: 100_000, time: Duration::from_millis(50), bytes: 16 << 20 }
    }
}

impl EvaluationBudget {
    pub(super) fn timer(&self) -> ExecutionTimerConfig {
        let check_interval = NonZeroU32::MIN.saturating_add(127);
        ExecutionTimerConfig { limit: self.time, check_interval }
    }
}
