//! Access tokens: from the `Authorization` header to a [`VerifiedToken`], the proof that everything was checked.
//!
//! `credentials` → [`TokenCache::lookup`] → [`Compact::parse`] → [`Unverified::prepare`] → [`Unverified::verify`], or
//! [`Unverified::verify_with`] where the host checks the signature. The claims are read only after the signature.

mod cache;
mod claims;
mod compact;
mod confirmation;
mod date;
mod demands;
mod error;
mod rules;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod verify;

pub use cache::{CacheCounts, CacheLimits, CachedToken, TokenCache};
pub use claims::VerifiedToken;
pub use compact::{Compact, TokenLimits};
pub(crate) use compact::{Parts, parameter};
pub use confirmation::Confirmation;
pub use date::Rounding;
pub(crate) use date::numeric_date;
pub use demands::{Authentication, Demands, SenderConstraint, StatusRule};
pub use error::{TokenError, TokenFault};
pub(crate) use rules::is_type;
pub use rules::{
    Attenuation, Carrier, DEFAULT_CLOCK_SKEW_SECONDS, DEFAULT_MAX_CHAIN_DEPTH, DEFAULT_MAX_LIFETIME_SECONDS,
    DEFAULT_MAX_TASK_ITEMS, IssuerRules, MAX_CLOCK_SKEW_SECONDS, PrincipalAt, Profile, PromptDigests,
    Subjects,
};
pub(crate) use verify::signature_check;
pub use verify::{SignatureCheck, Unverified};

/// How a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// By itself (RFC 6750 section 2.1).
    Bearer,
    /// With a proof of possession (RFC 9449 section 7.1).
    Dpop,
}

/// Which bytes a `token68` has before its padding: each request has hundreds to look up.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const TOKEN68: [bool; 256] = {
    let (mut is_one, mut byte) = ([false; 256], 0_u8);
    loop {
        is_one[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        match byte.checked_add(1) {
            Some(next) => byte = next,
            None => break is_one,
        }
    }
};

/// Scheme and token of an `Authorization` value (RFC 9110 section 11.4).
///
/// The scheme's case does not matter; exactly one space follows it, then one `token68`.
///
/// # Errors
///
/// [`TokenError::SchemeNotAccepted`] for another scheme, [`TokenError::Ambiguous`] when there is a comma (header
/// values that were joined), else [`TokenError::Malformed`].
pub fn credentials(authorization: &str) -> Result<(Scheme, &str), TokenError> {
    if authorization.contains(',') {
        return Err(TokenError::Ambiguous);
    }
    let (name, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    let scheme = match name {
        _ if name.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        _ if name.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Err(TokenError::SchemeNotAccepted),
    };
    let body = token.trim_end_matches('=');
    let is_token68 = |byte: u8| TOKEN68.get(usize::from(byte)) == Some(&true);
    if body.is_empty() || !body.bytes().all(is_token68) {
        return Err(TokenFault::Credentials.into());
    }
    Ok((scheme, token))
}
