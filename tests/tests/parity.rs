//! One scenario corpus through the core, the module in wasmtime and real Envoy: decision, audit and reply agree.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use remit_harness::replay::{Native, Replay, Subject, Wasm, WasmOptions, replay};
use remit_harness::scenario::Scenario;
use remit_tests::parity::{Comparable, comparable, config};
use remit_tests::proxy::{Options, Proxy, compiled_module};
use remit_tests::subject::{InEnvoy, WithoutHostSignatures};
use remit_tests::world::{scenario_folder, seconds_ago};

fn replayed(scenario: &mut Scenario, subject: &mut dyn Subject) -> Replay {
    let replay = replay(scenario, subject).unwrap();
    assert!(replay.is_as_expected(), "{}", replay.table(Default::default()));
    replay
}

fn agree(reference: &[Comparable], replay: &Replay) {
    let found = comparable(replay);
    assert_eq!(reference.len(), found.len());
    for (reference, found) in reference.iter().zip(&found) {
        assert_eq!(reference, found, "{}", replay.subject);
    }
}

/// Plays a scenario through everything; returns what all agree on.
fn played_everywhere(name: &'static str) -> Vec<Comparable> {
    let load = || Scenario::load(&scenario_folder(name)).unwrap();

    let mut scenario = load();
    let mut native = Native::new(&config(&scenario), 7).unwrap();
    let reference = comparable(&replayed(&mut scenario, &mut native));
    assert!(reference.iter().all(|exchange| !exchange.audit.is_empty()));

    let module = compiled_module().unwrap();
    for chunk_bytes in [usize::MAX, 7] {
        let mut scenario = load();
        let options = WasmOptions { start: scenario.capture.start, chunk_bytes, ..WasmOptions::default() };
        let mut wasm = Wasm::new(&module, &config(&scenario), &options).unwrap();
        agree(&reference, &replayed(&mut scenario, &mut wasm));
    }
    let mut scenario = load();
    let mut bare = WithoutHostSignatures::new(&module, &config(&scenario), scenario.capture.start).unwrap();
    agree(&reference, &replayed(&mut scenario, &mut bare));

    for chunk in [None, Some(7)] {
        // The latest time in a claim is four minutes after the start, and must not lie in the future.
        let mut scenario = load().rebased(seconds_ago(300));
        let options = Options { name, configuration: config(&scenario), ..Options::default() };
        let proxy = Proxy::start(&options).unwrap();
        agree(&reference, &replayed(&mut scenario, &mut InEnvoy { proxy: &proxy, chunk }));
        let access = proxy.finish().unwrap();
        assert_eq!(access.len(), reference.len());
        for (line, exchange) in access.iter().zip(&reference) {
            assert_eq!(line["status"], exchange.status, "{}", exchange.id);
        }
    }
    reference
}

fn exchange<'a>(all: &'a [Comparable], id: &str) -> &'a Comparable {
    all.iter().find(|exchange| exchange.id == id).unwrap()
}

/// The filter's headers that the upstream got.
fn own(exchange: &Comparable) -> Vec<(&str, &str)> {
    let headers = &exchange.forwarded.as_ref().unwrap().headers;
    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

const ANALYST: [(&str, &str); 4] = [
    ("x-remit-agent", "agent-analyst"),
    ("x-remit-decision-id", "<decision>"),
    ("x-remit-principal", "bea.lindqvist@internal.example"),
    ("x-remit-task", "task-20260318-0147"),
];

#[test]
fn the_forum_post_is_decided_alike_everywhere() {
    let all = played_everywhere("forum-post");
    // `agent-approval` came with this one, and went no further than the filter.
    for id in ["read-thread", "read-attachment", "answer", "publish-approved", "read-again"] {
        assert_eq!(own(exchange(&all, id)), ANALYST, "{id}");
    }
    for id in ["publish", "publish-retry", "publish-rest", "approval-replayed", "unknown-tool"] {
        assert!(exchange(&all, id).forwarded.is_none(), "{id}");
    }
}

#[test]
fn hostile_traffic_is_decided_alike_everywhere() {
    let all = played_everywhere("hostile");
    // The client's own `x-remit-*` headers, one of them twice, were replaced.
    assert_eq!(own(exchange(&all, "own-headers")), ANALYST);
    assert_eq!(own(exchange(&all, "last-good")), ANALYST);
}

/// What is fetched comes from the capture, so not through Envoy.
#[test]
fn rotating_keys_are_decided_alike_natively_and_in_the_module() {
    let load = || Scenario::load(&scenario_folder("key-rotation")).unwrap();
    let mut scenario = load();
    let mut native = Native::new(&config(&scenario), 7).unwrap();
    let reference = comparable(&replayed(&mut scenario, &mut native));
    let mut scenario = load();
    let options = WasmOptions { start: scenario.capture.start, ..WasmOptions::default() };
    let mut wasm = Wasm::new(&compiled_module().unwrap(), &config(&scenario), &options).unwrap();
    agree(&reference, &replayed(&mut scenario, &mut wasm));
}

#[test]
fn delegations_are_decided_alike_everywhere() {
    let all = played_everywhere("delegation");
    assert_eq!(own(exchange(&all, "profile-rfc8693")), ANALYST);
    // Who acts for whom goes on in the same headers, whatever the shape of the token was.
    for (id, agent, principal) in [
        ("profile-okta", "wlp9jecfovIcujmca0g7", "00u9jh6hizeR7uMag0g7"),
        ("profile-entra", "aaaaaaaa-1111-2222-3333-444444444444", "bbbbbbbb-1111-2222-3333-444444444444"),
        ("txn-alone", "agent-analyst", "bea.lindqvist@internal.example"),
        ("receipts", "agent-receipts", "bea.lindqvist@internal.example"),
        ("hop-root", "agent-hops", "bea.lindqvist@internal.example"),
    ] {
        let headers = own(exchange(&all, id));
        assert!(headers.contains(&("x-remit-agent", agent)), "{id}");
        assert!(headers.contains(&("x-remit-principal", principal)), "{id}");
    }
}

#[test]
fn bound_tokens_are_decided_alike_everywhere() {
    let all = played_everywhere("bound");
    for id in ["first", "mcp", "pss", "last"] {
        assert_eq!(own(exchange(&all, id)), ANALYST, "{id}");
    }
    for id in ["replay", "bearer", "thief", "forged-certificate"] {
        assert!(exchange(&all, id).forwarded.is_none(), "{id}");
    }
}

#[test]
fn token_vectors_are_decided_alike_everywhere() {
    let all = played_everywhere("token-vectors");
    // A refusal of a credential tells the client nothing of why: but for the request's own id, all look the same.
    let replies: std::collections::BTreeSet<_> =
        all.iter().filter(|exchange| exchange.status == 401).map(|exchange| &exchange.reply).collect();
    assert!(all.len() > 300 && replies.len() <= 8, "{replies:?}");
}
