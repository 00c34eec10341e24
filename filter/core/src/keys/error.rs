//! Why a key set is refused.

use crate::json::JsonError;

/// Why a key set is refused.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    /// The document is larger than allowed.
    #[error("the key set is larger than {limit} bytes")]
    TooLarge {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// The document is not strict JSON.
    #[error("the key set is not strict JSON")]
    Json(#[from] JsonError),
    /// There is no array `keys` (RFC 7517 section 5.1).
    #[error("a key set is an object with an array `keys`")]
    NotAKeySet,
    /// More keys than allowed.
    #[error("the key set has more than {limit} keys")]
    TooManyKeys {
        /// The limit in force.
        limit: usize,
    },
    /// A fault of one key.
    #[error("/keys/{index}{}: {fault}", named(kid.as_deref()))]
    Key {
        /// Position in `keys`, from 0.
        index: usize,
        /// Its `kid`, if it has one that is no longer than allowed.
        kid: Option<String>,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// Nothing is left to verify with.
    #[error("the key set has no key for the issuer's algorithms ({skipped} skipped)")]
    NoUsableKey {
        /// Keys that were skipped.
        skipped: usize,
    },
    /// The secret is not base64url without padding.
    #[error("the secret is not base64url without padding")]
    SecretMalformed,
    /// The secret is shorter than the hash.
    #[error("the secret has {bytes} bytes; HS256 needs at least {}", super::MIN_SECRET_BYTES)]
    SecretTooShort {
        /// Its length in bytes.
        bytes: usize,
    },
}

fn named(kid: Option<&str>) -> String {
    kid.map_or_else(String::new, |kid| format!(" (kid {kid:?})"))
}

/// What is wrong with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// A key must be a JSON object.
    #[error("not an object")]
    NotAnObject,
    /// A required member is absent.
    #[error("`{member}` is missing")]
    MemberMissing {
        /// The member's name.
        member: &'static str,
    },
    /// A member is not of the required form.
    #[error("`{member}` is malformed")]
    MemberMalformed {
        /// The member's name.
        member: &'static str,
    },
    /// A private or symmetric key in a set that is meant to be public.
    #[error("`{member}` is secret key material: publish public keys only, and replace this key")]
    SecretMaterial {
        /// The member's name.
        member: &'static str,
    },
    /// A member contradicts `kty`, `crv` or `use`.
    #[error("`{member}` does not fit the key's `kty`, `crv` or `use`")]
    Inconsistent {
        /// The member's name.
        member: &'static str,
    },
    /// The RSA modulus is too short or too long.
    #[error("an RSA modulus of {bits} bits: between {} and {limit} are accepted", super::MIN_RSA_BITS)]
    RsaModulusSize {
        /// Its length in bits.
        bits: usize,
        /// The longest accepted, in bits.
        limit: usize,
    },
    /// The values are not a public key: a point off the curve or of small order, an even modulus, an exponent other
    /// than 65537.
    #[error("not a valid public key")]
    InvalidPublicKey,
    /// Several keys can only be told apart by `kid`.
    #[error("`kid` is missing, and it is not the only key")]
    KidMissing,
    /// Two keys have the same `kid`.
    #[error("`kid` is the same as an earlier key's")]
    KidDuplicate,
    /// Neither a JWK nor one block of PEM with a public key or a certificate.
    #[error("neither a public JWK nor one block of PEM: PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")]
    Pem,
    /// A key of a kind that no served algorithm has.
    #[error("neither RSA, P-256, P-384 nor Ed25519")]
    KeyTypeUnknown,
    /// A key for another algorithm than the one that is configured with it.
    #[error("not a key for {algorithm}")]
    OtherAlgorithm {
        /// The algorithm that is configured.
        algorithm: super::Algorithm,
    },
    /// PEM where a shared secret is expected: whoever knows a public key could sign with it.
    #[error("PEM is no secret for HS256: name the algorithm of the key")]
    PemAsSecret,
    /// A secret shorter than the hash.
    #[error("a secret of {bytes} bytes; HS256 needs at least {}", super::MIN_SECRET_BYTES)]
    SecretTooShort {
        /// Its length in bytes.
        bytes: usize,
    },
}
