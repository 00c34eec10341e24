//! `walk` on both evaluators. What OPA answers to many more policies is in `tests/pinned/walks.jsonl`.

use std::time::Duration;

use serde_json::json;

use crate::policy::tests::{decide, interpreted, is_bytecode, policy, try_policy};
use crate::policy::{Document, EvaluationBudget, EvaluationError};

/// The values are OPA's.
#[test]
fn every_value_comes_after_what_holds_it() {
    let input = json!({"x": {"b": 1, "a": [true, {"c": "d"}]}, "secret": {"deep": [{"token": "t"}]}});
    for (rego, expected) in [
        (
            "decision := [p | walk(input.x, [p, _])]",
            json!([[], ["a"], ["a", 0], ["a", 1], ["a", 1, "c"], ["b"]]),
        ),
        (
            "decision := [v | walk(input.x, [_, v])]",
            json!([
                {"b": 1, "a": [true, {"c": "d"}]},
                [true, {"c": "d"}],
                true,
                {"c": "d"},
                "d",
                1
            ]),
        ),
        ("decision := {v | s := {2}; walk({1, s}, [[s, _], v])}", json!([2])),
        ("decision if { walk(input, [path, \"t\"]); path[count(path) - 1] == \"token\" }", json!(true)),
        ("default decision := 0\ndecision := 1 if { some p in [[\"b\"]]; walk(input.x, [p, 1]) }", json!(1)),
        ("default decision := 0\ndecision := 1 if { p := [\"b\"]; not walk(input.x, [p, 1]) }", json!(0)),
        ("default decision := 0\ndecision := 1 if { p := [\"b\"]; not walk(input.x, [p, 2]) }", json!(1)),
        ("decision := [p | walk(input.none, [p, _])]", json!([])),
    ] {
        let policy = policy(rego);
        assert!(is_bytecode(&policy), "{rego}: {:?}", policy.engine());
        assert_eq!(decide(&policy, &input), Ok(expected.clone()), "{rego}");
        assert_eq!(decide(&interpreted(policy), &input), Ok(expected), "interpreted: {rego}");
    }
}

#[test]
fn what_is_walked_is_read_whole() {
    for (rego, repeats) in
        [("decision if walk(input.x.y, [_, 1])", true), ("decision if walk(input, [_, 1])", false)]
    {
        let policy = policy(rego);
        assert_eq!(policy.reads().repeats(), repeats, "{rego}");
        let below = policy.footprint().of_member("x").and_then(|x| x.of_member("y"));
        assert!(below.is_some_and(|below| below.of_member("any").is_some()), "{rego}");
        assert_eq!(policy.footprint().of_member("z").is_some(), !repeats, "{rego}");
    }
}

#[test]
fn walking_ends() {
    let shared: String = (0..40).map(|n| format!("a{} := [a{n}, a{n}]\n", n + 1)).collect();
    let again: String = (0..9).map(|n| format!("b{} := [v | walk(b{n}, [_, v])]\n", n + 1)).collect();
    let input =
        json!({"x": 1, "wide": vec![1; 20_000], "deep": (0..100).fold(json!(1), |inner, _| json!([inner]))});
    for rego in [
        format!("a0 := [input.x]\n{shared}decision if walk(a40, [_, 2])"),
        format!("a0 := [input.x]\n{shared}decision if not walk(a40, [[], 2])"),
        format!("b0 := input.deep\n{again}decision := count(b9)"),
        "decision := count([p | walk(input.wide, [p, _])])".to_owned(),
    ] {
        let policy = policy(&rego);
        let budget =
            EvaluationBudget { bytes: 1 << 20, time: Duration::from_secs(60), ..EvaluationBudget::default() };
        let expected = Err(EvaluationError::MemoryExhausted { bytes: 1 << 20 });
        for policy in [policy, interpreted(self::policy(&rego))] {
            let outcome = policy.evaluate(Document::from_json(&input), &budget);
            assert_eq!(outcome.map(|evaluated| evaluated.value.to_json()), expected, "{rego}");
        }
    }
}

#[test]
fn a_call_that_is_none_of_a_relation_is_refused() {
    for (rego, expected) in [
        ("decision := walk()", "p.rego:2:17: walk takes 1 arguments and is given 0"),
        ("decision if walk(1, 2, 3)", "p.rego:2:17: walk takes 1 arguments and is given 3"),
        ("decision := [walk(1, x) | x := 1]", "p.rego:2:18: walk takes 1 arguments and is given 2"),
        (
            "f(_) := 1\ndecision if { walk(1) == 1 with walk as f }",
            "p.rego:3:33: walk cannot be replaced by `with` in a bundle that decides",
        ),
        ("decision := remit__pairs(1, true)", "p.rego:2:25: names that begin with remit__ are taken"),
    ] {
        assert_eq!(try_policy(rego).unwrap_err().to_string(), expected, "{rego}");
    }
}
