//! Which evaluator serves a policy, and why.

use std::fmt;

use super::place::Place;
use super::risks::Unseen;

/// Which of regorus' evaluators serves a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineKind {
    /// The bytecode machine.
    Bytecode,
    /// The interpreter, some five times slower and without a count of instructions.
    Interpreter {
        /// What in the policy asks for it.
        why: Fallback,
    },
}

/// What only the interpreter can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallback {
    /// The bytecode compiler does not support a construct, such as `with`.
    Unsupported {
        /// Where, when the compiler says so.
        at: Option<Place>,
        /// What the compiler says.
        message: String,
    },
    /// The bytecode machine would pass over an error here.
    Unseen {
        /// The definition, the comprehension or the operator.
        at: Place,
        /// Which error.
        what: Unseen,
    },
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported { at: Some(at), message } => write!(f, "{at}: {message}"),
            Self::Unsupported { at: None, message } => f.write_str(message),
            Self::Unseen { at, what } => write!(f, "{at}: {what}"),
        }
    }
}
