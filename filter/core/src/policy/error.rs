//! Why a policy is refused when it loads, and why an evaluation gives no value.

use super::place::Place;
use crate::bundle::RegoVersion;

/// Why a policy does not load.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The Rego does not parse.
    #[error("{at}: {message}")]
    Syntax {
        /// Where.
        at: Place,
        /// What the parser says, on one line.
        message: String,
    },
    /// The modules parse, and do not make a policy together: an unsafe variable, a conflict of rules.
    #[error("{at}: {message}")]
    Analysis {
        /// Where; the start of the bundle when the analysis does not say.
        at: Place,
        /// What the analysis says, on one line.
        message: String,
    },
    /// A package that the roots of the bundle's manifest do not cover.
    #[error("{at}: package {package} is outside the roots of the bundle's manifest")]
    PackageOutsideRoots {
        /// The package clause.
        at: Place,
        /// The package.
        package: String,
    },
    /// The decision's path is not made of identifiers.
    #[error(
        "decision path {path:?} names no rule: write its package and its name, joined by `/`, as in remit/authz/decision"
    )]
    DecisionPath {
        /// The path as configured.
        path: String,
    },
    /// No rule has the decision's path.
    #[error("the bundle has no rule {path:?}")]
    NoDecision {
        /// The path as configured.
        path: String,
    },
    /// A call of a builtin that Remit does not serve, or of a function that does not exist.
    #[error("{at}: {name} {refusal}")]
    Builtin {
        /// The call.
        at: Place,
        /// The function's name.
        name: String,
        /// Why it is not served.
        refusal: super::builtins::Refusal,
    },
    /// A call of `http.send` that cannot be made.
    #[error("{at}: http.send: {problem}")]
    HttpSend {
        /// The call, or the field of its argument.
        at: Place,
        /// What is wrong.
        problem: String,
    },
    /// A call of `http.send` to a host that the configuration does not name.
    #[error("{at}: http.send: {host} is not among the hosts of builtins.http_send")]
    HttpHost {
        /// The URL.
        at: Place,
        /// `host:port`.
        host: String,
    },
    /// An expression is nested so deep that reading it would take too long, or more than the stack.
    #[error("{at}: {fault}")]
    Nested {
        /// The first that is too deep.
        at: Place,
        /// What there is too much of.
        fault: super::nesting::NestingFault,
    },
    /// A part of Rego that the evaluators would read differently from OPA.
    #[error("{at}: {construct}")]
    Construct {
        /// Where.
        at: Place,
        /// Which.
        construct: super::refused::Construct,
    },
    /// A call with the wrong number of arguments.
    #[error("{at}: {name} takes {expected} arguments and is given {given}")]
    Arity {
        /// The call.
        at: Place,
        /// The function's name.
        name: String,
        /// How many the function has.
        expected: usize,
        /// How many the call has.
        given: usize,
    },
    /// A rule that depends on itself.
    #[error("{at}: rule {rule} is recursive: {cycle}")]
    Recursion {
        /// A definition of the rule.
        at: Place,
        /// The rule.
        rule: String,
        /// The way back to the rule.
        cycle: String,
    },
    /// Rules that call rules deeper than the stack of a module allows.
    #[error("{at}: rules call each other more than {limit} deep from {rule}")]
    TooDeep {
        /// A definition of the rule where the chain starts.
        at: Place,
        /// The rule.
        rule: String,
        /// The limit in force.
        limit: usize,
    },
    /// A `reason_code` in an annotation that is not a reason code.
    #[error("{at}: {code:?} is not a reason code: a-z, 0-9 and _, starting with a letter, 64 at most")]
    ReasonCode {
        /// The annotation's line.
        at: Place,
        /// What it says.
        code: String,
    },
    /// A rule and the bundle's data have a value for the same path.
    #[error("the bundle's data and its rules overlap: {message}")]
    RuleDataConflict {
        /// What the evaluator says.
        message: String,
    },
    /// The modules are larger than allowed.
    #[error("{file}: more than the limit of {limit} bytes of Rego")]
    TooLarge {
        /// The module.
        file: String,
        /// The limit in force.
        limit: usize,
    },
    /// More than one of these.
    #[error("{}", joined(.problems, *.more))]
    Several {
        /// In the order of their places; never one of these itself.
        problems: Vec<Self>,
        /// How many there are besides.
        more: usize,
    },
}

