//! Several bundles: what comes into force, what does not, and what is said about each.

use serde_json::{Value, json};

use crate::bundle::testing::packed;
use crate::config::Config;
use crate::engine::{Engine, Installed, SourceId};
use crate::ids::UnixSeconds;
use crate::source::Answer;

const DECIDES: &str = "package remit.authz\ndecision := data.facts.allowed\n";

fn bundle(revision: &str, roots: &[&str], rego: &str, data: &Value) -> Vec<u8> {
    let manifest = json!({"revision": revision, "roots": roots}).to_string();
    packed(&[
        (".manifest", manifest.as_str()),
        ("data.json", data.to_string().as_str()),
        ("policy.rego", rego),
    ])
}

fn policy(revision: &str) -> Vec<u8> {
    bundle(revision, &["remit"], DECIDES, &json!({}))
}

fn facts(revision: &str) -> Vec<u8> {
    bundle(revision, &["facts"], "package facts.more\n", &json!({"facts": {"allowed": true}}))
}

fn document(bundles: &Value) -> Vec<u8> {
    json!({
        "version": 1, "resource": "https://tools.example", "bundles": bundles,
        "issuers": [{"issuer": "https://idp.example", "algorithms": ["ES256"], "keys": {"http": {"cluster": "k", "authority": "k.example", "path": "/"}}}]
    })
    .to_string()
    .into_bytes()
}

fn http(path: &str) -> Value {
    json!({"source": {"http": {"cluster": "c", "authority": "a.example", "path": path, "max_age_seconds": 600}}})
}

const fn t(seconds: u64) -> UnixSeconds {
    UnixSeconds(seconds)
}

/// Bundles `facts` and `policy`, both fetched.
struct World(Engine);

impl World {
    fn new() -> Self {
        Self(Engine::configure(&document(&json!({"policy": http("/p"), "facts": http("/f")}))).unwrap())
    }

    fn answer(&mut self, name: &str, status: u16, body: Vec<u8>, now: u64) -> String {
        self.answer_to(&SourceId::Bundle(name.to_owned()), status, body, now)
    }

    fn answer_to(&mut self, id: &SourceId, status: u16, body: Vec<u8>, now: u64) -> String {
        let answer = Answer::Response {
            status,
            etag: Some(format!("\"{now}\"")),
            fresh_seconds: None,
            content_type: None,
            body,
        };
        let _ = self.0.due(t(now));
        match self.0.answered(id, answer, t(now)) {
            Ok(Installed::Bundle(active) | Installed::Candidate(active)) => {
                let both = active.revisions.iter().map(|(name, revision)| format!("{name}={revision}"));
                both.collect::<Vec<_>>().join(" ")
            }
            Ok(Installed::Incomplete) => "incomplete".to_owned(),
            Ok(Installed::Unchanged) => "unchanged".to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.to_string(),
        }
    }

    fn in_force(&self, now: u64) -> Option<String> {
        let active = self.0.bundle(t(now))?;
        Some(active.revisions.iter().map(|(_, revision)| revision.as_str()).collect::<Vec<_>>().join(" "))
    }

    fn fault(&self, name: &str) -> Option<String> {
        let status = self.0.bundle_statuses().find(|(known, _)| *known == name)?.1;
        status.fault.as_ref().map(|fault| fault.message.clone())
    }
}

