//! Signs a bundle as `opa sign` does.

use remit_core::bundle::{BundleError, Hash, file_digest};
use serde_json::{Map, Value, json};

use super::SIGNATURES;
use crate::pack::Files;
use crate::signing::SigningKey;

/// The content of `.signatures.json` for these files, named by the key's `kid`; `claims` come beside `files`.
///
/// # Errors
///
/// A data file or a manifest that does not parse.
pub fn sign(files: &Files, key: &SigningKey, claims: &Map<String, Value>) -> Result<String, BundleError> {
    let mut listed = Vec::new();
    for (path, content) in files.iter().filter(|(path, _)| *path != SIGNATURES) {
        let hash = file_digest(path, content, Hash::Sha256)?;
        listed.push(json!({"name": path, "hash": hash, "algorithm": "SHA-256"}));
    }
    let mut claims = claims.clone();
    claims.insert("files".to_owned(), Value::Array(listed));
    // The place where older OPAs look for the name of the key.
    claims.entry("keyid").or_insert_with(|| json!(key.kid()));
    let header = json!({"alg": key.algorithm(), "kid": key.kid(), "typ": "JWT"});
    let token = key.sign_with_header(&header, &Value::Object(claims));
    Ok(format!("{:#}\n", json!({ "signatures": [token] })))
}

/// The files with their signature.
///
/// # Errors
///
/// As of [`sign`].
pub fn signed(mut files: Files, key: &SigningKey, claims: &Map<String, Value>) -> Result<Files, BundleError> {
    let signatures = sign(&files, key, claims)?;
    files.put(SIGNATURES, signatures.into_bytes());
    Ok(files)
}
