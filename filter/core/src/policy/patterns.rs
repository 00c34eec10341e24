//! Objects in patterns: `{"a": x} = input.y`. OPA wants the same keys and regorus these among others, so what is taken
//! apart gets a name, its keys are compared, and each part is taken by its key.

use std::collections::BTreeSet;

use regorus::unstable::{AssignOp, Expr, ExprRef, Literal, LiteralStmt, Rule, RuleHead, Span};

use super::edit::Edit;
use super::faithful::{extent, stands, whole};
use super::loose::{self, fits_more, holds_object};
use super::names;
use super::walk::{self, Node};

/// A statement with such a pattern.
pub(super) struct Taken<'a> {
    statement: &'a LiteralStmt,
    is_bare: bool,
    how: How<'a>,
}

enum How<'a> {
    /// `{"a": x} = input.y`, `{"a": x} := input.y`
    Apart { pattern: &'a Expr, value: &'a Expr, declares: bool },
    /// `y = {"a": x}`, where `x` is known and `y` may not be.
    Made { value: &'a Expr, other: &'a Expr },
    /// `{"a": x} = {"a": 1}`
    Members(Vec<(&'a Expr, &'a Expr)>),
    /// `some {"a": x} in xs`
    Some { pattern: &'a Expr },
    /// `not {"a": x} = input.y`, where all has to be known.
    Compared { left: &'a Expr, right: &'a Expr },
    /// `f(x, {"a": y})`
    Result { call: &'a Expr, pattern: &'a Expr },
}

/// What a statement takes apart; `Err` where that is not served. `result` is a call with its result among the arguments.
pub(super) fn taken<'a>(
    rule: &'a Rule,
    statement: &'a LiteralStmt,
    result: Option<&'a Expr>,
    is_variable: &dyn Fn(&Expr) -> bool,
) -> Result<Option<Taken<'a>>, &'a Expr> {
    let of = |how| Ok(Some(Taken { statement, is_bare: loose::is_bare(rule, statement), how }));
    let is_negated = matches!(statement.literal, Literal::NotExpr { .. });
    if let Some((call, pattern)) = result.and_then(|call| Some((call, loose::last_argument(call)?)))
        && fits_more(pattern, is_variable)
    {
        return if is_negated { Err(pattern) } else { of(How::Result { call, pattern }) };
    }
    if let Literal::SomeIn { key, value: pattern, .. } = &statement.literal {
        if let Some(key) = key.iter().find(|key| holds_object(key)) {
            return Err(key);
        }
        return match pattern.as_ref() {
            pattern if !holds_object(pattern) => Ok(None),
            pattern if is_simple(pattern) => of(How::Some { pattern }),
            pattern => Err(pattern),
        };
    }
    let (Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. }) = &statement.literal else {
        return Ok(None);
    };
    let Expr::AssignExpr { lhs, rhs, op, .. } = expr.as_ref() else { return Ok(None) };
    let (left, right) = (lhs.as_ref(), rhs.as_ref());
    if *op == AssignOp::ColEq {
        return match left {
            left if !holds_object(left) => Ok(None),
            left if is_simple(left) => of(How::Apart { pattern: left, value: right, declares: true }),
            left => Err(left),
        };
    }
    let (pattern, value) = match (fits_more(left, is_variable), fits_more(right, is_variable)) {
        (false, false) => return Ok(None),
        (true, _) if is_negated => return of(How::Compared { left: right, right: left }),
        _ if is_negated => return of(How::Compared { left, right }),
        (true, true) => return members(left, right).map_or(Err(left), |members| of(How::Members(members))),
        (true, false) => (left, right),
        (false, true) => (right, left),
    };
    if let Expr::Var { .. } = value {
        let known = known(rule);
        let is_known = |at: &Expr| variables(at).is_subset(&known);
        if is_variable(value) && !is_known(value) && is_known(pattern) {
            return of(How::Made { value: pattern, other: value });
        }
    }
    if has_literal_keys(pattern) { of(How::Apart { pattern, value, declares: false }) } else { Err(pattern) }
}

