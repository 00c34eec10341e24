//! Bundles and key sets over HTTP in real Envoy: what is good comes into force, what is bad never replaces it.
#![expect(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "a test that fails says where")]

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use remit_core::keys::Algorithm;
use remit_harness::signing::SigningKey;
use remit_tests::http::send;
use remit_tests::proxy::{Options, Proxy};
use remit_tests::upstream::{Manner, Upstream};
use remit_tests::world::{IDP, World, bundle, get, shipped_bundle};
use serde_json::{Value, json};

const PACKAGE: &str = "package remit.authz\n";

fn source(cluster: &str) -> Value {
    json!({"cluster": cluster, "authority": "source.example", "path": "/", "timeout_ms": 300, "refresh_seconds": 1,
           "max_age_seconds": 600})
}

/// A proxy that fetches its bundle, and the server that it fetches it from.
fn with_bundles(world: &World, name: &'static str, bundles: &Upstream) -> Proxy {
    let configuration = world.config(json!({"bundle": {"http": source("bundles")}}));
    let bundles_port = Some(bundles.port());
    Proxy::start(&Options { name, configuration, bundles_port, ..Options::default() }).unwrap()
}

/// Waits for a further fetch with this result.
fn fetched(proxy: &Proxy, source: &str, result: &str) {
    let labels = [format!("source=\"{source}\""), format!("result=\"{result}\"")];
    let labels = labels.each_ref().map(String::as_str);
    let before = proxy.statistic("remit_fetches", &labels).unwrap();
    // A fetch that is under way may still have seen what was served before, and the main thread's instance fetches for
    // itself: two of each count.
    proxy
        .wait_until(&format!("{source} {result}"), || {
            Ok(proxy.statistic("remit_fetches", &labels)? >= before + 4)
        })
        .unwrap();
}

/// Waits until a good request is answered like this.
fn answers(proxy: &Proxy, token: &str, expected: &str) {
    let mut last = String::new();
    let waited = proxy.wait_until(expected, || {
        last = proxy.send(&get(token))?.summary();
        Ok(last == expected)
    });
    assert!(waited.is_ok(), "expected {expected}, got {last}");
}

#[test]
fn a_bad_bundle_never_replaces_a_good_one() {
    let world = World::new().unwrap();
    let bundles = Upstream::start().unwrap();
    bundles.behave(Manner::Reset);
    let proxy = with_bundles(&world, "bad-bundles", &bundles);
    let token = world.token().unwrap();
    assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "503 deny no_bundle");
    bundles.serve(bundle("broken", "package remit.authz\ndecision := \n").unwrap());
    fetched(&proxy, "bundle", "bundle_refused");
    assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "503 deny no_bundle");
    assert_eq!(proxy.statistic("remit_bundle_in_force", &[]).unwrap(), 0);

    bundles.serve(shipped_bundle().unwrap());
    answers(&proxy, &token, "200 allow within_remit");
    // The main thread's instance, which shows the same gauge, must have it too.
    fetched(&proxy, "bundle", "unchanged");
    for (bad, result, logged) in [
        (b"<html>not a bundle</html>".to_vec(), "bundle_refused", "bundle"),
        (bundle("b1", "package remit.authz\ndecision := {\n").unwrap(), "bundle_refused", "policy.rego"),
        (
            bundle("b2", "package remit.authz\ndecision := http.send({\"url\": \"https://x\"})\n").unwrap(),
            "bundle_refused",
            "http.send",
        ),
        (bundle("b3", "package other\nallow := true\n").unwrap(), "bundle_refused", "policy"),
    ] {
        bundles.serve(bad);
        fetched(&proxy, "bundle", result);
        let seen = proxy.send(&get(&token)).unwrap();
        assert_eq!(seen.summary(), "200 allow within_remit", "{logged}");
        assert_eq!(seen.audit.text("/bundle"), Some("agent-baseline-1.1.0"));
        let log = proxy.log().unwrap();
        assert!(
            log.lines().any(|line| line.contains("last good one stays") && line.contains(logged)),
            "{log}"
        );
    }
    // All that is wrong with one is told at once, in one line of the log.
    let calls: String = (0..12).map(|n| format!("r{n} := nosuch{n}(1)\n")).collect();
    bundles.serve(bundle("b4", &format!("package remit.authz\ndecision := true\n{calls}")).unwrap());
    fetched(&proxy, "bundle", "bundle_refused");
    let log = proxy.log().unwrap();
    let line = log.lines().find(|line| line.contains("nosuch0 ")).unwrap();
    for n in 0..10 {
        let place = format!("policy.rego:{}:14: nosuch{n} is neither", n + 3);
        assert!(line.contains(&place), "{place}\n{line}");
    }
    assert!(line.contains("and 2 more") && !line.contains("nosuch10 "), "{line}");
    assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow within_remit");
    bundles.behave(Manner::Answer(500, Vec::new(), Vec::new()));
    fetched(&proxy, "bundle", "status");
    bundles.behave(Manner::Late(Duration::from_secs(1)));
    fetched(&proxy, "bundle", "no_answer");
    assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow within_remit");
    assert_eq!(proxy.statistic("remit_bundle_in_force", &[]).unwrap(), 1);
    proxy.finish().unwrap();
}

