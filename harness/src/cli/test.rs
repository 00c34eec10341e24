//! `remit test`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use remit_harness::rego_test::{Counts, Suite, covered, json, junit, text};

use super::progress::Progress;
use super::{Ending, failure, print, report, style};

/// In which form results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Pretty,
    /// For programs, as OPA writes it.
    Json,
    /// For CI systems.
    Junit,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A folder or an archive is read as a bundle, its tests included; .rego and .json files are taken as they are.

Exit status, as with `opa test`: 0 if every test passes; 2 if one fails, breaks off or is skipped, or too few lines are
covered; 1 if something cannot be read.")]
pub(super) struct Arguments {
    /// Folders and archives of bundles, .rego and .json files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
    /// Show the tests that passed, too
    #[arg(short, long)]
    verbose: bool,
    /// Only tests whose whole name, such as data.a_test.test_x, matches
    #[arg(short, long, value_name = "REGEX")]
    run: Option<String>,
    /// Say which lines the tests reach
    #[arg(short, long)]
    coverage: bool,
    /// How many percent of the lines they have to reach
    #[arg(long, value_name = "PERCENT", requires = "coverage", value_parser = percent)]
    threshold: Option<f64>,
    /// Skipped tests are fine
    #[arg(short = 'z', long)]
    exit_zero_on_skipped: bool,
    /// No tests are not
    #[arg(long)]
    fail_on_empty: bool,
    /// How long one test may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u32,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("from 0 to 100".to_owned()) }
}

impl Arguments {
    pub(super) fn is_for_programs(&self) -> bool {
        matches!(self.format, Format::Json)
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    match tested(arguments) {
        Ok(ending) => Ok(ending),
        Err(error) => {
            report(&error);
            if arguments.is_for_programs() {
                print(&format!("{:#}\n", failure(&error)))?;
            }
            Ok(Ending::Status(1))
        }
    }
}

fn tested(arguments: &Arguments) -> Result<Ending> {
    let mut suite = Suite::load(&arguments.paths, Duration::from_secs(u64::from(arguments.timeout)))?;
    if let Some(pattern) = &arguments.run {
        suite.choose(pattern)?;
    }
    let all = suite.count();
    if all == 0 && arguments.fail_on_empty {
        bail!("no tests were run");
    }
    let mut progress = Progress::new();
    let ran = suite.run(&mut |done| progress.tell(|| format!("testing: {done} of {all}")));
    drop(progress);
    let counts = Counts::of(&ran.results);
    let is_too_little = arguments.threshold.is_some_and(|least| ran.coverage.percent() < least);
    match arguments.format {
        Format::Json if arguments.coverage => print(&format!("{:#}\n", covered(&ran)))?,
        Format::Json => print(&format!("{:#}\n", json(&ran.results)))?,
        Format::Junit => {
            print(&junit(&ran.results, arguments.coverage.then_some(&ran.coverage)))?;
        }
        Format::Pretty => {
            print(&text(&ran.results, arguments.verbose, style()))?;
            if arguments.coverage {
                print(&format!("\n{}", ran.coverage.table(style())))?;
            }
        }
    }
    if let (Some(least), true) = (arguments.threshold, is_too_little) {
        let percent = ran.coverage.percent();
        report(&anyhow::anyhow!("coverage is {percent:.2} %, and at least {least:.2} % are asked for"));
    }
    let has_skipped = counts.skipped > 0 && !arguments.exit_zero_on_skipped;
    let is_good = counts.is_success() && !has_skipped && !is_too_little;
    Ok(if is_good { Ending::Good } else { Ending::Status(2) })
}
