//! `glob.*`, by the rules of gobwas/glob 1.0, which OPA matches with.

use std::mem;

use regorus::Value;

/// A pattern is compiled for each call; one of more parts than this is an error, as a malformed one is.
const MOST_PARTS: usize = 8_192;

/// Whether a text matches a pattern. `*` and `?` stop at delimiters: those given, `.` for none given, and nothing for
/// null.
pub(super) fn matches(arguments: &[Value]) -> Option<Value> {
    let [Value::String(pattern), delimiters, Value::String(text)] = arguments else { return None };
    let delimiters = match delimiters {
        Value::Null => Vec::new(),
        Value::Array(items) if items.is_empty() => vec!['.'],
        Value::Array(items) => items.iter().map(only_character).collect::<Option<_>>()?,
        _ => return None,
    };
    Some(Value::Bool(Glob::parse(pattern)?.matches(text, &delimiters)))
}

/// The pattern that matches this text alone.
pub(super) fn quote_meta(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if "*?\\[]{}".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    Some(Value::from(quoted))
}

fn only_character(value: &Value) -> Option<char> {
    let mut characters = value.as_string().ok()?.chars();
    characters.next().filter(|_| characters.next().is_none())
}

/// A pattern as the states of a machine that is in many of them at once, so that no pattern takes more steps than parts
/// for each character.
struct Glob(Vec<Part>);

enum Part {
    Character(char),
    /// `?`
    Single,
    /// `*`, and `**` with the flag.
    Run {
        over_delimiters: bool,
    },
    /// `[a-z]` with two ends, `[abc]` with one for each character; `!` negates.
    Class {
        ranges: Vec<(char, char)>,
        negated: bool,
    },
    /// `{`: goes on at each of these.
    Fork(Vec<usize>),
    /// The end of an alternative: goes on there.
    Jump(usize),
}

/// An alternative's beginning has been read and its end has not.
struct Group {
    fork: usize,
    starts: Vec<usize>,
    jumps: Vec<usize>,
}

impl Glob {
    fn parse(pattern: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut groups: Vec<Group> = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(c) = rest.next() {
            if parts.len() >= MOST_PARTS {
                return None;
            }
            match c {
                '{' => {
                    let fork = parts.len();
                    groups.push(Group { fork, starts: vec![fork.checked_add(1)?], jumps: Vec::new() });
                    parts.push(Part::Fork(Vec::new()));
                }
                ',' if !groups.is_empty() => {
                    let group = groups.last_mut()?;
                    group.jumps.push(parts.len());
                    parts.push(Part::Jump(0));
                    group.starts.push(parts.len());
                }
                '}' if !groups.is_empty() => {
                    let group = groups.pop()?;
                    let end = parts.len();
                    *parts.get_mut(group.fork)? = Part::Fork(group.starts);
                    for jump in group.jumps {
                        *parts.get_mut(jump)? = Part::Jump(end);
                    }
                }
                '[' => parts.push(class(&mut rest)?),
                '?' => parts.push(Part::Single),
                '*' => parts.push(Part::Run { over_delimiters: rest.next_if_eq(&'*').is_some() }),
                '\\' => parts.push(Part::Character(rest.next()?)),
                c => parts.push(Part::Character(c)),
            }
        }
        groups.is_empty().then_some(Self(parts))
    }

    fn matches(&self, text: &str, delimiters: &[char]) -> bool {
        let mut now = States::of(self);
        let mut next = States::of(self);
        now.enter(self, 0);
        for c in text.chars() {
            for &state in &now.list {
                let Some(part) = self.0.get(state) else { continue };
                let (takes, stays) = match part {
                    Part::Character(wanted) => (*wanted == c, false),
                    Part::Single => (!delimiters.contains(&c), false),
                    Part::Run { over_delimiters } => (*over_delimiters || !delimiters.contains(&c), true),
                    Part::Class { ranges, negated } => {
                        (ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated, false)
                    }
                    Part::Fork(_) | Part::Jump(_) => (false, false),
                };
                if takes {
                    next.enter(self, if stays { state } else { state.saturating_add(1) });
                }
            }
            now.leave();
            mem::swap(&mut now, &mut next);
        }
        now.entered.get(self.0.len()).copied().unwrap_or(false)
    }
}

/// Which states the machine is in.
struct States {
    entered: Vec<bool>,
    list: Vec<usize>,
}

impl States {
    fn of(glob: &Glob) -> Self {
        Self { entered: vec![false; glob.0.len().saturating_add(1)], list: Vec::new() }
    }

    /// Enters a state and those that it reaches without a character.
    fn enter(&mut self, glob: &Glob, state: usize) {
        let mut seen = self.list.len();
        self.add(state);
        while let Some(&state) = self.list.get(seen) {
            seen = seen.saturating_add(1);
            match glob.0.get(state) {
                Some(Part::Fork(starts)) => starts.iter().for_each(|start| self.add(*start)),
                Some(Part::Jump(end)) => self.add(*end),
                Some(Part::Run { .. }) => self.add(state.saturating_add(1)),
                _ => {}
            }
        }
    }

    fn add(&mut self, state: usize) {
        if let Some(entered @ false) = self.entered.get_mut(state) {
            *entered = true;
            self.list.push(state);
        }
    }

    fn leave(&mut self) {
        for state in self.list.drain(..) {
            if let Some(entered) = self.entered.get_mut(state) {
                *entered = false;
            }
        }
    }
}