#[test]
fn a_policy_that_gives_no_decision_denies() {
    let world = World::new().unwrap();
    let bundles = Upstream::start().unwrap();
    bundles.serve(shipped_bundle().unwrap());
    let proxy = with_bundles(&world, "no-decision", &bundles);
    let token = world.token().unwrap();
    let many = (0..60).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let endless = format!(
        "decision if {{ every a in many {{ every b in many {{ every c in many {{ [a, b, c] != [] }} }} }} }}\n\
         many := [{many}]\n"
    );
    let comprehension = format!(
        "decision := count([1 | some a in many; some b in many; some c in many; [a, b, c] == []]) == 0\nmany := [{many}]\n"
    );
    answers(&proxy, &token, "200 allow within_remit");
    for (policy, expected) in [
        ("decision if input.nothing\n", "500 deny decision_undefined"),
        ("decision := \"allow\"\n", "500 deny decision_malformed"),
        ("decision := {\"allowed\": \"yes\"}\n", "500 deny decision_malformed"),
        (
            "decision := true if input.remit\ndecision := false if input.remit.v == 1\n",
            "500 deny decision_conflict",
        ),
        (endless.as_str(), "500 deny instructions_exhausted"),
        (comprehension.as_str(), "500 deny instructions_exhausted"),
    ] {
        bundles.serve(bundle("bad", &format!("{PACKAGE}{policy}")).unwrap());
        answers(&proxy, &token, expected);
        let reason = format!("reason=\"{}\"", expected.rsplit(' ').next().unwrap());
        assert!(proxy.statistic("remit_reasons", &["outcome=\"deny\"", &reason]).unwrap() > 0, "{reason}");
        bundles.serve(shipped_bundle().unwrap());
        answers(&proxy, &token, "200 allow within_remit");
    }
    for kind in ["decision_undefined", "decision_malformed", "decision_conflict"] {
        let label = format!("kind=\"{kind}\"");
        assert!(proxy.statistic("remit_errors", &[&label]).unwrap() > 0, "{kind}");
    }
    proxy.finish().unwrap();
}

