//! What evaluations may reach besides input and data: where `http.send` goes, who waits for it, what `opa.runtime` says.

use std::cell::RefCell;
use std::rc::Rc;

use super::Engine;
use crate::config::{Config, HttpSend};
use crate::ids::Now;
use crate::policy::{Document, HttpCache, Surroundings};

/// What is the same for all evaluations of a configuration.
#[derive(Debug)]
pub(super) struct Outside {
    http: Option<Http>,
    /// What `opa.runtime` gives.
    runtime: Document,
}

/// What `http.send` goes by.
#[derive(Debug)]
struct Http {
    settings: Rc<HttpSend>,
    cache: Rc<RefCell<HttpCache>>,
    /// As many owners as requests wait, and one more.
    waits: Rc<()>,
}

impl Outside {
    pub(super) fn new(config: &Config) -> Self {
        let http = config.builtins.http_send.as_ref().map(|settings| Http {
            settings: Rc::new(settings.clone()),
            cache: Rc::new(RefCell::new(HttpCache::new(settings.cache_bytes))),
            waits: Rc::new(()),
        });
        Self { http, runtime: runtime(config) }
    }
}

impl Engine {
    /// What is around an evaluation at this instant.
    #[must_use]
    pub fn surroundings(&self, now: Now) -> Surroundings {
        let mut around = Surroundings::at(now).in_runtime(self.outside.runtime.clone());
        if let Some(Http { settings, cache, .. }) = &self.outside.http {
            around = around.with_http(Rc::clone(settings), Rc::clone(cache));
        }
        if self.config.builtins.print { around.with_prints() } else { around }
    }

    /// A place among the requests that wait for an answer to `http.send`, until it is dropped; `None` where there is no
    /// room.
    pub(crate) fn http_wait(&self) -> Option<Rc<()>> {
        let http = self.outside.http.as_ref()?;
        (Rc::strong_count(&http.waits) <= http.settings.max_waits).then(|| Rc::clone(&http.waits))
    }
}

/// OPA's `config` as far as it says who this is: no credentials, no services. There is no environment.
fn runtime(config: &Config) -> Document {
    let labels = config.labels.iter().map(|(name, value)| (name.as_str(), Document::text(value)));
    Document::map([
        ("config", Document::map([("labels", Document::map(labels))])),
        ("env", Document::map([])),
        ("version", Document::text(env!("CARGO_PKG_VERSION"))),
    ])
}
