//! Several bundles in real Envoy with several workers: exchanged under load, held back, as deltas, and a candidate beside.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_tests::bundles::{BundleServer, delta, packed};
use remit_tests::http::{Answer, Request, send};
use remit_tests::proxy::{Options, Proxy};
use remit_tests::world::{World, get};
use serde_json::{Value, json};

/// Decides as the facts say, and tells the client and the record which versions did.
fn authz(revision: &str) -> Vec<u8> {
    let rego = format!(
        "package remit.authz\n\n\
         versions := [data.facts.version, \"{revision}\"]\n\n\
         told := {{\"x-versions\": concat(\" \", versions)}}\n\n\
         decision := {{\"allowed\": true, \"reasons\": versions, \"response_headers_to_add\": told}} if data.facts.open\n\n\
         decision := {{\"allowed\": false, \"reasons\": versions, \"headers\": told}} if not data.facts.open\n"
    );
    packed(revision, &["remit"], &rego, &json!({})).unwrap()
}

fn facts(revision: &str, open: bool) -> Vec<u8> {
    packed(revision, &["facts"], "", &json!({"facts": {"version": revision, "open": open}})).unwrap()
}

fn source(path: &str, changes: &Value) -> Value {
    let mut http = json!({"cluster": "bundles", "authority": "bundles.example", "path": path, "timeout_ms": 300,
                          "refresh_seconds": 1, "max_age_seconds": 600});
    http.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"source": {"http": http}})
}

/// What a record says: status, reasons, revisions by name.
fn said(audit: &Value) -> (u64, Vec<String>, BTreeMap<String, String>) {
    let status = audit["status"].as_u64().unwrap_or(200);
    let reasons = serde_json::from_value(audit["reasons"].clone()).unwrap();
    (status, reasons, serde_json::from_value(audit["bundles"].clone()).unwrap_or_default())
}

/// The versions that the client is told, and the status that it gets.
fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.header("x-versions").unwrap_or("none").to_owned())
}

/// Clients that never stop asking.
struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<Vec<(u16, String)>>>,
}

impl Load {
    fn start(port: u16, request: &Request) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = || {
            let (stop, request) = (Arc::clone(&stop), request.clone());
            thread::spawn(move || {
                let mut seen = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    seen.push(told(&send(port, &request).unwrap()));
                    thread::sleep(Duration::from_millis(5));
                }
                seen
            })
        };
        let clients = (0..4).map(|_| client()).collect();
        Self { stop, clients }
    }

    fn end(self) -> Vec<(u16, String)> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

/// Waits until every one of many connections, which the kernel gives to both workers, is answered like this.
fn all_answer(proxy: &Proxy, request: &Request, expected: &(u16, String)) {
    let mut last = BTreeSet::new();
    let waited = proxy.wait_until("all workers have it", || {
        let port = proxy.port;
        let clients: Vec<_> = (0..24)
            .map(|_| {
                let request = request.clone();
                thread::spawn(move || told(&send(port, &request).unwrap()))
            })
            .collect();
        last = clients.into_iter().map(|client| client.join().unwrap()).collect();
        Ok(last == BTreeSet::from([expected.clone()]))
    });
    assert!(waited.is_ok(), "expected {expected:?}, got {last:?}");
}

fn fetched(proxy: &Proxy, bundle: &str, result: &str) {
    let labels = [format!("bundle=\"{bundle}\""), format!("result=\"{result}\"")];
    let labels = labels.each_ref().map(String::as_str);
    proxy
        .wait_until(&format!("{bundle} {result}"), || {
            Ok(proxy.statistic("remit_bundles_fetches", &labels)? > 0)
        })
        .unwrap();
}

/// Envoy with two workers, whose cluster `bundles` is this server.
fn two_workers(name: &'static str, configuration: String, server: &BundleServer) -> Proxy {
    let bundles_port = Some(server.port());
    let options = Options { name, configuration, bundles_port, workers: 2, ..Options::default() };
    Proxy::start(&options).unwrap()
}

