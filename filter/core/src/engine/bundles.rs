//! The bundles that the policy is made of: each is fetched, kept and reported by itself; together they come into force, or
//! not at all.

use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{ActiveBundle, EngineError, FetchError, Installed, LoadError, bundle_limits};
use crate::bundle::{Bundle, Update, Verification};
use crate::config::{BundleSource, Config, Mode};
use crate::ids::UnixSeconds;
use crate::request::Properties;
use crate::source::{Fetch, Source};

/// The longest message that is kept of what is wrong with a bundle, in characters.
const MAX_MESSAGE: usize = 512;

/// What became of one bundle so far, in the terms of OPA's status API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleStatus {
    /// `revision` of the version in force; `None` while there is none.
    pub active_revision: Option<String>,
    /// When it was asked for last.
    pub last_request: Option<UnixSeconds>,
    /// When a request was last answered with 200 or 304.
    pub last_successful_request: Option<UnixSeconds>,
    /// When a version that can be read last came.
    pub last_successful_download: Option<UnixSeconds>,
    /// When a version of it last came into force.
    pub last_successful_activation: Option<UnixSeconds>,
    /// Whether the version in force came as a delta bundle.
    pub is_delta: bool,
    /// Size of the last version that could be read, as it came, in bytes.
    pub size: usize,
    /// What is wrong with the last answer.
    pub fault: Option<BundleFault>,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFault {
    /// For people.
    pub message: String,
    /// The HTTP status, where it is what is wrong.
    pub http_status: Option<u16>,
}

/// A version of a bundle.
#[derive(Debug, Clone)]
struct Version {
    /// SHA-256 of the archive.
    digest: [u8; 32],
    /// It came as changes to the one before it.
    is_delta: bool,
    bundle: Rc<Bundle>,
}

/// One bundle.
#[derive(Debug)]
struct Part {
    mode: Mode,
    verification: Verification,
    source: Option<Source>,
    /// The version in force.
    accepted: Option<Version>,
    /// A good version that is not in force: others are missing, or do not go with it.
    waiting: Option<Version>,
    status: BundleStatus,
}

impl Part {
    fn latest(&self) -> Option<&Version> {
        self.version(true)
    }

    /// The latest version, or the one in force.
    fn version(&self, latest: bool) -> Option<&Version> {
        self.waiting.as_ref().filter(|_| latest).or(self.accepted.as_ref())
    }
}

/// All bundles, and the policy that they make.
#[derive(Debug)]
pub(super) struct Bundles {
    parts: BTreeMap<String, Part>,
    active: Option<Rc<ActiveBundle>>,
}

