//! `remit eval`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use remit_core::config::Limits;
use remit_core::ids::Now;
use remit_core::json;
use remit_core::policy::Surroundings;
use remit_harness::check::packed;
use remit_harness::eval::{Evaluation, Subject};
use remit_harness::replay::{Native, replay};
use remit_harness::scenario::{Overrides, Scenario};
use serde_json::Value;

use super::{Ending, print, style};

/// The nesting of an input that is read, as much as the filter's own may have.
const DEPTH: usize = 128;
/// Where the decision is unless it is said.
pub(super) const DECISION: &str = "remit/authz/decision";

/// In which form results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Pretty,
    /// The value alone, as JSON on one line.
    Raw,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The input is a file, or what the filter would have asked the policy about a request of a capture: the exchanges before it
are played first, so that approvals are as they were.

Exit status: 0 if the rule has a value, whatever it is; 2 if it is undefined, in conflict or over its budget, or if
something cannot be read.")]
pub(super) struct Arguments {
    /// Folder of a scenario, or a capture
    #[arg(requires = "exchange", conflicts_with = "input")]
    scenario: Option<PathBuf>,
    /// The request of the capture, by its id
    #[arg(long, value_name = "ID", requires = "scenario")]
    exchange: Option<String>,
    /// A document as policies see it, see `remit schema input`; - for standard input
    #[arg(short, long, value_name = "FILE", required_unless_present = "scenario", requires = "bundle")]
    input: Option<PathBuf>,
    /// Folder or archive of a bundle; several are merged [default: what scenario.json names]
    #[arg(short, long, value_name = "DIR|FILE")]
    bundle: Vec<PathBuf>,
    /// Plugin configuration [default: config.json beside the capture]
    #[arg(long, value_name = "FILE", requires = "scenario")]
    config: Option<PathBuf>,
    /// The rule, as a/b or data.a.b [default: the configuration's decision, or remit/authz/decision]
    #[arg(long, value_name = "PATH")]
    decision: Option<String>,
    /// List the definitions that held, and the defaults that stood in, with their values
    #[arg(long)]
    explain: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
}

impl Arguments {
    pub(super) fn is_for_programs(&self) -> bool {
        matches!(self.format, Format::Json)
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    let evaluation = match (&arguments.scenario, &arguments.input) {
        (Some(scenario), _) => of_exchange(arguments, scenario)?,
        (None, Some(input)) => {
            let input = read(input)?;
            let decision = arguments.decision.as_deref().unwrap_or(DECISION);
            let subject = Subject::new(&packed(&arguments.bundle)?, decision, Limits::default(), None)?;
            subject.evaluate(&input, Surroundings::at(present()), arguments.explain)?
        }
        (None, None) => return Err(anyhow!("nothing to evaluate: name an input, or a capture")),
    };
    match arguments.format {
        Format::Pretty => print(&evaluation.text(style()))?,
        Format::Raw => print(&format!("{}\n", evaluation.value))?,
        Format::Json => print(&format!("{:#}\n", evaluation.to_json()))?,
    }
    Ok(Ending::Good)
}

/// What the policy is asked about a request of a capture, and what it says.
fn of_exchange(arguments: &Arguments, path: &Path) -> Result<Evaluation> {
    let id = arguments.exchange.as_deref().unwrap_or_default();
    let overrides = Overrides {
        bundles: arguments.bundle.clone(),
        config: arguments.config.clone(),
        ..Overrides::default()
    };
    let mut scenario = Scenario::load_with(path, &overrides)?;
    let exchanges = &mut scenario.capture.exchanges;
    let at = exchanges.iter().position(|exchange| exchange.id == id);
    let at = at.ok_or_else(|| anyhow!("{}: there is no exchange {id:?}", path.display()))?;
    exchanges.truncate(at.saturating_add(1));
    let archive = scenario.bundle().map(<[u8]>::to_vec);
    let archive = archive.ok_or_else(|| anyhow!("{}: name the bundle with --bundle", path.display()))?;
    let mut native = Native::new(&scenario.plugin_config(), 0)?;
    let played = replay(&mut scenario, &mut native)?.exchanges.pop();
    let played = played.ok_or_else(|| anyhow!("nothing was replayed"))?;
    let not_sent = played.observed.fault.is_some();
    let asked = native.asked().filter(|_| !not_sent).and_then(remit_core::policy::Document::to_json);
    let input = asked.ok_or_else(|| {
        anyhow!("exchange {id}: the policy is not asked, the request ends before; see `remit replay`")
    })?;
    let config = &native.engine().config;
    let decision = arguments.decision.as_deref().unwrap_or(&config.decision);
    let http_send = config.builtins.http_send.clone();
    let subject = Subject::new(&archive, decision, config.limits, http_send)?;
    subject.evaluate(&input, native.engine().surroundings(played.time), arguments.explain)
}

pub(super) fn read(path: &Path) -> Result<Value> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).with_context(name)?;
    } else {
        bytes = std::fs::read(path).with_context(name)?;
    }
    json::parse(&bytes, DEPTH).with_context(name)
}

pub(super) fn present() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}
