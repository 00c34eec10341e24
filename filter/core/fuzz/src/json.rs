//! The strict JSON reader: takes exactly what the second opinion takes, and reads the same in it.

use crate::text;

const DEPTH: usize = 16;

pub fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"a":[1,-2,3.5e-3,true,false,null,"x\u00e9\ud83d\ude00\n\"\\\/"]}"#,
        r#"{"a":1,"a":1}"#,
        r#"[{"b":{"a":1,"\u0061":2}}]"#,
        "1e400",
        "-0",
        "18446744073709551616",
        "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
        " {} ",
        "\"\\ud800\"",
        "NaN",
        "[1,]",
        "01",
        "\u{feff}{}",
    ];
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    match (remit_core::json::parse(data, DEPTH), text::json(data, DEPTH)) {
        (Ok(value), Some(node)) => {
            assert!(node.says(&value), "read as something else");
            true
        }
        (Err(_), None) => false,
        (read, other) => panic!("core: {read:?}, second opinion: {other:?}"),
    }
}
