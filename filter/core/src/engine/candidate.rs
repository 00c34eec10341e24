//! The candidate: a policy that is evaluated beside the one in force, and changes nothing.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::bundles::{Bundles, Part, Taken, below, together};
use super::{ActiveBundle, EngineError, FetchError, Installed, LoadError};
use crate::config::{Config, SOLE_BUNDLE, SoleBundle};
use crate::ids::UnixSeconds;
use crate::policy::EvaluationBudget;
use crate::request::Properties;
use crate::source::Fetch;

/// A policy on trial.
#[derive(Debug)]
pub struct Candidate {
    parts: BTreeMap<String, Part>,
    /// It is made of its own bundles alone; else they stand in for those in force.
    alone: bool,
    active: Option<Rc<ActiveBundle>>,
    /// Its catalog is the one in force, so that requests mean the same under both.
    same_catalog: bool,
    /// A request is in the sample if its number is below this.
    below: u64,
    /// What one evaluation of it may cost.
    pub budget: EvaluationBudget,
}

impl Candidate {
    /// The candidate of a configuration, if it has one. An inline one that does not go with what is in force is an error.
    pub(super) fn configure(config: &Config, in_force: &Bundles) -> Result<Option<Self>, EngineError> {
        let Some(wanted) = &config.candidate else { return Ok(None) };
        let mut parts = BTreeMap::new();
        if let Some(SoleBundle(entry)) = &wanted.bundle {
            let part = Part::configure(entry, "/candidate/bundle", "", config)?;
            parts.insert(SOLE_BUNDLE.to_owned(), part);
        }
        for (name, entry) in &wanted.bundles {
            let pointer = below("/candidate/bundles", name);
            parts.insert(name.clone(), Part::configure(entry, &pointer, "/source", config)?);
        }
        let mut budget = config.limits.evaluation();
        budget.instructions = wanted.instructions.unwrap_or(budget.instructions);
        budget.time = wanted.evaluation_ms.map_or(budget.time, Duration::from_millis);
        #[expect(
            clippy::as_conversions,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 2^32, as the configuration was checked"
        )]
        let below = (wanted.fraction * 4_294_967_296.0) as u64;
        let alone = wanted.bundle.is_some();
        let mut candidate = Self { parts, alone, active: None, same_catalog: false, below, budget };
        candidate.compile(&|_| true, in_force, config).map_err(|source| {
            let pointer = if alone { "/candidate/bundle" } else { "/candidate/bundles" };
            EngineError::Bundle { pointer: pointer.to_owned(), source }
        })?;
        candidate.accept(|_| true, None);
        Ok(Some(candidate))
    }

    /// The candidate policy, once all of its bundles are there.
    #[must_use]
    pub fn policy(&self) -> Option<&Rc<ActiveBundle>> {
        self.active.as_ref()
    }

    /// Whether a request means the same under both policies.
    #[must_use]
    pub fn has_same_catalog(&self) -> bool {
        self.same_catalog
    }

    /// Whether the request with this random number is in the sample.
    #[must_use]
    pub fn samples(&self, number: u32) -> bool {
        u64::from(number) < self.below
    }

    /// What became of its bundles, by name.
    pub fn statuses(&self) -> impl Iterator<Item = (&str, &super::BundleStatus)> {
        self.parts.iter().map(|(name, part)| (name.as_str(), &part.status))
    }

    pub(super) fn properties(&self) -> Properties {
        self.active.as_ref().map(|active| active.policy.reads().properties).unwrap_or_default()
    }

    pub(super) fn part(&self, name: &str) -> Option<&Part> {
        self.parts.get(name)
    }

    pub(super) fn part_mut(&mut self, name: &str) -> Option<&mut Part> {
        self.parts.get_mut(name)
    }

    pub(super) fn due(&mut self, now: UnixSeconds) -> impl Iterator<Item = (String, Fetch)> {
        self.parts.iter_mut().filter_map(move |(name, part)| Some((name.clone(), part.due(now)?)))
    }

    pub(super) fn spread(&mut self, seed: u64) {
        for (number, source) in (1..).zip(self.parts.values_mut().filter_map(|part| part.source.as_mut())) {
            source.spread(seed.rotate_left(number));
        }
    }

    /// Takes a new version of one of its bundles.
    pub(super) fn install(
        &mut self,
        name: &str,
        body: &[u8],
        in_force: &Bundles,
        config: &Config,
        now: UnixSeconds,
    ) -> Result<Installed, FetchError> {
        let part = self.parts.get_mut(name).ok_or(FetchError::Unknown)?;
        if let Taken::Unchanged = part.take(body, config, now)? {
            return Ok(Installed::Unchanged);
        }
        // As with those in force: new versions may go with each other, and need not wait for one that goes with none.
        let others_wait = self.parts.iter().any(|(other, part)| other != name && part.waiting.is_some());
        let (is_whole, alone) = match self.compile(&|_| true, in_force, config) {
            Err(_) if others_wait => (self.compile(&|other| other == name, in_force, config)?, true),
            together => (together?, false),
        };
        if !is_whole {
            return Ok(Installed::Incomplete);
        }
        self.accept(|other| !alone || other == name, Some(now));
        Ok(self
            .active
            .as_ref()
            .map_or(Installed::Incomplete, |active| Installed::Candidate(Rc::clone(active))))
    }

    /// Other bundles are in force. New versions that were refused so far may go with them, else those before them stay; a
    /// candidate of which neither goes with them is none.
    pub(super) fn rebase(&mut self, in_force: &Bundles, config: &Config) {
        self.active = None;
        let error = match self.compile(&|_| true, in_force, config) {
            Ok(true) => return self.accept(|_| true, None),
            Ok(false) => return,
            Err(error) => error,
        };
        let waits = |part: &Part| part.waiting.is_some();
        let only_new = self.parts.values().any(waits) && self.compile(&|_| false, in_force, config).is_ok();
        let error = FetchError::Bundle(error);
        let blamed = self.parts.values_mut().filter(|part| !only_new || waits(part));
        blamed.for_each(|part| part.blame(&error));
    }

    /// Whether it could be compiled, of the latest versions of these bundles and the accepted ones of the others: all are
    /// there.
    fn compile(
        &mut self,
        latest: &dyn Fn(&str) -> bool,
        in_force: &Bundles,
        config: &Config,
    ) -> Result<bool, LoadError> {
        let own: Option<Vec<_>> = self
            .parts
            .iter()
            .map(|(name, part)| Some((name.as_str(), part.mode, part.version(latest(name))?)))
            .collect();
        let Some(mut chosen) = own else { return Ok(false) };
        if !self.alone {
            if in_force.active_any().is_none() {
                return Ok(false);
            }
            let mode = crate::config::Mode::Enforce;
            let others = in_force.in_force().filter(|(name, _)| !self.parts.contains_key(*name));
            for (name, version) in others {
                let place = chosen.partition_point(|(other, ..)| *other < name);
                chosen.insert(place, (name, mode, version));
            }
        }
        let mut active = together(&chosen, config)?;
        if !active.revisions.is_empty() {
            // Any of them may be what is on trial.
            let named = active.revisions.iter().map(|(name, revision)| format!("{name}={revision}"));
            active.revision = named.collect::<Vec<_>>().join(" ");
        }
        let catalog = |active: &ActiveBundle| active.policy.data_at(&["remit", "catalog"]);
        self.same_catalog =
            in_force.active_any().is_some_and(|in_force| catalog(in_force) == catalog(&active));
        self.active = Some(Rc::new(active));
        Ok(true)
    }

    fn accept(&mut self, is_new: impl Fn(&str) -> bool, now: Option<UnixSeconds>) {
        if self.active.is_some() {
            self.parts.iter_mut().filter(|(name, _)| is_new(name)).for_each(|(_, part)| part.accept(now));
        }
    }
}
