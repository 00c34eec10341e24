//! What is fetched and reported with credentials in real Envoy: the servers get them, and nobody reads them anywhere.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::{Arc, Mutex};

use remit_core::keys::Algorithm;
use remit_harness::bundles::signed;
use remit_harness::pack::{Files, PackOptions};
use remit_harness::signing::SigningKey;
use remit_tests::proxy::{Options, Proxy};
use remit_tests::upstream::Upstream;
use remit_tests::world::{IDP, World, get, shipped_bundle};
use serde_json::{Map, Value, json};
use xtask::http::{Reply, Server};

const BEARER: &str = "bundle-reader-secret";
const BASIC: &str = "a2V5czpzZWNyZXQ=";
const API_KEY: &str = "api-key-secret";

/// Gives the bundle to whoever shows both credentials.
fn server(bundle: &Arc<Mutex<Vec<u8>>>) -> Server {
    let bundle = Arc::clone(bundle);
    Server::start(move |request| {
        let has =
            |name: &str, value: &str| request.headers.iter().any(|(known, of)| known == name && of == value);
        let knows = has("authorization", &format!("Bearer {BEARER}")) && has("x-api-key", API_KEY);
        let body = if knows { bundle.lock().unwrap().clone() } else { Vec::new() };
        Reply::Answer { status: if knows { 200 } else { 401 }, headers: Vec::new(), body }
    })
    .unwrap()
}

#[test]
fn a_signed_bundle_keys_and_reports_travel_with_credentials_that_nobody_is_shown() {
    let world = World::new().unwrap();
    let token = world.token().unwrap();
    let unsigned = shipped_bundle().unwrap();
    let key = SigningKey::generate(Algorithm::Es256, Some("ci")).unwrap();
    let folder =
        xtask::workspace::target_dir().join("e2e").join(format!("credentials-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let archive = folder.join("bundle.tar.gz");
    std::fs::write(&archive, &unsigned).unwrap();
    let options = PackOptions { everything: true, ..PackOptions::default() };
    let files = Files::read(&archive, &options).unwrap();
    let good = signed(files, &key, &Map::new()).unwrap().to_targz().unwrap();

    let bundle = Arc::new(Mutex::new(unsigned));
    let (bundles, control) = (server(&bundle), Upstream::start().unwrap());
    control.serve(json!({"keys": [world.key(IDP).unwrap().public_jwk()]}).to_string());
    let http = |cluster: &str, more: Value| {
        let mut http = json!({"cluster": cluster, "authority": "source.example", "path": "/x", "timeout_ms": 300,
                              "refresh_seconds": 1, "max_age_seconds": 600});
        http.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        http
    };
    let with = |api_key: &str| json!({"headers": {"X-Api-Key": api_key}, "credentials": {"bearer": {"token": BEARER}}});
    let basic = json!({"credentials": {"bearer": {"scheme": "Basic", "token": BASIC}}});
    let mut status =
        json!({"cluster": "keys", "authority": "control.example", "interval_seconds": 1, "prometheus": true});
    status.as_object_mut().unwrap().extend(with(API_KEY).as_object().unwrap().clone());
    let changes = |api_key: &str| {
        json!({
            "issuers": world.issuers_over_http(&json!({
                "cluster": "keys", "authority": "idp.example", "path": "/jwks", "credentials": basic["credentials"]})),
            "keys": {"ci": {"key": key.public_jwk().unwrap().to_string(), "algorithm": "ES256"}},
            "bundle": {"http": http("bundles", with(api_key)), "signing": {"keyid": "ci"}},
            "status": status})
    };
    let start = |name: &'static str, configuration: String| {
        let (bundles_port, keys_port) = (Some(bundles.port), Some(control.port()));
        Proxy::start(&Options { name, configuration, bundles_port, keys_port, ..Options::default() }).unwrap()
    };
    let secrets = [BEARER, BASIC, API_KEY];

    // Without the right key the server gives nothing.
    let proxy = start("credentials-wrong", world.config(changes("another")));
    proxy.wait_for_log("status 401").unwrap();
    assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "503 deny no_bundle");
    drop(proxy);

    let configuration = world.config(changes(API_KEY));
    let proxy = start("credentials", configuration.clone());
    proxy.log_everything_of_the_filter().unwrap();
    proxy.wait_for_log("the bundle is not signed, and its source asks for a signature").unwrap();
    assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "503 deny no_bundle");
    *bundle.lock().unwrap() = good;
    proxy
        .wait_until("the signed one is in force", || {
            Ok(proxy.send(&get(&token))?.summary() == "200 allow within_remit")
        })
        .unwrap();
    let mut reports = Vec::new();
    proxy
        .wait_until("a report counts the decision", || {
            let arrived = control.take();
            for request in &arrived {
                let expected = if request.path == "/jwks" {
                    format!("Basic {BASIC}")
                } else {
                    format!("Bearer {BEARER}")
                };
                assert_eq!(request.values("authorization"), [expected], "{}", request.path);
            }
            let told = arrived.into_iter().filter(|request| request.path == "/status");
            reports.extend(told.map(|request| String::from_utf8(request.body).unwrap()));
            let last: Value =
                reports.last().map(|report| serde_json::from_str(report).unwrap()).unwrap_or_default();
            let families = &last["metrics"]["prometheus"];
            let decisions = families["remit_decisions"]["metric"].as_array().cloned().unwrap_or_default();
            let allowed = decisions.iter().filter(|metric| metric["label"][0]["value"] == "allow");
            let allowed: u64 = allowed.filter_map(|metric| metric["counter"]["value"].as_u64()).sum();
            // As the proxy itself shows it.
            let shown = proxy.statistic("remit_decisions", &["outcome=\"allow\""])?;
            Ok(shown > 0
                && allowed == shown
                && families["remit_bundle_in_force"]["metric"][0]["gauge"]["value"] == 1)
        })
        .unwrap();
    let log = proxy.log().unwrap();
    let access = proxy.finish().unwrap();
    for (what, text) in
        [("the log", log), ("the access log", format!("{access:?}")), ("reports", reports.join("\n"))]
    {
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {what}");
        }
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// What the manual has for tokens that stand in a file: the cluster signs in. Here the secret is inline.
const SIGNS_IN: (&str, &str) = (
    "  clusters:\n",
    r#"  secrets:
    - name: reader
      generic_secret: { secret: { inline_string: "Bearer bundle-reader-secret" } }
  clusters:
"#,
);

