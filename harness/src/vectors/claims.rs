//! The registered claims: issuer, audience, times, and what binds a token (delegation section 1).

use serde_json::{Value, json};

use super::{AUDIENCE, Allowed, Corpus, Expected, ISSUER, PERSON, Refused, base, but};

const MALFORMED: Expected = Refused("claim_malformed");

pub(super) fn add(corpus: &mut Corpus) {
    names(corpus);
    times(corpus);
    bonds(corpus);
}

fn names(corpus: &mut Corpus) {
    for iss in [
        "https://idp.internal.example/",
        "https://idp.internal.example:443",
        "https://IDP.internal.example",
        "HTTPS://idp.internal.example",
        "http://idp.internal.example",
        "idp.internal.example",
        "https://idp.internal.example.",
        "https://idp.internal.example/.",
        "https://idp.internal.example#",
        "https://idp.internal.example?",
        " https://idp.internal.example",
        "https://idp.internal.example ",
        "https://\u{131}dp.internal.example",
        "https://\u{456}dp.internal.example",
        "https://%69dp.internal.example",
        "https://idp.internal.example\u{0}",
        "https://user@idp.internal.example",
        "",
    ] {
        let template = json!({"claims": but(base(), "iss", json!(iss)), "signed_by": ISSUER});
        corpus.template(&format!("iss: {iss:?}"), template, Refused("issuer_unknown"));
    }
    for aud in [
        "https://tools.internal.example/",
        "https://TOOLS.internal.example",
        "https://tools.internal.example.evil",
        "https://tools.internal.exampl",
        "http://tools.internal.example",
        "https://tools.internal.example ",
        "",
        "*",
        "https://tools.internal.\u{435}xample",
    ] {
        corpus.token(&format!("aud: {aud:?}"), json!({"aud": aud}), Refused("audience_mismatch"));
        corpus.token(&format!("aud: [{aud:?}]"), json!({"aud": [aud]}), Refused("audience_mismatch"));
    }
    corpus.token("aud in a list", json!({"aud": [AUDIENCE]}), Allowed);
    for others in [json!([AUDIENCE, AUDIENCE]), json!([AUDIENCE, "x"]), json!(["x", AUDIENCE]), json!(["x"])]
    {
        corpus.token(&format!("aud: {others}"), json!({"aud": others}), Refused("audience_mismatch"));
    }
    for aud in ["[]", "7", "{}", "null", "true", "[7]", "[null]", "[[\"https://tools.internal.example\"]]"] {
        corpus.claim("aud", aud, MALFORMED);
    }
    for iss in ["7", "null", "[]", "{}", "true", "[\"https://idp.internal.example\"]"] {
        let forge = json!({"claims_text": format!(",\"iss\":{iss}")});
        let template =
            json!({"claims": but(base(), "iss", Value::Null), "signed_by": ISSUER, "forge": forge});
        corpus.template(&format!("iss: {iss}"), template, MALFORMED);
    }
    for sub in ["\"\"", "7", "null", "[]", "{}", "false"] {
        corpus.claim("sub", sub, MALFORMED);
    }
    for claim in ["jti", "client_id", "azp", "appid", "txn", "acr"] {
        for value in ["\"\"", "7", "null", "[\"x\"]", "{}"] {
            corpus.claim(claim, value, MALFORMED);
        }
    }
    corpus.token("two clients", json!({"client_id": "a", "azp": "b"}), MALFORMED);
    for scope in [
        "[\"tools\"]",
        "7",
        "null",
        "{}",
        "\"a  b\"",
        "\" a\"",
        "\"a \"",
        "\"a\\tb\"",
        "\"a\\\"b\"",
        "\"\\u00e4\"",
    ] {
        corpus.claim("scope", scope, MALFORMED);
    }
    let missing = Refused("claim_missing");
    for claim in ["sub", "aud", "exp", "iat"] {
        corpus.token(&format!("no {claim}"), json!({claim: null}), missing);
    }
    let template = json!({"claims": but(base(), "iss", Value::Null), "signed_by": ISSUER});
    corpus.template("no iss", template, missing);
}

