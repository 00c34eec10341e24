//! Policies whose values take little room and for ever to walk, on both evaluators; and what usual policies pay for them.

use std::time::Duration;

use serde_json::json;

use super::super::survey;
use super::super::tests::{bundle, decide, policy};
use super::*;
use crate::policy::{Document, EvaluationBudget, EvaluationError, Policy, PolicyLimits, Surroundings};

/// `a0` to `a40`, each with the one before it in it twice, as `one` says of `X`.
fn doubled(name: char, one: &str) -> String {
    let rule = |(before, n): (u32, u32)| {
        let before = format!("{name}{before}");
        format!("{name}{n} := {}\n", one.replace('X', &before))
    };
    (0..40).zip(1..).map(rule).fold(format!("{name}0 := input.x\n"), |text, rule| text + &rule)
}

/// Of `a40` and `b40`, arrays, and `o40` and `p40`, objects, those that a text mentions.
fn shared(mentioned: &str) -> String {
    let kinds =
        [('a', "[X, X]"), ('b', "[X, X]"), ('o', "{\"l\": X, \"r\": X}"), ('p', "{\"l\": X, \"r\": X}")];
    let kinds = kinds.into_iter().filter(|(name, _)| mentioned.contains(&format!("{name}40")));
    kinds.map(|(name, one)| doubled(name, one)).collect()
}

fn ends(rego: &str) {
    let budget = EvaluationBudget {
        bytes: 1 << 20,
        time: Duration::from_secs(30),
        instructions: 10_000_000,
        ..EvaluationBudget::default()
    };
    let policy = policy(rego);
    let engine = policy.engine();
    let evaluate = |policy: &Policy| {
        let input = Document::from_json(&json!({"x": {"k": "v"}, "xs": [1, 2, 3]}));
        policy.evaluate(input, &budget).map(|_| "a value")
    };
    let expected = Err(EvaluationError::MemoryExhausted { bytes: 1 << 20 });
    assert_eq!(evaluate(&policy), expected, "{rego} {engine:?}");
    assert_eq!(evaluate(&policy.interpreted()), expected, "interpreted: {rego}");
}

