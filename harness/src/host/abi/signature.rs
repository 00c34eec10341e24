//! Envoy's `verify_signature`: `EVP_DigestVerify` on a DER public key.
use super::protobuf;
use crate::host::status::Status;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::pkcs8::DecodePublicKey as _;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::sha2::{Digest, Sha256, Sha384, Sha512};

/// Answers a serialised `VerifySignatureArguments` with a serialised `VerifySignatureResult`.
pub(super) fn verify(arguments: &[u8]) -> Result<Vec<u8>, Status> {
    let fields = protobuf::fields(arguments).ok_or(Status::BadArgument)?;
    let bytes = |number| fields.bytes(number).unwrap_or_default();
    let hash = std::str::from_utf8(bytes(1)).map_err(|_| Status::BadArgument)?;
    // A PEM key (field 5) is not served, and no key at all is refused as Envoy does.
    if bytes(2).is_empty() || !bytes(5).is_empty() {
        return Err(Status::BadArgument);
    }
    let mut result = Vec::new();
    match check(hash, bytes(2), bytes(3), bytes(4)) {
        Ok(()) => result.extend_from_slice(&[1 << 3, 1]),
        Err(error) => protobuf::put_bytes(&mut result, 2, error.as_bytes()),
    }
    Ok(result)
}

enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

fn check(hash: &str, key: &[u8], signature: &[u8], text: &[u8]) -> Result<(), String> {
    let unsupported = || format!("{hash} is not supported.");
    let failed = || "Failed to verify digital signature. Error code: 0".to_owned();
    let (hash, digest) = match hash.to_ascii_lowercase().as_str() {
        "sha256" => (Hash::Sha256, Sha256::digest(text).to_vec()),
        "sha384" => (Hash::Sha384, Sha384::digest(text).to_vec()),
        "sha512" => (Hash::Sha512, Sha512::digest(text).to_vec()),
        _ => return Err(unsupported()),
    };
    if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(key) {
        let signature = p256::ecdsa::DerSignature::try_from(signature).map_err(|_| failed())?;
        return key.verify_prehash(&digest, &signature).map_err(|_| failed());
    }
    if let Ok(key) = p384::ecdsa::VerifyingKey::from_public_key_der(key) {
        let signature = p384::ecdsa::DerSignature::try_from(signature).map_err(|_| failed())?;
        return key.verify_prehash(&digest, &signature).map_err(|_| failed());
    }
    let key = rsa::RsaPublicKey::from_public_key_der(key)
        .map_err(|_| "Failed to initialize digest verify.".to_owned())?;
    let padding = match hash {
        Hash::Sha256 => rsa::Pkcs1v15Sign::new::<Sha256>(),
        Hash::Sha384 => rsa::Pkcs1v15Sign::new::<Sha384>(),
        Hash::Sha512 => rsa::Pkcs1v15Sign::new::<Sha512>(),
    };
    key.verify(padding, &digest, signature).map_err(|_| failed())
}