/// The members of two objects side by side; `None` where keys are not written out.
fn members<'a>(left: &'a Expr, right: &'a Expr) -> Option<Vec<(&'a Expr, &'a Expr)>> {
    let (Expr::Object { fields: left, .. }, Expr::Object { fields: right, .. }) = (left, right) else {
        return None;
    };
    let key = |key: &Expr| super::risks::literal(key);
    let mut pairs = Vec::new();
    for (_, name, value) in left {
        let name = key(name)?;
        let (_, _, other) = right.iter().find(|(_, other, _)| key(other).as_ref() == Some(&name))?;
        pairs.push((value.as_ref(), other.as_ref()));
    }
    (left.len() == right.len()).then_some(pairs)
}

/// Whether a pattern has each variable once, and keys that are written out.
fn is_simple(pattern: &Expr) -> bool {
    let mut count = 0_usize;
    walk::expr(pattern, &mut |node| {
        if let Node::Reference(reference) = node {
            count = count.saturating_add(usize::from(reference.root != "_"));
        }
    });
    has_literal_keys(pattern) && variables(pattern).len() == count
}

fn has_literal_keys(pattern: &Expr) -> bool {
    match pattern {
        Expr::Array { items, .. } => items.iter().all(|item| has_literal_keys(item)),
        Expr::Object { fields, .. } => fields
            .iter()
            .all(|(_, key, value)| super::risks::literal(key).is_some() && has_literal_keys(value)),
        _ => true,
    }
}

fn variables(pattern: &Expr) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    names::pattern(pattern, &mut found);
    found.remove("_");
    found
}

/// The variables of a rule that something other than an object in a pattern gives their values.
fn known(rule: &Rule) -> BTreeSet<&str> {
    let mut known = names::arguments(rule);
    let mut same = Vec::new();
    let is_pattern = |at: &Expr| matches!(at, Expr::Var { .. } | Expr::Array { .. } | Expr::Object { .. });
    walk::rule(rule, &mut |node| match node {
        Node::Assign { left, declares: true, .. } => names::pattern(left, &mut known),
        Node::Assign { left: Expr::Var { span: left, .. }, right: Expr::Var { span: right, .. }, .. } => {
            same.extend([(left.text(), right.text()), (right.text(), left.text())]);
        }
        Node::Assign { left, right, .. } => {
            for (side, other) in [(left, right), (right, left)] {
                if !is_pattern(other) && !holds_object(side) {
                    names::pattern(side, &mut known);
                }
            }
        }
        Node::Index(index) => names::pattern(index, &mut known),
        Node::Statement(LiteralStmt { literal: Literal::SomeVars { .. }, .. }) => {}
        Node::Statement(statement) => names::said(&statement.literal, &mut known),
        _ => {}
    });
    for _ in 0..same.len() {
        let news = same.iter().filter(|(_, of)| known.contains(of) || matches!(*of, "input" | "data"));
        known.extend(news.map(|(name, _)| *name).collect::<Vec<_>>());
    }
    known
}

/// The arguments of a function that are such patterns; `Err` where that is not served.
pub(super) fn arguments(rule: &Rule) -> Result<Vec<&ExprRef>, &Expr> {
    let Rule::Spec { head: RuleHead::Func { args, .. }, bodies, .. } = rule else { return Ok(Vec::new()) };
    let patterns: Vec<&ExprRef> = args.iter().filter(|argument| holds_object(argument)).collect();
    let is_served =
        |pattern: &Expr| is_simple(pattern) && bodies.iter().all(|body| !body.query.stmts.is_empty());
    match patterns.iter().find(|pattern| !is_served(pattern)) {
        Some(pattern) => Err(pattern),
        None => Ok(patterns),
    }
}

