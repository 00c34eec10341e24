//! The page of a replay.

use std::fmt::Write as _;

use remit_core::decision::Outcome;

use super::{class_of, escaped, page, pill, record, tiles};
use crate::replay::report::{action_of, agent_of, milliseconds};
use crate::replay::{Audit, Played, Replay};
use crate::time;

impl Replay {
    /// The replay as one HTML file: every request, what came of it, and what is not as expected.
    #[must_use]
    pub fn html(&self) -> String {
        let unexpected: Vec<_> =
            self.exchanges.iter().filter(|played| !played.mismatches.is_empty()).collect();
        let all = self.exchanges.len();
        let title = match (unexpected.len(), self.exchanges.iter().any(|played| played.is_checked)) {
            (0, false) => format!("{all} requests, nothing expected of them"),
            (0, true) => format!("{all} requests, all as expected"),
            (count, _) => format!("{count} of {all} requests not as expected"),
        };
        let mut body = format!("<h1>{title}</h1>\n<p class=\"soft\">{}</p>\n", escaped(&self.summary()));
        body.push_str(&self.shares());
        if !unexpected.is_empty() {
            body.push_str("<h2>Not as expected</h2>\n");
            unexpected.iter().for_each(|played| card(&mut body, played));
        }
        body.push_str("<h2>Every request</h2>\n<div class=\"scroll\"><table><thead><tr><th></th><th>time</th><th>agent → for whom</th><th>action</th><th>decision</th><th>reasons</th><th class=\"num\">ms</th></tr></thead>\n");
        self.exchanges.iter().for_each(|played| row(&mut body, played));
        body.push_str("</table></div>\n");
        page(&format!("{title}: {}", self.name), &body)
    }

    fn shares(&self) -> String {
        let outcome = |played: &Played| played.observed.audit.as_ref().and_then(Audit::outcome);
        let outcomes =
            [Outcome::Allow, Outcome::Modify, Outcome::RequireApproval, Outcome::Deny, Outcome::Quarantine];
        let mut shares: Vec<(&str, &str, usize)> = outcomes
            .into_iter()
            .map(|wanted| {
                let count = self.exchanges.iter().filter(|played| outcome(played) == Some(wanted)).count();
                (class_of(wanted.as_str()), wanted.as_str(), count)
            })
            .collect();
        shares.push((
            "none",
            "none",
            self.exchanges.iter().filter(|played| outcome(played).is_none()).count(),
        ));
        shares.retain(|(_, _, count)| *count > 0);
        tiles(&shares)
    }
}

fn outcome(played: &Played) -> &'static str {
    played.observed.audit.as_ref().and_then(Audit::outcome).map_or("none", |outcome| outcome.as_str())
}

fn card(body: &mut String, played: &Played) {
    let audit = played.observed.audit.as_ref();
    let _ = writeln!(
        body,
        "<article class=\"card bad\">\n<header><time>{}</time><span class=\"what\">{}</span><span class=\"move\">{}</span></header>",
        time::clock(played.time),
        escaped(&action_of(audit)),
        pill(outcome(played)),
    );
    let title = played.title.as_deref().map(|title| format!(": {}", escaped(title))).unwrap_or_default();
    let _ = writeln!(
        body,
        "<p class=\"soft\">{} · <span class=\"id\">{}</span>{title}</p>",
        escaped(&agent_of(audit)),
        escaped(&played.id)
    );
    body.push_str("<div class=\"scroll\"><table><thead><tr><th>of what</th><th>expected</th><th>got</th></tr></thead>\n");
    for mismatch in &played.mismatches {
        let (expected, got) = (escaped(&mismatch.expected), escaped(&mismatch.got));
        let _ = writeln!(
            body,
            "<tr><td>{}</td><td><code>{expected}</code></td><td><code>{got}</code></td></tr>",
            mismatch.what
        );
    }
    body.push_str("</table></div>\n");
    body.push_str(&record("audit record", audit));
    body.push_str("</article>\n");
}

fn row(body: &mut String, played: &Played) {
    let audit = played.observed.audit.as_ref();
    let mark = match (played.mismatches.is_empty(), played.is_checked) {
        (false, _) => "✗",
        (true, true) => "✓",
        (true, false) => "·",
    };
    let codes = audit.map(|audit| audit.reasons().join(" ")).unwrap_or_default();
    let _ = writeln!(
        body,
        "<tr><td>{mark}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td class=\"num\">{}</td></tr>",
        time::clock(played.time),
        escaped(&agent_of(audit)),
        escaped(&action_of(audit)),
        pill(outcome(played)),
        escaped(&codes),
        milliseconds(played.observed.added)
    );
}
