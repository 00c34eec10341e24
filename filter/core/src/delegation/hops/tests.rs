//! Hop lists that hold, and those that do not.
#![expect(clippy::arithmetic_side_effects, reason = "positions in a test's own lists")]

use std::sync::Arc;

use base64::Engine as _;
use serde_json::json;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::token::testing::{AUDIENCE, ISSUER, NOW, Signer, at, claims, verify as verify_token, with};
use crate::token::{Attenuation, PromptDigests};

/// An issuer, and the holders of four keys.
struct Chain {
    issuer: Signer,
    holders: Vec<Signer>,
}

fn tools(text: Value) -> Value {
    json!([{ "type": task::GRANT, "tools": { "forum.read": { "text": text }, "forum.list": {} } }])
}

impl Chain {
    fn new() -> Self {
        let holder = |n: usize| {
            let algorithm = if n.is_multiple_of(2) { Algorithm::EdDsa } else { Algorithm::Es256 };
            Signer::new(algorithm, "holder")
        };
        Self { issuer: Signer::new(Algorithm::Es256, "k1"), holders: (0..4).map(holder).collect() }
    }

    fn root(&self, changes: &Value) -> String {
        let root = json!({
            "act": null, "cnf": { "jwk": self.holders[0].jwk() }, "del_depth": 0, "del_max_depth": 3,
            "authorization_details": tools(json!({ "constraint_type": "wildcard" })),
        });
        self.issuer.token(&with(with(claims(), &root), changes))
    }

    /// A token for holder `to`, derived by the one before from `parent`.
    fn derived(&self, to: usize, parent: &str, changes: &Value) -> String {
        let by = &self.holders[to - 1];
        let (signed, _) = parent.rsplit_once('.').unwrap();
        let hop = json!({
            "iss": thumbprint(&by.jwk()).unwrap(), "jti": format!("h-{to}"), "iat": NOW - 200, "exp": NOW + 200,
            "cnf": { "jwk": self.holders[to].jwk() }, "del_depth": to, "del_max_depth": 3,
            "par_hash": URL_SAFE_NO_PAD.encode(Sha256::digest(signed)),
            "authorization_details": tools(json!({ "constraint_type": "one_of", "values": ["a", "b"] })),
        });
        self.signed(to - 1, HOP_TYPE, &with(hop, changes))
    }

    fn signed(&self, by: usize, typ: &str, claims: &Value) -> String {
        let by = &self.holders[by];
        let header = json!({ "alg": by.algorithm, "kid": "holder", "typ": typ });
        by.token_of(&header.to_string(), &claims.to_string())
    }

    fn verify(&self, root: &str, hops: &[String]) -> Result<(Delegation, Box<Grant>), DelegationError> {
        self.verify_with(&rules(), root, hops)
    }

    fn verify_with(
        &self,
        rules: &IssuerRules,
        root: &str,
        hops: &[String],
    ) -> Result<(Delegation, Box<Grant>), DelegationError> {
        let keys = self.issuer.key_set();
        let token = verify_token(root, &Arc::new(rules.clone()), &keys).unwrap();
        let hops = (!hops.is_empty()).then(|| hops.join("~"));
        let mut delegation = Delegation::resolve(&token, rules)?;
        let grant =
            delegation.attest(&token, hops.as_deref(), rules, Some(&keys), &TokenLimits::default())?;
        Ok((delegation, grant.unwrap()))
    }

    fn proof(&self, by: usize, changes: &Value) -> String {
        let proof = json!({ "jti": "p-1", "iat": NOW, "aat_id": "h-1", "aat_tool": "forum.read", "aat_aud": AUDIENCE,
            "hta": { "text": "a" } });
        self.signed(by, PROOF_TYPE, &with(proof, changes))
    }
}

fn rules() -> IssuerRules {
    let algorithms = [Algorithm::Es256, Algorithm::EdDsa];
    IssuerRules { attenuation: Attenuation::HopList, ..IssuerRules::new(ISSUER, &algorithms, AUDIENCE) }
}

