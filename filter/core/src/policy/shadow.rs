//! A comprehension that declares a name of the query around it once more, and a variable by the name of a rule or an import: the evaluators
//! refuse it, or take the one for the other. In OPA it is a variable of its own, and gets a name of its own here.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{AssignOp, Expr, Literal, Module, Query, Ref, Rule, Span};

use super::declared::of_head;
use super::edit::{Edit, Edits};
use super::faithful::extent;
use super::imports::rules_of;
use super::names;
use super::scope::Scope;
use super::walk::{self, Node};
use crate::ordered;

/// The texts after one round; `None` where nothing has to be renamed.
pub(super) fn rewrite(modules: &[Ref<Module>], round: usize) -> Option<BTreeMap<String, String>> {
    let mut edits = Edits::default();
    let rules = rules_of(modules);
    for module in modules {
        let mut renamed = Vec::new();
        let scope = Scope::of(module);
        let is_value = |name: &&str| scope.import(name).is_some_and(|(base, _)| is_root(base));
        let imported: BTreeSet<&str> = ordered::set(scope.imports.keys().copied().filter(is_value));
        let own = Own { rules: rules.get(&scope.package), imported };
        for rule in &module.policy {
            let Rule::Spec { head, bodies, .. } = rule.as_ref() else { continue };
            if !rename_locals(rule, &own, round, &mut renamed).is_empty() {
                continue;
            }
            let mut around = names::arguments(rule);
            bodies.iter().for_each(|body| around.extend(declared(&body.query)));
            walk::rule(rule, &mut |node| {
                if let Node::Statement(statement) = node
                    && let Literal::Every { key, value, query, .. } = &statement.literal
                {
                    let mut twice = ordered::set(key.iter().chain([value]).map(|name| name.text()));
                    twice.retain(|name| own.has(name));
                    let others = declared(query).into_iter();
                    twice.extend(others.filter(|name| around.contains(name) || own.has(name)));
                    rename(&|see| walk::query(query, see), &twice, round, &mut renamed);
                    let names = key.iter().chain([value]).filter(|name| twice.contains(name.text()));
                    renamed.extend(names.filter_map(|name| renaming(name.text(), name, round)));
                }
            });
            let mut terms = of_head(head);
            terms.extend(bodies.iter().filter_map(|body| Some(body.assign.as_ref()?.value.as_ref())));
            terms
                .iter()
                .for_each(|term| look(&|see| walk::expr(term, see), &around, &own, round, &mut renamed));
            bodies.iter().for_each(|body| {
                look(&|see| walk::query(&body.query, see), &around, &own, round, &mut renamed)
            });
        }
        edits.add(&module.package.span, renamed);
    }
    edits.texts(modules)
}

/// The names that a module's rules and imports have.
struct Own<'s, 'a> {
    rules: Option<&'s BTreeSet<&'a str>>,
    imported: BTreeSet<&'a str>,
}

impl Own<'_, '_> {
    fn has(&self, name: &str) -> bool {
        self.rules.is_some_and(|rules| rules.contains(name)) || self.imported.contains(name)
    }
}

/// Renames what a rule's bodies declare by the name of a rule or an import, and says what that is. A body and what it gives share their names;
/// bodies of the same head share them all.
fn rename_locals<'a>(
    rule: &'a Rule,
    own: &Own<'_, '_>,
    round: usize,
    renamed: &mut Vec<Edit>,
) -> BTreeSet<&'a str> {
    let Rule::Spec { head, bodies, .. } = rule else { return BTreeSet::new() };
    let said = |query: &'a Query| {
        let mut said = BTreeSet::new();
        for statement in &query.stmts {
            if !matches!(statement.literal, Literal::Every { .. }) {
                names::said(&statement.literal, &mut said);
            }
        }
        said.retain(|name| own.has(name));
        said
    };
    if has_alternatives(rule) {
        let twice: BTreeSet<&str> = ordered::set(bodies.iter().flat_map(|body| said(&body.query)));
        if !twice.is_empty() {
            rename(&|see| walk::rule(rule, see), &twice, round, renamed);
        }
        return twice;
    }
    let for_all = declared_for_all(rule);
    let mut all = BTreeSet::new();
    for (at, body) in bodies.iter().enumerate() {
        let mut twice = said(&body.query);
        let others = declared(&body.query);
        twice
            .extend(others.into_iter().filter(|name| own.imported.contains(name) && !for_all.contains(name)));
        if twice.is_empty() {
            continue;
        }
        rename(&|see| walk::query(&body.query, see), &twice, round, renamed);
        let given = match at {
            0 => of_head(head),
            _ => body.assign.iter().map(|assign| assign.value.as_ref()).collect(),
        };
        given.iter().for_each(|given| rename(&|see| walk::expr(given, see), &twice, round, renamed));
        all.extend(twice);
    }
    all
}

