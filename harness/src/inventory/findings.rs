//! What should not be: agents that nobody answers for, tokens that live too long, capabilities that nobody uses,
//! operations that no catalog knows, lines that are no record.

use remit_core::registry::Registration;

use super::{Facts, Inventory};

/// A sort of finding. The names are those of `--fail-on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An agent that is not registered, or was not any more when it was seen last.
    Unregistered,
    /// Tokens that live longer than they should.
    LongLived,
    /// A capability that its agent never asked for.
    UnusedCapability,
    /// An operation that the catalog does not know.
    Unclassified,
    /// Lines that should be a record and are none.
    Malformed,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Unregistered, Self::LongLived, Self::UnusedCapability, Self::Unclassified, Self::Malformed];

    /// The name on the command line and in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unregistered => "unregistered",
            Self::LongLived => "long-lived",
            Self::UnusedCapability => "unused-capability",
            Self::Unclassified => "unclassified",
            Self::Malformed => "malformed",
        }
    }
}

/// One thing that should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What sort of thing.
    pub kind: Kind,
    /// What it is.
    pub what: String,
}

impl Inventory {
    /// What should not be, by kind and name. `max_lifetime`: how long a token may live, in seconds.
    #[must_use]
    pub fn findings(&self, facts: &Facts, max_lifetime: u64) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut add = |kind, what| findings.push(Finding { kind, what });
        for (party, agent) in &self.agents {
            let state = facts.registration(party, agent.seen.last);
            let what = match (state, agent.registered) {
                (Some(Registration::Registered), _) | (None, Some(true) | None) => continue,
                (Some(Registration::Expired), _) => "its registration has expired",
                (Some(Registration::Unregistered), _) => "not in the registry of the bundle",
                (None, Some(false)) => "not registered, as the filter recorded",
            };
            add(Kind::Unregistered, format!("{} of {}: {what}", party.sub, party.iss));
        }
        for (credential, lifetimes) in &self.credentials {
            if lifetimes.longest > max_lifetime {
                let kid = credential.kid.as_deref().unwrap_or("no kid");
                let longest = lifetimes.longest;
                add(Kind::LongLived, format!("{kid} of {}: up to {longest} s", credential.iss));
            }
        }
        for (party, capabilities) in facts.capabilities() {
            let used = self.agents.get(&party).map(|agent| &agent.operations);
            for capability in capabilities {
                if !used.is_some_and(|used| used.contains(capability)) {
                    add(Kind::UnusedCapability, format!("{}: {capability}", party.sub));
                }
            }
        }
        for (name, asked) in &self.operations {
            if !asked.classified {
                let how_often = match asked.seen.count {
                    1 => "once".to_owned(),
                    count => format!("{count} times"),
                };
                add(Kind::Unclassified, format!("{name}: asked for {how_often}"));
            }
        }
        for line in &self.malformed {
            add(Kind::Malformed, format!("{}:{}: {}", line.file, line.line, line.problem));
        }
        let unnamed = self.malformed_count.saturating_sub(u64::try_from(self.malformed.len()).unwrap_or(0));
        if unnamed > 0 {
            add(Kind::Malformed, format!("{unnamed} more lines"));
        }
        findings
    }
}