#[test]
fn a_hop_list_reads_as_documented() {
    let chain = Chain::new();
    let uri = |n: usize| json!({ "iss": ISSUER, "sub": thumbprint(&chain.holders[n].jwk()).unwrap() });
    let root = chain.root(&json!({}));
    let one = chain.derived(1, &root, &json!({}));
    let two = chain.derived(2, &one, &json!({}));
    for (hops, actors) in [
        (vec![], vec![uri(0)]),
        (vec![one.clone()], vec![uri(1), uri(0)]),
        (vec![one, two], vec![uri(2), uri(1), uri(0)]),
    ] {
        let (delegation, _) = chain.verify(&root, &hops).unwrap();
        let read = serde_json::to_value(&delegation).unwrap();
        assert_eq!(read["evidence"], "hop_list");
        assert_eq!((&read["chain"], &read["actor"]), (&json!(actors), &actors[0]));
        assert_eq!((&read["depth"], &read["actor_kind"]), (&json!(actors.len()), &json!("unknown")));
        assert_eq!(read["principal"], json!({ "iss": ISSUER, "sub": "alice", "kind": "human" }));
    }
    // `act` names the holder of the root's key.
    let root = chain.root(&json!({ "act": { "sub": "agent-7", "sub_profile": "service" } }));
    let one = chain.derived(1, &root, &json!({}));
    let (alone, _) = chain.verify(&root, &[]).unwrap();
    assert_eq!((alone.chain[0].sub.as_str(), alone.actor_kind), ("agent-7", Some(PrincipalKind::Service)));
    let (delegation, _) = chain.verify(&root, std::slice::from_ref(&one)).unwrap();
    assert_eq!(delegation.chain[1].sub, "agent-7");
    let strict = IssuerRules { prompt_digest: PromptDigests::Required, ..rules() };
    assert!(chain.verify_with(&strict, &root, &[]).is_ok());
    let error = chain.verify_with(&strict, &root, &[one]).unwrap_err();
    assert_eq!(error, DelegationError::PromptDigestMissing, "nothing says that the second holder is no AI");
}

#[test]
fn thumbprints_are_those_of_the_rfcs() {
    let ed25519 = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "x" });
    assert_eq!(
        thumbprint(&ed25519).unwrap(),
        format!("{THUMBPRINT}kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k")
    );
    assert_eq!(thumbprint(&json!({ "kty": "oct", "k": "AAAA" })), None);
}

#[test]
fn a_root_has_what_a_root_needs() {
    let chain = Chain::new();
    let grant = tools(json!({ "constraint_type": "wildcard" }))[0].clone();
    let task = json!({ "type": "agent_task", "task_id": "t" });
    assert!(chain.verify(&chain.root(&json!({ "authorization_details": [task, grant] })), &[]).is_ok());
    let mut private = chain.holders[0].jwk();
    private["d"] = json!("AAAA");
    for (changes, member) in [
        (json!({ "cnf": null }), "cnf"),
        (json!({ "cnf": { "jwk": { "kty": "oct", "k": "AAAA" } } }), "cnf"),
        (json!({ "cnf": { "jwk": private } }), "cnf"),
        (json!({ "jti": null }), "jti"),
        (json!({ "del_depth": null }), "del_depth"),
        (json!({ "del_depth": 1 }), "del_depth"),
        (json!({ "par_hash": "AAAA" }), "del_depth"),
        (json!({ "del_max_depth": -1 }), "del_max_depth"),
        (json!({ "authorization_details": null }), "authorization_details"),
        (json!({ "authorization_details": [task] }), "authorization_details"),
        (json!({ "authorization_details": [grant, grant] }), "authorization_details"),
        (json!({ "authorization_details": [with(grant.clone(), &json!({ "max": 1 }))] }), "tools"),
        (json!({ "authorization_details": [with(grant.clone(), &json!({ "tools": ["a"] }))] }), "tools"),
        (
            json!({ "authorization_details": tools(json!({ "constraint_type": "regex", "pattern": "." })) }),
            "tools",
        ),
    ] {
        let error = chain.verify(&chain.root(&changes), &[]).unwrap_err();
        assert_eq!(error, DelegationError::HopsMissing { member }, "{changes}");
        assert!(!error.is_invalid_token());
    }
    let nested = json!({ "act": { "sub": "a", "act": { "sub": "b" } } });
    let error = chain.verify(&chain.root(&nested), &[]).unwrap_err();
    assert_eq!(error, DelegationError::ProfileMismatch { claim: "act" });
}

