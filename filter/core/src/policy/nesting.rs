//! How deep brackets and braces of a policy are nested: the parser tries `[…]` and `{…}` as a comprehension and as a
//! literal, each level of the inner ones twice, so the time that a text takes doubles with each.

use super::error::PolicyError;
use super::place::Place;

/// The deepest nesting that is parsed.
const MAX_DEPTH: u32 = 12;

/// Finds what is nested too deep, before it is parsed.
pub(super) fn check(path: &str, text: &str) -> Result<(), PolicyError> {
    let (mut depth, mut line, mut column) = (0_u32, 1_u32, 0_u32);
    let mut inside = Inside::Code;
    for c in text.chars() {
        column = column.saturating_add(1);
        inside = match (inside, c) {
            (Inside::Code, '#') => Inside::Comment,
            (Inside::Code, '"') => Inside::Text,
            (Inside::Code, '`') => Inside::RawText,
            (Inside::Code, '[' | '{') => {
                depth = depth.saturating_add(1);
                if depth > MAX_DEPTH {
                    let at = Place { file: path.to_owned(), line, column };
                    return Err(PolicyError::Nested { at, limit: MAX_DEPTH });
                }
                Inside::Code
            }
            (Inside::Code, ']' | '}') => {
                depth = depth.saturating_sub(1);
                Inside::Code
            }
            // A text of this kind ends with its line, so that one that is never closed hides nothing.
            (Inside::Comment | Inside::Text | Inside::Escape, '\n') => Inside::Code,
            (Inside::Text, '\\') => Inside::Escape,
            (Inside::Escape, _) => Inside::Text,
            (Inside::Text, '"') | (Inside::RawText, '`') => Inside::Code,
            (inside, _) => inside,
        };
        if c == '\n' {
            (line, column) = (line.saturating_add(1), 0);
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Inside {
    Code,
    Comment,
    Text,
    Escape,
    RawText,
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::policy::PolicyError;
    use crate::policy::tests::try_policy;

    /// Each of these would hold up the parser for hours.
    #[test]
    fn a_bundle_that_is_nested_too_deep_does_not_load() {
        for (open, close) in [("[", "]"), ("{", "}"), ("{\"a\":", "}"), ("[x | x := ", "]")] {
            let rego = format!("package p\ndecision := {}1{}\n", open.repeat(31), close.repeat(31));
            let error = try_policy(&rego).err().unwrap();
            assert!(matches!(error, PolicyError::Nested { .. }), "{error}");
        }
    }

    #[test]
    fn only_brackets_and_braces_of_the_code_count() {
        let nested = |depth: usize| format!("x := {}{}", "[".repeat(depth), "]".repeat(depth));
        for (text, expected) in [
            (nested(12), None),
            (nested(13), Some("p.rego:1:18: ")),
            (format!("package a\n\n{}", "{[".repeat(7)), Some("p.rego:3:13: ")),
            ("[]{}".repeat(40), None),
            (format!("x := \"{}\\\"{}\"", "[".repeat(40), "[".repeat(40)), None),
            (format!("x := `{}\n\"{}`", "{".repeat(40), "{".repeat(40)), None),
            (format!("# {}\nx := 1", "[".repeat(40)), None),
            (format!("# \" {}\n{}", "[", "[".repeat(13)), Some("p.rego:2:13: ")),
            (format!("x := \"\n{}", "[".repeat(13)), Some("p.rego:2:13: ")),
        ] {
            let error = check("p.rego", &text).err().map(|error| error.to_string());
            let begins = expected.is_none_or(|expected| error.as_deref().unwrap_or("").starts_with(expected));
            assert!(error.is_some() == expected.is_some() && begins, "{text}: {error:?}");
        }
    }
}
