//! Key sets and keys, accepted and refused, and published signatures.

use serde_json::{Value, json};

use super::*;
use crate::token::testing::{ALL, Signer, base64, with};

fn parse(keys: &Value) -> Result<KeySet, KeySetError> {
    KeySet::parse(json!({ "keys": keys }).to_string().as_bytes(), &ALL, &KeyLimits::default())
}

fn ec() -> Value {
    Signer::new(Algorithm::Es256, "k1").jwk()
}

fn ec384() -> Value {
    Signer::new(Algorithm::Es384, "k4").jwk()
}

fn okp() -> Value {
    Signer::new(Algorithm::EdDsa, "k2").jwk()
}

fn rsa() -> Value {
    Signer::new(Algorithm::Rs256, "k3").jwk()
}

#[test]
fn keys_of_four_types_are_prepared() {
    const RSA: &[Algorithm] = &[
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
    ];
    let set = parse(&json!([ec(), okp(), rsa(), ec384()])).unwrap();
    for (kid, serves, has_der) in [
        ("k1", &[Algorithm::Es256][..], true),
        ("k2", &[Algorithm::EdDsa], false),
        ("k3", RSA, true),
        ("k4", &[Algorithm::Es384], true),
    ] {
        let key = set.select(Some(kid)).unwrap();
        assert_eq!(key.spki_der().is_some(), has_der, "{kid}");
        for algorithm in ALL {
            assert_eq!(key.serves(algorithm), serves.contains(&algorithm), "{kid} {algorithm}");
        }
    }
    assert!(set.select(None).is_none());
    assert!(set.select(Some("K1")).is_none());
}

#[test]
fn only_the_configured_algorithms_are_served() {
    let document = json!({ "keys": [ec(), rsa()] }).to_string();
    let set = KeySet::parse(document.as_bytes(), &[Algorithm::Ps256], &KeyLimits::default()).unwrap();
    assert_eq!((set.keys().count(), set.skipped()), (1, 1));
    let key = set.select(Some("k3")).unwrap();
    assert!(key.serves(Algorithm::Ps256) && !key.serves(Algorithm::Rs256));
}

#[test]
fn a_key_without_kid_serves_tokens_without_one() {
    let set = parse(&json!([with(ec(), &json!({ "kid": null }))])).unwrap();
    assert!(set.select(None).is_some());
    assert!(set.select(Some("k1")).is_none());
    let secret = KeySet::from_secret(&base64([7; 32])).unwrap();
    assert!(secret.select(None).is_some() && secret.select(Some("any")).is_some());
}

