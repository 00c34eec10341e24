//! What came of one exchange, as the client, the upstream and the audit log saw it.

use std::time::Duration;

use remit_core::decision::Outcome;
use serde_json::Value;

/// What an audit line begins with.
const MARK: &str = r#"{"audit":"remit.audit/1""#;

/// What came of one exchange.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The audit record; `None` when there was none, which is a fault.
    pub audit: Option<Audit>,
    /// The filter's own reply; `None` when the request was forwarded.
    pub reply: Option<Reply>,
    /// What the upstream got; `None` when it got nothing.
    pub forwarded: Option<Forwarded>,
    /// The HTTP status that the client sees.
    pub status: u16,
    /// Wall time that the filter took.
    pub added: Duration,
    /// What went wrong with the subject, such as a trap.
    pub fault: Option<String>,
}

/// A reply of the filter's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, without pseudo-headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// What the upstream got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Headers, pseudo-headers first.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// What the client got back: headers of the upstream's response, with the filter's changes.
    pub response_headers: Vec<(String, String)>,
}

impl Forwarded {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An audit record.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    /// The line as it was logged.
    pub line: String,
    value: Value,
}

impl Audit {
    /// Reads a line of the proxy's log, if it is an audit record.
    #[must_use]
    pub fn of(line: &str) -> Option<Self> {
        if !line.starts_with(MARK) {
            return None;
        }
        let value = serde_json::from_str(line).ok()?;
        Some(Self { line: line.to_owned(), value })
    }

    /// The record as JSON.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The decision.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        serde_json::from_value(self.value.get("outcome")?.clone()).ok()
    }

    /// Its reason codes.
    #[must_use]
    pub fn reasons(&self) -> Vec<&str> {
        let reasons = self.value.get("reasons").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        reasons.iter().filter_map(Value::as_str).collect()
    }

    /// A text at a JSON pointer.
    #[must_use]
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.value.pointer(pointer).and_then(Value::as_str)
    }
}
