//! Changes of the texts of modules.

use std::collections::BTreeMap;

use regorus::unstable::{Module, Ref, Span};

use crate::ordered;

/// One change of a text.
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

/// Changes, by the path of the module.
#[derive(Default)]
pub(super) struct Edits<'a>(BTreeMap<&'a str, Vec<Edit>>);

impl<'a> Edits<'a> {
    /// Adds changes of the module that `at` stands in.
    pub(super) fn add(&mut self, at: &'a Span, edits: impl IntoIterator<Item = Edit>) {
        self.0.entry(at.source.get_path()).or_default().extend(edits);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.values().all(Vec::is_empty)
    }

    /// The texts of all modules with them, by path; `None` where there are none.
    pub(super) fn texts(mut self, modules: &[Ref<Module>]) -> Option<BTreeMap<String, String>> {
        if self.is_empty() {
            return None;
        }
        let path = |module: &Module| module.package.span.source.get_path().clone();
        Some(ordered::map(modules.iter().map(|module| (path(module), self.applied(module)))))
    }

    /// The text of a module with those of its changes that hold no other; the others have their turn in the next round.
    pub(super) fn applied(&mut self, module: &Module) -> String {
        let source = &module.package.span.source;
        let mut text = source.get_contents().clone();
        for edit in innermost(self.0.remove(source.get_path().as_str()).unwrap_or_default()) {
            if text.get(edit.start..edit.end).is_some() {
                let ends = if would_be_called(&edit.text, text.get(edit.end..)) { ";" } else { "" };
                text.replace_range(edit.start..edit.end, &format!("{}{ends}", edit.text));
            }
        }
        text
    }
}

/// Whether what follows a name would be read as its arguments: a statement that begins with `(` on a line below.
fn would_be_called(edit: &str, rest: Option<&str>) -> bool {
    let is_name = edit.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    let mut lines = rest.unwrap_or_default().lines().map(str::trim_start);
    let is_open = |line: &str| !line.is_empty() && !line.starts_with('#');
    is_name
        && lines.next().is_some_and(|line| !is_open(line))
        && lines.find(|line| is_open(line)).is_some_and(|line| line.starts_with('('))
}

/// Those that hold no other, last first.
fn innermost(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (std::cmp::Reverse(edit.start), edit.end));
    let mut kept: Vec<Edit> = Vec::new();
    for edit in edits {
        if kept.last().is_none_or(|last| edit.end <= last.start) {
            kept.push(edit);
        }
    }
    kept
}
