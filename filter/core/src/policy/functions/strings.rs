//! Texts, where regorus counts, replaces and writes otherwise than OPA.

use regorus::Value;

use super::{Stop, failed};
use crate::policy::error::EvaluationError;
use crate::policy::surroundings::Surroundings;

/// What a builtin of regorus' is given, where OPA takes more: a version may begin with `v`.
pub(super) fn given(name: &str, arguments: &[Value]) -> Option<Vec<Value>> {
    let plain = |value: &Value| match value {
        Value::String(text) => text.strip_prefix('v').map(Value::from),
        _ => None,
    };
    let is_plain = |value: &Value| plain(value).is_none();
    if !name.starts_with("semver.") || arguments.iter().all(is_plain) {
        return None;
    }
    Some(arguments.iter().map(|value| plain(value).unwrap_or_else(|| value.clone())).collect())
}

/// What is not served of a builtin of regorus': what comes of it in OPA is no text, or is not made by its rules.
pub(super) fn unserved(name: &str, arguments: &[Value]) -> Option<&'static str> {
    match (name, arguments) {
        ("replace", [Value::String(text), Value::String(old), _]) if old.is_empty() && !text.is_ascii() => {
            Some("replace: nothing to replace in a text that is not ASCII")
        }
        _ => None,
    }
}

/// What a builtin of regorus' gave, as OPA gives it.
pub(super) fn as_in_opa(name: &str, arguments: &[Value], given: Value) -> Value {
    match (name, arguments, &given) {
        ("lower", [Value::String(text)], _) if !text.is_ascii() => {
            Value::from(text.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect::<String>())
        }
        ("upper", [Value::String(text)], _) if !text.is_ascii() => {
            Value::from(text.chars().map(upper).collect::<String>())
        }
        ("indexof_n", [_, Value::String(wanted)], _) if wanted.is_empty() => Value::Undefined,
        ("substring", [_, Value::Number(start), Value::Number(length)], _)
            if !(start.is_integer() && length.is_integer()) =>
        {
            Value::Undefined
        }
        ("format_int", [Value::Number(number), _], Value::String(text))
            if number.ceil().as_i64() == Some(0) =>
        {
            Value::from(text.trim_start_matches('-'))
        }
        // As texts for web pages, whatever they are for.
        ("json.marshal" | "json.marshal_with_options", _, Value::String(text))
            if text.contains(is_escaped) =>
        {
            let mut written = String::with_capacity(text.len().saturating_add(64));
            for line in text.split_inclusive('\n') {
                let json = arguments.get(1).map_or(line, |options| within(line, options));
                written.push_str(line.strip_suffix(json).unwrap_or_default());
                escape(json, &mut written);
            }
            Value::from(written)
        }
        _ => given,
    }
}

/// A line of JSON without the `prefix` and the `indent` in front of it.
fn within<'a>(line: &'a str, options: &Value) -> &'a str {
    let option = |name: &str| match options.as_object().ok().and_then(|all| all.get(&Value::from(name))) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => None,
    };
    let line = option("prefix").and_then(|prefix| line.strip_prefix(prefix.as_ref())).unwrap_or(line);
    match option("indent") {
        Some(indent) if !indent.is_empty() => line.trim_start_matches(indent.as_ref()),
        _ => line,
    }
}

fn escape(json: &str, into: &mut String) {
    for c in json.chars() {
        match c {
            '<' => into.push_str("\\u003c"),
            '>' => into.push_str("\\u003e"),
            '&' => into.push_str("\\u0026"),
            '\u{2028}' => into.push_str("\\u2028"),
            '\u{2029}' => into.push_str("\\u2029"),
            c => into.push(c),
        }
    }
}

fn is_escaped(c: char) -> bool {
    matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

/// Go maps one character to one: what would become several stays, but for Greek letters with a title case.
fn upper(c: char) -> char {
    let code = u32::from(c);
    let title = match code {
        0x1f80..=0x1faf => Some(code | 8),
        0x1fb3 | 0x1fc3 | 0x1ff3 => code.checked_add(9),
        _ => None,
    };
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => title.and_then(char::from_u32).unwrap_or(c),
    }
}

