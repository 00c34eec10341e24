//! What the proxy's statistics show. Names are `remit.<what>.<label>.<value>…`; `envoy/` turns the pairs into labels.

use std::cell::RefCell;

use proxy_wasm::types::MetricType;
use remit_core::engine::BundleStatus;
use remit_core::exchange::Conclusion;
use remit_core::ids::UnixSeconds;
use remit_core::statistics::{Names, Statistic, label};

use crate::host;

/// The most revisions of bundles that one worker shows.
const MAX_REVISIONS: usize = 128;

#[derive(Default)]
pub(crate) struct Metrics {
    names: RefCell<Names>,
    /// Bundle and revision, the latest last.
    revisions: RefCell<Vec<(String, String)>>,
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
        if let Some(why) = conclusion.counted.unexplained {
            self.count(&["remit.unexplained.result.", why.as_str()].concat());
        }
        if let Some(candidate) = &conclusion.counted.candidate {
            self.count(&["remit.shadow.evaluations.result.", candidate.result()].concat());
            for what in &candidate.differs {
                self.count(&["remit.shadow.differences.kind.", what].concat());
            }
            if let Some(would) = candidate.outcome.filter(|would| *would != conclusion.outcome) {
                self.count(&["remit.shadow.outcomes.outcome.", outcome, ".would.", would.as_str()].concat());
            }
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

    /// Counts what became of a report on the bundles.
    pub(crate) fn reported(&self, result: &str) {
        self.count(&format!("remit.status_reports.result.{result}"));
    }

    /// Counts what became of a fetch of one bundle.
    pub(crate) fn bundle_fetched(&self, name: &str, result: &str) {
        self.count(&format!("remit.bundles.fetches.result.{result}.named.{}", label(name)));
    }

    /// Shows the state of one bundle.
    pub(crate) fn bundle(&self, name: &str, status: &BundleStatus, now: UnixSeconds) {
        let named = label(name);
        if let Some(then) = status.last_successful_request {
            self.gauge(&format!("remit.bundles.age_seconds.named.{named}"), now.since(then));
        }
        if let Some(then) = status.last_successful_activation {
            self.gauge(&format!("remit.bundles.last_activation_seconds.named.{named}"), then.0);
        }
        self.gauge(&format!("remit.bundles.faulty.named.{named}"), u64::from(status.fault.is_some()));
        let Some(revision) = &status.active_revision else { return };
        let mut shown = self.revisions.borrow_mut();
        let known = shown.iter().filter(|(of, _)| *of == named).map(|(_, revision)| revision);
        if known.clone().next_back() == Some(revision) {
            return;
        }
        // Each revision is a name that is never freed.
        let at =
            |revision: &str| format!("remit.bundles.revision.named.{named}.revision.{}", label(revision));
        known.for_each(|old| self.gauge(&at(old), 0));
        if shown.len() < MAX_REVISIONS {
            self.gauge(&at(revision), 1);
            shown.retain(|(of, known)| (of, known) != (&named, revision));
            shown.push((named, revision.clone()));
        }
    }

    /// What the proxy has, of all workers together, for the decisions and for what this worker has counted itself.
    pub(crate) fn read(&self) -> Vec<Statistic> {
        // Whoever tells it may have decided nothing.
        for outcome in ["allow", "deny", "require_approval", "modify", "quarantine"] {
            for enforced in ["true", "false"] {
                let name = ["remit.decisions.outcome.", outcome, ".enforced.", enforced].concat();
                let _ = self.id(MetricType::Counter, &name);
            }
        }
        self.names.borrow().read(host::metric)
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
        let is_counter = matches!(kind, MetricType::Counter);
        self.names.borrow_mut().id(name, is_counter, |name| host::define_metric(kind, name))
    }
}
