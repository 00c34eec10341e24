//! The messages of `google.protobuf` that have a JSON of their own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::decode::{Budget, MessageError, MessageLimits, float};
use super::descriptor::{camel_case, int32};
use super::wire::{Fields, Wire};

type Read = Result<Value, MessageError>;

/// The JSON of a well-known type; `None` for any other.
pub(super) fn decode(name: &str, bytes: &[u8], depth: usize, budget: &mut Budget) -> Option<Read> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => seconds_and_nanos(bytes).and_then(|(seconds, nanos)| timestamp(seconds, nanos)),
        "Duration" => seconds_and_nanos(bytes).and_then(|(seconds, nanos)| duration(seconds, nanos)),
        "FieldMask" => field_mask(bytes),
        "Struct" => structure_within(bytes, depth, budget),
        "Value" => value(bytes, depth, budget),
        "ListValue" => list(bytes, depth, budget),
        "Empty" => each(bytes, |_, _| Ok(())).map(|()| Value::Object(Map::new())),
        // What it holds is of a type that the set need not have.
        "Any" => Err(MessageError::Malformed),
        wrapper => return wrapped(wrapper, bytes),
    })
}

fn each<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(u32, Wire<'a>) -> Result<(), MessageError>,
) -> Result<(), MessageError> {
    Fields::of(bytes).try_for_each(|field| {
        let (number, wire) = field?;
        take(number, wire)
    })
}

fn wrapped(name: &str, bytes: &[u8]) -> Option<Read> {
    let mut value = match name {
        "DoubleValue" | "FloatValue" | "Int32Value" | "UInt32Value" => Value::from(0),
        "Int64Value" | "UInt64Value" => Value::from("0"),
        "BoolValue" => Value::Bool(false),
        "StringValue" | "BytesValue" => Value::from(""),
        _ => return None,
    };
    let read = each(bytes, |number, wire| {
        if number != 1 {
            return Ok(());
        }
        value = match (name, wire) {
            ("DoubleValue", Wire::Fixed64(bits)) => float(f64::from_bits(bits)),
            ("FloatValue", Wire::Fixed32(bits)) => {
                float(f32::from_bits(bits).to_string().parse().unwrap_or(f64::NAN))
            }
            ("Int32Value", Wire::Varint(v)) => Value::from(int32(v)),
            ("UInt32Value", Wire::Varint(v)) => Value::from(v & u64::from(u32::MAX)),
            ("Int64Value", Wire::Varint(v)) => Value::from(v.cast_signed().to_string()),
            ("UInt64Value", Wire::Varint(v)) => Value::from(v.to_string()),
            ("BoolValue", Wire::Varint(v)) => Value::Bool(v != 0),
            ("StringValue", wire @ Wire::Bytes(_)) => {
                Value::from(wire.text().ok_or(MessageError::Malformed)?)
            }
            ("BytesValue", Wire::Bytes(bytes)) => Value::from(STANDARD.encode(bytes)),
            _ => return Ok(()),
        };
        Ok(())
    });
    Some(read.map(|()| value))
}

fn seconds_and_nanos(bytes: &[u8]) -> Result<(i64, i32), MessageError> {
    let (mut seconds, mut nanos) = (0, 0);
    each(bytes, |number, wire| {
        match (number, wire) {
            (1, Wire::Varint(v)) => seconds = v.cast_signed(),
            (2, Wire::Varint(v)) => nanos = int32(v),
            _ => {}
        }
        Ok(())
    })?;
    Ok((seconds, nanos))
}

/// None, three, six or nine digits, as few as it takes.
fn fraction(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1000 == 0 => format!(".{:06}", nanos / 1000),
        nanos => format!(".{nanos:09}"),
    }
}

