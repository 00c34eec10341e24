//! `remit test`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use remit_harness::rego_test::{Counts, Suite, json, text};

use super::{Ending, Format, print};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Folders of bundles, with their tests
    #[arg(required = true, value_name = "DIR")]
    roots: Vec<PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Show the tests that passed, too
    #[arg(short, long)]
    verbose: bool,
    /// How long one test may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u32,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    let suite = Suite::load(&arguments.roots, Duration::from_secs(u64::from(arguments.timeout)))?;
    let results = suite.run();
    match arguments.format {
        Format::Table => print(&text(&results, arguments.verbose))?,
        Format::Json => print(&format!("{:#}\n", json(&results)))?,
    }
    Ok(if Counts::of(&results).is_success() { Ending::Good } else { Ending::Bad })
}
