//! Bound tokens, statuses and sign-ins: what has to come with a token whenever it is used, remembered or not.

use super::*;
use crate::dpop::tests::proof;
use crate::keys::thumbprint;
use crate::status::tests::{URI, compressed, list};
use crate::token::testing::{ISSUER, base64};

const THREAD: &str = "https://forum.example/threads/1";
const CERTIFICATE: [u8; 32] = [0xab; 32];

fn world(issuer: &Value, changes: &Value) -> World {
    let mut world = World::with(POLICY, changes);
    // The keys of the world go with the changed issuer.
    let mut config = serde_json::to_value(&world.engine.config).unwrap();
    config["issuers"][0] = with(config["issuers"][0].clone(), issuer);
    world.engine = Engine::configure(config.to_string().as_bytes()).unwrap();
    world
}

fn header<'a>(came: &'a Came, name: &str) -> &'a str {
    let reply = came.reply.as_ref().unwrap();
    reply.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value.as_str())
}

impl World {
    fn bound(&self, cnf: &Value) -> String {
        self.idp.token(&with(claims(), &json!({ "cnf": cnf })))
    }

    fn get(&mut self, authorization: &str, proof: Option<&str>) -> Came {
        let mut headers = vec![("authorization", authorization)];
        headers.extend(proof.map(|proof| ("dpop", proof)));
        self.send(("GET", "/threads/1"), &headers, None)
    }
}