/// What follows `[`. A `-` after the first character makes it a range, whatever the characters are.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Part> {
    let negated = rest.next_if_eq(&'!').is_some();
    let first = rest.next()?;
    if rest.next_if_eq(&'-').is_some() {
        let last = rest.next()?;
        let closed = rest.next()? == ']';
        return (closed && first <= last).then(|| Part::Class { ranges: vec![(first, last)], negated });
    }
    let mut ranges = Vec::new();
    let mut c = first;
    while c != ']' {
        let literal = if c == '\\' { rest.next()? } else { c };
        ranges.push((literal, literal));
        c = rest.next()?;
    }
    (!ranges.is_empty()).then_some(Part::Class { ranges, negated })
}

#[cfg(test)]
mod tests {
    use regorus::Value;
    use serde_json::json;

    use super::{MOST_PARTS, matches, quote_meta};
    use crate::policy::Document;

    fn ask(pattern: &str, delimiters: &serde_json::Value, text: &str) -> Option<bool> {
        let delimiters = Document::from_json(delimiters).0;
        let answer = matches(&[Value::from(pattern), delimiters, Value::from(text)])?;
        Some(answer == Value::Bool(true))
    }

    /// Answers of `opa eval`, version 1.22; `None` where it reports an error.
    #[test]
    fn patterns_match_as_in_opa() {
        let null = json!(null);
        for (pattern, delimiters, text, expected) in [
            ("", json!([]), "", Some(true)),
            ("", json!([]), "a", Some(false)),
            ("*.github.com", json!([]), "api.github.com", Some(true)),
            ("*.github.com", json!([]), "a.b.github.com", Some(false)),
            ("*.github.com", json!(["/"]), "a.b.github.com", Some(true)),
            ("**.github.com", json!(["."]), "a.b.github.com", Some(true)),
            ("*:github:com", json!([":"]), "api:cdn:github:com", Some(false)),
            ("*", null.clone(), "a.b/c", Some(true)),
            ("***", json!(["."]), "a.b", Some(true)),
            ("a/**/b", null.clone(), "a/b", Some(false)),
            ("{**/,}x", null.clone(), "x", Some(true)),
            ("?", null.clone(), "", Some(false)),
            ("?at", json!(["f"]), "fat", Some(false)),
            ("?at", json!(["f"]), "öat", Some(true)),
            ("[abc]at", json!([]), "bat", Some(true)),
            ("[abc]at", json!([]), "rat", Some(false)),
            ("[!abc]at", json!([]), "rat", Some(true)),
            ("[!abc]at", json!([]), ".at", Some(true)),
            ("[!a-c]at", json!([]), "bat", Some(false)),
            ("[a-c]at", json!([]), "cat", Some(true)),
            ("{cat,bat,[fr]at}", json!([]), "rat", Some(true)),
            ("{cat,bat,[fr]at}", json!([]), "gat", Some(false)),
            ("{a{b,c*},d}e", json!([]), "acxxe", Some(true)),
            ("{a{b,c*},d}e", json!([]), "de", Some(true)),
            ("{a,}b", json!([]), "b", Some(true)),
            ("{}", json!([]), "", Some(true)),
            ("a,b}]", json!([]), "a,b}]", Some(true)),
            ("\\*\\{", json!([]), "*{", Some(true)),
            ("[\\]x]", json!([]), "]", Some(true)),
            ("[\\-a]", json!([]), "]", Some(true)),
            ("[\\-a]", json!([]), "-", Some(false)),
            ("[--a]", json!([]), "A", Some(true)),
            ("[a-]", json!([]), "a", None),
            ("[-a]", json!([]), "-", Some(true)),
            ("[!!]", json!([]), "!", Some(false)),
            ("[ab-d]", json!([]), "-", Some(true)),
            ("[!-a]", json!([]), "-", Some(false)),
            ("[]", json!([]), "]", None),
            ("[]a]", json!([]), "]", None),
            ("[!]", json!([]), "!", None),
            ("[]-a]", json!([]), "]", Some(true)),
            ("[b-a]", json!([]), "b", None),
            ("[a-bc]", json!([]), "c", None),
            ("[ab", json!([]), "a", None),
            ("a\\", json!([]), "a", None),
            ("{a,b", json!([]), "a", None),
            ("*b", json!(["ab"]), "b", None),
            ("*b", json!([""]), "b", None),
            ("*b", json!([1]), "b", None),
            ("*b", json!("."), "b", None),
            ("*a*a*a*a*a*a*a*a*b", null.clone(), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Some(false)),
        ] {
            assert_eq!(ask(pattern, &delimiters, text), expected, "{pattern:?} {delimiters} {text:?}");
        }
        assert_eq!(matches(&[Value::from(1), Value::Null, Value::from("a")]), None);
    }

    #[test]
    fn patterns_are_bounded() {
        let nested = |depth| format!("{}{}", "{".repeat(depth), "}".repeat(depth));
        for (pattern, expected) in [
            ("?".repeat(MOST_PARTS), Some(false)),
            ("?".repeat(MOST_PARTS + 1), None),
            (nested(MOST_PARTS - 1), Some(true)),
            (nested(MOST_PARTS + 1), None),
        ] {
            assert_eq!(ask(&pattern, &json!(null), ""), expected, "{}", pattern.len());
        }
    }

    #[test]
    fn quoted_text_matches_itself() {
        for (text, quoted) in
            [("*.github.com", "\\*.github.com"), ("a[b]{c,!-}?\\", "a\\[b\\]\\{c,!-\\}\\?\\\\")]
        {
            assert_eq!(quote_meta(&[Value::from(text)]), Some(Value::from(quoted)));
            assert_eq!(ask(quoted, &json!([]), text), Some(true), "{quoted}");
        }
    }
}
