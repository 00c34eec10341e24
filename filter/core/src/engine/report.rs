//! What is told about the bundles: OPA's status document, when it is sent, and by which worker.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{BundleStatus, Engine};
use crate::audit::rfc3339;
use crate::config::extra;
use crate::ids::{Now, UnixSeconds};
use crate::policy::{HttpCall, HttpReply};
use crate::statistics::{Statistic, prometheus};

/// What the keys of the proxy's shared data that say which worker reports begin with.
const REPORTER: &str = "remit/status/reporter/";

/// How long a worker is the one that reports, in seconds, if it does not say so again.
const LEASE_SECONDS: u64 = 15;

/// Whether this worker reports.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reporter {
    /// It does.
    Here,
    /// It does once it has written this in place of what was read.
    Claim(Vec<u8>),
    /// Another one does.
    Elsewhere,
}

/// When the next report is made.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// Names this worker among those of the proxy.
    worker: [u8; 8],
    /// What was told last.
    told: Option<Vec<(String, BundleStatus)>>,
    next: UnixSeconds,
    /// Nothing is sent before this: a report is under way, or the last one failed.
    not_before: UnixSeconds,
    failures: u32,
}

impl Reports {
    pub(super) fn named(&mut self, worker: [u8; 8]) {
        self.worker = worker;
    }
}

impl Engine {
    /// Whether a report is due: something changed since the last one, or it was long ago.
    #[must_use]
    pub fn report_is_due(&self, now: UnixSeconds) -> bool {
        let Some(settings) = &self.config.status else { return false };
        let reports = &self.reports;
        // Further ahead than any is set: the clock was set back.
        let most = settings.interval_seconds.saturating_add(settings.timeout_ms / 1000).saturating_add(5);
        let has_come = |time: UnixSeconds| now >= time || time.since(now) > most;
        has_come(reports.not_before) && (has_come(reports.next) || self.has_news())
    }

    /// Notes how long a bundle took to be fetched and to be taken, in nanoseconds, by the clock of whoever fetched it.
    pub fn bundle_took(&mut self, name: &str, took: (u64, u64)) {
        if let Some(part) = self.bundles.part_mut(name) {
            part.status.took = Some(took);
        }
    }

    /// Whether more has changed than when a bundle was last asked for.
    fn has_news(&self) -> bool {
        let steady = |status: &BundleStatus| BundleStatus {
            last_request: None,
            last_successful_request: None,
            took: None,
            ..status.clone()
        };
        let Some(told) = &self.reports.told else { return true };
        let told = told.iter().map(|(name, status)| (name.as_str(), steady(status)));
        !told.eq(self.bundle_statuses().map(|(name, status)| (name, steady(status))))
    }

    /// The report, if one is due and it is for this worker to make. To be asked for more often than every 7 seconds, also
    /// while none is due: who reports goes on to. `read` is given a key of the proxy's shared data, and finds its value
    /// and the version of that; `write` replaces this version, and says whether it could. `statistics` are read where they are
    /// to be told.
    pub fn report_in_turn<V>(
        &mut self,
        now: UnixSeconds,
        read: impl FnOnce(&str) -> Option<(Option<Vec<u8>>, V)>,
        write: impl FnOnce(&str, &[u8], V) -> bool,
        statistics: impl FnOnce() -> Vec<Statistic>,
    ) -> Option<HttpCall> {
        let key = self.reporter_key()?;
        let (stored, version) = read(&key)?;
        let reports = match self.reporter(stored.as_deref(), now) {
            Reporter::Here => true,
            // Whoever loses looks again the next time.
            Reporter::Claim(value) => write(&key, &value, version),
            Reporter::Elsewhere => false,
        };
        if reports && self.report_is_due(now) { self.report_with(now, statistics) } else { None }
    }

    /// Of those who tell the same server of the same proxy, one does.
    fn reporter_key(&self) -> Option<String> {
        let settings = self.config.status.as_ref()?;
        let told = json!([settings.cluster, settings.authority, settings.path, self.config.labels]);
        Some(format!("{REPORTER}{}", STANDARD.encode(Sha256::digest(told.to_string()))))
    }

    /// Whether it is for this worker to report, by what the proxy's shared data has under its key.
    fn reporter(&self, stored: Option<&[u8]>, now: UnixSeconds) -> Reporter {
        let mine = self.reports.worker;
        let held = stored.and_then(|value| value.split_first_chunk::<8>());
        let held = held.and_then(|(worker, rest)| Some((*worker, u64::from_be_bytes(rest.try_into().ok()?))));
        match held {
            Some((worker, until)) if worker != mine && now.0 < until => Reporter::Elsewhere,
            Some((worker, until)) if worker == mine && until.saturating_sub(now.0) > LEASE_SECONDS / 2 => {
                Reporter::Here
            }
            _ => Reporter::Claim([mine, now.plus(LEASE_SECONDS).0.to_be_bytes()].concat()),
        }
    }

