//! `application/x-www-form-urlencoded`: pairs, percent-decoded, as Go's `url.ParseQuery` reads them.

use serde_json::{Map, Value};

use super::BodyError;
use crate::request::pairs;

/// Name → list of values.
pub(super) fn parse(body: &[u8], limit: usize) -> Result<Value, BodyError> {
    let text = std::str::from_utf8(body).map_err(|_| BodyError::Form)?;
    let mut form = Map::new();
    for (i, pair) in pairs(text).enumerate() {
        if i >= limit {
            return Err(BodyError::TooMany { limit });
        }
        let (name, value) = pair.ok_or(BodyError::Form)?;
        push(&mut form, name, Value::from(value));
    }
    Ok(Value::Object(form))
}

/// One more value of a name.
pub(super) fn push(form: &mut Map<String, Value>, name: String, value: Value) {
    if let Value::Array(values) = form.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
        values.push(value);
    }
}
