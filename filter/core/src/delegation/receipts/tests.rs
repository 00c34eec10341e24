//! Receipts that hold, and those that do not.
#![expect(clippy::arithmetic_side_effects, reason = "seconds of a test")]

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::delegation::{Delegation, DelegationError};
use crate::keys::Algorithm;
use crate::token::testing::{AUDIENCE, ISSUER, NOW, Signer, claims, verify, with};
use crate::token::{Attenuation, IssuerRules, TokenLimits};

const ALGORITHM: Algorithm = Algorithm::EdDsa;

/// A receipt for this actor.
fn receipt(actor: &str, n: u64, changes: &Value) -> Value {
    let receipt = json!({
        "iss": ISSUER, "sub": "alice", "act": { "iss": ISSUER, "sub": actor }, "jti": format!("r-{n}"),
        "iat": NOW - 300 - n, "exp": NOW + 300,
        "bounds": { "scope": "forum:read forum:write", "aud": AUDIENCE },
    });
    with(receipt, changes)
}

/// Signs receipts, newest first, each linked to the next.
fn signed(signer: &Signer, typ: &str, receipts: &[Value]) -> Vec<String> {
    let header = json!({ "alg": ALGORITHM, "kid": "k1", "typ": typ }).to_string();
    let mut texts: Vec<String> = Vec::new();
    for receipt in receipts.iter().rev() {
        let mut receipt = receipt.clone();
        if let Some(older) = texts.first().filter(|_| receipt.get("prh").is_none()) {
            receipt["prh"] = json!(URL_SAFE_NO_PAD.encode(Sha256::digest(older)));
        }
        texts.insert(0, signer.token_of(&header, &receipt.to_string()));
    }
    texts
}

fn attest(signer: &Signer, changes: &Value) -> Result<Delegation, DelegationError> {
    let rules = IssuerRules {
        attenuation: Attenuation::Receipts,
        ..IssuerRules::new(ISSUER, &[ALGORITHM], AUDIENCE)
    };
    let act = json!({ "act": { "sub": "writer", "act": { "sub": "planner" } } });
    let text = signer.token(&with(with(claims(), &act), changes));
    let limits = TokenLimits { max_bytes: 32 * 1024, ..TokenLimits::default() };
    let compact = crate::token::Compact::parse(&text, &limits).unwrap();
    let keys = signer.key_set();
    let unverified =
        crate::token::Unverified::prepare(compact, &Arc::new(rules.clone()), Some(&keys)).unwrap();
    let token = unverified.verify(crate::token::testing::at(NOW)).unwrap();
    let mut delegation = Delegation::resolve(&token, &rules)?;
    delegation.attest(&token, None, &rules, Some(&keys), &limits)?;
    Ok(delegation)
}

#[test]
fn a_receipt_for_every_actor_is_evidence() {
    let signer = Signer::new(ALGORITHM, "k1");
    let wide = json!({ "bounds": { "scope": "forum:read forum:write forum:admin" } });
    let receipts = signed(
        &signer,
        "actor-receipt+jwt",
        &[receipt("writer", 1, &json!({})), receipt("planner", 2, &wide)],
    );
    let delegation = attest(&signer, &json!({ "actor_receipts": receipts })).unwrap();
    assert_eq!(serde_json::to_value(&delegation).unwrap()["evidence"], "receipts");
    assert_eq!(delegation.depth, 2);
    assert!(attest(&signer, &json!({ "act": null })).is_ok(), "where nobody acts there is nothing to prove");
}

#[test]
fn every_fault_of_a_receipt_is_found() {
    let signer = Signer::new(ALGORITHM, "k1");
    let (newest, oldest) = (receipt("writer", 1, &json!({})), receipt("planner", 2, &json!({})));
    for (hop, changes, member) in [
        (1, json!({ "iss": "https://other.example" }), "iss"),
        (2, json!({ "sub": "mallory" }), "sub"),
        (1, json!({ "sub": null }), "sub"),
        (1, json!({ "act": { "iss": ISSUER, "sub": "planner" } }), "act"),
        (1, json!({ "act": { "sub": "writer" } }), "act"),
        (1, json!({ "act": { "iss": ISSUER, "sub": "writer", "act": { "sub": "planner" } } }), "act"),
        (1, json!({ "act": "writer" }), "act"),
        (1, json!({ "jti": null }), "jti"),
        (2, json!({ "jti": "r-1" }), "jti"),
        (2, json!({ "exp": NOW + 299 }), "exp"),
        (2, json!({ "exp": "never" }), "exp"),
        (1, json!({ "iat": NOW + 31 }), "iat"),
        (2, json!({ "iat": NOW - 300 }), "iat"),
        (1, json!({ "prh": "AAAA" }), "prh"),
        (2, json!({ "prh": "AAAA" }), "prh"),
        (1, json!({ "prh_alg": "sha-512" }), "prh_alg"),
        (1, json!({ "bounds": null }), "bounds"),
        (1, json!({ "bounds": { "scope": "forum:read forum:write", "budget": 1 } }), "bounds"),
    ] {
        let receipts = match hop {
            1 => [with(newest.clone(), &changes), oldest.clone()],
            _ => [newest.clone(), with(oldest.clone(), &changes)],
        };
        let receipts = signed(&signer, "actor-receipt+jwt", &receipts);
        let error = attest(&signer, &json!({ "actor_receipts": receipts })).unwrap_err();
        assert_eq!(error, DelegationError::ReceiptInvalid { hop, member }, "{changes}");
        assert!(error.is_invalid_token());
    }
}

