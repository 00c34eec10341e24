//! `strings.*`, where regorus counts and replaces otherwise than OPA.

use regorus::Value;

use super::Stop;
use crate::policy::surroundings::Surroundings;

/// How often a text has another one in it, none overlapping.
pub(super) fn count(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text), Value::String(wanted)] = arguments else { return None };
    let found = match wanted.is_empty() {
        true => text.chars().count().saturating_add(1),
        false => text.matches(wanted.as_ref()).count(),
    };
    Some(Value::from(found))
}

/// Replaces the keys of an object by its values, in one pass, as Go's `strings.Replacer` does with sorted keys. A
/// result that there is no room for ends the evaluation before it is made.
pub(super) fn replace_n(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::Object(patterns), Value::String(text)] = arguments else { return Ok(None) };
    let mut pairs = Vec::new();
    for (old, new) in patterns.iter() {
        let (Value::String(old), Value::String(new)) = (old, new) else { return Ok(None) };
        pairs.push((old.as_ref(), new.as_ref()));
    }
    let mut replaced = String::new();
    let mut add = |text: &str| {
        let size = replaced.len().saturating_add(text.len());
        around.has_room(size)?;
        if size > replaced.capacity() {
            let room = size.saturating_mul(2).min(around.bytes_left());
            replaced.reserve_exact(room.saturating_sub(replaced.len()));
        }
        replaced.push_str(text);
        Ok(())
    };
    let mut rest = text.as_ref();
    // Nothing is found between a match of nothing and what follows it.
    let mut after_empty = false;
    loop {
        let found = pairs.iter().find(|(old, _)| rest.starts_with(old) && !(after_empty && old.is_empty()));
        if let Some((old, new)) = found {
            add(new)?;
            after_empty = old.is_empty();
            rest = rest.get(old.len()..).unwrap_or_default();
            continue;
        }
        after_empty = false;
        let mut chars = rest.chars();
        let Some(next) = chars.next() else { break };
        add(next.encode_utf8(&mut [0; 4]))?;
        rest = chars.as_str();
    }
    Ok(Some(Value::from(replaced)))
}
