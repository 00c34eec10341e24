//! DPoP proofs: a header as it comes, or (first byte odd) a line of header and one of claims, signed with the right key.

use remit_core::config::Dpop;
use remit_core::dpop::{Occasion, Proof, ProofLimits};
use serde_json::{Value, json};

use crate::signed::{NOW, by_p256, now, p256_jwk, with};
use crate::text::{Node, decoded, encoded, json as read};

const LIMITS: ProofLimits = ProofLimits { proof_bytes: 8192, jti_bytes: 128 };
const TOKEN: &str = "e30.e30.AA";

fn header() -> Value {
    json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": p256_jwk()})
}

fn claims() -> Value {
    json!({"jti": "j-1", "htm": "GET", "htu": "https://tools.example/a/b", "iat": NOW,
        "ath": encoded(&hmac_sha256::Hash::hash(TOKEN.as_bytes()))})
}

fn bound_to() -> [u8; 32] {
    let jwk = p256_jwk();
    let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
    hmac_sha256::Hash::hash(canonical.as_bytes())
}

pub fn seeds() -> Vec<Vec<u8>> {
    let lines = |header: Value, claims: Value| format!("\x01{header}\n{claims}").into_bytes();
    let good = by_p256(header().to_string().as_bytes(), claims().to_string().as_bytes());
    vec![
        format!("\0{good}").into_bytes(),
        format!("\0{good},{good}").into_bytes(),
        lines(header(), claims()),
        lines(header(), with(claims(), &json!({"htu": "HTTPS://Tools.Example:443/a/%62?q#f", "nonce": "n"}))),
        lines(header(), with(claims(), &json!({"iat": NOW as f64 - 89.5}))),
        lines(with(header(), &json!({"typ": "at+jwt"})), claims()),
        lines(with(header(), &json!({"alg": "none"})), claims()),
    ]
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let Some((kind, data)) = data.split_first() else { return false };
    let Ok(data) = std::str::from_utf8(data) else { return false };
    let text = if kind % 2 == 1 {
        let Some((header, claims)) = data.split_once('\n') else { return false };
        by_p256(header.as_bytes(), claims.as_bytes())
    } else {
        data.to_owned()
    };
    let rules = Dpop::default();
    let Ok(proof) = Proof::read(&text, &bound_to(), &rules, LIMITS) else { return false };
    let segments: Vec<_> = text.split('.').collect();
    let [head, payload, _] = segments[..] else { panic!("not three segments") };
    let object = |segment| read(&decoded(segment).expect("canonical base64url"), 16).expect("strict JSON");
    let (head, payload) = (object(head), object(payload));
    assert!(text.len() <= LIMITS.proof_bytes, "too long");
    assert_eq!(head.get("typ").and_then(Node::text), Some("dpop+jwt"));
    assert_eq!(head.get("alg").and_then(Node::text), Some("ES256"));
    for name in ["crit", "b64", "enc", "zip", "jku", "x5u", "x5c"] {
        assert!(head.get(name).is_none(), "{name}");
    }
    let jwk = head.get("jwk").expect("jwk");
    let own = p256_jwk();
    assert!(
        ["kty", "crv", "x", "y"].iter().all(|name| jwk.get(name).and_then(Node::text) == own[*name].as_str())
    );
    assert!(jwk.get("d").is_none(), "private material");

    let occasion =
        Occasion { method: "GET", scheme: "https", authority: "tools.example", path: "/a/b", token: TOKEN };
    if proof.verify(None, occasion, &rules, LIMITS, now()).is_err() {
        return false;
    }
    let member = |name| payload.get(name).and_then(Node::text);
    assert!(kind % 2 == 1 || member("jti") == Some("j-1"), "a mutated proof");
    assert_eq!(member("htm"), Some("GET"));
    assert_eq!(member("ath"), claims()["ath"].as_str());
    assert!(member("jti").is_some_and(|jti| !jti.is_empty() && jti.len() <= LIMITS.jti_bytes), "jti");
    let iat = payload.get("iat").and_then(Node::date).expect("iat").floor();
    assert!(iat <= NOW as f64 + 30.0 && NOW as f64 <= iat + 90.0, "not now");
    // However it is written: this scheme, this host, and a path of two parts.
    let uri = member("htu").expect("htu").to_ascii_lowercase();
    let uri = uri.split(['?', '#']).next().unwrap_or_default().to_owned();
    let rest = uri.strip_prefix("https://").expect("https").to_owned();
    let (authority, path) = rest.split_once('/').expect("a path");
    assert!(matches!(authority, "tools.example" | "tools.example:443" | "tools.example:"), "{authority}");
    let path = path.replace("%61", "a").replace("%62", "b");
    assert_eq!(path, "a/b");
    true
}
