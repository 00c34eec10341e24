//! Discovery: what is planned, what is refused, and that nothing is lost on the way.

use serde_json::{Value, json};

use crate::bundle::testing::packed;
use crate::engine::{Engine, Installed, SourceId};
use crate::ids::UnixSeconds;
use crate::source::Answer;

const fn t(seconds: u64) -> UnixSeconds {
    UnixSeconds(seconds)
}

struct World(Engine);

fn document(discovery: Value) -> Vec<u8> {
    let mut settings = json!({
        "source": {"http": {"cluster": "control", "authority": "control.example", "path": "/discovery"}},
        "decision": "example/discovery",
        "services": {"acme": {"cluster": "bundles", "authority": "acme.example", "path": "/v1/"}}});
    settings.as_object_mut().unwrap().extend(discovery.as_object().unwrap().clone());
    json!({
        "version": 1, "resource": "https://tools.example", "issuers": [],
        "failures": {"token_missing": "decide_without"}, "discovery": settings})
    .to_string()
    .into_bytes()
}

impl World {
    fn new() -> Self {
        Self(Engine::configure(&document(json!({}))).unwrap())
    }

    /// What becomes of an answer from a source.
    fn take(&mut self, id: &SourceId, body: Vec<u8>, now: u64) -> String {
        let _ = self.0.due(t(now));
        self.arrive(id, body, now)
    }

    /// The same without looking for what is due.
    fn arrive(&mut self, id: &SourceId, body: Vec<u8>, now: u64) -> String {
        let answer =
            Answer::Response { status: 200, etag: None, fresh_seconds: None, content_type: None, body };
        match self.0.answered(id, answer, t(now)) {
            Ok(Installed::Bundle(active)) => active.revision.clone(),
            Ok(Installed::Discovered) => "discovered".to_owned(),
            Ok(other) => format!("{other:?}").to_lowercase(),
            Err(error) => format!("{}: {error}", error.kind()),
        }
    }

    fn discover(&mut self, said: &Value, now: u64) -> String {
        self.take(&SourceId::Discovery, discovery(said), now)
    }

    fn bundle(&mut self, name: &str, root: &str, rego: &str, now: u64) -> String {
        let manifest = json!({"revision": format!("{name}-{now}"), "roots": [root]}).to_string();
        let body = packed(&[(".manifest", manifest.as_str()), ("a.rego", rego)]);
        self.take(&SourceId::Bundle(name.into()), body, now)
    }

    /// Cluster, authority and path of what is due.
    fn due(&mut self, now: u64) -> Vec<String> {
        let due = self.0.due(t(now)).into_iter();
        due.map(|(_, fetch)| format!("{} {}{}", fetch.place.cluster, fetch.place.authority, fetch.place.path))
            .collect()
    }

    fn in_force(&self, now: u64) -> Option<String> {
        self.0.bundle(t(now)).map(|active| active.revision.clone())
    }
}

fn discovery(said: &Value) -> Vec<u8> {
    let data = json!({"example": {"discovery": said}}).to_string();
    packed(&[("data.json", data.as_str())])
}

const AUTHZ: &str = "package remit.authz\ndecision := true\n";

#[test]
fn bundles_are_planned_and_exchanged_without_a_gap() {
    let mut world = World::new();
    assert_eq!(world.due(1000), ["control control.example/discovery"]);
    let one = json!({"bundles": {"authz": {"service": "acme", "resource": "/authz.tar.gz", "persist": true,
        "polling": {"min_delay_seconds": 10, "max_delay_seconds": 20}}}, "labels": {"a": "b"}});
    assert_eq!(world.discover(&one, 1000), "discovered");
    assert_eq!(world.in_force(1000), None);
    assert_eq!(world.due(1000), ["bundles acme.example/v1/authz.tar.gz"]);
    assert_eq!(world.bundle("authz", "remit", AUTHZ, 1000), "authz-1000");
    // A further bundle: what is in force stays until that is here.
    let two = json!({"bundles": {"authz": one["bundles"]["authz"], "facts": {"service": "acme"}},
                     "status": {"service": "acme", "partition_name": "p"}});
    assert_eq!(world.discover(&two, 1030), "discovered");
    assert_eq!(world.in_force(1030).as_deref(), Some("authz-1000"));
    assert!(world.due(1030).contains(&"bundles acme.example/v1/bundles/facts".to_owned()));
    assert_eq!(world.bundle("facts", "facts", "package facts\n", 1031), "authz-1000");
    assert_eq!(world.0.bundle(t(1031)).unwrap().revisions.len(), 2);
    assert_eq!(world.0.report(t(1031)).unwrap().headers[3].1, "/v1/status/p");
    assert_eq!(
        world.0.status_document()["discovery"]["last_successful_activation"],
        "1970-01-01T00:17:10.000Z"
    );
    // One less, and at once.
    assert_eq!(world.discover(&one, 1090), "discovered");
    assert!(world.0.bundle(t(1090)).unwrap().revisions.is_empty());
    assert!(world.0.report(t(1090)).is_none());
    // Another in its place: it is not in force before it is here, and its forerunner not for ever.
    let other = json!({"bundles": {"next": {"service": "acme"}}});
    assert_eq!(world.discover(&other, 1100), "discovered");
    assert_eq!(world.in_force(1100).as_deref(), Some("authz-1000"));
    assert_eq!(world.in_force(4601), None, "older than max_age_seconds, and nobody fetches it");
    assert_eq!(world.bundle("next", "remit", AUTHZ, 4601), "next-4601");
    assert_eq!(world.in_force(4601).as_deref(), Some("next-4601"));
}

