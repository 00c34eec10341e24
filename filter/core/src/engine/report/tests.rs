//! Reports: what they say, when they are made, who makes them.

use serde_json::json;

use super::*;
use crate::bundle::testing::packed;
use crate::engine::SourceId;
use crate::source::Answer;

const fn t(seconds: u64) -> UnixSeconds {
    UnixSeconds(seconds)
}

fn engine() -> Engine {
    let http =
        |path: &str| json!({"source": {"http": {"cluster": "c", "authority": "a.example", "path": path}}});
    let document = json!({
        "version": 1, "resource": "https://tools.example", "issuers": [], "labels": {"region": "eu"},
        "failures": {"token_missing": "decide_without"},
        "bundles": {"authz": http("/authz"), "facts": http("/facts")},
        "status": {"cluster": "control", "authority": "control.example", "interval_seconds": 60}});
    Engine::configure(document.to_string().as_bytes()).unwrap()
}

fn answer(engine: &mut Engine, name: &str, status: u16, now: u64) {
    let rego = format!("package {name}\ndecision := true\n");
    let rego = if name == "authz" { rego.replace("authz", "remit.authz") } else { rego };
    let roots = if name == "authz" { "remit" } else { name };
    let manifest = json!({"revision": format!("{name}-{now}"), "roots": [roots]}).to_string();
    let body = packed(&[(".manifest", manifest.as_str()), ("a.rego", rego.as_str())]);
    let answer = Answer::Response { status, etag: None, fresh_seconds: None, content_type: None, body };
    let _ = engine.due(t(now));
    let _ = engine.answered(&SourceId::Bundle(name.into()), answer, t(now));
}

fn ok() -> HttpReply {
    HttpReply::Response { status: 200, headers: Vec::new(), body: Vec::new() }
}

#[test]
fn the_document_is_opas() {
    let mut engine = engine();
    answer(&mut engine, "authz", 200, 1_000_000_000);
    answer(&mut engine, "facts", 404, 1_000_000_001);
    let never = "0001-01-01T00:00:00Z";
    let mut document = engine.status_document();
    assert!(document["bundles"]["authz"]["size"].as_u64().unwrap() > 100);
    document["bundles"]["authz"]["size"] = json!(0);
    assert_eq!(
        document,
        json!({
            "labels": {"region": "eu", "version": concat!("remit ", env!("CARGO_PKG_VERSION"))},
            "bundles": {
                "authz": {
                    "name": "authz", "type": "snapshot", "size": 0, "last_request": "2001-09-09T01:46:40.000Z",
                    "last_successful_request": "2001-09-09T01:46:40.000Z",
                    "last_successful_download": "2001-09-09T01:46:40.000Z", "last_successful_activation": never},
                "facts": {
                    "name": "facts", "last_request": "2001-09-09T01:46:40.000Z", "last_successful_request": never,
                    "last_successful_download": never, "last_successful_activation": never,
                    "code": "bundle_error", "message": "status 404", "http_code": 404}},
            "plugins": {"bundle": {"state": "NOT_READY"}, "status": {"state": "OK"}}
        })
    );
    answer(&mut engine, "facts", 200, 1_000_000_002);
    let document = engine.status_document();
    assert_eq!(document["plugins"]["bundle"]["state"], "OK");
    assert_eq!(document["bundles"]["authz"]["active_revision"], "authz-1000000000");
    assert_eq!(document["bundles"]["authz"]["last_successful_activation"], "2001-09-09T01:46:42.000Z");
    assert_eq!(document["bundles"]["facts"].get("code"), None);
    engine.bundle_took("facts", (7_000_000, 900));
    engine.bundle_took("nothing", (1, 1));
    let told = &engine.status_document()["bundles"]["facts"]["metrics"];
    assert_eq!(*told, json!({"timer_bundle_request_ns": 7_000_000, "timer_rego_load_bundles_ns": 900}));
}

