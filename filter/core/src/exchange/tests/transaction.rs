//! Transaction tokens: alone, beside an access token, and in the wrong header.

use super::*;

const DOMAIN: &str = "https://trust-domain.example";

fn transaction() -> Value {
    json!({
        "iss": "https://tts.example", "sub": "alice", "aud": DOMAIN, "iat": NOW, "exp": NOW + 300, "txn": "t-1",
        "scope": "forum:read", "req_wl": "gateway", "rctx": {"req_ip": "69.151.72.123"},
        "tctx": {"thread": "1"}, "act": {"sub": "agent-7", "iss": "https://idp.example"},
    })
}

fn task(id: &str) -> Value {
    json!({"type": "agent_task", "task_id": id, "actions": ["forum.read"]})
}

struct Both {
    world: World,
    tts: Signer,
}

impl Both {
    /// A world with an issuer of transaction tokens whose subjects are those of the first issuer.
    fn new(policy: &str, changes: &Value) -> Self {
        let (mut world, tts) = (World::new(), Signer::new(Algorithm::Es256, "t1"));
        let issuers = json!({"issuers": [
            {"issuer": "https://idp.example", "algorithms": ["ES256"], "keys": {"inline": {"keys": [world.idp.jwk()]}}},
            with(json!({"issuer": "https://tts.example", "algorithms": ["ES256"], "audience": DOMAIN,
                   "carrier": "txn_token", "alone": true, "subjects": "human", "subject_issuer": "https://idp.example",
                   "keys": {"inline": {"keys": [tts.jwk()]}}}), changes)]});
        let mut document = serde_json::to_value(&world.engine.config).unwrap();
        let bundle = base64::engine::general_purpose::STANDARD.encode(targz(policy));
        document["bundle"] = json!({"inline": bundle});
        let document = with(document, &issuers);
        world.engine = Engine::configure(document.to_string().as_bytes()).unwrap();
        Self { world, tts }
    }

    fn token(&self, changes: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": "t1", "typ": "txntoken+jwt"});
        self.tts.token_of(&header.to_string(), &with(transaction(), changes).to_string())
    }

    fn read(&mut self, access: Option<&str>, transaction: Option<&str>) -> Came {
        let access = access.map(|token| format!("Bearer {token}"));
        let mut headers = Vec::new();
        headers.extend(access.as_deref().map(|value| ("authorization", value)));
        headers.extend(transaction.map(|value| ("Txn-Token", value)));
        self.world.send(("GET", "/threads/1"), &headers, None)
    }
}

#[test]
fn a_transaction_token_identifies_a_request() {
    let mut both = Both::new(POLICY, &json!({}));
    let token = both.token(&json!({}));
    for cached in [false, true] {
        let came = both.read(None, Some(&token));
        assert_eq!(came.summary(), (0, "allow", "reads"));
        assert_eq!(came.cached, Some(cached));
        assert_eq!(came.record["txn"], "t-1");
        assert_eq!(came.record["principal"], json!({"iss": "https://idp.example", "sub": "alice"}));
        assert_eq!(came.record["agent"]["sub"], "agent-7");
        assert!(!came.removed.iter().any(|name| name == "txn-token"), "it goes on unchanged");
        assert!(!came.record.to_string().contains("eyJ"));
    }
}

#[test]
fn its_subjects_are_of_the_trust_domain_unless_configured() {
    let mut both = Both::new(POLICY, &json!({"subject_issuer": null}));
    let token = both.token(&json!({"act": {"sub": "worker"}}));
    let came = both.read(None, Some(&token));
    assert_eq!(came.record["principal"], json!({"iss": DOMAIN, "sub": "alice"}));
    assert_eq!(came.record["agent"], json!({"iss": DOMAIN, "sub": "worker"}));
}

#[test]
fn tokens_without_iss_belong_to_the_one_issuer_that_is_configured_so() {
    for (without_iss, expected) in [(true, (0, "allow", "reads")), (false, (401, "deny", "claim_missing"))] {
        let mut both = Both::new(POLICY, &json!({"without_iss": without_iss}));
        let token = both.token(&json!({"iss": null}));
        assert_eq!(both.read(None, Some(&token)).summary(), expected);
        let access = both.world.idp.token(&with(claims(), &json!({"iss": null})));
        assert_eq!(both.read(Some(&access), None).summary(), (401, "deny", "claim_missing"));
    }
}

