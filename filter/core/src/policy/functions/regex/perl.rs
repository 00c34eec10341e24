//! Patterns of RE2 as Go reads them, written so that regex-syntax reads them alike.
//!
//! In RE2 `\d`, `\s`, `\w` and `\b` mean ASCII. In regex-syntax they mean Unicode, and without its tables, which the module
//! does not carry, each of them makes the pattern an error. RE2 knows no operators in classes, takes a brace that counts nothing
//! for itself and what stands between `\Q` and `\E` as it is, knows octal numbers and two groups of one name, and refuses
//! much that regex-syntax knows. A pattern that OPA matches and Remit takes for none would leave a denial undefined.

use std::str::Chars;

/// A pattern for regex-syntax, and the names of its groups, of which the first is the whole match.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) groups: Vec<Option<Box<str>>>,
}

/// Nobody repeats as often as a longer count says: RE2 knows none over 1000.
const LONGEST_COUNT: usize = 16;

const CLASSES: &str = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit";

/// `None` for what is no pattern of RE2; what regex-syntax refuses as well may pass.
pub(super) fn written(pattern: &str) -> Option<Written> {
    let mut writer = Writer { rest: pattern.chars(), text: String::new(), groups: vec![None] };
    writer.text.reserve(pattern.len().saturating_mul(2));
    writer.pattern()?;
    Some(Written { text: writer.text, groups: writer.groups })
}

struct Writer<'p> {
    rest: Chars<'p>,
    text: String,
    groups: Vec<Option<Box<str>>>,
}

