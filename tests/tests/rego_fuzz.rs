//! Differential fuzzing against OPA; `cargo xtask rego-fuzz` runs more of it.

use remit_tests::opa_cases::opa;
use remit_tests::rego_fuzz::{Server, case, compare, data};

/// A slice of the 10,000 that `cargo xtask rego-fuzz` plays.
const CASES: u64 = 500;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

#[test]
fn generated_policies_decide_as_in_opa() {
    let Some(opa) = opa() else { return };
    let mut server = Server::start(opa.path(), &data()).unwrap();
    let (cases, seed) =
        (setting("REMIT_FUZZ_CASES").unwrap_or(CASES), setting("REMIT_FUZZ_SEED").unwrap_or(1));
    let (mut played, mut bytecode, mut differences, mut at, mut refused) = (0, 0, 0, 0_u64, [0, 0]);
    let (mut not_met, mut conflicts) = (0, 0);
    while played < cases {
        let number = seed.wrapping_mul(1_000_003).wrapping_add(at);
        at += 1;
        let compared = compare(&case(number), &mut server).unwrap();
        if let Some(why) = compared.refused_by_opa {
            refused[0] += 1;
            assert!(refused[0] < 4 * cases.max(100), "OPA refuses most policies: {why}");
            continue;
        }
        if compared.refused_by_remit.is_some() {
            refused[1] += 1;
            continue;
        }
        played += 1;
        not_met += compared.not_met;
        conflicts += compared.conflicts;
        bytecode += u64::from(compared.by_bytecode);
        for found in compared.differences.iter().take(1) {
            differences += 1;
            println!(
                "case {number}\n{}\ninput {}\nopa {:?}\nbytecode {:?}\ninterpreter {:?}\n",
                found.policy, found.input, found.opa, found.bytecode, found.interpreter
            );
        }
    }
    println!(
        "{played} policies compared, {bytecode} of them in bytecode; {differences} differ; on {conflicts} inputs OPA meets two \
         values at once, on {not_met} a function, or a rule beneath a `with`, has two that OPA may not have met; besides, \
         refused by OPA {}, by Remit {}",
        refused[0], refused[1]
    );
    assert_eq!(differences, 0);
}
