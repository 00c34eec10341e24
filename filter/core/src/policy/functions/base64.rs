//! `base64.*`, as Go decodes: line ends are passed over, and so are bits that no byte is made of. A denial by what is
//! decoded would else be undefined for a text that others read.

use base64::Engine as _;
use base64::alphabet::{self, Alphabet};
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use regorus::Value;

pub(super) fn decode(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    shown(&decoded(text, &alphabet::STANDARD)?)
}

pub(super) fn is_valid(arguments: &[Value]) -> Option<Value> {
    let is_valid = match arguments {
        [Value::String(text)] => decoded(text, &alphabet::STANDARD).is_some(),
        _ => false,
    };
    Some(Value::Bool(is_valid))
}

/// The padding may be left out.
pub(super) fn decode_url(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    let missing = match text.len().checked_rem(4)? {
        _ if text.ends_with('=') => "",
        0 => "",
        2 => "==",
        3 => "=",
        _ => return None,
    };
    shown(&decoded(&format!("{text}{missing}"), &alphabet::URL_SAFE)?)
}

fn decoded(text: &str, alphabet: &Alphabet) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    let text = text.replace(['\r', '\n'], "");
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

/// What is no text has U+FFFD for each byte of it, as where OPA writes it out.
fn shown(bytes: &[u8]) -> Option<Value> {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Some(Value::from(text))
}
