//! What a signature covers of a file: its bytes, or of data and manifest what they say, whatever the white space.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// A hash algorithm by OPA's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// `SHA-256`, the one that `opa sign` uses.
    Sha256,
    /// `SHA-384`.
    Sha384,
    /// `SHA-512`.
    Sha512,
}

impl Hash {
    /// The algorithm of this name; of OPA's others (MD5, SHA-1 and the truncated ones) there is none.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "SHA-256" => Self::Sha256,
            "SHA-384" => Self::Sha384,
            "SHA-512" => Self::Sha512,
            _ => return None,
        })
    }

    /// The digest.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }
}

/// What OPA hashes of a JSON text: members sorted by name, strings as Go writes them, numbers as they stand.
///
/// `None` for what is not JSON.
pub(super) fn canonical(json: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(json.len());
    let mut reader = Reader { rest: json };
    reader.value(&mut out, MAX_DEPTH)?;
    reader.skip_space();
    reader.rest.is_empty().then_some(out)
}

/// As deep as [`crate::json::parse`] goes at most.
const MAX_DEPTH: usize = 128;

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Whether this comes next; then it is behind.
    fn eat(&mut self, expected: char) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, out: &mut Vec<u8>, levels_left: usize) -> Option<()> {
        let levels_left = levels_left.checked_sub(1)?;
        if self.eat('{') {
            let mut members: BTreeMap<String, Vec<u8>> = BTreeMap::new();
            if !self.eat('}') {
                loop {
                    self.skip_space();
                    let name = self.string()?;
                    if !self.eat(':') {
                        return None;
                    }
                    let mut value = Vec::new();
                    self.value(&mut value, levels_left)?;
                    members.insert(name, value);
                    if self.eat('}') {
                        break;
                    }
                    if !self.eat(',') {
                        return None;
                    }
                }
            }
            out.push(b'{');
            for (at, (name, value)) in members.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                quote(&name, out);
                out.push(b':');
                out.extend(value);
            }
            out.push(b'}');
        } else if self.eat('[') {
            out.push(b'[');
            if !self.eat(']') {
                loop {
                    self.value(out, levels_left)?;
                    if self.eat(']') {
                        break;
                    }
                    if !self.eat(',') {
                        return None;
                    }
                    out.push(b',');
                }
            }
            out.push(b']');
        } else if self.rest.starts_with('"') {
            quote(&self.string()?, out);
        } else {
            let end = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(self.rest.len());
            let (token, rest) = self.rest.split_at_checked(end)?;
            if token.is_empty() {
                return None;
            }
            out.extend_from_slice(token.as_bytes());
            self.rest = rest;
        }
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let mut escaped = false;
        let mut inside = false;
        let end = self.rest.bytes().position(|byte| {
            let is_end = byte == b'"' && inside && !escaped;
            escaped = byte == b'\\' && !escaped;
            inside = true;
            is_end
        })?;
        let (text, rest) = self.rest.split_at_checked(end.checked_add(1)?)?;
        self.rest = rest;
        serde_json::from_str(text).ok()
    }
}

/// As Go's `encoding/json` without escapes for HTML: serde_json's form, and the two separators of lines escaped.
fn quote(text: &str, out: &mut Vec<u8>) {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    let quoted = quoted.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    out.extend_from_slice(quoted.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_order_do_not_count() {
        for (json, expected) in [
            ("{}", "{}"),
            (" [ ] ", "[]"),
            ("{ \"b\" : 1.0 , \"a\" : [ 1e5, -0 , null,true ] }\n", r#"{"a":[1e5,-0,null,true],"b":1.0}"#),
            (
                r#"{"\u0062":{},"a":"\u003c\/\u0000\b\f\u2028é\u007f"}"#,
                "{\"a\":\"</\\u0000\\b\\f\\u2028é\u{7f}\",\"b\":{}}",
            ),
            (r#""a\\""#, r#""a\\""#),
            (r#"["\"",1]"#, r#"["\"",1]"#),
        ] {
            assert_eq!(String::from_utf8(canonical(json).unwrap()).unwrap(), expected, "{json}");
        }
        for not_json in ["", "{", "[1", "[1 2]", "{\"a\" 1}", "{1:2}", "[1]]", "\"", "[,]"] {
            assert_eq!(canonical(not_json), None, "{not_json}");
        }
        assert_eq!(canonical(&"[".repeat(100_000)), None);
    }
}
