//! Why Rego does not load, told to its author: each problem with its place and what to do about it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use remit_core::bundle::Bundle;
use remit_core::policy::{PolicyError, Refusal};
use serde_json::{Value, json};

use crate::rego::{definitions, parses_as_old};

/// One thing that keeps Rego from loading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// File, 1-based row and column, as far as they are known; 0 where they are not.
    pub at: Option<(String, u32, u32)>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// All of them, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    problems: Vec<Problem>,
    more: usize,
}

impl Refused {
    /// What the filter says of a bundle. `sources` are the folders that it was packed of; files are named in them.
    #[must_use]
    pub fn of(error: &PolicyError, bundle: &Bundle, sources: &[PathBuf]) -> Self {
        Self::named(error, bundle, &|file| {
            let within = sources.iter().map(|source| source.join(file)).find(|path| path.is_file());
            within.map_or_else(|| file.to_owned(), |path| path.display().to_string())
        })
    }

    /// As [`Refused::of`]; `named` gives the name by which the author knows a file of the bundle.
    #[must_use]
    pub fn named(error: &PolicyError, bundle: &Bundle, named: &dyn Fn(&str) -> String) -> Self {
        // Reading it as such says on stderr what it thinks of it.
        let wants_keyword = |one: &PolicyError| matches!(one, PolicyError::Syntax { message, .. } if message.contains("keyword is required"));
        let is_old = error.each().iter().any(wants_keyword) && parses_as_old(bundle);
        Self::with(error, &|problem| remedy(problem, bundle, is_old), named)
    }

    /// What is wrong with files that are no bundle, whose lines are as they were written and whose columns are not.
    #[must_use]
    pub fn of_lines(error: &PolicyError) -> Self {
        let mut refused = Self::with(error, &|_| None, &str::to_owned);
        for (_, _, column) in refused.problems.iter_mut().filter_map(|problem| problem.at.as_mut()) {
            *column = 0;
        }
        refused
    }

    /// Problems that somebody else found, which name their places themselves.
    #[must_use]
    pub fn told(messages: Vec<String>) -> Self {
        let problem = |message| Problem { at: None, message, remedy: None };
        Self { problems: messages.into_iter().map(problem).collect(), more: 0 }
    }

    fn with(
        error: &PolicyError,
        remedy: &dyn Fn(&PolicyError) -> Option<String>,
        named: &dyn Fn(&str) -> String,
    ) -> Self {
        let problem = |one: &PolicyError| {
            let text = one.to_string();
            let begins = one.at().map(|at| format!("{at}: ")).unwrap_or_default();
            Problem {
                at: one.at().map(|at| (named(&at.file), at.line, at.column)),
                message: text.strip_prefix(&begins).unwrap_or(&text).to_owned(),
                remedy: remedy(one),
            }
        };
        let more = if let PolicyError::Several { more, .. } = error { *more } else { 0 };
        Self { problems: error.each().iter().map(problem).collect(), more }
    }

    /// A line for each, below one that counts them where there are several.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        let count = lines.len().saturating_add(self.more);
        if count > 1 {
            lines.insert(0, format!("{count} problems in the Rego"));
        }
        if self.more > 0 {
            lines.push(format!("and {} more", self.more));
        }
        lines
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        self.problems.iter().map(Problem::to_json).collect()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        if self.more > 0 {
            texts.push(format!("and {} more", self.more));
        }
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((file, row, column)) = &self.at {
            f.write_str(file)?;
            for number in [row, column] {
                if *number > 0 {
                    write!(f, ":{number}")?;
                }
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "; {remedy}"))
    }
}

impl Problem {
    fn to_json(&self) -> Value {
        let location =
            |(file, row, column): &(String, u32, u32)| json!({"file": file, "row": row, "col": column});
        json!({
            "location": self.at.as_ref().map(location),
            "message": self.message,
            "remedy": self.remedy,
        })
    }
}

fn remedy(problem: &PolicyError, bundle: &Bundle, is_old: bool) -> Option<String> {
    match problem {
        PolicyError::NoDecision { .. } | PolicyError::DecisionPath { .. } => Some(others(bundle)),
        PolicyError::Builtin { name, refusal: Refusal::Unknown, .. } => Some(
            if is_of_opa(name) {
                "policy-bundles/BUILTINS.md lists what is: decide without it, or bring the value in the bundle's data"
            } else {
                "look for a misspelt name or a package that is not in the bundle"
            }
            .to_owned(),
        ),
        // What Rego v0 lets pass is not always what was meant.
        PolicyError::Syntax { message, .. } if message.contains("shadow") => None,
        other => other.hint(bundle.rego_version()).filter(|_| is_old).map(str::to_owned),
    }
}

/// Whether a function that Remit lacks is one of OPA's builtins.
fn is_of_opa(name: &str) -> bool {
    const TABLE: &str = include_str!("../../policy-bundles/BUILTINS.md");
    TABLE.contains(&format!("| `{name}` |"))
}

/// What to do where a bundle lacks the rule that is to decide.
fn others(bundle: &Bundle) -> String {
    const SHOWN: usize = 8;
    let rules: BTreeSet<String> = definitions(bundle)
        .into_iter()
        .filter(|definition| !definition.is_function)
        .map(|definition| definition.rule.replacen("data.", "", 1).replace('.', "/"))
        .collect();
    let shown: Vec<&str> = rules.iter().take(SHOWN).map(String::as_str).collect();
    let more = if rules.len() > SHOWN { ", …" } else { "" };
    format!(
        "name the rule that decides, by `decision` in the configuration or by --decision; there are: {}{more}",
        shown.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use remit_core::bundle::BundleLimits;
    use remit_core::policy::{Policy, PolicyLimits};

    use super::*;

    #[test]
    fn each_problem_has_its_place_and_its_remedy() {
        for (rego, expected) in [
            (
                "package p\nx := nope(1)\n",
                &["2 problems in the Rego", "p.rego:2:10: nope is", "the bundle has no rule"] as &[_],
            ),
            ("package p\ndecision := nope(1)\n", &["p.rego:2:17: nope is neither"]),
            ("package p\ndecision { true }\n", &["p.rego:2:10: "]),
        ] {
            let files = [("p.rego", rego.as_bytes().to_vec())];
            let bundle = Bundle::from_files(files, &BundleLimits::default()).unwrap();
            let error = Policy::compile(&bundle, "p/decision", &PolicyLimits::default()).unwrap_err();
            let refused = Refused::of(&error, &bundle, &[]);
            let lines = refused.lines();
            assert!(
                lines.len() == expected.len()
                    && lines.iter().zip(expected).all(|(line, begins)| line.starts_with(begins)),
                "{lines:#?}"
            );
            let problems = refused.to_json();
            assert!(
                problems.as_array().unwrap().iter().all(|problem| problem["remedy"].is_string()),
                "{problems}"
            );
            assert_eq!(problems.pointer("/0/location/row"), Some(&json!(2)), "{problems}");
        }
    }
}
