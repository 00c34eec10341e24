//! `cargo xtask test`: everything that must hold, step by step. `cargo xtask demo`: the product's main job.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::{build_wasm, fuzz, go, scenario, tidy, workspace};

/// A step: what the summary calls it, and what it does.
type Step = (&'static str, fn() -> Result<()>);

/// Quick ones first; the module before what needs it.
const STEPS: [Step; 7] = [
    ("format", format),
    ("tidy", tidy::tidy),
    ("build wasm", build_wasm::build_within_bounds),
    ("clippy", clippy),
    ("unit tests", unit_tests),
    ("Rego tests", rego_tests),
    ("scenarios, parity, Envoy", end_to_end_tests),
];

/// Runs every step, also after a failed one, and ends with a table of them.
///
/// # Errors
/// When a step has failed.
pub fn test() -> Result<()> {
    let mut results = Vec::new();
    for (number, (name, step)) in (1..).zip(STEPS) {
        println!("\n== {number}/{}: {name}", STEPS.len());
        let begun = Instant::now();
        let result = step();
        if let Err(error) = &result {
            println!("failed: {error:#}");
        }
        results.push((name, result.is_ok(), begun.elapsed()));
    }
    println!("\n{}", summary(&results));
    match results.iter().filter(|(_, passed, _)| !passed).count() {
        0 => Ok(()),
        failed => bail!("{failed} of {} steps failed", results.len()),
    }
}

/// Builds the filter and replays the scenario through it.
///
/// # Errors
/// When something does not build, or a decision is not the expected one.
pub fn demo() -> Result<()> {
    // Beside the module, whose last minute of linking leaves a core idle. Its own progress would be in the way.
    let mut harness = workspace::cargo().args(["build", "--quiet", "--package", "remit-harness"]).spawn()?;
    let module = build_wasm::build()?;
    if harness.try_wait()?.is_none() {
        println!("The `remit` command is still being built, which can take some minutes the first time.");
    }
    if !harness.wait()?.success() {
        bail!("the harness does not build");
    }
    let mut remit = scenario::remit()?;
    remit.args(["replay", scenario::SCENARIO, "--bundle", scenario::BUNDLE, "--wasm"]).arg(module);
    println!();
    workspace::run(&mut remit)
}

fn format() -> Result<()> {
    workspace::run(workspace::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    // The fuzz targets are no part of the workspace, and need more than a fresh machine has.
    fuzz::is_locked()?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    build_wasm::clippy()
}

fn unit_tests() -> Result<()> {
    held_against_originals(&["test", "--workspace", "--exclude", "remit-tests"])
}

/// Each shipped bundle by itself, every line of it.
fn rego_tests() -> Result<()> {
    let mut failed = Vec::new();
    for bundle in bundles(&workspace::root().join("policy-bundles"))? {
        println!("{}", bundle.display());
        let mut remit = scenario::remit()?;
        let run = workspace::run(remit.args(["test", "--coverage", "--threshold", "100"]).arg(&bundle));
        failed.extend(run.err().map(|_| bundle.display().to_string()));
    }
    if failed.is_empty() { Ok(()) } else { bail!("{}", failed.join(", ")) }
}

/// The folders below one that have a manifest, sorted.
fn bundles(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.join(".manifest").is_file() {
            found.push(path);
        } else if path.is_dir() {
            found.append(&mut bundles(&path)?);
        }
    }
    found.sort();
    Ok(found)
}

fn end_to_end_tests() -> Result<()> {
    held_against_originals(&["test", "--package", "remit-tests", "--no-fail-fast"])
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let mut command: Command = workspace::cargo();
    workspace::run(command.args(arguments))
}

/// Tests that compare with OPA and Regal find them by their variables.
fn held_against_originals(arguments: &[&str]) -> Result<()> {
    let mut command: Command = workspace::cargo();
    let variables = go::variables().iter().map(|(name, path)| (name, path));
    workspace::run(command.args(arguments).envs(variables))
}

fn summary(results: &[(&str, bool, Duration)]) -> String {
    let lines: Vec<_> = results
        .iter()
        .map(|(name, passed, took)| {
            format!("{} {name:26} {:>7.1} s", if *passed { "ok    " } else { "FAILED" }, took.as_secs_f64())
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{bundles, summary};
    use crate::workspace;

    #[test]
    fn every_shipped_bundle_is_tested() {
        let root = workspace::root().join("policy-bundles");
        let found = bundles(&root).unwrap();
        let found: Vec<_> =
            found.iter().map(|path| path.strip_prefix(&root).unwrap().to_str().unwrap()).collect();
        let expected = [
            "agent-baseline",
            "mcp-starter",
            "opa-envoy-compat/decision-object",
            "opa-envoy-compat/quick-start",
            "opa-envoy-compat/request-body",
            "red-team/expectations",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn each_step_has_a_line() {
        let results =
            [("tidy", true, Duration::from_millis(1250)), ("clippy", false, Duration::from_secs(60))];
        let expected =
            "ok     tidy                           1.2 s\nFAILED clippy                        60.0 s";
        assert_eq!(summary(&results), expected);
    }
}
