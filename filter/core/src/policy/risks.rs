//! What regorus' bytecode would pass over in silence where OPA, and regorus' interpreter, give an error.
//!
//! A rule with two values at once is undefined there, so `not deny` would hold; a rule that yields several values keeps
//! the last; of two values for a key the last stays; and what stands before an `else` decides though it is undefined.
//! Each of them could turn a denial into an allowance.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Literal, Query, Rule, RuleBody, RuleHead};

use super::functions::HELD;
use super::loose;
use super::names::pattern;
use super::place::Place;
use super::survey::{Definition, Path, RuleFacts, Survey};
use super::walk::{self, Node, Segment};

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
    /// A reference to a whole package, or to all rules below a name.
    #[error("has rules below it: a reference to each of them would rule the interpreter out")]
    Extent,
    /// A partial rule with a variable or an expression in its name.
    #[error("has a name that is only known when it is evaluated")]
    NameComputed,
    /// A default that has to be computed, which the bytecode takes for empty.
    #[error("is a default that has to be computed")]
    DefaultComputed,
    /// A number that picks a field of the data, as a path of strings does.
    #[error("is a number that picks a field of the data; a string would rule that out")]
    NumberInData,
    /// A negation in a module that imports `future.keywords` whole, or its `not`.
    #[error(
        "is negated with what it is given, as `import future.keywords` has it since OPA 1.22; an import of each keyword that is used would rule that out"
    )]
    NegatesInside,
    /// A loop, or a value that could be undefined, before an `else`: the bytecode does not always go on there.
    #[error("runs over something before an `else`; a helper rule would rule that out")]
    ElseUndefined,
}

