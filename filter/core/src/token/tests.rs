//! Tokens from text to claims: everything that is accepted or refused, with its reason.

mod published;
mod signatures;

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