#[test]
fn each_kind_of_token_has_its_own_header() {
    let mut both = Both::new(POLICY, &json!({"issuer": "https://idp.example"}));
    let access = both.world.token();
    let token = both.token(&json!({"iss": "https://idp.example"}));
    // Remembered or not, a token counts in its own header only.
    for _ in 0..2 {
        assert_eq!(both.read(Some(&access), Some(&token)).summary(), (0, "allow", "reads"));
        let came = both.read(None, Some(&access));
        assert_eq!(came.summary(), (401, "deny", "token_type_not_accepted"));
        let came = both.read(Some(&token), None);
        assert_eq!(came.summary(), (401, "deny", "token_type_not_accepted"));
    }
    for typ in ["oauth-id-jag+jwt", "dpop+jwt", "agent-approval+jwt", "JWT", "at+jwt"] {
        let header = json!({"alg": "ES256", "kid": "t1", "typ": typ}).to_string();
        let claims = with(transaction(), &json!({"iss": "https://idp.example"})).to_string();
        let token = both.tts.token_of(&header, &claims);
        assert_eq!(both.read(None, Some(&token)).reasons, "token_type_not_accepted", "{typ}");
    }
}

#[test]
fn its_claims_are_read_strictly() {
    let mut both = Both::new(POLICY, &json!({}));
    for (changes, expected) in [
        (json!({"txn": null}), "claim_missing"),
        (json!({"txn": 7}), "claim_malformed"),
        (json!({"sub": null}), "claim_missing"),
        (json!({"scope": ["a"]}), "claim_malformed"),
        (json!({"req_wl": ["a"]}), "claim_malformed"),
        (json!({"tctx": "x"}), "claim_malformed"),
        (json!({"rctx": []}), "claim_malformed"),
        (json!({"aud": "https://tools.example"}), "audience_mismatch"),
        (json!({"iss": "https://idp.example"}), "issuer_unknown"),
        (json!({"exp": NOW - 100, "iat": NOW - 200}), "token_expired"),
        (json!({"act": {"sub": "alice"}}), "delegation_self"),
        (json!({"act": "x"}), "delegation_malformed"),
    ] {
        let token = both.token(&changes);
        assert_eq!(both.read(None, Some(&token)).summary(), (401, "deny", expected), "{changes}");
    }
    let token = both.token(&json!({}));
    let twice = format!("{token}, {token}");
    assert_eq!(both.read(None, Some(&twice)).summary(), (401, "deny", "token_ambiguous"));
    let forged = both
        .world
        .idp
        .token_of(r#"{"alg":"ES256","kid":"t1","typ":"txntoken+jwt"}"#, &transaction().to_string());
    assert_eq!(both.read(None, Some(&forged)).summary(), (401, "deny", "signature_invalid"));
    // One that nobody is configured to have issued is not left for others to believe.
    let mut world = World::new();
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str()), ("txn-token", token.as_str())];
    assert_eq!(world.send(("GET", "/threads/1"), &headers, None).reasons, "issuer_unknown");
}

#[test]
fn both_tokens_have_to_agree() {
    let mut both = Both::new(POLICY, &json!({}));
    let access = both.world.idp.token(&with(claims(), &json!({"txn": "t-1"})));
    for (changes, expected) in [
        (json!({}), (0, "allow", "reads")),
        (json!({"act": null}), (0, "allow", "reads")),
        (json!({"sub": "mallory"}), (403, "deny", "token_conflict")),
        (json!({"act": {"sub": "agent-7"}}), (0, "allow", "reads")),
        (json!({"act": {"sub": "agent-7", "iss": DOMAIN}}), (403, "deny", "actor_issuer_not_allowed")),
        (json!({"authorization_details": [task("t-1")]}), (0, "allow", "reads")),
        (json!({"act": {"sub": "agent-8"}}), (403, "deny", "token_conflict")),
        (json!({"txn": "t-2"}), (403, "deny", "token_conflict")),
        (json!({"exp": NOW - 100, "iat": NOW - 200}), (401, "deny", "token_expired")),
    ] {
        let token = both.token(&changes);
        let came = both.read(Some(&access), Some(&token));
        assert_eq!(came.summary(), expected, "{changes}");
        assert_eq!(came.record["principal"]["sub"], "alice", "{changes}");
    }
    // Of two tasks neither is passed over.
    let narrow = both.token(&json!({"authorization_details": [task("t-1")]}));
    for (of_access, expected) in [("t-1", (0, "allow", "reads")), ("t-2", (403, "deny", "token_conflict"))] {
        let access = with(claims(), &json!({"txn": "t-1", "authorization_details": [task(of_access)]}));
        let access = both.world.idp.token(&access);
        assert_eq!(both.read(Some(&access), Some(&narrow)).summary(), expected, "{of_access}");
    }
    let token = both.token(&json!({}));
    let expired = both.world.idp.token(&with(claims(), &json!({"exp": NOW - 100})));
    assert_eq!(both.read(Some(&expired), Some(&token)).summary(), (401, "deny", "token_expired"));
    // Without `subject_issuer` the trust domain's alice is not the issuer's.
    let mut apart = Both::new(POLICY, &json!({"subject_issuer": null}));
    let (access, token) = (apart.world.token(), apart.token(&json!({"act": null})));
    assert_eq!(apart.read(Some(&access), Some(&token)).summary(), (403, "deny", "token_conflict"));
}

