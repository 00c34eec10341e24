//! What the proxy's statistics show. Names are `remit.<what>.<label>.<value>…`; `envoy/` turns the pairs into labels.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proxy_wasm::types::MetricType;
use remit_core::exchange::Conclusion;

use crate::host;

/// The most names that one worker defines: policies bring their own reason codes, and statistics are never freed.
const MAX_NAMES: usize = 256;

#[derive(Default)]
pub(crate) struct Metrics {
    ids: RefCell<BTreeMap<String, Option<u32>>>,
}

impl Metrics {
    /// Counts the end of an exchange.
    pub(crate) fn concluded(&self, conclusion: &Conclusion, microseconds: u64) {
        let outcome = conclusion.outcome.as_str();
        let enforced = if conclusion.enforced { "true" } else { "false" };
        // Pieces put together by hand: formatting costs more than all the counting.
        self.count(&["remit.decisions.outcome.", outcome, ".enforced.", enforced].concat());
        for reason in &conclusion.reasons {
            self.count(&["remit.reasons.outcome.", outcome, ".reason.", reason.as_str()].concat());
        }
        if conclusion.counted.failed
            && let Some(reason) = conclusion.reasons.first()
        {
            self.count(&format!("remit.errors.kind.{reason}"));
        }
        match conclusion.counted.token_cached {
            Some(true) => self.count("remit.token_cache.result.hit"),
            Some(false) => self.count("remit.token_cache.result.miss"),
            None => {}
        }
        match conclusion.counted.decision_remembered {
            Some(true) => self.count("remit.decision_cache.result.hit"),
            Some(false) => self.count("remit.decision_cache.result.miss"),
            None => {}
        }
        if let Some(wait) = conclusion.counted.key_wait {
            self.count(&format!("remit.key_waits.result.{}", wait.as_str()));
        }
        match conclusion.counted.registered {
            Some(true) => self.count("remit.agents.registered.true"),
            Some(false) => self.count("remit.agents.registered.false"),
            None => {}
        }
        if conclusion.counted.evaluated
            && let Some(id) = self.id(MetricType::Histogram, "remit.evaluation_us")
        {
            host::record(id, microseconds);
        }
    }

    /// Counts a signature that the host could have checked, by who did.
    pub(crate) fn signature(&self, by_host: bool) {
        self.count(if by_host { "remit.signatures.by.host" } else { "remit.signatures.by.module" });
    }

    /// Counts a call of the policy's by what came of it.
    pub(crate) fn called(&self, result: &str) {
        self.count(&["remit.http_send.result.", result].concat());
    }

    /// Counts a request that nothing could decide.
    pub(crate) fn unconfigured(&self) {
        self.count("remit.errors.kind.no_configuration");
    }

    /// Counts what became of a fetch.
    pub(crate) fn fetched(&self, source: &str, result: &str) {
        self.count(&format!("remit.fetches.source.{source}.result.{result}"));
    }

    /// Shows a number that goes up and down.
    pub(crate) fn gauge(&self, name: &str, value: u64) {
        if let Some(id) = self.id(MetricType::Gauge, name) {
            host::record(id, value);
        }
    }

    fn count(&self, name: &str) {
        if let Some(id) = self.id(MetricType::Counter, name) {
            host::increment(id);
        }
    }

    fn id(&self, kind: MetricType, name: &str) -> Option<u32> {
        let mut ids = self.ids.borrow_mut();
        if let Some(id) = ids.get(name) {
            return *id;
        }
        let name = if ids.len() < MAX_NAMES { name } else { "remit.names.beyond.limit" };
        *ids.entry(name.to_owned()).or_insert_with(|| host::define_metric(kind, name))
    }
}
