//! Imports, written in full: the evaluators share them among the files of a package, take a rule of the same name for what was
//! imported, and do not find dotted rules behind them.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use regorus::unstable::{Import, Module, Ref};

use super::edit::{Edit, Edits};
use super::error::PolicyError;
use super::faithful::extent;
use super::names;
use super::place::Place;
use super::refused::Construct;
use super::scope::Scope;
use super::shadow;
use super::survey::Path;
use super::walk::{self, Node, Reference};

/// The texts without the imports of `data` and `input`; `None` where there are none.
///
/// # Errors
///
/// [`PolicyError::Construct`] where a name cannot be told from another one.
pub(super) fn rewrite(modules: &[Ref<Module>]) -> Result<Option<BTreeMap<String, String>>, PolicyError> {
    let mut edits = Edits::default();
    for module in modules {
        let scope = Scope::of(module);
        for rule in &module.policy {
            let locals = names::declared(rule);
            let own = shadow::declared_for_all(rule);
            let hidden = locals.iter().find(|name| scope.import(name).is_some() && !own.contains(*name));
            if let Some(at) = hidden.and_then(|name| import_of(module, name)) {
                let (at, construct) = (Place::of(&at.span), Construct::ImportedTwice);
                return Err(PolicyError::Construct { at, construct });
            }
            let mut write = |reference: &Reference<'_>| {
                if !locals.contains(reference.root)
                    && let Some((base @ ("data" | "input"), path)) = scope.import(reference.root)
                    && let Some((start, end)) = extent(reference.at)
                {
                    edits.add(&module.package.span, [Edit { start, end, text: in_full(base, path) }]);
                }
            };
            walk::rule(rule, &mut |node| match node {
                Node::Reference(reference) => write(&reference),
                Node::Call { function, .. } => walk::reference(function).iter().for_each(&mut write),
                _ => {}
            });
        }
        for import in &module.imports {
            if walk::reference(&import.refr).is_ok_and(|reference| matches!(reference.root, "data" | "input"))
            {
                let end = import.r#as.as_ref().unwrap_or_else(|| import.refr.span());
                if let (Some((start, _)), Some((_, end))) = (extent(&import.span), extent(end)) {
                    edits.add(&module.package.span, [Edit { start, end, text: String::new() }]);
                }
            }
        }
    }
    Ok(edits.texts(modules))
}

fn import_of<'a>(module: &'a Module, name: &str) -> Option<&'a Import> {
    module.imports.iter().find(|import| match &import.r#as {
        Some(alias) => alias.text() == name,
        None => walk::reference(&import.refr)
            .is_ok_and(|reference| reference.prefix().last().unwrap_or(reference.root) == name),
    })
}

fn in_full(base: &str, path: &[String]) -> String {
    let mut text = base.to_owned();
    for part in path {
        if is_name(part) {
            text.push('.');
            text.push_str(part);
        } else {
            text.push_str(&format!("[{}]", serde_json::Value::from(part.as_str())));
        }
    }
    text
}

fn is_name(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// The names of the rules of each package, without what follows a dot.
pub(super) fn rules_of(modules: &[Ref<Module>]) -> BTreeMap<Path, BTreeSet<&str>> {
    let mut packages: BTreeMap<Path, BTreeSet<&str>> = BTreeMap::new();
    for module in modules {
        let names = packages.entry(super::scope::package_of(module)).or_default();
        let heads = module.policy.iter().filter_map(|rule| walk::reference(walk::head_of(rule)).ok());
        names.extend(heads.map(|head| head.root));
    }
    packages
}

#[cfg(test)]
mod tests {
    use crate::ordered;
    use crate::policy::faithful_texts;

    #[test]
    fn imports_are_written_in_full() {
        for (rego, expected) in [
            ("import data.a\nd := a.x[a.y]", "\nd := data.a.x[data.a.y]"),
            ("import input\nd := input.x", "\nd := input.x"),
            ("import data[\"a-b\"].c as x\nd := x.z", "\nd := data[\"a-b\"].c.z"),
            ("import data.a.f\nd := f(1)", "\nd := data.a.f(1)"),
            ("import data.a\nd if a.f(1) with a.x as 2", "\nd if data.a.f(1) with data.a.x as 2"),
            ("import rego.v1\nimport data.a\nd := a", "import rego.v1\n\nd := data.a"),
            ("import input.a\nd := [a | some a in [1]]", "\nd := [remit_s0_a | some remit_s0_a in [1]]"),
            ("import input.a\nf(a) := a\nd := a", "\nf(a) := a\nd := input.a"),
            ("import input.a\nd if { a := 1; a > 0 }", "\nd if { a := 1; a > 0 }"),
        ] {
            let text = format!("package p\n{rego}\n");
            let texts = faithful_texts(ordered::map([("p.rego".to_owned(), text)]), &|_| false).unwrap();
            assert_eq!(texts["p.rego"], format!("package p\n{expected}\n"), "{rego}");
        }
    }
}
