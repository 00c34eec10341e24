//! Typed documents out of JSON, with a pointer (RFC 6901) to what does not fit.
//!
//! What reads a member or an item is kept out of line: a document has hundreds of members of a few types, and is read once.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde_json::{Map, Value};

/// What does not fit, and where.
#[derive(Debug)]
pub struct Misfit {
    /// JSON pointer of the value; empty for the document itself.
    pub pointer: String,
    /// What is wrong with it, such as ``unknown field `a`, expected `b` ``.
    pub problem: String,
}

impl Misfit {
    /// The same fault of a document within another, at `pointer` there.
    #[must_use]
    pub fn within(mut self, pointer: &str) -> Self {
        self.pointer.insert_str(0, pointer);
        self
    }
}

impl fmt::Display for Misfit {
    /// The pointer and what is wrong there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() { "the top level" } else { &self.pointer };
        write!(f, "{place}: {}", self.problem)
    }
}

impl std::error::Error for Misfit {}

/// A misfit on its way up, which hundreds of places hand on: one word.
#[derive(Debug)]
struct Refusal(Box<Misfit>);

impl Refusal {
    /// The same fault, seen from one level further up.
    #[cold]
    #[inline(never)]
    fn below(mut self, name: &str) -> Self {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        self.0.pointer.insert_str(0, &format!("/{escaped}"));
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refusal {}

impl serde::de::Error for Refusal {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self(Box::new(Misfit { pointer: String::new(), problem: problem.to_string() }))
    }

    /// Without what stands there: it may be a secret in the wrong place.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn serde::de::Expected) -> Self {
        let found = match found {
            Unexpected::Str(_) => Unexpected::Other("a string"),
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => {
                Unexpected::Other("a number")
            }
            other => other,
        };
        Self::custom(format_args!("invalid type: {found}, expected {expected}"))
    }

    /// Without what stands there, likewise.
    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("unknown variant, expected one of `{}`", expected.join("`, `")))
    }
}

/// Reads a document as a type.
///
/// # Errors
///
/// See [`Misfit`]: the first value that is not of the shape that its place asks for.
pub fn read<T: DeserializeOwned>(document: &Value) -> Result<T, Misfit> {
    T::deserialize(Place(document)).map_err(|refusal| *refusal.0)
}

/// A value in the document.
#[derive(Clone, Copy)]
struct Place<'de>(&'de Value);

impl<'de> Place<'de> {
    #[inline(never)]
    fn number<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let Value::Number(number) = self.0 else { return Err(misfit(self.0, &visitor)) };
        match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(value), _, _) => visitor.visit_u64(value),
            (None, Some(value), _) => visitor.visit_i64(value),
            (None, None, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
        }
    }

    #[inline(never)]
    fn text<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            other => Err(misfit(other, &visitor)),
        }
    }

    #[inline(never)]
    fn items<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(Items { items: items.iter(), index: 0 }),
            other => Err(misfit(other, &visitor)),
        }
    }

    #[inline(never)]
    fn members<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Object(members) => visitor.visit_map(Members { members: members.iter(), value: None }),
            other => Err(misfit(other, &visitor)),
        }
    }
}

/// Methods that take what one kind of value needs and nothing else: what a visitor can do besides is not compiled in.
macro_rules! by_kind {
    ($($kind:ident: $($method:ident)*;)*) => {
        $($(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            self.$kind(visitor)
        })*)*
    };
}

impl<'de> Deserializer<'de> for Place<'de> {
    type Error = Refusal;

    by_kind! {
        number: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
            deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64;
        text: deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
            deserialize_identifier;
        items: deserialize_seq;
        members: deserialize_map;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(_) => self.number(visitor),
            Value::String(_) => self.text(visitor),
            Value::Array(_) => self.items(visitor),
            Value::Object(_) => self.members(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            other => Err(misfit(other, &visitor)),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.0.is_null() { visitor.visit_unit() } else { Err(misfit(self.0, &visitor)) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.items(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.items(visitor)
    }

    /// An array in place of an object would leave out what the members mean.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.members(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let mut members = self.0.as_object().into_iter().flat_map(Map::iter);
        let variant = match (self.0, members.next(), members.next()) {
            (Value::String(name), _, _) => Variant { name, content: None },
            (_, Some((name, content)), None) => Variant { name, content: Some(content) },
            _ => return Err(misfit(self.0, &"a name, or an object with one member")),
        };
        visitor.visit_enum(variant)
    }
}

fn misfit(value: &Value, expected: &dyn serde::de::Expected) -> Refusal {
    let found = match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(_) => Unexpected::Unsigned(0),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    };
    serde::de::Error::invalid_type(found, expected)
}

struct Items<'de> {
    items: std::slice::Iter<'de, Value>,
    index: usize,
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Refusal;

    #[inline(never)]
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let index = self.index;
        self.index = index.saturating_add(1);
        seed.deserialize(Place(item)).map(Some).map_err(|refusal| refusal.below(&index.to_string()))
    }
}

