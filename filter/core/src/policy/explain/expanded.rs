//! The text of a policy in which what is imported is named in full: of `q.x` the interpreter evaluates the whole of an
//! imported `data.q`, of `data.q.x` that rule alone.

use std::collections::BTreeMap;

use regorus::unstable::{Module, Ref};

use crate::policy::names;
use crate::policy::rewrite::last_first;
use crate::policy::survey::Scope;
use crate::policy::walk::{self, Node};

/// The texts of the modules by path in the bundle; `None` where nothing is named by an import.
pub(in crate::policy) fn expanded(modules: &[Ref<Module>]) -> Option<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    let mut is_changed = false;
    for module in modules {
        let scope = Scope::of(module);
        let mut edits = Vec::new();
        for rule in &module.policy {
            let locals = names::declared(rule);
            walk::rule(rule, &mut |node| {
                if let Node::Reference(reference) = node
                    && !locals.contains(reference.root)
                    && let Some(("data", path)) = scope.import(reference.root)
                    && path.iter().all(|part| is_name(part))
                    && let (Ok(start), Ok(end)) =
                        (usize::try_from(reference.at.start), usize::try_from(reference.at.end))
                {
                    edits.push((start, end, format!("data.{}", path.join("."))));
                }
            });
        }
        is_changed |= !edits.is_empty();
        let source = &module.package.span.source;
        let mut text = source.get_contents().clone();
        last_first(&mut edits);
        for (start, end, new) in edits {
            text.get(start..end)?;
            text.replace_range(start..end, &new);
        }
        texts.insert(source.get_path().clone(), text);
    }
    is_changed.then_some(texts)
}

fn is_name(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}
