//! Policies that loop or grow in real Envoy: each evaluation ends by its own reason, and the one worker goes on answering.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says where")]

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_tests::http::send;
use remit_tests::proxy::{Options, Proxy};
use remit_tests::world::{World, bundle, get};
use serde_json::{Value, json};

/// Does what `x-do` says, and allows all others. `with` is for the interpreter.
fn policy(interpreted: bool) -> String {
    let many = (0..200).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let grows: String =
        (0..40).zip(1..).map(|(n, next)| format!("a{next} := concat(\"\", [a{n}, a{n}])\n")).collect();
    let shares: String =
        (0..40).zip(1..).map(|(n, next)| format!("b{next} := {{\"l\": b{n}, \"r\": b{n}}}\n")).collect();
    let with =
        if interpreted { "decision if { does == \"with\"; many[0] == 7 with input as {} }\n" } else { "" };
    format!(
        "package remit.authz\n\ndefault decision := false\n\n\
         does := input.attributes.request.http.headers[\"x-do\"]\n\n\
         decision if not does\n\n\
         decision if {{ does == \"loop\"; every a in many {{ every b in many {{ every c in many {{ [a, b, c] != [] }} }} }} }}\n\n\
         decision if {{ does == \"grow\"; count(a40) > 0 }}\n\n\
         decision if {{ does == \"unite\"; object.union(b40, b40) == {{}} }}\n\n{with}{grows}{shares}a0 := \"text\"\nb0 := {{}}\nmany := [{many}]\n"
    )
}

/// Denies, and runs as many turns as `x-do` says before.
fn cut() -> String {
    let many = (0..200).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    format!(
        "package remit.authz\n\ndefault decision := false\n\n\
         does := to_number(input.attributes.request.http.headers[\"x-do\"])\n\n\
         decision if {{ asked; every a in numbers.range(1, does) {{ every b in many {{ [a, b] != [] }} }}; does < 0 }}\n\n\
         asked if does > 0\n\nmany := [{many}]\n"
    )
}

/// Does what `x-do` says with values that take little room and for ever to walk.
fn shares(interpreted: bool) -> String {
    let chain = |name: char, one: &str| -> String {
        let rule = |(before, n): (u32, u32)| {
            let before = format!("{name}{before}");
            format!("{name}{n} := {}\n", one.replace('X', &before))
        };
        (0..40).zip(1..).map(rule).fold(format!("{name}0 := does\n"), |text, rule| text + &rule)
    };
    let with = if interpreted { "decision if { does == \"with\"; a0 == 7 with input as {} }\n" } else { "" };
    [
        "package remit.authz\n\ndefault decision := false\n\n\
         does := input.attributes.request.http.headers[\"x-do\"]\n\n\
         decision if not does\n\n\
         decision if { does == \"compare\"; a40 == b40 }\n\n\
         decision if { does == \"order\"; f(a40) < g(b40) }\n\n\
         decision if { does == \"gather\"; count({x | some x in [a40, b40]}) == 1 }\n\n\
         decision if { does == \"key\"; count({o40: 1, p40: 2}) == 1 }\n\n\
         decision if { does == \"sort\"; count(sort([o40, p40])) == 2 }\n\n\
         decision if { does == \"fill\"; c8 == d8 }\n\n\
         decision := {\"allowed\": false, \"body\": o40} if does == \"show\"\n\n\
         f(x) := [x]\n\ng(x) := f(x)\n",
        with,
        &chain('a', "[X, X]"),
        &chain('b', "array.concat(g(X), g(X))"),
        &chain('o', "{\"l\": X, \"r\": X}"),
        &chain('p', "object.union({\"l\": X}, {\"r\": X})"),
        &chain('c', "[X | some _ in numbers.range(1, 100)]"),
        &chain('d', "[X | some _ in numbers.range(1, 100)]"),
    ]
    .concat()
}

fn start(world: &World, name: &'static str, interpreted: bool, limits: Value) -> Proxy {
    start_with(world, name, &policy(interpreted), limits)
}

fn start_with(world: &World, name: &'static str, rego: &str, limits: Value) -> Proxy {
    let bundle = bundle(name, rego).unwrap();
    let mut document: Value = serde_json::from_str(&world.config_with_bundle(&bundle, json!({}))).unwrap();
    document["limits"] = limits;
    let configuration = document.to_string();
    Proxy::start(&Options { name, configuration, ..Options::default() }).unwrap()
}

#[test]
fn each_budget_ends_the_evaluation_by_its_own_reason() {
    let world = World::new().unwrap();
    let token = world.token().unwrap();
    // So little room that it is filled long before the time is over.
    let time = json!({"evaluation_ms": 10, "instructions": 100_000_000, "evaluation_bytes": 1 << 18});
    for (name, interpreted, limits, expected) in [
        ("limits-instructions", false, json!({"evaluation_ms": 1000}), "instructions_exhausted"),
        ("limits-time", false, time.clone(), "time_exhausted"),
        ("limits-interpreter", true, time, "time_exhausted"),
    ] {
        let proxy = start(&world, name, interpreted, limits);
        for _ in 0..3 {
            let looped = proxy.send(&get(&token).header("x-do", "loop")).unwrap();
            assert_eq!(looped.summary(), format!("500 deny {expected}"), "{name}");
            for grows in ["grow", "unite"] {
                let grown = proxy.send(&get(&token).header("x-do", grows)).unwrap();
                assert_eq!(grown.summary(), "500 deny memory_exhausted", "{name} {grows}");
            }
            assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow ", "{name}");
        }
        proxy.finish().unwrap();
    }
}

