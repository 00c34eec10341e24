//! Who acts for whom, and for which task, as a verified token says it (RFC 8693 section 4.1, RFC 9396).

mod bounds;
mod constraint;
mod error;
mod hops;
mod profile;
mod receipts;
mod task;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::ids::{Now, UnixSeconds};
use crate::keys::KeySet;
use crate::token::{Attenuation, IssuerRules, PromptDigests, Subjects, TokenLimits, VerifiedToken};

pub use error::DelegationError;
pub use hops::{Grant, HOPS_HEADER, PROOF_HEADER, Proof};
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

impl Delegation {
    /// The agent: the current actor, or a principal that acts for itself and is no person.
    #[must_use]
    pub fn agent(&self) -> Option<&Party> {
        let alone = (self.principal.kind != PrincipalKind::Human).then_some(&self.principal.party);
        self.actor.as_ref().or(alone)
    }

    /// Reads the delegation out of a verified token, by its issuer's profile.
    ///
    /// A token without an actor gives a delegation without one, which is the policy's to refuse. `may_act`, and claims
    /// other than `iss`, `sub` and `sub_profile` of an actor, mean nothing here (RFC 8693 sections 4.1 and 4.4).
    ///
    /// # Errors
    ///
    /// See [`DelegationError`]; `rules` are those that the token was verified with.
    pub fn resolve(token: &VerifiedToken, rules: &IssuerRules) -> Result<Self, DelegationError> {
        let claims = token.claims();
        let parties = profile::read(&claims, token.sub(), rules)?;
        let is_allowed = |client: &str| rules.clients.iter().any(|allowed| allowed == client);
        if !rules.clients.is_empty() && !token.client_id().is_some_and(is_allowed) {
            return Err(DelegationError::ClientNotAllowed);
        }
        let kind = parties.principal.kind.unwrap_or(PrincipalKind::Unknown);
        let traceable = kind == PrincipalKind::Human;
        if !traceable && rules.subjects != Subjects::Unattended {
            return Err(DelegationError::NotTraceable);
        }
        let (task, prompt_digest) = task::read(&claims, rules)?;
        let current = parties.actors.first();
        let actor_kind = current.map(|actor| actor.kind.unwrap_or(PrincipalKind::Unknown));
        let delegation = Self {
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
        };
        delegation.check_prompt(rules)?;
        Ok(delegation)
    }

    /// Demands what the issuer's rules say has to prove that rights were narrowed along the chain, and verifies it.
    ///
    /// `keys` are the issuer's; `hops` is the header [`HOPS_HEADER`]. A hop list extends the chain by the holders of its
    /// keys, and gives a [`Grant`] that every action has to be held against.
    ///
    /// # Errors
    ///
    /// See [`DelegationError`].
    pub fn attest(
        &mut self,
        token: &VerifiedToken,
        hops: Option<&str>,
        rules: &IssuerRules,
        keys: Option<&KeySet>,
        limits: &TokenLimits,
    ) -> Result<Option<Box<Grant>>, DelegationError> {
        if hops.is_some() && rules.attenuation != Attenuation::HopList {
            return Err(DelegationError::HopsUnexpected);
        }
        match rules.attenuation {
            Attenuation::Asserted => Ok(None),
            Attenuation::Receipts => {
                receipts::verify(token, &self.chain, rules, keys, limits)?;
                Ok(None)
            }
            Attenuation::HopList => {
                let grant = hops::verify(token, hops, self, rules, limits)?;
                self.check_prompt(rules)?;
                Ok(Some(Box::new(grant)))
            }
        }
    }

    /// An AI agent, and one that nothing classifies, may need the digest of its prompt.
    fn check_prompt(&self, rules: &IssuerRules) -> Result<(), DelegationError> {
        let acts = self.actor_kind.unwrap_or(self.principal.kind);
        let is_ai = !matches!(acts, PrincipalKind::Human | PrincipalKind::Service);
        if is_ai && self.prompt_digest.is_none() && rules.prompt_digest == PromptDigests::Required {
            return Err(DelegationError::PromptDigestMissing);
        }
        Ok(())
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