#[test]
fn a_bad_document_leaves_everything() {
    let mut world = World::new();
    let good = json!({"bundles": {"authz": {"service": "acme"}}});
    world.discover(&good, 1000);
    world.bundle("authz", "remit", AUTHZ, 1000);
    let with = |name: &str, value: Value| {
        let mut said = good.clone();
        said[name] = value;
        said
    };
    let bundle = |changes: Value| {
        let mut bundle = json!({"service": "acme"});
        bundle.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!({"bundles": {"a": bundle}})
    };
    for (said, expected) in [
        (with("services", json!({"acme": {"url": "https://evil.example"}})), "/services: unknown field"),
        (with("keys", json!({"k": {"key": "x"}})), "/keys: unknown field"),
        (with("issuers", json!([])), "/issuers: unknown field"),
        (with("default_decision", json!("/open/sesame")), "/default_decision"),
        (with("bundles", json!({})), "/bundles: no bundle"),
        (with("status", json!({"service": "evil"})), "/status/service"),
        (bundle(json!({"service": "evil"})), "/bundles/a/service"),
        (bundle(json!({"mode": "observe"})), "/bundles/a/mode: unknown field"),
        (bundle(json!({"trigger": "manual"})), "/bundles/a/trigger"),
        (bundle(json!({"size_limit_bytes": 10})), "/bundles/a/size_limit_bytes"),
        (bundle(json!({"polling": {"min_delay_seconds": 130}})), "/bundles/a/source/http: min_refresh"),
        (bundle(json!({"signing": {"keyid": "none"}})), "there are no `keys`"),
        (json!({"bundles": {"é": {"service": "acme", "resource": "e"}}}), "/bundles/é: a name"),
        (json!({"bundles": {"a b": {"service": "acme"}}}), "/bundles/a b/resource: visible ASCII"),
        (json!({"bundles": {"../../a": {"service": "acme"}}}), "/bundles/..~1..~1a/resource: visible"),
        (
            with("status", json!({"service": "acme", "partition_name": "../../a"})),
            "/status/partition_name: visible ASCII",
        ),
        (json!(7), "discovery at"),
        (Value::Null, "discovery at"),
        ((0..17).map(|n| (n.to_string(), json!({"service": "acme"}))).collect::<Value>(), "unknown field"),
    ] {
        let answered = world.discover(&said, 1060);
        assert!(
            answered.starts_with("discovery_refused: ") && answered.contains(expected),
            "{expected}: {answered}"
        );
        assert_eq!(world.in_force(1060).as_deref(), Some("authz-1000"));
        assert_eq!(world.0.bundle_statuses().map(|(name, _)| name).collect::<Vec<_>>(), ["authz"]);
    }
    for body in [packed(&[("data.json", "{}")]), b"<html>".to_vec()] {
        let answered = world.take(&SourceId::Discovery, body, 1060);
        assert!(
            answered.contains("nothing at data.example.discovery") || answered.contains("gzip"),
            "{answered}"
        );
    }
    assert_eq!(world.discover(&good, 1061), "unchanged");
}

#[test]
fn a_rule_may_say_it_and_an_inline_bundle_too() {
    use base64::Engine as _;
    let rego =
        "package example\ndiscovery := {\"bundles\": {\"authz\": {\"service\": name}}}\nname := \"acme\"\n";
    let inline = base64::engine::general_purpose::STANDARD.encode(packed(&[("a.rego", rego)]));
    let mut world = World(Engine::configure(&document(json!({"source": {"inline": inline}}))).unwrap());
    assert_eq!(world.due(1000), ["bundles acme.example/v1/bundles/authz"]);
    let inline = base64::engine::general_purpose::STANDARD.encode(discovery(&json!({"services": {}})));
    let error = Engine::configure(&document(json!({"source": {"inline": inline}}))).unwrap_err().to_string();
    assert!(error.starts_with("configuration at /discovery: discovery at /services"), "{error}");
    let error = Engine::configure(&document(json!({"services": {}}))).unwrap_err().to_string();
    assert!(error.starts_with("configuration at /discovery/services"), "{error}");
}

#[test]
fn bundles_have_to_be_signed_as_the_discovery_bundle_is() {
    let mut settings: Value = serde_json::from_slice(&document(json!({"signing": {}}))).unwrap();
    settings["keys"] = json!({"k": {"algorithm": "HS256", "key": "a secret of thirty-two bytes or more"}});
    let mut world = World(Engine::configure(settings.to_string().as_bytes()).unwrap());
    let answered = world.discover(&json!({"bundles": {"authz": {"service": "acme"}}}), 1000);
    assert!(answered.contains("signature"), "{answered}");
}

