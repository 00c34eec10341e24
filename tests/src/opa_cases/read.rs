//! Where OPA's cases are, and what one of them says.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The version whose cases are fetched where Go's cache has none.
const OPA: &str = "github.com/open-policy-agent/opa@v1.22.0";

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder below `testdata`, such as `v1/aggregates`.
    pub group: String,
    /// Its name; of the whole suite no two are alike in one version.
    pub note: String,
    /// Whether its modules are Rego from before OPA 1.0.
    pub is_v0: bool,
    /// The query.
    pub query: String,
    /// The modules.
    pub modules: Vec<String>,
    /// The data.
    pub data: Value,
    /// The input as JSON.
    pub input: Option<Value>,
    /// The input as a Rego term.
    pub input_term: Option<String>,
    /// One object of bindings for each answer.
    pub want_result: Option<Vec<Value>>,
    /// Whether there is an answer.
    pub want_defined: Option<bool>,
    /// The kind of the error, such as `eval_conflict_error`.
    pub want_error_code: Option<String>,
    /// The error's message, in part.
    pub want_error: Option<String>,
    /// Whether arrays in the answers have no order.
    pub sort_bindings: bool,
    /// Whether the error is one of OPA's strict mode only.
    pub strict_error: bool,
}

/// The folder of the cases, fetched by Go if need be; `None` without Go or without the module.
#[must_use]
pub fn folder() -> Option<PathBuf> {
    let newest = || {
        let cache = go(&["env", "GOMODCACHE"])?;
        let opas = Path::new(cache.trim()).join("github.com/open-policy-agent");
        let mut found: Vec<PathBuf> = std::fs::read_dir(opas).ok()?.flatten().map(|at| at.path()).collect();
        found.retain(|at| at.join("v1/test/cases/testdata").is_dir());
        found.sort_by_key(|at| version(at));
        found.pop().map(|at| at.join("v1/test/cases/testdata"))
    };
    newest().or_else(|| {
        go(&["mod", "download", "-json", OPA])?;
        newest()
    })
}

fn go(arguments: &[&str]) -> Option<String> {
    let output = Command::new("go").args(arguments).current_dir(std::env::temp_dir()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn version(at: &Path) -> Vec<u32> {
    let name = at.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let version = name.split_once("@v").map_or("", |(_, version)| version);
    version.split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

/// All cases, in the order of their files.
///
/// # Errors
///
/// A file that cannot be read, or is not of the form that this reader knows.
pub fn cases(folder: &Path) -> Result<Vec<Case>> {
    let mut files = Vec::new();
    walk(folder, &mut files)?;
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let below = file.strip_prefix(folder)?.parent().unwrap_or(Path::new("")).display().to_string();
        let document: Value =
            serde_saphyr::from_str(&text).with_context(|| format!("{} is no YAML", file.display()))?;
        let listed = document.get("cases").and_then(Value::as_array);
        for case in listed.with_context(|| format!("{} has no cases", file.display()))? {
            cases.push(case_of(&below, case).with_context(|| file.display().to_string())?);
        }
    }
    Ok(cases)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|ending| ending == "yaml") {
            files.push(path);
        }
    }
    Ok(())
}

fn case_of(group: &str, case: &Value) -> Result<Case> {
    let known = [
        "note",
        "query",
        "modules",
        "data",
        "input",
        "input_term",
        "want_defined",
        "want_result",
        "want_error_code",
        "want_error",
        "sort_bindings",
        "ignore_generated_vars",
        "strict_error",
    ];
    for field in case.as_object().context("a case is no object")?.keys() {
        if !known.contains(&field.as_str()) {
            bail!("unknown field {field}");
        }
    }
    let text = |name: &str| case.get(name).and_then(Value::as_str).map(str::to_owned);
    let flag = |name: &str| case.get(name).and_then(Value::as_bool);
    let list = |name: &str| case.get(name).and_then(Value::as_array);
    let present = |name: &str| case.get(name).filter(|value| !value.is_null()).cloned();
    Ok(Case {
        group: group.to_owned(),
        note: text("note").context("no note")?,
        is_v0: group.starts_with("v0"),
        query: text("query").context("no query")?,
        modules: list("modules")
            .map(|modules| modules.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect())
            .unwrap_or_default(),
        data: present("data").unwrap_or_else(|| Value::Object(serde_json::Map::new())),
        input: case.get("input").cloned(),
        input_term: text("input_term"),
        want_result: list("want_result").cloned(),
        want_defined: flag("want_defined"),
        want_error_code: text("want_error_code"),
        want_error: text("want_error"),
        sort_bindings: flag("sort_bindings").unwrap_or(false),
        strict_error: flag("strict_error").unwrap_or(false),
    })
}
