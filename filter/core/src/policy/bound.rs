//! Names that nothing gives a value: misspelt rules, mostly. The evaluators find those of conditions, and not those of
//! heads, of comprehensions' terms and of assignments.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Module, Ref, Rule, Span};

use super::error::PolicyError;
use super::place::Place;
use super::problems::Problems;
use super::survey::{Meaning, Scope, Survey};
use super::walk::{self, Node};
use super::{builtins, functions, names, templates};

/// [`PolicyError::Analysis`].
pub(super) fn check(survey: &Survey<'_>, modules: &[Ref<Module>], problems: &mut Problems) {
    for module in modules {
        let scope = Scope::of(module);
        for rule in &module.policy {
            check_rule(survey, &scope, rule, problems);
        }
    }
}

fn check_rule(survey: &Survey<'_>, scope: &Scope<'_>, rule: &Rule, problems: &mut Problems) {
    let locals = names::declared(rule);
    let mut bound: BTreeSet<&str> = BTreeSet::from(["_"]);
    let mut read = Vec::new();
    let mut in_templates: Vec<&Expr> = Vec::new();
    walk::rule(rule, &mut |node| match node {
        Node::Reference(reference) => {
            if !locals.contains(reference.root)
                && matches!(survey.resolve(scope, &locals, &reference), Meaning::Local)
            {
                read.push((reference.root, reference.at));
            }
        }
        Node::Index(index) if in_templates.iter().any(|within| std::ptr::eq(*within, index)) => {
            let mut names = BTreeSet::new();
            names::pattern(index, &mut names);
            if names.contains("_") {
                problems.add(unsafe_at("_", index.span()));
            }
        }
        // It may run over something.
        Node::Index(index) => names::pattern(index, &mut bound),
        Node::Assign { left, right, declares: false } => {
            names::pattern(left, &mut bound);
            names::pattern(right, &mut bound);
        }
        Node::Call { function, arguments, .. } => {
            in_templates.extend(templates::indexes(function, arguments));
            let arity = match survey.function(scope, function) {
                Err(name) => functions::arity(&name).or_else(|| builtins::arity(&name)),
                Ok(path) => survey.rules.get(&path).and_then(|facts| facts.arity),
            };
            // The result's name; of a function that there is not, any.
            if arity.is_none_or(|arity| arguments.len() > arity) {
                arguments.iter().for_each(|argument| names::pattern(argument, &mut bound));
            }
        }
        // Names of functions stand there.
        Node::Statement(statement) => {
            for modifier in &statement.with_mods {
                let sides = [&modifier.refr, &modifier.r#as];
                bound.extend(sides.into_iter().filter_map(|side| root(side)));
            }
        }
        Node::Assign { declares: true, .. }
        | Node::Comprehension { .. }
        | Node::Literal(_)
        | Node::Operator(_) => {}
    });
    for (name, at) in read.into_iter().filter(|(name, _)| !bound.contains(name)) {
        problems.add(unsafe_at(name, at));
    }
}

fn unsafe_at(name: &str, at: &Span) -> PolicyError {
    PolicyError::Analysis {
        at: Place::of(at),
        message: format!(
            "use of undefined variable `{name}` is unsafe: no rule, import or statement gives it a value"
        ),
    }
}

fn root(expr: &Expr) -> Option<&str> {
    walk::reference(expr).ok().map(|reference| reference.root)
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::refusals;

    #[test]
    fn names_without_a_value_are_told_of_wherever_they_stand() {
        refusals(&[
            ("x := nope", Some("p.rego:3:6: use of undefined variable `nope` is unsafe")),
            ("x := y if { 1 == 1 }", Some("p.rego:3:6: ")),
            ("x := [nope]", Some("p.rego:3:7: ")),
            ("x := nope + 1", Some("p.rego:3:6: ")),
            ("x := 1 if { y := nope }", Some("p.rego:3:18: ")),
            ("x if { every a in nope { a } }", Some("p.rego:3:19: ")),
            ("f(a) := b", Some("p.rego:3:9: ")),
            ("f(a) := b if a", Some("p.rego:3:9: ")),
            ("x contains y", Some("p.rego:3:12: ")),
            ("x[k] := 1", Some("p.rego:3:3: ")),
            ("x := 1 if input.a else := nope if input.b", Some("p.rego:3:27: ")),
            ("x := count(nope)", Some("p.rego:3:12: ")),
            ("x := {nope: 1}", Some("p.rego:3:7: ")),
            ("x := [a | b := 1]", Some("p.rego:3:7: ")),
            ("x := {a: b | b := 1}", Some("p.rego:3:7: ")),
            ("x := startswith", Some("p.rego:3:6: ")),
            ("x if { not nope == 1 }", Some("p.rego:3:12: ")),
            ("x if { nope in [1] }", Some("p.rego:3:8: ")),
            ("x if { y := nope.a }", Some("p.rego:3:13: ")),
            ("x := input[nope]", None),
            ("x[k] := v if v := input.a[k]", None),
            ("x[k] := v if some k, v in input.a", None),
            ("x := a if [a, b] = input.a", None),
            ("x := a if { b = 1; a = b }", None),
            ("x contains a if { input.xs[[a, _]] }", None),
            ("x := y if { f(1, y) }\nf(a) := a", None),
            ("x := y if count([1], y)", None),
            ("x := y if { f(1) with input as {\"a\": y}; y = 1 }\nf(a) := a", None),
            ("x if { f(1) with count as g }\nf(a) := count([a])\ng(_) := 2", None),
            ("x if { f(1) with f as g }\nf(a) := a\ng(a) := a", None),
            ("x := [a | some a in input.xs; every b in a { b }]", None),
            ("x := other\nother := 1", None),
            ("x := [a | a = input.xs[_]]", None),
        ]);
    }
}
