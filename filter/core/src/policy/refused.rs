//! Parts of Rego that regorus reads differently from OPA, whichever evaluator runs: refused when the bundle loads.

use regorus::unstable::{Rule, RuleHead};

use super::error::PolicyError;
use super::place::Place;
use super::survey::{Definition, Path, RuleFacts, Survey};
use super::walk::{self, Segment};

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
    /// `p[[x | …]] := y`, `p[xs[i]] := y`
    #[error("a comprehension or an index inside of a rule's name is not served: give it a name in the body")]
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
    /// `{"a": x} = input.y`
    #[error(
        "an object in a pattern is not served, nor something empty beside a variable: take the parts by name, and compare with `==`"
    )]
    ObjectPattern,
    /// `[true, x] := y`
    #[error("only a variable takes a value by `:=`, or an array of variables: write `=`")]
    Assigned,
    /// A name that Remit uses itself.
    #[error("names that begin with remit__ are taken")]
    Taken,
}

/// # Errors
///
/// [`PolicyError::Construct`].
pub(super) fn check(survey: &Survey<'_>) -> Result<(), PolicyError> {
    if let Some((at, construct)) = survey.refused.first() {
        return Err(PolicyError::Construct { at: at.clone(), construct: *construct });
    }
    for (path, facts) in &survey.rules {
        let refusal = |construct| Err(PolicyError::Construct { at: facts.at.clone(), construct });
        let has_computed_key = |definition: &Definition<'_>| {
            let mut found = false;
            let segments = walk::reference(walk::head_of(definition.rule)).map(|head| head.segments);
            for segment in segments.unwrap_or_default() {
                let Segment::Dynamic(key) = segment else { continue };
                walk::expr(key, &mut |node| {
                    found |= matches!(node, walk::Node::Comprehension { .. } | walk::Node::Index(_));
                });
            }
            found
        };
        if facts.definitions.iter().any(has_computed_key) {
            return refusal(Construct::ComputedKey);
        }
        if path.last().is_some_and(|name| name.starts_with("remit__")) {
            return refusal(Construct::Taken);
        }
        let below = |(other, _): &(&Path, _)| other.len() > path.len() && other.starts_with(path);
        if is_computed(facts) && survey.rules.range(path.clone()..).skip(1).take(1).any(|rule| below(&rule)) {
            return refusal(Construct::Overlap);
        }
        if is_dotted(path, facts) && may_be_absent(facts) && survey.is_read_from_above(path) {
            return refusal(Construct::EmptyObject);
        }
    }
    Ok(())
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

/// The place of a keyword's import that changes what a module means.
pub(super) fn import(path: &[String], at: Place) -> Option<(Place, Construct)> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let known = match parts.as_slice() {
        ["future", "keywords", rest @ ..] => {
            rest.first().is_none_or(|name| ["contains", "every", "if", "in", "not"].contains(name))
        }
        ["rego", version, ..] => *version == "v1",
        _ => true,
    };
    (!known).then_some((at, Construct::Import))
}
