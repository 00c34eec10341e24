//! `remit replay`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::Args;
use remit_harness::host::{Module, ModuleOptions};
use remit_harness::replay::report::Style;
use remit_harness::replay::{Native, Replay, Wasm, WasmOptions, replay};
use remit_harness::scenario::{Overrides, Scenario};

use super::{Ending, Format, colours, print};

/// The file that the filter is built into.
const FILTER: &str = "remit_filter.wasm";

#[derive(Debug, Args)]
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
    /// Run the pipeline natively instead of in the module
    #[arg(long)]
    native: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
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
    let mut replays = Vec::new();
    for seed in 0..u64::from(arguments.repeat) {
        replays.push(once(&mut scenario, module.as_ref(), seed)?);
    }
    let replay = Replay::merged(replays).ok_or_else(|| anyhow!("nothing was replayed"))?;
    match arguments.format {
        Format::Table => print(&replay.table(Style { colours: colours() }))?,
        Format::Json => print(&format!("{:#}\n", replay.to_json()))?,
    }
    Ok(if replay.is_as_expected() { Ending::Good } else { Ending::Bad })
}

fn once(scenario: &mut Scenario, module: Option<&Module>, seed: u64) -> Result<Replay> {
    let config = scenario.plugin_config();
    match module {
        None => replay(scenario, &mut Native::new(&config, seed)?),
        Some(module) => {
            let options = WasmOptions { start: scenario.capture.start, seed, ..WasmOptions::default() };
            replay(scenario, &mut Wasm::new(module, &config, &options)?)
        }
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
