//! The module in wasmtime as a subject.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use remit_core::ids::Now;

use super::native::ATTRIBUTES;
use super::{Audit, Document, Forwarded, Observed, Reply, Subject, WireRequest};
use crate::capture::Response;
use crate::host::{
    HeaderMap, HostError, HostLimits, LogLevel, Module, Properties, SharedWorld, Verdict, Vm, VmOptions,
};
use crate::text::lossy;

/// How often a request that waits may need a tick and answers: for its token's keys, and its approval's.
const ROUNDS: usize = 4;

/// How a module is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WasmOptions {
    /// The time at which it starts.
    pub start: Now,
    /// What its randomness comes of.
    pub seed: u64,
    /// Bodies arrive in pieces of this size, as over a connection.
    pub chunk_bytes: usize,
    /// How long one callback may take, for a module compiled with `interruptible`. The clock that the module sees
    /// stands still meanwhile, so its own limits on time do not end a policy that runs on and on.
    pub time_limit: Duration,
}

impl Default for WasmOptions {
    fn default() -> Self {
        Self { start: Now(0), seed: 0, chunk_bytes: 16 * 1024, time_limit: Duration::from_secs(10) }
    }
}

/// One instance of the module, with a clock and randomness of its own.
#[derive(Debug)]
pub struct Wasm {
    world: SharedWorld,
    vm: Vm,
    /// Of every connection.
    properties: Properties,
    chunk_bytes: usize,
    documents: Vec<Document>,
}

