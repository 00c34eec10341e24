//! The one configuration document: parsed strictly, checked once, never read again on the request path.

mod audit;
mod bound;
mod builtins;
mod bundles;
mod candidate;
mod discovery;
mod failures;
mod http;
mod input;
mod issuer;
mod keys;
mod limits;
mod report;
mod signing;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use audit::AuditPlaces;
pub use bound::{Dpop, StatusListSource};
pub use builtins::{Builtins, HttpHost, HttpSend};
pub use bundles::{BundleEntry, BundleSource, SOLE_BUNDLE, SoleBundle};
pub use candidate::CandidateConfig;
pub use discovery::{DiscoveryConfig, Service};
pub use failures::{
    BodyTooLarge, DenialBody, Denials, FailureMode, Failures, PathAmbiguous, Signatures, TokenMissing,
};
pub(crate) use http::extra;
pub use http::{Bearer, Credentials, Headers, HttpSource, Secret};
pub use input::InputSettings;
pub use keys::{KeyFetch, KeySource};
pub use limits::Limits;
pub use report::StatusConfig;
pub use signing::{BundleKey, BundleKeys, Signing};

use crate::json::{self, JsonError};
use crate::keys::Algorithm;
use crate::shape::{self, Misfit};
use crate::token::{
    Attenuation, Authentication, Carrier, DEFAULT_CLOCK_SKEW_SECONDS, DEFAULT_MAX_CHAIN_DEPTH,
    DEFAULT_MAX_LIFETIME_SECONDS, MAX_CLOCK_SKEW_SECONDS, PrincipalAt, Profile, PromptDigests,
    SenderConstraint, StatusRule, Subjects,
};

/// The largest configuration document that is read, in bytes; inline bundles travel in it.
pub const MAX_CONFIG_BYTES: usize = 16 * 1024 * 1024;

/// What is wrong with a configuration document, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Larger than [`MAX_CONFIG_BYTES`].
    #[error("configuration: {bytes} bytes, more than the {MAX_CONFIG_BYTES} that are read")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// Not JSON, or JSON that readers could read differently.
    #[error("configuration: {0}")]
    Json(#[from] JsonError),
    /// A member is unknown, missing or of the wrong shape.
    #[error("configuration at {0}")]
    Shape(#[from] Misfit),
    /// A member has the right shape and a value that cannot work.
    #[error("configuration at {pointer}: {problem}")]
    Value {
        /// JSON pointer (RFC 6901) of the member.
        pointer: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
}

/// Whether decisions are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Mode {
    /// What is not allowed is not forwarded.
    #[default]
    Enforce,
    /// Everything is decided and recorded, and nothing is blocked.
    Observe,
}

impl Mode {
    /// The name in configuration, input and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Observe => "observe",
        }
    }
}

