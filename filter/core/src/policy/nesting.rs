//! How deep a policy's expressions are nested, before they are parsed. The parser tries `[…]` and `{…}` as a comprehension and
//! as a literal, so what stands in front of the first comma is read twice, and four times in two of them. Parentheses, and chains
//! of operators and of parts of a reference, become trees that functions go down by calling themselves: on a module's stack.

use super::error::PolicyError;
use super::place::Place;

/// How many words and signs may be read because of brackets in each other, in one file and in all files of a bundle.
const MAX_READ: u64 = 1 << 19;
pub(super) const MAX_READ_OF_ALL: u64 = 1 << 20;
/// The highest tree that an expression may make: parentheses, operators and parts of references above each other.
const MAX_HEIGHT: u32 = 128;
/// The most arguments of one call.
const MAX_ARGUMENTS: u32 = 64;

/// Operators of letters.
const WORDS: [&str; 2] = ["in", "not"];
/// Words between two expressions, where they are no part of a reference.
const SEPARATORS: [&str; 4] = ["as", "else", "if", "with"];

/// How often a file may be read again of which so much is read.
pub(super) fn times(read: u64) -> u64 {
    MAX_READ.checked_div(read).unwrap_or(MAX_READ)
}

/// Finds what is nested too deep, and says how many words and signs are read.
pub(super) fn check(path: &str, text: &str) -> Result<u64, PolicyError> {
    let (mut line, mut column) = (1_u32, 0_u32);
    let mut inside = Inside::Code;
    let mut nest = Nest::default();
    for c in text.chars() {
        column = column.saturating_add(1);
        let fault = match inside {
            Inside::Code => nest.read(c),
            _ => None,
        };
        if let Some(fault) = fault {
            return Err(PolicyError::Nested { at: Place { file: path.to_owned(), line, column }, fault });
        }
        inside = inside.after(c);
        if c == '\n' {
            (line, column) = (line.saturating_add(1), 0);
        }
    }
    Ok(nest.read)
}

/// What is too much of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NestingFault {
    /// Brackets and braces.
    #[error("brackets and braces are nested too deep, or too often: give the inner ones a name of their own")]
    Brackets,
    /// Parentheses, operators, parts of references.
    #[error(
        "more than {MAX_HEIGHT} calls, parentheses, operators and parts of references in one expression: give parts of it names of their own"
    )]
    Height,
    /// Arguments.
    #[error("more than {MAX_ARGUMENTS} arguments: hand over an object or an array")]
    Arguments,
}

/// What is open, and how high the trees get.
#[derive(Default)]
struct Nest {
    /// What is read, each time that it is.
    read: u64,
    open: Vec<Level>,
    /// The innermost one.
    level: Level,
    /// The word that is being read, and whether it follows a dot.
    word: String,
    is_part: bool,
    /// Whether the last thing of the code was an operator, so that the next line goes on with the expression.
    goes_on: bool,
    /// Whether a line has ended since.
    is_new_line: bool,
}

#[derive(Default, Clone, Copy)]
struct Level {
    /// How high the expression is so far, those that it stands in included.
    height: u32,
    /// The same where it began.
    base: u32,
    /// The highest of this level.
    most: u32,
    /// How often what stands here is read, as a power of two.
    doublings: u32,
    /// Whether it is a bracket or a brace, and nothing has separated its parts so far.
    is_twice: bool,
    /// What separated its parts.
    commas: u32,
    is_call: bool,
}

impl Level {
    fn grow(&mut self) {
        self.height = self.height.saturating_add(1);
        self.most = self.most.max(self.height);
    }

    fn next(&mut self) {
        self.height = self.base;
    }
}