struct Members<'de> {
    members: serde_json::map::Iter<'de>,
    value: Option<(&'de str, &'de Value)>,
}

impl<'de> MapAccess<'de> for Members<'de> {
    type Error = Refusal;

    #[inline(never)]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        let Some((name, value)) = self.members.next() else { return Ok(None) };
        self.value = Some((name, value));
        let name: StrDeserializer<'_, Refusal> = name.as_str().into_deserializer();
        seed.deserialize(name).map(Some).map_err(|refusal| self.below(refusal))
    }

    #[inline(never)]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refusal> {
        let value = self.value.map_or(&Value::Null, |(_, value)| value);
        seed.deserialize(Place(value)).map_err(|refusal| self.below(refusal))
    }
}

impl Members<'_> {
    fn below(&self, refusal: Refusal) -> Refusal {
        match self.value {
            Some((name, _)) => refusal.below(name),
            None => refusal,
        }
    }
}

/// The variant of an enum: its name, and what is in it.
struct Variant<'de> {
    name: &'de str,
    content: Option<&'de Value>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Refusal> {
        let name: StrDeserializer<'_, Refusal> = self.name.into_deserializer();
        let variant = seed.deserialize(name)?;
        Ok((variant, self))
    }
}

impl<'de> Variant<'de> {
    fn inside(&self) -> Place<'de> {
        Place(self.content.unwrap_or(&Value::Null))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        match self.content {
            None | Some(Value::Null) => Ok(()),
            Some(value) => Err(misfit(value, &"nothing").below(self.name)),
        }
    }

    #[inline(never)]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        seed.deserialize(self.inside()).map_err(|refusal| refusal.below(self.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.inside().items(visitor).map_err(|refusal| refusal.below(self.name))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.inside().members(visitor).map_err(|refusal| refusal.below(self.name))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::read;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, rename_all = "snake_case")]
    struct Document {
        name: String,
        #[serde(default)]
        ports: Vec<u16>,
        level: Option<Level>,
        #[serde(default)]
        shapes: BTreeMap<String, Shape>,
        #[serde(default)]
        any: serde_json::Value,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Level(i32);

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Shape {
        Dot,
        Circle(f64),
        #[serde(untagged)]
        Other {
            sides: u8,
        },
    }

    #[test]
    fn documents_are_read_as_serde_json_reads_them() {
        for document in [
            json!({"name": "a"}),
            json!({"name": "a", "ports": [1, 65535], "level": -3, "any": {"b": [null, 1.5]}}),
            json!({"name": "a", "level": null, "shapes": {"x": "dot", "y": {"circle": 2.5}, "z": {"sides": 3}}}),
        ] {
            let expected: Document = serde_json::from_value(document.clone()).unwrap();
            assert_eq!(read::<Document>(&document).unwrap(), expected);
        }
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place() {
        for (document, pointer, problem) in [
            (json!({}), "", "missing field `name`"),
            (json!([]), "", "invalid type: sequence"),
            (json!({"name": 1}), "/name", "invalid type: a number, expected a string"),
            (json!({"name": "a", "ports": [1, 65536]}), "/ports/1", "invalid value: integer `65536`"),
            (json!({"name": "a", "ports": {}}), "/ports", "invalid type: map"),
            (json!({"name": "a", "level": "x"}), "/level", "invalid type: a string"),
            (json!({"name": "a", "what": 1}), "/what", "unknown field `what`"),
            (json!({"name": "a", "shapes": {"a/b~": {"circle": "x"}}}), "/shapes/a~1b~0", ""),
        ] {
            let misfit = read::<Document>(&document).unwrap_err();
            assert_eq!(misfit.pointer, pointer, "{document}: {misfit}");
            assert!(misfit.problem.starts_with(problem), "{document}: {misfit}");
        }
        #[derive(Debug, Deserialize)]
        enum Plain {
            #[serde(rename = "dot")]
            Dot,
            #[serde(rename = "circle")]
            Circle(f64),
        }
        for (document, pointer, problem) in [
            (json!({"circle": "x"}), "/circle", "invalid type: a string"),
            (json!({"dot": 1}), "/dot", "invalid type: a number, expected nothing"),
            (json!("square"), "", "unknown variant, expected one of `dot`, `circle`"),
            (json!({"square": 1}), "", "unknown variant, expected one of `dot`, `circle`"),
            (json!({"dot": null, "circle": 1}), "", "invalid type: map"),
            (json!(7), "", "invalid type: a number"),
        ] {
            let misfit = read::<Plain>(&document).unwrap_err();
            assert_eq!(misfit.pointer, pointer, "{document}: {misfit}");
            assert!(misfit.problem.starts_with(problem), "{document}: {misfit}");
        }
        assert!(matches!(read(&json!("dot")), Ok(Plain::Dot)));
        assert!(matches!(read(&json!({"circle": 1})), Ok(Plain::Circle(radius)) if radius > 0.5));
    }
}
