//! What held, by name and line, on both evaluators.

use serde_json::{Value as Json, json};

use crate::policy::tests::{bundle, is_bytecode};
use crate::policy::{
    Construct, Document, EvaluationBudget, EvaluationError, Policy, PolicyError, PolicyLimits, Surroundings,
};

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
    let (mut around, budget) = (Surroundings::default().with_values(), EvaluationBudget::default());
    let explanation = policy.explain(&mut around, Document::from_json(input), &budget);
    assert_eq!(explanation.cut, None);
    let json = |document: &Document| document.to_json().unwrap().to_string();
    let shown = explanation.held.iter().map(|held| {
        let given = held.given.iter().map(|given| {
            let below: String = given.below.iter().map(|part| format!("[{}]", json(part))).collect();
            format!(" {below}{}", json(&given.value))
        });
        let given: String = if held.is_default { " default".to_owned() } else { given.collect() };
        format!("{} {}:{}{given}", held.rule, held.at.file, held.at.line)
    });
    shown.collect()
}

#[test]
fn what_held_is_named_with_its_line() {
    let machine = policy("");
    assert!(is_bytecode(&machine), "{:?}", machine.engine());
    // `with` is for the interpreter.
    let interpreter = policy("\nreasons contains \"never\" if { input.never == 7 with input as {} }\n");
    assert!(!is_bytecode(&interpreter));
    for (input, expected) in [
        (json!({"user": "b"}), vec!["data.p.decision p.rego:5 default"]),
        (json!({"user": "a"}), vec!["data.p.decision p.rego:9 {\"allowed\":true}"]),
        (
            json!({"user": "a", "path": "/evil", "a": 1}),
            vec![
                "data.p.decision p.rego:14 {\"allowed\":false,\"reasons\":[\"evil\"]}",
                "data.p.denied p.rego:16 true",
                "data.p.reasons p.rego:23 \"evil\"",
            ],
        ),
        (
            json!({"weak": true, "b": 1, "list": ["x"]}),
            vec![
                "data.p.decision p.rego:14 {\"allowed\":false,\"reasons\":[\"weak\",\"x\"]}",
                "data.p.denied p.rego:16 true",
                "data.p.reasons p.rego:25 \"weak\" \"x\"",
                "data.q.more q.rego:3 \"weak\"",
                "data.q.more q.rego:5 \"x\"",
                "data.p.level p.rego:20 2",
            ],
        ),
        (
            json!({"weak": true}),
            vec![
                "data.p.decision p.rego:5 default",
                "data.q.more q.rego:3 \"weak\"",
                "data.p.level p.rego:18 default",
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

/// A policy of one file, and what held in it on an input, without the file's name.
fn held(text: &str, input: &Json) -> (bool, Vec<String>) {
    let policy =
        Policy::compile(&bundle(&[("p.rego", text)]), "p/decision", &PolicyLimits::default()).unwrap();
    let held = explained(&policy, input).into_iter().map(|held| held.replace(" p.rego:", ":"));
    (is_bytecode(&policy), held.collect())
}

const FORMS: &str = r#"package p

default decision := false

decision := {"allowed": false, "reasons": sort(a.b.why)} if {
	some name in ["x", "y"]
	grade(name) > 1
	not free(name)
	scores[name].total > 2
	count(a.b.why) > 0
}

grade("x") := 2

grade(name) := 3 if {
	name == "y"
}

free(name) if name == "z"

free(name) if input.free == name

a.b.why contains "low"

a.b.why contains name if {
	some name in input.names
}

scores[name].total := count(name) + 2 if some name in ["x", "yyy"]

fallback(x) := "one" if {
	x == 1
} else := "two" if x == 2
else := "other"
"#;

#[test]
fn functions_and_names_of_several_parts_are_named() {
    let (_, seen) = held(FORMS, &json!({"names": ["n"]}));
    assert_eq!(
        seen,
        [
            "data.p.decision:5 {\"allowed\":false,\"reasons\":[\"low\",\"n\"]}",
            "data.p.a.b.why:23 \"low\"",
            "data.p.a.b.why:25 \"n\"",
            "data.p.grade:13 2",
            "data.p.grade:15 3",
            "data.p.scores:29 [\"x\"][\"total\"]3 [\"yyy\"][\"total\"]5",
        ]
    );
    // A function that holds for one argument and not for the other.
    let (_, seen) = held(FORMS, &json!({"names": ["n"], "free": "x"}));
    assert_eq!(seen.iter().filter(|held| held.starts_with("data.p.free:21 true")).count(), 1, "{seen:?}");
    for (x, expected) in [(1, "\"one\""), (2, "\"two\""), (3, "\"other\"")] {
        let text = format!("{FORMS}\n").replacen(
            "decision := {",
            "decision := fallback(input.x) if input.x\n\ndecision := {",
            1,
        );
        let (_, seen) = held(&text.replace("[\"x\", \"y\"]", "[]"), &json!({"x": x}));
        assert_eq!(seen[1], format!("data.p.fallback:33 {expected}"), "{seen:?}");
    }
}

#[test]
fn every_form_of_a_rule_is_named() {
    for (text, expected) in [
        ("decision := x if {\n\tx := input.a\n}\n", vec!["data.p.decision:3 1"]),
        ("decision := (input.a)\n", vec!["data.p.decision:3 1"]),
        ("decision := \"no\" if input.a # {\n", vec!["data.p.decision:3 \"no\""]),
        ("decision if input.a\n", vec!["data.p.decision:3 true"]),
        ("decision := false if not on\n\non if input.b\n", vec!["data.p.decision:3 false"]),
        (
            "decision := {\"a\": 1, \"b\": [x | some x in [1]]}\n",
            vec!["data.p.decision:3 {\"a\":1,\"b\":[1]}"],
        ),
        (
            "decision := count(o)\n\no[k] := v if some k, v in {\"x\": 1}\n",
            vec!["data.p.decision:3 1", "data.p.o:5 [\"x\"]1"],
        ),
        (
            "default decision := 1\n\ndecision := 2 if { input.b } else := 3 if { input.c }\n",
            vec!["data.p.decision:3 default"],
        ),
        ("default decision := 1\n\ndecision := input.b\n", vec!["data.p.decision:3 default"]),
        (
            "decision := f(1)\n\ndefault f(_) := 7\n\nf(x) := 1 if x == 2\n",
            vec!["data.p.decision:3 7", "data.p.f:5 default"],
        ),
        // Nothing asks for it.
        (
            "decision := 1 if { input.a; not input.b } else := 2 if never\n\nnever if input.a\n",
            vec!["data.p.decision:3 1"],
        ),
    ] {
        let (_, seen) = held(&format!("package p\n\n{text}"), &json!({"a": 1}));
        assert_eq!(seen, expected, "{text}");
    }
    let v0 = "package p\n\ndecision[x] { x := input.a }\n\ndecision[\"b\"] { f(1) }\n\nf(x) = y { y := x }\n";
    let files = [(".manifest", "{\"rego_version\": 0}"), ("p.rego", v0)];
    let policy = Policy::compile(&bundle(&files), "p/decision", &PolicyLimits::default()).unwrap();
    let seen = explained(&policy, &json!({"a": 1}));
    assert_eq!(seen, ["data.p.decision p.rego:3 1", "data.p.decision p.rego:5 \"b\"", "data.p.f p.rego:7 1"]);
}

#[test]
fn what_the_decision_never_needed_is_not_evaluated() {
    let heavy = "\nheavy if {\n\tevery a in numbers.range(1, 1000) { every b in numbers.range(1, 1000) { [a, b] != [] } }\n}\n";
    for (text, engine, expected) in [
        (
            "decision := false if { input.b; heavy }\n\ndecision := {} if input.a\n",
            true,
            "data.p.decision:5 {}",
        ),
        // The first of several with one value ends the search.
        ("decision if input.a\n\ndecision if heavy\n", true, "data.p.decision:3 true"),
        ("decision := 1 if input.a\nelse := 2 if heavy\n", true, "data.p.decision:3 1"),
        (
            "decision := 1 if { input.a with input.c as 1 }\nelse := 2 if heavy\n",
            false,
            "data.p.decision:3 1",
        ),
    ] {
        let (is_bytecode, seen) = held(&format!("package p\n\n{text}{heavy}"), &json!({"a": 1}));
        assert_eq!((is_bytecode, seen), (engine, vec![expected.to_owned()]), "{text}");
    }
}

/// The interpreter evaluates all of a package that is named by an import.
#[test]
fn of_an_imported_package_only_what_was_needed_is_named() {
    let q = "package a.q\n\nx if input.a\n\ny if input.a\n\nf(n) := n\n";
    for (import, body) in [
        ("import data.a.q", "q.x; q.f(1)"),
        ("import data.a.q as z", "z.x; z.f(1)"),
        ("import data.a", "a.q.x; a.q.f(1)"),
        ("import data.a.q.x", "x; data.a.q.f(1)"),
        ("import data.a.q", "some z in [q.x]; z; data.a.q.f(1)"),
    ] {
        for with in ["", "; input.a with input.c as 1"] {
            let p = format!("package p\n\n{import}\n\ndecision if {{ {body}{with} }}\n");
            let files = [("p.rego", p.as_str()), ("q.rego", q)];
            let policy = Policy::compile(&bundle(&files), "p/decision", &PolicyLimits::default()).unwrap();
            let seen = explained(&policy, &json!({"a": true}));
            let expected =
                ["data.p.decision p.rego:5 true", "data.a.q.f q.rego:7 1", "data.a.q.x q.rego:3 true"];
            assert_eq!(seen, expected, "{import} {body} {with}");
        }
    }
}

#[test]
fn an_explanation_that_is_cut_has_what_was_known_by_then() {
    let text = "package p\n\ndefault decision := 1\n\ndecision := false if { light; heavy }\n\nlight if input.a\n\nheavy if {\n\tevery a in numbers.range(1, 1000) { [a] != [] }\n}\n";
    let policy =
        Policy::compile(&bundle(&[("p.rego", text)]), "p/decision", &PolicyLimits::default()).unwrap();
    let budget = EvaluationBudget { instructions: 1000, ..EvaluationBudget::default() };
    let input = Document::from_json(&json!({"a": 1}));
    let explanation = policy.explain(&mut Surroundings::default(), input, &budget);
    assert_eq!(explanation.cut, Some(EvaluationError::BudgetExhausted { instructions: 1000 }));
    assert_eq!(explanation.held.iter().map(|held| held.rule.as_str()).collect::<Vec<_>>(), ["data.p.light"]);
    assert!(explanation.held.iter().all(|held| held.given.is_empty()), "values only where they are wanted");
}

#[test]
fn names_of_our_own_are_refused() {
    let text = "package p\n\ndecision := remit__held(1, true)\n";
    let error = Policy::compile(&bundle(&[("p.rego", text)]), "p/decision", &PolicyLimits::default());
    assert!(matches!(error, Err(PolicyError::Construct { construct: Construct::Taken, .. })), "{error:?}");
}
