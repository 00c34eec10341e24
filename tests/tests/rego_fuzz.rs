//! Differential fuzzing against OPA; `cargo xtask rego-fuzz` runs more of it.

use remit_tests::opa_cases::opa;
use remit_tests::rego_fuzz::{Server, builtins, case, compare, data};

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

/// Calls of each builtin for each policy of the other test.
const CALLS: u64 = 10;

#[test]
fn calls_of_builtins_give_what_opa_gives() {
    let Some(opa) = opa() else { return };
    let mut server = Server::start(opa.path(), &data()).unwrap();
    let cases = setting("REMIT_FUZZ_CASES").unwrap_or(CASES) / CALLS;
    let seed = setting("REMIT_FUZZ_SEED").unwrap_or(1);
    let (mut calls, mut valued, mut ended, mut differences) = (0, 0, 0, 0);
    let (mut refused, mut without_value) = (Vec::new(), Vec::new());
    for builtin in builtins(&opa).unwrap() {
        let Some(called) = builtin.compare(usize::try_from(cases).unwrap(), seed, &mut server).unwrap()
        else {
            refused.push(builtin.name);
            continue;
        };
        if called.valued == 0 {
            without_value.push(builtin.name.clone());
        }
        calls += called.calls;
        valued += called.valued;
        ended += u64::try_from(called.ended.len()).unwrap();
        differences += called.differences.len();
        for found in called.differences.iter().take(5) {
            println!(
                "{}\ninput {}\nopa {:?}\nbytecode {:?}\ninterpreter {:?}\n",
                found.policy, found.input, found.opa, found.bytecode, found.interpreter
            );
        }
        if std::env::var_os("REMIT_FUZZ_ENDED").is_some() {
            for (arguments, why) in called.ended.iter().take(3) {
                println!("{} {arguments} ends with: {why}\n", builtin.name);
            }
        }
    }
    println!(
        "{calls} calls compared, {valued} of them with a value, {ended} end the evaluation here; {differences} differ; without \
         any value: {}; refused at load: {}",
        without_value.join(", "),
        refused.join(", ")
    );
    assert_eq!(differences, 0);
    assert!(valued * 2 > calls && ended * 20 < calls, "too few calls say something");
}
