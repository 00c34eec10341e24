//! Instants as people and RFC 3339 write them.

use remit_core::ids::Now;

const NANOS: u64 = 1_000_000_000;

/// Why a text is no instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not of the form.
    #[error("not a time as RFC 3339 has it, such as 2026-03-18T14:02:00Z")]
    Form,
    /// A month, day, hour, minute, second or offset that does not exist.
    #[error("no such time: a month, day, hour, minute, second or offset is out of range")]
    Range,
    /// Before 1970 or after 2554.
    #[error("before 1970 or after 2554")]
    Era,
}

/// Reads an RFC 3339 date-time.
///
/// # Errors
///
/// See [`TimeError`]. Leap seconds (`:60`) are out of range: POSIX time has none.
pub fn parse(text: &str) -> Result<Now, TimeError> {
    let (date, rest) = text.split_once(['T', 't', ' ']).ok_or(TimeError::Form)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone_at = rest.find(['Z', 'z', '+', '-']).ok_or(TimeError::Form)?;
    let (clock, zone) = rest.split_at_checked(zone_at).ok_or(TimeError::Form)?;
    let (clock, fraction) = clock.split_once('.').map_or((clock, None), |(clock, rest)| (clock, Some(rest)));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let nanos = fraction.map_or(Ok(0), fraction_nanos)?;
    let offset = offset_seconds(zone)?;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 59 {
        return Err(TimeError::Range);
    }
    let days = days_since_epoch(year, month, day);
    let seconds = days
        .saturating_mul(86_400)
        .saturating_add(hour.saturating_mul(3600))
        .saturating_add(minute.saturating_mul(60))
        .saturating_add(second)
        .saturating_sub(offset);
    let seconds = u64::try_from(seconds).map_err(|_| TimeError::Era)?;
    let whole = seconds.checked_mul(NANOS).and_then(|whole| whole.checked_add(nanos));
    whole.map(Now).ok_or(TimeError::Era)
}

/// Writes an instant in UTC, with a fraction only where there is one.
#[must_use]
pub fn rfc3339(now: Now) -> String {
    let seconds = now.seconds().0;
    let (year, month, day) = civil(i64::try_from(seconds / 86_400).unwrap_or(0));
    let fraction = match now.subsecond_nanos() {
        0 => String::new(),
        nanos => format!(".{}", format!("{nanos:09}").trim_end_matches('0')),
    };
    format!("{year:04}-{month:02}-{day:02}T{}{fraction}Z", clock(now))
}

/// Hours, minutes and seconds in UTC.
#[must_use]
pub fn clock(now: Now) -> String {
    let rest = now.seconds().0 % 86_400;
    format!("{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Result<[i64; N], TimeError> {
    let mut values = [0; N];
    let mut parts = text.split(between);
    for (value, digits) in values.iter_mut().zip(digits) {
        let part = parts.next().ok_or(TimeError::Form)?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return Err(TimeError::Form);
        }
        *value = part.parse().map_err(|_| TimeError::Form)?;
    }
    if parts.next().is_some() { Err(TimeError::Form) } else { Ok(values) }
}

fn fraction_nanos(text: &str) -> Result<u64, TimeError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TimeError::Form);
    }
    let nine: String = text.chars().chain("000000000".chars()).take(9).collect();
    nine.parse().map_err(|_| TimeError::Form)
}

fn offset_seconds(zone: &str) -> Result<i64, TimeError> {
    if zone.eq_ignore_ascii_case("z") {
        return Ok(0);
    }
    let (sign, text) = match zone.split_at_checked(1) {
        Some(("+", text)) => (1, text),
        Some(("-", text)) => (-1, text),
        _ => return Err(TimeError::Form),
    };
    let [hours, minutes] = numbers(text, ':', [2, 2])?;
    if hours > 23 || minutes > 59 {
        return Err(TimeError::Range);
    }
    Ok(hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60)).saturating_mul(sign))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar; a year begins in March, so that the leap day is its last.
#[expect(clippy::arithmetic_side_effects, reason = "years of four digits: the products stay far below i64::MAX")]
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_since_epoch`].
#[expect(clippy::arithmetic_side_effects, reason = "days of a u64 of nanoseconds: the products stay far below i64::MAX")]
fn civil(days: i64) -> (i64, i64, i64) {
    let day = days + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        for (text, nanos, canonical) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2026-03-18T14:02:00Z", 1_773_842_520 * NANOS, "2026-03-18T14:02:00Z"),
            ("2026-03-18t15:02:00.25+01:00", 1_773_842_520 * NANOS + NANOS / 4, "2026-03-18T14:02:00.25Z"),
            ("2026-03-17T23:32:00-14:30", 1_773_842_520 * NANOS, "2026-03-18T14:02:00Z"),
            ("2000-02-29 00:00:00.123456789999Z", 951_782_400_123_456_789, "2000-02-29T00:00:00.123456789Z"),
        ] {
            assert_eq!(parse(text), Ok(Now(nanos)), "{text}");
            assert_eq!(rfc3339(Now(nanos)), canonical);
        }
        assert_eq!(clock(Now(u64::MAX)), "23:34:33");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (text, error) in [
            ("", TimeError::Form),
            ("2026-03-18", TimeError::Form),
            ("2026-03-18T14:02Z", TimeError::Form),
            ("2026-03-18T14:02:00", TimeError::Form),
            ("2026-3-18T14:02:00Z", TimeError::Form),
            ("2026-03-18T14:02:00.Z", TimeError::Form),
            ("2026-03-18T14:02:00+0100", TimeError::Form),
            ("+026-03-18T14:02:00Z", TimeError::Form),
            ("2026-03-18T14:02:00Ü", TimeError::Form),
            ("2026-02-29T14:02:00Z", TimeError::Range),
            ("2026-13-01T14:02:00Z", TimeError::Range),
            ("2026-00-01T14:02:00Z", TimeError::Range),
            ("2026-03-18T24:02:00Z", TimeError::Range),
            ("2026-03-18T14:02:60Z", TimeError::Range),
            ("2026-03-18T14:02:00+24:00", TimeError::Range),
            ("1969-12-31T23:59:59Z", TimeError::Era),
            ("9999-12-31T23:59:59Z", TimeError::Era),
        ] {
            assert_eq!(parse(text), Err(error), "{text}");
        }
    }
}
