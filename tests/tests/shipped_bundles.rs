//! The attacks on the shipped policy and the policies of opa-envoy-plugin, through the core and the module: what each
//! expects holds in both, and decision, audit and reply agree.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::Path;

use remit_harness::replay::{Native, Replay, Subject, Wasm, WasmOptions, replay};
use remit_harness::scenario::Scenario;
use remit_tests::parity::{comparable, config};
use remit_tests::proxy::compiled_module;
use remit_tests::world::scenario_folder;

fn replayed(scenario: &mut Scenario, subject: &mut dyn Subject) -> Replay {
    let replay = replay(scenario, subject).unwrap();
    assert!(replay.is_as_expected(), "{}", replay.table(Default::default()));
    replay
}

/// Plays a scenario through both; returns how many requests went on to the upstream, and how many did not.
fn played_in_both(folder: &Path) -> (usize, usize) {
    let load = || Scenario::load(folder).unwrap();
    let mut scenario = load();
    let mut native = Native::new(&config(&scenario), 7).unwrap();
    let reference = comparable(&replayed(&mut scenario, &mut native));

    let module = compiled_module().unwrap();
    for chunk_bytes in [usize::MAX, 7] {
        let mut scenario = load();
        let options = WasmOptions { start: scenario.capture.start, chunk_bytes, ..WasmOptions::default() };
        let mut wasm = Wasm::new(&module, &config(&scenario), &options).unwrap();
        let found = comparable(&replayed(&mut scenario, &mut wasm));
        assert_eq!(reference.len(), found.len());
        for (reference, found) in reference.iter().zip(&found) {
            assert_eq!(reference, found, "{}", folder.display());
        }
    }
    let forwarded = reference.iter().filter(|exchange| exchange.forwarded.is_some()).count();
    (forwarded, reference.len().saturating_sub(forwarded))
}

#[test]
fn the_attacks_are_stopped_in_the_module_too() {
    let folder = xtask::workspace::root().join("policy-bundles/red-team");
    assert_eq!(played_in_both(&folder), (8, 39));
}

#[test]
fn policies_of_opa_envoy_decide_in_the_module_too() {
    for name in ["opa-envoy-decision-object", "opa-envoy-quick-start", "opa-envoy-request-body"] {
        let (forwarded, refused) = played_in_both(&scenario_folder(name));
        assert!(forwarded > 0 && refused > 0, "{name}: {forwarded} forwarded, {refused} refused");
    }
}