#[test]
fn nothing_is_in_force_until_all_have_come_once() {
    let mut world = World::new();
    assert_eq!(world.answer("policy", 200, policy("p1"), 1000), "incomplete");
    assert_eq!(world.in_force(1000), None);
    assert_eq!(world.answer("policy", 304, Vec::new(), 1001), "unchanged", "it waits, and is not lost");
    assert_eq!(world.answer("facts", 503, Vec::new(), 1001), "status 503");
    assert_eq!(world.answer("facts", 200, facts("f1"), 1002), "facts=f1 policy=p1");
    assert_eq!(world.in_force(1002).as_deref(), Some("f1 p1"));
    assert_eq!(world.0.bundle(t(1002)).unwrap().revision, "p1", "of the bundle that owns the decision");
    let statuses: Vec<_> = world.0.bundle_statuses().collect();
    let (name, status) = &statuses[0];
    assert_eq!((*name, status.active_revision.as_deref(), &status.fault), ("facts", Some("f1"), &None));
    assert_eq!(
        (status.last_successful_download, status.last_successful_activation),
        (Some(t(1002)), Some(t(1002)))
    );
    let (_, status) = &statuses[1];
    assert_eq!(
        (status.last_successful_download, status.last_successful_activation),
        (Some(t(1000)), Some(t(1002)))
    );
}

#[test]
fn what_does_not_go_with_the_others_changes_nothing() {
    let overlap = "bundles \"facts\" and \"policy\" have overlapping roots: \"remit/authz\" and \"remit\"";
    let theirs = "package remit.more\n";
    for (name, body, expected) in [
        ("facts", bundle("f2", &["facts", "remit/authz"], "package facts.more\n", &json!({})), overlap),
        ("facts", bundle("f2", &["facts"], theirs, &json!({})), "facts:policy.rego:1:1: package"),
        ("facts", bundle("f2", &["facts"], "package facts.more\nx := \n", &json!({})), "facts:policy.rego"),
        (
            "policy",
            bundle("p2", &["remit"], "package remit.authz\nother := 1\n", &json!({})),
            "remit/authz/decision",
        ),
        ("policy", b"<html>".to_vec(), "gzip"),
    ] {
        let mut world = World::new();
        world.answer("policy", 200, policy("p1"), 1000);
        world.answer("facts", 200, facts("f1"), 1000);
        let said = world.answer(name, 200, body, 1060);
        assert!(said.contains(expected), "{expected}: {said}");
        assert_eq!(world.in_force(1060).as_deref(), Some("f1 p1"));
        assert_eq!(world.fault(name).as_deref(), Some(said.as_str()));
        let good = if name == "facts" { facts("f1") } else { policy("p1") };
        assert_eq!(world.answer(name, 200, good, 1061), "unchanged", "taken back");
        assert_eq!(world.fault(name), None);
        let (next, expected) = if name == "facts" { (facts("f3"), "f3 p1") } else { (policy("p3"), "f1 p3") };
        world.answer(name, 200, next, 1062);
        assert_eq!(world.in_force(1062).as_deref(), Some(expected));
    }
}

#[test]
fn first_versions_that_do_not_go_with_each_other_are_reported_until_one_changes() {
    let overlap = "bundles \"facts\" and \"policy\" have overlapping roots: \"remit/more\" and \"remit\"";
    for (body, expected) in [
        (bundle("f1", &["remit/more"], "package remit.more\n", &json!({})), overlap),
        (bundle("f1", &["facts"], "package facts.more\nx := \n", &json!({})), "facts:policy.rego:3:1"),
    ] {
        let mut world = World::new();
        assert_eq!(world.answer("policy", 200, policy("p1"), 1000), "incomplete");
        for now in [1000, 1010] {
            let said = world.answer("facts", 200, body.clone(), now);
            assert!(said.contains(expected), "{expected}: {said}");
            assert_eq!(world.fault("facts").as_deref(), Some(said.as_str()));
            assert_eq!(world.in_force(now), None);
        }
        assert_eq!(world.answer("facts", 200, facts("f2"), 1020), "facts=f2 policy=p1");
        assert_eq!(world.fault("facts"), None);
    }
}

