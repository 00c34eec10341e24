//! Builtins of Remit's own as functions of a package: the interpreter knows `with` on functions of packages and on
//! builtins of its own alone, and tests replace `http.send` and `time.now_ns`.

use std::collections::BTreeSet;

use regorus::unstable::{BUILTINS, Module, Ref};

use super::Source;
use super::marks::{Edit, constant, edited, end_of, path_of, start};
use super::walk;

const PACKAGE: &str = "remit_harness_builtins";

/// The function that is called in place of `http.send`: a test has no proxy to send by.
pub(super) const ASKED: &str = "remit_harness_asked";

/// Those that the interpreter lacks, with the number of their arguments.
fn builtins() -> impl Iterator<Item = (&'static str, usize)> {
    remit_core::policy::served().filter(|(name, _)| !BUILTINS.contains_key(name))
}

/// `call_` keeps a function from calling itself where a name has no dot.
fn function(builtin: &str) -> String {
    format!("call_{}", builtin.replace('.', "_"))
}

/// The package.
pub(super) fn package() -> Source {
    let mut text = format!("package {PACKAGE}\n");
    for (name, arity) in builtins() {
        let arguments: Vec<String> = (0..arity).map(|i| format!("a{i}")).collect();
        let arguments = arguments.join(", ");
        let called = if name == "http.send" { ASKED } else { name };
        text.push_str(&format!("{}({arguments}) := {called}({arguments})\n", function(name)));
    }
    Source { path: format!("{PACKAGE}.rego"), text, is_v0: false }
}

/// The sources with the functions of the package in place of the builtins; `modules` are what they parse to.
pub(super) fn replaced(files: &[Source], modules: &[Ref<Module>]) -> Vec<Source> {
    let own: BTreeSet<(Vec<String>, String)> = modules
        .iter()
        .flat_map(|module| {
            let package = constant(&module.package.refr);
            module.policy.iter().filter_map(move |rule| {
                let name = path_of(module, rule).get(package.len())?.clone();
                Some((package.clone(), name))
            })
        })
        .collect();
    let mut files = files.to_vec();
    for module in modules {
        let path = module.package.span.source.get_path();
        let Some(file) = files.iter_mut().find(|file| file.path == *path) else { continue };
        file.text.clone_from(module.package.span.source.get_contents());
        let package = constant(&module.package.refr);
        let imported: BTreeSet<&str> = module
            .imports
            .iter()
            .filter_map(|import| match &import.r#as {
                Some(alias) => Some(alias.text()),
                None => import.refr.span().text().rsplit('.').next(),
            })
            .collect();
        let mut edits: Vec<Edit> = Vec::new();
        for rule in &module.policy {
            let locals: BTreeSet<&str> = walk::locals(rule).into_iter().map(|(name, _)| name).collect();
            walk::rule(rule, &mut |expr| {
                let span = expr.span();
                let Some((name, _)) = builtins().find(|(name, _)| *name == span.text()) else { return };
                let root = name.split('.').next().unwrap_or(name);
                let is_other = imported.contains(root)
                    || locals.contains(root)
                    || own.contains(&(package.clone(), root.to_owned()));
                if !is_other {
                    edits.push((start(span)..end_of(span), format!("data.{PACKAGE}.{}", function(name))));
                }
            });
        }
        // A string may say the name of a builtin, and has the same text.
        edits.retain(|(range, _)| {
            let before = range.start.checked_sub(1).and_then(|at| file.text.as_bytes().get(at));
            !matches!(before, Some(b'"' | b'`'))
        });
        edits.sort_by_key(|(range, _)| range.start);
        edits.dedup();
        file.text = edited(&file.text, edits);
    }
    files
}