#[test]
fn a_bound_token_that_is_no_root_stays_bound() {
    let chain = Chain::new();
    let key = URL_SAFE_NO_PAD.encode([7; 32]);
    let both = json!({ "cnf": { "jwk": chain.holders[0].jwk(), "jkt": key } });
    let plain = IssuerRules { attenuation: Attenuation::Asserted, ..rules() };
    for (rules, root, expected) in [
        (rules(), chain.root(&both), "confirmation_unsupported"),
        (rules(), chain.root(&json!({ "cnf": { "jkt": key } })), "token_bound"),
        (plain, chain.root(&json!({})), "confirmation_unsupported"),
    ] {
        let error = verify_token(&root, &Arc::new(rules), &chain.issuer.key_set()).unwrap_err();
        assert_eq!(error.reason().as_str(), expected);
    }
}

#[test]
fn every_fault_of_a_hop_is_found() {
    let chain = Chain::new();
    let root = chain.root(&json!({}));
    let invalid = |member| DelegationError::HopInvalid { hop: 1, member };
    let widens = |member| DelegationError::HopWidens { hop: 1, member };
    for (changes, expected) in [
        (json!({ "iss": ISSUER }), invalid("iss")),
        (json!({ "iss": thumbprint(&chain.holders[1].jwk()) }), invalid("iss")),
        (json!({ "iss": null }), invalid("jws")),
        (json!({ "par_hash": null }), invalid("par_hash")),
        (json!({ "par_hash": URL_SAFE_NO_PAD.encode([0; 32]) }), invalid("par_hash")),
        (json!({ "cnf": { "jkt": "x" } }), invalid("cnf")),
        (json!({ "jti": "j-1" }), invalid("jti")),
        (json!({ "jti": 1 }), invalid("jti")),
        (json!({ "exp": NOW - 200 }), invalid("exp")),
        (json!({ "aud": "https://other.example" }), invalid("unknown claim")),
        (json!({ "nbf": NOW + 100 }), invalid("unknown claim")),
        (json!({ "del_depth": 4 }), invalid("del_depth")),
        (json!({ "authorization_details": [] }), invalid("authorization_details")),
        (
            json!({ "authorization_details": [tools(json!({ "constraint_type": "wildcard" }))[0], { "type": "x" }] }),
            invalid("authorization_details"),
        ),
        (
            json!({ "authorization_details": tools(json!({ "constraint_type": "unheard_of" })) }),
            invalid("tools"),
        ),
        (json!({ "del_depth": 0 }), widens("del_depth")),
        (json!({ "del_depth": 2 }), widens("del_depth")),
        (json!({ "del_max_depth": 4 }), widens("del_max_depth")),
        (json!({ "exp": NOW + 301 }), widens("exp")),
        (json!({ "iat": NOW - 301 }), widens("iat")),
        (
            json!({ "authorization_details": [{ "type": task::GRANT, "tools": { "forum.delete": {} } }] }),
            widens("tools"),
        ),
        (
            json!({ "authorization_details": [{ "type": task::GRANT, "tools": { "forum.read": {} } }] }),
            widens("tools"),
        ),
        (json!({ "cnf": { "jwk": chain.holders[0].jwk() } }), DelegationError::Cycle { hop: 1 }),
    ] {
        let hop = chain.derived(1, &root, &changes);
        let error = chain.verify(&root, &[hop]).unwrap_err();
        assert_eq!(error, expected, "{changes}");
        let malformed = matches!(error, DelegationError::HopInvalid { .. } | DelegationError::Cycle { .. });
        assert_eq!(error.is_invalid_token(), malformed);
    }
}

