//! Callbacks of one request → events; steps → what the proxy does. No decisions.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};
use remit_core::audit::AuditRecord;
use remit_core::config::{AuditPlaces, Mode};
use remit_core::decision::Decision;
use remit_core::effect::{Effect, Forward};
use remit_core::engine::SourceId;
use remit_core::exchange::{Body, Conclusion, Event, Exchange, Need, Nonce, Step};
use remit_core::policy::HttpReply;
use remit_core::reason;
use remit_core::request::{Circumstances, is_own};

use crate::host;
use crate::root::{Awaited, SOON, Shared, Wait};

/// What a stream waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its headers.
    Headers,
    /// Its issuer's keys.
    Keys,
    /// The reply to a call of the policy's, with at most this much body.
    Reply { token: u32, limit: usize },
    /// Its body, up to this many bytes.
    Body { limit: usize },
    /// Nothing: it was forwarded.
    Forwarded,
    /// Nothing: it was answered.
    Answered,
}

/// The part of a stream that the root can reach while the stream waits.
pub(crate) struct Waiting {
    exchange: Option<Exchange>,
    stage: Stage,
    body_size: usize,
    /// The body is here to its end.
    body_whole: bool,
    /// Whose keys it waits for, and for how many milliseconds at most.
    keys: Option<(SourceId, u64)>,
    /// How long the reply to a call may take, in milliseconds.
    reply_ms: u64,
    response_headers: Vec<(String, String)>,
}

pub(crate) struct Stream {
    id: u32,
    shared: Rc<Shared>,
    waiting: Rc<RefCell<Waiting>>,
}

impl Stream {
    pub(crate) fn new(id: u32, shared: Rc<Shared>) -> Self {
        let waiting = Waiting {
            exchange: host::random().map(|random| Exchange::new(Nonce::new(&random))),
            stage: Stage::Headers,
            body_size: 0,
            body_whole: false,
            keys: None,
            reply_ms: 0,
            response_headers: Vec::new(),
        };
        Self { id, shared, waiting: Rc::new(RefCell::new(waiting)) }
    }

    /// Ends the wait for a body that has not arrived.
    pub(crate) fn give_up_waiting(shared: &Shared, waiting: &RefCell<Waiting>) {
        let mut waiting = waiting.borrow_mut();
        if matches!(waiting.stage, Stage::Body { .. }) {
            host::log(
                LogLevel::Warn,
                "remit: a body did not arrive in time; if none ever does, set allow_on_headers_stop_iteration: true",
            );
            waiting.run(shared, Event::Body(Body::Late));
            waiting.let_go();
        }
    }

    /// Ends the wait for keys, with or without them; says what the stream waits for now.
    pub(crate) fn keys_answered(shared: &Shared, stream: &Rc<RefCell<Waiting>>) -> Option<Wait> {
        let mut waiting = stream.borrow_mut();
        if waiting.stage != Stage::Keys {
            return None;
        }
        waiting.run(shared, Event::Keys { circumstances: circumstances(shared) });
        waiting.take_body(shared);
        waiting.let_go();
        waiting.wait(stream)
    }

    /// The reply to a call has come, or none will. `token` is of the call, unless time is over. That of a call that was
    /// given up on changes nothing: what the stream waits for now has its own time.
    pub(crate) fn replied(
        shared: &Shared,
        id: u32,
        stream: &Rc<RefCell<Waiting>>,
        token: Option<u32>,
        reply: impl FnOnce(usize) -> HttpReply,
    ) {
        let mut waiting = stream.borrow_mut();
        let Stage::Reply { token: of, limit } = waiting.stage else { return };
        if token.is_some_and(|token| token != of) {
            return;
        }
        let reply = reply(limit);
        shared.metrics.called(match &reply {
            HttpReply::Response { .. } => "response",
            HttpReply::TooLarge => "too_large",
            HttpReply::Late => "late",
            HttpReply::Nothing => "nothing",
        });
        waiting.run(shared, Event::HttpReply(reply));
        waiting.take_body(shared);
        waiting.let_go();
        shared.look_after(id, waiting.wait(stream));
    }

