//! Responses that are kept from one evaluation to the next, where the policy asks for it.

use std::rc::Rc;

use regorus::Value;

use super::request::Caching;
use super::response::Response;
use crate::ids::Now;
use crate::policy::document::Document;
use crate::remembered::Remembered;

/// Statuses that OPA keeps.
const CACHEABLE: [u16; 11] = [200, 203, 204, 206, 300, 301, 404, 405, 410, 414, 501];
/// The most responses, whatever their size.
const MAX_ENTRIES: usize = 3 * 4096;

/// Responses by request.
#[derive(Debug)]
pub struct HttpCache {
    kept: Remembered<Value, Rc<Kept>>,
}

/// A response, and until when it is as good as new.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) response: Response,
    until: Now,
}

impl HttpCache {
    /// An empty one, within bytes.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { kept: Remembered::new(MAX_ENTRIES, max_bytes) }
    }

    pub(super) fn find(&mut self, key: &Value) -> Option<Rc<Kept>> {
        self.kept.find(key)
    }

    /// Keeps a response, if it may be kept.
    pub(super) fn keep(&mut self, key: &Value, response: Response, caching: Caching, now: Now) {
        let control = Directives::of(response.header("cache-control").unwrap_or_default());
        let seconds = match caching {
            Caching::Off => return,
            Caching::Forced(seconds) if seconds > 0 => seconds,
            Caching::Forced(_) | Caching::AsAnswered if control.no_store => return,
            Caching::Forced(_) | Caching::AsAnswered => control.max_age.unwrap_or(0),
        };
        if !CACHEABLE.contains(&response.status) {
            return;
        }
        let until = now.plus_millis(seconds.saturating_mul(1000));
        let bytes = response.bytes().saturating_add(Document(key.clone()).bytes());
        self.kept.keep(key.clone(), Rc::new(Kept { response, until }), bytes);
    }
}

impl Kept {
    pub(super) fn is_fresh(&self, now: Now) -> bool {
        now < self.until
    }

    /// What a request asks with whether this is still good.
    pub(super) fn conditions(&self) -> Vec<(String, String)> {
        [("if-none-match", "etag"), ("if-modified-since", "last-modified")]
            .into_iter()
            .filter_map(|(ask, header)| Some((ask.to_owned(), self.response.header(header)?.to_owned())))
            .collect()
    }
}

/// `cache-control` (RFC 9111 section 5.2), as far as OPA reads it.
struct Directives {
    no_store: bool,
    max_age: Option<u64>,
}

impl Directives {
    fn of(header: &str) -> Self {
        let parts = || header.split(',').map(str::trim);
        let age = parts().filter_map(|part| part.split_once('=')).find(|(name, _)| name.trim() == "max-age");
        Self {
            no_store: parts().any(|part| part == "no-store"),
            max_age: age.and_then(|(_, seconds)| seconds.trim().parse().ok()),
        }
    }
}
