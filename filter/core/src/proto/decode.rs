//! A message as JSON, in the form of protojson (proto3's "JSON Mapping"): unset fields are absent, names are
//! `lowerCamelCase`, 64-bit integers are strings, enums are names.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::descriptor::{Descriptors, Field, Kind, Message, int32};
use super::known;
use super::wire::{Fields, Malformed, Wire};

/// How much of a message is read.
#[derive(Debug, Clone, Copy)]
pub struct MessageLimits {
    /// Messages within messages.
    pub depth: usize,
    /// Values, in all messages together.
    pub values: usize,
}

/// Why a message is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// The bytes are no message of its type.
    #[error("malformed message")]
    Malformed,
    /// Messages are nested deeper than the limit.
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit in force.
        limit: usize,
    },
    /// More values than the limit.
    #[error("more than {limit} values")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
}

impl From<Malformed> for MessageError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// What is left of the limits.
pub(super) struct Budget {
    limits: MessageLimits,
    values_left: usize,
}

impl Budget {
    pub(super) fn new(limits: MessageLimits) -> Self {
        Self { limits, values_left: limits.values }
    }

    pub(super) fn value(&mut self) -> Result<(), MessageError> {
        let limit = self.limits.values;
        self.values_left = self.values_left.checked_sub(1).ok_or(MessageError::TooMany { limit })?;
        Ok(())
    }

    pub(super) fn deeper(&self, depth: usize) -> Result<usize, MessageError> {
        let limit = self.limits.depth;
        depth.checked_add(1).filter(|depth| *depth <= limit).ok_or(MessageError::TooDeep { limit })
    }
}

impl Descriptors {
    /// The JSON of a message of this type.
    ///
    /// # Errors
    ///
    /// See [`MessageError`].
    pub fn decode(
        &self,
        full_name: &str,
        bytes: &[u8],
        limits: MessageLimits,
    ) -> Result<Value, MessageError> {
        self.message(full_name, bytes, 0, &mut Budget::new(limits))
    }

