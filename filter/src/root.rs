//! Configure, tick, fetch, swap. No request state beyond the list of streams that wait.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use remit_core::engine::{Engine, Installed, SourceId};
use remit_core::exchange::Stored;
use remit_core::ids::{Now, UnixSeconds};
use remit_core::policy::{EngineKind, HttpReply};
use remit_core::source::Answer;

use crate::host;
use crate::metrics::Metrics;
use crate::stream::{Stream, Waiting};

/// How often something is looked after.
const TICK: Duration = Duration::from_secs(1);
/// How often, until everything that is fetched has been fetched once, and while requests wait for keys.
const FIRST_TICK: Duration = Duration::from_millis(50);
/// The next tick after a request has begun to wait for keys: as good as at once.
pub(crate) const SOON: Duration = Duration::from_millis(1);

/// What the streams of one root share.
pub(crate) struct Shared {
    pub(crate) engine: RefCell<Option<Engine>>,
    pub(crate) metrics: Metrics,
    /// Streams that wait, by context id.
    pub(crate) waiting: RefCell<BTreeMap<u32, Wait>>,
    /// A stream has called for a tick out of turn.
    pub(crate) called: Cell<bool>,
}

/// A stream that waits.
pub(crate) struct Wait {
    pub(crate) since: Now,
    pub(crate) what: Awaited,
    pub(crate) stream: Weak<RefCell<Waiting>>,
}

/// What a stream waits for.
pub(crate) enum Awaited {
    /// Its body.
    Body,
    /// The next answer of a source of keys.
    Keys { source: SourceId, timeout_ms: u64 },
    /// The reply to a call of the policy's.
    Reply { token: u32, timeout_ms: u64 },
}

/// A host that has not answered a call this long after its time limit never will, in milliseconds.
const LOST_MS: u64 = 2000;

impl Shared {
    /// Looks after a stream while it waits.
    pub(crate) fn look_after(&self, stream: u32, wait: Option<Wait>) {
        let mut waiting = self.waiting.borrow_mut();
        match wait {
            Some(wait) => drop(waiting.insert(stream, wait)),
            None => drop(waiting.remove(&stream)),
        }
    }
}

impl Wait {
    fn is_over(&self, now: Now, body_seconds: u64) -> bool {
        // Set back, the clock no longer says how long it was.
        if now < self.since {
            return true;
        }
        match &self.what {
            Awaited::Body => now.seconds().since(self.since.seconds()) >= body_seconds,
            Awaited::Keys { timeout_ms, .. } => now.millis_since(self.since) >= *timeout_ms,
            Awaited::Reply { timeout_ms, .. } => {
                now.millis_since(self.since) >= timeout_ms.saturating_add(LOST_MS)
            }
        }
    }
}

