//! What `http.send` gives: OPA's object of a response.

use std::collections::BTreeMap;

use regorus::Value;

use crate::policy::document::Document;

/// A response as it came, without pseudo-headers and what the proxy says of its own.
#[derive(Debug, Clone)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, Vec<String>>,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn new(status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in headers {
            if !name.starts_with(':') && !name.starts_with("x-envoy-") {
                named.entry(name).or_default().push(String::from_utf8_lossy(&value).into_owned());
            }
        }
        Self { status, headers: named, body }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.first().map(String::as_str)
    }

    /// What the policy sees.
    pub(super) fn value(&self, force_json: bool) -> Value {
        // What is no JSON is null, as in OPA.
        let parsed =
            (force_json || self.is_json()).then(|| serde_json::from_slice(&self.body).ok()).flatten();
        let headers = self.headers.iter().map(|(name, values)| {
            (name.as_str(), Document::array(values.iter().map(|value| Document::text(value))))
        });
        let reason = phrase(self.status);
        let status =
            if reason.is_empty() { self.status.to_string() } else { format!("{} {reason}", self.status) };
        Document::map([
            ("status", Document::text(&status)),
            ("status_code", Document::number_u64(self.status.into())),
            ("headers", Document::map(headers)),
            ("body", Document::from_json_owned(parsed.unwrap_or_default())),
            ("raw_body", Document::text(&String::from_utf8_lossy(&self.body))),
        ])
        .0
    }

    fn is_json(&self) -> bool {
        let media = self.header("content-type").and_then(|kind| kind.split(';').next()).unwrap_or_default();
        let media = media.trim().to_ascii_lowercase();
        media == "application/json" || media.starts_with("application/") && media.ends_with("+json")
    }

    pub(super) fn bytes(&self) -> usize {
        let headers =
            self.headers.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        let headers = headers
            .map(|(name, value)| name.len().saturating_add(value.len()))
            .fold(0, usize::saturating_add);
        headers.saturating_add(self.body.len()).saturating_add(size_of::<Self>())
    }
}

/// The reason phrase (RFC 9110 section 15), which proxies do not pass on.
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request URI Too Long",
        415 => "Unsupported Media Type",
        418 => "I'm a teapot",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}