#[test]
fn a_hop_is_signed_by_the_one_before_and_bound_to_it() {
    let chain = Chain::new();
    let root = chain.root(&json!({}));
    let one = chain.derived(1, &root, &json!({}));
    let two = chain.derived(2, &one, &json!({}));
    let other_root = chain.root(&json!({ "jti": "j-2" }));
    let claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(one.split('.').nth(1).unwrap()).unwrap()).unwrap();
    let wrong_type = chain.signed(0, "at+jwt", &claims);
    let wrong_key = chain.signed(2, HOP_TYPE, &claims);
    let invalid = |hop, member| DelegationError::HopInvalid { hop, member };
    for (root, hops, expected) in [
        (&root, vec![two.clone()], invalid(1, "signature")),
        (&root, vec![two.clone(), one.clone()], invalid(1, "signature")),
        (&root, vec![wrong_type], invalid(1, "signature")),
        (&root, vec![wrong_key], invalid(1, "signature")),
        (&other_root, vec![one.clone()], invalid(1, "par_hash")),
        (&root, vec![one.clone(), String::new()], invalid(2, "jws")),
        (&root, vec![format!("{one},{one}")], invalid(1, "jws")),
        (&root, vec![one.clone(), two.clone(), two.clone()], invalid(3, "signature")),
    ] {
        assert_eq!(chain.verify(root, &hops).unwrap_err(), expected);
    }
    let short = IssuerRules { max_chain_depth: 2, ..rules() };
    let error = chain.verify_with(&short, &root, &[one.clone(), two.clone()]).unwrap_err();
    assert_eq!(error, DelegationError::TooDeep { limit: 2 });
    let few = IssuerRules { max_task_items: 1, ..rules() };
    let error = chain.verify_with(&few, &root, &[]).unwrap_err();
    assert_eq!(error, DelegationError::HopsMissing { member: "tools" });
    let asserted = IssuerRules { attenuation: Attenuation::Asserted, ..rules() };
    let token = chain.issuer.token(&crate::token::testing::claims());
    let error = chain.verify_with(&asserted, &token, &[one]).unwrap_err();
    assert_eq!(error, DelegationError::HopsUnexpected);
}

fn action(operation: &str, arguments: Value) -> Action {
    let effects = crate::action::Effects::NONE;
    Action {
        protocol: Protocol::Mcp,
        classified: true,
        operation: operation.to_owned(),
        verb: if operation == "initialize" { Verb::Session } else { Verb::Read },
        method: "tools/call".to_owned(),
        tool: None,
        resource: None,
        effects,
        arguments,
        counterparties: Vec::new(),
        missing: Vec::new(),
        mcp_id: None,
    }
}