#[test]
fn values_that_contain_each_other_do_not_hold_the_worker() {
    let world = World::new().unwrap();
    let token = world.token().unwrap();
    for (name, interpreted) in [("limits-shared", false), ("limits-shared-interpreted", true)] {
        let limits = json!({"evaluation_ms": 10});
        let proxy = start_with(&world, name, &shares(interpreted), limits);
        for does in ["compare", "order", "gather", "key", "sort", "fill", "show"] {
            let seen = proxy.send(&get(&token).header("x-do", does)).unwrap().summary();
            let expected = ["500 deny memory_exhausted", "500 deny time_exhausted"];
            assert!(expected.contains(&seen.as_str()), "{name} {does}: {seen}");
            assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow ", "{name} after {does}");
        }
        proxy.finish().unwrap();
    }
}

#[test]
fn a_request_has_one_time_for_the_decision_its_explanation_and_the_candidate() {
    let world = World::new().unwrap();
    let token = world.token().unwrap();
    let shipped = bundle("one-time", &cut()).unwrap();
    let looping = "package remit.authz\n\ndecision if { every a in numbers.range(1, 1000) { every b in numbers.range(1, 1000) { [a, b] != [] } } }\n";
    let candidate = STANDARD.encode(bundle("endless", looping).unwrap());
    let changes = json!({"candidate": {"bundle": {"inline": candidate}}});
    let mut document: Value = serde_json::from_str(&world.config_with_bundle(&shipped, changes)).unwrap();
    document["limits"] = json!({"evaluation_ms": 50, "instructions": 100_000_000});
    let configuration = document.to_string();
    let proxy =
        Proxy::start(&Options { name: "limits-one-time", configuration, ..Options::default() }).unwrap();
    // Ever more turns, until the decision alone takes too long: before that is where the explanation does.
    let mut cut = 0;
    'sweeps: for _ in 0..5 {
        let mut turns = 2.0_f64;
        loop {
            let seen = proxy.send(&get(&token).header("x-do", &turns.round().to_string())).unwrap();
            let record = seen.audit.value();
            if seen.summary() == "500 deny time_exhausted" {
                break;
            }
            assert_eq!(seen.summary(), "403 deny ");
            let rules: Vec<_> =
                record["rules"].as_array().into_iter().flatten().map(|by| &by["rule"]).collect();
            if record.get("unexplained").is_some() {
                // Of what was known when it was cut nothing is a default.
                assert_eq!(record["unexplained"], "budget_spent", "{record}");
                assert!(!rules.contains(&&json!("default data.remit.authz.decision")), "{record}");
                assert_eq!(record["candidate"]["skipped"], "budget_spent", "{record}");
                cut += 1;
                if rules.contains(&&json!("data.remit.authz.asked")) {
                    break 'sweeps;
                }
            } else {
                assert_eq!(rules[0], "default data.remit.authz.decision", "{record}");
            }
            turns *= 1.2;
        }
    }
    assert!(cut > 0, "the explanation was never cut");
    assert!(proxy.statistic("remit_unexplained", &["result=\"budget_spent\""]).unwrap() >= cut);
    proxy.finish().unwrap();
}

#[test]
fn a_worker_under_looping_requests_answers_the_others() {
    let world = World::new().unwrap();
    let token = world.token().unwrap();
    let limits = json!({"evaluation_ms": 10, "instructions": 100_000_000});
    let proxy = start(&world, "limits-load", false, limits);
    let (port, over) = (proxy.port, AtomicBool::new(false));
    let looping = get(&token).header("x-do", "loop");
    let answered = thread::scope(|scope| {
        let attackers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answered = 0_u32;
                    while !over.load(Ordering::Relaxed) {
                        assert_eq!(send(port, &looping).unwrap().status, 500);
                        answered = answered.saturating_add(1);
                    }
                    answered
                })
            })
            .collect();
        for _ in 0..50 {
            assert_eq!(send(port, &get(&token)).unwrap().status, 200);
        }
        over.store(true, Ordering::Relaxed);
        attackers.into_iter().map(|attacker| attacker.join().unwrap()).sum::<u32>()
    });
    assert!(answered > 0);
    let audits = proxy.audits().unwrap();
    let by_reason = |reason: &str| audits.iter().filter(|audit| audit.reasons().join(",") == reason).count();
    assert_eq!(by_reason("time_exhausted"), usize::try_from(answered).unwrap());
    assert_eq!(by_reason(""), 50);
    // For whoever reads along; how long something takes is not a test's matter.
    let statistics = proxy.statistics().unwrap();
    let buckets = statistics.lines().filter(|line| line.starts_with("remit_evaluation_us_bucket"));
    buckets.for_each(|line| println!("{line}"));
    proxy.finish().unwrap();
}
