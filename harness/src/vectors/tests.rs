//! The vectors are what the repository holds, each has a name of its own, and they differ by seed.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::capture::{Capture, CaptureLimits};

fn committed() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios/token-vectors/capture.jsonl");
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn the_scenario_is_what_the_generator_makes() {
    assert!(committed() == generate(1), "remit token vectors > tests/scenarios/token-vectors/capture.jsonl");
}

#[test]
fn another_seed_gives_other_vectors_of_the_same_attacks() {
    let ids = |text: &str| -> Vec<String> {
        let capture = Capture::parse("vectors", text.as_bytes(), &CaptureLimits::default()).unwrap();
        assert!(capture.exchanges.iter().all(|exchange| exchange.expect.is_some()));
        capture.exchanges.into_iter().map(|exchange| exchange.id).collect()
    };
    let (one, other) = (generate(1), generate(2));
    assert_ne!(one, other);
    assert_eq!(ids(&one), ids(&other));
    assert!(ids(&one).len() >= 300);
}

#[test]
fn every_reason_that_a_credential_is_refused_for_is_expected_somewhere() {
    let text = generate(1);
    let capture = Capture::parse("vectors", text.as_bytes(), &CaptureLimits::default()).unwrap();
    let expected = capture.exchanges.iter().filter_map(|exchange| exchange.expect.as_ref()?.reasons.clone());
    let expected: BTreeSet<String> = expected.flatten().collect();
    for reason in [
        "algorithm_not_accepted",
        "audience_mismatch",
        "bounds_exceeded",
        "claim_malformed",
        "claim_missing",
        "confirmation_unsupported",
        "delegation_cycle",
        "delegation_malformed",
        "delegation_self",
        "delegation_too_deep",
        "header_ambiguous",
        "headers_too_large",
        "hop_invalid",
        "hop_proof_invalid",
        "hop_proof_missing",
        "hop_widens",
        "hops_missing",
        "hops_unexpected",
        "issuer_unknown",
        "key_unknown",
        "not_traceable",
        "profile_mismatch",
        "receipt_invalid",
        "receipts_missing",
        "signature_invalid",
        "status_list_unknown",
        "task_expired",
        "task_malformed",
        "token_ambiguous",
        "token_conflict",
        "token_expired",
        "token_header_refused",
        "token_issued_in_future",
        "token_lifetime_exceeded",
        "token_malformed",
        "token_missing",
        "token_not_yet_valid",
        "token_scheme_not_accepted",
        "token_too_large",
        "token_type_not_accepted",
    ] {
        assert!(expected.contains(reason), "{reason}");
    }
}