impl PolicyError {
    /// The problems one by one.
    #[must_use]
    pub fn each(&self) -> &[Self] {
        match self {
            Self::Several { problems, .. } => problems,
            one => std::slice::from_ref(one),
        }
    }

    /// Where it is, if it is in one place.
    #[must_use]
    pub fn at(&self) -> Option<&Place> {
        match self {
            Self::Syntax { at, .. }
            | Self::Analysis { at, .. }
            | Self::PackageOutsideRoots { at, .. }
            | Self::Builtin { at, .. }
            | Self::HttpSend { at, .. }
            | Self::HttpHost { at, .. }
            | Self::Nested { at, .. }
            | Self::Construct { at, .. }
            | Self::Arity { at, .. }
            | Self::Recursion { at, .. }
            | Self::TooDeep { at, .. }
            | Self::ReasonCode { at, .. } => Some(at),
            Self::DecisionPath { .. }
            | Self::NoDecision { .. }
            | Self::RuleDataConflict { .. }
            | Self::TooLarge { .. }
            | Self::Several { .. } => None,
        }
    }

    /// The hint that an old bundle needs: what parses as Rego v0 only.
    #[must_use]
    pub fn hint(&self, version: RegoVersion) -> Option<&'static str> {
        matches!((self, version), (Self::Syntax { .. }, RegoVersion::V1))
            .then_some("for Rego from before OPA 1.0 say \"rego_version\": 0 in .manifest")
    }
}

fn joined(problems: &[PolicyError], more: usize) -> String {
    let mut all: Vec<String> = problems.iter().map(ToString::to_string).collect();
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join("; ")
}

/// Why an evaluation gives no value. Every one of them has to become a denial.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// No definition of the decision holds, and it has no default.
    #[error("the decision is undefined")]
    Undefined,
    /// Two definitions that hold give different values.
    #[error("{at}: {message}")]
    Conflict {
        /// The definition that came second.
        at: Place,
        /// What the evaluator says.
        message: String,
    },
    /// More instructions than allowed.
    #[error("the policy ran for more than {instructions} instructions")]
    BudgetExhausted {
        /// The limit in force.
        instructions: usize,
    },
    /// More time than allowed.
    #[error("the policy ran for more than {milliseconds} ms")]
    TimeExhausted {
        /// The limit in force.
        milliseconds: u128,
    },
    /// Builtins would make more than allowed.
    #[error("the policy makes values of more than {bytes} bytes")]
    MemoryExhausted {
        /// The limit in force.
        bytes: usize,
    },
    /// A number larger than any double.
    #[error("a number overflows")]
    Overflow,
    /// regorus' two evaluators do not agree; neither is believed.
    #[error("the bytecode finds the decision undefined and the interpreter does not")]
    Disagreement,
    /// A call of `http.send` went wrong, and the policy does not take errors (`raise_error`).
    #[error("http.send: {message}")]
    HttpSend {
        /// What went wrong, without the URL's query.
        message: String,
    },
    /// More calls of `http.send` than allowed.
    #[error("the policy makes more than {limit} calls of http.send")]
    HttpCalls {
        /// The limit in force.
        limit: usize,
    },
    /// No failure: a call has to be made first, see [`super::Surroundings::wanted`].
    #[error("an answer to http.send is missing")]
    Waiting,
    /// Anything else that the evaluator gives up on.
    #[error("the policy failed: {message}")]
    Failed {
        /// Where, when the evaluator says so.
        at: Option<Place>,
        /// What the evaluator says, on one line.
        message: String,
    },
}

impl EvaluationError {
    /// Whether the evaluation came to the end of its budget.
    #[must_use]
    pub fn is_exhaustion(&self) -> bool {
        matches!(
            self,
            Self::BudgetExhausted { .. } | Self::TimeExhausted { .. } | Self::MemoryExhausted { .. }
        )
    }
}
