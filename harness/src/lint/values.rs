//! Rules against what the input can be: misspelt names, comparisons of different kinds, conditions that never hold.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value;
use regorus::unstable::{AssignOp, BoolOp, Expr, Literal, Module, Query, Rule, Span};

use super::possible::{Kinds, Possible, builtin, literal, shown};
use super::rules::{Path, Rules};
use super::schema::{Found, Schema};
use super::{Code, Findings};
use crate::rego::walk;

/// What a rule is looked at with.
pub(super) struct Values<'a> {
    pub(super) schema: &'a Schema,
    pub(super) rules: &'a Rules<'a>,
    module: &'a Module,
    /// Names of imports of the input, and of variables that stand for a part of it.
    paths: BTreeMap<&'a str, Vec<Option<String>>>,
    /// What other variables can be; those that are declared twice are in none of the two.
    variables: BTreeMap<&'a str, Possible>,
}

impl<'a> Values<'a> {
    pub(super) fn new(schema: &'a Schema, rules: &'a Rules<'a>, module: &'a Module, rule: &'a Rule) -> Self {
        let mut values =
            Self { schema, rules, module, paths: input_aliases(module), variables: BTreeMap::new() };
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, _) in walk::locals(rule) {
            let count = times.entry(name).or_default();
            *count = count.saturating_add(1);
            values.paths.remove(name);
            values.variables.insert(name, Possible::anything());
        }
        let is_one = |expr: &'a Expr| match expr {
            Expr::Var { span, .. } if times.get(span.text()) == Some(&1) => Some(span.text()),
            _ => None,
        };
        // In the order of the text, so that one can stand for a part of another.
        let mut declared: Vec<(&str, &Expr, bool)> = Vec::new();
        walk::rule(rule, &mut |expr| {
            if let Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } = expr {
                declared.extend(is_one(lhs).map(|name| (name, rhs.as_ref(), false)));
            }
        });
        walk::queries(rule, &mut |query| {
            for statement in &query.stmts {
                match &statement.literal {
                    Literal::SomeIn { value, collection, .. } => {
                        declared.extend(is_one(value).map(|name| (name, collection.as_ref(), true)));
                    }
                    Literal::Every { value, domain, .. } if times.get(value.text()) == Some(&1) => {
                        declared.push((value.text(), domain.as_ref(), true));
                    }
                    _ => {}
                }
            }
        });
        declared.sort_by_key(|(_, of, _)| of.span().start);
        for (name, of, is_element) in declared {
            let more = is_element.then_some(None);
            match values.path(of) {
                Some(path) => {
                    values.variables.remove(name);
                    values.paths.insert(name, path.into_iter().chain(more).collect());
                }
                None if is_element => drop(values.variables.insert(name, values.elements(of))),
                None => drop(values.variables.insert(name, values.of(of))),
            }
        }
        values
    }

    /// The path below the input that an expression stands for.
    pub(super) fn path(&self, expr: &Expr) -> Option<Vec<Option<String>>> {
        let reference = walk::reference(expr)?;
        let root = reference.root.text();
        if root == "input" {
            return Some(reference.segments);
        }
        let prefix = self.paths.get(root)?;
        Some(prefix.iter().cloned().chain(reference.segments).collect())
    }

    /// The rules that an expression names.
    pub(super) fn rule(&self, expr: &Expr) -> Option<Path> {
        let reference = walk::reference(expr)?;
        if self.variables.contains_key(reference.root.text()) {
            return None;
        }
        let (path, is_whole) = self.rules.path(self.module, &reference);
        is_whole.then_some(path)
    }

    /// What an expression can be.
    fn of(&self, expr: &Expr) -> Possible {
        match expr {
            Expr::Call { fcn, .. } => match builtin(fcn.span().text()) {
                Some((_, result)) if !self.rules.has_function(self.module, fcn) => result,
                _ => Possible::anything(),
            },
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.of_reference(expr),
            other => literal(other),
        }
    }

    fn of_reference(&self, expr: &Expr) -> Possible {
        if let Some(path) = self.path(expr) {
            return match self.schema.find(&path) {
                Found::Known { possible, .. } => possible,
                Found::Unknown { .. } => Possible::anything(),
            };
        }
        if let Expr::Var { span, .. } = expr
            && let Some(possible) = self.variables.get(span.text())
        {
            return possible.clone();
        }
        match self.rule(expr) {
            Some(path) => self.rules.value(&path),
            None => Possible::anything(),
        }
    }

    /// What the elements of a collection can be.
    fn elements(&self, collection: &Expr) -> Possible {
        let all = |items: &mut dyn Iterator<Item = &Expr>| {
            items.fold(Possible::nothing(), |some, item| some.or(self.of(item)))
        };
        match collection {
            Expr::Array { items, .. } | Expr::Set { items, .. } if !items.is_empty() => {
                all(&mut items.iter().map(AsRef::as_ref))
            }
            Expr::Object { fields, .. } if !fields.is_empty() => {
                all(&mut fields.iter().map(|(_, _, value)| value.as_ref()))
            }
            other => match self.path(other) {
                Some(path) => {
                    let path: Vec<_> = path.into_iter().chain([None]).collect();
                    match self.schema.find(&path) {
                        Found::Known { possible, .. } => possible,
                        Found::Unknown { .. } => Possible::anything(),
                    }
                }
                None => Possible::anything(),
            },
        }
    }

    /// Looks at every expression and every body of the rule.
    pub(super) fn look(&self, rule: &Rule, findings: &mut Findings) {
        walk::rule(rule, &mut |expr| self.expression(expr, findings));
        walk::queries(rule, &mut |query| self.query(query, findings));
    }

    fn expression(&self, expr: &Expr, findings: &mut Findings) {
        if let Some(path) = self.path(expr)
            && let Found::Unknown { at, name, nearest } = self.schema.find(&path)
        {
            let remedy = match nearest {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "see `remit schema input` for what there is".to_owned(),
            };
            findings.find(Code::UnknownInput, expr.span(), format!("{at} never has {name}"), remedy);
        }
        match expr {
            Expr::BoolExpr { op, lhs, rhs, span, .. } => self.comparison(op, lhs, rhs, span, findings),
            Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, span, .. } => {
                self.comparison(&BoolOp::Eq, lhs, rhs, span, findings);
            }
            Expr::Membership { key: None, value, collection, span, .. } => {
                self.collection(collection, findings);
                let (value_can, elements) = (self.of(value), self.elements(collection));
                self.equal(value, &value_can, collection, &elements, span, findings);
            }
            Expr::Call { fcn, params, .. } if !self.rules.has_function(self.module, fcn) => {
                let name = fcn.span().text();
                for (param, letters) in params.iter().zip(builtin(name).map_or(&[] as &[_], |(all, _)| all)) {
                    let (can, wanted) = (self.of(param), Kinds::of(letters));
                    if !can.kinds.meets(wanted) {
                        let message = format!("{} is {}, and {name} takes {wanted}", text(param), can.kinds);
                        findings.find(
                            Code::WrongType,
                            param.span(),
                            message,
                            "the call is always undefined: give it what it takes",
                        );
                    }
                }
            }
            _ => {}
        }
    }

    fn collection(&self, collection: &Expr, findings: &mut Findings) {
        let can = self.of(collection).kinds;
        if !can.meets(Kinds::of("aot")) {
            let message = format!("{} is {can}, which has no elements", text(collection));
            findings.find(Code::WrongType, collection.span(), message, "name an array, an object or a set");
        }
    }

    fn comparison(&self, op: &BoolOp, lhs: &Expr, rhs: &Expr, span: &Span, findings: &mut Findings) {
        let (left, right) = (self.of(lhs), self.of(rhs));
        match op {
            BoolOp::Eq => self.equal(lhs, &left, rhs, &right, span, findings),
            // `x != ""` asks whether `x` is there at all.
            BoolOp::Ne if left.is_empty() || right.is_empty() => {}
            BoolOp::Ne if left.kinds.meets(right.kinds) && left.differs(&right) => {
                let (message, known) = differ(lhs, &left, rhs, &right);
                findings.find(Code::AlwaysTrue, span, message, known);
            }
            BoolOp::Lt if left.counts && is_zero(&right) => never_below_zero(lhs, span, findings),
            BoolOp::Gt if right.counts && is_zero(&left) => never_below_zero(rhs, span, findings),
            BoolOp::Lt | BoolOp::Le if left.counts && right.is_negative() => {
                never_below_zero(lhs, span, findings);
            }
            _ if !left.kinds.meets(right.kinds) => kinds_differ(lhs, &left, rhs, &right, span, findings),
            _ => {}
        }
    }

    /// What has to be equal, and cannot be.
    fn equal(
        &self,
        lhs: &Expr,
        left: &Possible,
        rhs: &Expr,
        right: &Possible,
        span: &Span,
        findings: &mut Findings,
    ) {
        if !left.kinds.meets(right.kinds) {
            // Two empty sets of kinds: an empty collection, which a bundle may fill by and by.
            if left.kinds != Kinds::NONE && right.kinds != Kinds::NONE {
                kinds_differ(lhs, left, rhs, right, span, findings);
            }
        } else if left.differs(right) {
            let (message, known) = differ(lhs, left, rhs, right);
            findings.find(Code::NeverTrue, span, message, known);
        }
    }

    /// Statements that never hold, alone or together.
    fn query(&self, query: &Query, findings: &mut Findings) {
        let mut known: BTreeMap<String, BTreeSet<Value>> = BTreeMap::new();
        for statement in &query.stmts {
            let expr = match &statement.literal {
                Literal::Expr { expr, .. } => expr.as_ref(),
                Literal::NotExpr { expr, span } => {
                    if matches!(expr.as_ref(), Expr::Bool { value, .. } if *value == Value::from(true)) {
                        findings.find(
                            Code::NeverTrue,
                            span,
                            "`not true` never holds".to_owned(),
                            "remove the rule, or the condition",
                        );
                    }
                    continue;
                }
                Literal::SomeIn { collection, .. } | Literal::Every { domain: collection, .. } => {
                    self.collection(collection, findings);
                    continue;
                }
                Literal::SomeVars { .. } => continue,
            };
            if !statement.with_mods.is_empty() {
                continue;
            }
            let can = self.of(expr);
            if can.values == Some(BTreeSet::from([Value::from(false)])) {
                let message = format!("{} is always false", text(expr));
                findings.find(Code::NeverTrue, expr.span(), message, "remove the rule, or the condition");
            }
            let Some((of, values, span)) = self.restricts(expr) else { continue };
            let name = text(of);
            let before = known.entry(name.clone()).or_insert_with(|| values.clone());
            if before.is_disjoint(&values) {
                let message =
                    format!("{name} is {} here already, and never {}", shown(before), shown(&values));
                findings.find(
                    Code::NeverTrue,
                    span,
                    message,
                    "a body holds where all of it does: write one rule for each value, or `in`",
                );
            } else {
                before.retain(|value| values.contains(value));
            }
        }
    }

    /// A statement that leaves one thing a few values only.
    fn restricts<'e>(&self, expr: &'e Expr) -> Option<(&'e Expr, BTreeSet<Value>, &'e Span)> {
        let constant = |expr: &Expr| walk::reference(expr).is_none().then(|| self.of(expr).values).flatten();
        let is_one = |expr: &Expr| {
            walk::reference(expr).is_some_and(|reference| reference.segments.iter().all(Option::is_some))
        };
        let (of, values, span) = match expr {
            Expr::BoolExpr { op: BoolOp::Eq, lhs, rhs, span, .. }
            | Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, span, .. } => {
                match (constant(lhs), constant(rhs)) {
                    (None, Some(values)) => (lhs, values, span),
                    (Some(values), None) => (rhs, values, span),
                    _ => return None,
                }
            }
            Expr::Membership { key: None, value, collection, span, .. } => {
                let is_literal = matches!(collection.as_ref(), Expr::Array { .. } | Expr::Set { .. });
                (value, is_literal.then(|| self.elements(collection).values).flatten()?, span)
            }
            _ => return None,
        };
        is_one(of).then_some((of, values, span))
    }
}