impl Nest {
    fn read(&mut self, c: char) -> Option<NestingFault> {
        if c.is_alphanumeric() || c == '_' {
            self.begins(false);
            if self.word.is_empty() {
                self.count();
            }
            self.word.push(c);
            return None;
        }
        if !c.is_whitespace() {
            self.count();
        }
        let word = std::mem::take(&mut self.word);
        if WORDS.contains(&word.as_str()) {
            self.level.grow();
            self.goes_on = true;
        } else if !self.is_part && SEPARATORS.contains(&word.as_str()) {
            self.level.next();
            self.goes_on = true;
        }
        self.is_part = c == '.' || self.is_part && c.is_whitespace();
        match c {
            '\n' => self.is_new_line = true,
            ' ' | '\t' | '\r' | '#' => {}
            '(' | '[' | '{' => {
                self.begins(c != '{');
                self.level.grow();
                self.open.push(self.level);
                let (height, is_call) = (self.level.height, c == '(');
                let doublings = self.level.doublings.saturating_add(u32::from(!is_call));
                let (base, most) = (height, height);
                self.level = Level { height, base, most, doublings, is_twice: !is_call, commas: 0, is_call };
            }
            ')' | ']' | '}' => {
                self.begins(true);
                let most = self.level.most;
                self.level = self.open.pop().unwrap_or_default();
                self.level.height = self.level.height.max(most);
                self.level.most = self.level.most.max(most);
                self.goes_on = false;
            }
            ',' | ';' => {
                self.level.next();
                self.level.commas = self.level.commas.saturating_add(1);
                self.level.doublings = self.level.doublings.saturating_sub(u32::from(self.level.is_twice));
                self.level.is_twice = false;
                self.goes_on = true;
                if self.level.is_call && self.level.commas >= MAX_ARGUMENTS {
                    return Some(NestingFault::Arguments);
                }
            }
            '"' | '`' => self.begins(false),
            _ => {
                self.begins(true);
                self.level.grow();
                self.goes_on = true;
            }
        }
        match self.read > MAX_READ {
            true => Some(NestingFault::Brackets),
            false => (self.level.height > MAX_HEIGHT).then_some(NestingFault::Height),
        }
    }

    fn count(&mut self) {
        let times = 1_u64.checked_shl(self.level.doublings).unwrap_or(u64::MAX);
        self.read = self.read.saturating_add(times);
    }

    /// What comes on a line of its own behind a whole expression begins another one, unless it is an operator.
    fn begins(&mut self, may_go_on: bool) {
        if self.is_new_line && !self.goes_on && !may_go_on {
            self.level.next();
        }
        self.is_new_line = false;
        self.goes_on = false;
    }
}

/// What a character stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    Code,
    Comment,
    Text,
    Escape,
    RawText,
}

