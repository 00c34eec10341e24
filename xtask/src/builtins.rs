//! `cargo xtask builtins`: plays OPA's own cases and writes what they say about each builtin.

use anyhow::{Context, Result};

use crate::workspace;

/// Writes `policy-bundles/BUILTINS.md`.
///
/// # Errors
/// When a case differs from OPA.
pub fn write() -> Result<()> {
    let mut test = workspace::cargo();
    test.args(["test", "--quiet", "--package", "remit-tests", "--test", "opa_cases", "--", "--nocapture"])
        .env("REMIT_WRITE_BUILTINS", "1");
    workspace::run(&mut test).context("Remit and OPA differ; the cases are above")
}
