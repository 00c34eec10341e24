//! `remit replay`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use remit_core::ids::Now;
use remit_harness::capture::Response;
use remit_harness::host::{Module, ModuleOptions};
use remit_harness::replay::changes::{Comparison, Reasons, Side};
use remit_harness::replay::{
    Document, Native, Observed, Replay, Subject, Wasm, WasmOptions, WireRequest, replay,
};
use remit_harness::scenario::{Overrides, Scenario};

use super::progress::Progress;
use super::{Ending, Format, print, style, write};

/// The file that the filter is built into.
const FILTER: &str = "remit_filter.wasm";

#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 if every decision is as the capture expects; 1 if one is not; 2 if something cannot be read or run.
With --against: 0 if no request changes; 1 if one does; 2 as above. What the capture expects does not matter then.")]
pub(super) struct Arguments {
    /// Folder of a scenario, or a capture
    scenario: PathBuf,
    /// Folder or archive of a bundle; several are merged [default: what scenario.json names]
    #[arg(long, value_name = "DIR|FILE")]
    bundle: Vec<PathBuf>,
    /// Plugin configuration [default: config.json beside the capture]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The filter's module [default: REMIT_WASM, else beside this command or where the build leaves it]
    #[arg(long, value_name = "FILE", conflicts_with = "native")]
    wasm: Option<PathBuf>,
    /// Replay under this bundle too, and tell which requests come out differently; several are merged
    #[arg(long, value_name = "DIR|FILE", conflicts_with = "repeat")]
    against: Vec<PathBuf>,
    /// Write a report as one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write JUnit XML: what is not as expected, or with --against what changes, has failed
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Run the pipeline natively instead of in the module
    #[arg(long)]
    native: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    pub(super) format: Format,
    /// Replay several times, each time afresh; latencies are medians
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    repeat: u16,
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    let overrides = Overrides {
        bundles: arguments.bundle.clone(),
        config: arguments.config.clone(),
        ..Overrides::default()
    };
    let mut scenario = Scenario::load_with(&arguments.scenario, &overrides)?;
    let module = if arguments.native { None } else { Some(module(arguments.wasm.as_deref())?) };
    if !arguments.against.is_empty() {
        return compare(arguments, &mut scenario, module.as_ref());
    }
    let mut replays = Vec::new();
    for seed in 0..u64::from(arguments.repeat) {
        replays.push(once(&mut scenario, module.as_ref(), seed, "")?);
    }
    let replay = Replay::merged(replays).ok_or_else(|| anyhow!("nothing was replayed"))?;
    report(arguments, || replay.html(), || replay.junit())?;
    match arguments.format {
        Format::Table => print(&replay.table(style()))?,
        Format::Json => print(&format!("{:#}\n", replay.to_json()))?,
    }
    Ok(if replay.is_as_expected() { Ending::Good } else { Ending::Bad })
}

/// The same requests under the bundle and under the one of `--against`.
fn compare(arguments: &Arguments, scenario: &mut Scenario, module: Option<&Module>) -> Result<Ending> {
    let named = |paths: &[PathBuf]| {
        let names: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        names.join(" + ")
    };
    let old =
        if arguments.bundle.is_empty() { "the scenario's own".to_owned() } else { named(&arguments.bundle) };
    let old = side(scenario, module, old, "old")?;
    scenario.replace_bundle(&arguments.against)?;
    let new = side(scenario, module, named(&arguments.against), "new")?;
    let comparison = Comparison::of(old, new);
    report(arguments, || comparison.html(), || comparison.junit())?;
    match arguments.format {
        Format::Table => print(&comparison.table(style()))?,
        Format::Json => print(&format!("{:#}\n", comparison.to_json()))?,
    }
    Ok(if comparison.is_unchanged() { Ending::Good } else { Ending::Bad })
}

fn side(scenario: &mut Scenario, module: Option<&Module>, bundle: String, what: &str) -> Result<Side> {
    let reasons = scenario.bundle().map(Reasons::of).unwrap_or_default();
    let replay = once(scenario, module, 0, what).with_context(|| format!("the {what} bundle"))?;
    Ok(Side { replay, bundle, reasons })
}

/// Writes the files that were asked for.
fn report(
    arguments: &Arguments,
    html: impl FnOnce() -> String,
    junit: impl FnOnce() -> String,
) -> Result<()> {
    if let Some(path) = &arguments.html {
        write(path, &html())?;
    }
    if let Some(path) = &arguments.junit {
        write(path, &junit())?;
    }
    Ok(())
}

fn once(scenario: &mut Scenario, module: Option<&Module>, seed: u64, what: &str) -> Result<Replay> {
    let config = scenario.plugin_config();
    let all = scenario.capture.exchanges.len();
    let subject: Box<dyn Subject> = match module {
        None => Box::new(Native::new(&config, seed)?),
        Some(module) => {
            let options = WasmOptions { start: scenario.capture.start, seed, ..WasmOptions::default() };
            Box::new(Wasm::new(module, &config, &options)?)
        }
    };
    let what =
        if what.is_empty() { "replaying".to_owned() } else { format!("replaying under the {what} bundle") };
    replay(scenario, &mut Watched { subject, what, done: 0, all, progress: Progress::new() })
}

/// A subject, and a terminal that is told how far it is.
struct Watched {
    subject: Box<dyn Subject>,
    what: String,
    done: usize,
    all: usize,
    progress: Progress,
}

impl Subject for Watched {
    fn name(&self) -> &str {
        self.subject.name()
    }

    fn clock(&self, captured: Now) -> Now {
        self.subject.clock(captured)
    }

    fn serve(&mut self, documents: Vec<Document>) {
        self.subject.serve(documents);
    }

    fn carry(&mut self, request: &WireRequest, response: &Response, now: Now) -> Result<Observed> {
        self.done = self.done.saturating_add(1);
        self.progress.tell(|| format!("{}: {} of {} requests", self.what, self.done, self.all));
        self.subject.carry(request, response, now)
    }
}

fn module(named: Option<&Path>) -> Result<Module> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => find().ok_or_else(|| {
            anyhow!("the filter is not built: run `cargo xtask build-wasm`, name it with --wasm, or replay with --native")
        })?,
    };
    let options = ModuleOptions { cache: cache(), interruptible: true, ..ModuleOptions::default() };
    Module::load(&path, &options).with_context(|| format!("{} is not usable", path.display()))
}

/// Beside this command, or in the target folder that it was built into.
fn find() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("REMIT_WASM") {
        return Some(PathBuf::from(path));
    }
    let folder = std::env::current_exe().ok()?.parent()?.to_owned();
    let built = Path::new("wasm32-wasip1/release").join(FILTER);
    let candidates = [Some(folder.join(FILTER)), folder.parent().map(|target| target.join(built))];
    candidates.into_iter().flatten().find(|path| path.is_file())
}

/// Compiling the module takes seconds, so what came of it is kept.
fn cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    cache.map(|cache| cache.join("remit"))
}
