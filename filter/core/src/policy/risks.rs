//! What regorus' bytecode would pass over in silence where OPA, and regorus' interpreter, give an error.
//!
//! A rule with two values at once is undefined there, so `not deny` would hold; a rule that yields several values keeps
//! the last; of two values for a key the last stays; and arithmetic on what is no number ends the whole body, the
//! other turns of a loop included. Each of them could turn a denial into an allowance.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Literal, Query, Rule, RuleBody, RuleHead};

use super::place::Place;
use super::survey::{Definition, Path, RuleFacts, Survey, pattern};
use super::walk::{self, Node};

/// The places of a policy where the bytecode could pass something over.
#[derive(Default)]
pub(super) struct Risks {
    /// Rules that could have two values at once, and that [`super::rewrite`] can make safe.
    pub(super) rewritable: BTreeSet<Path>,
    /// The first place that only the interpreter handles.
    pub(super) unseen: Option<(Place, Unseen)>,
}

/// What only the interpreter would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unseen {
    /// A function, an `else` chain or a partial object that could have two values at once.
    #[error(
        "could have two values at once; an `else`, a set or distinct constant arguments would rule that out"
    )]
    TwoValues,
    /// An object comprehension whose key could come twice.
    #[error("could have one key twice; `some key, value in …` as its only loop would rule that out")]
    KeyTwice,
    /// A function's `default`, which the bytecode leaves out.
    #[error("is the default of a function")]
    DefaultFunction,
    /// Arithmetic inside a comprehension or a loop, where OPA goes on with the next turn.
    #[error("could fail on what is no number inside a loop; a helper function would rule that out")]
    Arithmetic,
}

impl Risks {
    pub(super) fn of(survey: &Survey<'_>) -> Self {
        let mut risks = Self::default();
        for (path, facts) in &survey.rules {
            for definition in &facts.definitions {
                let found = default_function(definition.rule).map(|at| (at, Unseen::DefaultFunction));
                let found = found.or_else(|| loose_arithmetic(definition).map(|at| (at, Unseen::Arithmetic)));
                let found = found.or_else(|| key_twice(definition.rule).map(|at| (at, Unseen::KeyTwice)));
                risks.unseen = risks.unseen.or(found);
            }
            if let Some(at) = two_values(facts) {
                if facts.definitions.iter().all(|definition| is_rewritable(definition.rule)) {
                    risks.rewritable.insert(path.clone());
                } else {
                    risks.unseen.get_or_insert((at, Unseen::TwoValues));
                }
            }
        }
        risks
    }
}

fn default_function(rule: &Rule) -> Option<Place> {
    match rule {
        Rule::Default { args, span, .. } if !args.is_empty() => Some(Place::of(span)),
        _ => None,
    }
}

fn is_rewritable(rule: &Rule) -> bool {
    match rule {
        Rule::Default { args, .. } => args.is_empty(),
        Rule::Spec { head: RuleHead::Compr { refr, .. }, bodies, .. } => {
            matches!(refr.as_ref(), Expr::Var { .. })
                && bodies.len() <= 1
                && bodies.iter().all(|body| body.assign.is_none())
        }
        Rule::Spec { .. } => false,
    }
}

/// The definition whose value could meet another one.
fn two_values(facts: &RuleFacts<'_>) -> Option<Place> {
    let mut seen: Vec<Answer<'_>> = Vec::new();
    for definition in &facts.definitions {
        let Rule::Spec { head, bodies, span } = definition.rule else { continue };
        for answer in answers(definition, head, bodies) {
            let clashes = answer.value.is_none() && answer.varies
                || seen.iter().any(|other| !answer.agrees_with(other) && !answer.excludes(other));
            if clashes {
                return Some(Place::of(span));
            }
            seen.push(answer);
        }
    }
    None
}

/// What one definition can answer.
struct Answer<'a> {
    /// The literal that it answers, when it is one.
    value: Option<String>,
    /// Whether the definition alone could answer twice.
    varies: bool,
    /// The literal arguments that it holds for, by position.
    arguments: Vec<Option<String>>,
    /// Answers of one `else` chain exclude each other.
    chain: &'a Rule,
}

impl Answer<'_> {
    fn agrees_with(&self, other: &Self) -> bool {
        self.value.is_some() && self.value == other.value
    }

    fn excludes(&self, other: &Self) -> bool {
        std::ptr::eq(self.chain, other.chain)
            || self
                .arguments
                .iter()
                .zip(&other.arguments)
                .any(|(mine, its)| mine.is_some() && its.is_some() && mine != its)
    }
}