#[test]
fn bundles_that_change_together_come_into_force_together() {
    let mut world = World::new();
    world.answer("policy", 200, policy("p1"), 1000);
    world.answer("facts", 200, facts("f1"), 1000);
    // Each takes a root that the other one owns so far.
    let swapped = bundle("f2", &["remit"], DECIDES, &json!({}));
    let said = world.answer("facts", 200, swapped, 1060);
    assert!(said.contains("overlap"), "{said}");
    let swapped = bundle("p2", &["facts"], "package facts\nallowed := true\n", &json!({}));
    assert_eq!(world.answer("policy", 200, swapped, 1061), "facts=f2 policy=p2");
    assert_eq!(world.fault("facts"), None);
    assert_eq!(world.0.bundle(t(1061)).unwrap().revision, "f2");
    // One that goes with what is in force does not wait for one that does not.
    let said = world.answer("facts", 200, bundle("f3", &["remit", "facts"], DECIDES, &json!({})), 1120);
    assert!(said.contains("overlap"), "{said}");
    let newer = bundle("p3", &["facts"], "package facts\nallowed := false\n", &json!({}));
    assert_eq!(world.answer("policy", 200, newer, 1121), "facts=f2 policy=p3");
}

#[test]
fn a_candidate_that_was_refused_leaves_the_one_before_it() {
    let mut document: Value =
        serde_json::from_slice(&document(&json!({"policy": http("/p"), "facts": http("/f")}))).unwrap();
    document["candidate"] = json!({"bundles": {"facts": http("/c"), "more": http("/m")}});
    let mut world = World(Engine::configure(document.to_string().as_bytes()).unwrap());
    world.answer("policy", 200, policy("p1"), 1000);
    world.answer("facts", 200, facts("f1"), 1000);
    let of = |name: &str| SourceId::Candidate(name.to_owned());
    let more = |revision: &str| bundle(revision, &["more"], "package more\n", &json!({}));
    assert_eq!(world.answer_to(&of("more"), 200, more("m1"), 1000), "incomplete");
    assert_eq!(world.answer_to(&of("facts"), 200, facts("c1"), 1000), "facts=c1 more=m1 policy=p1");
    let on_trial = |world: &World| {
        let candidate = world.0.candidate().unwrap();
        let faulty: Vec<_> =
            candidate.statuses().filter(|(_, s)| s.fault.is_some()).map(|(n, _)| n.to_owned()).collect();
        (candidate.policy().map(|active| active.revision.clone()), faulty)
    };
    // With this policy it does not go, and with the next but one it does.
    let takes_root = bundle("c2", &["facts", "old"], "package old\n", &json!({"facts": {"allowed": false}}));
    let old = |revision: &str| bundle(revision, &["remit", "old"], DECIDES, &json!({}));
    world.answer("policy", 200, old("p2"), 1060);
    let said = world.answer_to(&of("facts"), 200, takes_root, 1060);
    assert!(said.contains("overlap"), "{said}");
    let named = |revisions: &str| Some(revisions.to_owned());
    let faulty = vec!["facts".to_owned()];
    assert_eq!(on_trial(&world), (named("facts=c1 more=m1 policy=p2"), faulty.clone()));
    assert_eq!(world.answer("policy", 200, old("p3"), 1120), "facts=f1 policy=p3");
    assert_eq!(on_trial(&world), (named("facts=c1 more=m1 policy=p3"), faulty.clone()));
    // Another new version does not wait for it.
    assert_eq!(world.answer_to(&of("more"), 200, more("m2"), 1120), "facts=c1 more=m2 policy=p3");
    assert_eq!(on_trial(&world).1, faulty);
    world.answer("policy", 200, policy("p4"), 1180);
    assert_eq!(on_trial(&world), (named("facts=c2 more=m2 policy=p4"), vec![]));
    // Nothing of it goes with this one.
    world.answer("policy", 200, bundle("p5", &["remit", "more"], DECIDES, &json!({})), 1240);
    assert_eq!(on_trial(&world), (None, vec!["facts".to_owned(), "more".to_owned()]));
}

