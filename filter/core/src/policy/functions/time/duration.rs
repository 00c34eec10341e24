//! Durations as Go writes them, `1h30m` or `-1.5s`, with OPA's days, weeks and years.

/// A unit, its nanoseconds, and for a unit of OPA's its hours.
const UNITS: [(&str, u64, Option<f64>); 11] = [
    ("ns", 1, None),
    ("us", 1_000, None),
    // The micro sign, and the Greek letter.
    ("\u{b5}s", 1_000, None),
    ("\u{3bc}s", 1_000, None),
    ("ms", 1_000_000, None),
    ("s", 1_000_000_000, None),
    ("m", 60_000_000_000, None),
    ("h", HOUR, None),
    ("d", HOUR, Some(24.0)),
    ("w", HOUR, Some(168.0)),
    ("y", HOUR, Some(8_760.0)),
];
const HOUR: u64 = 3_600_000_000_000;

/// The most nanoseconds, of a negative duration.
const MOST: u64 = 1 << 63;

/// The nanoseconds of a duration; `None` for what is none, and where 64 bits do not hold it.
pub(super) fn nanoseconds(text: &str) -> Option<i64> {
    let (is_negative, mut rest) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    // OPA's own reader knows no Greek letters.
    let is_extended = text.contains(['d', 'w', 'y']);
    let mut sum = 0_u64;
    if rest.is_empty() || is_extended && text.contains('\u{3bc}') {
        return None;
    }
    while !rest.is_empty() {
        let is_digit = |c: char| c.is_ascii_digit() || c == '.';
        let (number, after) = rest.split_at(rest.find(|c| !is_digit(c))?);
        let (unit, after) = after.split_at(after.find(is_digit).unwrap_or(after.len()));
        rest = after;
        let (_, unit, hours) = *UNITS.iter().find(|(name, ..)| *name == unit)?;
        let nanoseconds = match hours {
            None => measured(number, unit)?,
            Some(hours) => measured(&decimal(number.parse::<f64>().ok()? * hours)?, unit)?,
        };
        sum = sum.checked_add(nanoseconds).filter(|sum| *sum <= MOST)?;
    }
    if is_negative { 0_i64.checked_sub_unsigned(sum) } else { i64::try_from(sum).ok() }
}

/// The fewest digits that mean a number, without an exponent. One with a positive exponent is too large for a duration.
fn decimal(number: f64) -> Option<String> {
    let text = serde_json::Number::from_f64(number)?.to_string();
    let Some((digits, exponent)) = text.split_once("e-") else { return Some(text) };
    let zeros = exponent.parse::<usize>().ok()?.checked_sub(1)?;
    Some(["0.", &"0".repeat(zeros), &digits.replace('.', "")].concat())
}

/// A decimal number of some unit, rounded down as Go does.
fn measured(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let whole = whole.bytes().try_fold(0_u64, |sum, digit| {
        let sum = sum.checked_mul(10)?.checked_add(u64::from(digit.saturating_sub(b'0')))?;
        (sum <= MOST).then_some(sum)
    })?;
    let (mut part, mut scale) = (0_u64, 1.0);
    for digit in fraction.bytes() {
        // What is finer than this is left out.
        let next =
            part.checked_mul(10).and_then(|part| part.checked_add(u64::from(digit.saturating_sub(b'0'))));
        match next.filter(|next| part <= (MOST - 1) / 10 && *next <= MOST) {
            Some(next) => (part, scale) = (next, scale * 10.0),
            None => break,
        }
    }
    let whole = whole.checked_mul(unit).filter(|whole| *whole <= MOST)?;
    // Positive and below one unit.
    let part = (part as f64 * (unit as f64 / scale)) as u64;
    whole.checked_add(part).filter(|sum| *sum <= MOST)
}
