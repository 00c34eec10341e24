//! A comparison for people and for programs.

use serde_json::{Value, json};

use super::{Change, Compared, Comparison, Kind, Reason};
use crate::replay::report::{action_of, agent_of, without_domain};
use crate::replay::{Audit, Observed};
use crate::table::{Cell, Style, Table, number, text};
use crate::text::printable;
use crate::time;

impl Kind {
    /// Its ANSI colour, by the outcome that is new.
    const fn colour(self) -> &'static str {
        match self {
            Self::NewlyAllowed => "32",
            Self::NewlyHeld => "33",
            Self::NewlyQuarantined | Self::NewlyDenied => "31",
            Self::Fault | Self::Effect | Self::Reasons => "36",
        }
    }
}

impl Change {
    /// `old → new`, with `–` for what is not there.
    fn arrow(&self) -> String {
        let side = |side: &Option<String>| side.as_deref().map_or_else(|| "–".to_owned(), printable);
        format!("{} → {}", side(&self.old), side(&self.new))
    }

    /// Whether rows say it without being asked.
    fn is_in_row(&self) -> bool {
        matches!(self.what.as_str(), "outcome" | "reasons" | "fault")
    }
}

impl Reason {
    fn sign(&self) -> char {
        if self.is_new { '+' } else { '−' }
    }

    fn to_json(&self) -> Value {
        json!({"code": self.code, "rule": self.rule, "title": self.title})
    }
}

pub(crate) fn outcome(observed: &Observed) -> &'static str {
    super::outcome_of(observed).map_or("none", |outcome| outcome.as_str())
}

impl Compared {
    /// `old → new`, or the one that stays.
    pub(crate) fn decision(&self) -> String {
        let (old, new) = (outcome(&self.old.observed), outcome(&self.new.observed));
        if old == new { old.to_owned() } else { format!("{old} → {new}") }
    }

    /// The record that says who did what: the new one, where there is one.
    pub(crate) fn audit(&self) -> Option<&Audit> {
        self.new.observed.audit.as_ref().or(self.old.observed.audit.as_ref())
    }

    fn to_json(&self) -> Value {
        let side = |observed: &Observed| {
            json!({
                "outcome": observed.audit.as_ref().and_then(Audit::outcome),
                "reasons": observed.audit.as_ref().map(Audit::reasons),
                "status": observed.status,
                "fault": observed.fault,
                "audit": observed.audit.as_ref().map(Audit::value),
            })
        };
        let reasons = |is_new| {
            self.reasons
                .iter()
                .filter(|reason| reason.is_new == is_new)
                .map(Reason::to_json)
                .collect::<Vec<_>>()
        };
        let changes: Vec<_> = self
            .changes
            .iter()
            .map(|change| json!({"what": change.what, "old": change.old, "new": change.new}))
            .collect();
        json!({
            "id": self.new.id,
            "title": self.new.title,
            "time": time::rfc3339(self.new.time),
            "change": self.kind.map(Kind::name),
            "changes": changes,
            "reasons_gone": reasons(false),
            "reasons_new": reasons(true),
            "old": side(&self.old.observed),
            "new": side(&self.new.observed),
        })
    }
}

impl Comparison {
    /// One line: how many change, and how.
    #[must_use]
    pub fn summary(&self) -> String {
        let all = self.exchanges.len();
        let counts: Vec<_> =
            self.counts().iter().map(|(kind, count)| format!("{count} {}", kind.title())).collect();
        let head = format!("{} ({})", printable(&self.name), self.subject);
        match self.changed().count() {
            0 => format!("{head}: none of {all} requests changes"),
            1 => format!("{head}: 1 of {all} requests changes: {}", counts.join(", ")),
            count => format!("{head}: {count} of {all} requests change: {}", counts.join(", ")),
        }
    }