fn answers<'a>(definition: &Definition<'a>, head: &'a RuleHead, bodies: &'a [RuleBody]) -> Vec<Answer<'a>> {
    let (args, assign, is_object) = match head {
        RuleHead::Func { args, assign, .. } => (args.as_slice(), assign, false),
        RuleHead::Compr { refr, assign, .. } => {
            (&[][..], assign, walk::reference(refr).is_ok_and(|head| !head.is_constant()))
        }
        RuleHead::Set { .. } => return Vec::new(),
    };
    let arguments: Vec<_> = args.iter().map(|arg| literal(arg)).collect();
    let fixed: BTreeSet<&str> = args
        .iter()
        .flat_map(|arg| {
            let mut names = BTreeSet::new();
            pattern(arg, &mut names);
            names
        })
        .collect();
    let head_value = assign.as_ref().map(|assign| assign.value.as_ref());
    let answer = |value: Option<&Expr>, query: Option<&Query>| Answer {
        value: value.map_or_else(|| Some("true".to_owned()), literal),
        varies: is_object
            || value.is_some_and(|value| mentions_local(value, definition, &fixed))
                && query.is_some_and(|query| iterates(query, &fixed)),
        arguments: arguments.clone(),
        chain: definition.rule,
    };
    if bodies.is_empty() {
        return vec![answer(head_value, None)];
    }
    // Bodies that are not `else` stand side by side and share the head's value.
    let side_by_side = bodies.iter().filter(|body| !body.is_else).count() > 1;
    bodies
        .iter()
        .map(|body| {
            let value = body.assign.as_ref().map_or(head_value, |assign| Some(&assign.value));
            let mut answer = answer(value, Some(&body.query));
            answer.varies |= side_by_side && answer.value.is_none();
            answer
        })
        .collect()
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::String { value, .. }
        | Expr::RawString { value, .. }
        | Expr::Number { value, .. }
        | Expr::Bool { value, .. }
        | Expr::Null { value, .. } => Some(value.to_string()),
        _ => None,
    }
}

/// Whether a value depends on a variable that the arguments do not fix.
fn mentions_local(value: &Expr, definition: &Definition<'_>, fixed: &BTreeSet<&str>) -> bool {
    let mut found = false;
    walk::expr(value, &mut |node| match node {
        Node::Reference(reference) => found |= is_free(reference.root, definition, fixed),
        Node::Comprehension { .. } => found = true,
        _ => {}
    });
    found
}

fn is_free(name: &str, definition: &Definition<'_>, fixed: &BTreeSet<&str>) -> bool {
    definition.locals.contains(name) && !fixed.contains(name)
}

/// Whether a body can hold more than once: `some`, or an index that is a variable of its own.
fn iterates(query: &Query, fixed: &BTreeSet<&str>) -> bool {
    let mut found = false;
    walk::query(query, &mut |node| match node {
        Node::Statement(statement) => {
            found |= matches!(statement.literal, Literal::SomeIn { .. } | Literal::SomeVars { .. });
        }
        Node::Index(Expr::Var { value, .. }) => {
            found |= walk::text(value).is_none_or(|name| !fixed.contains(name) && !is_assigned(name, query));
        }
        _ => {}
    });
    found
}

/// Whether the query gives a variable its one value with `:=`.
fn is_assigned(name: &str, query: &Query) -> bool {
    query.stmts.iter().any(|statement| match &statement.literal {
        Literal::Expr { expr, .. } => match expr.as_ref() {
            Expr::AssignExpr { op: regorus::unstable::AssignOp::ColEq, lhs, .. } => {
                let mut names = BTreeSet::new();
                pattern(lhs, &mut names);
                names.contains(name)
            }
            _ => false,
        },
        _ => false,
    })
}

/// An object comprehension whose key could come twice: any but the key of the one thing that it runs over.
fn key_twice(rule: &Rule) -> Option<Place> {
    let mut found = None;
    walk::rule(rule, &mut |node| {
        let Node::Comprehension { whole: Expr::ObjectCompr { key, query, span, .. } } = node else { return };
        let generators = query
            .stmts
            .iter()
            .filter(|at| matches!(at.literal, Literal::SomeIn { .. } | Literal::SomeVars { .. }))
            .count();
        let runs_over_its_key = query.stmts.iter().any(|statement| match &statement.literal {
            Literal::SomeIn { key: Some(over), .. } => match (over.as_ref(), key.as_ref()) {
                (Expr::Var { value: over, .. }, Expr::Var { value: key, .. }) => over == key,
                _ => false,
            },
            _ => false,
        });
        if generators != 1 || !runs_over_its_key || has_free_index(query) {
            found.get_or_insert_with(|| Place::of(span));
        }
    });
    found
}

/// Whether an index in the query is a variable that nothing in it declares, and so runs over a collection.
fn has_free_index(query: &Query) -> bool {
    let mut declared = BTreeSet::new();
    let mut free = false;
    walk::query(query, &mut |node| match node {
        Node::Assign { left, declares: true } => pattern(left, &mut declared),
        Node::Statement(statement) => {
            if let Literal::SomeIn { key, value, .. } = &statement.literal {
                key.iter().for_each(|key| pattern(key, &mut declared));
                pattern(value, &mut declared);
            }
        }
        Node::Index(Expr::Var { value, .. }) => {
            free |= walk::text(value).is_none_or(|name| !declared.contains(name));
        }
        _ => {}
    });
    free
}

/// Arithmetic whose failure would end more than OPA lets it end.
fn loose_arithmetic(definition: &Definition<'_>) -> Option<Place> {
    let Rule::Spec { bodies, .. } = definition.rule else { return None };
    let fixed = BTreeSet::new();
    if bodies.iter().any(|body| iterates(&body.query, &fixed)) {
        return first_arithmetic(|see| walk::rule(definition.rule, see));
    }
    let mut found = None;
    walk::rule(definition.rule, &mut |node| {
        if let Node::Comprehension { whole } = node {
            found = found.take().or_else(|| first_arithmetic(|see| walk::inside(whole, see)));
        }
    });
    found
}

fn first_arithmetic<'a>(walk: impl FnOnce(&mut dyn FnMut(Node<'a>))) -> Option<Place> {
    let mut found: Option<Place> = None;
    walk(&mut |node| {
        if let Node::Arithmetic(span) = node {
            found.get_or_insert_with(|| Place::of(span));
        }
    });
    found
}
