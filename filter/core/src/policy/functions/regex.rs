//! `regex.*`, as OPA has them: patterns of RE2, and results counted before they are made.

mod known;
mod pattern;
mod perl;
mod search;

use std::rc::Rc;

use regorus::Value;

use self::pattern::{Pattern, Refused};
use self::search::{Positions, span};
use super::Stop;
use crate::policy::error::EvaluationError;
use crate::policy::surroundings::Surroundings;

pub(in crate::policy) use self::known::Patterns;

type Answer = Result<Option<Value>, Stop>;

/// Whether a pattern matches somewhere in a text.
pub(super) fn matches(arguments: &[Value], around: &mut Surroundings) -> Answer {
    let [Value::String(pattern), Value::String(text)] = arguments else { return Ok(None) };
    let pattern = compiled(pattern, around)?;
    pattern.map(|pattern| pattern.matches(text, around).map(Value::Bool)).transpose()
}

/// Whether a text is a pattern.
pub(super) fn is_valid(arguments: &[Value], around: &mut Surroundings) -> Answer {
    let [Value::String(pattern)] = arguments else { return Ok(Some(Value::Bool(false))) };
    Ok(Some(Value::Bool(compiled(pattern, around)?.is_some())))
}

/// The matches, this many at most where the number is not negative.
pub(super) fn find(arguments: &[Value], around: &mut Surroundings) -> Answer {
    let [Value::String(pattern), Value::String(text), most] = arguments else { return Ok(None) };
    let (Some(pattern), Some(most)) = (compiled(pattern, around)?, most_of(most)) else { return Ok(None) };
    let mut found = Listed::new(around);
    for positions in pattern.all(text, 1, around).take(most) {
        found.add(part(text, &positions?, 0))?;
    }
    Ok(Some(found.list()))
}

/// The matches, each as a list of what its groups matched.
pub(super) fn find_groups(arguments: &[Value], around: &mut Surroundings) -> Answer {
    let [Value::String(pattern), Value::String(text), most] = arguments else { return Ok(None) };
    let (Some(pattern), Some(most)) = (compiled(pattern, around)?, most_of(most)) else { return Ok(None) };
    let mut all = Vec::new();
    let mut found = Listed::new(around);
    for positions in pattern.all(text, pattern.groups.len(), around).take(most) {
        let positions = positions?;
        for group in 0..pattern.groups.len() {
            found.add(part(text, &positions, group))?;
        }
        // The list that holds them.
        found.count(0)?;
        all.push(Value::from(std::mem::take(&mut found.parts)));
    }
    Ok(Some(Value::from(all)))
}

/// What is between the matches, as Go has it: a match of nothing at the beginning parts nothing.
pub(super) fn split(arguments: &[Value], around: &mut Surroundings) -> Answer {
    let [Value::String(pattern), Value::String(text)] = arguments else { return Ok(None) };
    let Some(compiled) = compiled(pattern, around)? else { return Ok(None) };
    let mut parts = Listed::new(around);
    if text.is_empty() && !pattern.is_empty() {
        parts.add("")?;
        return Ok(Some(parts.list()));
    }
    let (mut begin, mut end) = (0, 0);
    for positions in compiled.all(text, 1, around) {
        let (start, after) = span(&positions?);
        end = start;
        if after > 0 {
            parts.add(text.get(begin..end).unwrap_or_default())?;
        }
        begin = after;
    }
    if end != text.len() {
        parts.add(text.get(begin..).unwrap_or_default())?;
    }
    Ok(Some(parts.list()))
}

/// The text with each match replaced; `$1` and `${name}` stand for what groups matched.
pub(super) fn replace(arguments: &[Value], around: &mut Surroundings) -> Answer {
    let [Value::String(text), Value::String(pattern), Value::String(template)] = arguments else {
        return Ok(None);
    };
    let Some(pattern) = compiled(pattern, around)? else { return Ok(None) };
    let mut replaced = String::new();
    let mut add = |part: &str| {
        around.has_room(replaced.len().saturating_add(part.len()))?;
        replaced.push_str(part);
        Ok(())
    };
    let mut end = 0;
    for positions in pattern.all(text, pattern.groups.len(), around) {
        let positions = positions?;
        let (start, after) = span(&positions);
        add(text.get(end..start).unwrap_or_default())?;
        let mut rest = template.as_ref();
        while let Some((before, after)) = rest.split_once('$') {
            add(before)?;
            rest = after;
            if let Some(after) = rest.strip_prefix('$') {
                add("$")?;
                rest = after;
            } else if let Some((name, after)) = group_name(rest) {
                add(named(&pattern, name, text, &positions))?;
                rest = after;
            } else {
                add("$")?;
            }
        }
        add(rest)?;
        end = after;
    }
    add(text.get(end..).unwrap_or_default())?;
    Ok(Some(Value::from(replaced)))
}

