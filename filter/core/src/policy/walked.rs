//! Where a value that could be endless to walk is walked: each of them goes through a builtin first that ends the evaluation
//! when that takes too long.
//!
//! Comparing, ordering, looking up and showing walk a value within one step of the evaluators. Making one of others, taking
//! it apart and counting what is in it does not.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{ArithOp, Expr, ExprRef, Literal, Module, Ref, Rule, RuleHead};

use super::faithful::{stands, whole};
use super::functions;
use super::names::pattern;
use super::rewrite::last_first;
use super::risks;
use super::survey::{Path, Scope, Survey};
use super::walk::{self, Node, Segment};
use super::weights::{self, HEAVY, Names, Reading, SMALL, Weights};
use crate::ordered;

/// What [`rewrite`] finds.
pub(super) struct Walked {
    /// The text of each module, by its path in the bundle; `None` when there is nothing to change.
    pub(super) texts: Option<BTreeMap<String, String>>,
    /// Whether the decision itself could be endless to walk.
    pub(super) is_heavy: bool,
}

/// Lines stay where they are.
pub(super) fn rewrite<'a>(survey: &Survey<'a>, modules: &'a [Ref<Module>], decision: &Path) -> Walked {
    let scopes: Vec<Scope<'a>> = modules.iter().map(|module| Scope::of(module)).collect();
    let readings = weights::readings(survey, &scopes, modules);
    let weights = Weights::of(survey, &readings);
    let (mut places, mut inserts) = (Vec::new(), Vec::new());
    for reading in &readings {
        let names = weights.names(reading);
        let sure = sure(reading.rule);
        let mut found =
            Found { survey, weights: &weights, reading, names, sure, exprs: Vec::new(), keys: Vec::new() };
        found.look();
        let file = reading.rule.span().source.get_path();
        inserts.extend(in_bodies(reading.rule, &found.keys).into_iter().map(|insert| (file, insert)));
        places.extend(found.exprs.into_iter().filter_map(stands).map(|place| (file, place)));
    }
    let texts = !(places.is_empty() && inserts.is_empty());
    let texts = texts.then(|| {
        let mut texts = BTreeMap::new();
        for module in modules {
            let source = &module.package.span.source;
            let path = source.get_path();
            let places = places.iter().filter(|(file, _)| *file == path).map(|(_, place)| *place);
            let inserts = inserts.iter().filter(|(file, _)| *file == path).map(|(_, insert)| insert.clone());
            let (places, inserts) = (ordered::set(places), inserts.collect());
            texts.insert(source.get_path().clone(), wrapped(source.get_contents(), &places, inserts));
        }
        texts
    });
    Walked { texts, is_heavy: weights.of_rule(decision) >= HEAVY }
}

/// A text with each of the places as the argument of the builtin, and with what is inserted.
fn wrapped(text: &str, places: &BTreeSet<(usize, usize)>, inserts: Vec<(usize, String)>) -> String {
    // Of what stands at one place the first here is inserted first, and comes behind the others.
    let mut edits: Vec<_> = inserts.into_iter().map(|(at, text)| (at, at, text)).collect();
    for (start, end) in places {
        edits.push((*start, *start, format!("{}(", functions::WALKED)));
        edits.push((*end, *end, ")".to_owned()));
    }
    last_first(&mut edits);
    let mut text = text.to_owned();
    for (at, _, insert) in edits {
        if text.is_char_boundary(at) {
            text.insert_str(at, &insert);
        }
    }
    text
}

/// What is walked in one definition, and could be heavy.
struct Found<'a, 's, 'w> {
    survey: &'s Survey<'a>,
    weights: &'w Weights<'a, 's>,
    reading: &'w Reading<'a, 's>,
    names: Names<'a>,
    /// The variables that have their values by the time anything is compared.
    sure: BTreeSet<&'a str>,
    exprs: Vec<&'a Expr>,
    /// Parts of the rule's own name, which no call can stand in.
    keys: Vec<&'a Expr>,
}

