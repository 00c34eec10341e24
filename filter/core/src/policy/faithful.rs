//! What regorus reads differently from OPA, written so that both evaluators and OPA read it alike.
//!
//! * `not f(input.x)`: OPA evaluates the operands outside of the negation, so that an undefined one fails the body;
//!   regorus inside, so that the negation holds. They get names in front of it.
//! * `q with input as {"a": r}`: regorus evaluates the rule `r` where the input is replaced already, and it stays undefined from there on. What
//!   `with` puts in place gets a name in front, as in OPA.
//! * `ys := xs[_]; some i; ys[i]`: the interpreter declares `i` again in each turn, and ends. It is declared in front.
//! * `c = xs[c]`: regorus looks for `c` first. It becomes a comparison.
//! * `p contains xs[_]` without a body ends the evaluation where `xs` is undefined. It gets a body.
//! * `every x in [y | …]`: the bytecode loses its way in what is run over. It gets a name in front.
//! * `every x in xs { ys[x] }`: the bytecode runs over all of `ys`, since it does not know `x` there, and `x = 1` assigns in both.
//!   `x` is given a value by `:=` inside, which they know.
//! * `every x in xs { x < limit }` may come before `limit` ([`super::awaits`]).
//! * `y := input.x`: the bytecode goes on with an undefined `y`, so `y == y` follows.
//! * `f(x, y)` for `y = f(x)`, where the function is one of ours or goes through the meter: the interpreter does not know how many arguments it
//!   takes.
//! * Arithmetic on what is no number, and `-`, `|` and `&` of a set and something else, end the evaluation or more than
//!   the turn of a loop in regorus and are undefined in OPA; `k, v in xs` overlooks sets; `x in xs` as a value is false where
//!   `xs` is undefined; `-x` is known of numbers alone. They become calls of functions of ours.
//! * `[x.y | some x in xs]` holds undefined values in the bytecode. What is gathered gets a name in the body.
//! * `sprintf` writes an empty set as `{}`, and OPA as `set()`.
//! * The value in front of an `else` that is undefined makes the rule undefined in the bytecode, and runs over what it
//!   indexes in the interpreter; in OPA the `else` decides. It gets a name in the body. So does the value of a body that
//!   runs over something: the interpreter gives up at the first turn that it is undefined for.
//! * `<` and its like go by OPA's order where a set could meet an object.
//! * `{"a": x} = input.y` fits in regorus what has more in it ([`super::patterns`]).
//! * `some x in xs`, where `xs` is no collection, ends the evaluation in the interpreter, and finds nothing in OPA.
//! * `walk` gives one pair after the other, and builtins of regorus one value. It becomes an array that is run over.
//! * A comprehension that fails outside of a loop ends the turn of the loop around it in the bytecode, so it begins with
//!   a loop of one turn.
//! * `with f as …` replaces in the interpreter the calls that are written as it is, wherever they stand. What `with`
//!   replaces, and its calls, are named from `data` on.
//! * `p[x].r := y` and `p[x] contains y` leave `p` undefined where they give nothing, and OPA shows an empty object. A
//!   rule `p[x] := y` that never holds does so in the interpreter as well.
//!
//! No line is added or taken away, so that places keep their lines.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{
    BoolOp, Expr, ExprRef, Literal, LiteralStmt, Module, Query, Ref, Rule, RuleHead, Span,
};

use super::ahead;
use super::edit::{Edit, Edits};
use super::functions;
use super::loose::{assigned, operator};
use super::patterns;
use super::survey::{Path, RuleFacts, Survey};
use super::walk::{self, Segment};

/// How often modules are read again: once for each level of what is nested in each other.
pub(super) const ROUNDS: usize = 64;

/// What a comprehension without a loop begins with.
const ONE_TURN: &str = "some _ in [1]";

/// A statement to which something is to be done.
pub(super) struct Statement<'a> {
    pub(super) whole: &'a LiteralStmt,
    /// Whether it is a rule's body without braces.
    pub(super) is_bare: bool,
    /// What of it is to be evaluated outside of its negation.
    pub(super) operands: Vec<&'a Expr>,
}