/// `f({"a": x}) := x` as `f(remit_0_9) := x if { …; x := remit_0_9["a"] }`.
pub(super) fn with_names(rule: &Rule, patterns: &[&ExprRef], round: usize, is_v1: bool) -> Option<Vec<Edit>> {
    let text = rule.span().source.get_contents();
    let (mut edits, mut parts) = (Vec::new(), Vec::new());
    for pattern in patterns {
        let (start, end) = stands(pattern)?;
        let name = format!("remit_{round}_{start}");
        part(pattern, &name, true, text, &mut parts)?;
        edits.push(Edit { start, end, text: format!("{name}{}", lines(text.get(start..end)?)) });
    }
    edits.extend(in_bodies(rule, &parts.join("; "), is_v1, false)?);
    Some(edits)
}

/// `p[input.a.b] := v` as `p[remit_0_2] := v if { …; remit_0_2 := input.a.b }`.
pub(super) fn with_keys(rule: &Rule, round: usize, is_v1: bool) -> Option<Vec<Edit>> {
    let text = rule.span().source.get_contents();
    let (mut edits, mut parts) = (Vec::new(), Vec::new());
    for key in computed(rule) {
        let (start, end) = stands(key)?;
        let (name, written) = (format!("remit_{round}_{start}"), text.get(start..end)?);
        parts.push(format!("{name} := {written}"));
        edits.push(Edit { start, end, text: name });
    }
    edits.extend(in_bodies(rule, &parts.join("; "), is_v1, true)?);
    Some(edits)
}

/// Whether a rule gives an element of a set without a body, and it could be undefined, or be read as an object's in Rego v0.
pub(super) fn is_bodiless(rule: &Rule) -> bool {
    let Rule::Spec { head, bodies, .. } = rule else { return false };
    let is_loose = match head {
        RuleHead::Set { key: Some(key), .. } => {
            super::risks::literal(key).is_none() || super::refused::is_element(head)
        }
        // The parser takes `p[1]` for this where a keyword follows, such as `default`.
        RuleHead::Compr { refr, assign: None, .. } => {
            matches!(refr.as_ref(), Expr::RefBrack { refr, .. } if matches!(refr.as_ref(), Expr::Var { .. }))
        }
        _ => false,
    };
    // What is computed in its name gives it a body too.
    bodies.is_empty() && is_loose && computed(rule).is_empty()
}

/// The parts of a rule's name that have to be computed, and could be undefined.
pub(super) fn computed(rule: &Rule) -> Vec<&Expr> {
    let segments = walk::reference(walk::head_of(rule)).map(|head| head.segments).unwrap_or_default();
    let keys = segments.into_iter().filter_map(|segment| match segment {
        walk::Segment::Dynamic(key) => Some(key),
        walk::Segment::Constant(_) => None,
    });
    keys.filter(|key| !matches!(key, Expr::Var { .. }) && super::risks::literal(key).is_none()).collect()
}

/// Puts statements into each body of a rule, in front of the others or behind them.
pub(super) fn in_bodies(rule: &Rule, parts: &str, is_v1: bool, is_behind: bool) -> Option<Vec<Edit>> {
    let Rule::Spec { bodies, span, .. } = rule else { return None };
    let insert = |at: usize, text: String| Edit { start: at, end: at, text };
    let mut edits = Vec::new();
    if bodies.is_empty() {
        let before = if is_v1 { "if " } else { "" };
        edits.push(insert(extent(span)?.1, format!(" {before}{{ {parts} }}")));
    }
    for body in bodies {
        let (first, last) = (body.query.stmts.first()?, body.query.stmts.last()?);
        let is_bare = body.query.span.start == first.span.start;
        let (mut before, mut after) =
            if is_bare { ("{ ".to_owned(), " }".to_owned()) } else { Default::default() };
        if is_behind {
            after = format!("; {parts}{after}");
        } else {
            before.push_str(&format!("{parts}; "));
        }
        edits.push(insert(whole(last)?.1, after));
        edits.push(insert(whole(first)?.0, before));
    }
    edits.retain(|edit| !edit.text.is_empty());
    Some(edits)
}

