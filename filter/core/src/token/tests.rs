//! Tokens from text to claims: everything that is accepted or refused, with its reason.

mod published;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::testing::*;
use super::*;
use crate::ids::UnixSeconds;
use crate::keys::{Algorithm, KeyLimits, KeySet};

fn reason(result: Result<VerifiedToken, TokenError>) -> String {
    match result {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.reason().as_str().to_owned(),
    }
}

#[test]
fn one_bearer_token_is_taken_out_of_the_header() {
    for (value, expected) in [
        ("Bearer abc", Ok("abc")),
        ("bEARER a.b-c_d~e+f/g==", Ok("a.b-c_d~e+f/g==")),
        ("", Err("token_scheme_not_accepted")),
        ("Basic abc", Err("token_scheme_not_accepted")),
        ("dPoP abc", Ok("abc")),
        ("DPoP  abc", Err("token_malformed")),
        ("DPoP abc, DPoP abc", Err("token_ambiguous")),
        ("DPoPabc", Err("token_scheme_not_accepted")),
        ("abc", Err("token_scheme_not_accepted")),
        ("Bearer", Err("token_malformed")),
        ("Bearer ", Err("token_malformed")),
        ("Bearer  abc", Err("token_malformed")),
        ("Bearer abc ", Err("token_malformed")),
        ("Bearer a b", Err("token_malformed")),
        ("Bearer\tabc", Err("token_scheme_not_accepted")),
        (" Bearer abc", Err("token_scheme_not_accepted")),
        ("Bearer a\u{e4}", Err("token_malformed")),
        ("Bearer =", Err("token_malformed")),
        ("Bearer a=b", Err("token_malformed")),
        ("Bearer \"abc\"", Err("token_malformed")),
        ("Bearer abc, Bearer def", Err("token_ambiguous")),
        ("Bearer abc,", Err("token_ambiguous")),
    ] {
        let outcome = credentials(value).map(|(_, token)| token).map_err(|error| error.reason());
        assert_eq!(outcome.as_ref().copied().map_err(|reason| reason.as_str()), expected, "{value:?}");
    }
}

#[test]
fn every_algorithm_verifies_and_its_claims_are_read() {
    for algorithm in ALL {
        let signer = Signer::new(algorithm, "k1");
        let token = signer.verified(&with(claims(), &json!({ "nbf": NOW - 300, "acr": "mfa" })));
        assert_eq!(token.alg(), algorithm);
        assert_eq!((token.iss(), token.sub(), token.kid()), (ISSUER, "alice", Some("k1")));
        assert_eq!((token.exp(), token.iat()), (UnixSeconds(NOW + 300), UnixSeconds(NOW - 300)));
        assert_eq!(
            (token.jti(), token.client_id(), token.acr()),
            (Some("j-1"), Some("console"), Some("mfa"))
        );
        assert_eq!(token.aud(), [AUDIENCE]);
        assert_eq!(token.scope(), ["forum:read", "forum:write"]);
        assert_eq!(token.lifetime_seconds(), 600);
    }
}

#[test]
fn a_token_serialises_as_the_input_documents() {
    let token = Signer::new(Algorithm::Hs256, "k1").verified(&with(claims(), &json!({ "act": null })));
    assert_eq!(
        serde_json::to_value(&token).unwrap(),
        json!({
            "iss": ISSUER, "sub": "alice", "aud": [AUDIENCE], "exp": NOW + 300, "iat": NOW - 300, "jti": "j-1",
            "client_id": "console", "scope": ["forum:read", "forum:write"], "kid": "k1", "alg": "HS256",
            "lifetime_seconds": 600, "claims": with(claims(), &json!({ "act": null })),
        })
    );
}

