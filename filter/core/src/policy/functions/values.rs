//! Functions on JSON texts, numbers and objects, where regorus is not OPA's equal.

use regorus::Value;
use serde::de::IgnoredAny;

use super::{Stop, failed};
use crate::ordered;
use crate::policy::error::EvaluationError;
use crate::policy::surroundings::Surroundings;

/// How many numbers `numbers.range` makes at most.
const RANGE: i64 = 10_000;

/// Whether a text is JSON; what is no text is not.
pub(super) fn is_valid(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return Some(Value::Bool(false)) };
    Some(Value::Bool(serde_json::from_str::<IgnoredAny>(text).is_ok()))
}

/// The value of a JSON text. A number that no double holds ends the evaluation, since OPA would have it exactly; so does
/// what is nested too deep, and half a pair of surrogates.
pub(super) fn unmarshal(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::String(text)] = arguments else { return Ok(None) };
    let size = parsed_size(text);
    around.has_room(size)?;
    around.makes(size);
    parse(text)
}

/// What the values of a JSON text take, in bytes, without parsing it: a short text makes much larger values.
fn parsed_size(text: &str) -> usize {
    const VALUE: usize = size_of::<Value>();
    // A map has room for this many fields from the first one on.
    const MAP: usize = 11 * 2 * VALUE;
    // A list grows by doubling.
    const ITEM: usize = 2 * VALUE;
    let mut size = VALUE;
    let (mut in_text, mut escaped) = (false, false);
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        let takes = match byte {
            _ if in_text => {
                in_text = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
                1
            }
            b'"' => {
                in_text = true;
                VALUE
            }
            b'{' if bytes.peek() != Some(&b'}') => MAP,
            b'[' | b'{' => 4 * VALUE,
            b',' => ITEM,
            b':' => VALUE,
            _ => 0,
        };
        size = size.saturating_add(takes);
    }
    size
}

fn parse(text: &str) -> Result<Option<Value>, Stop> {
    match Value::from_json_str(text) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            let message = error.to_string();
            if message.contains("out of range") {
                return Err(Stop(EvaluationError::Overflow));
            }
            // Others read on here: undefined, it could take a denial with it.
            if ["recursion limit", "surrogate", "end of hex escape"].iter().any(|why| message.contains(why)) {
                return Err(Stop(EvaluationError::Failed { at: None, message: format!("json: {message}") }));
            }
            // OPA lets one `null` stand behind a value.
            if message.contains("trailing") && text.trim_end().ends_with("null") {
                return Err(failed("json: there is more than one value"));
            }
            Ok(None)
        }
    }
}

/// `numbers.range`, down as well as up.
pub(super) fn range(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [from, to] = arguments else { return Ok(None) };
    numbers(from, to, 1, around)
}

/// `numbers.range_step`; the step is positive, whichever way it goes.
pub(super) fn range_step(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [from, to, step] = arguments else { return Ok(None) };
    match step {
        Value::Number(step) if step.is_integer() && step.is_positive() => {
            numbers(from, to, step.as_i64().unwrap_or(i64::MAX), around)
        }
        _ => Ok(None),
    }
}

fn numbers(from: &Value, to: &Value, step: i64, around: &Surroundings) -> Result<Option<Value>, Stop> {
    let (Value::Number(from), Value::Number(to)) = (from, to) else { return Ok(None) };
    if !from.is_integer() || !to.is_integer() || step <= 0 {
        return Ok(None);
    }
    let too_many = || Stop(EvaluationError::Failed { at: None, message: "a range is too long".to_owned() });
    let (from, to) = from.as_i64().zip(to.as_i64()).ok_or_else(too_many)?;
    let distance = to.checked_sub(from).and_then(i64::checked_abs).ok_or_else(too_many)?;
    let steps = distance.checked_div(step).filter(|steps| *steps < RANGE).ok_or_else(too_many)?;
    let count = usize::try_from(steps).unwrap_or(usize::MAX).saturating_add(1);
    around.has_room(count.saturating_mul(size_of::<Value>()))?;
    let step = if from <= to { step } else { step.saturating_neg() };
    let number = |at: i64| Value::from(from.saturating_add(step.saturating_mul(at)));
    Ok(Some(Value::from((0..=steps).map(number).collect::<Vec<_>>())))
}

/// The elements of an array, and in the place of each that is an array its own.
pub(super) fn flatten(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::Array(items)] = arguments else { return Ok(None) };
    let own = |item: &Value| item.as_array().map_or(1, |items| items.len());
    let count = items.iter().fold(0, |sum: usize, item| sum.saturating_add(own(item)));
    around.has_room(count.saturating_mul(size_of::<Value>()))?;
    let mut flat = Vec::with_capacity(count);
    for item in items.iter() {
        match item {
            Value::Array(inner) => flat.extend_from_slice(inner.as_slice()),
            item => flat.push(item.clone()),
        }
    }
    Ok(Some(Value::from(flat)))
}

/// Whether a collection holds another one.
pub(super) fn subset(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [whole, part] = arguments else { return Ok(None) };
    let holds = match (whole, part) {
        (Value::Object(_), Value::Object(_))
        | (Value::Set(_), Value::Set(_))
        | (Value::Array(_), Value::Array(_)) => holds(whole, part, around)?,
        (Value::Array(whole), Value::Set(part)) => {
            let found: Vec<&Value> = whole.iter().filter(|item| part.contains(item)).collect();
            let counted = found.len();
            let holds = ordered::set(found).len() == part.len();
            // OPA counts what it finds, the same element twice, and looks for nothing in an empty array.
            if holds != (counted >= part.len() && !whole.is_empty()) {
                return Err(failed("object.subset: of an array beside a set that OPA counts otherwise"));
            }
            holds
        }
        _ => return Ok(None),
    };
    Ok(Some(Value::Bool(holds)))
}

/// The depth is bounded by that of the values, which is JSON's.
fn holds(whole: &Value, part: &Value, around: &Surroundings) -> Result<bool, Stop> {
    Ok(match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, part) in part.iter() {
                match whole.get(key) {
                    Some(whole) if holds(whole, part, around)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Set(whole), Value::Set(part)) => part.iter().all(|item| whole.contains(item)),
        (Value::Array(whole), Value::Array(part)) if !part.is_empty() => {
            for window in whole.as_slice().windows(part.len()) {
                around.works(size_of_val(window))?;
                if window == part.as_slice() {
                    return Ok(true);
                }
            }
            false
        }
        (Value::Array(_), Value::Array(_)) => true,
        (whole, part) => whole == part,
    })
}
