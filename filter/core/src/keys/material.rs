//! Public keys and secrets, and the check of one signature.
//!
//! jwt-simple's `verify_token` also reads the claims, with rules other than ours and a clock. So keys are checked as it
//! checks them and used with the primitives that it calls itself; the tests compare the two.

use jwt_simple::algorithms::RSAPublicKeyLike as _;
use jwt_simple::algorithms::{
    Ed25519PublicKey, EdDSAPublicKeyLike as _, HS256Key, MACLike as _, RS256PublicKey,
};
use jwt_simple::reexports::ct_codecs;
use p256::ecdsa::signature::Verifier as _;
use superboring::hash::MessageDigest;
use superboring::pkey::{PKey, Public};
use superboring::rsa::Padding;
use superboring::sign::Verifier;

use super::Algorithm;
use crate::der;

/// A key of one type. It never verifies with another type's algorithm.
#[derive(Debug)]
pub(super) enum Material {
    /// ES256.
    P256 { key: Box<p256::ecdsa::VerifyingKey>, spki_der: Vec<u8> },
    /// ES384.
    P384 { key: Box<p384::ecdsa::VerifyingKey>, spki_der: Vec<u8> },
    /// EdDSA.
    Ed25519(Box<Ed25519PublicKey>),
    /// RS256 … RS512 and PS256 … PS512.
    Rsa { key: Box<PKey<Public>>, spki_der: Vec<u8> },
    /// HS256.
    Secret(Box<HS256Key>),
}

impl Material {
    /// The point with these coordinates; `None` when it is not on the curve.
    pub(super) fn p256(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let point = [&[4], x.as_slice(), y].concat();
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
        Some(Self::P256 { key: Box::new(key), spki_der: der::p256_key(&point)? })
    }

    /// As [`Material::p256`], on P-384.
    pub(super) fn p384(x: &[u8; 48], y: &[u8; 48]) -> Option<Self> {
        let point = [&[4], x.as_slice(), y].concat();
        let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
        Some(Self::P384 { key: Box::new(key), spki_der: der::p384_key(&point)? })
    }

    /// The key of these octets; `None` when it is no point, or one of small order.
    pub(super) fn ed25519(x: &[u8; 32]) -> Option<Self> {
        Ed25519PublicKey::from_bytes(x).ok().map(|key| Self::Ed25519(Box::new(key)))
    }

    /// The key with this modulus and exponent, big-endian; `None` for an even modulus or an exponent other than 65537.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        let key = RS256PublicKey::from_components(modulus, exponent).ok()?;
        let key = PKey::from_rsa(key.public_key().as_ref().clone()).ok()?;
        Some(Self::Rsa { key: Box::new(key), spki_der: der::rsa_key(modulus, exponent)? })
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
            Self::P256 { spki_der, .. } | Self::P384 { spki_der, .. } | Self::Rsa { spki_der, .. } => {
                Some(spki_der)
            }
            Self::Ed25519(_) | Self::Secret(_) => None,
        }
    }

    pub(super) fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
        match (self, algorithm) {
            (Self::P256 { key, .. }, Algorithm::Es256) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            (Self::P384 { key, .. }, Algorithm::Es384) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify(signed, &signature).is_ok()),
            (Self::Ed25519(key), Algorithm::EdDsa) => signature
                .try_into()
                .is_ok_and(|signature| key.public_key().as_ref().verify(signed, &signature).is_ok()),
            (Self::Rsa { key, .. }, algorithm) => rsa(key, algorithm, signed, signature),
            (Self::Secret(key), Algorithm::Hs256) => {
                ct_codecs::verify(&key.authentication_tag(signed), signature)
            }
            _ => false,
        }
    }
}

fn rsa(key: &PKey<Public>, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let (padding, digest) = match algorithm {
        Algorithm::Rs256 => (Padding::PKCS1, MessageDigest::sha256()),
        Algorithm::Rs384 => (Padding::PKCS1, MessageDigest::sha384()),
        Algorithm::Rs512 => (Padding::PKCS1, MessageDigest::sha512()),
        Algorithm::Ps256 => (Padding::PKCS1_PSS, MessageDigest::sha256()),
        Algorithm::Ps384 => (Padding::PKCS1_PSS, MessageDigest::sha384()),
        Algorithm::Ps512 => (Padding::PKCS1_PSS, MessageDigest::sha512()),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa | Algorithm::Hs256 => return false,
    };
    Verifier::new(digest, key).is_ok_and(|mut verifier| {
        verifier.set_rsa_padding(padding).is_ok()
            && verifier.update(signed).is_ok()
            && verifier.verify(signature).unwrap_or(false)
    })
}
