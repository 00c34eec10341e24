//! The instant that a text has in a layout, as Go's `Parse` reads it where the zone of the machine is UTC.

use super::super::{Stop, failed};
use super::calendar::{DAY, days_in, days_of};
use super::layout::{self, Form, MONTHS, Offset, Part, WEEKDAYS};

/// What was read of an instant so far.
#[derive(Default)]
struct Fields<'t> {
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    is_morning: bool,
    is_afternoon: bool,
    /// Whether `Z` or `UTC` was read, which counts before anything else.
    is_utc: bool,
    offset: Option<i64>,
    zone: Option<&'t [u8]>,
}

/// Seconds since the Unix epoch and nanoseconds of a text in a layout; `None` where it is not in it, or no date.
pub(super) fn instant(layout: &str, text: &str) -> Result<Option<(i64, i64)>, Stop> {
    let mut fields = Fields::default();
    if fields.read(layout, text.as_bytes()).is_none() {
        return Ok(None);
    }
    let Some((year, month, day)) = fields.date() else { return Ok(None) };
    let seconds = fields.hour.saturating_mul(3600).saturating_add(fields.minute.saturating_mul(60));
    let seconds = seconds.saturating_add(fields.second);
    let seconds = days_of(year, month, day).saturating_mul(DAY).saturating_add(seconds);
    Ok(Some((seconds.saturating_sub(fields.ahead()?), fields.nanos)))
}

impl<'t> Fields<'t> {
    fn read(&mut self, layout: &str, text: &'t [u8]) -> Option<()> {
        let (mut layout, mut rest) = (layout, text);
        while let Some((before, part, after)) = layout::split(layout) {
            rest = self.part(part, skipped(rest, before)?, after)?;
            layout = after;
        }
        skipped(rest, layout)?.is_empty().then_some(())
    }

