//! Makes rules that could have two values at once safe for the bytecode, before it is compiled.
//!
//! `r := v if …` becomes `remit_values_r contains (v) if …`, and `r` becomes the one element of that set. With two
//! elements an overflow stops the machine: the one error that a policy can cause and that no rule swallows. The
//! interpreter, which keeps the text as it was written, then says what the conflict is.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{AssignOp, Expr, Literal, Module, Ref, Rule, RuleHead, Span};

use super::faithful::{extent, whole};
use super::survey::{Definition, Path, Survey};
use super::walk::{self, Node};

const PREFIX: &str = "remit_values_";
const ONE: &str = "remit_one";

/// The text of each module, by its path in the bundle, with the rules rewritten. `None` when a name or a path is taken, or a
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
    for facts in survey.rules.values() {
        for definition in &facts.definitions {
            for (file, edit) in loaded(definition)? {
                edits.entry(file).or_default().push(edit);
            }
        }
    }
    let mut texts = BTreeMap::new();
    let mut helped = BTreeSet::new();
    for module in modules {
        let source = &module.package.span.source;
        let mut text = source.get_contents().clone();
        let file = source.get_path().as_str();
        let mut edits = edits.remove(file).unwrap_or_default();
        last_first(&mut edits);
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
        // A path for the second time would take the place of a module.
        if texts.insert(file.to_owned(), text).is_some() {
            return None;
        }
    }
    Some(texts)
}

/// In the order in which one change of a text leaves the places of the next as they are.
pub(super) fn last_first(edits: &mut [(usize, usize, String)]) {
    edits.sort_by_key(|(start, ..)| std::cmp::Reverse(*start));
}

/// A file, and what in it from where to where becomes which text.
type Placed<'a> = (&'a str, (usize, usize, String));

/// The compiler loads `input` where a body first mentions it, also inside of a loop that may not run, and takes it for
/// loaded from there on; likewise `data`. So a body that has something to run over begins by mentioning them.
fn loaded<'a>(definition: &Definition<'a>) -> Option<Vec<Placed<'a>>> {
    let Rule::Spec { head, bodies, span } = definition.rule else { return Some(Vec::new()) };
    let (mut runs, mut input, mut data) = (false, false, false);
    walk::rule(definition.rule, &mut |node| match node {
        Node::Comprehension { .. } | Node::Index(_) => runs = true,
        Node::Statement(statement) => {
            runs |= matches!(statement.literal, Literal::SomeIn { .. } | Literal::Every { .. });
        }
        Node::Reference(reference) => {
            // An import may stand for either.
            let is_local = definition.locals.contains(reference.root);
            input |= reference.root == "input" || !is_local;
            data |= reference.root == "data" || !is_local;
        }
        _ => {}
    });
    if !runs || !(input || data) {
        return Some(Vec::new());
    }
    let mut text = String::new();
    for (used, root) in [(input, "input"), (data, "data")] {
        if used {
            text.push_str(&format!("not {root}.remit__nothing; "));
        }
    }
    let file = span.source.get_path().as_str();
    if bodies.is_empty() {
        let (_, end) = extent(span)?;
        // With `if`, `p[x]` is no element of a set.
        let before = if super::refused::is_element(head) { "" } else { "if " };
        return Some(vec![(file, (end, end, format!(" {before}{{ {text}true }}")))]);
    }
    let mut edits = Vec::new();
    for body in bodies {
        let Some(first) = body.query.stmts.first() else { continue };
        let (start, end) = whole(first)?;
        if body.query.span.start == first.span.start {
            edits.push((file, (end, end, " }".to_owned())));
            edits.push((file, (start, start, format!("{{ {text}"))));
        } else {
            edits.push((file, (start, start, text.clone())));
        }
    }
    Some(edits)
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
