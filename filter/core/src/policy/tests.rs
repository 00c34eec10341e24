//! Policies as tables: what loads, what is refused, what is decided.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::*;
use crate::bundle::BundleLimits;
use crate::bundle::RegoVersion;

pub(super) fn bundle(files: &[(&str, &str)]) -> Bundle {
    let files = files.iter().map(|(path, text)| (*path, text.as_bytes().to_vec()));
    Bundle::from_files(files, &BundleLimits::default()).unwrap()
}

fn load(files: &[(&str, &str)]) -> Result<Policy, PolicyError> {
    Policy::compile(&bundle(files), "p/decision", &PolicyLimits::default())
}

pub(super) fn try_policy(rego: &str) -> Result<Policy, PolicyError> {
    load(&[("p.rego", &format!("package p\n{rego}\n"))])
}

/// Rego beside a decision, each with how the message of its refusal begins, or `None` where it is taken.
pub(super) fn refusals(cases: &[(&str, Option<&str>)]) {
    for (rego, expected) in cases {
        let outcome = try_policy(&format!("decision := 1\n{rego}")).err().map(|error| error.to_string());
        let begins = expected.is_none_or(|expected| outcome.as_deref().unwrap_or("").starts_with(expected));
        assert!(begins && outcome.is_some() == expected.is_some(), "{rego}: {outcome:?}");
    }
}

pub(super) fn policy(rego: &str) -> Policy {
    try_policy(rego).unwrap_or_else(|error| panic!("{rego}: {error}"))
}

pub(super) fn decide(policy: &Policy, input: &Json) -> Result<Json, EvaluationError> {
    let evaluated = policy.evaluate(Document::from_json(input), &EvaluationBudget::default())?;
    Ok(evaluated.value.to_json().unwrap())
}

pub(super) fn interpreted(policy: Policy) -> Policy {
    policy.interpreted()
}

pub(super) fn is_bytecode(policy: &Policy) -> bool {
    policy.engine() == EngineKind::Bytecode
}

#[test]
fn both_engines_decide_alike() {
    for (rego, input, expected) in [
        ("decision := \"a string\"", json!({}), json!("a string")),
        ("default decision := {\"allowed\": false}", json!({}), json!({"allowed": false})),
        ("default decision := false\ndecision if input.a", json!({"a": 1}), json!(true)),
        ("default decision := false\ndecision if input.a", json!({}), json!(false)),
        ("decision := 1 if input.a\nelse := 2 if input.b\nelse := 3", json!({"b": true}), json!(2)),
        ("decision contains x if some x in input.xs", json!({"xs": [2, 1, 2]}), json!([1, 2])),
        ("decision := {x | some x in input.xs}", json!({"xs": ["b", "a"]}), json!(["a", "b"])),
        ("decision := data.p.d[input.k]\nd := {\"a\": 1}", json!({"k": "a"}), json!(1)),
        ("default f(_) := 7\nf(x) := 1 if x > 1\ndecision := f(input.x)", json!({"x": 0}), json!(7)),
        ("f(\"a\") := 1\nf(\"b\") := 2\ndecision := f(input.x)", json!({"x": "b"}), json!(2)),
        ("decision if not input.a", json!({}), json!(true)),
        ("decision if not to_number(input.a)", json!({"a": "x"}), json!(true)),
        ("decision if every x in input.xs { x > 1 }", json!({"xs": [2, 3]}), json!(true)),
        ("decision if { some i; input.xs[i] == \"b\" }", json!({"xs": ["a", "b"]}), json!(true)),
        ("decision := e.n if { some e in input.xs; e.id == 2 }", json!({"xs": [{"id":2,"n":5}]}), json!(5)),
        ("d := 1 if input.a\nd := 2 if input.b\ndecision := d", json!({"b": 1}), json!(2)),
        ("default d := 0\nd := 1 if input.a\nd := 2 if input.b\ndecision := d", json!({}), json!(0)),
        (
            "d = x if { x := input.a }\nd = x if { x := input.b }\ndecision := d",
            json!({"a":4,"b":4}),
            json!(4),
        ),
        ("decision if regex.match(\"^a+$\", input.a)", json!({"a": "aaa"}), json!(true)),
        ("decision if glob.match(\"a.*\", [\".\"], input.a)", json!({"a": "a.b"}), json!(true)),
        ("decision := sprintf(\"%s-%05d\", [input.a, 7])", json!({"a": "x"}), json!("x-00007")),
        ("decision if object.subset(input.o, {\"a\": 1})", json!({"o": {"a":1,"b":2}}), json!(true)),
        ("decision := object.union({\"a\": 1}, {\"b\": input.a})", json!({"a": 2}), json!({"a":1,"b":2})),
        ("decision := {k: v | some k, v in input.o}", json!({"o": {"a": 1}}), json!({"a": 1})),
        ("decision := 1 if { print(\"x\"); input.a }", json!({"a": 1}), json!(1)),
        ("decision := input.a == 1", json!({"a": 1.0}), json!(true)),
        ("import input.a as x\ndecision := x.b", json!({"a": {"b": 1}}), json!(1)),
        ("count(_) := 42\ndecision := count(input)", json!({}), json!(42)),
        ("http.send(x) := x\ndecision := http.send(input.a)", json!({"a": 1}), json!(1)),
    ] {
        let policy = policy(rego);
        assert_eq!(decide(&policy, &input), Ok(expected.clone()), "{rego}");
        assert_eq!(decide(&policy.interpreted(), &input), Ok(expected), "interpreted: {rego}");
    }
}