/// The plugin configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Config {
    /// The version of this format: 1.
    pub version: u32,
    /// Enforce (default) or observe.
    #[serde(default)]
    pub mode: Mode,
    /// The identifier of the protected resource: the `aud` that tokens must name (RFC 9068 section 4). Needed where there are
    /// tokens or approvals.
    #[serde(default)]
    pub resource: String,
    /// Who may issue delegation tokens. At least one, unless `failures.token_missing` is `decide_without`.
    #[serde(default)]
    pub issuers: Vec<Issuer>,
    /// How approvals by humans are asked for and verified. Absent: nothing can be approved.
    #[serde(default)]
    pub approvals: Option<Approvals>,
    /// Where the policy comes from, if it is one bundle. Exactly one of `bundle` and `bundles`.
    #[serde(default)]
    pub bundle: Option<SoleBundle>,
    /// Where the policy comes from, if it is several bundles, by name. Their roots must be disjoint.
    #[serde(default)]
    pub bundles: BTreeMap<String, BundleEntry>,
    /// Where it is said which bundles there are, in place of `bundle` and `bundles`.
    #[serde(default)]
    pub discovery: Option<DiscoveryConfig>,
    /// Who is told what became of the bundles, as by OPA's status plugin.
    #[serde(default)]
    pub status: Option<StatusConfig>,
    /// A policy that is evaluated beside the one in force and changes nothing.
    #[serde(default)]
    pub candidate: Option<CandidateConfig>,
    /// Keys that bundles may be signed with, by id, as in OPA's configuration.
    #[serde(default)]
    pub keys: BundleKeys,
    /// Path of the decision rule below `data`, as opa-envoy-plugin's `path`.
    #[serde(default = "default_decision")]
    pub decision: String,
    /// What the policy's input holds.
    #[serde(default)]
    pub input: InputSettings,
    /// What builtins may do that look outside.
    #[serde(default)]
    pub builtins: Builtins,
    /// What this proxy is called, as OPA's `labels`: `opa.runtime().config.labels`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Bounds on everything that grows.
    #[serde(default)]
    pub limits: Limits,
    /// What happens on named failures. The default of each is to deny.
    #[serde(default)]
    pub failures: Failures,
    /// How signatures are verified.
    #[serde(default)]
    pub signatures: Signatures,
    /// How proofs of possession are verified, which come with tokens that are bound to a key.
    #[serde(default)]
    pub dpop: Dpop,
    /// How a denial looks to MCP clients.
    #[serde(default)]
    pub denials: Denials,
    /// Where the records of decisions go.
    #[serde(default)]
    pub audit: AuditPlaces,
}

/// An issuer of delegation tokens (RFC 8414 section 2 names it `issuer`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Issuer {
    /// Exact value of `iss`.
    pub issuer: String,
    /// Algorithms that are accepted from this issuer.
    pub algorithms: Vec<Algorithm>,
    /// Its keys.
    pub keys: KeySource,
    /// Accepted values of the header's `typ`; default: `at+jwt`, or `txntoken+jwt` of transaction tokens, always.
    #[serde(default)]
    pub types: Option<Vec<String>>,
    /// The header that its tokens come in.
    #[serde(default)]
    pub carrier: Carrier,
    /// Transaction tokens without `iss` are this issuer's. At most one issuer.
    #[serde(default)]
    pub without_iss: bool,
    /// Transaction tokens: the issuer among whose subjects `sub` is; default: the audience, a namespace of its own.
    #[serde(default)]
    pub subject_issuer: Option<String>,
    /// Transaction tokens: whether one without an access token identifies a request. It is a bearer token then, whatever
    /// the issuer of access tokens demands.
    #[serde(default)]
    pub alone: bool,
    /// Other issuers that the `iss` of the current actor, or of a principal in `act`, may name.
    #[serde(default)]
    pub actor_issuers: Vec<String>,
    /// The shape in which its tokens say who acts for whom.
    #[serde(default)]
    pub profile: Profile,
    /// Where the principal stands; default: by profile.
    #[serde(default)]
    pub principal: Option<PrincipalAt>,
    /// What has to prove that rights were narrowed along the chain.
    #[serde(default)]
    pub attenuation: Attenuation,
    /// The OAuth clients (`client_id`, `azp`) whose tokens are accepted; empty: all.
    #[serde(default)]
    pub clients: Vec<String>,
    /// Accept tokens that name other audiences besides the expected one.
    #[serde(default)]
    pub multiple_audiences: bool,
    /// Types of `authorization_details` besides `agent_task`, which the policy handles.
    #[serde(default)]
    pub detail_types: Vec<String>,
    /// Whether an AI agent needs the digest of a prompt.
    #[serde(default)]
    pub prompt_digest: PromptDigests,
    /// Expected `aud`; default: `resource`.
    #[serde(default)]
    pub audience: Option<String>,
    /// Largest accepted `exp - iat`, in seconds.
    #[serde(default = "default_lifetime")]
    pub max_lifetime_seconds: u64,
    /// Tolerated difference of clocks, in seconds; at most 300.
    #[serde(default = "default_skew")]
    pub clock_skew_seconds: u64,
    /// Largest accepted number of nested `act` (RFC 8693 section 4.1).
    #[serde(default = "default_depth")]
    pub max_chain_depth: usize,
    /// Who this issuer's subjects are.
    #[serde(default)]
    pub subjects: Subjects,
    /// Whether its tokens have to be bound to a key (`cnf.jkt`) or a certificate (`cnf.x5t#S256`).
    #[serde(default)]
    pub sender_constraint: SenderConstraint,
    /// How, and how lately, principals must have signed in.
    #[serde(default)]
    pub authentication: Authentication,
    /// Whether its tokens have to name their place in a status list.
    #[serde(default)]
    pub status: StatusRule,
    /// Its status lists. A token that names another one is refused.
    #[serde(default)]
    pub status_lists: Vec<StatusListSource>,
}

