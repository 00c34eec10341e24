//! One status list: verified, inflated, and looked up by index (draft sections 4.1, 5.1 and 8.3).

use std::fmt;
use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::bufread::ZlibDecoder;
use serde_json::{Map, Value};

use super::{StatusError, StatusListError};
use crate::ids::UnixSeconds;
use crate::keys::{Algorithm, KeySet};
use crate::token::{IssuerRules, Parts, Rounding, TokenError, TokenLimits, numeric_date, parameter};

/// `typ` of a status list, compared exactly.
const TYPE: &str = "statuslist+jwt";

/// How much of a status list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusLimits {
    /// Bytes of the JWT.
    pub list_bytes: usize,
    /// Bytes of the list once inflated: eight times as many tokens at one bit each.
    pub inflated_bytes: usize,
}

/// A verified status list.
pub struct StatusList {
    bits: u8,
    list: Vec<u8>,
    pub(super) issued: UnixSeconds,
    expires: Option<UnixSeconds>,
    /// How long it is as good as a fresh one, in seconds.
    pub(super) ttl: Option<u64>,
}

impl fmt::Debug for StatusList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusList")
            .field("bits", &self.bits)
            .field("bytes", &self.list.len())
            .finish_non_exhaustive()
    }
}

impl StatusList {
    /// Verifies and inflates the list that is published at `uri`, by the rules and with the keys of the issuer whose
    /// tokens it is about.
    ///
    /// # Errors
    ///
    /// See [`StatusListError`].
    pub fn verify(
        jwt: &[u8],
        uri: &str,
        rules: &IssuerRules,
        keys: Option<&KeySet>,
        limits: StatusLimits,
        now: UnixSeconds,
    ) -> Result<Self, StatusListError> {
        let token_limits = TokenLimits { max_bytes: limits.list_bytes, ..TokenLimits::default() };
        let text = std::str::from_utf8(jwt).map_err(|_| StatusListError::Member("text"))?;
        let claims = verified(text.trim_ascii_end(), rules, keys, &token_limits)?;
        if claims.get("sub").and_then(Value::as_str) != Some(uri) {
            return Err(StatusListError::Subject);
        }
        let date = |claim: &'static str| match claims.get(claim) {
            None => Ok(None),
            Some(value) => numeric_date(value, Rounding::Down)
                .map(Some)
                .ok_or(StatusListError::Token(TokenError::ClaimMalformed { claim })),
        };
        let issued = date("iat")?.ok_or(TokenError::ClaimMissing { claim: "iat" })?;
        if issued > now.plus(rules.skew()) {
            return Err(TokenError::IssuedInFuture { iat: issued }.into());
        }
        let expires = date("exp")?.map(|exp| exp.plus(rules.skew()));
        if let Some(exp) = expires.filter(|expires| *expires <= now) {
            return Err(TokenError::Expired { exp }.into());
        }
        let ttl = match claims.get("ttl") {
            None => None,
            Some(ttl) => Some(ttl.as_u64().ok_or(StatusListError::Member("ttl"))?),
        };
        let list = claims.get("status_list");
        let bits = list.and_then(|list| list.get("bits")?.as_u64());
        let bits = bits.and_then(|bits| u8::try_from(bits).ok()).filter(|bits| matches!(bits, 1 | 2 | 4 | 8));
        let bits = bits.ok_or(StatusListError::Member("bits"))?;
        let compressed = list.and_then(|list| list.get("lst")?.as_str());
        let compressed = compressed.and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
        let list = inflate(&compressed.ok_or(StatusListError::Member("lst"))?, limits.inflated_bytes)?;
        Ok(Self { bits, list, issued, expires, ttl })
    }

    /// Whether the list says of itself that it may be used.
    pub(super) fn is_in_force(&self, now: UnixSeconds) -> bool {
        self.expires.is_none_or(|expires| expires > now)
    }

    /// Nothing, if the status at `index` is VALID.
    ///
    /// # Errors
    ///
    /// [`StatusError`]: another status, or an index beyond the list.
    pub fn check(&self, index: u64) -> Result<(), StatusError> {
        match self.status(index).ok_or(StatusError::OutOfRange)? {
            0 => Ok(()),
            1 => Err(StatusError::Invalid),
            2 => Err(StatusError::Suspended),
            other => Err(StatusError::Other(other)),
        }
    }

    /// The status at an index: the first is in the least significant bits of the first byte.
    fn status(&self, index: u64) -> Option<u8> {
        let bit = index.checked_mul(u64::from(self.bits))?;
        let byte = *self.list.get(usize::try_from(bit / 8).ok()?)?;
        let mask = u8::MAX.checked_shr(8_u32.checked_sub(u32::from(self.bits))?)?;
        Some(byte.checked_shr(u32::try_from(bit % 8).ok()?)? & mask)
    }
}

/// The claims of a status list, once its signature is verified. An `iss` is not needed, and must be the right one.
fn verified(
    text: &str,
    rules: &IssuerRules,
    keys: Option<&KeySet>,
    limits: &TokenLimits,
) -> Result<Map<String, Value>, TokenError> {
    let parts = Parts::parse(text, None, limits)?;
    if parameter(&parts.header, "typ")?.as_deref() != Some(TYPE) {
        return Err(TokenError::TypeNotAccepted);
    }
    let algorithm = Algorithm::parse(&parts.algorithm)
        .filter(|algorithm| rules.algorithms.contains(algorithm))
        .ok_or(TokenError::AlgorithmNotAccepted)?;
    let keys = keys.ok_or(TokenError::KeySetUnavailable)?;
    let kid = parameter(&parts.header, "kid")?;
    let key = keys.select(kid.as_deref()).ok_or(TokenError::KeyUnknown)?;
    if !key.verify(algorithm, parts.signed.as_bytes(), &parts.signature) {
        return Err(TokenError::SignatureInvalid);
    }
    match parts.claims.get("iss") {
        Some(iss) if iss.as_str() != Some(&rules.issuer) => Err(TokenError::IssuerUnknown),
        _ => Ok(parts.claims),
    }
}

/// Inflates exactly one zlib stream, and stops as soon as it gives more than `limit` bytes.
fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, StatusListError> {
    let mut decoder = ZlibDecoder::new(bytes);
    let mut inflated = Vec::new();
    let one_too_many = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = decoder.by_ref().take(one_too_many).read_to_end(&mut inflated);
    read.map_err(|_| StatusListError::Inflate)?;
    if inflated.len() > limit {
        return Err(StatusListError::TooLarge { limit });
    }
    if decoder.into_inner().is_empty() { Ok(inflated) } else { Err(StatusListError::Inflate) }
}
