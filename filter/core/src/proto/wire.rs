//! The wire format of Protocol Buffers: fields in, one after the other, and nothing that is not all there.

/// Groups within groups that are skipped at most.
const MAX_GROUPS: usize = 32;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// What stands between the tags of a group.
    Group(&'a [u8]),
}

impl<'a> Wire<'a> {
    pub(crate) fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn varint(self) -> Option<u64> {
        match self {
            Self::Varint(value) => Some(value),
            _ => None,
        }
    }
}

/// A message that is malformed or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The fields of a message, in order; after a fault, nothing.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next number alone, as packed fields have them.
    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for place in 0..10_u32 {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            let low = u64::from(byte & 0x7f);
            // Of the tenth byte one bit is left.
            if place == 9 && low > 1 {
                return None;
            }
            value |= low.checked_shl(place.checked_mul(7)?)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*bytes)
    }

    fn tag(&mut self) -> Option<(u32, u8)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok().filter(|number| (1..1 << 29).contains(number))?;
        Some((number, u8::try_from(tag & 7).ok()?))
    }

    fn value(&mut self, number: u32, kind: u8) -> Option<Wire<'a>> {
        Some(match kind {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Wire::Bytes(bytes)
            }
            3 => self.group(number)?,
            5 => Wire::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return None,
        })
    }

    /// Up to the end tag of a group whose start tag was read.
    fn group(&mut self, number: u32) -> Option<Wire<'a>> {
        let start = self.rest;
        let mut open = vec![number];
        loop {
            let before = self.rest.len();
            let (number, kind) = self.tag()?;
            match kind {
                3 if open.len() < MAX_GROUPS => open.push(number),
                3 => return None,
                4 => {
                    if open.pop() != Some(number) {
                        return None;
                    }
                    if open.is_empty() {
                        return start.get(..start.len().checked_sub(before)?).map(Wire::Group);
                    }
                }
                _ => drop(self.value(number, kind)?),
            }
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.tag().and_then(|(number, kind)| Some((number, self.value(number, kind)?)));
        if field.is_none() {
            self.rest = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, Malformed> {
        Fields::of(bytes).collect()
    }

    #[test]
    fn every_kind_is_read() {
        for (bytes, expected) in [
            (&[][..], vec![]),
            (&[0x08, 0x96, 0x01], vec![(1, Wire::Varint(150))]),
            (&[0x12, 2, b'h', b'i'], vec![(2, Wire::Bytes(b"hi"))]),
            (&[0x1d, 1, 0, 0, 0], vec![(3, Wire::Fixed32(1))]),
            (&[0x21, 1, 0, 0, 0, 0, 0, 0, 0], vec![(4, Wire::Fixed64(1))]),
            (&[0x2b, 0x08, 1, 0x2c, 0x08, 2], vec![(5, Wire::Group(&[0x08, 1])), (1, Wire::Varint(2))]),
            (&[0x2b, 0x33, 0x34, 0x2c], vec![(5, Wire::Group(&[0x33, 0x34]))]),
            (
                &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                vec![(1, Wire::Varint(u64::MAX))],
            ),
        ] {
            assert_eq!(fields(bytes).as_ref(), Ok(&expected), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_not_all_there_is_malformed() {
        let nested = [vec![0x0b; MAX_GROUPS + 1], vec![0x0c; MAX_GROUPS + 1]].concat();
        for bytes in [
            &[0x08][..],
            &[0x08, 0x80],
            &[0x00, 0x01],
            &[0x12, 5, b'x'],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
            &[0x1d, 1, 0],
            &[0x0c],
            &[0x0b, 0x08],
            &[0x0b, 0x14],
            &[0x0e, 1],
            &[0xf8, 0xff, 0xff, 0xff, 0xff, 0x01, 1],
            &nested,
        ] {
            assert_eq!(fields(bytes), Err(Malformed), "{bytes:?}");
        }
    }

    /// Every prefix and every single changed byte of a message: an answer, and never more than its bytes.
    #[test]
    fn damage_is_answered() {
        let whole = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x2b, 0x08, 1, 0x2c, 0x1d, 1, 0, 0, 0];
        for end in 0..whole.len() {
            let _ = fields(&whole[..end]);
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut damaged = whole;
                damaged[at] = byte;
                if let Ok(found) = fields(&damaged) {
                    assert!(found.len() <= whole.len());
                }
            }
        }
    }
}
