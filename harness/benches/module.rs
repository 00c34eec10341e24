//! The module in the harness: what an evaluation takes once it is hot, and how many requests a second a replay makes.
//!
//! `REMIT_ENGINES` names a JSON file with `headers`, `body` and a plugin configuration for each evaluator, `REMIT_MODULE` the
//! module; prints lines of a name and a number. `cargo xtask bench` makes the file; without it there is nothing to measure.
//! `REMIT_TRACED` in place of the module names one that says what a request runs through (`cargo xtask layout`): prints the names that it
//! gives to functions and ways of branches, in order.

use std::env;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use remit_core::ids::Now;
use remit_harness::capture::Response;
use remit_harness::host::{MetricValue, Module, ModuleOptions};
use remit_harness::replay::{Subject, Wasm, WasmOptions, WireRequest};
use serde_json::Value;

/// Requests a round; the fastest of the rounds counts, because nothing makes a round faster than it is.
const REQUESTS: u32 = 50;
const ROUNDS: usize = 100;

/// How long replays run side by side.
const REPLAYED: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    let (Some(document), Some(module)) =
        (env::var_os("REMIT_ENGINES"), env::var_os("REMIT_MODULE").or_else(|| env::var_os("REMIT_TRACED")))
    else {
        println!("skipped: REMIT_ENGINES and REMIT_MODULE name no files; run `cargo xtask bench`");
        return Ok(());
    };
    let document: Value = serde_json::from_slice(&std::fs::read(document)?)?;
    if env::var_os("REMIT_MODULE").is_none() {
        return trace(Path::new(&module), &document);
    }
    let load = |interruptible| {
        Module::load(Path::new(&module), &ModuleOptions { interruptible, ..ModuleOptions::default() })
    };
    let request = request(&document)?;
    let uninterrupted = load(false)?;
    let fastest = |evaluator, remembered| -> Result<f64> {
        fastest(&uninterrupted, &configuration(&document, evaluator, remembered)?, &request)
    };
    let known = fastest("bytecode", 64)?;
    for evaluator in ["bytecode", "interpreter"] {
        println!("{evaluator} {:.2}", fastest(evaluator, 0)? - known);
    }
    // As `remit replay` runs it.
    let (module, configuration) = (load(true)?, configuration(&document, "bytecode", 0)?);
    for cores in [1, 2] {
        println!("replays-{cores} {:.0}", replays(&module, &configuration, &request, cores)?);
    }
    Ok(())
}

/// What the module says in gauges that begin with `f`, the lowest first, after a request that is evaluated and one whose token and
/// decision it knows.
fn trace(module: &Path, document: &Value) -> Result<()> {
    let module = Module::load(module, &ModuleOptions::default())?;
    let mut subject = start(&module, &configuration(document, "bytecode", 64)?)?;
    for _ in 0..2 {
        carry(&mut subject, &request(document)?)?;
    }
    let gauges = subject.vm().world().metrics().into_iter();
    let mut ran: Vec<_> = gauges
        .filter_map(|(name, value)| match value {
            MetricValue::Gauge(place) if name.starts_with('f') => Some((place, name)),
            _ => None,
        })
        .collect();
    ran.sort();
    for (_, name) in ran {
        println!("{name}");
    }
    Ok(())
}

fn request(document: &Value) -> Result<WireRequest> {
    let headers: Vec<(String, String)> =
        serde_json::from_value(document.get("headers").context("no headers")?.clone())?;
    let pseudo = |name: &str| -> Result<String> {
        let found = headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.clone());
        found.with_context(|| format!("no {name}"))
    };
    let body = document.get("body").and_then(Value::as_str).context("no body")?;
    Ok(WireRequest {
        method: pseudo(":method")?,
        scheme: pseudo(":scheme")?,
        authority: pseudo(":authority")?,
        path: pseudo(":path")?,
        headers: headers.iter().filter(|(name, _)| !name.starts_with(':')).cloned().collect(),
        body: body.as_bytes().to_vec(),
    })
}

/// With this many decisions remembered, and time enough on a busy machine.
fn configuration(document: &Value, evaluator: &str, remembered: u64) -> Result<String> {
    let mut configuration = document.get(evaluator).context("no configuration")?.clone();
    let object = configuration.as_object_mut().context("the configuration is no object")?;
    let limits = object.entry("limits").or_insert_with(|| Value::Object(serde_json::Map::new()));
    let limits = limits.as_object_mut().context("/limits is no object")?;
    limits.insert("decision_cache_entries".to_owned(), remembered.into());
    limits.insert("evaluation_ms".to_owned(), 1000.into());
    Ok(configuration.to_string())
}

fn now() -> Result<Now> {
    Ok(Now(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?))
}

fn start(module: &Module, configuration: &str) -> Result<Wasm> {
    Wasm::new(module, configuration, &WasmOptions { start: now()?, ..WasmOptions::default() })
}

/// One request; how long its callbacks took.
fn carry(subject: &mut Wasm, request: &WireRequest) -> Result<Duration> {
    let observed = subject.carry(request, &Response { status: 200, ..Response::default() }, now()?)?;
    if observed.forwarded.is_none() {
        bail!("not forwarded: {observed:?}");
    }
    Ok(observed.added)
}

/// Microseconds in the callbacks of one request, in the fastest round.
fn fastest(module: &Module, configuration: &str, request: &WireRequest) -> Result<f64> {
    let mut subject = start(module, configuration)?;
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let mut round = Duration::ZERO;
        for _ in 0..REQUESTS {
            round = round.saturating_add(carry(&mut subject, request)?);
        }
        best = best.min(round);
    }
    Ok(best.as_secs_f64() * 1e6 / f64::from(REQUESTS))
}

/// Requests a second, each with its own evaluation, on so many threads.
fn replays(module: &Module, configuration: &str, request: &WireRequest, threads: usize) -> Result<f64> {
    let run = || -> Result<f64> {
        let mut subject = start(module, configuration)?;
        carry(&mut subject, request)?;
        let (begun, mut requests) = (Instant::now(), 0_u32);
        while begun.elapsed() < REPLAYED {
            carry(&mut subject, request)?;
            requests = requests.saturating_add(1);
        }
        Ok(f64::from(requests) / begun.elapsed().as_secs_f64())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("a replay panicked"))?).sum()
    })
}
