//! OPA itself, for what a case does not say.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;
use xtask::go::OPA;

use super::outcome::Outcome;
use super::read::Case;

/// The `opa` command.
#[derive(Debug, Clone)]
pub struct Opa(PathBuf);

/// OPA, found or built; else says why the caller skips.
#[must_use]
pub fn opa() -> Option<Opa> {
    OPA.find_or_skip().map(Opa)
}

impl Opa {
    /// The command itself.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.0
    }

    /// What OPA makes of a case's own modules, data and input, without its strict mode.
    ///
    /// # Errors
    ///
    /// When it does not run, or answers in a form that is not its own.
    pub fn ask(&self, case: &Case, folder: &std::path::Path) -> Result<Outcome> {
        std::fs::create_dir_all(folder)?;
        let mut command = Command::new(&self.0);
        command.args(["eval", "--format", "json"]);
        if case.is_v0 {
            command.arg("--v0-compatible");
        }
        for (i, module) in case.modules.iter().enumerate() {
            let path = folder.join(format!("m{i}.rego"));
            std::fs::write(&path, module)?;
            command.arg("--data").arg(path);
        }
        let data = folder.join("data.json");
        std::fs::write(&data, case.data.to_string())?;
        command.arg("--data").arg(data);
        let input = folder.join("input.json");
        std::fs::write(&input, case.input.as_ref().map_or_else(|| "{}".to_owned(), Value::to_string))?;
        command.arg("--input").arg(input);
        let mut query = match case.plain() {
            Some((term, _)) => term.to_owned(),
            None => case.query.clone(),
        };
        if let Some(term) = &case.input_term {
            query = format!("{query} with input as {term}");
        }
        command.arg(query);
        let output = command.output().context("opa does not run")?;
        let answer: Value = serde_json::from_slice(&output.stdout)
            .with_context(|| format!("opa on {}: {}", case.note, String::from_utf8_lossy(&output.stderr)))?;
        Ok(outcome(&answer, case))
    }
}

fn outcome(answer: &Value, case: &Case) -> Outcome {
    if let Some(errors) = answer.get("errors").and_then(Value::as_array) {
        let code = |code: &str| errors.iter().any(|error| error.get("code").is_some_and(|at| at == code));
        return if code("eval_conflict_error") {
            Outcome::Conflict
        } else {
            Outcome::Error(Value::Array(errors.clone()).to_string())
        };
    }
    let Some(results) = answer.get("result").and_then(Value::as_array) else {
        return match case.plain() {
            Some(_) => Outcome::Undefined,
            None => Outcome::Value(Value::Array(Vec::new())),
        };
    };
    if case.plain().is_none() {
        let bindings =
            results.iter().map(|result| result.get("bindings").cloned().unwrap_or(serde_json::json!({})));
        return Outcome::Value(bindings.collect());
    }
    let value = results.first().and_then(|result| result.pointer("/expressions/0/value"));
    Outcome::Value(value.cloned().unwrap_or_default())
}
