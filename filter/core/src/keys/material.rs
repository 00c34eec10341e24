//! Public keys and secrets as jwt-simple holds them, and the check of one signature.
//!
//! jwt-simple's `verify_token` also reads the claims, with rules other than ours and a clock. So its keys are used with
//! the primitives that it calls itself; the tests compare the two.

use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike as _, HS256Key,
    MACLike as _, RS256PublicKey, RSAPublicKeyLike as _,
};
use jwt_simple::reexports::ct_codecs;
use p256::ecdsa::signature::Verifier as _;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Padding;
use superboring::sign::Verifier;

use super::Algorithm;

/// A key of one type. It never verifies with another type's algorithm.
#[derive(Debug)]
pub(super) enum Material {
    /// ES256.
    P256 { key: Box<ES256PublicKey>, spki_der: Vec<u8> },
    /// EdDSA.
    Ed25519(Box<Ed25519PublicKey>),
    /// RS256 and PS256.
    Rsa { key: Box<PKey<Public>>, spki_der: Vec<u8> },
    /// HS256.
    Secret(Box<HS256Key>),
}

impl Material {
    /// The point with these coordinates; `None` when it is not on the curve.
    pub(super) fn p256(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let point = [&[4], x.as_slice(), y].concat();
        let key = ES256PublicKey::from_bytes(&point).ok()?;
        let spki_der = key.to_der().ok()?;
        Some(Self::P256 { key: Box::new(key), spki_der })
    }

    /// The key of these octets; `None` when it is no point, or one of small order.
    pub(super) fn ed25519(x: &[u8; 32]) -> Option<Self> {
        Ed25519PublicKey::from_bytes(x).ok().map(|key| Self::Ed25519(Box::new(key)))
    }

    /// The key with this modulus and exponent, big-endian; `None` for an even modulus or an exponent other than 65537.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let key = RS256PublicKey::from_components(modulus, exponent).ok()?;
        let spki_der = key.to_der().ok()?;
        let key = PKey::from_rsa(key.public_key().as_ref().clone()).ok()?;
        Some(Self::Rsa { key: Box::new(key), spki_der })
    }

    /// A shared secret.
    pub(super) fn secret(bytes: &[u8]) -> Self {
        Self::Secret(Box::new(HS256Key::from_bytes(bytes)))
    }

    pub(super) fn is_secret(&self) -> bool {
        matches!(self, Self::Secret(_))
    }

    pub(super) fn spki_der(&self) -> Option<&[u8]> {
        match self {
            Self::P256 { spki_der, .. } | Self::Rsa { spki_der, .. } => Some(spki_der),
            Self::Ed25519(_) | Self::Secret(_) => None,
        }
    }

    pub(super) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match (self, algorithm) {
            (Self::P256 { key, .. }, Algorithm::Es256) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.public_key().as_ref().verify(signed, &signature).is_ok()),
            (Self::Ed25519(key), Algorithm::EdDsa) => signature
                .try_into()
                .is_ok_and(|signature| key.public_key().as_ref().verify(signed, &signature).is_ok()),
            (Self::Rsa { key, .. }, Algorithm::Rs256) => rsa(key, Padding::PKCS1, signed, signature),
            (Self::Rsa { key, .. }, Algorithm::Ps256) => rsa(key, Padding::PKCS1_PSS, signed, signature),
            (Self::Secret(key), Algorithm::Hs256) => {
                ct_codecs::verify(&key.authentication_tag(signed), signature)
            }
            _ => false,
        }
    }
}

fn rsa(key: &PKey<Public>, padding: Padding, signed: &[u8], signature: &[u8]) -> bool {
    Verifier::new(MessageDigest::sha256(), key).is_ok_and(|mut verifier| {
        verifier.set_rsa_padding(padding).is_ok()
            && verifier.update(signed).is_ok()
            && verifier.verify(signature).unwrap_or(false)
    })
}