impl Inside {
    /// What the character after this one stands in.
    pub(super) fn after(self, c: char) -> Self {
        match (self, c) {
            (Self::Code, '#') => Self::Comment,
            (Self::Code, '"') => Self::Text,
            (Self::Code, '`') => Self::RawText,
            // A text of this kind ends with its line, so that one that is never closed hides nothing.
            (Self::Comment | Self::Text | Self::Escape, '\n') => Self::Code,
            (Self::Text, '\\') => Self::Escape,
            (Self::Escape, _) => Self::Text,
            (Self::Text, '"') | (Self::RawText, '`') => Self::Code,
            (inside, _) => inside,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::policy::tests::{bundle, try_policy};
    use crate::policy::{Policy, PolicyError, PolicyLimits};

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
    fn files_share_what_a_bundle_may_be_nested() {
        let text = |package: &str, lines: usize| {
            let deep = |at: usize| format!("x{at} := {}1{}\n", "[".repeat(12), "]".repeat(12));
            format!("package {package}\ndecision := 1\n{}", (0..lines).map(deep).collect::<String>())
        };
        let names = ["a.rego", "b.rego", "c.rego"];
        for (lines, loads) in [(2, true), (30, false)] {
            let texts: Vec<String> =
                names.iter().map(|name| text(name.trim_end_matches(".rego"), lines)).collect();
            let files: Vec<(&str, &str)> =
                names.iter().copied().zip(texts.iter().map(String::as_str)).collect();
            let outcome = Policy::compile(&bundle(&files), "a/decision", &PolicyLimits::default());
            let nested = matches!(outcome, Err(PolicyError::Nested { .. }));
            assert_eq!(
                (outcome.is_ok(), nested),
                (loads, !loads),
                "{:?}",
                outcome.err().map(|error| error.to_string())
            );
        }
    }

    /// Each of these would take more than a module's stack.
    #[test]
    fn chains_are_bounded() {
        let repeated = |open: &str, inner: &str, close: &str, times: usize| {
            format!("package p\ndecision := {}{inner}{}\n", open.repeat(times), close.repeat(times))
        };
        for (open, inner, close) in [
            ("abs(", "1", ")"),
            ("(", "1", ")"),
            ("-", "1", ""),
            ("", "1", " + 1"),
            ("", "1", "\n+ 1"),
            ("", "1", " +\n1"),
            ("", "input", ".a"),
            ("", "input", "[0]"),
            ("", "input", ".if"),
            ("", "input", " .\nelse"),
            ("1 == ", "1", ""),
            ("1 in ", "[1]", ""),
            ("(", "1", " + 1 + 1 + 1)"),
            ("f(1, ", "1", ")"),
        ] {
            for times in [200, 20_000] {
                let error =
                    try_policy(repeated(open, inner, close, times).trim_start_matches("package p")).err();
                let error = error.unwrap().to_string();
                assert!(
                    error.contains("in one expression: give parts of it"),
                    "{open}{inner}{close}: {error}"
                );
            }
        }
        let many = format!("package p\nf({}) := 1\n", vec!["a"; 65].join(", "));
        assert!(check("p.rego", &many).unwrap_err().to_string().contains("more than 64 arguments"));
    }

    #[test]
    fn what_authors_write_is_not_too_much() {
        let body: String =
            (0..500).map(|at| format!("\tinput.a.b.c[{at}].d == data.x.y + {at} - 1\n")).collect();
        let set = (0..5_000).map(|at| format!("\"{at}\"")).collect::<Vec<_>>().join(", ");
        let rows =
            (0..1_000).map(|at| format!("\t{{\"a\": {at}, \"b\": [-1, 2]}}")).collect::<Vec<_>>().join(",\n");
        for text in [
            format!("package p\nx if {{\n{body}}}\n"),
            format!("package p\nx := {{{set}}}\n"),
            format!("package p\nx := [\n{rows},\n]\n"),
            format!("package p\nx if {}true", "input.a == 1; ".repeat(400)),
            format!("package p\n{}", "x if not input.a\n".repeat(400)),
            format!("package p\nx := 1 if {{ input.a }}{}", " else := 2 if { input.b }".repeat(400)),
            format!(
                "package p\nx := 1 if {{ input.a }}{}",
                " else := 2 if {\n\tinput.b - 1 > 2\n}".repeat(400)
            ),
            format!("package p\nx if y{}", " with input.a as 1 with data.b as {}".repeat(100)),
            format!("package p\n{}", "x := y if { y := -1 } else := -2\n\n# a - b\n".repeat(400)),
        ] {
            assert!(check("p.rego", &text).is_ok(), "{}: {:?}", &text[..40], check("p.rego", &text));
        }
    }

    #[test]
    fn only_brackets_and_braces_of_the_code_count() {
        let nested = |depth: usize| format!("x := {}{}", "[".repeat(depth), "]".repeat(depth));
        for (text, expected) in [
            (nested(16), None),
            (nested(19), Some("p.rego:1:24: ")),
            (format!("package a\n\n{}", "{[".repeat(10)), Some("p.rego:3:19: ")),
            (format!("{}\n", nested(12)).repeat(30), None),
            (format!("{}\n", nested(12)).repeat(60), Some("p.rego:")),
            (format!("x := [{}1]", "1, [".repeat(40)), None),
            ("[]{}".repeat(40), None),
            (format!("x := \"{}\\\"{}\"", "[".repeat(40), "[".repeat(40)), None),
            (format!("x := `{}\n\"{}`", "{".repeat(40), "{".repeat(40)), None),
            (format!("# {}\nx := 1", "[".repeat(40)), None),
            (format!("# \" {}\n{}", "[", "[".repeat(20)), Some("p.rego:2:20: ")),
            (format!("x := \"\n{}", "[".repeat(20)), Some("p.rego:2:19: ")),
        ] {
            let error = check("p.rego", &text).err().map(|error| error.to_string());
            let begins = expected.is_none_or(|expected| error.as_deref().unwrap_or("").starts_with(expected));
            assert!(error.is_some() == expected.is_some() && begins, "{text}: {error:?}");
        }
    }
}
