//! Times and zones. What OPA answers to many more calls is in `tests/pinned/calls.jsonl`.

use serde_json::json;

use super::super::tests::both;
use crate::policy::tests::{decide, interpreted, policy, try_policy};
use crate::policy::{Document, EvaluationBudget, EvaluationError};

/// The values are OPA's.
#[test]
fn times_are_read_and_written() {
    let input = json!({"now": 1_709_251_199_120_000_000_i64, "zone": "Etc/GMT-3"});
    for (expression, expected) in [
        (r#"time.parse_rfc3339_ns("2024-02-29T23:59:59.12Z")"#, json!(1_709_251_199_120_000_000_i64)),
        (r#"time.parse_rfc3339_ns("2023-02-29T23:59:59Z")"#, json!(null)),
        (r#"time.parse_ns("02/01/2006 15h", "29/02/2024 23h")"#, json!(1_709_247_600_000_000_000_i64)),
        (r#"time.parse_duration_ns("1d12h")"#, json!(129_600_000_000_000_i64)),
        ("time.date(input.now)", json!([2024, 2, 29])),
        ("time.date([input.now, input.zone])", json!([2024, 3, 1])),
        ("time.clock([input.now, input.zone])", json!([2, 59, 59])),
        ("time.weekday(input.now)", json!("Thursday")),
        ("time.add_date(input.now, 0, 1, 1)", json!(1_711_843_199_120_000_000_i64)),
        ("time.diff(input.now, 0)", json!([54, 1, 28, 23, 59, 59])),
        (r#"time.format([input.now, "Etc/GMT+5", "RFC1123Z"])"#, json!("Thu, 29 Feb 2024 18:59:59 -0500")),
        ("time.format(input.now)", json!("2024-02-29T23:59:59.12Z")),
    ] {
        assert_eq!(both(expression, &input), expected, "{expression}");
    }
}

/// They follow from their arguments, so a decision by them is remembered.
#[test]
fn only_the_clock_is_not_repeated() {
    for (expression, repeats) in [
        ("time.parse_rfc3339_ns(input.x) > 0", true),
        ("time.weekday([input.x, \"UTC\"]) == time.format(input.y)", true),
        ("time.weekday(time.now_ns()) == \"Monday\"", false),
    ] {
        let policy = policy(&format!("decision if {expression}"));
        assert_eq!(policy.reads().repeats(), repeats, "{expression}");
    }
}

#[test]
fn zones_of_the_world_are_refused_where_they_are_written() {
    for expression in [
        "time.clock([1, \"America/New_York\"])",
        "time.format([1, `Local`, \"\"])",
        "time.diff(1, [1, \"EST\"])",
        "time.date([1, \"Etc/GMT+13\"])",
        "time.add_date([1, \"Etc/GMT-15\"], 0, 0, 0)",
        "time.weekday([1, \"Etc/GMT+05\"])",
    ] {
        let error = try_policy(&format!("decision := {expression}")).unwrap_err().to_string();
        let (name, _) = expression.split_once('(').unwrap();
        let expected = format!(
            "p.rego:2:{}: {name} is served with the zones UTC and Etc/GMT-14 to Etc/GMT+12 only, for want of a \
             time-zone database: add the zone's offset to the time",
            name.len() + 13
        );
        assert_eq!(error, expected, "{expression}");
    }
    for zone in ["", "UTC", "GMT", "Etc/UTC", "Etc/GMT", "Etc/GMT0", "Etc/GMT+12", "Etc/GMT-14"] {
        try_policy(&format!("decision := time.date([1, \"{zone}\"])")).unwrap();
    }
}

/// Undefined would let a `not` hold.
#[test]
fn what_only_a_database_knows_ends_the_evaluation() {
    let input =
        json!({"zone": "Europe/Berlin", "text": "Fri Jun  2 19:00:00 PDT 2017", "far": 100_000_000_001_i64});
    for (expression, reason) in [
        (
            "time.clock([1, input.zone])",
            "time: a zone is not served that a database of zones would have to be asked about: give UTC or Etc/GMT+5",
        ),
        (
            "time.parse_ns(\"UnixDate\", input.text)",
            "time.parse_ns: what a zone's abbreviation means depends on the place: give an offset, UTC or GMT",
        ),
        ("time.add_date(0, 0, input.far, 0)", "time.add_date: a change of more than 100000000000"),
    ] {
        let policy = policy(&format!("decision if not {expression}"));
        let expected = Err(EvaluationError::Failed { at: None, message: reason.to_owned() });
        assert_eq!(decide(&policy, &input), expected, "{expression}");
        assert_eq!(decide(&interpreted(policy), &input), expected, "interpreted: {expression}");
    }
}

#[test]
fn a_text_that_there_is_no_room_for_is_not_written() {
    let policy = policy("decision := count(time.format([0, \"UTC\", input.layout]))");
    let input = Document::from_json(&json!({"layout": "_".repeat(10_000)}));
    let evaluate = |bytes| {
        let budget = EvaluationBudget { bytes, ..EvaluationBudget::default() };
        policy.evaluate(input.clone(), &budget).map(|evaluated| evaluated.value.to_json())
    };
    assert_eq!(evaluate(20_000), Err(EvaluationError::MemoryExhausted { bytes: 20_000 }));
    assert_eq!(evaluate(100_000), Ok(Some(json!(10_000))));
}
