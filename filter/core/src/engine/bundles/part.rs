//! One bundle: its source, its versions, and what became of it.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::super::{EngineError, FetchError, LoadError, bundle_limits};
use crate::bundle::{Bundle, SigningError, Update, Verification};
use crate::config::{BundleEntry, BundleSource, Config, Mode};
use crate::ids::UnixSeconds;
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
    /// How long the last request took, and what came of it to be taken, in nanoseconds; where that was measured.
    pub took: Option<(u64, u64)>,
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
pub(in super::super) struct Version {
    /// SHA-256 of the archive.
    digest: [u8; 32],
    /// It came as changes to the one before it.
    is_delta: bool,
    pub(in super::super) bundle: Rc<Bundle>,
}

/// One bundle.
#[derive(Debug)]
pub(in super::super) struct Part {
    pub(in super::super) mode: Mode,
    /// As it is configured, where that may change.
    entry: Option<BundleEntry>,
    verification: Verification,
    pub(in super::super) source: Option<Source>,
    /// The version in force.
    pub(super) accepted: Option<Version>,
    /// A good version that is not in force: others are missing, or do not go with it.
    pub(in super::super) waiting: Option<Version>,
    pub(in super::super) status: BundleStatus,
}

/// What became of a new answer.
pub(in super::super) enum Taken {
    /// A version that is new.
    New,
    /// The version in force.
    Unchanged,
}

impl Part {
    /// A bundle as it is configured at this pointer, its source at `source` below; an inline one is read.
    pub(in super::super) fn configure(
        entry: &BundleEntry,
        pointer: &str,
        source: &str,
        config: &Config,
    ) -> Result<Self, EngineError> {
        let verification = Verification::new(&config.keys, entry.signing.as_ref()).map_err(|source| {
            // It names the member by itself; the keys are the document's.
            let of_document = matches!(source, SigningError::Key { .. });
            let pointer = if of_document { String::new() } else { pointer.to_owned() };
            EngineError::Signing { pointer, source }
        })?;
        let (waiting, source, size) = match &entry.source {
            BundleSource::Inline(encoded) => {
                let pointer = format!("{pointer}{source}/inline");
                let Ok(bytes) = STANDARD.decode(encoded) else {
                    return Err(EngineError::BundleEncoding { pointer });
                };
                let version = Version::read(&bytes, &verification, None, config)
                    .map_err(|source| EngineError::Bundle { pointer, source })?;
                (Some(version), None, bytes.len())
            }
            BundleSource::Http(http) => {
                (None, Some(Source::new(http.target(), http.polled()).with(http.extra())), 0)
            }
        };
        let status = BundleStatus { size, ..BundleStatus::default() };
        let mode = entry.mode;
        let entry = config.discovery.is_some().then(|| entry.clone());
        Ok(Self { mode, entry, verification, source, accepted: None, waiting, status })
    }

    /// Whether this is how it is configured.
    pub(super) fn is_of(&self, entry: &BundleEntry) -> bool {
        self.entry.as_ref() == Some(entry)
    }

    /// Whether an answer would be that of a forerunner, which a discovery bundle said was to be fetched elsewhere.
    pub(in super::super) fn awaits_nothing(&self) -> bool {
        self.entry.is_some() && !self.source.as_ref().is_some_and(Source::awaits_answer)
    }

    /// Its source, if a version of it is in force.
    pub(super) fn retire(self) -> Option<Source> {
        self.source.filter(|_| self.accepted.is_some())
    }

    /// The latest version, or the one in force.
    pub(in super::super) fn version(&self, latest: bool) -> Option<&Version> {
        self.waiting.as_ref().filter(|_| latest).or(self.accepted.as_ref())
    }

    pub(in super::super) fn due(&mut self, now: UnixSeconds) -> Option<Fetch> {
        let fetch = self.source.as_mut()?.due(now)?;
        self.status.last_request = Some(now);
        Some(fetch)
    }

    /// Takes a new version, which is not in force yet.
    pub(in super::super) fn take(
        &mut self,
        body: &[u8],
        config: &Config,
        now: UnixSeconds,
    ) -> Result<Taken, LoadError> {
        let digest: [u8; 32] = Sha256::digest(body).into();
        if self.accepted.as_ref().is_some_and(|accepted| accepted.digest == digest && !accepted.is_delta) {
            self.waiting = None;
            self.status.last_successful_download = Some(now);
            return Ok(Taken::Unchanged);
        }
        // Changes are to the version that the request named; without an ETag it named none.
        let base = self.version(true).filter(|_| self.source.as_ref().is_some_and(Source::names_version));
        let version = Version::read(body, &self.verification, base, config)?;
        self.status.last_successful_download = Some(now);
        self.status.size = body.len();
        self.waiting = Some(version);
        Ok(Taken::New)
    }

    /// Puts the new version in force, if there is one.
    pub(in super::super) fn accept(&mut self, now: Option<UnixSeconds>) {
        let Some(version) = self.waiting.take() else { return };
        self.status.active_revision = Some(version.bundle.revision().to_owned());
        self.status.last_successful_activation = now;
        self.status.is_delta = version.is_delta;
        self.status.fault = None;
        self.accepted = Some(version);
    }

    /// Keeps what is wrong with it since something else changed.
    pub(in super::super) fn blame(&mut self, error: &FetchError) {
        let message = error.to_string().chars().take(MAX_MESSAGE).collect();
        self.status.fault = Some(BundleFault { message, http_status: None });
    }

    /// Keeps what became of an answer.
    pub(in super::super) fn note(&mut self, error: Option<&FetchError>, now: UnixSeconds) {
        self.status.fault = error.map(|error| BundleFault {
            message: error.to_string().chars().take(MAX_MESSAGE).collect(),
            http_status: if let FetchError::Status(status) = error { Some(*status) } else { None },
        });
        if !matches!(error, Some(FetchError::Nothing | FetchError::Status(_))) {
            self.status.last_successful_request = Some(now);
        }
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
