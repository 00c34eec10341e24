//! A bundle that says which bundles there are (OPA's discovery), and how far it may.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bundles::check_source;
use super::{BundleSource, Checks, Config, Credentials, Headers, Signing, default_max_age, default_timeout};

/// Where it is said which bundles there are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DiscoveryConfig {
    /// The discovery bundle.
    pub source: BundleSource,
    /// Path of the configuration below `data` in that bundle; default: all of it.
    #[serde(default)]
    pub decision: Option<String>,
    /// How it has to be signed, and the bundles that it names with it. For one of them it may name another `keyid` and
    /// `scope`, and no more.
    #[serde(default)]
    pub signing: Option<Signing>,
    /// The services that it may name.
    pub services: BTreeMap<String, Service>,
}

/// A server that bundles may be fetched from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Service {
    /// Name of the proxy's cluster.
    pub cluster: String,
    /// `:authority` of requests.
    pub authority: String,
    /// What every path begins with.
    #[serde(default)]
    pub path: String,
    /// Further headers of each request, by name.
    #[serde(default)]
    pub headers: Headers,
    /// How the server knows who asks.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// How long one fetch may take, in milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// How long the last good answer may be used, in seconds; 0: for ever.
    #[serde(default = "default_max_age")]
    pub max_age_seconds: u64,
}

pub(super) fn check(config: &Config, checks: &mut Checks) {
    let Some(discovery) = &config.discovery else { return };
    check_source(&discovery.source, "/discovery/source", checks);
    let path = discovery.decision.iter().flat_map(|path| path.split('/')).all(|part| !part.is_empty());
    checks.that(
        path,
        "/discovery/decision",
        "a path such as `example/discovery`, no leading or trailing `/`",
    );
    let some = !discovery.services.is_empty();
    checks.that(some, "/discovery/services", "name at least one server of bundles");
    for (name, service) in &discovery.services {
        let at = format!("/discovery/services/{}", name.replace('~', "~0").replace('/', "~1"));
        let path = if service.path.is_empty() { "/" } else { service.path.as_str() };
        checks.fetch(&at, &service.cluster, path, service.timeout_ms, 1, service.max_age_seconds);
        checks.extra(&at, &service.headers, service.credentials.as_ref());
    }
}
