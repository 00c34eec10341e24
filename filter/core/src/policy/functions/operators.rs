//! What [`super::super::faithful`] makes of operators: undefined where OPA says so, and regorus gives up.

use std::cmp::Ordering;

use regorus::Value;

use super::{Stop, failed, fractions, metered};
use crate::ordered;
use crate::policy::error::EvaluationError;
use crate::policy::surroundings::Surroundings;

/// A number that is too large, for which regorus ends the evaluation as well.
fn overflow<E>(_: E) -> Stop {
    Stop(EvaluationError::Overflow)
}

pub(super) fn minus(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    match arguments {
        [one @ Value::Number(a), two @ Value::Number(b)] => match fractions::minus(one, two) {
            Some(value) => Ok(Some(value)),
            None => a.sub(b).map(|n| Some(Value::from(n))).map_err(overflow),
        },
        [Value::Set(a), Value::Set(b)] => Ok(Some(set(a.iter().filter(|item| !b.contains(item))))),
        _ => Ok(None),
    }
}

pub(super) fn remainder(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    match arguments {
        [Value::Number(a), Value::Number(b)] if a.is_integer() && b.is_integer() && b.as_i64() != Some(0) => {
            a.clone().modulo(b).map(|n| Some(Value::from(n))).map_err(overflow)
        }
        _ => Ok(None),
    }
}

pub(super) fn plus(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [one @ Value::Number(a), two @ Value::Number(b)] = arguments else { return Ok(None) };
    if let Some(value) = fractions::plus(one, two) {
        return Ok(Some(value));
    }
    a.add(b).map(|n| Some(Value::from(n))).map_err(overflow)
}

pub(super) fn times(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [one @ Value::Number(a), two @ Value::Number(b)] = arguments else { return Ok(None) };
    if let Some(value) = fractions::times(one, two) {
        return Ok(Some(value));
    }
    a.mul(b).map(|n| Some(Value::from(n))).map_err(overflow)
}

pub(super) fn over(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    match arguments {
        [one @ Value::Number(a), two @ Value::Number(b)] if b.as_f64() != Some(0.0) => {
            match fractions::over(one, two) {
                Some(value) => Ok(Some(value)),
                None => a.clone().divide(b).map(|n| Some(Value::from(n))).map_err(overflow),
            }
        }
        _ => Ok(None),
    }
}

/// A whole number without so many of its last bits.
pub(super) fn shifted(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [Value::Number(number), Value::Number(by)] = arguments else { return Ok(None) };
    if !number.is_integer() || !by.is_integer() || by.as_i64().map_or(!by.is_positive(), i64::is_negative) {
        return Ok(None);
    }
    let by = by.as_i64().and_then(|by| u32::try_from(by).ok()).unwrap_or(u32::MAX);
    Ok(Some(match (number.as_i64(), number.as_u64()) {
        (Some(number), _) => Value::from(number >> by.min(63)),
        (None, Some(number)) => Value::from(number.checked_shr(by).unwrap_or(0)),
        (None, None) => return Err(failed("bits.rsh: a number of more than 64 bits")),
    }))
}

/// The sum of the numbers of an array or a set.
pub(super) fn sum(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    folded(arguments, 0, plus)
}

/// Their product.
pub(super) fn product(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    folded(arguments, 1, times)
}

type Operator = fn(&[Value]) -> Result<Option<Value>, Stop>;

fn folded(arguments: &[Value], first: u64, with: Operator) -> Result<Option<Value>, Stop> {
    let items: Vec<&Value> = match arguments {
        [Value::Array(items)] => items.iter().collect(),
        [Value::Set(items)] => items.iter().collect(),
        _ => return Ok(None),
    };
    let mut folded = Value::from(first);
    for item in items {
        let Some(more) = with(&[folded, item.clone()])? else { return Ok(None) };
        folded = more;
    }
    Ok(Some(folded))
}

/// A collection as it is, and an empty one for anything else.
pub(super) fn items(arguments: &[Value], _: &mut Surroundings) -> Result<Option<Value>, Stop> {
    Ok(Some(match arguments {
        [collection @ (Value::Array(_) | Value::Object(_) | Value::Set(_))] => collection.clone(),
        _ => Value::new_array(),
    }))
}

