//! Parts of Rego that regorus reads differently from OPA, whichever evaluator runs: refused when the bundle loads.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Import, Literal, LiteralStmt, Rule, RuleHead, Span};

use super::error::PolicyError;
use super::faithful::extent;
use super::place::Place;
use super::problems::Problems;
use super::survey::{Definition, Path, RuleFacts, Survey};
use super::walk::Node;
use super::{functions, names, patterns, shadow, walk};

const KEYWORDS: [&str; 11] =
    ["as", "default", "else", "false", "import", "not", "null", "package", "some", "true", "with"];
/// Of Rego v0 only with an import.
const KEYWORDS_OF_V1: [&str; 4] = ["contains", "every", "if", "in"];

/// The builtins that operators stand for: OPA would call the bundle's own function in their place.
const OPERATORS: [&str; 13] =
    ["and", "div", "eq", "equal", "gt", "gte", "lt", "lte", "minus", "mul", "neq", "or", "plus"];
/// How many arguments an instruction of the bytecode has room for.
const MOST_ARGUMENTS: usize = 8;

/// Why a construct is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Construct {
    /// `import future.keywords.and` and the like.
    #[error("this import is not served: write the condition with rules or comprehensions")]
    Import,
    /// `not { … }` where `future.keywords.not` makes a body of it.
    #[error("a body after `not` is not served: give it a name, as a rule, and negate that")]
    NotBody,
    /// `not x = …` in such a module.
    #[error("`=` after `not` is not served here: write `==`")]
    NotUnified,
    /// `not s[x]; x = 9`
    #[error(
        "a variable in brackets after `not` needs its value above: put what gives it one before, or give the negated part a name, as a function"
    )]
    NotAhead,
    /// `default p[xs[i]] := y`
    #[error("a part that is computed in a default's name is not served")]
    ComputedKey,
    /// A whole package, or what is above a dotted name, that OPA fills with empty objects.
    #[error(
        "is part of what is read as a whole elsewhere, where OPA would show an empty object for it: give it no dots, or a default, or refer to each rule"
    )]
    EmptyObject,
    /// `p[x] := y` beside `p.b := z`, where one could stand in the other's place.
    #[error("has a name that is computed and another rule below the same name: keep the two apart")]
    Overlap,
    /// `f(x, x)`, which both evaluators take for two variables.
    #[error("a name in two arguments is not served: give them two names, and compare these in the body")]
    ArgumentTwice,
    /// `p` at the end of a line and `(x) in xs` on the next.
    #[error(
        "a line that begins with `(` would be read as the arguments of what the line before ends with: end that one with `;`"
    )]
    Parenthesis,
    /// `{input.k: x} = input.y`, `some {"a": x, "b": x} in xs`
    #[error(
        "an object in this pattern is not served: its keys have to be written out, and where it declares, each variable stands in it once"
    )]
    ObjectPattern,
    /// `not f(x, y)` of the bundle's function of one argument
    #[error(
        "not before a call of a function of the bundle with its result among the arguments is not served: give the result a name above, or write `not f(x) == y`, which needs f(x) to be defined"
    )]
    NegatedResult,
    /// `[true, x] := y`
    #[error("only a variable takes a value by `:=`, or an array of variables: write `=`")]
    Assigned,
    /// `contains := 1`
    #[error("contains is a keyword: give the rule another name, or say \"rego_version\": 0 in .manifest")]
    Keyword,
    /// `import data.x.contains`, `import data.x as contains`
    #[error("an import cannot go by the name of a keyword: give it another by `as`")]
    KeywordImport,
    /// `x := 1` and `x contains 2`
    #[error(
        "has definitions of different kinds: a rule is a value, a set, an object or a function of so many arguments"
    )]
    Mixed,
    /// `default x := 1` twice
    #[error("has a default already")]
    Defaults,
    /// `import input.user` beside `[user | some user in users]`.
    #[error("a part of a rule has a variable by the name of this import: give one of them another")]
    ImportedTwice,
    /// `some user in users` in one body of several, where `user` is a rule.
    #[error("a variable of this body has the name of a rule or an import: give it another one")]
    Shadows,
    /// `-a + b`
    #[error("a minus takes all that follows it here: write `(-a) + b`, or `0 - a + b`")]
    Minus,
    /// `p := x { … } { … }`
    #[error("a second body would give true: write the rule twice")]
    SecondBody,
    /// A function of nine arguments.
    #[error("a function of more than 8 arguments is not served: hand over an object")]
    ManyArguments,
    /// A function with definitions in several files.
    #[error("a function with definitions in several files is not served: put them into one file")]
    Scattered,
    /// `p[x]` without a body in Rego v1.
    #[error("an element of a set is written with `contains`")]
    Element,
    /// `deny.x { … }` in Rego v0.
    #[error(
        "in Rego v0 this is an element of a set: write `deny[\"x\"] {{ … }}`, or `deny.x = true {{ … }}` for a value"
    )]
    OldElement,
    /// `$"{x; y}"`
    #[error("in the braces of a template string stands one expression")]
    Template,
    /// `q with input as …` that cannot be taken apart.
    #[error("what `with` puts in place is not served as it is written: give it a name above")]
    With,
    /// `f(input.x) := …`
    #[error("an argument of a function is a name, a value or a pattern of these: compare in the body")]
    Argument,
    /// `default p := $"{x}"`
    #[error("a default is a value that is written out")]
    Default,
    /// `f($"{x}") := …`
    #[error("a template string among a function's arguments is not served: compare it in the body")]
    TemplateArgument,
    /// `minus(x, y) := …`
    #[error("a function by this name would take the place of an operator: give it another one")]
    Operator,
    /// A name that Remit uses itself.
    #[error("names that begin with remit__ are taken")]
    Taken,
}

