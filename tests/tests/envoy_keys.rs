//! Keys that change under a running Envoy: a request with a new key waits for it, one with a made-up key costs nothing.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says where")]

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use remit_core::keys::Algorithm;
use remit_harness::signing::SigningKey;
use remit_tests::proxy::{Options, Proxy};
use remit_tests::upstream::{Manner, Upstream};
use remit_tests::world::{IDP, World, get, read};
use serde_json::{Value, json};

const ALLOWED: &str = "200 allow within_remit";

fn key(algorithm: Algorithm, kid: &str) -> SigningKey {
    SigningKey::generate(algorithm, Some(kid)).unwrap()
}

fn key_set(keys: &[&SigningKey]) -> Vec<u8> {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    json!({ "keys": keys }).to_string().into_bytes()
}

/// Fetched when something calls for it, and else once in an hour.
fn source(changes: &Value) -> Value {
    let mut source = json!({"cluster": "keys", "authority": "idp.internal.example", "path": "/jwks.json",
                            "timeout_ms": 1000, "refresh_seconds": 3600, "max_age_seconds": 7200});
    source.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    source
}

fn start(world: &World, name: &'static str, keys: &Upstream, source: &Value, limits: Value) -> Proxy {
    let mut issuers = world.issuers_over_http(&json!({}));
    issuers[0]["keys"] = source.clone();
    issuers[0]["algorithms"] = json!(["ES256", "ES384", "RS256", "RS512", "PS384", "EdDSA"]);
    let configuration = world.config(json!({"issuers": issuers, "limits": limits}));
    let options = Options { name, configuration, keys_port: Some(keys.port()), ..Options::default() };
    Proxy::start(&options).unwrap()
}

/// A token that no cache knows.
fn token(world: &World, key: &SigningKey, jti: &str) -> String {
    key.sign("at+jwt", &world.claims(&json!({"iss": IDP, "jti": jti})).unwrap())
}

fn sent(proxy: &Proxy, token: &str) -> String {
    proxy.send(&get(token)).unwrap().summary()
}

/// Lets the first fetch of the worker, and of the main thread's instance, happen.
fn settled(keys: &Upstream) {
    let begun = Instant::now();
    let mut fetches = 0_usize;
    while fetches < 2 {
        assert!(begun.elapsed() < Duration::from_secs(15), "{fetches} fetches");
        fetches = fetches.saturating_add(keys.take().len());
        thread::sleep(Duration::from_millis(20));
    }
    thread::sleep(Duration::from_millis(300));
    let _ = keys.take();
}

#[test]
fn a_key_that_is_new_is_fetched_while_its_first_request_waits() {
    let world = World::new().unwrap();
    let keys = Upstream::start().unwrap();
    let (old, new) = (key(Algorithm::Es256, "old"), key(Algorithm::Es256, "new"));
    keys.serve(key_set(&[&old]));
    let source = json!({"http": source(&json!({"refetch_seconds": 3}))});
    let proxy = start(&world, "rotation", &keys, &source, json!({}));
    assert_eq!(sent(&proxy, &token(&world, &old, "1")), ALLOWED);
    settled(&keys);

    keys.serve(key_set(&[&old, &new]));
    assert_eq!(sent(&proxy, &token(&world, &new, "2")), ALLOWED, "the first request with the new key");
    assert_eq!(keys.take().len(), 1);
    assert_eq!(sent(&proxy, &token(&world, &old, "3")), ALLOWED);
    let rotated = Instant::now();

    // Made-up names: refused at once, and no fetch before its time.
    let unknown = "401 deny key_unknown";
    for n in 0..20 {
        let forged = token(&world, &key(Algorithm::Es256, &format!("x{n}")), "4");
        assert_eq!(sent(&proxy, &forged), unknown);
    }
    if rotated.elapsed() < Duration::from_secs(2) {
        assert_eq!(keys.take().len(), 0);
    }
    assert!(proxy.statistic("remit_key_waits", &["result=\"too_soon\""]).unwrap() > 0);
    thread::sleep(Duration::from_secs(3));
    let _ = keys.take();
    for n in 0..10 {
        assert_eq!(sent(&proxy, &token(&world, &key(Algorithm::Es256, &format!("y{n}")), "5")), unknown);
    }
    assert!(keys.take().len() <= 2, "one for each interval");

    // A fetch that fails: the old keys stay, the new one is unknown.
    let next = key(Algorithm::Es256, "next");
    for manner in [
        Manner::Answer(500, Vec::new(), Vec::new()),
        Manner::Reset,
        Manner::Answer(200, Vec::new(), b"<html>".to_vec()),
        Manner::Answer(302, vec![("location".into(), "/elsewhere".into())], Vec::new()),
        // Bytes that are no UTF-8.
        Manner::Answer(200, vec![("etag".into(), "\"caf\u{e9}\"".into())], key_set(&[&old])),
        Manner::Answer(200, vec![("cache-control".into(), "max-age=\u{e9}".into())], b"\xe9".to_vec()),
    ] {
        thread::sleep(Duration::from_secs(4));
        keys.behave(manner);
        assert_eq!(sent(&proxy, &token(&world, &next, "6")), unknown);
        assert_eq!(sent(&proxy, &token(&world, &old, "6")), ALLOWED);
    }
    // The issuer takes all back but one.
    thread::sleep(Duration::from_secs(4));
    keys.serve(key_set(&[&next]));
    assert_eq!(sent(&proxy, &token(&world, &next, "7")), ALLOWED);
    assert_eq!(sent(&proxy, &token(&world, &old, "7")), unknown);
    proxy.finish().unwrap();
}

