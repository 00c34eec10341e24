//! Builds, demonstrates, tests and measures Remit.

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};
use xtask::bench::{self, Rows};
use xtask::{build_wasm, builtins, fuzz, playground, rego_fuzz, test, tidy};

const HELP: &str = "\
Builds, demonstrates, tests and measures Remit.

Usage: cargo xtask <TASK>

Tasks:
  demo             build the filter and replay the scenario `forum post` through it
  test             everything: format, lints, house rules, unit, Rego and end-to-end tests
  build-wasm       build the filter for wasm32-wasip1, getting the target where it is missing
  envoy            run the filter in a real Envoy and print curl lines to try; Ctrl-C ends it
  bench [--floor | --only TEXT]
                   what the filter adds to a request, compared; --floor: only what any filter adds; --only: rows
                   whose name contains the text
  builtins         play OPA's own cases and write policy-bundles/BUILTINS.md
  layout           record what a request runs through: the module's functions, in order, and their branches
  tidy             check the house rules
  rego-fuzz [--cases N] [--seed N]
                   compare generated policies with OPA, 10000 of them
  fuzz [--seconds N]
                   feed the core's entrances with mutated input, 20 s each
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
        ["demo"] => test::demo(),
        ["test"] => test::test(),
        ["envoy"] => playground::run(),
        ["bench"] => bench::run(Rows::All),
        ["bench", "--floor"] => bench::run(Rows::Floor),
        ["bench", "--only", text] => bench::run(Rows::Named(text)),
        ["build-wasm"] => build_wasm::build_within_bounds(),
        ["builtins"] => builtins::write(),
        ["layout"] => bench::record_layout(),
        ["tidy"] => tidy::tidy(),
        ["rego-fuzz", settings @ ..] => rego_fuzz::run(settings),
        ["fuzz"] => fuzz::run(fuzz::DEFAULT_SECONDS),
        ["fuzz", "--seconds", seconds] => fuzz::run(seconds.parse()?),
        ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        [] => bail!("which task?\n\n{HELP}"),
        _ => bail!("`cargo xtask {}` is not known\n\n{HELP}", arguments.join(" ")),
    }
}