#[test]
fn what_gives_no_value_is_told_apart() {
    for (rego, input, expected) in [
        ("decision if input.a", json!({}), "the decision is undefined"),
        ("decision := {\"a\": input.a}", json!({}), "the decision is undefined"),
        ("decision := 1 if input.a\ndecision := 2 if input.b", json!({"a":1,"b":1}), "p.rego:3:1: a rule"),
        (
            "default decision := false\ndecision := 1 if input.a\ndecision := 2 if input.b",
            json!({"a":1,"b":1}),
            "p.rego:4:1: a rule",
        ),
        ("decision := x if some x in input.xs", json!({"xs": [1, 2]}), "p.rego:2:1: a rule"),
        ("d := 1 if input.a\nd := 2 if input.b\ndecision := d", json!({"a":1,"b":1}), "p.rego:3:1: a rule"),
        (
            "d := 1 if input.a\nd := 2 if input.b\ndecision if not d",
            json!({"a":1,"b":1}),
            "p.rego:3:1: a rule conf",
        ),
        ("d := x if some x in input.xs\ndecision if not d", json!({"xs": [1, 2]}), "p.rego:2:1: a rule"),
        ("f(x) := 1 if x > 1\nf(x) := 2 if x > 2\ndecision if not f(input.x)", json!({"x": 3}), "p.rego:4:"),
        (
            "decision := {k: v | some [k, v] in input.xs}",
            json!({"xs": [["a",1],["a",2]]}),
            "p.rego:2:14: a key of an object has several values",
        ),
        (
            "d[k] := v if some [k, v] in input.xs\ndecision := d",
            json!({"xs":[["a",1],["a",2]]}),
            "p.rego:2:1: a rule",
        ),
        ("decision := input.x * 1e308", json!({"x": 1e308}), "a number overflows"),
    ] {
        let error = decide(&policy(rego), &input).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{rego}: {error}");
    }
}