    /// The report, without statistics. The caller answers it with [`Engine::reported`].
    pub fn report(&mut self, now: UnixSeconds) -> Option<HttpCall> {
        self.report_with(now, Vec::new)
    }

    fn report_with(
        &mut self,
        now: UnixSeconds,
        statistics: impl FnOnce() -> Vec<Statistic>,
    ) -> Option<HttpCall> {
        let mut document = self.status_document();
        if self.config.status.as_ref()?.prometheus
            && let Some(members) = document.as_object_mut()
        {
            members.insert("metrics".to_owned(), json!({"prometheus": prometheus(&statistics())}));
        }
        let body = document.to_string().into_bytes();
        let statuses =
            self.bundle_statuses().map(|(name, status)| (name.to_owned(), status.clone())).collect();
        let settings = self.config.status.as_ref()?;
        let extra = extra(&settings.headers, settings.credentials.as_ref());
        self.reports.told = Some(statuses);
        self.reports.next = now.plus(settings.interval_seconds);
        // One at a time, also where a host never answers.
        self.reports.not_before = now.plus((settings.timeout_ms / 1000).saturating_add(5));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Some(HttpCall {
            cluster: settings.cluster.clone(),
            headers: vec![
                header(":method", "POST"),
                header(":scheme", "https"),
                header(":authority", &settings.authority),
                header(":path", &settings.path),
                header("content-type", "application/json"),
            ]
            .into_iter()
            .chain(extra.iter().map(|(name, value)| header(name, value)))
            .collect(),
            body,
            timeout_ms: settings.timeout_ms,
            max_response_bytes: 0,
        })
    }

    /// Takes the answer to a report; says what became of it, for a metric. One that was not taken is made again.
    pub fn reported(&mut self, reply: &HttpReply, now: UnixSeconds) -> &'static str {
        let result = match reply {
            HttpReply::Response { status: 200..=299, .. } => "ok",
            HttpReply::Response { .. } => "status",
            _ => "no_answer",
        };
        let reports = &mut self.reports;
        if result == "ok" {
            reports.failures = 0;
            reports.not_before = now;
        } else {
            let most = self.config.status.as_ref().map_or(1, |settings| settings.interval_seconds);
            reports.told = None;
            reports.not_before = now.plus(1_u64.checked_shl(reports.failures).unwrap_or(u64::MAX).min(most));
            reports.failures = reports.failures.saturating_add(1).min(32);
            reports.next = reports.not_before;
        }
        result
    }

    /// OPA's status document.
    #[must_use]
    pub fn status_document(&self) -> Value {
        let mut labels = Map::new();
        labels.extend(self.config.labels.iter().map(|(name, value)| (name.clone(), json!(value))));
        labels.entry("version").or_insert_with(|| json!(concat!("remit ", env!("CARGO_PKG_VERSION"))));
        let mut bundles = Map::new();
        bundles.extend(self.bundle_statuses().map(|(name, status)| (name.to_owned(), told(name, status))));
        let all = self.bundle_statuses().all(|(_, status)| status.active_revision.is_some());
        let state = if all { "OK" } else { "NOT_READY" };
        let mut document = json!({
            "labels": labels,
            "bundles": bundles,
            "plugins": {"bundle": {"state": state}, "status": {"state": "OK"}},
        });
        if let (Some(discovering), Some(members)) = (&self.discovering, document.as_object_mut()) {
            members.insert("discovery".to_owned(), told("discovery", &discovering.part.status));
        }
        document
    }
}

/// One bundle, with the times and the zero times of OPA.
fn told(name: &str, status: &BundleStatus) -> Value {
    let time = |at: Option<UnixSeconds>| {
        json!(at.map_or_else(
            || "0001-01-01T00:00:00Z".to_owned(),
            |at| rfc3339(Now(at.0.saturating_mul(1_000_000_000)))
        ))
    };
    let mut told = json!({
        "name": name,
        "last_successful_activation": time(status.last_successful_activation),
        "last_successful_download": time(status.last_successful_download),
        "last_successful_request": time(status.last_successful_request),
        "last_request": time(status.last_request),
    });
    let mut add = |name: &str, value: Value| {
        if let Some(told) = told.as_object_mut() {
            told.insert(name.to_owned(), value);
        }
    };
    if let Some(revision) = status.active_revision.as_ref().filter(|revision| !revision.is_empty()) {
        add("active_revision", json!(revision));
    }
    if status.size > 0 {
        add("type", json!(if status.is_delta { "delta" } else { "snapshot" }));
        add("size", json!(status.size));
    }
    if let Some((request, load)) = status.took {
        add("metrics", json!({"timer_bundle_request_ns": request, "timer_rego_load_bundles_ns": load}));
    }
    if let Some(fault) = &status.fault {
        add("code", json!("bundle_error"));
        add("message", json!(fault.message));
        if let Some(http_status) = fault.http_status {
            add("http_code", json!(http_status));
        }
    }
    told
}

#[cfg(test)]
mod tests;
