//! Key sets: what is taken can be taken alone as well, holds no secret, and verifies nothing at random.

use remit_core::keys::{Algorithm, Key, KeyLimits, KeySet, thumbprint};
use serde_json::{Value, json};

use crate::signed::{ed25519_jwk, p256_jwk};
use crate::text;

const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

pub fn seeds() -> Vec<Vec<u8>> {
    let modulus = text::encoded(&[[0xc5; 128], [0xa7; 128]].concat());
    let rsa = json!({"kty": "RSA", "kid": "r", "n": modulus, "e": "AQAB", "alg": "PS256", "use": "sig"});
    let (mut one, mut other) = (p256_jwk(), ed25519_jwk(0));
    (one["kid"], other["kid"]) = (json!("k1"), json!("k2"));
    other["key_ops"] = json!(["verify"]);
    let p384 = json!({"kty": "EC", "crv": "P-384", "kid": "k3", "use": "sig",
        "x": "hqHuUdtMWaRNlGU8tMlpBVOvFAaZqoKrUsOcqPZ1JB7m0Ts7_yAaVPVIBVBjg8zk",
        "y": "J2_KtYnkrDLSoQ0pYl5cqdGlhXzU2aWJTVYvQ7ZmuzCWqwWrfrQn0jZh7RlN3w3d"});
    let sets = [
        json!({"keys": [one.clone()]}),
        json!({"keys": [one.clone(), other.clone(), rsa.clone()]}),
        json!({"keys": [one.clone(), one.clone()]}),
        json!({"keys": [p384, other]}),
        json!({"keys": [rsa, {"kty": "oct", "k": "AAAA"}, {"kty": "EC", "crv": "P-521"}]}),
        json!({"keys": []}),
    ];
    sets.iter().map(|set| set.to_string().into_bytes()).collect()
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let limits = KeyLimits::default();
    let Ok(set) = KeySet::parse(data, &Algorithm::ALL, &limits) else { return false };
    assert!(text::json(data, 16).is_some(), "not strict JSON");
    let document: Value = serde_json::from_slice(data).expect("JSON");
    let listed = document["keys"].as_array().expect("keys");
    let taken: Vec<&Key> = set.keys().collect();
    assert!(!taken.is_empty() && listed.len() <= limits.max_keys);
    assert_eq!(taken.len() + set.skipped(), listed.len());
    assert!(taken.len() == 1 || taken.iter().all(|key| key.kid().is_some()), "keys without names");
    for (number, key) in taken.iter().enumerate() {
        assert!(!key.serves(Algorithm::Hs256), "a shared secret");
        assert!(taken[..number].iter().all(|other| other.kid() != key.kid()), "one name twice");
        assert!(Algorithm::ALL.into_iter().all(|alg| !key.verify(alg, b"signed", &[1; 64])), "verifies");
        let found = listed.iter().filter(|jwk| jwk["kid"].as_str() == key.kid()).find_map(|jwk| {
            let alone = Key::from_jwk(jwk, &Algorithm::ALL).ok().flatten()?;
            Algorithm::ALL.into_iter().all(|alg| alone.serves(alg) == key.serves(alg)).then_some(jwk)
        });
        let jwk = found.expect("the key by itself");
        assert!(SECRET.iter().all(|member| jwk.get(member).is_none()), "private material");
        assert!(thumbprint(jwk).is_some(), "no thumbprint");
        let members: &[&str] = match jwk["kty"].as_str() {
            Some("EC") => &["x", "y"],
            Some("OKP") => &["x"],
            _ => &["n", "e"],
        };
        for member in members {
            let value = jwk.get(*member).and_then(Value::as_str);
            assert!(value.is_some_and(|value| text::decoded(value).is_some()), "{member} not canonical");
        }
    }
    true
}
