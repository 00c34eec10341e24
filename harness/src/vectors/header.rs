//! The parameters of the header, algorithm and key (delegation rules 4 to 6).

use serde_json::{Value, json};

use super::{Allowed, Corpus, ISSUER, RSA, Refused, base, over};

pub(super) fn add(corpus: &mut Corpus) {
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("enc", json!("A128GCM")),
        ("zip", json!("DEF")),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/cert")),
        ("jwk", jwk),
        ("x5c", json!(["MIIB"])),
    ] {
        let attack = format!("{name}: {value}");
        corpus.forged(&attack, json!({"header": {name: value}}), Refused("token_header_refused"));
        let null = json!({"header_text": format!(",\"{name}\":null")});
        corpus.forged(&format!("{name}: null"), null, Refused("token_header_refused"));
    }
    let malformed = Refused("token_malformed");
    parameter(
        corpus,
        "typ",
        Refused("token_type_not_accepted"),
        &[
            "JWT",
            "jwt",
            "dpop+jwt",
            "txntoken+jwt",
            "oauth-id-jag+jwt",
            "agent-approval+jwt",
            "actor-receipt+jwt",
            "aat+jwt",
            "aat-pop+jwt",
            "txn-authz-challenge+jwt",
            "statuslist+jwt",
            "secevent+jwt",
            "logout+jwt",
            "at+jwt ",
            " at+jwt",
            "at jwt",
            "",
            "application/at+jwt;v=1",
            "text/at+jwt",
            "application/x/at+jwt",
            "application/application/at+jwt",
        ],
    );
    parameter(corpus, "typ", Allowed, &["AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT"]);
    corpus.forged("no typ", json!({"header": {"typ": null}}), Refused("token_type_not_accepted"));
    parameter(corpus, "alg", Refused("token_header_refused"), &["none", "None", "NONE", "nOnE"]);
    parameter(
        corpus,
        "alg",
        Refused("algorithm_not_accepted"),
        &[
            "",
            "HS256",
            "HS384",
            "hs256",
            "es256",
            "Es256",
            "ES256 ",
            "ES256K",
            "ES384",
            "ES512",
            "RS256",
            "PS256",
            "EdDSA",
            "Ed25519",
            "dir",
            "RSA-OAEP",
            "A128KW",
            "\u{0395}S256",
        ],
    );
    corpus.forged("no alg", json!({"header": {"alg": null}}), malformed);
    parameter(
        corpus,
        "kid",
        Refused("key_unknown"),
        &[
            "",
            "k-2",
            "K-1",
            "k-1 ",
            " k-1",
            "k-10",
            "k-",
            "k-1\u{0}",
            "k\u{2010}1",
            "../k-1",
            "k-1' OR '1'='1",
            "*",
        ],
    );
    corpus.forged("no kid", json!({"header": {"kid": null}}), Refused("key_unknown"));
    for name in ["typ", "alg", "kid"] {
        for value in ["7", "null", "[]", "{}", "true", "[\"ES256\"]"] {
            let forge = json!({"header": {name: null}, "header_text": format!(",\"{name}\":{value}")});
            corpus.forged(&format!("{name}: {value}"), forge, malformed);
        }
    }
    confusion(corpus);
}

fn parameter(corpus: &mut Corpus, name: &str, expected: super::Expected, values: &[&str]) {
    for value in values {
        corpus.forged(&format!("{name}: {value:?}"), json!({"header": {name: value}}), expected);
    }
}

/// One algorithm's key with another algorithm, and one issuer's key with another issuer.
fn confusion(corpus: &mut Corpus) {
    let not_accepted = Refused("algorithm_not_accepted");
    let of_rsa = || over(base(), json!({"iss": RSA, "act": {"iss": ISSUER, "sub": super::AGENT}}));
    let hmac = json!({"hmac": true, "header": {"alg": "HS256"}});
    let template = |claims: Value, forge: Value| json!({"claims": claims, "forge": forge});
    corpus.template("RS256", json!({"claims": of_rsa()}), Allowed);
    corpus.template("HMAC with the EC key", template(base(), hmac.clone()), not_accepted);
    corpus.template("HMAC with the RSA key", template(of_rsa(), hmac), not_accepted);
    corpus.forged("HMAC as ES256", json!({"hmac": true}), Refused("signature_invalid"));
    for alg in ["RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "RS1"] {
        let forge = json!({"header": {"alg": alg}});
        corpus.template(&format!("{alg} with the key of RS256"), template(of_rsa(), forge), not_accepted);
    }
    let signed_by = |signer: &str, header: Value| json!({"claims": base(), "signed_by": signer, "forge": {"header": header}});
    let unknown = Refused("key_unknown");
    let elsewhere = signed_by("https://elsewhere.example", json!({}));
    corpus.template("another issuer's key of the same name", elsewhere, Refused("signature_invalid"));
    corpus.template("another issuer's key", signed_by(RSA, json!({"alg": "ES256"})), unknown);
    corpus.template("another issuer's key and algorithm", signed_by(RSA, json!({})), not_accepted);
    let claims = over(base(), json!({"iss": "https://elsewhere.example"}));
    corpus.template("an issuer that nobody configured", json!({"claims": claims}), Refused("issuer_unknown"));
}