#[test]
fn a_delta_changes_the_version_that_the_request_named() {
    let delta = |revision: &str, value: bool| {
        let manifest = json!({"revision": revision, "roots": ["facts"]}).to_string();
        let patch = json!({"data": [{"op": "upsert", "path": "/facts/allowed", "value": value}]}).to_string();
        packed(&[(".manifest", manifest.as_str()), ("patch.json", patch.as_str())])
    };
    let allowed = |world: &World| world.0.bundle(t(1000)).unwrap().policy.data_at(&["facts", "allowed"]);
    let mut world = World::new();
    let said = world.answer("facts", 200, delta("f0", true), 1000);
    assert!(said.contains("delta"), "there is nothing to change yet: {said}");
    world.answer("policy", 200, policy("p1"), 1000);
    world.answer("facts", 200, facts("f1"), 1001);
    assert_eq!(world.answer("facts", 200, delta("f2", false), 1002), "facts=f2 policy=p1");
    assert_eq!(allowed(&world), Some(json!(false)));
    assert!(world.0.bundle_statuses().any(|(_, status)| status.is_delta));
    assert_eq!(world.answer("facts", 200, delta("f3", true), 1003), "facts=f3 policy=p1");
    // After a failure the whole is asked for, and changes to something else are not believed.
    world.answer("facts", 500, Vec::new(), 1004);
    let said = world.answer("facts", 200, delta("f4", false), 1005);
    assert!(said.contains("delta"), "{said}");
    assert_eq!((world.in_force(1005).as_deref(), allowed(&world)), (Some("f3 p1"), Some(json!(true))));
    assert_eq!(
        world.answer("facts", 200, facts("f1"), 1006),
        "facts=f1 policy=p1",
        "back to the first snapshot"
    );
}

#[test]
fn a_bundle_that_has_to_be_signed_is_refused_unsigned() {
    let mut signed = http("/p");
    signed["signing"] = json!({"keyid": "k"});
    let mut document: Value =
        serde_json::from_slice(&document(&json!({"policy": signed, "facts": http("/f")}))).unwrap();
    let error = Engine::configure(document.to_string().as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("configuration at /bundles/policy/signing: there are no `keys`"), "{error}");
    document["keys"] = json!({"k": {"algorithm": "HS256", "key": "a secret of thirty-two bytes or more"}});
    let mut world = World(Engine::configure(document.to_string().as_bytes()).unwrap());
    assert_eq!(world.answer("facts", 200, facts("f1"), 1000), "incomplete");
    let said = world.answer("policy", 200, policy("p1"), 1000);
    assert!(said.contains("signature"), "{said}");
    assert_eq!(world.in_force(1000), None);
}

