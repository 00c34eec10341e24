//! What policies may reach besides their input and data: hosts for `http.send`, and the proxy's log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Checks;

/// What builtins may do that look outside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Builtins {
    /// Where `http.send` may go. Absent: a bundle that calls it is refused.
    pub http_send: Option<HttpSend>,
    /// Write what `print` and `trace` say to the proxy's log, at level debug. A policy can print anything that it reads,
    /// tokens' claims and headers included.
    pub print: bool,
}

/// Where `http.send` may go, and how much it may take.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpSend {
    /// By `host:port` of the URL, or `host` alone for the scheme's own port.
    pub hosts: BTreeMap<String, HttpHost>,
    /// How long a call may take, in milliseconds, and the longest that a policy may ask for.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// Calls for one decision, retries included.
    #[serde(default = "default_calls")]
    pub max_calls: usize,
    /// The body of a request, in bytes.
    #[serde(default = "default_bytes")]
    pub max_request_bytes: usize,
    /// The body of a response, in bytes.
    #[serde(default = "default_bytes")]
    pub max_response_bytes: usize,
    /// Responses that are kept for later decisions where the policy asks for it, in bytes, for each worker.
    #[serde(default = "default_cache")]
    pub cache_bytes: usize,
    /// Requests that wait for an answer, for each worker.
    #[serde(default = "default_waits")]
    pub max_waits: usize,
}

/// A host that policies may call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpHost {
    /// Name of the proxy's cluster that leads there. TLS is the cluster's.
    pub cluster: String,
}

const fn default_timeout() -> u64 {
    5000
}
const fn default_calls() -> usize {
    4
}
const fn default_bytes() -> usize {
    64 * 1024
}
const fn default_cache() -> usize {
    1024 * 1024
}
const fn default_waits() -> usize {
    256
}

impl HttpSend {
    /// The cluster that leads to a host, if it may be called.
    #[must_use]
    pub fn cluster(&self, host: &str, port: u16, is_default_port: bool) -> Option<&str> {
        let with_port = self.hosts.get(&format!("{host}:{port}"));
        let host = with_port.or_else(|| self.hosts.get(host).filter(|_| is_default_port));
        host.map(|host| host.cluster.as_str())
    }

    fn check(&self, checks: &mut Checks) {
        let at = "/builtins/http_send";
        for (name, host) in &self.hosts {
            let written = !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase() && b != b'/');
            checks.that(written, at, "hosts: `host:port` or `host`, in lower case, without a scheme");
            checks.that(!host.cluster.is_empty(), at, "cluster: the name of a cluster of the proxy");
        }
        checks.that((1..=60_000).contains(&self.timeout_ms), at, "timeout_ms: 1 to 60000");
        checks.that((1..=32).contains(&self.max_calls), at, "max_calls: 1 to 32");
        checks.that(self.max_request_bytes <= 16 << 20, at, "max_request_bytes: at most 16777216");
        checks.that(self.max_response_bytes <= 16 << 20, at, "max_response_bytes: at most 16777216");
        checks.that(self.cache_bytes <= 256 << 20, at, "cache_bytes: at most 268435456");
        checks.that((1..=65_536).contains(&self.max_waits), at, "max_waits: 1 to 65536");
    }
}

impl Builtins {
    pub(super) fn check(&self, checks: &mut Checks) {
        self.http_send.iter().for_each(|http_send| http_send.check(checks));
    }
}
