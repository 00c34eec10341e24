//! One evaluation of a decision, told as the policy's author wants it: what it says, and which rules made it say so.

mod report;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use remit_core::bundle::Bundle;
use remit_core::config::{HttpSend, Limits};
use remit_core::engine::bundle_limits;
use remit_core::policy::{
    Document, EngineKind, EvaluationBudget, EvaluationError, Held, Policy, PolicyLimits, Surroundings,
};
use serde_json::{Value, json};

use crate::refused::Refused;
use crate::rego::definitions;

/// What an evaluation may take at the author's desk, where a busy machine is not the policy's doing.
pub(crate) const TIME: Duration = Duration::from_secs(10);

/// A bundle, its limits, and the rule that is asked for.
#[derive(Debug)]
pub struct Subject {
    bundle: Bundle,
    limits: Limits,
    http_send: Option<HttpSend>,
    decision: String,
}

/// What came of it.
#[derive(Debug)]
pub struct Evaluation {
    /// The rule, as `data.remit.authz.decision`.
    pub rule: String,
    /// Which evaluator served.
    pub engine: EngineKind,
    /// Its value.
    pub value: Value,
    /// What held, where that was asked for.
    pub held: Option<Vec<Holding>>,
    /// What the policy printed.
    pub printed: Vec<String>,
}

/// A definition that held, or a default that stood in.
#[derive(Debug, Clone, PartialEq)]
pub struct Holding {
    /// The rule, as `data.remit.authz.deny`.
    pub rule: String,
    /// Path in the bundle.
    pub file: String,
    /// 1-based.
    pub line: u32,
    /// Whether it is a default.
    pub is_default: bool,
    /// What it gave.
    pub value: Option<Value>,
}

impl Subject {
    /// Reads a packed bundle, within the limits of a configuration. The decision is a path, `a/b` or `data.a.b`.
    ///
    /// # Errors
    ///
    /// When the bundle cannot be read.
    pub fn new(archive: &[u8], decision: &str, limits: Limits, http_send: Option<HttpSend>) -> Result<Self> {
        let bundle = Bundle::from_targz(archive, &bundle_limits(&limits)).context("bundle")?;
        Ok(Self { bundle, limits, http_send, decision: path(decision) })
    }

    /// Evaluates the rule on an input.
    ///
    /// # Errors
    ///
    /// When the policy does not load or comes to no value: where, and why.
    pub fn evaluate(&self, input: &Value, around: Surroundings, explain: bool) -> Result<Evaluation> {
        let policy = self.compile(&self.decision)?;
        let rule = format!("data.{}", self.decision.replace('/', "."));
        let mut around = around.with_prints();
        let budget = self.budget();
        let evaluated = policy.evaluate_in(&mut around, Document::from_json(input), &budget);
        let printed = around.take_lines();
        let value = evaluated.map_err(|error| self.told(&rule, &error))?;
        let value = value.value.to_json().ok_or_else(|| anyhow!("{rule}: the value is not JSON"))?;
        let held = if explain {
            let mut around = around.with_values();
            let explanation = policy.explain(&mut around, Document::from_json(input), &budget);
            if let Some(error) = &explanation.cut {
                return Err(self.told(&rule, error));
            }
            Some(explanation.held.iter().map(|held| self.holding(held, input, &mut around)).collect())
        } else {
            None
        };
        Ok(Evaluation { rule, engine: policy.engine(), value, held, printed })
    }

    fn compile(&self, path: &str) -> Result<Policy> {
        let limits = PolicyLimits {
            source_bytes: self.limits.bundle_unpacked_bytes,
            rule_depth: self.limits.rule_depth,
            print: true,
            http_send: self.http_send.clone(),
        };
        Policy::compile(&self.bundle, path, &limits)
            .map_err(|error| anyhow::Error::new(Refused::of(&error, &self.bundle, &[])))
    }

    fn budget(&self) -> EvaluationBudget {
        EvaluationBudget { time: TIME, ..self.limits.evaluation() }
    }

    /// An explanation has no value of a default: that of its rule is the same.
    fn holding(&self, held: &Held, input: &Value, around: &mut Surroundings) -> Holding {
        let value = if held.is_default { self.value_of(&held.rule, input, around) } else { given(held) };
        Holding {
            rule: held.rule.clone(),
            file: held.at.file.clone(),
            line: held.at.line,
            is_default: held.is_default,
            value,
        }
    }

    fn value_of(&self, rule: &str, input: &Value, around: &mut Surroundings) -> Option<Value> {
        let policy = self.compile(&path(rule)).ok()?;
        policy.evaluate_in(around, Document::from_json(input), &self.budget()).ok()?.value.to_json()
    }

    /// An evaluation knows where it failed at a conflict only; else the rule's own definitions are named.
    fn told(&self, rule: &str, error: &EvaluationError) -> anyhow::Error {
        if let EvaluationError::Conflict { .. } = error {
            return anyhow!("{error} ({rule})");
        }
        if let EvaluationError::Failed { at: Some(at), .. } = error {
            return anyhow!("{at}: {error} ({rule})");
        }
        let places: Vec<_> = definitions(&self.bundle)
            .into_iter()
            .filter(|definition| definition.rule == rule)
            .map(|definition| format!("{}:{}", definition.file, definition.line))
            .collect();
        match error {
            EvaluationError::Undefined => anyhow!(
                "{}: {rule} is undefined: no definition of it holds, and it has no default",
                places.join(", ")
            ),
            _ => anyhow!("{}: {rule}: {error}", places.join(", ")),
        }
    }
}

/// What a definition gave: the value, the elements of a set, an object of what stands below its name; of a function that
/// was called with several arguments a list of what it gave.
fn given(held: &Held) -> Option<Value> {
    let mut at = BTreeMap::new();
    for given in &held.given {
        let below = given.below.iter().map(|part| match part.to_json() {
            Some(Value::String(text)) => text,
            other => other.unwrap_or_default().to_string(),
        });
        let values: &mut Vec<Value> = at.entry(below.collect::<Vec<_>>()).or_default();
        let value = given.value.to_json()?;
        if !values.contains(&value) {
            values.push(value);
        }
    }
    let mut whole = Value::Null;
    for (below, mut values) in at {
        let value = match values.as_slice() {
            [_] if !held.is_set => values.remove(0),
            _ => Value::Array(values),
        };
        let mut place = &mut whole;
        for part in below {
            if !place.is_object() {
                *place = json!({});
            }
            place = place.as_object_mut()?.entry(part).or_insert(Value::Null);
        }
        *place = value;
    }
    Some(whole)
}

/// `data.a.b` and `a/b` are the same.
pub(crate) fn path(decision: &str) -> String {
    match decision.strip_prefix("data.") {
        Some(rule) => rule.replace('.', "/"),
        None => decision.trim_matches('/').to_owned(),
    }
}
