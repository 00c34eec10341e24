//! The signature of a token, checked in the module or by the host, and then the claims.

use std::fmt;
use std::sync::Arc;

use super::claims::VerifiedToken;
use super::{Compact, IssuerRules, TokenError};
use crate::der;
use crate::ids::Now;
use crate::keys::{Algorithm, Key, KeySet};

/// A token whose issuer, type, algorithm and key are settled; its signature and claims are not.
#[derive(Debug)]
pub struct Unverified {
    compact: Compact,
    algorithm: Algorithm,
    key: Arc<Key>,
    rules: Arc<IssuerRules>,
}

/// What a host needs to check a signature in place of the module.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureCheck<'a> {
    /// The public key as SubjectPublicKeyInfo in DER.
    pub spki_der: &'a [u8],
    /// The name of the digest.
    pub hash: &'static str,
    /// RSASSA-PKCS1-v1_5: as in the token. ECDSA: in DER.
    pub signature: Vec<u8>,
    /// The bytes that are signed.
    pub signed: &'a [u8],
}

/// Without what is signed and the signature, which together are the token.
impl fmt::Debug for SignatureCheck<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureCheck").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl Unverified {
    /// Settles `typ`, `alg` and key by the rules of the issuer that the token claims. Reads no other claim.
    ///
    /// `keys` is the issuer's own key set, or `None` when there is none that may be used. The key is found by exact
    /// `kid`; no other is tried.
    ///
    /// # Errors
    ///
    /// In this order: [`TokenError::IssuerUnknown`] when the rules are another issuer's,
    /// [`TokenError::TypeNotAccepted`], [`TokenError::AlgorithmNotAccepted`], [`TokenError::KeySetUnavailable`],
    /// [`TokenError::KeyUnknown`], [`TokenError::AlgorithmNotAccepted`] when the key is for another algorithm.
    pub fn prepare(
        compact: Compact,
        rules: &Arc<IssuerRules>,
        keys: Option<&KeySet>,
    ) -> Result<Self, TokenError> {
        if compact.claimed_issuer != rules.issuer {
            return Err(TokenError::IssuerUnknown);
        }
        if !compact.typ.as_deref().is_some_and(|typ| rules.accepts_type(typ)) {
            return Err(TokenError::TypeNotAccepted);
        }
        let algorithm = Algorithm::parse(&compact.algorithm)
            .filter(|algorithm| rules.algorithms.contains(algorithm))
            .ok_or(TokenError::AlgorithmNotAccepted)?;
        let keys = keys.ok_or(TokenError::KeySetUnavailable)?;
        let key = keys.select(compact.kid.as_deref()).ok_or(TokenError::KeyUnknown)?;
        if !key.serves(algorithm) {
            return Err(TokenError::AlgorithmNotAccepted);
        }
        Ok(Self { algorithm, key: Arc::clone(key), rules: Arc::clone(rules), compact })
    }

    /// What a host would check, for the algorithms that hosts can: ES256, ES384 and RSASSA-PKCS1-v1_5. `None` for the
    /// others, and for a signature that has not even the right length.
    #[must_use]
    pub fn signature_check(&self) -> Option<SignatureCheck<'_>> {
        signature_check(&self.key, self.algorithm, &self.compact.signed, &self.compact.signature)
    }

    /// Checks the signature in the module, and then the claims at `now`.
    ///
    /// # Errors
    ///
    /// [`TokenError::SignatureInvalid`], or what is wrong with the claims.
    pub fn verify(self, now: Now) -> Result<VerifiedToken, TokenError> {
        let valid = self.verify_here();
        self.conclude(valid, now)
    }

    /// As [`Unverified::verify`], with the signature checked by `host`: its answer to the [`SignatureCheck`], or `None`
    /// when it cannot say. Then, and for algorithms that hosts cannot check, the module checks.
    ///
    /// # Errors
    ///
    /// [`TokenError::SignatureInvalid`], or what is wrong with the claims.
    pub fn verify_with(
        self,
        host: impl FnOnce(&SignatureCheck<'_>) -> Option<bool>,
        now: Now,
    ) -> Result<VerifiedToken, TokenError> {
        let answer = self.signature_check().and_then(|check| host(&check));
        let valid = answer.unwrap_or_else(|| self.verify_here());
        self.conclude(valid, now)
    }

    /// Whether the signature is the key's.
    #[must_use]
    pub fn verify_here(&self) -> bool {
        self.key.verify(self.algorithm, self.compact.signed.as_bytes(), &self.compact.signature)
    }

    fn conclude(self, signature_valid: bool, now: Now) -> Result<VerifiedToken, TokenError> {
        if !signature_valid {
            return Err(TokenError::SignatureInvalid);
        }
        VerifiedToken::read(self.compact, self.algorithm, &self.rules, now)
    }
}

/// What a host would check of a signature in the form of a JWS; see [`Unverified::signature_check`].
pub(crate) fn signature_check<'a>(
    key: &'a Key,
    algorithm: Algorithm,
    signed: &'a str,
    signature: &[u8],
) -> Option<SignatureCheck<'a>> {
    let (hash, signature) = match algorithm {
        Algorithm::Es256 => ("SHA256", der::ecdsa_signature(signature, 32)?),
        Algorithm::Es384 => ("SHA384", der::ecdsa_signature(signature, 48)?),
        Algorithm::Rs256 => ("SHA256", signature.to_vec()),
        Algorithm::Rs384 => ("SHA384", signature.to_vec()),
        Algorithm::Rs512 => ("SHA512", signature.to_vec()),
        Algorithm::EdDsa | Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 | Algorithm::Hs256 => {
            return None;
        }
    };
    Some(SignatureCheck { spki_der: key.spki_der()?, hash, signature, signed: signed.as_bytes() })
}