#[test]
fn headers_decide_before_anything_is_verified() {
    let signer = Signer::new(Algorithm::EdDsa, "k1");
    for (changes, expected) in [
        (json!({}), "accepted"),
        (json!({ "typ": "AT+JWT" }), "accepted"),
        (json!({ "typ": "application/at+jwt" }), "accepted"),
        (json!({ "typ": "Application/At+Jwt" }), "accepted"),
        (json!({ "cty": 7, "x5t": [], "salt": "?", "unknown": { "a": 1 } }), "accepted"),
        (json!({ "typ": null }), "token_type_not_accepted"),
        (json!({ "typ": "" }), "token_type_not_accepted"),
        (json!({ "typ": "JWT" }), "token_type_not_accepted"),
        (json!({ "typ": "dpop+jwt" }), "token_type_not_accepted"),
        (json!({ "typ": "oauth-id-jag+jwt" }), "token_type_not_accepted"),
        (json!({ "typ": "application/x/at+jwt" }), "token_type_not_accepted"),
        (json!({ "typ": 7 }), "token_malformed"),
        (json!({ "alg": "none" }), "token_header_refused"),
        (json!({ "alg": "NonE" }), "token_header_refused"),
        (json!({ "alg": null }), "token_malformed"),
        (json!({ "alg": ["EdDSA"] }), "token_malformed"),
        (json!({ "alg": "ES256" }), "algorithm_not_accepted"),
        (json!({ "alg": "HS256" }), "algorithm_not_accepted"),
        (json!({ "alg": "eddsa" }), "algorithm_not_accepted"),
        (json!({ "alg": "ES512" }), "algorithm_not_accepted"),
        (json!({ "kid": "k2" }), "key_unknown"),
        (json!({ "kid": null }), "key_unknown"),
        (json!({ "kid": 1 }), "token_malformed"),
        (json!({ "crit": ["exp"] }), "token_header_refused"),
        (json!({ "b64": false }), "token_header_refused"),
        (json!({ "enc": "A256GCM" }), "token_header_refused"),
        (json!({ "zip": "DEF" }), "token_header_refused"),
        (json!({ "jku": "https://evil.example" }), "token_header_refused"),
        (json!({ "x5u": "https://evil.example" }), "token_header_refused"),
        (json!({ "jwk": {} }), "token_header_refused"),
        (json!({ "x5c": [] }), "token_header_refused"),
    ] {
        let header = with(signer.header(), &changes).to_string();
        let token = signer.token_of(&header, &claims().to_string());
        assert_eq!(reason(verify(&token, &signer.rules(), &signer.key_set())), expected, "{changes}");
    }
}

#[test]
fn an_issuer_may_use_other_types() {
    let signer = Signer::new(Algorithm::EdDsa, "k1");
    let types = vec!["at+jwt".to_owned(), "application/JWT".to_owned()];
    let rules = Arc::new(IssuerRules { types, ..(*signer.rules()).clone() });
    for (typ, expected) in
        [("JWT", "accepted"), ("jwt", "accepted"), ("at+jwt", "accepted"), ("x", "token_type_not_accepted")]
    {
        let header = with(signer.header(), &json!({ "typ": typ })).to_string();
        let token = signer.token_of(&header, &claims().to_string());
        assert_eq!(reason(verify(&token, &rules, &signer.key_set())), expected, "{typ}");
    }
}

