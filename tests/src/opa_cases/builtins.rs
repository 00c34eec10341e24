//! OPA's builtins: which of them Remit serves, and how many of OPA's cases vouch for each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use remit_core::bundle::{Bundle, BundleLimits};
use remit_core::policy::{Policy, PolicyError, PolicyLimits, Refusal};
use serde_json::{Value, json};

use super::read::Case;

/// Builtins that take a zone, of which Remit has no database.
const ZONED: [&str; 6] =
    ["time.add_date", "time.clock", "time.date", "time.diff", "time.format", "time.weekday"];

/// How many cases that agree call a builtin.
pub type Passed = BTreeMap<String, usize>;

/// A builtin of OPA, as its `capabilities.json` lists it.
#[derive(Debug, Clone)]
pub struct Builtin {
    name: String,
    arity: usize,
}

/// The committed table.
#[must_use]
pub fn file() -> PathBuf {
    xtask::workspace::root().join("policy-bundles/BUILTINS.md")
}

/// OPA's builtins without operators and without what only its compiler calls.
///
/// # Errors
/// When OPA's list is not beside its cases, or not of the known form.
pub fn builtins(cases: &Path) -> Result<Vec<Builtin>> {
    let root = cases.ancestors().nth(4).context("OPA's own folder")?;
    let text = std::fs::read_to_string(root.join("capabilities.json"))?;
    let list: Value = serde_json::from_str(&text)?;
    let all = list.get("builtins").and_then(Value::as_array).context("no builtins")?;
    let mut builtins = Vec::new();
    for builtin in all {
        let name = builtin.get("name").and_then(Value::as_str).context("no name")?;
        if builtin.get("infix").is_none() && !name.starts_with("internal.") {
            let arguments = builtin.pointer("/decl/args").and_then(Value::as_array);
            builtins.push(Builtin { name: name.to_owned(), arity: arguments.map_or(0, Vec::len) });
        }
    }
    Ok(builtins)
}

/// OPA's version, from the folder of its cases.
#[must_use]
pub fn version(cases: &Path) -> String {
    let root = cases.ancestors().nth(4).and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    root.split_once('@').map_or("", |(_, version)| version).to_owned()
}

/// Counts a case for every builtin that it calls.
pub fn count(case: &Case, builtins: &[Builtin], passed: &mut Passed) {
    for Builtin { name, .. } in builtins {
        let calls = |text: &String| {
            text.match_indices(&format!("{name}(")).any(|(at, _)| {
                let before = text.get(..at).and_then(|before| before.chars().last());
                !before.is_some_and(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'))
            })
        };
        if case.modules.iter().chain([&case.query]).any(calls) {
            let count = passed.entry(name.clone()).or_default();
            *count = count.saturating_add(1);
        }
    }
}

impl Builtin {
    /// What the filter does with a call of it whose arguments come with the request.
    fn served(&self) -> String {
        let arguments: Vec<String> = (0..self.arity).map(|i| format!("input.a{i}")).collect();
        let call = format!("{}({})", self.name, arguments.join(", "));
        let policy = format!("package p\n\ndecision := {{\"v\": v}} if {{ v := {call} }}\n");
        let files = [
            (".manifest", json!({"rego_version": 1}).to_string().into_bytes()),
            ("p.rego", policy.into_bytes()),
        ];
        let Ok(bundle) = Bundle::from_files(files, &BundleLimits::default()) else {
            return "refused at load".to_owned();
        };
        match Policy::compile(&bundle, "p/decision", &PolicyLimits::default()) {
            Ok(_) if ZONED.contains(&self.name.as_str()) => {
                "served with the zones UTC and Etc/GMT±n".to_owned()
            }
            Ok(_) => "served".to_owned(),
            Err(PolicyError::Builtin { refusal: Refusal::Unbounded, .. }) => {
                "served with small constant arguments only".to_owned()
            }
            Err(PolicyError::Builtin { refusal: Refusal::Old { .. }, .. }) => {
                "served in Rego v0 alone, as in OPA".to_owned()
            }
            Err(_) if self.name == "http.send" => "served where the operator allows the host".to_owned(),
            Err(_) => "refused at load".to_owned(),
        }
    }
}

/// The table.
#[must_use]
pub fn table(version: &str, builtins: &[Builtin], passed: &Passed) -> String {
    let mut rows = String::new();
    let mut served = 0_usize;
    for builtin in builtins {
        let how = builtin.served();
        served = served.saturating_add(usize::from(how.starts_with("served")));
        let cases = passed.get(&builtin.name).copied().unwrap_or_default();
        let cases = if cases == 0 { String::new() } else { cases.to_string() };
        let _ = writeln!(rows, "| `{}` | {how} | {cases} |", builtin.name);
    }
    format!(
        "# Builtins\n\nWritten by `cargo xtask builtins`; not to be edited. Of the {} builtins of OPA {version}, \
         operators aside, {served} are served.\nThe number is that of OPA's own conformance cases that call the \
         builtin and agree: on both evaluators, and in the\nmodule. What is refused is refused when the bundle \
         loads, with file and line.\n\n| builtin | here | cases |\n|---|---|---|\n{rows}",
        builtins.len(),
    )
}
