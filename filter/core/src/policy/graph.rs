//! Which rule needs which: no rule may need itself, and no chain may be deeper than a module's stack.
//!
//! regorus finds recursion through plain references only; one through `data.p[x]` would run until the stack ends.

use std::collections::BTreeMap;

use super::error::PolicyError;
use super::survey::{Path, Survey};
use crate::ordered;

/// The rules, each after all that it needs.
///
/// # Errors
///
/// [`PolicyError::Recursion`] and [`PolicyError::TooDeep`].
pub(super) fn order<'a>(survey: &'a Survey<'_>, limit: usize) -> Result<Vec<&'a Path>, PolicyError> {
    let mut ordered = Vec::new();
    let needs: BTreeMap<&Path, Vec<&Path>> =
        ordered::map(survey.rules.keys().map(|rule| (rule, needs(survey, rule))));
    // Depth-first without recursion; the height of a rule is known when all that it needs is done.
    let mut heights: BTreeMap<&Path, usize> = BTreeMap::new();
    for start in survey.rules.keys() {
        let mut way: Vec<(&Path, usize)> = vec![(start, 0)];
        while let Some((rule, next)) = way.last().copied() {
            let needed = needs.get(rule).map(Vec::as_slice).unwrap_or_default();
            if let Some(child) = needed.get(next).copied().filter(|_| !heights.contains_key(rule)) {
                if let Some((_, at)) = way.last_mut() {
                    *at = next.saturating_add(1);
                }
                if way.iter().any(|(on_way, _)| *on_way == child) {
                    return Err(recursion(survey, &way, child));
                }
                if !heights.contains_key(child) {
                    way.push((child, 0));
                }
                continue;
            }
            let below = needed.iter().filter_map(|child| heights.get(child)).max().copied().unwrap_or(0);
            let height = below.saturating_add(1);
            if height > limit {
                return Err(PolicyError::TooDeep { at: at(survey, rule), rule: shown(rule), limit });
            }
            if heights.insert(rule, height).is_none() {
                ordered.push(rule);
            }
            way.pop();
        }
    }
    Ok(ordered)
}

pub(super) fn needs<'a>(survey: &'a Survey<'_>, rule: &Path) -> Vec<&'a Path> {
    let uses = survey.rules.get(rule).map(|facts| &facts.uses);
    let needed = uses.into_iter().flatten().flat_map(|(path, _)| {
        // A rule above the reference, or every rule below it.
        let above = (1..=path.len())
            .filter_map(|length| survey.rules.get_key_value(path.get(..length)?).map(|(rule, _)| rule));
        let below = survey.rules.range(path.clone()..).map(|(rule, _)| rule);
        above.chain(below.take_while(|rule| rule.starts_with(path)).skip_while(move |rule| *rule == path))
    });
    ordered::set(needed).into_iter().collect()
}

fn recursion(survey: &Survey<'_>, way: &[(&Path, usize)], back_to: &Path) -> PolicyError {
    let cycle: Vec<String> = way
        .iter()
        .map(|(rule, _)| *rule)
        .skip_while(|rule| *rule != back_to)
        .chain([back_to])
        .map(shown)
        .collect();
    PolicyError::Recursion { at: at(survey, back_to), rule: shown(back_to), cycle: cycle.join(" -> ") }
}

fn at(survey: &Survey<'_>, rule: &Path) -> super::place::Place {
    survey.rules.get(rule).map_or_else(super::place::Place::nowhere, |facts| facts.at.clone())
}

fn shown(rule: &Path) -> String {
    format!("data.{}", rule.join("."))
}