#[test]
fn encodings_that_readers_could_take_differently_are_refused() {
    let signer = Signer::new(Algorithm::EdDsa, "k1");
    let (rules, keys) = (signer.rules(), signer.key_set());
    let good = signer.token(&claims());
    let header = signer.header().to_string();
    let payload = claims().to_string();
    let (signed, signature) = good.rsplit_once('.').unwrap();
    // 64 octets leave four bits in the last character, so its neighbour decodes to the same octets elsewhere.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(signature.chars().last().unwrap()).unwrap();
    let loose = format!("{}{}", &signature[..signature.len() - 1], &alphabet[last + 1..last + 2]);
    let deep = format!(r#"{{"iss":"{ISSUER}","x":{}1{}}}"#, "[".repeat(16), "]".repeat(16));
    for (token, expected) in [
        (good.clone(), "accepted"),
        (format!("{signed}.{loose}"), "token_malformed"),
        (format!("{good}="), "token_malformed"),
        (format!("{good}\n"), "token_malformed"),
        (format!(" {good}"), "token_malformed"),
        (good.replace('.', ".."), "token_malformed"),
        (format!("{good}.AA"), "token_malformed"),
        (format!("{signed}."), "token_malformed"),
        (signed.to_owned(), "token_malformed"),
        (format!(".{signed}"), "token_malformed"),
        ("..".to_owned(), "token_malformed"),
        ("a".to_owned(), "token_malformed"),
        (String::new(), "token_malformed"),
        (signer.token_of(&format!("{header} "), &format!(" {payload}\n")), "accepted"),
        (signer.token_of("[]", &payload), "token_malformed"),
        (signer.token_of(&header, "[]"), "token_malformed"),
        (signer.token_of(&header, "x"), "token_malformed"),
        (signer.token_of(&header.replace('}', ",\"alg\":\"EdDSA\"}"), &payload), "token_malformed"),
        (signer.token_of(&header, &payload.replacen('{', "{\"sub\":\"bob\",", 1)), "token_malformed"),
        (
            signer.token_of(&header, &payload.replacen("\"sub\"", "\"sub\":\"bob\",\"s\\u0075b\"", 1)),
            "token_malformed",
        ),
        (
            signer.token_of(&header, &payload.replacen("agent-7\"", "agent-7\",\"sub\":\"x\"", 1)),
            "token_malformed",
        ),
        (signer.token_of(&header, &deep), "token_malformed"),
        (
            signer.token_of(&header, &with(claims(), &json!({ "pad": "x".repeat(8192) })).to_string()),
            "token_too_large",
        ),
    ] {
        assert_eq!(reason(verify(&token, &rules, &keys)), expected, "{token}");
    }
}

#[test]
fn limits_are_configurable() {
    let signer = Signer::new(Algorithm::EdDsa, "k1");
    let token = signer.token(&claims());
    for (limits, expected) in [
        (TokenLimits { max_bytes: token.len(), max_depth: 2 }, None),
        (TokenLimits { max_bytes: token.len() - 1, max_depth: 2 }, Some("token_too_large")),
        (TokenLimits { max_bytes: token.len(), max_depth: 1 }, Some("token_malformed")),
    ] {
        let error = Compact::parse(&token, &limits).err().map(|error| error.reason());
        assert_eq!(error.as_ref().map(|reason| reason.as_str()), expected, "{limits:?}");
    }
}

#[test]
fn claims_are_read_strictly() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    for (changes, expected) in [
        (json!({ "aud": [AUDIENCE] }), "accepted"),
        (json!({ "aud": null }), "claim_missing"),
        (json!({ "aud": [] }), "claim_malformed"),
        (json!({ "aud": 7 }), "claim_malformed"),
        (json!({ "aud": [AUDIENCE, 7] }), "claim_malformed"),
        (json!({ "aud": "https://tools.example/" }), "audience_mismatch"),
        (json!({ "aud": "https://TOOLS.example" }), "audience_mismatch"),
        (json!({ "aud": [AUDIENCE, "https://other.example"] }), "audience_mismatch"),
        (json!({ "aud": [AUDIENCE, AUDIENCE] }), "audience_mismatch"),
        (json!({ "iss": null }), "claim_missing"),
        (json!({ "iss": 7 }), "claim_malformed"),
        (json!({ "iss": "https://idp.example/" }), "issuer_unknown"),
        (json!({ "sub": null }), "claim_missing"),
        (json!({ "sub": "" }), "claim_malformed"),
        (json!({ "sub": 7 }), "claim_malformed"),
        (json!({ "jti": null, "client_id": null, "scope": null }), "accepted"),
        (json!({ "jti": 7 }), "claim_malformed"),
        (json!({ "client_id": {} }), "claim_malformed"),
        (json!({ "scope": "" }), "accepted"),
        (json!({ "scope": ["a"] }), "claim_malformed"),
        (json!({ "scope": "a  b" }), "claim_malformed"),
        (json!({ "scope": "a\"b" }), "claim_malformed"),
        (json!({ "scope": "a\tb" }), "claim_malformed"),
        (json!({ "acr": 1 }), "claim_malformed"),
        (json!({ "auth_time": "1" }), "claim_malformed"),
        (json!({ "nonce": 7 }), "accepted"),
        (json!({ "azp": [] }), "claim_malformed"),
        (json!({ "azp": "console", "appid": "console" }), "accepted"),
        (json!({ "azp": "other" }), "claim_malformed"),
        (json!({ "client_id": null, "azp": "a", "appid": "b" }), "claim_malformed"),
        (json!({ "txn": "t-1", "tctx": 7, "rctx": [], "req_wl": {} }), "accepted"),
        (json!({ "txn": 7 }), "claim_malformed"),
        (json!({ "txn": "" }), "claim_malformed"),
        (json!({ "exp": null }), "claim_missing"),
        (json!({ "iat": null }), "claim_missing"),
        (json!({ "exp": "1773842831" }), "claim_malformed"),
        (json!({ "iat": "1773842231" }), "claim_malformed"),
        (json!({ "nbf": [] }), "claim_malformed"),
        (json!({ "iat": -1 }), "claim_malformed"),
        (json!({ "exp": 9_007_199_254_740_993_u64 }), "claim_malformed"),
        (json!({ "exp": 1e300 }), "claim_malformed"),
        (json!({ "exp": NOW - 300 }), "claim_malformed"),
        (json!({ "exp": NOW - 301 }), "claim_malformed"),
        (json!({ "exp": NOW + 600 }), "accepted"),
        (json!({ "exp": NOW + 601 }), "token_lifetime_exceeded"),
        (json!({ "exp": 9_007_199_254_740_992_u64 }), "token_lifetime_exceeded"),
        // The skew of 30 seconds: the last second that holds, and the first that does not.
        (json!({ "exp": NOW - 29 }), "accepted"),
        (json!({ "exp": NOW - 30 }), "token_expired"),
        (json!({ "exp": NOW as f64 - 29.5 }), "token_expired"),
        (json!({ "nbf": NOW + 30 }), "accepted"),
        (json!({ "nbf": NOW + 31 }), "token_not_yet_valid"),
        (json!({ "nbf": NOW as f64 + 30.25 }), "token_not_yet_valid"),
        (json!({ "iat": NOW + 30 }), "accepted"),
        (json!({ "iat": NOW + 31 }), "token_issued_in_future"),
    ] {
        let token = signer.token(&with(claims(), &changes));
        assert_eq!(reason(verify(&token, &signer.rules(), &signer.key_set())), expected, "{changes}");
    }
}