#[test]
fn whatever_walks_a_value_ends() {
    for decision in [
        // Comparisons.
        "decision if a40 == b40",
        "decision if not a40 == b40",
        "decision if a40 != b40",
        "decision if a40 < b40",
        "decision if a40 >= b40",
        "decision if a40 = b40",
        "decision if { x = a40; y = b40; x = y }",
        "decision if { y = [x | x = b40]; y = [x | x = a40] }",
        "decision if { [x, a40] = [b40, y]; x == y }",
        "decision if { y = [1, b40]; y = [x, a40]; x == 1 }",
        "decision if { some [_, y] in [[1, b40]]; y = a40 }",
        "decision if { some x in [a40]; some y in [b40]; x == y }",
        "decision if { every x in [a40] { x == b40 } }",
        "decision if o40.l.l == p40.r.r",
        "decision if o40[k] == p40[k]",
        "f(x, y) if x == y\ndecision if f(a40, b40)",
        "f(x) := x\ng(x) := f(x)\ndecision if g(a40) == f(b40)",
        "f([1, 2]) := 1\nf(x) := 2 if not x\ndecision if f(a40) == 1",
        "decision if [x | x := a40] == [x | x := b40]",
        "decision if count([x | some x in [a40, b40]; x == b40]) == 2",
        // Elements and keys.
        "decision if count({a40, b40}) == 1",
        "decision if count({x | some x in [a40, b40]}) == 1",
        "decision if count({a40: 1, b40: 2}) == 1",
        "decision if count({x: 1 | some x in [a40, b40]}) == 1",
        "decision if count({1: x | some x in [a40, b40]}) == 1",
        "s contains a40\ns contains b40\ndecision if count(s) == 1",
        "s contains x if some x in [a40, b40]\ndecision if count(s) == 1",
        "m[x] := 1 if some x in [a40, b40]\ndecision if count(m) == 1",
        "m[1] := x if some x in [a40, b40]\ndecision if count(m) == 1",
        "m[x].y := 1 if some x in [a40, b40]\ndecision if count(m) == 1",
        "m[x].y contains z if some x in [a40, b40]\nz := 1\ndecision if count(m) == 1",
        "m[x] contains 1 if { some x in [a40, b40]; x != 1 }\ndecision if count(m) == 1",
        "m[x][z].y contains 1 if some [x, z] in [[a40, b40]]\ndecision if count(m) == 1",
        "m[x][z] contains 1 if { some x in [1, 2]; some z in [a40, b40] }\ndecision if count(m) == 2",
        "s := {a40}\ndecision if { some x; s[x]; x == b40 }",
        "decision if { xs := [a40]; some i; b40 == xs[i] }",
        "decision if a40 in [b40]",
        "decision if a40 in {b40}",
        "decision if 0, a40 in [b40]",
        "decision if {x | some x in [1]; y := a40; x == y} == {a40}",
        "m := {[1]: 1}\ndecision if m[a40] == 1",
        // Values that meet.
        "r := a40\nr := b40\ndecision if count(r) == 2",
        "f(1) := a40\nf(_) := b40\ndecision if count(f(1)) == 2",
        "r := x if some x in [a40, b40]\ndecision if count(r) == 2",
        // Operators.
        "decision if count({a40} - {b40}) == 0",
        "decision if count({a40} & {b40}) == 0",
        "decision if count({a40} | {b40}) == 0",
        "decision if a40 - b40",
        // Builtins.
        "decision := sort([a40, b40])",
        "decision := max([a40, b40])",
        "decision := min({1: a40})",
        "decision := union({{a40}, {b40}})",
        "decision := intersection({{a40}, {b40}})",
        "decision if json.marshal(a40)",
        "decision if json.marshal_with_options(a40, {})",
        "decision if sprintf(\"%v\", [a40])",
        "decision if concat(\"\", a40)",
        "decision if concat(a40, [])",
        "decision if upper(a40)",
        "decision if startswith(a40, \"x\")",
        "decision if array.concat(a40, o40)",
        "decision if array.slice(o40, 0, 1)",
        "decision if object.get(o40, a40, 1)",
        "decision if object.get({}, \"x\", a40) == object.get({}, \"x\", b40)",
        "decision := object.union(o40, p40)",
        "decision := object.union_n([o40, p40])",
        "decision := object.remove(o40, a40)",
        "decision := object.filter(o40, a40)",
        "decision := object.subset(o40, p40)",
        "decision := json.remove(o40, [\"x\"])",
        "decision := json.filter(o40, [\"l\"])",
        "decision := object.keys(a40)",
        "decision if graph.reachable({\"x\": [a40]}, {a40, b40})",
        "decision := sum(a40)",
        "decision := abs(a40)",
        "decision if net.cidr_contains(\"10.0.0.0/8\", a40)",
        "decision := urlquery.encode_object(o40)",
        // The decision itself.
        "decision := a40",
        "decision := {\"allowed\": true, \"x\": o40}",
        "decision contains x if some x in [a40]",
        "decision[x] := a40 if some x in [1]",
    ] {
        ends(&format!("{}{decision}", shared(decision)));
    }
}