impl Taken<'_> {
    /// The call that has its result among the arguments.
    pub(super) fn call(&self) -> Option<&Expr> {
        match &self.how {
            How::Result { call, .. } => Some(call),
            _ => None,
        }
    }

    pub(super) fn span(&self) -> &Span {
        &self.statement.span
    }

    /// `{"a": x} = input.y` as `remit_0_17 := input.y; object.keys(remit_0_17) == {"a"}; x = remit_0_17["a"]`.
    pub(super) fn named(&self, round: usize) -> Option<Edit> {
        let text = self.statement.span.source.get_contents();
        let (start, end) = whole(self.statement)?;
        let written = |expr: &Expr| stands(expr).and_then(|(from, to)| text.get(from..to));
        let with = match self.statement.with_mods.first() {
            Some(first) => text.get(extent(&first.span)?.0..end)?,
            None => "",
        };
        let name = format!("remit_{round}_{start}");
        let mut parts = Vec::new();
        match &self.how {
            How::Apart { pattern, value, declares } => {
                parts.push(format!("{name} := {} {with}", written(value)?));
                part(pattern, &name, *declares, text, &mut parts)?;
            }
            How::Made { value, other } => {
                parts.push(format!("{name} := {} {with}", written(value)?));
                parts.push(format!("{} = {name}", written(other)?));
            }
            How::Members(members) => {
                for (left, right) in members {
                    // In front a brace would begin a body.
                    let (first, second) = match left {
                        Expr::Object { .. } | Expr::Set { .. } => (right, left),
                        _ => (left, right),
                    };
                    parts.push(format!("{} = {} {with}", written(first)?, written(second)?));
                }
                parts.push("true".to_owned());
            }
            How::Compared { left, right } => {
                parts.push(format!("not {} == {} {with}", written(left)?, written(right)?));
            }
            How::Some { pattern } => {
                let (from, to) = stands(pattern)?;
                parts.push(format!("{}{name}{}", text.get(start..from)?, text.get(to..end)?));
                part(pattern, &name, true, text, &mut parts)?;
            }
            How::Result { call, pattern } => {
                let Expr::Call { fcn, params, .. } = call else { return None };
                let (_, given) = params.split_last()?;
                let given: Option<Vec<&str>> = given.iter().map(|given| written(given)).collect();
                parts.push(format!("{name} := {}({}) {with}", fcn.span().text(), given?.join(", ")));
                part(pattern, &name, false, text, &mut parts)?;
            }
        }
        let new = parts.join("; ");
        let lines = text.get(start..end)?.matches('\n').count().saturating_sub(new.matches('\n').count());
        let (before, after) = if self.is_bare { ("{ ", " }") } else { ("", "") };
        Some(Edit { start, end, text: format!("{before}{new}{}{after}", "\n".repeat(lines)) })
    }
}

/// The ends of the lines of a text.
fn lines(text: &str) -> String {
    "\n".repeat(text.matches('\n').count())
}

/// The statements that hold where a value is like a pattern.
fn part(pattern: &Expr, value: &str, declares: bool, text: &str, parts: &mut Vec<String>) -> Option<()> {
    let written = |expr: &Expr| stands(expr).and_then(|(from, to)| text.get(from..to));
    match pattern {
        Expr::Var { span, .. } if span.text() == "_" => {}
        Expr::Var { span, .. } => {
            parts.push(format!("{} {} {value}", span.text(), if declares { ":=" } else { "=" }));
        }
        Expr::Object { fields, .. } => {
            let keys: Option<Vec<&str>> = fields.iter().map(|(_, key, _)| written(key)).collect();
            let keys = keys?.join(", ");
            // `{}` is an object.
            let keys = if keys.is_empty() { "set()".to_owned() } else { format!("{{{keys}}}") };
            parts.push(format!("object.keys({value}) == {keys}"));
            for (_, key, inner) in fields {
                part(inner, &format!("{value}[{}]", written(key)?), declares, text, parts)?;
            }
        }
        Expr::Array { items, .. } => {
            parts.push(format!("is_array({value}); count({value}) == {}", items.len()));
            for (at, inner) in items.iter().enumerate() {
                part(inner, &format!("{value}[{at}]"), declares, text, parts)?;
            }
        }
        other => parts.push(format!("{value} == {}", written(other)?)),
    }
    Some(())
}
