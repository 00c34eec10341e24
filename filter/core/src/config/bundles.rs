//! Where the policy comes from: one bundle, or several with disjoint roots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Checks, Config, ConfigError, Mode, Signing, default_max_age, default_refresh, default_timeout};
use crate::source::{Place, Plan, Polling, Target};

/// The name of the bundle that `bundle` configures.
pub const SOLE_BUNDLE: &str = "bundle";

/// Where a policy bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BundleSource {
    /// A `.tar.gz` in base64 (RFC 4648 section 4).
    Inline(String),
    /// A `.tar.gz` fetched through a cluster of the proxy.
    Http(BundleFetch),
}

/// One of several bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleEntry {
    /// Where it comes from.
    pub source: BundleSource,
    /// `observe`: if this bundle owns the decision, what it decides is recorded and not enforced.
    #[serde(default)]
    pub mode: Mode,
    /// How it has to be signed; absent: it need not be.
    #[serde(default)]
    pub signing: Option<Signing>,
}

/// A bundle fetched through a cluster of the proxy, again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleFetch {
    /// Name of the proxy's cluster.
    pub cluster: String,
    /// `:authority` of the request.
    pub authority: String,
    /// `:path` of the request.
    pub path: String,
    /// How long one fetch may take, in milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// The longest time between two fetches, in seconds.
    #[serde(default = "default_refresh")]
    pub refresh_seconds: u64,
    /// The shortest time between two fetches, in seconds; each waits for a random time between the two, so that workers
    /// and proxies do not all come at once. Default: half of `refresh_seconds`.
    #[serde(default)]
    pub min_refresh_seconds: Option<u64>,
    /// How long the last good answer may be used, in seconds; 0: for ever.
    #[serde(default = "default_max_age")]
    pub max_age_seconds: u64,
    /// How long the server may hold a fetch back until there is something new, in seconds, if it can (OPA's long
    /// polling). Absent: it is not asked to.
    #[serde(default)]
    pub long_polling_timeout_seconds: Option<u64>,
}

impl BundleFetch {
    /// When to fetch. Nobody waits for it.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan {
            timeout_ms: self.timeout_ms,
            refresh_seconds: self.refresh_seconds,
            min_refresh_seconds: None,
            max_age_seconds: self.max_age_seconds,
            refetch_seconds: u64::MAX,
            polling: Some(Polling {
                min_refresh_seconds: self
                    .min_refresh_seconds
                    .unwrap_or_else(|| self.refresh_seconds.div_ceil(2)),
                long_poll_seconds: self.long_polling_timeout_seconds,
            }),
        }
    }

    /// What to fetch.
    #[must_use]
    pub fn target(&self) -> Target {
        let Self { cluster, authority, path, .. } = self.clone();
        Target::Fixed(Place { cluster, authority, path })
    }

    fn check(&self, at: &str, checks: &mut Checks) {
        let (timeout, refresh) = (self.timeout_ms, self.refresh_seconds);
        checks.fetch(at, &self.cluster, &self.path, timeout, refresh, self.max_age_seconds);
        let least = self.min_refresh_seconds.is_none_or(|least| (1..=refresh).contains(&least));
        checks.that(least, at, "min_refresh_seconds: 1 to refresh_seconds");
        let wait = self.long_polling_timeout_seconds.is_none_or(|wait| (1..=3600).contains(&wait));
        checks.that(wait, at, "long_polling_timeout_seconds: 1 to 3600");
    }
}

impl Config {
    /// What is wrong with bundles that a discovery bundle names, and where.
    pub(crate) fn fault_of_bundles(
        bundles: &BTreeMap<String, BundleEntry>,
    ) -> Option<(String, &'static str)> {
        let mut checks = Checks { failed: None };
        check_entries(bundles, "/bundles", &mut checks);
        match checks.failed {
            Some(ConfigError::Value { pointer, problem }) => Some((pointer, problem)),
            _ => None,
        }
    }

    /// The bundles that are configured: name, source, and for those of `bundles` the whole entry.
    pub fn bundle_entries(&self) -> impl Iterator<Item = (&str, &BundleSource, Option<&BundleEntry>)> {
        let sole = self.bundle.iter().map(|source| (SOLE_BUNDLE, source, None));
        let named = self.bundles.iter().map(|(name, entry)| (name.as_str(), &entry.source, Some(entry)));
        sole.chain(named)
    }
}

pub(super) fn check(config: &Config, checks: &mut Checks) {
    let kinds = [config.bundle.is_some(), !config.bundles.is_empty(), config.discovery.is_some()];
    checks.that(
        kinds.into_iter().filter(|kind| *kind).count() == 1,
        "/bundle",
        "exactly one of `bundle`, `bundles` and `discovery` says where the policy comes from",
    );
    if let Some(source) = &config.bundle {
        check_source(source, "/bundle", checks);
    }
    let few = config.bundles.len() <= config.limits.bundles;
    checks.that(few, "/bundles", "more bundles than limits.bundles");
    check_entries(&config.bundles, "/bundles", checks);
}

pub(super) fn check_entries(bundles: &BTreeMap<String, BundleEntry>, at: &str, checks: &mut Checks) {
    for (name, entry) in bundles {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        checks.that(is_name(name), &at, "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - /");
        check_source(&entry.source, &format!("{at}/source"), checks);
    }
}

pub(super) fn check_source(source: &BundleSource, at: &str, checks: &mut Checks) {
    if let BundleSource::Http(http) = source {
        http.check(&format!("{at}/http"), checks);
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}