impl<'a> Found<'a, '_, '_> {
    fn look(&mut self) {
        let Rule::Spec { head, bodies, .. } = self.reading.rule else { return };
        self.look_at_head(head, bodies);
        walk::rule(self.reading.rule, &mut |node| match node {
            Node::Operator(Expr::BoolExpr { lhs, rhs, .. }) => self.compared(lhs, rhs),
            Node::Operator(Expr::Membership { value, collection, .. }) => self.sought(value, collection),
            Node::Operator(
                Expr::BinExpr { lhs, rhs, .. } | Expr::ArithExpr { op: ArithOp::Sub, lhs, rhs, .. },
            ) => {
                self.heavy(lhs);
                self.heavy(rhs);
            }
            Node::Assign { left, right, declares: false } => self.unified(left, right),
            Node::Statement(statement) => {
                if let Literal::SomeIn { key, value, collection, .. } = &statement.literal
                    && key.iter().chain([value]).any(|part| !matches!(part.as_ref(), Expr::Var { .. }))
                {
                    self.heavy(collection);
                }
            }
            Node::Call { function, arguments, .. } => self.called(function, arguments),
            Node::Index(index) if self.is_ground(index) => self.heavy(index),
            Node::Literal(Expr::Set { items, .. }) => items.iter().for_each(|item| self.heavy(item)),
            Node::Literal(Expr::Object { fields, .. }) => {
                fields.iter().for_each(|(_, key, _)| self.heavy(key))
            }
            Node::Comprehension { whole: Expr::SetCompr { term, .. } } => self.heavy(term),
            Node::Comprehension { whole: Expr::ObjectCompr { key, value, .. } } => {
                self.heavy(key);
                self.heavy(value);
            }
            _ => {}
        });
    }

    /// Values meet where there are several, and elements and keys among themselves.
    fn look_at_head(&mut self, head: &'a RuleHead, bodies: &'a [regorus::unstable::RuleBody]) {
        let facts = self.survey.rules.get(&self.reading.path);
        let mut several = facts.is_none_or(|facts| facts.definitions.len() > 1) || bodies.len() > 1;
        several |= bodies.iter().any(|body| risks::iterates(&body.query, &BTreeSet::new()));
        let segments = walk::reference(walk::head_of(self.reading.rule)).map(|head| head.segments);
        let segments = segments.unwrap_or_default();
        let is_last =
            |at: usize| at.saturating_add(1) == segments.len() && matches!(head, RuleHead::Compr { .. });
        for (at, segment) in segments.iter().enumerate() {
            if let Segment::Dynamic(key) = segment {
                several = true;
                match (self.is_heavy(key), is_last(at)) {
                    (true, true) => self.exprs.push(key),
                    (true, false) => self.keys.push(key),
                    (false, _) => {}
                }
            }
        }
        if let RuleHead::Set { key: Some(key), .. } = head {
            self.heavy(key);
        }
        if several {
            weights::values(head, bodies).into_iter().for_each(|value| self.heavy(value));
        }
    }

    fn weight(&self, expr: &'a Expr) -> u32 {
        self.weights.weight(self.reading, &self.names, expr)
    }

    fn is_heavy(&self, expr: &'a Expr) -> bool {
        self.weight(expr) >= HEAVY
    }

    fn heavy(&mut self, expr: &'a Expr) {
        if self.is_heavy(expr) {
            self.exprs.push(expr);
        }
    }

    /// Two values are walked side by side, as far as the smaller one goes.
    fn compared(&mut self, left: &'a Expr, right: &'a Expr) {
        if self.is_heavy(left) && self.is_heavy(right) {
            let side = [left, right].into_iter().find(|side| self.is_ground(side));
            self.exprs.extend(side);
        }
    }

    /// `value in collection`
    fn sought(&mut self, value: &'a Expr, collection: &'a Expr) {
        if self.weight(value) > SMALL {
            self.heavy(collection);
        }
    }

    /// `left = right`; a variable that gets its value here has to stay one.
    fn unified(&mut self, left: &'a Expr, right: &'a Expr) {
        if !self.is_heavy(left) || !self.is_heavy(right) {
            return;
        }
        if let (Expr::Array { items: left, .. }, Expr::Array { items: right, .. }) = (left, right) {
            left.iter().zip(right).for_each(|(left, right)| self.unified(left, right));
            return;
        }
        self.compared(left, right);
    }

    fn is_ground(&self, expr: &Expr) -> bool {
        is_ground(expr, self.reading.locals, &self.sure)
    }