#[test]
fn other_audiences_are_accepted_where_that_is_configured() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let rules = Arc::new(IssuerRules { multiple_audiences: true, ..(*signer.rules()).clone() });
    for (aud, expected) in [
        (json!(AUDIENCE), "accepted"),
        (json!([AUDIENCE, "https://other.example"]), "accepted"),
        (json!(["https://other.example"]), "audience_mismatch"),
        (json!("https://other.example"), "audience_mismatch"),
        (json!([AUDIENCE, 7]), "claim_malformed"),
        (json!([]), "claim_malformed"),
    ] {
        let token = signer.token(&with(claims(), &json!({ "aud": aud })));
        assert_eq!(reason(verify(&token, &rules, &signer.key_set())), expected, "{aud}");
    }
}

#[test]
fn the_client_has_several_names_and_scopes_two() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let entra = Arc::new(IssuerRules { profile: Profile::Entra, ..(*signer.rules()).clone() });
    for (changes, rules, client, scope) in [
        (json!({}), signer.rules(), "console", vec!["forum:read", "forum:write"]),
        (json!({ "client_id": null, "azp": "a" }), signer.rules(), "a", vec!["forum:read", "forum:write"]),
        (json!({ "client_id": null, "appid": "b", "scp": "/" }), Arc::clone(&entra), "b", vec![]),
        (json!({ "scp": "Mail.Read" }), Arc::clone(&entra), "console", vec!["Mail.Read"]),
        (json!({ "scp": "Mail.Read" }), signer.rules(), "console", vec!["forum:read", "forum:write"]),
    ] {
        let token = signer.token(&with(claims(), &changes));
        let token = verify(&token, &rules, &signer.key_set()).unwrap();
        assert_eq!(token.client_id(), Some(client), "{changes}");
        assert_eq!(token.scope(), scope, "{changes}");
    }
    let arrays = signer.token(&with(claims(), &json!({ "scp": ["Mail.Read"] })));
    assert_eq!(reason(verify(&arrays, &entra, &signer.key_set())), "claim_malformed");
}