    /// The exchanges that change as a table, why, and a summary.
    #[must_use]
    pub fn table(&self, style: Style) -> String {
        let mut out = format!("old  {}\nnew  {}\n\n", printable(&self.old), printable(&self.new));
        if !self.is_unchanged() {
            let mut table = Table::new(&[
                number("time"),
                text("change", 9),
                text("agent → for whom", 16),
                text("action", 16),
                text("decision", 16),
                text("reasons", 16),
            ]);
            for compared in self.changed() {
                table.push(row(compared));
            }
            out.push_str(&table.render(style));
            out.push('\n');
            self.write_why(&mut out, style);
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }

    /// What the reasons mean, once each, and whatever else changes, by exchange.
    fn write_why(&self, out: &mut String, style: Style) {
        let mut reasons: Vec<&Reason> = self.changed().flat_map(|compared| &compared.reasons).collect();
        reasons.sort_by(|a, b| (a.is_new, &a.code, &a.rule).cmp(&(b.is_new, &b.code, &b.rule)));
        reasons.dedup();
        let mut table = Table::new(&[
            text("reason", 16),
            text("of", 3),
            text("announced by", 20),
            text("which says", 20),
        ]);
        let announced = reasons.iter().filter(|reason| reason.rule.is_some());
        let mut is_empty = true;
        for reason in announced {
            is_empty = false;
            table.push([
                Cell::new(format!("{} {}", reason.sign(), reason.code)),
                Cell::new(if reason.is_new { "new" } else { "old" }),
                Cell::new(reason.rule.clone().unwrap_or_default()),
                Cell::new(reason.title.clone().unwrap_or_default()),
            ]);
        }
        if !is_empty {
            out.push_str(&table.render(style));
            out.push('\n');
        }
        let mut same: Vec<(&Change, Vec<&str>)> = Vec::new();
        for compared in self.changed() {
            for change in compared.changes.iter().filter(|change| !change.is_in_row()) {
                match same.iter_mut().find(|(known, _)| *known == change) {
                    Some((_, ids)) => ids.push(&compared.new.id),
                    None => same.push((change, vec![&compared.new.id])),
                }
            }
        }
        if !same.is_empty() {
            let columns = [text("what else is different", 16), text("old → new", 16), text("requests", 16)];
            let mut table = Table::new(&columns);
            for (change, ids) in same {
                table.push([
                    Cell::new(change.what.clone()),
                    Cell::new(change.arrow()),
                    Cell::new(ids.join(" ")),
                ]);
            }
            out.push_str(&table.render(style));
            out.push('\n');
        }
    }

    /// Everything, for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let counts: serde_json::Map<String, Value> =
            self.counts().into_iter().map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect();
        json!({
            "remit_comparison": 1,
            "name": self.name,
            "subject": self.subject,
            "old": self.old,
            "new": self.new,
            "requests": self.exchanges.len(),
            "changed": self.changed().count(),
            "by_change": counts,
            "exchanges": self.exchanges.iter().map(Compared::to_json).collect::<Vec<_>>(),
        })
    }
}

fn row(compared: &Compared) -> [Cell; 6] {
    let kind = compared.kind.unwrap_or(Kind::Effect);
    let fault = compared.changes.iter().find(|change| change.what == "fault");
    let reasons: Vec<String> = match fault.and_then(|fault| fault.new.as_ref().or(fault.old.as_ref())) {
        Some(fault) => vec![printable(fault)],
        None => compared
            .reasons
            .iter()
            .map(|reason| format!("{}{}", reason.sign(), printable(&reason.code)))
            .collect(),
    };
    [
        Cell::new(time::clock(compared.new.time)),
        Cell::coloured(kind.title(), kind.colour()),
        Cell::new(without_domain(&agent_of(compared.audit()))),
        Cell::new(action_of(compared.audit())),
        Cell::new(compared.decision().replacen(" → ", "\n→ ", 1)),
        Cell::new(reasons.join("\n")),
    ]
}
