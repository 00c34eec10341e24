//! Strict JSON (RFC 8259, I-JSON RFC 7493): what two readers could read differently is refused.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Why a text is not taken as JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// The bytes are not UTF-8.
    #[error("not UTF-8: invalid byte at offset {offset}")]
    NotUtf8 {
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// An object has the same key twice; readers differ in which one they take.
    #[error("duplicate key at line {line} column {column}")]
    DuplicateKey {
        /// 1-based line.
        line: usize,
        /// 1-based column.
        column: usize,
    },
    /// Arrays and objects are nested deeper than allowed.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit in force.
        limit: usize,
    },
    /// More values than allowed.
    #[error("more than {limit} values")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
    /// Any other fault of syntax, trailing bytes included.
    #[error("malformed JSON at line {line} column {column}")]
    Malformed {
        /// 1-based line.
        line: usize,
        /// 1-based column.
        column: usize,
    },
}

const DUPLICATE: &str = "remit: duplicate key";
const DEEP: &str = "remit: too deep";
const MANY: &str = "remit: too many";

/// How much a text that anybody may send makes at most: a byte of it can become a value of thirty.
#[derive(Debug, Clone, Copy)]
pub struct JsonLimits {
    /// Nesting.
    pub depth: usize,
    /// Values, each element and member counted.
    pub values: usize,
}

/// Parses exactly one JSON text.
///
/// # Errors
///
/// See [`JsonError`]: duplicate keys at any depth, nesting over `max_depth`, bytes that are not UTF-8, trailing
/// bytes, numbers beyond an IEEE 754 double.
pub fn parse(bytes: &[u8], max_depth: usize) -> Result<Value, JsonError> {
    parse_within(bytes, JsonLimits { depth: max_depth, values: usize::MAX })
}

/// The same with a bound on the number of values.
///
/// # Errors
///
/// As [`parse`], and [`JsonError::TooMany`].
pub fn parse_within(bytes: &[u8], limits: JsonLimits) -> Result<Value, JsonError> {
    parse_some(bytes, limits, &Cell::new(limits.values))
}

/// The same of a text among others that share a bound: counts down what is left of it.
///
/// # Errors
///
/// As [`parse_within`].
pub(crate) fn parse_some(
    bytes: &[u8],
    limits: JsonLimits,
    values_left: &Cell<usize>,
) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|e| JsonError::NotUtf8 { offset: e.valid_up_to() })?;
    // Cheaper than to have the parser look at each.
    let text = text.trim_end_matches([' ', '\t', '\n', '\r']);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    // Depth is counted by `Strict`, whose limit is configurable; serde_json's own is fixed at 128.
    let max_depth = limits.depth.min(120);
    let value = Strict { levels_left: max_depth, values_left }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let message = error.to_string();
            if message.starts_with(DUPLICATE) {
                JsonError::DuplicateKey { line, column }
            } else if message.starts_with(DEEP) {
                JsonError::TooDeep { limit: max_depth }
            } else if message.starts_with(MANY) {
                JsonError::TooMany { limit: limits.values }
            } else {
                JsonError::Malformed { line, column }
            }
        })?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    levels_left: usize,
    values_left: &'a Cell<usize>,
}

impl Strict<'_> {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.levels_left.checked_sub(1) {
            Some(levels_left) => Ok(Self { levels_left, ..self }),
            None => Err(E::custom(DEEP)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        match self.values_left.get().checked_sub(1) {
            Some(left) => self.values_left.set(left),
            None => return Err(D::Error::custom(MANY)),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inside = self.inside::<A::Error>()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let inside = self.inside::<A::Error>()?;
        let mut object = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inside)?;
            if object.insert(key, value).is_some() {
                return Err(A::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_values_survive() {
        for text in [r#"{"a":[1,-2,3.5,true,null,"x"]}"#, "0", "\"\"", "[]", " {} \n"] {
            let expected: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse(text.as_bytes(), 8).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_readers_could_read_differently_is_refused() {
        let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
        for (bytes, expected) in [
            (br#"{"a":1,"a":1}"#.as_slice(), "duplicate key"),
            (br#"[{"b":{"a":1,"\u0061":2}}]"#, "duplicate key"),
            (deep.as_bytes(), "nested deeper"),
            (b"\"\xff\"", "not UTF-8"),
            (b"{} {}", "malformed"),
            (b"{}x", "malformed"),
            (b"", "malformed"),
            (b"1e400", "malformed"),
            (b"{'a':1}", "malformed"),
            (b"NaN", "malformed"),
            (b"[1,]", "malformed"),
            (br#""\ud800""#, "malformed"),
        ] {
            let message = parse(bytes, 8).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{bytes:?}: {message}");
        }
    }

    #[test]
    fn values_are_counted() {
        for (text, values) in [("0", 1), ("[]", 1), ("[0,[1],\"2,3\"]", 5), (r#"{"a":{"b":1},"c":[]}"#, 4)] {
            let parse = |values| parse_within(text.as_bytes(), JsonLimits { depth: 8, values });
            assert!(parse(values).is_ok(), "{text}");
            let error = parse(values - 1).unwrap_err();
            assert!(matches!(error, JsonError::TooMany { limit } if limit == values - 1), "{text}: {error}");
        }
    }

    #[test]
    fn depth_is_bounded_even_when_the_limit_is_not() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse(deep.as_bytes(), usize::MAX).is_err());
    }
}