    /// Reads one part, and gives what follows it.
    fn part(&mut self, part: Part, text: &'t [u8], layout: &str) -> Option<&'t [u8]> {
        let is_fixed = |form: Form| form == Form::Zeros;
        let is_range = |number: i64, most: i64| (number <= most).then_some(number);
        let rest;
        match part {
            Part::LongYear => {
                let (year, after) = text.split_at_checked(4)?;
                rest = after;
                year.first().filter(|digit| digit.is_ascii_digit())?;
                self.year = signed(year)?;
            }
            Part::Year => {
                let (year, after) = text.split_at_checked(2)?;
                rest = after;
                let year = signed(year)?;
                self.year = year.saturating_add(if year >= 69 { 1900 } else { 2000 });
            }
            Part::Month(form @ (Form::Name | Form::Short)) => {
                let (month, after) = named(text, &MONTHS, form)?;
                (self.month, rest) = (Some(month.saturating_add(1)), after);
            }
            Part::Month(form) => {
                let (month, after) = number(text, 2, is_fixed(form))?;
                (self.month, rest) = (Some(is_range(month, 12).filter(|month| *month > 0)?), after);
            }
            Part::Weekday(form) => (_, rest) = named(text, &WEEKDAYS, form)?,
            Part::Day(form) => {
                let (day, after) = number(unspaced(text, form, 1), 2, is_fixed(form))?;
                (self.day, rest) = (Some(day), after);
            }
            Part::YearDay(form) => {
                let (day, after) = number(unspaced(text, form, 2), 3, is_fixed(form))?;
                (self.year_day, rest) = (Some(day), after);
            }
            Part::Hour => {
                let (hour, after) = number(text, 2, false)?;
                (self.hour, rest) = (is_range(hour, 23)?, after);
            }
            Part::Hour12(form) => {
                let (hour, after) = number(text, 2, is_fixed(form))?;
                (self.hour, rest) = (is_range(hour, 12)?, after);
            }
            Part::Minute(form) => {
                let (minute, after) = number(text, 2, is_fixed(form))?;
                (self.minute, rest) = (is_range(minute, 59)?, after);
            }
            Part::Second(form) => {
                let (second, after) = number(text, 2, is_fixed(form))?;
                self.second = is_range(second, 59)?;
                // A fraction may follow though the layout has none.
                let next = layout::split(layout).map(|(_, part, _)| part);
                rest = match (next, digits_after_mark(after)) {
                    (Some(Part::Fraction { .. }), _) | (_, 0) => after,
                    (_, digits) => self.fraction(after, digits)?,
                };
            }
            Part::Half { is_upper } => {
                let (half, after) = text.split_at_checked(2)?;
                rest = after;
                match (half, is_upper) {
                    (b"PM", true) | (b"pm", false) => self.is_afternoon = true,
                    (b"AM", true) | (b"am", false) => self.is_morning = true,
                    _ => return None,
                }
            }
            Part::ZoneName => match text.strip_prefix(b"UTC") {
                Some(after) => (self.is_utc, rest) = (true, after),
                None => {
                    let (zone, after) = text.split_at_checked(zone_length(text)?)?;
                    (self.zone, rest) = (Some(zone), after);
                }
            },
            Part::Offset(offset) => match text.strip_prefix(b"Z").filter(|_| offset.has_z) {
                Some(after) => (self.is_utc, rest) = (true, after),
                None => {
                    let (ahead, after) = ahead(text, offset)?;
                    (self.offset, rest) = (Some(ahead), after);
                }
            },
            Part::Fraction { is_trimmed: false, digits, .. } => rest = self.fraction(text, digits)?,
            Part::Fraction { is_trimmed: true, .. } => {
                rest = match digits_after_mark(text) {
                    0 => text,
                    digits => self.fraction(text, digits)?,
                };
            }
        }
        Some(rest)
    }

    /// Reads a mark and so many digits.
    fn fraction(&mut self, text: &'t [u8], digits: usize) -> Option<&'t [u8]> {
        let (fraction, rest) = text.split_at_checked(digits.saturating_add(1))?;
        let (mark, digits) = fraction.split_first()?;
        let digits = digits.get(..9).unwrap_or(digits);
        let number = signed(digits).filter(|number| is_mark(*mark) && *number >= 0)?;
        self.nanos = (digits.len()..9).fold(number, |number, _| number.saturating_mul(10));
        Some(rest)
    }

    /// Year, month and day, if there is such a day.
    fn date(&mut self) -> Option<(i64, i64, i64)> {
        if self.is_afternoon && self.hour < 12 {
            self.hour = self.hour.saturating_add(12);
        } else if !self.is_afternoon && self.is_morning && self.hour == 12 {
            self.hour = 0;
        }
        let year = self.year;
        if let Some(wanted) = self.year_day {
            let end = |month| days_of(year, month, 0).saturating_sub(days_of(year, 1, 0));
            let month = (1..=12).find(|month: &i64| wanted <= end(month.saturating_add(1)))?;
            let day = wanted.saturating_sub(end(month));
            if self.month.is_some_and(|own| own != month) || self.day.is_some_and(|own| own != day) {
                return None;
            }
            (self.month, self.day) = (Some(month), Some(day));
        }
        let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
        (1..=days_in(year, month)).contains(&day).then_some((year, month, day))
    }

    /// Seconds that the clock of the text is ahead of UTC. What an abbreviation means, OPA asks the zone of its machine.
    fn ahead(&self) -> Result<i64, Stop> {
        // Go takes one second behind for none at all.
        match (self.is_utc, self.offset.filter(|offset| *offset != -1), self.zone) {
            (true, ..) | (_, None, None) => Ok(0),
            (_, Some(offset), _) => Ok(offset),
            // `GMT+3` too: Go shows the instant there, and reads the clock as UTC.
            (_, None, Some(zone)) if zone.starts_with(b"GMT") => Ok(0),
            (_, None, Some(_)) => Err(failed(
                "time.parse_ns: what a zone's abbreviation means depends on the place: give an offset, UTC or GMT",
            )),
        }
    }
}

/// What follows the part of a layout that stands for itself; a space stands for any number of them.
fn skipped<'t>(text: &'t [u8], before: &str) -> Option<&'t [u8]> {
    let (mut text, mut before) = (text, before.as_bytes());
    while let Some((wanted, rest)) = before.split_first() {
        if *wanted == b' ' {
            if text.first().is_some_and(|found| *found != b' ') {
                return None;
            }
            before = unspaced(before, Form::Spaces, usize::MAX);
            text = unspaced(text, Form::Spaces, usize::MAX);
            continue;
        }
        (text, before) = (text.strip_prefix(&[*wanted])?, rest);
    }
    Some(text)
}

