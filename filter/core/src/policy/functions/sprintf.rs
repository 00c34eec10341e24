//! `sprintf`, as Go has it.

use regorus::Value;

use super::operators;

/// The widest field, and the most digits.
const MOST: usize = 999;

/// What a format makes of its values: what does not fit is written into the text, as `%!d(string=a)`. `Err` holds the first
/// verb that is not served.
pub(super) fn sprintf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut values = values.iter();
    let mut text = String::with_capacity(format.len().saturating_mul(2));
    let mut rest = format;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        let unread = after.trim_start_matches(['-', '+', ' ', '0']);
        let flags = after.strip_suffix(unread).unwrap_or_default();
        let (width, unread) = digits(unread);
        let (places, unread) = match unread.strip_prefix('.') {
            Some(unread) => {
                let (places, unread) = digits(unread);
                (Some(places), unread)
            }
            None => (None, unread),
        };
        let mut verb = unread.chars();
        let Some(letter) = verb.next() else {
            text.push_str("%!(NOVERB)");
            rest = "";
            continue;
        };
        if letter == '%' {
            text.push('%');
            rest = verb.as_str();
            continue;
        }
        let field = Field {
            verb: letter,
            has_sign: flags.contains('+') && letter != 'v',
            has_space: flags.contains(' '),
            has_zeros: flags.contains('0') && !flags.contains('-'),
            is_left: flags.contains('-'),
            width: number(width),
            places: places.map(number),
        };
        let is_served = field.width <= MOST
            && field.places.is_none_or(|places| places <= MOST)
            && !matches!(letter, '#' | '*' | '[');
        let written = match values.next() {
            _ if !is_served => None,
            None => Some(format!("%!{letter}(MISSING)")),
            Some(value) => field.written(value),
        };
        let wrong = || {
            let end = after.len().saturating_sub(verb.as_str().len());
            after.get(..end).unwrap_or_default().to_owned()
        };
        text.push_str(&written.ok_or_else(wrong)?);
        rest = verb.as_str();
    }
    text.push_str(rest);
    let extra: Vec<String> = values.map(named).collect();
    if !extra.is_empty() {
        text.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    Ok(text)
}

/// A value behind the name of its type in Go, where what is neither a number nor a text is its text.
fn named(value: &Value) -> String {
    format!("{}={}", kind(value), plain(value))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Number(number) if number.is_integer() => "int64",
        Value::Number(_) => "float64",
        _ => "string",
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.as_ref().to_owned(),
        other => small(other).unwrap_or_else(|| operators::text(other)),
    }
}

/// Whether `%q` may write a character otherwise than JSON does.
fn is_escaped(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t') } else { !c.is_alphanumeric() }
}

/// A number that Go writes with an exponent, being near 0.
fn small(value: &Value) -> Option<String> {
    let Value::Number(number) = value else { return None };
    let size = number.as_f64().filter(|size| *size != 0.0 && size.abs() < 1e-4)?;
    with_exponent(&format!("{size:e}"))
}

/// `1e-7` as `1e-07`
fn with_exponent(text: &str) -> Option<String> {
    let (digits, exponent) = text.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    Some(format!("{digits}e{exponent:+03}"))
}

/// What stands between a `%` and the next part of the text.
struct Field {
    verb: char,
    has_sign: bool,
    has_space: bool,
    has_zeros: bool,
    is_left: bool,
    width: usize,
    places: Option<usize>,
}

