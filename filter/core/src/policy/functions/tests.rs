//! Functions as policies call them, on both evaluators.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::super::tests::{bundle, decide, interpreted, is_bytecode, policy, try_policy};
use super::*;
use crate::ids::Now;
use crate::policy::{Document, EvaluationBudget, Policy, PolicyLimits};

#[test]
fn the_table_is_sorted() {
    assert!(FUNCTIONS.is_sorted_by_key(|function| function.name));
}

/// What both evaluators give for an expression over the input; `Null` for undefined.
pub(super) fn both(expression: &str, input: &Json) -> Json {
    let policy = policy(&format!("default decision := null\ndecision := v if v := {expression}"));
    assert!(is_bytecode(&policy), "{expression}: {:?}", policy.engine());
    let by_machine = decide(&policy, input).unwrap();
    let by_interpreter = decide(&interpreted(policy), input).unwrap();
    assert_eq!(by_machine, by_interpreter, "{expression}");
    by_machine
}

/// The values are OPA's.
#[test]
fn functions_give_what_opa_gives() {
    for (expression, input, expected) in [
        (
            "crypto.sha256(input.a)",
            json!({"a": "lorem ipsum"}),
            json!("5e2bf57d3f40c4b6df69daf1936cb766f832374b4fc0259a7cbff06e2f70f269"),
        ),
        ("crypto.sha256(input.a)", json!({"a": 1}), json!(null)),
        ("crypto.sha256(input.a)", json!({}), json!(null)),
        ("net.cidr_contains(\"10.0.0.0/8\", input.a)", json!({"a": "10.1.2.3"}), json!(true)),
        ("net.cidr_contains(\"10.0.0.0/8\", input.a)", json!({"a": "11.1.2.3"}), json!(false)),
        ("net.cidr_contains(\"10.0.0.0/8\", input.a)", json!({"a": "10.1.0.0/16"}), json!(true)),
        ("net.cidr_contains(\"10.0.0.0/8\", input.a)", json!({"a": "10.0.0.0/7"}), json!(false)),
        ("net.cidr_contains(\"10.0.0.0/8\", input.a)", json!({"a": "::a00:1"}), json!(false)),
        ("net.cidr_contains(\"0.0.0.0/0\", input.a)", json!({"a": "255.255.255.255"}), json!(true)),
        ("net.cidr_contains(\"2001:db8::/32\", input.a)", json!({"a": "2001:db8::1"}), json!(true)),
        ("net.cidr_contains(\"10.0.0.1/32\", input.a)", json!({"a": "10.0.0.1"}), json!(true)),
        ("net.cidr_contains(\"10.0.0.0/8\", input.a)", json!({"a": "::ffff:10.0.0.1"}), json!(true)),
        ("net.cidr_contains(\"::ffff:10.0.0.0/104\", input.a)", json!({"a": "10.0.0.1"}), json!(true)),
        ("net.cidr_contains(\"10.0.0.0/33\", input.a)", json!({"a": "10.0.0.1"}), json!(null)),
        ("net.cidr_contains(\"10.0.0.0/8\", input.a)", json!({"a": "ten"}), json!(null)),
    ] {
        assert_eq!(both(expression, &input), expected, "{expression} {input}");
    }
}

