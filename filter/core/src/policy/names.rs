//! The names that a definition declares.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Literal, Rule, RuleHead};

use super::walk::{self, Node, text};

/// The names of a definition's arguments.
pub(super) fn arguments(rule: &Rule) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let args = match rule {
        Rule::Spec { head: RuleHead::Func { args, .. }, .. } | Rule::Default { args, .. } => args.as_slice(),
        Rule::Spec { .. } => &[],
    };
    args.iter().for_each(|arg| pattern(arg, &mut names));
    names
}

/// The names that a definition declares: arguments, `:=`, `some`, `every`.
pub(super) fn declared(rule: &Rule) -> BTreeSet<&str> {
    let mut locals = arguments(rule);
    walk::rule(rule, &mut |node| match node {
        Node::Assign { left, declares: true, .. } => pattern(left, &mut locals),
        Node::Statement(statement) => said(&statement.literal, &mut locals),
        _ => {}
    });
    locals
}

/// The names that `some` and `every` declare.
pub(super) fn said<'a>(literal: &'a Literal, names: &mut BTreeSet<&'a str>) {
    match literal {
        Literal::SomeVars { vars, .. } => names.extend(vars.iter().map(|name| name.text())),
        Literal::SomeIn { key, value, .. } => key.iter().chain([value]).for_each(|at| pattern(at, names)),
        Literal::Every { key, value, .. } => names.extend(key.iter().chain([value]).map(|name| name.text())),
        Literal::Expr { .. } | Literal::NotExpr { .. } => {}
    }
}

/// The variables of a pattern such as `[x, {"k": y}]`.
pub(super) fn pattern<'a>(at: &'a Expr, names: &mut BTreeSet<&'a str>) {
    match at {
        Expr::Var { value, .. } => names.extend(text(value)),
        Expr::Array { items, .. } => items.iter().for_each(|item| pattern(item, names)),
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, _, value)| pattern(value, names)),
        _ => {}
    }
}
