//! Decisions that are remembered: the same for equal inputs, and never for unequal ones.

use std::collections::BTreeSet;

use super::*;

/// What was read of the memory: nothing, a miss or a hit.
fn looked_up(world: &mut World, token: &str, path: &str) -> (Option<bool>, String) {
    let bearer = format!("Bearer {token}");
    let came = world.send(("GET", path), &[("authorization", &bearer)], None);
    (came.remembered, came.outcome)
}

const OF_ONE_THREAD: &str = r#"
package remit.authz

decision := {"allowed": input.parsed_path[1] == "1", "reasons": ["by_thread"]}
"#;

#[test]
fn an_equal_request_is_not_evaluated_again() {
    let mut world = World::with(OF_ONE_THREAD, &json!({}));
    let one = world.token();
    let other = world.idp.token(&with(claims(), &json!({"jti": "j-2"})));
    for (token, path, expected) in [
        (&one, "/threads/1", (Some(false), "allow")),
        (&one, "/threads/1", (Some(true), "allow")),
        (&one, "/threads/2", (Some(false), "deny")),
        (&one, "/threads/2", (Some(true), "deny")),
        (&one, "/threads/1", (Some(true), "allow")),
        // The policy does not look at who asks, nor at the query.
        (&other, "/threads/1", (Some(true), "allow")),
        (&one, "/threads/1?x=1", (Some(true), "allow")),
    ] {
        let (remembered, outcome) = looked_up(&mut world, token, path);
        assert_eq!((remembered, outcome.as_str()), expected, "{path}");
    }
}

#[test]
fn audit_and_ids_are_each_requests_own() {
    let mut world = World::with(OF_ONE_THREAD, &json!({}));
    let bearer = format!("Bearer {}", world.token());
    let records: Vec<Value> = (0..2)
        .map(|_| world.send(("GET", "/threads/1"), &[("authorization", &bearer)], None).record)
        .collect();
    let without_id = |record: &Value| with(record.clone(), &json!({"decision_id": null}));
    assert_ne!(records[0]["decision_id"], records[1]["decision_id"]);
    assert_eq!(without_id(&records[0]), without_id(&records[1]));
}

#[test]
fn a_decision_that_tokens_share_is_recorded_and_forwarded_for_each_by_itself() {
    let policy = "package remit.authz\ndecision := {\"allowed\": input.remit.action.tool == \"read\"}\n";
    for changes in [json!({}), json!({"mode": "observe"})] {
        let mut world = World::with(policy, &changes);
        let mut digests = Vec::new();
        for (n, (sub, agent)) in
            [("alice", "agent-7"), ("bob", "agent-8"), ("bob", "agent-9")].iter().enumerate()
        {
            let own = json!({"sub": sub, "jti": format!("j-{n}"), "act": {"iss": "https://idp.example", "sub": agent}});
            let bearer = format!("Bearer {}", world.idp.token(&with(claims(), &own)));
            let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
            let body = call("read", &format!("text {n}"));
            let came = world.send(("POST", "/mcp"), &headers, Some(body.as_bytes()));
            assert_eq!((came.remembered, came.outcome.as_str()), (Some(n > 0), "allow"));
            let record = &came.record;
            assert_eq!((&record["principal"]["sub"], &record["agent"]["sub"]), (&json!(sub), &json!(agent)));
            for (name, value) in [("x-remit-principal", sub), ("x-remit-agent", agent)] {
                assert!(came.headers.contains(&(name.to_owned(), (*value).to_owned())), "{:?}", came.headers);
            }
            digests.push(record["body_sha256"].clone());
            digests.push(record["decision_id"].clone());
        }
        let all = digests.len();
        digests.sort_by_key(Value::to_string);
        digests.dedup();
        assert!(digests.len() == all && !digests.contains(&Value::Null), "{digests:?}");
    }
}

#[test]
fn what_is_remembered_helps_no_credential_that_is_not_good() {
    let mut world = World::with(OF_ONE_THREAD, &json!({}));
    let good = world.token();
    let task = json!([{"type": "agent_task", "task_id": "t", "expires": NOW + 60}]);
    let brief = world.idp.token(&with(claims(), &json!({"jti": "j-2", "authorization_details": task})));
    let stranger = Signer::new(Algorithm::Es256, "k1").token(&claims());
    let late = claims()["exp"].as_u64().unwrap() + 600;
    let send = |world: &mut World, now: u64, token: &str| {
        let bearer = format!("Bearer {token}");
        let came = world.send_at(now, ("GET", "/threads/1"), &[("authorization", &bearer)], None);
        (came.remembered, came.reasons)
    };
    for (now, token, expected) in [
        (NOW, &good, (Some(false), "by_thread")),
        (NOW, &brief, (Some(true), "by_thread")),
        (NOW, &stranger, (None, "signature_invalid")),
        (NOW + 61, &brief, (None, "task_expired")),
        (NOW + 61, &good, (Some(true), "by_thread")),
        (late, &good, (None, "token_expired")),
    ] {
        let (remembered, reasons) = send(&mut world, now, token);
        assert_eq!((remembered, reasons.as_str()), expected);
    }
}