#[test]
fn however_a_value_is_made() {
    for rego in [
        // By a function.
        format!(
            "f(x) := [x, x]\n{}{}decision if a40 == b40",
            doubled('a', "f(X)"),
            doubled('b', "f(X)")
        ),
        // By one that is given it as a result.
        format!("f(x) := [x, x]\n{}", (0..40).zip(1..).fold("a0 := 1\nb0 := 1\n".to_owned(), |text, (before, n): (u32, u32)| {
            text + &format!("a{n} := y if f(a{before}, y)\nb{n} := y if f(b{before}, y)\n")
        })) + "decision if a40 == b40",
        // In one body.
        {
            let chain = |name: char| {
                (0..40).zip(1..).fold(format!("{name}0 := input.x\n"), |text, (before, n): (u32, u32)| text + &format!("{name}{n} := [{name}{before}, {name}{before}]\n"))
            };
            format!("decision if {{\n{}{}a40 == b40\n}}", chain('a'), chain('b'))
        },
        // By comprehensions.
        {
            let chain = |name: char| {
                (0..8).zip(1..).fold(format!("{name}0 := input.x\n"), |text, (before, n): (u32, u32)| text + &format!("{name}{n} := [{name}{before} | some _ in numbers.range(1, 100)]\n"))
            };
            format!("{}{}decision if a8 == b8", chain('a'), chain('b'))
        },
        // By builtins, and by objects of them.
        format!(
            "{}{}decision if a40 == b40",
            doubled('a', "[array.concat([X], [X])]"),
            doubled('b', "[array.concat([X], [X])]")
        ),
        format!(
            "{}{}decision if a40 == b40",
            doubled('a', "object.union({\"l\": X}, {\"r\": X})"),
            doubled('b', "object.union({\"l\": X}, {\"r\": X})")
        ),
        format!(
            "{}{}decision if a40 == b40",
            doubled('a', "object.get({\"l\": [X, X]}, \"l\", 1)"),
            doubled('b', "object.get({\"l\": [X, X]}, \"l\", 1)")
        ),
        // By partial rules.
        (0..40).zip(1..).fold("a[0] := 1\nb[0] := 1\n".to_owned(), |text, (before, n): (u32, u32)| {
            let last = |name: char| if before == 0 { format!("{name}[0]") } else { format!("{name}{before}") };
            text + &format!(
                "a{n}[x] := {0} if some x in [1, 2]\nb{n}[x] := {1} if some x in [1, 2]\n",
                last('a'), last('b')
            )
        }) + "decision if a40 == b40",
        // By `with`.
        (0..40).zip(1..).fold("a0 := input.x\nb0 := input.x\n".to_owned(), |text, (before, n): (u32, u32)| {
            text + &format!("a{n} := y if y := a{before} with input.x as [input.x, input.x]\nb{n} := y if y := b{before} with input.x as [input.x, input.x]\n")
        }) + "decision if a40 == b40",
        // By what is written out, many times.
        {
            let long = (0..200).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
            format!("a := [[{long}] | some _ in numbers.range(1, 3000)]\nb := [[{long}] | some _ in numbers.range(1, 3000)]\ndecision if a == b")
        },
    ] {
        ends(&rego);
    }
}

#[test]
fn the_clock_is_looked_at_on_the_way_through() {
    let budget = EvaluationBudget { bytes: usize::MAX, ..EvaluationBudget::default() };
    for decision in ["decision if a40 == b40", "decision := sort([a40, b40])", "decision := a40"] {
        let policy = policy(&format!("{}{decision}", shared(decision)));
        let evaluate = |policy: &Policy| {
            policy.evaluate(Document::from_json(&json!({"x": 1})), &budget).map(|_| "a value")
        };
        let expected = Err(EvaluationError::TimeExhausted { milliseconds: budget.time.as_millis() });
        assert_eq!(evaluate(&policy), expected, "{decision}");
        assert_eq!(evaluate(&policy.interpreted()), expected, "{decision}");
    }
}

#[test]
fn an_explanation_shows_no_value_that_is_endless() {
    let policy = policy(&format!(
        "{}default decision := false\nseen := a40\ndecision if count(seen) == 1",
        shared("a40")
    ));
    let budget =
        EvaluationBudget { bytes: 1 << 20, time: Duration::from_secs(30), ..EvaluationBudget::default() };
    let input = Document::from_json(&json!({"x": 1}));
    assert_eq!(decide(&policy, &json!({"x": 1})), Ok(json!(false)));
    let mut around = Surroundings::default().with_values();
    let explanation = policy.explain(&mut around, input, &budget);
    assert_eq!(explanation.cut, Some(EvaluationError::MemoryExhausted { bytes: 1 << 20 }));
    let seen = explanation.held.iter().find(|held| held.rule == "data.p.seen").unwrap();
    assert_eq!(seen.given, vec![]);
}