/// How approvals are asked for and verified.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Approvals {
    /// Who may issue approvals, apart from the issuers of tokens. At least one.
    pub issuers: Vec<ApprovalIssuer>,
    /// Expected `aud` of approvals; default: `resource`.
    #[serde(default)]
    pub audience: Option<String>,
    /// Where a person can see the state of a challenge; `{challenge}` stands for its id.
    #[serde(default)]
    pub status_url: Option<String>,
    /// How long a challenge stays open, in seconds; at most 3600.
    #[serde(default = "default_challenge")]
    pub challenge_seconds: u64,
}

/// An issuer of approvals.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ApprovalIssuer {
    /// Exact value of `iss`.
    pub issuer: String,
    /// Algorithms that are accepted; none of them symmetric, or an approval would prove nothing.
    pub algorithms: Vec<Algorithm>,
    /// Its keys.
    pub keys: KeySource,
    /// Tolerated difference of clocks, in seconds; at most 300.
    #[serde(default = "default_skew")]
    pub clock_skew_seconds: u64,
}

fn default_decision() -> String {
    "remit/authz/decision".to_owned()
}
const fn default_lifetime() -> u64 {
    DEFAULT_MAX_LIFETIME_SECONDS
}
const fn default_skew() -> u64 {
    DEFAULT_CLOCK_SKEW_SECONDS
}
const fn default_depth() -> usize {
    DEFAULT_MAX_CHAIN_DEPTH
}
const fn default_timeout() -> u64 {
    1000
}
const fn default_refresh() -> u64 {
    60
}
const fn default_max_age() -> u64 {
    3600
}
const fn default_challenge() -> u64 {
    300
}