/// A call in a default, as which a template string is written.
fn called_by_default(rule: &Rule) -> Option<(Place, Construct)> {
    let Rule::Default { value, .. } = rule else { return None };
    let mut found = None;
    walk::expr(value, &mut |node| {
        if let Node::Call { span, .. } = node {
            found.get_or_insert((Place::of(span), Construct::Default));
        }
    });
    found
}

/// What of the arguments of a function is not served.
pub(super) fn arguments(rule: &Rule) -> Vec<(Place, Construct)> {
    let Rule::Spec { head: RuleHead::Func { args, .. }, .. } = rule else { return Vec::new() };
    let (mut found, mut names) = (Vec::new(), BTreeSet::new());
    for arg in args {
        walk::expr(arg, &mut |node| {
            if let Node::Call { function, span, .. } = node
                && function.span().text() == functions::TEMPLATE
            {
                found.push((Place::of(span), Construct::TemplateArgument));
            }
            if let Node::Reference(reference) = node
                && (matches!(reference.root, "input" | "data") || !reference.segments.is_empty())
            {
                found.push((Place::of(arg.span()), Construct::Argument));
            }
        });
        let mut own = BTreeSet::new();
        names::pattern(arg, &mut own);
        own.remove("_");
        if !names.is_disjoint(&own) {
            found.push((Place::of(arg.span()), Construct::ArgumentTwice));
        }
        names.append(&mut own);
    }
    found
}

/// Variables of one body, where others share its head, that have the name of a rule or an import.
pub(super) fn shadowing(rule: &Rule, is_named: impl Fn(&str) -> bool) -> Vec<(Place, Construct)> {
    let Rule::Spec { bodies, .. } = rule else { return Vec::new() };
    let all = shadow::declared_for_all(rule);
    let shadows = |statement: &&LiteralStmt| {
        let mut said = BTreeSet::new();
        if !matches!(statement.literal, Literal::Every { .. }) {
            names::said(&statement.literal, &mut said);
        }
        said.iter().any(|name| !all.contains(name) && is_named(name))
    };
    let statements = bodies.iter().flat_map(|body| &body.query.stmts).filter(shadows);
    let found = statements.map(|statement| (Place::of(&statement.span), Construct::Shadows));
    if shadow::has_alternatives(rule) { found.collect() } else { Vec::new() }
}

/// Whether a head is Rego v0's `p[x]`, an element of a set.
pub(super) fn is_element(head: &RuleHead) -> bool {
    let RuleHead::Set { refr, key: Some(_), .. } = head else { return false };
    let name = refr.span();
    extent(name)
        .and_then(|(_, end)| name.source.get_contents().get(end..))
        .is_some_and(|rest| rest.starts_with('['))
}

