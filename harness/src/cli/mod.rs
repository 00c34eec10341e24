//! What the command line says, and how the command ends.

mod bench;
mod bundle;
mod check;
mod eval;
mod inventory;
mod key_file;
mod progress;
mod replay;
mod scenario;
mod schema;
mod test;
mod token;

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use remit_harness::bundles::BuildError;
use remit_harness::refused::Refused;
use remit_harness::rego::RegoError;
use remit_harness::table::Style;
use remit_harness::text::printable;
use serde_json::{Value, json};

/// Replays recorded traffic, tests and checks policies, and mints development tokens, for the Remit filter.
#[derive(Debug, Parser)]
#[command(name = "remit", version, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay a scenario or a capture through the filter, and compare the decisions with the expected ones
    Replay(replay::Arguments),
    /// Run the Rego unit tests of bundles
    Test(test::Arguments),
    /// Evaluate the decision of a bundle on an input, and say which rules decided
    Eval(eval::Arguments),
    /// Measure how long the decision of a bundle and each of its rules take
    Bench(bench::Arguments),
    /// Check a configuration and a bundle, and say what would be in force
    Check(check::Arguments),
    /// Build, sign, verify, inspect and compare bundles, and carry them to a registry and back
    Bundle(Box<bundle::Arguments>),
    /// List the agents, principals, operations and credentials of logs and captures, and what should not be
    Inventory(inventory::Arguments),
    /// Print a JSON Schema: of the policies' input, of their decision, of the configuration
    Schema(schema::Arguments),
    /// Print what it takes to play a scenario against a running filter: configuration, requests and tokens
    Scenario(scenario::Arguments),
    /// Mint development tokens and approvals
    Token(Box<token::Arguments>),
}

/// How a command ends when nothing went wrong with the command itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// All is as it should be: status 0.
    Good,
    /// What was asked is not so: an expectation, a test, a check. Status 1.
    Bad,
    /// A status of the command's own.
    Status(u8),
}

impl Command {
    /// Whether programs read what the command says.
    fn is_for_programs(&self) -> bool {
        let format = match self {
            Self::Replay(arguments) => arguments.format,
            Self::Test(arguments) => return arguments.is_for_programs(),
            Self::Eval(arguments) => return arguments.is_for_programs(),
            Self::Bench(arguments) => arguments.format,
            Self::Check(arguments) => arguments.format,
            Self::Bundle(arguments) => arguments.format(),
            Self::Inventory(arguments) => arguments.format,
            Self::Schema(_) | Self::Scenario(_) | Self::Token(_) => Format::Table,
        };
        format == Format::Json
    }
}

/// Runs the command. Status 2 is for bad usage and bad input, as with clap.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let is_for_programs = cli.command.is_for_programs();
    let ending = match cli.command {
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Bundle(arguments) => bundle::run(&arguments),
        Command::Inventory(arguments) => inventory::run(&arguments),
        Command::Scenario(arguments) => scenario::run(&arguments),
        Command::Schema(arguments) => schema::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
    };
    match ending {
        Ok(Ending::Good) => ExitCode::SUCCESS,
        Ok(Ending::Bad) => ExitCode::from(1),
        Ok(Ending::Status(status)) => ExitCode::from(status),
        Err(error) => {
            report(&error);
            if is_for_programs {
                // As with `report`.
                let _ = print(&format!("{:#}\n", failure(&error)));
            }
            ExitCode::from(2)
        }
    }
}

/// The error and its causes, each on its own line.
fn report(error: &anyhow::Error) {
    let text = format!("error: {}\n", lines(error).join("\n  "));
    // There is nobody left to tell when this fails.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Some errors name their cause themselves; it is not repeated.
fn lines(error: &anyhow::Error) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let texts = refused(cause).map_or_else(|| vec![cause.to_string()], Refused::lines);
        for text in texts.iter().map(|text| printable(text)) {
            if !lines.last().is_some_and(|line| line.contains(&text)) {
                lines.push(text);
            }
        }
    }
    lines
}

/// The error for programs: as one text, and the problems of Rego one by one.
fn failure(error: &anyhow::Error) -> Value {
    match error.chain().find_map(refused) {
        Some(refused) => json!({"error": refused.to_string(), "problems": refused.to_json()}),
        None => json!({"error": lines(error).join(": ")}),
    }
}

fn refused<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a Refused> {
    let of_files = match cause.downcast_ref() {
        Some(RegoError::Refused(refused)) => Some(refused),
        _ => None,
    };
    let of_build = match cause.downcast_ref() {
        Some(BuildError::Refused(refused)) => Some(refused),
        _ => None,
    };
    cause.downcast_ref().or(of_files).or(of_build)
}

