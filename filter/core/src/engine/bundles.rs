//! The bundles that the policy is made of: each is fetched, kept and reported by itself; together they come into force, or
//! not at all.

mod part;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{ActiveBundle, EngineError, FetchError, Installed, LoadError};
use crate::bundle::Bundle;
use crate::config::{BundleEntry, Config, Mode};
use crate::ids::UnixSeconds;
use crate::request::Properties;
use crate::source::{Fetch, Source};

pub use part::{BundleFault, BundleStatus};
pub(super) use part::{Part, Taken, Version};

/// All bundles, and the policy that they make.
#[derive(Debug)]
pub(super) struct Bundles {
    parts: BTreeMap<String, Part>,
    active: Option<Rc<ActiveBundle>>,
    /// Sources of bundles in force that a discovery bundle no longer names.
    retired: Vec<Source>,
}

impl Bundles {
    /// The bundles of a configuration; the inline ones are read.
    pub(super) fn configure(config: &Config) -> Result<Self, EngineError> {
        let mut bundles = Self { parts: BTreeMap::new(), active: None, retired: Vec::new() };
        for (name, entry) in config.bundle_entries() {
            let part = if config.bundle.is_some() {
                Part::configure(entry, "/bundle", "", config)?
            } else {
                Part::configure(entry, &below("/bundles", name), "/source", config)?
            };
            bundles.parts.insert(name.to_owned(), part);
        }
        let active = bundles.compile(|_, part| part.version(true), config).map_err(|source| {
            let pointer = if config.bundle.is_some() { "/bundle/inline" } else { "/bundles" };
            EngineError::Bundle { pointer: pointer.to_owned(), source }
        })?;
        if let Some(active) = active {
            bundles.enforce(active, |_| true, None);
        }
        if config.discovery.is_none() && bundles.sources().next().is_none() && config.candidate.is_none() {
            // Nothing will ever be put together anew.
            bundles.parts.values_mut().for_each(|part| part.accepted = None);
        }
        Ok(bundles)
    }

    pub(super) fn activate(&mut self, bundle: ActiveBundle) -> &Rc<ActiveBundle> {
        self.active.insert(Rc::new(bundle))
    }

    /// The policy in force, unless one of its bundles is older than it may be.
    pub(super) fn active(&self, now: UnixSeconds) -> Option<&Rc<ActiveBundle>> {
        let mut sources = self.sources().chain(&self.retired);
        self.active.as_ref().filter(|_| !sources.any(|source| source.is_stale(now)))
    }

    /// The policy in force, however old.
    pub(super) fn active_any(&self) -> Option<&ActiveBundle> {
        self.active.as_deref()
    }

    pub(super) fn properties(&self) -> Properties {
        self.active.as_ref().map(|active| active.policy.reads().properties).unwrap_or_default()
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = (&str, &BundleStatus)> {
        self.parts.iter().map(|(name, part)| (name.as_str(), &part.status))
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.parts.values().filter_map(|part| part.source.as_ref())
    }

    pub(super) fn spread(&mut self, seed: u64) {
        for (number, source) in (1..).zip(self.parts.values_mut().filter_map(|part| part.source.as_mut())) {
            source.spread(seed.rotate_left(number));
        }
    }

    pub(super) fn due(&mut self, now: UnixSeconds) -> impl Iterator<Item = (String, Fetch)> {
        self.parts.iter_mut().filter_map(move |(name, part)| Some((name.clone(), part.due(now)?)))
    }

    pub(super) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.get(name)
    }

    pub(super) fn part_mut(&mut self, name: &str) -> Option<&mut Part> {
        self.parts.get_mut(name)
    }

    /// The versions in force, by name.
    pub(super) fn in_force(&self) -> impl Iterator<Item = (&str, &Version)> {
        self.parts.iter().filter_map(|(name, part)| Some((name.as_str(), part.version(false)?)))
    }

