//! Finds the tests in parsed modules.

use std::collections::BTreeMap;

use regorus::Engine;
use regorus::unstable::{Expr, Rule, RuleHead, Span};

use super::LoadError;

/// A Rego file.
pub(super) struct Source {
    pub(super) path: String,
    pub(super) text: String,
    pub(super) is_v0: bool,
}

/// A rule that is a test.
pub(super) struct Found {
    pub(super) file: String,
    pub(super) row: u32,
    pub(super) column: u32,
    /// Offset of the rule's name in the file, in bytes.
    start: usize,
    /// `data.` and the package.
    pub(super) package: String,
    /// The rule as the evaluator knows it.
    pub(super) rule: String,
    /// The rule as OPA would name it.
    pub(super) name: String,
    pub(super) is_skipped: bool,
}

/// The tests of all modules, by file and line.
pub(super) fn tests(engine: &mut Engine) -> Result<Vec<Found>, LoadError> {
    let mut tests = Vec::new();
    for module in engine.get_modules() {
        let package = format!("data.{}", path_of(&module.package.refr));
        for rule in &module.policy {
            let Rule::Spec { head: RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. }, .. } = rule.as_ref() else {
                continue;
            };
            let (span, is_whole) = root_of(refr);
            let name = span.text().to_owned();
            let is_skipped = name.starts_with("todo_test_");
            if !is_skipped && !name.starts_with("test_") {
                continue;
            }
            let file = span.source.get_path().clone();
            if !is_whole && !is_skipped {
                return Err(LoadError::Cases { place: format!("{file}:{}", span.line), name });
            }
            tests.push(Found {
                file,
                row: span.line,
                column: span.col,
                start: usize::try_from(span.start).unwrap_or(usize::MAX),
                package: package.clone(),
                rule: name.clone(),
                name,
                is_skipped,
            });
        }
    }
    tests.sort_by(|a, b| (&a.file, a.start).cmp(&(&b.file, b.start)));
    Ok(tests)
}

/// Gives the second and later tests of one name names of their own, in the sources as well.
pub(super) fn separate(tests: &mut [Found], sources: &mut [Source]) {
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    for test in tests.iter_mut().filter(|test| !test.is_skipped) {
        let count = seen.entry((test.package.clone(), test.rule.clone())).or_insert(0);
        if *count > 0 {
            test.name = format!("{}#{count:02}", test.rule);
        }
        *count = count.saturating_add(1);
    }
    // From the end, so that the offsets of those before stay right.
    for test in tests.iter_mut().rev().filter(|test| test.name != test.rule) {
        let renamed = test.name.replace('#', "_number_");
        let Some(source) = sources.iter_mut().find(|source| source.path == test.file) else { continue };
        let end = test.start.saturating_add(test.rule.len());
        if source.text.get(test.start..end) == Some(&test.rule) {
            source.text.replace_range(test.start..end, &renamed);
            test.rule = renamed;
        }
    }
}

/// The name that a rule's head begins with, and whether it is all of the head.
fn root_of(head: &Expr) -> (&Span, bool) {
    let (mut at, mut is_whole) = (head, true);
    loop {
        match at {
            Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } => (at, is_whole) = (refr, false),
            _ => return (at.span(), is_whole),
        }
    }
}

/// `a.b` or `a["b"].c`, as written.
fn path_of(package: &Expr) -> String {
    package.span().text().split_whitespace().collect()
}
