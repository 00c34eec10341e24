//! Tests of the marks: what they tell, and that they change nothing.

use regorus::Value;

use super::*;

fn sources(text: &str) -> Sources {
    let file = Source { path: "a.rego".into(), text: text.into(), is_v0: false };
    Sources { files: vec![file], data: Vec::new() }
}

/// Evaluates with and without marks; the values have to be equal. Gives the rows of heads, statements and defaults that
/// were reached.
fn reached(text: &str, rule: &str, input: &str) -> (Value, Vec<String>) {
    let plain = sources(text);
    let marked = mark(&plain.files, &plain.parse().unwrap());
    let with_marks = Sources { files: marked.files.clone(), data: Vec::new() };
    let mut engine = with_marks.engine().unwrap();
    let recorder = Recorder::new(&marked);
    recorder.listen(&mut engine).unwrap();
    let mut values = Vec::new();
    for mut engine in [plain.engine().unwrap(), engine] {
        engine.set_input(Value::from_json_str(input).unwrap());
        values.push(engine.eval_rule(format!("data.a.{rule}")).unwrap());
    }
    assert_eq!(values[0], values[1], "{rule} {input}");
    let trail = recorder.take();
    let shown = trail.reached.iter().map(|mark| {
        let mark = &marked.marks[*mark];
        let kind = match mark.kind {
            Kind::Head => "head",
            Kind::Statement { .. } => "line",
            Kind::Default => "default",
        };
        format!("{kind} {}-{}", mark.row, mark.end)
    });
    let mut shown: Vec<_> = shown.collect();
    shown.sort();
    (values.remove(0), shown)
}

#[test]
fn marks_tell_what_was_reached() {
    let policy = "package a\n\ndefault d := 0\n\nd := 1 if {\n\tinput.x == 1 # one\n\tinput.y == 2\n}\n\nd := 2 if input.x == 2\n\n\
        list := [\n\t1,\n\td,\n]\n\nf(x) := x + 1 if {\n\tx > 1\n} else := 2 if x == 0\n\nelse := 3\n\n\
        s contains v if {\n\t# first\n\tsome v in input.vs; v > 1\n}\n\nplain contains \"p\" if \"p\" != \"\"\n\ndefault only := 7\n\nq[k] := v if some k, v in input.o\n\
        w := x if x := d with input as {\"x\": 2}\n\nuses := [f(5), f(0), f(1)]\n\nseveral := d + e\n\ne := v if v := d with input.x as 9\n";
    for (rule, input, value, expected) in [
        ("d", r#"{"x":1,"y":2}"#, "1", &["head 5-5", "line 10-10", "line 6-6", "line 7-7"] as &[_]),
        ("d", r#"{"x":1}"#, "0", &["default 3-3", "line 10-10", "line 6-6", "line 7-7"]),
        ("d", r#"{"x":2}"#, "2", &["head 10-10", "line 10-10", "line 6-6"]),
        ("list", r#"{"x":2}"#, "[1,2]", &["head 10-10", "head 12-15", "line 10-10", "line 6-6"]),
        (
            "uses",
            "{}",
            "[6,2,3]",
            &["head 17-17", "head 19-19", "head 21-21", "head 35-35", "line 18-18", "line 19-19"],
        ),
        ("s", r#"{"vs":[1,3]}"#, "[3]", &["head 23-23", "line 25-25", "line 25-25"]),
        ("s", r#"{"vs":[1]}"#, "[]", &["line 25-25", "line 25-25"]),
        ("plain", "{}", r#"["p"]"#, &["head 28-28", "line 28-28"]),
        ("only", "{}", "7", &["head 30-30"]),
        ("q", r#"{"o":{"a":1}}"#, r#"{"a":1}"#, &["head 32-32", "line 32-32"]),
        ("w", r#"{"x":1}"#, "2", &["head 10-10", "head 33-33", "line 10-10", "line 33-33", "line 6-6"]),
        (
            "several",
            r#"{"x":2}"#,
            "2",
            &[
                "default 3-3",
                "head 10-10",
                "head 37-37",
                "head 39-39",
                "line 10-10",
                "line 39-39",
                "line 6-6",
            ],
        ),
    ] {
        let (got, mut shown) = reached(policy, rule, input);
        let text = got.to_json_str().unwrap().replace([' ', '\n'], "");
        // What is alone in its rule is told by its head.
        shown
            .iter_mut()
            .filter(|shown| *shown == "default 30-30")
            .for_each(|shown| *shown = "head 30-30".into());
        assert_eq!(
            (text.as_str(), shown.iter().map(String::as_str).collect::<Vec<_>>().as_slice()),
            (value, expected),
            "{rule} {input}"
        );
    }
}

#[test]
fn old_rego_is_marked_too() {
    let file = Source {
        path: "a.rego".into(),
        text:
            "package a\nx = 1 { input.x } else = 2 { true }\ny[z] { z := 1 }\nc = 3\np { false } { true }\n"
                .into(),
        is_v0: true,
    };
    let sources = Sources { files: vec![file], data: Vec::new() };
    let marked = mark(&sources.files, &sources.parse().unwrap());
    let with_marks = Sources { files: marked.files.clone(), data: Vec::new() };
    let mut engine = with_marks.engine().unwrap();
    Recorder::new(&marked).listen(&mut engine).unwrap();
    for (rule, expected) in [("x", "2"), ("y", "[1]"), ("c", "3"), ("p", "true")] {
        let value = engine.clone().eval_rule(format!("data.a.{rule}")).unwrap();
        assert_eq!(value.to_json_str().unwrap().replace([' ', '\n'], ""), expected, "{rule}");
    }
}

#[test]
fn cases_are_told_by_name() {
    let policy = "package a\ntest_x[tc.note][n] if {\n\tsome tc in [{\"note\": \"one\", \"v\": 1}, {\"note\": \"two\", \"v\": 2}]\n\tsome n in [7]\n\ttc.v == 1\n}\n";
    let plain = sources(policy);
    let marked = mark(&plain.files, &plain.parse().unwrap());
    let mut engine = Sources { files: marked.files.clone(), data: Vec::new() }.engine().unwrap();
    let recorder = Recorder::new(&marked);
    recorder.listen(&mut engine).unwrap();
    let value =
        engine.eval_query("data.a.test_x".to_owned(), false).unwrap().result[0].expressions[0].value.clone();
    assert_eq!(value.to_json_str().unwrap().replace([' ', '\n'], ""), r#"{"one":{"7":true}}"#);
    let trail = recorder.take();
    let shown: Vec<_> = trail
        .cases
        .iter()
        .map(|case| {
            let names: Vec<_> = case.name.iter().map(|name| name.to_json_str().unwrap()).collect();
            (names.join("/"), case.last.map(|mark| marked.marks[mark].row))
        })
        .collect();
    assert_eq!(shown, [("\"one\"/7".to_owned(), Some(5)), ("\"two\"/7".to_owned(), Some(5))]);
}
