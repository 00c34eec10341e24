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
        // The parser counts a tab as four columns.
        let before = usize::try_from(span.start).ok().and_then(|at| span.source.get_contents().get(..at));
        let line = before.and_then(|before| before.rsplit('\n').next()).unwrap_or_default();
        let tabs = u32::try_from(line.matches('\t').count()).unwrap_or(0);
        let column = span.col.saturating_sub(tabs.saturating_mul(3)).max(1);
        Self { file: span.source.get_path().clone(), line: span.line, column }
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
    let text = text.map(|text| as_written(&text));
    let text = text.unwrap_or_else(|| {
        let one_line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        one_line.chars().take(300).collect()
    });
    (at, text)
}

/// Without what [`super::shadow`] puts before a name.
fn as_written(text: &str) -> String {
    let mut parts = text.split("remit_s");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix('_') {
            Some(name) => written.push_str(name),
            None => written.extend(["remit_s", part]),
        }
    }
    written
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
    use crate::policy::tests::{bundle, try_policy};
    use crate::policy::{Policy, PolicyLimits};

    #[test]
    fn messages_come_apart() {
        let message = "\n--> a/b.rego:3:14\n  |\n3 | x := \n  |      ^\nerror: unexpected end";
        let (at, text) = located(message);
        assert_eq!(at.unwrap().to_string(), "a/b.rego:3:14");
        assert_eq!(text, "unexpected end");
        assert_eq!(located("no\n place"), (None, "no place".to_owned()));
        assert_eq!(located("error: var `remit_s0_name` of remit_set").1, "var `name` of remit_set");
    }

    #[test]
    fn a_tab_is_one_column_and_a_mark_at_the_start_is_none() {
        let error = try_policy("decision if {\n\t\tnope(1)\n}").err().unwrap().to_string();
        assert!(error.starts_with("p.rego:3:7: nope is neither"), "{error}");
        let module = "\u{feff}package p\ndecision := 1\n";
        let policy = Policy::compile(&bundle(&[("p.rego", module)]), "p/decision", &PolicyLimits::default());
        assert!(policy.is_ok());
    }
}
