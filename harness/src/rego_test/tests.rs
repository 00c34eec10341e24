//! Tests of the Rego tests.

use super::*;
use crate::table::Style;
use crate::testing::Folder;

const POLICY: &str = "package a\n\nok if data.a.n == input.n\n";

fn run(files: &[(&str, &str)]) -> Result<Vec<TestResult>, RegoError> {
    let folder = Folder::new(files);
    let mut results =
        Suite::load(&[folder.path().to_owned()], Duration::from_secs(2))?.run(&mut |_| {}).results;
    let prefix = format!("{}/", folder.path().display());
    for result in &mut results {
        result.file = result.file.replace(&prefix, "");
    }
    Ok(results)
}

#[test]
fn values_that_end_with_a_bracket_and_template_strings_are_tested() {
    let policy = "package a\n\nnone := set()\none := (1)\nwho := $\"{\n(1)} {input.n}\"\nis_it(null)\nn := 2 if false else := set()\n";
    let tests = "package a_test\n\nimport data.a\n\ntest_all if {\n\ta.none == set()\n\ta.one == 1\n\ta.who == $\"1 {3}\" with input.n as 3\n\t\
        a.is_it(null)\n\ta.n == set()\n}\ntest_not if a.who == \"1\"\n";
    let results = run(&[("a.rego", policy), ("a_test.rego", tests)]).unwrap();
    let shown: Vec<_> =
        results.iter().map(|result| (result.row, result.name.as_str(), &result.verdict)).collect();
    assert_eq!(shown, [(5, "test_all", &Verdict::Pass), (12, "test_not", &Verdict::Fail)]);
}

