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

/// The header that the tokens of an issuer come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Carrier {
    /// `Authorization: Bearer`: access tokens (RFC 6750, RFC 9068).
    #[default]
    Authorization,
    /// `Txn-Token`: transaction tokens (draft-ietf-oauth-transaction-tokens).
    TxnToken,
}

/// The shape in which the tokens of an issuer say who acts for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Profile {
    /// Nested `act`, the current actor outermost (RFC 8693 section 4.1).
    #[default]
    Rfc8693,
    /// Auth0's on-behalf-of exchange: nested `act`, whose outermost `sub` is the client, the originating client innermost.
    Auth0,
    /// Okta's agent-to-agent token: `act`, `delegated_through` and `origin` beside each other.
    Okta,
    /// Microsoft Entra Agent ID: `idtyp`, `oid`, `tid`, `azp` or `appid`, and facets; no `act`.
    Entra,
    /// Keycloak's exchange, which copies `may_act` into `act`; actors before it may be lost.
    Keycloak,
}

/// Where the principal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum PrincipalAt {
    /// In the top-level `sub`.
    #[default]
    Sub,
    /// In the innermost `act`; the current actor is in the top-level `sub`.
    InnermostAct,
}

/// Whether an AI agent needs the digest of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum PromptDigests {
    /// It may have one.
    #[default]
    Optional,
    /// An actor that is not classified as something else needs one.
    Required,
}

/// What proves that rights were narrowed along the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Attenuation {
    /// Nothing but the issuer's word.
    #[default]
    Asserted,
    /// A signed receipt with the bounds of each hop, in the token (`actor_receipts`).
    Receipts,
    /// Tokens that each holder derived from its own, and a proof of the last one's key, in headers.
    HopList,
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
    /// The header that they come in.
    pub carrier: Carrier,
    /// The expected `aud`.
    pub audience: String,
    /// Whether there may be other `aud` besides.
    pub multiple_audiences: bool,
    /// Of transaction tokens: the issuer that the subjects belong to, unless it is the audience.
    pub subject_issuer: Option<String>,
    /// Of transaction tokens: whether one identifies a request that has no access token.
    pub alone: bool,
    /// Other issuers whose names the current actor, or a principal in `act`, may have.
    pub actor_issuers: Vec<String>,
    /// How they say who acts for whom.
    pub profile: Profile,
    /// Where the principal stands.
    pub principal: PrincipalAt,
    /// What proves that rights were narrowed.
    pub attenuation: Attenuation,
    /// The clients that are accepted; empty: all.
    pub clients: Vec<String>,
    /// Types of `authorization_details` that the policy handles.
    pub detail_types: Vec<String>,
    /// Whether a prompt's digest is needed.
    pub prompt_digest: PromptDigests,
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
            carrier: Carrier::default(),
            audience: audience.to_owned(),
            multiple_audiences: false,
            subject_issuer: None,
            alone: false,
            actor_issuers: Vec::new(),
            profile: Profile::default(),
            principal: PrincipalAt::default(),
            attenuation: Attenuation::default(),
            clients: Vec::new(),
            detail_types: Vec::new(),
            prompt_digest: PromptDigests::default(),
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
        self.types.iter().any(|accepted| is_type(typ, accepted))
    }

    /// The namespace of the subjects of its tokens: an identity is this and `sub`.
    #[must_use]
    pub fn namespace(&self) -> &str {
        match self.carrier {
            Carrier::Authorization => &self.issuer,
            Carrier::TxnToken => self.subject_issuer.as_deref().unwrap_or(&self.audience),
        }
    }

    /// The skew that is granted, in seconds.
    #[must_use]
    pub fn skew(&self) -> u64 {
        self.clock_skew_seconds.min(MAX_CLOCK_SKEW_SECONDS)
    }
}

/// Whether a `typ` is this type, however it is written.
pub(crate) fn is_type(typ: &str, wanted: &str) -> bool {
    short_type(typ).eq_ignore_ascii_case(short_type(wanted))
}

fn short_type(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}
