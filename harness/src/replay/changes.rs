//! Two replays of one capture, under two bundles: which requests come out differently, and why.

#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use remit_core::bundle::{Bundle, BundleLimits};
use remit_core::decision::Outcome;
use remit_core::delegation::{HOPS_HEADER, PROOF_HEADER};
use remit_core::dpop;
use remit_core::request::APPROVAL_HEADER;

use serde_json::Value;

use super::{Audit, Observed, Played, Replay};
use crate::annotations::{Annotation, annotations};

pub(crate) use told::outcome;

/// Headers with credentials: signed anew for each replay.
const CREDENTIALS: [&str; 6] =
    ["authorization", "txn-token", APPROVAL_HEADER, HOPS_HEADER, PROOF_HEADER, dpop::PROOF_HEADER];

/// What changes for a request, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It was refused or held, and goes through now.
    NewlyAllowed,
    /// It was not quarantined, and is now.
    NewlyQuarantined,
    /// It went through or waited, and is refused now.
    NewlyDenied,
    /// It went through or was refused, and waits for a human now.
    NewlyHeld,
    /// It cannot be replayed now, or could not before: most often what it approves is no longer held.
    Fault,
    /// Same outcome, another effect on the request, the response or the reply.
    Effect,
    /// Same outcome and effect, other reasons.
    Reasons,
}

impl Kind {
    /// Every kind, in the order of summaries.
    pub const ALL: [Self; 7] = [
        Self::NewlyAllowed,
        Self::NewlyQuarantined,
        Self::NewlyDenied,
        Self::NewlyHeld,
        Self::Fault,
        Self::Effect,
        Self::Reasons,
    ];

    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NewlyAllowed => "newly_allowed",
            Self::NewlyQuarantined => "newly_quarantined",
            Self::NewlyDenied => "newly_denied",
            Self::NewlyHeld => "newly_held",
            Self::Fault => "fault",
            Self::Effect => "other_effect",
            Self::Reasons => "other_reasons",
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::NewlyAllowed => "newly allowed",
            Self::NewlyQuarantined => "newly quarantined",
            Self::NewlyDenied => "newly denied",
            Self::NewlyHeld => "newly held for approval",
            Self::Fault => "not comparable",
            Self::Effect => "other effect",
            Self::Reasons => "other reasons",
        }
    }
}

/// One thing that is different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Such as `outcome`, or `upstream header x-user`.
    pub what: String,
    /// Under the old bundle; `None`: not there.
    pub old: Option<String>,
    /// Under the new bundle; `None`: not there.
    pub new: Option<String>,
}

/// A reason code that came or went, and what the bundle that has it says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The code.
    pub code: String,
    /// Whether the new bundle gives it; else the old one gave it.
    pub is_new: bool,
    /// The rule that announces it (`custom.reason_code`), by file and line.
    pub rule: Option<String>,
    /// Its title.
    pub title: Option<String>,
}

/// One exchange under both bundles.
#[derive(Debug, Clone)]
pub struct Compared {
    /// Under the old bundle.
    pub old: Played,
    /// Under the new bundle.
    pub new: Played,
    /// `None`: nothing is different.
    pub kind: Option<Kind>,
    /// What is different.
    pub changes: Vec<Change>,
    /// The reasons that are different.
    pub reasons: Vec<Reason>,
}

/// What the blocks of a bundle say of reason codes.
#[derive(Debug, Clone, Default)]
pub struct Reasons(BTreeMap<String, Annotation>);

impl Reasons {
    /// Reads the blocks of a packed bundle; one that does not unpack announces nothing.
    #[must_use]
    pub fn of(bundle: &[u8]) -> Self {
        let Ok(bundle) = Bundle::from_targz(bundle, &BundleLimits::default()) else { return Self::default() };
        let blocks = bundle.modules().iter().flat_map(|module| annotations(&module.path, &module.text));
        Self(blocks.filter_map(|block| Some((block.reason_code.clone()?, block))).collect())
    }
}

/// A capture under two bundles.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Name of the capture.
    pub name: String,
    /// Name of the subject.
    pub subject: String,
    /// How the old bundle was named.
    pub old: String,
    /// How the new bundle was named.
    pub new: String,
    /// The exchanges in order.
    pub exchanges: Vec<Compared>,
}

/// A replay, how its bundle is named, and what that says of its reasons.
#[derive(Debug)]
pub struct Side {
    /// The replay.
    pub replay: Replay,
    /// The bundle, for people.
    pub bundle: String,
    /// Its reason codes.
    pub reasons: Reasons,
}

impl Comparison {
    /// Compares two replays of one capture.
    #[must_use]
    pub fn of(old: Side, new: Side) -> Self {
        let pairs = old.replay.exchanges.into_iter().zip(new.replay.exchanges);
        Self {
            name: old.replay.name,
            subject: old.replay.subject,
            old: old.bundle,
            new: new.bundle,
            exchanges: pairs.map(|(was, is)| compared(was, is, &old.reasons, &new.reasons)).collect(),
        }
    }

    /// The exchanges that come out differently.
    pub fn changed(&self) -> impl Iterator<Item = &Compared> {
        self.exchanges.iter().filter(|compared| compared.kind.is_some())
    }

    /// Whether every exchange comes out as before.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.changed().next().is_none()
    }

    /// How many exchanges change in which way; only kinds that there are.
    #[must_use]
    pub fn counts(&self) -> Vec<(Kind, usize)> {
        let count = |kind| self.exchanges.iter().filter(|compared| compared.kind == Some(kind)).count();
        Kind::ALL.into_iter().map(|kind| (kind, count(kind))).filter(|(_, count)| *count > 0).collect()
    }
}