impl Wasm {
    /// Starts the module and configures it.
    ///
    /// # Errors
    ///
    /// When it does not start, or refuses its configuration; then with what it logged.
    pub fn new(module: &Module, plugin_config: &str, options: &WasmOptions) -> Result<Self> {
        let world = SharedWorld::new(options.start.0, options.seed, HostLimits::default());
        let vm_options = VmOptions {
            name: "remit".to_owned(),
            root_id: "remit".to_owned(),
            time_limit: module.interruptible().then_some(options.time_limit),
            ..VmOptions::default()
        };
        let mut vm = Vm::start(module, &world, vm_options).context("the module does not start")?;
        if let Err(error) = vm.configure(plugin_config.as_bytes()) {
            let logged: Vec<_> = world.take_logs().into_iter().map(|line| line.text).collect();
            match logged.last() {
                Some(why) if matches!(error, HostError::ConfigurationRefused) => {
                    bail!("the filter refuses its configuration: {why}")
                }
                _ => return Err(error).context("the module fails while it is configured"),
            }
        }
        let known = ATTRIBUTES.iter();
        let properties = known.fold(Properties::new(), |all, (path, value)| all.with(path, *value));
        Ok(Self { world, vm, properties, chunk_bytes: options.chunk_bytes.max(1), documents: Vec::new() })
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
        let mut stream = self.vm.open_stream(self.properties.clone())?;
        let mut clock = Stopwatch::default();
        let ends = request.ends_with_headers();
        let mut result = clock.time(|| stream.request_headers(request.lines().collect(), ends));
        let pieces = request.body.chunks(self.chunk_bytes).count();
        for (i, piece) in request.body.chunks(self.chunk_bytes).enumerate() {
            let last = i.saturating_add(1) == pieces;
            result = result.and_then(|_| clock.time(|| stream.request_body(piece, last)));
        }
        let id = stream.id();
        for _ in 0..ROUNDS {
            if result.is_err() || !matches!(self.vm.stream(id)?.request_verdict(), Verdict::Paused(_)) {
                break;
            }
            clock.time(|| self.vm.tick())?;
            answer_fetches(&mut self.vm, &self.documents)?;
        }
        let mut stream = self.vm.stream(id)?;
        let is_forwarded = matches!(stream.request_verdict(), Verdict::Forwarded(_));
        if is_forwarded && result.is_ok() {
            result = answer(&mut stream, response, &mut clock);
        }
        observed.added = clock.total;
        let recorded = stream.filter_state("remit_audit").and_then(|line| std::str::from_utf8(line).ok());
        observed.audit = recorded.and_then(Audit::of);
        let finished = stream.finish();
        if let Some(reply) = finished.reply {
            observed.status = u16::try_from(reply.status).unwrap_or(0);
            observed.reply =
                Some(Reply { status: observed.status, headers: plain(reply.headers), body: reply.body });
        } else if is_forwarded {
            observed.status = response.status;
            observed.forwarded = Some(Forwarded {
                headers: texts(finished.request.headers).collect(),
                body: finished.request.body,
                response_headers: plain(finished.response.headers),
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

    fn serve(&mut self, documents: Vec<Document>) {
        self.documents = documents;
    }

    fn carry(&mut self, request: &WireRequest, response: &Response, now: Now) -> Result<Observed> {
        self.world.set_now(now.0);
        self.vm.tick_if_due().context("the module fails in a tick")?;
        answer_fetches(&mut self.vm, &self.documents).context("the module fails on an answer")?;
        let mut observed = Observed::default();
        if let Err(error) = self.run(request, response, &mut observed) {
            observed.fault = Some(error.to_string());
        }
        let logs = self.world.take_logs();
        let logged = || logs.iter().filter(|line| line.level == LogLevel::Info);
        observed.audit = observed.audit.or_else(|| logged().find_map(|line| Audit::of(&line.text)));
        Ok(observed)
    }
}

/// Answers what the module has asked for, and what it asks for then.
fn answer_fetches(vm: &mut Vm, documents: &[Document]) -> Result<(), HostError> {
    for _ in 0..ROUNDS {
        let calls: Vec<_> =
            vm.callouts().map(|call| (call.token, Document::response(documents, call))).collect();
        if calls.is_empty() {
            break;
        }
        for (token, response) in calls {
            vm.answer_http(token, response)?;
        }
    }
    Ok(())
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

fn texts(headers: HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.into_iter().map(|(name, value)| (lossy(name), lossy(value)))
}

/// Headers without pseudo-headers.
fn plain(headers: HeaderMap) -> Vec<(String, String)> {
    texts(headers).filter(|(name, _)| !name.starts_with(':')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::ModuleOptions;

    /// A guest whose `proxy_on_request_headers` is this; its answer to a body is that to the headers.
    fn guest(on_headers: &str) -> Module {
        let wat = format!(
            r#"(module
                (memory (export "memory") 1)
                (func (export "proxy_abi_version_0_2_1"))
                (func (export "malloc") (param i32) (result i32) i32.const 1024)
                (func (export "proxy_on_configure") (param i32 i32) (result i32) local.get 1)
                (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {on_headers})
                (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) {on_headers}))"#
        );
        let options = ModuleOptions { interruptible: true, ..ModuleOptions::default() };
        Module::from_bytes(&wat::parse_str(wat).unwrap(), &options).unwrap()
    }

    fn request() -> WireRequest {
        WireRequest {
            method: "POST".into(),
            scheme: "https".into(),
            authority: "x".into(),
            path: "/".into(),
            headers: vec![("X-A".into(), "1".into())],
            body: b"a body".to_vec(),
        }
    }

    fn carried(on_headers: &str) -> Observed {
        let options =
            WasmOptions { time_limit: Duration::from_millis(50), chunk_bytes: 4, ..WasmOptions::default() };
        let mut subject = Wasm::new(&guest(on_headers), "{}", &options).unwrap();
        let response = Response { status: 204, ..Response::default() };
        subject.carry(&request(), &response, Now(1)).unwrap()
    }

    #[test]
    fn what_passes_is_forwarded_whole() {
        let observed = carried("i32.const 0");
        let forwarded = observed.forwarded.unwrap();
        assert_eq!((observed.status, observed.fault, observed.audit), (204, None, None));
        assert_eq!((forwarded.header("x-a"), forwarded.header(":path")), (Some("1"), Some("/")));
        assert_eq!(forwarded.body, b"a body");
    }

    #[test]
    fn a_guest_that_fails_is_a_fault_and_answers_503() {
        for (on_headers, expected) in [
            ("unreachable", "trap in proxy_on_request_headers"),
            ("(loop br 0) i32.const 0", "exceeded its time limit of 50ms"),
        ] {
            let observed = carried(on_headers);
            assert!(
                observed.fault.as_ref().is_some_and(|fault| fault.contains(expected)),
                "{:?}",
                observed.fault
            );
            assert_eq!((observed.status, observed.forwarded), (503, None));
        }
        let observed = carried("i32.const 1");
        assert_eq!(observed.fault.as_deref(), Some("the filter neither forwards nor answers"));
    }

    #[test]
    fn a_configuration_can_be_refused() {
        let error = Wasm::new(&guest("i32.const 0"), "", &WasmOptions::default()).unwrap_err();
        assert!(format!("{error:#}").contains("configur"), "{error:#}");
    }
}