impl Field {
    /// `None` where the verb is not served for such a value.
    fn written(&self, value: &Value) -> Option<String> {
        let is_whole = matches!(value, Value::Number(number) if number.is_integer());
        let is_large = matches!(value, Value::Number(number) if is_whole && number.as_i64().is_none() && number.as_u64().is_none());
        let is_number = matches!(value, Value::Number(_));
        let has_places = match self.verb {
            's' | 'v' if !is_number => true,
            'f' | 'F' | 'e' | 'E' if is_number && !is_whole => true,
            'T' | 'v' | 'q' | 'c' | 'U' => false,
            _ => is_whole && !self.has_zeros && self.places != Some(0),
        };
        if self.places.is_some() && !has_places {
            return None;
        }
        let text = match (self.verb, value) {
            ('q', value) if self.has_sign || plain(value).chars().any(is_escaped) => return None,
            ('O', _) if self.has_zeros => return None,
            ('T', value) => kind(value).to_owned(),
            ('v', value) => self.cut(plain(value)),
            ('s', Value::Number(_)) if is_large => plain(value),
            ('s', Value::Number(_)) => return self.unfit(value),
            ('s', value) => self.cut(plain(value)),
            ('q', Value::Number(_)) if is_whole => return None,
            ('q', Value::Number(_)) => return self.unfit(value),
            ('q', value) => Value::from(plain(value)).to_string(),
            ('x' | 'X', _) if self.has_space && !is_number => return None,
            ('x' | 'X', value) if !is_number => {
                let is_upper = self.verb == 'X';
                let hex = |byte| if is_upper { format!("{byte:02X}") } else { format!("{byte:02x}") };
                plain(value).bytes().map(hex).collect()
            }
            ('d' | 'b' | 'o' | 'O' | 'x' | 'X', Value::Number(_)) if is_whole => self.whole(value)?,
            ('b' | 'x' | 'X', Value::Number(_)) => return None,
            ('c' | 'U', Value::Number(number)) if is_whole => {
                let code = number.as_u64().and_then(|code| u32::try_from(code).ok());
                match self.verb {
                    'U' => format!("U+{:04X}", code?),
                    _ => code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER).to_string(),
                }
            }
            _ if is_large => return None,
            ('f' | 'F', Value::Number(number)) if !is_whole => {
                format!("{:.*}", self.places.unwrap_or(6), number.as_f64()?)
            }
            ('e' | 'E', Value::Number(number)) if !is_whole => {
                let text = with_exponent(&format!("{:.*e}", self.places.unwrap_or(6), number.as_f64()?))?;
                if self.verb == 'E' { text.to_uppercase() } else { text }
            }
            ('g', Value::Number(_)) if !is_whole => plain(value),
            ('G', Value::Number(_)) if !is_whole => plain(value).to_uppercase(),
            _ => return self.unfit(value),
        };
        let is_number = is_number && !matches!(self.verb, 'T' | 'U' | 'c');
        let text = match text.starts_with('-') {
            false if is_number && self.has_sign => format!("+{text}"),
            false if is_number && self.has_space => format!(" {text}"),
            _ => text,
        };
        Some(self.padded(text, is_number))
    }

    /// As many characters as there are to be.
    fn cut(&self, text: String) -> String {
        match self.places {
            Some(places) => text.chars().take(places).collect(),
            None => text,
        }
    }

    /// With the name of its type. What flags do to that is not served.
    fn unfit(&self, value: &Value) -> Option<String> {
        if self.has_sign || self.has_space || self.has_zeros {
            return None;
        }
        let text = match value {
            Value::Number(number) if number.is_integer() && self.places.is_some() => self.whole(value)?,
            _ => plain(value),
        };
        let text = self.padded(text, matches!(value, Value::Number(_)));
        Some(format!("%!{}({}={text})", self.verb, kind(value)))
    }

    fn padded(&self, text: String, is_number: bool) -> String {
        let padding = self.width.saturating_sub(text.chars().count());
        if self.is_left {
            return format!("{text}{}", " ".repeat(padding));
        }
        if !self.has_zeros {
            return format!("{}{text}", " ".repeat(padding));
        }
        match text.split_at_checked(1) {
            Some((sign @ ("-" | "+" | " "), digits)) if is_number => {
                format!("{sign}{}{digits}", "0".repeat(padding))
            }
            _ => format!("{}{text}", "0".repeat(padding)),
        }
    }

    fn whole(&self, value: &Value) -> Option<String> {
        let Value::Number(number) = value else { return None };
        let (sign, size) = match (number.as_u64(), number.as_i64()) {
            (Some(size), _) => ("", size),
            (None, Some(number)) => ("-", number.unsigned_abs()),
            // It is too large for more than its own digits.
            (None, None) => return (number.is_integer() && self.verb == 'd').then(|| operators::text(value)),
        };
        let digits = match self.verb {
            'b' => format!("{size:b}"),
            'o' | 'O' => format!("{size:o}"),
            'x' => format!("{size:x}"),
            'X' => format!("{size:X}"),
            _ => size.to_string(),
        };
        let zeros = self.places.unwrap_or(0).saturating_sub(digits.len());
        let before = if self.verb == 'O' { "0o" } else { "" };
        Some(format!("{sign}{before}{}{digits}", "0".repeat(zeros)))
    }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// A number that is not written counts as 0.