#[test]
fn bundles_are_exchanged_under_load_on_all_workers() {
    let world = World::new().unwrap();
    let server = BundleServer::start().unwrap();
    server.serve("/authz", "\"a1\"", authz("a1"));
    let bundles = json!({
        "authz": source("/authz", &json!({"long_polling_timeout_seconds": 3})), "facts": source("/facts", &json!({}))});
    let configuration = world.config(json!({"bundle": null, "bundles": bundles}));
    let proxy = two_workers("several-bundles", configuration, &server);
    let request = get(&world.token().unwrap());
    assert_eq!(proxy.send(&request).unwrap().summary(), "503 deny no_bundle", "one is missing");
    fetched(&proxy, "authz", "incomplete");
    server.serve("/facts", "\"f1\"", facts("f1", true));
    all_answer(&proxy, &request, &(200, "f1 a1".into()));
    let before = proxy.audits().unwrap().len();

    let load = Load::start(proxy.port, &request);
    // A good version of one, for which the server held back the requests of two workers and the main thread.
    proxy.wait_until("requests are held", || Ok(server.answered("held") >= 3)).unwrap();
    server.serve("/authz", "\"a2\"", authz("a2"));
    all_answer(&proxy, &request, &(200, "f1 a2".into()));
    // One that is no Rego, and one that owns what the other owns.
    server.serve(
        "/authz",
        "\"a3\"",
        packed("a3", &["remit"], "package remit.authz\ndecision := \n", &json!({})).unwrap(),
    );
    fetched(&proxy, "authz", "bundle_refused");
    let greedy = json!({"facts": {"version": "f2", "open": false}});
    server.serve("/facts", "\"f2\"", packed("f2", &["facts", "remit/authz"], "", &greedy).unwrap());
    fetched(&proxy, "facts", "bundle_refused");
    proxy.wait_for_log("have overlapping roots").unwrap();
    // A server that takes too long.
    server.slow(Duration::from_millis(500));
    fetched(&proxy, "facts", "no_answer");
    server.slow(Duration::ZERO);
    all_answer(&proxy, &request, &(200, "f1 a2".into()));
    // Good ones again, the second of them as changes to the first.
    server.serve("/authz", "\"a4\"", authz("a4"));
    server.serve("/facts", "\"f3\"", facts("f3", false));
    all_answer(&proxy, &request, &(403, "f3 a4".into()));
    fetched(&proxy, "facts", "unchanged");
    let changes = [("/facts/version", json!("f4")), ("/facts/open", json!(true))];
    server.serve_delta("/facts", "\"f4\"", facts("f4", true), delta("f4", &["facts"], &changes).unwrap());
    all_answer(&proxy, &request, &(200, "f4 a4".into()));
    assert!(server.answered("delta") > 0 && server.answered("unchanged") > 0);
    let answers = load.end();

    assert!(answers.len() > 100, "{}", answers.len());
    let states = ["200 f1 a1", "200 f1 a2", "200 f1 a4", "403 f3 a2", "403 f3 a4", "200 f4 a4"];
    let seen: BTreeSet<_> = answers.iter().map(|(status, versions)| format!("{status} {versions}")).collect();
    assert!(seen.iter().all(|state| states.contains(&state.as_str())), "{seen:?}");
    // Each record names the versions that decided, and the answer is theirs.
    proxy.wait_until("all records", || Ok(proxy.audits()?.len() >= before + answers.len())).unwrap();
    for audit in &proxy.audits().unwrap()[before..] {
        let (status, reasons, revisions) = said(audit.value());
        assert_eq!(reasons, [revisions["facts"].as_str(), revisions["authz"].as_str()]);
        assert_eq!(status, if revisions["facts"] == "f3" { 403 } else { 200 });
    }
    let shown = |revision: &str| {
        let revision = format!("revision=\"{revision}\"");
        proxy.statistic("remit_bundles_revision", &["bundle=\"facts\"", &revision])
    };
    proxy.wait_until("the revision is shown", || Ok((shown("f3")?, shown("f4")?) == (0, 1))).unwrap();
    proxy.finish().unwrap();
}

