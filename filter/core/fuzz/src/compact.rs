//! The header `Authorization` and the token in it, up to its verification.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use remit_core::token::{Compact, TokenLimits, Unverified, credentials};
use serde_json::json;

use crate::signed::{by_ed25519, by_p256, claims, is_ours, keys, now, shared_rules, with};
use crate::text::{decoded, json};

const REFUSED: [&str; 8] = ["crit", "b64", "enc", "zip", "jku", "x5u", "jwk", "x5c"];

/// Signed at the start, and the only ones that can be.
fn tokens() -> Vec<String> {
    let es256 = br#"{"alg":"ES256","kid":"k1","typ":"at+jwt"}"#;
    let eddsa = br#"{"alg":"EdDSA","kid":"k2","typ":"application/at+jwt"}"#;
    let other = |changes| with(claims(), &changes).to_string();
    vec![
        by_p256(es256, claims().to_string().as_bytes()),
        by_ed25519(0, eddsa, claims().to_string().as_bytes()),
        by_p256(es256, other(json!({"act": null, "nbf": null})).as_bytes()),
        by_p256(es256, other(json!({"aud": [], "exp": 1})).as_bytes()),
        by_p256(es256, br#"{"iss":"https://idp.example","iss":"https://idp.example"}"#),
        by_p256(br#"{"alg":"ES256","kid":"k1","typ":"at+jwt","crit":["b64"],"b64":false}"#, b"{}"),
        by_p256(br#"{"alg":"none","typ":"at+jwt"}"#, claims().to_string().as_bytes()),
        by_p256(br#"{"alg":"HS256","kid":"k1","typ":"JWT"}"#, claims().to_string().as_bytes()),
    ]
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> =
        tokens().iter().map(|token| format!("Bearer {token}").into_bytes()).collect();
    seeds.extend([
        b"Bearer a.b.c, Bearer d.e.f".to_vec(),
        b"DPoP e30.e30.AA".to_vec(),
        b"Bearer e30=.e30.AB".to_vec(),
    ]);
    seeds
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let Ok(header) = std::str::from_utf8(data) else { return false };
    let Ok((_, token)) = credentials(header) else { return false };
    assert!(!token.contains([' ', ',', '\t', '\n']), "one token68");
    let limits = TokenLimits::default();
    let Ok(compact) = Compact::parse(token, &limits) else { return false };

    assert!(token.len() <= limits.max_bytes, "too long");
    let segments: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = segments[..] else { panic!("not three segments") };
    let read = |segment| decoded(segment).expect("canonical base64url");
    assert!(!read(signature).is_empty(), "no signature");
    let header = json(&read(header), limits.max_depth).expect("a strict header");
    let payload = json(&read(payload), limits.max_depth).expect("a strict payload");
    assert!(REFUSED.iter().all(|name| header.get(name).is_none()), "a refused parameter");
    let algorithm = header.get("alg").and_then(|alg| alg.text()).expect("alg");
    assert!(!algorithm.eq_ignore_ascii_case("none"), "none");
    let issuer = payload.get("iss").and_then(|iss| iss.text());
    assert_eq!(issuer, Some(compact.claimed_issuer()));

    let Ok(unverified) = Unverified::prepare(compact, shared_rules(), Some(keys())) else { return false };
    let typ = header.get("typ").and_then(|typ| typ.text()).expect("typ").to_ascii_lowercase();
    assert!(matches!(typ.as_str(), "at+jwt" | "application/at+jwt"), "{typ}");
    let verified = unverified.verify(now()).is_ok();
    if verified {
        let (signed, _) = token.rsplit_once('.').expect("segments");
        assert!(is_ours(signed, signature, algorithm), "nobody signed this");
        static SIGNED: OnceLock<BTreeSet<String>> = OnceLock::new();
        let ours = SIGNED.get_or_init(|| {
            tokens().iter().filter_map(|token| Some(token.rsplit_once('.')?.0.to_owned())).collect()
        });
        assert!(ours.contains(signed), "a mutated token");
    }
    verified
}