impl Bundles {
    /// The bundles of a configuration; the inline ones are read.
    pub(super) fn configure(config: &Config) -> Result<Self, EngineError> {
        let mut bundles = Self { parts: BTreeMap::new(), active: None };
        let mut pointer = String::new();
        for (name, source, entry) in config.bundle_entries() {
            let below = |member: &str| match entry {
                Some(_) => format!("/bundles/{}{member}", name.replace('~', "~0").replace('/', "~1")),
                None => member.to_owned(),
            };
            let signing = entry.and_then(|entry| entry.signing.as_ref());
            let verification = Verification::new(&config.keys, signing)
                .map_err(|source| EngineError::Signing { pointer: below(""), source })?;
            let (waiting, source, size) = match source {
                BundleSource::Inline(encoded) => {
                    pointer = below(if entry.is_some() { "/source/inline" } else { "/bundle/inline" });
                    let bytes = STANDARD
                        .decode(encoded)
                        .map_err(|_| EngineError::BundleEncoding { pointer: pointer.clone() })?;
                    let version = Version::read(&bytes, &verification, None, config)
                        .map_err(|source| EngineError::Bundle { pointer: pointer.clone(), source })?;
                    (Some(version), None, bytes.len())
                }
                BundleSource::Http(http) => (None, Some(Source::new(http.target(), http.plan())), 0),
            };
            let status = BundleStatus { size, ..BundleStatus::default() };
            let mode = entry.map_or(Mode::Enforce, |entry| entry.mode);
            let part = Part { mode, verification, source, accepted: None, waiting, status };
            bundles.parts.insert(name.to_owned(), part);
        }
        if bundles.parts.len() > 1 {
            pointer = "/bundles".to_owned();
        }
        let found = bundles.compile(|_, part| part.latest(), config);
        if let Some(active) = found.map_err(|source| EngineError::Bundle { pointer, source })? {
            bundles.enforce(active, |_| true, None);
        }
        if bundles.sources().next().is_none() {
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
        self.active.as_ref().filter(|_| !self.sources().any(|source| source.is_stale(now)))
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

    pub(super) fn source(&self, name: &str) -> Option<&Source> {
        self.parts.get(name)?.source.as_ref()
    }

    pub(super) fn source_mut(&mut self, name: &str) -> Option<&mut Source> {
        self.parts.get_mut(name)?.source.as_mut()
    }

    pub(super) fn spread(&mut self, seed: u64) {
        for (number, source) in (1..).zip(self.parts.values_mut().filter_map(|part| part.source.as_mut())) {
            source.spread(seed.rotate_left(number));
        }
    }

    pub(super) fn due(&mut self, now: UnixSeconds) -> impl Iterator<Item = (String, Fetch)> {
        self.parts.iter_mut().filter_map(move |(name, part)| {
            let fetch = part.source.as_mut()?.due(now)?;
            part.status.last_request = Some(now);
            Some((name.clone(), fetch))
        })
    }

    /// Whether there is a version that "not modified" can speak of.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.parts.get(name).is_some_and(|part| part.latest().is_some())
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
        let digest: [u8; 32] = Sha256::digest(body).into();
        if part.accepted.as_ref().is_some_and(|accepted| accepted.digest == digest && !accepted.is_delta) {
            part.waiting = None;
            part.status.last_successful_download = Some(now);
            return Ok(Installed::Unchanged);
        }
        // Changes are to the version that the request named; without an ETag it named none.
        let base = part.latest().filter(|_| part.source.as_ref().is_some_and(Source::names_version));
        let version = Version::read(body, &part.verification, base, config)?;
        part.status.last_successful_download = Some(now);
        part.status.size = body.len();
        part.waiting = Some(version);
        // Bundles that change together may go with each other and with nothing older.
        let together = self.compile(|_, part| part.latest(), config);
        let others_wait = self.parts.iter().any(|(other, part)| other != name && part.waiting.is_some());
        let (active, alone) = match together {
            Err(_) if others_wait => (self.compile(|other, part| part.version(other == name), config)?, true),
            together => (together?, false),
        };
        Ok(match active {
            None => Installed::Incomplete,
            Some(active) => {
                Installed::Bundle(self.enforce(active, |other| !alone || other == name, Some(now)))
            }
        })
    }

    /// Keeps what became of an answer.
    pub(super) fn note(&mut self, name: &str, error: Option<&FetchError>, now: UnixSeconds) {
        let Some(part) = self.parts.get_mut(name) else { return };
        part.status.fault = error.map(|error| BundleFault {
            message: error.to_string().chars().take(MAX_MESSAGE).collect(),
            http_status: if let FetchError::Status(status) = error { Some(*status) } else { None },
        });
        if !matches!(error, Some(FetchError::Nothing | FetchError::Status(_))) {
            part.status.last_successful_request = Some(now);
        }
    }

    /// Compiles one version of each bundle; `None` while one of them has none.
    fn compile<'a>(
        &'a self,
        choose: impl Fn(&str, &'a Part) -> Option<&'a Version>,
        config: &Config,
    ) -> Result<Option<ActiveBundle>, LoadError> {
        let chosen =
            self.parts.iter().map(|(name, part)| Some((name.as_str(), part.mode, choose(name, part)?)));
        let Some(chosen) = chosen.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let load = |bundle: &Bundle| {
            ActiveBundle::load_with(bundle, &config.decision, &config.limits, &config.builtins)
        };
        if let [(_, mode, version)] = chosen.as_slice() {
            let observes = *mode == Mode::Observe;
            return Ok(Some(ActiveBundle { observes, ..load(&version.bundle)? }));
        }
        let named: Vec<_> = chosen.iter().map(|(name, _, version)| (*name, &*version.bundle)).collect();
        let mut active = load(&Bundle::combined(named.iter().copied())?)?;
        let owner = chosen.iter().find(|(_, _, version)| version.bundle.owns(&config.decision));
        if let Some((_, mode, version)) = owner {
            active.observes = *mode == Mode::Observe;
            active.revision = version.bundle.revision().to_owned();
        }
        active.revisions =
            named.iter().map(|(name, bundle)| ((*name).to_owned(), bundle.revision().to_owned())).collect();
        Ok(Some(active))
    }

    /// Puts a policy in force, and with it the new versions of these bundles.
    fn enforce(
        &mut self,
        active: ActiveBundle,
        is_new: impl Fn(&str) -> bool,
        now: Option<UnixSeconds>,
    ) -> Rc<ActiveBundle> {
        for (name, part) in &mut self.parts {
            let Some(version) = part.waiting.take_if(|_| is_new(name)) else { continue };
            part.status.active_revision = Some(version.bundle.revision().to_owned());
            part.status.last_successful_activation = now;
            part.status.is_delta = version.is_delta;
            part.status.fault = None;
            part.accepted = Some(version);
        }
        Rc::clone(self.activate(active))
    }
}

impl Version {
    fn read(
        bytes: &[u8],
        verification: &Verification,
        base: Option<&Self>,
        config: &Config,
    ) -> Result<Self, LoadError> {
        let limits = bundle_limits(&config.limits);
        let update = Update::from_targz(bytes, &limits, verification)?;
        let is_delta = matches!(update, Update::Delta(_));
        let bundle = Rc::new(update.onto(base.map(|base| &*base.bundle), &limits)?);
        Ok(Self { digest: Sha256::digest(bytes).into(), is_delta, bundle })
    }
}

#[cfg(test)]
mod tests;