#[test]
fn a_bundle_over_the_limits_is_refused() {
    let world = World::new().unwrap();
    let server = BundleServer::start().unwrap();
    server.serve("/authz", "\"a1\"", authz("a1"));
    server.serve("/facts", "\"f1\"", facts("f1", true));
    let bundles = json!({"authz": source("/authz", &json!({})), "facts": source("/facts", &json!({}))});
    let limits = json!({"bundle_bytes": 20_000, "bundle_unpacked_bytes": 100_000});
    let configuration = world.config(json!({"bundle": null, "bundles": bundles, "limits": limits}));
    let bundles_port = Some(server.port());
    let options = Options { name: "bundle-limits", configuration, bundles_port, ..Options::default() };
    let proxy = Proxy::start(&options).unwrap();
    let request = get(&world.token().unwrap());
    all_answer(&proxy, &request, &(200, "f1 a1".into()));
    let mut noise = String::new();
    let mut state = 1_u64;
    while noise.len() < 40_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.push_str(&STANDARD.encode(state.to_be_bytes()));
    }
    for (revision, large, result, logged) in [
        ("f2", noise, "too_large", "more than the limit of 20000"),
        ("f3", "0".repeat(10_000_000), "bundle_refused", "inflates to more than the limit of 100000"),
    ] {
        let body = packed(revision, &["facts"], "", &json!({"facts": {"large": large}})).unwrap();
        assert_eq!(body.len() > 20_000, result == "too_large");
        server.serve("/facts", revision, body);
        fetched(&proxy, "facts", result);
        proxy.wait_for_log(logged).unwrap();
        all_answer(&proxy, &request, &(200, "f1 a1".into()));
    }
    proxy.finish().unwrap();
}

#[test]
fn a_candidate_decides_in_shadow() {
    let world = World::new().unwrap();
    let server = BundleServer::start().unwrap();
    server.serve("/facts", "\"f1\"", facts("f1", true));
    server.serve("/next", "\"f2\"", facts("f2", false));
    let authz = json!({"source": {"inline": STANDARD.encode(authz("a1"))}});
    let configuration = world.config(json!({
        "bundle": null, "bundles": {"authz": authz, "facts": source("/facts", &json!({}))},
        "candidate": {"bundles": {"facts": source("/next", &json!({}))}}}));
    let proxy = two_workers("candidate", configuration, &server);
    let request = get(&world.token().unwrap());
    all_answer(&proxy, &request, &(200, "f1 a1".into()));
    let shadow = |expected: &Value| {
        proxy
            .wait_until("the candidate", || {
                let seen = proxy.send(&request)?;
                assert_eq!(told(&seen.answer), (200, "f1 a1".into()));
                Ok(seen.audit.value().get("candidate").unwrap_or(&Value::Null) == expected)
            })
            .unwrap();
    };
    shadow(&json!({"revision": "authz=a1 facts=f2", "outcome": "deny", "reasons": ["f2", "a1"],
                   "differs": ["outcome", "reasons", "changes"]}));
    assert!(proxy.statistic("remit_shadow_evaluations", &["result=\"different\""]).unwrap() > 0);
    assert!(proxy.statistic("remit_shadow_outcomes", &["outcome=\"allow\"", "would=\"deny\""]).unwrap() > 0);
    assert!(proxy.statistic("remit_shadow_differences", &["kind=\"reasons\""]).unwrap() > 0);
    server.serve("/next", "\"f1\"", facts("f1", true));
    shadow(
        &json!({"revision": "authz=a1 facts=f1", "outcome": "allow", "reasons": ["f1", "a1"], "differs": []}),
    );
    assert!(proxy.statistic("remit_shadow_evaluations", &["result=\"same\""]).unwrap() > 0);
    // One that cannot be compiled leaves the one before, and the policy in force as it is.
    server.serve("/next", "\"f3\"", packed("f3", &["remit", "facts"], "", &json!({})).unwrap());
    proxy
        .wait_until("a refusal", || {
            let labels = ["source=\"candidate\"", "result=\"bundle_refused\""];
            Ok(proxy.statistic("remit_fetches", &labels)? > 0)
        })
        .unwrap();
    shadow(
        &json!({"revision": "authz=a1 facts=f1", "outcome": "allow", "reasons": ["f1", "a1"], "differs": []}),
    );
    proxy.finish().unwrap();
}