/// [`PolicyError::Construct`].
pub(super) fn check(survey: &Survey<'_>, shown: &BTreeSet<Path>, problems: &mut Problems) {
    for (at, construct) in &survey.refused {
        problems.add(PolicyError::Construct { at: at.clone(), construct: *construct });
    }
    for (path, facts) in &survey.rules {
        let mut refuse = |construct| problems.add(PolicyError::Construct { at: facts.at.clone(), construct });
        let is_default = |definition: &&Definition<'_>| matches!(definition.rule, Rule::Default { .. });
        if facts.definitions.iter().filter(is_default).any(|at| !patterns::computed(at.rule).is_empty()) {
            refuse(Construct::ComputedKey);
        }
        if path.last().is_some_and(|name| name.starts_with("remit__")) {
            refuse(Construct::Taken);
        }
        if let Some(arity) = facts.arity {
            let files = facts.definitions.iter().map(|at| at.rule.span().source.get_path());
            if arity > MOST_ARGUMENTS {
                refuse(Construct::ManyArguments);
            }
            if files.collect::<BTreeSet<_>>().len() > 1 {
                refuse(Construct::Scattered);
            }
            if path.last().is_some_and(|name| OPERATORS.contains(&name.as_str())) {
                refuse(Construct::Operator);
            }
        }
        let below = |(other, _): &(&Path, _)| other.len() > path.len() && other.starts_with(path);
        if is_computed(facts) && survey.rules.range(path.clone()..).skip(1).take(1).any(|rule| below(&rule)) {
            refuse(Construct::Overlap);
        }
        let is_shown = path.split_last().is_some_and(|(_, name)| shown.contains(name));
        if !is_shown && may_show_nothing(survey, path, facts) {
            refuse(Construct::EmptyObject);
        }
        for (definition, construct) in odd(facts) {
            problems.add(PolicyError::Construct { at: Place::of(definition.rule.span()), construct });
        }
    }
}

/// What a definition makes of its rule.
#[derive(PartialEq, Eq)]
enum Kind {
    Value,
    Set,
    /// Of a name with a part that is computed.
    Object,
    Function(usize),
}

impl Kind {
    fn of(rule: &Rule) -> Self {
        let is_constant = walk::reference(walk::head_of(rule)).is_ok_and(|head| head.is_constant());
        match rule {
            Rule::Spec { head: RuleHead::Func { args, .. }, .. } => Self::Function(args.len()),
            Rule::Default { args, .. } if !args.is_empty() => Self::Function(args.len()),
            _ if !is_constant => Self::Object,
            Rule::Spec { head: RuleHead::Set { .. }, .. } => Self::Set,
            Rule::Spec { head: RuleHead::Compr { .. }, .. } | Rule::Default { .. } => Self::Value,
        }
    }
}

/// The definitions that do not go with the first of the rule.
fn odd<'a, 'b>(facts: &'a RuleFacts<'b>) -> impl Iterator<Item = (&'a Definition<'b>, Construct)> {
    let kind = facts.definitions.first().map(|first| Kind::of(first.rule));
    let mixed = facts.definitions.iter().filter(move |other| kind.as_ref() != Some(&Kind::of(other.rule)));
    let defaults = facts.definitions.iter().filter(|other| matches!(other.rule, Rule::Default { .. }));
    mixed
        .map(|definition| (definition, Construct::Mixed))
        .chain(defaults.skip(1).map(|definition| (definition, Construct::Defaults)))
}

/// Whether a rule below a name is read as a part of it, where OPA would show an empty object.
pub(super) fn may_show_nothing(survey: &Survey<'_>, path: &Path, facts: &RuleFacts<'_>) -> bool {
    is_dotted(path, facts) && may_be_absent(facts) && survey.is_read_from_above(path)
}

fn is_dotted(path: &Path, facts: &RuleFacts<'_>) -> bool {
    path.len() > facts.package.saturating_add(1)
}

/// Whether a rule shows nothing of itself where it is read from above.
fn may_be_absent(facts: &RuleFacts<'_>) -> bool {
    facts.arity.is_some()
        || facts.definitions.iter().all(|definition| match definition.rule {
            Rule::Spec { head: RuleHead::Compr { refr, .. }, bodies, .. } => {
                !bodies.is_empty() && walk::reference(refr).is_ok_and(|head| head.is_constant())
            }
            _ => false,
        })
}

