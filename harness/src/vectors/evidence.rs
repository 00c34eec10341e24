//! Receipts and hop lists (delegation section 2, attenuation).

use serde_json::{Value, json};

use super::{
    AUDIENCE, Allowed, Corpus, Expected, Forbidden, HOPS, PERSON, RECEIPTS, Refused, base, but, over, task,
};

pub(super) fn add(corpus: &mut Corpus) {
    receipts(corpus);
    hops(corpus);
    proofs(corpus);
}

fn receipt(actor: &str) -> Value {
    json!({"act": {"iss": RECEIPTS, "sub": actor}, "bounds": {"scope": "tools", "authorization_details": [task()]}})
}

fn with_receipts(receipts: &[Value], changes: Value) -> Value {
    let act = json!({"sub": "agent-receipts", "act": {"sub": "planner"}});
    let claims = over(over(base(), json!({"iss": RECEIPTS, "act": act})), changes);
    json!({"claims": claims, "receipts": receipts})
}

fn receipts(corpus: &mut Corpus) {
    let (newer, older) = (receipt("agent-receipts"), receipt("planner"));
    corpus.template("a receipt each", with_receipts(&[newer.clone(), older.clone()], json!({})), Allowed);
    let missing = Forbidden("receipts_missing");
    let invalid = Refused("receipt_invalid");
    let exceeded = Forbidden("bounds_exceeded");
    for (attack, receipts, expected) in [
        ("none", vec![], missing),
        ("one of two", vec![newer.clone()], missing),
        ("one too many", vec![newer.clone(), older.clone(), older.clone()], invalid),
        ("swapped", vec![older.clone(), newer.clone()], invalid),
        ("one twice", vec![newer.clone(), newer.clone()], invalid),
    ] {
        corpus.template(attack, with_receipts(&receipts, json!({})), expected);
    }
    for claim in [
        "\"x\"",
        "7",
        "{}",
        "null",
        "[7,7]",
        "[\"a.b.c\",\"a.b.c\"]",
        "[\"\",\"\"]",
        "[null,null]",
        "[{},{}]",
    ] {
        let template = over(
            with_receipts(&[], json!({})),
            json!({"forge": {"claims_text": format!(",\"actor_receipts\":{claim}")}}),
        );
        corpus.template(&format!("actor_receipts: {claim}"), template, invalid);
    }
    let narrower =
        json!({"type": "agent_task", "task_id": "task-1", "actions": [], "locations": ["thread/*"]});
    for (member, values, expected) in [
        ("iss", vec![json!(super::ISSUER), json!("https://receipts.internal.example/")], invalid),
        ("sub", vec![json!("mallory@internal.example"), Value::Null, json!(7)], invalid),
        (
            "act",
            vec![
                Value::Null,
                json!([]),
                json!("planner"),
                json!({"sub": "planner"}),
                json!({"iss": RECEIPTS}),
                json!({"iss": super::ISSUER, "sub": "planner"}),
                json!({"iss": RECEIPTS, "sub": "planner", "act": {"sub": "x"}}),
                json!({"iss": RECEIPTS, "sub": "planner", "cnf": {}}),
            ],
            invalid,
        ),
        ("jti", vec![Value::Null, json!(""), json!(7), json!("receipt-1")], invalid),
        ("exp", vec![Value::Null, json!("soon"), json!(super::START), json!(-1)], invalid),
        ("iat", vec![Value::Null, json!("then"), json!(super::START + 86_400)], invalid),
        ("prh", vec![json!("AAAA"), json!(7)], invalid),
        ("prh_alg", vec![json!("sha-1"), json!(7)], invalid),
        ("bounds", vec![Value::Null, json!([]), json!("x"), json!({"scope": "tools", "amount": 1})], invalid),
        (
            "bounds",
            vec![
                json!({}),
                json!({"scope": "tools"}),
                json!({"scope": "tool", "authorization_details": [task()]}),
                json!({"scope": ["tools"], "authorization_details": [task()]}),
                json!({"scope": "tools", "authorization_details": [narrower]}),
                json!({"scope": "tools", "authorization_details": [but(task(), "task_id", json!("task-2"))]}),
                json!({"scope": "tools", "authorization_details": task()}),
            ],
            exceeded,
        ),
    ] {
        for value in values {
            // Its `jti` is by the place from the oldest; the newest one's is `receipt-1`.
            let changed = over(older.clone(), json!({member: value}));
            let attack = format!("receipt with {member}: {value}");
            corpus.template(&attack, with_receipts(&[newer.clone(), changed], json!({})), expected);
        }
    }
}

