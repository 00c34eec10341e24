//! Why a token's status refuses it, and why a status list is not put in force.

use crate::ids::ReasonCode;
use crate::token::TokenError;

/// Why the status of a token refuses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StatusError {
    /// The issuer's configuration names no such list.
    #[error("the token's status list is not configured")]
    NotConfigured,
    /// The list was not fetched yet, or is too old.
    #[error("the token's status list is not available")]
    Unavailable,
    /// The list has no such place.
    #[error("the token's index is beyond its status list")]
    OutOfRange,
    /// Revoked for good.
    #[error("the token's status is INVALID")]
    Invalid,
    /// Revoked for now.
    #[error("the token's status is SUSPENDED")]
    Suspended,
    /// A status that only applications know the meaning of.
    #[error("the token's status is {0}, which is not VALID")]
    Other(u8),
}

impl StatusError {
    /// The reason code that audit and metrics record.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::NotConfigured => "status_list_unknown",
            Self::Unavailable => "status_list_unavailable",
            Self::OutOfRange => "status_out_of_range",
            Self::Invalid => "status_invalid",
            Self::Suspended => "status_suspended",
            Self::Other(_) => "status_not_valid",
        })
    }
}

/// Why a status list is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum StatusListError {
    /// Not a signed JWT of the accepted form and size.
    #[error("the status list: {0}")]
    Token(#[from] TokenError),
    /// `sub` is not the list's URI.
    #[error("the status list is another one: its `sub` is not the configured `uri`")]
    Subject,
    /// The claim `status_list` is not of the required form.
    #[error("the status list's `{0}` is missing or malformed")]
    Member(&'static str),
    /// The list is not one stream of zlib.
    #[error("the status list's `lst` does not inflate")]
    Inflate,
    /// The list inflates to more than the limit.
    #[error("the status list inflates to more than {limit} bytes")]
    TooLarge {
        /// The limit in force.
        limit: usize,
    },
    /// Older than the one in force.
    #[error("the status list is older than the one in force")]
    Older,
}
