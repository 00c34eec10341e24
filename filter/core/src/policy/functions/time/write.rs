//! An instant as a layout has it, as Go's `Format` writes it.

use super::calendar::{Civil, Moment};
use super::layout::{self, Form, MONTHS, Offset, Part};

/// Whatever is no part of the layout stays as it is.
pub(super) fn text(moment: &Moment, layout: &str) -> String {
    let at = moment.civil();
    let mut text = String::with_capacity(layout.len().saturating_add(10));
    let mut rest = layout;
    while let Some((before, part, after)) = layout::split(rest) {
        text.push_str(before);
        write(&mut text, part, moment, &at);
        rest = after;
    }
    text.push_str(rest);
    text
}

fn write(text: &mut String, part: Part, moment: &Moment, at: &Civil) {
    match part {
        Part::LongYear => number(text, at.year, 4, '0'),
        Part::Year => number(text, at.year % 100, 2, '0'),
        Part::Month(form @ (Form::Name | Form::Short)) => {
            let month = usize::try_from(at.month.saturating_sub(1)).ok().and_then(|month| MONTHS.get(month));
            name(text, month.copied().unwrap_or_default(), form);
        }
        Part::Month(form) => formed(text, at.month, form, 2),
        Part::Weekday(form) => name(text, layout::weekday(at.days), form),
        Part::Day(form) => formed(text, at.day, form, 2),
        Part::YearDay(form) => {
            let before = super::calendar::days_of(at.year, 1, 0);
            formed(text, at.days.saturating_sub(before), form, 3);
        }
        Part::Hour => number(text, at.hour, 2, '0'),
        Part::Hour12(form) => formed(text, if at.hour % 12 == 0 { 12 } else { at.hour % 12 }, form, 2),
        Part::Minute(form) => formed(text, at.minute, form, 2),
        Part::Second(form) => formed(text, at.second, form, 2),
        Part::Half { is_upper } => text.push_str(match (is_upper, at.hour >= 12) {
            (true, true) => "PM",
            (true, false) => "AM",
            (false, true) => "pm",
            (false, false) => "am",
        }),
        Part::ZoneName => match moment.zone.name {
            Some(name) => text.push_str(name),
            None => signed(text, moment.zone.offset),
        },
        Part::Offset(Offset { has_z: true, .. }) if moment.zone.offset == 0 => text.push('Z'),
        Part::Offset(offset) => {
            signed(text, moment.zone.offset);
            // All zones are whole hours ahead.
            let further = [offset.has_minutes, offset.has_seconds];
            further.into_iter().filter(|has| *has).for_each(|_| {
                text.push_str(if offset.has_colons { ":00" } else { "00" });
            });
        }
        Part::Fraction { mark, digits, is_trimmed } => {
            if is_trimmed && (digits == 0 || moment.nanos == 0) {
                return;
            }
            let start = text.len();
            text.push(mark);
            number(text, moment.nanos, 9, '0');
            text.truncate(start.saturating_add(digits.min(9)).saturating_add(1));
            if is_trimmed {
                while text.ends_with('0') {
                    text.pop();
                }
                if text.ends_with(mark) {
                    text.pop();
                }
            }
        }
    }
}

/// The hours that a zone is ahead.
fn signed(text: &mut String, offset: i64) {
    text.push(if offset < 0 { '-' } else { '+' });
    number(text, (offset / 3600).saturating_abs(), 2, '0');
}

fn name(text: &mut String, name: &str, form: Form) {
    text.push_str(if form == Form::Short { name.get(..3).unwrap_or_default() } else { name });
}

fn formed(text: &mut String, value: i64, form: Form, width: usize) {
    match form {
        Form::Zeros => number(text, value, width, '0'),
        Form::Spaces => number(text, value, width, ' '),
        Form::Name | Form::Short | Form::Plain => number(text, value, 0, '0'),
    }
}

fn number(text: &mut String, value: i64, width: usize, filling: char) {
    let digits = value.to_string();
    (digits.len()..width).for_each(|_| text.push(filling));
    text.push_str(&digits);
}
