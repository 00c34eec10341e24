//! A descriptor set (`FileDescriptorSet` of `google/protobuf/descriptor.proto`): what gRPC calls carry.

use std::collections::BTreeMap;

use super::wire::{Fields, Malformed, Wire};

/// Messages in one another that are read at most.
const MAX_NESTING: usize = 32;

/// Why a descriptor set is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// No `FileDescriptorSet`, as `protoc --descriptor_set_out --include_imports` writes it.
    #[error("not a FileDescriptorSet")]
    Malformed,
    /// A file in a syntax other than proto2 and proto3.
    #[error("the file {file:?} has the syntax {syntax:?}; proto2 and proto3 are read")]
    Syntax {
        /// Its name.
        file: String,
        /// Its syntax.
        syntax: String,
    },
    /// A field or a method refers to a type that no file of the set has.
    #[error("{name:?} is not in the set: make it with --include_imports")]
    Unknown {
        /// The full name.
        name: String,
    },
}

impl From<Malformed> for DescriptorError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The messages, enums and methods of a descriptor set, by full name without a leading dot.
#[derive(Debug, Default)]
pub struct Descriptors {
    pub(super) messages: BTreeMap<String, Message>,
    pub(super) enums: BTreeMap<String, BTreeMap<i32, String>>,
    methods: BTreeMap<(String, String), Method>,
}

/// A method of a service.
#[derive(Debug, Clone)]
pub struct Method {
    /// The full name of its input.
    pub input: String,
    /// Whether the client sends a stream of messages.
    pub client_streaming: bool,
}

#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) fields: BTreeMap<u32, Field>,
    /// It is the entry of a map.
    pub(super) is_entry: bool,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) json_name: String,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
    pub(super) required: bool,
    /// Zero is as good as absent.
    pub(super) implicit: bool,
    /// Of the fields with this number the last one counts.
    pub(super) oneof: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Double,
    Float,
    Int64,
    Uint64,
    Int32,
    Uint32,
    Sint32,
    Sint64,
    Fixed64,
    Fixed32,
    Sfixed32,
    Sfixed64,
    Bool,
    Text,
    Bytes,
    Message(String),
    Enum(String),
}

impl Descriptors {
    /// Reads a `FileDescriptorSet`.
    ///
    /// # Errors
    ///
    /// See [`DescriptorError`].
    pub fn parse(set: &[u8]) -> Result<Self, DescriptorError> {
        let mut descriptors = Self::default();
        for field in Fields::of(set) {
            if let (1, Wire::Bytes(file)) = field? {
                descriptors.file(file)?;
            }
        }
        descriptors.check()?;
        Ok(descriptors)
    }

    /// The method of a service.
    #[must_use]
    pub fn method(&self, service: &str, name: &str) -> Option<&Method> {
        self.methods.get(&(service.to_owned(), name.to_owned()))
    }