#[test]
fn a_report_is_made_when_something_changes_and_now_and_then() {
    let mut engine = engine();
    assert!(engine.report_is_due(t(1000)));
    let call = engine.report(t(1000)).unwrap();
    assert_eq!((call.cluster.as_str(), call.headers[3].1.as_str()), ("control", "/status"));
    assert!(!engine.report_is_due(t(1005)), "one at a time");
    assert_eq!(engine.reported(&ok(), t(1001)), "ok");
    assert!(!engine.report_is_due(t(1059)));
    assert!(engine.report_is_due(t(1060)), "the interval");
    engine.report(t(1060));
    engine.reported(&ok(), t(1060));
    answer(&mut engine, "authz", 404, 1061);
    assert!(engine.report_is_due(t(1061)), "a fault");
    engine.report(t(1061));
    engine.reported(&ok(), t(1061));
    answer(&mut engine, "authz", 404, 1063);
    assert!(!engine.report_is_due(t(1063)), "the same fault");
    answer(&mut engine, "authz", 200, 1065);
    assert!(engine.report_is_due(t(1065)));
    // What was not taken is told again, less and less often.
    for (reply, result, now, next) in [
        (HttpReply::Nothing, "no_answer", 1065, 1066),
        (HttpReply::Late, "no_answer", 1066, 1068),
        (HttpReply::Response { status: 503, headers: Vec::new(), body: Vec::new() }, "status", 1068, 1072),
    ] {
        engine.report(t(now));
        assert_eq!(engine.reported(&reply, t(now)), result);
        assert!(!engine.report_is_due(t(next - 1)) && engine.report_is_due(t(next)), "{now}");
    }
    // A host that never answers at all.
    engine.report(t(1072));
    assert!(!engine.report_is_due(t(1077)) && engine.report_is_due(t(1132)));
}

#[test]
fn one_worker_of_the_proxy_reports() {
    let [mut one, mut two] = [engine(), engine()];
    one.spread([1; 8]);
    two.spread([2; 8]);
    let Reporter::Claim(first) = one.reporter(None, t(1000)) else { panic!() };
    assert_eq!(one.reporter(Some(&first), t(1001)), Reporter::Here);
    assert_eq!(two.reporter(Some(&first), t(1001)), Reporter::Elsewhere);
    assert!(matches!(one.reporter(Some(&first), t(1009)), Reporter::Claim(_)), "renewed in time");
    assert_eq!(two.reporter(Some(&first), t(1014)), Reporter::Elsewhere);
    let Reporter::Claim(second) = two.reporter(Some(&first), t(1015)) else {
        panic!("the first one is gone")
    };
    assert_eq!(one.reporter(Some(&second), t(1016)), Reporter::Elsewhere);
    for broken in [&b""[..], b"short", &[0; 17], &[0; 15]] {
        assert!(matches!(one.reporter(Some(broken), t(1000)), Reporter::Claim(_)), "{broken:?}");
    }
}

/// Shared data of the proxy: each value with the time of its last change.
type SharedData = std::cell::RefCell<std::collections::BTreeMap<String, (Vec<u8>, u64)>>;

fn reports(engine: &mut Engine, shared: &SharedData, now: u64) -> bool {
    let read = |key: &str| {
        let found = shared.borrow().get(key).cloned();
        Some(found.map_or((None, 0), |(value, version)| (Some(value), version)))
    };
    let write = |key: &str, value: &[u8], version: u64| {
        let mut shared = shared.borrow_mut();
        let is_read = shared.get(key).map_or(0, |(_, known)| *known) == version;
        if is_read {
            shared.insert(key.to_owned(), (value.to_vec(), version.wrapping_add(1)));
        }
        is_read
    };
    let call = engine.report_in_turn(t(now), read, write, Vec::new);
    if call.is_some() {
        engine.reported(&ok(), t(now));
    }
    call.is_some()
}

#[test]
fn who_reports_goes_on_to_while_it_is_there() {
    let shared = SharedData::default();
    let mut workers = [engine(), engine(), engine()];
    for (number, worker) in (1..).zip(&mut workers) {
        worker.spread([number; 8]);
    }
    let mut told = Vec::new();
    for now in 1000..1300 {
        // The first one is gone after 1200.
        for (number, worker) in workers.iter_mut().enumerate().skip(usize::from(now > 1200)) {
            if reports(worker, &shared, now) {
                told.push((number, now));
            }
        }
    }
    assert_eq!(told, [(0, 1000), (0, 1060), (0, 1120), (0, 1180), (1, 1215), (1, 1275)]);
}

#[test]
fn configurations_report_apart_where_somebody_else_is_told_or_of_something_else() {
    let keys = ["cluster", "authority", "path", "labels", "interval_seconds"].map(|changed| {
        let mut engine = engine();
        let status = engine.config.status.as_mut().unwrap();
        match changed {
            "cluster" => status.cluster.push('x'),
            "authority" => status.authority.push('x'),
            "path" => status.path.push('x'),
            "labels" => drop(engine.config.labels.insert("id".into(), "x".into())),
            _ => status.interval_seconds += 1,
        }
        engine.reporter_key().unwrap()
    });
    let mut apart: Vec<_> = keys.iter().collect();
    apart.sort();
    apart.dedup();
    assert_eq!(apart.len(), 5);
    assert_eq!(engine().reporter_key().as_ref(), keys.last(), "how often makes no difference");
}
