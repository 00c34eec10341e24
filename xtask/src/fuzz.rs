//! `cargo xtask fuzz`: libFuzzer on the entrances of the core, on the stable toolchain.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Seconds for each target unless asked for.
pub const DEFAULT_SECONDS: u32 = 20;

const TARGETS: [&str; 10] =
    ["json", "yaml", "delta", "compact", "claims", "evidence", "key_set", "proof", "status_list", "config"];

/// What libFuzzer needs in the code: counters of edges, and what is compared. No sanitizer, which needs a nightly.
const INSTRUMENTED: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg fuzzing",
];

/// Builds the targets and runs each for so many seconds, also after one that failed. What was found so far is kept in
/// the target folder and built upon; an input that fails is kept beside it.
///
/// # Errors
/// When the targets do not build (a C++ compiler is needed), or one finds something.
pub fn run(seconds: u32) -> Result<()> {
    let host = host()?;
    let folder = workspace::target_dir().join("fuzz");
    let mut build = workspace::cargo();
    build
        .current_dir(workspace::root().join("filter/core/fuzz"))
        .args(["build", "--release", "--locked", "--target", &host, "--target-dir"])
        .arg(&folder)
        .env("RUSTFLAGS", INSTRUMENTED.join(" "))
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    workspace::run(&mut build).context("the fuzz targets do not build; they need a C++ compiler")?;
    let binaries = folder.join(host).join("release");
    let found: Vec<&str> =
        TARGETS.into_iter().filter(|target| !holds(target, &binaries, &folder, seconds)).collect();
    if !found.is_empty() {
        bail!("found by {}: see the `found` folders in {}", found.join(", "), folder.display());
    }
    println!("{} targets, {seconds} s each: nothing found.", TARGETS.len());
    Ok(())
}

/// Whether the lock of the targets, which are a workspace of their own, still fits what the core needs.
///
/// # Errors
/// When it does not.
pub fn is_locked() -> Result<()> {
    let mut metadata = workspace::cargo();
    metadata.current_dir(workspace::root().join("filter/core/fuzz")).args([
        "metadata",
        "--quiet",
        "--locked",
        "--format-version",
        "1",
    ]);
    let fits = workspace::output(&mut metadata).map(|_| ());
    fits.context("filter/core/fuzz/Cargo.lock does not fit: `cargo update --workspace` in its folder mends one that is old")
}

/// Runs a target; says on standard error why it does not hold.
fn holds(target: &str, binaries: &Path, folder: &Path, seconds: u32) -> bool {
    println!("\n== {target}");
    let outcome = fuzz(target, binaries, &folder.join("inputs").join(target), seconds);
    if let Err(error) = &outcome {
        eprintln!("{target}: {error:#}");
    }
    outcome.is_ok()
}

fn fuzz(target: &str, binaries: &Path, own: &Path, seconds: u32) -> Result<()> {
    let [corpus, seeds, found] = ["corpus", "seeds", "found"].map(|name| own.join(name));
    for folder in [&corpus, &seeds, &found] {
        fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    }
    let mut command = Command::new(binaries.join(target));
    command
        .env("REMIT_FUZZ_SEEDS", &seeds)
        .arg(format!("-max_total_time={seconds}"))
        .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-verbosity=0", "-print_final_stats=1"])
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args([&corpus, &seeds]);
    workspace::run(&mut command)
}

/// The triple of this machine: a target that is named keeps the flags away from build scripts and macros.
fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = workspace::output(Command::new(rustc).arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_run() {
        let binaries = workspace::root().join("filter/core/fuzz/src/bin");
        let mut there: Vec<String> = fs::read_dir(binaries)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        there.sort();
        let mut run = TARGETS.to_vec();
        run.sort_unstable();
        assert_eq!(there, run);
    }
}
