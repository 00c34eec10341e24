//! `sprintf`, as Go has it.

use regorus::Value;

use super::operators;

/// The widest field, and the most digits.
const MOST: usize = 999;

/// What a format makes of its values. `Err` holds the first verb that does not fit its value: OPA writes such a value in a
/// way of its own.
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
        let (width, unread) = digits(after);
        let (places, unread) = match unread.strip_prefix('.') {
            Some(unread) => {
                let (places, unread) = digits(unread);
                (Some(places), unread)
            }
            None => (None, unread),
        };
        let mut verb = unread.chars();
        let field = Field {
            verb: verb.next().unwrap_or('!'),
            has_zeros: width.starts_with('0'),
            width: number(width),
            places: places.map(number),
        };
        let wrong = || {
            let end = after.len().saturating_sub(verb.as_str().len());
            after.get(..end).unwrap_or_default().to_owned()
        };
        let is_bounded = field.width <= MOST && field.places.is_none_or(|places| places <= MOST);
        let written = values.next().filter(|_| is_bounded).and_then(|value| field.written(value));
        text.push_str(&written.ok_or_else(wrong)?);
        rest = verb.as_str();
    }
    text.push_str(rest);
    if values.next().is_some() { Err("!(EXTRA)".to_owned()) } else { Ok(text) }
}

/// What stands between a `%` and the next part of the text.
struct Field {
    verb: char,
    has_zeros: bool,
    width: usize,
    places: Option<usize>,
}

impl Field {
    fn written(&self, value: &Value) -> Option<String> {
        let text = match (self.verb, value) {
            ('s' | 'v', value) => {
                let text = match value {
                    Value::String(text) => text.as_ref().to_owned(),
                    other => operators::text(other),
                };
                match self.places {
                    Some(places) => text.chars().take(places).collect(),
                    None => text,
                }
            }
            ('q', Value::String(_)) => value.to_string(),
            ('d' | 'b' | 'o' | 'O' | 'x' | 'X', Value::Number(_)) => self.whole(value)?,
            ('c', Value::Number(number)) if number.is_integer() => {
                let code = number.as_u64().and_then(|code| u32::try_from(code).ok());
                code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER).to_string()
            }
            ('f' | 'F', Value::Number(number)) => {
                format!("{:.*}", self.places.unwrap_or(6), number.as_f64()?)
            }
            ('e' | 'E', Value::Number(number)) => {
                let text = format!("{:.*e}", self.places.unwrap_or(6), number.as_f64()?);
                let (digits, exponent) = text.split_once('e')?;
                let exponent: i32 = exponent.parse().ok()?;
                format!("{digits}{}{exponent:+03}", self.verb)
            }
            ('g' | 'G', Value::Number(_)) => operators::text(value),
            _ => return None,
        };
        let padding = self.width.saturating_sub(text.chars().count());
        if !self.has_zeros {
            return Some(format!("{}{text}", " ".repeat(padding)));
        }
        let sign = if matches!(value, Value::Number(_)) && text.starts_with('-') { "-" } else { "" };
        Some(format!("{sign}{}{}", "0".repeat(padding), text.get(sign.len()..)?))
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

    /// Answers of `opa eval`, but for `%s` and `%f` of whole numbers.
    #[test]
    fn values_are_written_as_in_go() {
        for (format, value, expected) in [
            ("%d", json!(-1), Ok("-1")),
            ("%5d|", json!(-1), Ok("   -1|")),
            ("%05d", json!(-1), Ok("-0001")),
            ("%x %%", json!(-255), Ok("-ff %")),
            ("%X", json!(255), Ok("FF")),
            ("%o", json!(255), Ok("377")),
            ("%O", json!(8), Ok("0o10")),
            ("%b", json!(5), Ok("101")),
            ("%c", json!(128_512), Ok("😀")),
            ("%c", json!(-1), Ok("\u{fffd}")),
            ("%e", json!(1.5), Ok("1.500000e+00")),
            ("%f", json!(1.5), Ok("1.500000")),
            ("%.2f", json!(2.345_678), Ok("2.35")),
            ("%8.3f|", json!(-1.5), Ok("  -1.500|")),
            ("%g", json!(1.5), Ok("1.5")),
            ("%s", json!(5), Ok("5")),
            ("%5s|", json!("é"), Ok("    é|")),
            ("%.1s", json!("éa"), Ok("é")),
            ("%v", json!([1, "a", {"b": null}]), Ok(r#"[1, "a", {"b": null}]"#)),
            ("%q", json!("a\"b"), Ok(r#""a\"b""#)),
            ("é%vé", json!("a"), Ok("éaé")),
            ("%d", json!("a"), Err("d")),
            ("%d", json!(1.5), Err("d")),
            ("%1000d", json!(1), Err("1000d")),
            ("%.1000f", json!(1.5), Err(".1000f")),
            ("%+d", json!(1), Err("+")),
            ("%t", json!(true), Err("t")),
            ("%", json!(1), Err("")),
            ("", json!(1), Err("!(EXTRA)")),
        ] {
            let values = [Document::from_json(&value).0];
            let given = sprintf(format, &values);
            assert_eq!(given.as_deref(), expected.map_err(str::to_owned).as_deref(), "{format} {value}");
        }
        assert_eq!(sprintf("%s", &[]), Err("s".to_owned()));
    }
}