/// Whether a rule has a second body that is no `else`.
pub(super) fn has_alternatives(rule: &Rule) -> bool {
    let Rule::Spec { bodies, .. } = rule else { return false };
    bodies.iter().skip(1).any(|body| !body.is_else)
}

/// What a walk shows its nodes to.
type See<'s, 'a> = &'s mut dyn FnMut(Node<'a>);

/// The outermost comprehensions of what is walked that declare what is declared around them.
fn look<'a>(
    walked: &dyn Fn(See<'_, 'a>),
    around: &BTreeSet<&'a str>,
    own: &Own<'_, '_>,
    round: usize,
    edits: &mut Vec<Edit>,
) {
    let mut known = around.clone();
    let mut inside = Vec::new();
    let mut done: BTreeSet<u32> = BTreeSet::new();
    walked(&mut |node| match node {
        Node::Comprehension { whole } => {
            let Some(query) = walk::query_of(whole).filter(|query| done.insert(query.qidx)) else { return };
            // What is nested in it is looked at with it.
            walk::inside(whole, &mut |node| {
                if let Node::Comprehension { whole } = node {
                    done.extend(walk::query_of(whole).map(|query| query.qidx));
                }
            });
            let mut twice = declared(query);
            twice.retain(|name| known.contains(name) || own.has(name));
            if twice.is_empty() {
                inside.push((whole, query));
            } else {
                rename(&|see| walk::inside(whole, see), &twice, round, edits);
            }
        }
        Node::Statement(statement) => {
            if let Literal::Every { key, value, query, .. } = &statement.literal {
                known.extend(key.iter().chain([value]).map(|name| name.text()));
                known.extend(declared(query));
            }
        }
        _ => {}
    });
    for (whole, query) in inside {
        let mut known = known.clone();
        known.extend(declared(query));
        look(&|see| walk::inside(whole, see), &known, own, round, edits);
    }
}

/// The names that the statements of a query declare.
fn declared(query: &Query) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for statement in &query.stmts {
        match &statement.literal {
            some @ (Literal::SomeVars { .. } | Literal::SomeIn { .. }) => names::said(some, &mut names),
            Literal::Expr { expr, .. } => {
                if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } = expr.as_ref() {
                    names::pattern(lhs, &mut names);
                }
            }
            _ => {}
        }
    }
    names.remove("_");
    names
}

/// The names that are local everywhere in a definition: its arguments, and what each of its bodies declares.
pub(super) fn declared_for_all(rule: &Rule) -> BTreeSet<&str> {
    let mut names = names::arguments(rule);
    if let Rule::Spec { bodies, .. } = rule {
        let each = bodies.iter().map(|body| declared(&body.query));
        names.extend(
            each.reduce(|one, other| one.intersection(&other).copied().collect()).unwrap_or_default(),
        );
    }
    names
}

/// Gives names other ones, wherever they stand in what is walked.
fn rename<'a>(walked: &dyn Fn(See<'_, 'a>), twice: &BTreeSet<&str>, round: usize, edits: &mut Vec<Edit>) {
    let mut see = |name: &str, at: &Span| {
        if twice.contains(name) {
            edits.extend(renaming(name, at, round));
        }
    };
    walked(&mut |node| match node {
        Node::Reference(reference) => see(reference.root, reference.at),
        Node::Statement(statement) => match &statement.literal {
            Literal::SomeVars { vars, .. } => vars.iter().for_each(|name| see(name.text(), name)),
            Literal::Every { key, value, .. } => {
                key.iter().chain([value]).for_each(|name| see(name.text(), name));
            }
            _ => {}
        },
        _ => {}
    });
}

fn renaming(name: &str, at: &Span, round: usize) -> Option<Edit> {
    let (start, end) = extent(at)?;
    Some(Edit { start, end, text: format!("remit_s{round}_{name}") })
}

fn is_root(base: &str) -> bool {
    matches!(base, "data" | "input")
}
