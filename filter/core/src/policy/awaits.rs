//! What an `every` waits for. The evaluators put statements in an order of their own, by the variables that each mentions,
//! and overlook those inside of `every`: it ran before they had values, or on a rule of the same name. They are mentioned
//! where it says what it runs over: `every x in [xs, limit][0] { x < limit }`.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Literal, LiteralStmt, Query, Rule};

use super::edit::Edit;
use super::faithful::stands;
use super::names;
use super::walk::{self, Node};

/// What an `every` runs over, and the variables that have to have values before it.
pub(super) struct Awaits<'a> {
    pub(super) domain: &'a Expr,
    names: BTreeSet<&'a str>,
}

/// Each `every` of a rule that could come too early.
pub(super) fn awaits(rule: &Rule) -> Vec<Awaits<'_>> {
    let mut found = Vec::new();
    if let Rule::Spec { bodies, .. } = rule {
        bodies.iter().for_each(|body| found.extend(of_query(&body.query)));
    }
    walk::rule(rule, &mut |node| match node {
        Node::Comprehension { whole } => found.extend(walk::query_of(whole).into_iter().flat_map(of_query)),
        Node::Statement(LiteralStmt { literal: Literal::Every { query, .. }, .. }) => {
            found.extend(of_query(query));
        }
        _ => {}
    });
    found
}

fn of_query(query: &Query) -> Vec<Awaits<'_>> {
    let is_every = |statement: &LiteralStmt| matches!(statement.literal, Literal::Every { .. });
    if !query.stmts.iter().any(is_every) {
        return Vec::new();
    }
    let given: Vec<BTreeSet<&str>> = query.stmts.iter().map(|statement| gives(statement)).collect();
    let mut found = Vec::new();
    for (at, statement) in query.stmts.iter().enumerate() {
        let Literal::Every { domain, query: inside, .. } = &statement.literal else { continue };
        // What stands above comes first, unless some of it waits itself.
        let is_late = query.stmts.iter().take(at).any(waits);
        let later = given.iter().skip(if is_late { 0 } else { at.saturating_add(1) });
        let mut names: BTreeSet<&str> = later.flatten().copied().collect();
        names.retain(|name| mentions(name, inside));
        let mut known = roots(domain);
        if let Expr::Var { .. } = domain.as_ref() {
            let values = query.stmts.iter().filter_map(assigned);
            let values = values.filter(|(name, _)| known.contains(name)).map(|(_, value)| roots(value));
            known.extend(values.flatten().collect::<Vec<_>>());
        }
        names.retain(|name| !known.contains(name));
        if !names.is_empty() {
            found.push(Awaits { domain, names });
        }
    }
    found
}

/// The variables that a statement may give values to.
fn gives(statement: &LiteralStmt) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    match &statement.literal {
        Literal::SomeIn { key, value, .. } => {
            key.iter().chain([value]).for_each(|at| names::pattern(at, &mut names));
        }
        Literal::Expr { expr, .. } => walk::expr(expr, &mut |node| match node {
            Node::Assign { left, right, .. } => {
                names::pattern(left, &mut names);
                names::pattern(right, &mut names);
            }
            Node::Index(index) => names::pattern(index, &mut names),
            _ => {}
        }),
        _ => {}
    }
    for name in ["_", "input", "data"] {
        names.remove(name);
    }
    names
}

/// `x := y`, which the evaluators may put behind the statements that give nothing a value.
fn waits(statement: &LiteralStmt) -> bool {
    let Literal::Expr { expr, .. } = &statement.literal else { return false };
    let Expr::AssignExpr { lhs, rhs, .. } = expr.as_ref() else { return false };
    [lhs, rhs].into_iter().all(|side| {
        let mut names = BTreeSet::new();
        names::pattern(side, &mut names);
        names.iter().any(|name| !matches!(*name, "_" | "input" | "data"))
    })
}

/// `x := y`
fn assigned(statement: &LiteralStmt) -> Option<(&str, &Expr)> {
    let Literal::Expr { expr, .. } = &statement.literal else { return None };
    let Expr::AssignExpr { lhs, rhs, .. } = expr.as_ref() else { return None };
    let Expr::Var { span, .. } = lhs.as_ref() else { return None };
    Some((span.text(), rhs))
}

fn roots(expr: &Expr) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    walk::expr(expr, &mut |node| {
        if let Node::Reference(reference) = node {
            names.insert(reference.root);
        }
    });
    names
}

fn mentions(name: &str, query: &Query) -> bool {
    let mut found = false;
    walk::query(query, &mut |node| {
        if let Node::Reference(reference) = node {
            found |= reference.root == name;
        }
    });
    found
}

impl Awaits<'_> {
    /// `xs` as `[xs, limit][0]`.
    pub(super) fn named(&self) -> Option<Edit> {
        let (start, end) = stands(self.domain)?;
        let written = self.domain.span().source.get_contents().get(start..end)?;
        let names: Vec<&str> = self.names.iter().copied().collect();
        Some(Edit { start, end, text: format!("[{written}, {}][0]", names.join(", ")) })
    }
}
