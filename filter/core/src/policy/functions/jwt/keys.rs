//! The keys that a policy names: one certificate or public key in PEM, a JWK, or a JWK Set.

use serde_json::Value as Json;

use super::{Stop, failed};
use crate::keys::{Algorithm, Key, KeyFault, KeyLimits};

/// One key of those that a policy names.
pub(super) struct Named {
    /// As in its JWK; empty where there is none.
    pub(super) alg: String,
    /// As in its JWK; empty where there is none.
    pub(super) kid: String,
    /// `None` for a key that never has this algorithm.
    pub(super) key: Option<Result<Key, Unserved>>,
}

/// Why a key is not taken which could have been the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unserved(KeyFault);

impl Unserved {
    /// Ends the evaluation.
    pub(super) fn stop(self) -> Stop {
        failed(format!("a key that is not served: {}", self.0))
    }
}

/// The keys of a text, for one algorithm. `None` for what OPA takes for no keys.
pub(super) fn read(text: &str, algorithm: Algorithm) -> Result<Option<Vec<Named>>, Stop> {
    let limits = KeyLimits::default();
    if text.len() > limits.max_bytes {
        return Err(failed(format!("keys of more than {} bytes", limits.max_bytes)));
    }
    if text.trim_start().starts_with("-----BEGIN ") {
        let named = pem(text, algorithm);
        return Ok(named.map(|key| vec![Named { alg: String::new(), kid: String::new(), key }]));
    }
    let Ok(document) = crate::json::parse(text.as_bytes(), 16) else { return Ok(None) };
    let listed = match document.get("keys") {
        Some(Json::Array(listed)) => listed.iter().collect(),
        Some(_) => return Ok(None),
        None => vec![&document],
    };
    if listed.len() > limits.max_keys {
        return Err(failed(format!("more than {} keys", limits.max_keys)));
    }
    let mut keys = Vec::new();
    for jwk in listed {
        let Some(named) = jwk_of(jwk, algorithm) else { return Ok(None) };
        // OPA passes over a key for what it does not know, such as encryption.
        if named.alg.is_empty() || is_known(&named.alg) {
            keys.push(named);
        }
    }
    Ok(Some(keys))
}

fn is_known(alg: &str) -> bool {
    Algorithm::parse(alg).is_some() || matches!(alg, "ES512" | "HS384" | "HS512")
}

fn pem(text: &str, algorithm: Algorithm) -> Option<Option<Result<Key, Unserved>>> {
    // OPA takes neither the other kinds of block nor anything after the block's line.
    let taken = ["-----BEGIN CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----"];
    let (_, end) = text.rsplit_once("-----")?;
    let is_last = end.split_once('\n').is_none_or(|(_, after)| after.is_empty());
    if !is_last || !taken.iter().any(|label| text.trim_start().starts_with(label)) {
        return None;
    }
    match Key::from_text(text, algorithm) {
        Ok(key) => Some(Some(Ok(key))),
        Err(KeyFault::OtherAlgorithm { .. }) => Some(None),
        Err(KeyFault::Pem) => None,
        Err(fault) => Some(Some(Err(Unserved(fault)))),
    }
}

fn jwk_of(jwk: &Json, algorithm: Algorithm) -> Option<Named> {
    let mut members = jwk.as_object()?.clone();
    let mut taken = |name: &str| match members.remove(name) {
        None => Some(String::new()),
        Some(Json::String(text)) => Some(text),
        Some(_) => None,
    };
    let (alg, kid) = (taken("alg")?, taken("kid")?);
    // OPA does not look at them.
    let _ = (members.remove("use"), members.remove("key_ops"));
    let fits = match members.get("kty")?.as_str()? {
        "RSA" => algorithm.name().starts_with(['R', 'P']),
        "EC" => algorithm.name().starts_with("ES"),
        "OKP" => algorithm == Algorithm::EdDsa,
        "oct" => false,
        _ => return None,
    };
    let key = match Key::from_jwk(&Json::Object(members), &Algorithm::ALL) {
        Ok(Some(key)) => key.serves(algorithm).then_some(Ok(key)),
        // Another curve.
        Ok(None) => None,
        Err(KeyFault::NotAnObject | KeyFault::MemberMissing { .. } | KeyFault::Inconsistent { .. }) => {
            return None;
        }
        Err(fault) => fits.then_some(Err(Unserved(fault))),
    };
    Some(Named { alg, kid, key })
}
