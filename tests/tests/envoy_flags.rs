//! Settings of Envoy and of the filter that change what happens: each does what the documents say, and says so.

use std::time::{Duration, Instant};

use remit_tests::http::{Request, send};
use remit_tests::proxy::{Options, Proxy};
use remit_tests::world::{FORUM, THREAD, World, get, mcp, publish, read};
use serde_json::json;

#[test]
fn a_body_that_is_never_delivered_is_not_waited_for_for_ever() {
    let world = World::new().unwrap();
    let configuration = world.config(json!({"limits": {"body_seconds": 1}}));
    let edit = Some(("allow_on_headers_stop_iteration: true", "allow_on_headers_stop_iteration: false"));
    let proxy =
        Proxy::start(&Options { name: "no-bodies", configuration, edit, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    for _ in 0..2 {
        let begun = Instant::now();
        assert_eq!(proxy.send(&read(&token)).unwrap().summary(), "408 deny body_late");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert!(proxy.upstream.take().is_empty());
        assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow within_remit");
        let _ = proxy.upstream.take();
    }
    proxy.wait_for_log("set allow_on_headers_stop_iteration: true").unwrap();
    proxy.finish().unwrap();
}

#[test]
fn a_body_that_stays_away_is_given_up() {
    let world = World::new().unwrap();
    let configuration = world.config(json!({"limits": {"body_seconds": 1}}));
    let proxy = Proxy::start(&Options { name: "slow", configuration, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    let mut promised = read(&token);
    promised.body = Some(Vec::new());
    promised.headers.push(("x-note".into(), "the body is announced and does not come".into()));
    let head = promised.head().replace("content-length: 0", "content-length: 100");
    let before = proxy.audits().unwrap().len();
    let answer = remit_tests::http::send_pieces(proxy.port, vec![head.into_bytes()]).unwrap();
    assert_eq!(answer.status, 408);
    assert_eq!(proxy.audit_after(before).unwrap().reasons(), ["body_late"]);
    assert_eq!(proxy.send(&read(&token)).unwrap().summary(), "200 allow within_remit");
    proxy.finish().unwrap();
}

#[test]
fn observe_mode_forwards_and_records() {
    let world = World::new().unwrap();
    let configuration = world.config(json!({"mode": "observe"}));
    let proxy = Proxy::start(&Options { name: "observe", configuration, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    for (request, expected) in [
        (Request::new("GET", FORUM, THREAD), "200 deny token_missing"),
        (get("garbage"), "200 deny token_malformed"),
        (publish(&token, "text"), "200 require_approval approval_required,publishes"),
        (mcp(&token, "{} x"), "200 deny body_malformed"),
        (read(&token), "200 allow within_remit"),
    ] {
        let seen = proxy.send(&request).unwrap();
        assert_eq!(seen.summary(), expected);
        assert_eq!(seen.audit.value()["enforced"], expected.contains("allow"));
        assert_eq!(seen.audit.text("/mode"), Some("observe"));
        let arrived = proxy.upstream.take();
        assert_eq!(arrived.len(), 1, "{expected}");
        assert_eq!(arrived[0].body, request.body.unwrap_or_default());
        assert_eq!(arrived[0].values("x-remit-decision-id"), [seen.audit.text("/decision_id").unwrap()]);
    }
    assert_eq!(
        proxy.statistic("remit_decisions", &["outcome=\"deny\"", "enforced=\"false\""]).unwrap(),
        3,
        "{}",
        proxy.statistics().unwrap()
    );
    proxy.finish().unwrap();
}

#[test]
fn a_broken_configuration_lets_nothing_through_and_is_named() {
    for (configuration, pointer) in [
        (r#"{"version":1,"mode":"enforced"}"#, "/mode"),
        (r#"{"version":1,"resource":"r","issuers":[],"bundle":{"inline":""}}"#, "/issuers"),
        (r#"{"version":1,"#, "malformed JSON"),
    ] {
        let options = Options {
            name: "broken",
            configuration: configuration.into(),
            unready: true,
            ..Options::default()
        };
        match Proxy::start(&options) {
            // Envoy refuses to start, and its last words name the member.
            Err(error) => {
                let error = format!("{error:#}");
                assert!(error.contains(pointer), "{error}");
            }
            // Envoy starts, as its failure policy says, and refuses every request.
            Ok(proxy) => {
                proxy.wait_for_log(pointer).unwrap();
                let answer = send(proxy.port, &Request::new("GET", FORUM, THREAD)).unwrap();
                assert!(answer.status >= 500, "{}", answer.status);
                assert!(proxy.upstream.take().is_empty());
            }
        }
    }
}

#[test]
fn statistics_carry_labels() {
    let world = World::new().unwrap();
    let configuration = world.config(json!({}));
    let proxy = Proxy::start(&Options { name: "statistics", configuration, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    for _ in 0..3 {
        proxy.send(&read(&token)).unwrap();
    }
    proxy.send(&publish(&token, "text")).unwrap();
    proxy.send(&get("garbage")).unwrap();
    for (name, labels, expected) in [
        ("remit_decisions", vec!["outcome=\"allow\"", "enforced=\"true\""], 3),
        ("remit_decisions", vec!["outcome=\"require_approval\"", "enforced=\"true\""], 1),
        ("remit_decisions", vec!["outcome=\"deny\"", "enforced=\"true\""], 1),
        ("remit_reasons", vec!["outcome=\"allow\"", "reason=\"within_remit\""], 3),
        ("remit_reasons", vec!["outcome=\"require_approval\"", "reason=\"publishes\""], 1),
        ("remit_agents", vec!["registered=\"true\""], 4),
        ("remit_agents", vec!["registered=\"false\""], 0),
        ("remit_errors", vec!["kind=\"token_malformed\""], 1),
        ("remit_token_cache", vec!["result=\"miss\""], 2),
        ("remit_token_cache", vec!["result=\"hit\""], 3),
        ("remit_decision_cache", vec!["result=\"miss\""], 2),
        ("remit_decision_cache", vec!["result=\"hit\""], 2),
    ] {
        let found = proxy.statistic(name, &labels).unwrap();
        assert_eq!(found, expected, "{name} {labels:?}\n{}", proxy.statistics().unwrap());
    }
    // Histograms are put together every few seconds.
    proxy
        .wait_until("two evaluations", || Ok(proxy.statistic("remit_evaluation_us_count", &[])? == 2))
        .unwrap();
    proxy.finish().unwrap();
}