    fn called(&mut self, function: &'a Expr, arguments: &'a [ExprRef]) {
        match self.survey.function(self.reading.scope, function) {
            Ok(path) => {
                let definitions = self.survey.rules.get(&path).map(|facts| &facts.definitions);
                for (at, argument) in arguments.iter().enumerate() {
                    let matches = |rule: &Rule| is_matched(rule, at);
                    if definitions.into_iter().flatten().any(|definition| matches(definition.rule)) {
                        self.heavy(argument);
                    }
                }
            }
            Err(name) => match (name.as_str(), arguments) {
                // These look at the kind of a value, or pass it on.
                (
                    "count" | "type_name" | "is_array" | "is_boolean" | "is_null" | "is_number" | "is_object"
                    | "is_set" | "is_string",
                    _,
                )
                | (functions::ITEMS | functions::PRINTABLE | functions::WALKED, _) => {}
                (functions::ORDER, [left, right]) => self.compared(left, right),
                (functions::WITHIN, [value, collection]) => self.sought(value, collection),
                (functions::HAS, [key, value, collection]) => {
                    self.heavy(key);
                    self.sought(value, collection);
                }
                _ => arguments.iter().for_each(|argument| self.heavy(argument)),
            },
        }
    }
}

/// Whether a function compares its argument with something.
fn is_matched(rule: &Rule, at: usize) -> bool {
    let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = rule else { return false };
    let name = |arg: &Expr| match arg {
        Expr::Var { value, .. } => walk::text(value).map(str::to_owned),
        _ => None,
    };
    args.get(at).is_none_or(|own| match name(own) {
        None => true,
        Some(own) => own != "_" && args.iter().filter(|arg| name(arg).as_ref() == Some(&own)).count() > 1,
    })
}

/// The variables that have their values by the time anything is compared: arguments, `:=`, `some … in`, `every`.
fn sure(rule: &Rule) -> BTreeSet<&str> {
    let mut sure = BTreeSet::new();
    if let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = rule {
        args.iter().for_each(|arg| pattern(arg, &mut sure));
    }
    walk::rule(rule, &mut |node| match node {
        Node::Assign { left, declares: true, .. } => pattern(left, &mut sure),
        Node::Statement(statement) => match &statement.literal {
            Literal::SomeIn { key, value, .. } => {
                key.iter().chain([value]).for_each(|part| pattern(part, &mut sure));
            }
            Literal::Every { key, value, .. } => {
                sure.extend(key.iter().chain([value]).map(|name| name.text()));
            }
            _ => {}
        },
        _ => {}
    });
    sure.remove("_");
    sure
}

/// `p[x].r contains y if …` with `…; remit_walked_9 := remit__walked(x)`, of a key in the rule's name.
fn in_bodies(rule: &Rule, keys: &[&Expr]) -> Vec<(usize, String)> {
    let Rule::Spec { bodies, .. } = rule else { return Vec::new() };
    let walked = keys.iter().filter_map(|key| {
        let (start, end) = stands(key)?;
        let text = key.span().source.get_contents().get(start..end)?;
        Some(format!("; remit_walked_{start} := {}({text})", functions::WALKED))
    });
    let walked: String = walked.collect();
    let inserts = bodies.iter().filter_map(|body| {
        let (first, last) = (body.query.stmts.first()?, body.query.stmts.last()?);
        let is_bare = body.query.span.start == first.span.start;
        let (before, after) = if is_bare { ("{ ", " }") } else { ("", "") };
        Some([(whole(last)?.1, format!("{walked}{after}")), (whole(first)?.0, before.to_owned())])
    });
    if keys.is_empty() { Vec::new() } else { inserts.flatten().collect() }
}

/// Whether an expression gives no variable its value. A variable that gets it from `=`, or from running over something, gets
/// one that was walked, so two sides that both do need no look.
fn is_ground(expr: &Expr, locals: &BTreeSet<&str>, sure: &BTreeSet<&str>) -> bool {
    let ground = |expr: &Expr| is_ground(expr, locals, sure);
    match expr {
        Expr::Var { value, .. } => {
            walk::text(value).is_some_and(|name| !locals.contains(name) || sure.contains(name))
        }
        Expr::Array { items, .. } | Expr::Set { items, .. } => items.iter().all(|item| ground(item)),
        Expr::Object { fields, .. } => fields.iter().all(|(_, key, value)| ground(key) && ground(value)),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
