//! Where regorus reads a policy differently from OPA: what [`super::faithful`] has to write otherwise.

use std::collections::BTreeSet;

use regorus::unstable::{
    ArithOp, AssignOp, BinOp, BoolOp, Expr, ExprRef, Literal, LiteralStmt, Query, Rule, RuleHead, Span,
};

use super::faithful::{Chosen, Walk};
use super::functions;
use super::risks;
use super::walk::{self, Node, Segment};

/// The variable of `y := …` where what is assigned could be undefined.
pub(super) fn assigned<'a>(
    statement: &'a LiteralStmt,
    names_a_value: &dyn Fn(&'a Expr) -> bool,
) -> Option<&'a str> {
    let Literal::Expr { expr, .. } = &statement.literal else { return None };
    let Expr::AssignExpr { op: AssignOp::ColEq, lhs, rhs, .. } = expr.as_ref() else { return None };
    let Expr::Var { value, .. } = lhs.as_ref() else { return None };
    // What a variable has was looked at when it was given that.
    walk::text(value).filter(|_| !is_sure(rhs, names_a_value))
}

/// The values of bodies that run over something or that an `else` follows, where they could be undefined.
pub(super) fn chosen<'a>(rule: &'a Rule, names_a_value: &dyn Fn(&'a Expr) -> bool) -> Vec<Chosen<'a>> {
    let Rule::Spec { head, bodies, .. } = rule else { return Vec::new() };
    let given = match head {
        RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => {
            assign.as_ref().map(|assign| &assign.value)
        }
        RuleHead::Set { key, .. } => key.as_ref(),
    };
    // Bodies side by side share a value.
    if bodies.iter().filter(|body| !body.is_else).count() != 1 {
        return Vec::new();
    }
    let before = bodies.len().saturating_sub(1);
    let valued = bodies.iter().enumerate().filter_map(|(i, body)| {
        let own = body.assign.as_ref().map(|assign| &assign.value);
        let value = if body.is_else { own } else { given }?.as_ref();
        if i == before && !risks::iterates(&body.query, &BTreeSet::new()) && !has_loop(value, names_a_value) {
            return None;
        }
        (!is_sure(value, names_a_value)).then_some(Chosen { value, body: &body.query, is_rule: true })
    });
    valued.collect()
}

/// Whether a value could run over something itself.
fn has_loop<'a>(value: &'a Expr, names_a_value: &dyn Fn(&'a Expr) -> bool) -> bool {
    let mut found = false;
    walk::expr(value, &mut |node| match node {
        walk::Node::Index(index @ Expr::Var { .. }) => found |= !names_a_value(index),
        walk::Node::Index(index) => found |= !risks::variables(index).is_empty(),
        _ => {}
    });
    found
}

/// What a comprehension gathers, where it could be undefined.
pub(super) fn gathered<'a>(
    comprehension: &'a Expr,
    names_a_value: &dyn Fn(&'a Expr) -> bool,
) -> Vec<Chosen<'a>> {
    let (terms, body): (Vec<&Expr>, &Query) = match comprehension {
        Expr::ArrayCompr { term, query, .. } => (vec![term], query),
        Expr::ObjectCompr { key, value, query, .. } => (vec![key, value], query),
        _ => return Vec::new(),
    };
    let terms = terms.into_iter().filter(|term| !is_sure(term, names_a_value));
    terms.map(|value| Chosen { value, body, is_rule: false }).collect()
}

/// Whether a value is never undefined.
fn is_sure<'a>(value: &'a Expr, names_a_value: &dyn Fn(&'a Expr) -> bool) -> bool {
    match value {
        Expr::Var { .. } => !names_a_value(value),
        Expr::String { .. } | Expr::RawString { .. } | Expr::Number { .. } => true,
        Expr::Bool { .. } | Expr::Null { .. } => true,
        Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => true,
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().all(|item| is_sure(item, names_a_value))
        }
        Expr::Object { fields, .. } => {
            fields.iter().all(|(_, key, value)| is_sure(key, names_a_value) && is_sure(value, names_a_value))
        }
        _ => false,
    }
}