#[test]
fn tests_go_as_with_opa() {
    let tests = "package a_test\n\nimport data.a\n\ntest_ok if a.ok with input as {\"n\": 3}\n\
        test_no if {\n\tprint(\"seen\\n\\tso\", 1)\n\tfalse\n}\ntest_false := false\ntest_number := 3\n\
        test_mocked if a.ok with data.a.n as 5 with input.n as 5\ntest_twice if true\ntest_twice if false\n\
        todo_test_later if true\ntest_conflict := true if true\ntest_conflict := 2 if true\n\
        test_error := x if { some i in [1, 2]; x := i }\ndefault test_default := true\ntest_cases[x] if { some x in [1] }\n";
    let results = run(&[("a.rego", POLICY), ("a_test.rego", tests), ("a/data.json", r#"{"n":3}"#)]).unwrap();
    let shown: Vec<_> = results
        .iter()
        .map(|result| {
            let verdict = match &result.verdict {
                Verdict::Error(_) => "ERROR".to_owned(),
                verdict => format!("{verdict:?}"),
            };
            format!("{}:{} {}.{} {verdict}", result.file, result.row, result.package, result.name)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "a_test.rego:5 data.a_test.test_ok Pass",
            "a_test.rego:6 data.a_test.test_no Fail",
            "a_test.rego:10 data.a_test.test_false Fail",
            "a_test.rego:11 data.a_test.test_number Fail",
            "a_test.rego:12 data.a_test.test_mocked Pass",
            "a_test.rego:13 data.a_test.test_twice Pass",
            "a_test.rego:14 data.a_test.test_twice#01 Fail",
            "a_test.rego:15 data.a_test.todo_test_later Skipped",
            "a_test.rego:16 data.a_test.test_conflict Pass",
            "a_test.rego:17 data.a_test.test_conflict#01 Fail",
            "a_test.rego:18 data.a_test.test_error ERROR",
            "a_test.rego:19 data.a_test.test_default Pass",
            "a_test.rego:20 data.a_test.test_cases Pass",
        ]
    );
    let counts = Counts::of(&results);
    assert_eq!((counts.passed, counts.failed, counts.errors, counts.skipped), (6, 5, 1, 1));
    let quiet = text(&results, false, Style::default());
    assert!(!quiet.contains("test_ok"), "{quiet}");
    assert!(
        quiet.contains("data.a_test.test_no: FAIL") && quiet.contains("a_test.rego:7: seen\n      so 1\n"),
        "{quiet}"
    );
    assert!(quiet.ends_with("PASS: 6/13\nFAIL: 5/13\nERROR: 1/13\nSKIPPED: 1/13\n"), "{quiet}");
    assert!(text(&results, true, Style::default()).contains("data.a_test.test_ok: PASS ("));
    assert_eq!(json(&results)[1]["fail"], true);
    assert_eq!(json(&results)[0]["location"]["row"], 5);
}

#[test]
fn a_test_that_loops_ends() {
    let tests = "package a\ntest_long if { every x in numbers.range(1, 100000) { every y in numbers.range(1, 100000) { x + y > 0 } } }\n";
    let folder = Folder::new(&[("a_test.rego", tests)]);
    let suite = Suite::load(&[folder.path().to_owned()], Duration::from_millis(20)).unwrap();
    assert!(matches!(suite.run(&mut |_| {}).results[0].verdict, Verdict::Error(_)));
}

#[test]
fn nobody_is_asked() {
    let tests = "package a_test\nx := http.send({\"method\": \"get\", \"url\": \"https://e.example/\"})\n\
        test_asked if x\ntest_not if not x\ntest_told if x.status_code == 200 with http.send as {\"status_code\": 200}\n\
        test_names if { http := {\"send\": 3}; http.send == 3 }\n";
    let results = run(&[("a_test.rego", tests)]).unwrap();
    for (result, is_asked) in results.iter().zip([true, true, false, false]) {
        match &result.verdict {
            Verdict::Error(message) => {
                assert!(is_asked && message.contains("https://e.example/"), "{message}")
            }
            verdict => assert!(!is_asked && *verdict == Verdict::Pass, "{}: {verdict:?}", result.name),
        }
    }
}

#[test]
fn a_test_reads_rego_as_the_filter_does() {
    let tests = "package a_test\nlevel(n) := \"high\" if n > 10\n\nelse := \"low\"\n\ntest_else if level(3) == \"low\"\n\
        test_negated if not level(input.absent)\ntest_clock if time.now_ns() > 1700000000000000000\n\
        test_runtime if opa.runtime()\n";
    let verdicts: Vec<_> =
        run(&[("a_test.rego", tests)]).unwrap().into_iter().map(|result| result.verdict).collect();
    assert_eq!(verdicts, [Verdict::Pass, Verdict::Fail, Verdict::Pass, Verdict::Pass]);
}

#[test]
fn what_does_not_load_is_named() {
    for (files, expected) in [
        (&[("a.rego", "package a\ny if {")] as &[_], "a.rego:2:"),
        (&[("a.rego", "package a\ntest_a if true"), ("data.json", "[")], "malformed JSON"),
        (&[("b.txt", "")], "holds neither Rego nor data"),
        (
            &[("a.rego", "package a\n\nf(x) := y if y := f(x)\ntest_a if f(1)")],
            "a.rego:3:1: rule data.a.f is recursive",
        ),
        (
            &[("a.rego", "package a\np[x] := 1 if { x := \"q\"; data.a.p[input.x] }\ntest_a if p.q")],
            "a.rego:2:",
        ),
    ] {
        let error = run(files).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn cases_are_told_one_by_one() {
    let tests = "package a_test\ntest_x[tc.note] if {\n\tsome tc in [{\"note\": \"one\", \"v\": 1}, {\"note\": \"<two>\", \"v\": 2}]\n\ttrue\n\ttc.v == 1\n}\n";
    let results = run(&[("a_test.rego", tests)]).unwrap();
    let quiet = text(&results, false, Style::default());
    assert!(quiet.contains("data.a_test.test_x: FAIL") && !quiet.contains("one: PASS"), "{quiet}");
    assert!(quiet.contains("  <two>: FAIL (a_test.rego:5)\n"), "{quiet}");
    assert!(quiet.ends_with("PASS: 1/2\nFAIL: 1/2\n"), "{quiet}");
    let xml = junit(&results, None);
    assert!(
        xml.contains(r#"name="test_x[&lt;two&gt;]""#) && xml.contains("a_test.rego:5</failure>"),
        "{xml}"
    );
    assert_eq!(json(&results)[0]["sub_results"]["<two>"]["fail"], true);
}

#[test]
fn a_failed_test_says_where() {
    let results =
        run(&[("a_test.rego", "package a_test\ntest_x if {\n\tx := 1\n\tx == 2\n\tx == 3\n}\n")]).unwrap();
    assert_eq!(results[0].failed_at, Some((4, "x == 2".to_owned())));
}

#[test]
fn old_rego_is_read_where_the_manifest_says_so() {
    let files = [(".manifest", r#"{"rego_version":0}"#), ("a_test.rego", "package a\ntest_a { true }\n")];
    assert_eq!(run(&files).unwrap()[0].verdict, Verdict::Pass);
}

#[test]
fn what_the_filter_would_refuse_is_not_tested() {
    let test = ("a_test.rego", "package a_test\n\ntest_a if data.a.x with input as {\"s\": \"1\"}\n");
    for (policy, expected) in [
        ("x if rego.parse_module(\"a\", input.s)", "/a.rego:2:23: rego.parse_module is neither a function"),
        ("x if nosuch(input.s)", "/a.rego:2:12: nosuch is neither a function"),
        ("x if time.now_ns() > 0 with time.now_ns as 1", ": time.now_ns cannot be replaced by `with`"),
        ("x if startswith(input.s)", ": startswith takes 2 arguments and is given 1"),
        ("f(x) := x if nosuch(x)", ": nosuch is neither a function"),
        ("x if http.send({\"url\": \"https://e.example\", \"enable_redirect\": true})", "/a.rego:2:"),
    ] {
        let error = run(&[("a.rego", &format!("package a\n{policy}\n")), test]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let catalog = ("data.json", r#"{"remit": {"catalog": {"mpc": []}}}"#);
    let error = run(&[("a.rego", "package a\nx := 1\n"), catalog, test]).unwrap_err().to_string();
    assert!(error.contains("mpc"), "{error}");
    let roots = (".manifest", r#"{"roots": ["b", "a_test"]}"#);
    let error = run(&[("a.rego", "package a\nx := 1\n"), roots, test]).unwrap_err().to_string();
    assert!(error.ends_with("/a.rego: package a is outside the roots of the bundle's manifest"), "{error}");
}

/// Where a policy may send is the operator's to say, and tests need more than policies.
#[test]
fn what_only_tests_or_the_operator_need_is_no_reason_to_refuse() {
    let sends: String = (0..25)
        .map(|n| format!("x contains {n} if http.send({{\"method\": \"get\", \"url\": \"https://e{n}.example\"}}).status_code == 200\n"))
        .collect();
    let policy = format!("package a\n\n{sends}\nold := print(1)\n");
    let test = "package a_test\n\ntest_a if count(data.a.x) == 25 with http.send as {\"status_code\": 200}\n\n\
        test_b if time.now_ns() == 1 with time.now_ns as 1\n";
    for policy in
        [policy.as_str(), "package a\n\nx := 1 if input.x\n\nf(x) := x\n", "package a\n\nf(x) := x\n"]
    {
        let results = run(&[("a.rego", policy), ("a_test.rego", test)]).unwrap();
        assert_eq!(results[1].verdict, Verdict::Pass, "{policy}");
    }
}

#[test]
fn a_coverage_has_what_failed_beside_it() {
    let files = [
        ("a.rego", POLICY),
        (
            "a_test.rego",
            "package a_test\n\ntest_yes if data.a.ok with input.n as 3\n\n\
        test_no if data.a.ok with input.n as 4\n\ntodo_test_later if true\n",
        ),
        ("a/data.json", r#"{"n":3}"#),
    ];
    let folder = Folder::new(&files);
    let suite = Suite::load(&[folder.path().to_owned()], Duration::from_secs(2)).unwrap();
    let ran = suite.run(&mut |_| {});
    let document = covered(&ran);
    assert!(document["coverage"].as_f64().is_some_and(|percent| percent > 0.0), "{document}");
    assert_eq!(document["failures"].as_array().map(Vec::len), Some(1), "{document}");
    assert_eq!(document["failures"][0]["name"], "test_no");
    let xml = junit(&ran.results, Some(&ran.coverage));
    for part in
        ["<property name=\"coverage\" value=\"60.00\"/>", "/a.rego\" value=\"100.00\"/>", "<failure message="]
    {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
    assert!(!junit(&ran.results, None).contains("<properties>"));
    let mut suite = suite;
    suite.choose(".*test_yes").unwrap();
    assert!(covered(&suite.run(&mut |_| {})).get("failures").is_none());
}
