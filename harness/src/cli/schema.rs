//! `remit schema`.

use anyhow::Result;
use clap::Args;
use remit_harness::schema;

use super::{AlwaysJson, Ending, print};

#[derive(Debug, Args)]
#[command(after_help = "\
With OPA's type checker: remit schema input > input.schema.json; opa check --schema input.schema.json my-bundle")]
pub(super) struct Arguments {
    /// Of what
    #[arg(value_enum)]
    of: Of,
    #[command(flatten)]
    _format: AlwaysJson,
}

/// What has a JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    /// The input that policies see
    Input,
    /// The plugin configuration
    Config,
    /// What a policy may answer
    Decision,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    print(&match arguments.of {
        Of::Input => schema::input(),
        Of::Config => schema::config(),
        Of::Decision => schema::decision(),
    })?;
    Ok(Ending::Good)
}