#[test]
fn a_discovery_bundle_says_which_bundles_there_are() {
    let world = World::new().unwrap();
    let server = BundleServer::start().unwrap();
    let discovery = |revision: &str, bundles: Value| {
        packed(revision, &["discovery"], "", &json!({"discovery": {"bundles": bundles}})).unwrap()
    };
    let polling = json!({"min_delay_seconds": 1, "max_delay_seconds": 1});
    let all = json!({"service": "acme", "resource": "all", "polling": polling});
    let authz_alone = json!({"service": "acme", "resource": "authz", "polling": polling});
    let facts_alone = json!({"service": "acme", "resource": "facts", "polling": polling});
    let whole = "package remit.authz\ndecision := {\"allowed\": true, \"response_headers_to_add\": {\"x-versions\": \"whole\"}}\n";
    server.serve("/v1/all", "\"1\"", packed("w1", &["remit"], whole, &json!({})).unwrap());
    server.serve("/v1/authz", "\"1\"", authz("a1"));
    server.serve("/discovery", "\"1\"", discovery("d1", json!({"all": all})));
    let http = source("/discovery", &json!({})).pointer("/source").unwrap().clone();
    let settings = json!({
        "source": http, "decision": "discovery",
        "services": {"acme": {"cluster": "bundles", "authority": "acme.example", "path": "/v1"}}});
    let configuration = world.config(json!({"bundle": null, "discovery": settings}));
    let proxy = two_workers("discovery", configuration, &server);
    let request = get(&world.token().unwrap());
    all_answer(&proxy, &request, &(200, "whole".into()));
    // Two in place of one. One of them is missing, so the one stays, under load.
    let load = Load::start(proxy.port, &request);
    server.serve("/discovery", "\"2\"", discovery("d2", json!({"authz": authz_alone, "facts": facts_alone})));
    fetched(&proxy, "authz", "incomplete");
    all_answer(&proxy, &request, &(200, "whole".into()));
    server.serve("/v1/facts", "\"1\"", facts("f1", true));
    all_answer(&proxy, &request, &(200, "f1 a1".into()));
    // A document that says what it may not.
    server.serve("/discovery", "\"3\"", discovery("d3", json!({"all": {"service": "evil"}})));
    proxy.wait_for_log("discovery.services has no such service").unwrap();
    all_answer(&proxy, &request, &(200, "f1 a1".into()));
    let seen: BTreeSet<_> = load.end().into_iter().collect();
    assert_eq!(seen, BTreeSet::from([(200, "whole".to_owned()), (200, "f1 a1".to_owned())]));
    proxy.finish().unwrap();
}

#[test]
fn the_names_of_bundles_stay_apart_and_take_no_place_of_reason_codes() {
    let world = World::new().unwrap();
    let named = |bytes: &[u8]| json!({"source": {"inline": STANDARD.encode(bytes)}});
    let other = |root: &str| named(&packed(root, &[root], "", &json!({root: {"known": true}})).unwrap());
    // As many as there may be: with what is told of each, far more names than reason codes have places.
    let mut bundles = json!({"a/b": other("one"), "a_b": other("two")});
    for number in 0..61 {
        bundles[format!("facts-{number}")] = other(&format!("facts{number}"));
    }
    let policy = "package remit.authz\n\ndecision := {\"allowed\": false, \"reasons\": [input.attributes.request.http.headers[\"x-why\"]]}\n";
    bundles["authz"] = named(&packed("a1", &["remit"], policy, &json!({})).unwrap());
    let configuration = world.config(json!({"bundle": null, "bundles": bundles, "limits": {"bundles": 64}}));
    let proxy = Proxy::start(&Options { name: "bundle-names", configuration, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    for label in ["a_2fb", "a__b", "facts-60"] {
        let label = format!("bundle=\"{label}\"");
        let shown = || {
            Ok(proxy
                .statistics()?
                .lines()
                .any(|line| line.starts_with("remit_bundles_") && line.contains(&label)))
        };
        proxy.wait_until(&label, shown).unwrap();
    }
    for number in 0..100 {
        let why = format!("why_{number}");
        assert_eq!(proxy.send(&get(&token).header("x-why", &why)).unwrap().answer.status, 403);
        assert_eq!(proxy.statistic("remit_reasons", &[&format!("reason=\"{why}\"")]).unwrap(), 1, "{why}");
    }
    assert!(!proxy.statistics().unwrap().contains("remit_names_beyond_limit"));
    proxy.finish().unwrap();
}
