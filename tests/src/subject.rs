//! Subjects of a replay beside the harness' own: a real Envoy, and the module on a host without `verify_signature`.

use anyhow::{Context, Result};
use remit_core::ids::Now;
use remit_harness::capture::{Body, Response};
use remit_harness::host::{
    HeaderMap, HostLimits, LogLevel, Module, Properties, SharedWorld, Verdict, Vm, VmOptions,
};
use remit_harness::replay::{Audit, Forwarded, Observed, Reply, Subject, WireRequest};

use crate::http::{self, Request};
use crate::proxy::Proxy;
use crate::upstream::{Arrived, Manner};
use crate::world::now;

/// A real Envoy.
#[derive(Debug)]
pub struct InEnvoy<'a> {
    /// The running proxy.
    pub proxy: &'a Proxy,
    /// The size of the chunks that bodies are sent in; `None` for whole ones.
    pub chunk: Option<usize>,
}

impl Subject for InEnvoy<'_> {
    fn name(&self) -> &str {
        "Envoy"
    }

    fn clock(&self, _captured: Now) -> Now {
        now()
    }

    fn carry(&mut self, request: &WireRequest, response: &Response, _now: Now) -> Result<Observed> {
        let body = response.body.as_ref().map(Body::to_bytes).unwrap_or_default();
        let upstream = &self.proxy.upstream;
        upstream.behave(Manner::Answer(response.status, response.headers.clone(), body));
        let _ = upstream.take();
        let sent = Request {
            method: request.method.clone(),
            authority: request.authority.clone(),
            path: request.path.clone(),
            headers: request.headers.clone(),
            body: (!request.ends_with_headers()).then(|| request.body.clone()),
            chunk: self.chunk,
        };
        let before = self.proxy.audits()?.len();
        let answer = http::send(self.proxy.port, &sent)?;
        let mut observed = Observed { status: answer.status, ..Observed::default() };
        observed.audit = self.proxy.audit_after(before).ok();
        match upstream.take().pop() {
            Some(arrived) => {
                observed.forwarded = Some(Forwarded {
                    headers: with_pseudo_headers(&arrived),
                    body: arrived.body,
                    response_headers: answer.headers,
                });
            }
            None => {
                observed.reply =
                    Some(Reply { status: answer.status, headers: answer.headers, body: answer.body });
            }
        }
        Ok(observed)
    }
}

fn with_pseudo_headers(arrived: &Arrived) -> Vec<(String, String)> {
    let host = arrived.values("host").first().map_or(String::new(), |host| (*host).to_owned());
    let pseudo = [(":method", arrived.method.clone()), (":path", arrived.path.clone()), (":authority", host)];
    let pseudo = pseudo.into_iter().map(|(name, value)| (name.to_owned(), value));
    pseudo.chain(arrived.headers.iter().filter(|(name, _)| name != "host").cloned()).collect()
}

/// The module on a host that has no `verify_signature`, as other proxies than Envoy are.
#[derive(Debug)]
pub struct WithoutHostSignatures {
    world: SharedWorld,
    vm: Vm,
}

impl WithoutHostSignatures {
    /// Starts and configures the module.
    ///
    /// # Errors
    /// When it does not start, or refuses its configuration.
    pub fn new(module: &Module, config: &str, start: Now) -> Result<Self> {
        let world = SharedWorld::new(start.0, 1, HostLimits::default());
        let options = VmOptions { verify_signature: false, ..VmOptions::default() };
        let mut vm = Vm::start(module, &world, options)?;
        vm.configure(config.as_bytes()).context("the configuration is refused")?;
        Ok(Self { world, vm })
    }
}

impl Subject for WithoutHostSignatures {
    fn name(&self) -> &str {
        "wasm without verify_signature"
    }

    fn carry(&mut self, request: &WireRequest, response: &Response, now: Now) -> Result<Observed> {
        self.world.set_now(now.0);
        let properties = Properties::new().with(&["source", "address"], "127.0.0.1:40000");
        let mut stream = self.vm.open_stream(properties)?;
        let headers: HeaderMap = request.lines().collect();
        stream.request_headers(headers, request.ends_with_headers())?;
        if !request.ends_with_headers() {
            stream.request_body(&request.body, true)?;
        }
        let is_forwarded = matches!(stream.request_verdict(), Verdict::Forwarded(_));
        let finished = stream.finish();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let texts = |map: &HeaderMap| map.iter().map(|(name, value)| (text(name), text(value))).collect();
        let mut observed = Observed::default();
        if let Some(reply) = finished.reply {
            observed.status = u16::try_from(reply.status).unwrap_or(0);
            let (status, headers) = (observed.status, texts(&reply.headers));
            observed.reply = Some(Reply { status, headers, body: reply.body });
        } else if is_forwarded {
            observed.status = response.status;
            observed.forwarded = Some(Forwarded {
                headers: texts(&finished.request.headers),
                body: finished.request.body,
                response_headers: Vec::new(),
            });
        }
        observed.fault = finished.fault.map(|fault| fault.to_string());
        let logs = self.world.take_logs();
        observed.audit =
            logs.iter().filter(|line| line.level == LogLevel::Info).find_map(|line| Audit::of(&line.text));
        Ok(observed)
    }
}