pub(super) fn operator(expr: &Expr) -> Option<(&'static str, Vec<&Expr>)> {
    Some(match expr {
        Expr::ArithExpr { op, lhs, rhs, .. } => {
            let function = match op {
                ArithOp::Add => functions::PLUS,
                ArithOp::Sub => functions::MINUS,
                ArithOp::Mul => functions::TIMES,
                ArithOp::Div => functions::OVER,
                ArithOp::Mod => functions::REMAINDER,
            };
            (function, vec![lhs, rhs])
        }
        Expr::BoolExpr { lhs, rhs, .. } => (functions::ORDER, vec![lhs, rhs]),
        Expr::BinExpr { op: BinOp::Union, lhs, rhs, .. } => (functions::OR, vec![lhs, rhs]),
        Expr::BinExpr { op: BinOp::Intersection, lhs, rhs, .. } => (functions::AND, vec![lhs, rhs]),
        Expr::Membership { key: Some(key), value, collection, .. } => {
            (functions::HAS, vec![key, value, collection])
        }
        Expr::Membership { key: None, value, collection, .. } => (functions::WITHIN, vec![value, collection]),
        _ => return None,
    })
}

/// Whether an operator could be given what regorus ends the evaluation for, or overlooks.
pub(super) fn is_loose(expr: &Expr) -> bool {
    match expr {
        Expr::ArithExpr { op: ArithOp::Mod | ArithOp::Div, .. } => true,
        Expr::ArithExpr { lhs, rhs, .. } => {
            let both = |is: fn(&Expr) -> bool| is(lhs) && is(rhs);
            !both(is_whole) && !both(is_set)
        }
        Expr::BoolExpr { op: BoolOp::Eq | BoolOp::Ne, .. } => false,
        // regorus puts objects behind sets, and OPA sets behind objects.
        Expr::BoolExpr { lhs, rhs, .. } => {
            !(is_scalar(lhs) || is_scalar(rhs) || is_document(lhs) && is_document(rhs))
        }
        Expr::BinExpr { lhs, rhs, .. } => !(is_set(lhs) && is_set(rhs)),
        // A condition of its own fails as well where it is undefined, and is sought for as such.
        Expr::Membership { .. } => true,
        // regorus knows numbers below zero, and no other minus.
        Expr::UnaryExpr { expr, .. } => !matches!(expr.as_ref(), Expr::Number { .. }),
        _ => false,
    }
}

/// Whether the arguments of a function begin on another line than its name, which is no call in OPA.
pub(super) fn is_on_next_line(function: &Expr) -> bool {
    let span = function.span();
    let after = usize::try_from(span.end).ok().and_then(|end| span.source.get_contents().get(end..));
    after.and_then(|after| after.split_once('(')).is_some_and(|(between, _)| between.contains('\n'))
}

fn is_set(expr: &Expr) -> bool {
    matches!(expr, Expr::Set { .. } | Expr::SetCompr { .. })
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Number { .. } => true,
        Expr::Call { fcn, .. } => matches!(fcn.span().text(), "count" | "time.now_ns"),
        _ => false,
    }
}

/// Whether a number is whole, so that regorus reckons with it as OPA does.
fn is_whole(expr: &Expr) -> bool {
    match expr {
        Expr::Number { .. } => expr.span().text().bytes().all(|byte| byte.is_ascii_digit()),
        other => is_number(other),
    }
}

fn is_scalar(expr: &Expr) -> bool {
    is_number(expr)
        || matches!(
            expr,
            Expr::String { .. } | Expr::RawString { .. } | Expr::Bool { .. } | Expr::Null { .. }
        )
}

/// Whether a value comes of JSON, which has no sets.
fn is_document(expr: &Expr) -> bool {
    walk::reference(expr).is_ok_and(|reference| reference.root == "input")
}

