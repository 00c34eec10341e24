//! Key sets (RFC 7517): parsed and prepared once for each issuer, never shared between issuers.

mod error;
mod jwk;
mod material;
mod pem;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub use error::{KeyFault, KeySetError};
use material::Material;

/// Shortest HS256 secret, in bytes: the size of the hash (RFC 7518 section 3.2).
pub const MIN_SECRET_BYTES: usize = 32;
/// Shortest RSA modulus, in bits (RFC 7518 section 3.3).
pub const MIN_RSA_BITS: usize = 2048;
/// Longest RSA modulus that can be verified with, in bits.
pub const MAX_RSA_BITS: usize = 4096;

/// A JWS signature algorithm (RFC 7518 section 3.1, RFC 8037).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSASSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSASSA-PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSASSA-PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// HMAC with SHA-256; only for an issuer that is configured with a secret.
    #[serde(rename = "HS256")]
    Hs256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Hs256,
    ];

    /// The algorithm of this `alg` value, compared exactly.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// The `alg` value.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Hs256 => "HS256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How much of a key set is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLimits {
    /// Bytes of the document.
    pub max_bytes: usize,
    /// Keys in it, those included that are skipped.
    pub max_keys: usize,
    /// Bytes of a `kid`.
    pub max_kid_bytes: usize,
    /// Bits of an RSA modulus; never more than [`MAX_RSA_BITS`].
    pub max_rsa_bits: usize,
}

impl Default for KeyLimits {
    fn default() -> Self {
        Self { max_bytes: 256 * 1024, max_keys: 64, max_kid_bytes: 256, max_rsa_bits: MAX_RSA_BITS }
    }
}

/// The keys of one issuer that can verify a signature.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<Arc<Key>>,
    skipped: usize,
}

impl KeySet {
    /// Reads a JWK Set and prepares its keys for `algorithms`.
    ///
    /// Keys that are not meant for this are skipped and counted (RFC 7517 section 5): another `kty`, `crv`, `use` or
    /// `alg`, or no `verify` among the `key_ops`. A key that contradicts itself or is too weak is an error, because
    /// an operator would otherwise look for it in vain.
    ///
    /// # Errors
    ///
    /// See [`KeySetError`]; a fault of one key names its JSON pointer.
    pub fn parse(bytes: &[u8], algorithms: &[Algorithm], limits: &KeyLimits) -> Result<Self, KeySetError> {
        if bytes.len() > limits.max_bytes {
            return Err(KeySetError::TooLarge { limit: limits.max_bytes });
        }
        let document = crate::json::parse(bytes, 16)?;
        let Some(listed) = document.get("keys").and_then(Value::as_array) else {
            return Err(KeySetError::NotAKeySet);
        };
        if listed.len() > limits.max_keys {
            return Err(KeySetError::TooManyKeys { limit: limits.max_keys });
        }
        let mut keys = Vec::new();
        let mut skipped = 0_usize;
        for (index, jwk) in listed.iter().enumerate() {
            let at = |fault| KeySetError::Key { index, kid: jwk::named(jwk, limits), fault };
            match jwk::read(jwk, algorithms, limits).map_err(at)? {
                Some(key) => keys.push((index, Arc::new(key))),
                None => skipped = skipped.saturating_add(1),
            }
        }
        check_kids(&keys)?;
        if keys.is_empty() {
            return Err(KeySetError::NoUsableKey { skipped });
        }
        Ok(Self { keys: keys.into_iter().map(|(_, key)| key).collect(), skipped })
    }

    /// A set of one HS256 secret, given as base64url without padding, of at least [`MIN_SECRET_BYTES`] bytes.
    ///
    /// # Errors
    ///
    /// [`KeySetError::SecretMalformed`], [`KeySetError::SecretTooShort`].
    pub fn from_secret(secret: &str) -> Result<Self, KeySetError> {
        let bytes = URL_SAFE_NO_PAD.decode(secret).map_err(|_| KeySetError::SecretMalformed)?;
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(KeySetError::SecretTooShort { bytes: bytes.len() });
        }
        let key = Key { kid: None, algorithms: vec![Algorithm::Hs256], material: Material::secret(&bytes) };
        Ok(Self { keys: vec![Arc::new(key)], skipped: 0 })
    }

    /// The key for a token whose header has this `kid`.
    ///
    /// A key with a `kid` is found by exactly that; a key without one (then the only one) serves tokens without one.
    /// A secret has no `kid` to compare, so it serves all tokens of its issuer.
    #[must_use]
    pub fn select(&self, kid: Option<&str>) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.material.is_secret() || key.kid.as_deref() == kid)
    }

    /// How many keys of the document were skipped.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// The keys, in the order of the document.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(Arc::as_ref)
    }
}

