//! Discovery: a bundle says which bundles the policy is made of. It may choose among what the configuration allows, and
//! widen nothing.

mod document;
#[cfg(test)]
mod tests;

use super::bundles::{Part, Taken, Version};
use super::{Engine, EngineError, FetchError, Installed};
use crate::bundle::Bundle;
use crate::config::{BundleEntry, Config, DiscoveryConfig, Mode};
use crate::ids::UnixSeconds;
use crate::policy::{Document, Policy, PolicyError, PolicyLimits};
use crate::shape::{self, Misfit};

pub(super) use document::Planned;

/// Why a discovery bundle cannot be used. What was in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Nothing is at the path of the configuration.
    #[error("discovery: the bundle has nothing at data.{path}")]
    Nothing {
        /// The path.
        path: String,
    },
    /// The Rego at that path.
    #[error("discovery: {0}")]
    Policy(#[from] PolicyError),
    /// A member that is unknown, of the wrong shape, or not for discovery to say.
    #[error("discovery at {0}")]
    Shape(#[from] Misfit),
    /// A member has the right shape and a value that is not allowed.
    #[error("discovery at {pointer}: {problem}")]
    Value {
        /// JSON pointer in the document.
        pointer: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
    /// Bundles that it names cannot be configured, or do not go with each other.
    #[error("discovery: {0}")]
    Bundles(String),
}

/// The discovery bundle.
#[derive(Debug)]
pub(super) struct Discovering {
    pub(super) part: Part,
}

impl Discovering {
    pub(super) fn configure(config: &Config) -> Result<Option<Self>, EngineError> {
        let Some(DiscoveryConfig { source, signing, .. }) = &config.discovery else { return Ok(None) };
        let entry = BundleEntry { source: source.clone(), mode: Mode::Enforce, signing: signing.clone() };
        let part = Part::configure(&entry, "/discovery", "/source", config)?;
        Ok(Some(Self { part }))
    }

    /// What the latest version says, if there is one.
    pub(super) fn plan(&self, config: &Config) -> Result<Option<Planned>, PlanError> {
        let (Some(version), Some(discovery)) = (self.part.version(true), &config.discovery) else {
            return Ok(None);
        };
        let said = said(version, discovery)?;
        document::plan(&shape::read(&said)?, discovery, config).map(Some)
    }
}

/// What the bundle has at the configured path: data, or the value of a rule.
fn said(version: &Version, discovery: &DiscoveryConfig) -> Result<serde_json::Value, PlanError> {
    let bundle: &Bundle = &version.bundle;
    let path = discovery.decision.as_deref().unwrap_or_default();
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let first = parts.next().map_or_else(
        || Some(serde_json::Value::Object(bundle.data().clone())),
        |first| bundle.data().get(first).cloned(),
    );
    if let Some(found) = parts.try_fold(first, |at, part| Some(at?.get(part).cloned())).flatten() {
        return Ok(found);
    }
    let nothing = || PlanError::Nothing { path: path.replace('/', ".") };
    if bundle.modules().is_empty() {
        return Err(nothing());
    }
    let policy = Policy::compile(bundle, path, &PolicyLimits::default())?;
    let budget = crate::config::Limits::default().evaluation();
    let value = policy.evaluate(Document::object::<&'static str>([]), &budget).ok();
    value.and_then(|evaluated| evaluated.value.to_json()).ok_or_else(nothing)
}

impl Engine {
    /// Puts what an inline discovery bundle says in force.
    pub(super) fn discover_inline(&mut self) -> Result<(), EngineError> {
        let Some(discovering) = &self.discovering else { return Ok(()) };
        let refused = |source| EngineError::Discovery { source };
        let Some(planned) = discovering.plan(&self.config).map_err(refused)? else { return Ok(()) };
        self.follow(planned).map_err(refused)?;
        if let Some(discovering) = &mut self.discovering {
            discovering.part.accept(None);
        }
        Ok(())
    }

    /// Takes a new discovery bundle, and plans the bundles anew.
    pub(super) fn discover(&mut self, body: &[u8], now: UnixSeconds) -> Result<Installed, FetchError> {
        let discovering = self.discovering.as_mut().ok_or(FetchError::Unknown)?;
        if let Taken::Unchanged = discovering.part.take(body, &self.config, now)? {
            return Ok(Installed::Unchanged);
        }
        if let Some(planned) = discovering.plan(&self.config)? {
            self.follow(planned)?;
        }
        if let Some(discovering) = &mut self.discovering {
            discovering.part.accept(Some(now));
        }
        Ok(Installed::Discovered)
    }

    fn follow(&mut self, planned: Planned) -> Result<(), PlanError> {
        self.bundles.replan(&planned.bundles, &self.config).map_err(PlanError::Bundles)?;
        self.bundles.spread(self.seed);
        if let Some(candidate) = &mut self.candidate {
            candidate.rebase(&self.bundles, &self.config);
        }
        // What the configuration says itself stays as it is.
        if self.status_discovered || self.config.status.is_none() {
            self.status_discovered = true;
            self.config.status = planned.status;
        }
        Ok(())
    }
}