#[test]
fn of_a_remembered_token_each_policy_sees_what_it_reads() {
    let telling = |path: &str| {
        format!(
            "package remit.authz\ndecision := {{\"allowed\": true, \"headers\": {{\"x-read\": input.remit.{path}}}}}\n"
        )
    };
    let candidate = "package remit.authz\ndecision := {\"allowed\": true, \"reasons\": [input.remit.token.claims.unit]}\n";
    let candidate = base64::engine::general_purpose::STANDARD.encode(targz(candidate));
    let mut world = World::with(
        &telling("token.sub"),
        &json!({"candidate": {"bundle": {"inline": candidate}}, "limits": {"decision_cache_entries": 0}}),
    );
    let task = json!([{"type": "agent_task", "task_id": "t-1", "actions": ["forum.read"]}]);
    let own = json!({"unit": "u_1", "client_id": "c-1", "authorization_details": task});
    let bearer = format!("Bearer {}", world.idp.token(&with(claims(), &own)));
    let mut seen = 0;
    for (path, expected) in [
        ("token.sub", "alice"),
        ("delegation.actor.sub", "agent-7"),
        ("token.claims.client_id", "c-1"),
        ("delegation.task.actions[0]", "forum.read"),
        ("token.claims.authorization_details[0].task_id", "t-1"),
        ("token.client_id", "c-1"),
    ] {
        world.activate(&targz(&telling(path)));
        for _ in 0..2 {
            let came = world.send(("GET", "/threads/1"), &[("authorization", &bearer)], None);
            assert!(came.headers.contains(&("x-read".to_owned(), expected.to_owned())), "{path}");
            assert_eq!(came.cached, Some(seen > 0), "{path}");
            assert_eq!(came.record["candidate"]["reasons"], json!(["u_1"]), "{path}");
            seen += 1;
        }
    }
}

#[test]
fn what_no_two_requests_share_is_not_remembered() {
    for read in [
        "input.remit.now",
        "input.attributes.request.time.seconds",
        "input.attributes.request.http.id",
        "input.attributes.request.http.headers",
        "input.parsed_body",
        "input.attributes.source.address",
        "input",
    ] {
        let policy = format!("package remit.authz\nread := {read}\ndecision := true\n");
        let mut world = World::with(&policy, &json!({}));
        let token = world.token();
        for _ in 0..2 {
            assert_eq!(looked_up(&mut world, &token, "/threads/1"), (None, "allow".to_owned()), "{read}");
        }
    }
}

#[test]
fn what_is_the_tokens_alone_is_remembered_from_the_second_time_on() {
    let policy =
        "package remit.authz\ndecision if input.remit.token.jti == \"j-1\"\ndefault decision := false\n";
    let mut world = World::with(policy, &json!({}));
    let one = world.token();
    let other = world.idp.token(&with(claims(), &json!({"jti": "j-2"})));
    for (token, expected) in [
        // One that may never come again leaves nothing behind.
        (&one, (None, "allow")),
        (&one, (Some(false), "allow")),
        (&other, (None, "deny")),
        (&one, (Some(true), "allow")),
        (&other, (Some(false), "deny")),
        (&other, (Some(true), "deny")),
    ] {
        let (remembered, outcome) = looked_up(&mut world, token, "/threads/1");
        assert_eq!((remembered, outcome.as_str()), expected);
    }
}

/// A policy that decides by everything that it reads.
fn telling(reads: &[&str]) -> String {
    let all: Vec<_> = reads
        .iter()
        .map(|path| format!("object.get(input, {:?}, 0)", path.split('.').collect::<Vec<_>>()))
        .collect();
    let all = all.join(", ");
    format!(
        "package remit.authz\ndecision := {{\"allowed\": true, \"headers\": {{\"x-read\": json.marshal([{all}])}}}}\n"
    )
}

