//! `units.parse` and `units.parse_bytes`, as OPA reckons them: the first exactly, to ten places; the second with 64 bits, cut to a
//! whole number.

use regorus::Value;

use super::fractions::Fraction;
use super::{Stop, failed};

/// Digits that an amount may have, but for zeros at its ends.
const MOST_DIGITS: usize = 18;
/// Digits that OPA takes in an exponent.
const MOST_EXPONENT_DIGITS: usize = 6;
/// The double next to 0.001 is this many times 2^-60, and what `m` stands for.
const MILLI: u128 = 1_152_921_504_606_847;
const MILLI_BITS: u32 = 60;
const PLACES: u128 = 10_000_000_000;

/// `digits` × 10^`exponent`
struct Amount {
    is_negative: bool,
    digits: u128,
    exponent: i32,
}

/// `None` is OPA's error of a builtin: no number, or no unit that it knows.
pub(super) fn parse(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [Value::String(text)] = arguments else { return Ok(None) };
    let text = text.replace('"', "");
    let Some((number, unit)) = taken_apart(&text) else { return Ok(None) };
    let mut letters = unit.chars();
    let first = letters.next().map(String::from).unwrap_or_default();
    let unit = first + &small(letters.as_str());
    let is_milli = unit == "m";
    let Some(factor) = factor(&unit.to_ascii_lowercase()) else { return Ok(None) };
    let Some(amount) = amount(number)? else { return Ok(None) };
    let exact =
        if is_milli { amount.exactly(MILLI, MILLI_BITS) } else { amount.exactly(u128::from(factor), 0) };
    exact.ok_or_else(too_long).map(Some)
}

/// As [`parse`].
pub(super) fn parse_bytes(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [Value::String(text)] = arguments else { return Ok(None) };
    let text = small(text).replace('"', "");
    let Some((number, unit)) = taken_apart(&text) else { return Ok(None) };
    let factor = match unit.strip_suffix('b') {
        Some("") => None,
        Some(prefix) => factor(prefix),
        None => factor(unit),
    };
    let Some(factor) = factor else { return Ok(None) };
    let Some(amount) = amount(number)? else { return Ok(None) };
    amount.cut(factor).ok_or_else(too_long).map(Some)
}

/// In small letters, as far as units have them: two that are no ASCII become some in Go.
fn small(text: &str) -> String {
    let small = |c: char| match c {
        '\u{130}' => 'i',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    text.chars().map(small).collect()
}

fn too_long() -> Stop {
    failed("units.parse: the amount is larger, or has more digits, than is served")
}

/// Of a unit in small letters; `m` is a million.
fn factor(unit: &str) -> Option<u64> {
    let (letter, base) = match unit.strip_suffix('i') {
        Some(letter) => (letter, 1024_u64),
        None => (unit, 1000),
    };
    let power = match letter {
        "" if unit.is_empty() => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        "e" => 6,
        _ => return None,
    };
    base.checked_pow(power)
}

/// The number that a text begins with, and its unit: an `e` belongs to the number where digits or a sign follow.
fn taken_apart(text: &str) -> Option<(&str, &str)> {
    if text.contains(' ') {
        return None;
    }
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let is_sign = |at: usize| matches!(bytes.get(at), Some(b'+' | b'-'));
    let mut at = 0_usize;
    while let Some(byte) = bytes.get(at) {
        let next = at.saturating_add(1);
        match byte {
            b'e' | b'E' if is_digit(next) || is_sign(next) => {
                let begun = next.saturating_add(usize::from(is_sign(next)));
                let digits = (begun..).take_while(|at| is_digit(*at)).count();
                if digits > MOST_EXPONENT_DIGITS {
                    return None;
                }
                at = begun;
            }
            b'0'..=b'9' | b'.' | b'+' | b'-' => at = next,
            _ => break,
        }
    }
    let (number, unit) = text.split_at_checked(at)?;
    (!number.is_empty()).then_some((number, unit))
}

/// `None` where it is no number, and an error where it is longer than is served.
fn amount(text: &str) -> Result<Option<Amount>, Stop> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let Ok(exponent) = exponent.parse::<i32>() else { return Ok(None) };
    if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let kept = all.trim_end_matches('0');
    let digits = kept.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(Some(Amount { is_negative: false, digits: 0, exponent: 0 }));
    }
    if digits.len() > MOST_DIGITS {
        return Err(too_long());
    }
    let cut = all.len().saturating_sub(kept.len());
    let shift = |length: usize| i32::try_from(length).unwrap_or(i32::MAX);
    let exponent = exponent.saturating_add(shift(cut)).saturating_sub(shift(fraction.len()));
    let Ok(digits) = digits.parse() else { return Ok(None) };
    Ok(Some(Amount { is_negative: text.starts_with('-'), digits, exponent }))
}

