//! `urlquery.*`, as Go's net/url has it.

use std::collections::BTreeMap;

use regorus::Value;

use super::Stop;
use crate::ordered;
use crate::policy::error::EvaluationError;

pub(super) fn encode(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    Some(Value::from(escape(text)))
}

pub(super) fn decode(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [Value::String(text)] = arguments else { return Ok(None) };
    Ok(unescape(text)?.map(Value::from))
}

/// Texts, or arrays or sets of texts, by their names, in the order of the names.
pub(super) fn encode_object(arguments: &[Value]) -> Option<Value> {
    let [Value::Object(fields)] = arguments else { return None };
    let mut pairs = Vec::new();
    for (name, value) in fields.iter() {
        let Value::String(name) = name else { return None };
        let mut push = |value: &Value| {
            let Value::String(value) = value else { return None };
            pairs.push([escape(name), escape(value)].join("="));
            Some(())
        };
        match value {
            Value::Array(values) => values.iter().try_for_each(push)?,
            Value::Set(values) => values.iter().try_for_each(push)?,
            value => push(value)?,
        }
    }
    Some(Value::from(pairs.join("&")))
}

/// An array of texts for each name.
pub(super) fn decode_object(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [Value::String(text)] = arguments else { return Ok(None) };
    let mut fields: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value), false) = (unescape(name)?, unescape(value)?, pair.contains(';')) else {
            return Ok(None);
        };
        fields.entry(Value::from(name)).or_default().push(Value::from(value));
    }
    let fields = ordered::map(fields.into_iter().map(|(name, values)| (name, Value::from(values))));
    Ok(Some(Value::from(fields)))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => escaped.push('+'),
            b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            _ if byte.is_ascii_alphanumeric() => escaped.push(byte.into()),
            _ => {
                escaped.push('%');
                for half in [byte >> 4, byte & 15] {
                    let digit = char::from_digit(half.into(), 16).unwrap_or('0');
                    escaped.push(digit.to_ascii_uppercase());
                }
            }
        }
    }
    escaped
}

/// `None` for a `%` without two digits.
fn unescape(text: &str) -> Result<Option<String>, Stop> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (Some(high), Some(low)) = (digit(rest.next()), digit(rest.next())) else {
                    return Ok(None);
                };
                u8::try_from(high << 4 | low).unwrap_or(0)
            }
            byte => byte,
        });
    }
    // OPA has texts that are none.
    let message = || "urlquery: what is decoded is not UTF-8".to_owned();
    let fault = |_| Stop(EvaluationError::Failed { at: None, message: message() });
    String::from_utf8(bytes).map(Some).map_err(fault)
}
