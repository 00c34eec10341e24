//! `remit check`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use remit_core::json;
use remit_harness::check::{Subject, check};
use remit_harness::lint::{Finding, lint};
use remit_harness::schema;
use remit_harness::text::{padded, printable};
use serde_json::{Value, json};

use super::{Ending, Format, failure, print, style};

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").args(["config", "bundle", "schema"]).required(true).multiple(true))]
pub(super) struct Arguments {
    /// Plugin configuration
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder or archive of a bundle, in place of the configuration's; several are merged
    #[arg(short, long, value_name = "DIR|FILE")]
    bundle: Vec<PathBuf>,
    /// Path of the decision, where there is no configuration to give it
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    decision: Option<String>,
    /// Look closer at the bundle: what OPA's strict mode finds, references to what no input has, comparisons that are
    /// never true, missing METADATA, a decision that can be undefined; any of it ends with status 1
    #[arg(long, requires = "bundle")]
    strict: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Print a JSON Schema instead; see also `remit schema`
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
    let lines = match check(&subject) {
        Ok(lines) => lines,
        Err(error) => {
            super::report(&error);
            if arguments.format == Format::Json {
                let mut failure = failure(&error);
                if let Value::Object(members) = &mut failure {
                    members.insert("remit_check".to_owned(), json!(1));
                }
                print(&format!("{failure:#}\n"))?;
            }
            return Ok(Ending::Bad);
        }
    };
    let findings = if arguments.strict { findings(arguments)? } else { Vec::new() };
    match arguments.format {
        Format::Table => {
            let text = |(name, text): (&str, String)| format!("{}  {}\n", padded(name, 12), printable(&text));
            print(&lines.into_iter().map(text).collect::<String>())?;
            print(&told(arguments, &findings))?;
        }
        Format::Json => {
            let in_force: Vec<_> =
                lines.into_iter().map(|(name, text)| json!({"what": name, "is": text})).collect();
            let findings: Vec<_> = findings.iter().map(Finding::to_json).collect();
            print(&format!("{:#}\n", json!({"remit_check": 1, "in_force": in_force, "findings": findings})))?;
        }
    }
    Ok(if findings.is_empty() { Ending::Good } else { Ending::Bad })
}

fn findings(arguments: &Arguments) -> Result<Vec<Finding>> {
    let configured = arguments.config.as_ref().map(|path| -> Result<Option<String>> {
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        let config = json::parse(&text, 32).with_context(|| path.display().to_string())?;
        Ok(config.get("decision").and_then(Value::as_str).map(str::to_owned))
    });
    let decision = arguments.decision.clone().or(configured.transpose()?.flatten());
    Ok(lint(&arguments.bundle, decision.as_deref().unwrap_or("remit/authz/decision"))?)
}

fn told(arguments: &Arguments, findings: &[Finding]) -> String {
    let style = style();
    let mut out = String::new();
    for finding in findings {
        let place = format!("{}:{}:{}", finding.file, finding.row, finding.column);
        let code = style.paint("33", finding.code.as_str());
        let (message, remedy) = (printable(&finding.message), printable(&finding.remedy));
        out.push_str(&format!("\n{}: {code}\n  {message}\n  {remedy}\n", printable(&place)));
    }
    match findings.len() {
        0 if arguments.strict => out.push_str("\nnothing found\n"),
        0 => {}
        1 => out.push_str("\n1 finding\n"),
        count => out.push_str(&format!("\n{count} findings\n")),
    }
    out
}
