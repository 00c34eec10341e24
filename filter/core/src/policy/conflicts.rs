//! Which rules could have two values at once. OPA makes that an error; regorus' bytecode takes it for undefined, so
//! `not deny` would hold. Such a rule is left to the interpreter, which reports the conflict.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Literal, Query, Rule, RuleBody, RuleHead};

use super::place::Place;
use super::survey::{Definition, Path, RuleFacts, Survey};
use super::walk::{self, Node};

/// Where two values could meet unseen, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Risk {
    pub(super) at: Place,
    pub(super) rule: String,
}

/// The first rule whose conflicts the bytecode would not report; those of the decision itself are looked for anyway.
pub(super) fn unseen(survey: &Survey<'_>, decision: &Path) -> Option<Risk> {
    survey.rules.iter().find_map(|(path, facts)| {
        let at = if path == decision { comprehension_risk(facts) } else { risk(facts) }?;
        Some(Risk { at, rule: format!("data.{}", path.join(".")) })
    })
}

fn comprehension_risk(facts: &RuleFacts<'_>) -> Option<Place> {
    facts.definitions.iter().find_map(|definition| object_comprehension(definition.rule))
}

fn risk(facts: &RuleFacts<'_>) -> Option<Place> {
    let mut seen: Vec<Answer<'_>> = Vec::new();
    for definition in &facts.definitions {
        let Rule::Spec { head, bodies, span } = definition.rule else { continue };
        if let Some(at) = object_comprehension(definition.rule) {
            return Some(at);
        }
        if matches!(head, RuleHead::Set { .. }) {
            continue;
        }
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
            super::survey::pattern(arg, &mut names);
            names
        })
        .collect();
    let head_value = assign.as_ref().map(|assign| assign.value.as_ref());
    let answer = |value: Option<&Expr>, query: Option<&Query>| Answer {
        value: value.map_or_else(|| Some("true".to_owned()), literal),
        varies: is_object
            || value.is_some_and(|value| mentions_local(value, definition, &fixed))
                && query.is_some_and(|query| iterates(query, definition, &fixed)),
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
        Node::Reference(reference) => {
            found |= is_free(reference.root, definition, fixed)
                || reference.segments.iter().any(|segment| {
                    matches!(segment, walk::Segment::Dynamic(Expr::Var { .. }))
                });
        }
        Node::Comprehension { .. } => found = true,
        _ => {}
    });
    found
}

fn is_free(name: &str, definition: &Definition<'_>, fixed: &BTreeSet<&str>) -> bool {
    definition.locals.contains(name) && !fixed.contains(name)
}

/// Whether a body can hold more than once: `some`, or an index that is a variable of its own.
fn iterates(query: &Query, definition: &Definition<'_>, fixed: &BTreeSet<&str>) -> bool {
    let mut found = false;
    walk::query(query, &mut |node| match node {
        Node::Statement(statement) => {
            found |= matches!(statement.literal, Literal::SomeIn { .. } | Literal::SomeVars { .. });
        }
        Node::Reference(reference) => {
            found |= reference.segments.iter().any(|segment| match segment {
                walk::Segment::Dynamic(Expr::Var { value, .. }) => {
                    walk::text(value).is_none_or(|name| !fixed.contains(name) && !is_assigned(name, query))
                }
                _ => false,
            });
        }
        _ => {}
    });
    let _ = definition;
    found
}

/// Whether the query gives a variable its one value with `:=`.
fn is_assigned(name: &str, query: &Query) -> bool {
    query.stmts.iter().any(|statement| match &statement.literal {
        Literal::Expr { expr, .. } => match expr.as_ref() {
            Expr::AssignExpr { op: regorus::unstable::AssignOp::ColEq, lhs, .. } => {
                let mut names = BTreeSet::new();
                super::survey::pattern(lhs, &mut names);
                names.contains(name)
            }
            _ => false,
        },
        _ => false,
    })
}

/// An object comprehension whose key could come twice: any but the key of the one thing that it runs over.
fn object_comprehension(rule: &Rule) -> Option<Place> {
    let mut found = None;
    walk::rule(rule, &mut |node| {
        let Node::Comprehension { key: Some(key), query, is_object: true, span } = node else { return };
        let generators = query
            .stmts
            .iter()
            .filter(|statement| {
                matches!(statement.literal, Literal::SomeIn { .. } | Literal::SomeVars { .. })
            })
            .count();
        let runs_over_its_key = generators == 1
            && query.stmts.iter().any(|statement| match &statement.literal {
                Literal::SomeIn { key: Some(over), .. } => match (over.as_ref(), key) {
                    (Expr::Var { value: over, .. }, Expr::Var { value: key, .. }) => over == key,
                    _ => false,
                },
                _ => false,
            });
        if !runs_over_its_key {
            found.get_or_insert_with(|| Place::of(span));
        }
    });
    found
}
