//! Which definitions held: asked for decisions that do not allow, of a second compilation, so that others pay nothing.
//!
//! The decision is evaluated once more, of texts in which each definition that it can reach says what it gives
//! ([`noted`]). So an explanation names what the evaluation went through and nothing else, and costs as much.

mod noted;

use std::collections::{BTreeMap, BTreeSet};

use regorus::{Engine, Value};

use super::document::Document;
use super::engine::{self, Bytecode};
use super::error::EvaluationError;
use super::limits::EvaluationBudget;
use super::place::Place;
use super::survey::Path;
use crate::ordered;
pub(super) use noted::Noted;

/// The most values that one explanation keeps, where they are wanted.
const MAX_VALUES: usize = 4096;

/// A definition that held, or a default that stood in for all others of its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The rule or function, as `data.remit.authz.deny`; of a name with a computed part what is before it.
    pub rule: String,
    /// Where the definition stands in the bundle.
    pub at: Place,
    /// Whether it is a default.
    pub is_default: bool,
    /// Whether what it gave are elements of a set.
    pub is_set: bool,
    /// What it gave, in the order of the evaluation, where that is wanted; nothing of a default. Values may hold what
    /// nobody should read in a log.
    pub given: Vec<Given>,
}

/// What a definition gave once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The rest of its name, from the first part that was computed.
    pub below: Vec<Document>,
    /// The value.
    pub value: Document,
}

/// Which definitions held on an input.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Explanation {
    /// The decision's own first.
    pub held: Vec<Held>,
    /// Why there may be more.
    pub cut: Option<EvaluationError>,
}

/// What definitions say while they are evaluated.
#[derive(Debug, Default)]
pub(super) struct Notes {
    numbers: BTreeSet<usize>,
    /// Number, rest of the name, value.
    values: Option<Vec<(usize, Vec<Value>, Value)>>,
}

impl Notes {
    pub(super) fn with_values() -> Self {
        Self { values: Some(Vec::new()), ..Self::default() }
    }

    /// A definition's number, with the computed parts of its name where it has any, and what it gives.
    pub(super) fn take(&mut self, of: &Value, value: &Value) {
        let number = |value: &Value| usize::try_from(value.as_u64().ok()?).ok();
        let (found, below) = match of {
            Value::Array(parts) => {
                let mut parts = parts.iter();
                (parts.next().and_then(number), parts.cloned().collect())
            }
            other => (number(other), Vec::new()),
        };
        let Some(found) = found else { return };
        self.numbers.insert(found);
        if let Some(values) = self.values.as_mut().filter(|values| values.len() < MAX_VALUES) {
            values.push((found, below, value.clone()));
        }
    }
}

/// What is asked about; the number in its notes is its place in the list.
struct Definition {
    path: Path,
    at: Place,
    is_default: bool,
    is_set: bool,
}

/// What tells which definitions held.
pub(super) struct Explainer {
    pub(super) evaluator: Evaluator,
    definitions: Vec<Definition>,
}

pub(super) enum Evaluator {
    Bytecode(Box<Bytecode>),
    Interpreter(Box<Engine>),
}

impl Explainer {
    pub(super) fn new(evaluator: Evaluator, noted: Noted) -> Self {
        Self { evaluator, definitions: noted.definitions }
    }

    /// Evaluates the decision; what was noted is with what is around it.
    pub(super) fn run(
        &self,
        rule: &str,
        input: Value,
        budget: &EvaluationBudget,
    ) -> Result<(), EvaluationError> {
        match &self.evaluator {
            Evaluator::Bytecode(bytecode) => bytecode.run(input, budget)?,
            Evaluator::Interpreter(engine) => engine::interpret(engine, rule, input, budget)?,
        };
        Ok(())
    }

    /// What the notes mean. Of an evaluation that was cut nobody knows which defaults it would have taken.
    pub(super) fn held(&self, notes: Notes, is_cut: bool) -> Vec<Held> {
        let Notes { numbers, values } = notes;
        let mut given: BTreeMap<usize, Vec<Given>> = BTreeMap::new();
        for (number, below, value) in values.into_iter().flatten() {
            let below = below.into_iter().map(Document).collect();
            given.entry(number).or_default().push(Given { below, value: Document(value) });
        }
        let of = |number: &usize| self.definitions.get(*number);
        // The decision was asked for, whether or not something says so.
        let first = self.definitions.first().map(|first| &first.path);
        let defaults = self.definitions.iter().enumerate().filter(|(_, definition)| definition.is_default);
        let own = defaults.filter(|(_, definition)| Some(&definition.path) == first);
        let numbers: BTreeSet<usize> = ordered::set(own.map(|(number, _)| number).chain(numbers));
        let decided = numbers.iter().filter_map(of).filter(|definition| !definition.is_default);
        let decided: BTreeSet<&Path> = ordered::set(decided.map(|definition| &definition.path));
        let held = numbers.iter().filter_map(|number| Some((number, of(number)?)));
        let held = held.filter(|(_, definition)| {
            !definition.is_default || !is_cut && !decided.contains(&definition.path)
        });
        let held = held.map(|(number, definition)| Held {
            rule: format!("data.{}", definition.path.join(".")),
            at: definition.at.clone(),
            is_default: definition.is_default,
            is_set: definition.is_set,
            given: given.remove(number).filter(|_| !definition.is_default).unwrap_or_default(),
        });
        held.collect()
    }
}

#[cfg(test)]
mod tests;
