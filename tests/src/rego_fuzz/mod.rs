//! Generated policies on Remit's two evaluators and on OPA: a difference is a fault of ours.

mod calls;
mod dice;
mod generate;
mod oracle;
mod words;

use std::time::Duration;

use remit_core::bundle::{Bundle, BundleLimits};
use remit_core::policy::{Document, EngineKind, EvaluationBudget, EvaluationError, Policy, PolicyLimits};
use serde_json::Value;

use crate::opa_cases::Outcome;

pub use calls::{Builtin, Called, builtins};
pub use generate::{Case, case, data, mutated};
pub use oracle::Server;

/// A policy and an input that Remit and OPA differ on.
#[derive(Debug)]
pub struct Difference {
    /// The module.
    pub policy: String,
    /// The input.
    pub input: Value,
    /// By OPA.
    pub opa: Outcome,
    /// By the bytecode, where it serves the policy.
    pub bytecode: Option<Outcome>,
    /// By the interpreter.
    pub interpreter: Outcome,
}

/// Loads a generated policy.
///
/// # Errors
/// Why Remit refuses it.
pub fn load(policy: &str) -> anyhow::Result<Policy> {
    let files = [("fuzz.rego", policy.as_bytes().to_vec()), ("data.json", data().to_string().into_bytes())];
    let bundle = Bundle::from_files(files, &BundleLimits::default())?;
    Ok(Policy::compile(&bundle, "fuzz/decision", &PolicyLimits::default())?)
}

/// Evaluates a policy on one input by one evaluator.
#[must_use]
pub fn decide(policy: &Policy, input: &Value) -> Outcome {
    decide_on(policy, Document::from_json(input))
}

/// The same on an input in the evaluator's own form.
#[must_use]
pub fn decide_on(policy: &Policy, input: Document) -> Outcome {
    let budget = EvaluationBudget {
        instructions: 10_000_000,
        time: Duration::from_secs(30),
        ..EvaluationBudget::default()
    };
    match policy.evaluate(input, &budget) {
        Ok(evaluated) => {
            evaluated.value.to_json().map_or_else(|| Outcome::Error("no JSON".to_owned()), Outcome::Value)
        }
        Err(EvaluationError::Undefined) => Outcome::Undefined,
        Err(EvaluationError::Conflict { .. }) => Outcome::Conflict,
        Err(error) => Outcome::Error(error.to_string()),
    }
}

/// What the comparison of one case came to.
#[derive(Debug, Default)]
pub struct Compared {
    /// Why OPA refuses the policy.
    pub refused_by_opa: Option<String>,
    /// Why Remit does.
    pub refused_by_remit: Option<anyhow::Error>,
    /// Whether the bytecode served it.
    pub by_bytecode: bool,
    /// On how many inputs a function of two definitions, or a rule of two that is evaluated beneath a `with`, has two values
    /// here, and OPA may not have met both: an error in place of what OPA gives, as the manual says.
    pub not_met: u64,
    /// On how many inputs OPA reports two values at once, and both evaluators here do so or end otherwise.
    pub conflicts: u64,
    /// The inputs on which the two differ.
    pub differences: Vec<Difference>,
}

/// Compares one case.
///
/// # Errors
/// When OPA does not answer.
pub fn compare(case: &Case, opa: &mut Server) -> anyhow::Result<Compared> {
    let mut compared = Compared::default();
    if let Err(why) = opa.load(&case.policy)? {
        compared.refused_by_opa = Some(why);
        return Ok(compared);
    }
    let policy = match load(&case.policy) {
        Ok(policy) => policy,
        Err(why) => {
            compared.refused_by_remit = Some(why);
            return Ok(compared);
        }
    };
    compared.by_bytecode = policy.engine() == EngineKind::Bytecode;
    let by_bytecode: Vec<_> =
        case.inputs.iter().map(|input| compared.by_bytecode.then(|| decide(&policy, input))).collect();
    let policy = policy.interpreted();
    for (input, bytecode) in case.inputs.iter().zip(by_bytecode) {
        let wanted = opa.decide(input)?;
        // OPA's own faults are not ours to have.
        if matches!(&wanted, Outcome::Error(text) if text.contains("eval_internal_error")) {
            continue;
        }
        let interpreter = decide(&policy, input);
        if wanted == Outcome::Conflict {
            compared.conflicts = compared.conflicts.saturating_add(1);
        }
        // OPA evaluates a body in an order of its own, and meets something undefined before the conflict of another rule.
        // Where the interpreter meets it first as well, the two evaluators disagree, which is an error.
        let meets_first = |got: &Outcome| {
            is_disagreement(got)
                || matches!((&wanted, got), (Outcome::Undefined | Outcome::Value(_), Outcome::Conflict))
        };
        if [Some(&interpreter), bytecode.as_ref()].into_iter().flatten().any(meets_first)
            && opa.conflicts(input)?
        {
            continue;
        }
        // A conflict of a function, or beneath a `with`, shows in no rule of the package, so OPA cannot be asked for it.
        let is_conflict = |got: &Outcome| matches!(got, Outcome::Conflict);
        if is_conflict(&interpreter)
            && bytecode.as_ref().is_none_or(is_conflict)
            && matches!(wanted, Outcome::Undefined | Outcome::Value(_))
            && conflicts_unseen(&case.policy)
        {
            compared.not_met = compared.not_met.saturating_add(1);
            continue;
        }
        if !same(&wanted, &interpreter) || bytecode.as_ref().is_some_and(|got| !same(&wanted, got)) {
            let (policy, input) = (case.policy.clone(), input.clone());
            compared.differences.push(Difference { policy, input, opa: wanted, bytecode, interpreter });
        }
    }
    Ok(compared)
}

fn is_disagreement(got: &Outcome) -> bool {
    matches!(got, Outcome::Error(text) if *text == EvaluationError::Disagreement.to_string())
}

/// Whether something could have two values, and no rule of the package says when: a function of two definitions that are no default, or
/// of one that runs over something, or a rule of two that may be evaluated beneath a `with`.
fn conflicts_unseen(policy: &str) -> bool {
    let runs = |block: &str| {
        let is_function =
            block.starts_with('f') && block.lines().next().is_some_and(|line| line.contains("(p, q) := "));
        is_function && (block.contains("some ") || block.contains("[_]"))
    };
    if policy.split("\n\n").any(runs) {
        return true;
    }
    let defined = |line: &str| line.split_once(" := ").map(|(name, _)| name.to_owned());
    let names: Vec<String> = policy.lines().filter_map(defined).collect();
    let is_asked = |name: &str| name.starts_with('f') && name.ends_with("(p, q)");
    let is_replaced = |name: &str| name.starts_with('r') && policy.contains(" with ");
    names.iter().enumerate().any(|(at, name)| {
        (is_asked(name) || is_replaced(name)) && names.iter().take(at).any(|other| other == name)
    })
}

/// Whether OPA's outcome and ours are alike.
#[must_use]
pub fn same(a: &Outcome, b: &Outcome) -> bool {
    match (a, b) {
        (Outcome::Value(a), Outcome::Value(b)) => Document::from_json(a) == Document::from_json(b),
        // Two values at once are an error, and another one denies as well.
        (Outcome::Error(_) | Outcome::Conflict, Outcome::Error(_)) => true,
        (a, b) => a == b,
    }
}