/// The value of a body that an `else` follows.
pub(super) struct Chosen<'a> {
    pub(super) value: &'a Expr,
    pub(super) body: &'a Query,
    /// Whether the body may be without braces.
    pub(super) is_rule: bool,
}

/// A call of `walk`.
pub(super) struct Walk<'a> {
    pub(super) span: &'a Span,
    /// What is walked, and in a statement what the pairs are to be like.
    pub(super) arguments: &'a [ExprRef],
    pub(super) is_negated: bool,
}

/// The text of each module, by its path in the bundle, after one round. `None` when there is nothing to change.
pub(super) fn rewrite(
    survey: &Survey<'_>,
    modules: &[Ref<Module>],
    round: usize,
) -> Option<BTreeMap<String, String>> {
    let mut edits =
        PASSES.iter().map(|pass| pass(survey, round)).find(|edits| !edits.is_empty()).unwrap_or_default();
    let mut ends: BTreeMap<&str, String> = BTreeMap::new();
    for (path, facts) in &survey.rules {
        if let Some(name) = shows_empty(path, facts) {
            ends.entry(facts.at.file.as_str()).or_default().push_str(&name);
        }
    }
    if edits.is_empty() && ends.is_empty() {
        return None;
    }
    let mut texts = BTreeMap::new();
    for module in modules {
        let path = module.package.span.source.get_path();
        let mut text = edits.applied(module);
        for name in ends.get(path.as_str()).iter().flat_map(|names| names.lines()) {
            let before = if module.rego_v1 { "if " } else { "" };
            text.push_str(&format!("\n{name}[remit_none] = 1 {before}{{ remit_none := [][_] }}"));
        }
        texts.insert(path.clone(), text);
    }
    Some(texts)
}

/// What is changed together, in this order: the changes of each would meet those of the ones before at the same places.
const PASSES: [for<'a> fn(&'a Survey<'_>, usize) -> Edits<'a>; 8] =
    [ahead::edits, operands, taken_apart, awaited, heads, declarations, walks, values];

/// Operands of negations, assignments, comprehensions, what is run over, operators and calls, names that `with` replaces.
fn operands<'a>(survey: &'a Survey<'_>, round: usize) -> Edits<'a> {
    let mut edits = Edits::default();
    for statement in &survey.statements {
        let span = &statement.whole.span;
        edits.add(span, named(statement, round, span.source.get_contents()));
    }
    for (statement, is_bare) in &survey.assignments {
        edits.add(&statement.span, guarded(statement, *is_bare, statement.span.source.get_contents()));
    }
    for query in &survey.loopless {
        let first = query.stmts.first().and_then(|first| extent(&first.span));
        let edit = first.map(|(start, _)| Edit { start, end: start, text: format!("{ONE_TURN}; ") });
        edits.add(&query.span, edit);
    }
    let collections = survey.collections.iter().map(|expr| (functions::ITEMS, expr));
    let printed = survey.printed.iter().map(|expr| (functions::PRINTABLE, expr));
    for (function, expr) in collections.chain(printed) {
        edits.add(expr.span(), given_to(function, expr));
    }
    for expr in &survey.expressions {
        edits.add(expr.span(), called(expr, expr.span().source.get_contents(), &survey.walks));
    }
    let is_replaced = |path: &Path| survey.replaced.iter().any(|(_, replaced)| replaced == path);
    let calls = survey.function_calls.iter().map(|call| (call.name, &call.function));
    let calls = calls.filter(|(_, path)| is_replaced(path));
    for (name, path) in survey.replaced.iter().map(|(name, path)| (*name, path)).chain(calls) {
        edits.add(name.span(), in_full(name, path));
    }
    edits
}

fn taken_apart<'a>(survey: &'a Survey<'_>, round: usize) -> Edits<'a> {
    let mut edits = Edits::default();
    survey.taken.iter().for_each(|taken| edits.add(taken.span(), taken.named(round)));
    edits
}

fn awaited<'a>(survey: &'a Survey<'_>, _round: usize) -> Edits<'a> {
    let mut edits = Edits::default();
    survey.awaits.iter().for_each(|awaits| edits.add(awaits.domain.span(), awaits.named()));
    edits
}