fn times(corpus: &mut Corpus) {
    for claim in ["exp", "iat", "nbf", "auth_time"] {
        for value in [
            "\"1773842520\"",
            "\"soon\"",
            "null",
            "true",
            "[1773842520]",
            "{}",
            "-1",
            "-0.5",
            "-1e300",
            "9007199254740993",
            "1e16",
            "1e300",
            "18446744073709551616",
        ] {
            corpus.claim(claim, value, MALFORMED);
        }
        for value in
            ["1e400", "-1e400", "NaN", "Infinity", "-Infinity", "01", "+1", ".5", "1.", "0x10", "1_000"]
        {
            corpus.claim(claim, value, Refused("token_malformed"));
        }
    }
    for (attack, relative, expected) in [
        ("exp = iat", json!({"iat": -10, "exp": -10}), MALFORMED),
        ("exp < iat", json!({"iat": 0, "exp": -1}), MALFORMED),
        ("less than a second", json!({"iat": 0.2, "exp": 0.9}), MALFORMED),
        ("as long as the cap", json!({"iat": 0, "exp": 900}), Allowed),
        ("a fraction over the cap", json!({"iat": 0, "exp": 900.75}), Allowed),
        ("a second over the cap", json!({"iat": 0, "exp": 901}), Refused("token_lifetime_exceeded")),
        ("a day", json!({"iat": 0, "exp": 86400}), Refused("token_lifetime_exceeded")),
        ("expired, within the skew", json!({"iat": -325, "exp": -20}), Allowed),
        ("expired, beyond the skew", json!({"iat": -325, "exp": -31}), Refused("token_expired")),
        ("expired by a fraction more", json!({"iat": -325, "exp": -30.5}), Refused("token_expired")),
        ("issued in the future, within the skew", json!({"iat": 25, "exp": 300}), Allowed),
        ("issued in the future", json!({"iat": 45, "exp": 300}), Refused("token_issued_in_future")),
        ("not valid yet, within the skew", json!({"iat": 0, "nbf": 25.5, "exp": 300}), Allowed),
        ("not valid yet", json!({"iat": 0, "nbf": 45, "exp": 300}), Refused("token_not_yet_valid")),
        (
            "expired long ago, valid for long",
            json!({"iat": -9000, "exp": -10}),
            Refused("token_lifetime_exceeded"),
        ),
    ] {
        corpus.forged(attack, json!({"relative": relative}), expected);
    }
}

fn bonds(corpus: &mut Corpus) {
    let digest = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    let unsupported = Refused("confirmation_unsupported");
    for (cnf, expected) in [
        (json!({"jkt": digest}), Refused("bound_token_as_bearer")),
        (json!({"x5t#S256": digest}), Refused("certificate_missing")),
        (json!({"x5t": digest}), unsupported),
        (json!({"kid": "k-1"}), unsupported),
        (json!({"jwk": {"kty": "EC"}}), unsupported),
        (json!({"jwe": "a.b.c.d.e"}), unsupported),
        (json!({"jku": "https://evil.example"}), unsupported),
        (json!({"JKT": digest}), unsupported),
        (json!({}), MALFORMED),
        (json!([digest]), MALFORMED),
        (json!(digest), MALFORMED),
        (json!(7), MALFORMED),
        (json!({"jkt": 7}), MALFORMED),
        (json!({"jkt": ""}), MALFORMED),
        (json!({"jkt": "AQEB"}), MALFORMED),
        (json!({"jkt": format!("{digest}=")}), MALFORMED),
        (json!({"jkt": [digest]}), MALFORMED),
    ] {
        corpus.token(&format!("cnf: {cnf}"), json!({"cnf": cnf}), expected);
    }
    corpus.claim("cnf", "null", MALFORMED);
    let uri = "https://idp.internal.example/status/1";
    for (status, expected) in [
        (json!({"status_list": {"idx": 7, "uri": uri}}), Refused("status_list_unknown")),
        (json!({}), MALFORMED),
        (json!({"status_list": {}}), MALFORMED),
        (json!({"status_list": {"idx": -1, "uri": uri}}), MALFORMED),
        (json!({"status_list": {"idx": 1.5, "uri": uri}}), MALFORMED),
        (json!({"status_list": {"idx": "7", "uri": uri}}), MALFORMED),
        (json!({"status_list": {"idx": 7, "uri": ""}}), MALFORMED),
        (json!({"status_list": {"idx": 7, "uri": [uri]}}), MALFORMED),
        (json!({"identifier_list": {"id": "x"}}), MALFORMED),
        (json!("valid"), MALFORMED),
        (json!(PERSON.len()), MALFORMED),
    ] {
        corpus.token(&format!("status: {status}"), json!({"status": status}), expected);
    }
}
