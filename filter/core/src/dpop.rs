//! Proofs of possession (RFC 9449): from the `DPoP` header to a [`Mark`], which is spent before the request goes on.
//!
//! [`Proof::read`] → the host or [`Proof::verify`] checks the signature → [`spend`]. The claims are read only after the
//! signature. A proof is good for one request, so nothing of it is remembered but its mark.

mod error;
mod spent;
#[cfg(test)]
pub(crate) mod tests;
mod uri;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::config::Dpop;
use crate::ids::{Now, UnixSeconds};
use crate::keys::{Algorithm, Key, thumbprint};
use crate::token::{Parts, Rounding, SignatureCheck, TokenLimits, numeric_date, parameter, signature_check};

pub use error::ProofError;
pub use spent::{SpendError, spend};

/// The header that carries a proof.
pub const PROOF_HEADER: &str = "dpop";
/// `typ` of a proof, compared exactly.
const TYPE: &str = "dpop+jwt";

/// How much of a proof is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofLimits {
    /// Bytes of the whole proof.
    pub proof_bytes: usize,
    /// Bytes of its `jti`.
    pub jti_bytes: usize,
}

/// What a proof has to be about.
#[derive(Clone, Copy)]
pub struct Occasion<'a> {
    /// The request's method.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// Host and port.
    pub authority: &'a str,
    /// The path without query.
    pub path: &'a str,
    /// The access token.
    pub token: &'a str,
}

/// A proof by the key that the token is bound to, of which neither signature nor claims are believed yet.
pub struct Proof {
    key: Key,
    algorithm: Algorithm,
    thumbprint: [u8; 32],
    claims: Map<String, Value>,
    signed: Box<str>,
    signature: Vec<u8>,
}

impl fmt::Debug for Proof {
    /// Without what could be presented again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// What is remembered of a proof until nobody would take it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Of key and `jti`: a `jti` is unique only among those of one key.
    digest: [u8; 32],
    /// From here on the proof is too old.
    expires: UnixSeconds,
}

impl Mark {
    /// Which of `slots` it is kept in.
    #[must_use]
    pub fn slot(&self, slots: u32) -> u32 {
        crate::approval::slot_of(&self.digest, slots)
    }
}

impl Proof {
    /// Reads a proof up to its signature: form, `typ`, `alg`, `jwk`, and whether it is the key (SHA-256 thumbprint
    /// `bound_to`) that the token is bound to.
    ///
    /// # Errors
    ///
    /// See [`ProofError`].
    pub fn read(
        header: &str,
        bound_to: &[u8; 32],
        rules: &Dpop,
        limits: ProofLimits,
    ) -> Result<Self, ProofError> {
        if header.contains(',') {
            return Err(ProofError::Ambiguous);
        }
        let token_limits = TokenLimits { max_bytes: limits.proof_bytes, ..TokenLimits::default() };
        let parts = Parts::parse(header, Some("jwk"), &token_limits).map_err(ProofError::Malformed)?;
        let typ = parameter(&parts.header, "typ").map_err(|fault| ProofError::Malformed(fault.into()))?;
        if typ.as_deref() != Some(TYPE) {
            return Err(ProofError::TypeNotAccepted);
        }
        let algorithm = Algorithm::parse(&parts.algorithm)
            .filter(|algorithm| rules.algorithms.contains(algorithm))
            .ok_or(ProofError::AlgorithmNotAccepted)?;
        let jwk = parts.header.get("jwk").ok_or(ProofError::KeyMissing)?;
        let key = Key::from_jwk(jwk, &[algorithm]).map_err(ProofError::KeyRefused)?;
        let key = key.ok_or(ProofError::KeyUnfit)?;
        let thumbprint = thumbprint(jwk).ok_or(ProofError::KeyUnfit)?;
        if thumbprint != *bound_to {
            return Err(ProofError::KeyMismatch);
        }
        let Parts { claims, signed, signature, .. } = parts;
        Ok(Self { key, algorithm, thumbprint, claims, signed: signed.into(), signature })
    }

    /// What a host would check in place of the module.
    #[must_use]
    pub fn signature_check(&self) -> Option<SignatureCheck<'_>> {
        signature_check(&self.key, self.algorithm, &self.signed, &self.signature)
    }

    /// Checks the signature, unless a host did, and holds the claims against the occasion (RFC 9449 section 4.3).
    ///
    /// # Errors
    ///
    /// See [`ProofError`].
    pub fn verify(
        self,
        host: Option<bool>,
        occasion: Occasion<'_>,
        rules: &Dpop,
        limits: ProofLimits,
        now: Now,
    ) -> Result<Mark, ProofError> {
        let here = || self.key.verify(self.algorithm, self.signed.as_bytes(), &self.signature);
        if !host.unwrap_or_else(here) {
            return Err(ProofError::SignatureInvalid);
        }
        if self.text("htm")? != occasion.method {
            return Err(ProofError::MethodMismatch);
        }
        let Occasion { scheme, authority, path, .. } = occasion;
        let requested = uri::normalised(scheme, authority, path);
        if requested.is_none() || uri::of_claim(self.text("htu")?) != requested {
            return Err(ProofError::UriMismatch);
        }
        if self.text("ath")? != URL_SAFE_NO_PAD.encode(Sha256::digest(occasion.token.as_bytes())) {
            return Err(ProofError::TokenMismatch);
        }
        let jti = self.text("jti")?;
        if jti.is_empty() || jti.len() > limits.jti_bytes {
            return Err(ProofError::Claim { claim: "jti" });
        }
        // Nobody was given a nonce, so there is none to compare it with (section 4.3, point 10).
        if self.claims.contains_key("nonce") {
            self.text("nonce")?;
        }
        let iat = self.claims.get("iat").and_then(|iat| numeric_date(iat, Rounding::Down));
        let iat = iat.ok_or(ProofError::Claim { claim: "iat" })?;
        let (now, skew) = (now.seconds(), rules.clock_skew_seconds);
        let last = iat.plus(rules.max_age_seconds).plus(skew);
        if now > last {
            return Err(ProofError::Expired { iat });
        }
        if iat > now.plus(skew) {
            return Err(ProofError::IssuedInFuture { iat });
        }
        let digest = Sha256::new().chain_update(self.thumbprint).chain_update(jti.as_bytes()).finalize();
        Ok(Mark { digest: digest.into(), expires: last.plus(1) })
    }

    fn text(&self, claim: &'static str) -> Result<&str, ProofError> {
        self.claims.get(claim).and_then(Value::as_str).ok_or(ProofError::Claim { claim })
    }
}