/// Patterns among arguments, and computed parts of names.
fn heads<'a>(survey: &'a Survey<'_>, round: usize) -> Edits<'a> {
    let mut edits = Edits::default();
    for (rule, arguments, is_v1) in &survey.heads {
        edits.add(rule.span(), patterns::with_names(rule, arguments, round, *is_v1).into_iter().flatten());
    }
    for (rule, is_v1) in &survey.bodiless {
        edits.add(rule.span(), patterns::in_bodies(rule, "true", *is_v1, false).into_iter().flatten());
    }
    for (rule, is_v1) in &survey.keyed {
        edits.add(rule.span(), patterns::with_keys(rule, round, *is_v1).into_iter().flatten());
    }
    edits
}

fn declarations<'a>(survey: &'a Survey<'_>, round: usize) -> Edits<'a> {
    let mut edits = Edits::default();
    for statement in &survey.indexing {
        edits.add(&statement.span, declared_inside(statement, round).into_iter().flatten());
    }
    edits
}

/// Calls of `walk` with one argument: one that OPA evaluates outside of a negation stands there by now.
fn walks<'a>(survey: &'a Survey<'_>, _round: usize) -> Edits<'a> {
    let mut edits = Edits::default();
    for walk in survey.walks.iter().filter(|walk| walk.arguments.len() == 1) {
        let edit = extent(walk.span).zip(walked(walk, walk.span.source.get_contents()));
        edits.add(walk.span, edit.map(|((start, end), text)| Edit { start, end, text }));
    }
    edits
}

/// Values of bodies, those first that hold no other.
fn values<'a>(survey: &'a Survey<'_>, round: usize) -> Edits<'a> {
    let holds = |outer: &Chosen<'_>, inner: &Chosen<'_>| {
        let (outer, inner) = (outer.value.span(), inner.value.span());
        std::ptr::eq(outer.source.get_contents(), inner.source.get_contents())
            && (outer.start < inner.start && inner.start < outer.end)
    };
    let mut edits = Edits::default();
    for chosen in &survey.chosen {
        if !survey.chosen.iter().any(|other| holds(chosen, other)) {
            let span = chosen.value.span();
            let named = named_value(chosen, round, span.source.get_contents());
            edits.add(span, named.into_iter().flatten());
        }
    }
    edits
}

/// `x` as `f(x)`
fn given_to(function: &str, expr: &Expr) -> Option<Edit> {
    let (start, end) = stands(expr)?;
    let text = format!("{function}({})", expr.span().source.get_contents().get(start..end)?);
    Some(Edit { start, end, text })
}

/// The name of a rule that OPA shows as an empty object where it gives nothing, and regorus does not.
fn shows_empty(path: &Path, facts: &RuleFacts<'_>) -> Option<String> {
    let mut is_computed = false;
    for definition in &facts.definitions {
        let Rule::Spec { head, .. } = definition.rule else { continue };
        let segments = walk::reference(walk::head_of(definition.rule)).ok()?.segments;
        let mut after = segments.iter().skip_while(|segment| matches!(segment, Segment::Constant(_)));
        let Some(Segment::Dynamic(_)) = after.next() else { continue };
        if after.next().is_none() && matches!(head, RuleHead::Compr { .. }) {
            return None;
        }
        is_computed = true;
    }
    let (first, rest) = path.get(facts.package..)?.split_first()?;
    let rest = rest.iter().map(|part| format!("[{}]", serde_json::Value::from(part.as_str())));
    is_computed.then(|| format!("{first}{}\n", rest.collect::<String>()))
}

/// `f` as `data.p.f`, where it can be written so.
fn in_full(name: &Expr, path: &Path) -> Option<Edit> {
    let is_plain = |part: &String| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (start, end) = extent(name.span())?;
    let full = format!("data.{}", path.join("."));
    let written = name.span().source.get_contents().get(start..end)?;
    (written != full && path.iter().all(is_plain)).then_some(Edit { start, end, text: full })
}

/// `y := input.x` as `y := input.x; y == y`.
fn guarded(statement: &LiteralStmt, is_bare: bool, text: &str) -> Vec<Edit> {
    let Some((name, (start, end))) = assigned(statement, &|_| true).zip(whole(statement)) else {
        return Vec::new();
    };
    if text.get(end..).is_some_and(|rest| rest.starts_with(&format!("; {name} == {name}"))) {
        return Vec::new();
    }
    let (before, after) = if is_bare { ("{ ", " }") } else { ("", "") };
    let insert = |at, text| Edit { start: at, end: at, text };
    let mut edits = vec![insert(end, format!("; {name} == {name}{after}"))];
    if is_bare {
        edits.push(insert(start, before.to_owned()));
    }
    edits
}

