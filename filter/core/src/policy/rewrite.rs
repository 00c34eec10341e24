//! Makes rules that could have two values at once safe for the bytecode, before it is compiled.
//!
//! `r := v if …` becomes `remit_values_r contains (v) if …`, and `r` becomes the one element of that set. With two
//! elements an overflow stops the machine: the one error that a policy can cause and that no rule swallows. The
//! interpreter, which keeps the text as it was written, then says what the conflict is.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{AssignOp, Expr, Module, Ref, Rule, RuleHead, Span};

use super::survey::{Path, Survey};

const PREFIX: &str = "remit_values_";
const ONE: &str = "remit_one";

/// The text of each module, by its path in the bundle, with the rules rewritten. `None` when a name is taken, or a
/// module is not of the text that it was parsed from.
pub(super) fn rewrite(
    survey: &Survey<'_>,
    rules: &BTreeSet<Path>,
    modules: &[Ref<Module>],
) -> Option<BTreeMap<String, String>> {
    let mut edits: BTreeMap<&str, Vec<(usize, usize, String)>> = BTreeMap::new();
    let mut ends: BTreeMap<&str, String> = BTreeMap::new();
    for path in rules {
        let (name, package) = path.split_last()?;
        let values = format!("{PREFIX}{name}");
        for new in [values.as_str(), ONE] {
            let taken: Path = package.iter().map(String::as_str).chain([new]).map(str::to_owned).collect();
            if survey.rules.contains_key(&taken) {
                return None;
            }
        }
        let facts = survey.rules.get(path)?;
        for definition in &facts.definitions {
            let Rule::Spec { head, .. } = definition.rule else { continue };
            let (span, end, text) = set_head(head, &values)?;
            let start = usize::try_from(span.start).ok()?;
            edits.entry(span.source.get_path()).or_default().push((start, end, text));
        }
        ends.entry(facts.at.file.as_str()).or_default().push_str(&format!(
            "\n{name} := remit_value if {{ {ONE}(count({values})); some remit_value in {values} }}"
        ));
    }
    let mut texts = BTreeMap::new();
    let mut helped = BTreeSet::new();
    for module in modules {
        let source = &module.package.span.source;
        let mut text = source.get_contents().clone();
        let file = source.get_path().as_str();
        let mut edits = edits.remove(file).unwrap_or_default();
        edits.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
        for (start, end, new) in edits {
            text.get(start..end)?;
            text.replace_range(start..end, &new);
        }
        if let Some(end) = ends.get(file) {
            text.push_str(end);
            if helped.insert(super::survey::package_of(module)) {
                // Half of something is no whole number, so that the product is a double and not a large integer.
                text.push_str(&format!(
                    "\n{ONE}(n) if n == 1\n{ONE}(n) if {{ n > 1; (n + 0.5) * 1e308 * 1e308 > 0 }}\n"
                ));
            }
        }
        texts.insert(file.to_owned(), text);
    }
    Some(texts)
}

/// `r := v` as `remit_values_r contains (v)`, and where it ends.
fn set_head<'a>(head: &'a RuleHead, values: &str) -> Option<(&'a Span, usize, String)> {
    let RuleHead::Compr { span, refr, assign } = head else { return None };
    let Expr::Var { span: name, .. } = refr.as_ref() else { return None };
    let source = span.source.get_contents();
    let (start, mut end) = (usize::try_from(span.start).ok()?, usize::try_from(span.end).ok()?);
    // The span of a string leaves out its quotes, and so does that of a head that ends with one.
    if matches!(source.as_bytes().get(end), Some(b'"' | b'`')) {
        end = end.checked_add(1)?;
    }
    let rest = source.get(start..end)?.strip_prefix(name.text())?.trim();
    let value = match assign {
        None if rest.is_empty() => "true",
        None => return None,
        Some(assign) => {
            let sign = if assign.op == AssignOp::ColEq { ":=" } else { "=" };
            rest.strip_prefix(sign)?.trim()
        }
    };
    Some((span, end, format!("{values} contains ({value}) ")))
}
