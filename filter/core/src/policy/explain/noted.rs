//! The text of a policy in which definitions say what they give: `r := v if …` as `r := remit__held(7, v) if …`, and the
//! first body of a rule with a default that the rule was asked for. Lines stay the author's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use regorus::unstable::{Expr, Module, Ref, Rule, RuleBody, RuleHead};

use super::Definition;
use crate::policy::faithful::{extent, stands, whole};
use crate::policy::functions::HELD;
use crate::policy::place::Place;
use crate::policy::rewrite::last_first;
use crate::policy::survey::{Path, RuleFacts, Survey};
use crate::policy::walk::{self, Segment};
use crate::policy::{graph, risks};

/// A policy with notes in it.
pub(in crate::policy) struct Noted {
    pub(super) definitions: Vec<Definition>,
    /// The rules whose definitions all have one value, as `data.p.r`: the first that holds ends the evaluation of the rule.
    pub(in crate::policy) alike: BTreeSet<String>,
}

/// From where to where a text becomes which.
type Edit = (usize, usize, String);

impl Noted {
    /// With the texts of the modules, by path in the bundle. `None` where one is not of the text that it was parsed from.
    pub(in crate::policy) fn of(
        survey: &Survey<'_>,
        decision: &Path,
        modules: &[Ref<Module>],
    ) -> Option<(Self, BTreeMap<String, String>)> {
        let mut edits: BTreeMap<&str, Vec<Edit>> = BTreeMap::new();
        let mut noted = Self { definitions: Vec::new(), alike: BTreeSet::new() };
        for (path, facts) in reachable(survey, decision) {
            if alike(facts) {
                noted.alike.insert(format!("data.{}", path.join(".")));
            }
            for definition in &facts.definitions {
                let rule = definition.rule;
                let number = noted.definitions.len();
                let (new, is_set) = match rule {
                    Rule::Default { .. } => (asked(facts, number), false),
                    Rule::Spec { head, bodies, .. } => {
                        (Some((rule, given(head, bodies, number)?)), matches!(head, RuleHead::Set { .. }))
                    }
                };
                let is_default = matches!(rule, Rule::Default { .. });
                let at = Place::of(rule.span());
                noted.definitions.push(Definition { path: path.clone(), at, is_default, is_set });
                if let Some((rule, new)) = new {
                    edits.entry(rule.span().source.get_path()).or_default().extend(new);
                }
            }
        }
        let mut texts = BTreeMap::new();
        for module in modules {
            let source = &module.package.span.source;
            let mut text = source.get_contents().clone();
            let mut edits = edits.remove(source.get_path().as_str()).unwrap_or_default();
            last_first(&mut edits);
            for (start, end, new) in edits {
                text.get(start..end)?;
                text.replace_range(start..end, &new);
            }
            texts.insert(source.get_path().clone(), text);
        }
        Some((noted, texts))
    }
}

/// The rules that the decision can need, the nearest first.
fn reachable<'a, 's>(survey: &'a Survey<'s>, decision: &Path) -> Vec<(&'a Path, &'a RuleFacts<'s>)> {
    let mut found: Vec<(&Path, &RuleFacts<'_>)> = Vec::new();
    let mut next: VecDeque<_> = survey.rules.get_key_value(decision).into_iter().collect();
    while let Some((path, facts)) = next.pop_front() {
        if !found.iter().any(|(known, _)| *known == path) {
            found.push((path, facts));
            let needed = graph::needs(survey, path).into_iter();
            next.extend(needed.filter_map(|needed| survey.rules.get_key_value(needed)));
        }
    }
    found
}

/// The edits that have a definition say what it gives.
fn given(head: &RuleHead, bodies: &[RuleBody], number: usize) -> Option<Vec<Edit>> {
    let number = match head {
        RuleHead::Compr { refr, .. } | RuleHead::Set { refr, .. } => numbered(refr, number)?,
        RuleHead::Func { .. } => number.to_string(),
    };
    let mut edits = Vec::new();
    match head {
        RuleHead::Compr { span, assign, .. } | RuleHead::Func { span, assign, .. } => match assign {
            Some(assign) => edits.push(through(&assign.value, &number)?),
            None => {
                let (_, end) = extent(span)?;
                edits.push((end, end, format!(" := {HELD}({number}, true)")));
            }
        },
        RuleHead::Set { key, .. } => {
            if let Some(key) = key {
                edits.push(through(key, &number)?);
            }
        }
    }
    for body in bodies.iter().filter(|body| body.is_else) {
        match &body.assign {
            Some(assign) => edits.push(through(&assign.value, &number)?),
            None => {
                let (start, _) = extent(&body.span)?;
                let end = start.checked_add("else".len())?;
                edits.push((end, end, format!(" := {HELD}({number}, true)")));
            }
        }
    }
    Some(edits)
}

/// `v` as `remit__held(7, v)`.
fn through(value: &Expr, number: &str) -> Option<Edit> {
    let (start, end) = stands(value)?;
    let text = value.span().source.get_contents().get(start..end)?;
    Some((start, end, format!("{HELD}({number}, {text})")))
}

/// `7`, or `[7, x, "y"]` of `p[x].y`.
fn numbered(name: &Expr, number: usize) -> Option<String> {
    let Ok(name) = walk::reference(name) else { return Some(number.to_string()) };
    let mut parts = name.segments.iter().skip_while(|part| matches!(part, Segment::Constant(_))).peekable();
    if parts.peek().is_none() {
        return Some(number.to_string());
    }
    let mut text = format!("[{number}");
    for part in parts {
        text.push_str(", ");
        match part {
            Segment::Constant(name) => text.push_str(&serde_json::Value::from(*name).to_string()),
            // A part that is anything.
            Segment::Dynamic(Expr::Var { span, .. }) if span.text() == "_" => text.push_str("\"_\""),
            Segment::Dynamic(index) => {
                let (start, end) = stands(index)?;
                text.push_str(index.span().source.get_contents().get(start..end)?);
            }
        }
    }
    text.push(']');
    Some(text)
}

/// The edits that have a rule say that it was asked for: a default is taken only then. `None` where nothing can say so.
fn asked<'a>(facts: &RuleFacts<'a>, number: usize) -> Option<(&'a Rule, Vec<Edit>)> {
    facts.definitions.iter().find_map(|definition| {
        let Rule::Spec { bodies, .. } = definition.rule else { return None };
        let query = &bodies.first()?.query;
        let first = query.stmts.first()?;
        let (start, end) = whole(first)?;
        let note = format!("{HELD}({number}, true); ");
        let edits = if query.span.start == first.span.start {
            vec![(start, start, format!("{{ {note}")), (end, end, " }".to_owned())]
        } else {
            vec![(start, start, note)]
        };
        Some((definition.rule, edits))
    })
}

/// Whether all definitions of a rule have one and the same literal as their value.
fn alike(facts: &RuleFacts<'_>) -> bool {
    let mut values = BTreeSet::new();
    for definition in &facts.definitions {
        let Rule::Spec { head, bodies, .. } = definition.rule else { continue };
        let (RuleHead::Compr { assign, .. } | RuleHead::Func { assign, .. }) = head else { return false };
        let elses = bodies.iter().filter(|body| body.is_else).map(|body| body.assign.as_ref());
        for assign in elses.chain([assign.as_ref()]) {
            values.insert(
                assign.map_or_else(|| Some("true".to_owned()), |assign| risks::literal(&assign.value)),
            );
        }
    }
    values.len() == 1 && values.first().is_some_and(Option::is_some)
}
