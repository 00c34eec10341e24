//! Rules below one name that is read as a whole, as `result["allowed"] := allow` and `result["body"] := body if …` are: OPA shows
//! an object of those that have values, and an empty one. They are written as a partial object: `result[key] := …`.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Expr, Module, Ref, Rule, RuleHead};

use super::edit::{Edit, Edits};
use super::faithful::{extent, stands};
use super::patterns;
use super::refused;
use super::survey::{Path, Survey};
use super::walk;

/// The names to be written so; `decision` is the path of the decision.
pub(super) fn names(survey: &Survey<'_>, decision: Option<&[String]>) -> BTreeSet<Path> {
    let mut names = BTreeSet::new();
    for (path, facts) in &survey.rules {
        let Some((_, name)) = path.split_last().filter(|_| path.len() == facts.package.saturating_add(2))
        else {
            continue;
        };
        let is_wanted = decision == Some(name) || refused::may_show_nothing(survey, path, facts);
        if is_wanted && !names.contains(name) && is_served(survey, name) {
            names.insert(name.to_vec());
        }
    }
    names
}

/// Whether all rules below a name are values that do not need each other.
fn is_served(survey: &Survey<'_>, name: &[String]) -> bool {
    let mut below = survey.rules.range(name.to_vec()..).take_while(|(path, _)| path.starts_with(name));
    below.all(|(path, facts)| {
        path.len() == name.len().saturating_add(1)
            && facts.uses.iter().all(|(used, _)| !used.starts_with(name))
            && facts.definitions.iter().all(|definition| is_value(definition.rule))
    })
}

fn is_value(rule: &Rule) -> bool {
    let is_constant = walk::reference(walk::head_of(rule)).is_ok_and(|head| head.is_constant());
    is_constant
        && match rule {
            Rule::Spec { head: RuleHead::Compr { .. }, bodies, .. } => {
                bodies.iter().all(|body| !body.is_else && !body.query.stmts.is_empty())
            }
            _ => false,
        }
}

/// The first part of `p.b` and `p["b"]`, and where the whole stands.
fn name_of(head: &Expr) -> Option<(&str, usize, usize)> {
    let (start, mut end) = stands(head)?;
    if let Expr::RefBrack { index, .. } = head {
        let (_, from) = stands(index)?;
        end = head.span().source.get_contents().get(from..)?.find(']')?.checked_add(from)?.checked_add(1)?;
    }
    let root = walk::reference(head).ok()?;
    let (first, _) = extent(root.at)?;
    Some((root.root, start.min(first), end))
}

/// The texts with these names written so; `None` where there are none.
pub(super) fn rewrite(
    survey: &Survey<'_>,
    modules: &[Ref<Module>],
    names: &BTreeSet<Path>,
) -> Option<BTreeMap<String, String>> {
    let mut edits = Edits::default();
    for (path, facts) in &survey.rules {
        let Some((last, name)) = path.split_last() else { continue };
        if !names.contains(name) {
            continue;
        }
        for definition in &facts.definitions {
            let head = walk::head_of(definition.rule);
            let source = &head.span().source;
            let (root, start, end) = name_of(head)?;
            let key = format!("remit_key_{start}");
            let is_v1 = modules
                .iter()
                .any(|module| module.rego_v1 && module.package.span.source.get_path() == source.get_path());
            let parts = format!("{key} := {}", serde_json::Value::from(last.as_str()));
            edits.add(head.span(), patterns::in_bodies(definition.rule, &parts, is_v1, false)?);
            edits.add(head.span(), [Edit { start, end, text: format!("{root}[{key}]") }]);
        }
    }
    edits.texts(modules)
}
