//! `remit inventory`.

use std::fs::File;
use std::io::{BufReader, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use remit_harness::check::packed;
use remit_harness::inventory::{Facts, Inventory, Kind, Source};

use super::{Ending, Format, print};

/// How often a terminal is told how far it is.
const TELL_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
#[command(after_help = "\
Reads the audit lines of the proxy's log or of a JSON access log (not both: each record would count twice) and captures;
other lines of a log are passed over. Give --bundle to hold agents against its registry and captures against its catalog.

Exit status: 0; 1 if there is a finding of a kind that --fail-on names; 2 if something cannot be read.")]
pub(super) struct Arguments {
    /// Logs and captures; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Folder or archive of a bundle with catalog and registry; several are merged
    #[arg(long, value_name = "DIR|FILE")]
    bundle: Vec<PathBuf>,
    /// How long a token may live
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    max_lifetime: u64,
    /// Kinds of findings that end with status 1, with commas between
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind())]
    fail_on: Vec<Kind>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

fn kind() -> impl clap::builder::TypedValueParser<Value = Kind> {
    PossibleValuesParser::new(Kind::ALL.map(Kind::as_str)).map(|name| {
        // Only these names get here.
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name).unwrap_or(Kind::Malformed)
    })
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    let facts = match arguments.bundle.as_slice() {
        [] => Facts::default(),
        sources => Facts::of_bundle(&packed(sources)?)?,
    };
    let mut inventory = Inventory::default();
    let is_told = std::io::stderr().is_terminal();
    let mut told = Instant::now();
    let mut any = false;
    for path in &arguments.files {
        let name = path.display().to_string();
        let mut progress = |lines: u64| {
            if is_told && lines.is_multiple_of(1024) && told.elapsed() > TELL_EVERY {
                told = Instant::now();
                any = true;
                // Progress that cannot be shown is not missed.
                let _ = write!(std::io::stderr(), "\r\u{1b}[K{name}: {lines} lines");
            }
        };
        let mut content: BufReader<Box<dyn std::io::Read>> = BufReader::new(match name.as_str() {
            "-" => Box::new(std::io::stdin().lock()),
            _ => Box::new(File::open(path).with_context(|| name.clone())?),
        });
        let source = Source { name: &name, content: &mut content };
        inventory.read(source, &facts, &mut progress).with_context(|| name.clone())?;
    }
    if any {
        let _ = write!(std::io::stderr(), "\r\u{1b}[K");
    }
    let lifetime = arguments.max_lifetime;
    match arguments.format {
        Format::Table => print(&inventory.table(&facts, lifetime))?,
        Format::Json => print(&format!("{:#}\n", inventory.to_json(&facts, lifetime)))?,
    }
    let findings = inventory.findings(&facts, lifetime);
    let fails = findings.iter().any(|finding| arguments.fail_on.contains(&finding.kind));
    Ok(if fails { Ending::Bad } else { Ending::Good })
}
