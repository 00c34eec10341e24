//! Why a proof of possession is refused. The client learns one opaque error; the reason is for audit.

use crate::ids::{ReasonCode, UnixSeconds};
use crate::keys::KeyFault;
use crate::token::TokenError;

/// Why a proof is refused. No variant carries text of the proof.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is none.
    #[error("no proof of possession")]
    Missing,
    /// Header values that were joined by a comma.
    #[error("more than one proof")]
    Ambiguous,
    /// Not a JWS of the accepted form and size.
    #[error("the proof is refused: {0}")]
    Malformed(#[source] TokenError),
    /// `typ` is not `dpop+jwt`.
    #[error("the proof's `typ` is not dpop+jwt")]
    TypeNotAccepted,
    /// `alg` is not on the configured list.
    #[error("the proof's `alg` is not accepted")]
    AlgorithmNotAccepted,
    /// The header has no `jwk`.
    #[error("the proof has no `jwk`")]
    KeyMissing,
    /// The `jwk` is private, weak, or no key.
    #[error("the proof's `jwk`: {0}")]
    KeyRefused(#[source] KeyFault),
    /// The `jwk` is not meant for signatures of this `alg`.
    #[error("the proof's `jwk` is not for its `alg`")]
    KeyUnfit,
    /// The token is bound to another key.
    #[error("the token is bound to another key than the proof's")]
    KeyMismatch,
    /// The signature is not the key's.
    #[error("the proof's signature does not verify")]
    SignatureInvalid,
    /// A claim is absent or not of the required form.
    #[error("the proof's `{claim}` is missing or malformed")]
    Claim {
        /// The claim's name.
        claim: &'static str,
    },
    /// `htm` is another method.
    #[error("the proof is for another method")]
    MethodMismatch,
    /// `htu` is another URI.
    #[error("the proof is for another URI")]
    UriMismatch,
    /// `ath` is another token's.
    #[error("the proof is for another token")]
    TokenMismatch,
    /// `iat` is too long ago.
    #[error("the proof was issued too long ago, at {}", iat.0)]
    Expired {
        /// The claim, rounded down.
        iat: UnixSeconds,
    },
    /// `iat` has not come.
    #[error("the proof was issued in the future, at {}", iat.0)]
    IssuedInFuture {
        /// The claim, rounded down.
        iat: UnixSeconds,
    },
}

impl ProofError {
    /// The reason code that audit and metrics record.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::Missing => "proof_missing",
            Self::Ambiguous => "proof_ambiguous",
            Self::Malformed(_) => "proof_malformed",
            Self::TypeNotAccepted => "proof_type_not_accepted",
            Self::AlgorithmNotAccepted => "proof_algorithm_not_accepted",
            Self::KeyMissing | Self::KeyRefused(_) | Self::KeyUnfit => "proof_key_refused",
            Self::KeyMismatch => "proof_key_mismatch",
            Self::SignatureInvalid => "proof_signature_invalid",
            Self::Claim { .. } => "proof_claim_malformed",
            Self::MethodMismatch => "proof_method_mismatch",
            Self::UriMismatch => "proof_uri_mismatch",
            Self::TokenMismatch => "proof_token_mismatch",
            Self::Expired { .. } => "proof_expired",
            Self::IssuedInFuture { .. } => "proof_issued_in_future",
        })
    }
}
