//! YAML data: what is taken is the same data when it comes as JSON, and is hashed.

use remit_core::bundle::{Bundle, BundleLimits, Hash, file_digest};
use serde_json::Value;

pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "a: 1\nb:\n- x\n-   y: 'it''s'\n    z: \"\\u00e9\\t\"\n- - 1.5e3\n",
        "--- # c\n[1, {a: b, \"c\":d}, # e\n 0x1f]\n...\n",
        "a: |2-\n    x\n  y\n\nb: >+\n x\n y\n\n  z\n",
        "a: &x 1\nb: *x\n",
        "{\"a\": [1.0, true, null]}",
        "- ~\n- .5\n- -0.0\n- 12345678901234567890123\n",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let limits = BundleLimits { json_depth: 32, ..BundleLimits::default() };
    let read = |name: &str, content: &[u8]| Bundle::from_files([(name, content.to_vec())], &limits);
    let Ok(bundle) = read("d/data.yaml", data) else { return false };
    assert!(std::str::from_utf8(data).is_ok(), "not UTF-8");
    let value = bundle.data().get("d").expect("the data").clone();
    let json = value.to_string();
    let again = read("d/data.json", json.as_bytes()).expect("data that can be JSON");
    assert_eq!(again.data().get("d"), Some(&value), "another value");
    assert!(file_digest("d/data.yaml", data, Hash::Sha256).is_ok(), "no digest");
    // As block collections, in the simplest YAML there is.
    let mut block = String::new();
    write(&value, 0, &mut block);
    let rewritten = read("d/data.yml", block.as_bytes()).unwrap_or_else(|error| panic!("{block:?}: {error}"));
    let rewritten = rewritten.data().get("d").expect("the data");
    assert!(is_same(rewritten, &value), "another value as blocks: {block:?}");
    true
}

/// The same value; JSON's 1.0 is a whole number in YAML, as in OPA.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && is_same(one.1, other.1))
        }
        (one, other) => one == other,
    }
}

fn write(value: &Value, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&format!("\n{pad}-"));
                write(item, indent + 1, out);
            }
        }
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                out.push_str(&format!("\n{pad}{}:", quoted(name)));
                write(member, indent + 1, out);
            }
        }
        Value::String(text) => out.push_str(&format!(" {}", quoted(text))),
        other => out.push_str(&format!(" {other}")),
    }
}

/// In double quotes; everything but plain characters escaped.
fn quoted(text: &str) -> String {
    let escaped = |c: char| match c {
        ' ' | 'a'..='z' | 'A'..='Z' | '0'..='9' => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}
