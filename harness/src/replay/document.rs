//! What a server that the filter fetches from answers at some time of a replay.

use remit_core::policy::{HttpCall, HttpReply};
use remit_core::source::{Answer, Fetch, freshness};

use crate::host::{Callout, HeaderMap, HttpResponse};

/// The answer to a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The cluster that is asked.
    pub cluster: String,
    /// The path that is asked for.
    pub path: String,
    /// HTTP status.
    pub status: u16,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Document {
    /// As the core takes it.
    pub(super) fn answer(documents: &[Self], fetch: &Fetch) -> Answer {
        let asked = |document: &&Self| {
            (&document.cluster, &document.path) == (&fetch.place.cluster, &fetch.place.path)
        };
        let Some(document) = documents.iter().find(asked) else { return Answer::Nothing };
        let header = |wanted: &str| {
            let found = document.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.as_str())
        };
        Answer::Response {
            status: document.status,
            etag: header("etag").map(str::to_owned),
            fresh_seconds: freshness(header("cache-control"), header("age")),
            content_type: header("content-type").map(str::to_owned),
            body: document.body.clone(),
        }
    }

    /// As the policy's `http.send` gets it.
    pub(super) fn reply(documents: &[Self], call: &HttpCall) -> HttpReply {
        let path = call.headers.iter().find(|(name, _)| name == ":path").map(|(_, path)| path);
        let asked = |document: &&Self| document.cluster == call.cluster && Some(&document.path) == path;
        let Some(document) = documents.iter().find(asked) else { return HttpReply::Nothing };
        if document.body.len() > call.max_response_bytes {
            return HttpReply::TooLarge;
        }
        let headers = document.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec()));
        HttpReply::Response {
            status: document.status,
            headers: headers.collect(),
            body: document.body.clone(),
        }
    }

    /// As a module gets it.
    pub(super) fn response(documents: &[Self], call: &Callout) -> Option<HttpResponse> {
        let asked = |document: &&Self| {
            document.cluster == call.cluster && call.headers.text(":path") == Some(&document.path)
        };
        let document = documents.iter().find(asked)?;
        let status = (":status".to_owned(), document.status.to_string());
        let headers: HeaderMap = std::iter::once(status).chain(document.headers.iter().cloned()).collect();
        Some(HttpResponse { headers, body: document.body.clone(), trailers: None })
    }
}
