//! Published JWS that are no access tokens (RFC 7515, RFC 7520, RFC 7797): what each layer makes of them.
//!
//! The vectors of RFC 7515 A.1 to A.3 and RFC 8037 A.4 are with the keys, those of RFC 7638 too, those of RFC 9449 and of
//! status lists with theirs.

use serde_json::{Value, json};

use crate::keys::{Algorithm, Key, KeySet};
use crate::token::{Compact, TokenLimits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// RFC 7520 section 4: the payload of all its signatures, which is a sentence and no JSON.
const SENTENCE: &str = "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIGlmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";
/// RFC 7520 figure 3.
const RSA: &str = "n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLwUBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5ydQLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw";

/// What [`Compact::parse`] says: the reason, or `parsed`.
fn parsed(token: &str) -> String {
    match Compact::parse(token, &TokenLimits::default()) {
        Ok(_) => "parsed".to_owned(),
        Err(error) => format!("{}: {error}", error.reason().as_str()),
    }
}

fn key(jwk: &Value, algorithm: Algorithm) -> Key {
    Key::from_jwk(jwk, &[algorithm]).unwrap().unwrap()
}

/// RFC 7520 sections 4.1, 4.2 and 4.4.
#[test]
fn signatures_of_the_cookbook_verify_and_are_no_tokens() {
    let rsa =
        json!({ "kty": "RSA", "kid": "bilbo.baggins@hobbiton.example", "use": "sig", "n": RSA, "e": "AQAB" });
    let secret = KeySet::from_secret("hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg").unwrap();
    let (rs256, ps384) = (key(&rsa, Algorithm::Rs256), key(&rsa, Algorithm::Ps384));
    for (key, algorithm, header, signature) in [
        (
            &rs256,
            Algorithm::Rs256,
            "eyJhbGciOiJSUzI1NiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84wnB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnHXFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg",
        ),
        (
            &ps384,
            Algorithm::Ps384,
            "eyJhbGciOiJQUzM4NCIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9",
            "cu22eBqkYDKgIlTpzDXGvaFfz6WGoz7fUDcfT0kkOy42miAh2qyBzk1xEsnk2IpN6-tPid6VrklHkqsGqDqHCdP6O8TTB5dDDItllVo6_1OLPpcbUrhiUSMxbbXUvdvWXzg-UD8biiReQFlfz28zGWVsdiNAUf8ZnyPEgVFn442ZdNqiVJRmBqrYRXe8P_ijQ7p8Vdz0TTrxUeT3lm8d9shnr2lfJT8ImUjvAA2Xez2Mlp8cBE5awDzT0qI0n6uiP1aCN_2_jLAeQTlqRHtfa64QQSUmFAAjVKPbByi7xho0uTOcbH510a6GYmJUAfmWjwZ6oD4ifKo8DYM-X72Eaw",
        ),
        (
            secret.select(None).unwrap(),
            Algorithm::Hs256,
            "eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9",
            "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
        ),
    ] {
        let signed = format!("{header}.{SENTENCE}");
        let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(key.verify(algorithm, signed.as_bytes(), &raw), "{algorithm}");
        for other in Algorithm::ALL.into_iter().filter(|other| *other != algorithm) {
            assert!(!key.verify(other, signed.as_bytes(), &raw), "{algorithm} as {other}");
        }
        let mut changed = signed.clone().into_bytes();
        changed[40] ^= 1;
        assert!(!key.verify(algorithm, &changed, &raw), "{algorithm}, another text");
        let found = parsed(&format!("{signed}.{signature}"));
        assert!(found.starts_with("token_malformed: malformed: the payload is not strict JSON"), "{found}");
    }
}

/// RFC 7515 appendix A.4 and RFC 7520 section 4.3: P-521 is no curve of ours, and ES512 no algorithm.
#[test]
fn es512_has_no_key_and_no_algorithm() {
    assert_eq!(Algorithm::parse("ES512"), None);
    for (x, y, token) in [
        (
            "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
            "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2",
            "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn".to_owned(),
        ),
        (
            "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
            "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
            format!("eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{SENTENCE}.AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2"),
        ),
    ] {
        let jwk = json!({ "kty": "EC", "crv": "P-521", "x": x, "y": y });
        assert!(Key::from_jwk(&jwk, &Algorithm::ALL).unwrap().is_none());
        assert!(parsed(&token).starts_with("token_malformed"), "{}", parsed(&token));
    }
}

/// RFC 7515 appendix A.5, with its empty signature and with one.
#[test]
fn a_token_without_a_signature_is_none() {
    let unsecured = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert_eq!(parsed(unsecured), "token_malformed: malformed: not three segments");
    let signed = parsed(&format!("{unsecured}AA"));
    assert_eq!(signed, "token_header_refused: the header parameter `alg` is refused");
}

/// RFC 7797: the payload as it is. Section 4.2 without the dots that a compact form needs, and the same as one.
#[test]
fn a_payload_that_is_not_encoded_is_refused() {
    let secret = KeySet::from_secret(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    )
    .unwrap();
    let key = secret.select(None).unwrap();
    let (header, payload, signature) = (
        "eyJhbGciOiJIUzI1NiIsImI2NCI6ZmFsc2UsImNyaXQiOlsiYjY0Il19",
        "$.02",
        "A5dxf2s96_n5FLueVuW1Z_vh161FwXZC4YLPff6dmDY",
    );
    let signed = format!("{header}.{payload}");
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert!(key.verify(Algorithm::Hs256, signed.as_bytes(), &raw), "the vector itself");
    // As a whole, detached, and encoded after all: the header is refused where it is read.
    assert_eq!(parsed(&format!("{signed}.{signature}")), "token_malformed: malformed: not three segments");
    assert_eq!(parsed(&format!("{header}..{signature}")), "token_malformed: malformed: not three segments");
    let encoded = format!("{header}.e30.{signature}");
    assert_eq!(parsed(&encoded), "token_header_refused: the header parameter `crit` is refused");
}