#[test]
fn nobody_waits_longer_than_the_fetch_may_take() {
    let world = World::new().unwrap();
    let keys = Upstream::start().unwrap();
    let (old, new) = (key(Algorithm::Es256, "old"), key(Algorithm::Es256, "new"));
    keys.serve(key_set(&[&old]));
    let source = json!({"http": source(&json!({"refetch_seconds": 1, "timeout_ms": 700}))});
    let proxy = start(&world, "slow-keys", &keys, &source, json!({"key_waits": 2}));
    assert_eq!(sent(&proxy, &token(&world, &old, "1")), ALLOWED);
    settled(&keys);
    keys.behave(Manner::Late(Duration::from_secs(5)));

    let before = proxy.audits().unwrap().len();
    let (port, request) = (proxy.port, get(&token(&world, &new, "2")));
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let request = request.clone();
            thread::spawn(move || {
                let begun = Instant::now();
                (remit_tests::http::send(port, &request).unwrap().status, begun.elapsed())
            })
        })
        .collect();
    let answers: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert!(answers.iter().all(|(status, _)| *status == 401), "{answers:?}");
    assert!(answers.iter().all(|(_, took)| *took < Duration::from_secs(3)), "{answers:?}");
    let waited = answers.iter().filter(|(_, took)| *took > Duration::from_millis(400)).count();
    assert!((1..=2).contains(&waited), "{answers:?}");
    proxy.wait_until("six records", || Ok(proxy.audits()?.len() == before.saturating_add(6))).unwrap();
    assert!(proxy.statistic("remit_key_waits", &["result=\"full\""]).unwrap() >= 1);
    assert!(proxy.statistic("remit_key_waits", &["result=\"in_vain\""]).unwrap() >= 1);

    // Clients that go away while they wait leave nothing behind: the places are free again.
    for _ in 0..4 {
        thread::sleep(Duration::from_millis(2100));
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port)).unwrap();
        client.write_all(request.head().as_bytes()).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    thread::sleep(Duration::from_millis(2100));
    keys.serve(key_set(&[&old, &new]));
    assert_eq!(sent(&proxy, &token(&world, &new, "3")), ALLOWED);
    assert_eq!(sent(&proxy, &token(&world, &old, "3")), ALLOWED);
    proxy.finish().unwrap();
}

#[test]
fn a_body_that_comes_during_the_wait_is_read_after_it() {
    let world = World::new().unwrap();
    let keys = Upstream::start().unwrap();
    let old = key(Algorithm::Es256, "old");
    keys.serve(key_set(&[&old]));
    let source = json!({"http": source(&json!({"refetch_seconds": 1}))});
    let proxy = start(&world, "body-during-wait", &keys, &source, json!({}));
    assert_eq!(sent(&proxy, &token(&world, &old, "1")), ALLOWED);
    settled(&keys);
    let mut known = vec![&old];
    let further: Vec<_> = (0..3).map(|n| key(Algorithm::Es256, &format!("n{n}"))).collect();
    for (n, next) in further.iter().enumerate() {
        known.push(next);
        keys.serve(key_set(&known));
        let request = read(&token(&world, next, "2"));
        let body = request.body.clone().unwrap();
        let request = if n == 0 { request } else { request.chunked(40) };
        let _ = proxy.upstream.take();
        assert_eq!(proxy.send(&request).unwrap().summary(), ALLOWED, "{n}");
        assert_eq!(proxy.upstream.take()[0].body, body, "{n}");
        thread::sleep(Duration::from_millis(2100));
    }
    proxy.finish().unwrap();
}