/// What is made of values that contain each other a few times only has its answer.
#[test]
fn small_values_are_compared_as_ever() {
    let chain = |name: &str| {
        format!(
            "{name}1 := [{name}0, {name}0]\n{name}2 := [{name}1, {name}1]\n{name}3 := [{name}2, {name}2]\n{name}0 := input.{name}\n"
        )
    };
    let both = format!("{}{}", chain("a"), chain("b"));
    for (decision, expected) in [
        ("decision := a3 == b3", [true, false]),
        ("decision if not a3 == b3\nelse := false", [false, true]),
        ("decision := count({a3, b3}) == 1", [true, false]),
        ("default decision := false\ndecision if a3 in [b3]", [true, false]),
        ("default decision := false\ndecision if { [x, b3] = [a3, x] }", [true, false]),
        ("decision := a3 < b3", [false, true]),
        ("decision := json.marshal(a3) == json.marshal(b3)", [true, false]),
        ("default decision := false\ndecision if a3 == b3 with input.c as 1", [true, false]),
        (
            "default decision := false\ndecision if { some x in [a3]; every y in [b3] { x == y } }",
            [true, false],
        ),
        ("decision := count({a3: 1, b3: 1}) == 1", [true, false]),
        ("default decision := false\ndecision if {a3: 1}[b3] == 1", [true, false]),
    ] {
        let rego = format!("{both}{decision}");
        for policy in [policy(&rego), policy(&rego).interpreted()] {
            for (b, expected) in [1, 2].into_iter().zip(expected) {
                assert_eq!(decide(&policy, &json!({"a": 1, "b": b})), Ok(json!(expected)), "{decision} {b}");
            }
        }
    }
}

/// How many places of a policy are walked first.
fn places(rego: &str) -> usize {
    let bundle = bundle(&[("p.rego", &format!("package p\n{rego}\n"))]);
    let mut engine = super::super::parse(&bundle, &PolicyLimits::default(), &BTreeMap::new()).unwrap();
    let modules = engine.get_modules().clone();
    let path: Path = ["p", "decision"].map(str::to_owned).to_vec();
    let walked = rewrite(&survey::survey(&modules), &modules, &path);
    walked.texts.iter().flat_map(BTreeMap::values).map(|text| text.matches(functions::WALKED).count()).sum()
}

#[test]
fn usual_policies_pay_nothing() {
    for rego in [
        "decision := {\"allowed\": count(deny) == 0, \"reasons\": sort(deny)}\ndeny contains \"a\" if input.a\ndeny contains sprintf(\"%v\", [input.b]) if input.b",
        "deny contains {\"code\": \"c\", \"message\": m} if { m := sprintf(\"%s\", [input.x]) }\ndecision := {\"deny\": deny, \"allow\": deny == set()}",
        "decision if { some role in input.roles; some g in data.grants[role]; g.verb == input.verb; g.type in input.types }",
        "decision if count({x | some x in input.xs} & {y | some y in input.ys}) > 0",
        "decision if {x | some x in input.xs} == {y | some y in input.ys}",
        "decision := {\"allowed\": true, \"headers\": {\"x\": input.x, \"y\": concat(\",\", input.z)}}",
        "allowed(u, v) if { u.name == v.name; u == input.u }\ndecision if allowed(input.u, input.v)",
        "decision := {k: true | some k, _ in input.o} == {k: true | some k, _ in input.p}",
        "decision := object.union(input.a, {\"b\": input.b}) == input.c",
        "decision if input.a == {\"b\": [input.c, input.d]}",
    ] {
        assert_eq!(places(rego), 0, "{rego}");
    }
    assert_eq!(places("decision if [x.a | some x in input.xs] == [y.a | some y in input.ys]"), 1);
}