#[test]
fn numbers_that_json_cannot_hold_are_refused() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    for number in ["1e400", "-1e400", "NaN", "Infinity", "0x10", "01"] {
        let payload = claims().to_string().replace(&(NOW + 300).to_string(), number);
        let token = signer.token_of(&signer.header().to_string(), &payload);
        assert_eq!(reason(verify(&token, &signer.rules(), &signer.key_set())), "token_malformed", "{number}");
    }
}

#[test]
fn skew_and_lifetime_are_configurable_within_bounds() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    for (skew, lifetime, changes, expected) in [
        (0, 900, json!({ "exp": NOW + 1 }), "accepted"),
        (0, 900, json!({ "exp": NOW }), "token_expired"),
        (0, 900, json!({ "iat": NOW + 1 }), "token_issued_in_future"),
        (10_000, 900, json!({ "exp": NOW - 299 }), "accepted"),
        (10_000, 900, json!({ "exp": NOW - 300, "iat": NOW - 600 }), "token_expired"),
        (30, 600, json!({}), "accepted"),
        (30, 599, json!({}), "token_lifetime_exceeded"),
        (u64::MAX, u64::MAX, json!({ "exp": 9_007_199_254_740_992_u64 }), "accepted"),
    ] {
        let rules = Arc::new(IssuerRules {
            clock_skew_seconds: skew,
            max_lifetime_seconds: lifetime,
            ..(*signer.rules()).clone()
        });
        let token = signer.token(&with(claims(), &changes));
        assert_eq!(
            reason(verify(&token, &rules, &signer.key_set())),
            expected,
            "{skew} {lifetime} {changes}"
        );
    }
}