#[test]
fn the_answer_says_how_long_it_is_good_for() {
    let world = World::new().unwrap();
    let keys = Upstream::start().unwrap();
    let old = key(Algorithm::Es256, "old");
    let serve = |directives: &str| {
        let headers = vec![("cache-control".to_owned(), directives.to_owned())];
        keys.behave(Manner::Answer(200, headers, key_set(&[&old])));
    };
    serve("max-age=1");
    let source = json!({"http": source(&json!({"min_refresh_seconds": 1}))});
    let proxy = start(&world, "cache-control", &keys, &source, json!({}));
    assert_eq!(sent(&proxy, &token(&world, &old, "1")), ALLOWED);
    settled(&keys);
    thread::sleep(Duration::from_secs(4));
    assert!(keys.take().len() >= 2, "every second or two, by two instances");
    serve("max-age=600");
    thread::sleep(Duration::from_secs(3));
    let _ = keys.take();
    thread::sleep(Duration::from_secs(4));
    assert_eq!(keys.take().len(), 0);
    proxy.finish().unwrap();
}

#[test]
fn an_issuers_metadata_tells_where_its_keys_are() {
    let world = World::new().unwrap();
    let keys = Upstream::start().unwrap();
    let old = key(Algorithm::Es256, "old");
    // One server for both paths: what is no metadata is refused as such, and a key set with `issuer` is still one.
    let both = |issuer: &str, uri: &str| {
        json!({"issuer": issuer, "jwks_uri": uri, "keys": [old.public_jwk()]}).to_string()
    };
    keys.serve(both("https://evil.example", "https://idp.internal.example/jwks.json"));
    let mut source = source(&json!({"refresh_seconds": 1}));
    source.as_object_mut().unwrap().remove("path");
    let proxy = start(&world, "discovery", &keys, &json!({"discovery": source}), json!({}));
    let refused = || {
        let before = proxy.statistic("remit_fetches", &["result=\"metadata_refused\""]).unwrap();
        proxy
            .wait_until("metadata is refused", || {
                Ok(proxy.statistic("remit_fetches", &["result=\"metadata_refused\""])?
                    >= before.saturating_add(2))
            })
            .unwrap();
    };
    refused();
    assert_eq!(sent(&proxy, &token(&world, &old, "1")), "401 deny key_set_unavailable");
    proxy.wait_for_log("`issuer` must be exactly the configured one").unwrap();
    keys.serve(both(IDP, "https://evil.example/jwks.json"));
    refused();
    proxy.wait_for_log("list it in `jwks_authorities`").unwrap();
    assert_eq!(sent(&proxy, &token(&world, &old, "1")), "401 deny key_set_unavailable");
    keys.serve(both(IDP, "https://idp.internal.example/jwks.json"));
    let mut last = String::new();
    let waited = proxy.wait_until("keys are found", || {
        last = sent(&proxy, &token(&world, &old, "2"));
        Ok(last == ALLOWED)
    });
    assert!(waited.is_ok(), "{last}");
    let arrived = keys.take();
    let asked = |path: &str| arrived.iter().any(|arrived| arrived.path == path);
    assert!(asked("/.well-known/oauth-authorization-server") && asked("/jwks.json"), "{arrived:?}");
    proxy.finish().unwrap();
}

#[test]
fn every_algorithm_passes_and_the_host_checks_what_it_can() {
    let world = World::new().unwrap();
    let keys = Upstream::start().unwrap();
    let all: Vec<_> = [
        (Algorithm::Es256, true),
        (Algorithm::Es384, true),
        (Algorithm::Rs256, true),
        (Algorithm::Rs512, true),
        (Algorithm::Ps384, false),
        (Algorithm::EdDsa, false),
    ]
    .into_iter()
    .map(|(algorithm, by_host)| (key(algorithm, algorithm.name()), by_host))
    .collect();
    keys.serve(key_set(&all.iter().map(|(key, _)| key).collect::<Vec<_>>()));
    let proxy = start(&world, "algorithms", &keys, &json!({"http": source(&json!({}))}), json!({}));
    let by = |who: &str| proxy.statistic("remit_signatures", &[&format!("by=\"{who}\"")]).unwrap();
    let mut expected = 0;
    for (key, by_host) in &all {
        let good = token(&world, key, "1");
        assert_eq!(sent(&proxy, &good), ALLOWED, "{}", key.algorithm());
        let other = token(&world, key, "2");
        let (signed, _) = good.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", other.rsplit_once('.').unwrap().1);
        assert_eq!(sent(&proxy, &forged), "401 deny signature_invalid", "{}", key.algorithm());
        expected = u64::saturating_add(expected, if *by_host { 2 } else { 0 });
        assert_eq!((by("host"), by("module")), (expected, 0), "{}", key.algorithm());
    }
    proxy.finish().unwrap();
}
