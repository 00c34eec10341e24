//! Layouts of Go's package `time`: a text in which the parts of one instant, 15:04:05.999999999 on Monday, 2 January 2006,
//! at seven hours behind UTC, stand for those of another.

/// A part of an instant, and how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Four digits.
    LongYear,
    /// Two digits.
    Year,
    Month(Form),
    Weekday(Form),
    Day(Form),
    /// From 1, the first of January.
    YearDay(Form),
    /// Of 24, in two digits.
    Hour,
    Hour12(Form),
    Minute(Form),
    Second(Form),
    /// `PM`, or `pm`.
    Half {
        is_upper: bool,
    },
    /// `MST`
    ZoneName,
    /// How far a zone's clocks are ahead.
    Offset(Offset),
    /// Of the second, with the mark before it; an end of zeros can be left out.
    Fraction {
        mark: char,
        digits: usize,
        is_trimmed: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A whole name.
    Name,
    /// The first three letters of a name.
    Short,
    Plain,
    /// Filled with zeros.
    Zeros,
    /// Filled with spaces.
    Spaces,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offset {
    /// Whether UTC is `Z`.
    pub(super) has_z: bool,
    pub(super) has_colons: bool,
    pub(super) has_minutes: bool,
    pub(super) has_seconds: bool,
}

const fn offset(has_z: bool, has_colons: bool, fields: u8) -> Part {
    Part::Offset(Offset { has_z, has_colons, has_minutes: fields > 1, has_seconds: fields > 2 })
}

/// Of two that begin alike the longer one comes first.
const PARTS: [(&str, Part); 33] = [
    ("January", Part::Month(Form::Name)),
    ("Jan", Part::Month(Form::Short)),
    ("Monday", Part::Weekday(Form::Name)),
    ("Mon", Part::Weekday(Form::Short)),
    ("MST", Part::ZoneName),
    ("002", Part::YearDay(Form::Zeros)),
    ("01", Part::Month(Form::Zeros)),
    ("02", Part::Day(Form::Zeros)),
    ("03", Part::Hour12(Form::Zeros)),
    ("04", Part::Minute(Form::Zeros)),
    ("05", Part::Second(Form::Zeros)),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("1", Part::Month(Form::Plain)),
    ("2006", Part::LongYear),
    ("2", Part::Day(Form::Plain)),
    ("__2", Part::YearDay(Form::Spaces)),
    ("_2", Part::Day(Form::Spaces)),
    ("3", Part::Hour12(Form::Plain)),
    ("4", Part::Minute(Form::Plain)),
    ("5", Part::Second(Form::Plain)),
    ("PM", Part::Half { is_upper: true }),
    ("pm", Part::Half { is_upper: false }),
    ("-070000", offset(false, false, 3)),
    ("-07:00:00", offset(false, true, 3)),
    ("-0700", offset(false, false, 2)),
    ("-07:00", offset(false, true, 2)),
    ("-07", offset(false, false, 1)),
    ("Z070000", offset(true, false, 3)),
    ("Z07:00:00", offset(true, true, 3)),
    ("Z0700", offset(true, false, 2)),
    ("Z07:00", offset(true, true, 2)),
    ("Z07", offset(true, false, 1)),
];

pub(super) const RFC3339: &str = "2006-01-02T15:04:05Z07:00";

/// The layout that a name of OPA's stands for; anything else is one itself.
pub(super) fn named(layout: &str) -> &str {
    match layout {
        "ANSIC" => "Mon Jan _2 15:04:05 2006",
        "UnixDate" => "Mon Jan _2 15:04:05 MST 2006",
        "RubyDate" => "Mon Jan 02 15:04:05 -0700 2006",
        "RFC822" => "02 Jan 06 15:04 MST",
        "RFC822Z" => "02 Jan 06 15:04 -0700",
        "RFC850" => "Monday, 02-Jan-06 15:04:05 MST",
        "RFC1123" => "Mon, 02 Jan 2006 15:04:05 MST",
        "RFC1123Z" => "Mon, 02 Jan 2006 15:04:05 -0700",
        "RFC3339" => RFC3339,
        "RFC3339Nano" => "2006-01-02T15:04:05.999999999Z07:00",
        layout => layout,
    }
}

/// What stands before the first part, the part, and what follows it; `None` where there is no part.
pub(super) fn split(layout: &str) -> Option<(&str, Part, &str)> {
    layout.char_indices().find_map(|(at, _)| {
        let (before, rest) = layout.split_at_checked(at)?;
        let (part, length) = first(rest)?;
        Some((before, part, rest.get(length..)?))
    })
}

/// The part that a text begins with, and its length.
fn first(text: &str) -> Option<(Part, usize)> {
    // The year, after a line that stands for itself.
    if text.starts_with("_2006") {
        return None;
    }
    let Some((written, part)) = PARTS.iter().find(|(written, _)| text.starts_with(written)) else {
        return fraction(text);
    };
    // `Month` is no Monday.
    let goes_on = text.as_bytes().get(written.len()).is_some_and(u8::is_ascii_lowercase);
    let is_word = matches!(part, Part::Month(Form::Short) | Part::Weekday(Form::Short));
    (!(is_word && goes_on)).then_some((*part, written.len()))
}

/// `.000` or `.999`, where no further digit follows.
fn fraction(text: &str) -> Option<(Part, usize)> {
    let mark = text.chars().next().filter(|mark| matches!(mark, '.' | ','))?;
    let digits = text.get(1..)?;
    let digit = digits.chars().next().filter(|digit| matches!(digit, '0' | '9'))?;
    let rest = digits.trim_start_matches(digit);
    let count = digits.len().saturating_sub(rest.len());
    let is_trimmed = digit == '9';
    // Go keeps twelve bits.
    let part = Part::Fraction { mark, digits: count & 0xfff, is_trimmed };
    (!rest.starts_with(|c: char| c.is_ascii_digit())).then_some((part, count.saturating_add(1)))
}

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The name of the weekday that is so many days after 1970-01-01, a Thursday.
pub(super) fn weekday(days: i64) -> &'static str {
    let at = days.saturating_add(4).rem_euclid(7);
    usize::try_from(at).ok().and_then(|at| WEEKDAYS.get(at)).copied().unwrap_or_default()
}
