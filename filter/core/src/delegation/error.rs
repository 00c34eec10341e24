//! Why a token's delegation is refused, with the reason code of each.

use crate::ids::ReasonCode;

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
    /// The principal or the current actor belongs to another issuer, which this one may not speak for.
    #[error("the principal or the current actor is of an issuer that is not among `actor_issuers`")]
    ForeignActor,
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
    /// Not every actor has a receipt.
    #[error("an actor has no receipt")]
    ReceiptsMissing,
    /// A receipt is malformed, not the issuer's, or of another hop.
    #[error("receipt {hop}: `{member}`")]
    ReceiptInvalid {
        /// 1 for the current actor's; 0 for the claim itself.
        hop: usize,
        /// What is at fault.
        member: &'static str,
    },
    /// A hop was given more than the one before it had.
    #[error("beyond the bounds of receipt {hop}: `{member}`")]
    BoundsExceeded {
        /// 1 for the current actor's.
        hop: usize,
        /// What was widened.
        member: &'static str,
    },
    /// Hops came with a token whose issuer is not configured for them.
    #[error("hops, and the issuer is not configured for a hop list")]
    HopsUnexpected,
    /// The token is not the root of a hop list.
    #[error("not the root of a hop list: `{member}`")]
    HopsMissing {
        /// What it lacks.
        member: &'static str,
    },
    /// A hop is malformed, or not derived from the one before it.
    #[error("hop {hop}: `{member}`")]
    HopInvalid {
        /// 1 for the first that was derived.
        hop: usize,
        /// What is at fault.
        member: &'static str,
    },
    /// A hop allows more than the one before it.
    #[error("hop {hop} allows more than its parent: `{member}`")]
    HopWidens {
        /// 1 for the first that was derived.
        hop: usize,
        /// What was widened.
        member: &'static str,
    },
    /// The last holder's proof did not come along.
    #[error("no proof of the last key")]
    ProofMissing,
    /// The last holder's proof is none, or one for another action.
    #[error("the proof of the last key: `{member}`")]
    ProofInvalid {
        /// What is at fault.
        member: &'static str,
    },
    /// The hop list does not grant this action.
    #[error("the hop list does not grant the {member}")]
    NotGranted {
        /// `tool`, `argument` or `body`.
        member: &'static str,
    },
}

impl DelegationError {
    /// The reason code that audit and metrics record.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::Malformed { .. } => "delegation_malformed",
            Self::ProfileMismatch { .. } => "profile_mismatch",
            Self::ForeignActor => "actor_issuer_not_allowed",
            Self::ClientNotAllowed => "client_not_allowed",
            Self::TooDeep { .. } => "delegation_too_deep",
            Self::Cycle { .. } => "delegation_cycle",
            Self::SelfDelegation => "delegation_self",
            Self::NotTraceable => "not_traceable",
            Self::TaskMalformed { .. } => "task_malformed",
            Self::TaskExpired => "task_expired",
            Self::PromptDigestMissing => "prompt_digest_missing",
            Self::ReceiptsMissing => "receipts_missing",
            Self::ReceiptInvalid { .. } => "receipt_invalid",
            Self::BoundsExceeded { .. } => "bounds_exceeded",
            Self::HopsUnexpected => "hops_unexpected",
            Self::HopsMissing { .. } => "hops_missing",
            Self::HopInvalid { .. } => "hop_invalid",
            Self::HopWidens { .. } => "hop_widens",
            Self::ProofMissing => "hop_proof_missing",
            Self::ProofInvalid { .. } => "hop_proof_invalid",
            Self::NotGranted { .. } => "hop_not_granted",
        })
    }

    /// Whether the token is no good anywhere (401 `invalid_token`), or good but not permitted here (403).
    #[must_use]
    pub fn is_invalid_token(&self) -> bool {
        matches!(
            self,
            Self::Malformed { .. }
                | Self::ProfileMismatch { .. }
                | Self::Cycle { .. }
                | Self::SelfDelegation
                | Self::ReceiptInvalid { .. }
                | Self::HopInvalid { .. }
                | Self::ProofMissing
                | Self::ProofInvalid { .. }
        )
    }
}