#[test]
fn a_bad_key_set_never_replaces_a_good_one() {
    let world = World::new().unwrap();
    let keys = Upstream::start().unwrap();
    keys.serve("<html>sign in</html>");
    let issuers = world.issuers_over_http(&source("keys"));
    let configuration = world.config(json!({"issuers": issuers}));
    let keys_port = Some(keys.port());
    let proxy =
        Proxy::start(&Options { name: "keys", configuration, keys_port, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    let unavailable = "401 deny key_set_unavailable";
    for (manner, result) in [
        (Manner::Answer(200, Vec::new(), b"<html>sign in</html>".to_vec()), "key_set_refused"),
        (Manner::Reset, "no_answer"),
        (Manner::Late(Duration::from_secs(1)), "no_answer"),
        (Manner::Answer(302, vec![("location".into(), "/login".into())], Vec::new()), "status"),
    ] {
        keys.behave(manner);
        fetched(&proxy, "keys", result);
        assert_eq!(proxy.send(&get(&token)).unwrap().summary(), unavailable, "{result}");
    }
    keys.serve(world.key_set().unwrap());
    answers(&proxy, &token, "200 allow within_remit");
    for (manner, result) in [
        (Manner::Answer(200, Vec::new(), b"<html>sign in</html>".to_vec()), "key_set_refused"),
        (Manner::Answer(200, Vec::new(), br#"{"keys":[]}"#.to_vec()), "key_set_refused"),
        (Manner::Reset, "no_answer"),
        (Manner::Late(Duration::from_secs(1)), "no_answer"),
    ] {
        keys.behave(manner);
        fetched(&proxy, "keys", result);
        // A token that no cache knows: its signature is checked with the last good set.
        let fresh = world.token_with(&json!({"jti": format!("after {result}")})).unwrap();
        assert_eq!(proxy.send(&get(&fresh)).unwrap().summary(), "200 allow within_remit", "{result}");
    }
    // The issuer takes its key back: what that key signed, and was remembered, counts no longer.
    let other = SigningKey::generate(Algorithm::Es256, Some("next")).unwrap();
    keys.serve(json!({"keys": [other.public_jwk()]}).to_string());
    answers(&proxy, &token, "401 deny key_unknown");
    let renewed = other.sign("at+jwt", &world.claims(&json!({"iss": IDP})).unwrap());
    answers(&proxy, &renewed, "200 allow within_remit");
    proxy.finish().unwrap();
}

#[test]
fn an_upstream_that_resets_is_the_upstreams_fault() {
    let world = World::new().unwrap();
    let configuration = world.config(json!({}));
    let proxy = Proxy::start(&Options { name: "resets", configuration, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    for _ in 0..3 {
        proxy.upstream.behave(Manner::Reset);
        assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "503 allow within_remit");
        proxy.upstream.behave_well();
        assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow within_remit");
    }
    proxy.finish().unwrap();
}

#[test]
fn bundles_are_exchanged_under_load() {
    let world = World::new().unwrap();
    let bundles = Upstream::start().unwrap();
    let revisions = [
        bundle("a", &format!("{PACKAGE}decision := {{\"allowed\": true, \"reasons\": [\"policy_a\"]}}\n"))
            .unwrap(),
        bundle("b", &format!("{PACKAGE}decision := {{\"allowed\": false, \"reasons\": [\"policy_b\"]}}\n"))
            .unwrap(),
    ];
    bundles.serve(revisions[0].clone());
    let proxy = with_bundles(&world, "reload", &bundles);
    let token = world.token().unwrap();
    answers(&proxy, &token, "200 allow policy_a");
    let before = proxy.audits().unwrap().len();
    let (port, until) = (proxy.port, Instant::now() + Duration::from_secs(7));
    let clients: Vec<_> = (0..2)
        .map(|_| {
            let request = get(&token);
            thread::spawn(move || {
                let mut statuses = Vec::new();
                while Instant::now() < until {
                    statuses.push(send(port, &request).unwrap().status);
                }
                statuses
            })
        })
        .collect();
    for turn in 0.. {
        if Instant::now() >= until {
            break;
        }
        bundles.serve(revisions[turn % 2].clone());
        thread::sleep(Duration::from_millis(900));
    }
    let mut statuses = Vec::new();
    for client in clients {
        statuses.extend(client.join().unwrap());
    }
    assert!(statuses.len() > 50, "{}", statuses.len());
    let audits = proxy.audits().unwrap();
    let seen: BTreeSet<(u64, String, String)> = audits[before..]
        .iter()
        .map(|audit| {
            let status = audit.value()["status"].as_u64().unwrap_or(200);
            (status, audit.reasons().join(","), audit.text("/bundle").unwrap_or_default().to_owned())
        })
        .collect();
    let expected = [(200, "policy_a".into(), "a".into()), (403, "policy_b".into(), "b".into())];
    assert_eq!(seen, BTreeSet::from(expected));
    let told: BTreeSet<u16> = statuses.into_iter().collect();
    assert_eq!(told, BTreeSet::from([200, 403]));
    proxy.finish().unwrap();
}
