//! `some x` that nothing uses, and names that one query declares twice: refused as by OPA, in its words.

use std::collections::BTreeSet;

use regorus::unstable::{AssignOp, Expr, Literal, Module, Query, Ref, Rule, RuleHead, Span};

use super::error::PolicyError;
use super::names;
use super::place::Place;
use super::problems::Problems;
use super::walk::{self, Node};

/// [`PolicyError::Analysis`].
pub(super) fn check(modules: &[Ref<Module>], problems: &mut Problems) {
    for rule in modules.iter().flat_map(|module| &module.policy) {
        if let Rule::Spec { head, bodies, .. } = rule.as_ref() {
            for body in bodies {
                let mut terms = of_head(head);
                terms.extend(body.assign.iter().map(|assign| assign.value.as_ref()));
                check_query(&body.query, &terms, problems);
            }
        }
        walk::rule(rule, &mut |node| match node {
            Node::Comprehension { whole } => match whole {
                Expr::ArrayCompr { term, query, .. } | Expr::SetCompr { term, query, .. } => {
                    check_query(query, &[term], problems);
                }
                Expr::ObjectCompr { key, value, query, .. } => check_query(query, &[key, value], problems),
                _ => {}
            },
            Node::Statement(statement) => {
                if let Literal::Every { query, .. } = &statement.literal {
                    check_query(query, &[], problems);
                }
            }
            _ => {}
        });
    }
}

/// What a rule gives, and its name where that is computed.
pub(super) fn of_head(head: &RuleHead) -> Vec<&Expr> {
    match head {
        RuleHead::Compr { refr, assign, .. } => std::iter::once(refr)
            .chain(assign.iter().map(|assign| &assign.value))
            .map(|at| at.as_ref())
            .collect(),
        RuleHead::Set { refr, key, .. } => std::iter::once(refr).chain(key).map(|at| at.as_ref()).collect(),
        RuleHead::Func { assign, .. } => assign.iter().map(|assign| assign.value.as_ref()).collect(),
    }
}

fn check_query(query: &Query, terms: &[&Expr], problems: &mut Problems) {
    let mut refuse = |at: &Span, message: String| {
        problems.add(PolicyError::Analysis { at: Place::of(at), message });
    };
    let (mut declared, mut assigned) = (BTreeSet::new(), BTreeSet::new());
    for statement in &query.stmts {
        match &statement.literal {
            Literal::SomeVars { vars, .. } => {
                for var in vars {
                    let name = var.text();
                    if assigned.contains(name) {
                        refuse(var, format!("var {name} assigned above"));
                    } else if !declared.insert(name) {
                        refuse(var, format!("var {name} declared above"));
                    } else if !is_used(name, query, terms) {
                        refuse(var, format!("declared var {name} unused"));
                    }
                }
            }
            Literal::SomeIn { key, value, collection, .. } => {
                let roots = roots(collection);
                let mut names = BTreeSet::new();
                key.iter().chain([value]).for_each(|pattern| names::pattern(pattern, &mut names));
                if let Some(name) = names.into_iter().find(|name| *name != "_" && roots.contains(name)) {
                    refuse(value.span(), format!("var {name} assigned before"));
                }
            }
            Literal::Expr { expr, .. } => {
                let Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, span, .. } = expr.as_ref() else {
                    continue;
                };
                let mut names = BTreeSet::new();
                names::pattern(lhs, &mut names);
                names.remove("_");
                for name in names {
                    let of = if roots(rhs).contains(name) {
                        "referenced above"
                    } else if refers(name, rhs) {
                        "is unsafe: it is mentioned in what it is assigned, so give that part a name of its own"
                    } else {
                        ""
                    };
                    if !of.is_empty() {
                        refuse(span, format!("var {name} {of}"));
                    }
                    if declared.contains(name) {
                        refuse(span, format!("var {name} declared above"));
                    }
                    assigned.insert(name);
                }
            }
            _ => {}
        }
    }
}

/// The names in an expression, outside of comprehensions.
fn roots(expr: &Expr) -> BTreeSet<&str> {
    let (mut names, mut inside) = (Vec::new(), BTreeSet::new());
    let place = |span: &Span| (span.line, span.col);
    walk::expr(expr, &mut |node| match node {
        Node::Reference(reference) => names.push((reference.root, place(reference.at))),
        Node::Comprehension { whole } => walk::inside(whole, &mut |node| {
            if let Node::Reference(reference) = node {
                inside.insert(place(reference.at));
            }
        }),
        _ => {}
    });
    names.retain(|(_, at)| !inside.contains(at));
    names.into_iter().map(|(name, _)| name).collect()
}

/// Whether a comprehension in an expression takes a name from around it.
fn refers(name: &str, expr: &Expr) -> bool {
    let mut found = false;
    walk::expr(expr, &mut |node| {
        let Node::Comprehension { whole } = node else { return };
        let (mut is_mentioned, mut own) = (false, BTreeSet::new());
        walk::inside(whole, &mut |node| match node {
            Node::Reference(reference) => is_mentioned |= reference.root == name,
            Node::Assign { left, declares: true, .. } => names::pattern(left, &mut own),
            Node::Statement(statement) => names::said(&statement.literal, &mut own),
            _ => {}
        });
        found |= is_mentioned && !own.contains(name);
    });
    found
}

/// Whether a query, or what is made of it, mentions a variable.
fn is_used(name: &str, query: &Query, terms: &[&Expr]) -> bool {
    let mut found = false;
    let mut see = |node: Node<'_>| match node {
        Node::Reference(reference) => found |= reference.root == name,
        Node::Call { function, .. } => found |= function.span().text() == name,
        _ => {}
    };
    walk::query(query, &mut see);
    terms.iter().for_each(|term| walk::expr(term, &mut see));
    found
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::refusals;

    /// What OPA says of each, but for the last of those that are refused: there it takes the one for another variable.
    #[test]
    fn a_query_declares_a_name_once_and_uses_it() {
        refusals(&[
            ("x if { some y; input.a }", Some("p.rego:3:13: declared var y unused")),
            ("x := [1 | some y; input.a]", Some("p.rego:3:16: declared var y unused")),
            ("x if { some y; y := 2 }", Some("p.rego:3:18: var y declared above")),
            ("x if { some y; some y; y = 1 }", Some("p.rego:3:21: var y declared above")),
            ("x if { y := 1; some y; y = 1 }", Some("p.rego:3:21: var y assigned above")),
            ("y := 5\nx if { y := y + 1 }", Some("p.rego:4:10: var y referenced above")),
            ("x if { y := y }", Some("p.rego:3:10: var y referenced above")),
            ("y := [5]\nx if { y := [z | some z in y] }", Some("p.rego:4:10: var y is unsafe")),
            ("x if { y := [z | z := input.xs[y]] }", Some("p.rego:3:10: var y is unsafe")),
            ("y := [5]\nx if { some y in y }", Some("p.rego:4:13: var y assigned before")),
            ("x if { some y; y = 2 }", None),
            ("x := y if { some y; input.xs[y] }", None),
            ("x contains y if { some y; input.xs[y] }", None),
            ("x[y] := 1 if { some y; input.xs[y] }", None),
            ("x := [y | some y; input.xs[y]]", None),
            ("x if { y := [y | some y in input.xs] }", None),
            ("x if { y := {y | y := input.xs[_]} }", None),
            ("x if { some y in input.xs; every z in [y] { z == y } }", None),
        ]);
    }
}