impl Risks {
    pub(super) fn of(survey: &Survey<'_>) -> Self {
        let unseen = survey.negated_inside.first().map(|at| (at.clone(), Unseen::NegatesInside));
        let mut risks = Self { unseen, ..Self::default() };
        for (path, at) in &survey.numbered {
            let is_rule = (1..=path.len())
                .any(|length| path.get(..length).is_some_and(|rule| survey.rules.contains_key(rule)));
            if !is_rule {
                risks.unseen.get_or_insert((at.clone(), Unseen::NumberInData));
            }
        }
        for (path, facts) in &survey.rules {
            for definition in &facts.definitions {
                let found = default_function(definition.rule).map(|at| (at, Unseen::DefaultFunction));
                let found = found
                    .or_else(|| default_computed(definition.rule).map(|at| (at, Unseen::DefaultComputed)));
                let found = found.or_else(|| name_computed(definition).map(|at| (at, Unseen::NameComputed)));
                let found =
                    found.or_else(|| else_undefined(definition).map(|at| (at, Unseen::ElseUndefined)));
                let found = found.or_else(|| key_twice(definition.rule).map(|at| (at, Unseen::KeyTwice)));
                risks.unseen = risks.unseen.or(found);
            }
            if facts.uses.iter().any(|(path, _)| is_extent(survey, path)) {
                risks.unseen.get_or_insert((facts.at.clone(), Unseen::Extent));
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

/// The bytecode makes an empty value of a comprehension that a default holds.
fn default_computed(rule: &Rule) -> Option<Place> {
    let Rule::Default { value, .. } = rule else { return None };
    let mut found = None;
    walk::expr(value, &mut |node| {
        if let Node::Comprehension { whole } = node {
            found.get_or_insert_with(|| Place::of(whole.span()));
        }
    });
    found
}

/// `p[x] := y`, `p[x] contains y`: a name that is undefined would be one in the bytecode.
fn name_computed(definition: &Definition<'_>) -> Option<Place> {
    let Rule::Spec { head, span, .. } = definition.rule else { return None };
    let segments =
        walk::reference(walk::head_of(definition.rule)).map(|head| head.segments).unwrap_or_default();
    // A variable is never undefined, as the last part of a partial object's name.
    let is_sure = |at: usize, index: &Expr| {
        matches!(index, Expr::Var { span, .. } if definition.locals.contains(span.text()))
            && at.saturating_add(1) == segments.len()
            && !matches!(head, RuleHead::Set { .. })
    };
    let is_computed = |(at, segment): (usize, &Segment<'_>)| match segment {
        Segment::Dynamic(index) => !is_sure(at, index),
        Segment::Constant(_) => false,
    };
    segments.iter().enumerate().any(is_computed).then(|| Place::of(span))
}

/// Whether a path stands above rules, or for a package.
fn is_extent(survey: &Survey<'_>, path: &Path) -> bool {
    let above = |other: &Path| other.starts_with(path);
    survey.packages.range(path.clone()..).next().is_some_and(above)
        || survey
            .rules
            .range(path.clone()..)
            .find(|(rule, _)| *rule != path)
            .is_some_and(|(rule, _)| above(rule))
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
    let mut fixed: BTreeSet<&str> = BTreeSet::new();
    for arg in args {
        pattern(arg, &mut fixed);
    }
    // Each `_` is a variable of its own.
    fixed.remove("_");
    let head_value = assign.as_ref().map(|assign| assign.value.as_ref());
    let answer = |value: Option<&Expr>, query: Option<&Query>| Answer {
        value: value.map_or_else(|| Some("true".to_owned()), literal),
        varies: is_object
            || value.is_some_and(|value| {
                runs_over(value, definition, &fixed, query)
                    || mentions_local(value, definition, &fixed)
                        && query.is_some_and(|query| iterates(query, &fixed))
            }),
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

/// What a value is that says so ([`super::explain`]).
fn noted(expr: &Expr) -> &Expr {
    match expr {
        Expr::Call { fcn, params, .. } if fcn.span().text() == HELD => {
            params.last().map_or(expr, |value| value)
        }
        _ => expr,
    }
}

pub(super) fn literal(expr: &Expr) -> Option<String> {
    match noted(expr) {
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
pub(super) fn iterates(query: &Query, fixed: &BTreeSet<&str>) -> bool {
    let mut found = false;
    walk::query(query, &mut |node| match node {
        Node::Statement(statement) => {
            found |= matches!(statement.literal, Literal::SomeIn { .. } | Literal::SomeVars { .. })
                && !loose::is_one_turn(&statement.literal);
        }
        Node::Index(index) => {
            found |=
                variables(index).into_iter().any(|name| !fixed.contains(name) && !is_assigned(name, query));
        }
        _ => {}
    });
    found
}

/// Whether a value has an index that is a variable of its own, such as `_`.
fn runs_over(
    value: &Expr,
    definition: &Definition<'_>,
    fixed: &BTreeSet<&str>,
    query: Option<&Query>,
) -> bool {
    let is_own =
        |name: &str| is_free(name, definition, fixed) && !query.is_some_and(|query| is_assigned(name, query));
    let mut found = false;
    walk::expr(value, &mut |node| {
        if let Node::Index(index) = node {
            found |= variables(index).into_iter().any(is_own);
        }
    });
    found
}

/// The names in an index, which may be a pattern: `pairs[["a", x]]`.
pub(super) fn variables(index: &Expr) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    pattern(index, &mut names);
    names
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
            .filter(|at| !loose::is_one_turn(&at.literal))
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
        Node::Assign { left, declares: true, .. } => pattern(left, &mut declared),
        Node::Statement(statement) => {
            if let Literal::SomeIn { key, value, .. } = &statement.literal {
                key.iter().for_each(|key| pattern(key, &mut declared));
                pattern(value, &mut declared);
            }
        }
        Node::Index(index) => free |= variables(index).into_iter().any(|name| !declared.contains(name)),
        _ => {}
    });
    free
}

/// A value that could be undefined where an `else` follows.
fn else_undefined(definition: &Definition<'_>) -> Option<Place> {
    let Rule::Spec { head, bodies, .. } = definition.rule else { return None };
    if !bodies.iter().any(|body| body.is_else) {
        return None;
    }
    let (_, before) = bodies.split_last()?;
    let assign = match head {
        RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => assign.as_ref(),
        RuleHead::Set { .. } => None,
    };
    let runs = |body: &RuleBody| {
        let mut found = iterates(&body.query, &BTreeSet::new());
        walk::query(&body.query, &mut |node| match node {
            Node::Comprehension { .. } => found = true,
            Node::Statement(statement) => {
                found |= matches!(statement.literal, Literal::Every { .. } | Literal::SomeIn { .. });
            }
            _ => {}
        });
        found
    };
    if let Some(body) = before.iter().find(|body| runs(body)) {
        return Some(Place::of(&body.span));
    }
    let values = before.iter().filter_map(|body| body.assign.as_ref().or(assign));
    let value =
        values.map(|assign| assign.value.as_ref()).find(|value| may_be_undefined(value, definition))?;
    Some(Place::of(value.span()))
}

fn may_be_undefined(value: &Expr, definition: &Definition<'_>) -> bool {
    match noted(value) {
        Expr::Var { value, .. } => walk::text(value).is_none_or(|name| !definition.locals.contains(name)),
        Expr::Array { items, .. } | Expr::Set { items, .. } => {
            items.iter().any(|item| may_be_undefined(item, definition))
        }
        Expr::Object { fields, .. } => fields
            .iter()
            .any(|(_, key, value)| [key, value].iter().any(|at| may_be_undefined(at, definition))),
        Expr::ArrayCompr { .. } | Expr::SetCompr { .. } | Expr::ObjectCompr { .. } => false,
        other => literal(other).is_none(),
    }
}
