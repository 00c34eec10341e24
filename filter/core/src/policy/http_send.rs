//! `http.send`: a call that a policy wants made, what came of it, and what is kept for later evaluations.
//!
//! An evaluation never waits. A call whose answer is not known ends it; the shell makes the call, and the evaluation
//! starts again with the answer. OPA, too, makes equal calls of one query once.

mod cache;
mod outside;
mod request;
mod response;
#[cfg(test)]
mod tests;
mod url;

use std::fmt;

pub use cache::HttpCache;
pub(super) use outside::{Answers, Failure, Outside};
pub(super) use request::{Request, check_literal};

/// A call for the shell to make through a cluster of the proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    /// The cluster.
    pub cluster: String,
    /// Pseudo-headers first; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, which may be empty.
    pub body: Vec<u8>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u64,
    /// A longer body of the response is [`HttpReply::TooLarge`].
    pub max_response_bytes: usize,
}

impl fmt::Debug for HttpCall {
    /// Names of headers alone, and no body: either may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, headers, body, timeout_ms, .. } = self;
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "HttpCall({cluster:?}, {names:?}, {} bytes, {timeout_ms} ms)", body.len())
    }
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpReply {
    /// A response.
    Response {
        /// HTTP status.
        status: u16,
        /// Names in lower case, without pseudo-headers.
        headers: Vec<(String, Vec<u8>)>,
        /// The whole body.
        body: Vec<u8>,
    },
    /// A response with more body than was asked for.
    TooLarge,
    /// No response in time.
    Late,
    /// No response: no connection, or no such cluster.
    Nothing,
}