    /// Takes a new version of one bundle, and puts it in force if it goes with the others.
    pub(super) fn install(
        &mut self,
        name: &str,
        body: &[u8],
        config: &Config,
        now: UnixSeconds,
    ) -> Result<Installed, FetchError> {
        let part = self.parts.get_mut(name).ok_or(FetchError::Unknown)?;
        if let Taken::Unchanged = part.take(body, config, now)? {
            return Ok(Installed::Unchanged);
        }
        // Bundles that change together may go with each other and with nothing older.
        let together = self.compile(|_, part| part.version(true), config);
        let others_wait = self.parts.iter().any(|(other, part)| other != name && part.waiting.is_some());
        let (active, alone) = match together {
            Err(error) if others_wait => {
                match self.compile(|other, part| part.version(other == name), config)? {
                    // What it would have to go with was never in force.
                    None => return Err(error.into()),
                    active => (active, true),
                }
            }
            together => (together?, false),
        };
        Ok(match active {
            None => Installed::Incomplete,
            Some(active) => {
                Installed::Bundle(self.enforce(active, |other| !alone || other == name, Some(now)))
            }
        })
    }

    /// Makes these the bundles: those that stay as they were keep their versions, and what is in force stays there until
    /// all of the new ones are good. The error says what is wrong with them; then nothing has changed.
    pub(super) fn replan(
        &mut self,
        entries: &BTreeMap<String, BundleEntry>,
        config: &Config,
    ) -> Result<(), String> {
        let mut added = BTreeMap::new();
        for (name, entry) in entries {
            if self.parts.get(name).is_none_or(|part| !part.is_of(entry)) {
                let part = Part::configure(entry, &below("/bundles", name), "/source", config);
                added.insert(name.clone(), part.map_err(|error| error.to_string())?);
            }
        }
        let goes = |name: &String| !entries.contains_key(name) || added.contains_key(name);
        let gone: Vec<String> = self.parts.keys().filter(|name| goes(name)).cloned().collect();
        // With nothing to wait for it is known now whether they go with each other.
        let stay = self.parts.iter().filter(|(name, _)| !gone.contains(name));
        let chosen: Option<Vec<_>> =
            stay.map(|(name, part)| Some((name.as_str(), part.mode, part.version(true)?))).collect();
        let active = match chosen.filter(|_| added.is_empty() && !gone.is_empty()) {
            Some(chosen) => Some(together(&chosen, config).map_err(|error| error.to_string())?),
            None => None,
        };
        let gone: Vec<_> = gone.iter().filter_map(|name| self.parts.remove(name)?.retire()).collect();
        self.retired.extend(gone);
        self.parts.extend(added);
        if let Some(active) = active {
            self.enforce(active, |_| true, None);
        }
        Ok(())
    }

    /// Compiles one version of each bundle; `None` while one of them has none, or none is known yet.
    fn compile<'a>(
        &'a self,
        choose: impl Fn(&str, &'a Part) -> Option<&'a Version>,
        config: &Config,
    ) -> Result<Option<ActiveBundle>, LoadError> {
        let chosen =
            self.parts.iter().map(|(name, part)| Some((name.as_str(), part.mode, choose(name, part)?)));
        let chosen = chosen.collect::<Option<Vec<_>>>().filter(|chosen| !chosen.is_empty());
        chosen.map(|chosen| together(&chosen, config)).transpose()
    }

    /// Puts a policy in force, and with it the new versions of these bundles.
    fn enforce(
        &mut self,
        active: ActiveBundle,
        is_new: impl Fn(&str) -> bool,
        now: Option<UnixSeconds>,
    ) -> Rc<ActiveBundle> {
        for (_, part) in self.parts.iter_mut().filter(|(name, _)| is_new(name)) {
            part.accept(now);
        }
        self.retired.clear();
        Rc::clone(self.activate(active))
    }
}

/// The policy of these versions: name, mode, version.
pub(super) fn together(
    chosen: &[(&str, Mode, &Version)],
    config: &Config,
) -> Result<ActiveBundle, LoadError> {
    let load =
        |bundle: &Bundle| ActiveBundle::load_with(bundle, &config.decision, &config.limits, &config.builtins);
    if let [(_, mode, version)] = chosen {
        let observes = *mode == Mode::Observe;
        return Ok(ActiveBundle { observes, ..load(&version.bundle)? });
    }
    let bundles = || chosen.iter().map(|(name, _, version)| (*name, &*version.bundle));
    let mut active = load(&Bundle::combined(bundles())?)?;
    if let Some((_, mode, version)) = chosen.iter().find(|(_, _, v)| v.bundle.owns(&config.decision)) {
        active.observes = *mode == Mode::Observe;
        active.revision = version.bundle.revision().to_owned();
    }
    active.revisions =
        bundles().map(|(name, bundle)| (name.to_owned(), bundle.revision().to_owned())).collect();
    Ok(active)
}

/// A JSON pointer to a member.
pub(super) fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