    fn body_arrived(&self, size: usize, whole: bool) -> Action {
        let mut waiting = self.waiting.borrow_mut();
        (waiting.body_size, waiting.body_whole) = (size, whole);
        let before = waiting.stage;
        waiting.take_body(&self.shared);
        if waiting.stage != before {
            self.await_what_is_needed(&waiting);
        }
        waiting.action()
    }

    /// Has the root look after this stream while it waits.
    fn await_what_is_needed(&self, waiting: &Waiting) {
        let further = waiting.wait(&self.waiting);
        if further.as_ref().is_some_and(|wait| matches!(wait.what, Awaited::Keys { .. })) {
            // Fetches are the root's: a stream's own would end with it.
            host::tick_every(SOON);
            self.shared.called.set(true);
        }
        self.shared.look_after(self.id, further);
    }
}

impl Waiting {
    /// Goes on with the body, if that is what is needed and it is here, or is too large already.
    fn take_body(&mut self, shared: &Shared) {
        let Stage::Body { limit } = self.stage else { return };
        if self.body_size > limit {
            self.run(shared, Event::Body(Body::TooLarge));
        } else if self.body_whole {
            let body = host::request_body(self.body_size);
            // An empty body in place of one that could not be read would be decided on as if nothing were sent.
            let whole = body.len() == self.body_size;
            self.run(shared, Event::Body(if whole { Body::Whole(body) } else { Body::Unreadable }));
        }
    }

    /// What the root is to look after, if the stream waits.
    fn wait(&self, stream: &Rc<RefCell<Self>>) -> Option<Wait> {
        let what = match (self.stage, &self.keys) {
            (Stage::Keys, Some((source, timeout_ms))) => {
                Awaited::Keys { source: source.clone(), timeout_ms: *timeout_ms }
            }
            (Stage::Body { .. }, _) => Awaited::Body,
            (Stage::Reply { token, .. }, _) => Awaited::Reply { token, timeout_ms: self.reply_ms },
            _ => return None,
        };
        Some(Wait { since: host::now(), what, stream: Rc::downgrade(stream) })
    }

    /// Outside the request's own callbacks nobody else lets a forwarded request go.
    fn let_go(&self) {
        if self.stage == Stage::Forwarded {
            host::resume_request();
        }
    }

    /// Feeds an event, and everything that the pipeline asks for on the way, until it is over or has to wait.
    fn run(&mut self, shared: &Shared, mut event: Event) {
        let mut engine = shared.engine.borrow_mut();
        let (Some(exchange), Some(engine)) = (self.exchange.as_mut(), engine.as_mut()) else {
            // No randomness to name a decision with, or no configuration: nothing can be decided, nothing passes.
            let decision = Decision::deny(reason::NO_CONFIGURATION, 503);
            let mut record = AuditRecord::of(&decision, "", Mode::Enforce, host::now());
            record.replied(503);
            host::log(LogLevel::Info, &record.to_line());
            shared.metrics.unconfigured();
            host::reply(503, &[], "");
            self.stage = Stage::Answered;
            return;
        };
        let mut nanoseconds = 0_u64;
        loop {
            let began = host::now();
            let step = exchange.advance(engine, event, began);
            nanoseconds = nanoseconds.saturating_add(host::now().0.saturating_sub(began.0));
            event = match step {
                Step::Need(Need::Body { limit }) => {
                    self.stage = Stage::Body { limit };
                    return;
                }
                Step::Need(Need::Keys { source, timeout_ms }) => {
                    self.keys = Some((source, timeout_ms));
                    self.stage = Stage::Keys;
                    return;
                }
                Step::Need(Need::HttpCall(call)) => match host::call(&call) {
                    Some(token) => {
                        self.reply_ms = call.timeout_ms;
                        self.stage = Stage::Reply { token, limit: call.max_response_bytes };
                        return;
                    }
                    None => {
                        shared.metrics.called("no_cluster");
                        Event::HttpReply(HttpReply::Nothing)
                    }
                },
                Step::Need(Need::Signature(question)) => {
                    let answer = host::verify_signature(&question);
                    shared.metrics.signature(answer.is_some());
                    Event::Signature(answer)
                }
                Step::Need(Need::Certificate) => Event::Certificate(host::certificate()),
                Step::Need(Need::State { key }) => Event::State(host::shared(&key)),
                Step::Need(Need::Store { key, value, version }) => {
                    Event::Stored(host::store_shared(&key, &value, version))
                }
                Step::Done(conclusion) => {
                    shared.metrics.concluded(&conclusion, nanoseconds / 1000);
                    self.carry_out(*conclusion, engine.config.audit);
                    return;
                }
            };
        }
    }

