//! A scenario that was recorded in the past holds at another time, on a clock that does not follow the recorded one.

use std::path::Path;

use remit_core::ids::Now;
use remit_harness::capture::Response;
use remit_harness::replay::{Native, Observed, Subject, WireRequest, replay};
use remit_harness::scenario::{Overrides, Scenario};

/// The core on a clock of its own, as a real proxy has one.
struct OwnClock(Native, Now);

impl Subject for OwnClock {
    fn name(&self) -> &str {
        "own clock"
    }

    fn clock(&self, _captured: Now) -> Now {
        self.1
    }

    fn carry(&mut self, request: &WireRequest, response: &Response, now: Now) -> anyhow::Result<Observed> {
        self.0.carry(request, response, now)
    }
}

#[test]
fn a_rebased_scenario_is_as_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let overrides =
        Overrides { bundles: vec![root.join("policy-bundles/agent-baseline")], ..Overrides::default() };
    let later = Now(1_900_000_000_123_000_000);
    for (rebased, expected) in [(true, true), (false, false)] {
        let mut scenario = Scenario::load_with(&root.join("tests/scenarios/forum-post"), &overrides).unwrap();
        if rebased {
            scenario = scenario.rebased(later);
        }
        let core = Native::new(&scenario.plugin_config(), 0).unwrap();
        let played = replay(&mut scenario, &mut OwnClock(core, later)).unwrap();
        assert_eq!(played.is_as_expected(), expected, "{}", played.table(Default::default()));
    }
}