#[test]
fn a_cluster_signs_in_where_the_filter_cannot() {
    let manual = std::fs::read_to_string(xtask::workspace::root().join("envoy/README.md")).unwrap();
    let options = manual.split("<!-- cluster -->\n```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let indented: String = options.lines().map(|line| format!("      {line}\n")).collect();
    let cluster = "    - name: bundles\n";
    let edits = vec![
        (SIGNS_IN.0.to_owned(), SIGNS_IN.1.to_owned()),
        (cluster.to_owned(), format!("{cluster}{indented}")),
    ];
    let world = World::new().unwrap();
    let bundle = shipped_bundle().unwrap();
    let bundles = Server::start(move |request| {
        let bearer = format!("Bearer {BEARER}");
        let knows = request.headers.iter().any(|(name, value)| name == "authorization" && *value == bearer);
        let body = if knows { bundle.clone() } else { Vec::new() };
        Reply::Answer { status: if knows { 200 } else { 401 }, headers: Vec::new(), body }
    })
    .unwrap();
    let http =
        json!({"cluster": "bundles", "authority": "source.example", "path": "/x", "refresh_seconds": 1});
    let configuration = world.config(json!({"bundle": {"http": http}}));
    let options = Options {
        name: "signs-in",
        configuration,
        bundles_port: Some(bundles.port),
        edits,
        ..Options::default()
    };
    let proxy = Proxy::start(&options).unwrap();
    let token = world.token().unwrap();
    proxy
        .wait_until("the bundle is in force", || {
            Ok(proxy.send(&get(&token))?.summary() == "200 allow within_remit")
        })
        .unwrap();
    proxy.finish().unwrap();
}
