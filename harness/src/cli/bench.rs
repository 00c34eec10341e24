//! `remit bench`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use remit_harness::bench::benchmark;
use remit_harness::check::packed;

use super::eval::{DECISION, present, read};
use super::{Ending, Format, print, style};

#[derive(Debug, Args)]
#[command(after_help = "\
Each rule is compiled as an entry of its own, with all that it needs: rules that share others add up to more than the whole.
A rule that is undefined is evaluated once more by the interpreter, as in the filter.

Exit status: 0 if the decision could be measured; 2 if it could not, or if something cannot be read.")]
pub(super) struct Arguments {
    /// Folder or archive of a bundle; several are merged
    #[arg(long, value_name = "DIR|FILE", required = true)]
    bundle: Vec<PathBuf>,
    /// A document as policies see it, - for standard input; several are measured together
    #[arg(long, value_name = "FILE", required = true)]
    input: Vec<PathBuf>,
    /// The decision, as a/b or data.a.b
    #[arg(long, value_name = "PATH", default_value = DECISION)]
    decision: String,
    /// How often each rule runs on each input
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    runs: u32,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    let inputs = arguments.input.iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
    let measured =
        benchmark(&packed(&arguments.bundle)?, &arguments.decision, &inputs, arguments.runs, present())?;
    match arguments.format {
        Format::Table => print(&measured.text(style()))?,
        Format::Json => print(&format!("{:#}\n", measured.to_json()))?,
    }
    Ok(Ending::Good)
}
