//! Where an issuer's keys come from.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Checks, Credentials, Headers, default_max_age, default_refresh, default_timeout, extra};
use crate::keys::Algorithm;
use crate::source::{Discovery, Extra, Place, Plan, Target, well_known};

/// Where keys come from.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum KeySource {
    /// A JWK Set (RFC 7517) in the configuration.
    Inline(#[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))] serde_json::Value),
    /// A JWK Set fetched through a cluster of the proxy.
    Http(KeyFetch),
    /// A JWK Set whose place the issuer's metadata tells (RFC 8414, OpenID Connect Discovery).
    Discovery(KeyFetch),
    /// A shared secret for HS256, base64url, at least 32 bytes.
    Secret(String),
}

impl fmt::Debug for KeySource {
    /// Without the keys, one of which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inline(_) => "Inline",
            Self::Http(_) => "Http",
            Self::Discovery(_) => "Discovery",
            Self::Secret(_) => "Secret",
        })
    }
}

/// Keys fetched through a cluster of the proxy, again and again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct KeyFetch {
    /// Name of the proxy's cluster.
    pub cluster: String,
    /// `:authority` of the request.
    pub authority: String,
    /// `:path` of the request. `http`: of the key set, required. `discovery`: of the metadata; default: the path of
    /// RFC 8414 section 3.1 for the issuer.
    #[serde(default)]
    pub path: Option<String>,
    /// Further headers of each request to `authority`, by name; other hosts are not told.
    #[serde(default)]
    pub headers: Headers,
    /// How the server at `authority` knows who asks; other hosts are not told.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// `discovery` only: hosts besides `authority` that the metadata may name in `jwks_uri`, each with the cluster that
    /// leads there.
    #[serde(default)]
    pub jwks_authorities: BTreeMap<String, String>,
    /// How long one fetch may take, in milliseconds, and a request's wait for keys with it.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// How often keys are fetched again where the answer's `cache-control` does not say, in seconds.
    #[serde(default = "default_refresh")]
    pub refresh_seconds: u64,
    /// The shortest interval that `cache-control` may ask for, in seconds; never longer than `refresh_seconds`.
    #[serde(default = "default_refetch")]
    pub min_refresh_seconds: u64,
    /// How often an unknown `kid` may have the keys fetched out of turn: once in this many seconds.
    #[serde(default = "default_refetch")]
    pub refetch_seconds: u64,
    /// How long the last good answer may be used, in seconds; 0: for ever.
    #[serde(default = "default_max_age")]
    pub max_age_seconds: u64,
}

const fn default_refetch() -> u64 {
    30
}

impl KeyFetch {
    /// When to fetch.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan {
            timeout_ms: self.timeout_ms,
            refresh_seconds: self.refresh_seconds,
            min_refresh_seconds: Some(self.min_refresh_seconds),
            max_age_seconds: self.max_age_seconds,
            refetch_seconds: self.refetch_seconds,
            polling: None,
        }
    }

    /// What is sent with each request to `authority`.
    #[must_use]
    pub fn extra(&self) -> Extra {
        extra(&self.headers, self.credentials.as_ref())
    }

    /// The key set itself.
    #[must_use]
    pub fn fixed(&self) -> Target {
        Target::Fixed(self.place(self.path.clone()))
    }

    /// The key set by way of the metadata of this issuer.
    #[must_use]
    pub fn discovered(&self, issuer: &str) -> Target {
        let path = self.path.clone().or_else(|| well_known(issuer));
        Target::Discovered(Discovery {
            issuer: issuer.to_owned(),
            metadata: self.place(path),
            jwks_authorities: self.jwks_authorities.clone(),
        })
    }

    fn place(&self, path: Option<String>) -> Place {
        // `Checks` has seen that there is a path.
        let path = path.unwrap_or_else(|| "/".to_owned());
        Place { cluster: self.cluster.clone(), authority: self.authority.clone(), path }
    }
}

impl Checks {
    pub(super) fn keys(&mut self, at: &str, issuer: &str, algorithms: &[Algorithm], keys: &KeySource) {
        let symmetric = algorithms.contains(&Algorithm::Hs256);
        if let KeySource::Secret(_) = keys {
            self.that(algorithms == [Algorithm::Hs256], at, "a secret goes with algorithms [\"HS256\"]");
            return;
        }
        self.that(!symmetric, at, "HS256 needs keys of the form {\"secret\": …}");
        match keys {
            KeySource::Http(fetch) => {
                let at = format!("{at}/keys/http");
                self.that(fetch.path.is_some(), &at, "path: where the key set is, such as /jwks.json");
                let none = fetch.jwks_authorities.is_empty();
                self.that(none, &at, "jwks_authorities: goes with `discovery`, not with `http`");
                self.key_fetch(&at, fetch);
            }
            KeySource::Discovery(fetch) => {
                let at = format!("{at}/keys/discovery");
                let path = fetch.path.is_some() || well_known(issuer).is_some();
                self.that(
                    path,
                    &at,
                    "path: where the metadata is; the issuer is not an https URL to make it from",
                );
                let whole = fetch
                    .jwks_authorities
                    .iter()
                    .all(|(host, cluster)| !host.is_empty() && !cluster.is_empty());
                self.that(whole, &at, "jwks_authorities: each host with the name of a cluster of the proxy");
                self.key_fetch(&at, fetch);
            }
            KeySource::Inline(_) | KeySource::Secret(_) => {}
        }
    }

    fn key_fetch(&mut self, at: &str, fetch: &KeyFetch) {
        let path = fetch.path.as_deref().unwrap_or("/");
        let (timeout, refresh) = (fetch.timeout_ms, fetch.refresh_seconds);
        self.fetch(at, &fetch.cluster, path, timeout, refresh, fetch.max_age_seconds);
        self.extra(at, &fetch.headers, fetch.credentials.as_ref());
        self.that(!fetch.authority.is_empty(), at, "authority: the host that is asked");
        let least = fetch.min_refresh_seconds;
        self.that((1..=86_400).contains(&least), at, "min_refresh_seconds: 1 to 86400");
        self.that((1..=86_400).contains(&fetch.refetch_seconds), at, "refetch_seconds: 1 to 86400");
    }
}
