//! The candidate beside the policy in force: what it would decide is recorded, and changes nothing.

use super::*;

fn inline(bytes: &[u8]) -> Value {
    json!({"inline": base64::engine::general_purpose::STANDARD.encode(bytes)})
}

fn named(bytes: &[u8]) -> Value {
    json!({"source": inline(bytes)})
}

fn world(candidate: &str, changes: &Value) -> World {
    let mut wanted = json!({"bundle": inline(&targz(candidate))});
    wanted.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    World::with(ALLOWS, &json!({"candidate": wanted}))
}

const ALLOWS: &str = "package remit.authz\ndecision := {\"allowed\": true, \"reasons\": [\"fine\"], \"headers\": {\"x-a\": \"1\"}}\n";

#[test]
fn what_the_candidate_would_decide_is_recorded_and_changes_nothing() {
    let endless = "package remit.authz\nmany := numbers.range(1, 100)\ndecision if { every a in many { every b in many { every c in many { [a, b, c] != [] } } } }\n";
    for (candidate, expected) in [
        (ALLOWS, json!({"outcome": "allow", "reasons": ["fine"], "differs": []})),
        (
            "package remit.authz\ndecision := {\"allowed\": true, \"reasons\": [\"fine\"], \"headers\": {\"x-a\": \"2\"}}\n",
            json!({"outcome": "allow", "reasons": ["fine"], "differs": ["changes"]}),
        ),
        (
            "package remit.authz\ndecision := {\"allowed\": true, \"reasons\": [\"other\"], \"headers\": {\"x-a\": \"1\"}}\n",
            json!({"outcome": "allow", "reasons": ["other"], "differs": ["reasons"]}),
        ),
        (
            "package remit.authz\ndecision := {\"allowed\": false, \"reasons\": [\"no\"]}\n",
            json!({"outcome": "deny", "reasons": ["no"], "differs": ["outcome", "reasons", "changes"]}),
        ),
        (
            "package remit.authz\ndecision := 7\n",
            json!({"outcome": "deny", "reasons": ["decision_malformed"], "failed": true, "differs": ["outcome", "reasons", "changes"]}),
        ),
        (
            endless,
            json!({"outcome": "deny", "reasons": ["instructions_exhausted"], "failed": true, "differs": ["outcome", "reasons", "changes"]}),
        ),
    ] {
        let mut world = world(candidate, &json!({}));
        let came = world.read();
        assert_eq!((came.summary(), came.cached), ((0, "allow", "fine"), Some(false)), "{candidate}");
        assert!(came.headers.contains(&("x-a".to_owned(), "1".to_owned())));
        let mut expected = expected;
        expected["revision"] = json!("r1");
        assert_eq!(came.record["candidate"], expected, "{candidate}");
        // The memories of the two are apart.
        for _ in 0..2 {
            let again = world.read();
            assert_eq!((again.summary(), &again.record["candidate"]), ((0, "allow", "fine"), &expected));
        }
        assert_eq!(world.read().remembered, Some(true));
    }
}

#[test]
fn the_sample_and_the_budget_are_the_candidates_own() {
    let work =
        "package remit.authz\nmany := numbers.range(1, 100)\ndecision if { every a in many { a > 0 } }\n";
    let reasons = |world: &mut World| world.read().record["candidate"]["reasons"].clone();
    assert_eq!(reasons(&mut world(work, &json!({}))), Value::Null, "allowed, without reasons");
    assert_eq!(reasons(&mut world(work, &json!({"instructions": 100}))), json!(["instructions_exhausted"]));
    for (fraction, expected) in [(0.0, 0), (0.25, 63), (0.5, 127), (1.0, 255)] {
        let mut world = world(ALLOWS, &json!({"fraction": fraction}));
        let sampled = (1..=255).filter(|_| !world.read().record["candidate"].is_null()).count();
        assert_eq!(sampled, expected, "{fraction}");
    }
    assert!(World::new().read().record.get("candidate").is_none());
}

#[test]
fn what_ends_a_request_before_the_policy_is_the_candidates_own_too() {
    // Its kill list.
    let facts = json!({"revoked": {"principals": [{"iss": "https://idp.example", "sub": "alice"}]}});
    let killed = targz_with(ALLOWS, &facts);
    let mut world = World::with(ALLOWS, &json!({"candidate": {"bundle": inline(&killed)}}));
    let came = world.read();
    assert_eq!(came.summary(), (0, "allow", "fine"));
    assert_eq!(came.record["candidate"]["outcome"], "deny", "{}", came.record);
    // Its catalog: nothing is classified.
    let bare = packed(&[
        (".manifest", r#"{"revision": "c2"}"#),
        ("authz.rego", "package remit.authz\ndecision := {\"allowed\": input.remit.action.classified}\n"),
    ]);
    let classified = "package remit.authz\ndecision := {\"allowed\": input.remit.action.classified}\n";
    let mut world = World::with(classified, &json!({"candidate": {"bundle": inline(&bare)}}));
    let candidate = world.read().record["candidate"].clone();
    assert_eq!((&candidate["outcome"], &candidate["revision"]), (&json!("deny"), &json!("c2")));
    // A body that only it reads is not read for it.
    let reads = "package remit.authz\ndecision := {\"allowed\": input.parsed_body != null}\n";
    let mut world = World::with(ALLOWS, &json!({"candidate": {"bundle": inline(&targz(reads))}}));
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let came = world.send(("GET", "/threads/1"), &headers, Some(b"{}"));
    assert_eq!((came.summary(), world.body_asked), ((0, "allow", "fine"), None));
    assert_eq!(came.record["candidate"], json!({"revision": "r1", "differs": [], "skipped": "body_unread"}));
}

#[test]
fn a_candidate_may_stand_in_for_one_bundle_of_several() {
    let facts = |revision: &str, allowed: bool| {
        let manifest = json!({"revision": revision, "roots": ["facts"]}).to_string();
        let data = json!({"facts": {"allowed": allowed}}).to_string();
        packed(&[(".manifest", manifest.as_str()), ("data.json", data.as_str())])
    };
    let policy = targz("package remit.authz\ndecision := {\"allowed\": data.facts.allowed}\n");
    let http = json!({"source": {"http": {"cluster": "c", "authority": "a", "path": "/facts"}}});
    let document = json!({
        "bundle": null, "bundles": {"authz": named(&policy), "facts": named(&facts("f1", false))},
        "candidate": {"bundles": {"facts": http}}});
    let mut world = World::with(ALLOWS, &document);
    assert!(world.read().record.get("candidate").is_none(), "it is not here yet");
    let answer = |status, body: &[u8]| Answer::Response {
        status,
        etag: None,
        fresh_seconds: None,
        content_type: None,
        body: body.to_vec(),
    };
    let overlapping = targz("package remit.more\n");
    for (served, outcome) in [(&overlapping, Value::Null), (&facts("f2", true), json!("allow"))] {
        let mut paths = BTreeMap::new();
        paths.insert("/facts".to_owned(), answer(200, served));
        world.served = Some(paths);
        world.fetch(NOW + if outcome.is_null() { 0 } else { 60 });
        let came = world.read();
        assert_eq!((came.outcome.as_str(), &came.record["candidate"]["outcome"]), ("deny", &outcome));
    }
    let faults: Vec<_> =
        world.engine.candidate().unwrap().statuses().map(|(_, status)| &status.fault).collect();
    assert_eq!(faults, [&None]);
}
