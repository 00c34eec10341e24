//! `cargo xtask bench`: what a filter adds to a request, side by side in one run on one worker.

mod budget;
mod engines;
mod filter;
mod load;
mod opa;
mod process;
mod subject;
mod subjects;
mod table;

use std::io::Write;
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, bail};

use crate::playground::Folder;
use crate::{build_wasm, layout, upstream, workspace};
use subject::{Running, Subject};
use subjects::{BODY, PER_ROUND, PER_ROUND_IN_MODULE, PER_ROUND_UNCACHED};
use table::{Row, median, spread};

/// Short rounds over all subjects, many of them: what disturbs the machine disturbs some rounds, not the median.
const ROUNDS: usize = 31;

/// Enough to keep one worker busy.
const CONNECTIONS: usize = 4;

/// Sent before the first round.
const WARM_UP: usize = 400;

/// Further workers in the second measurement of memory.
const FURTHER_WORKERS: u32 = 4;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub enum Rows<'a> {
    /// Every subject.
    All,
    /// Only what any filter costs.
    Floor,
    /// Subjects whose name contains this text, and no filter.
    Named(&'a str),
}

impl Rows<'_> {
    fn has(self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Floor => false,
            Self::Named(text) => name == table::NO_FILTER || name.contains(text),
        }
    }
}

/// Measures these subjects and prints the table.
///
/// # Errors
/// When a part cannot be built or started, or a request is not answered with 200.
pub fn run(rows: Rows<'_>) -> Result<()> {
    let stop = workspace::interrupted()?;
    let folder = Folder::create("bench")?;
    let tokens = ROUNDS.saturating_mul(PER_ROUND_UNCACHED).saturating_add(WARM_UP);
    let fewer = ROUNDS.saturating_mul(PER_ROUND_IN_MODULE).saturating_add(WARM_UP);
    let subjects = match rows {
        Rows::Floor => subjects::floor()?,
        _ => subjects::all(&folder, rows, tokens, fewer)?,
    };
    let module = workspace::filter_wasm();
    let apart =
        subjects.compared.as_ref().map(|compared| compared.measure(&folder.0, &module)).transpose()?;
    let upstream = upstream::start()?;

    println!("Starting {} Envoys with one worker each.", subjects.measured.len());
    let mut measured = Vec::new();
    for (index, subject) in subjects.measured.iter().enumerate() {
        let running = subject.start(&index.to_string(), &folder.0, upstream.port, 1)?;
        load::run(running.port, &subject.requests, WARM_UP, CONNECTIONS)
            .with_context(|| format!("failed to warm up {}", subject.name))?;
        measured.push(Measured { subject, running, rounds: Vec::new() });
    }
    for round in 1..=ROUNDS {
        print!("\rRound {round} of {ROUNDS}.");
        std::io::stdout().flush()?;
        for one in &mut measured {
            if stop.load(Ordering::Relaxed) {
                bail!("interrupted");
            }
            one.measure()?;
        }
    }
    let mut rows = Vec::new();
    let base = measured.first().context("no subjects")?;
    let base_workers = base.worker_megabytes(&folder, upstream.port)?;
    for one in &measured {
        let has_workers = one.subject.has_workers.then_some(());
        let workers = has_workers.map(|()| one.worker_megabytes(&folder, upstream.port)).transpose()?;
        rows.push(one.row(base, workers.map(|workers| workers - base_workers))?);
    }
    println!(
        "\n\nCPU time that the proxy adds to a POST of {BODY} bytes, one worker, {CONNECTIONS} connections; medians \
         of {ROUNDS} rounds\nof {PER_ROUND} requests ({PER_ROUND_UNCACHED} or {PER_ROUND_IN_MODULE} with a new token each), against no filter \
         in the same round. Remit decides by a policy of\ntwenty rules, evaluated for each request unless its row says \
         that the decision is known. On, in all of them: an access\nlog in JSON to a stream; in Remit besides: audit \
         records in the access log and in the proxy's log (level info), metrics;\nin opa-envoy-plugin: decision logs \
         to the console.\n"
    );
    print!("{}\n{}", table::render(&rows, &subjects.skipped), budget::render(&rows));
    if let Some(apart) = &apart {
        print!("\n{}", engines::render(&rows, apart));
    }
    Ok(())
}

/// Records what the request that is measured runs through in the module, see `layout.rs`.
///
/// # Errors
/// When the module cannot be built or run.
pub fn record_layout() -> Result<()> {
    layout::record(&build_wasm::link()?, &subjects::request()?)
}

/// A subject and what was measured of it so far.
struct Measured<'a> {
    subject: &'a Subject,
    running: Running,
    rounds: Vec<Round>,
}

/// Microseconds per request of one round.
struct Round {
    cpu: f64,
    elapsed: f64,
    /// CPU of the process that is asked, if there is one.
    sidecar: Option<f64>,
}

impl Measured<'_> {
    fn measure(&mut self) -> Result<()> {
        let count = self.subject.per_round;
        let pid = self.running.envoy.id();
        let sidecar = self.subject.sidecar.as_ref().map(|sidecar| sidecar.0.id());
        let sidecar_cpu = || sidecar.map(process::cpu_micros).transpose();
        let (before, sidecar_before) = (process::cpu_micros(pid)?, sidecar_cpu()?);
        let elapsed = load::run(self.running.port, &self.subject.requests, count, CONNECTIONS)
            .with_context(|| format!("failed to measure {}", self.subject.name))?;
        let requests = f64::from(u32::try_from(count)?);
        let spent = sidecar_cpu()?.zip(sidecar_before).map(|(after, before)| (after - before) / requests);
        self.rounds.push(Round {
            cpu: (process::cpu_micros(pid)? - before) / requests,
            elapsed: elapsed.as_secs_f64() * 1e6 / requests,
            sidecar: spent,
        });
        Ok(())
    }

    /// Compared round by round: what disturbed one round disturbed its neighbour.
    fn row(&self, base: &Self, worker_megabytes: Option<f64>) -> Result<Row> {
        let pairs = || self.rounds.iter().zip(&base.rounds);
        let added: Vec<f64> = pairs().map(|(own, base)| own.cpu - base.cpu).collect();
        let asked: Vec<f64> = self.rounds.iter().filter_map(|round| round.sidecar).collect();
        let megabytes = |one: &Self| process::resident_megabytes(one.running.envoy.id());
        Ok(Row {
            name: self.subject.name.clone(),
            spread_micros: spread(&added),
            added_micros: median(added),
            sidecar_micros: self.subject.sidecar.as_ref().map(|_| median(asked)),
            slower: median(pairs().map(|(own, base)| own.elapsed / base.elapsed).collect()),
            ready_seconds: self.running.envoy.ready_after.as_secs_f64(),
            added_megabytes: megabytes(self)? - megabytes(base)?,
            worker_megabytes,
            module_megabytes: self.subject.module_megabytes(),
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
