//! What Remit once read differently from OPA: each fault with OPA's answer, on both evaluators and, where it is there, OPA.

use remit_core::policy::{Document, EngineKind};
use remit_tests::opa_cases::{Outcome, opa};
use remit_tests::rego_fuzz::{Server, data, decide, load};
use serde_json::{Value, json};

const PINNED: &str = include_str!("../pinned/differences.jsonl");

/// As the table writes it; numbers compare by their value.
fn shown(outcome: Outcome) -> (String, Option<Document>) {
    match outcome {
        Outcome::Value(value) => ("value".to_owned(), Some(Document::from_json(&value))),
        Outcome::Undefined => ("undefined".to_owned(), None),
        Outcome::Conflict => ("conflict".to_owned(), None),
        Outcome::Error(text) => (text, None),
    }
}

#[test]
fn faults_stay_mended() {
    let mut server = opa().map(|opa| Server::start(opa.path(), &data()).unwrap());
    let mut bytecode = 0;
    for line in PINNED.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (name, text) = (case["name"].as_str().unwrap(), case["policy"].as_str().unwrap());
        let wanted = match &case["opa"] {
            Value::String(kind) => (kind.clone(), None),
            value => ("value".to_owned(), Some(Document::from_json(&value["value"]))),
        };
        if let Some(server) = &mut server {
            assert_eq!(server.load(text).unwrap(), Ok(()), "{name}");
            assert_eq!(shown(server.decide(&case["input"]).unwrap()), wanted, "{name}: OPA");
        }
        let policy = match load(text) {
            Ok(policy) => policy,
            Err(why) => {
                assert_eq!(json!(why.to_string()), case["refused"], "{name}");
                continue;
            }
        };
        assert_eq!(case["refused"], Value::Null, "{name}: no longer refused");
        if policy.engine() == EngineKind::Bytecode {
            bytecode += 1;
            assert_eq!(shown(decide(&policy, &case["input"])), wanted, "{name}: bytecode");
        }
        let by_interpreter = decide(&policy.interpreted(), &case["input"]);
        assert_eq!(shown(by_interpreter), wanted, "{name}: interpreter");
    }
    assert!(bytecode > 20, "most of them are played by the bytecode, not {bytecode}");
}