#[test]
fn the_document_relaxes_no_signature_that_the_configuration_demands() {
    let planned = |demanded: Value, said: Value| {
        let mut settings: Value = serde_json::from_slice(&document(json!({"signing": demanded}))).unwrap();
        settings["keys"] = json!({
            "k": {"algorithm": "HS256", "key": "a secret of thirty-two bytes or more"},
            "l": {"algorithm": "HS256", "key": "another one of thirty-two bytes or more"}});
        let config = crate::config::Config::parse(settings.to_string().as_bytes()).unwrap();
        let said = crate::shape::read(&json!({"bundles": {"authz": {"service": "acme", "signing": said}}}));
        let planned = super::document::plan(&said.unwrap(), config.discovery.as_ref().unwrap(), &config);
        planned.map(|planned| json!(planned.bundles["authz"].signing)).map_err(|error| error.to_string())
    };
    let signing = |keyid: Value, scope: Value, exclude: Value, deltas: bool| {
        json!({"keyid": keyid, "scope": scope,
        "exclude_files": exclude, "allow_unsigned_delta_bundles": deltas})
    };
    for (demanded, said, expected) in [
        (
            json!({}),
            json!({"keyid": "l", "scope": "read"}),
            signing(json!("l"), json!("read"), json!([]), false),
        ),
        (
            json!({"keyid": "k", "scope": "read"}),
            json!({}),
            signing(json!("k"), json!("read"), json!([]), false),
        ),
        (
            json!({"exclude_files": ["a", "b"], "allow_unsigned_delta_bundles": true}),
            json!({"keyid": "l", "exclude_files": ["b"]}),
            signing(json!("l"), Value::Null, json!(["a", "b"]), true),
        ),
    ] {
        assert_eq!(planned(demanded, said), Ok(expected));
    }
    for said in [
        json!({"allow_unsigned_delta_bundles": true}),
        json!({"exclude_files": ["*"]}),
        json!({"keyid": "l", "exclude_files": ["b", "a"]}),
    ] {
        let error = planned(json!({"exclude_files": ["b"]}), said.clone()).unwrap_err();
        assert!(error.starts_with("discovery at /bundles/authz/signing: only `keyid`"), "{said}: {error}");
    }
}

#[test]
fn what_is_fetched_stays_below_the_path_of_its_service() {
    let resource = |resource: &str| {
        let mut world = World::new();
        let said = json!({"bundles": {"a": {"service": "acme", "resource": resource}}});
        let answered = world.discover(&said, 1000);
        if answered == "discovered" { world.due(1000).join(" ") } else { answered }
    };
    for (given, place) in [
        ("a/b.tar.gz", "bundles acme.example/v1/a/b.tar.gz"),
        ("//a/..b/c../...", "bundles acme.example/v1/a/..b/c../..."),
        ("a?version=1.2&x=%20", "bundles acme.example/v1/a?version=1.2&x=%20"),
    ] {
        assert_eq!(resource(given), place);
    }
    for given in [
        "../../other-tenant/bundle.tar.gz",
        "a/..",
        "./a",
        "a/./b",
        "/../a",
        "..?a",
        "a/%2e%2E/b",
        "%2e/a",
        ".%2e/a",
        "a%2f..%2Fb",
        "..\\a",
        "a%5c..%5Cb",
        "a/..;x/b",
        "a#b",
        "a b",
        "a\tb",
        "a\r\nx: y",
        "a\0",
        "a\u{7f}",
        "é",
    ] {
        let answered = resource(given);
        assert!(answered.contains("/bundles/a/resource: visible ASCII"), "{given:?}: {answered}");
    }
}

#[test]
fn the_answer_of_a_source_that_is_no_longer_one_is_not_taken() {
    let mut world = World::new();
    let at = |resource: &str| json!({"bundles": {"authz": {"service": "acme", "resource": resource}}});
    let authz = |revision: &str| {
        let manifest = json!({"revision": revision, "roots": ["remit"]}).to_string();
        packed(&[(".manifest", manifest.as_str()), ("a.rego", AUTHZ)])
    };
    let id = SourceId::Bundle("authz".into());
    world.discover(&at("x"), 1000);
    assert_eq!(world.due(1000), ["bundles acme.example/v1/x"]);
    // It moves while that is under way.
    world.discover(&at("y"), 1000);
    assert_eq!(world.arrive(&id, authz("of x"), 1000), "unknown: nobody asked for it");
    assert_eq!(world.in_force(1000), None);
    let status = world.0.bundle_statuses().next().unwrap().1.clone();
    assert_eq!((status.last_successful_request, status.fault), (None, None));
    assert_eq!(world.due(1001), ["bundles acme.example/v1/y"]);
    assert_eq!(world.arrive(&id, authz("of y"), 1001), "of y");
}
