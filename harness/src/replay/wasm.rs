//! The module in wasmtime as a subject.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use remit_core::ids::Now;

use super::native::PEER;
use super::{Audit, Forwarded, Observed, Reply, Subject, WireRequest};
use crate::capture::Response;
use crate::host::{
    HeaderMap, HostError, HostLimits, LogLevel, Module, Properties, SharedWorld, Vm, VmOptions,
};

/// Bodies arrive in pieces of this size, as over a connection.
const CHUNK: usize = 16 * 1024;

/// How long one callback may take. The clock that the module sees stands still meanwhile, so its own limits on time
/// do not end a policy that runs on and on.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// One instance of the module, with a clock and randomness of its own.
#[derive(Debug)]
pub struct Wasm {
    world: SharedWorld,
    vm: Vm,
}

impl Wasm {
    /// Starts the module and configures it. A module compiled with `interruptible` gets a time limit.
    ///
    /// # Errors
    ///
    /// When it does not start, or refuses its configuration; then with what it logged.
    pub fn new(module: &Module, plugin_config: &str, start: Now, seed: u64) -> Result<Self> {
        let world = SharedWorld::new(start.0, seed, HostLimits::default());
        let options = VmOptions {
            name: "remit".to_owned(),
            root_id: "remit".to_owned(),
            time_limit: module.interruptible().then_some(TIME_LIMIT),
            ..VmOptions::default()
        };
        let mut vm = Vm::start(module, &world, options).context("the module does not start")?;
        if let Err(error) = vm.configure(plugin_config.as_bytes()) {
            let logged: Vec<_> = world.take_logs().into_iter().map(|line| line.text).collect();
            match logged.last() {
                Some(why) if matches!(error, HostError::ConfigurationRefused) => {
                    bail!("the filter refuses its configuration: {why}")
                }
                _ => return Err(error).context("the module fails while it is configured"),
            }
        }
        Ok(Self { world, vm })
    }

    /// The instance, for what a replay does not show.
    pub fn vm(&mut self) -> &mut Vm {
        &mut self.vm
    }

    fn run(
        &mut self,
        request: &WireRequest,
        response: &Response,
        observed: &mut Observed,
    ) -> Result<(), HostError> {
        let peer = format!("{}:{}", PEER.0, PEER.1);
        let properties = Properties::new().with(&["source", "address"], peer);
        let mut stream = self.vm.open_stream(properties)?;
        let mut clock = Stopwatch::default();
        let ends = request.ends_with_headers();
        let mut result = clock.time(|| stream.request_headers(request.pairs().into_iter().collect(), ends));
        let pieces = request.body.chunks(CHUNK).count();
        for (i, piece) in request.body.chunks(CHUNK).enumerate() {
            let last = i.saturating_add(1) == pieces;
            result = result.and_then(|_| clock.time(|| stream.request_body(piece, last)));
        }
        let is_forwarded = matches!(stream.request_verdict(), crate::host::Verdict::Forwarded(_));
        if is_forwarded && result.is_ok() {
            result = answer(&mut stream, response, &mut clock);
        }
        observed.added = clock.total;
        let finished = stream.finish();
        if let Some(reply) = finished.reply {
            observed.status = u16::try_from(reply.status).unwrap_or(0);
            observed.reply =
                Some(Reply { status: observed.status, headers: plain(&reply.headers), body: reply.body });
        } else if is_forwarded {
            observed.status = response.status;
            observed.forwarded = Some(Forwarded {
                headers: texts(&finished.request.headers),
                body: finished.request.body,
                response_headers: plain(&finished.response.headers),
            });
        } else if result.is_ok() {
            observed.fault = Some("the filter neither forwards nor answers".to_owned());
        }
        result.map(drop).and(finished.fault.map_or(Ok(()), Err))
    }
}

impl Subject for Wasm {
    fn name(&self) -> &str {
        "wasm"
    }

    fn carry(&mut self, request: &WireRequest, response: &Response, now: Now) -> Result<Observed> {
        self.world.set_now(now.0);
        self.vm.tick_if_due().context("the module fails in a tick")?;
        let mut observed = Observed::default();
        if let Err(error) = self.run(request, response, &mut observed) {
            observed.fault = Some(error.to_string());
        }
        let logs = self.world.take_logs();
        observed.audit =
            logs.iter().filter(|line| line.level == LogLevel::Info).find_map(|line| Audit::of(&line.text));
        Ok(observed)
    }
}

fn answer(
    stream: &mut crate::host::HttpStream<'_>,
    response: &Response,
    clock: &mut Stopwatch,
) -> Result<crate::host::Progress, HostError> {
    let body = response.body.as_ref().map(crate::capture::Body::to_bytes).unwrap_or_default();
    let status = (":status".to_owned(), response.status.to_string());
    let headers: HeaderMap = std::iter::once(status).chain(response.headers.iter().cloned()).collect();
    let mut result = clock.time(|| stream.response_headers(headers, body.is_empty()));
    if !body.is_empty() {
        result = result.and_then(|_| clock.time(|| stream.response_body(&body, true)));
    }
    result
}

/// Wall time in callbacks.
#[derive(Default)]
struct Stopwatch {
    total: Duration,
}

impl Stopwatch {
    fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let value = call();
        self.total = self.total.saturating_add(began.elapsed());
        value
    }
}

fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (text(name), text(value))).collect()
}

/// Headers without pseudo-headers.
fn plain(headers: &HeaderMap) -> Vec<(String, String)> {
    texts(headers).into_iter().filter(|(name, _)| !name.starts_with(':')).collect()
}
