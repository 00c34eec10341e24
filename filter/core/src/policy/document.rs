//! A value that Rego reads or gives, cheap to clone and to share between inputs.

use regorus::{Rc, Value};

/// A JSON-like value in the evaluator's own form. A clone shares; nothing is copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Document(pub(super) Value);

/// An object's key, made once and shared by every object that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(Value);

impl Key {
    /// A key that later objects can share.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(Value::from(name))
    }

    pub(super) fn value(&self) -> &Value {
        &self.0
    }
}

impl From<&'static str> for Key {
    fn from(name: &'static str) -> Self {
        Self::new(name)
    }
}

impl Document {
    /// JSON's `null`.
    #[must_use]
    pub fn null() -> Self {
        Self(Value::Null)
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(value: bool) -> Self {
        Self(Value::Bool(value))
    }

    /// A whole number.
    #[must_use]
    pub fn number_u64(value: u64) -> Self {
        Self(Value::from(value))
    }

    /// A string.
    #[must_use]
    pub fn text(value: &str) -> Self {
        Self(Value::from(value))
    }

    /// An array.
    #[must_use]
    pub fn array(items: impl IntoIterator<Item = Self>) -> Self {
        Self(Value::from(items.into_iter().map(|item| item.0).collect::<Vec<_>>()))
    }

    /// An object; of a key that comes twice the last value stays.
    #[must_use]
    pub fn object<K: Into<Key>>(fields: impl IntoIterator<Item = (K, Self)>) -> Self {
        let object = fields.into_iter().map(|(key, value)| (key.into().0, value.0)).collect();
        Self(Value::Object(Rc::new(object)))
    }

    /// A copy of an object with one more field; of anything else, a clone.
    #[must_use]
    pub fn with(&self, name: &str, value: Self) -> Self {
        let mut copy = self.0.clone();
        if let Value::Object(fields) = &mut copy {
            Rc::make_mut(fields).insert(Value::from(name), value.0);
        }
        Self(copy)
    }

    /// An object with keys that are only known at run time, such as header names.
    #[must_use]
    pub fn map<'a>(fields: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let object = fields.into_iter().map(|(key, value)| (Value::from(key), value.0)).collect();
        Self(Value::Object(Rc::new(object)))
    }

    /// A copy of a JSON value.
    #[must_use]
    pub fn from_json(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::null(),
            Json::Bool(value) => Self::boolean(*value),
            Json::String(value) => Self::text(value),
            Json::Array(items) => Self::array(items.iter().map(Self::from_json)),
            Json::Object(fields) => {
                Self::map(fields.iter().map(|(key, value)| (key.as_str(), Self::from_json(value))))
            }
            Json::Number(_) => Self::from_json_owned(json.clone()),
        }
    }

    /// A JSON value.
    #[must_use]
    pub fn from_json_owned(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::null(),
            Json::Bool(value) => Self::boolean(value),
            Json::String(value) => Self(Value::from(value)),
            Json::Array(items) => Self::array(items.into_iter().map(Self::from_json_owned)),
            Json::Object(fields) => Self(Value::Object(Rc::new(
                fields
                    .into_iter()
                    .map(|(key, value)| (Value::from(key), Self::from_json_owned(value).0))
                    .collect(),
            ))),
            number @ Json::Number(_) => Self(Value::from(number)),
        }
    }

    /// Roughly what it holds, in bytes, what it shares with others included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes_of(&self.0)
    }

    /// A number that equal documents share, and different ones hardly ever. Numbers are told apart by how they are written.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = Fnv(0xcbf2_9ce4_8422_2325);
        digest.value(&self.0);
        digest.0
    }

    /// As OPA writes it to JSON: a set becomes a sorted array, a key that is not a string its JSON text. `None` for
    /// numbers that JSON's number cannot hold.
    #[must_use]
    pub fn to_json(&self) -> Option<serde_json::Value> {
        json_of(&self.0)
    }
}