impl Config {
    /// Parses and checks a configuration document.
    ///
    /// # Errors
    ///
    /// See [`ConfigError`]; each names the member by JSON pointer.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge { bytes: bytes.len() });
        }
        let value = json::parse(bytes, 32)?;
        let config: Self = shape::read(&value).map_err(http::of_credentials)?;
        config.check()?;
        Ok(config)
    }

    /// The `aud` of approvals.
    #[must_use]
    pub fn approval_audience(&self) -> &str {
        let audience = self.approvals.as_ref().and_then(|approvals| approvals.audience.as_deref());
        audience.unwrap_or(&self.resource)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let mut checks = Checks { failed: None };
        checks.that(self.version == 1, "/version", "this filter reads version 1");
        let nameless = self.issuers.is_empty() && self.failures.token_missing == TokenMissing::DecideWithout;
        let has_audience = !self.resource.is_empty() || nameless && self.approvals.is_none();
        self.audit.check(&mut checks);
        checks.that(has_audience, "/resource", "name the protected resource, as in `aud`");
        checks.that(
            !self.issuers.is_empty() || nameless,
            "/issuers",
            "at least one issuer is needed, unless failures.token_missing is decide_without",
        );
        let path_ok = self.decision.contains('/') && self.decision.split('/').all(|part| !part.is_empty());
        checks.that(
            path_ok,
            "/decision",
            "package and rule, as in `remit/authz/decision`, no leading or trailing `/`",
        );
        checks.that(
            matches!(self.denials.mcp_status, 200 | 400 | 401 | 403),
            "/denials/mcp_status",
            "one of 200, 400, 401, 403",
        );
        for (i, issuer) in self.issuers.iter().enumerate() {
            let at = format!("/issuers/{i}");
            checks.issuer(&at, &issuer.issuer, &issuer.algorithms, issuer.clock_skew_seconds, &issuer.keys);
            let (lifetime, depth) = (issuer.max_lifetime_seconds, issuer.max_chain_depth);
            checks.that((1..=86_400).contains(&lifetime), &at, "max_lifetime_seconds: 1 to 86400");
            checks.that((1..=16).contains(&depth), &at, "max_chain_depth: 1 to 16");
            let earlier = self.issuers.iter().take(i);
            issuer.check(&at, earlier, &mut checks);
            bound::check_issuer(&mut checks, &at, issuer);
        }
        self.dpop.check(&mut checks);
        if let Some(approvals) = &self.approvals {
            checks.that(!approvals.issuers.is_empty(), "/approvals/issuers", "at least one issuer is needed");
            let seconds = approvals.challenge_seconds;
            let challenge = "/approvals/challenge_seconds";
            checks.that((1..=3600).contains(&seconds), challenge, "1 to 3600");
            for (i, issuer) in approvals.issuers.iter().enumerate() {
                let at = format!("/approvals/issuers/{i}");
                checks.issuer(
                    &at,
                    &issuer.issuer,
                    &issuer.algorithms,
                    issuer.clock_skew_seconds,
                    &issuer.keys,
                );
                let symmetric = matches!(issuer.keys, KeySource::Secret(_))
                    || issuer.algorithms.contains(&Algorithm::Hs256);
                checks.that(!symmetric, &at, "approvals are signed with a private key: no secret, no HS256");
            }
        }
        bundles::check(self, &mut checks);
        self.builtins.check(&mut checks);
        candidate::check(self, &mut checks);
        discovery::check(self, &mut checks);
        report::check(self, &mut checks);
        self.limits.check(&mut checks);
        checks.failed.map_or(Ok(()), Err)
    }
}

/// Collects the first thing that is wrong.
struct Checks {
    failed: Option<ConfigError>,
}

impl Checks {
    fn that(&mut self, holds: bool, pointer: &str, problem: &'static str) {
        if !holds && self.failed.is_none() {
            self.failed = Some(ConfigError::Value { pointer: pointer.to_owned(), problem });
        }
    }

    fn issuer(&mut self, at: &str, issuer: &str, algorithms: &[Algorithm], skew: u64, keys: &KeySource) {
        self.that(!issuer.is_empty(), at, "issuer: the exact value of `iss`");
        self.that(!algorithms.is_empty(), at, "algorithms: name at least one, such as ES256");
        self.that(skew <= MAX_CLOCK_SKEW_SECONDS, at, "clock_skew_seconds: at most 300");
        self.keys(at, issuer, algorithms, keys);
    }

    fn fetch(&mut self, at: &str, cluster: &str, path: &str, timeout_ms: u64, refresh: u64, age: u64) {
        self.that(!cluster.is_empty(), at, "cluster: the name of a cluster of the proxy");
        self.that(path.starts_with('/'), at, "path: begins with `/`");
        self.that((1..=60_000).contains(&timeout_ms), at, "timeout_ms: 1 to 60000");
        self.that((1..=86_400).contains(&refresh), at, "refresh_seconds: 1 to 86400");
        self.that(age == 0 || age >= refresh, at, "max_age_seconds: 0, or at least refresh_seconds");
    }
}

#[cfg(test)]
mod tests;
