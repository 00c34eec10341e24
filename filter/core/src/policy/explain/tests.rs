//! What held, by name and line, on both evaluators.

use serde_json::{Value as Json, json};

use crate::policy::tests::{bundle, is_bytecode};
use crate::policy::{Document, EvaluationBudget, Policy, PolicyLimits, Surroundings};

const POLICY: &str = r#"package p

import data.q

default decision := {"allowed": false}

# METADATA
# title: allows
decision := {"allowed": true} if {
	not denied
	input.user in data.users
}

decision := {"allowed": false, "reasons": [r | some r in reasons]} if denied

denied if count(reasons) > 0

default level := 0

level := 1 if input.a
else := 2 if input.b

reasons contains "evil" if input.path == "/evil"

reasons contains reason if {
	some reason in q.more
	level > 1
}

by_path[path] := 1 if path := input.path

unreached if input.user

name(x) := x
"#;

const MORE: &str =
    "package q\n\nmore contains \"weak\" if input.weak\n\nmore contains x if {\n\tsome x in input.list\n}\n";

fn policy(more: &str) -> Policy {
    let files = [
        ("p.rego", format!("{POLICY}{more}")),
        ("q.rego", MORE.to_owned()),
        ("data.json", "{\"users\": [\"a\"]}".to_owned()),
    ];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    Policy::compile(&bundle(&files), "p/decision", &PolicyLimits::default()).unwrap()
}

fn explained(policy: &Policy, input: &Json) -> Vec<String> {
    let (mut around, budget) = (Surroundings::default(), EvaluationBudget::default());
    let held = policy.explain(&mut around, Document::from_json(input), &budget).unwrap();
    let shown = held.iter().map(|held| {
        let value =
            held.value.as_ref().map_or("default".to_owned(), |value| value.to_json().unwrap().to_string());
        format!("{} {}:{} {value}", held.rule, held.at.file, held.at.line)
    });
    shown.collect()
}

#[test]
fn what_held_is_named_with_its_line() {
    let machine = policy("");
    assert!(is_bytecode(&machine), "{:?}", machine.engine());
    // `with` is for the interpreter.
    let interpreter = policy("\nreasons contains \"never\" if { level == 7 with input as {} }\n");
    assert!(!is_bytecode(&interpreter));
    for (input, expected) in [
        (json!({"user": "b"}), vec!["data.p.decision p.rego:5 default", "data.p.level p.rego:18 default"]),
        (
            json!({"user": "a"}),
            vec!["data.p.decision p.rego:9 {\"allowed\":true}", "data.p.level p.rego:18 default"],
        ),
        (
            json!({"user": "a", "path": "/evil", "a": 1}),
            vec![
                "data.p.decision p.rego:14 {\"allowed\":false,\"reasons\":[\"evil\"]}",
                "data.p.denied p.rego:16 true",
                "data.p.reasons p.rego:23 [\"evil\"]",
                "data.p.level p.rego:20 1",
            ],
        ),
        (
            json!({"weak": true, "b": 1, "list": ["x"]}),
            vec![
                "data.p.decision p.rego:14 {\"allowed\":false,\"reasons\":[\"weak\",\"x\"]}",
                "data.p.denied p.rego:16 true",
                "data.p.reasons p.rego:25 [\"weak\",\"x\"]",
                "data.q.more q.rego:3 [\"weak\"]",
                "data.q.more q.rego:5 [\"x\"]",
                "data.p.level p.rego:20 2",
            ],
        ),
    ] {
        for policy in [&machine, &interpreter] {
            let mut seen = explained(policy, &input);
            let mut expected = expected.clone();
            seen.sort();
            expected.sort_unstable();
            assert_eq!(seen, expected, "{input}");
        }
        assert_eq!(explained(&machine, &input).first().map(String::as_str), expected.first().copied());
    }
}

#[test]
fn a_name_that_is_taken_leaves_no_explanation_and_harms_nothing() {
    let policy = policy("\nremit_rule_0 := 1\n");
    assert_eq!(explained(&policy, &json!({"user": "b"})), Vec::<String>::new());
    assert!(policy.evaluate(Document::from_json(&json!({})), &EvaluationBudget::default()).is_ok());
}
