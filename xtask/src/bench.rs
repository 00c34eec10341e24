//! `cargo xtask bench`: what a filter adds to a request, side by side in one run on one worker.

mod load;
mod process;
mod subject;
mod table;

use std::io::Write;

use anyhow::{Context, Result};

use crate::playground::Folder;
use crate::scenario::{self, Call, Setup};
use crate::{build_wasm, upstream};
use load::Requests;
use subject::{Filter, Running, Subject};
use table::{Row, UNIT, median, spread};

/// Short rounds over all subjects, many of them: what disturbs the machine disturbs some rounds, not the median.
const ROUNDS: usize = 31;

/// Enough to keep one worker busy.
const CONNECTIONS: usize = 4;

/// Requests a round, but for tokens that are seen once.
const PER_ROUND: usize = 1500;

/// Requests a round with a new token each: minting them takes time.
const PER_ROUND_UNCACHED: usize = 100;

/// Sent before the first round.
const WARM_UP: usize = 400;

/// The length of the body.
const BODY: usize = 2048;

/// Further workers in the second measurement of memory.
const FURTHER_WORKERS: u32 = 4;

/// Measures every subject, or only what any filter costs, and prints the table.
///
/// # Errors
/// When a part cannot be built or started, or a request is not answered with 200.
pub fn run(only_floor: bool) -> Result<()> {
    let mut subjects = floor()?;
    if !only_floor {
        subjects.extend(remit()?);
    }
    let folder = Folder::create("bench")?;
    let upstream = upstream::start()?;

    println!("Starting {} Envoys with one worker each.", subjects.len());
    let mut measured = Vec::new();
    for (index, subject) in subjects.iter().enumerate() {
        let running = subject.start(&index.to_string(), &folder.0, upstream.port, 1)?;
        load::run(running.port, &subject.requests, WARM_UP, CONNECTIONS)
            .with_context(|| format!("failed to warm up {}", subject.name))?;
        measured.push(Measured { subject, running, rounds: Vec::new() });
    }
    for round in 1..=ROUNDS {
        print!("\rRound {round} of {ROUNDS}.");
        std::io::stdout().flush()?;
        for one in &mut measured {
            one.measure()?;
        }
    }
    let mut rows = Vec::new();
    let base = measured.first().context("no subjects")?;
    let base_workers = base.worker_megabytes(&folder, upstream.port)?;
    for one in &measured {
        let workers = one.worker_megabytes(&folder, upstream.port)?;
        rows.push(one.row(base, workers - base_workers)?);
    }
    println!(
        "\n{} requests of {BODY} bytes a round, medians of {ROUNDS} rounds, against no filter:\n",
        PER_ROUND
    );
    print!("{}", table::render(&rows));
    Ok(())
}

/// What any filter costs. No filter is the first: the others are compared with it.
fn floor() -> Result<Vec<Subject>> {
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: forum.internal.example\r\nauthorization: Bearer {:x<900}\r\n\
         content-type: application/json\r\naccept: application/json\r\ncontent-length: {BODY}\r\n\r\n{:BODY$}",
        "", "{}"
    );
    let subject = |name: &str, filter| Subject {
        name: name.to_owned(),
        filter,
        requests: Requests::new(vec![request.clone().into_bytes()]),
        per_round: PER_ROUND,
    };
    let wat = |text: &str| -> Result<Filter> {
        Ok(Filter::Wasm { module: wat::parse_str(text)?, configuration: String::new() })
    };
    Ok(vec![
        subject("no filter", Filter::None),
        subject(UNIT, wat(include_str!("../bench/empty.wat"))?),
        subject("empty, reads headers and body", wat(include_str!("../bench/reading.wat"))?),
    ])
}

/// Remit on the scenario's first `tools/call`.
fn remit() -> Result<Vec<Subject>> {
    let module = std::fs::read(build_wasm::build()?)?;
    let filter =
        |setup: &Setup| Filter::Wasm { module: module.clone(), configuration: setup.configuration.clone() };
    let total = ROUNDS.saturating_mul(PER_ROUND_UNCACHED).saturating_add(WARM_UP);
    let mut subjects = Vec::new();
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        println!("Minting {total} tokens with {algorithm}.");
        let setup = scenario::scenario_setup(algorithm, total)?;
        if subjects.is_empty() {
            subjects.push(Subject {
                name: "Remit, cached token".to_owned(),
                filter: filter(&setup),
                requests: Requests::new(vec![measured_call(&setup)?.bytes(BODY, None)]),
                per_round: PER_ROUND,
            });
        }
        subjects.push(uncached(algorithm, &setup, filter(&setup))?);
    }
    Ok(subjects)
}

fn measured_call(setup: &Setup) -> Result<&Call> {
    let is_tool_call = |call: &&Call| call.body.contains("tools/call");
    setup.calls.iter().find(is_tool_call).context("the scenario has no tools/call to measure")
}

/// Each request with a token of its own, so that each has its signature checked.
fn uncached(algorithm: &str, setup: &Setup, filter: Filter) -> Result<Subject> {
    let call = setup
        .calls
        .iter()
        .find(|call| call.body.contains("tools/call"))
        .context("no tools/call to measure")?;
    let requests = setup.tokens.iter().map(|token| call.bytes(BODY, Some(token))).collect();
    Ok(Subject {
        name: format!("Remit, new token, {algorithm}"),
        filter,
        requests: Requests::new(requests),
        per_round: PER_ROUND_UNCACHED,
    })
}

/// A subject and what was measured of it so far.
struct Measured<'a> {
    subject: &'a Subject,
    running: Running,
    /// Per request: CPU microseconds of the proxy, elapsed microseconds.
    rounds: Vec<(f64, f64)>,
}

impl Measured<'_> {
    fn measure(&mut self) -> Result<()> {
        let count = self.subject.per_round;
        let pid = self.running.envoy.id();
        let before = process::cpu_micros(pid)?;
        let elapsed = load::run(self.running.port, &self.subject.requests, count, CONNECTIONS)
            .with_context(|| format!("failed to measure {}", self.subject.name))?;
        let requests = f64::from(u32::try_from(count)?);
        let cpu = (process::cpu_micros(pid)? - before) / requests;
        self.rounds.push((cpu, elapsed.as_secs_f64() * 1e6 / requests));
        Ok(())
    }

    /// Compared round by round: what disturbed one round disturbed its neighbour.
    fn row(&self, base: &Self, worker_megabytes: f64) -> Result<Row> {
        let pairs = || self.rounds.iter().zip(&base.rounds);
        let added: Vec<f64> = pairs().map(|(own, base)| own.0 - base.0).collect();
        let megabytes = |one: &Self| process::resident_megabytes(one.running.envoy.id());
        Ok(Row {
            name: self.subject.name.clone(),
            spread_micros: spread(&added),
            added_micros: median(added),
            slower: median(pairs().map(|(own, base)| own.1 / base.1).collect()),
            ready_seconds: self.running.envoy.ready_after.as_secs_f64(),
            added_megabytes: megabytes(self)? - megabytes(base)?,
            worker_megabytes,
        })
    }

    /// What each further worker takes, in a fresh Envoy with some more of them.
    fn worker_megabytes(&self, folder: &Folder, upstream_port: u16) -> Result<f64> {
        let start = |workers: u32| -> Result<f64> {
            let running = self.subject.start("workers", &folder.0, upstream_port, workers)?;
            process::resident_megabytes(running.envoy.id())
        };
        let many = start(FURTHER_WORKERS.saturating_add(1))?;
        Ok((many - start(1)?) / f64::from(FURTHER_WORKERS))
    }
}
