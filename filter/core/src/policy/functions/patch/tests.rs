//! `json.patch` where it is not OPA's, or could be endless. What OPA answers to many calls is in `tests/pinned/calls.jsonl`.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::tests::both;
use crate::policy::tests::{decide, interpreted, policy};
use crate::policy::{Document, EvaluationBudget, EvaluationError};

/// The values are OPA's.
#[test]
fn sets_are_changed_by_their_elements() {
    for (expression, expected) in [
        (r#"json.patch({"s": {1, 2}}, [{"op": "remove", "path": ["s", 2]}])"#, json!({"s": [1]})),
        (r#"json.patch({"s": {1}}, [{"op": "add", "path": ["s", 2], "value": 2}])"#, json!({"s": [1, 2]})),
        (r#"json.patch({"s": {1}}, [{"op": "add", "path": ["s", 1], "value": 1}])"#, json!({"s": [1]})),
        (r#"json.patch({"s": {1}}, [{"op": "add", "path": ["s", 2], "value": 3}])"#, json!(null)),
        (r#"json.patch({"s": {1}}, [{"op": "remove", "path": ["s", 2]}])"#, json!(null)),
        (r#"json.patch({[1]}, [{"op": "add", "path": [[1], "-"], "value": 2}])"#, json!([[1, 2]])),
    ] {
        assert_eq!(both(expression, &json!({})), expected, "{expression}");
    }
}

/// OPA takes the element that was at the place at first, whatever is there now; the root it falls over.
#[test]
fn what_opa_mistakes_ends_the_evaluation() {
    let moved = "json.patch: an element that has moved is not served: remove or add it last";
    for (value, patch, expected) in [
        (
            json!([1, 2]),
            json!([{"op": "remove", "path": "0"}, {"op": "test", "path": "0", "value": 2}]),
            moved,
        ),
        (
            json!([[1], [2]]),
            json!([{"op": "add", "path": "0", "value": 0}, {"op": "add", "path": "1/-", "value": 5}]),
            moved,
        ),
        (json!(1), json!([{"op": "remove", "path": ""}]), "json.patch: nothing is left of the value"),
    ] {
        let policy = policy("decision if not json.patch(input.v, input.p)");
        let input = json!({"v": value, "p": patch});
        let expected = Err(EvaluationError::Failed { at: None, message: expected.to_owned() });
        assert_eq!(decide(&policy, &input), expected, "{patch}");
        assert_eq!(decide(&interpreted(policy), &input), expected, "interpreted: {patch}");
    }
}

#[test]
fn patches_end() {
    let doubling: Json = (0..60).map(|n| json!({"op": "copy", "from": "", "path": format!("{n}")})).collect();
    let deep: Json =
        (0..300).map(|n| json!({"op": "add", "path": "a/".repeat(n) + "a", "value": {}})).collect();
    let nested: Json =
        (0..3).map(|_| json!({"op": "copy", "from": "", "path": "a/".repeat(100) + "a"})).collect();
    let chain = (0..100).fold(json!({"a": {}}), |inner, _| json!({"a": inner}));
    let many: Json = (0..2_000).map(|n| json!({"op": "add", "path": "-", "value": n})).collect();
    let full = EvaluationError::MemoryExhausted { bytes: 1 << 20 };
    let too_deep = EvaluationError::Failed {
        at: None,
        message: "json.patch: a value of more than 256 levels".to_owned(),
    };
    for (value, patch, expected) in [
        (json!({"x": 1}), doubling, Err(full.clone())),
        (json!({}), deep, Err(too_deep.clone())),
        (chain, nested, Err(too_deep)),
        (json!(vec![0; 50_000]), json!([{"op": "add", "path": "-", "value": 1}]), Err(full)),
        (json!([]), many, Ok(Some(json!(2_000)))),
    ] {
        let policy = policy("decision := count(json.patch(input.v, input.p))");
        let budget =
            EvaluationBudget { bytes: 1 << 20, time: Duration::from_secs(60), ..EvaluationBudget::default() };
        let input = Document::from_json(&json!({"v": value, "p": patch}));
        let outcome = policy.evaluate(input, &budget).map(|evaluated| evaluated.value.to_json());
        assert_eq!(outcome, expected, "{patch}");
    }
}
