//! Just enough of the protobuf wire format for the arguments and results of foreign functions.

/// The fields of a message.
#[derive(Debug)]
pub(super) struct Fields<'message> {
    fields: Vec<(u64, Value<'message>)>,
}

#[derive(Clone, Copy, Debug)]
enum Value<'message> {
    Number(u64),
    Bytes(&'message [u8]),
    Fixed,
}

impl<'message> Fields<'message> {
    /// The last length-delimited field of this number; proto3 has the last one win.
    pub(super) fn bytes(&self, number: u64) -> Option<&'message [u8]> {
        self.fields.iter().rev().find_map(|(field, value)| match value {
            Value::Bytes(bytes) if *field == number => Some(*bytes),
            _ => None,
        })
    }

    /// The last varint field of this number.
    pub(super) fn number(&self, number: u64) -> Option<u64> {
        self.fields.iter().rev().find_map(|(field, value)| match value {
            Value::Number(value) if *field == number => Some(*value),
            _ => None,
        })
    }
}

/// Reads a message; `None` if it is malformed.
pub(super) fn fields(mut bytes: &[u8]) -> Option<Fields<'_>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (tag, rest) = varint(bytes)?;
        if tag >> 3 == 0 {
            return None;
        }
        let (value, rest) = match tag & 7 {
            0 => varint(rest).map(|(number, rest)| (Value::Number(number), rest))?,
            1 => (Value::Fixed, rest.get(8..)?),
            2 => {
                let (length, rest) = varint(rest)?;
                let (field, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
                (Value::Bytes(field), rest)
            }
            5 => (Value::Fixed, rest.get(4..)?),
            _ => return None,
        };
        fields.push((tag >> 3, value));
        bytes = rest;
    }
    Some(Fields { fields })
}

/// Writes a length-delimited field; proto3 leaves an empty one out.
pub(super) fn put_bytes(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        out.push((number << 3) | 2);
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap_or(0x7f) | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap_or(0));
        out.extend_from_slice(bytes);
    }
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        let shift = u32::try_from(index).ok()?.checked_mul(7)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(index.checked_add(1)?..)?));
        }
    }
    None
}
