//! A replay for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Audit, Played, Replay};
use crate::table::COLUMNS;
pub use crate::table::Style;
use crate::text::{padded, printable, shortened, width, wrapped};
use crate::time;

/// Columns between two cells.
const GAP: usize = 2;
/// What each column is called.
const HEADINGS: [&str; 6] = ["time", "agent → for whom", "action", "decision", "reasons", "ms"];

/// The columns that give way when a table is too wide.
const WHO: usize = 1;
const ACTION: usize = 2;
const REASONS: usize = 4;

/// One exchange as a row.
struct Row {
    marker: &'static str,
    cells: [String; 6],
    is_as_expected: bool,
    allows: bool,
}

impl Replay {
    /// One replay out of several of the same capture: an exchange is as in the first that is not as expected, and its
    /// added latency is the median. `None` when there is none.
    #[must_use]
    pub fn merged(replays: Vec<Self>) -> Option<Self> {
        let mut merged = replays.first()?.clone();
        for (i, played) in merged.exchanges.iter_mut().enumerate() {
            let runs: Vec<&Played> = replays.iter().filter_map(|replay| replay.exchanges.get(i)).collect();
            if let Some(unexpected) = runs.iter().find(|run| !run.mismatches.is_empty()) {
                *played = (*unexpected).clone();
            }
            played.observed.added = median(runs.iter().map(|run| run.observed.added).collect());
        }
        Some(merged)
    }

    /// A table of the exchanges, a summary, and what is not as expected.
    #[must_use]
    pub fn table(&self, style: Style) -> String {
        let rows: Vec<Row> = self.exchanges.iter().map(row).collect();
        let widths = widths(&rows);
        let mut out = String::new();
        let heading: Vec<String> =
            HEADINGS.iter().zip(widths).map(|(heading, width)| padded(heading, width)).collect();
        out.push_str(style.paint("1", format!("  {}", heading.join("  ")).trim_end()).as_str());
        out.push('\n');
        for row in &rows {
            write_row(&mut out, row, widths, style);
        }
        out.push('\n');
        out.push_str(&self.summary());
        out.push('\n');
        for played in self.exchanges.iter().filter(|played| !played.mismatches.is_empty()) {
            explain(&mut out, played, style);
        }
        out
    }

    /// One line: how many, and whether they are as expected.
    #[must_use]
    pub fn summary(&self) -> String {
        let all = self.exchanges.len();
        let checked = self.exchanges.iter().filter(|played| played.is_checked).count();
        let unexpected = self.exchanges.iter().filter(|played| !played.mismatches.is_empty()).count();
        let verdict = match (checked, unexpected) {
            (0, 0) => "nothing expected of them".to_owned(),
            (_, 0) if checked == all => "all as expected".to_owned(),
            (_, 0) => format!("{checked} as expected, nothing expected of the others"),
            (_, unexpected) => format!("{unexpected} not as expected"),
        };
        let added = median(self.exchanges.iter().map(|played| played.observed.added).collect());
        let added = milliseconds(added);
        format!(
            "{} ({}): {all} exchanges, {verdict}; median added latency {added} ms",
            printable(&self.name),
            self.subject
        )
    }

    /// Everything, for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let exchanges: Vec<Value> = self.exchanges.iter().map(exchange_json).collect();
        let unexpected = self.exchanges.iter().filter(|played| !played.mismatches.is_empty()).count();
        json!({
            "remit_replay": 1,
            "name": self.name,
            "subject": self.subject,
            "as_expected": self.is_as_expected(),
            "unexpected": unexpected,
            "exchanges": exchanges,
        })
    }
}

fn exchange_json(played: &Played) -> Value {
    let observed = &played.observed;
    let mismatches: Vec<Value> = played
        .mismatches
        .iter()
        .map(|mismatch| json!({"what": mismatch.what, "expected": mismatch.expected, "got": mismatch.got}))
        .collect();
    json!({
        "id": played.id,
        "title": played.title,
        "time": time::rfc3339(played.time),
        "outcome": observed.audit.as_ref().and_then(Audit::outcome),
        "reasons": observed.audit.as_ref().map(Audit::reasons),
        "status": observed.status,
        "forwarded": observed.forwarded.is_some(),
        "added_microseconds": u64::try_from(observed.added.as_micros()).unwrap_or(u64::MAX),
        "checked": played.is_checked,
        "as_expected": played.mismatches.is_empty(),
        "mismatches": mismatches,
        "fault": observed.fault,
        "reply": observed.reply.as_ref().map(|reply| String::from_utf8_lossy(&reply.body)),
        "audit": observed.audit.as_ref().map(Audit::value),
    })
}

/// `agent → principal` of a record.
pub(super) fn agent_of(audit: Option<&Audit>) -> String {
    let text = |pointer: &str| audit.and_then(|audit| audit.text(pointer)).map(printable);
    match (text("/agent/sub"), text("/principal/sub")) {
        (Some(agent), Some(principal)) => format!("{agent} → {principal}"),
        (None, Some(principal)) => format!("– → {principal}"),
        (agent, None) => agent.unwrap_or_else(|| "–".to_owned()),
    }
}

