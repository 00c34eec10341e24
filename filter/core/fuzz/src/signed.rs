//! Keys that never change, and what is signed with them.

use std::sync::{Arc, OnceLock};

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use remit_core::ids::Now;
use remit_core::keys::{Algorithm, KeyLimits, KeySet};
use remit_core::token::IssuerRules;
use serde_json::{Value, json};

use crate::text::{decoded, encoded};

pub const ISSUER: &str = "https://idp.example";
pub const AUDIENCE: &str = "https://tools.example";
/// The present, in seconds.
pub const NOW: u64 = 1_773_842_531;

/// The present as the core is told it.
pub fn now() -> Now {
    Now(NOW * 1_000_000_000)
}

fn p256() -> &'static p256::ecdsa::SigningKey {
    static KEY: OnceLock<p256::ecdsa::SigningKey> = OnceLock::new();
    KEY.get_or_init(|| p256::ecdsa::SigningKey::from_slice(&[7; 32]).expect("a scalar"))
}

/// One of the Ed25519 keys.
pub fn ed25519(number: u8) -> ed25519_compact::KeyPair {
    ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([number + 1; 32]))
}

/// The public half of [`ed25519`].
pub fn ed25519_jwk(number: u8) -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(ed25519(number).pk.as_slice())})
}

/// The public half of the P-256 key.
pub fn p256_jwk() -> Value {
    let point = p256().verifying_key().to_sec1_point(false);
    let point = point.as_bytes();
    json!({"kty": "EC", "crv": "P-256", "x": encoded(&point[1..33]), "y": encoded(&point[33..])})
}

/// An ES256 and an EdDSA key, `k1` and `k2`.
pub fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| {
        let (mut one, mut other) = (p256_jwk(), ed25519_jwk(0));
        (one["kid"], other["kid"]) = (json!("k1"), json!("k2"));
        let set = json!({"keys": [one, other]}).to_string();
        KeySet::parse(set.as_bytes(), &Algorithm::ALL, &KeyLimits::default()).expect("a key set")
    })
}

/// Rules for tokens of those keys.
pub fn rules() -> IssuerRules {
    IssuerRules::new(ISSUER, &[Algorithm::Es256, Algorithm::EdDsa], AUDIENCE)
}

/// The same, shared.
pub fn shared_rules() -> &'static Arc<IssuerRules> {
    static RULES: OnceLock<Arc<IssuerRules>> = OnceLock::new();
    RULES.get_or_init(|| Arc::new(rules()))
}

/// Header and payload, signed with an Ed25519 key.
pub fn by_ed25519(number: u8, header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", encoded(header), encoded(payload));
    let signature = ed25519(number).sk.sign(&signed, None);
    format!("{signed}.{}", encoded(signature.as_slice()))
}

/// Header and payload, signed with the P-256 key.
pub fn by_p256(header: &[u8], payload: &[u8]) -> String {
    let signed = format!("{}.{}", encoded(header), encoded(payload));
    let signature: p256::ecdsa::Signature = p256().sign(signed.as_bytes());
    format!("{signed}.{}", encoded(&signature.to_bytes()))
}

/// Whether one of the keys of [`keys`] made this signature.
pub fn is_ours(signed: &str, signature: &str, algorithm: &str) -> bool {
    let Some(signature) = decoded(signature) else { return false };
    match algorithm {
        "ES256" => p256::ecdsa::Signature::from_slice(&signature)
            .is_ok_and(|signature| p256().verifying_key().verify(signed.as_bytes(), &signature).is_ok()),
        "EdDSA" => ed25519_compact::Signature::from_slice(&signature)
            .is_ok_and(|signature| ed25519(0).pk.verify(signed, &signature).is_ok()),
        _ => false,
    }
}

/// What every token of the seeds starts from.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW - 300, "nbf": NOW - 300,
        "jti": "j-1", "client_id": "console", "scope": "forum:read forum:write", "sub_profile": "user",
        "act": {"sub": "agent-7", "iss": ISSUER, "sub_profile": "ai_agent", "act": {"sub": "agent-6"}},
        "authorization_details": [{"type": "agent_task", "task_id": "t-1", "requested_by": "alice",
            "actions": ["forum.publish"], "locations": ["https://tools.example/t"],
            "identifiers": {"thread": ["t-1"]}, "max_calls": 5, "expires": NOW + 100,
            "prompt": {"alg": "sha-256", "salt": "AAAAAAAAAAA", "digest": encoded(&[1; 32])}}],
    })
}

/// `base` with other members put over its own; `null` takes one out.
pub fn with(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().into_iter().flatten() {
        if let Some(members) = base.as_object_mut() {
            match value {
                Value::Null => members.remove(name),
                value => members.insert(name.clone(), value.clone()),
            };
        }
    }
    base
}