/// Whether a pattern with a variable holds an object or something empty: these fit in regorus what has more in it, and in OPA
/// what has the same in it.
pub(super) fn fits_more(pattern: &Expr, is_variable: &dyn Fn(&Expr) -> bool) -> bool {
    fn look(at: &Expr, is_variable: &dyn Fn(&Expr) -> bool, found: &mut (bool, bool)) {
        match at {
            Expr::Var { .. } => found.0 |= is_variable(at),
            Expr::Array { items, .. } => {
                found.1 |= items.is_empty();
                items.iter().for_each(|item| look(item, is_variable, found));
            }
            Expr::Object { fields, .. } => {
                found.1 = true;
                fields.iter().for_each(|(_, _, value)| look(value, is_variable, found));
            }
            Expr::Set { .. } => found.1 = true,
            _ => {}
        }
    }
    let mut found = (false, false);
    look(pattern, is_variable, &mut found);
    found == (true, true)
}

/// Whether a pattern that is given its value from elsewhere, as an argument or by `some`, holds an object.
pub(super) fn holds_object(pattern: &Expr) -> bool {
    match pattern {
        Expr::Array { items, .. } => items.iter().any(|item| holds_object(item)),
        Expr::Object { .. } => true,
        _ => false,
    }
}

/// The part of what stands before `:=` that is no variable.
pub(super) fn not_assignable(pattern: &Expr) -> Option<&Expr> {
    match pattern {
        Expr::Var { .. } => None,
        Expr::Array { items, .. } => items.iter().find_map(|item| not_assignable(item)),
        Expr::Object { fields, .. } => fields.iter().find_map(|(_, _, value)| not_assignable(value)),
        other => Some(other),
    }
}

/// The last argument of a call.
pub(super) fn last_argument(call: &Expr) -> Option<&Expr> {
    let Expr::Call { params, .. } = call else { return None };
    params.last().map(|last| last.as_ref())
}

/// The arguments of a call that is all that a `not` negates.
pub(super) fn negated(statement: &LiteralStmt) -> Option<&[ExprRef]> {
    let Literal::NotExpr { expr, .. } = &statement.literal else { return None };
    let Expr::Call { params, .. } = expr.as_ref() else { return None };
    Some(params)
}

/// A call of the builtin `walk`.
pub(super) fn walk_called<'a>(
    name: &str,
    span: &'a Span,
    arguments: &'a [ExprRef],
    negated: &[ExprRef],
) -> Option<Walk<'a>> {
    let is_negated = std::ptr::eq(negated, arguments);
    (name == "walk").then_some(Walk { span, arguments, is_negated })
}

/// Whether a statement is the whole body of a rule, without braces around it.
pub(super) fn is_bare(rule: &Rule, statement: &LiteralStmt) -> bool {
    let Rule::Spec { bodies, .. } = rule else { return false };
    bodies.iter().any(|body| match body.query.stmts.as_slice() {
        [only] => std::ptr::eq(only, statement) && body.query.span.start == only.span.start,
        _ => false,
    })
}

