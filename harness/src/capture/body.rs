//! Bodies: JSON as itself, text as a string, bytes as `{"base64": "…"}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

/// The body of a request or a response.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Sent as compact JSON.
    Json(Value),
    /// Sent as UTF-8.
    Text(String),
    /// Sent as they are.
    Bytes(Vec<u8>),
}

impl Body {
    /// What goes over the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Json(value) => value.to_string().into_bytes(),
            Self::Text(text) => text.clone().into_bytes(),
            Self::Bytes(bytes) => bytes.clone(),
        }
    }

    /// The form in which a body that was seen on the wire is recorded: what another form would change stays bytes.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }
}

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Value::deserialize(deserializer)? {
            Value::String(text) => Self::Text(text),
            Value::Object(object) if object.len() == 1 && object.contains_key("base64") => {
                let text = object.get("base64").and_then(Value::as_str).ok_or_else(|| D::Error::custom("base64: not a string"))?;
                Self::Bytes(STANDARD.decode(text).map_err(|error| D::Error::custom(format!("base64: {error}")))?)
            }
            value => Self::Json(value),
        })
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(value) => value.serialize(serializer),
            Self::Text(text) => text.serialize(serializer),
            Self::Bytes(bytes) => json!({"base64": STANDARD.encode(bytes)}).serialize(serializer),
        }
    }
}
