//! `remit check`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use remit_harness::check::{Subject, check};
use remit_harness::schema;
use remit_harness::text::{padded, printable};

use super::{Ending, print};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").args(["config", "bundle", "schema"]).required(true).multiple(true))]
pub(super) struct Arguments {
    /// Plugin configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder or archive of a bundle, in place of the configuration's; several are merged
    #[arg(long, value_name = "DIR|FILE")]
    bundle: Vec<PathBuf>,
    /// Path of the decision, where there is no configuration to give it
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    decision: Option<String>,
    /// Print a JSON Schema instead
    #[arg(long, value_enum, conflicts_with_all = ["config", "bundle", "decision"])]
    schema: Option<Schema>,
}

/// What has a JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Schema {
    /// The plugin configuration.
    Config,
    /// The input that policies see.
    Input,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    if let Some(schema) = arguments.schema {
        print(&match schema {
            Schema::Config => schema::config(),
            Schema::Input => schema::input(),
        })?;
        return Ok(Ending::Good);
    }
    let subject = Subject {
        config: arguments.config.clone(),
        bundles: arguments.bundle.clone(),
        decision: arguments.decision.clone(),
    };
    match check(&subject) {
        Ok(lines) => {
            let text = |(name, text): (&str, String)| format!("{}  {}\n", padded(name, 12), printable(&text));
            print(&lines.into_iter().map(text).collect::<String>())?;
            Ok(Ending::Good)
        }
        Err(error) => {
            super::report(&error);
            Ok(Ending::Bad)
        }
    }
}
