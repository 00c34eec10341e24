//! Configure, tick, fetch, swap. No request state beyond the list of streams that wait for their bodies.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use remit_core::engine::{Engine, Installed, SourceId};
use remit_core::ids::UnixSeconds;
use remit_core::policy::EngineKind;

use crate::host;
use crate::metrics::Metrics;
use crate::stream::{Stream, Waiting};

/// How often something is looked after.
const TICK: Duration = Duration::from_secs(1);
/// How often, until everything that is fetched has been fetched once.
const FIRST_TICK: Duration = Duration::from_millis(50);

/// What the streams of one root share.
pub(crate) struct Shared {
    pub(crate) engine: RefCell<Option<Engine>>,
    pub(crate) metrics: Metrics,
    /// Streams that wait for their bodies, by context id.
    pub(crate) waiting: RefCell<BTreeMap<u32, Wait>>,
}

/// A stream that waits for its body.
pub(crate) struct Wait {
    pub(crate) since: UnixSeconds,
    pub(crate) stream: Weak<RefCell<Waiting>>,
}

pub(crate) struct Root {
    id: u32,
    shared: Rc<Shared>,
    fetches: BTreeMap<u32, SourceId>,
    ticks_slowly: bool,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        let shared = Shared {
            engine: RefCell::new(None),
            metrics: Metrics::default(),
            waiting: RefCell::new(BTreeMap::new()),
        };
        Self { id, shared: Rc::new(shared), fetches: BTreeMap::new(), ticks_slowly: false }
    }

    fn fetch_what_is_due(&mut self, now: UnixSeconds) {
        let due = self.shared.engine.borrow_mut().as_mut().map(|engine| engine.due(now)).unwrap_or_default();
        for (source, fetch) in due {
            match host::dispatch(&fetch) {
                Some(token) => {
                    self.fetches.insert(token, source);
                }
                None => {
                    let problem = format!("cluster {:?} is unknown or cannot be called", fetch.cluster);
                    self.take(&source, remit_core::source::Answer::Nothing, Some(&problem));
                }
            }
        }
    }

    fn take(&mut self, source: &SourceId, answer: remit_core::source::Answer, problem: Option<&str>) {
        let now = host::now().seconds();
        let mut engine = self.shared.engine.borrow_mut();
        let Some(engine) = engine.as_mut() else { return };
        let (what, name) = match source {
            SourceId::Bundle => ("bundle", String::new()),
            SourceId::Keys(iss) => ("keys", format!(" of {iss}")),
            SourceId::ApprovalKeys(iss) => ("approval_keys", format!(" of {iss}")),
            SourceId::StatusList { uri, .. } => ("status_list", format!(" {uri}")),
        };
        let result = match engine.answered(source, answer, now) {
            Ok(Installed::Bundle(active)) => {
                announce(&active);
                "ok"
            }
            Ok(Installed::Keys | Installed::StatusList) => "ok",
            Ok(Installed::Unchanged) => "unchanged",
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
    }

    fn show_ages(&self, now: UnixSeconds) {
        let engine = self.shared.engine.borrow();
        let Some(engine) = engine.as_ref() else { return };
        let metrics = &self.shared.metrics;
        metrics.gauge("remit.bundle.in_force", u64::from(engine.bundle(now).is_some()));
        if let Some(age) = engine.bundle_age(now) {
            metrics.gauge("remit.bundle.age_seconds", age);
        }
        if let Some(age) = engine.key_set_age(now) {
            metrics.gauge("remit.key_sets.age_seconds", age);
        }
    }

    /// A body that does not come would hold its request for ever.
    fn end_long_waits(&self, now: UnixSeconds) {
        let patience =
            self.shared.engine.borrow().as_ref().map_or(0, |engine| engine.config.limits.body_seconds);
        let mut waiting = self.shared.waiting.borrow_mut();
        let late: Vec<u32> =
            waiting.iter().filter(|(_, wait)| now.since(wait.since) >= patience).map(|(id, _)| *id).collect();
        let late: Vec<_> = late.into_iter().filter_map(|id| Some((id, waiting.remove(&id)?))).collect();
        drop(waiting);
        for (id, wait) in late {
            if let Some(stream) = wait.stream.upgrade() {
                host::turn_to(id);
                Stream::give_up_waiting(&self.shared, &stream);
                host::turn_to(self.id);
            }
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
        let Some(source) = self.fetches.remove(&token) else { return };
        let limit = self.shared.engine.borrow().as_ref().map_or(0, |engine| match source {
            SourceId::Bundle => engine.config.limits.bundle_bytes,
            SourceId::Keys(_) | SourceId::ApprovalKeys(_) => engine.config.limits.key_set_bytes,
            SourceId::StatusList { .. } => engine.config.limits.status_list_bytes,
        });
        self.take(&source, host::answer(num_headers, body_size, limit), None);
    }
}

impl RootContext for Root {
    fn on_configure(&mut self, _plugin_configuration_size: usize) -> bool {
        match Engine::configure(&host::plugin_configuration()) {
            Ok(engine) => {
                if let Some(active) = engine.bundle(host::now().seconds()) {
                    announce(active);
                }
                self.ticks_slowly = !engine.fetches();
                host::tick_every(if engine.fetches() { FIRST_TICK } else { TICK });
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
        let now = host::now().seconds();
        self.fetch_what_is_due(now);
        self.show_ages(now);
        self.end_long_waits(now);
        let ready =
            self.shared.engine.borrow().as_ref().is_some_and(|engine| engine.has_fetched_everything());
        if ready && !self.ticks_slowly {
            self.ticks_slowly = true;
            host::tick_every(TICK);
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(context_id, Rc::clone(&self.shared))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
