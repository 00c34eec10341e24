//! What was seen: agents, issuers, principals, operations and credentials, and what of it should not be. One pass over
//! any number of records; memory is bounded by how much differs, not by how much there is.

mod facts;
mod findings;
mod read;
mod report;
mod sighting;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use remit_core::delegation::Party;
use remit_core::ids::Now;

pub use facts::Facts;
pub use findings::{Finding, Kind};
pub use read::{Malformed, Progress, Source};
pub use sighting::{Credential, Operation, Sighting};

/// Different things of one sort that are told apart; what comes beyond is counted as not kept.
pub const MAX_DISTINCT: usize = 10_000;
/// Malformed lines that are named; the others are counted.
pub const MAX_NAMED: usize = 20;

/// How often, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Records.
    pub count: u64,
    /// Of which the filter denied, or would have.
    pub refused: u64,
    /// The first.
    pub first: Now,
    /// The last.
    pub last: Now,
}

impl Default for Seen {
    fn default() -> Self {
        Self { count: 0, refused: 0, first: Now(u64::MAX), last: Now(0) }
    }
}

impl Seen {
    fn add(&mut self, sighting: &Sighting) {
        self.count = self.count.saturating_add(1);
        self.refused = self.refused.saturating_add(u64::from(sighting.refused));
        self.first = self.first.min(sighting.at);
        self.last = self.last.max(sighting.at);
    }
}

/// An agent, as it was seen.
#[derive(Debug, Default)]
pub struct Agent {
    /// How often, and when.
    pub seen: Seen,
    /// What the filter said of its registration last.
    pub registered: Option<bool>,
    /// The operations that it asked for.
    pub operations: BTreeSet<String>,
}

/// An operation, as it was seen.
#[derive(Debug, Default)]
pub struct Asked {
    /// How often, and when.
    pub seen: Seen,
    /// The verb of the catalog.
    pub verb: String,
    /// Whether the catalog knows it.
    pub classified: bool,
}

/// Tokens that have issuer, key, algorithm and type in common.
#[derive(Debug, Default)]
pub struct Lifetimes {
    /// How often, and when.
    pub seen: Seen,
    /// The shortest, in seconds.
    pub shortest: u64,
    /// The longest, in seconds.
    pub longest: u64,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Inventory {
    /// All records.
    pub all: Seen,
    /// Records without an identity: the token was missing or refused.
    pub anonymous: u64,
    /// Agents, by issuer and `sub`.
    pub agents: BTreeMap<Party, Agent>,
    /// Issuers of the tokens.
    pub issuers: BTreeMap<String, Seen>,
    /// On whose behalf.
    pub principals: BTreeMap<Party, Seen>,
    /// What was asked for.
    pub operations: BTreeMap<String, Asked>,
    /// Kinds of tokens.
    pub credentials: BTreeMap<Credential, Lifetimes>,
    /// Lines that should be a record and are none: the first [`MAX_NAMED`].
    pub malformed: Vec<Malformed>,
    /// All of them.
    pub malformed_count: u64,
    /// Lines of logs that are something else.
    pub other_lines: u64,
    /// What was beyond [`MAX_DISTINCT`].
    pub not_kept: u64,
}

impl Inventory {
    /// Takes one record in.
    pub fn add(&mut self, sighting: Sighting) {
        self.all.add(&sighting);
        let mut dropped = 0_u64;
        if sighting.principal.is_none() {
            self.anonymous = self.anonymous.saturating_add(1);
        }
        if let Some(operation) = &sighting.operation {
            match entry(&mut self.operations, &operation.name) {
                Some(asked) => {
                    asked.seen.add(&sighting);
                    asked.verb.clone_from(&operation.verb);
                    asked.classified = operation.classified;
                }
                None => dropped = dropped.saturating_add(1),
            }
        }
        if let Some(party) = &sighting.agent {
            match entry(&mut self.agents, party) {
                Some(agent) => {
                    agent.seen.add(&sighting);
                    agent.registered = sighting.registered.or(agent.registered);
                    let name = sighting.operation.as_ref().map(|operation| &operation.name);
                    if let Some(name) = name.filter(|name| !agent.operations.contains(*name)) {
                        // Together with the bound on agents this bounds all pairs by what a machine has.
                        if agent.operations.len() < MAX_DISTINCT / 10 {
                            agent.operations.insert(name.clone());
                        } else {
                            dropped = dropped.saturating_add(1);
                        }
                    }
                }
                None => dropped = dropped.saturating_add(1),
            }
        }
        if let Some(party) = &sighting.principal {
            match entry(&mut self.issuers, &party.iss) {
                Some(seen) => seen.add(&sighting),
                None => dropped = dropped.saturating_add(1),
            }
            match entry(&mut self.principals, party) {
                Some(seen) => seen.add(&sighting),
                None => dropped = dropped.saturating_add(1),
            }
        }
        if let Some((credential, lifetime)) = &sighting.credential {
            match entry(&mut self.credentials, credential) {
                Some(lifetimes) => {
                    let first = lifetimes.seen.count == 0;
                    lifetimes.shortest = if first { *lifetime } else { lifetimes.shortest.min(*lifetime) };
                    lifetimes.longest = lifetimes.longest.max(*lifetime);
                    lifetimes.seen.add(&sighting);
                }
                None => dropped = dropped.saturating_add(1),
            }
        }
        self.not_kept = self.not_kept.saturating_add(dropped);
    }

    fn refuse(&mut self, malformed: Malformed) {
        self.malformed_count = self.malformed_count.saturating_add(1);
        if self.malformed.len() < MAX_NAMED {
            self.malformed.push(malformed);
        }
    }
}

/// The entry of a key, unless it would be one too many.
fn entry<'a, K: Ord + Clone, V: Default>(map: &'a mut BTreeMap<K, V>, key: &K) -> Option<&'a mut V> {
    if map.len() >= MAX_DISTINCT && !map.contains_key(key) {
        return None;
    }
    Some(map.entry(key.clone()).or_default())
}