/// RFC 3339, from the year 1 to 9999.
fn timestamp(seconds: i64, nanos: i32) -> Read {
    let nanos = u32::try_from(nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let in_range = (-62_135_596_800..=253_402_300_799).contains(&seconds);
    let (true, Some(nanos)) = (in_range, nanos) else { return Err(MessageError::Malformed) };
    // Two thousand years later, to the day, so that nothing is negative.
    let later = u64::try_from(seconds.saturating_add(730_485 * 86_400)).unwrap_or(0);
    let (year, month, day) = crate::audit::civil(later / 86_400);
    let (year, rest) = (year.saturating_sub(2000), later % 86_400);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let fraction = fraction(nanos);
    Ok(Value::from(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")))
}

fn duration(seconds: i64, nanos: i32) -> Read {
    const MAX: i64 = 315_576_000_000;
    let agree = seconds == 0 || nanos == 0 || (seconds < 0) == (nanos < 0);
    if !agree || !(-MAX..=MAX).contains(&seconds) || nanos.unsigned_abs() >= 1_000_000_000 {
        return Err(MessageError::Malformed);
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    Ok(Value::from(format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.unsigned_abs()))))
}

fn field_mask(bytes: &[u8]) -> Read {
    let mut paths: Vec<String> = Vec::new();
    each(bytes, |number, wire| {
        if let (1, wire @ Wire::Bytes(_)) = (number, wire) {
            let path = wire.text().ok_or(MessageError::Malformed)?;
            // A name that does not come back the same cannot be shown.
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.".contains(&b);
            if !path.bytes().all(plain) {
                return Err(MessageError::Malformed);
            }
            paths.push(camel_case(path));
        }
        Ok(())
    })?;
    Ok(Value::from(paths.join(",")))
}

/// A `google.protobuf.Struct`.
pub(crate) fn structure(bytes: &[u8], limits: MessageLimits) -> Read {
    structure_within(bytes, 0, &mut Budget::new(limits))
}

fn structure_within(bytes: &[u8], depth: usize, budget: &mut Budget) -> Read {
    let depth = budget.deeper(depth)?;
    let mut object = Map::new();
    each(bytes, |number, wire| {
        let (1, Wire::Bytes(entry)) = (number, wire) else { return Ok(()) };
        budget.value()?;
        let (mut name, mut member) = ("", None);
        each(entry, |number, wire| {
            match (number, wire) {
                (1, wire @ Wire::Bytes(_)) => name = wire.text().ok_or(MessageError::Malformed)?,
                (2, Wire::Bytes(bytes)) => member = Some(bytes),
                _ => {}
            }
            Ok(())
        })?;
        let member = value(member.ok_or(MessageError::Malformed)?, depth, budget)?;
        object.insert(name.to_owned(), member);
        Ok(())
    })?;
    Ok(Value::Object(object))
}

fn value(bytes: &[u8], depth: usize, budget: &mut Budget) -> Read {
    budget.value()?;
    let mut last = None;
    each(bytes, |number, wire| {
        last = Some(match (number, wire) {
            (1, Wire::Varint(_)) => Value::Null,
            (2, Wire::Fixed64(bits)) => {
                let number = f64::from_bits(bits);
                // There is no `null` that would stand for it, and no string either.
                if !number.is_finite() {
                    return Err(MessageError::Malformed);
                }
                float(number)
            }
            (3, wire @ Wire::Bytes(_)) => Value::from(wire.text().ok_or(MessageError::Malformed)?),
            (4, Wire::Varint(v)) => Value::Bool(v != 0),
            (5, Wire::Bytes(bytes)) => structure_within(bytes, depth, budget)?,
            (6, Wire::Bytes(bytes)) => list(bytes, depth, budget)?,
            _ => return Ok(()),
        });
        Ok(())
    })?;
    last.ok_or(MessageError::Malformed)
}

fn list(bytes: &[u8], depth: usize, budget: &mut Budget) -> Read {
    let depth = budget.deeper(depth)?;
    let mut items = Vec::new();
    each(bytes, |number, wire| {
        if let (1, Wire::Bytes(bytes)) = (number, wire) {
            items.push(value(bytes, depth, budget)?);
        }
        Ok(())
    })?;
    Ok(Value::Array(items))
}
