//! Public keys in PEM (RFC 7468): SubjectPublicKeyInfo, PKCS #1, and the key of a certificate.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::material::Material;
use super::{Algorithm, Key, KeyFault, KeyLimits, jwk};
use crate::der;

/// `rsaEncryption` (RFC 3279 section 2.3.1).
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// `id-ecPublicKey` (RFC 5480 section 2.1.1).
const EC: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// `id-Ed25519` (RFC 8410 section 3).
const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];
/// `secp256r1`.
const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// `secp384r1`.
const P384: [u8; 5] = [0x2b, 0x81, 0x04, 0x00, 0x22];

const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`, which holds the version of a certificate.
const VERSION: u8 = 0xa0;

/// Reads one public key for one algorithm.
///
/// Of a certificate only the key is read; who signed it, and until when, is not looked at.
pub(super) fn read(text: &str, algorithm: Algorithm) -> Result<Key, KeyFault> {
    let (label, der) = block(text.trim()).ok_or(KeyFault::Pem)?;
    if label.ends_with("PRIVATE KEY") {
        return Err(KeyFault::SecretMaterial { member: "PRIVATE KEY" });
    }
    let (material, kind) = match label {
        "PUBLIC KEY" => public_key(&der)?,
        "RSA PUBLIC KEY" => rsa(&der)?,
        "CERTIFICATE" => public_key(key_of_certificate(&der).ok_or(KeyFault::Pem)?)?,
        _ => return Err(KeyFault::Pem),
    };
    if !kind.algorithms().contains(&algorithm) {
        return Err(KeyFault::OtherAlgorithm { algorithm });
    }
    Ok(Key { kid: None, algorithms: vec![algorithm], material })
}

/// Label and contents of a text that is one block.
fn block(text: &str) -> Option<(&str, Vec<u8>)> {
    let (label, rest) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let (body, end) = rest.split_once("-----END ")?;
    if end.strip_suffix("-----")? != label {
        return None;
    }
    let body: String = body.split_ascii_whitespace().collect();
    Some((label, STANDARD.decode(body).ok()?))
}

/// RFC 5280 section 4.1.
fn key_of_certificate(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = der::read(der::SEQUENCE, der)?;
    let (signed, _) = der::read(der::SEQUENCE, certificate)?;
    let rest = der::read(VERSION, signed).map_or(signed, |(_, rest)| rest);
    let (_, mut rest) = der::read(der::INTEGER, rest)?;
    // Signature algorithm, issuer, validity, subject.
    for _ in 0..4 {
        (_, rest) = der::read(der::SEQUENCE, rest)?;
    }
    Some(rest)
}

/// SubjectPublicKeyInfo; what follows it is not looked at.
fn public_key(der: &[u8]) -> Result<(Material, jwk::Kind), KeyFault> {
    let (info, _) = der::read(der::SEQUENCE, der).ok_or(KeyFault::Pem)?;
    let (algorithm, info) = der::read(der::SEQUENCE, info).ok_or(KeyFault::Pem)?;
    let (algorithm, parameters) = der::read(OBJECT_IDENTIFIER, algorithm).ok_or(KeyFault::Pem)?;
    let (bits, _) = der::read(der::BIT_STRING, info).ok_or(KeyFault::Pem)?;
    let key = bits.strip_prefix(&[0]).ok_or(KeyFault::Pem)?;
    if algorithm == RSA {
        return rsa(key);
    }
    if algorithm == ED25519 {
        let key = key.try_into().map_err(|_| KeyFault::Pem)?;
        return valid(Material::ed25519(key), jwk::Kind::Ed25519);
    }
    if algorithm != EC {
        return Err(KeyFault::KeyTypeUnknown);
    }
    let (curve, _) = der::read(OBJECT_IDENTIFIER, parameters).ok_or(KeyFault::Pem)?;
    // Uncompressed (SEC 1 section 2.3.3).
    let point = key.strip_prefix(&[4]).ok_or(KeyFault::InvalidPublicKey)?;
    let halves = point.split_at_checked(point.len() / 2).ok_or(KeyFault::InvalidPublicKey)?;
    if curve == P256
        && let (Ok(x), Ok(y)) = (halves.0.try_into(), halves.1.try_into())
    {
        valid(Material::p256(x, y), jwk::Kind::P256)
    } else if curve == P384
        && let (Ok(x), Ok(y)) = (halves.0.try_into(), halves.1.try_into())
    {
        valid(Material::p384(x, y), jwk::Kind::P384)
    } else {
        Err(KeyFault::KeyTypeUnknown)
    }
}

/// RFC 8017 appendix A.1.1.
fn rsa(der: &[u8]) -> Result<(Material, jwk::Kind), KeyFault> {
    let (numbers, _) = der::read(der::SEQUENCE, der).ok_or(KeyFault::Pem)?;
    let (modulus, rest) = der::read(der::INTEGER, numbers).ok_or(KeyFault::Pem)?;
    let (exponent, _) = der::read(der::INTEGER, rest).ok_or(KeyFault::Pem)?;
    let positive = |number: &'_ [u8]| number.strip_prefix(&[0]).unwrap_or(number).to_vec();
    valid(jwk::rsa_of(&positive(modulus), &positive(exponent), &KeyLimits::default())?, jwk::Kind::Rsa)
}

fn valid(material: Option<Material>, kind: jwk::Kind) -> Result<(Material, jwk::Kind), KeyFault> {
    Ok((material.ok_or(KeyFault::InvalidPublicKey)?, kind))
}

#[cfg(test)]
mod tests;