#[test]
fn keys_for_other_purposes_are_skipped_and_counted() {
    for (other, why) in [
        (json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AA", "kid": "x" }), "unknown type"),
        (json!({ "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA", "kid": "x" }), "another curve"),
        (json!({ "kty": "OKP", "crv": "X25519", "x": "AA", "kid": "x" }), "key agreement"),
        (with(rsa(), &json!({ "use": "enc" })), "encryption"),
        (with(rsa(), &json!({ "use": null, "key_ops": ["encrypt"] })), "encryption operations"),
        (with(rsa(), &json!({ "alg": "RSA-OAEP" })), "another algorithm"),
        (with(rsa(), &json!({ "alg": "RS1", "kid": null })), "another hash, no kid"),
    ] {
        let set = parse(&json!([ec(), other])).unwrap_or_else(|e| panic!("{why}: {e}"));
        assert_eq!((set.keys().count(), set.skipped()), (1, 1), "{why}");
        let alone = parse(&json!([other])).unwrap_err().to_string();
        assert_eq!(alone, "the key set has no key for the issuer's algorithms (1 skipped)", "{why}");
    }
}

#[test]
fn faulty_keys_are_refused_with_their_place() {
    let point = |x: &[u8], y: &[u8]| with(ec(), &json!({ "x": base64(x), "y": base64(y) }));
    let modulus = |bytes: &[u8]| with(rsa(), &json!({ "n": base64(bytes) }));
    let odd = |length: usize| [&[0x80][..], &vec![0xff; length - 1]].concat();
    let malformed = |member: &str| format!("`{member}` is malformed");
    let inconsistent = |member: &str| format!("`{member}` does not fit the key's `kty`, `crv` or `use`");
    let secret = |member: &str| {
        format!("`{member}` is secret key material: publish public keys only, and replace this key")
    };
    let bits = |bits: usize| format!("an RSA modulus of {bits} bits: between 2048 and 4096 are accepted");
    let missing = |member: &str| format!("`{member}` is missing");
    let invalid = || "not a valid public key".to_owned();
    let identity = || [&[1_u8][..], &[0; 31]].concat();
    let order_two = || [&[0xec_u8][..], &[0xff; 30], &[0x7f]].concat();
    let order_eight = "c71760g6kHO8S07xqWwJDzzkqUtT0F8RdQiRLQGXjHY";
    for (key, expected) in [
        (json!("EC"), "not an object".to_owned()),
        (json!({}), missing("kty")),
        (json!({ "kty": 1 }), malformed("kty")),
        (json!({ "kty": "EC" }), missing("crv")),
        (with(ec(), &json!({ "y": null })), missing("y")),
        (with(ec(), &json!({ "d": base64([1; 32]) })), secret("d")),
        (with(rsa(), &json!({ "p": "AQ" })), secret("p")),
        (json!({ "kty": "oct", "k": base64([1; 32]), "kid": "x" }), secret("k")),
        (json!({ "kty": "AKP", "priv": "AQ" }), secret("priv")),
        (with(ec(), &json!({ "crv": "Ed25519" })), inconsistent("crv")),
        (with(okp(), &json!({ "crv": "P-256" })), inconsistent("crv")),
        (with(rsa(), &json!({ "crv": "P-256" })), inconsistent("crv")),
        (with(ec(), &json!({ "alg": "RS256" })), inconsistent("alg")),
        (with(rsa(), &json!({ "alg": "HS256" })), inconsistent("alg")),
        (with(okp(), &json!({ "alg": "ES256" })), inconsistent("alg")),
        (with(ec(), &json!({ "alg": 1 })), malformed("alg")),
        (with(ec(), &json!({ "use": ["sig"] })), malformed("use")),
        (with(ec(), &json!({ "use": "sig", "key_ops": ["verify", "encrypt"] })), inconsistent("key_ops")),
        (with(ec(), &json!({ "key_ops": "verify" })), malformed("key_ops")),
        (with(ec(), &json!({ "key_ops": ["verify", "verify"] })), malformed("key_ops")),
        (with(ec(), &json!({ "kid": "" })), malformed("kid")),
        (with(ec(), &json!({ "kid": "k".repeat(257) })), malformed("kid")),
        (with(ec(), &json!({ "kid": 1 })), malformed("kid")),
        (point(&[1; 32], &[1; 32]), invalid()),
        (point(&[0; 32], &[0; 32]), invalid()),
        (point(&[1; 31], &[1; 32]), malformed("x")),
        (point(&[1; 32], &[1; 33]), malformed("y")),
        (with(ec(), &json!({ "x": format!("{}=", base64([1; 32])) })), malformed("x")),
        (with(okp(), &json!({ "x": base64([0; 32]) })), invalid()),
        (with(okp(), &json!({ "x": base64(identity()) })), invalid()),
        (with(okp(), &json!({ "x": base64(order_two()) })), invalid()),
        (with(okp(), &json!({ "x": order_eight })), invalid()),
        (with(ec384(), &json!({ "x": base64([1; 48]), "y": base64([1; 48]) })), invalid()),
        (with(ec384(), &json!({ "x": base64([0; 48]), "y": base64([0; 48]) })), invalid()),
        (with(ec384(), &json!({ "x": base64([1; 32]) })), malformed("x")),
        (with(ec384(), &json!({ "alg": "ES256" })), inconsistent("alg")),
        (with(ec(), &json!({ "alg": "ES384" })), inconsistent("alg")),
        (with(ec(), &json!({ "crv": "P-384" })), malformed("x")),
        (with(okp(), &json!({ "x": base64([1; 31]) })), malformed("x")),
        (modulus(&odd(128)), bits(1024)),
        (modulus(&[&[0x7f][..], &[0xff; 255]].concat()), bits(2047)),
        (modulus(&[&[1][..], &[0xff; 512]].concat()), bits(4097)),
        (modulus(&odd(1024)), bits(8192)),
        (modulus(&[&[0][..], &odd(256)].concat()), malformed("n")),
        (modulus(&[0x80; 256]), invalid()),
        (with(rsa(), &json!({ "n": "" })), malformed("n")),
        (with(rsa(), &json!({ "e": "Aw" })), invalid()),
        (with(rsa(), &json!({ "e": "AQ" })), invalid()),
        (with(rsa(), &json!({ "e": "AQAC" })), invalid()),
        (with(rsa(), &json!({ "e": "AAEAAQ" })), malformed("e")),
        (with(rsa(), &json!({ "kid": null })), "`kid` is missing, and it is not the only key".to_owned()),
        (with(rsa(), &json!({ "kid": "k2" })), "`kid` is the same as an earlier key's".to_owned()),
    ] {
        let message = parse(&json!([okp(), key])).unwrap_err().to_string();
        let named = key.get("kid").and_then(Value::as_str).filter(|kid| kid.len() <= 256);
        let named = named.map_or_else(String::new, |kid| format!(" (kid {kid:?})"));
        assert_eq!(message, format!("/keys/1{named}: {expected}"), "{key}");
    }
}

#[test]
fn documents_that_are_no_key_sets_are_refused() {
    let limits = KeyLimits { max_bytes: 200, max_keys: 2, ..KeyLimits::default() };
    for (text, expected) in [
        ("", "the key set is not strict JSON"),
        (r#"{"keys":[],"keys":[]}"#, "the key set is not strict JSON"),
        ("[]", "a key set is an object with an array `keys`"),
        ("{}", "a key set is an object with an array `keys`"),
        (r#"{"keys":{}}"#, "a key set is an object with an array `keys`"),
        (r#"{"keys":[]}"#, "the key set has no key for the issuer's algorithms (0 skipped)"),
        (r#"{"keys":[1,2,3]}"#, "the key set has more than 2 keys"),
        (&" ".repeat(201), "the key set is larger than 200 bytes"),
    ] {
        let message = KeySet::parse(text.as_bytes(), &ALL, &limits).unwrap_err().to_string();
        assert_eq!(message, expected, "{text}");
    }
}

#[test]
fn limits_are_configurable() {
    let limits = KeyLimits { max_rsa_bits: 2047, ..KeyLimits::default() };
    let document = json!({ "keys": [rsa()] }).to_string();
    assert!(KeySet::parse(document.as_bytes(), &ALL, &limits).is_err());
    let limits = KeyLimits { max_kid_bytes: 1, ..KeyLimits::default() };
    assert!(KeySet::parse(document.as_bytes(), &ALL, &limits).is_err());
}

#[test]
fn secrets_are_long_enough_and_canonical() {
    assert!(KeySet::from_secret(&base64([1; 32])).is_ok());
    for (secret, expected) in [
        (base64([1; 31]), "the secret has 31 bytes; HS256 needs at least 32"),
        (String::new(), "the secret has 0 bytes; HS256 needs at least 32"),
        ("not base64".to_owned(), "the secret is not base64url without padding"),
        (format!("{}=", base64([1; 32])), "the secret is not base64url without padding"),
    ] {
        assert_eq!(KeySet::from_secret(&secret).unwrap_err().to_string(), expected);
    }
}

/// RFC 7515 appendices A.1 to A.3 and RFC 8037 appendix A.4.
#[test]
fn published_signatures_verify() {
    const PAYLOAD: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let secret = KeySet::from_secret(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    );
    let rs256 = json!([{ "kty": "RSA", "e": "AQAB", "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxH\
        mfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf6\
        3kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXF\
        vUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ" }]);
    let es256 = json!([{ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }]);
    let ed25519 =
        json!([{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }]);
    for (algorithm, keys, signed, signature) in [
        (
            Algorithm::Hs256,
            secret,
            format!("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{PAYLOAD}"),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            Algorithm::Rs256,
            parse(&rs256),
            format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU\
             Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d\
             O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig\
             cN_IoypGlUPQGe77Rw",
        ),
        (
            Algorithm::Es256,
            parse(&es256),
            format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            Algorithm::EdDsa,
            parse(&ed25519),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".to_owned(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ] {
        let keys = keys.unwrap();
        let key = keys.select(None).unwrap();
        let mut signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.verify(algorithm, signed.as_bytes(), &signature), "{algorithm}");
        for other in ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(!key.verify(other, signed.as_bytes(), &signature), "{algorithm} as {other}");
        }
        assert!(!key.verify(algorithm, &signed.as_bytes()[1..], &signature), "{algorithm}");
        assert!(!key.verify(algorithm, signed.as_bytes(), &signature[1..]), "{algorithm}");
        *signature.last_mut().unwrap() ^= 1;
        assert!(!key.verify(algorithm, signed.as_bytes(), &signature), "{algorithm}");
    }
}

/// RFC 7638 section 3.1, RFC 8037 appendix A.3, RFC 9449 section 6.1.
#[test]
fn published_thumbprints() {
    for (jwk, expected) in [
        (
            json!({ "kty": "RSA", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6t\
                Soc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMi\
                cAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G\
                _xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw", "e": "AQAB", "alg": "RS256", "kid": "2011-04-29" }),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
        ),
        (
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        ),
        (
            json!({ "kty": "EC", "crv": "P-256", "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
                "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA" }),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        ),
    ] {
        assert_eq!(thumbprint(&jwk).map(base64).as_deref(), Some(expected), "{jwk}");
        assert!(thumbprint(&with(jwk, &json!({ "kty": "AKP" }))).is_none());
    }
    assert!(thumbprint(&with(okp(), &json!({ "x": "\"" }))).is_none());
}
