//! Tokens and keys, as OPA 1.22 judges them; cases.json has what it gave.

use serde_json::{Value as Json, json};

use super::super::super::tests::{decide, interpreted, policy};
use super::super::tests::both;
use crate::ids::Now;
use crate::policy::surroundings::Surroundings;
use crate::policy::{Document, EvaluationBudget};

fn cases() -> Json {
    serde_json::from_str(include_str!("cases.json")).unwrap()
}

#[test]
fn tokens_are_judged_as_opa_judges_them() {
    let cases = cases();
    let listed = cases["cases"].as_array().unwrap();
    assert!(listed.len() > 70);
    for case in listed {
        let expression = case[0].as_str().unwrap();
        assert_eq!(both(expression, &cases["input"]), case[1], "{expression}");
    }
}

fn signed() -> Json {
    serde_json::from_str(include_str!("signed.json")).unwrap()
}

#[test]
fn tokens_are_signed_as_opa_signs_them() {
    let signed = signed();
    let listed = signed["cases"].as_array().unwrap();
    assert!(listed.len() > 40);
    for case in listed {
        let expression = case[0].as_str().unwrap();
        assert_eq!(both(expression, &signed["input"]), case[1], "{expression}");
    }
}

#[test]
fn a_key_that_does_not_sign_ends_the_evaluation() {
    let input = &signed()["input"];
    let secret = input["oct"]["k"].as_str().unwrap();
    let with = |key: &str, member: &str, value: Json| {
        let mut key = input[key].clone();
        key[member] = value;
        key
    };
    for (alg, key) in [
        ("RS256", json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"})),
        ("PS512", json!({"kty": "RSA"})),
        ("ES512", json!({"kty": "EC", "crv": "P-521"})),
        ("HS256", input["ed"].clone()),
        ("HS256", json!({})),
        ("HS256", json!("x")),
        ("HS256", json!([])),
        ("HS256", json!({"keys": [input["oct"]]})),
        ("HS256", with("oct", "k", json!(""))),
        ("HS256", with("oct", "k", json!("eA=="))),
        ("HS256", with("oct", "kid", json!(7))),
        ("ES256", input["oct"].clone()),
        ("ES384", input["p256"].clone()),
        ("ES256", input["p384"].clone()),
        ("ES256", with("p256", "d", json!("AA"))),
        ("ES256", with("p256", "d", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))),
        ("ES256", with("p256", "x", input["p256"]["y"].clone())),
        ("ES384", input["p384"].clone()),
        ("ES256", with("p256", "y", json!(""))),
        ("EdDSA", input["ed"].clone()),
    ] {
        let policy = policy("decision := [1 | not io.jwt.encode_sign({\"alg\": input.alg}, {}, input.key)]");
        let input = json!({"alg": alg, "key": key});
        for outcome in [decide(&policy, &input), decide(&interpreted(policy), &input)] {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains(&format!("signing with {alg} and this key is not served")), "{error}");
            assert!(!error.contains(secret), "{error}");
        }
    }
}

#[test]
fn what_is_not_served_ends_the_evaluation() {
    let mut input = cases()["input"].clone();
    input["long"] = json!("x".repeat(65_537));
    input["keys"] = json!(json!({"keys": vec![json!({}); 65]}).to_string());
    let many = format!(
        "[x | some i in numbers.range(1, {}); x := io.jwt.verify_hs256(input.token.HS256, concat(\"\", [input.secret, \
         sprintf(\"%d\", [i])]))]",
        EvaluationBudget::default().signatures + 1
    );
    for (expression, expected) in [
        ("io.jwt.verify_rs256(input.token.short, input.pem.rsa1024)", "an RSA modulus of 1024 bits"),
        ("io.jwt.verify_rs256(input.token.short, input.jwk.rsa1024)", "an RSA modulus of 1024 bits"),
        ("io.jwt.verify_rs256(input.token.short, input.set_short)", "an RSA modulus of 1024 bits"),
        ("io.jwt.decode(input.long)", "a token of more than 65536 bytes"),
        ("io.jwt.verify_rs256(input.token.RS256, input.keys)", "more than 64 keys"),
        ("io.jwt.decode(\"e30._w.\")", "a token that is not UTF-8"),
        ("io.jwt.decode_verify(input.token.HS256, {\"secret\": input.secret})", "there is no clock"),
        (&many, "more signatures than one evaluation may check"),
        ("io.jwt.encode_sign_raw(input.long, \"\", \"\")", "header, payload or key of more than 65536 bytes"),
        ("io.jwt.encode_sign_raw(\"{\", \"{}\", \"\")", "a header to sign: malformed JSON"),
        ("io.jwt.encode_sign_raw(`{\"alg\": \"HS256\", \"alg\": \"HS512\"}`, \"{}\", \"\")", "duplicate key"),
    ] {
        let policy = policy(&format!("decision := [1 | not {expression}]"));
        for policy in [decide(&policy, &input), decide(&interpreted(policy), &input)] {
            let error = policy.unwrap_err().to_string();
            assert!(error.contains(expected), "{expression}: {error}");
        }
    }
}

#[test]
fn how_many_signatures_and_how_long_a_token_is_for_the_operator_to_say() {
    let verify = |keys: usize| {
        let call = "io.jwt.verify_hs256(input.token.HS256, sprintf(\"%d\", [i]))";
        policy(&format!("decision := [x | some i in numbers.range(1, {keys}); x := {call}]"))
    };
    let length = cases()["input"]["token"]["HS256"].as_str().unwrap().len();
    let budget =
        |signatures, token_bytes| EvaluationBudget { signatures, token_bytes, ..EvaluationBudget::default() };
    for (keys, budget, expected) in [
        (2, budget(2, length), None),
        (3, budget(2, length), Some("more signatures than one evaluation may check".to_owned())),
        (1, budget(0, length), Some("more signatures than one evaluation may check".to_owned())),
        (40, budget(40, length), None),
        (1, budget(1, length - 1), Some(format!("a token of more than {} bytes", length - 1))),
    ] {
        let outcome = verify(keys).evaluate(Document::from_json(&cases()["input"]), &budget);
        let message = expected.map(|message| format!("io.jwt: {message}"));
        let error = match outcome {
            Err(crate::policy::EvaluationError::Failed { message, .. }) => Some(message),
            outcome => outcome.map(|_| None).unwrap(),
        };
        assert_eq!(error, message, "{keys} {budget:?}");
    }
}

#[test]
fn without_a_time_the_clock_counts() {
    let verify = "io.jwt.decode_verify(input.token.HS256, {\"secret\": input.secret, \"aud\": \"forum\"})[0]";
    let policy = policy(&format!("decision := {verify}"));
    assert!(!policy.reads().repeats());
    for (seconds, expected) in [(999, false), (1_000, true), (1_999, true), (2_000, false)] {
        let now = Now(seconds * 1_000_000_000);
        let input = Document::from_json(&cases()["input"]);
        let evaluated =
            policy.evaluate_in(&mut Surroundings::at(now), input, &EvaluationBudget::default()).unwrap();
        assert_eq!(evaluated.value.to_json(), Some(json!(expected)), "{seconds}");
    }
}