fn number(digits: &str) -> usize {
    if digits.is_empty() { 0 } else { digits.parse().unwrap_or(usize::MAX) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::Document;

    /// Answers of `opa eval`.
    #[test]
    fn values_are_written_as_in_go() {
        for (format, values, expected) in [
            ("%d", json!([-1]), "-1"),
            ("%5d|", json!([-1]), "   -1|"),
            ("%05d", json!([-1]), "-0001"),
            ("%-5d|", json!([3]), "3    |"),
            ("%-05d|", json!([3]), "3    |"),
            ("%+d", json!([3]), "+3"),
            ("%+d", json!([-3]), "-3"),
            ("%+5d|", json!([3]), "   +3|"),
            ("% d", json!([3]), " 3"),
            ("%x %%", json!([-255]), "-ff %"),
            ("%5%|%-3%", json!([1]), "%|%%!(EXTRA int64=1)"),
            ("%X", json!([255]), "FF"),
            ("%x", json!(["hi"]), "6869"),
            ("%x", json!([[1, "a"]]), "5b312c202261225d"),
            ("%X", json!([null]), "6E756C6C"),
            ("%o", json!([255]), "377"),
            ("%O", json!([8]), "0o10"),
            ("%b", json!([5]), "101"),
            ("%c", json!([128_512]), "😀"),
            ("%c", json!([-1]), "\u{fffd}"),
            ("%U", json!([65]), "U+0041"),
            ("%T %T", json!([65, "x"]), "int64 string"),
            ("%e", json!([1.5]), "1.500000e+00"),
            ("%f", json!([1.5]), "1.500000"),
            ("%.2f", json!([2.345_678]), "2.35"),
            ("%+.1f", json!([1.25]), "+1.2"),
            ("%8.3f|", json!([-1.5]), "  -1.500|"),
            ("%08.3f", json!([-1.5]), "-001.500"),
            ("%-8.2f|", json!([1.234]), "1.23    |"),
            ("%g", json!([1.5]), "1.5"),
            ("%G|% v|%v", json!([1e-7, 2.5e-5, -1.5e-300]), "1E-07| 2.5e-05|-1.5e-300"),
            ("%d", json!([1e-7]), "%!d(float64=1e-07)"),
            ("%5s|", json!(["é"]), "    é|"),
            ("%-5s|", json!(["x"]), "x    |"),
            ("%.1s", json!(["éa"]), "é"),
            ("%+v", json!(["x"]), "x"),
            ("%v", json!([[1, "a", {"b": null}]]), r#"[1, "a", {"b": null}]"#),
            ("%5v|", json!([[1]]), "  [1]|"),
            ("%-5v|", json!([null]), "null |"),
            ("%s", json!([true]), "true"),
            ("%q", json!(["a\"b"]), r#""a\"b""#),
            ("%q", json!([null]), "\"null\""),
            ("%q", json!(["é\n\t\\"]), r#""é\n\t\\""#),
            ("é%vé", json!(["a"]), "éaé"),
            // What does not fit.
            ("%s", json!([5]), "%!s(int64=5)"),
            ("%s", json!([1.5]), "%!s(float64=1.5)"),
            ("%f", json!([2]), "%!f(int64=2)"),
            ("%.1f", json!([2]), "%!f(int64=2)"),
            ("%.2f", json!([2]), "%!f(int64=02)"),
            ("%d", json!(["a"]), "%!d(string=a)"),
            ("%5d|", json!(["a"]), "%!d(string=    a)|"),
            ("%-5z|", json!(["a"]), "%!z(string=a    )|"),
            ("%d", json!([1.5]), "%!d(float64=1.5)"),
            ("%d", json!([[1, "a"]]), "%!d(string=[1, \"a\"])"),
            ("%t", json!([true]), "%!t(string=true)"),
            ("%5t|", json!([true]), "%!t(string= true)|"),
            ("%q", json!([1.5]), "%!q(float64=1.5)"),
            ("%!", json!([1]), "%!!(int64=1)"),
            ("%v %v", json!([1]), "1 %!v(MISSING)"),
            ("%", json!([1]), "%!(NOVERB)%!(EXTRA int64=1)"),
            ("100%", json!([]), "100%!(NOVERB)"),
            ("a", json!([1, "x", 2.5, null]), "a%!(EXTRA int64=1, string=x, float64=2.5, string=null)"),
        ] {
            let values: Vec<Value> =
                values.as_array().unwrap().iter().map(|value| Document::from_json(value).0).collect();
            assert_eq!(sprintf(format, &values).as_deref(), Ok(expected), "{format} {values:?}");
        }
        for (format, value, wrong) in [
            ("%1000d", json!(1), "1000d"),
            ("%.1000d", json!(1), ".1000d"),
            ("%#x", json!(1), "#"),
            ("%*d", json!(1), "*"),
            ("%[1]d", json!(1), "["),
            ("%06.3d", json!(1), "06.3d"),
            ("%06O", json!(1), "06O"),
            ("%.2v", json!(1.5), ".2v"),
            ("%.2g", json!(1.5), ".2g"),
            ("% x", json!("hi"), " x"),
            ("%.1x", json!("hi"), ".1x"),
            ("%+q", json!("hi"), "+q"),
            ("%.1q", json!("hi"), ".1q"),
            ("%q", json!("\u{1}"), "q"),
            ("%q", json!("\u{200b}"), "q"),
            ("%.1T", json!("hi"), ".1T"),
            ("%+s", json!(1), "+s"),
            ("%.1d", json!("hi"), ".1d"),
        ] {
            let value = Document::from_json(&value).0;
            assert_eq!(sprintf(format, &[value]), Err(wrong.to_owned()), "{format}");
        }
    }
}