#[test]
fn a_policy_can_compare_the_context_with_the_request() {
    const CONTEXT: &str = r#"
package remit.authz

default decision := {"allowed": false, "reasons": ["other_thread"]}

decision := {"allowed": true, "reasons": ["in_context"]} if {
	input.remit.transaction.txn == "t-1"
	input.remit.transaction.scope == ["forum:read"]
	input.remit.transaction.req_wl == "gateway"
	input.remit.transaction.rctx.req_ip == "69.151.72.123"
	input.remit.transaction.tctx.thread == input.parsed_path[1]
	input.remit.token.claims.txn == input.remit.transaction.txn
}
"#;
    let mut both = Both::new(CONTEXT, &json!({}));
    // What was decided for one transaction is not remembered for another, or for none.
    let access = both.world.idp.token(&with(claims(), &json!({"txn": "t-1"})));
    for (thread, expected) in [("1", "in_context"), ("2", "other_thread"), ("1", "in_context")] {
        let token = both.token(&json!({"tctx": {"thread": thread}}));
        assert_eq!(both.read(None, Some(&token)).reasons, expected);
        assert_eq!(both.read(Some(&access), Some(&token)).reasons, expected);
    }
    assert_eq!(both.read(Some(&access), None).reasons, "other_thread", "there is no transaction token");
}

#[test]
fn its_context_may_hold_the_task_and_the_prompt() {
    let prompt = json!({"alg": "sha-256", "salt": "cTdWZDBjMkxoQjl3",
        "digest": "kVA6-g663_iH0WXdBMQbihieIu3IqC7o2ThM49o7OC4"});
    let task = json!([{"type": "agent_task", "task_id": "t-9", "expires": NOW + 60}]);
    let mut both = Both::new(POLICY, &json!({"prompt_digest": "required"}));
    let token = both.token(&json!({"tctx": {"authorization_details": task, "prompt": prompt}}));
    let came = both.read(None, Some(&token));
    assert_eq!((came.summary(), &came.record["task"]), ((0, "allow", "reads"), &json!("t-9")));
    let came = both.world.send_at(NOW + 60, ("GET", "/threads/1"), &[("txn-token", &token)], None);
    assert_eq!((came.summary(), came.cached), ((403, "deny", "task_expired"), Some(true)));
    for (changes, expected) in [
        (json!({}), "prompt_digest_missing"),
        (json!({"tctx": {"prompt": {}}}), "task_malformed"),
        (json!({"tctx": {"authorization_details": task}, "authorization_details": task}), "task_malformed"),
    ] {
        let token = both.token(&changes);
        assert_eq!(both.read(None, Some(&token)).summary(), (403, "deny", expected), "{changes}");
    }
}

#[test]
fn prompt_and_transaction_are_bound_by_an_approval() {
    let prompt = |salt: &str| {
        json!([{"type": "agent_task", "task_id": "t", "prompt":
        {"alg": "sha-256", "salt": salt, "digest": "kVA6-g663_iH0WXdBMQbihieIu3IqC7o2ThM49o7OC4"}}])
    };
    let mut world = World::new();
    let mut asked = |changes: Value| {
        let bearer = format!("Bearer {}", world.idp.token(&with(claims(), &changes)));
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let came = world.send(("POST", "/mcp"), &headers, Some(call("publish", "hello").as_bytes()));
        let challenge = came.told()["error"]["data"]["challenge"].clone();
        (challenge["action_digest"]["value"].clone(), challenge["action"].clone())
    };
    let (plain, action) = asked(json!({}));
    assert_eq!((&action["prompt_digest"], &action["txn"]), (&Value::Null, &Value::Null));
    let (one, action) = asked(json!({"authorization_details": prompt("cTdWZDBjMkxoQjl3")}));
    assert_eq!(action["prompt_digest"]["salt"], "cTdWZDBjMkxoQjl3");
    let (other, _) = asked(json!({"authorization_details": prompt("cTdWZDBjMkxoQjl4")}));
    let (within, action) = asked(json!({"txn": "t-1"}));
    assert_eq!(action["txn"], "t-1");
    assert!(plain != one && one != other && within != plain);
}

#[test]
fn the_kill_list_counts_for_either_token() {
    let mut both = Both::new(POLICY, &json!({}));
    let (access, token) = (both.world.token(), both.token(&json!({"jti": "x-1"})));
    for (list, entry, reason) in [
        ("transactions", json!("t-1"), "revoked_transaction"),
        ("tokens", json!({"iss": "https://tts.example", "jti": "x-1"}), "revoked_token"),
        ("keys", json!({"iss": "https://tts.example", "kid": "t1"}), "revoked_key"),
    ] {
        both.world.know(&json!({}));
        assert_eq!(both.read(Some(&access), Some(&token)).outcome, "allow", "{list}");
        both.world.know(&json!({"revoked": {list: [entry]}}));
        assert_eq!(both.read(Some(&access), Some(&token)).reasons, reason, "{list}");
        assert_eq!(both.read(Some(&access), None).outcome, "allow", "{list}: of the other token only");
    }
}

