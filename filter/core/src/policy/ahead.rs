//! What regorus would evaluate too late, or again and again, written in front of where it is needed; see [`super::faithful`].

use std::collections::BTreeSet;

use regorus::unstable::{Expr, ExprRef, LiteralStmt, WithModifier};

use super::edit::{Edit, Edits};
use super::faithful::{extent, stands, whole};
use super::nesting::Inside;
use super::survey::Survey;

/// A statement with a `with` that puts something in place which has to be evaluated.
pub(super) struct Replacing<'a> {
    pub(super) whole: &'a LiteralStmt,
    pub(super) is_bare: bool,
    pub(super) computed: Vec<&'a WithModifier>,
}

/// Whether what `with` puts in place has to be evaluated: neither a constant nor a variable, nor a function.
pub(super) fn is_computed(
    value: &Expr,
    locals: &BTreeSet<&str>,
    is_function: &dyn Fn(&Expr) -> bool,
) -> bool {
    let is_computed = |value: &ExprRef| is_computed(value, locals, is_function);
    match value {
        Expr::String { .. }
        | Expr::RawString { .. }
        | Expr::Number { .. }
        | Expr::Bool { .. }
        | Expr::Null { .. } => false,
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().any(is_computed),
        Expr::Object { fields, .. } => {
            fields.iter().any(|(_, key, value)| is_computed(key) || is_computed(value))
        }
        Expr::Var { span, .. } if locals.contains(span.text()) => false,
        other => !is_function(other),
    }
}

/// What `with` puts in place, late declarations, and `c = xs[c]`, written so that regorus has them in time.
pub(super) fn edits<'a>(survey: &'a Survey<'_>, round: usize) -> Edits<'a> {
    let mut edits = Edits::default();
    for replacing in &survey.replacing {
        let span = &replacing.whole.span;
        edits.add(span, with_names(replacing, round, span.source.get_contents()));
    }
    for (some, first) in &survey.late {
        edits.add(&some.span, put_first(some, first).into_iter().flatten());
    }
    for (statement, name, reference) in &survey.own_keys {
        edits.add(&statement.span, compared(statement, name, reference));
    }
    edits
}

/// `q with input as {"a": r}` as `remit_0_16 := {"a": r}; q with input as remit_0_16`.
fn with_names(replacing: &Replacing<'_>, round: usize, text: &str) -> Option<Edit> {
    let (start, end) = whole(replacing.whole)?;
    let (mut names, mut changed, mut at) = (String::new(), String::new(), start);
    for modifier in &replacing.computed {
        let (from, to) = in_parentheses(modifier, text)?;
        let name = format!("remit_{round}_{from}");
        names.push_str(&format!("{name} := {}; ", code(text.get(from..to)?)));
        changed.push_str(text.get(at..from)?);
        changed.push_str(&name);
        at = to;
    }
    changed.push_str(text.get(at..end)?);
    let text_before = text.get(start..end)?.matches('\n').count();
    let (before, after) = if replacing.is_bare { ("{ ", " }") } else { ("", "") };
    let new = format!("{before}{names}{changed}{after}");
    let lines = text_before.saturating_sub(new.matches('\n').count());
    Some(Edit { start, end, text: format!("{new}{}", "\n".repeat(lines)) })
}

/// `…; some x; …` as `some x; …; true; …`.
fn put_first(some: &LiteralStmt, first: &LiteralStmt) -> Option<[Edit; 2]> {
    let ((start, end), (begin, _)) = (extent(&some.span)?, extent(&first.span)?);
    let whole = some.span.source.get_contents().get(start..end)?;
    let (written, lines) = (code(whole), whole.matches('\n').count());
    let text = format!("true{}", "\n".repeat(lines));
    Some([Edit { start, end, text }, Edit { start: begin, end: begin, text: format!("{written}; ") }])
}

/// `c = xs[c]` as `xs[c] == c`, with the lines that it has.
fn compared(statement: &LiteralStmt, name: &Expr, reference: &Expr) -> Option<Edit> {
    let text = statement.span.source.get_contents();
    let (start, end) = stands(name)?.min(stands(reference)?);
    let end = end.max(stands(name)?.1).max(stands(reference)?.1);
    let (from, to) = stands(reference)?;
    let lines = text.get(start..end)?.matches('\n').count();
    let written = text.get(from..to)?;
    let lines = lines.saturating_sub(written.matches('\n').count());
    Some(Edit { start, end, text: format!("{written} == {}{}", name.span().text(), "\n".repeat(lines)) })
}

/// Where what `with` puts in place stands, with the parentheses around it, which are in no span.
fn in_parentheses(modifier: &WithModifier, text: &str) -> Option<(usize, usize)> {
    let begun = stands(&modifier.refr)?.1;
    let (mut start, mut end) = stands(&modifier.r#as)?;
    let before = text.get(begun..start)?;
    for _ in code(before).matches('(') {
        end = end.checked_add(in_code(text.get(end..)?, ')')?)?.checked_add(1)?;
    }
    if let Some(first) = in_code(before, '(') {
        start = begun.checked_add(first)?;
    }
    Some((start, end))
}

/// Where a character first stands outside of texts and comments.
fn in_code(text: &str, wanted: char) -> Option<usize> {
    let mut inside = Inside::Code;
    let found = text.char_indices().find(|(_, c)| {
        let is_here = (inside, *c) == (Inside::Code, wanted);
        inside = inside.after(*c);
        is_here
    });
    found.map(|(at, _)| at)
}

/// A text without its comments, on one line but for texts that have several.
fn code(text: &str) -> String {
    let (mut code, mut inside) = (String::with_capacity(text.len()), Inside::Code);
    for c in text.chars() {
        let next = inside.after(c);
        match (inside, next, c) {
            (Inside::Comment, _, '\n') | (Inside::Code, _, '\n') => code.push(' '),
            (Inside::Comment, ..) | (_, Inside::Comment, _) => {}
            (_, _, c) => code.push(c),
        }
        inside = next;
    }
    code
}
