//! What is wrong with a policy, gathered so that its author is told of all of it at once.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Module, Ref, Rule};
use regorus::{Engine, Rc};

use super::error::PolicyError;
use super::place::Place;
use super::walk;

/// How many problems an author is told of.
const TOLD: usize = 10;
/// How many are held to choose from.
const HELD: usize = 1_000;
/// Above this much Rego the analysis, which ends at its first problem, is not begun again.
const ANALYSED_BYTES: usize = 256 * 1024;

/// What was found so far.
#[derive(Default)]
pub(super) struct Problems {
    found: Vec<PolicyError>,
    more: usize,
}

impl Problems {
    pub(super) fn add(&mut self, problem: PolicyError) {
        if self.found.len() < HELD {
            self.found.push(problem);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// What failed, and what came of it else.
    pub(super) fn take<T>(&mut self, outcome: Result<T, PolicyError>) -> Option<T> {
        outcome.map_err(|problem| self.add(problem)).ok()
    }

    /// # Errors
    ///
    /// The problem that was found, or [`PolicyError::Several`].
    pub(super) fn end(self) -> Result<(), PolicyError> {
        let Self { mut found, mut more } = self;
        // What has no place comes last.
        found.sort_by(|a, b| (a.at().is_none(), a.at()).cmp(&(b.at().is_none(), b.at())));
        found.dedup_by_key(|problem| problem.to_string());
        if found.len() < 2 {
            return found.pop().map_or(Ok(()), Err);
        }
        more = more.saturating_add(found.len().saturating_sub(TOLD));
        found.truncate(TOLD);
        Err(PolicyError::Several { problems: found, more })
    }
}

/// All that the analysis finds wrong: it ends at its first problem, so the definition that has it is left out and the
/// analysis begun again. `parsed` is an engine of texts.
pub(super) fn of_analysis(
    first: PolicyError,
    modules: &[Ref<Module>],
    rule: &str,
    parsed: impl Fn(BTreeMap<String, String>) -> Option<Engine>,
) -> PolicyError {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for module in modules {
        let source = &module.package.span.source;
        texts.insert(source.get_path().clone(), source.get_contents().clone());
    }
    let is_small = texts.values().map(String::len).sum::<usize>() <= ANALYSED_BYTES;
    let mut left_out = BTreeSet::new();
    let mut problems = Problems::default();
    let mut next = Some(first);
    for _ in 0..TOLD {
        let Some(problem) = next.take() else { break };
        let definition = problem.at().and_then(|at| definition_at(modules, at));
        // What is left out is missing elsewhere.
        if !is_missing(&problem, &left_out) {
            problems.add(problem);
        }
        let Some(definition) = definition.filter(|_| is_small) else { break };
        let span = definition.span();
        left_out.extend(walk::reference(walk::head_of(definition)).ok().map(|head| head.root.to_owned()));
        let (Ok(start), Ok(end)) = (usize::try_from(span.start), usize::try_from(span.end)) else { break };
        let Some(text) = texts.get_mut(span.source.get_path()) else { break };
        let Some(blank) = text.get(start..end).map(blank) else { break };
        text.replace_range(start..end, &blank);
        let Some(mut engine) = parsed(texts.clone()) else { break };
        next = engine
            .compile_with_entrypoint(&Rc::from(rule))
            .err()
            .map(|error| super::analysis(&error.to_string()))
            .filter(|problem| problem.at().is_some_and(|at| at.line > 0));
    }
    match problems.end() {
        Err(problem) => problem,
        Ok(()) => super::analysis("the modules do not go together"),
    }
}

/// As long, with the same lines.
fn blank(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// The last definition that begins before a place.
fn definition_at<'a>(modules: &'a [Ref<Module>], at: &Place) -> Option<&'a Rule> {
    let module = modules.iter().find(|module| *module.package.span.source.get_path() == at.file)?;
    let place = |rule: &Rule| (rule.span().line, rule.span().col);
    let begun = module.policy.iter().filter(|rule| place(rule) <= (at.line, at.column));
    begun.max_by_key(|rule| place(rule)).map(|rule| rule.as_ref())
}

/// Whether a problem is that something is not there that was left out.
fn is_missing(problem: &PolicyError, left_out: &BTreeSet<String>) -> bool {
    let PolicyError::Analysis { message, .. } = problem else { return false };
    message.split('`').nth(1).is_some_and(|name| left_out.contains(name))
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::{bundle, try_policy};
    use crate::policy::{Policy, PolicyError, PolicyLimits};

    fn told(error: &PolicyError) -> Vec<String> {
        error.each().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_in_order() {
        for (files, expected) in [
            // What does not parse, a problem of each file.
            (
                &[
                    ("a.rego", "package p\ndecision := {\n"),
                    ("b.rego", "package q\nx := ["),
                    ("c.rego", "package p\ny := nope(1)\n"),
                ] as &[_],
                &["a.rego:3:1: expecting expression", "b.rego:2:"] as &[_],
            ),
            // What parses and is not served.
            (
                &[
                    ("b.rego", "package b\nx := nope(1)\ny := split(\"a\")\n"),
                    ("a.rego", "package p\ndecision if net.lookup_ip_addr(\"x\")\ncontains := 1\n"),
                ],
                &[
                    "a.rego:2:31: net.lookup_ip_addr is not served",
                    "a.rego:3:1: contains is a keyword",
                    "b.rego:2:10: nope is neither",
                    "b.rego:3:11: split takes 2 arguments and is given 1",
                ],
            ),
            (
                &[("a.rego", "package p\nx := nope(1)\n")],
                &["a.rego:2:10: nope is neither", "the bundle has no rule \"p/decision\""],
            ),
            (
                &[
                    (".manifest", "{\"roots\": [\"q\"]}"),
                    ("a.rego", "package p\ndecision := 1\n"),
                    ("b.rego", "package b\nx := 1\n"),
                ],
                &["a.rego:1:1: package p is outside", "b.rego:1:1: package b is outside"],
            ),
            // What does not go together. Of one definition the first problem.
            (
                &[
                    (
                        "a.rego",
                        "package p\ndecision if b\nb := nope\n\nc := nope + 1\nd if { c\n missing }\n",
                    ),
                    ("b.rego", "package p\ne := [x |\n x := absent[1]]\n"),
                ],
                &[
                    "a.rego:3:6: use of undefined variable `nope`",
                    "a.rego:5:6: use of undefined variable `nope`",
                    "a.rego:7:2: use of undefined variable `missing`",
                    "b.rego:3:7: use of undefined variable `absent`",
                ],
            ),
            // What is left out for the next to be found is missing nowhere.
            (
                &[(
                    "a.rego",
                    "package p\ndecision := 1\na if { y := 1; y := 2 }\nb(x) if { x := 1 }\nc if { a; b(1) }\n",
                )],
                &[
                    "a.rego:3:8: var `y` used before definition",
                    "a.rego:4:11: var `x` used before definition",
                ],
            ),
            (
                &[("a.rego", "package p\ndecision := nope\n")],
                &["a.rego:2:13: use of undefined variable `nope`"],
            ),
        ] {
            let error = Policy::compile(&bundle(files), "p/decision", &PolicyLimits::default()).unwrap_err();
            let told = told(&error);
            assert!(
                told.len() == expected.len()
                    && told.iter().zip(expected).all(|(told, begins)| told.starts_with(begins)),
                "{told:#?}"
            );
        }
    }

    #[test]
    fn there_is_an_end_to_what_is_told() {
        for (line, more) in
            [("x%i := nope(1)\n", true), ("x%i := nope\n", true), ("x%i if { y := 1; y := 2 }\n", false)]
        {
            let many: String = (0..500).map(|i| line.replace("%i", &i.to_string())).collect();
            let error = try_policy(&format!("decision := 1\n{many}")).err().unwrap();
            assert_eq!(error.each().len(), 10);
            assert_eq!(error.to_string().ends_with("; and 490 more"), more, "{error}");
        }
        let two = try_policy("decision := nope(1)\nx := nope(2)").err().unwrap();
        assert!(two.to_string().contains("serves; p.rego:3:10: nope is"), "{two}");
    }
}
