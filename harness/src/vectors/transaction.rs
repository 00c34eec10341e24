//! Transaction tokens, alone and beside an access token.

use serde_json::{Value, json};

use super::{
    AGENT, Allowed, Corpus, Expected, Forbidden, ISSUER, NoAgent, PERSON, Refused, TRANSACTIONS, base, over,
    task,
};

fn claims() -> Value {
    json!({"iss": TRANSACTIONS, "sub": PERSON, "sub_profile": "user", "aud": "https://trust-domain.internal.example",
        "txn": "txn-1", "act": {"sub": AGENT, "sub_profile": "ai_agent"}, "tctx": {"authorization_details": [task()]}})
}

fn good(changes: Value) -> Value {
    json!({"typ": "txntoken+jwt", "claims": over(claims(), changes)})
}

fn alone(corpus: &mut Corpus, attack: &str, template: Value, expected: Expected) {
    let id = corpus.add(attack, expected, |id| json!({"txn_token": id}));
    corpus.tokens.insert(id, template);
}

fn beside(corpus: &mut Corpus, attack: &str, changes: Value, expected: Expected) {
    let access = format!("access beside {attack}");
    corpus.tokens.insert(access.clone(), json!({"claims": base()}));
    let id = corpus.add(attack, expected, |id| json!({"token": access, "txn_token": id}));
    corpus.tokens.insert(id, good(changes));
}

pub(super) fn add(corpus: &mut Corpus) {
    alone(corpus, "a good one", good(json!({})), Allowed);
    let pinned = json!({"typ": "txntoken+jwt", "signed_by": TRANSACTIONS, "claims": over(claims(), json!({"iss": null}))});
    alone(corpus, "without iss", pinned, Allowed);
    let malformed = Refused("claim_malformed");
    for (attack, changes, expected) in [
        ("no txn", json!({"txn": null}), Refused("claim_missing")),
        ("txn: \"\"", json!({"txn": ""}), malformed),
        ("txn: 7", json!({"txn": 7}), malformed),
        ("tctx: []", json!({"tctx": []}), malformed),
        ("tctx: \"x\"", json!({"tctx": "x"}), malformed),
        ("rctx: []", json!({"rctx": []}), malformed),
        ("rctx: 7", json!({"rctx": 7}), malformed),
        ("req_wl: 7", json!({"req_wl": 7}), malformed),
        ("req_wl: \"\"", json!({"req_wl": ""}), malformed),
        ("no sub", json!({"sub": null}), Refused("claim_missing")),
        ("the resource for an audience", json!({"aud": super::AUDIENCE}), Refused("audience_mismatch")),
        ("details in both places", json!({"authorization_details": [task()]}), Forbidden("task_malformed")),
        (
            "an unknown type",
            json!({"tctx": {"authorization_details": [{"type": "x"}]}}),
            Forbidden("task_malformed"),
        ),
        (
            "details that are no list",
            json!({"tctx": {"authorization_details": {}}}),
            Forbidden("task_malformed"),
        ),
        ("a prompt that is none", json!({"tctx": {"prompt": "x"}}), Forbidden("task_malformed")),
        ("no person", json!({"sub_profile": "service"}), Forbidden("not_traceable")),
        ("act: []", json!({"act": []}), Refused("delegation_malformed")),
        ("acts for itself", json!({"act": {"sub": PERSON}}), Refused("delegation_self")),
        (
            "acts for itself, by name",
            json!({"act": {"iss": ISSUER, "sub": PERSON}}),
            Refused("delegation_self"),
        ),
        ("no act", json!({"act": null}), NoAgent),
        ("cnf", json!({"cnf": {"kid": "x"}}), Refused("confirmation_unsupported")),
    ] {
        alone(corpus, attack, good(changes), expected);
    }
    for typ in ["at+jwt", "JWT", "txn_token+jwt", "txntoken", "txntoken+jwt "] {
        let template = json!({"typ": typ, "claims": claims()});
        alone(corpus, &format!("typ: {typ:?}"), template, Refused("token_type_not_accepted"));
    }
    for (attack, forge, expected) in [
        ("alg: none", json!({"header": {"alg": "none"}}), Refused("token_header_refused")),
        ("alg: ES256", json!({"header": {"alg": "ES256"}}), Refused("algorithm_not_accepted")),
        (
            "HMAC with the public key",
            json!({"hmac": true, "header": {"alg": "HS256"}}),
            Refused("algorithm_not_accepted"),
        ),
        ("crit", json!({"header": {"crit": ["txn"]}}), Refused("token_header_refused")),
        ("no kid", json!({"header": {"kid": null}}), Refused("key_unknown")),
        (
            "iss twice",
            json!({"claims_text": format!(",\"iss\":\"{TRANSACTIONS}\"")}),
            Refused("token_malformed"),
        ),
        ("padded", json!({"edit": {"pad": 2}}), Refused("token_malformed")),
        ("zeros", json!({"edit": "zeros"}), Refused("signature_invalid")),
        ("another subject under the signature", json!({"edit": "tampered"}), Refused("signature_invalid")),
        ("expired", json!({"relative": {"iat": -400, "exp": -40}}), Refused("token_expired")),
        ("a day", json!({"relative": {"iat": 0, "exp": 86400}}), Refused("token_lifetime_exceeded")),
    ] {
        alone(corpus, attack, over(good(json!({})), json!({"forge": forge})), expected);
    }
    let unknown = Refused("issuer_unknown");
    alone(corpus, "an access token", json!({"claims": base()}), unknown);
    alone(
        corpus,
        "an access token that says to be one",
        json!({"typ": "txntoken+jwt", "claims": base()}),
        unknown,
    );
    corpus.template("in the header of access tokens", good(json!({})), unknown);
    let without_iss = json!({"signed_by": TRANSACTIONS, "claims": over(claims(), json!({"iss": null}))});
    corpus.template("without iss in that header", without_iss, Refused("claim_missing"));

    beside(corpus, "both agree", json!({}), Allowed);
    let conflict = Forbidden("token_conflict");
    beside(corpus, "another person", json!({"sub": "mallory@internal.example"}), conflict);
    beside(corpus, "another actor", json!({"act": {"sub": "agent-other"}}), conflict);
    beside(
        corpus,
        "a namesake of the actor",
        json!({"act": {"iss": TRANSACTIONS, "sub": AGENT}}),
        Forbidden("actor_issuer_not_allowed"),
    );
    beside(corpus, "no actor", json!({"act": null}), Allowed);
    beside(corpus, "a bad one beside", json!({"txn": 7}), malformed);
}