/// `p[x]`, `p[x].r`: a name with a part that is computed.
fn is_computed(facts: &RuleFacts<'_>) -> bool {
    facts.definitions.iter().any(|definition| {
        walk::reference(walk::head_of(definition.rule)).is_ok_and(|head| !head.is_constant())
    })
}

/// What cannot be imported: keywords that change what a module means, and names that are keywords.
pub(super) fn import(path: &[String], import: &Import, is_v1: bool) -> Option<(Place, Construct)> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let is_keyword = |name: &str| KEYWORDS.contains(&name) || is_v1 && KEYWORDS_OF_V1.contains(&name);
    let construct = match (parts.as_slice(), &import.r#as) {
        (["future", "keywords", rest @ ..], _) => {
            let is_known = rest.first().is_none_or(|name| name == &"not" || KEYWORDS_OF_V1.contains(name));
            (!is_known).then_some(Construct::Import)
        }
        (["rego", version, ..], _) => (*version != "v1").then_some(Construct::Import),
        (_, Some(alias)) => is_keyword(alias.text()).then_some(Construct::KeywordImport),
        (["data" | "input", .., last], None) => is_keyword(last).then_some(Construct::KeywordImport),
        _ => None,
    };
    construct.map(|construct| (Place::of(&import.span), construct))
}

/// What regorus reads otherwise than OPA in one definition.
pub(super) fn misread(rule: &Rule, is_v1: bool) -> Vec<(Place, Construct)> {
    let mut found = Vec::from_iter(called_by_default(rule));
    if let Rule::Spec { head, bodies, .. } = rule {
        let gives_true = match head {
            RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. } => assign.is_none(),
            RuleHead::Set { .. } => false,
        };
        let second = bodies.iter().skip(1).find(|body| !body.is_else && !gives_true);
        found.extend(second.map(|body| (Place::of(&body.span), Construct::SecondBody)));
        if is_v1 && bodies.is_empty() && is_element(head) {
            found.push((Place::of(rule.span()), Construct::Element));
        }
        if let (RuleHead::Set { span, key: None, .. }, false) = (head, is_v1) {
            found.push((Place::of(span), Construct::OldElement));
        }
    }
    walk::rule(rule, &mut |node| {
        if let Node::Operator(Expr::UnaryExpr { span, expr, .. }) = node
            && matches!(
                expr.as_ref(),
                Expr::ArithExpr { .. }
                    | Expr::BinExpr { .. }
                    | Expr::BoolExpr { .. }
                    | Expr::Membership { .. }
            )
            && !between(span, expr.span()).contains('(')
        {
            found.push((Place::of(span), Construct::Minus));
        }
    });
    found
}

/// The text from where one begins to where another one does.
fn between<'a>(one: &'a Span, other: &Span) -> &'a str {
    let at = |span: &Span| usize::try_from(span.start).unwrap_or(usize::MAX);
    one.source.get_contents().get(at(one)..at(other)).unwrap_or_default()
}