/// A statement that asks whether a collection has a value, and is nothing else.
pub(super) fn asks(statement: &LiteralStmt) -> Option<&Expr> {
    match &statement.literal {
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => match expr.as_ref() {
            Expr::Membership { key: None, .. } => Some(expr),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a variable of an `every` stands in brackets inside of it, or beside `=`, which regorus takes for an assignment.
pub(super) fn is_asked_of(statement: &LiteralStmt) -> bool {
    let Literal::Every { key, value, query, .. } = &statement.literal else { return false };
    let names: Vec<&str> = key.iter().chain([value]).map(|name| name.text()).collect();
    let mut found = false;
    walk::query(query, &mut |node| {
        let sides = match node {
            walk::Node::Index(index) => [Some(index), None],
            walk::Node::Assign { left, right, declares: false } => [Some(left), Some(right)],
            _ => return,
        };
        for side in sides.into_iter().flatten() {
            walk::expr(side, &mut |node| {
                found |= matches!(node, walk::Node::Reference(reference) if names.contains(&reference.root));
            });
        }
    });
    found
}

/// Whether a collection could be something else.
pub(super) fn may_be_no_collection(expr: &Expr) -> bool {
    match expr {
        Expr::Call { fcn, .. } => fcn.span().text() != functions::ITEMS,
        // Something undefined in it makes the whole undefined.
        other => !is_sure(other, &|_| true),
    }
}

/// Each `some x` behind something else, and the first statement of its query.
pub(super) fn late(query: &Query) -> Vec<(&LiteralStmt, &LiteralStmt)> {
    let is_some = |statement: &&LiteralStmt| matches!(statement.literal, Literal::SomeVars { .. });
    let Some(first) = query.stmts.first() else { return Vec::new() };
    let is_early = |statement: &&LiteralStmt| is_some(statement) || is_one_turn(&statement.literal);
    let mentions = |statement: &LiteralStmt, name: &Span| {
        let mut words = statement.span.text().split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.any(|word| word == name.text())
    };
    // OPA refuses a name that is declared behind its use.
    let is_new = |some: &&LiteralStmt| match &some.literal {
        Literal::SomeVars { vars, .. } => {
            let mut before = query.stmts.iter().take_while(|statement| !std::ptr::eq(*statement, *some));
            !before.any(|statement| vars.iter().any(|name| mentions(statement, name)))
        }
        _ => false,
    };
    let late = query.stmts.iter().skip_while(is_early).filter(is_some).filter(is_new);
    late.map(|some| (some, first)).collect()
}

/// `c` and `xs[c]` of `c = xs[c]`.
pub(super) fn own_key(statement: &LiteralStmt) -> Option<(&Expr, &Expr)> {
    let Literal::Expr { expr, .. } = &statement.literal else { return None };
    let Expr::AssignExpr { op: AssignOp::Eq, lhs, rhs, .. } = expr.as_ref() else { return None };
    let holds = |name: &Expr, reference: &Expr| {
        let mut found = false;
        walk::expr(reference, &mut |node| {
            found |= matches!((node, name), (Node::Index(Expr::Var { span, .. }), Expr::Var { span: name, .. })
                if span.text() == name.text() && name.text() != "_");
        });
        found
    };
    let sides = [(lhs.as_ref(), rhs.as_ref()), (rhs.as_ref(), lhs.as_ref())];
    sides.into_iter().find(|(name, reference)| {
        matches!(reference, Expr::RefBrack { .. } | Expr::RefDot { .. }) && holds(name, reference)
    })
}

/// What `sprintf` is given, where a set could be in it.
pub(super) fn printed<'a>(name: &str, arguments: &'a [ExprRef]) -> Option<&'a Expr> {
    let [_, values, ..] = arguments else { return None };
    let is_plain = |value: &Expr| match value {
        Expr::String { .. } | Expr::Number { .. } => true,
        Expr::RefDot { .. } | Expr::RefBrack { .. } => {
            walk::reference(value).is_ok_and(|reference| reference.root == "input")
        }
        _ => false,
    };
    let is_done = match values.as_ref() {
        Expr::Call { fcn, .. } => fcn.span().text() == functions::PRINTABLE,
        Expr::Array { items, .. } => items.iter().all(|item| is_plain(item)),
        _ => false,
    };
    (name == "sprintf" && !is_done).then_some(values.as_ref())
}

/// Whether a query may fail before its first loop runs.
pub(super) fn is_loopless(query: &Query) -> bool {
    match query.stmts.first().map(|first| &first.literal) {
        Some(Literal::SomeIn { collection, .. }) => match collection.as_ref() {
            Expr::Array { items, .. } => items.len() != 1,
            Expr::Call { fcn, params, .. } if fcn.span().text() == functions::ITEMS => {
                params.iter().any(|param| uses_what_follows(param, query))
            }
            other => uses_what_follows(other, query),
        },
        _ => true,
    }
}

/// Whether an expression mentions a variable that the query gives a value to, after its first statement.
fn uses_what_follows(expr: &Expr, query: &Query) -> bool {
    let mut declared = BTreeSet::new();
    for statement in query.stmts.iter().skip(1) {
        if let Literal::Expr { expr, .. } = &statement.literal
            && let Expr::AssignExpr { lhs, rhs, .. } = expr.as_ref()
        {
            super::names::pattern(lhs, &mut declared);
            super::names::pattern(rhs, &mut declared);
        }
    }
    let mut found = false;
    walk::expr(expr, &mut |node| {
        if let walk::Node::Reference(reference) = node {
            found |= declared.contains(reference.root);
        }
    });
    found
}

/// Whether a statement is the loop that [`super::faithful`] puts in front.
pub(super) fn is_one_turn(literal: &Literal) -> bool {
    let Literal::SomeIn { key: None, value, collection, .. } = literal else { return false };
    matches!(value.as_ref(), Expr::Var { span, .. } if span.text() == "_")
        && matches!(collection.as_ref(), Expr::Array { items, .. } if items.len() == 1)
}

/// What OPA evaluates outside of a negation. `names_a_value` tells variables from rules.
pub(super) fn operands<'a>(
    statement: &'a LiteralStmt,
    names_a_value: &dyn Fn(&'a Expr) -> bool,
) -> Vec<&'a Expr> {
    let mut found = Vec::new();
    if let Literal::Every { domain, .. } = &statement.literal {
        let is_plain = matches!(domain.as_ref(), Expr::Var { .. } | Expr::RefDot { .. });
        found.extend((!is_plain).then_some(domain.as_ref()));
    }
    let Literal::NotExpr { expr, .. } = &statement.literal else { return found };
    let mut see = |at: &'a Expr| operand(at, names_a_value, &mut found);
    match expr.as_ref() {
        Expr::Call { params, .. } => params.iter().for_each(|param| see(param)),
        // OPA reads `==` as `=`, on one side of which what stands as it is may be undefined.
        Expr::AssignExpr { lhs, rhs, op: AssignOp::Eq, .. }
        | Expr::BoolExpr { lhs, rhs, op: BoolOp::Eq, .. } => {
            [lhs, rhs].into_iter().for_each(|side| match side.as_ref() {
                Expr::Var { .. } => {}
                Expr::RefDot { .. } | Expr::RefBrack { .. } => indexes(side, &mut see),
                other => see(other),
            });
        }
        Expr::BoolExpr { lhs, rhs, .. }
        | Expr::BinExpr { lhs, rhs, .. }
        | Expr::ArithExpr { lhs, rhs, .. } => {
            see(lhs);
            see(rhs);
        }
        Expr::Membership { key, value, collection, .. } => {
            key.iter().for_each(|key| see(key));
            see(value);
            see(collection);
        }
        Expr::RefDot { .. } | Expr::RefBrack { .. } => indexes(expr, &mut see),
        Expr::Array { .. } | Expr::Set { .. } | Expr::Object { .. } => see(expr),
        _ => {}
    }
    found
}