/// FNV-1a. Whoever makes two inputs meet gains nothing: they are compared besides.
struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        let mix = |hash: u64, byte: u64| (hash ^ byte).wrapping_mul(0x0100_0000_01b3);
        let (words, rest) = bytes.as_chunks();
        let mut hash = mix(self.0, u64::from(kind));
        // Eight bytes at once spread upwards alone, hence the shift.
        for word in words {
            hash = mix(hash, u64::from_le_bytes(*word));
            hash ^= hash >> 29;
        }
        for byte in rest {
            hash = mix(hash, u64::from(*byte));
        }
        self.0 = hash ^ (hash >> 32);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Undefined => self.bytes(0, &[]),
            Value::Null => self.bytes(1, &[]),
            Value::Bool(value) => self.bytes(2, &[u8::from(*value)]),
            Value::String(text) => self.bytes(3, text.as_bytes()),
            Value::Number(_) => self.bytes(4, value.to_json_str().unwrap_or_default().as_bytes()),
            Value::Array(items) => {
                self.bytes(5, &[]);
                items.iter().for_each(|item| self.value(item));
                self.bytes(6, &[]);
            }
            Value::Set(items) => {
                self.bytes(7, &[]);
                items.iter().for_each(|item| self.value(item));
                self.bytes(8, &[]);
            }
            Value::Object(fields) => {
                self.bytes(9, &[]);
                for (key, value) in fields.iter() {
                    self.value(key);
                    self.value(value);
                }
                self.bytes(10, &[]);
            }
        }
    }
}

fn bytes_of(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(bytes_of).fold(0, usize::saturating_add),
        Value::Set(items) => items.iter().map(bytes_of).fold(0, usize::saturating_add),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| bytes_of(key).saturating_add(bytes_of(value)))
            .fold(0, usize::saturating_add),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Undefined => 0,
    };
    inside.saturating_add(size_of::<Value>())
}

pub(super) fn json_of(value: &Value) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::String(text) => Json::String(text.as_ref().to_owned()),
        Value::Number(_) => serde_json::from_str(&value.to_json_str().ok()?).ok()?,
        Value::Array(items) => Json::Array(items.iter().map(json_of).collect::<Option<_>>()?),
        Value::Set(items) => Json::Array(items.iter().map(json_of).collect::<Option<_>>()?),
        Value::Object(fields) => {
            let mut object = serde_json::Map::new();
            for (key, value) in fields.iter() {
                let key = match key {
                    Value::String(text) => text.as_ref().to_owned(),
                    other => json_of(other)?.to_string(),
                };
                object.insert(key, json_of(value)?);
            }
            Json::Object(object)
        }
        Value::Undefined => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_survives_the_way_there_and_back() {
        for json in [
            json!(null),
            json!({"a":[1, -2, 1.5, true, "x", {}], "b":{"c":[]}}),
            json!(u64::MAX),
            json!(i64::MIN),
        ] {
            assert_eq!(Document::from_json(&json), Document::from_json_owned(json.clone()));
            assert_eq!(Document::from_json(&json).to_json(), Some(json));
        }
    }

    #[test]
    fn built_and_parsed_documents_are_equal() {
        let name = Key::new("name");
        let built = Document::object([
            (name.clone(), Document::text("x")),
            (Key::from("n"), Document::number_u64(7)),
            (
                Key::from("l"),
                Document::array([
                    Document::null(),
                    Document::boolean(true),
                    Document::map([("k", Document::null())]),
                ]),
            ),
        ]);
        assert_eq!(built, Document::from_json_owned(json!({"name":"x","n":7,"l":[null,true,{"k":null}]})));
    }

    #[test]
    fn sets_and_odd_keys_become_json_as_in_opa() {
        let set = Value::from(std::collections::BTreeSet::from([Value::from("b"), Value::from("a")]));
        let object = Value::from(std::collections::BTreeMap::from([(Value::from(1_u64), set)]));
        assert_eq!(json_of(&object), Some(json!({"1":["a","b"]})));
        assert_eq!(json_of(&Value::Undefined), None);
    }
}
