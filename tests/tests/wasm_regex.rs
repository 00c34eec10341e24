//! Patterns in the module itself: natively, other crates of a build may lend the engine tables that the module lacks.

use remit_tests::opa_cases::{Case, Outcome, in_module};
use remit_tests::proxy::compiled_module;
use remit_tests::world::now;
use serde_json::json;

/// Answers of `opa eval`, version 1.22.
#[test]
fn the_module_reads_patterns_as_opa_does() {
    let module = compiled_module().unwrap();
    for (expression, text, expected) in [
        (r"regex.match(`^\d{2}$`, input.x)", "42", json!(true)),
        (r"regex.match(`^\d+$`, input.x)", "\u{664}\u{662}", json!(false)),
        (r"regex.match(`^[\w.-]+$`, input.x)", "a_b-c.d", json!(true)),
        (r"regex.match(`\brm\s+-r\b`, input.x)", "sudo rm  -r /", json!(true)),
        (r"regex.match(`(?i)^drop\s+table`, input.x)", "DROP Table t", json!(true)),
        (r"regex.match(`^\p{L}+$`, input.x)", "né", json!(true)),
        (r"regex.match(`^\p{Greek}$`, input.x)", "λ", json!(true)),
        (r"regex.split(`\s+`, input.x)", "a b  c", json!(["a", "b", "c"])),
        (r"regex.is_valid(`\d(`)", "", json!(false)),
    ] {
        let case = Case {
            group: "patterns".to_owned(),
            note: expression.to_owned(),
            is_v0: false,
            query: "data.patterns.answer = x".to_owned(),
            modules: vec![format!("package patterns\nanswer := {expression}\n")],
            data: json!({}),
            input: Some(json!({ "x": text })),
            input_term: None,
            want_result: Some(vec![json!({ "x": expected })]),
            want_defined: None,
            want_error_code: None,
            want_error: None,
            sort_bindings: false,
            strict_error: false,
        };
        assert_eq!(in_module(&module, &case, now()), Ok(Outcome::Value(expected)), "{expression} {text}");
    }
}
