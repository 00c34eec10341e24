//! What a case wants, what an evaluation gave, and whether the two are the same.

use remit_core::policy::Document;
use serde_json::{Value, json};

use super::read::Case;

/// What came of an evaluation, in the terms that OPA and Remit share.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// A value; sets are sorted arrays.
    Value(Value),
    /// No value.
    Undefined,
    /// Two values at once.
    Conflict,
    /// Any other error.
    Error(String),
}

/// What a case wants of Remit, which treats errors of builtins as OPA does without its strict mode.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// Exactly this.
    Exactly(Outcome),
    /// What OPA says when it is asked without its strict mode.
    AskOpa,
    /// That it does not load.
    Refused,
}

impl Case {
    /// The term whose value is asked for: `data.p.q` in `data.p.q = x`.
    #[must_use]
    pub fn plain(&self) -> Option<(&str, &str)> {
        let (term, name) = self.query.trim().split_once(" = ")?;
        let is_name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_path = term.starts_with("data.") && term.split('.').all(is_name);
        let is_variable = !["input", "data"].contains(&name);
        (is_path && is_name(name) && is_variable && name.starts_with(|c: char| c.is_ascii_lowercase()))
            .then_some((term, name))
    }

    /// The names that the answers bind.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let first = self.want_result.as_ref().and_then(|answers| answers.first());
        let bindings = first.and_then(Value::as_object);
        bindings.map(|bindings| bindings.keys().cloned().collect()).unwrap_or_default()
    }

    /// What is wanted of the policy that [`super::load`] makes.
    #[must_use]
    pub fn want(&self) -> Want {
        // Remit's input is never undefined.
        let lacks_input = self.input.is_none()
            && self.input_term.is_none()
            && self.modules.iter().chain([&self.query]).any(|text| text.contains("input"));
        if self.strict_error || lacks_input {
            return Want::AskOpa;
        }
        match self.want_error_code.as_deref() {
            Some("eval_conflict_error") => return Want::Exactly(Outcome::Conflict),
            Some("eval_builtin_error" | "eval_type_error") => {
                return Want::Exactly(Outcome::Error(String::new()));
            }
            Some(_) => return Want::Refused,
            None if self.want_error.is_some() => return Want::Refused,
            None => {}
        }
        let Some(answers) = &self.want_result else {
            return Want::AskOpa;
        };
        Want::Exactly(match self.plain() {
            Some((_, name)) => match answers.as_slice() {
                [] => Outcome::Undefined,
                [one] => Outcome::Value(one.get(name).cloned().unwrap_or_default()),
                _ => Outcome::Value(json!(answers)),
            },
            None => Outcome::Value(json!(answers)),
        })
    }
}

impl Outcome {
    /// Whether two outcomes are the same, numbers by their value and errors by their kind.
    #[must_use]
    pub fn agrees(&self, other: &Self, case: &Case) -> bool {
        match (self, other) {
            (Self::Value(a), Self::Value(b)) => {
                comparable(a, case.sort_bindings) == comparable(b, case.sort_bindings)
                    || (case.plain().is_none() && comparable(a, true) == comparable(b, true))
            }
            (Self::Error(_), Self::Error(_)) => true,
            (a, b) => a == b,
        }
    }
}

/// In a form that compares as Rego does.
fn comparable(value: &Value, sorts: bool) -> Document {
    let mut value = value.clone();
    if sorts {
        sort(&mut value);
    }
    Document::from_json(&value)
}

fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            items.sort_by_cached_key(Document::from_json);
        }
        Value::Object(fields) => fields.values_mut().for_each(sort),
        _ => {}
    }
}
