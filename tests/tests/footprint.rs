//! What the load finds that a policy reads is all that it reads: a decision follows from that part of the input alone.

use remit_core::policy::{Document, EngineKind, Footprint, Policy};
use remit_tests::rego_fuzz::{case, decide, decide_on, load, mutated};
use serde_json::Value;

/// Generated policies, with three inputs each.
const CASES: u64 = 1000;

/// Changes to each input.
const CHANGES: u64 = 6;

fn at<'f>(footprint: &'f Footprint, path: &[String]) -> Option<&'f Footprint> {
    path.iter().try_fold(footprint, |reads, name| reads.of_member(name))
}

fn trimmed(policy: &Policy, input: &Value) -> Document {
    Document::from_json_trimmed(input, policy.footprint())
}

#[test]
fn decisions_follow_from_what_is_read() {
    let (mut partly, mut unread, mut read, mut bytecode) = (0, 0, 0, 0);
    for number in 0..CASES {
        let case = case(number);
        let Ok(policy) = load(&case.policy) else { continue };
        partly += u32::from(policy.footprint() != Footprint::whole());
        let by_bytecode = policy.engine() == EngineKind::Bytecode;
        bytecode += u32::from(by_bytecode);
        let interpreted = load(&case.policy).unwrap().interpreted();
        let policies = if by_bytecode { vec![&policy, &interpreted] } else { vec![&policy] };
        for policy in policies {
            for input in &case.inputs {
                let asked = trimmed(policy, input);
                assert_eq!(asked, Document::from_json(input).trimmed(policy.footprint()));
                let decision = decide(policy, input);
                assert_eq!(decision, decide_on(policy, asked.clone()), "{number} {}\n{input}", case.policy);
                for change in 0..CHANGES {
                    let (other, path) = mutated(input, number.wrapping_mul(31).wrapping_add(change));
                    let key = trimmed(policy, &other);
                    let is_same = (asked.digest(), &asked) == (key.digest(), &key);
                    let reads = at(policy.footprint(), &path);
                    match reads {
                        None => assert!(is_same, "{number} {path:?}"),
                        Some(reads) if reads == Footprint::whole() => assert!(!is_same, "{number} {path:?}"),
                        // Of an object that took the place of another some members are read.
                        Some(_) => {}
                    }
                    if is_same {
                        // Evaluated on the whole of the other input: nothing was taken out of its reach.
                        assert_eq!(decision, decide(policy, &other), "{number} {path:?} {}", case.policy);
                        unread += 1;
                    } else {
                        read += 1;
                    }
                }
            }
        }
    }
    println!(
        "{partly} policies read a part, {bytecode} are in bytecode; {read} changes are read, {unread} are not"
    );
    assert!(partly > 300 && bytecode > 100 && read > 1000 && unread > 1000);
}