fn tools(tools: Value) -> Value {
    json!([{"type": "attenuating_agent_token", "tools": tools}])
}

fn root(changes: Value) -> Value {
    let details = json!([task(), {"type": "attenuating_agent_token",
        "tools": {"forum.thread.read": {"path": {"constraint_type": "one_of", "values": [{"thread": "t-4711"}]}}}}]);
    let claims = json!({"iss": HOPS, "jti": "root", "act": {"sub": "agent-hops", "sub_profile": "ai_agent"},
        "authorization_details": details});
    over(over(base(), claims), changes)
}

fn hop() -> Value {
    json!({"del_max_depth": 2, "authorization_details": tools(json!({"forum.thread.read":
        {"path": {"constraint_type": "exact", "value": {"thread": "t-4711"}}}}))})
}

fn proof() -> Value {
    json!({"aat_tool": "forum.thread.read", "aat_aud": AUDIENCE, "aat_id": "root",
        "hta": {"path": {"thread": "t-4711"}, "query": {}, "body": null}})
}

/// A hop list of a root and one hop, whose holders nobody registered.
fn one_hop(corpus: &mut Corpus, attack: &str, hops: Value, root: Value, expected: Expected) {
    let proof = but(proof(), "aat_id", Value::Null);
    let id = corpus.add(attack, expected, |id| json!({"token": id, "hop_proof": proof}));
    corpus.tokens.insert(id, json!({"claims": root, "hops": hops}));
}