#[test]
fn keys_are_not_confused() {
    let es256 = Signer::new(Algorithm::Es256, "k1");
    let other = Signer::new(Algorithm::Es256, "k1");
    let theirs = Signer::new(Algorithm::Es256, "k9");
    let rs256 = Signer::new(Algorithm::Rs256, "r1");
    let ps256 = Signer::new(Algorithm::Ps256, "r1");
    let ed25519 = Signer::new(Algorithm::EdDsa, "e1");

    // Anyone can take a public key for a secret: in DER, as a JWK, or its bare coordinates.
    let es256_keys = es256.key_set();
    let der = es256_keys.select(Some("k1")).unwrap().spki_der().unwrap().to_vec();
    let x = es256.jwk()["x"].as_str().unwrap().as_bytes().to_vec();
    let both = Arc::new(IssuerRules::new(ISSUER, &[Algorithm::Es256, Algorithm::Hs256], AUDIENCE));
    for secret in [der, es256.jwk().to_string().into_bytes(), x] {
        let pair = Pair::Secret(jwt_simple::algorithms::HS256Key::from_bytes(&secret));
        let forger = Signer { algorithm: Algorithm::Hs256, kid: "k1", pair };
        let token = forger.token(&claims());
        assert_eq!(reason(verify(&token, &es256.rules(), &es256_keys)), "algorithm_not_accepted");
        assert_eq!(reason(verify(&token, &both, &es256_keys)), "algorithm_not_accepted");
        let renamed = forger.token_of(&es256.header().to_string(), &claims().to_string());
        assert_eq!(reason(verify(&renamed, &es256.rules(), &es256_keys)), "signature_invalid");
    }

    let document = json!({ "keys": [es256.jwk(), rs256.jwk(), ed25519.jwk()] }).to_string();
    let keys = KeySet::parse(document.as_bytes(), &ALL, &KeyLimits::default()).unwrap();
    let rules = Arc::new(IssuerRules::new(ISSUER, &ALL, AUDIENCE));
    let renamed = |signer: &Signer, changes: Value| {
        signer.token_of(&with(signer.header(), &changes).to_string(), &claims().to_string())
    };
    for (token, expected) in [
        (es256.token(&claims()), "accepted"),
        (rs256.token(&claims()), "accepted"),
        (ps256.token(&claims()), "accepted"),
        (other.token(&claims()), "signature_invalid"),
        (theirs.token(&claims()), "key_unknown"),
        (renamed(&theirs, json!({ "kid": "k1" })), "signature_invalid"),
        (renamed(&es256, json!({ "kid": "r1" })), "algorithm_not_accepted"),
        (renamed(&rs256, json!({ "alg": "PS256" })), "signature_invalid"),
        (renamed(&ps256, json!({ "alg": "RS256" })), "signature_invalid"),
        (renamed(&ed25519, json!({ "kid": "k1", "alg": "ES256" })), "signature_invalid"),
        (renamed(&es256, json!({ "kid": "e1", "alg": "EdDSA" })), "signature_invalid"),
        (renamed(&es256, json!({ "kid": null })), "key_unknown"),
    ] {
        assert_eq!(reason(verify(&token, &rules, &keys)), expected, "{token}");
    }

    // The key would serve it, the issuer's rules do not list it.
    assert_eq!(reason(verify(&ps256.token(&claims()), &rs256.rules(), &keys)), "algorithm_not_accepted");

    let compact = Compact::parse(&es256.token(&claims()), &TokenLimits::default()).unwrap();
    assert_eq!(compact.claimed_issuer(), ISSUER);
    let unavailable = Unverified::prepare(compact, &es256.rules(), None).unwrap_err();
    assert_eq!(unavailable.reason().as_str(), "key_set_unavailable");
    assert_eq!(TokenError::Missing.reason().as_str(), "token_missing");
}