#[test]
fn the_one_bundle_can_have_to_be_signed_as_well() {
    let http = json!({"cluster": "c", "authority": "a.example", "path": "/p"});
    let mut document: Value = serde_json::from_slice(&document(&json!({}))).unwrap();
    document.as_object_mut().unwrap().remove("bundles");
    for (bundle, keys, expected) in [
        (
            json!({"http": http, "signing": {}}),
            json!({}),
            "configuration at /bundle/signing: there are no `keys`",
        ),
        (
            json!({"http": http, "inline": ""}),
            json!({}),
            "configuration at /bundle: exactly one of `http` and `inline`",
        ),
        (json!({"signing": {}}), json!({}), "configuration at /bundle: exactly one of `http` and `inline`"),
        (json!({"inline": "?"}), json!({}), "configuration at /bundle/inline: not base64"),
        (json!({"http": http}), json!({"k": {"key": "x"}}), "configuration at /keys: \"k\""),
    ] {
        document["bundle"] = bundle;
        document["keys"] = keys;
        let error = Engine::configure(document.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    document["keys"] = json!({"k": {"algorithm": "HS256", "key": "a secret of thirty-two bytes or more"}});
    for (signing, expected) in [(json!(null), "bundle="), (json!({"keyid": "k"}), "signature")] {
        document["bundle"] = json!({"http": http, "signing": signing});
        document["candidate"] = json!({"bundle": document["bundle"]});
        let mut world = World(Engine::configure(document.to_string().as_bytes()).unwrap());
        let said = world.answer("bundle", 200, policy("p1"), 1000);
        assert_eq!(said.contains("signature"), expected == "signature", "{said}");
        assert_eq!(world.in_force(1000).is_some(), expected != "signature");
    }
}

#[test]
fn an_answer_over_the_limit_is_refused_unread() {
    let mut world = World::new();
    world.answer("policy", 200, policy("p1"), 1000);
    world.answer("facts", 200, facts("f1"), 1000);
    let _ = world.0.due(t(1060));
    let answer = Answer::TooLarge { bytes: 5_000_000, limit: 4_194_304 };
    let error = world.0.answered(&SourceId::Bundle("facts".into()), answer, t(1060)).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        ("too_large", "5000000 bytes, more than the limit of 4194304")
    );
    assert_eq!(world.in_force(1060).as_deref(), Some("f1 p1"));
}

#[test]
fn the_oldest_bundle_says_whether_the_policy_is_stale() {
    let mut world = World::new();
    world.answer("policy", 200, policy("p1"), 1000);
    world.answer("facts", 200, facts("f1"), 1000);
    world.answer("policy", 304, Vec::new(), 1500);
    assert!(world.in_force(1600).is_some());
    assert_eq!(world.0.bundle_age(t(1600)), Some(600));
    assert_eq!(world.in_force(1601), None);
    world.answer("facts", 304, Vec::new(), 1601);
    assert!(world.in_force(1601).is_some());
}

#[test]
fn inline_bundles_are_put_together_at_once() {
    use base64::Engine as _;
    let inline = |bytes: &[u8], mode: &str| json!({"mode": mode, "source": {"inline": base64::engine::general_purpose::STANDARD.encode(bytes)}});
    for (policy_mode, facts_mode, observes) in
        [("enforce", "enforce", false), ("observe", "enforce", true), ("enforce", "observe", false)]
    {
        let bundles =
            json!({"policy": inline(&policy("p1"), policy_mode), "facts": inline(&facts("f1"), facts_mode)});
        let engine = Engine::configure(&document(&bundles)).unwrap();
        assert_eq!(engine.bundle(t(0)).unwrap().observes, observes);
    }
    let bundles = json!({"a": inline(&policy("p1"), "enforce"), "b": inline(&policy("p2"), "enforce")});
    let error = Engine::configure(&document(&bundles)).unwrap_err().to_string();
    assert!(
        error.starts_with("configuration at /bundles: bundles \"a\" and \"b\" have overlapping"),
        "{error}"
    );
    let bundles = json!({"a/b": {"source": {"inline": "%"}}});
    let error = Engine::configure(&document(&bundles)).unwrap_err().to_string();
    assert!(error.starts_with("configuration at /bundles/a~1b/source/inline: not base64"), "{error}");
}

#[test]
fn a_mistake_among_the_bundles_is_named_by_pointer() {
    let with = |changes: Value| {
        let mut source = http("/p");
        source["source"]["http"].as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({ "p": source })
    };
    for (bundles, expected) in [
        (json!({}), "/bundle: exactly one"),
        (json!({"": http("/p")}), "/bundles/: a name"),
        (json!({"a b": http("/p")}), "/bundles/a b: a name"),
        (json!({"p": {}}), "missing field `source`"),
        (with(json!({"path": "p"})), "/bundles/p/source/http: path"),
        (with(json!({"min_refresh_seconds": 61})), "/bundles/p/source/http: min_refresh_seconds"),
        (with(json!({"long_polling_timeout_seconds": 0})), "/bundles/p/source/http: long_polling"),
        (with(json!({"surprise": 1})), "surprise"),
        ((0..17).map(|n| (n.to_string(), http("/p"))).collect(), "/bundles: more bundles"),
    ] {
        let message = Config::parse(&document(&bundles)).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
}