fn indexes<'a>(reference: &'a ExprRef, see: &mut dyn FnMut(&'a Expr)) {
    let segments = match walk::reference(reference) {
        Ok(reference) => reference.segments,
        Err((start, segments)) => {
            see(start);
            segments
        }
    };
    for segment in segments {
        if let Segment::Dynamic(index) = segment {
            see(index);
        }
    }
}

fn operand<'a>(at: &'a Expr, names_a_value: &dyn Fn(&'a Expr) -> bool, found: &mut Vec<&'a Expr>) {
    match at {
        Expr::Var { .. } if names_a_value(at) => found.push(at),
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().for_each(|item| operand(item, names_a_value, found));
        }
        Expr::Object { fields, .. } => fields.iter().for_each(|(_, key, value)| {
            operand(key, names_a_value, found);
            operand(value, names_a_value, found);
        }),
        Expr::UnaryExpr { expr, .. } if matches!(expr.as_ref(), Expr::Number { .. }) => {}
        Expr::RefDot { .. }
        | Expr::RefBrack { .. }
        | Expr::Call { .. }
        | Expr::BoolExpr { .. }
        | Expr::BinExpr { .. }
        | Expr::ArithExpr { .. }
        | Expr::Membership { .. }
        | Expr::UnaryExpr { .. } => found.push(at),
        _ => {}
    }
}