#[test]
fn a_conflict_that_the_bytecode_would_not_see_is_seen_by_the_bytecode() {
    for rego in [
        "d := 1 if input.a\nd := 2 if input.b\ndecision if not d",
        "default d := 7\nd := 1 if input.a\nd := 2 if input.b\ndecision if not d",
        "d := x if some x in [input.a, input.b]\ndecision if not d",
        "decision := x if some x in [input.a, input.b]",
        "decision := x if x = [input.a, input.b][_]",
        "d := {\"k\": x} if { xs := [input.a, input.b]; x := xs[_] }\ndecision if not d.k",
    ] {
        let policy = policy(rego);
        assert!(is_bytecode(&policy), "{rego}: {:?}", policy.engine());
        let error = decide(&policy, &json!({"a": 1, "b": 2})).expect_err(rego);
        assert!(matches!(error, EvaluationError::Conflict { .. }), "{rego}: {error}");
    }
}

#[test]
fn arithmetic_on_what_is_no_number_ends_the_body_as_in_opa() {
    let rego = "default decision := \"passes\"\ndecision := \"denied\" if deny\ndeny if not input.x + 1 < 5";
    let policy = policy(rego);
    assert!(is_bytecode(&policy));
    for (x, expected) in [(json!(9), "denied"), (json!(1), "passes"), (json!("a"), "passes")] {
        assert_eq!(decide(&policy, &json!({"x": x})), Ok(json!(expected)), "{x}");
    }
}

#[test]
fn the_interpreter_serves_what_the_bytecode_cannot_and_says_why() {
    for (rego, why) in [
        (
            "decision if { input.x with input as {\"x\": true} }",
            "p.rego:2:15: the `with` keyword is not supported",
        ),
        ("f(x) := 1 if x\nf(x) := 2 if x > 1\ndecision := f(1)", "p.rego:3:1: could have two values"),
        ("decision := {x: y | some x, z in input.a; y := z[_]}", "p.rego:2:13: could have one key twice"),
        ("d[x] := y if some x, y in input.a\ndecision := d", "p.rego:2:1: could have two values"),
        (
            "default f(_) := 7\nf(x) := 1 if x > 1\ndecision := f(1)",
            "p.rego:2:1: is the default of a function",
        ),
        ("d := 1 if input.a\nd := 2 if input.b\nremit_one := 1\ndecision := d", "a rule is named remit_one"),
        (
            "decision := 1 if { some x in input.a; x > 1 } else := 2",
            "p.rego:2:15: runs over something before",
        ),
    ] {
        match policy(rego).engine() {
            EngineKind::Interpreter { why: told } => {
                assert!(told.to_string().starts_with(why), "{rego}: {told}");
            }
            EngineKind::Bytecode => panic!("{rego}: served by the bytecode"),
        }
    }
    let with = policy("decision := x if { x := data.p.inner with input.x as 3 }\ninner := input.x");
    assert_eq!(decide(&with, &json!({"x": 1})), Ok(json!(3)));
}

