//! `not s[x]` above what gives `x` its value. OPA puts the statements in order; the evaluators run over `s`, so that any
//! element fails the negation: refused when the bundle loads.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Literal, Module, Query, Ref, Rule, Span};

use super::error::PolicyError;
use super::names;
use super::place::Place;
use super::problems::Problems;
use super::refused::Construct;
use super::survey::{Meaning, Scope, Survey};
use super::walk::{self, Node};

/// [`PolicyError::Construct`].
pub(super) fn check(survey: &Survey<'_>, modules: &[Ref<Module>], problems: &mut Problems) {
    for module in modules {
        let scope = Scope::of(module);
        for rule in &module.policy {
            let Rule::Spec { bodies, .. } = rule.as_ref() else { continue };
            let (given, declared) = (names::arguments(rule), names::declared(rule));
            for body in bodies {
                let mut found = Body { mentions: Vec::new(), terms: BTreeSet::new(), negated: Vec::new() };
                found.read(&body.query, &mut |reference| {
                    !given.contains(reference.root)
                        && matches!(survey.resolve(&scope, &declared, reference), Meaning::Local)
                });
                for span in found.ahead() {
                    problems
                        .add(PolicyError::Construct { at: Place::of(span), construct: Construct::NotAhead });
                }
            }
        }
    }
}

/// What one body mentions.
struct Body<'a> {
    /// Variables that the body itself gives their values, with line and column.
    mentions: Vec<(&'a str, (u32, u32))>,
    /// Where variables stand that a comprehension is made of, which gives them no value.
    terms: BTreeSet<(u32, u32)>,
    negated: Vec<(&'a Expr, &'a Span)>,
}

impl<'a> Body<'a> {
    fn read(&mut self, query: &'a Query, is_own: &mut dyn FnMut(&walk::Reference<'a>) -> bool) {
        walk::query(query, &mut |node| match node {
            Node::Reference(reference) if is_own(&reference) => {
                self.mentions.push((reference.root, at(reference.at)));
            }
            Node::Comprehension { whole } => self.terms.extend(terms(whole)),
            Node::Statement(statement) => match &statement.literal {
                Literal::Every { key, value, .. } => {
                    self.mentions.extend(key.iter().chain([value]).map(|name| (name.text(), at(name))));
                }
                Literal::NotExpr { expr, span } => self.negated.push((expr, span)),
                _ => {}
            },
            _ => {}
        });
    }

    /// The negations with a variable in brackets that is mentioned first there, and elsewhere too.
    fn ahead(&self) -> impl Iterator<Item = &'a Span> {
        self.negated
            .iter()
            .filter(|(expr, span)| {
                let (mut indexes, mut inside) = (BTreeSet::new(), Vec::new());
                walk::expr(expr, &mut |node| match node {
                    Node::Index(index) => names::pattern(index, &mut indexes),
                    Node::Reference(reference) => inside.push(reference.root),
                    _ => {}
                });
                indexes.remove("_");
                indexes.into_iter().any(|index| {
                    let is_term = |place| self.terms.contains(place);
                    let mentions =
                        || self.mentions.iter().filter(|(name, place)| *name == index && !is_term(place));
                    mentions().all(|(_, place)| *place >= at(span))
                        && mentions().count() > inside.iter().filter(|name| **name == index).count()
                })
            })
            .map(|(_, span)| *span)
    }
}

/// Where the term of a comprehension has its variables, without the queries within it.
fn terms(comprehension: &Expr) -> BTreeSet<(u32, u32)> {
    let terms: &[&Expr] = match comprehension {
        Expr::ArrayCompr { term, .. } | Expr::SetCompr { term, .. } => &[term],
        Expr::ObjectCompr { key, value, .. } => &[key, value],
        _ => &[],
    };
    let (mut places, mut within) = (BTreeSet::new(), BTreeSet::new());
    for term in terms {
        walk::expr(term, &mut |node| match node {
            Node::Reference(reference) => {
                places.insert(at(reference.at));
            }
            Node::Comprehension { whole } => within.extend(queried(whole)),
            _ => {}
        });
    }
    places.retain(|place| !within.contains(place));
    places
}

/// Where the query of a comprehension mentions anything.
fn queried(comprehension: &Expr) -> Vec<(u32, u32)> {
    let mut places = Vec::new();
    if let Some(query) = walk::query_of(comprehension) {
        walk::query(query, &mut |node| {
            if let Node::Reference(reference) = node {
                places.push(at(reference.at));
            }
        });
    }
    places
}

fn at(span: &Span) -> (u32, u32) {
    (span.line, span.col)
}
