//! A case as a bundle that Remit loads, and its outcome in the core.

use std::time::Duration;

use remit_core::bundle::{Bundle, BundleLimits};
use remit_core::policy::{
    Document, EngineKind, EvaluationBudget, EvaluationError, Policy, PolicyError, PolicyLimits, Surroundings,
};
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::read::Case;
use crate::world::now;

/// Why a case is not played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Out {
    /// A builtin that is refused when the bundle loads.
    Builtin {
        /// Its name.
        name: String,
        /// The whole message.
        message: String,
    },
    /// A construct that is refused when the bundle loads.
    Refused(String),
}

/// A case that loads.
#[derive(Debug)]
pub struct Loaded {
    policy: Policy,
    input: Value,
}

/// What both evaluators made of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// By the bytecode, where it serves the policy.
    pub bytecode: Option<Outcome>,
    /// By the interpreter.
    pub interpreter: Outcome,
}

/// The module that asks a case's question; the answer is `remit_v`.
#[must_use]
pub(super) fn question(case: &Case, head: &str) -> String {
    let with = case.input_term.as_ref().map(|term| format!(" with input as {term}")).unwrap_or_default();
    let body = match case.plain() {
        Some((term, _)) => format!("remit_v := {term}{with}"),
        None => {
            let bindings: Vec<String> =
                case.names().iter().map(|name| format!("\"{name}\": {name}")).collect();
            format!("remit_v := [{{{}}} | {}]{with}", bindings.join(", "), case.query.trim())
        }
    };
    let if_ = if case.is_v0 { "" } else { "if " };
    format!("package remit_case\n\n{head} {if_}{{ {body} }}\n")
}

/// The files of the bundle.
#[must_use]
pub(super) fn files(case: &Case, question: &str) -> Vec<(String, Vec<u8>)> {
    let version = if case.is_v0 { 0 } else { 1 };
    let mut files = vec![
        (".manifest".to_owned(), json!({ "rego_version": version }).to_string().into_bytes()),
        ("data.json".to_owned(), case.data.to_string().into_bytes()),
        ("case.rego".to_owned(), question.as_bytes().to_vec()),
    ];
    files.extend(
        case.modules.iter().enumerate().map(|(i, text)| (format!("m{i}.rego"), text.clone().into_bytes())),
    );
    files
}

/// Loads a case as Remit would load the bundle.
///
/// # Errors
///
/// See [`Out`].
pub fn load(case: &Case) -> Result<Loaded, Out> {
    let question = question(case, "decision := {\"v\": remit_v}");
    let bundle = Bundle::from_files(files(case, &question), &BundleLimits::default())
        .map_err(|error| Out::Refused(error.to_string()))?;
    let policy =
        Policy::compile(&bundle, "remit_case/decision", &PolicyLimits::default()).map_err(|error| {
            let builtin = error.each().iter().find_map(|one| match one {
                PolicyError::Builtin { name, .. } => Some(name.clone()),
                _ => None,
            });
            match builtin {
                Some(name) => Out::Builtin { name, message: error.to_string() },
                None => Out::Refused(error.to_string()),
            }
        })?;
    Ok(Loaded { policy, input: case.input.clone().unwrap_or_else(|| json!({})) })
}

/// Plays a case on both evaluators of the core.
#[must_use]
pub fn native(loaded: Loaded) -> Played {
    let Loaded { policy, input } = loaded;
    let budget = EvaluationBudget {
        instructions: 10_000_000,
        time: Duration::from_secs(10),
        ..EvaluationBudget::default()
    };
    let run = |policy: &Policy| {
        let input = Document::from_json(&input);
        outcome_of(policy.evaluate_in(&mut Surroundings::at(now()), input, &budget))
    };
    let bytecode = (policy.engine() == EngineKind::Bytecode).then(|| run(&policy));
    Played { bytecode, interpreter: run(&policy.interpreted()) }
}

/// In the terms of [`Outcome`].
#[must_use]
pub fn outcome_of(result: Result<remit_core::policy::Evaluated, EvaluationError>) -> Outcome {
    match result {
        Ok(evaluated) => {
            let value = evaluated.value.to_json().and_then(|value| value.get("v").cloned());
            value.map_or_else(|| Outcome::Error("no JSON".to_owned()), Outcome::Value)
        }
        Err(EvaluationError::Undefined) => Outcome::Undefined,
        Err(EvaluationError::Conflict { .. }) => Outcome::Conflict,
        Err(error) => Outcome::Error(error.to_string()),
    }
}
