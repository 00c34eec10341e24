//! Header maps as Envoy keeps them, and their wire form in the ABI.

/// Headers that Envoy keeps once: adding a second value joins it with a comma (`INLINE_REQ_*`, `INLINE_RESP_*`).
const SINGLE: &[&[u8]] = &[
    b":authority",
    b":method",
    b":path",
    b":protocol",
    b":scheme",
    b":status",
    b"authorization",
    b"connection",
    b"content-length",
    b"content-type",
    b"expect",
    b"grpc-message",
    b"grpc-status",
    b"grpc-timeout",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
    b"user-agent",
    b"via",
    b"x-forwarded-client-cert",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-request-id",
];

/// An ordered multimap of header names (lower case) and values; pseudo-headers come first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderMap {
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl HeaderMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(name, value)| (name.as_slice(), value.as_slice()))
    }

    /// The first value of a header; the name in any case.
    pub fn first(&self, name: impl AsRef<[u8]>) -> Option<&[u8]> {
        let name = name.as_ref();
        self.entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// The first value of a header, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.first(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// Names and values in bytes, as Envoy's `byteSize`.
    pub fn byte_size(&self) -> usize {
        self.entries.iter().map(|(name, value)| name.len().saturating_add(value.len())).sum()
    }

    /// Adds an entry; a header that Envoy keeps once gets the value joined with a comma.
    pub fn append(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let name = name.as_ref().to_ascii_lowercase();
        let value = value.as_ref();
        if SINGLE.contains(&name.as_slice())
            && let Some((_, existing)) = self.entries.iter_mut().find(|(key, _)| *key == name)
        {
            if !existing.is_empty() && !value.is_empty() {
                existing.push(b',');
            }
            existing.extend_from_slice(value);
            return;
        }
        if name.first() == Some(&b':') {
            let place = self.entries.iter().take_while(|(key, _)| key.first() == Some(&b':')).count();
            self.entries.insert(place, (name, value.to_vec()));
        } else {
            self.entries.push((name, value.to_vec()));
        }
    }

    /// Replaces all entries of a name by one.
    pub fn set(&mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.remove(name.as_ref());
        self.append(name, value);
    }

    /// Removes all entries of a name; returns how many there were.
    pub fn remove(&mut self, name: impl AsRef<[u8]>) -> usize {
        let name = name.as_ref();
        let before = self.entries.len();
        self.entries.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        before.saturating_sub(self.entries.len())
    }

    /// Writes the ABI's form: count, sizes, then names and values each ended by NUL (all little endian).
    pub(crate) fn serialize_into(&self, out: &mut Vec<u8>) {
        let word = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        out.extend_from_slice(&word(self.entries.len()));
        for (name, value) in &self.entries {
            out.extend_from_slice(&word(name.len()));
            out.extend_from_slice(&word(value.len()));
        }
        for (name, value) in &self.entries {
            out.extend_from_slice(name);
            out.push(0);
            out.extend_from_slice(value);
            out.push(0);
        }
    }

    /// Reads the ABI's form. Like Envoy, anything malformed or beyond the limits reads as an empty map.
    pub(crate) fn deserialize(bytes: &[u8], max_count: usize, max_bytes: usize) -> Self {
        if bytes.len() > max_bytes {
            return Self::default();
        }
        Self::parse(bytes, max_count).unwrap_or_default()
    }

    fn parse(bytes: &[u8], max_count: usize) -> Option<Self> {
        let (count, rest) = word(bytes)?;
        if count > max_count {
            return None;
        }
        let (sizes, mut rest) = rest.split_at_checked(count.checked_mul(8)?)?;
        let mut map = Self { entries: Vec::with_capacity(count) };
        for pair in sizes.chunks_exact(8) {
            let (name_size, pair) = word(pair)?;
            let (value_size, _) = word(pair)?;
            let (name, after) = terminated(rest, name_size)?;
            let (value, after) = terminated(after, value_size)?;
            map.append(name, value);
            rest = after;
        }
        rest.is_empty().then_some(map)
    }
}

impl IntoIterator for HeaderMap {
    type Item = (Vec<u8>, Vec<u8>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderMap {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut map = Self::new();
        map.extend(pairs);
        map
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>> Extend<(N, V)> for HeaderMap {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, pairs: I) {
        for (name, value) in pairs {
            self.append(name, value);
        }
    }
}

impl<N: AsRef<[u8]>, V: AsRef<[u8]>, const COUNT: usize> From<[(N, V); COUNT]> for HeaderMap {
    fn from(pairs: [(N, V); COUNT]) -> Self {
        pairs.into_iter().collect()
    }
}

fn word(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    Some((usize::try_from(u32::from_le_bytes(*head)).ok()?, rest))
}

fn terminated(bytes: &[u8], size: usize) -> Option<(&[u8], &[u8])> {
    let (text, rest) = bytes.split_at_checked(size)?;
    let (end, rest) = rest.split_first()?;
    (*end == 0).then_some((text, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_follow_envoy() {
        let mut map =
            HeaderMap::from([("X-A", "1"), ("x-a", "2"), (":method", "GET"), ("content-type", "a")]);
        map.append("content-type", "b");
        let flat: Vec<_> =
            map.iter().map(|(n, v)| [n, v].concat()).map(|line| String::from_utf8(line).unwrap()).collect();
        assert_eq!(flat, [":methodGET", "x-a1", "x-a2", "content-typea,b"]);
        map.set("X-A", "3");
        assert_eq!((map.text("x-a"), map.len()), (Some("3"), 3));
        assert_eq!((map.remove("X-a"), map.first("x-a")), (1, None));
        let map = HeaderMap::from([("Authorization", "Bearer a"), ("authorization", "Bearer b")]);
        assert_eq!((map.text("authorization"), map.len()), (Some("Bearer a,Bearer b"), 1));
    }

    #[test]
    fn wire_form_round_trips_and_rejects_damage() {
        let map = HeaderMap::from([(":path", "/"), ("a", ""), ("b", "c")]);
        let mut bytes = Vec::new();
        map.serialize_into(&mut bytes);
        assert_eq!(HeaderMap::deserialize(&bytes, 10, 1000), map);
        assert!(HeaderMap::deserialize(&bytes, 2, 1000).is_empty());
        assert!(HeaderMap::deserialize(&bytes, 10, 8).is_empty());
        for end in 0..bytes.len() {
            assert!(HeaderMap::deserialize(&bytes[..end], 10, 1000).is_empty(), "cut at {end}");
        }
        bytes.push(0);
        assert!(HeaderMap::deserialize(&bytes, 10, 1000).is_empty());
        assert!(HeaderMap::deserialize(&[255; 4], usize::MAX, 1000).is_empty());
    }
}
