//! What one issuer's tokens must be like.

use serde::{Deserialize, Serialize};

use super::Demands;
use crate::keys::Algorithm;

/// The longest clock skew that is ever granted, in seconds.
pub const MAX_CLOCK_SKEW_SECONDS: u64 = 300;
/// Granted unless configured, in seconds.
pub const DEFAULT_CLOCK_SKEW_SECONDS: u64 = 30;
/// Cap on `exp` − `iat` unless configured, in seconds.
pub const DEFAULT_MAX_LIFETIME_SECONDS: u64 = 900;
/// Actors in a delegation chain unless configured.
pub const DEFAULT_MAX_CHAIN_DEPTH: usize = 4;
/// Entries of each list of a task unless configured.
pub const DEFAULT_MAX_TASK_ITEMS: usize = 64;

/// How the subjects of an issuer are classified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Subjects {
    /// A person if and only if the claim `sub_profile` has `user`.
    #[default]
    Claim,
    /// The issuer has people only: a subject without `sub_profile` is a person.
    Human,
    /// As `Claim`, and agents may act without a person at the root.
    Unattended,
}

/// What the tokens of one issuer must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerRules {
    /// `iss`, compared exactly.
    pub issuer: String,
    /// The `alg` values that it may use.
    pub algorithms: Vec<Algorithm>,
    /// The `typ` values that it may use, without `application/`, in any case.
    pub types: Vec<String>,
    /// The one `aud`.
    pub audience: String,
    /// Cap on `exp` − `iat`, in seconds.
    pub max_lifetime_seconds: u64,
    /// Tolerated difference of clocks, in seconds; never more than [`MAX_CLOCK_SKEW_SECONDS`].
    pub clock_skew_seconds: u64,
    /// Most actors in a delegation chain.
    pub max_chain_depth: usize,
    /// Who the subjects are.
    pub subjects: Subjects,
    /// Most entries in each list of a task.
    pub max_task_items: usize,
    /// What a token must come with. `None`: nobody asks for proofs or looks up statuses, so tokens that need either are
    /// refused.
    pub demands: Option<Demands>,
}

impl IssuerRules {
    /// The default rules for `issuer`, whose tokens are meant for `audience`.
    #[must_use]
    pub fn new(issuer: &str, algorithms: &[Algorithm], audience: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            algorithms: algorithms.to_vec(),
            types: vec!["at+jwt".to_owned()],
            audience: audience.to_owned(),
            max_lifetime_seconds: DEFAULT_MAX_LIFETIME_SECONDS,
            clock_skew_seconds: DEFAULT_CLOCK_SKEW_SECONDS,
            max_chain_depth: DEFAULT_MAX_CHAIN_DEPTH,
            subjects: Subjects::default(),
            max_task_items: DEFAULT_MAX_TASK_ITEMS,
            demands: None,
        }
    }

    /// Whether tokens of this `typ` are accepted (RFC 7515 section 4.1.9: `application/` may be left out, and the case
    /// of media types does not matter).
    #[must_use]
    pub fn accepts_type(&self, typ: &str) -> bool {
        let typ = short_type(typ);
        self.types.iter().any(|accepted| short_type(accepted).eq_ignore_ascii_case(typ))
    }

    /// The skew that is granted, in seconds.
    #[must_use]
    pub fn skew(&self) -> u64 {
        self.clock_skew_seconds.min(MAX_CLOCK_SKEW_SECONDS)
    }
}

fn short_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}
