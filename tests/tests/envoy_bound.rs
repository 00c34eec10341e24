//! Bound tokens and statuses in real Envoy: certificates of its own TLS, proofs once over all workers, lists over HTTP.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remit_core::audit::sha256;
use remit_core::keys::Algorithm;
use remit_harness::proof::{Proven, confirmation, good};
use remit_harness::signing::SigningKey;
use remit_tests::http::{Request, send};
use remit_tests::proxy::{Options, Proxy};
use remit_tests::tls::Certificates;
use remit_tests::upstream::{Manner, Upstream};
use remit_tests::world::{FORUM, IDP, THREAD, World, get, now};
use serde_json::{Value, json};

/// Requests at a time: enough that each worker has some.
const CONNECTIONS: usize = 32;
const LIST: &str = "https://idp.internal.example/statuslists/1";

/// A read with a bound token and a proof.
fn proven(key: &SigningKey, scheme: &str, token: &str, jti: &str) -> Request {
    let uri = format!("{scheme}://{FORUM}{THREAD}");
    let proof = good(key, Proven { method: "GET", uri: &uri, token, jti }, now());
    Request::new("GET", FORUM, THREAD)
        .header("authorization", &format!("DPoP {token}"))
        .header("dpop", &proof)
}

#[test]
fn a_certificate_is_the_connections_own() {
    let world = World::new().unwrap();
    let folder = xtask::workspace::target_dir().join("e2e").join(format!("tls-{}", std::process::id()));
    let certificates = Certificates::make(&folder, &["agent", "stranger"]).unwrap();
    let options = Options {
        name: "mutual-tls",
        configuration: world.config(json!({})),
        transport_socket: Some(certificates.transport_socket()),
        ..Options::default()
    };
    let proxy = Proxy::start(&options).unwrap();
    let summary = |client: Option<&str>, request: &Request| {
        let before = proxy.audits().unwrap().len();
        let answer = certificates.send(proxy.port, client, request).unwrap();
        let audit = proxy.audit_after(before).unwrap();
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        (format!("{} {}", answer.status, audit.reasons().join(",")), challenge)
    };
    let agent = certificates.der("agent").unwrap();
    let bound = world.token_with(&json!({"cnf": {"x5t#S256": sha256(&agent)}})).unwrap();
    let forged =
        format!("Hash={};Subject=\"CN=agent\"", hex(&URL_SAFE_NO_PAD.decode(sha256(&agent)).unwrap()));
    let opaque = "Bearer error=\"invalid_token\"";
    for (client, header, expected, challenge) in [
        (Some("agent"), None, "200 within_remit", ""),
        (Some("stranger"), None, "401 certificate_mismatch", opaque),
        (None, None, "401 certificate_missing", opaque),
        (None, Some(&forged), "401 certificate_missing", opaque),
        (Some("stranger"), Some(&forged), "401 certificate_mismatch", opaque),
        (Some("agent"), None, "200 within_remit", ""),
    ] {
        let mut request = get(&bound);
        request.headers.extend(header.map(|value| ("x-forwarded-client-cert".to_owned(), value.clone())));
        assert_eq!(summary(client, &request), (expected.to_owned(), challenge.to_owned()), "{client:?}");
    }
    let plain = world.token().unwrap();
    assert_eq!(summary(None, &get(&plain)).0, "200 within_remit");

    // Bound to both: both have to hold, and the proof is for https.
    let key = SigningKey::generate(Algorithm::Es256, None).unwrap();
    let cnf = confirmation(&key, Some(&json!({"x5t#S256": sha256(&agent)})));
    let both = world.token_with(&json!({"cnf": cnf})).unwrap();
    assert_eq!(summary(None, &proven(&key, "https", &both, "1")).0, "401 certificate_missing");
    assert_eq!(summary(Some("agent"), &proven(&key, "http", &both, "1")).0, "401 proof_uri_mismatch");
    assert_eq!(summary(Some("agent"), &proven(&key, "https", &both, "1")).0, "200 within_remit");
    assert_eq!(summary(Some("agent"), &proven(&key, "https", &both, "1")).0, "401 proof_replayed");
    proxy.finish().unwrap();
    std::fs::remove_dir_all(folder).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_proof_passes_once_over_all_workers() {
    let world = World::new().unwrap();
    let configuration = world.config(json!({}));
    let options = Options { name: "proof-once", configuration, workers: 2, ..Options::default() };
    let proxy = Proxy::start(&options).unwrap();
    let key = SigningKey::generate(Algorithm::Es256, None).unwrap();
    let token = world.token_with(&json!({"cnf": confirmation(&key, None)})).unwrap();
    for round in 0..8 {
        // Each round comes into a slot that nobody has written yet, most likely.
        let request = proven(&key, "http", &token, &format!("round {round}"));
        let before = proxy.audits().unwrap().len();
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (port, request) = (proxy.port, request.clone());
                thread::spawn(move || send(port, &request).unwrap().status)
            })
            .collect();
        let statuses: Vec<u16> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(proxy.upstream.take().len(), 1);
        let _ = proxy.audit_after(before + CONNECTIONS - 1).unwrap();
        let audits = proxy.audits().unwrap();
        let reasons: BTreeSet<_> = audits[before..].iter().map(|audit| audit.reasons().join(",")).collect();
        let known = ["within_remit", "proof_replayed", "state_unavailable"];
        assert!(reasons.iter().all(|reason| known.contains(&reason.as_str())), "{reasons:?}");
    }
    // Different proofs at once all pass.
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let (port, request) = (proxy.port, proven(&key, "http", &token, &format!("at once {number}")));
            thread::spawn(move || send(port, &request).unwrap().status)
        })
        .collect();
    assert!(senders.into_iter().all(|sender| sender.join().unwrap() == 200));
    proxy.finish().unwrap();
}