#[test]
fn what_nobody_would_ask_for_is_refused() {
    let mut both = Both::new(POLICY, &json!({}));
    let access = both.world.token();
    let digest = crate::audit::sha256(b"key");
    for (claims, reason) in [
        (json!({"cnf": {"jkt": digest}}), "token_bound"),
        (json!({"status": {"status_list": {"idx": 1, "uri": "https://tts.example/1"}}}), "status_unchecked"),
    ] {
        let token = both.token(&claims);
        assert_eq!(both.read(Some(&access), Some(&token)).reasons, reason);
        assert_eq!(both.read(None, Some(&token)).reasons, reason);
    }
}

#[test]
fn beside_a_bound_token_the_proof_is_still_needed() {
    let mut both = Both::new(POLICY, &json!({}));
    let digest = crate::audit::sha256(b"key");
    let bound = both.world.idp.token(&with(claims(), &json!({"cnf": {"jkt": digest}})));
    let token = both.token(&json!({}));
    for _ in 0..2 {
        assert_eq!(both.read(Some(&bound), Some(&token)).reasons, "bound_token_as_bearer");
    }
}

#[test]
fn one_by_itself_is_taken_only_where_it_is_said_to_be_enough() {
    let mut both = Both::new(POLICY, &json!({"alone": null}));
    let (access, token) = (both.world.token(), both.token(&json!({})));
    for _ in 0..2 {
        assert_eq!(both.read(None, Some(&token)).summary(), (401, "deny", "token_missing"));
        assert_eq!(both.read(Some(&access), Some(&token)).outcome, "allow");
    }
}

#[test]
fn observe_mode_names_nobody_who_was_not_proven() {
    let mut both = Both::new(POLICY, &json!({}));
    both.world.engine.config.mode = crate::config::Mode::Observe;
    let names = |came: &Came| came.headers.iter().any(|(name, _)| name == "x-remit-principal");
    let digest = crate::audit::sha256(b"key");
    let stolen = both.world.idp.token(&with(claims(), &json!({"cnf": {"jkt": digest}})));
    let own = both.token(&json!({"sub": "mallory"}));
    for (access, transaction, expected) in
        [(&stolen, Some(&own), "token_conflict"), (&stolen, None, "bound_token_as_bearer")]
    {
        let came = both.read(Some(access), transaction.map(String::as_str));
        assert_eq!(came.reasons, expected);
        assert!(came.reply.is_none() && !names(&came), "{expected}");
        assert_eq!(came.record["principal"]["sub"], "alice", "but it is recorded");
    }
    let good = both.world.token();
    assert!(names(&both.read(Some(&good), None)));
}

#[test]
fn the_kill_list_comes_before_any_proof() {
    let mut both = Both::new(POLICY, &json!({}));
    let digest = crate::audit::sha256(b"key");
    let bound = both.world.idp.token(&with(claims(), &json!({"cnf": {"jkt": digest}})));
    assert_eq!(both.read(Some(&bound), None).reasons, "bound_token_as_bearer");
    both.world.know(&json!({"revoked": {"agents": [{"iss": "https://idp.example", "sub": "agent-7"}]}}));
    assert_eq!(both.read(Some(&bound), None).reasons, "revoked_agent");
    assert!(both.world.shared.is_empty(), "no place was taken");
}

#[test]
fn an_approval_minds_both_tokens() {
    let prompt = json!({"alg": "sha-256", "salt": "cTdWZDBjMkxoQjl3",
                        "digest": "kVA6-g663_iH0WXdBMQbihieIu3IqC7o2ThM49o7OC4"});
    for (before, expected) in [("planner", "approved"), ("carol", "approval_by_involved_party")] {
        let mut both = Both::new(POLICY, &json!({}));
        let act = json!({"sub": "agent-7", "iss": "https://idp.example", "act": {"sub": before}});
        let token = both.token(&json!({"act": act, "tctx": {"prompt": prompt}}));
        let challenge =
            both.world.publish(&[("Txn-Token", &token)], "x").told()["error"]["data"]["challenge"].clone();
        assert_eq!(challenge["action"]["prompt_digest"]["salt"], prompt["salt"]);
        let approval = both.world.approval(&challenge, &json!({}));
        let headers = [("Txn-Token", token.as_str()), ("agent-approval", approval.as_str())];
        assert_eq!(both.world.publish(&headers, "x").reasons, expected);
    }
}