impl<'p> Writer<'p> {
    fn rest(&self) -> &'p str {
        self.rest.as_str()
    }

    /// Goes on behind this, if it comes next.
    fn takes(&mut self, next: &str) -> bool {
        let after = self.rest().strip_prefix(next);
        self.rest = after.unwrap_or(self.rest()).chars();
        after.is_some()
    }

    /// What comes next up to this, and goes on behind it.
    fn until(&mut self, end: &str) -> Option<&'p str> {
        let (before, after) = self.rest().split_once(end)?;
        self.rest = after.chars();
        Some(before)
    }

    fn pattern(&mut self) -> Option<()> {
        let mut repeats = false;
        while let Some(c) = self.rest.next() {
            let repeated = std::mem::take(&mut repeats);
            match c {
                '*' | '+' | '?' => {
                    repeats = true;
                    self.text.push(c);
                }
                '{' => match counted(self.rest()) {
                    Some(count) => {
                        repeats = true;
                        self.text.push(c);
                        self.text.push_str(self.rest().get(..count)?);
                        self.rest = self.rest().get(count..)?.chars();
                    }
                    None => self.text.push_str("\\{"),
                },
                '\\' => self.escaped()?,
                '[' => self.class()?,
                '(' => self.group()?,
                c => self.text.push(c),
            }
            if repeats && repeated {
                return None;
            }
            if repeats && self.takes("?") {
                self.text.push('?');
            }
        }
        Some(())
    }

    /// What follows `(`.
    fn group(&mut self) -> Option<()> {
        if !self.takes("?") {
            self.text.push('(');
            self.groups.push(None);
            return Some(());
        }
        if self.takes("P<") || self.takes("<") {
            let name = self.until(">")?;
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(is_part) {
                return None;
            }
            self.text.push('(');
            self.groups.push(Some(name.into()));
            return Some(());
        }
        let (mut on, mut off) = (String::new(), String::new());
        let mut is_off = false;
        loop {
            let flags = if is_off { &mut off } else { &mut on };
            match self.rest.next()? {
                c @ ('i' | 'm' | 's' | 'U') if flags.contains(c) => {}
                c @ ('i' | 'm' | 's' | 'U') => flags.push(c),
                '-' if !is_off => is_off = true,
                end @ (':' | ')') => {
                    if is_off && off.is_empty() {
                        return None;
                    }
                    on.retain(|flag| !off.contains(flag));
                    let sign = if is_off { "-" } else { "" };
                    let is_plain = on.is_empty() && !is_off && end == ')';
                    let end = if is_plain { ":)".to_owned() } else { end.to_string() };
                    self.text.push_str(&format!("(?{on}{sign}{off}{end}"));
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// What follows `\` outside of a class.
    fn escaped(&mut self) -> Option<()> {
        if self.takes("Q") {
            let (quoted, after) = self.rest().split_once("\\E").unwrap_or((self.rest(), ""));
            self.rest = after.chars();
            quoted.chars().for_each(|c| self.character(c));
            return Some(());
        }
        for (escape, spelled) in [("A", r"\A"), ("z", r"\z"), ("b", r"(?-u:\b)"), ("B", r"(?-u:\B)")] {
            if self.takes(escape) {
                self.text.push_str(spelled);
                return Some(());
            }
        }
        self.set_or_character()
    }

    fn set_or_character(&mut self) -> Option<()> {
        if !self.set()? {
            let c = self.escape()?;
            self.character(c);
        }
        Some(())
    }

    /// `\d` and the like, and `\p{Greek}`, after the backslash; each may stand in a class.
    fn set(&mut self) -> Option<bool> {
        let spelled = match self.rest().chars().next() {
            Some('d') => "[0-9]",
            Some('D') => "[^0-9]",
            Some('s') => r"[\t\n\f\r ]",
            Some('S') => r"[^\t\n\f\r ]",
            Some('w') => "[0-9A-Za-z_]",
            Some('W') => "[^0-9A-Za-z_]",
            Some('p' | 'P') => return self.unicode().map(|()| true),
            _ => return Some(false),
        };
        self.rest.next();
        self.text.push_str(spelled);
        Some(true)
    }

    /// `pL`, `p{Greek}`, `P{^Greek}`.
    fn unicode(&mut self) -> Option<()> {
        let mut is_negated = self.rest.next()? == 'P';
        let mut name =
            if self.takes("{") { self.until("}")?.to_owned() } else { self.rest.next()?.to_string() };
        if let Some(negated) = name.strip_prefix('^') {
            is_negated = !is_negated;
            name = negated.to_owned();
        }
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        // regex-syntax passes over an `Is` in front.
        if !is_name || name.get(..2).is_some_and(|begins| begins.eq_ignore_ascii_case("is")) {
            return None;
        }
        let sign = if is_negated { 'P' } else { 'p' };
        self.text.push_str(&format!("\\{sign}{{{name}}}"));
        Some(())
    }

    /// The character that an escape stands for, after the backslash.
    fn escape(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        match c {
            'a' => Some('\u{7}'),
            'f' => Some('\u{c}'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'v' => Some('\u{b}'),
            'x' => {
                let digits = match self.takes("{") {
                    true => self.until("}")?,
                    false => {
                        let digits = self.rest().get(..2)?;
                        self.rest = self.rest().get(2..)?.chars();
                        digits
                    }
                };
                let are_digits = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                u32::from_str_radix(digits, 16).ok().filter(|_| are_digits).and_then(char::from_u32)
            }
            // A digit alone would refer back to a group, which RE2 cannot.
            '1'..='7' if !self.rest().starts_with(is_octal) => None,
            '0'..='7' => {
                let mut number = c.to_digit(8)?;
                for _ in 0..2 {
                    let Some(digit) = self.rest().chars().next().and_then(|c| c.to_digit(8)) else { break };
                    self.rest.next();
                    number = number.saturating_mul(8).saturating_add(digit);
                }
                char::from_u32(number)
            }
            c => (c.is_ascii() && !c.is_ascii_alphanumeric()).then_some(c),
        }
    }

    /// What follows `[`.
    fn class(&mut self) -> Option<()> {
        self.text.push('[');
        if self.takes("^") {
            self.text.push('^');
        }
        let mut is_first = true;
        // The first `]` is one of the characters.
        while is_first || !self.takes("]") {
            is_first = false;
            if self.named_class()? {
                continue;
            }
            let before = self.rest();
            if self.takes("\\") && self.set()? {
                continue;
            }
            self.rest = before.chars();
            let low = self.in_class()?;
            self.character(low);
            let is_range = self.rest().strip_prefix('-').is_some_and(|after| !after.starts_with(']'));
            if is_range && self.takes("-") {
                let high = self.in_class()?;
                if high < low {
                    return None;
                }
                self.text.push('-');
                self.character(high);
            }
        }
        self.text.push(']');
        Some(())
    }

    /// `[:alpha:]`
    fn named_class(&mut self) -> Option<bool> {
        let Some((name, _)) = self.rest().strip_prefix("[:").and_then(|rest| rest.split_once(":]")) else {
            return Some(false);
        };
        let plain = name.strip_prefix('^').unwrap_or(name);
        if !CLASSES.split(' ').any(|known| known == plain) {
            return None;
        }
        self.text.push_str(&format!("[:{name}:]"));
        self.until(":]")?;
        Some(true)
    }

    fn in_class(&mut self) -> Option<char> {
        match self.rest.next()? {
            '\\' => self.escape(),
            c => Some(c),
        }
    }

    /// A character that means itself.
    fn character(&mut self, c: char) {
        if c.is_ascii_punctuation() || c.is_ascii_control() {
            self.text.push_str(&format!("\\x{{{:x}}}", u32::from(c)));
        } else {
            self.text.push(c);
        }
    }
}

fn is_octal(c: char) -> bool {
    c.is_digit(8)
}

/// How many characters of `2,3}` and what follows say how often something is repeated. A count that goes on and on is handed to
/// the parser, which refuses it.
fn counted(rest: &str) -> Option<usize> {
    let near = rest.char_indices().nth(LONGEST_COUNT).and_then(|(end, _)| rest.get(..end)).unwrap_or(rest);
    let inside = near.split_once('}').map_or(near, |(inside, _)| inside);
    if inside.len() == near.len() && near.len() == rest.len() {
        return None;
    }
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_count = !least.is_empty() && is_number(least) && is_number(most);
    is_count.then(|| inside.len().saturating_add(1).min(rest.len()))
}