/// Networks, each with its key, against others; the values are OPA's.
#[test]
fn networks_are_matched_and_expanded() {
    let input = json!({
        "nets": ["10.0.0.0/8", "::/0", "11.0.0.0/8"], "inner": {"a": "10.2.3.4", "b": "2001::1", "c": "11.0.0.0/9"},
        "mixed": [["1.1.0.0/16", "foo"], "1.1.2.0/24"], "hosts": {"x": "1.1.1.128", "y": ["1.1.254.254/32", "bar"]},
        "bad": ["x", 1], "none": [], "text": "1.1.1.1/8", "number": 1, "empty": [[]],
    });
    for (expression, expected) in [
        (
            "net.cidr_contains_matches(\"1.1.1.0/24\", \"1.1.1.128/25\")",
            json!([["1.1.1.0/24", "1.1.1.128/25"]]),
        ),
        ("net.cidr_contains_matches(input.nets, input.inner)", json!([[0, "a"], [1, "b"], [2, "c"]])),
        ("net.cidr_contains_matches(input.mixed, input.hosts)", json!([[0, "x"], [0, "y"]])),
        (
            "net.cidr_contains_matches({x | some x in input.mixed}, [\"1.1.2.3\"])",
            json!([["1.1.2.0/24", 0], [["1.1.0.0/16", "foo"], 0]]),
        ),
        ("net.cidr_contains_matches(input.none, input.bad)", json!([])),
        ("net.cidr_contains_matches(input.bad, input.none)", json!(null)),
        ("net.cidr_contains_matches(input.text, input.bad)", json!(null)),
        ("net.cidr_contains_matches(input.text, input.empty)", json!(null)),
        ("net.cidr_contains_matches(input.number, input.bad)", json!([])),
        (
            "net.cidr_expand(\"192.168.0.2/30\")",
            json!(["192.168.0.0", "192.168.0.1", "192.168.0.2", "192.168.0.3"]),
        ),
        ("net.cidr_expand(\"255.255.255.255/31\")", json!(["255.255.255.254", "255.255.255.255"])),
        ("net.cidr_expand(\"2001:db8::/127\")", json!(["2001:db8::", "2001:db8::1"])),
        ("net.cidr_expand(\"::ffff:10.0.0.0/127\")", json!(["10.0.0.0", "10.0.0.1"])),
        ("net.cidr_expand(\"192.168.0.5/33\")", json!(null)),
    ] {
        assert_eq!(both(expression, &input), expected, "{expression}");
    }
    for vast in ["0.0.0.0/0", "::/0", "10.0.0.0/8"] {
        let policy = policy(&format!("decision := count(net.cidr_expand(\"{vast}\"))"));
        let outcome = decide(&policy, &input);
        assert!(matches!(outcome, Err(EvaluationError::MemoryExhausted { .. })), "{vast}: {outcome:?}");
    }
}

/// What OPA has in Rego v0 alone; the values are OPA's.
#[test]
fn old_builtins_are_served_in_old_modules() {
    let input = json!({"a": [true, true], "s": [3, 1, 3], "t": false});
    for (expression, expected) in [
        ("all(input.a)", json!(true)),
        ("all([])", json!(true)),
        ("all([true, 1])", json!(false)),
        ("all({true})", json!(true)),
        ("all(input.t)", json!(null)),
        ("any(input.a)", json!(true)),
        ("any([])", json!(false)),
        ("any({true, false})", json!(true)),
        ("any(input.t)", json!(null)),
        ("cast_array(input.s)", json!([3, 1, 3])),
        ("cast_array({3, 1, 2})", json!([1, 2, 3])),
        ("cast_set(input.s)", json!([1, 3])),
        ("cast_boolean(input.t)", json!(false)),
        ("cast_boolean(input.s)", json!(null)),
        ("cast_object({\"a\": 1})", json!({"a": 1})),
        ("cast_object(input.s)", json!(null)),
        ("cast_string(\"a\")", json!("a")),
        ("is_null(cast_null(null))", json!(true)),
        ("net.cidr_overlap(\"10.0.0.0/8\", \"10.1.1.1\")", json!(true)),
        ("re_match(\"^a+$\", \"aaa\")", json!(true)),
        ("re_match(\"^a+$\", \"aab\")", json!(false)),
        ("set_diff({1, 2, 3}, {2})", json!([1, 3])),
    ] {
        let text = format!("package p\ndefault decision = null\ndecision = v {{ v := {expression} }}\n");
        let files = bundle(&[(".manifest", "{\"rego_version\": 0}"), ("p.rego", &text)]);
        let policy = Policy::compile(&files, "p/decision", &PolicyLimits::default()).unwrap();
        assert!(is_bytecode(&policy), "{expression}: {:?}", policy.engine());
        let by_machine = decide(&policy, &input).unwrap();
        assert_eq!(by_machine, expected, "{expression}");
        assert_eq!(decide(&interpreted(policy), &input).unwrap(), expected, "{expression}");
        let refusal = try_policy(&format!("decision := {expression}")).unwrap_err().to_string();
        assert!(refusal.contains(" is of Rego v0: write "), "{expression}: {refusal}");
    }
}

