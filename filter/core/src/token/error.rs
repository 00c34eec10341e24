//! Why a token is refused. The caller learns one opaque error; the reason is for audit.

use crate::ids::{ReasonCode, UnixSeconds};
use crate::json::JsonError;

/// Why a token is refused. No variant carries text of the token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The request has no token.
    #[error("no token")]
    Missing,
    /// More than one token, or header values joined by a comma.
    #[error("more than one token")]
    Ambiguous,
    /// An authorization scheme other than `Bearer` and `DPoP`.
    #[error("the authorization scheme is neither DPoP nor Bearer")]
    SchemeNotAccepted,
    /// The token is longer than allowed.
    #[error("longer than {limit} bytes")]
    TooLarge {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// Not a JWS in compact form with JSON objects in it.
    #[error("malformed: {0}")]
    Malformed(#[from] TokenFault),
    /// `typ` is absent or not on the issuer's list.
    #[error("`typ` is not accepted")]
    TypeNotAccepted,
    /// A header parameter that would change how the token is read or which key verifies it.
    #[error("the header parameter `{parameter}` is refused")]
    HeaderRefused {
        /// The parameter's name.
        parameter: &'static str,
    },
    /// No issuer of this name is configured.
    #[error("unknown issuer")]
    IssuerUnknown,
    /// `alg` is not one that the issuer, or the selected key, may use.
    #[error("`alg` is not accepted")]
    AlgorithmNotAccepted,
    /// The issuer has no key with the token's `kid`.
    #[error("unknown key")]
    KeyUnknown,
    /// There is no key set of the issuer yet, or it is too old.
    #[error("the issuer's key set is not available")]
    KeySetUnavailable,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    SignatureInvalid,
    /// `exp` has passed.
    #[error("expired at {}", exp.0)]
    Expired {
        /// The claim, rounded down.
        exp: UnixSeconds,
    },
    /// `nbf` has not come.
    #[error("not valid before {}", nbf.0)]
    NotYetValid {
        /// The claim, rounded up.
        nbf: UnixSeconds,
    },
    /// `iat` has not come.
    #[error("issued in the future, at {}", iat.0)]
    IssuedInFuture {
        /// The claim, rounded down.
        iat: UnixSeconds,
    },
    /// `exp` − `iat` is over the issuer's cap.
    #[error("valid for {seconds} seconds, the issuer's cap is {limit}")]
    LifetimeExceeded {
        /// Seconds from `iat` to `exp`.
        seconds: u64,
        /// The cap, in seconds.
        limit: u64,
    },
    /// A required claim is absent.
    #[error("the claim `{claim}` is missing")]
    ClaimMissing {
        /// The claim's name.
        claim: &'static str,
    },
    /// A claim is not of the required form.
    #[error("the claim `{claim}` is malformed")]
    ClaimMalformed {
        /// The claim's name.
        claim: &'static str,
    },
    /// The token is bound (`cnf`), and for this issuer nobody asks for a proof.
    #[error("the token is bound, and no proof is asked for")]
    Bound,
    /// `cnf` has a member that is none of `jkt` and `x5t#S256`.
    #[error("`cnf` has a member that cannot be proven here")]
    ConfirmationUnsupported,
    /// The issuer's tokens must be bound, and this one is not.
    #[error("the token is bound to nothing")]
    Unbound,
    /// The token has a `status`, and for this issuer nobody looks it up.
    #[error("the token has a status that is not looked up")]
    StatusUnchecked,
    /// `aud` is not exactly the expected audience.
    #[error("for another audience")]
    AudienceMismatch,
}

/// What makes a token malformed.
#[derive(Debug, thiserror::Error)]
pub enum TokenFault {
    /// Not the scheme, one space, one `token68`.
    #[error("not one token after the scheme")]
    Credentials,
    /// Not three non-empty segments.
    #[error("not three segments")]
    Segments,
    /// A segment is not canonical base64url without padding.
    #[error("the {segment} is not canonical base64url")]
    Base64 {
        /// `header`, `payload` or `signature`.
        segment: &'static str,
    },
    /// A segment is not strict JSON.
    #[error("the {segment} is not strict JSON")]
    Json {
        /// `header` or `payload`.
        segment: &'static str,
        /// What is wrong with it.
        source: JsonError,
    },
    /// A segment is JSON, but not an object.
    #[error("the {segment} is not an object")]
    NotAnObject {
        /// `header` or `payload`.
        segment: &'static str,
    },
    /// A header parameter is absent or not a string.
    #[error("the header parameter `{parameter}` is malformed")]
    Parameter {
        /// The parameter's name.
        parameter: &'static str,
    },
}

impl TokenError {
    /// The reason code that audit and metrics record.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::Missing => "token_missing",
            Self::Ambiguous => "token_ambiguous",
            Self::SchemeNotAccepted => "token_scheme_not_accepted",
            Self::TooLarge { .. } => "token_too_large",
            Self::Malformed(_) => "token_malformed",
            Self::TypeNotAccepted => "token_type_not_accepted",
            Self::HeaderRefused { .. } => "token_header_refused",
            Self::IssuerUnknown => "issuer_unknown",
            Self::AlgorithmNotAccepted => "algorithm_not_accepted",
            Self::KeyUnknown => "key_unknown",
            Self::KeySetUnavailable => "key_set_unavailable",
            Self::SignatureInvalid => "signature_invalid",
            Self::Expired { .. } => "token_expired",
            Self::NotYetValid { .. } => "token_not_yet_valid",
            Self::IssuedInFuture { .. } => "token_issued_in_future",
            Self::LifetimeExceeded { .. } => "token_lifetime_exceeded",
            Self::ClaimMissing { .. } => "claim_missing",
            Self::ClaimMalformed { .. } => "claim_malformed",
            Self::Bound => "token_bound",
            Self::ConfirmationUnsupported => "confirmation_unsupported",
            Self::Unbound => "token_unbound",
            Self::StatusUnchecked => "status_unchecked",
            Self::AudienceMismatch => "audience_mismatch",
        })
    }
}
