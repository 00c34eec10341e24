//! Parts of Rego that regorus reads differently from OPA, whichever evaluator runs: refused when the bundle loads.

use std::collections::BTreeSet;

use regorus::unstable::{Import, Rule, RuleHead};

use super::error::PolicyError;
use super::place::Place;
use super::problems::Problems;
use super::survey::{Definition, Path, RuleFacts, Survey};
use super::{patterns, walk};

const KEYWORDS: [&str; 11] =
    ["as", "default", "else", "false", "import", "not", "null", "package", "some", "true", "with"];
/// Of Rego v0 only with an import.
const KEYWORDS_OF_V1: [&str; 4] = ["contains", "every", "if", "in"];

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
    /// A name that Remit uses itself.
    #[error("names that begin with remit__ are taken")]
    Taken,
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
