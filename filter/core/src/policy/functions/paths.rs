//! What `json.remove` and `json.filter` make, before they make it.

use std::collections::BTreeSet;

use regorus::Value;

use super::metered::own_size;

/// What one part of a path takes: an object, which has room for some fields from the first one on.
const PART: usize = 11 * size_of::<(Value, Value)>();

/// The longest path. What it is read into is nested as deep, and taken apart by recursion.
const PARTS: usize = 1_000;

/// At least what both need for these paths, in bytes: an object for each part of each path, and, where the rest is kept,
/// a copy of everything on the way. Stops counting beyond the limit.
pub(super) fn size(object: &Value, paths: &Value, keeps_the_rest: bool, limit: usize) -> usize {
    let paths: Vec<&Value> = match paths {
        Value::Array(paths) => paths.iter().collect(),
        Value::Set(paths) => paths.iter().collect(),
        _ => return 0,
    };
    let mut size = if keeps_the_rest { own_size(object) } else { 0 };
    let mut texts: BTreeSet<&str> = BTreeSet::new();
    let mut lists: BTreeSet<&[Value]> = BTreeSet::new();
    for path in paths {
        let mut at = Some(object);
        let mut see = |part: &Value, is_new: bool| {
            at = at.and_then(|at| below(at, part));
            let copied = if keeps_the_rest { at.map_or(0, own_size) } else { 0 };
            size = size.saturating_add(if is_new { copied.saturating_add(2 * PART) } else { 0 });
            size <= limit
        };
        let fits = match path {
            Value::String(text) => {
                let ends = text.match_indices('/').map(|(end, _)| end).chain([text.len()]);
                text.split('/').zip(ends).enumerate().all(|(number, (part, end))| {
                    let is_new = texts.insert(text.get(..end).unwrap_or_default());
                    number < PARTS && see(&Value::from(part), is_new)
                })
            }
            Value::Array(parts) => parts.iter().enumerate().all(|(number, part)| {
                let is_new = lists.insert(parts.as_slice().get(..=number).unwrap_or_default());
                number < PARTS && see(part, is_new)
            }),
            _ => true,
        };
        if !fits {
            return usize::MAX;
        }
    }
    size
}

fn below<'a>(value: &'a Value, part: &Value) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(items) => {
            let index = part.as_string().ok().and_then(|text| text.parse::<usize>().ok());
            index.and_then(|index| items.get(index))
        }
        Value::Set(items) => items.iter().find(|item| *item == part),
        _ => None,
    }
}
