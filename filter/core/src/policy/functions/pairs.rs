//! `walk`: a value and all that is in it, each with the path that leads there.

use regorus::Value;

use super::{Stop, failed};
use crate::policy::surroundings::Surroundings;

/// What a pair takes at least.
const PAIR: usize = 4 * size_of::<Value>();

/// An array of `[path, value]`, each value before what it holds, in OPA's order. The paths are empty where the policy looks at
/// none. Ends the evaluation before there is no room for more.
pub(super) fn pairs(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [value, Value::Bool(has_paths)] = arguments else { return Ok(None) };
    let (mut pairs, mut path) = (Vec::new(), Vec::new());
    // The last one is the next; each with the length of its path.
    let mut open: Vec<(usize, Option<Value>, &Value)> = vec![(0, None, value)];
    while let Some((length, key, value)) = open.pop() {
        let mut size = PAIR;
        if *has_paths {
            path.truncate(length.saturating_sub(1));
            path.extend(key);
            size = size.saturating_add(length.saturating_mul(size_of::<Value>()));
        }
        around.has_room(size)?;
        around.makes(size);
        around.works(size)?;
        pairs.push(Value::from(vec![Value::from(path.clone()), value.clone()]));
        let held = match value {
            Value::Array(items) => items.len(),
            Value::Set(items) => items.len(),
            Value::Object(fields) => fields.len(),
            _ => continue,
        };
        around.has_room(held.saturating_mul(PAIR))?;
        let (first, length) = (open.len(), length.saturating_add(1));
        match value {
            Value::Array(items) => {
                open.extend(items.iter().enumerate().map(|(at, item)| (length, Some(Value::from(at)), item)));
            }
            Value::Set(items) => {
                open.extend(items.iter().map(|item| (length, Some(item.clone()), item)));
            }
            Value::Object(fields) => {
                open.extend(fields.iter().map(|(key, item)| (length, Some(key.clone()), item)));
            }
            _ => {}
        }
        open.get_mut(first..).unwrap_or_default().reverse();
    }
    Ok(Some(Value::from(pairs)))
}

/// Whether a value has a pair, as `not walk(value, pair)` asks.
pub(super) fn has_pair(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [value, pair] = arguments else { return Ok(None) };
    let pairs = pairs(&[value.clone(), Value::Bool(true)], around)?;
    let has = |pairs: &Value| pairs.as_array().is_ok_and(|pairs| pairs.iter().any(|other| other == pair));
    Ok(pairs.map(|pairs| Value::Bool(has(&pairs))))
}

/// A call of `walk` that nothing has been made of; there is none.
pub(super) fn walk(_: &[Value]) -> Result<Option<Value>, Stop> {
    Err(failed("walk: a call was left over"))
}

#[cfg(test)]
mod tests;