/// Whether a whole text matches a template, whose patterns stand between delimiters of one byte.
pub(super) fn template_matches(arguments: &[Value], around: &mut Surroundings) -> Answer {
    let [Value::String(template), Value::String(text), Value::String(open), Value::String(close)] = arguments
    else {
        return Ok(None);
    };
    let (&[open], &[close]) = (open.as_bytes(), close.as_bytes()) else { return Ok(None) };
    let mut whole = String::from("^");
    let (mut depth, mut begin, mut end) = (0_usize, 0, 0);
    for (at, byte) in template.bytes().enumerate() {
        let after = at.saturating_add(1);
        if byte == open {
            if depth == 0 {
                add_quoted(&mut whole, template.get(end..at).unwrap_or_default());
                begin = after;
            }
            depth = depth.saturating_add(1);
        } else if byte == close {
            let Some(outer) = depth.checked_sub(1) else { return Ok(None) };
            depth = outer;
            if depth == 0 {
                let inner = template.get(begin..at).unwrap_or_default();
                // On its own: parentheses of its own make it no other pattern.
                if compiled(&format!("^{inner}$"), around)?.is_none() {
                    return Ok(None);
                }
                whole.extend(["(", inner, ")"]);
                end = after;
            }
        }
    }
    if depth > 0 {
        return Ok(None);
    }
    add_quoted(&mut whole, template.get(end..).unwrap_or_default());
    whole.push('$');
    let pattern = compiled(&whole, around)?;
    pattern.map(|pattern| pattern.matches(text, around).map(Value::Bool)).transpose()
}

/// `None` for what is no pattern. One that is too large ends the evaluation.
fn compiled(pattern: &str, around: &Surroundings) -> Result<Option<Rc<Pattern>>, Stop> {
    match around.patterns().compiled(pattern) {
        Ok(compiled) => Ok(Some(compiled)),
        Err(Refused::Malformed) => Ok(None),
        Err(Refused::TooLarge) => Err(Stop(EvaluationError::Failed {
            at: None,
            message: "a pattern is too large when it is compiled".to_owned(),
        })),
    }
}

/// How many matches are asked for.
fn most_of(number: &Value) -> Option<usize> {
    let number = number.as_i64().ok()?;
    Some(if number < 0 { usize::MAX } else { usize::try_from(number).unwrap_or(usize::MAX) })
}

/// What a group matched; empty where it took no part.
fn part<'a>(text: &'a str, positions: &Positions, group: usize) -> &'a str {
    let at = group.saturating_mul(2);
    match positions.get(at..at.saturating_add(2)) {
        Some([Some(start), Some(end)]) => text.get(*start..*end).unwrap_or_default(),
        _ => "",
    }
}

/// The name or number after a `$`, and what follows it.
fn group_name(rest: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let unbraced = rest.strip_prefix('{');
    let name = unbraced.unwrap_or(rest);
    let end = name.find(|c| !is_part(c)).unwrap_or(name.len());
    let (name, rest) = name.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    let rest = if unbraced.is_some() { rest.strip_prefix('}')? } else { rest };
    Some((name, rest))
}

/// What the group of a name or number matched.
fn named<'a>(pattern: &Pattern, name: &str, text: &'a str, positions: &Positions) -> &'a str {
    let is_number = name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0'));
    if is_number {
        return name.parse().map_or("", |group| part(text, positions, group));
    }
    // Of several groups of one name the first that matched something.
    let named = pattern.groups.iter().enumerate().filter(|(_, group)| group.as_deref() == Some(name));
    let mut parts = named.map(|(group, _)| part(text, positions, group));
    parts.find(|part| !part.is_empty()).unwrap_or_default()
}

/// Adds a pattern that matches this text alone.
fn add_quoted(pattern: &mut String, text: &str) {
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
}

/// A list of texts that is as long as there is room for.
struct Listed<'a> {
    parts: Vec<Value>,
    bytes: usize,
    around: &'a Surroundings,
}

impl<'a> Listed<'a> {
    fn new(around: &'a Surroundings) -> Self {
        Self { parts: Vec::new(), bytes: 0, around }
    }

    fn add(&mut self, part: &str) -> Result<(), Stop> {
        self.count(part.len())?;
        self.parts.push(Value::from(part));
        Ok(())
    }

    /// Counts a value that is about to be made, with text of so many bytes.
    fn count(&mut self, text: usize) -> Result<(), Stop> {
        const VALUE: usize = size_of::<(Value, [usize; 2])>();
        self.bytes = self.bytes.saturating_add(text).saturating_add(VALUE);
        self.around.has_room(self.bytes)
    }

    fn list(self) -> Value {
        Value::from(self.parts)
    }
}

#[cfg(test)]
mod tests;
