//! A second opinion on text: strict JSON (RFC 8259, no name twice) and canonical base64url (RFC 4648 section 5).

/// A JSON value, with numbers as they were written.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Node> {
        match self {
            Self::Object(members) => members.iter().find(|(found, _)| found == name).map(|(_, node)| node),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Node]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// A number from 0 to 2^53, as it was written.
    pub fn date(&self) -> Option<f64> {
        match self {
            Self::Number(text) => text.parse().ok().filter(|n| (0.0..=9_007_199_254_740_992.0).contains(n)),
            _ => None,
        }
    }

    /// Whether a value of serde_json says the same.
    pub fn says(&self, value: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (self, value) {
            (Self::Null, Value::Null) => true,
            (Self::Bool(one), Value::Bool(other)) => one == other,
            (Self::Text(one), Value::String(other)) => one == other,
            (Self::Number(one), Value::Number(other)) => {
                if let Some(other) = other.as_u64() {
                    one.parse() == Ok(other)
                } else if let Some(other) = other.as_i64() {
                    one.parse() == Ok(other)
                } else {
                    one.parse::<f64>().ok() == other.as_f64()
                }
            }
            (Self::List(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.says(other))
            }
            (Self::Object(one), Value::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| one.says(other)))
            }
            _ => false,
        }
    }
}

/// Reads one JSON text, or gives `None`.
pub fn json(bytes: &[u8], max_depth: usize) -> Option<Node> {
    let mut reader = Reader { rest: std::str::from_utf8(bytes).ok()? };
    let node = reader.value(max_depth)?;
    reader.space();
    reader.rest.is_empty().then_some(node)
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, wanted: &str) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn value(&mut self, levels: usize) -> Option<Node> {
        self.space();
        match self.rest.bytes().next()? {
            b'{' => self.object(levels.checked_sub(1)?),
            b'[' => self.list(levels.checked_sub(1)?),
            b'"' => self.text().map(Node::Text),
            b't' => self.take("true").then_some(Node::Bool(true)),
            b'f' => self.take("false").then_some(Node::Bool(false)),
            b'n' => self.take("null").then_some(Node::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, levels: usize) -> Option<Node> {
        let mut members: Vec<(String, Node)> = Vec::new();
        self.take("{");
        self.space();
        if self.take("}") {
            return Some(Node::Object(members));
        }
        loop {
            self.space();
            let name = self.text()?;
            self.space();
            if !self.take(":") || members.iter().any(|(found, _)| *found == name) {
                return None;
            }
            members.push((name, self.value(levels)?));
            self.space();
            if self.take("}") {
                return Some(Node::Object(members));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn list(&mut self, levels: usize) -> Option<Node> {
        let mut items = Vec::new();
        self.take("[");
        self.space();
        if self.take("]") {
            return Some(Node::List(items));
        }
        loop {
            items.push(self.value(levels)?);
            self.space();
            if self.take("]") {
                return Some(Node::List(items));
            }
            if !self.take(",") {
                return None;
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        if !self.take("\"") {
            return None;
        }
        let mut text = String::new();
        loop {
            let next = self.rest.chars().next()?;
            self.rest = &self.rest[next.len_utf8()..];
            match next {
                '"' => return Some(text),
                '\\' => text.push(self.escaped()?),
                '\0'..='\x1f' => return None,
                other => text.push(other),
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(match next {
            '"' | '\\' | '/' => next,
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.unit()?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first);
                }
                let second = self.take("\\u").then(|| self.unit())??;
                let low = (0xdc00..0xe000).contains(&second).then(|| second - 0xdc00)?;
                return char::from_u32(0x10000 + ((first - 0xd800) << 10) + low);
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<Node> {
        let whole = self.rest;
        self.take("-");
        let integer = self.digits()?;
        if integer.len() > 1 && integer.starts_with('0') {
            return None;
        }
        if self.take(".") {
            self.digits()?;
        }
        if self.take("e") || self.take("E") {
            let _ = self.take("+") || self.take("-");
            self.digits()?;
        }
        let written = &whole[..whole.len() - self.rest.len()];
        written.parse::<f64>().ok().filter(|n| n.is_finite())?;
        Some(Node::Number(written.to_owned()))
    }

    fn digits(&mut self) -> Option<String> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!digits.is_empty()).then(|| digits.to_owned())
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// base64url without padding.
pub fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let bits = chunk.len() * 8;
        let digits = bits.div_ceil(6);
        let word = word << (digits * 6 - bits);
        for digit in (0..digits).rev() {
            text.push(char::from(ALPHABET[(word >> (digit * 6)) as usize & 63]));
        }
    }
    text
}

/// The bytes of canonical base64url without padding.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut word, mut bits) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        word = word << 6 | value as u32;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((word >> bits) as u8);
            word &= (1 << bits) - 1;
        }
    }
    (bits < 6 && word == 0).then_some(bytes)
}
