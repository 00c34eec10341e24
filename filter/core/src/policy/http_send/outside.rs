//! The calls of one decision: which are answered, and which one is wanted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use regorus::Value;

use super::cache::{HttpCache, Kept};
use super::request::{Caching, Request};
use super::response::Response;
use super::{HttpCall, HttpReply};
use crate::config::HttpSend;
use crate::ids::Now;
use crate::policy::document::Document;
use crate::policy::error::EvaluationError;
use crate::policy::functions::Stop;

/// Where calls may go, and the answers that are kept.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Outside {
    pub(in crate::policy) settings: Rc<HttpSend>,
    pub(in crate::policy) cache: Rc<RefCell<HttpCache>>,
}

/// Why there is no response, as OPA's `error` object tells.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Failure {
    code: &'static str,
    message: String,
}

impl Failure {
    /// Of the request itself.
    pub(in crate::policy) fn internal(message: String) -> Self {
        Self { code: "eval_http_send_internal_error", message }
    }

    fn network(message: String) -> Self {
        Self { code: "eval_http_send_network_error", message }
    }

    /// With `raise_error`, which is the default.
    pub(in crate::policy) fn raised(self) -> Stop {
        Stop(EvaluationError::HttpSend { message: self.message })
    }

    /// With `raise_error: false`.
    pub(in crate::policy) fn value(&self) -> Value {
        let error = [("code", Document::text(self.code)), ("message", Document::text(&self.message))];
        Document::map([("status_code", Document::number_u64(0)), ("error", Document::map(error))]).0
    }
}

/// What is known of the calls of one decision.
#[derive(Debug, Default)]
pub(in crate::policy) struct Answers {
    known: BTreeMap<Value, Result<Value, Failure>>,
    wanted: Option<Wanted>,
    made: usize,
}

#[derive(Debug)]
struct Wanted {
    request: Request,
    call: HttpCall,
    /// What is kept of an earlier response, and may still be good.
    stale: Option<Rc<Kept>>,
    retries: u64,
}

impl Answers {
    /// The answer to a request; [`EvaluationError::Waiting`] where it has to be asked for first.
    pub(in crate::policy) fn to(
        &mut self,
        request: Request,
        outside: Option<&Outside>,
        now: Now,
    ) -> Result<Result<Value, Failure>, Stop> {
        if let Some(known) = self.known.get(&request.key) {
            return Ok(known.clone());
        }
        let Some(Outside { settings, cache }) = outside else {
            return Ok(Err(Failure::internal("nothing can be called from here".to_owned())));
        };
        let url = &request.url;
        let Some(cluster) = settings.cluster(&url.host, url.port, url.is_default_port) else {
            return Ok(Err(Failure::internal(format!("disallowed host: {}:{}", url.host, url.port))));
        };
        if request.body.len() > settings.max_request_bytes {
            let limit = settings.max_request_bytes;
            return Ok(Err(Failure::internal(format!("the body is larger than {limit} bytes"))));
        }
        let mut stale = None;
        if request.caching != Caching::Off
            && let Some(kept) = cache.borrow_mut().find(&request.key)
        {
            if kept.is_fresh(now) {
                let value = kept.response.value(request.force_json);
                self.known.insert(request.key, Ok(value.clone()));
                return Ok(Ok(value));
            }
            stale = Some(kept).filter(|kept| !kept.conditions().is_empty());
        }
        if self.made >= settings.max_calls {
            return Err(Stop(EvaluationError::HttpCalls { limit: settings.max_calls }));
        }
        let call = call(&request, cluster.to_owned(), settings, stale.as_deref());
        let retries = request.retries;
        self.made = self.made.saturating_add(1);
        self.wanted = Some(Wanted { request, call, stale, retries });
        Err(Stop(EvaluationError::Waiting))
    }

    /// The call to make before the evaluation can go on.
    pub(in crate::policy) fn wanted(&self) -> Option<&HttpCall> {
        self.wanted.as_ref().map(|wanted| &wanted.call)
    }

    /// Takes what came of the call that was wanted. The same call may be wanted again.
    pub(in crate::policy) fn take(&mut self, reply: HttpReply, outside: Option<&Outside>, now: Now) {
        let (Some(mut wanted), Some(Outside { settings, cache })) = (self.wanted.take(), outside) else {
            return;
        };
        let nothing = matches!(reply, HttpReply::Nothing | HttpReply::Late);
        if nothing && wanted.retries > 0 && self.made < settings.max_calls {
            wanted.retries = wanted.retries.saturating_sub(1);
            self.made = self.made.saturating_add(1);
            self.wanted = Some(wanted);
            return;
        }
        let Wanted { request, call, stale, .. } = wanted;
        let failed = |why: &str| format!("{} {}: {why}", request.method, request.url.audited());
        let answer = match reply {
            HttpReply::Late => Err(Failure::network(failed("request timed out"))),
            HttpReply::Nothing => Err(Failure::network(failed("no connection"))),
            HttpReply::TooLarge => {
                let limit = call.max_response_bytes;
                Err(Failure::internal(failed(&format!("the response is larger than {limit} bytes"))))
            }
            HttpReply::Response { status, headers, body } => {
                let mut response = Response::new(status, headers, body);
                if let Some(stale) = stale.filter(|_| status == 304) {
                    let mut kept = stale.response.clone();
                    kept.headers.append(&mut response.headers);
                    response = kept;
                }
                let value = response.value(request.force_json);
                cache.borrow_mut().keep(&request.key, response, request.caching, now);
                Ok(value)
            }
        };
        self.known.insert(request.key, answer);
    }
}

fn call(request: &Request, cluster: String, settings: &HttpSend, stale: Option<&Kept>) -> HttpCall {
    let url = &request.url;
    let own_host = request.headers.iter().find(|(name, _)| name == "host");
    let authority = own_host.map_or(url.authority.as_str(), |(_, host)| host);
    let pseudo = [
        (":method", request.method.as_str()),
        (":scheme", url.scheme),
        (":authority", authority),
        (":path", url.path.as_str()),
    ];
    let mut headers: Vec<(String, String)> =
        pseudo.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.extend(request.headers.iter().filter(|(name, _)| name != "host").cloned());
    headers.extend(stale.map(Kept::conditions).unwrap_or_default());
    let longest = settings.timeout_ms;
    HttpCall {
        cluster,
        headers,
        body: request.body.clone(),
        timeout_ms: if request.timeout_ms == 0 { longest } else { request.timeout_ms.min(longest) },
        max_response_bytes: settings.max_response_bytes,
    }
}
