//! `print`, where nobody wants to read it, is taken out of the text, as OPA does: it is always true and costs nothing.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Expr, Module, Ref, Span};

use super::place::Place;
use super::survey::Survey;
use super::walk::{self, Node};
use crate::ordered;

/// Where the policy prints, if it does.
pub(super) fn first(survey: &Survey<'_>) -> Option<Place> {
    survey.builtin_calls.iter().find(|call| call.name == "print").map(|call| call.at.clone())
}

/// The texts of the modules that print, by path in the bundle, with `true` in place of each call and everything else
/// where it was.
pub(super) fn erased(survey: &Survey<'_>, modules: &[Ref<Module>]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    if first(survey).is_none() {
        return texts;
    }
    // Other calls may be of a function of the bundle's own that has the name.
    let prints = survey.builtin_calls.iter().filter(|call| call.name == "print").map(|call| call.at.clone());
    let prints: BTreeSet<Place> = ordered::set(prints);
    for module in modules {
        let source = &module.package.span.source;
        let mut text = source.get_contents().clone();
        for rule in &module.policy {
            walk::rule(rule, &mut |node| {
                if let Node::Call { function: Expr::Var { .. }, span, .. } = node
                    && prints.contains(&Place::of(span))
                {
                    erase(&mut text, span);
                }
            });
        }
        if text != *source.get_contents() {
            texts.insert(source.get_path().clone(), text);
        }
    }
    texts
}

/// The same length, and the same lines.
fn erase(text: &mut String, span: &Span) {
    let (Ok(start), Ok(end)) = (usize::try_from(span.start), usize::try_from(span.end)) else { return };
    let Some(call) = text.get(start..end).filter(|call| call.starts_with("print") && call.ends_with(')'))
    else {
        return;
    };
    let rest = call.bytes().skip(4).map(|b| if b == b'\n' { '\n' } else { ' ' });
    let erased: String = "true".chars().chain(rest).collect();
    text.replace_range(start..end, &erased);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{bundle, decide, interpreted};
    use super::super::{Policy, PolicyLimits};

    #[test]
    fn only_the_builtin_is_taken_out() {
        let prints = "package a\nseen if print(\"x\")\n";
        let own = "package p\ndefault decision := false\nprint(u) if u == \"admin\"\ndecision if { data.a.seen; print(input.u) }\n";
        for files in [[("a.rego", prints), ("p.rego", own)], [("b.rego", own), ("c.rego", prints)]] {
            let compiled =
                || Policy::compile(&bundle(&files), "p/decision", &PolicyLimits::default()).unwrap();
            for (user, expected) in [("admin", true), ("guest", false)] {
                for policy in [compiled(), interpreted(compiled())] {
                    assert_eq!(decide(&policy, &json!({"u": user})), Ok(json!(expected)), "{user}");
                }
            }
        }
    }
}