#[test]
fn calls_stand_wherever_a_call_can() {
    let input = json!({"xs": ["10.0.0.1", "11.0.0.1"], "bad": ["ten"]});
    for (rego, expected) in [
        ("decision := [x | some x in input.xs; net.cidr_contains(\"10.0.0.0/8\", x)]", json!(["10.0.0.1"])),
        (
            "decision := {crypto.sha256(x) | some x in input.bad}",
            json!(["e4432baa90819aaef51d2a7f8e148bf7e679610f3173752fabb4dcb2d0f418d3"]),
        ),
        (
            "f(x) if net.cidr_contains(\"10.0.0.0/8\", x)\ndecision if { some x in input.xs; f(x) }",
            json!(true),
        ),
        ("decision if not net.cidr_contains(\"12.0.0.0/8\", input.xs[0])", json!(true)),
        ("decision if { some x in input.bad; not net.cidr_contains(\"10.0.0.0/8\", x) }", json!(true)),
        ("decision if every x in input.xs { net.cidr_contains(\"8.0.0.0/6\", x) }", json!(true)),
        ("decision := count([1 | net.cidr_contains(\"10.0.0.0/8\", input.xs[_])])", json!(1)),
        ("decision := x if { x := net.cidr_contains(\"10.0.0.0/8\", input.xs[1]) }", json!(false)),
        (
            "decision if { true == net.cidr_contains(\"10.0.0.0/8\", concat(\".\", [\"10\", \"0.0.1\"])) }",
            json!(true),
        ),
    ] {
        let policy = policy(rego);
        assert!(is_bytecode(&policy), "{rego}: {:?}", policy.engine());
        assert_eq!(decide(&policy, &input), Ok(expected.clone()), "{rego}");
        assert_eq!(decide(&interpreted(policy), &input), Ok(expected), "interpreted: {rego}");
    }
}

#[test]
fn what_cannot_be_told_apart_is_refused_or_interpreted() {
    let refused = |rego: &str| try_policy(rego).unwrap_err().to_string();
    assert_eq!(
        refused("decision := crypto.sha256()"),
        "p.rego:2:26: crypto.sha256 takes 1 arguments and is given 0"
    );
    assert_eq!(
        refused("decision if crypto.sha256(\"a\", \"b\", \"c\")"),
        "p.rego:2:26: crypto.sha256 takes 1 arguments and is given 3"
    );
    assert!(
        refused("f(_) := 1\ndecision if { crypto.sha256(\"a\") == 1 with crypto.sha256 as f }")
            .ends_with("crypto.sha256 cannot be replaced by `with` in a bundle that decides")
    );
    // The package's own function wins, as in OPA.
    let own = policy("crypto.sha256(x) := x\ndecision := crypto.sha256(input.a)");
    assert_eq!(decide(&own, &json!({"a": 1})), Ok(json!(1)));
}

