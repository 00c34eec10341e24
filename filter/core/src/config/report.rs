//! Where the state of the bundles is reported (OPA's status API).

use serde::{Deserialize, Serialize};

use super::{Checks, Config, Credentials, Headers, default_refresh, default_timeout};

/// A server that is told what became of the bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusConfig {
    /// Name of the proxy's cluster.
    pub cluster: String,
    /// `:authority` of the request.
    pub authority: String,
    /// `:path` of the request.
    #[serde(default = "default_path")]
    pub path: String,
    /// Further headers of each request, by name.
    #[serde(default)]
    pub headers: Headers,
    /// How the server knows who reports.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// How long one report may take, in milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// How often a report is made where nothing changes, in seconds.
    #[serde(default = "default_refresh")]
    pub interval_seconds: u64,
    /// Whether reports have the proxy's statistics of this filter, too, as OPA's have its Prometheus metrics.
    #[serde(default)]
    pub prometheus: bool,
}

fn default_path() -> String {
    "/status".to_owned()
}

pub(super) fn check(config: &Config, checks: &mut Checks) {
    let Some(status) = &config.status else { return };
    let StatusConfig { cluster, path, timeout_ms, interval_seconds, .. } = status;
    checks.extra("/status", &status.headers, status.credentials.as_ref());
    checks.fetch("/status", cluster, path, *timeout_ms, 1, 0);
    checks.that((1..=86_400).contains(interval_seconds), "/status/interval_seconds", "1 to 86400");
}
