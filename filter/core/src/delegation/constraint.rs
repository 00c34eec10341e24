//! Constraints on arguments in a hop list (draft-niyikiza-oauth-attenuating-agent-tokens section 3.4): what each admits, and
//! which one is within which. A constraint that is not known denies.

use serde_json::{Map, Value};

/// Integers beyond this are not exact in every reader.
const MAX_SAFE: f64 = 9_007_199_254_740_992.0;

/// One constraint.
enum Constraint<'c> {
    Wildcard,
    Exact(&'c Value),
    OneOf(&'c [Value]),
    Range { min: f64, max: f64 },
    Subset(&'c [Value]),
}

impl<'c> Constraint<'c> {
    /// `None` for a type or a member that is not known, and for lists of more than `max_items`.
    fn parse(value: &'c Value, max_items: usize) -> Option<Self> {
        let members = value.as_object()?;
        let list = |name: &str| {
            let items = members.get(name)?.as_array()?;
            (!items.is_empty() && items.len() <= max_items).then_some(items.as_slice())
        };
        let (constraint, own) = match members.get("constraint_type")?.as_str()? {
            "wildcard" => (Self::Wildcard, 0_usize),
            "exact" => (Self::Exact(members.get("value")?), 1),
            "one_of" => (Self::OneOf(list("values")?), 1),
            "subset" => (Self::Subset(list("allowed")?), 1),
            "range" => {
                let (min, max) = (members.get("min"), members.get("max"));
                let own = usize::from(min.is_some()).saturating_add(usize::from(max.is_some()));
                let min = min.map_or(Some(-MAX_SAFE), number)?;
                let max = max.map_or(Some(MAX_SAFE), number)?;
                (Self::Range { min, max }, own.max(1))
            }
            _ => return None,
        };
        (members.len() == own.saturating_add(1)).then_some(constraint)
    }

    fn admits(&self, value: &Value) -> bool {
        match self {
            Self::Wildcard => true,
            Self::Exact(only) => value == *only,
            Self::OneOf(values) => values.contains(value),
            Self::Range { min, max } => number(value).is_some_and(|number| (*min..=*max).contains(&number)),
            Self::Subset(allowed) => {
                value.as_array().is_some_and(|items| items.iter().all(|item| allowed.contains(item)))
            }
        }
    }

    /// Whether all that `narrower` admits is admitted here.
    fn covers(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (Self::Wildcard, _) => true,
            (_, Self::Exact(value)) => self.admits(value),
            (_, Self::OneOf(values)) => values.iter().all(|value| self.admits(value)),
            (Self::Range { min, max }, Self::Range { min: low, max: high }) => min <= low && high <= max,
            (Self::Subset(allowed), Self::Subset(fewer)) => fewer.iter().all(|item| allowed.contains(item)),
            _ => false,
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| (-MAX_SAFE..=MAX_SAFE).contains(number))
}

/// Whether the constraints of one tool, by argument, are all known. Every argument that they name is needed, and no other
/// is allowed; none at all: any arguments.
pub(super) fn are_known(constraints: &Map<String, Value>, max_items: usize) -> bool {
    constraints.len() <= max_items
        && constraints.values().all(|constraint| Constraint::parse(constraint, max_items).is_some())
}

/// Whether those of `child` are within those of `parent`.
pub(super) fn are_within(child: &Map<String, Value>, parent: &Map<String, Value>, max_items: usize) -> bool {
    let covered = |(name, narrower): (&String, &Value)| {
        let wider = parent.get(name).and_then(|wider| Constraint::parse(wider, max_items));
        let narrower = Constraint::parse(narrower, max_items);
        wider.zip(narrower).is_some_and(|(wider, narrower)| wider.covers(&narrower))
    };
    parent.is_empty() || child.len() == parent.len() && child.iter().all(covered)
}

/// Whether the arguments meet the constraints. `is_nothing` tells what need not be named.
pub(super) fn admit(
    constraints: &Map<String, Value>,
    arguments: &Map<String, Value>,
    is_nothing: impl Fn(&Value) -> bool,
    max_items: usize,
) -> bool {
    let met = |(name, constraint): (&String, &Value)| {
        let constraint = Constraint::parse(constraint, max_items);
        constraint.zip(arguments.get(name)).is_some_and(|(constraint, value)| constraint.admits(value))
    };
    let named = |(name, value): (&String, &Value)| constraints.contains_key(name) || is_nothing(value);
    constraints.is_empty() || constraints.iter().all(met) && arguments.iter().all(named)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn constraint(text: &str) -> Value {
        let (kind, rest) = text.split_once(' ').unwrap_or((text, "null"));
        let rest: Value = serde_json::from_str(rest).unwrap();
        match kind {
            "wildcard" => json!({ "constraint_type": kind }),
            "exact" => json!({ "constraint_type": kind, "value": rest }),
            "one_of" => json!({ "constraint_type": kind, "values": rest }),
            "subset" => json!({ "constraint_type": kind, "allowed": rest }),
            "from" => json!({ "constraint_type": "range", "min": rest }),
            "to" => json!({ "constraint_type": "range", "max": rest }),
            _ => json!({ "constraint_type": "range", "min": rest[0], "max": rest[1] }),
        }
    }

    #[test]
    fn values_are_admitted_or_not() {
        for (text, value, expected) in [
            ("wildcard", json!(null), true),
            ("exact 1", json!(1), true),
            ("exact 1", json!("1"), false),
            (r#"exact {"a":[1]}"#, json!({ "a": [1] }), true),
            (r#"one_of ["a","b"]"#, json!("b"), true),
            (r#"one_of ["a","b"]"#, json!(["a"]), false),
            ("range [1,2]", json!(1), true),
            ("range [1,2]", json!(2.5), false),
            ("from 1", json!(1e15), true),
            ("from 1", json!(1e16), false),
            ("to 1", json!(-1), true),
            ("to 1", json!("0"), false),
            ("subset [1,2]", json!([2, 2]), true),
            ("subset [1,2]", json!([]), true),
            ("subset [1,2]", json!([3]), false),
            ("subset [1,2]", json!(1), false),
        ] {
            let written = constraint(text);
            assert_eq!(Constraint::parse(&written, 8).unwrap().admits(&value), expected, "{text} {value}");
        }
    }

    #[test]
    fn one_constraint_is_within_another_or_not() {
        for (parent, child, expected) in [
            ("wildcard", "wildcard", true),
            ("wildcard", "exact 1", true),
            ("exact 1", "wildcard", false),
            ("exact 1", "exact 1", true),
            ("exact 1", "exact 2", false),
            ("exact 1", "one_of [1]", true),
            ("exact 1", "one_of [1,2]", false),
            ("one_of [1,2]", "exact 2", true),
            ("one_of [1,2]", "one_of [2]", true),
            ("one_of [1,2]", "one_of [2,3]", false),
            ("one_of [1,2]", "range [1,2]", false),
            ("range [1,9]", "range [2,8]", true),
            ("range [1,9]", "range [1,9]", true),
            ("range [1,9]", "range [0,9]", false),
            ("range [1,9]", "from 2", false),
            ("from 1", "range [1,9]", true),
            ("from 1", "from 2", true),
            ("to 1", "from 0", false),
            ("range [1,9]", "exact 5", true),
            ("range [1,9]", "one_of [5,10]", false),
            ("subset [1,2]", "subset [1]", true),
            ("subset [1,2]", "subset [1,3]", false),
            ("subset [1,2]", "exact [1]", true),
            ("subset [1,2]", "exact 1", false),
            ("subset [1,2]", "wildcard", false),
        ] {
            let (wider, narrower) = (constraint(parent), constraint(child));
            let covers =
                Constraint::parse(&wider, 8).unwrap().covers(&Constraint::parse(&narrower, 8).unwrap());
            assert_eq!(covers, expected, "{parent} / {child}");
        }
    }

    #[test]
    fn arguments_are_named_and_present() {
        let one = json!({ "a": constraint("exact 1") });
        let both = json!({ "a": constraint("exact 1"), "b": constraint("wildcard") });
        for (constraints, arguments, expected) in [
            (json!({}), json!({ "x": 1 }), true),
            (one.clone(), json!({ "a": 1 }), true),
            (one.clone(), json!({}), false),
            (one.clone(), json!({ "a": 1, "x": 1 }), false),
            (one, json!({ "a": 1, "x": null }), true),
            (both.clone(), json!({ "a": 1 }), false),
            (both, json!({ "a": 1, "b": [] }), true),
        ] {
            let (constraints, arguments) = (constraints.as_object().unwrap(), arguments.as_object().unwrap());
            assert_eq!(admit(constraints, arguments, Value::is_null, 8), expected, "{arguments:?}");
        }
    }

    #[test]
    fn what_is_not_known_denies() {
        for value in [
            json!(null),
            json!({}),
            json!({ "constraint_type": "regex", "pattern": ".*" }),
            json!({ "constraint_type": "wildcard", "optional": true }),
            json!({ "constraint_type": "exact" }),
            json!({ "constraint_type": "one_of", "values": [] }),
            json!({ "constraint_type": "one_of", "values": 1 }),
            json!({ "constraint_type": "one_of", "values": [1, 2, 3, 4, 5, 6, 7, 8, 9] }),
            json!({ "constraint_type": "range" }),
            json!({ "constraint_type": "range", "min": "1" }),
            json!({ "constraint_type": "range", "min": 1e300 }),
            json!({ "constraint_type": "range", "min": 1, "step": 2 }),
            json!({ "constraint_type": 7 }),
        ] {
            assert!(Constraint::parse(&value, 8).is_none(), "{value}");
            let constraints = json!({ "a": value });
            let constraints = constraints.as_object().unwrap();
            assert!(!are_known(constraints, 8));
            assert!(!are_within(constraints, constraints, 8));
            assert!(!admit(constraints, json!({ "a": 1 }).as_object().unwrap(), Value::is_null, 8));
        }
    }
}