pub(crate) struct Root {
    id: u32,
    shared: Rc<Shared>,
    /// Those that are under way: the token of each call, what for, and since when.
    fetches: Vec<(u32, SourceId, Now)>,
    /// The report that is under way.
    report: Option<u32>,
    /// The period of its ticks, but for the one that a stream calls for.
    period: Duration,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        let shared = Shared {
            engine: RefCell::new(None),
            metrics: Metrics::default(),
            waiting: RefCell::new(BTreeMap::new()),
            called: Cell::new(false),
        };
        Self { id, shared: Rc::new(shared), fetches: Vec::new(), report: None, period: TICK }
    }

    fn fetch_what_is_due(&mut self, now: UnixSeconds) {
        let due = self.shared.engine.borrow_mut().as_mut().map(|engine| engine.due(now)).unwrap_or_default();
        for (source, fetch) in due {
            match host::dispatch(&fetch) {
                Some(token) => {
                    // An answer that was given up on is of no use any more.
                    self.fetches.retain(|(_, other, _)| *other != source);
                    self.fetches.push((token, source, host::now()));
                }
                None => {
                    let problem = format!("cluster {:?} is unknown or cannot be called", fetch.place.cluster);
                    self.take(&source, Answer::Nothing, None, Some(&problem));
                }
            }
        }
    }

    /// Takes the answer to a fetch to the engine, and those on who wait for it.
    fn take(&mut self, source: &SourceId, answer: Answer, asked: Option<Now>, problem: Option<&str>) {
        if self.install(source, answer, asked, problem) {
            self.end_waits(|wait| matches!(&wait.what, Awaited::Keys { source: of, .. } if of == source));
        } else {
            self.fetch_what_is_due(host::now().seconds());
        }
    }

    /// Whether that was all; else there is something to fetch at once.
    fn install(&self, source: &SourceId, answer: Answer, asked: Option<Now>, problem: Option<&str>) -> bool {
        let came = host::now();
        let mut engine = self.shared.engine.borrow_mut();
        let Some(engine) = engine.as_mut() else { return true };
        let (what, name) = match source {
            SourceId::Bundle(name) => ("bundle", format!(" {name:?}")),
            SourceId::Candidate(name) => ("candidate", format!(" {name:?}")),
            SourceId::Discovery => ("discovery", String::new()),
            SourceId::Keys(iss) => ("keys", format!(" of {iss}")),
            SourceId::ApprovalKeys(iss) => ("approval_keys", format!(" of {iss}")),
            SourceId::StatusList { uri, .. } => ("status_list", format!(" {uri}")),
        };
        let installed = engine.answered(source, answer, came.seconds());
        if let (SourceId::Bundle(name), Some(asked)) = (source, asked) {
            engine.bundle_took(name, (came.0.saturating_sub(asked.0), host::now().0.saturating_sub(came.0)));
        }
        let is_all = !matches!(installed, Ok(Installed::Located));
        let result = match installed {
            Ok(Installed::Bundle(active)) => {
                announce(&active);
                "ok"
            }
            Ok(Installed::Candidate(active)) => {
                let revision = &active.revision;
                host::log(
                    LogLevel::Info,
                    &format!("remit: candidate {revision:?} is evaluated beside the policy in force"),
                );
                "ok"
            }
            Ok(Installed::Discovered | Installed::Keys | Installed::StatusList) => "ok",
            Ok(Installed::Unchanged) => "unchanged",
            Ok(Installed::Incomplete) => "incomplete",
            Ok(Installed::Located) => "located",
            Err(error) => {
                let problem = problem.map_or_else(|| error.to_string(), str::to_owned);
                host::log(
                    LogLevel::Warn,
                    &format!("remit: {what}{name} not fetched, the last good one stays: {problem}"),
                );
                error.kind()
            }
        };
        self.shared.metrics.fetched(what, result);
        if let SourceId::Bundle(name) = source {
            self.shared.metrics.bundle_fetched(name, result);
        }
        is_all
    }

    /// Tells what became of the bundles, where that is wanted, due, and for this worker to do.
    fn report(&mut self, now: UnixSeconds) {
        let mut shared = self.shared.engine.borrow_mut();
        let Some(engine) = shared.as_mut() else { return };
        let store =
            |key: &str, value: &[u8], version| host::store_shared(key, value, version) == Stored::Done;
        let Some(call) = engine.report_in_turn(now, host::shared, store, || self.shared.metrics.read())
        else {
            return;
        };
        drop(shared);
        self.report = host::call(&call);
        if self.report.is_none() {
            self.reported(&HttpReply::Nothing);
        }
    }

    fn reported(&self, reply: &HttpReply) {
        if let Some(engine) = self.shared.engine.borrow_mut().as_mut() {
            let result = engine.reported(reply, host::now().seconds());
            self.shared.metrics.reported(result);
        }
    }

    fn show_ages(&self, now: UnixSeconds) {
        let engine = self.shared.engine.borrow();
        let Some(engine) = engine.as_ref() else { return };
        let metrics = &self.shared.metrics;
        metrics.gauge("remit.bundle.in_force", u64::from(engine.bundle(now).is_some()));
        if let Some(age) = engine.bundle_age(now) {
            metrics.gauge("remit.bundle.age_seconds", age);
        }
        for (name, status) in engine.bundle_statuses() {
            metrics.bundle(name, status, now);
        }
        if let Some(age) = engine.key_set_age(now) {
            metrics.gauge("remit.key_sets.age_seconds", age);
        }
    }

    /// The reply to a call that a stream made while it was the root's turn, after a wait for keys.
    fn reply_to_stream(&self, token: u32, num_headers: usize, body_size: usize) {
        let waiting = self.shared.waiting.borrow();
        let mut of = waiting.iter().filter(
            |(_, wait)| matches!(wait.what, Awaited::Reply { token: awaited, .. } if awaited == token),
        );
        let Some((id, stream)) = of.next().map(|(id, wait)| (*id, wait.stream.clone())) else { return };
        drop(of);
        drop(waiting);
        let Some(stream) = stream.upgrade() else { return };
        host::turn_to(id);
        let reply = |limit| host::reply_to_call(num_headers, body_size, limit);
        Stream::replied(&self.shared, id, &stream, Some(token), reply);
        host::turn_to(self.id);
    }

    /// What does not come would hold its request for ever.
    fn end_long_waits(&self, now: Now) {
        let patience =
            self.shared.engine.borrow().as_ref().map_or(0, |engine| engine.config.limits.body_seconds);
        self.end_waits(|wait| wait.is_over(now, patience));
    }

    fn end_waits(&self, ends: impl Fn(&Wait) -> bool) {
        let mut waiting = self.shared.waiting.borrow_mut();
        let over: Vec<u32> = waiting.iter().filter(|(_, wait)| ends(wait)).map(|(id, _)| *id).collect();
        let over: Vec<_> = over.into_iter().filter_map(|id| Some((id, waiting.remove(&id)?))).collect();
        drop(waiting);
        for (id, wait) in over {
            let Some(stream) = wait.stream.upgrade() else { continue };
            host::turn_to(id);
            match wait.what {
                Awaited::Body => Stream::give_up_waiting(&self.shared, &stream),
                Awaited::Keys { .. } => {
                    let further = Stream::keys_answered(&self.shared, &stream);
                    self.shared.look_after(id, further);
                }
                Awaited::Reply { .. } => {
                    Stream::replied(&self.shared, id, &stream, None, |_| HttpReply::Late);
                }
            }
            host::turn_to(self.id);
        }
    }

    /// Ticks often while something has never been fetched or requests wait for keys, and else seldom.
    fn keep_time(&mut self, was_called: bool) {
        let fetched =
            self.shared.engine.borrow().as_ref().is_none_or(|engine| engine.has_fetched_everything());
        let keys =
            self.shared.waiting.borrow().values().any(|wait| matches!(wait.what, Awaited::Keys { .. }));
        let period = if fetched && !keys { TICK } else { FIRST_TICK };
        if period != self.period || was_called {
            self.period = period;
            host::tick_every(period);
        }
    }
}