#[test]
fn a_call_hits_whose_other_parts_differ_and_none_whose_read_parts_do() {
    let send = |world: &mut World, tool: &str, arguments: &Value, header: &str| {
        let bearer = format!("Bearer {}", world.token());
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        let headers =
            [("authorization", bearer.as_str()), ("content-type", "application/json"), ("x-a", header)];
        let came = world.send(("POST", "/mcp"), &headers, Some(call.to_string().as_bytes()));
        let told = came.headers.iter().find(|(name, _)| name == "x-read").map(|(_, value)| value.clone());
        (came.remembered, told.unwrap_or_else(|| came.record.to_string()))
    };
    let calls = [
        ("search", json!({"query": "a", "limit": 1}), "h"),
        ("search", json!({"query": "b", "limit": 1}), "h"),
        ("search", json!({"query": "a", "limit": 2}), "h"),
        ("search", json!({"query": "a", "limit": 1.0}), "h"),
        ("search", json!({"query": "a", "limit": 1}), "i"),
        ("read_thread", json!({"query": "a", "limit": 1}), "h"),
        ("search", json!({"limit": 1}), "h"),
    ];
    for (reads, hits) in [
        (&["remit.action.protocol"][..], [0, 1, 1, 1, 1, 1, 1]),
        (&["remit.action.tool"], [0, 1, 1, 1, 1, 0, 1]),
        (&["remit.action.arguments.query"], [0, 0, 1, 1, 1, 1, 0]),
        (&["remit.action.arguments.limit"], [0, 1, 0, 1, 1, 1, 1]),
        (&["remit.action.arguments"], [0, 0, 0, 1, 1, 1, 0]),
        (&["attributes.request.http.headers.x-a"], [0, 1, 1, 1, 0, 1, 1]),
        (&["parsed_body.params.name", "remit.action.arguments.query"], [0, 0, 1, 1, 1, 0, 0]),
    ] {
        let policy = telling(reads);
        let mut world = World::with(&policy, &json!({}));
        let mut without = World::with(&policy, &json!({"limits": {"decision_cache_entries": 0}}));
        for ((tool, arguments, header), hit) in calls.iter().zip(hits) {
            let (remembered, told) = send(&mut world, tool, arguments, header);
            assert_eq!(remembered, Some(hit == 1), "{reads:?} {arguments}");
            assert_eq!((None, told), send(&mut without, tool, arguments, header), "{reads:?} {arguments}");
        }
    }
}

#[test]
fn each_request_draws_its_own_lots() {
    let policy = "package remit.authz\ndecision := {\"allowed\": true, \"reasons\": [sprintf(\"n%d\", [rand.intn(\"k\", 1000000)])]}\n";
    let mut world = World::with(policy, &json!({}));
    let bearer = format!("Bearer {}", world.token());
    let mut drawn = BTreeSet::new();
    for _ in 0..5 {
        let came = world.send(("GET", "/threads/1"), &[("authorization", &bearer)], None);
        assert_eq!((came.remembered, came.outcome.as_str()), (None, "allow"));
        drawn.insert(came.record["reasons"].to_string());
    }
    assert_eq!(drawn.len(), 5, "{drawn:?}");
}

#[test]
fn failures_are_not_remembered() {
    let mut world = World::with("package remit.authz\ndecision := 7\n", &json!({}));
    let token = world.token();
    for _ in 0..3 {
        assert_eq!(looked_up(&mut world, &token, "/threads/1"), (Some(false), "deny".to_owned()));
    }
}

#[test]
fn a_reload_forgets() {
    let mut world = World::with(OF_ONE_THREAD, &json!({}));
    let token = world.token();
    let hits = |world: &mut World| [0; 3].map(|_| looked_up(world, &token, "/threads/1").0);
    assert_eq!(hits(&mut world), [Some(false), Some(true), Some(true)]);
    let archive = targz(OF_ONE_THREAD);
    let bundle = crate::bundle::Bundle::from_targz(&archive, &crate::bundle::BundleLimits::default());
    let limits = world.engine.config.limits;
    let active = ActiveBundle::load(&bundle.unwrap(), "remit/authz/decision", &limits).unwrap();
    world.engine.activate(active);
    assert_eq!(hits(&mut world), [Some(false), Some(true), Some(true)]);
    world.engine.tokens.invalidate();
    assert_eq!(hits(&mut world), [Some(true); 3]);
}

#[test]
fn an_approval_is_part_of_the_input() {
    let mut world = World::new();
    let challenge = world.publish(&[], "x").told()["error"]["data"]["challenge"].clone();
    let approval = world.approval(&challenge, &json!({}));
    assert_eq!(world.publish(&[("agent-approval", &approval)], "x").outcome, "allow");
    assert_eq!(world.publish(&[], "x").outcome, "require_approval");
    let spent = world.publish(&[("agent-approval", &approval)], "x");
    assert_eq!(spent.reasons, "approval_spent");
}

#[test]
fn the_memory_is_bounded_and_can_be_turned_off() {
    for (limits, expected) in [
        (json!({"decision_cache_entries": 0}), [None, None, None]),
        (json!({"decision_cache_bytes": 64}), [Some(false); 3]),
        (json!({}), [Some(false), Some(true), Some(true)]),
    ] {
        let mut world = World::with(OF_ONE_THREAD, &json!({"limits": limits}));
        let token = world.token();
        assert_eq!([0; 3].map(|_| looked_up(&mut world, &token, "/threads/1").0), expected, "{limits}");
    }
    let mut world = World::with(OF_ONE_THREAD, &json!({"limits": {"decision_cache_entries": 8}}));
    let token = world.token();
    for n in 0..50 {
        looked_up(&mut world, &token, &format!("/threads/{n}"));
        assert!(world.engine.bundle(at(NOW).seconds()).unwrap().decisions.borrow().len() <= 8);
    }
}
