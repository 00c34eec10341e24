//! Builds, demonstrates, tests and measures Remit.

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};
use xtask::{build_wasm, tidy};

const HELP: &str = "\
Builds, demonstrates, tests and measures Remit.

Usage: cargo xtask <TASK>

Tasks:
  build-wasm  build the filter for wasm32-wasip1, getting the target where it is missing
  tidy        check the house rules
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The arguments are few enough to be read by hand, which keeps `cargo xtask` quick to build.
fn run(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["build-wasm"] => build_wasm::build().map(drop),
        ["tidy"] => tidy::tidy(),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [] => bail!("which task?\n\n{HELP}"),
        _ => bail!("`cargo xtask {}` is not known\n\n{HELP}", arguments.join(" ")),
    }
}
