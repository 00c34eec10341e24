//! Something that is fetched over HTTP again and again: when the next fetch is due, and how old the last good answer is.

use crate::config::HttpSource;
use crate::ids::UnixSeconds;

/// A fetch for the shell to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Cluster of the proxy.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:path`.
    pub path: String,
    /// `if-none-match`.
    pub etag: Option<String>,
    /// How long it may take.
    pub timeout_ms: u64,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the cluster is unknown, the connection failed, or time ran out.
    Nothing,
    /// A response.
    Response {
        /// HTTP status.
        status: u16,
        /// `etag`.
        etag: Option<String>,
        /// The body.
        body: Vec<u8>,
    },
}

/// The schedule of one source.
#[derive(Debug)]
pub struct Source {
    http: HttpSource,
    etag: Option<String>,
    last_good: Option<UnixSeconds>,
    next: UnixSeconds,
    failures: u32,
    in_flight: bool,
}

impl Source {
    /// A source that was never fetched: due at once.
    #[must_use]
    pub fn new(http: HttpSource) -> Self {
        Self { http, etag: None, last_good: None, next: UnixSeconds(0), failures: 0, in_flight: false }
    }

    /// The fetch that is due, if one is. The caller answers it with [`Source::succeeded`] or [`Source::failed`].
    pub fn due(&mut self, now: UnixSeconds) -> Option<Fetch> {
        if self.in_flight || now < self.next {
            return None;
        }
        self.in_flight = true;
        let HttpSource { cluster, authority, path, timeout_ms, .. } = self.http.clone();
        Some(Fetch { cluster, authority, path, etag: self.etag.clone(), timeout_ms })
    }

    /// A good answer was installed. Without an ETag the next fetch asks for the whole again.
    pub fn succeeded(&mut self, now: UnixSeconds, etag: Option<String>) {
        self.etag = etag;
        self.confirmed(now);
    }

    /// The last good answer is still the right one.
    pub fn confirmed(&mut self, now: UnixSeconds) {
        self.in_flight = false;
        self.failures = 0;
        self.last_good = Some(now);
        self.next = now.plus(self.http.refresh_seconds);
    }

    /// No answer, or one that could not be used. The next try comes after 1, 2, 4 … seconds, at most the refresh time.
    pub fn failed(&mut self, now: UnixSeconds) {
        self.in_flight = false;
        let wait = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX).min(self.http.refresh_seconds);
        self.failures = self.failures.saturating_add(1).min(32);
        self.next = now.plus(wait);
        // What could not be used must be sent again in full.
        self.etag = None;
    }

    /// There may be something newer from `at` on.
    pub fn due_by(&mut self, at: UnixSeconds) {
        self.next = self.next.min(at);
    }

    /// The last good answer turned out to be none: it is fetched again as a whole, and at once.
    pub fn discard(&mut self, now: UnixSeconds) {
        self.etag = None;
        self.due_by(now);
    }

    /// When the last good answer came.
    #[must_use]
    pub fn last_good(&self) -> Option<UnixSeconds> {
        self.last_good
    }

    /// Whether the last good answer is older than it may be.
    #[must_use]
    pub fn is_stale(&self, now: UnixSeconds) -> bool {
        let max_age = self.http.max_age_seconds;
        max_age > 0 && self.last_good.is_some_and(|then| now.since(then) > max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::new(HttpSource {
            cluster: "c".into(),
            authority: "a".into(),
            path: "/p".into(),
            timeout_ms: 1000,
            refresh_seconds: 60,
            max_age_seconds: 100,
        })
    }

    #[test]
    fn one_fetch_at_a_time_then_every_refresh() {
        let mut source = source();
        let t = UnixSeconds;
        assert!(source.due(t(1000)).is_some());
        assert!(source.due(t(1000)).is_none());
        source.succeeded(t(1001), Some("\"1\"".into()));
        assert!(source.due(t(1060)).is_none());
        assert_eq!(source.due(t(1061)).unwrap().etag.as_deref(), Some("\"1\""));
        source.confirmed(t(1061));
        assert!(!source.is_stale(t(1161)));
        assert!(source.is_stale(t(1162)));
    }

    #[test]
    fn failures_back_off_and_keep_the_last_good_time() {
        let mut source = source();
        let mut now = UnixSeconds(1000);
        source.succeeded(now, Some("\"1\"".into()));
        for wait in [60, 1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(source.due(now.plus(wait - 1)).is_none(), "{wait}");
            now = now.plus(wait);
            assert!(source.due(now).is_some());
            source.failed(now);
        }
        assert_eq!(source.last_good(), Some(UnixSeconds(1000)));
        assert!(source.is_stale(now));
    }
}
