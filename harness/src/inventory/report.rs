//! The inventory for people, and for programs.

use remit_core::delegation::Party;
use remit_core::ids::Now;
use remit_core::registry::Registration;
use serde_json::{Value, json};

use super::{Facts, Inventory, Seen};
use crate::text::{padded, printable, shortened, width};
use crate::time;

/// Rows of a table that are shown; JSON has all.
const MAX_ROWS: usize = 50;

/// How wide a column may be, and whether its cells are numbers.
type Column = (&'static str, usize, bool);

const WHEN: [Column; 4] =
    [("records", 9, true), ("refused", 9, true), ("first", 16, false), ("last", 16, false)];

impl Inventory {
    /// The inventory as tables.
    #[must_use]
    pub fn table(&self, facts: &Facts, max_lifetime: u64) -> String {
        let mut out = self.summary();
        out.push_str(&rows(
            "agents",
            &[&[("agent", 20, false), ("issuer", 24, false)], WHEN.as_slice(), &[("registered", 18, false)]]
                .concat(),
            self.agents.iter().map(|(party, agent)| {
                let (good, text) = self.registration(facts, party);
                let mark = if good { ' ' } else { '✗' };
                (mark, [vec![party.sub.clone(), host(&party.iss)], when(&agent.seen), vec![text]].concat())
            }),
        ));
        out.push_str(&rows(
            "on behalf of",
            &[&[("principal", 32, false), ("issuer", 24, false)], WHEN.as_slice()].concat(),
            self.principals
                .iter()
                .map(|(party, seen)| (' ', [vec![party.sub.clone(), host(&party.iss)], when(seen)].concat())),
        ));
        out.push_str(&rows(
            "issuers",
            &[&[("issuer", 48, false)], WHEN.as_slice()].concat(),
            self.issuers.iter().map(|(iss, seen)| (' ', [vec![host(iss)], when(seen)].concat())),
        ));
        out.push_str(&rows(
            "operations",
            &[&[("operation", 40, false), ("verb", 12, false)], WHEN.as_slice()].concat(),
            self.operations.iter().map(|(name, asked)| {
                let verb = if asked.classified { asked.verb.clone() } else { "unclassified".to_owned() };
                let mark = if asked.classified { ' ' } else { '✗' };
                (mark, [vec![name.clone(), verb], when(&asked.seen)].concat())
            }),
        ));
        out.push_str(&rows(
            "credentials",
            &[
                ("issuer", 28, false),
                ("kid", 20, false),
                ("alg", 6, false),
                ("typ", 14, false),
                ("records", 9, true),
                ("lifetime s", 12, true),
            ],
            self.credentials.iter().map(|(credential, lifetimes)| {
                let (shortest, longest) = (lifetimes.shortest, lifetimes.longest);
                let lifetime =
                    if shortest == longest { longest.to_string() } else { format!("{shortest}–{longest}") };
                let optional = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
                let cells = vec![
                    host(&credential.iss),
                    optional(&credential.kid),
                    credential.alg.clone(),
                    optional(&credential.typ),
                    lifetimes.seen.count.to_string(),
                    lifetime,
                ];
                (if longest > max_lifetime { '✗' } else { ' ' }, cells)
            }),
        ));
        let findings = self.findings(facts, max_lifetime);
        out.push_str(&rows(
            "findings",
            &[("kind", 18, false), ("what", 94, false)],
            findings
                .iter()
                .map(|finding| ('✗', vec![finding.kind.as_str().to_owned(), finding.what.clone()])),
        ));
        if findings.is_empty() {
            out.push_str("\nno findings\n");
        }
        out
    }

    fn summary(&self) -> String {
        let mut parts = vec![format!("{} records", self.all.count)];
        if self.all.count > 0 {
            parts.push(format!("{} to {}", minute(self.all.first), minute(self.all.last)));
        }
        for (count, what) in [
            (self.anonymous, "without an identity"),
            (self.other_lines, "other lines"),
            (self.malformed_count, "malformed lines"),
            (self.not_kept, "beyond what is told apart"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        format!("{}\n", parts.join("; "))
    }

    /// Whether an agent is registered as far as anybody knows, and in words.
    fn registration(&self, facts: &Facts, party: &Party) -> (bool, String) {
        let agent = self.agents.get(party);
        let last = agent.map_or(Now(0), |agent| agent.seen.last);
        match (facts.registration(party, last), agent.and_then(|agent| agent.registered)) {
            (Some(Registration::Registered), _) => (true, facts.owner(party).unwrap_or("yes").to_owned()),
            (Some(Registration::Expired), _) => (false, "expired".to_owned()),
            (Some(Registration::Unregistered), _) | (None, Some(false)) => (false, "no".to_owned()),
            (None, Some(true)) => (true, "yes".to_owned()),
            (None, None) => (true, "?".to_owned()),
        }
    }

    /// The inventory as JSON.
    #[must_use]
    pub fn to_json(&self, facts: &Facts, max_lifetime: u64) -> Value {
        let agents = self.agents.iter().map(|(party, agent)| {
            let (_, registration) = self.registration(facts, party);
            let state = facts.registration(party, agent.seen.last);
            let registered = state.map(|state| state == Registration::Registered).or(agent.registered);
            json!({"iss": party.iss, "sub": party.sub, "seen": seen(&agent.seen), "registered": registered,
                   "registration": registration, "operations": agent.operations})
        });
        let principals = self
            .principals
            .iter()
            .map(|(party, at)| json!({"iss": party.iss, "sub": party.sub, "seen": seen(at)}));
        let issuers = self.issuers.iter().map(|(iss, at)| json!({"iss": iss, "seen": seen(at)}));
        let operations = self.operations.iter().map(|(name, asked)| {
            json!({"operation": name, "verb": asked.verb, "classified": asked.classified, "seen": seen(&asked.seen)})
        });
        let credentials = self.credentials.iter().map(|(credential, lifetimes)| {
            json!({"iss": credential.iss, "kid": credential.kid, "alg": credential.alg, "typ": credential.typ,
                   "shortest_seconds": lifetimes.shortest, "longest_seconds": lifetimes.longest,
                   "seen": seen(&lifetimes.seen)})
        });
        let findings = self.findings(facts, max_lifetime);
        json!({
            "records": seen(&self.all),
            "without_identity": self.anonymous,
            "other_lines": self.other_lines,
            "malformed_lines": self.malformed_count,
            "malformed": self.malformed,
            "not_kept": self.not_kept,
            "agents": agents.collect::<Vec<_>>(),
            "issuers": issuers.collect::<Vec<_>>(),
            "principals": principals.collect::<Vec<_>>(),
            "operations": operations.collect::<Vec<_>>(),
            "credentials": credentials.collect::<Vec<_>>(),
            "findings": findings.iter().map(|finding| json!({"kind": finding.kind.as_str(), "what": finding.what}))
                .collect::<Vec<_>>(),
        })
    }
}

fn when(seen: &Seen) -> Vec<String> {
    vec![seen.count.to_string(), seen.refused.to_string(), minute(seen.first), minute(seen.last)]
}

fn seen(seen: &Seen) -> Value {
    let at = |now: Now| (seen.count > 0).then(|| time::rfc3339(now));
    json!({"count": seen.count, "refused": seen.refused, "first": at(seen.first), "last": at(seen.last)})
}

/// An issuer, as short as people call it.
fn host(iss: &str) -> String {
    iss.strip_prefix("https://").unwrap_or(iss).to_owned()
}

/// To the minute, in UTC.
fn minute(now: Now) -> String {
    time::rfc3339(now).chars().take(16).collect::<String>().replace('T', " ")
}

/// A titled table, as narrow as its cells allow; nothing where there are no rows.
fn rows(title: &str, columns: &[Column], rows: impl Iterator<Item = (char, Vec<String>)>) -> String {
    let mut shown: Vec<(char, Vec<String>)> = Vec::new();
    let mut more = 0_usize;
    for (mark, cells) in rows {
        if shown.len() < MAX_ROWS {
            let cells = cells.iter().zip(columns).map(|(cell, column)| shortened(&printable(cell), column.1));
            shown.push((mark, cells.collect()));
        } else {
            more = more.saturating_add(1);
        }
    }
    if shown.is_empty() {
        return String::new();
    }
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| {
            let cells = shown.iter().filter_map(|(_, cells)| cells.get(i)).map(|cell| width(cell));
            cells.chain([width(column.0)]).max().unwrap_or(0)
        })
        .collect();
    let line = |mark: char, cells: &[&str]| {
        let cells = cells.iter().zip(columns).zip(&widths).map(|((cell, column), columns)| {
            let blanks = " ".repeat(columns.saturating_sub(width(cell)));
            if column.2 { format!("{blanks}{cell}") } else { padded(cell, *columns) }
        });
        let text = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", format!("{mark} {text}").trim_end())
    };
    let headings: Vec<&str> = columns.iter().map(|column| column.0).collect();
    let mut out = format!("\n{title}\n{}", line(' ', &headings));
    for (mark, cells) in &shown {
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        out.push_str(&line(*mark, &cells));
    }
    if more > 0 {
        out.push_str(&format!("  … and {more} more; --format json has all\n"));
    }
    out
}
