//! Several workers, each with an instance of its own: what must be once in the proxy is once in the proxy.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::BTreeSet;
use std::thread;

use remit_harness::challenge::Challenge;
use remit_tests::http::{Answer, Request, send};
use remit_tests::proxy::{Options, Proxy};
use remit_tests::world::{World, publish};
use serde_json::json;

/// Connections at a time: enough that the kernel gives some to each worker.
const CONNECTIONS: usize = 32;

fn start(world: &World, name: &'static str) -> Proxy {
    // A status of its own, so that the one that passes is told from those that are denied.
    let configuration = world.config(json!({"denials": {"mcp_status": 403}}));
    Proxy::start(&Options { name, configuration, workers: 2, ..Options::default() }).unwrap()
}

/// The same request on many connections at once.
fn at_once(port: u16, request: &Request) -> Vec<Answer> {
    let senders: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let request = request.clone();
            thread::spawn(move || send(port, &request).unwrap())
        })
        .collect();
    senders.into_iter().map(|sender| sender.join().unwrap()).collect()
}

/// Requests that each worker has had.
fn per_worker(proxy: &Proxy) -> Vec<u64> {
    let text = proxy.statistics().unwrap();
    let lines = text.lines().filter(|line| {
        line.starts_with("envoy_listener_worker_downstream_cx_total") && line.contains("127.0.0.1")
    });
    lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}

#[test]
fn an_approval_is_spent_once_over_all_workers() {
    let world = World::new().unwrap();
    let proxy = start(&world, "spent-once");
    let token = world.token().unwrap();
    for round in 0..3 {
        let text = format!("post {round}");
        let denial = proxy.send(&publish(&token, &text)).unwrap();
        assert_eq!(denial.summary(), "403 require_approval approval_required,publishes");
        let approval = world.approval(&denial.answer.body, &json!({})).unwrap();
        let _ = proxy.upstream.take();
        let before = proxy.audits().unwrap().len();
        let answers = at_once(proxy.port, &publish(&token, &text).header("agent-approval", &approval));
        let passed = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(passed, 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert_eq!(proxy.upstream.take().len(), 1);
        let audits = proxy.audits().unwrap();
        let reasons: BTreeSet<_> = audits[before..].iter().map(|audit| audit.reasons().join(",")).collect();
        let known = ["approved", "approval_spent", "state_unavailable"];
        assert!(reasons.iter().all(|reason| known.contains(&reason.as_str())), "{reasons:?}");
    }
    let workers = per_worker(&proxy);
    assert!(workers.len() >= 2 && workers.iter().all(|count| *count > 0), "{workers:?}");
    proxy.finish().unwrap();
}

#[test]
fn every_worker_poses_the_same_challenge() {
    let world = World::new().unwrap();
    let proxy = start(&world, "same-challenge");
    let token = world.token().unwrap();
    let first = proxy.send(&publish(&token, "once")).unwrap();
    let first = Challenge::in_reply(&first.answer.body).unwrap();
    for answer in at_once(proxy.port, &publish(&token, "once")) {
        assert_eq!(Challenge::in_reply(&answer.body).unwrap(), first);
    }
    let workers = per_worker(&proxy);
    assert!(workers.len() >= 2 && workers.iter().all(|count| *count > 0), "{workers:?}");
    proxy.finish().unwrap();
}
