//! Finds the tests in parsed modules.

use std::collections::BTreeMap;

use regorus::unstable::{Expr, Module, Ref, Rule, RuleHead, Span};

use crate::rego::{Source, constant};

/// A rule that is a test.
pub(super) struct Found {
    pub(super) file: String,
    pub(super) row: u32,
    pub(super) column: u32,
    /// Offset of the last part of its name in the file, in bytes.
    start: usize,
    /// `data.` and the package.
    pub(super) package: String,
    /// The rule as the evaluator knows it, below the package.
    pub(super) rule: String,
    /// The rule as OPA would name it.
    pub(super) name: String,
    pub(super) is_skipped: bool,
    /// `test_x[case]`.
    pub(super) has_cases: bool,
}

/// The tests of all modules, by file and line.
pub(super) fn tests(modules: &[Ref<Module>]) -> Vec<Found> {
    let mut tests = Vec::new();
    for module in modules {
        let package: Vec<String> = constant(&module.package.refr);
        for rule in &module.policy {
            let (refr, rule_span) = match rule.as_ref() {
                Rule::Default { refr, span, .. } => (refr, span),
                Rule::Spec { head, span, .. } => match head {
                    RuleHead::Compr { refr, .. }
                    | RuleHead::Set { refr, .. }
                    | RuleHead::Func { refr, .. } => (refr, span),
                },
            };
            let segments = segments(refr);
            let is_test =
                |span: &&Span| span.text().starts_with("test_") || span.text().starts_with("todo_test_");
            let Some(at) =
                segments.iter().take_while(|(_, is_name)| *is_name).position(|(span, _)| is_test(span))
            else {
                continue;
            };
            let Some((span, _)) = segments.get(at) else { continue };
            let names: Vec<&str> =
                segments.iter().take(at.saturating_add(1)).map(|(span, _)| span.text()).collect();
            let rule = names.join(".");
            tests.push(Found {
                file: span.source.get_path().clone(),
                row: rule_span.line,
                column: rule_span.col,
                start: usize::try_from(span.start).unwrap_or(usize::MAX),
                package: format!("data.{}", package.join(".")),
                name: rule.clone(),
                rule,
                is_skipped: span.text().starts_with("todo_"),
                has_cases: segments.len() > at.saturating_add(1),
            });
        }
    }
    tests.sort_by(|a, b| (&a.file, a.start).cmp(&(&b.file, b.start)));
    tests
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
        let Some(source) = sources.iter_mut().find(|source| source.path == test.file) else { continue };
        let last = test.rule.rsplit('.').next().unwrap_or(&test.rule).to_owned();
        let number = test.name.rsplit('#').next().unwrap_or_default().to_owned();
        let renamed = format!("{last}_number_{number}");
        let end = test.start.saturating_add(last.len());
        if source.text.get(test.start..end) == Some(&last) {
            source.text.replace_range(test.start..end, &renamed);
            test.rule = format!("{}{renamed}", test.rule.strip_suffix(&last).unwrap_or_default());
        }
    }
}

/// The parts of a rule's head, and whether each is a name: `a`, `.b`, but not `[c]`.
fn segments(head: &Expr) -> Vec<(&Span, bool)> {
    let mut segments = Vec::new();
    let mut at = head;
    loop {
        match at {
            Expr::RefDot { refr, field, .. } => {
                segments.push((&field.0, true));
                at = refr;
            }
            Expr::RefBrack { refr, index, .. } => {
                segments.push((index.span(), false));
                at = refr;
            }
            _ => {
                segments.push((at.span(), true));
                break;
            }
        }
    }
    segments.reverse();
    segments
}