impl Amount {
    /// Times `factor` × 2^-`halvings`, to ten places; `None` where there is no room for it.
    fn exactly(&self, factor: u128, halvings: u32) -> Option<Value> {
        let power = 10_u128.checked_pow(self.exponent.unsigned_abs())?;
        let (times, by) = if self.exponent < 0 { (1, power) } else { (power, 1) };
        let product = self.digits.checked_mul(factor)?.checked_mul(times)?;
        let by = by.checked_mul(1_u128.checked_shl(halvings)?)?;
        let (whole, rest) = (product.checked_div(by)?, product.checked_rem(by)?);
        let more = rest.checked_mul(PLACES)?;
        let is_up = more.checked_rem(by)?.checked_mul(2)? >= by;
        let places = more.checked_div(by)?.checked_add(u128::from(is_up))?;
        let whole = whole.checked_add(places.checked_div(PLACES)?)?;
        let places = places.checked_rem(PLACES)?;
        if places == 0 {
            return self.signed(u64::try_from(whole).ok()?);
        }
        let size: f64 = format!("{whole}.{places:010}").parse().ok()?;
        Some(Value::from(if self.is_negative { -size } else { size }))
    }

    /// Times a factor, without what is behind the point.
    fn cut(&self, factor: u64) -> Option<Value> {
        let size = Fraction::decimal(false, self.digits, self.exponent)?.times(factor)?.whole()?;
        self.signed(size)
    }

    fn signed(&self, size: u64) -> Option<Value> {
        match self.is_negative {
            true => i64::try_from(size).ok()?.checked_neg().map(Value::from),
            false => Some(Value::from(size)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_bytes};
    use regorus::Value;

    #[test]
    fn amounts_are_those_of_opa() {
        for (text, exact, bytes) in [
            ("1Ki", Some("1024"), Some("1024")),
            ("1.5Gi", Some("1610612736"), Some("1610612736")),
            ("100m", Some("0.1"), Some("100000000")),
            ("1M", Some("1000000"), Some("1000000")),
            ("0.29k", Some("290"), Some("290")),
            ("1e3", Some("1000"), Some("1000")),
            ("2e", Some("2000000000000000000"), Some("2000000000000000000")),
            ("-1.5", Some("-1.5"), Some("-1")),
            ("\"10\"kB", None, Some("10000")),
            ("5kb", None, Some("5000")),
            ("1 k", None, None),
            ("k", None, None),
            ("1e+", None, None),
            ("1.2.3", None, None),
            ("1e9999999", None, None),
            ("7b", None, None),
            ("1K\u{130}", Some("1024"), Some("1024")),
        ] {
            let given = [Value::from(text)];
            let shown = |value: Option<Value>| value.map(|value| value.to_string());
            assert_eq!(shown(parse(&given).ok().flatten()).as_deref(), exact, "{text}");
            assert_eq!(shown(parse_bytes(&given).ok().flatten()).as_deref(), bytes, "{text}");
        }
        for long in ["1234567890123456789k", "20e", "1e30"] {
            assert!(parse_bytes(&[Value::from(long)]).is_err(), "{long}");
        }
    }
}