    fn carry_out(&mut self, conclusion: Conclusion, audit: AuditPlaces) {
        self.exchange = None;
        for line in &conclusion.lines {
            host::log(LogLevel::Debug, &format!("remit: policy: {line}"));
        }
        let line = conclusion.record.to_line();
        if audit.log {
            host::log(LogLevel::Info, &line);
        }
        if audit.filter_state {
            host::set_filter_state("remit_audit", &line);
        }
        if let Some(metadata) = &conclusion.metadata {
            host::set_filter_state("remit_metadata", &metadata.to_string());
        }
        match conclusion.effect {
            Effect::Forward(forward) => {
                change_request(&forward);
                self.response_headers = forward.response_headers;
                self.stage = Stage::Forwarded;
            }
            Effect::Reply(reply) => {
                host::reply(reply.status, &reply.headers, &reply.body);
                self.stage = Stage::Answered;
            }
        }
    }

    fn action(&self) -> Action {
        if self.stage == Stage::Forwarded { Action::Continue } else { Action::Pause }
    }
}

fn change_request(forward: &Forward) {
    for name in &forward.remove_headers {
        host::remove_request_header(name);
    }
    let mut done: Vec<&str> = Vec::new();
    for (name, value) in &forward.set_headers {
        if done.contains(&name.as_str()) {
            host::add_request_header(name, value);
        } else {
            host::set_request_header(name, value);
            done.push(name);
        }
    }
    if let Some(path) = &forward.path {
        host::set_request_header(":path", path);
    }
}

/// What only the proxy knows, as far as the policy in force reads it.
fn circumstances(shared: &Shared) -> Circumstances {
    let properties = shared.engine.borrow().as_ref().map(|engine| engine.properties()).unwrap_or_default();
    Circumstances::ask(properties, host::attribute)
}

impl Context for Stream {
    fn on_http_call_response(&mut self, token: u32, num_headers: usize, body_size: usize, _: usize) {
        let reply = |limit| host::reply_to_call(num_headers, body_size, limit);
        Self::replied(&self.shared, self.id, &self.waiting, Some(token), reply);
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _num_headers: usize, end_of_stream: bool) -> Action {
        let circumstances = circumstances(&self.shared);
        let event = Event::Headers { pairs: host::request_headers(), ends: end_of_stream, circumstances };
        let mut waiting = self.waiting.borrow_mut();
        waiting.run(&self.shared, event);
        if matches!(waiting.stage, Stage::Keys | Stage::Reply { .. } | Stage::Body { .. }) {
            self.await_what_is_needed(&waiting);
        }
        waiting.action()
    }

    fn on_http_request_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        self.body_arrived(body_size, end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _num_trailers: usize) -> Action {
        // Some upstreams read them like headers.
        host::remove_request_trailers(is_own);
        let size = self.waiting.borrow().body_size;
        self.body_arrived(size, true)
    }

    fn on_http_response_headers(&mut self, _num_headers: usize, _end_of_stream: bool) -> Action {
        for (name, value) in &self.waiting.borrow().response_headers {
            host::add_response_header(name, value);
        }
        Action::Continue
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.waiting.borrow_mut().remove(&self.id);
    }
}