fn check_kids(keys: &[(usize, Arc<Key>)]) -> Result<(), KeySetError> {
    let mut seen = BTreeSet::new();
    for (index, key) in keys {
        let fault = match &key.kid {
            None if keys.len() > 1 => KeyFault::KidMissing,
            Some(kid) if !seen.insert(kid) => KeyFault::KidDuplicate,
            _ => continue,
        };
        return Err(KeySetError::Key { index: *index, kid: key.kid.clone(), fault });
    }
    Ok(())
}

/// The SHA-256 thumbprint of a public JWK (RFC 7638); `None` for a member that no key has which [`Key::from_jwk`] takes.
#[must_use]
pub fn thumbprint(jwk: &Value) -> Option<[u8; 32]> {
    let members: &[&str] = match jwk.get("kty")?.as_str()? {
        "EC" => &["crv", "kty", "x", "y"],
        "OKP" => &["crv", "kty", "x"],
        "RSA" => &["e", "kty", "n"],
        _ => return None,
    };
    let mut canonical = String::new();
    for name in members {
        let value = jwk.get(name)?.as_str()?;
        // Names of curves and base64url: nothing that JSON would write in two ways.
        if !value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return None;
        }
        canonical.push(if canonical.is_empty() { '{' } else { ',' });
        for part in ["\"", name, "\":\"", value, "\""] {
            canonical.push_str(part);
        }
    }
    canonical.push('}');
    Some(Sha256::digest(canonical.as_bytes()).into())
}

/// One prepared verification key.
#[derive(Debug)]
pub struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: Material,
}

impl Key {
    /// One public key that a token or a proof brings, for `algorithms`; `None` when it is meant for something else.
    ///
    /// # Errors
    ///
    /// See [`KeyFault`]: a private key, a weak one, one that contradicts itself.
    pub fn from_jwk(jwk: &Value, algorithms: &[Algorithm]) -> Result<Option<Self>, KeyFault> {
        jwk::read(jwk, algorithms, &KeyLimits::default())
    }

    /// A key as OPA's configuration has it, for one algorithm: a JWK or PEM, or for HS256 the text itself as secret.
    ///
    /// # Errors
    ///
    /// See [`KeyFault`]: no such key, a private one, one for another algorithm, a weak one, PEM as secret.
    pub fn from_text(text: &str, algorithm: Algorithm) -> Result<Self, KeyFault> {
        let trimmed = text.trim_start();
        let is_pem = trimmed.starts_with("-----BEGIN ");
        if algorithm == Algorithm::Hs256 {
            return match text.len() {
                _ if is_pem => Err(KeyFault::PemAsSecret),
                ..MIN_SECRET_BYTES => Err(KeyFault::SecretTooShort { bytes: text.len() }),
                _ => Ok(Self {
                    kid: None,
                    algorithms: vec![algorithm],
                    material: Material::secret(text.as_bytes()),
                }),
            };
        }
        if is_pem {
            return pem::read(text, algorithm);
        }
        let jwk = crate::json::parse(text.as_bytes(), 16).map_err(|_| KeyFault::Pem)?;
        Self::from_jwk(&jwk, &[algorithm])?.ok_or(KeyFault::OtherAlgorithm { algorithm })
    }

    /// Its `kid`.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether a token may name this algorithm with this key.
    #[must_use]
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// The key as SubjectPublicKeyInfo in DER (RFC 5280), as a host's signature check wants it; `None` where hosts
    /// have none: Ed25519 and secrets.
    #[must_use]
    pub fn spki_der(&self) -> Option<&[u8]> {
        self.material.spki_der()
    }

    /// Whether `signature` is this key's over `signed` with `algorithm`; the raw forms of RFC 7518 and RFC 8037.
    ///
    /// False for an algorithm that the key does not serve.
    #[must_use]
    pub fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        self.serves(algorithm) && self.material.verify(algorithm, signed, signature)
    }
}