#[test]
fn a_status_list_is_fetched_flipped_stale_and_gone() {
    let world = World::new().unwrap();
    let lists = Upstream::start().unwrap();
    lists.behave(Manner::Reset);
    let mut issuers: Value = serde_json::from_str(&world.config(json!({}))).unwrap();
    let mut issuers = issuers["issuers"].take();
    issuers[0]["status_lists"] = json!([{"uri": LIST, "http": {"cluster": "keys", "authority": "idp.internal.example",
        "path": "/statuslists/1", "timeout_ms": 300, "refresh_seconds": 1, "max_age_seconds": 3}}]);
    let options = Options {
        name: "status-list",
        configuration: world.config(json!({"issuers": issuers})),
        keys_port: Some(lists.port()),
        ..Options::default()
    };
    let proxy = Proxy::start(&options).unwrap();
    let list = |bytes: &[u8], issued: u64| {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(bytes).unwrap();
        let lst = URL_SAFE_NO_PAD.encode(zlib.finish().unwrap());
        let claims = json!({"sub": LIST, "iat": issued, "status_list": {"bits": 1, "lst": lst}});
        world.key(IDP).unwrap().sign("statuslist+jwt", &claims).into_bytes()
    };
    let status = json!({"status_list": {"idx": 9, "uri": LIST}});
    let token = world.token_with(&json!({"status": status})).unwrap();
    let answers = |expected: &str| {
        let mut last = String::new();
        let waited = proxy.wait_until(expected, || {
            last = proxy.send(&get(&token))?.summary();
            Ok(last == expected)
        });
        assert!(waited.is_ok(), "expected {expected}, got {last}");
    };
    let issued = now().seconds().0;
    assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "401 deny status_list_unavailable");
    lists.serve(list(&[0, 0], issued));
    answers("200 allow within_remit");
    lists.serve(list(&[0, 0b10], issued + 1));
    answers("401 deny status_invalid");
    // What was revoked does not come back with an old list, nor with one that is none.
    let old = list(&[0, 0], issued);
    for bad in [old, b"<html>".to_vec()] {
        lists.serve(bad);
        let label = ["source=\"status_list\"", "result=\"status_list_refused\""];
        let before = proxy.statistic("remit_fetches", &label).unwrap();
        proxy.wait_until("a refusal", || Ok(proxy.statistic("remit_fetches", &label)? > before + 1)).unwrap();
        assert_ne!(proxy.send(&get(&token)).unwrap().answer.status, 200);
    }
    lists.serve(list(&[0, 0], issued + 2));
    answers("200 allow within_remit");
    lists.behave(Manner::Reset);
    answers("401 deny status_list_unavailable");
    let plain = world.token().unwrap();
    assert_eq!(proxy.send(&get(&plain)).unwrap().summary(), "200 allow within_remit");
    proxy.finish().unwrap();
}