/// A rule of which the whole name is `contains`: regorus knows it for a keyword only behind another name.
pub(super) fn keyword(rule: &Rule) -> Option<(Place, Construct)> {
    let head = walk::reference(walk::head_of(rule)).ok()?;
    (head.root == "contains" && head.segments.is_empty())
        .then(|| (Place::of(rule.span()), Construct::Keyword))
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::{bundle, refusals};
    use crate::policy::{Policy, PolicyLimits};

    #[test]
    fn a_rule_has_one_kind_and_one_default() {
        refusals(&[
            ("f(a) if a == 1\nx if not f(2, true)", Some("p.rego:4:10: not before a call of a function")),
            ("x if not lower(input.a, \"b\")", None),
            ("x if not walk(input, [[], 1])", None),
            ("f(a) if a == 1\nx if not f(2)", None),
            ("x := 1\nx contains 2", Some("p.rego:4:1: has definitions of different kinds")),
            ("x := 1\nx(_) := 1", Some("p.rego:4:1: has definitions")),
            ("x(_) := 1\nx(_, _) := 2", Some("p.rego:4:1: has definitions")),
            ("x := {}\nx[k] := 1 if some k in [1]", Some("p.rego:4:1: has definitions")),
            ("default x := {}\nx contains 1", Some("p.rego:4:1: has definitions")),
            ("default f(_) := 1\nf(_, _) := 1", Some("p.rego:4:1: has definitions")),
            ("default x := 1\nx := 2 if input.a\ndefault x := 3", Some("p.rego:5:1: has a default already")),
            ("default f(_) := 1\nf(x) := x if x > 1", None),
            ("default x := 1\nx := 2 if input.a\nx := 3 if input.b", None),
            ("x.a contains 1\nx.b := 2", None),
            ("x contains 1\nx contains k if some k in [2]", None),
        ]);
    }

    /// Each of them had another value than in OPA, or ended in a trap.
    #[test]
    fn what_would_be_misread_is_refused() {
        refusals(&[
            ("x := -input.a + 1", Some("p.rego:3:6: a minus takes all that follows it here")),
            ("x if not -input.a > 1", Some("p.rego:3:10: a minus")),
            ("x := [-1, -input.a, (-input.a) + 1, 1 - 2, -(1 + 2)]", None),
            ("f(x) := 1 if { x == 1 } { x == 2 }\nx := f(2)", Some("p.rego:3:25: a second body")),
            ("x if { input.a } { input.b }", None),
            ("f(a, b, c, d, e, g, h, i, j) := a\nx := 1", Some("p.rego:3:1: a function of more than 8")),
            ("minus(a, b) := 7\nx := 1", Some("p.rego:3:1: a function by this name")),
            ("user := 1\nx if every user in [1] { user == 1 }", None),
            ("user := 1\nx if { some user in [1]; user } else if user", None),
            ("f(input.x) := 1", Some("p.rego:3:8: an argument of a function is a name")),
            ("x if { input.xs[i]; some i }", Some("p.rego:3:")),
            ("u := 1 if { every u in [1] { u == 1 }; u = input.a }", Some("p.rego:3:1: ")),
        ]);
        let two = |one: &str, other: &str| {
            let files = [("a.rego", one), ("b.rego", other)];
            let files = files.map(|(path, rego)| (path, format!("package p\n{rego}\n")));
            let files = bundle(&files.each_ref().map(|(path, text)| (*path, text.as_str())));
            Policy::compile(&files, "p/decision", &PolicyLimits::default())
                .err()
                .map(|error| error.to_string())
        };
        let error = two("decision := f(1)\nf(1) := 2", "f(2) := 3").unwrap();
        assert!(error.contains("a function with definitions in several files"), "{error}");
        assert_eq!(two("decision := f(1)", "f(1) := 2\nf(2) := 3"), None);
        for (rego, refused) in [
            ("decision { deny.x }\ndeny.x { input.a }", true),
            ("decision { deny.x }\ndeny.x = true { input.a }", false),
            ("decision { f(1) }\nf(1)", false),
            ("decision { f(1) }\nf(1) f(2)", true),
            ("decision { f(1) }\nf(1) = true", false),
        ] {
            let text = format!("package p\n{rego}\n");
            let files = bundle(&[(".manifest", "{\"rego_version\": 0}"), ("p.rego", &text)]);
            let outcome = Policy::compile(&files, "p/decision", &PolicyLimits::default());
            assert_eq!(outcome.is_err(), refused, "{rego}: {:?}", outcome.err());
        }
    }

    /// Each as OPA has it.
    #[test]
    fn keywords_are_no_names() {
        for (rego, v1, v0) in [
            ("contains := 1", false, true),
            ("contains(_) := 1", false, true),
            ("default contains := false", false, true),
            ("import rego.v1\ncontains := 1", false, false),
            ("import future.keywords.contains\ncontains := 1", false, true),
            ("contains.a := 1", true, true),
            ("import data.x.if", false, true),
            ("import data.x.with", false, false),
            ("import data.x.with as y", true, true),
            ("import input.contains", false, true),
            ("import data.x.y as contains", false, true),
            ("import data.contains.y", true, true),
            ("import future.keywords.in", true, true),
            ("import future.keywords", true, true),
        ] {
            for (version, expected) in [(1, v1), (0, v0)] {
                let manifest = format!("{{\"rego_version\": {version}}}");
                let text = format!("package p\n{rego}\ndecision := 1\n");
                let files = bundle(&[(".manifest", &manifest), ("p.rego", &text)]);
                let outcome = Policy::compile(&files, "p/decision", &PolicyLimits::default());
                assert_eq!(outcome.is_ok(), expected, "v{version} {rego}: {:?}", outcome.err());
            }
        }
    }
}