fn is_zero(can: &Possible) -> bool {
    can.values == Some(BTreeSet::from([Value::from(0_u64)]))
}

fn never_below_zero(counted: &Expr, span: &Span, findings: &mut Findings) {
    let message = format!("{} is never less than 0", text(counted));
    findings.find(Code::NeverTrue, span, message, "remove the condition, or compare with another number");
}

fn kinds_differ(
    lhs: &Expr,
    left: &Possible,
    rhs: &Expr,
    right: &Possible,
    span: &Span,
    findings: &mut Findings,
) {
    let message = format!("{} is {}, and {} is {}", text(lhs), left.kinds, text(rhs), right.kinds);
    findings.find(
        Code::WrongType,
        span,
        message,
        "what is compared has to be of one kind: the outcome never depends on the input",
    );
}

/// The message where two things are never equal, and what there is instead.
fn differ(lhs: &Expr, left: &Possible, rhs: &Expr, right: &Possible) -> (String, String) {
    let (of, can, other, cannot) =
        if walk::reference(lhs).is_some() { (lhs, left, rhs, right) } else { (rhs, right, lhs, left) };
    let named = match &cannot.values {
        Some(values) if values.len() == 1 && walk::reference(other).is_none() => {
            values.first().map(ToString::to_string).unwrap_or_default()
        }
        _ => text(other),
    };
    let remedy = match &can.values {
        Some(values) => format!("it is one of {}", shown(values)),
        None => "it is at least 0".to_owned(),
    };
    (format!("{} is never {named}", text(of)), remedy)
}

/// An expression as it is written, on one line and not at length.
fn text(expr: &Expr) -> String {
    const SHOWN: usize = 60;
    let span = expr.span();
    if let Expr::String { .. } = expr {
        return format!("\"{}\"", span.text());
    }
    let line = span.text().split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= SHOWN {
        return line;
    }
    line.chars().take(SHOWN).chain(['…']).collect()
}

/// Imports of parts of the input.
fn input_aliases(module: &Module) -> BTreeMap<&str, Vec<Option<String>>> {
    let of = |import: &'_ regorus::unstable::Import| {
        let path = crate::rego::constant(&import.refr);
        let (root, rest) = path.split_first()?;
        (root == "input").then(|| rest.iter().cloned().map(Some).collect())
    };
    module.imports.iter().filter_map(|import| Some((super::alias(import)?, of(import)?))).collect()
}
