//! Where something stands in a bundle's Rego, and how to read it out of the evaluator's messages.

use std::fmt;

use regorus::unstable::Span;

/// A position in a file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Path in the bundle; of several bundles, `name:path`.
    pub file: String,
    /// 1-based line; 0 when only the file is known.
    pub line: u32,
    /// 1-based column; 0 when only the line is known.
    pub column: u32,
}

impl Place {
    pub(super) fn of(span: &Span) -> Self {
        Self { file: span.source.get_path().clone(), line: span.line, column: span.col }
    }

    /// For what belongs to no single file.
    pub(super) fn nowhere() -> Self {
        Self { file: "bundle".to_owned(), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        for number in [self.line, self.column] {
            if number > 0 {
                write!(f, ":{number}")?;
            }
        }
        Ok(())
    }
}

/// Takes a message of the evaluator apart: `--> file:line:column`, a picture of the line, `error: message`.
pub(super) fn located(message: &str) -> (Option<Place>, String) {
    let mut at = None;
    let mut text = None;
    for line in message.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("--> ") {
            at = at.or_else(|| parse_place(place));
        } else if let Some(rest) = line.strip_prefix("error: ") {
            text = text.or(Some(rest.to_owned()));
        }
    }
    let text = text.unwrap_or_else(|| {
        let one_line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        one_line.chars().take(300).collect()
    });
    (at, text)
}

fn parse_place(text: &str) -> Option<Place> {
    let mut parts = text.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some(Place { file: parts.next()?.to_owned(), line, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_apart() {
        let message = "\n--> a/b.rego:3:14\n  |\n3 | x := \n  |      ^\nerror: unexpected end";
        let (at, text) = located(message);
        assert_eq!(at.unwrap().to_string(), "a/b.rego:3:14");
        assert_eq!(text, "unexpected end");
        assert_eq!(located("no\n place"), (None, "no place".to_owned()));
    }
}