/// How many characters a text has, or how many items a collection.
pub(super) fn size(arguments: &[Value]) -> Value {
    Value::from(match arguments {
        [Value::String(text)] => text.chars().count(),
        [Value::Array(items)] => items.len(),
        [Value::Set(items)] => items.len(),
        [Value::Object(fields)] => fields.len(),
        _ => return Value::Undefined,
    })
}

/// The index of the first character of one text in another, or -1. Nothing is not looked for.
pub(super) fn index_of(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text), Value::String(wanted)] = arguments else { return None };
    if wanted.is_empty() {
        return None;
    }
    let before = text.split_once(wanted.as_ref()).map(|(before, _)| before);
    Some(before.map_or_else(|| Value::from(-1_i64), |before| Value::from(before.chars().count())))
}

/// A number, or what a text, a boolean or null is as one.
pub(super) fn to_number(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    Ok(match arguments {
        [Value::Number(number)] => Some(Value::Number(number.clone())),
        [Value::Null | Value::Bool(false)] => Some(Value::from(0_u64)),
        [Value::Bool(true)] => Some(Value::from(1_u64)),
        // JSON allows white space around it.
        [Value::String(text)] if !text.contains(char::is_whitespace) => match Value::from_json_str(text) {
            Ok(number @ Value::Number(_)) => Some(number),
            Err(error) if error.to_string().contains("out of range") => {
                return Err(Stop(EvaluationError::Overflow));
            }
            // OPA takes them for numbers, which no JSON can hold.
            Err(_) if text.parse::<f64>().is_ok_and(f64::is_finite) || is_hexadecimal(text) => {
                return Err(failed("to_number: of a number that is not written as in JSON"));
            }
            _ => None,
        },
        _ => None,
    })
}

/// Whether Go may read a text as a number of hexadecimal digits, as `0x1p-2`.
fn is_hexadecimal(text: &str) -> bool {
    (text.contains("0x") || text.contains("0X")) && text.contains(['p', 'P'])
}

/// How often a text has another one in it, none overlapping.
pub(super) fn count(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text), Value::String(wanted)] = arguments else { return None };
    let found = match wanted.is_empty() {
        true => text.chars().count().saturating_add(1),
        false => text.matches(wanted.as_ref()).count(),
    };
    Some(Value::from(found))
}

/// The first parts of a text, so many at most; with a negative number the last.
pub(super) fn split_n(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::String(text), Value::String(delimiter), Value::Number(count)] = arguments else {
        return Ok(None);
    };
    let Some(count) = count.as_i64() else { return Ok(None) };
    let found = text.matches(delimiter.as_ref()).count().saturating_add(1);
    around.has_room(text.len().saturating_add(found.saturating_mul(size_of::<[Value; 4]>())))?;
    let (mut parts, mut rest) = (Vec::new(), text.as_ref());
    loop {
        let next = match rest.chars().next() {
            // Between nothing there is each character.
            Some(first) if delimiter.is_empty() => rest.split_at_checked(first.len_utf8()),
            None if delimiter.is_empty() => break,
            _ => rest.split_once(delimiter.as_ref()),
        };
        parts.push(Value::from(next.map_or(rest, |(part, _)| part)));
        let Some((_, after)) = next else { break };
        rest = after;
    }
    let most = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    let left_out = parts.len().saturating_sub(most);
    let kept =
        if count < 0 { parts.get(left_out..) } else { parts.get(..parts.len().saturating_sub(left_out)) };
    around.makes(text.len().saturating_add(parts.len().saturating_mul(size_of::<[Value; 2]>())));
    Ok(Some(Value::from(kept.unwrap_or_default().to_vec())))
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
    let replaces_nothing = pairs.iter().any(|(old, _)| old.is_empty());
    let mut replaced = String::new();
    let mut add = |text: &str| {
        let size = replaced.len().saturating_add(text.len());
        around.has_room(size)?;
        around.works(pairs.len())?;
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
        // OPA finds nothing between the bytes of a character, too.
        if replaces_nothing && !next.is_ascii() {
            return Err(failed("strings.replace_n: nothing to replace in a text that is not ASCII"));
        }
        add(next.encode_utf8(&mut [0; 4]))?;
        rest = chars.as_str();
    }
    Ok(Some(Value::from(replaced)))
}
