//! Who acts for whom, and for which task, as a verified token says it (RFC 8693 section 4.1, RFC 9396).

mod task;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ids::ReasonCode;
use crate::token::{IssuerRules, Subjects, VerifiedToken};

pub use task::Task;

/// The delegation that a token expresses. Serialises as `input.remit.delegation`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delegation {
    /// On whose behalf: the top-level `sub`.
    pub principal: Principal,
    /// Who acts now: the outermost `act`. `None` when the token expresses no delegation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Party>,
    /// All actors, the current one first, the first one last. Only the current one gives rights; the issuer alone vouches
    /// for the others.
    pub chain: Vec<Party>,
    /// How many actors there are.
    pub depth: usize,
    /// What proves that each hop narrowed the rights of the one before it.
    pub evidence: Evidence,
    /// Whether a person is at the root.
    pub traceable: bool,
    /// The one `agent_task`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
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

/// What proves that rights were narrowed along the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// Nothing but the issuer's word: nested `act`.
    Asserted,
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
}

impl DelegationError {
    /// The reason code that audit and metrics record.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::Malformed { .. } => "delegation_malformed",
            Self::TooDeep { .. } => "delegation_too_deep",
            Self::Cycle { .. } => "delegation_cycle",
            Self::SelfDelegation => "delegation_self",
            Self::NotTraceable => "not_traceable",
            Self::TaskMalformed { .. } => "task_malformed",
        })
    }

    /// Whether the token is no good anywhere (401 `invalid_token`), or good but not permitted here (403).
    #[must_use]
    pub fn is_invalid_token(&self) -> bool {
        match self {
            Self::Malformed { .. } | Self::Cycle { .. } | Self::SelfDelegation => true,
            Self::TooDeep { .. } | Self::NotTraceable | Self::TaskMalformed { .. } => false,
        }
    }
}

impl Delegation {
    /// The agent: the current actor, or a principal that acts for itself and is no person.
    #[must_use]
    pub fn agent(&self) -> Option<&Party> {
        let alone = (self.principal.kind != PrincipalKind::Human).then_some(&self.principal.party);
        self.actor.as_ref().or(alone)
    }

    /// Reads the delegation out of a verified token.
    ///
    /// A token without `act` gives a delegation without an actor, which is the policy's to refuse. `may_act`, and
    /// claims other than `iss` and `sub` within `act`, mean nothing here (RFC 8693 sections 4.1 and 4.4).
    ///
    /// # Errors
    ///
    /// See [`DelegationError`]; `rules` are those that the token was verified with.
    pub fn resolve(token: &VerifiedToken, rules: &IssuerRules) -> Result<Self, DelegationError> {
        let root = Party { iss: token.iss().to_owned(), sub: token.sub().to_owned() };
        let chain = chain(token.claims(), &root, rules)?;
        let kind = kind(token.claims(), rules.subjects)?;
        let traceable = kind == PrincipalKind::Human;
        if !traceable && rules.subjects != Subjects::Unattended {
            return Err(DelegationError::NotTraceable);
        }
        Ok(Self {
            principal: Principal { party: root, kind },
            actor: chain.first().cloned(),
            depth: chain.len(),
            chain,
            evidence: Evidence::Asserted,
            traceable,
            task: Task::read(token.claims(), rules.max_task_items)?,
        })
    }
}

fn chain(
    claims: &Map<String, Value>,
    root: &Party,
    rules: &IssuerRules,
) -> Result<Vec<Party>, DelegationError> {
    let mut chain: Vec<Party> = Vec::new();
    let mut next = claims.get("act");
    while let Some(node) = next {
        let hop = chain.len().saturating_add(1);
        if hop > rules.max_chain_depth {
            return Err(DelegationError::TooDeep { limit: rules.max_chain_depth });
        }
        let node = node.as_object().ok_or(DelegationError::Malformed { claim: "act", hop })?;
        let party = Party {
            // An actor without `iss` is in the namespace of the token's issuer.
            iss: name(node, "iss", hop)?.unwrap_or_else(|| root.iss.clone()),
            sub: name(node, "sub", hop)?.ok_or(DelegationError::Malformed { claim: "sub", hop })?,
        };
        if party == *root && hop == 1 {
            return Err(DelegationError::SelfDelegation);
        }
        if party == *root || chain.contains(&party) {
            return Err(DelegationError::Cycle { hop });
        }
        chain.push(party);
        next = node.get("act");
    }
    Ok(chain)
}

fn name(
    node: &Map<String, Value>,
    claim: &'static str,
    hop: usize,
) -> Result<Option<String>, DelegationError> {
    match node.get(claim) {
        None => Ok(None),
        Some(Value::String(name)) if !name.is_empty() => Ok(Some(name.clone())),
        Some(_) => Err(DelegationError::Malformed { claim, hop }),
    }
}

/// `sub_profile` is a list with spaces between its words. Where the token speaks, it is believed over the issuer's
/// setting.
fn kind(claims: &Map<String, Value>, subjects: Subjects) -> Result<PrincipalKind, DelegationError> {
    let Some(profile) = claims.get("sub_profile") else {
        return Ok(match subjects {
            Subjects::Human => PrincipalKind::Human,
            Subjects::Claim | Subjects::Unattended => PrincipalKind::Unknown,
        });
    };
    let profile = profile.as_str().ok_or(DelegationError::Malformed { claim: "sub_profile", hop: 0 })?;
    let is = |name: &str| profile.split(' ').any(|word| word == name);
    Ok(if is("user") {
        PrincipalKind::Human
    } else if is("ai_agent") {
        PrincipalKind::Agent
    } else if is("service") {
        PrincipalKind::Service
    } else {
        PrincipalKind::Unknown
    })
}
