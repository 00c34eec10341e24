//! Reports on the bundles from real Envoy, and what real OPA reports of the same events.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use remit_tests::bundles::{BundleServer, packed};
use remit_tests::proxy::{Options, Proxy};
use remit_tests::upstream::{Manner, Upstream};
use remit_tests::world::World;
use serde_json::{Value, json};

fn bundle(name: &str) -> Vec<u8> {
    let package = if name == "authz" { "remit.authz" } else { name };
    let root = package.split('.').next().unwrap();
    packed(&format!("{name}-1"), &[root], &format!("package {package}\ndecision := true\n"), &json!({}))
        .unwrap()
}

/// How long fetching and taking a bundle took, in OPA's names. It measures parsing and compiling apart, too.
const TIMERS: [&str; 2] = ["timer_bundle_request_ns", "timer_rego_load_bundles_ns"];

/// The reports that have arrived.
fn reports(control: &Upstream) -> Vec<Value> {
    let arrived = control.take().into_iter().filter(|request| request.path == "/status");
    arrived
        .map(|request| {
            assert_eq!(
                (request.method.as_str(), request.values("content-type")),
                ("POST", vec!["application/json"])
            );
            serde_json::from_slice(&request.body).unwrap()
        })
        .collect()
}

/// The last report once one holds what is wanted.
fn report(control: &Upstream, holds: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        if let Some(report) = reports(control).into_iter().rfind(&holds) {
            return report;
        }
        assert!(begun.elapsed() < Duration::from_secs(15), "no such report");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Names and kinds of the members of a bundle, without those that only OPA has.
fn shape(report: &Value, bundle: &str) -> BTreeSet<String> {
    let members = report.pointer(&format!("/bundles/{bundle}")).unwrap().as_object().unwrap().iter();
    let kind = |value: &Value| match value {
        Value::String(text) if text.ends_with('Z') => "time",
        Value::String(_) => "text",
        Value::Number(_) => "number",
        _ => "other",
    };
    members
        .filter(|(name, _)| *name != "metrics")
        .map(|(name, value)| format!("{name}: {}", kind(value)))
        .collect()
}

/// The members of a metric family.
fn forms(family: &Value) -> BTreeSet<String> {
    family.as_object().map(|members| members.keys().cloned().collect()).unwrap_or_default()
}

fn activated(report: &Value) -> bool {
    report.pointer("/bundles/authz/active_revision") == Some(&json!("authz-1"))
        && report.pointer("/bundles/facts/http_code") == Some(&json!(404))
}

#[test]
fn the_proxy_tells_what_became_of_its_bundles_as_opa_does() {
    let world = World::new().unwrap();
    let server = BundleServer::start().unwrap();
    server.serve("/authz", "\"1\"", bundle("authz"));
    server.serve("/facts", "\"1\"", bundle("facts"));
    let control = Upstream::start().unwrap();
    let source = |path: &str| {
        json!({"source": {"http": {"cluster": "bundles", "authority": "bundles.example", "path": path,
                                   "refresh_seconds": 1, "max_age_seconds": 600}}})
    };
    let configuration = world.config(json!({
        "bundle": null, "bundles": {"authz": source("/authz"), "facts": source("/facts")},
        "labels": {"region": "eu"},
        "status": {"cluster": "keys", "authority": "control.example", "interval_seconds": 3600, "prometheus": true}}));
    let (bundles_port, keys_port) = (Some(server.port()), Some(control.port()));
    let options =
        Options { name: "status", configuration, bundles_port, keys_port, workers: 2, ..Options::default() };
    let proxy = Proxy::start(&options).unwrap();
    let first = report(&control, |report| report["bundles"]["authz"]["active_revision"] == "authz-1");
    assert_eq!(
        (&first["labels"]["region"], &first["plugins"]["bundle"]["state"]),
        (&json!("eu"), &json!("OK"))
    );
    // A fault that comes, and the same one that stays: one worker tells it, once.
    server.missing("/facts");
    let ours = report(&control, activated);
    let timers = &ours["bundles"]["authz"]["metrics"];
    for timer in TIMERS {
        assert!(timers[timer].as_u64().is_some_and(|took| took > 0), "{timer}: {timers}");
    }
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(reports(&control), Vec::<Value>::new(), "nothing new");
    // Nobody listens, and the bundle recovers meanwhile.
    control.behave(Manner::Reset);
    server.serve("/facts", "\"2\"", bundle("facts"));
    proxy
        .wait_until("a report is lost", || {
            Ok(proxy.statistic("remit_status_reports", &["result=\"no_answer\""])? > 0)
        })
        .unwrap();
    let _ = reports(&control);
    control.behave_well();
    report(&control, |report| report["bundles"]["facts"].get("code").is_none());
    proxy.finish().unwrap();

    let Some(opa) = opa() else {
        println!("skipped: what OPA reports: no opa on the PATH or in REMIT_OPA");
        return;
    };
    server.serve("/authz", "\"1\"", bundle("authz"));
    server.missing("/facts");
    let mut running = run_opa(&opa, server.port(), control.port());
    // Its first report may come before it has counted the answer that it reports.
    let counted = |report: &Value| report["metrics"]["prometheus"]["last_success_bundle_request"].is_object();
    let theirs = report(&control, |report| activated(report) && counted(report));
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(shape(&ours, "authz"), shape(&theirs, "authz"));
    // OPA never had it, so it has no size and revision of it.
    let only_here = ["active_revision: text", "size: number", "type: text"].map(str::to_owned);
    let expected: BTreeSet<_> = shape(&theirs, "facts").into_iter().chain(only_here).collect();
    assert_eq!(shape(&ours, "facts"), expected);
    for timer in TIMERS {
        assert!(theirs["bundles"]["authz"]["metrics"][timer].is_u64(), "{timer}: {theirs}");
    }
    for member in ["labels", "bundles", "plugins"] {
        assert!(theirs[member].is_object() && ours[member].is_object(), "{member}");
    }
    for family in ["remit_bundles_fetches", "remit_bundle_in_force"] {
        let ours = &ours["metrics"]["prometheus"][family];
        assert_eq!(
            forms(ours),
            forms(&theirs["metrics"]["prometheus"]["last_success_bundle_request"]),
            "{ours}"
        );
    }
    assert!(theirs["labels"]["version"].is_string() && ours["labels"]["version"].is_string());
}

fn opa() -> Option<PathBuf> {
    let named = std::env::var_os("REMIT_OPA").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    named
        .or_else(|| std::env::split_paths(&path).map(|folder| folder.join("opa")).find(|file| file.is_file()))
}

fn run_opa(opa: &PathBuf, bundles: u16, control: u16) -> Child {
    let port = xtask::envoy::free_port().unwrap();
    let set = [
        format!("services.b.url=http://127.0.0.1:{bundles}"),
        format!("services.c.url=http://127.0.0.1:{control}"),
        "bundles.authz.service=b".to_owned(),
        "bundles.authz.resource=authz".to_owned(),
        "bundles.facts.service=b".to_owned(),
        "bundles.facts.resource=facts".to_owned(),
        "status.service=c".to_owned(),
        "status.prometheus=true".to_owned(),
    ];
    let mut command = Command::new(opa);
    command.args(["run", "--server", "--disable-telemetry", "--addr", &format!("127.0.0.1:{port}")]);
    command.args(set.iter().flat_map(|value| ["--set", value]));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
