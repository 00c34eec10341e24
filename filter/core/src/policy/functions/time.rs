//! `time.*`: the clock, and what follows from an instant alone: dates, layouts, durations.

mod calendar;
mod duration;
mod layout;
mod read;
mod write;
mod zone;

use regorus::Value;

use super::{Stop, failed};
use crate::policy::surroundings::Surroundings;
use calendar::{DAY, Moment, days_in, days_of};
pub(in crate::policy) use zone::is_known as is_known_zone;

/// A change of the calendar that is larger is larger than what is known of it.
const MAX_CHANGE: i64 = 100_000_000_000;

/// Nanoseconds since the Unix epoch; the same instant for a whole evaluation, as in OPA.
pub(super) fn now_ns(_: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    match around.now() {
        Some(now) => Ok(Some(Value::from(now.0))),
        // Undefined could turn a `not` around.
        None => Err(failed("time.now_ns: there is no clock")),
    }
}

/// The instant of a text in a layout of Go's.
pub(super) fn parse_ns(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [Value::String(layout), Value::String(text)] = arguments else { return Ok(None) };
    parsed(layout::named(layout), text)
}

pub(super) fn parse_rfc3339_ns(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [Value::String(text)] = arguments else { return Ok(None) };
    parsed(layout::RFC3339, text)
}

fn parsed(layout: &str, text: &str) -> Result<Option<Value>, Stop> {
    Ok(read::instant(layout, text)?.and_then(calendar::nanoseconds).map(Value::from))
}

pub(super) fn parse_duration_ns(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    duration::nanoseconds(text).map(Value::from)
}

/// `[year, month, day]`
pub(super) fn date(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    Ok(given(arguments.first())?.map(|(moment, _)| {
        let at = moment.civil();
        numbers(&[at.year, at.month, at.day])
    }))
}

/// `[hour, minute, second]`
pub(super) fn clock(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    Ok(given(arguments.first())?.map(|(moment, _)| {
        let at = moment.civil();
        numbers(&[at.hour, at.minute, at.second])
    }))
}

pub(super) fn weekday(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    Ok(given(arguments.first())?.map(|(moment, _)| Value::from(layout::weekday(moment.civil().days))))
}

/// Go's `AddDate`: what is too much for a month goes on in the next one.
pub(super) fn add_date(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [start, change @ ..] = arguments else { return Ok(None) };
    let Some((moment, _)) = given(Some(start))? else { return Ok(None) };
    let [Some(years), Some(months), Some(days)] =
        [0, 1, 2].map(|at| change.get(at).and_then(|number| number.as_number().ok()?.as_i64()))
    else {
        return Ok(None);
    };
    if [years, months, days].iter().any(|change| change.unsigned_abs() > MAX_CHANGE.unsigned_abs()) {
        return Err(failed("time.add_date: a change of more than 100000000000"));
    }
    let at = moment.civil();
    let days =
        days_of(at.year.saturating_add(years), at.month.saturating_add(months), at.day.saturating_add(days));
    let seconds = days.saturating_mul(DAY).saturating_add(moment.second_of_day());
    let instant = (seconds.saturating_sub(moment.zone.offset), moment.nanos);
    Ok(calendar::nanoseconds(instant).map(Value::from))
}

/// `[years, months, days, hours, minutes, seconds]` between two instants, by the calendar in the zone of the first.
pub(super) fn diff(arguments: &[Value]) -> Result<Option<Value>, Stop> {
    let [one, other] = arguments else { return Ok(None) };
    let (Some((mut from, _)), Some((mut to, _))) = (given(Some(one))?, given(Some(other))?) else {
        return Ok(None);
    };
    to.zone = from.zone;
    if (from.seconds, from.nanos) > (to.seconds, to.nanos) {
        std::mem::swap(&mut from, &mut to);
    }
    let (from, to) = (from.civil(), to.civil());
    // From seconds to years; each takes one of the next where it is negative.
    let steps = [
        (to.second.saturating_sub(from.second), 60),
        (to.minute.saturating_sub(from.minute), 60),
        (to.hour.saturating_sub(from.hour), 24),
        (to.day.saturating_sub(from.day), days_in(from.year, from.month)),
        (to.month.saturating_sub(from.month), 12),
        (to.year.saturating_sub(from.year), 0),
    ];
    let mut taken = 0_i64;
    let mut parts = steps.map(|(difference, whole)| {
        let difference = difference.saturating_sub(taken);
        taken = i64::from(difference < 0);
        if taken == 1 { difference.saturating_add(whole) } else { difference }
    });
    parts.reverse();
    Ok(Some(numbers(&parts)))
}

/// The text of an instant in a layout of Go's; without one, RFC 3339 with nanoseconds.
pub(super) fn format(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let Some((moment, layout)) = given(arguments.first())? else { return Ok(None) };
    let layout = if layout.is_empty() { "RFC3339Nano" } else { layout };
    let layout = layout::named(layout);
    // No part becomes more than three times as long.
    around.has_room(layout.len().saturating_mul(3))?;
    Ok(Some(Value::from(write::text(&moment, layout))))
}

/// What OPA takes for an instant: nanoseconds, or an array of them, of a zone and of a layout.
fn given(value: Option<&Value>) -> Result<Option<(Moment, &str)>, Stop> {
    let (number, zone, layout) = match value {
        Some(number @ Value::Number(_)) => (Some(number), None, None),
        Some(Value::Array(parts)) => (parts.first(), parts.get(1), parts.get(2)),
        _ => return Ok(None),
    };
    let text = |part: Option<&'_ Value>| match part {
        None => Some(()),
        Some(Value::String(_)) => Some(()),
        Some(_) => None,
    };
    let (Some(Value::Number(number)), Some(()), Some(())) = (number, text(zone), text(layout)) else {
        return Ok(None);
    };
    let zone = match zone {
        Some(Value::String(zone)) => zone::of(zone).ok_or_else(|| {
            failed("time: a zone is not served that a database of zones would have to be asked about: give UTC or Etc/GMT+5")
        })?,
        _ => zone::UTC,
    };
    let layout = match layout {
        Some(Value::String(layout)) => layout.as_ref(),
        _ => "",
    };
    Ok(number.as_i64().map(|nanoseconds| (Moment::at(nanoseconds, zone), layout)))
}

fn numbers(parts: &[i64]) -> Value {
    Value::from(parts.iter().map(|part| Value::from(*part)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests;