fn announce(active: &remit_core::engine::ActiveBundle) {
    host::log(LogLevel::Info, &format!("remit: bundle {:?} is in force", active.revision));
    if let EngineKind::Interpreter { why } = active.policy.engine() {
        host::log(
            LogLevel::Warn,
            &format!(
                "remit: the policy runs in the slower interpreter, because the bytecode compiler says: {why}"
            ),
        );
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        token: u32,
        num_headers: usize,
        body_size: usize,
        _num_trailers: usize,
    ) {
        if self.report.take_if(|report| *report == token).is_some() {
            // What it says besides its status is nobody's to read.
            self.reported(&host::reply_to_call(num_headers, 0, 0));
            return;
        }
        let Some(at) = self.fetches.iter().position(|(asked, ..)| *asked == token) else {
            self.reply_to_stream(token, num_headers, body_size);
            return;
        };
        let (_, source, asked) = self.fetches.swap_remove(at);
        let limit = self.shared.engine.borrow().as_ref().map_or(0, |engine| match source {
            SourceId::Bundle(_) | SourceId::Candidate(_) | SourceId::Discovery => {
                engine.config.limits.bundle_bytes
            }
            SourceId::Keys(_) | SourceId::ApprovalKeys(_) => engine.config.limits.key_set_bytes,
            SourceId::StatusList { .. } => engine.config.limits.status_list_bytes,
        });
        self.take(&source, host::answer(num_headers, body_size, limit), Some(asked), None);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _plugin_configuration_size: usize) -> bool {
        match Engine::configure(&host::plugin_configuration()) {
            Ok(mut engine) => {
                if let Some([first, ..]) = host::random().as_ref().map(|random| random.as_chunks::<8>().0) {
                    engine.spread(*first);
                }
                if let Some(active) = engine.bundle(host::now().seconds()) {
                    announce(active);
                }
                self.period = if engine.fetches() { FIRST_TICK } else { TICK };
                host::tick_every(self.period);
                self.shared.engine.replace(Some(engine));
                true
            }
            Err(error) => {
                host::log(LogLevel::Error, &format!("remit: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let now = host::now();
        self.fetch_what_is_due(now.seconds());
        self.report(now.seconds());
        self.show_ages(now.seconds());
        self.end_long_waits(now);
        let was_called = self.shared.called.replace(false);
        self.keep_time(was_called);
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(context_id, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
