//! The compact serialisation of a JWS (RFC 7515 section 7.1), taken apart strictly and not yet believed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{TokenError, TokenFault, is_type};
use crate::keys::{Algorithm, Key};

/// How much of a token is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenLimits {
    /// Bytes of the whole token.
    pub max_bytes: usize,
    /// Levels of arrays and objects in header and payload.
    pub max_depth: usize,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self { max_bytes: 8 * 1024, max_depth: 16 }
    }
}

/// Parameters that bring their own key, change what is signed, or must be understood: none of them is.
const REFUSED: [&str; 8] = ["crit", "b64", "enc", "zip", "jku", "x5u", "jwk", "x5c"];

/// A well-formed token of which nothing is verified.
pub struct Compact {
    pub(super) algorithm: String,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    pub(super) claimed_issuer: String,
    pub(super) claims: Map<String, Value>,
    pub(super) payload: Vec<u8>,
    pub(super) signed: Box<str>,
    pub(super) signature: Vec<u8>,
}

impl Compact {
    /// Takes a token apart.
    ///
    /// # Errors
    ///
    /// [`TokenError::TooLarge`]; [`TokenError::Malformed`] unless there are exactly three segments of canonical
    /// base64url, the first two strict JSON objects; [`TokenError::HeaderRefused`] for `alg` "none" and parameters
    /// that bring their own key or must be understood; [`TokenError::ClaimMissing`] and
    /// [`TokenError::ClaimMalformed`] for `iss`.
    pub fn parse(token: &str, limits: &TokenLimits) -> Result<Self, TokenError> {
        Self::parse_pinned(token, limits, None)
    }

    /// As [`Compact::parse`], with the issuer that a token without `iss` is of, if there may be such tokens.
    ///
    /// # Errors
    ///
    /// As of [`Compact::parse`].
    pub fn parse_pinned(token: &str, limits: &TokenLimits, pinned: Option<&str>) -> Result<Self, TokenError> {
        let Parts { header, algorithm, claims, payload, signed, signature } =
            Parts::parse(token, None, limits)?;
        let claimed_issuer = match (claims.get("iss"), pinned) {
            (None, None) => return Err(TokenError::ClaimMissing { claim: "iss" }),
            (None, Some(pinned)) => pinned.to_owned(),
            (Some(Value::String(issuer)), _) => issuer.clone(),
            (Some(_), _) => return Err(TokenError::ClaimMalformed { claim: "iss" }),
        };
        Ok(Self {
            algorithm,
            kid: parameter(&header, "kid")?,
            typ: parameter(&header, "typ")?,
            claimed_issuer,
            claims,
            payload,
            signed: signed.into(),
            signature,
        })
    }

    /// The `iss` that the token claims: good for finding the issuer's configuration, and for nothing else.
    #[must_use]
    pub fn claimed_issuer(&self) -> &str {
        &self.claimed_issuer
    }
}

impl Compact {
    /// The claims, where `typ` is this one and the signature is the key's: for what comes within or beside a token.
    pub(crate) fn opened_by(
        &self,
        typ: &str,
        algorithms: &[Algorithm],
        key: &Key,
    ) -> Option<&Map<String, Value>> {
        let algorithm = Algorithm::parse(&self.algorithm).filter(|found| algorithms.contains(found))?;
        let is_typed = self.typ.as_deref().is_some_and(|found| is_type(found, typ));
        let valid = is_typed && key.verify(algorithm, self.signed.as_bytes(), &self.signature);
        valid.then_some(&self.claims)
    }

    /// `kid` of the header, not yet believed.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// SHA-256 of the JWS signing input.
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.signed.as_bytes()).into()
    }
}

/// Without the text: whoever reads a log must not be able to use the token.
impl fmt::Debug for Compact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compact").finish_non_exhaustive()
    }
}

/// A JWS taken apart, whatever it is for.
pub(crate) struct Parts<'t> {
    pub(crate) header: Map<String, Value>,
    pub(crate) algorithm: String,
    pub(crate) claims: Map<String, Value>,
    /// The text that they were read from.
    pub(crate) payload: Vec<u8>,
    pub(crate) signed: &'t str,
    pub(crate) signature: Vec<u8>,
}

impl<'t> Parts<'t> {
    /// Takes a JWS apart by the rules of [`Compact::parse`], `iss` aside. `needed` is the one header parameter that is
    /// not refused, because whoever calls reads it.
    pub(crate) fn parse(
        token: &'t str,
        needed: Option<&str>,
        limits: &TokenLimits,
    ) -> Result<Self, TokenError> {
        if token.len() > limits.max_bytes {
            return Err(TokenError::TooLarge { limit: limits.max_bytes });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenFault::Segments)?;
        let (header, payload) = signed.split_once('.').ok_or(TokenFault::Segments)?;
        if header.is_empty() || payload.is_empty() || payload.contains('.') || signature.is_empty() {
            return Err(TokenFault::Segments.into());
        }
        let header = object("header", &decode("header", header)?, limits)?;
        let refused = |parameter: &&str| Some(*parameter) != needed && header.contains_key(*parameter);
        if let Some(parameter) = REFUSED.into_iter().find(refused) {
            return Err(TokenError::HeaderRefused { parameter });
        }
        let algorithm = parameter(&header, "alg")?.ok_or(TokenFault::Parameter { parameter: "alg" })?;
        if algorithm.eq_ignore_ascii_case("none") {
            return Err(TokenError::HeaderRefused { parameter: "alg" });
        }
        let payload = decode("payload", payload)?;
        let claims = object("payload", &payload, limits)?;
        Ok(Self { header, algorithm, claims, payload, signed, signature: decode("signature", signature)? })
    }
}

fn object(
    segment: &'static str,
    text: &[u8],
    limits: &TokenLimits,
) -> Result<Map<String, Value>, TokenFault> {
    match crate::json::parse(text, limits.max_depth) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(TokenFault::NotAnObject { segment }),
        Err(source) => Err(TokenFault::Json { segment, source }),
    }
}

/// This engine refuses padding, white space and non-zero trailing bits.
fn decode(segment: &'static str, text: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenFault::Base64 { segment })
}

/// A header parameter that is a string, if it is there.
pub(crate) fn parameter(
    header: &Map<String, Value>,
    parameter: &'static str,
) -> Result<Option<String>, TokenFault> {
    match header.get(parameter) {
        None => Ok(None),
        Some(Value::String(value)) => Ok(Some(value.clone())),
        Some(_) => Err(TokenFault::Parameter { parameter }),
    }
}