#[test]
fn an_action_needs_its_proof_and_its_grant() {
    let chain = Chain::new();
    let root = chain.root(&json!({}));
    let one = chain.derived(1, &root, &json!({}));
    let (_, grant) = chain.verify(&root, &[one]).unwrap();
    let invalid = |member| DelegationError::ProofInvalid { member };
    let not_granted = |member| DelegationError::NotGranted { member };
    let read = action("forum.read", json!({ "text": "a" }));
    let other = json!({ "aat_tool": "forum.delete", "hta": {} });
    let listed = json!({ "aat_tool": "forum.list", "hta": { "any": [1, { "b": 2 }] } });
    let session = json!({ "aat_tool": "initialize", "hta": {} });
    let argument = |text: Value| (action("forum.read", text.clone()), json!({ "hta": text }));
    for (action, changes, expected) in [
        (read.clone(), json!({}), Ok(())),
        (read.clone(), json!({ "iat": NOW - 90 }), Ok(())),
        (read.clone(), json!({ "iat": NOW - 91 }), Err(invalid("iat"))),
        (read.clone(), json!({ "iat": NOW + 31 }), Err(invalid("iat"))),
        (read.clone(), json!({ "iat": null }), Err(invalid("iat"))),
        (read.clone(), json!({ "jti": null }), Err(invalid("jti"))),
        (read.clone(), json!({ "aat_id": "j-1" }), Err(invalid("aat_id"))),
        (read.clone(), json!({ "aat_aud": "https://other.example" }), Err(invalid("aat_aud"))),
        (read.clone(), json!({ "aat_aud": null }), Err(invalid("aat_aud"))),
        (read.clone(), json!({ "aat_tool": "forum.list" }), Err(invalid("aat_tool"))),
        (read.clone(), json!({ "hta": { "text": "b" } }), Err(invalid("hta"))),
        (read.clone(), json!({ "hta": "a" }), Err(invalid("hta"))),
        (read.clone(), json!({ "hta": null }), Err(invalid("hta"))),
        (read.clone(), json!({ "nonce": 1 }), Err(invalid("unknown claim"))),
        (action("forum.list", json!({ "any": [1, { "b": 2 }] })), listed, Ok(())),
        (action("forum.delete", json!({})), other, Err(not_granted("tool"))),
        (action("initialize", Value::Null), session.clone(), Ok(())),
        (action("initialize", json!({ "a": 1 })), session, Err(invalid("hta"))),
        (argument(json!({ "text": "b" })).0, argument(json!({ "text": "b" })).1, Ok(())),
        (
            argument(json!({ "text": "c" })).0,
            argument(json!({ "text": "c" })).1,
            Err(not_granted("argument")),
        ),
        (argument(json!({})).0, argument(json!({})).1, Err(not_granted("argument"))),
        (
            argument(json!({ "text": "a", "force": true })).0,
            argument(json!({ "text": "a", "force": true })).1,
            Err(not_granted("argument")),
        ),
        (action("forum.read", json!([1])), json!({}), Err(not_granted("argument"))),
    ] {
        let (text, limits) = (chain.proof(1, &changes), TokenLimits::default());
        let proof = Proof { text: Some(&text), limits: &limits, body_unseen: false };
        assert_eq!(grant.admit(&action, proof, at(NOW)).map(|_| ()), expected, "{changes}");
    }
    let limits = TokenLimits::default();
    let admit = |text: Option<&str>, body_unseen, now| {
        grant.admit(&read, Proof { text, limits: &limits, body_unseen }, at(now))
    };
    let good = chain.proof(1, &json!({}));
    assert_eq!(admit(None, false, NOW), Err(DelegationError::ProofMissing));
    assert_eq!(admit(Some("x"), false, NOW), Err(invalid("jws")));
    assert_eq!(admit(Some(&chain.proof(0, &json!({}))), false, NOW), Err(invalid("signature")));
    assert_eq!(admit(Some(&good), true, NOW), Err(not_granted("body")));
    let late = chain.proof(1, &json!({ "iat": NOW + 229 }));
    assert_eq!(admit(Some(&late), false, NOW + 229), Ok(UnixSeconds(NOW + 229)));
    assert_eq!(admit(Some(&late), false, NOW + 230), Err(invalid("leaf")), "the leaf ends before its root");
    for (proven, now, expected) in [
        (NOW, NOW + 90, Ok(())),
        (NOW, NOW + 91, Err(invalid("iat"))),
        (NOW + 229, NOW + 230, Err(invalid("leaf"))),
    ] {
        assert_eq!(grant.times_hold(UnixSeconds(proven), at(now)), expected, "{proven} {now}");
    }
}