#[test]
fn the_clock_stands_still_during_an_evaluation() {
    let policy = policy("decision := [time.now_ns(), f(1), input.t == time.now_ns()]\nf(_) := time.now_ns()");
    assert!(is_bytecode(&policy) && !policy.reads().repeats());
    let evaluate = |policy: &Policy, at| {
        let input = Document::from_json(&json!({"t": 7}));
        policy.evaluate_in(&mut Surroundings::at(Now(at)), input, &EvaluationBudget::default())
    };
    for policy in [
        policy,
        interpreted(self::policy("decision := [time.now_ns(), time.now_ns(), input.t == time.now_ns()]")),
    ] {
        for (at, expected) in [(7, json!([7, 7, true])), (8, json!([8, 8, false]))] {
            assert_eq!(evaluate(&policy, at).unwrap().value.to_json(), Some(expected));
        }
    }
}

#[test]
fn what_builtins_make_is_bounded() {
    let double = |one: &str, call: &str| {
        let rules: String =
            (0..40).map(|n| format!("a{} := {}\n", n + 1, call.replace('X', &format!("a{n}")))).collect();
        format!("a0 := {one}\n{rules}decision if count(a40) > 0")
    };
    let shared = |call: &str| {
        let rules: String = (0..40).map(|n| format!("a{} := [a{n}, a{n}]\n", n + 1)).collect();
        format!("a0 := input.text\n{rules}decision if {call}")
    };
    for rego in [
        double("input.text", "concat(\",\", [X, X])"),
        double("input.text", "sprintf(\"%s%s\", [X, X])"),
        double("input.text", "sprintf(\"%x\", [X])"),
        double("input.text", "sprintf(\"\", [X, X])"),
        double("input.text", "replace(X, \"t\", \"tt\")"),
        double("input.text", "strings.replace_n({\"t\": \"tt\"}, X)"),
        double("input.text", "regex.replace(X, \"t\", \"tt\")"),
        double("[input.text]", "array.concat(X, X)"),
        shared("json.marshal(a40) != \"\""),
        shared("sprintf(\"%v\", [a40]) != \"\""),
        "decision := count([upper(x) | some _ in numbers.range(1, 1000); x := input.long])".to_owned(),
        "decision := [1 | not concat(\"\", [x | some _ in numbers.range(1, 1000); x := input.long])]"
            .to_owned(),
        "decision := json.unmarshal(input.list)".to_owned(),
        "decision := value if json.unmarshal(input.list, value)".to_owned(),
        "decision := json.unmarshal(input.maps)".to_owned(),
        "decision := strings.replace_n({\"\": input.long}, input.long)".to_owned(),
        format!("{}decision := object.union(a40, a40)", shared_objects(40)),
        format!("{}decision := object.union_n([a40, a40])", shared_objects(40)),
        "decision := object.union_n([{n: n} | some n in numbers.range(1, 1000)])".to_owned(),
        "decision := split(concat(\"\", [input.long | some _ in numbers.range(1, 50)]), \"\")".to_owned(),
        "decision := indexof_n(concat(\"\", [input.long | some _ in numbers.range(1, 90)]), \"xx\")"
            .to_owned(),
        "decision := sprintf(\"%v\", [[[input.long | some _ in numbers.range(1, 1000)], set()]])".to_owned(),
    ] {
        let policy = policy(&rego);
        assert!(is_bytecode(&policy), "{rego}: {:?}", policy.engine());
        let input = json!({"text": "text", "long": "x".repeat(10_000), "list": format!("[{}1]", "1,".repeat(100_000)),
            "maps": format!("[{}1]", r#"{"":1},"#.repeat(10_000))});
        let budget =
            EvaluationBudget { bytes: 1 << 20, time: Duration::from_secs(60), ..EvaluationBudget::default() };
        let evaluate = |policy: &Policy| {
            policy.evaluate(Document::from_json(&input), &budget).map(|evaluated| evaluated.value.to_json())
        };
        assert_eq!(evaluate(&policy), Err(EvaluationError::MemoryExhausted { bytes: 1 << 20 }), "{rego}");
        assert_eq!(
            evaluate(&interpreted(policy)),
            Err(EvaluationError::MemoryExhausted { bytes: 1 << 20 }),
            "{rego}"
        );
    }
}

/// `a0` to the one of this number, each with the one before it in two fields: small, and endless to walk.
fn shared_objects(last: usize) -> String {
    let next = |(before, n)| format!("a{n} := {{\"l\": a{before}, \"r\": a{before}}}\n");
    (0..last).zip(1..).fold("a0 := {\"l\": 1}\n".to_owned(), |text, pair: (usize, usize)| text + &next(pair))
}

/// Before anything is made of it: what is left of the room says so.
#[test]
fn what_there_is_no_room_for_is_not_made() {
    let text = Value::from("x".repeat(1_000));
    let texts = Value::from(vec![text.clone(); 1_000]);
    let patterns = Value::from_json_str(&format!(r#"{{"": {text}}}"#)).unwrap();
    let list = |item: &str| Value::from(format!("[{}1]", item.repeat(10_000)));
    let empty = Value::from(std::collections::BTreeSet::<Value>::new());
    for (name, arguments) in [
        ("json.unmarshal", vec![list("1,")]),
        ("json.unmarshal", vec![list("[],")]),
        ("json.unmarshal", vec![list(r#"{"":1},"#)]),
        ("json.unmarshal", vec![list(r#""\"[",[],"#)]),
        ("numbers.range", vec![Value::from(1), Value::from(10_000)]),
        ("numbers.range_step", vec![Value::from(20_000), Value::from(1), Value::from(2)]),
        (PRINTABLE, vec![Value::from(vec![Value::from(vec![texts, empty])])]),
        ("strings.replace_n", vec![patterns, text]),
    ] {
        let Body::Growing(call) = find(name).unwrap().body else { panic!("{name}") };
        let mut around = Surroundings::default().with_room(100_000);
        let stop = call(&arguments, &mut around).err().map(|Stop(error)| error);
        assert_eq!(stop, Some(EvaluationError::MemoryExhausted { bytes: 100_000 }), "{name}");
        assert_eq!(around.bytes_left(), 100_000, "{name}");
        let mut around = Surroundings::default().with_room(100 << 20);
        assert!(call(&arguments, &mut around).is_ok_and(|value| value.is_some()), "{name}");
    }
}

/// What looks for something long at each place of something long looks at the clock on its way, not only at its end.
#[test]
fn long_searches_end_with_their_time() {
    let ones = Value::from(vec![Value::from(1); 2_000]);
    let part = Value::from([vec![Value::from(1); 500], vec![Value::from(2)]].concat());
    let patterns = Value::from_json_str(r#"{"b": "x"}"#).unwrap();
    for (name, arguments) in [
        ("object.subset", vec![ones, part]),
        ("strings.replace_n", vec![patterns, Value::from("a".repeat(10_000))]),
    ] {
        let Body::Growing(call) = find(name).unwrap().body else { panic!("{name}") };
        let mut around = Surroundings::default();
        around.begin(&EvaluationBudget { time: Duration::ZERO, ..EvaluationBudget::default() });
        let stop = call(&arguments, &mut around).err().map(|Stop(error)| error);
        assert_eq!(stop, Some(EvaluationError::TimeExhausted { milliseconds: 0 }), "{name}");
    }
}

#[test]
fn a_call_that_names_its_result_is_metered_as_any_other() {
    let budget = EvaluationBudget { bytes: 1 << 20, ..EvaluationBudget::default() };
    let doubled = |rule: &str| -> String {
        let rule = |n: usize| {
            let (before, after) = (format!("a{n}"), format!("a{}", n + 1));
            format!("{}\n", rule.replace("BEFORE", &before).replace("AFTER", &after))
        };
        (0..20).map(rule).collect()
    };
    for rego in [
        doubled("AFTER := out if sprintf(\"%s%s\", [BEFORE, BEFORE], out)"),
        doubled("AFTER := out if { concat(\"\", [BEFORE, BEFORE], out) }"),
        doubled("AFTER := sprintf(\"%s%s\", [BEFORE, BEFORE])") + "b if sprintf(\"%s\", [\"x\"], \"x\")\n",
    ] {
        let rego = format!("a0 := input.text\n{rego}decision if count(a20) > 0\n");
        for policy in [policy(&rego), interpreted(policy(&rego))] {
            let outcome = policy.evaluate(Document::from_json(&json!({"text": "text"})), &budget);
            let outcome = outcome.map(|evaluated| evaluated.value.to_json());
            assert_eq!(outcome, Err(EvaluationError::MemoryExhausted { bytes: 1 << 20 }), "{rego}");
        }
    }
    for (rego, small) in [
        ("decision := out if sprintf(\"%s\", [input.text], out)", json!("text")),
        ("decision := out if { upper(input.text, out) }", json!("TEXT")),
        ("decision if not upper(input.text, \"text\")", json!(true)),
    ] {
        let policy = policy(rego);
        assert_eq!(decide(&policy, &json!({"text": "text"})), Ok(small.clone()), "{rego}");
        assert_eq!(decide(&interpreted(policy), &json!({"text": "text"})), Ok(small), "{rego}");
    }
    assert_eq!(
        try_policy("decision := [sprintf(\"%s\", [\"x\"], y) | some y in [\"x\"]]").unwrap_err().to_string(),
        "p.rego:2:21: sprintf takes 2 arguments and is given 3"
    );
}

#[test]
fn without_a_clock_nothing_is_decided() {
    for rego in [
        "decision if not time.now_ns() < 0",
        "decision := [1 | time.now_ns() > 0]",
        "decision := {} if every x in input.xs { x < time.now_ns() }",
    ] {
        let policy = policy(rego);
        let expected =
            Err(EvaluationError::Failed { at: None, message: "time.now_ns: there is no clock".to_owned() });
        let input = json!({"xs": [1]});
        assert_eq!(decide(&policy, &input), expected, "{rego}");
        assert_eq!(decide(&interpreted(policy), &input), expected, "interpreted: {rego}");
    }
}

/// The values are OPA's.
#[test]
fn networks_graphs_and_queries() {
    for (expression, expected) in [
        (r#"net.cidr_intersects("10.0.0.0/8", "10.1.0.0/16")"#, json!(true)),
        (r#"net.cidr_intersects("10.1.0.0/16", "10.0.0.0/8")"#, json!(true)),
        (r#"net.cidr_intersects("10.0.0.0/8", "11.0.0.0/8")"#, json!(false)),
        (r#"net.cidr_intersects("10.0.0.0/8", "::/0")"#, json!(false)),
        (r#"net.cidr_intersects("10.0.0.0/8", "10.0.0.1")"#, json!(null)),
        (r#"net.cidr_is_valid("10.0.0.0/8")"#, json!(true)),
        (r#"net.cidr_is_valid("10.0.0.0/33")"#, json!(false)),
        (r#"net.cidr_is_valid("10.0.0.1")"#, json!(false)),
        (r#"net.cidr_is_valid("::/128")"#, json!(true)),
        (
            r#"graph.reachable({"a": ["b"], "b": {"c"}, "c": ["a", "d"], "e": []}, ["a"])"#,
            json!(["a", "b", "c"]),
        ),
        (r#"graph.reachable({"a": ["b"], "b": []}, {"b", "x"})"#, json!(["b"])),
        (r#"graph.reachable({"a": ["b"]}, [])"#, json!([])),
        (r#"urlquery.encode("a b&c=d/é~-_.*")"#, json!("a+b%26c%3Dd%2F%C3%A9~-_.%2A")),
        (r#"urlquery.decode("a+b%26c%3Dd%2F%C3%A9")"#, json!("a b&c=d/é")),
        (r#"urlquery.decode("%4")"#, json!(null)),
        (r#"urlquery.decode("%zz")"#, json!(null)),
        (
            r#"urlquery.encode_object({"b": "x y", "a": ["1", "2"], "c": {"z", "y"}, "d": []})"#,
            json!("a=1&a=2&b=x+y&c=y&c=z"),
        ),
        (r#"urlquery.encode_object({"a": 1})"#, json!(null)),
        (r#"urlquery.encode_object({})"#, json!("")),
        (
            r#"urlquery.decode_object("a=1&b=x+y&a=2&c&=e&&d=%26")"#,
            json!({"": ["e"], "a": ["1", "2"], "b": ["x y"], "c": [""], "d": ["&"]}),
        ),
        (r#"urlquery.decode_object("a;b=1")"#, json!(null)),
        (r#"urlquery.decode_object("a=%")"#, json!(null)),
        (r#"urlquery.decode_object("")"#, json!({})),
    ] {
        assert_eq!(both(expression, &json!({})), expected, "{expression}");
    }
}

/// Each path may copy what is on its way; a path takes no room that leads nowhere, however long it is.
#[test]
fn paths_are_counted_before_anything_is_taken_along_them() {
    let budget = EvaluationBudget { bytes: 1 << 20, ..EvaluationBudget::default() };
    let input = json!({"wide": (0..1_000).map(|n| (n.to_string(), json!(n))).collect::<serde_json::Map<_, _>>(),
        "deep": "/".repeat(100_000), "o": {"a": {"b": 1, "c": 2}, "l": [{"x": 1}, {"y": 2}]}});
    let many = "many := {sprintf(\"%d\", [n]): input.wide | some n in numbers.range(1, 100)}\n\
                paths := [sprintf(\"%d/7\", [n]) | some n in numbers.range(1, 100)]\n";
    let policy = policy(&format!("{many}decision := json.remove(many, paths)"));
    let evaluate = |policy: &Policy| {
        policy.evaluate(Document::from_json(&input), &budget).map(|evaluated| evaluated.value.to_json())
    };
    let expected = Err(EvaluationError::MemoryExhausted { bytes: 1 << 20 });
    assert_eq!(evaluate(&policy), expected);
    assert_eq!(evaluate(&interpreted(policy)), expected);
    for (expression, expected) in [
        (r#"json.remove({"x": 1}, [input.deep])"#, json!({"x": 1})),
        (r#"json.filter({"x": 1}, [input.deep])"#, json!({})),
        (r#"json.filter({"x": 1}, [[x | some x in numbers.range(1, 5000)]])"#, json!({})),
        (r#"json.remove(input.o, ["a/b", "l/0", ["a", "none"]])"#, json!({"a": {"c": 2}, "l": [{"y": 2}]})),
        (r#"json.filter(input.o, {"a/b", "l/1/y"})"#, json!({"a": {"b": 1}, "l": [{"y": 2}]})),
        (r#"object.filter(input.o, ["a"])"#, json!({"a": {"b": 1, "c": 2}})),
    ] {
        assert_eq!(both(expression, &input), expected, "{expression}");
    }
}

/// OPA reads on: undefined, each of these would take a denial with it.
#[test]
fn json_that_others_read_ends_the_evaluation() {
    let policy = policy("default decision := 1\ndecision := v if v := json.unmarshal(input)");
    let interpreted = interpreted(policy);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for text in [deep.as_str(), r#"["\ud800"]"#, r#"["\udc00"]"#, r#"["\ud800x"]"#, r#"{"\ud800\u0041": 1}"#]
    {
        let evaluated = interpreted.evaluate(Document::from_json(&json!(text)), &EvaluationBudget::default());
        assert!(matches!(evaluated, Err(EvaluationError::Failed { .. })), "{text}: {evaluated:?}");
    }
    for text in ["[1", r#"["\uzzzz"]"#, "nul"] {
        assert_eq!(decide(&interpreted, &json!(text)).unwrap(), json!(1), "{text}");
    }
}