#[test]
fn every_refusal_names_file_line_and_column() {
    for (rego, expected) in [
        ("decision := ", "p.rego:3:1: expecting expression"),
        ("decision := x", "p.rego:2:13: "),
        ("decision if http.send({})", "p.rego:2:22: http.send: is not configured"),
        ("decision if not http.send({}).body", "p.rego:2:26: http.send: is not configured"),
        ("decision := net.lookup_ip_addr(\"x\")", "p.rego:2:31: net.lookup_ip_addr is not served"),
        ("decision := io.jwt.verify_es512(input.x, input.x)", "p.rego:2:32: io.jwt.verify_es512 is neither"),
        ("decision := rego.parse_module(\"m\", input.x)", "p.rego:2:30: rego.parse_module is neither"),
        ("decision := __builtin_host_await(1, 2)", "p.rego:2:33: __builtin_host_await is neither"),
        ("decision := bits.lsh(1, input.x)", "p.rego:2:21: bits.lsh is served with small constant"),
        ("decision := bits.lsh(1, 4000000000)", "p.rego:2:21: bits.lsh is served"),
        ("decision := f(1) with f as http.send\nf(x) := x", "p.rego:2:"),
        ("decision if { f(1) with f as http.send }\nf(x) := x", "p.rego:2:"),
        ("decision := x if {input.k: x} = input.y", "p.rego:2:18: an object in this pattern is not served"),
        ("decision := f(input.y)\nf({\"a\": x, \"b\": x}) := 1", "p.rego:3:3: an object in this pattern"),
        ("decision := 1 if some {\"a\": x}, y in input.z", "p.rego:2:23: an object in this pattern"),
        ("decision := c if [true, _, c] := input.x", "p.rego:2:19: only a variable takes a value by `:=`"),
        ("decision := c if [[input.y], c] := input.x", "p.rego:2:25: only a variable takes a value by `:=`"),
        ("decision if { not r\n(input.x) in [1] }\nr := 1", "p.rego:3:1: a line that begins with `(`"),
        ("decision := count(input.x, 1, 2)", "p.rego:2:18: count takes 1 arguments and is given 3"),
        ("decision := f(1, 2, 3)\nf(x) := x", "p.rego:2:14: data.p.f takes 1 arguments and is given 3"),
        ("decision := decision", "p.rego:2:1: rule data.p.decision is recursive"),
        ("decision := data.p[input.x]", "p.rego:2:1: rule data.p.decision is recursive"),
        ("decision := f(1)\nf(x) := f(x)", "p.rego:3:1: rule data.p.f is recursive: data.p.f -> data.p.f"),
        ("other := 1", "the bundle has no rule \"p/decision\""),
        (
            "# METADATA\n# custom:\n#   reason_code: Not-OK\ndecision := 1",
            "p.rego:4: \"Not-OK\" is not a reason",
        ),
    ] {
        let error = try_policy(rego).expect_err(rego).to_string();
        assert!(error.starts_with(expected), "{rego}: {error}");
    }
}