/// The action of a record and what it acts upon, else the request line.
pub(super) fn action_of(audit: Option<&Audit>) -> String {
    let text = |pointer: &str| audit.and_then(|audit| audit.text(pointer)).map(printable);
    match (text("/action/operation"), text("/action/resource/name")) {
        (Some(operation), Some(resource)) => format!("{operation} {resource}"),
        (Some(operation), None) => operation,
        (None, _) => match (text("/request/method"), text("/request/path")) {
            (Some(method), Some(path)) => format!("{method} {path}"),
            _ => "–".to_owned(),
        },
    }
}

fn row(played: &Played) -> Row {
    let audit = played.observed.audit.as_ref();
    let (who, action) = (agent_of(audit), action_of(audit));
    let outcome = audit.and_then(Audit::outcome);
    let reasons = audit.map(|audit| printable(&audit.reasons().join(" "))).unwrap_or_default();
    let decision = outcome.map_or_else(|| "none".to_owned(), |outcome| outcome.as_str().to_owned());
    let added = milliseconds(played.observed.added);
    let is_as_expected = played.mismatches.is_empty();
    let marker = match (is_as_expected, played.is_checked) {
        (false, _) => "✗",
        (true, true) => "✓",
        (true, false) => "·",
    };
    let cells = [time::clock(played.time), who, action, decision, reasons, added];
    Row { marker, cells, is_as_expected, allows: outcome.is_some_and(|outcome| outcome.allows()) }
}

/// Widths of the columns: as wide as what is in them. Where that is too much, names lose their domains, then cells with
/// several words are wrapped, and last of all words are shortened.
fn widths(rows: &[Row]) -> [usize; 6] {
    let mut widths = HEADINGS.map(width);
    let mut longest = [0_usize; 6];
    for row in rows {
        for (i, cell) in row.cells.iter().enumerate() {
            let natural = if i == WHO { width(&without_domain(cell)) } else { width(cell) };
            if let (Some(widest), Some(longest)) = (widths.get_mut(i), longest.get_mut(i)) {
                *widest = natural.max(*widest);
                *longest = cell.split(' ').map(width).fold(*longest, usize::max);
            }
        }
    }
    let word = |i: usize| longest.get(i).copied().unwrap_or_default();
    for (i, least) in
        [(REASONS, word(REASONS)), (ACTION, 28), (WHO, 20), (REASONS, 12), (ACTION, 12), (WHO, 12)]
    {
        let total =
            widths.iter().fold(GAP.saturating_mul(HEADINGS.len()), |sum, width| sum.saturating_add(*width));
        if let Some(width) = widths.get_mut(i) {
            *width = width.saturating_sub(total.saturating_sub(COLUMNS)).max(least.min(*width));
        }
    }
    widths
}

/// `agent → name@domain` without the domain.
pub(super) fn without_domain(who: &str) -> String {
    let (name, domain) = who.split_once('@').unwrap_or((who, ""));
    if domain.contains(' ') { who.to_owned() } else { name.to_owned() }
}

fn write_row(out: &mut String, row: &Row, widths: [usize; 6], style: Style) {
    let columns: Vec<Vec<String>> = row
        .cells
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(i, (cell, columns))| match i {
            WHO if width(cell) > columns => vec![shortened(&without_domain(cell), columns)],
            ACTION | REASONS => wrapped(cell, columns),
            _ => vec![shortened(cell, columns)],
        })
        .collect();
    let height = columns.iter().map(Vec::len).max().unwrap_or(1);
    for line in 0..height {
        let mut text = String::new();
        let marker = if line == 0 { row.marker } else { " " };
        text.push_str(&match row.is_as_expected {
            true => marker.to_owned(),
            false => style.paint("1;31", marker),
        });
        for (i, (cells, columns)) in columns.iter().zip(widths).enumerate() {
            let cell = cells.get(line).map(String::as_str).unwrap_or_default();
            let cell = if i == 5 { format!("{cell:>columns$}") } else { padded(cell, columns) };
            text.push_str(if i == 0 { " " } else { "  " });
            text.push_str(&match i {
                3 if row.allows => style.paint("32", &cell),
                3 => style.paint("33", &cell),
                _ => cell,
            });
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
}

fn explain(out: &mut String, played: &Played, style: Style) {
    let title = played.title.as_deref().map(|title| format!(", {}", printable(title))).unwrap_or_default();
    let id = printable(&played.id);
    let line = format!("\n✗ {id} ({}{title})\n", time::clock(played.time));
    out.push_str(&style.paint("31", &line));
    for mismatch in &played.mismatches {
        out.push_str(&format!("    {}\n", printable(&mismatch.to_string())));
    }
    if let Some(detail) = played.observed.audit.as_ref().and_then(|audit| audit.text("/detail")) {
        out.push_str(&format!("    audit says: {}\n", printable(detail)));
    }
}

pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

pub(super) fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().unwrap_or_default()
}
