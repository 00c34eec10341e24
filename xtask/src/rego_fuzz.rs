//! `cargo xtask rego-fuzz`: generated policies on both evaluators and on OPA.

use anyhow::{Context, Result, bail};

use crate::workspace;

const CASES: u64 = 10_000;

/// Compares so many policies of a seed.
///
/// # Errors
/// When a setting is not known, or a policy decides differently from OPA.
pub fn run(settings: &[&str]) -> Result<()> {
    let (mut cases, mut seed) = (CASES, 1_u64);
    for setting in settings.chunks(2) {
        match setting {
            ["--cases", number] => cases = number.parse()?,
            ["--seed", number] => seed = number.parse()?,
            other => bail!("`{}` is not a setting of rego-fuzz", other.join(" ")),
        }
    }
    let mut test = workspace::cargo();
    test.args(["test", "--quiet", "--package", "remit-tests", "--test", "rego_fuzz", "--", "--nocapture"])
        .env("REMIT_FUZZ_CASES", cases.to_string())
        .env("REMIT_FUZZ_SEED", seed.to_string());
    workspace::run(&mut test).context("Remit and OPA differ; the policies are above")
}
