//! What is read, and what is refused.

use serde_json::{Value, json};

use super::*;

#[test]
fn data_as_people_write_it() {
    let deep = format!("{}1", "- ".repeat(10));
    for (text, expected) in [
        ("", json!(null)),
        ("# only a comment\n", json!(null)),
        ("---\n...\n", json!(null)),
        ("a: 1", json!({"a": 1})),
        ("\u{feff}a: 1\r\nb: x\r\n", json!({"a": 1, "b": "x"})),
        (
            "--- # start\na: 1 # one\n# between\n\nb: \n  c: x#y\n...\n# end\n",
            json!({"a": 1, "b": {"c": "x#y"}}),
        ),
        (
            "a:\n- 1\n-   b: 2\n    c:\n    - d\n-\n- - x\n  - y\ne: ~",
            json!({"a":[1,{"b":2,"c":["d"]},null,["x","y"]],"e":null}),
        ),
        ("- a: 1\n  b:\n    - 2\n-\n  c: 3\n", json!([{"a":1,"b":[2]},{"c":3}])),
        ("'it''s': \"a\\tb\\u00e9\\x41\\U0001f600\\\"\"", json!({"it's": "a\tbéA😀\""})),
        ("\"a: b\": c: d".trim_end_matches(": d"), json!({"a: b": "c"})),
        (
            "url: http://x.example/a?b#c\ntime: 12:30:00\nday: 2026-01-02",
            json!({"url":"http://x.example/a?b#c","time":"12:30:00","day":"2026-01-02"}),
        ),
        (
            "[1, 2,\n  # three\n  {a: b, \"c\":d, 'e' : [ ], f: },]",
            json!([1, 2, {"a":"b","c":"d","e":[],"f":null}]),
        ),
        ("a: [\n1\n]\nb: {}", json!({"a":[1],"b":{}})),
        ("a: |\n  x\n   y\n\n  z\nb: 1", json!({"a":"x\n y\n\nz\n","b":1})),
        ("a: >-\n  x\n  y\n\n  z\n   w\n  v\n", json!({"a":"x y\nz\n w\nv"})),
        ("a: |+\n  x\n\n\nb: |-\n  y\n", json!({"a":"x\n\n\n","b":"y"})),
        ("a: |2-\n    x\n  y", json!({"a":"  x\ny"})),
        ("- |\n x\n- >\n y\n y\n", json!(["x\n", "y y\n"])),
        ("a: |\nb: 1", json!({"a":"","b":1})),
        ("a: |+\n  x\n...\n", json!({"a":"x\n"})),
        ("|\n a: b\n", json!("a: b\n")),
        ("yes: on\nno: off\ny: n", json!({"yes":"on","no":"off","y":"n"})),
        ("a: True\nb: FALSE\nc: NULL\nd: null", json!({"a":true,"b":false,"c":null,"d":null})),
        ("true: 1\n-5: 2\n7: 3", json!({"true":1,"-5":2,"7":3})),
        (
            "- 0x1F\n- -0x10\n- 0o17\n- +5\n- -0\n- 18446744073709551615\n- -9223372036854775808",
            json!([31, -16, 15, 5, 0, u64::MAX, i64::MIN]),
        ),
        (
            "- 1.0\n- .5\n- 5.\n- 1e3\n- -1.5E-7\n- 1e21\n- 123456789012345678901",
            json!([1, 0.5, 5, 1000, -1.5e-7, 1e21, 1.234_567_890_123_456_8e20]),
        ),
        (
            "- 1.2.3\n- 1a\n- .\n- ..\n- +\n- -x\n- 1-2\n- e3",
            json!(["1.2.3", "1a", ".", "..", "+", "-x", "1-2", "e3"]),
        ),
        ("- '1'\n- \"true\"\n- ''", json!(["1", "true", ""])),
        ("a:\n  plain on the next line\n", json!({"a":"plain on the next line"})),
        ("a: b'c\"d", json!({"a":"b'c\"d"})),
        (&deep, json!([[[[[[[[[[1]]]]]]]]]])),
    ] {
        let read = to_json(text, 16).unwrap_or_else(|error| panic!("{text}: line {}: {error}", error.line));
        let value: Value =
            serde_json::from_str(&read).unwrap_or_else(|error| panic!("{text}: {read}: {error}"));
        assert_eq!(value.to_string(), expected.to_string(), "{text}");
    }
}

