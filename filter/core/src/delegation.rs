//! Who acts for whom, and for which task, as a verified token says it (RFC 8693 section 4.1, RFC 9396).

mod profile;
mod task;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::ids::{Now, ReasonCode, UnixSeconds};
use crate::token::{Attenuation, IssuerRules, PromptDigests, Subjects, VerifiedToken};

pub use task::{PromptDigest, Task};

/// The delegation that a token expresses. Serialises as `input.remit.delegation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delegation {
    /// On whose behalf.
    pub principal: Principal,
    /// Who acts now. `None` when the token expresses no delegation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Party>,
    /// What the current actor is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor_kind: Option<PrincipalKind>,
    /// All actors, the current one first, the first one last. Only the current one gives rights; the issuer alone vouches
    /// for the others.
    pub chain: Vec<Party>,
    /// How many actors there are.
    pub depth: usize,
    /// Whether the issuer says that these are all actors; some lose those before the current one.
    pub chain_complete: bool,
    /// What proves that each hop narrowed the rights of the one before it.
    pub evidence: Attenuation,
    /// Whether a person is at the root.
    pub traceable: bool,
    /// The one `agent_task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
    /// The digest of the prompt that the agent works on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_digest: Option<PromptDigest>,
}

/// An identity: an issuer and a name within it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Party {
    /// `iss`.
    pub iss: String,
    /// `sub`.
    pub sub: String,
}

/// The identity at the root of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// Who.
    #[serde(flatten)]
    pub party: Party,
    /// What.
    pub kind: PrincipalKind,
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// A person.
    Human,
    /// A program that no model steers.
    Service,
    /// An AI agent.
    Agent,
    /// Nothing says.
    Unknown,
}

/// Why a token's delegation is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DelegationError {
    /// `act` or `sub_profile` is not of the required form.
    #[error("`{claim}` is malformed at actor {hop}")]
    Malformed {
        /// `act`, or the member of it.
        claim: &'static str,
        /// 1 for the current actor; 0 for the token itself.
        hop: usize,
    },
    /// The token has not the shape of its issuer's profile.
    #[error("`{claim}` does not fit the issuer's profile")]
    ProfileMismatch {
        /// The claim at fault.
        claim: &'static str,
    },
    /// The token is of a client that the issuer's configuration does not name.
    #[error("the client is not among `clients`")]
    ClientNotAllowed,
    /// More actors than allowed; a chain is never cut short.
    #[error("more than {limit} actors")]
    TooDeep {
        /// The limit in force.
        limit: usize,
    },
    /// An identity comes twice.
    #[error("actor {hop} is in the chain already")]
    Cycle {
        /// 1 for the current actor.
        hop: usize,
    },
    /// The current actor is the principal.
    #[error("the principal acts for itself")]
    SelfDelegation,
    /// No person at the root, and the issuer is not configured for that.
    #[error("no person at the root")]
    NotTraceable,
    /// `authorization_details`, or the `agent_task` in it, is not of the required form.
    #[error("the task is malformed at `{member}`")]
    TaskMalformed {
        /// The member at fault.
        member: &'static str,
    },
    /// The task has ended.
    #[error("the task has ended")]
    TaskExpired,
    /// An AI agent without the digest of its prompt.
    #[error("no prompt digest")]
    PromptDigestMissing,
}

impl DelegationError {
    /// The reason code that audit and metrics record.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::Malformed { .. } => "delegation_malformed",
            Self::ProfileMismatch { .. } => "profile_mismatch",
            Self::ClientNotAllowed => "client_not_allowed",
            Self::TooDeep { .. } => "delegation_too_deep",
            Self::Cycle { .. } => "delegation_cycle",
            Self::SelfDelegation => "delegation_self",
            Self::NotTraceable => "not_traceable",
            Self::TaskMalformed { .. } => "task_malformed",
            Self::TaskExpired => "task_expired",
            Self::PromptDigestMissing => "prompt_digest_missing",
        })
    }

    /// Whether the token is no good anywhere (401 `invalid_token`), or good but not permitted here (403).
    #[must_use]
    pub fn is_invalid_token(&self) -> bool {
        matches!(
            self,
            Self::Malformed { .. } | Self::ProfileMismatch { .. } | Self::Cycle { .. } | Self::SelfDelegation
        )
    }
}

impl Delegation {
    /// Reads the delegation out of a verified token, by its issuer's profile.
    ///
    /// A token without an actor gives a delegation without one, which is the policy's to refuse. `may_act`, and claims
    /// other than `iss`, `sub` and `sub_profile` of an actor, mean nothing here (RFC 8693 sections 4.1 and 4.4).
    ///
    /// # Errors
    ///
    /// See [`DelegationError`]; `rules` are those that the token was verified with.
    pub fn resolve(token: &VerifiedToken, rules: &IssuerRules) -> Result<Self, DelegationError> {
        let parties = profile::read(token.claims(), token.sub(), rules)?;
        let is_allowed = |client: &str| rules.clients.iter().any(|allowed| allowed == client);
        if !rules.clients.is_empty() && !token.client_id().is_some_and(is_allowed) {
            return Err(DelegationError::ClientNotAllowed);
        }
        let kind = parties.principal.kind.unwrap_or(PrincipalKind::Unknown);
        let traceable = kind == PrincipalKind::Human;
        if !traceable && rules.subjects != Subjects::Unattended {
            return Err(DelegationError::NotTraceable);
        }
        let (task, prompt_digest) = task::read(token.claims(), rules)?;
        let current = parties.actors.first();
        let actor_kind = current.map(|actor| actor.kind.unwrap_or(PrincipalKind::Unknown));
        let acts_by_itself =
            !matches!(actor_kind.unwrap_or(kind), PrincipalKind::Human | PrincipalKind::Service);
        if acts_by_itself && prompt_digest.is_none() && rules.prompt_digest == PromptDigests::Required {
            return Err(DelegationError::PromptDigestMissing);
        }
        Ok(Self {
            actor: current.map(|actor| actor.party.clone()),
            actor_kind,
            depth: parties.actors.len(),
            chain: parties.actors.into_iter().map(|actor| actor.party).collect(),
            principal: Principal { party: parties.principal.party, kind },
            chain_complete: parties.complete,
            evidence: rules.attenuation,
            traceable,
            task,
            prompt_digest,
        })
    }

    /// Checks again, at `now`, what ends before the token does.
    ///
    /// # Errors
    ///
    /// [`DelegationError::TaskExpired`], without any tolerance.
    pub fn times_hold(&self, now: Now) -> Result<(), DelegationError> {
        let ends: Option<UnixSeconds> = self.task.as_ref().and_then(|task| task.expires);
        if ends.is_some_and(|ends| now.seconds() >= ends) {
            return Err(DelegationError::TaskExpired);
        }
        Ok(())
    }
}
