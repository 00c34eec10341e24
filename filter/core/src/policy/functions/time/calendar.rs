//! Instants and the Gregorian calendar, as far as nanoseconds in 64 bits go: from 1677 to 2262.

use super::zone::Zone;
use crate::audit;

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;
const SECOND: i64 = 1_000_000_000;

/// The days of 400 years, after which the calendar begins anew.
const ERA: i64 = 146_097;

/// An instant, and the zone that it is seen from.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// Since the Unix epoch.
    pub(super) seconds: i64,
    /// Of the second.
    pub(super) nanos: i64,
    pub(super) zone: Zone,
}

/// What a clock and a calendar on the wall show.
pub(super) struct Civil {
    /// Since 1970-01-01.
    pub(super) days: i64,
    pub(super) year: i64,
    /// From 1.
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
}

impl Moment {
    /// The instant that is this many nanoseconds after the Unix epoch.
    pub(super) fn at(nanoseconds: i64, zone: Zone) -> Self {
        Self { seconds: nanoseconds.div_euclid(SECOND), nanos: nanoseconds.rem_euclid(SECOND), zone }
    }

    pub(super) fn second_of_day(&self) -> i64 {
        self.local().rem_euclid(DAY)
    }

    fn local(&self) -> i64 {
        self.seconds.saturating_add(self.zone.offset)
    }

    pub(super) fn civil(&self) -> Civil {
        let (days, second) = (self.local().div_euclid(DAY), self.second_of_day());
        // An era later no day of these is negative.
        let (year, month, day) = audit::civil(u64::try_from(days.saturating_add(ERA)).unwrap_or(0));
        let [year, month, day] = [year, month, day].map(|part| i64::try_from(part).unwrap_or(0));
        Civil {
            days,
            year: year.saturating_sub(400),
            month,
            day,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
        }
    }
}

/// Days since 1970-01-01 of a date. A month before January or after December is one of another year, and any day counts from
/// the month's first.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "years, months and days are some 10^11 at most, so that the days stay below 10^14"
)]
pub(super) fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let months = month - 1;
    // Years begin with March, so that the day of a leap year is the last.
    let (year, month) = (year + months.div_euclid(12), months.rem_euclid(12));
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month + 2) / 5 + day - 1 - 719_468
}

/// How many days a month has.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    days_of(year, month.saturating_add(1), 1).saturating_sub(days_of(year, month, 1))
}

/// Nanoseconds since the Unix epoch of seconds and nanoseconds; `None` where 64 bits do not hold them.
pub(super) fn nanoseconds((seconds, nanos): (i64, i64)) -> Option<i64> {
    // So that the part of the second has the sign of the whole.
    let (seconds, nanos) =
        if seconds < 0 { (seconds.checked_add(1)?, nanos.checked_sub(SECOND)?) } else { (seconds, nanos) };
    seconds.checked_mul(SECOND)?.checked_add(nanos)
}