/// Writes to standard output. A reader that goes away, as `head` does, is not an error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether what is printed may have colours.
fn colours() -> bool {
    let is_off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    !is_off && std::io::stdout().is_terminal()
}

/// Writes a report to a file.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| path.display().to_string())
}

/// Colours are for terminals, and for those who have not said no (<https://no-color.org>).
fn style() -> Style {
    Style { colours: colours() }
}

/// In which form results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// For commands that print nothing but JSON.
#[derive(Debug, clap::Args)]
struct AlwaysJson {
    /// Form of the output, which is JSON whether this is said or not
    #[arg(long, value_enum, default_value_t)]
    format: OnlyJson,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum OnlyJson {
    /// For programs.
    #[default]
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn command_lines_are_read() {
        for (line, is_good) in [
            ("replay tests/scenarios/forum-post", true),
            ("replay a --bundle b --bundle c --config d --wasm e --format json --repeat 3", true),
            ("replay a --native --wasm b", false),
            ("replay a --repeat 0", false),
            ("replay a --bundle b --against c --against d --html e --junit f --native", true),
            ("replay a --against c --repeat 2", false),
            ("replay", false),
            ("test a b -v --format json", true),
            ("test a.rego d.json -r x -c --threshold 99.5 -z --fail-on-empty -f junit", true),
            ("test a --threshold 5", false),
            ("test a -c --threshold 101", false),
            ("test", false),
            ("check --config a --bundle b", true),
            ("check --schema config", true),
            ("check --schema input", true),
            ("check --schema other", false),
            ("check --bundle a --strict --format json", true),
            ("check --config a --strict", false),
            ("eval --bundle a --input - --explain --format raw --decision data.a.b", true),
            ("eval a --exchange b --bundle c --config d --format json", true),
            ("eval a", false),
            ("eval --input a", false),
            ("eval a --exchange b --input c", false),
            ("bench --bundle a --input b --input c --decision p/q --runs 5 --format json", true),
            ("bench --bundle a --input b --runs 0", false),
            ("bench --bundle a", false),
            ("schema input --format json", true),
            ("schema input", true),
            ("schema decision", true),
            ("schema other", false),
            ("check", false),
            (
                "inventory a - --bundle b --max-lifetime 60 --fail-on unregistered,long-lived --format json",
                true,
            ),
            ("inventory a --fail-on everything", false),
            ("inventory", false),
            ("scenario a --bundle b --bundle c --algorithm EdDSA --tokens 3 --keys d", true),
            ("scenario a --format json", true),
            ("scenario a --algorithm none", false),
            ("scenario", false),
            ("token --issuer i --key k --sub s --aud a", true),
            (
                "token --issuer i --new-key k --alg EdDSA --sub s --aud a --act x --act y --claims {} --lifetime 5",
                true,
            ),
            ("token --issuer i --key k --new-key l --sub s --aud a", false),
            ("token --issuer i --new-key k --sub s --aud a", false),
            ("token --sub s", false),
            ("token keys --key k --format json", true),
            ("token --issuer i --key k --sub s --aud a --format json", true),
            ("token approval --challenge - --key k --approver m --issuer i", true),
            ("token approval --key k", false),
            ("token vectors", true),
            ("token vectors --seed 7", true),
            ("token vectors --seed x", false),
            (
                "bundle build a b -o c -r 1 --ignore *.md,x --signing-key k --signing-alg ES256 --scope write",
                true,
            ),
            ("bundle build", false),
            ("bundle sign a --signing-key k --claims-file c -o .", true),
            (
                "bundle verify a --verification-key k --verification-key-id i --scope s --exclude-files-verify x",
                true,
            ),
            ("bundle verify a", false),
            ("bundle verify a --verification-key k --signing-alg none", false),
            ("bundle inspect a -f json", true),
            ("bundle diff a b --format json", true),
            ("bundle diff a", false),
            ("bundle build a --format json", true),
            ("bundle sign a --signing-key k --format json", true),
            ("bundle push localhost:5000/a/b:1 c --plain-http --format json", true),
            ("bundle push b", false),
            ("bundle pull r.example/a:1 -o c --max-bytes 5", true),
        ] {
            let parsed = Cli::try_parse_from(std::iter::once("remit").chain(line.split(' ')));
            assert_eq!(parsed.is_ok(), is_good, "{line}");
        }
    }
}
