//! What Remit once read differently from OPA: each fault with OPA's answer, on both evaluators and, where it is there, OPA.

use remit_core::policy::{Document, EngineKind, Policy};
use remit_tests::opa_cases::{Outcome, opa};
use remit_tests::rego_fuzz::{Server, data, decide, load};
use serde_json::{Value, json};

const PINNED: &str = include_str!("../pinned/differences.jsonl");
/// `walk`, which is no function but a relation.
const WALKS: &str = include_str!("../pinned/walks.jsonl");

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
    let (mut bytecode, mut faults) = (0, Vec::new());
    for line in PINNED.lines().chain(WALKS.lines()) {
        let case: Value = serde_json::from_str(line).unwrap();
        let (name, text) = (case["name"].as_str().unwrap(), case["policy"].as_str().unwrap());
        let wanted = match &case["opa"] {
            Value::String(kind) => (kind.clone(), None),
            value => ("value".to_owned(), Some(Document::from_json(&value["value"]))),
        };
        let mut check = |who: &str, got: (String, Option<Document>)| {
            if got != wanted {
                faults.push(format!("{name}: {wanted:?} is wanted, {got:?} by {who}"));
            }
        };
        if let Some(server) = &mut server {
            match server.load(text).unwrap() {
                Ok(()) => check("OPA", shown(server.decide(&case["input"]).unwrap())),
                Err(why) => check("OPA", (why, None)),
            }
        }
        let policy = match load(text) {
            Ok(policy) => policy,
            Err(why) => {
                if json!(why.to_string()) != case["refused"] {
                    faults.push(format!("{name}: refused with {why}"));
                }
                continue;
            }
        };
        if policy.engine() == EngineKind::Bytecode {
            bytecode += 1;
            check("the bytecode", shown(decide(&policy, &case["input"])));
        }
        check("the interpreter", shown(decide(&policy.interpreted(), &case["input"])));
        if case["refused"] != Value::Null {
            faults.push(format!("{name}: no longer refused"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(bytecode > 20, "most of them are played by the bytecode, not {bytecode}");
}

const CALLS: &str = include_str!("../pinned/calls.jsonl");

/// Calls of builtins on arguments of the input, with OPA's answers.
#[test]
fn calls_give_what_opa_gives() {
    let mut server = opa().map(|opa| Server::start(opa.path(), &data()).unwrap());
    let mut last: Option<(String, Policy, Policy)> = None;
    let mut faults = Vec::new();
    for line in CALLS.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let (name, arguments) = (case["call"].as_str().unwrap(), case["arguments"].as_array().unwrap());
        let wanted = case["opa"].get("value").map(Document::from_json);
        let arguments: Vec<String> = (0..arguments.len()).map(|at| format!("input.x[{at}]")).collect();
        let text = format!("package fuzz\n\ndecision := {name}({})\n", arguments.join(", "));
        if last.as_ref().is_none_or(|(last, ..)| *last != text) {
            if let Some(server) = &mut server {
                server.load(&text).unwrap().unwrap();
            }
            let policies = (load(&text).unwrap(), load(&text).unwrap().interpreted());
            assert_eq!(policies.0.engine(), EngineKind::Bytecode, "{text}");
            last = Some((text, policies.0, policies.1));
        }
        let Some((_, bytecode, interpreter)) = &last else { continue };
        let input = json!({ "x": case["arguments"] });
        let mut check = |who: &str, got: Outcome| {
            let (_, value) = shown(got.clone());
            if value != wanted || !matches!(got, Outcome::Value(_) | Outcome::Undefined) {
                faults.push(format!("{name} {}: {wanted:?} is wanted, {got:?} by {who}", case["arguments"]));
            }
        };
        if let Some(server) = &mut server {
            check("OPA", server.decide(&input).unwrap());
        }
        check("the bytecode", decide(bytecode, &input));
        check("the interpreter", decide(interpreter, &input));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