/// `every x in xs { ys[x] }` as `every remit_0_6 in xs { x := remit_0_6; ys[x] }`.
fn declared_inside(statement: &LiteralStmt, round: usize) -> Option<Vec<Edit>> {
    let Literal::Every { key, value, query, .. } = &statement.literal else { return None };
    let (first, _) = whole(query.stmts.first()?)?;
    let mut edits = Vec::new();
    let mut declared = String::new();
    for name in key.iter().chain([value]).filter(|name| name.text() != "_") {
        let (start, end) = extent(name)?;
        let renamed = format!("remit_{round}_{start}");
        declared.push_str(&format!("{} := {renamed}; ", name.text()));
        edits.push(Edit { start, end, text: renamed });
    }
    edits.push(Edit { start: first, end: first, text: declared });
    Some(edits)
}

/// `r := input.x if { … } else …` as `r := remit_v_9 if { …; remit_v_9 := input.x } else …`.
fn named_value(chosen: &Chosen<'_>, round: usize, text: &str) -> Option<Vec<Edit>> {
    let (start, end) = stands(chosen.value)?;
    let name = format!("remit_{round}_{start}");
    let value = text.get(start..end)?;
    let (first, last) = (chosen.body.stmts.first()?, chosen.body.stmts.last()?);
    let is_bare = chosen.is_rule && chosen.body.span.start == first.span.start;
    let (before, after) = if is_bare { ("{ ", " }") } else { ("", "") };
    let (first, last) = (whole(first)?.0, whole(last)?.1);
    Some(vec![
        Edit { start: last, end: last, text: format!("; {name} := {value}; {name} == {name}{after}") },
        Edit { start: first, end: first, text: before.to_owned() },
        Edit { start, end, text: name },
    ])
}

/// `not f(input.x)` as `remit_0_17 := input.x; not f(remit_0_17)`.
fn named(statement: &Statement<'_>, round: usize, text: &str) -> Option<Edit> {
    let (start, end) = whole(statement.whole)?;
    let with = match statement.whole.with_mods.first() {
        Some(first) => text.get(extent(&first.span)?.0..end)?,
        None => "",
    };
    let mut changed = String::new();
    let mut names = String::new();
    let mut at = start;
    let mut spans: BTreeSet<(usize, usize)> = BTreeSet::new();
    for operand in &statement.operands {
        spans.insert(stands(operand)?);
    }
    for (from, to) in spans {
        let operand = text.get(from..to)?;
        let name = format!("remit_{round}_{from}");
        changed.push_str(text.get(at..from)?);
        changed.push_str(&name);
        names.push_str(&format!("{name} := {operand} {with}; {name} == {name}; "));
        at = to;
    }
    changed.push_str(text.get(at..end)?);
    let text =
        if statement.is_bare { format!("{{ {names}{changed} }}") } else { format!("{names}{changed}") };
    Some(Edit { start, end, text })
}

