//! JSON Canonicalization Scheme (RFC 8785): one byte sequence for one JSON value, so that it can be digested.

use std::collections::BTreeMap;

use serde_json::{Number, Value};

/// The largest integer that every IEEE 754 double up to it represents exactly.
const MAX_EXACT: u64 = 1 << 53;

/// A number that would change when another reader takes it as a double.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a number that a double cannot hold exactly")]
pub struct InexactNumber;

/// Writes a value in canonical form.
///
/// # Errors
///
/// [`InexactNumber`] for integers beyond ±2^53.
pub fn canonical(value: &Value) -> Result<String, InexactNumber> {
    let mut out = String::new();
    write(value, &mut out)?;
    Ok(out)
}

fn write(value: &Value, out: &mut String) -> Result<(), InexactNumber> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&ecmascript(number)?),
        Value::String(text) => quote(text, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Object(object) => {
            // Section 3.2.3: by UTF-16 code units. That is the order of UTF-8, which the members are in, but for what stands
            // behind the surrogates: from U+E000 on.
            out.push('{');
            if object.keys().any(|name| name.bytes().any(|byte| byte >= 0xee)) {
                let mut sorted: BTreeMap<Vec<u16>, (&String, &Value)> = BTreeMap::new();
                sorted.extend(object.iter().map(|member| (member.0.encode_utf16().collect(), member)));
                write_members(sorted.into_values(), out)?;
            } else {
                write_members(object.iter(), out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn write_members<'a>(
    members: impl Iterator<Item = (&'a String, &'a Value)>,
    out: &mut String,
) -> Result<(), InexactNumber> {
    for (i, (name, member)) in members.enumerate() {
        if i > 0 {
            out.push(',');
        }
        quote(name, out);
        out.push(':');
        write(member, out)?;
    }
    Ok(())
}

/// Section 3.2.2.2; serde_json escapes exactly what it asks for.
fn quote(text: &str, out: &mut String) {
    if is_plain(text.as_bytes()) {
        out.push('"');
        out.push_str(text);
        out.push('"');
        return;
    }
    // A string always serialises.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// Whether none of these bytes is escaped. Eight at a time: there are as many as the body has.
fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    // The high bit of at least one byte is set where one of the eight is less than `bound`, which is at most 128.
    let any_less = |eight: u64, bound: u64| eight.wrapping_sub(ONES.wrapping_mul(bound)) & !eight & HIGHS;
    let any_equal = |eight: u64, byte: u8| any_less(eight ^ ONES.wrapping_mul(u64::from(byte)), 1);
    let (chunks, rest) = text.as_chunks::<8>();
    let is_plain = |chunk: &[u8; 8]| {
        let eight = u64::from_le_bytes(*chunk);
        any_less(eight, 0x20) | any_equal(eight, b'"') | any_equal(eight, b'\\') == 0
    };
    chunks.iter().all(is_plain) && rest.iter().all(|byte| !matches!(byte, 0..0x20 | b'"' | b'\\'))
}

/// Section 3.2.2.3: ECMA-262 `Number::toString`.
fn ecmascript(number: &Number) -> Result<String, InexactNumber> {
    let magnitude = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    if let Some(magnitude) = magnitude {
        return if magnitude <= MAX_EXACT { Ok(number.to_string()) } else { Err(InexactNumber) };
    }
    // A whole number that was too long for an integer has lost digits on its way into the double.
    let value = number.as_f64().ok_or(InexactNumber)?;
    if !value.is_finite() || (value.abs() > MAX_EXACT as f64 && value.abs() < 1e21) {
        return Err(InexactNumber);
    }
    Ok(ecmascript_double(value))
}

/// A finite double as ECMA-262 and Go's `encoding/json` write it, but for negative zero.
pub(crate) fn ecmascript_double(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{value:e}");
    // `{:e}` always has an exponent.
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    format!("{sign}{}", place_point(&digits, exponent))
}

/// Digits d.ddd × 10^exponent, with the point where ECMA-262 puts it.
fn place_point(digits: &str, exponent: i32) -> String {
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or(0));
    let point = exponent.saturating_add(1);
    if point >= count && point <= 21 {
        return format!("{digits}{}", zeros(point.saturating_sub(count)));
    }
    if point > 0 && point <= 21 {
        let (whole, fraction) =
            digits.split_at_checked(usize::try_from(point).unwrap_or(0)).unwrap_or((digits, ""));
        return format!("{whole}.{fraction}");
    }
    if point > -6 && point <= 0 {
        return format!("0.{}{digits}", zeros(point.saturating_neg()));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
    let point = if rest.is_empty() { "" } else { "." };
    format!("{first}{point}{rest}e{sign}{}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_rfc_8785() {
        // Section 3.2.2, and the sorting example of section 3.2.3.
        let text = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        let expected = concat!(
            r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        assert_eq!(canonical(&value).unwrap(), expected);

        let value =
            json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
        let text = canonical(&value).unwrap();
        let order: Vec<_> = text.split(',').filter_map(|member| member.rsplit(':').next()).collect();
        assert_eq!(order, ["2", "4", "6", "7", "1", "5", "3}"]);
    }

    #[test]
    fn texts_as_serde_json_writes_them_wherever_the_escaped_byte_is() {
        let texts = [
            '\0',
            '\u{1f}',
            ' ',
            '!',
            '"',
            '#',
            '[',
            '\\',
            ']',
            '\u{7f}',
            '\u{80}',
            '\u{20ac}',
            '\u{10ffff}',
        ];
        for text in texts {
            for (before, after) in (0..20).flat_map(|before| [0, 1, 9].map(|after| (before, after))) {
                let text = format!("{}{text}{}", "a".repeat(before), "\u{e4}".repeat(after));
                assert_eq!(canonical(&json!(text)).unwrap(), serde_json::to_string(&text).unwrap());
            }
        }
        assert!(is_plain(&[b'!'; 16]) && !is_plain(&[0x1f; 1]) && !is_plain(b"12345678\""));
    }

    #[test]
    fn numbers_as_ecmascript_writes_them() {
        for (value, expected) in [
            (json!(0.0), "0"),
            (json!(-0.0), "0"),
            (json!(1.0), "1"),
            (json!(-1.5), "-1.5"),
            (json!(0.000_001), "0.000001"),
            (json!(1e-7), "1e-7"),
            (json!(1.25e-9), "1.25e-9"),
            (json!(1e21), "1e+21"),
            (json!(5e-324), "5e-324"),
            (json!(1.797_693_134_862_315_7e308), "1.7976931348623157e+308"),
            (json!(9_007_199_254_740_992_u64), "9007199254740992"),
            (json!(-42), "-42"),
        ] {
            assert_eq!(canonical(&value).unwrap(), expected);
        }
        for inexact in [json!(9_007_199_254_740_993_u64), json!(-9_007_199_254_740_993_i64), json!(1e20)] {
            assert_eq!(canonical(&inexact), Err(InexactNumber), "{inexact}");
        }
    }
}