    fn file(&mut self, file: &[u8]) -> Result<(), DescriptorError> {
        let fields: Vec<_> = Fields::of(file).collect::<Result<_, _>>()?;
        let last = |number| fields.iter().rev().find(|(n, _)| *n == number).and_then(|(_, wire)| wire.text());
        let syntax = last(12).unwrap_or("proto2");
        let is_proto3 = match syntax {
            "proto2" | "" => false,
            "proto3" => true,
            other => {
                let file = last(1).unwrap_or_default().to_owned();
                return Err(DescriptorError::Syntax { file, syntax: other.to_owned() });
            }
        };
        let package = last(2).unwrap_or_default();
        for (number, wire) in &fields {
            match (number, wire.bytes()) {
                (4, Some(message)) => self.define(package, message, is_proto3, MAX_NESTING)?,
                (5, Some(values)) => self.enumeration(package, values)?,
                (6, Some(service)) => self.service(package, service)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn define(
        &mut self,
        scope: &str,
        message: &[u8],
        is_proto3: bool,
        levels_left: usize,
    ) -> Result<(), DescriptorError> {
        let levels_left = levels_left.checked_sub(1).ok_or(DescriptorError::Malformed)?;
        let fields: Vec<_> = Fields::of(message).collect::<Result<_, _>>()?;
        let full = full_name(scope, name_of(&fields)?);
        let mut read = Message::default();
        for (number, wire) in &fields {
            match (number, wire.bytes()) {
                (2, Some(field)) => {
                    let (number, field) = field_of(field, is_proto3)?;
                    read.fields.insert(number, field);
                }
                (3, Some(nested)) => self.define(&full, nested, is_proto3, levels_left)?,
                (4, Some(values)) => self.enumeration(&full, values)?,
                (7, Some(options)) => {
                    for option in Fields::of(options) {
                        read.is_entry |= option? == (7, Wire::Varint(1));
                    }
                }
                _ => {}
            }
        }
        self.messages.insert(full, read);
        Ok(())
    }

    fn enumeration(&mut self, scope: &str, enumeration: &[u8]) -> Result<(), DescriptorError> {
        let fields: Vec<_> = Fields::of(enumeration).collect::<Result<_, _>>()?;
        let mut names = BTreeMap::new();
        for (number, wire) in &fields {
            if let (2, Some(value)) = (number, wire.bytes()) {
                let fields: Vec<_> = Fields::of(value).collect::<Result<_, _>>()?;
                let number = number_of(&fields, 2);
                // Of names for one number the first is the one that is shown.
                names.entry(int32(number)).or_insert(name_of(&fields)?.to_owned());
            }
        }
        self.enums.insert(full_name(scope, name_of(&fields)?), names);
        Ok(())
    }

    fn service(&mut self, scope: &str, service: &[u8]) -> Result<(), DescriptorError> {
        let fields: Vec<_> = Fields::of(service).collect::<Result<_, _>>()?;
        let service = full_name(scope, name_of(&fields)?);
        for (number, wire) in &fields {
            if let (2, Some(method)) = (number, wire.bytes()) {
                let fields: Vec<_> = Fields::of(method).collect::<Result<_, _>>()?;
                let input = text_of(&fields, 2).ok_or(DescriptorError::Malformed)?;
                let input = input.trim_start_matches('.').to_owned();
                let client_streaming = number_of(&fields, 5) == 1;
                let key = (service.clone(), name_of(&fields)?.to_owned());
                self.methods.insert(key, Method { input, client_streaming });
            }
        }
        Ok(())
    }

    /// Holds that every type that is referred to is there.
    fn check(&self) -> Result<(), DescriptorError> {
        let fields = self.messages.values().flat_map(|message| message.fields.values());
        let missing = fields.filter_map(|field| match &field.kind {
            Kind::Message(name) => (!self.messages.contains_key(name)).then_some(name),
            Kind::Enum(name) => (!self.enums.contains_key(name)).then_some(name),
            _ => None,
        });
        let inputs = self.methods.values().map(|method| &method.input);
        let missing = missing.chain(inputs.filter(|input| !self.messages.contains_key(*input))).next();
        missing.map_or(Ok(()), |name| Err(DescriptorError::Unknown { name: name.clone() }))
    }
}

fn field_of(field: &[u8], is_proto3: bool) -> Result<(u32, Field), DescriptorError> {
    let fields: Vec<_> = Fields::of(field).collect::<Result<_, _>>()?;
    let name = name_of(&fields)?;
    let type_name = || {
        let name = text_of(&fields, 6).ok_or(DescriptorError::Malformed)?;
        Ok::<_, DescriptorError>(name.trim_start_matches('.').to_owned())
    };
    let kind = match number_of(&fields, 5) {
        1 => Kind::Double,
        2 => Kind::Float,
        3 => Kind::Int64,
        4 => Kind::Uint64,
        5 => Kind::Int32,
        6 => Kind::Fixed64,
        7 => Kind::Fixed32,
        8 => Kind::Bool,
        9 => Kind::Text,
        10 | 11 => Kind::Message(type_name()?),
        12 => Kind::Bytes,
        13 => Kind::Uint32,
        14 => Kind::Enum(type_name()?),
        15 => Kind::Sfixed32,
        16 => Kind::Sfixed64,
        17 => Kind::Sint32,
        18 => Kind::Sint64,
        _ => return Err(DescriptorError::Malformed),
    };
    let label = number_of(&fields, 4);
    let oneof = fields.iter().rev().find(|(number, _)| *number == 9).and_then(|(_, wire)| wire.varint());
    let is_message = matches!(kind, Kind::Message(_));
    let read = Field {
        json_name: text_of(&fields, 10).map_or_else(|| camel_case(name), str::to_owned),
        kind,
        repeated: label == 3,
        required: label == 2,
        // `optional` of proto3 is a oneof of one.
        implicit: is_proto3 && oneof.is_none() && !is_message,
        oneof,
    };
    let number = u32::try_from(number_of(&fields, 3)).map_err(|_| DescriptorError::Malformed)?;
    Ok((number, read))
}

fn text_of<'a>(fields: &[(u32, Wire<'a>)], number: u32) -> Option<&'a str> {
    fields.iter().rev().find(|(n, _)| *n == number)?.1.text()
}

fn number_of(fields: &[(u32, Wire<'_>)], number: u32) -> u64 {
    fields.iter().rev().find(|(n, _)| *n == number).and_then(|(_, wire)| wire.varint()).unwrap_or(0)
}

fn name_of<'a>(fields: &[(u32, Wire<'a>)]) -> Result<&'a str, DescriptorError> {
    text_of(fields, 1).ok_or(DescriptorError::Malformed)
}

fn full_name(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// The low 32 bits of a varint, as `int32` reads it.
pub(super) fn int32(value: u64) -> i32 {
    let low = value.to_le_bytes();
    i32::from_le_bytes([low[0], low[1], low[2], low[3]])
}

/// `lowerCamelCase` of a field's name, as protoc makes it.
pub(super) fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            out.push(letter.to_ascii_uppercase());
        } else {
            out.push(letter);
        }
    }
    out
}
