//! Proofs, good and bad, and the published ones.

use serde_json::{Value, json};

use super::*;
use crate::token::testing::{NOW, Signer, at, base64, with};

/// A token, whatever it is.
const TOKEN: &str = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
const LIMITS: ProofLimits = ProofLimits { proof_bytes: 8192, jti_bytes: 32 };

/// The public key as a proof carries it.
pub(crate) fn jwk(signer: &Signer) -> Value {
    with(signer.jwk(), &json!({ "kid": null, "use": null, "key_ops": null }))
}

/// A proof for a request and a token, with changes of its header and claims.
pub(crate) fn proof(signer: &Signer, line: (&str, &str), token: &str, changes: (&Value, &Value)) -> String {
    let header = json!({ "typ": "dpop+jwt", "alg": signer.algorithm, "jwk": jwk(signer) });
    let claims = json!({ "jti": "j-1", "htm": line.0, "htu": line.1, "iat": NOW,
        "ath": base64(Sha256::digest(token.as_bytes())) });
    signer.token_of(&with(header, changes.0).to_string(), &with(claims, changes.1).to_string())
}

fn occasion() -> Occasion<'static> {
    Occasion {
        method: "GET",
        scheme: "https",
        authority: "Resource.example.org:443",
        path: "/protectedresource",
        token: TOKEN,
    }
}

fn taken(text: &str, bound_to: &[u8; 32], now: u64) -> Result<Mark, ProofError> {
    let rules = Dpop::default();
    Proof::read(text, bound_to, &rules, LIMITS)?.verify(None, occasion(), &rules, LIMITS, at(now))
}

fn refused(text: &str, bound_to: &[u8; 32], now: u64) -> String {
    taken(text, bound_to, now).map_or_else(|error| error.reason().to_string(), |_| "taken".to_owned())
}

const URI: &str = "https://resource.example.org/protectedresource";

#[test]
fn every_asymmetric_algorithm_proves() {
    for algorithm in Dpop::default().algorithms {
        let signer = Signer::new(algorithm, "k1");
        let bound_to = thumbprint(&signer.jwk()).unwrap();
        let text = proof(&signer, ("GET", URI), TOKEN, (&json!({}), &json!({})));
        assert!(taken(&text, &bound_to, NOW).is_ok(), "{algorithm}");
        let read = Proof::read(&text, &bound_to, &Dpop::default(), LIMITS).unwrap();
        let asks_host = matches!(algorithm, Algorithm::Es256 | Algorithm::Es384 | Algorithm::Rs256);
        assert_eq!(read.signature_check().is_some(), asks_host);
        assert!(!format!("{read:?}").contains("ath"));
        let denied = read.verify(Some(false), occasion(), &Dpop::default(), LIMITS, at(NOW));
        assert_eq!(denied.unwrap_err().reason().as_str(), "proof_signature_invalid");
    }
}