    pub(super) fn message(
        &self,
        name: &str,
        bytes: &[u8],
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Value, MessageError> {
        let depth = budget.deeper(depth)?;
        if let Some(value) = known::decode(name, bytes, depth, budget) {
            return value;
        }
        let Some(message) = self.messages.get(name) else { return Err(MessageError::Malformed) };
        let mut object = Map::new();
        let found = collect(message, bytes, budget)?;
        for (number, field) in &message.fields {
            let wires = found.get(number).map_or(&[][..], Vec::as_slice);
            let value = match &field.kind {
                Kind::Message(entry) if field.repeated && self.is_entry(entry) => {
                    self.map(entry, wires, depth, budget)?
                }
                _ if field.repeated => self.list(field, wires, depth, budget)?,
                _ => self.single(field, wires, depth, budget)?,
            };
            match value {
                Some(value) => drop(object.insert(field.json_name.clone(), value)),
                None if field.required => return Err(MessageError::Malformed),
                None => {}
            }
        }
        Ok(Value::Object(object))
    }

    fn is_entry(&self, name: &str) -> bool {
        self.messages.get(name).is_some_and(|message| message.is_entry)
    }

    fn single(
        &self,
        field: &Field,
        wires: &[Wire<'_>],
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Option<Value>, MessageError> {
        if let Kind::Message(name) = &field.kind {
            let parts: Vec<&[u8]> = wires.iter().filter_map(|wire| body_of(*wire)).collect();
            return match parts.as_slice() {
                [] => Ok(None),
                [one] => self.message(name, one, depth, budget).map(Some),
                // A message that comes in parts is all of them together.
                parts => self.message(name, &parts.concat(), depth, budget).map(Some),
            };
        }
        let mut last = None;
        for wire in wires {
            self.scalars(&field.kind, *wire, &mut |value, is_zero| {
                last = (!(is_zero && field.implicit)).then_some(value);
                Ok(())
            })?;
        }
        Ok(last)
    }

    fn list(
        &self,
        field: &Field,
        wires: &[Wire<'_>],
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Option<Value>, MessageError> {
        let mut items = Vec::new();
        for wire in wires {
            match &field.kind {
                Kind::Message(name) => {
                    if let Some(body) = body_of(*wire) {
                        items.push(self.message(name, body, depth, budget)?);
                    }
                }
                kind => self.scalars(kind, *wire, &mut |value, _| {
                    budget.value()?;
                    items.push(value);
                    Ok(())
                })?,
            }
        }
        Ok((!items.is_empty()).then_some(Value::Array(items)))
    }

    fn map(
        &self,
        entry: &str,
        wires: &[Wire<'_>],
        depth: usize,
        budget: &mut Budget,
    ) -> Result<Option<Value>, MessageError> {
        let Some(entry) = self.messages.get(entry) else { return Err(MessageError::Malformed) };
        let (Some(key), Some(value)) = (entry.fields.get(&1), entry.fields.get(&2)) else {
            return Err(MessageError::Malformed);
        };
        if wires.is_empty() {
            return Ok(None);
        }
        let depth = budget.deeper(depth)?;
        let mut object = Map::new();
        for body in wires.iter().filter_map(|wire| body_of(*wire)) {
            let found = collect(entry, body, budget)?;
            let wires = |number| found.get(number).map_or(&[][..], Vec::as_slice);
            let name = match self.single(key, wires(&1), depth, budget)? {
                Some(Value::String(name)) => name,
                Some(other) => other.to_string(),
                None => match key.kind {
                    Kind::Text => String::new(),
                    Kind::Bool => "false".to_owned(),
                    _ => "0".to_owned(),
                },
            };
            let read = match self.single(value, wires(&2), depth, budget)? {
                Some(read) => read,
                None => self.zero(&value.kind, depth, budget)?,
            };
            object.insert(name, read);
        }
        Ok((!object.is_empty()).then_some(Value::Object(object)))
    }

    /// What an absent value of a map's entry stands for.
    fn zero(&self, kind: &Kind, depth: usize, budget: &mut Budget) -> Result<Value, MessageError> {
        Ok(match kind {
            Kind::Message(name) => self.message(name, &[], depth, budget)?,
            Kind::Text | Kind::Bytes => Value::from(""),
            Kind::Bool => Value::Bool(false),
            Kind::Int64 | Kind::Uint64 | Kind::Sint64 | Kind::Fixed64 | Kind::Sfixed64 => Value::from("0"),
            Kind::Enum(name) => self.enum_value(name, 0),
            _ => Value::from(0),
        })
    }

    /// Gives each value of a field, and whether it is zero; a packed one has several. A field of another wire type is
    /// as good as unknown.
    fn scalars(
        &self,
        kind: &Kind,
        wire: Wire<'_>,
        take: &mut dyn FnMut(Value, bool) -> Result<(), MessageError>,
    ) -> Result<(), MessageError> {
        match (kind, wire) {
            (Kind::Text, Wire::Bytes(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|_| MessageError::Malformed)?;
                take(Value::from(text), bytes.is_empty())
            }
            (Kind::Bytes, Wire::Bytes(bytes)) => take(Value::from(STANDARD.encode(bytes)), bytes.is_empty()),
            (Kind::Text | Kind::Bytes | Kind::Message(_), _) => Ok(()),
            (kind, Wire::Bytes(packed)) => {
                let mut numbers = Fields::of(packed);
                while !numbers.is_empty() {
                    let wire = match width(kind) {
                        Width::Varint => numbers.varint().map(Wire::Varint),
                        Width::Four => numbers.fixed().map(|bytes| Wire::Fixed32(u32::from_le_bytes(bytes))),
                        Width::Eight => numbers.fixed().map(|bytes| Wire::Fixed64(u64::from_le_bytes(bytes))),
                    };
                    if let Some((value, is_zero)) = self.number(kind, wire.ok_or(MessageError::Malformed)?) {
                        take(value, is_zero)?;
                    }
                }
                Ok(())
            }
            (kind, wire) => match self.number(kind, wire) {
                Some((value, is_zero)) => take(value, is_zero),
                None => Ok(()),
            },
        }
    }

    fn number(&self, kind: &Kind, wire: Wire<'_>) -> Option<(Value, bool)> {
        Some(match (kind, wire) {
            (Kind::Int32, Wire::Varint(v)) => (Value::from(int32(v)), int32(v) == 0),
            (Kind::Uint32, Wire::Varint(v)) => {
                let low = v & u64::from(u32::MAX);
                (Value::from(low), low == 0)
            }
            (Kind::Sint32, Wire::Varint(v)) => {
                let value = int32(zigzag(v & u64::from(u32::MAX)));
                (Value::from(value), value == 0)
            }
            (Kind::Int64, Wire::Varint(v)) => (Value::from(v.cast_signed().to_string()), v == 0),
            (Kind::Uint64, Wire::Varint(v)) | (Kind::Fixed64, Wire::Fixed64(v)) => {
                (Value::from(v.to_string()), v == 0)
            }
            (Kind::Sint64, Wire::Varint(v)) => (Value::from(zigzag(v).cast_signed().to_string()), v == 0),
            (Kind::Sfixed64, Wire::Fixed64(v)) => (Value::from(v.cast_signed().to_string()), v == 0),
            (Kind::Fixed32, Wire::Fixed32(v)) => (Value::from(v), v == 0),
            (Kind::Sfixed32, Wire::Fixed32(v)) => (Value::from(v.cast_signed()), v == 0),
            (Kind::Bool, Wire::Varint(v)) => (Value::Bool(v != 0), v == 0),
            (Kind::Enum(name), Wire::Varint(v)) => (self.enum_value(name, int32(v)), int32(v) == 0),
            // Negative zero is not zero.
            (Kind::Double, Wire::Fixed64(v)) => (float(f64::from_bits(v)), v == 0),
            (Kind::Float, Wire::Fixed32(v)) => {
                // By its shortest text, as protojson writes it: 0.1 is not 0.10000000149.
                let short = f32::from_bits(v).to_string().parse();
                (float(short.unwrap_or(f64::NAN)), v == 0)
            }
            _ => return None,
        })
    }

    fn enum_value(&self, name: &str, number: i32) -> Value {
        if name == "google.protobuf.NullValue" {
            return Value::Null;
        }
        let known = self.enums.get(name).and_then(|names| names.get(&number));
        known.map_or_else(|| Value::from(number), |name| Value::from(name.as_str()))
    }
}

/// The fields of a message by number, each with its values in order; of a oneof only the one that came last.
fn collect<'a>(
    message: &Message,
    bytes: &'a [u8],
    budget: &mut Budget,
) -> Result<BTreeMap<u32, Vec<Wire<'a>>>, MessageError> {
    let mut found: BTreeMap<u32, Vec<Wire<'a>>> = BTreeMap::new();
    for field in Fields::of(bytes) {
        let (number, wire) = field?;
        budget.value()?;
        let Some(field) = message.fields.get(&number) else { continue };
        if let Some(oneof) = field.oneof {
            found.retain(|other, _| {
                *other == number || message.fields.get(other).is_some_and(|other| other.oneof != Some(oneof))
            });
        }
        found.entry(number).or_default().push(wire);
    }
    Ok(found)
}

enum Width {
    Varint,
    Four,
    Eight,
}

fn width(kind: &Kind) -> Width {
    match kind {
        Kind::Float | Kind::Fixed32 | Kind::Sfixed32 => Width::Four,
        Kind::Double | Kind::Fixed64 | Kind::Sfixed64 => Width::Eight,
        _ => Width::Varint,
    }
}

/// A message or a group.
fn body_of(wire: Wire<'_>) -> Option<&[u8]> {
    match wire {
        Wire::Bytes(bytes) | Wire::Group(bytes) => Some(bytes),
        _ => None,
    }
}

fn zigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

/// A number as JSON has it; what JSON does not have is a string.
pub(super) fn float(value: f64) -> Value {
    // Below 2^53 every whole number is exact.
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        return Value::from(value as i64);
    }
    match Number::from_f64(value) {
        Some(number) => Value::Number(number),
        None if value.is_nan() => Value::from("NaN"),
        None if value > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    }
}