fn hops(corpus: &mut Corpus) {
    let first = json!({"holder": "holder-0", "claims": {"del_max_depth": 2}});
    let list = |hop: Value| json!([first, {"holder": "holder-1", "claims": hop}]);
    one_hop(corpus, "a hop", list(hop()), root(json!({})), Forbidden("agent_unregistered"));
    let invalid = Refused("hop_invalid");
    let widens = Forbidden("hop_widens");
    let wide = |constraint: Value| tools(json!({"forum.thread.read": {"path": constraint}}));
    for (member, values, expected) in [
        ("iss", vec![json!(HOPS), json!("holder-0"), Value::Null, json!(7)], invalid),
        ("jti", vec![Value::Null, json!(""), json!("root")], invalid),
        ("par_hash", vec![Value::Null, json!("AAAA"), json!(7)], invalid),
        (
            "cnf",
            vec![Value::Null, json!({}), json!({"jwk": {}}), json!({"jwk": {"kty": "oct", "k": "AAAA"}})],
            invalid,
        ),
        ("del_depth", vec![Value::Null, json!("1"), json!(-1), json!(1.5), json!(3)], invalid),
        ("del_depth", vec![json!(0), json!(2)], widens),
        ("del_max_depth", vec![Value::Null, json!(0), json!("2")], invalid),
        ("del_max_depth", vec![json!(3), json!(1_000_000)], widens),
        ("exp", vec![Value::Null, json!("soon"), json!(1)], invalid),
        ("exp", vec![json!(super::START + 86_400)], widens),
        ("iat", vec![Value::Null, json!(-9_000_000_000_i64)], invalid),
        ("iat", vec![json!(super::START - 86_400)], widens),
        ("sub", vec![json!(PERSON)], invalid),
        ("scope", vec![json!("tools")], invalid),
        (
            "authorization_details",
            vec![
                Value::Null,
                json!([]),
                json!({}),
                json!([task()]),
                json!([{"type": "attenuating_agent_token"}]),
                tools(json!([])),
                tools(json!({"forum.thread.read": 7})),
                wide(json!({"constraint_type": "regex", "pattern": ".*"})),
                wide(json!("t-4711")),
                json!([{"type": "attenuating_agent_token", "tools": {}, "amount": 1}]),
            ],
            invalid,
        ),
        (
            "authorization_details",
            vec![
                tools(json!({"forum.thread.read": {}})),
                tools(json!({"forum.reply.publish": {}})),
                wide(json!({"constraint_type": "wildcard"})),
                wide(json!({"constraint_type": "exact", "value": {"thread": "t-4712"}})),
                wide(
                    json!({"constraint_type": "one_of", "values": [{"thread": "t-4711"}, {"thread": "t-1"}]}),
                ),
            ],
            widens,
        ),
    ] {
        for value in values {
            let changed = over(hop(), json!({member: value}));
            let attack = format!("hop with {member}: {value}");
            one_hop(corpus, &attack, list(changed), root(json!({})), expected);
        }
    }
    let same = json!([first, {"holder": "holder-0", "claims": hop()}]);
    one_hop(corpus, "the same holder again", same, root(json!({})), Refused("delegation_cycle"));
    let not_a_root = Forbidden("hops_missing");
    corpus.template("no root", json!({"claims": root(json!({}))}), not_a_root);
    for (member, value) in
        [("del_depth", json!(1)), ("del_max_depth", Value::Null), ("par_hash", json!("AAAA"))]
    {
        let claims = over(json!({"del_max_depth": 2}), json!({member: value}));
        let hops = json!([{"holder": "holder-0", "claims": claims}]);
        one_hop(corpus, &format!("root with {member}: {value}"), hops, root(json!({})), not_a_root);
    }
    let behind = json!({"act": {"sub": "agent-hops", "act": {"sub": "planner"}}});
    one_hop(
        corpus,
        "an actor behind the root's holder",
        json!([first]),
        root(behind),
        Refused("profile_mismatch"),
    );
    let good = |corpus: &mut Corpus, name: &str| {
        corpus.tokens.insert(name.to_owned(), json!({"claims": root(json!({})), "hops": [first]}));
    };
    for hops in ["", "~", "x", "a.b.c", "a.b.c~a.b.c"] {
        let name = format!("root before {hops:?}");
        good(corpus, &name);
        corpus.add(
            &format!("hops {hops:?}"),
            invalid,
            |_| json!({"token": name, "hop_proof": proof(), "headers": [["agent-hops", hops]]}),
        );
    }
    corpus.tokens.insert("hops elsewhere".to_owned(), json!({"claims": base()}));
    corpus.add(
        "hops with another issuer's token",
        Forbidden("hops_unexpected"),
        |_| json!({"token": "hops elsewhere", "headers": [["agent-hops", "a.b.c"]]}),
    );
}

fn proofs(corpus: &mut Corpus) {
    let mut prove = |attack: &str, changes: Option<Value>, expected| {
        let id = corpus.add(attack, expected, |id| match changes {
            Some(changes) => json!({"token": id, "hop_proof": over(proof(), changes)}),
            None => json!({"token": id}),
        });
        let hops = json!([{"holder": "holder-0", "claims": {"del_max_depth": 2}}]);
        corpus.tokens.insert(id, json!({"claims": root(json!({})), "hops": hops}));
    };
    prove("the root's holder", Some(json!({})), Allowed);
    prove("no proof", None, Refused("hop_proof_missing"));
    for (member, values) in [
        ("aat_tool", vec![Value::Null, json!("forum.reply.publish"), json!("FORUM.thread.read"), json!(7)]),
        ("aat_aud", vec![Value::Null, json!("https://tools.internal.example/"), json!([AUDIENCE])]),
        ("aat_id", vec![Value::Null, json!("hop-1"), json!("")]),
        ("jti", vec![Value::Null, json!(""), json!(7)]),
        ("iat", vec![Value::Null, json!("now"), json!(1), json!(super::START + 86_400), json!(-1)]),
        (
            "hta",
            vec![
                Value::Null,
                json!([]),
                json!({}),
                json!({"path": {"thread": "t-4712"}, "query": {}, "body": null}),
                json!({"path": {"thread": "t-4711"}}),
                json!({"path": {"thread": "t-4711"}, "query": {"a": ["b"]}, "body": null}),
            ],
        ),
        ("amount", vec![json!(1)]),
    ] {
        for value in values {
            let attack = format!("proof with {member}: {value}");
            prove(&attack, Some(json!({member: value})), Refused("hop_proof_invalid"));
        }
    }
}
