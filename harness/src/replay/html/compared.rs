//! The page of a comparison.

use std::fmt::Write as _;

use super::{escaped, page, pill, record, tiles};
use crate::replay::changes::{Compared, Comparison, Kind, Reason, outcome};
use crate::replay::report::{action_of, agent_of};
use crate::time;

/// How many requests of one kind a page shows whole: a browser has to open it.
pub(super) const CARDS: usize = 500;
/// How many requests that do not change are listed.
const ROWS: usize = 5000;

impl Kind {
    const fn class(self) -> &'static str {
        match self {
            Self::NewlyAllowed => "good",
            Self::NewlyHeld => "held",
            Self::NewlyDenied | Self::NewlyQuarantined => "bad",
            Self::Fault | Self::Effect | Self::Reasons => "other",
        }
    }
}

impl Comparison {
    /// The comparison as one HTML file: which requests change, why, and the records of both sides.
    #[must_use]
    pub fn html(&self) -> String {
        let changed = self.changed().count();
        let all = self.exchanges.len();
        let title = match changed {
            0 => format!("No request of {all} changes"),
            1 => format!("1 of {all} requests changes"),
            _ => format!("{changed} of {all} requests change"),
        };
        let mut body = format!(
            "<h1>{title}</h1>\n<p class=\"soft\">{} ({})</p>\n",
            escaped(&self.name),
            escaped(&self.subject)
        );
        let _ = writeln!(
            body,
            "<dl class=\"sides\"><dt>old bundle</dt><dd><code>{}</code></dd><dt>new bundle</dt><dd><code>{}</code></dd></dl>",
            escaped(&self.old),
            escaped(&self.new)
        );
        let counts = self.counts();
        let mut shares: Vec<_> =
            counts.iter().map(|(kind, count)| (kind.class(), kind.title(), *count)).collect();
        shares.push(("none", "unchanged", all.saturating_sub(changed)));
        body.push_str(&tiles(&shares));
        for (kind, count) in counts {
            let _ = writeln!(body, "<h2>{} ({count})</h2>", escaped(kind.title()));
            for compared in self.changed().filter(|compared| compared.kind == Some(kind)).take(CARDS) {
                card(&mut body, compared, kind);
            }
            left_out(&mut body, count, CARDS);
        }
        self.unchanged(&mut body);
        page(&format!("{title}: {}", self.name), &body)
    }

    fn unchanged(&self, body: &mut String) {
        let same: Vec<_> = self.exchanges.iter().filter(|compared| compared.kind.is_none()).collect();
        if same.is_empty() {
            return;
        }
        let _ = writeln!(body, "<h2>Unchanged ({})</h2>\n<details><summary>show them</summary>", same.len());
        body.push_str("<div class=\"scroll\"><table><thead><tr><th>time</th><th>agent → for whom</th><th>action</th><th>decision</th><th>reasons</th></tr></thead>\n");
        for compared in same.iter().take(ROWS) {
            let codes = compared
                .new
                .observed
                .audit
                .as_ref()
                .map(|audit| audit.reasons().join(" "))
                .unwrap_or_default();
            let _ = writeln!(
                body,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td></tr>",
                time::clock(compared.new.time),
                escaped(&agent_of(compared.audit())),
                escaped(&action_of(compared.audit())),
                pill(outcome(&compared.new.observed)),
                escaped(&codes)
            );
        }
        body.push_str("</table></div></details>\n");
        left_out(body, same.len(), ROWS);
    }
}

fn left_out(body: &mut String, count: usize, shown: usize) {
    let rest = count.saturating_sub(shown);
    if rest > 0 {
        let _ = writeln!(
            body,
            "<p class=\"soft\">The first {shown} of {count}; {rest} more are in the output of <code>--format json</code>.</p>"
        );
    }
}

fn card(body: &mut String, compared: &Compared, kind: Kind) {
    let (old, new) = (outcome(&compared.old.observed), outcome(&compared.new.observed));
    let moved = if old == new { pill(new) } else { format!("{} → {}", pill(old), pill(new)) };
    let _ = writeln!(
        body,
        "<article class=\"card {}\">\n<header><time>{}</time><span class=\"what\">{}</span><span class=\"move\">{moved}</span></header>",
        kind.class(),
        time::clock(compared.new.time),
        escaped(&action_of(compared.audit())),
    );
    let title =
        compared.new.title.as_deref().map(|title| format!(": {}", escaped(title))).unwrap_or_default();
    let _ = writeln!(
        body,
        "<p class=\"soft\">{} · <span class=\"id\">{}</span>{title}</p>",
        escaped(&agent_of(compared.audit())),
        escaped(&compared.new.id)
    );
    if !compared.reasons.is_empty() {
        body.push_str("<ul class=\"reasons\">\n");
        compared.reasons.iter().for_each(|reason| write_reason(body, reason));
        body.push_str("</ul>\n");
    }
    let other: Vec<_> = compared
        .changes
        .iter()
        .filter(|change| !matches!(change.what.as_str(), "outcome" | "reasons"))
        .collect();
    if !other.is_empty() {
        body.push_str("<div class=\"scroll\"><table><thead><tr><th>different</th><th>old</th><th>new</th></tr></thead>\n");
        for change in other {
            let side = |side: &Option<String>| side.as_deref().map_or_else(|| "–".to_owned(), escaped);
            let (what, old, new) = (escaped(&change.what), side(&change.old), side(&change.new));
            let _ = writeln!(
                body,
                "<tr><td>{what}</td><td><code>{old}</code></td><td><code>{new}</code></td></tr>"
            );
        }
        body.push_str("</table></div>\n");
    }
    body.push_str("<div class=\"pair\">\n");
    body.push_str(&record("audit record, old", compared.old.observed.audit.as_ref()));
    body.push_str(&record("audit record, new", compared.new.observed.audit.as_ref()));
    body.push_str("</div>\n</article>\n");
}

fn write_reason(body: &mut String, reason: &Reason) {
    let (class, sign) = if reason.is_new { ("come", "+") } else { ("gone", "−") };
    let title = reason.title.as_deref().map(|title| format!(" {}", escaped(title))).unwrap_or_default();
    let rule =
        reason.rule.as_deref().map(|rule| format!(" <span class=\"soft id\">{}</span>", escaped(rule)));
    let _ = writeln!(
        body,
        "<li class=\"{class}\"><span class=\"sign\">{sign}</span><code>{}</code>{title}{}</li>",
        escaped(&reason.code),
        rule.unwrap_or_default()
    );
}
