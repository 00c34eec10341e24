//! `crypto.*`

use regorus::Value;
use sha2::{Digest, Sha256};

pub(super) fn sha256(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    Some(Value::from(hex(&Sha256::digest(text.as_bytes()))))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