#[test]
fn receipts_are_the_issuers_and_complete() {
    let signer = Signer::new(ALGORITHM, "k1");
    let other = Signer::new(ALGORITHM, "k1");
    let all = [receipt("writer", 1, &json!({})), receipt("planner", 2, &json!({}))];
    let good = signed(&signer, "actor-receipt+jwt", &all);
    let invalid = |hop, member| DelegationError::ReceiptInvalid { hop, member };
    for (receipts, expected) in [
        (Value::Null, DelegationError::ReceiptsMissing),
        (json!([]), DelegationError::ReceiptsMissing),
        (json!(good[..1]), DelegationError::ReceiptsMissing),
        (json!(good[1..]), DelegationError::ReceiptsMissing),
        (json!([good[0], good[1], good[1]]), invalid(0, "actor_receipts")),
        (json!("receipt"), invalid(0, "actor_receipts")),
        (json!([good[0], 7]), invalid(1, "prh")),
        (json!([good[1], good[0]]), invalid(1, "act")),
        (json!(["a.b.c", good[1]]), invalid(1, "jws")),
        (json!(signed(&other, "actor-receipt+jwt", &all)), invalid(1, "signature")),
        (json!(signed(&signer, "at+jwt", &all)), invalid(1, "signature")),
    ] {
        let error = attest(&signer, &json!({ "actor_receipts": receipts })).unwrap_err();
        assert_eq!(error, expected);
    }
    let header = json!({ "alg": ALGORITHM, "kid": "k9", "typ": "actor-receipt+jwt" }).to_string();
    let unknown = signer.token_of(&header, &all[0].to_string());
    let error = attest(&signer, &json!({ "actor_receipts": [unknown, good[1]] })).unwrap_err();
    assert_eq!(error, invalid(1, "kid"));
}

#[test]
fn nothing_goes_beyond_its_bounds() {
    let signer = Signer::new(ALGORITHM, "k1");
    let bounds = |bounds: Value| json!({ "bounds": bounds });
    let whole = json!({ "scope": "forum:read forum:write" });
    let details = json!([{ "type": "agent_task", "task_id": "t", "actions": ["a"] }]);
    for (newest, oldest, token, expected) in [
        (json!({ "scope": "forum:read" }), whole.clone(), json!({}), Some((1, "scope"))),
        (whole.clone(), json!({ "scope": "forum:read" }), json!({}), Some((2, "scope"))),
        (whole.clone(), json!({}), json!({}), Some((2, "scope"))),
        (json!({}), json!({}), json!({ "scope": null }), None),
        (whole.clone(), whole.clone(), json!({ "resource": "r" }), Some((1, "resource"))),
        (
            whole.clone(),
            whole.clone(),
            json!({ "authorization_details": details }),
            Some((1, "authorization_details")),
        ),
        (
            with(whole.clone(), &json!({ "authorization_details": details })),
            whole.clone(),
            json!({ "authorization_details": details }),
            Some((2, "authorization_details")),
        ),
        (
            with(whole.clone(), &json!({ "authorization_details": details })),
            with(whole, &json!({ "authorization_details": details })),
            json!({ "authorization_details": details }),
            None,
        ),
    ] {
        let receipts = [receipt("writer", 1, &bounds(newest)), receipt("planner", 2, &bounds(oldest))];
        let receipts = signed(&signer, "actor-receipt+jwt", &receipts);
        let result = attest(&signer, &with(token, &json!({ "actor_receipts": receipts })));
        let expected = expected.map(|(hop, member)| DelegationError::BoundsExceeded { hop, member });
        assert_eq!(result.err(), expected);
    }
}

#[test]
fn a_secret_proves_nothing() {
    // Such a configuration is refused; were it not, the receipts would still need a public key's signature.
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let token = verify(&signer.token(&claims()), &signer.rules(), &signer.key_set()).unwrap();
    let rules = IssuerRules { attenuation: Attenuation::Receipts, ..(*signer.rules()).clone() };
    let mut delegation = Delegation::resolve(&token, &rules).unwrap();
    let error = delegation.attest(&token, None, &rules, None, &TokenLimits::default()).unwrap_err();
    assert_eq!(error, DelegationError::ReceiptsMissing);
}