#[test]
fn a_bound_token_needs_a_fresh_proof_every_time() {
    let mut world = World::new();
    let agent = Signer::new(Algorithm::Es256, "agent");
    let token = world.bound(&json!({ "jkt": base64(thumbprint(&agent.jwk()).unwrap()) }));
    let other = world.bound(&json!({ "jkt": base64([1; 32]) }));
    let bound = format!("DPoP {token}");
    let made = |jti: &str| proof(&agent, ("GET", THREAD), &token, (&json!({}), &json!({ "jti": jti })));
    let first = world.get(&bound, Some(&made("1")));
    assert_eq!((first.summary(), first.cached), ((0, "allow", "reads"), Some(false)));
    assert!(!first.removed.contains(&"dpop".to_owned()), "the upstream may be a resource too");
    for _ in 0..2 {
        let came = world.get(&bound, Some(&made("1")));
        assert_eq!((came.summary(), came.cached), ((401, "deny", "proof_replayed"), Some(true)));
    }
    let garbage = "eyJ";
    for (authorization, proof, reason, told) in [
        (format!("Bearer {token}"), Some(made("2")), "bound_token_as_bearer", "invalid_token"),
        (bound.clone(), None, "proof_missing", "invalid_dpop_proof"),
        (bound.clone(), Some(garbage.to_owned()), "proof_malformed", "invalid_dpop_proof"),
        (format!("DPoP {other}"), Some(made("2")), "proof_key_mismatch", "invalid_dpop_proof"),
        (format!("DPoP {token}x"), Some(made("2")), "token_malformed", "invalid_token"),
    ] {
        let came = world.get(&authorization, proof.as_deref());
        assert_eq!(came.summary(), (401, "deny", reason));
        let expected = format!(r#"DPoP error="{told}", algs="ES256 ES384 EdDSA RS256 PS256""#);
        assert_eq!(header(&came, "www-authenticate"), expected);
        assert_eq!(came.told()["reasons"], json!([told]));
        let record = came.record.to_string();
        assert!(!record.contains("eyJ"), "{record}");
        if reason.starts_with("proof") {
            assert_eq!(came.record["agent"]["sub"], "agent-7", "whose token it is, is recorded");
        }
    }
    let twice = [("authorization", bound.as_str()), ("dpop", &made("2")), ("DPoP", &made("3"))];
    let came = world.send(("GET", "/threads/1"), &twice, None);
    assert_eq!(came.summary(), (400, "deny", "header_ambiguous"));
    let came = world.get(&format!("DPoP {}", world.token()), Some(&made("2")));
    assert_eq!(came.summary(), (401, "deny", "unbound_token_with_proof"));
    assert_eq!(
        world.get(&bound, Some(&made("2"))).summary(),
        (0, "allow", "reads"),
        "nothing of it was spent"
    );
    let elsewhere = [("authorization", bound.as_str()), ("dpop", &made("4"))];
    let came = world.send(("GET", "/threads/2"), &elsewhere, None);
    assert_eq!(came.summary(), (401, "deny", "proof_uri_mismatch"));
}

#[test]
fn the_host_may_check_proofs_and_races_are_retried() {
    let mut world = World::new();
    let agent = Signer::new(Algorithm::Es256, "agent");
    let token = world.bound(&json!({ "jkt": base64(thumbprint(&agent.jwk()).unwrap()) }));
    let bound = format!("DPoP {token}");
    let made =
        |jti: u8| proof(&agent, ("GET", THREAD), &token, (&json!({}), &json!({ "jti": jti.to_string() })));
    assert_eq!(world.get(&bound, Some(&made(1))).outcome, "allow");
    assert_eq!(world.asked_host, 2, "for the token, then for the proof");
    world.host = Some(false);
    assert_eq!(world.get(&bound, Some(&made(2))).reasons, "proof_signature_invalid");
    world.host = Some(true);
    world.conflicts = 8;
    assert_eq!(world.get(&bound, Some(&made(3))).outcome, "allow");
    world.conflicts = 9;
    assert_eq!(world.get(&bound, Some(&made(4))).summary(), (503, "deny", "state_unavailable"));
    world.conflicts = 0;
    let keys: Vec<_> = world.shared.keys().cloned().collect();
    assert!(keys.iter().all(|key| key.starts_with("remit/proofs/")), "{keys:?}");
    for (value, _) in world.shared.values_mut() {
        value.push(0);
    }
    assert_eq!(world.get(&bound, Some(&made(3))).summary(), (503, "deny", "state_unavailable"));
}

#[test]
fn a_full_slot_takes_no_further_proof() {
    let limits = json!({ "limits": { "proof_slots": 1, "proofs_per_slot": 2 } });
    let mut world = World::with(POLICY, &limits);
    let agent = Signer::new(Algorithm::EdDsa, "agent");
    let claims = with(claims(), &json!({ "cnf": { "jkt": base64(thumbprint(&agent.jwk()).unwrap()) } }));
    let token = world.idp.token(&claims);
    let bound = format!("DPoP {token}");
    let mut send = |jti: u8, now: u64| {
        let changes = json!({ "jti": jti.to_string(), "iat": now });
        let proof = proof(&agent, ("GET", THREAD), &token, (&json!({}), &changes));
        let headers = [("authorization", bound.as_str()), ("dpop", &proof)];
        world.send_at(now, ("GET", "/threads/1"), &headers, None).reasons
    };
    assert_eq!([send(1, NOW), send(2, NOW), send(3, NOW)], ["reads", "reads", "proofs_full"]);
    assert_eq!(send(1, NOW), "proof_replayed");
    assert_eq!(send(3, NOW + 90), "proofs_full");
    assert_eq!(send(3, NOW + 91), "reads");
}

#[test]
fn a_certificate_comes_from_the_proxy_alone() {
    let mut world = World::new();
    let token = world.bound(&json!({ "x5t#S256": base64(CERTIFICATE) }));
    let bearer = format!("Bearer {token}");
    let hex = "ab".repeat(32);
    for (certificate, expected) in [
        (Some(hex.clone()), (0, "allow", "reads")),
        (Some(hex.to_uppercase()), (0, "allow", "reads")),
        (None, (401, "deny", "certificate_missing")),
        (Some(String::new()), (401, "deny", "certificate_missing")),
        (Some("cd".repeat(32)), (401, "deny", "certificate_mismatch")),
        (Some(hex[2..].to_owned()), (401, "deny", "certificate_mismatch")),
    ] {
        world.certificate = certificate.clone();
        let came = world.get(&bearer, None);
        assert_eq!(came.summary(), expected, "{certificate:?}");
        if came.reply.is_some() {
            assert_eq!(header(&came, "www-authenticate"), r#"Bearer error="invalid_token""#);
        }
    }
    world.certificate = None;
    let forged = format!("Hash={hex}");
    let headers = [("authorization", bearer.as_str()), ("x-forwarded-client-cert", &forged)];
    assert_eq!(world.send(("GET", "/threads/1"), &headers, None).reasons, "certificate_missing");
    world.certificate = Some(hex.clone());
    let came = world.get(&format!("DPoP {token}"), None);
    assert_eq!(came.reasons, "unbound_token_with_proof");
    let asked = world.asked_certificate;
    assert_eq!(world.read().outcome, "allow");
    assert_eq!(world.asked_certificate, asked, "of a token that is not bound so nobody asks");
}

#[test]
fn both_members_have_to_hold() {
    let mut world = World::new();
    let agent = Signer::new(Algorithm::EdDsa, "agent");
    let jkt = base64(thumbprint(&agent.jwk()).unwrap());
    let token = world.bound(&json!({ "x5t#S256": base64(CERTIFICATE), "jkt": jkt }));
    let bound = format!("DPoP {token}");
    let made = proof(&agent, ("GET", THREAD), &token, (&json!({}), &json!({})));
    assert_eq!(world.get(&bound, Some(&made)).reasons, "certificate_missing");
    world.certificate = Some("ab".repeat(32));
    assert_eq!(world.get(&bound, None).reasons, "proof_missing");
    assert_eq!(world.get(&bound, Some(&made)).outcome, "allow");
    assert_eq!(world.get(&bound, Some(&made)).reasons, "proof_replayed");
}

#[test]
fn an_issuer_may_require_bonds_and_statuses() {
    let mut world = world(&json!({ "sender_constraint": "required" }), &json!({}));
    assert_eq!(world.read().summary(), (401, "deny", "token_unbound"));
    world.certificate = Some("ab".repeat(32));
    let token = world.bound(&json!({ "x5t#S256": base64(CERTIFICATE) }));
    assert_eq!(world.get(&format!("Bearer {token}"), None).outcome, "allow");
    let mut world = self::world(&json!({ "status": "required" }), &json!({}));
    assert_eq!(world.read().summary(), (401, "deny", "claim_missing"));
}

#[test]
fn nobody_asks_for_the_proof_of_an_approval_so_bound_ones_are_refused() {
    let mut world = World::new();
    let challenge = world.publish(&[], "hello").told()["error"]["data"]["challenge"].clone();
    for (changes, expected) in [
        (json!({ "cnf": { "jkt": base64([1; 32]) } }), "no proof is asked for"),
        (json!({ "status": { "status_list": { "idx": 0, "uri": URI } } }), "not looked up"),
    ] {
        let approval = world.approval(&challenge, &changes);
        let came = world.publish(&[("agent-approval", &approval)], "hello");
        assert_eq!(came.summary(), (403, "deny", "approval_invalid"));
        assert!(came.record["detail"].as_str().unwrap().contains(expected), "{}", came.record);
    }
}

#[test]
fn a_stolen_token_passes_in_observe_mode_without_its_names() {
    let mut world = World::with(POLICY, &json!({ "mode": "observe" }));
    let bearer = format!("Bearer {}", world.bound(&json!({ "jkt": base64([1; 32]) })));
    let came = world.get(&bearer, None);
    assert_eq!(came.summary(), (0, "deny", "bound_token_as_bearer"));
    assert!(came.headers.iter().all(|(name, _)| name == "x-remit-decision-id"), "{:?}", came.headers);
}

#[test]
fn a_sign_in_has_to_be_good_enough_and_recent() {
    let mut world = world(
        &json!({ "authentication": { "acr_values": ["phr", "mfa"], "max_age_seconds": 600 } }),
        &json!({}),
    );
    for (acr, auth_time, good) in [
        (json!("phr"), json!(NOW - 630), true),
        (json!("phr"), json!(NOW - 631), false),
        (json!("pwd"), json!(NOW), false),
        (json!(null), json!(NOW), false),
        (json!("mfa"), json!(null), false),
    ] {
        let token = world.idp.token(&with(claims(), &json!({ "acr": acr, "auth_time": auth_time })));
        let came = world.get(&format!("Bearer {token}"), None);
        assert_eq!(came.outcome == "allow", good, "{acr} {auth_time}");
        if !good {
            assert_eq!(came.summary(), (401, "deny", "insufficient_user_authentication"));
            let expected =
                r#"Bearer error="insufficient_user_authentication", acr_values="phr mfa", max_age=600"#;
            assert_eq!(header(&came, "www-authenticate"), expected);
        }
    }
    // A remembered token grows old as well.
    let token = world.idp.token(&with(claims(), &json!({ "acr": "phr", "auth_time": NOW - 500 })));
    let bearer = format!("Bearer {token}");
    for (seconds, expected) in [(0, "reads"), (130, "reads"), (131, "insufficient_user_authentication")] {
        let headers = [("authorization", bearer.as_str())];
        assert_eq!(world.send_at(NOW + seconds, ("GET", "/threads/1"), &headers, None).reasons, expected);
    }
}

#[test]
fn a_policy_may_ask_for_a_sign_in_or_a_scope() {
    const ASKS: &str = r#"
package remit.authz

decision := {"allowed": false, "reasons": ["insufficient_user_authentication"], "acr_values": ["phr"], "max_age": 60} if {
	input.remit.token.auth_age_seconds > 60
}

decision := {"allowed": false, "reasons": ["insufficient_scope"], "scope": "forum:admin"} if {
	input.remit.token.auth_age_seconds <= 60
	input.remit.token.auth_time == input.remit.now - input.remit.token.auth_age_seconds
	input.remit.token.acr == "pwd"
}
"#;
    let mut world = World::with(ASKS, &json!({}));
    let agent = Signer::new(Algorithm::EdDsa, "agent");
    let jkt = base64(thumbprint(&agent.jwk()).unwrap());
    for (age, cnf, status, expected) in [
        (61, None, 401, r#"Bearer error="insufficient_user_authentication", acr_values="phr", max_age=60"#),
        (60, None, 403, r#"Bearer error="insufficient_scope", scope="forum:admin""#),
        (
            60,
            Some(&jkt),
            403,
            r#"DPoP error="insufficient_scope", scope="forum:admin", algs="ES256 ES384 EdDSA RS256 PS256""#,
        ),
    ] {
        let changes =
            json!({ "acr": "pwd", "auth_time": NOW - age, "cnf": cnf.map(|jkt| json!({ "jkt": jkt })) });
        let token = world.idp.token(&with(claims(), &changes));
        let scheme = if cnf.is_some() { "DPoP" } else { "Bearer" };
        let proof = proof(&agent, ("GET", THREAD), &token, (&json!({}), &json!({})));
        let came = world.get(&format!("{scheme} {token}"), Some(&proof));
        assert_eq!(came.reply.as_ref().unwrap().status, status, "{came:?}");
        assert_eq!(header(&came, "www-authenticate"), expected);
    }
    // No decision on an age is remembered.
    let token = world.idp.token(&with(claims(), &json!({ "acr": "pwd", "auth_time": NOW - 59 })));
    let bearer = format!("Bearer {token}");
    for (seconds, status) in [(0, 403), (1, 403), (2, 401)] {
        let headers = [("authorization", bearer.as_str())];
        let came = world.send_at(NOW + seconds, ("GET", "/threads/1"), &headers, None);
        assert_eq!(came.reply.as_ref().unwrap().status, status, "{seconds}");
    }
}

#[test]
fn a_status_is_looked_up_whenever_a_token_is_used() {
    let http = json!({ "cluster": "keys", "authority": "idp.example", "path": "/1", "refresh_seconds": 60,
        "max_age_seconds": 100 });
    let lists = json!({ "status_lists": [{ "uri": URI, "http": http }] });
    let mut world = world(&lists, &json!({}));
    let token = |world: &World, index: u64, uri: &str| {
        let status = json!({ "status_list": { "idx": index, "uri": uri } });
        format!("Bearer {}", world.idp.token(&with(claims(), &json!({ "status": status }))))
    };
    let mine = token(&world, 3, URI);
    assert_eq!(world.get(&mine, None).summary(), (401, "deny", "status_list_unavailable"));
    let fetch = |world: &mut World, text: &str, seconds: u64| {
        let now = at(NOW + seconds).seconds();
        let due = world.engine.due(now);
        let [(id, fetch)] = due.as_slice() else { panic!("{due:?}") };
        assert_eq!((fetch.place.path.as_str(), fetch.place.cluster.as_str()), ("/1", "keys"));
        let answer = crate::source::Answer::Response {
            status: 200,
            etag: None,
            fresh_seconds: None,
            content_type: None,
            body: text.into(),
        };
        world.engine.answered(id, answer, now).map_err(|error| error.kind())
    };
    assert!(world.engine.fetches() && !world.engine.has_fetched_everything());
    assert_eq!(fetch(&mut world, "garbage", 0).unwrap_err(), "status_list_refused");
    let valid = list(&world.idp, &compressed(&[0]), &json!({ "ttl": 20 }));
    fetch(&mut world, &valid, 1).unwrap();
    assert!(world.engine.has_fetched_everything());
    let came = world.get(&mine, None);
    assert_eq!((came.summary(), came.cached), ((0, "allow", "reads"), Some(true)));
    for (index, uri, expected) in
        [(8, URI, "status_out_of_range"), (3, "https://elsewhere.example", "status_list_unknown")]
    {
        let other = token(&world, index, uri);
        assert_eq!(world.get(&other, None).summary(), (401, "deny", expected));
    }
    // Its `ttl` asks for it sooner than the configuration does.
    assert!(world.engine.due(at(NOW + 20).seconds()).is_empty());
    let revoked = list(&world.idp, &compressed(&[0b1000]), &json!({ "iat": NOW }));
    fetch(&mut world, &revoked, 21).unwrap();
    let came = world.get(&mine, None);
    assert_eq!((came.summary(), came.cached), ((401, "deny", "status_invalid"), Some(true)));
    let suspended = json!({ "iat": NOW, "status_list": { "bits": 2, "lst": compressed(&[0b1000_0000]) } });
    let suspended = list(&world.idp, "", &suspended);
    fetch(&mut world, &suspended, 81).unwrap();
    assert_eq!(world.get(&mine, None).reasons, "status_suspended");
    let other = json!({ "iat": NOW, "status_list": { "bits": 4, "lst": compressed(&[0, 0x30]) } });
    let other = list(&world.idp, "", &other);
    fetch(&mut world, &other, 141).unwrap();
    assert_eq!(world.get(&mine, None).reasons, "status_not_valid");
    let headers = [("authorization", mine.as_str())];
    let came = world.send_at(NOW + 242, ("GET", "/threads/1"), &headers, None);
    assert_eq!(came.summary(), (401, "deny", "status_list_unavailable"), "too old");
    assert_eq!(world.engine.config.issuers[0].issuer, ISSUER);
}

#[test]
fn a_list_that_is_still_the_right_one_keeps_its_pace() {
    let http = json!({ "cluster": "keys", "authority": "idp.example", "path": "/1", "refresh_seconds": 60 });
    let mut world = world(&json!({ "status_lists": [{ "uri": URI, "http": http }] }), &json!({}));
    let text = list(&world.idp, &compressed(&[0]), &json!({ "ttl": 20 }));
    for (seconds, status, body) in [(1, 200, text.as_str()), (21, 304, ""), (41, 304, "")] {
        let now = at(NOW + seconds).seconds();
        if status == 304 {
            assert!(world.engine.due(at(NOW + seconds - 1).seconds()).is_empty(), "not before {seconds}");
        }
        let due = world.engine.due(now);
        let [(id, _)] = due.as_slice() else { panic!("nothing is due at {seconds}") };
        let answer = crate::source::Answer::Response {
            status,
            etag: None,
            fresh_seconds: None,
            content_type: None,
            body: body.into(),
        };
        world.engine.answered(id, answer, now).unwrap();
    }
}