#[test]
fn the_bundle_and_the_path_have_to_fit() {
    let good = ("p.rego", "package p\ndecision := 1\n");
    for (decision, expected) in [
        ("p/nope", "no rule"),
        ("decision", "names no rule: write"),
        ("p//decision", "names no rule: write"),
        ("/p/decision", "names no rule: write"),
        ("p/decision.x", "names no rule: write"),
        ("p/1", "names no rule: write"),
    ] {
        let error = Policy::compile(&bundle(&[good]), decision, &PolicyLimits::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{decision}: {error}");
    }
    let small = PolicyLimits { source_bytes: 10, ..PolicyLimits::default() };
    assert!(matches!(
        Policy::compile(&bundle(&[good]), "p/decision", &small),
        Err(PolicyError::TooLarge { .. })
    ));
    let shallow = PolicyLimits { rule_depth: 2, ..PolicyLimits::default() };
    let chain = ("p.rego", "package p\ndecision := a\na := b\nb := 1\n");
    let error = Policy::compile(&bundle(&[chain]), "p/decision", &shallow).unwrap_err();
    assert!(matches!(error, PolicyError::TooDeep { .. }), "{error}");
    let error = load(&[good, (".manifest", r#"{"roots":["q"]}"#)]).unwrap_err();
    assert_eq!(error.to_string(), "p.rego:1:1: package p is outside the roots of the bundle's manifest");
    let error = load(&[good, ("p/data.json", r#"{"decision": 2}"#)]);
    assert!(error.is_err(), "a rule and data for one path");
    let old = ("p.rego", "package p\ndecision = 1 { input.a }\n");
    let error = load(&[old]).unwrap_err();
    assert!(error.hint(RegoVersion::V1).is_some(), "{error}");
    let policy = load(&[old, (".manifest", r#"{"rego_version":0}"#)]).unwrap();
    assert_eq!(decide(&policy, &json!({"a": true})), Ok(json!(1)));
}

#[test]
fn nothing_is_left_from_one_evaluation_to_the_next() {
    let policy = policy("default decision := \"no\"\ndecision := input.who if seen\nseen if input.ok");
    assert!(is_bytecode(&policy));
    for (input, expected) in [
        (json!({"who": "a", "ok": true}), json!("a")),
        (json!({"who": "b", "ok": true}), json!("b")),
        (json!({"who": "b"}), json!("no")),
        (json!({"who": "c", "ok": true}), json!("c")),
    ] {
        assert_eq!(decide(&policy, &input), Ok(expected));
    }
}

const LOOPS: &str = "default decision := false
decision if count(pairs) > 0
pairs := [1 | some a in input.xs; some b in input.xs; some c in input.xs; some d in input.xs; [a, b] == [c, d] with input.y as 1]
";

/// The same without `with`, for which the interpreter is.
const BYTECODE_LOOPS: &str = "default decision := false
decision if count(pairs) > 0
decision if not slow
slow if { some a in input.xs; some b in input.xs; some c in input.xs; some d in input.xs; [a, b] == [c, d, 1] }
pairs := [1 | some a in input.xs; some b in input.xs; some c in input.xs; some d in input.xs; [a, b] == [c, d, 1]]
";

#[test]
fn loops_end_and_the_next_evaluation_is_right() {
    let many: Vec<u32> = (0..60).collect();
    let heavy = Document::from_json_owned(json!({ "xs": many }));
    let time = Duration::from_millis(20);
    let plenty = usize::MAX;
    for (rego, instructions, time, expected) in [
        (BYTECODE_LOOPS, 10_000, Duration::MAX, "the policy ran for more than 10000 instructions"),
        (BYTECODE_LOOPS, plenty, time, "the policy ran for more than 20 ms"),
        (LOOPS, plenty, time, "the policy ran for more than 20 ms"),
    ] {
        let policy = policy(rego);
        assert_eq!(is_bytecode(&policy), rego == BYTECODE_LOOPS);
        let budget = EvaluationBudget { instructions, time, ..EvaluationBudget::default() };
        for _ in 0..2 {
            let error = policy.evaluate(heavy.clone(), &budget).unwrap_err();
            assert_eq!(error.to_string(), expected);
            let good = decide(&policy, &json!({"xs": []})).unwrap();
            assert_eq!(good, json!(rego == BYTECODE_LOOPS));
        }
    }
}

#[test]
fn data_and_annotations_are_there_at_configure_time() {
    let policy = load(&[
        (
            "p.rego",
            "package p\n# METADATA\n# title: T\n# custom:\n#   reason_code: out_of_remit\ndecision := data.remit.n\n\
             # reason_code: Not In A Block\n# METADATA\n# custom:\n#   reason_code: \"quoted\" # why\nx := 1\n",
        ),
        ("remit/data.json", r#"{"n": 3, "catalog": {"mcp": []}}"#),
    ])
    .unwrap();
    assert_eq!(decide(&policy, &json!({})), Ok(json!(3)));
    assert_eq!(policy.data_at(&["remit", "catalog"]), Some(json!({"mcp": []})));
    assert_eq!(policy.data_at(&["remit", "nope"]), None);
    assert_eq!(policy.data_at(&[]), Some(json!({"remit": {"n": 3, "catalog": {"mcp": []}}})));
    let codes: Vec<_> = policy.reason_codes().iter().map(ReasonCode::as_str).collect();
    assert_eq!(codes, ["out_of_remit", "quoted"]);
}

#[test]
fn rules_of_two_values_stay_on_the_bytecode() {
    for value in [
        r#""text""#,
        "`raw`",
        r#"["a", "b"]"#,
        r#"{"a"} | cautions"#,
        r#"input["x"]"#,
        "{x | some x in cautions}",
        "count(cautions) + 1",
    ] {
        let policy = format!(
            "package a\nd := reasons\ncautions contains \"c\"\nreasons := 1 if input.x == 1\nreasons := {value} if input.x == 2\n"
        );
        let files = [("a.rego", policy.into_bytes())];
        let bundle = Bundle::from_files(files, &BundleLimits::default()).unwrap();
        let policy = Policy::compile(&bundle, "a/d", &PolicyLimits::default()).unwrap();
        assert_eq!(policy.engine(), EngineKind::Bytecode, "{value}");
    }
}
