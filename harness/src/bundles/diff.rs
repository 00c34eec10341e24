//! What differs between two bundles: the manifest, rules by their paths, data by JSON pointer.

use std::collections::BTreeMap;

use remit_core::bundle::{Bundle, RegoVersion};
use serde_json::{Value, json};

use super::build::{BuildError, loaded};
use super::{SIGNATURES, rego};
use crate::pack::Files;
use crate::refused::Refused;
use crate::text::{padded, printable, shortened};

/// What happened to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only the new bundle has it.
    Added,
    /// Only the old bundle has it.
    Removed,
    /// Both have it, and it differs.
    Changed,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }

    /// Sign and ANSI colour.
    fn sign(self) -> (&'static str, u8) {
        match self {
            Self::Added => ("+", 32),
            Self::Removed => ("-", 31),
            Self::Changed => ("~", 33),
        }
    }
}

/// One difference.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What happened.
    pub kind: Kind,
    /// `manifest`, `rule`, `catalog`, `registry`, `kill list` or `data`.
    pub what: &'static str,
    /// The rule's path, or the JSON pointer.
    pub path: String,
    /// What was there: a value, or the text of the rule's definitions.
    pub old: Option<Value>,
    /// What is there now.
    pub new: Option<Value>,
}

/// All differences.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// In this order: manifest, rules, data, each by path.
    pub changes: Vec<Change>,
}

impl Changes {
    /// Compares two bundles; signatures, comments and white space at the ends of lines do not count.
    ///
    /// # Errors
    ///
    /// When one of them does not load or its Rego does not parse.
    pub fn between(old: Files, new: Files) -> Result<Self, BuildError> {
        let load = |mut files: Files| {
            files.retain(|path| path != SIGNATURES);
            loaded(&files)
        };
        let (old, new) = (load(old)?, load(new)?);
        let mut changes = Self::default();
        changes.values("manifest", "", Some(&manifest(&old)), Some(&manifest(&new)));
        let (old_rules, mut new_rules) = (rules(&old)?, rules(&new)?);
        for (path, text) in old_rules {
            let there = new_rules.remove(&path).map(Value::from);
            changes.value("rule", &path, Some(&Value::from(text)), there.as_ref());
        }
        for (path, text) in new_rules {
            changes.value("rule", &path, None, Some(&Value::from(text)));
        }
        let rank = |change: &Change| (change.what != "manifest", change.path.clone());
        changes.changes.sort_by_key(rank);
        let data = |bundle: &Bundle| Value::Object(bundle.data().clone());
        changes.values("data", "", Some(&data(&old)), Some(&data(&new)));
        Ok(changes)
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let one = |change: &Change| {
            json!({
                "change": change.kind.name(), "what": change.what, "path": change.path,
                "old": change.old, "new": change.new,
            })
        };
        json!({ "changes": self.changes.iter().map(one).collect::<Vec<_>>() })
    }

    /// For people.
    #[must_use]
    pub fn table(&self, colours: bool) -> String {
        if self.is_empty() {
            return "no differences\n".to_owned();
        }
        let mut out = String::new();
        for change in &self.changes {
            let (sign, colour) = change.kind.sign();
            let shown = |value: &Option<Value>| match value {
                // A rule's text takes lines of its own: `--format json` has it.
                Some(value) if change.what != "rule" => Some(printable(&shortened(&value.to_string(), 40))),
                _ => None,
            };
            let values = match (shown(&change.old), shown(&change.new)) {
                (Some(old), Some(new)) => format!("  {old} → {new}"),
                (Some(value), None) | (None, Some(value)) => format!("  {value}"),
                (None, None) => String::new(),
            };
            let line = format!("{sign} {}  {}{values}", padded(change.what, 9), printable(&change.path));
            out.push_str(&if colours {
                format!("\u{1b}[{colour}m{line}\u{1b}[0m\n")
            } else {
                format!("{line}\n")
            });
        }
        out
    }

    /// Compares objects member by member and arrays of one length item by item; everything else as a whole.
    fn values(&mut self, what: &'static str, pointer: &str, old: Option<&Value>, new: Option<&Value>) {
        match (old, new) {
            (Some(Value::Object(old)), Some(Value::Object(new))) => {
                let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
                for name in names {
                    let inside = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
                    let what = if what == "data" { part(&inside) } else { what };
                    self.values(what, &inside, old.get(name), new.get(name));
                }
            }
            (Some(Value::Array(old)), Some(Value::Array(new))) if old.len() == new.len() => {
                for (at, (old, new)) in old.iter().zip(new).enumerate() {
                    self.values(what, &format!("{pointer}/{at}"), Some(old), Some(new));
                }
            }
            (old, new) => self.value(what, pointer, old, new),
        }
    }

    fn value(&mut self, what: &'static str, path: &str, old: Option<&Value>, new: Option<&Value>) {
        let kind = match (old, new) {
            (None, Some(_)) => Kind::Added,
            (Some(_), None) => Kind::Removed,
            (old, new) if old != new => Kind::Changed,
            _ => return,
        };
        self.changes.push(Change { kind, what, path: path.to_owned(), old: old.cloned(), new: new.cloned() });
    }
}

/// What the data at a pointer is to Remit.
fn part(pointer: &str) -> &'static str {
    let is_in =
        |top: &str| pointer.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match () {
        () if is_in("/remit/catalog") => "catalog",
        () if is_in("/remit/registry") => "registry",
        () if is_in("/remit/revoked") => "kill list",
        () => "data",
    }
}

fn manifest(bundle: &Bundle) -> Value {
    let mut roots = bundle.roots().to_vec();
    roots.sort();
    json!({
        "revision": bundle.revision(),
        "roots": roots,
        "rego_version": if bundle.rego_version() == RegoVersion::V0 { 0 } else { 1 },
        "metadata": bundle.metadata().cloned().unwrap_or_default(),
    })
}

/// The text of all definitions of each rule, and of the imports of each package.
fn rules(bundle: &Bundle) -> Result<BTreeMap<String, String>, BuildError> {
    let mut rules: BTreeMap<String, String> = BTreeMap::new();
    for module in bundle.modules() {
        let parsed =
            rego::parse(module).map_err(|message| BuildError::Refused(Refused::told(vec![message])))?;
        let package = parsed.package;
        if !parsed.imports.is_empty() {
            rules.entry(format!("data.{package} (imports)")).or_default().push_str(&parsed.imports);
        }
        for (name, text) in parsed.definitions {
            rules.entry(format!("data.{package}.{name}")).or_default().push_str(&text);
        }
    }
    Ok(rules)
}