#[test]
fn a_changed_token_does_not_verify() {
    for algorithm in ALL {
        let signer = Signer::new(algorithm, "k1");
        let token = signer.token(&claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let payload = base64(with(claims(), &json!({ "sub": "bob" })).to_string());
        let header = signed.split_once('.').unwrap().0;
        let mut cut = signer.sign(signed.as_bytes());
        cut.pop();
        let mut flipped = signer.sign(signed.as_bytes());
        flipped[0] ^= 1;
        for forged in [
            format!("{header}.{payload}.{signature}"),
            format!("{signed}.{}", base64(&cut)),
            format!("{signed}.{}", base64(&flipped)),
            format!("{signed}.{}", base64([0; 64])),
            format!("{signed}.{}", base64([0; 256])),
            format!("{signed}.{}", base64([0xff; 256])),
            format!("{signed}.{}", base64([0xff; 2048])),
            format!("{signed}.AA"),
        ] {
            let result = verify(&forged, &signer.rules(), &signer.key_set());
            assert_eq!(reason(result), "signature_invalid", "{algorithm}");
        }
    }
}

/// What a host gets is enough to verify with, and its answer counts where it can give one.
#[test]
fn the_host_checks_what_it_can() {
    use jwt_simple::algorithms::{
        ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey,
    };
    use p256::ecdsa::signature::Verifier as _;
    for algorithm in ALL {
        let signer = Signer::new(algorithm, "k1");
        let prepared = || {
            let compact = Compact::parse(&signer.token(&claims()), &TokenLimits::default()).unwrap();
            Unverified::prepare(compact, &signer.rules(), Some(&signer.key_set())).unwrap()
        };
        let hash = match algorithm {
            Algorithm::Es256 | Algorithm::Rs256 => Some("SHA256"),
            Algorithm::Es384 | Algorithm::Rs384 => Some("SHA384"),
            Algorithm::Rs512 => Some("SHA512"),
            _ => None,
        };
        let by_host = hash.is_some();
        assert_eq!(prepared().signature_check().is_some(), by_host, "{algorithm}");
        assert!(prepared().verify_here(), "{algorithm}");
        assert_eq!(reason(prepared().verify_with(|_| None, at(NOW))), "accepted", "{algorithm}");
        assert_eq!(reason(prepared().verify_with(|_| Some(true), at(NOW))), "accepted", "{algorithm}");
        let refused = if by_host { "signature_invalid" } else { "accepted" };
        assert_eq!(reason(prepared().verify_with(|_| Some(false), at(NOW))), refused, "{algorithm}");
        if let Some(check) = prepared().signature_check() {
            assert_eq!(Some(check.hash), hash);
            if algorithm == Algorithm::Es384 {
                let key = ES384PublicKey::from_der(check.spki_der).unwrap();
                let signature = p384::ecdsa::Signature::from_der(&check.signature).unwrap();
                assert!(key.public_key().as_ref().verify(check.signed, &signature).is_ok());
            } else if algorithm == Algorithm::Es256 {
                let key = ES256PublicKey::from_der(check.spki_der).unwrap();
                let signature = p256::ecdsa::Signature::from_der(&check.signature).unwrap();
                assert!(key.public_key().as_ref().verify(check.signed, &signature).is_ok());
            } else {
                assert!(jwt_simple::algorithms::RS256PublicKey::from_der(check.spki_der).is_ok());
                assert_eq!(check.signature, signer.sign(check.signed));
            }
        }
    }
}

#[test]
fn a_signature_of_the_wrong_length_is_not_shown_to_the_host() {
    let signer = Signer::new(Algorithm::Es256, "k1");
    let token = signer.token(&claims());
    let (signed, _) = token.rsplit_once('.').unwrap();
    let compact = Compact::parse(&format!("{signed}.AAAA"), &TokenLimits::default()).unwrap();
    let prepared = Unverified::prepare(compact, &signer.rules(), Some(&signer.key_set())).unwrap();
    assert_eq!(reason(prepared.verify_with(|_| Some(true), at(NOW))), "signature_invalid");
}

/// jwt-simple's own `verify_token` is the reference: both verify the same signatures.
#[test]
fn jwt_simple_agrees() {
    use jwt_simple::prelude::*;
    for algorithm in super::testing::ALL {
        let signer = Signer::new(algorithm, "k1");
        let header = HeaderOptions { signature_type: Some("at+jwt".to_owned()), ..HeaderOptions::default() };
        let options = VerificationOptions {
            artificial_time: Some(UnixTimeStamp::from_secs(NOW)),
            ..VerificationOptions::default()
        };
        let custom: serde_json::Map<String, Value> =
            serde_json::from_value(json!({ "client_id": "console" })).unwrap();
        let mut theirs = Claims::with_custom_claims(custom, Duration::from_secs(300))
            .with_issuer(ISSUER)
            .with_subject("alice")
            .with_audience(AUDIENCE);
        theirs.issued_at = Some(UnixTimeStamp::from_secs(NOW));
        theirs.invalid_before = None;
        theirs.expires_at = Some(UnixTimeStamp::from_secs(NOW + 300));
        let good = signer.token(&claims());
        let (signed, _) = good.rsplit_once('.').unwrap();
        let mut flipped = signer.sign(signed.as_bytes());
        flipped[10] ^= 4;
        let bad = format!("{signed}.{}", base64(&flipped));
        let read = |token: &str| match &signer.pair {
            Pair::P256(pair) => {
                pair.public_key().verify_token::<NoCustomClaims>(token, Some(options.clone()))
            }
            Pair::P384(pair) => pair.public_key().verify_token(token, Some(options.clone())),
            Pair::Ed25519(pair) => pair.public_key().verify_token(token, Some(options.clone())),
            Pair::Rsa(pair) => {
                let der = pair.public_key().to_der().unwrap();
                let options = Some(options.clone());
                match algorithm {
                    Algorithm::Rs256 => pair.public_key().verify_token(token, options),
                    Algorithm::Rs384 => RS384PublicKey::from_der(&der).unwrap().verify_token(token, options),
                    Algorithm::Rs512 => RS512PublicKey::from_der(&der).unwrap().verify_token(token, options),
                    Algorithm::Ps256 => PS256PublicKey::from_der(&der).unwrap().verify_token(token, options),
                    Algorithm::Ps384 => PS384PublicKey::from_der(&der).unwrap().verify_token(token, options),
                    _ => PS512PublicKey::from_der(&der).unwrap().verify_token(token, options),
                }
            }
            Pair::Secret(key) => key.verify_token(token, Some(options.clone())),
        };
        assert!(read(&good).is_ok(), "{algorithm}");
        assert!(read(&bad).is_err(), "{algorithm}");
        let written = match &signer.pair {
            Pair::P256(pair) => ES256KeyPair::from_jwk(&pair.to_jwk())
                .unwrap()
                .with_key_id("k1")
                .sign_with_options(theirs, &header),
            Pair::P384(pair) => ES384KeyPair::from_jwk(&pair.to_jwk())
                .unwrap()
                .with_key_id("k1")
                .sign_with_options(theirs, &header),
            Pair::Ed25519(pair) => pair.clone().with_key_id("k1").sign_with_options(theirs, &header),
            Pair::Rsa(pair) => {
                let der = pair.to_der().unwrap();
                macro_rules! by {
                    ($pair:ident) => {
                        $pair::from_der(&der).unwrap().with_key_id("k1").sign_with_options(theirs, &header)
                    };
                }
                match algorithm {
                    Algorithm::Rs256 => by!(RS256KeyPair),
                    Algorithm::Rs384 => by!(RS384KeyPair),
                    Algorithm::Rs512 => by!(RS512KeyPair),
                    Algorithm::Ps256 => by!(PS256KeyPair),
                    Algorithm::Ps384 => by!(PS384KeyPair),
                    _ => by!(PS512KeyPair),
                }
            }
            Pair::Secret(key) => key.authenticate_with_options(theirs, &header),
        };
        let result = verify(&written.unwrap(), &signer.rules(), &signer.key_set());
        assert_eq!(reason(result), "accepted", "{algorithm}");
    }
}

#[test]
fn errors_carry_no_text_of_the_token() {
    let signer = Signer::new(Algorithm::EdDsa, "k1");
    let token = signer.token_of("{\"alg\":\"hunter2\",\"typ\":\"at+jwt\"}", &claims().to_string());
    let error = verify(&token, &signer.rules(), &signer.key_set()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let token = signer.token_of("{\"hunter2\":hunter2}", "{}");
    let error = verify(&token, &signer.rules(), &signer.key_set()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn nothing_prints_a_token_that_could_be_used() {
    let signer = Signer::new(Algorithm::Es256, "k1");
    let token = signer.token(&claims());
    let compact = Compact::parse(&token, &TokenLimits::default()).unwrap();
    let mut printed = format!("{compact:?}");
    let prepared = Unverified::prepare(compact, &signer.rules(), Some(&signer.key_set())).unwrap();
    let check = prepared.signature_check().unwrap();
    printed += &format!("{check:?} {prepared:?}");
    let mut cache = TokenCache::new(CacheLimits::default());
    let verified = prepared.verify(at(NOW)).unwrap();
    let cached = cache.insert(cache.epoch(), &token, verified, (), 0);
    printed += &format!("{cache:?} {cached:?}");
    for part in token.split('.') {
        assert!(!printed.contains(part));
    }
    let signature = token.rsplit_once('.').unwrap().1;
    assert!(!printed.contains(&format!("{:?}", URL_SAFE_NO_PAD.decode(signature).unwrap())));
}