pub(super) fn order(arguments: &[Value]) -> Option<Value> {
    let [a, b] = arguments else { return None };
    Some(Value::from(match compare(a, b) {
        Ordering::Less => -1_i64,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

/// OPA's order: an object comes before a set, which regorus has the other way round.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Object(_), Value::Set(_)) => Ordering::Less,
        (Value::Set(_), Value::Object(_)) => Ordering::Greater,
        (Value::Array(a), Value::Array(b)) => {
            let differs = a.iter().zip(b.iter()).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
            differs.unwrap_or_else(|| a.len().cmp(&b.len()))
        }
        (a, b) => a.cmp(b),
    }
}

pub(super) fn or(arguments: &[Value]) -> Option<Value> {
    let [Value::Set(a), Value::Set(b)] = arguments else { return None };
    Some(set(a.iter().chain(b.iter())))
}

pub(super) fn and(arguments: &[Value]) -> Option<Value> {
    let [Value::Set(a), Value::Set(b)] = arguments else { return None };
    Some(set(a.iter().filter(|item| b.contains(item))))
}

/// Whether a collection has a value under a key.
pub(super) fn has(arguments: &[Value]) -> Option<Value> {
    let [key, value, collection] = arguments else { return None };
    let found = match collection {
        Value::Array(items) => {
            let index = key.as_u64().ok().and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| items.get(index)) == Some(value)
        }
        Value::Object(fields) => fields.get(key) == Some(value),
        Value::Set(items) => key == value && items.contains(value),
        _ => false,
    };
    Some(Value::Bool(found))
}

/// Whether a collection has a value.
pub(super) fn within(arguments: &[Value]) -> Option<Value> {
    let [value, collection] = arguments else { return None };
    let found = match collection {
        Value::Array(items) => items.contains(value),
        Value::Object(fields) => fields.iter().any(|(_, other)| other == value),
        Value::Set(items) => items.contains(value),
        _ => false,
    };
    Some(Value::Bool(found))
}

fn set<'a>(items: impl Iterator<Item = &'a Value>) -> Value {
    Value::from(ordered::set(items.cloned()))
}

/// How many values are looked through for an empty set. One that is shared many times over stands for very many, and
/// `sprintf` ends the evaluation on it.
const LOOKED_THROUGH: usize = 10_000;

/// The values of `sprintf`: one that holds an empty set becomes the text that OPA makes of it.
/// Texts that there is no room for end the evaluation before they are made.
pub(super) fn printable(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::Array(values)] = arguments else { return Ok(arguments.first().cloned()) };
    let mut left = LOOKED_THROUGH;
    let holds: Vec<bool> = values.iter().map(|value| holds_empty_set(value, &mut left)).collect();
    if left == 0 || !holds.contains(&true) {
        return Ok(arguments.first().cloned());
    }
    let mut size = 0_usize;
    for (value, _) in values.iter().zip(&holds).filter(|(_, holds)| **holds) {
        size = size.saturating_add(metered::text_size(value, around.bytes_left()));
        around.has_room(size)?;
    }
    around.makes(size);
    let shown = values.iter().zip(holds).map(|(value, holds)| match holds {
        true => Value::from(text(value)),
        false => value.clone(),
    });
    Ok(Some(Value::from(shown.collect::<Vec<_>>())))
}

/// The parts of a template string one after the other: texts, and sets of what an expression gave.
pub(super) fn template(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::Array(parts)] = arguments else { return Ok(None) };
    let mut shown = String::new();
    for part in parts.iter() {
        let value = match part {
            Value::Set(values) if values.is_empty() => &Value::from("<undefined>"),
            Value::Set(values) if values.len() > 1 => {
                return Err(failed("an expression in a template string has several values"));
            }
            Value::Set(values) => values.iter().next().unwrap_or(part),
            other => other,
        };
        let size = metered::text_size(value, around.bytes_left());
        around.has_room(shown.len().saturating_add(size))?;
        match value {
            Value::String(text) => shown.push_str(text),
            other => shown.push_str(&text(other)),
        }
    }
    Ok(Some(Value::from(shown)))
}

fn holds_empty_set(value: &Value, left: &mut usize) -> bool {
    *left = left.saturating_sub(1);
    if *left == 0 {
        return false;
    }
    let mut found = false;
    match value {
        Value::Set(items) => {
            found |= items.is_empty();
            found |= items.iter().any(|item| *left > 0 && holds_empty_set(item, left));
        }
        Value::Array(items) => {
            found |= items.iter().any(|item| *left > 0 && holds_empty_set(item, left));
        }
        Value::Object(fields) => {
            found |= fields.iter().any(|(key, value)| {
                *left > 0 && (holds_empty_set(key, left) || holds_empty_set(value, left))
            });
        }
        _ => {}
    }
    found
}

/// A value as OPA shows it.
pub(super) fn text(value: &Value) -> String {
    let list = |items: Vec<String>| items.join(", ");
    match value {
        Value::Set(items) if items.is_empty() => "set()".to_owned(),
        Value::Set(items) => format!("{{{}}}", list(items.iter().map(text).collect())),
        Value::Array(items) => format!("[{}]", list(items.iter().map(text).collect())),
        Value::Object(fields) => {
            let field = |(key, value): (&Value, &Value)| format!("{}: {}", text(key), text(value));
            format!("{{{}}}", list(fields.iter().map(field).collect()))
        }
        Value::Number(number) => number.format_decimal(),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

/// A text in quotes, as Go has it: JSON writes control characters otherwise.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            c if c.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