#[test]
fn what_could_mean_two_things_is_refused() {
    use YamlFault::*;
    let deep = "[".repeat(20);
    for (text, line, fault) in [
        ("a: &x 1", 1, Anchor),
        ("a: *x", 1, Anchor),
        ("&x a: 1", 1, Anchor),
        ("a: !!str 1", 1, Tag),
        ("%YAML 1.2\n---\na: 1", 1, Reserved),
        ("a: @b", 1, Reserved),
        ("a: 1\n---\nb: 2", 2, SeveralDocuments),
        ("a: 1\n...\nb: 2", 3, SeveralDocuments),
        ("--- a", 1, Value),
        ("<<: {a: 1}", 1, Merge),
        ("? a\n: b", 1, Value),
        ("? a: b", 1, Value),
        ("[a]: b", 1, Value),
        ("{a: b}: c", 1, Value),
        ("null: a", 1, Key),
        ("1.5: a", 1, Key),
        ("0x10: a", 1, Key),
        ("True: a", 1, Key),
        (": a", 1, Key),
        ("a: 1\na: 2", 2, KeyTwice),
        ("{a: 1, \"a\": 2}", 1, KeyTwice),
        ("a: 0777", 1, Number),
        ("a: 1_000", 1, Number),
        ("a: 0b11", 1, Number),
        ("a: 0XFF", 1, Number),
        ("a: 08", 1, Number),
        ("a: .inf", 1, Number),
        ("a: 1e999", 1, Number),
        ("a: 0x10000000000000000", 1, Number),
        ("a: b\n  c", 2, Indentation),
        ("a: 1\n b: 2", 2, Indentation),
        ("  a: 1\nb: 2", 2, Indentation),
        ("- a\nb: 1", 2, Indentation),
        ("a:\n  - 1\n - 2", 3, Indentation),
        ("a\nb", 2, Indentation),
        ("a: b: c", 1, Value),
        ("a: - b", 1, Value),
        ("a: 'b' c", 1, Value),
        ("a: [1] 2", 1, Value),
        ("a: [1 2: 3]", 1, Value),
        ("a: [,]", 1, Value),
        ("a: [?x]", 1, Value),
        ("a: [:x]", 1, Value),
        ("a: [http://x/?y]", 1, Value),
        ("a: {?x: 1}", 1, Key),
        ("a: {b}", 1, Key),
        ("a: {b:c}", 1, Key),
        ("a: [1, 2", 1, Unclosed),
        ("a: [1,\n2\n", 3, Unclosed),
        ("a: \"b\nc\"", 1, Unclosed),
        ("a: 'b", 1, Unclosed),
        ("a: \"\\q\"", 1, Escape),
        ("a: \"\\/\"", 1, Escape),
        ("a: \"\\ud83d\"", 1, Escape),
        ("a: \"\\xg0\"", 1, Escape),
        ("\ta: 1", 1, Tab),
        ("a:\n\t- 1", 2, Tab),
        ("a: b\tc", 1, Tab),
        ("a: |\n\tx", 2, Tab),
        ("a: |\n    \n  x", 2, Indentation),
        ("a: |0\n x", 1, Value),
        ("a: | x", 1, Value),
        ("a: \u{85}", 1, Character),
        ("a: \u{7}", 1, Character),
        ("a: \u{2028}", 1, Character),
        (&deep, 1, TooDeep),
    ] {
        assert_eq!(to_json(text, 16), Err(YamlError { line, fault }), "{text}");
    }
}

#[test]
fn nothing_makes_the_reader_fail() {
    // Every text of a few pieces that mean something.
    let pieces =
        ["a", ":", " ", "\n", "- ", "[", "]", "{", "}", ",", "\"", "'", "#", "|", "0", "\\", "é", "  "];
    let mut texts = vec![String::new()];
    for _ in 0..4 {
        texts = texts.iter().flat_map(|text| pieces.map(|piece| format!("{text}{piece}"))).collect();
        for text in &texts {
            if let Ok(json) = to_json(text, 8) {
                assert!(crate::json::parse(json.as_bytes(), 16).is_ok(), "{text:?}: {json}");
            }
        }
    }
}

#[test]
fn a_long_line_is_read_in_one_pass() {
    // Copying what is left of the line at each step would take minutes here.
    let times = 200_000;
    for (before, entry, after, expected) in [
        ("[", "1, ", "]", "1"),
        ("a: [", "'b' , ", "]", "\"b\""),
        ("[", "{a: 1,\"b\":[ ]},", "]", "{\"a\":1,\"b\":[]}"),
    ] {
        let text = format!("{before}{}{after}", entry.repeat(times));
        let json = to_json(&text, 16).unwrap();
        assert!(json.matches(expected).count() == times, "{entry}");
    }
    let keys: String = (0..times).map(|n| format!("k{n}: 1, ")).collect();
    let json = to_json(&format!("{{{keys}}}"), 16).unwrap();
    assert!(json.ends_with(",\"k199999\":1}"));
}
