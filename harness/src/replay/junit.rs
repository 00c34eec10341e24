//! Replays and comparisons as JUnit's XML: an exchange is a test.

use super::changes::{Comparison, outcome};
use super::{Played, Replay};
use crate::junit::{Case, Verdict, document};
use crate::text::printable;

impl Replay {
    /// An exchange that is not as expected has failed; one of which nothing is expected was skipped.
    #[must_use]
    pub fn junit(&self) -> String {
        let cases: Vec<Case> = self.exchanges.iter().map(|played| self.case(played)).collect();
        document(&self.name, &[], &cases)
    }

    fn case(&self, played: &Played) -> Case {
        let mismatches: Vec<String> = played.mismatches.iter().map(ToString::to_string).collect();
        let verdict = match (mismatches.first(), played.is_checked) {
            (Some(_), _) => {
                let detail = played.observed.audit.as_ref().and_then(|audit| audit.text("/detail"));
                let detail = detail.map(|detail| format!("\naudit says: {}", printable(detail)));
                Verdict::Failed(mismatches.join("; "), mismatches.join("\n") + &detail.unwrap_or_default())
            }
            (None, true) => Verdict::Passed,
            (None, false) => Verdict::Skipped("the capture expects nothing of it".to_owned()),
        };
        Case { verdict, ..case(&self.name, played) }
    }
}

impl Comparison {
    /// An exchange that comes out differently has failed.
    #[must_use]
    pub fn junit(&self) -> String {
        let cases: Vec<Case> = self
            .exchanges
            .iter()
            .map(|compared| {
                let verdict = compared.kind.map_or(Verdict::Passed, |kind| {
                    let (old, new) = (outcome(&compared.old.observed), outcome(&compared.new.observed));
                    let lines = compared.changes.iter().map(|change| {
                        let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "–".to_owned());
                        format!("{}: {} → {}", change.what, side(&change.old), side(&change.new))
                    });
                    let whole = lines.collect::<Vec<_>>().join("\n");
                    Verdict::Failed(format!("{}: {old} → {new}", kind.title()), whole)
                });
                Case { verdict, ..case(&self.name, &compared.new) }
            })
            .collect();
        document(&self.name, &[], &cases)
    }
}

fn case(class: &str, played: &Played) -> Case {
    let title = played.title.as_deref().map(|title| format!(": {title}")).unwrap_or_default();
    Case {
        class: class.to_owned(),
        name: format!("{}{title}", played.id),
        place: None,
        duration: played.observed.added,
        verdict: Verdict::Passed,
        output: String::new(),
    }
}