/// A text without the first spaces, where the form has any.
fn unspaced(text: &[u8], form: Form, most: usize) -> &[u8] {
    let spaces = text.iter().take(most).take_while(|byte| **byte == b' ').count();
    text.get(if form == Form::Spaces { spaces } else { 0 }..).unwrap_or_default()
}

/// A number of so many digits at most, or exactly.
fn number(text: &[u8], most: usize, is_exact: bool) -> Option<(i64, &[u8])> {
    let digits = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let is_number = digits == most || digits > 0 && !is_exact;
    Some((signed(number).filter(|_| is_number)?, rest))
}

/// A number with a sign before it or without, of few digits or none.
fn signed(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [sign @ (b'-' | b'+'), digits @ ..] => (*sign == b'-', digits),
        digits => (false, digits),
    };
    let number = digits.iter().try_fold(0_i64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit.saturating_sub(b'0')))?;
        sum.checked_mul(10)?.checked_add(digit)
    })?;
    Some(if is_negative { number.saturating_neg() } else { number })
}

/// Which of some names a text begins with, in capitals or not.
fn named<'t>(text: &'t [u8], names: &[&str], form: Form) -> Option<(i64, &'t [u8])> {
    (0..).zip(names).find_map(|(at, name)| {
        let length = if form == Form::Short { 3 } else { name.len() };
        let (found, rest) = text.split_at_checked(length)?;
        found.eq_ignore_ascii_case(name.as_bytes().get(..length)?).then_some((at, rest))
    })
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'.' | b',')
}

/// How many digits follow a point or a comma that a text begins with.
fn digits_after_mark(text: &[u8]) -> usize {
    match text.split_first() {
        Some((mark, rest)) if is_mark(*mark) => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    }
}

/// `-07:00` in seconds, and what follows.
fn ahead(text: &[u8], offset: Offset) -> Option<(i64, &[u8])> {
    let (sign, rest) = text.split_first()?;
    let (hours, mut rest) = two(rest, 24)?;
    let mut parts = [0, 0];
    for (part, has) in parts.iter_mut().zip([offset.has_minutes, offset.has_seconds]) {
        if has {
            rest = if offset.has_colons { rest.strip_prefix(b":")? } else { rest };
            (*part, rest) = two(rest, 60)?;
        }
    }
    let [minutes, seconds] = parts;
    let ahead = hours.saturating_mul(60).saturating_add(minutes).saturating_mul(60).saturating_add(seconds);
    match sign {
        b'+' => Some((ahead, rest)),
        b'-' => Some((ahead.saturating_neg(), rest)),
        _ => None,
    }
}

/// Two digits, as some write whole days and hours too.
fn two(text: &[u8], most: i64) -> Option<(i64, &[u8])> {
    number(text, 2, true).filter(|(number, _)| *number <= most)
}

/// How long the abbreviation of a zone is that a text begins with.
fn zone_length(text: &[u8]) -> Option<usize> {
    let hours = |text: &[u8]| {
        let (sign, digits) = text.split_first()?;
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = digits.get(..length).filter(|digits| !digits.is_empty()).and_then(signed)?;
        (matches!(sign, b'+' | b'-') && number <= 23).then_some(length.saturating_add(1))
    };
    if text.starts_with(b"ChST") || text.starts_with(b"MeST") {
        return Some(4);
    }
    if let Some(rest) = text.strip_prefix(b"GMT") {
        return Some(hours(rest).unwrap_or(0).saturating_add(3));
    }
    if let Some(length) = hours(text) {
        return Some(length);
    }
    let capitals = text.iter().take(6).take_while(|byte| byte.is_ascii_uppercase()).count();
    let is_zone = matches!(text.get(..capitals)?, [_, _, _] | [_, _, _, b'T'] | b"WITA" | [_, _, _, _, b'T']);
    is_zone.then_some(capitals)
}