fn compared(old: Played, new: Played, old_reasons: &Reasons, new_reasons: &Reasons) -> Compared {
    let changes = changes(&old.observed, &new.observed);
    let (was, is) = (codes(&old.observed), codes(&new.observed));
    let described = |code: &&str, is_new: bool| {
        let Reasons(known) = if is_new { new_reasons } else { old_reasons };
        let block = known.get(*code);
        Reason {
            code: (*code).to_owned(),
            is_new,
            rule: block.map(|block| format!("{}:{}", block.file, block.about.max(block.line))),
            title: block.and_then(|block| block.title.clone()),
        }
    };
    let went = was.difference(&is).map(|code| described(code, false));
    let came = is.difference(&was).map(|code| described(code, true));
    let reasons = went.chain(came).collect();
    let kind = kind(&old.observed, &new.observed, &changes);
    Compared { kind, changes, reasons, old, new }
}

fn outcome_of(observed: &Observed) -> Option<Outcome> {
    observed.audit.as_ref().and_then(Audit::outcome)
}

fn codes(observed: &Observed) -> BTreeSet<&str> {
    observed.audit.iter().flat_map(Audit::reasons).collect()
}

fn kind(old: &Observed, new: &Observed, changes: &[Change]) -> Option<Kind> {
    let (was, is) = (outcome_of(old), outcome_of(new));
    if changes.is_empty() {
        return None;
    }
    if old.fault != new.fault {
        return Some(Kind::Fault);
    }
    let allows = |outcome: Option<Outcome>| outcome.is_some_and(Outcome::allows);
    Some(match is {
        _ if was == is && changes.iter().all(|change| change.what == "reasons") => Kind::Reasons,
        _ if was == is || allows(was) && allows(is) => Kind::Effect,
        Some(Outcome::RequireApproval) => Kind::NewlyHeld,
        Some(Outcome::Quarantine) => Kind::NewlyQuarantined,
        Some(outcome) if outcome.allows() => Kind::NewlyAllowed,
        Some(_) => Kind::NewlyDenied,
        None => Kind::Fault,
    })
}

fn changes(old: &Observed, new: &Observed) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut differ = |what: &str, old: Option<String>, new: Option<String>| {
        if old != new {
            changes.push(Change { what: what.to_owned(), old, new });
        }
    };
    let name = |observed| outcome_of(observed).map(|outcome| outcome.as_str().to_owned());
    differ("outcome", name(old), name(new));
    let list = |observed| {
        let codes: Vec<_> = codes(observed).into_iter().collect();
        (!codes.is_empty()).then(|| codes.join(" "))
    };
    differ("reasons", list(old), list(new));
    differ("fault", old.fault.clone(), new.fault.clone());
    let text = |observed: &Observed, pointer| {
        observed.audit.as_ref().and_then(|audit| audit.text(pointer)).map(str::to_owned)
    };
    if old.audit.is_some() && new.audit.is_some() {
        for (what, pointer) in [
            ("operation", "/action/operation"),
            ("verb", "/action/verb"),
            ("resource", "/action/resource/name"),
        ] {
            differ(what, text(old, pointer), text(new, pointer));
        }
        differ("status", Some(old.status.to_string()), Some(new.status.to_string()));
        differ("detail", text(old, "/detail"), text(new, "/detail"));
    }
    // What goes upstream can be compared only where both times something did; the same holds for replies.
    if let (Some(was), Some(is)) = (&old.forwarded, &new.forwarded) {
        headers(&mut differ, "upstream header", (&was.headers, old), (&is.headers, new));
        headers(&mut differ, "response header", (&was.response_headers, old), (&is.response_headers, new));
        let body = |bytes: &[u8]| Some(String::from_utf8_lossy(bytes).into_owned());
        differ("upstream body", body(&was.body), body(&is.body));
    }
    if let (Some(was), Some(is), true) = (&old.reply, &new.reply, outcome_of(old) == outcome_of(new)) {
        headers(&mut differ, "reply header", (&was.headers, old), (&is.headers, new));
        differ("reply body", Some(own_words(&was.body)), Some(own_words(&is.body)));
    }
    changes
}

/// Headers by name, with what differs in every replay left out.
fn headers(
    differ: &mut impl FnMut(&str, Option<String>, Option<String>),
    what: &str,
    (old, was): (&[(String, String)], &Observed),
    (new, is): (&[(String, String)], &Observed),
) {
    let (old, new) = (by_name(old, was), by_name(new, is));
    let names: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    for name in names {
        differ(&format!("{what} {name}"), old.get(name).cloned(), new.get(name).cloned());
    }
}

/// A reply's body without what the filter says itself: outcome and reasons are compared by themselves, ids and challenges
/// differ in every replay.
fn own_words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body).into_owned();
    let Ok(mut value) = serde_json::from_slice::<Value>(body) else { return text };
    for pointer in ["", "/error/data"] {
        if let Some(Value::Object(told)) = value.pointer_mut(pointer) {
            told.retain(|name, _| {
                !matches!(name.as_str(), "decision_id" | "outcome" | "reasons" | "challenge")
            });
        }
    }
    value.to_string()
}

fn by_name<'a>(headers: &'a [(String, String)], observed: &Observed) -> BTreeMap<&'a str, String> {
    let own_id = observed.audit.as_ref().and_then(|audit| audit.text("/decision_id"));
    let mut map: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = match value.as_str() {
            _ if CREDENTIALS.contains(&name.as_str()) => "a credential",
            value if Some(value) == own_id => "the id of the decision",
            // Follows from what the body holds, which has an id and a challenge.
            _ if name == "content-length" => continue,
            value => value,
        };
        map.entry(name)
            .and_modify(|joined| {
                joined.push_str(", ");
                joined.push_str(value);
            })
            .or_insert_with(|| value.to_owned());
    }
    map
}