/// An operator, or a call with its result among the arguments, as a call of a function of ours.
fn called(expr: &Expr, text: &str, walks: &[Walk<'_>]) -> Option<Edit> {
    let (start, end) = stands(expr)?;
    let part = |expr: &Expr| stands(expr).and_then(|(from, to)| text.get(from..to));
    let new = match expr {
        Expr::Call { params, fcn, .. } => {
            if let Some(walk) = walks.iter().find(|walk| std::ptr::eq(walk.arguments, params.as_slice())) {
                return Some(Edit { start, end, text: walked(walk, text)? });
            }
            let (result, arguments) = params.split_last()?;
            let arguments: Option<Vec<&str>> = arguments.iter().map(|argument| part(argument)).collect();
            let call = format!("{}({})", fcn.span().text(), arguments?.join(", "));
            let written = part(result)?;
            match result.as_ref() {
                // In front it would be read as the braces of a body. It holds no variable, else it was taken apart.
                Expr::Object { .. } | Expr::Set { .. } => format!("{call} == {written}"),
                _ => format!("{written} = {call}"),
            }
        }
        Expr::UnaryExpr { expr, .. } => format!("{}(0, {})", functions::MINUS, part(expr)?),
        _ => {
            let (function, operands) = operator(expr)?;
            let operands: Option<Vec<&str>> = operands.into_iter().map(part).collect();
            let call = format!("{function}({})", operands?.join(", "));
            match expr {
                Expr::BoolExpr { op: BoolOp::Lt, .. } => format!("{call} < 0"),
                Expr::BoolExpr { op: BoolOp::Le, .. } => format!("{call} <= 0"),
                Expr::BoolExpr { op: BoolOp::Gt, .. } => format!("{call} > 0"),
                Expr::BoolExpr { op: BoolOp::Ge, .. } => format!("{call} >= 0"),
                _ => call,
            }
        }
    };
    Some(Edit { start, end, text: new })
}

/// `walk(x, [path, value])` as `[path, value] = remit__pairs(x, true)[_]`.
fn walked(walk: &Walk<'_>, text: &str) -> Option<String> {
    let part = |expr: &Expr| stands(expr).and_then(|(from, to)| text.get(from..to));
    let (value, pattern) = walk.arguments.split_first()?;
    let value = part(value)?;
    let Some(pattern) = pattern.first() else {
        return Some(format!("{}({value}, true)[_]", functions::PAIRS));
    };
    let written = part(pattern)?;
    if walk.is_negated {
        return Some(format!("{}({value}, {written})", functions::HAS_PAIR));
    }
    let has_paths = match pattern.as_ref() {
        Expr::Array { items, .. } => items.first().is_none_or(|path| path.span().text() != "_"),
        _ => true,
    };
    Some(format!("{written} = {}({value}, {has_paths})[_]", functions::PAIRS))
}

/// Where a statement stands, with its `with`.
pub(super) fn whole(statement: &LiteralStmt) -> Option<(usize, usize)> {
    let (start, end) = extent(&statement.span)?;
    match statement.with_mods.last() {
        Some(last) => Some((start, stands(&last.r#as)?.1.max(end))),
        None => Some((start, end)),
    }
}

/// Where an expression stands in its text. regorus has an object of several fields begin at the last of them.
pub(super) fn stands(expr: &Expr) -> Option<(usize, usize)> {
    let (start, end) = extent(expr.span())?;
    match expr {
        Expr::Object { fields, .. } if fields.len() > 1 => {
            let (first, ..) = fields.first()?;
            Some((brace_before(first.source.get_contents(), extent(first)?.0)?, end))
        }
        _ => Some((start, end)),
    }
}

/// The place of the brace that only white space and comments part from what begins at `end`.
fn brace_before(text: &str, end: usize) -> Option<usize> {
    let before = text.get(..end)?.trim_end();
    let (_, line) = before.rsplit_once('\n').unwrap_or(("", before));
    if line.ends_with('{') && !line.contains('#') {
        return before.len().checked_sub(1);
    }
    let (mut found, mut bytes) = (None, before.bytes().enumerate());
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'{' => found = Some(at),
            b'#' => _ = bytes.find(|(_, byte)| *byte == b'\n'),
            b'`' => _ = bytes.find(|(_, byte)| *byte == b'`'),
            b'"' => {
                let mut is_escaped = false;
                _ = bytes.find(|(_, byte)| {
                    let ends = *byte == b'"' && !is_escaped;
                    is_escaped = *byte == b'\\' && !is_escaped;
                    ends
                });
            }
            _ => {}
        }
    }
    found
}

/// Where something stands in its text; the span of a string leaves out its quotes.
pub(super) fn extent(span: &Span) -> Option<(usize, usize)> {
    let text = span.source.get_contents().as_bytes();
    let (mut start, mut end) = (usize::try_from(span.start).ok()?, usize::try_from(span.end).ok()?);
    let is_quote =
        |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(|b| matches!(b, b'"' | b'`'));
    if is_quote(start.checked_sub(1)) {
        start = start.checked_sub(1)?;
    }
    if is_quote(Some(end)) {
        end = end.checked_add(1)?;
    }
    Some((start, end))
}