#[test]
fn every_rule_has_its_violation() {
    let signer = Signer::new(Algorithm::Es256, "k1");
    let other = Signer::new(Algorithm::Es256, "k1");
    let bound_to = thumbprint(&signer.jwk()).unwrap();
    let made = |header: Value, claims: Value| proof(&signer, ("GET", URI), TOKEN, (&header, &claims));
    let header = |header: Value| made(header, json!({}));
    let claims = |claims: Value| made(json!({}), claims);
    let key = |changes: Value| header(json!({ "jwk": with(jwk(&signer), &changes) }));
    let good = claims(json!({}));
    let rsa = |bits: usize| {
        let modulus = [&[0x80][..], &vec![0xff; bits / 8 - 1]].concat();
        header(json!({ "alg": "RS256", "jwk": { "kty": "RSA", "e": "AQAB", "n": base64(modulus) } }))
    };
    let unsigned = good.rsplit_once('.').unwrap().0;
    for (text, expected) in [
        (good.clone(), "taken"),
        (format!("{good}, {good}"), "proof_ambiguous"),
        (format!("{good},"), "proof_ambiguous"),
        (String::new(), "proof_malformed"),
        ("garbage".into(), "proof_malformed"),
        (format!("{good} "), "proof_malformed"),
        (format!("{unsigned}."), "proof_malformed"),
        (claims(json!({ "pad": "x".repeat(8192) })), "proof_malformed"),
        (signer.token_of("{}", "{}"), "proof_malformed"),
        (signer.token_of(r#"{"typ":"dpop+jwt","typ":"dpop+jwt","alg":"ES256"}"#, "{}"), "proof_malformed"),
        (header(json!({ "alg": "none" })), "proof_malformed"),
        (header(json!({ "crit": ["x"] })), "proof_malformed"),
        (header(json!({ "x5c": ["x"] })), "proof_malformed"),
        (header(json!({ "jku": "https://evil.example" })), "proof_malformed"),
        (header(json!({ "typ": "at+jwt" })), "proof_type_not_accepted"),
        (header(json!({ "typ": "DPoP+JWT" })), "proof_type_not_accepted"),
        (header(json!({ "typ": "application/dpop+jwt" })), "proof_type_not_accepted"),
        (header(json!({ "typ": null })), "proof_type_not_accepted"),
        (header(json!({ "typ": 1 })), "proof_malformed"),
        (header(json!({ "alg": "HS256" })), "proof_algorithm_not_accepted"),
        (header(json!({ "alg": "ES512" })), "proof_algorithm_not_accepted"),
        (header(json!({ "jwk": null })), "proof_key_refused"),
        (header(json!({ "jwk": "key" })), "proof_key_refused"),
        (header(json!({ "jwk": { "kty": "oct", "k": "AAAA" } })), "proof_key_refused"),
        (key(json!({ "d": base64([1; 32]) })), "proof_key_refused"),
        (key(json!({ "x": base64([1; 32]) })), "proof_key_refused"),
        (key(json!({ "y": null })), "proof_key_refused"),
        (key(json!({ "use": "enc" })), "proof_key_refused"),
        (key(json!({ "alg": "RS256" })), "proof_key_refused"),
        (header(json!({ "alg": "EdDSA" })), "proof_key_refused"),
        (rsa(1024), "proof_key_refused"),
        (rsa(8192), "proof_key_refused"),
        (header(json!({ "jwk": jwk(&other) })), "proof_key_mismatch"),
        (proof(&other, ("GET", URI), TOKEN, (&json!({}), &json!({}))), "proof_key_mismatch"),
        (
            proof(&other, ("GET", URI), TOKEN, (&json!({ "jwk": jwk(&signer) }), &json!({}))),
            "proof_signature_invalid",
        ),
        (claims(json!({ "htm": "POST" })), "proof_method_mismatch"),
        (claims(json!({ "htm": "get" })), "proof_method_mismatch"),
        (claims(json!({ "htm": null })), "proof_claim_malformed"),
        (claims(json!({ "htu": format!("{URI}?a=1#b") })), "taken"),
        (claims(json!({ "htu": "HTTPS://RESOURCE.example.org:443/%70rotectedresource" })), "taken"),
        (claims(json!({ "htu": "http://resource.example.org/protectedresource" })), "proof_uri_mismatch"),
        (
            claims(json!({ "htu": "https://resource.example.org:8443/protectedresource" })),
            "proof_uri_mismatch",
        ),
        (claims(json!({ "htu": "https://other.example.org/protectedresource" })), "proof_uri_mismatch"),
        (claims(json!({ "htu": "https://resource.example.org/Protectedresource" })), "proof_uri_mismatch"),
        (claims(json!({ "htu": format!("{URI}/") })), "proof_uri_mismatch"),
        (claims(json!({ "htu": "/protectedresource" })), "proof_uri_mismatch"),
        (claims(json!({ "htu": [URI] })), "proof_claim_malformed"),
        (claims(json!({ "ath": null })), "proof_claim_malformed"),
        (claims(json!({ "ath": base64(Sha256::digest(b"another")) })), "proof_token_mismatch"),
        (claims(json!({ "jti": null })), "proof_claim_malformed"),
        (claims(json!({ "jti": "" })), "proof_claim_malformed"),
        (claims(json!({ "jti": 1 })), "proof_claim_malformed"),
        (claims(json!({ "jti": "x".repeat(32) })), "taken"),
        (claims(json!({ "jti": "x".repeat(33) })), "proof_claim_malformed"),
        (claims(json!({ "nonce": "of another server" })), "taken"),
        (claims(json!({ "nonce": 1 })), "proof_claim_malformed"),
        (claims(json!({ "iat": null })), "proof_claim_malformed"),
        (claims(json!({ "iat": NOW.to_string() })), "proof_claim_malformed"),
        (claims(json!({ "iat": -1 })), "proof_claim_malformed"),
        (claims(json!({ "iat": NOW - 90 })), "taken"),
        (claims(json!({ "iat": NOW - 91 })), "proof_expired"),
        (claims(json!({ "iat": NOW + 30 })), "taken"),
        (claims(json!({ "iat": NOW + 31 })), "proof_issued_in_future"),
    ] {
        assert_eq!(refused(&text, &bound_to, NOW), expected, "{text}");
    }
}

#[test]
fn algorithms_and_age_are_configurable() {
    let signer = Signer::new(Algorithm::Es256, "k1");
    let bound_to = thumbprint(&signer.jwk()).unwrap();
    let text = proof(&signer, ("GET", URI), TOKEN, (&json!({}), &json!({})));
    let rules = Dpop { algorithms: vec![Algorithm::EdDsa], ..Dpop::default() };
    let error = Proof::read(&text, &bound_to, &rules, LIMITS).unwrap_err();
    assert_eq!(error.reason().as_str(), "proof_algorithm_not_accepted");
    let rules = Dpop { max_age_seconds: 5, clock_skew_seconds: 1, ..Dpop::default() };
    for (seconds, good) in [(6, true), (7, false)] {
        let proof = Proof::read(&text, &bound_to, &rules, LIMITS).unwrap();
        let mark = proof.verify(None, occasion(), &rules, LIMITS, at(NOW + seconds));
        assert_eq!(mark.is_ok(), good, "{seconds}");
    }
    let limits = ProofLimits { proof_bytes: text.len() - 1, ..LIMITS };
    assert!(Proof::read(&text, &bound_to, &rules, limits).is_err());
}

#[test]
fn a_mark_lives_as_long_as_its_proof_would_be_taken() {
    let signer = Signer::new(Algorithm::EdDsa, "k1");
    let bound_to = thumbprint(&signer.jwk()).unwrap();
    let text = proof(&signer, ("GET", URI), TOKEN, (&json!({}), &json!({})));
    let mark = taken(&text, &bound_to, NOW).unwrap();
    let slot = spend(None, &mark, 8, UnixSeconds(NOW)).unwrap();
    for seconds in 0..=90 {
        assert!(taken(&text, &bound_to, NOW + seconds).is_ok());
        let again = spend(Some(&slot), &mark, 8, UnixSeconds(NOW + seconds));
        assert_eq!(again, Err(SpendError::Replayed), "{seconds}");
    }
    assert!(taken(&text, &bound_to, NOW + 91).is_err());
    let changed = |jti| proof(&signer, ("GET", URI), TOKEN, (&json!({}), &json!({ "jti": jti })));
    let other = taken(&changed("j-2"), &bound_to, NOW).unwrap();
    assert!(spend(Some(&slot), &other, 8, UnixSeconds(NOW)).is_ok(), "another jti");
    let stranger = Signer::new(Algorithm::EdDsa, "k1");
    let text = proof(&stranger, ("GET", URI), TOKEN, (&json!({}), &json!({})));
    let other = taken(&text, &thumbprint(&stranger.jwk()).unwrap(), NOW).unwrap();
    assert!(spend(Some(&slot), &other, 8, UnixSeconds(NOW)).is_ok(), "the same jti of another key");
}

/// RFC 9449 section 7.1, and section 4.1, whose proof is for a token endpoint and has no `ath`.
#[test]
fn published_proofs() {
    const HEADER: &str = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUk\
        lDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI\
        6IlAtMjU2In19";
    let bound_to: [u8; 32] =
        URL_SAFE_NO_PAD.decode("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I").unwrap().try_into().unwrap();
    let resource = format!(
        "{HEADER}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90\
        ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.\
        2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
    );
    let token_endpoint = format!(
        "{HEADER}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2Vu\
        IiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
    );
    assert_eq!(refused(&resource, &bound_to, 1_562_262_618), "taken");
    assert_eq!(refused(&resource, &bound_to, NOW), "proof_expired");
    assert_eq!(refused(&token_endpoint, &bound_to, 1_562_262_616), "proof_method_mismatch");
}
