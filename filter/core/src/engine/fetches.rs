//! What is fetched: when it is due, and what becomes of an answer.

use std::rc::Rc;

use super::bundles::Part;
use super::issuer::key_limits;
use super::{ActiveBundle, Engine, LoadError, PlanError};
use crate::ids::UnixSeconds;
use crate::keys::KeySetError;
use crate::source::{Answer, Discovery, DiscoveryError, Fetch, Missing, NoWait, Place, Source, Ticket};
use crate::status::StatusListError;
use crate::token::Carrier;

/// Something that is fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceId {
    /// The bundle of this name; [`crate::config::SOLE_BUNDLE`] where there is one.
    Bundle(String),
    /// The bundle of this name of the candidate.
    Candidate(String),
    /// The discovery bundle.
    Discovery,
    /// The key set of an issuer of tokens, see [`SourceId::keys`].
    Keys(String),
    /// The key set of an issuer of approvals.
    ApprovalKeys(String),
    /// A status list of an issuer of access tokens.
    StatusList {
        /// The issuer.
        iss: String,
        /// The list.
        uri: String,
    },
}

impl SourceId {
    /// The key set of an issuer. One issuer may issue access tokens and transaction tokens, each with keys of their own.
    #[must_use]
    pub fn keys(iss: &str, carrier: Carrier) -> Self {
        Self::Keys(source_name(iss, carrier))
    }
}

pub(super) fn source_name(iss: &str, carrier: Carrier) -> String {
    match carrier {
        Carrier::Authorization => iss.to_owned(),
        Carrier::TxnToken => format!("txn_token {iss}"),
    }
}

/// What became of an answer.
#[derive(Debug)]
pub enum Installed {
    /// A new bundle is in force.
    Bundle(Rc<ActiveBundle>),
    /// A discovery bundle names the bundles anew.
    Discovered,
    /// A new candidate is evaluated beside what is in force.
    Candidate(Rc<ActiveBundle>),
    /// A good bundle is here. It comes into force with the others, not all of which are here yet.
    Incomplete,
    /// A new key set is in force.
    Keys,
    /// A new status list is in force.
    StatusList,
    /// The last good answer is still the right one: HTTP 304, or the same to the byte.
    Unchanged,
    /// The issuer's metadata said where its keys are; these are due now.
    Located,
}

/// Why an answer could not be used. What was in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing came back.
    #[error("no answer")]
    Nothing,
    /// A body over the limit; it was not read.
    #[error("{bytes} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Another status than 200 or 304.
    #[error("status {0}")]
    Status(u16),
    /// A bundle that does not load.
    #[error(transparent)]
    Bundle(#[from] LoadError),
    /// A discovery bundle that says what it may not, or nothing.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A key set that does not load.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// A status list that does not load.
    #[error(transparent)]
    StatusList(#[from] StatusListError),
    /// Metadata that says of no place that keys may be fetched from.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The configuration names no such source.
    #[error("nobody asked for it")]
    Unknown,
}

impl FetchError {
    /// The kind, for a metric.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Nothing => "no_answer",
            Self::TooLarge { .. } => "too_large",
            Self::Status(_) => "status",
            Self::Bundle(_) => "bundle_refused",
            Self::Plan(_) => "discovery_refused",
            Self::Keys(_) => "key_set_refused",
            Self::StatusList(_) => "status_list_refused",
            Self::Discovery(_) => "metadata_refused",
            Self::Unknown => "unknown",
        }
    }
}

impl Engine {
    /// Spreads fetches of bundles over the time that they may take, by 8 random bytes of the shell's: workers and proxies
    /// that began together do not come together. They name the worker, too.
    pub fn spread(&mut self, seed: [u8; 8]) {
        self.reports.named(seed);
        let seed = u64::from_le_bytes(seed);
        self.seed = seed;
        self.bundles.spread(seed);
        if let Some(source) = self.discovering.as_mut().and_then(|it| it.part.source.as_mut()) {
            source.spread(seed.rotate_right(1));
        }
        if let Some(candidate) = &mut self.candidate {
            candidate.spread(seed.swap_bytes());
        }
    }

    /// The fetches that are due. Each has to be answered with [`Engine::answered`].
    pub fn due(&mut self, now: UnixSeconds) -> Vec<(SourceId, Fetch)> {
        let mut due = Vec::new();
        let bundles = self.bundles.due(now);
        due.extend(bundles.map(|(name, fetch)| (SourceId::Bundle(name), fetch)));
        if let Some(fetch) = self.discovering.as_mut().and_then(|it| it.part.due(now)) {
            due.push((SourceId::Discovery, fetch));
        }
        if let Some(candidate) = &mut self.candidate {
            let bundles = candidate.due(now);
            due.extend(bundles.map(|(name, fetch)| (SourceId::Candidate(name), fetch)));
        }
        for (iss, issuer) in &mut self.issuers {
            if let Some(fetch) = issuer.source.as_mut().and_then(|source| source.due(now)) {
                due.push((SourceId::Keys(iss.clone()), fetch));
            }
            if issuer.keys(now).is_some() {
                let lists = issuer.status_lists.due(now);
                due.extend(lists.map(|(uri, fetch)| (SourceId::StatusList { iss: iss.clone(), uri }, fetch)));
            }
        }
        for (iss, issuer) in &mut self.approvers {
            if let Some(fetch) = issuer.source.as_mut().and_then(|source| source.due(now)) {
                due.push((SourceId::ApprovalKeys(iss.clone()), fetch));
            }
        }
        due
    }

    /// Takes the answer to a fetch. What was in force stays in force unless the answer is good as a whole.
    ///
    /// # Errors
    ///
    /// See [`FetchError`].
    pub fn answered(
        &mut self,
        id: &SourceId,
        answer: Answer,
        now: UnixSeconds,
    ) -> Result<Installed, FetchError> {
        if matches!(id, SourceId::Bundle(_)) && self.part(id).is_some_and(Part::awaits_nothing) {
            return Err(FetchError::Unknown);
        }
        let mut fresh = None;
        if let Answer::Response { fresh_seconds, content_type, .. } = &answer {
            fresh = *fresh_seconds;
            if let Some(source) = self.source_mut(id) {
                source.answered_by(content_type.as_deref());
            }
        }
        let installed = match self.source(id).and_then(Source::discovering) {
            Some(discovery) => locate(discovery, &answer, self.config.limits.key_set_bytes),
            None => self.install(id, answer, now),
        };
        if let Some(part) = self.part_mut(id) {
            part.note(installed.as_ref().err(), now);
        }
        let Some(source) = self.source_mut(id) else { return Err(FetchError::Unknown) };
        match installed {
            Ok(Good::Place(place)) => {
                source.located(now, place);
                Ok(Installed::Located)
            }
            Ok(Good::Confirmed) => {
                source.confirmed(now, fresh);
                self.tend_status_lists(id, false, now);
                Ok(Installed::Unchanged)
            }
            Ok(Good::Whole(installed, etag)) => {
                source.succeeded(now, etag, fresh);
                if matches!(installed, Installed::Keys) {
                    // A token that the old keys verified may have been signed by a key that is gone.
                    self.tokens.invalidate();
                }
                self.tend_status_lists(id, matches!(installed, Installed::Keys), now);
                Ok(installed)
            }
            Err(error) => {
                source.failed(now);
                Err(error)
            }
        }
    }

    /// Puts an answer in force.
    fn install(&mut self, id: &SourceId, answer: Answer, now: UnixSeconds) -> Result<Good, FetchError> {
        let (etag, body) = match answer {
            Answer::Nothing => return Err(FetchError::Nothing),
            Answer::TooLarge { bytes, limit } => return Err(FetchError::TooLarge { bytes, limit }),
            Answer::Response { status: 304, .. } if self.holds(id) => return Ok(Good::Confirmed),
            Answer::Response { status: 200, etag, body, .. } => (etag, body),
            Answer::Response { status, .. } => return Err(FetchError::Status(status)),
        };
        let limits = key_limits(&self.config.limits);
        let installed = match id {
            SourceId::Bundle(name) => {
                let installed = self.bundles.install(name, &body, &self.config, now)?;
                if let (Installed::Bundle(_), Some(candidate)) = (&installed, &mut self.candidate) {
                    candidate.rebase(&self.bundles, &self.config);
                }
                installed
            }
            SourceId::Discovery => self.discover(&body, now)?,
            SourceId::Candidate(name) => {
                let candidate = self.candidate.as_mut().ok_or(FetchError::Unknown)?;
                candidate.install(name, &body, &self.bundles, &self.config, now)?
            }
            SourceId::Keys(iss) => {
                let issuer = self.issuers.get_mut(iss).ok_or(FetchError::Unknown)?;
                issuer.install(&body, &limits)?
            }
            SourceId::ApprovalKeys(iss) => {
                let issuer = self.approvers.get_mut(iss).ok_or(FetchError::Unknown)?;
                issuer.install(&body, &limits)?
            }
            SourceId::StatusList { iss, uri } => {
                self.install_status_list(iss, uri, body, now)?;
                Installed::StatusList
            }
        };
        Ok(Good::Whole(installed, etag))
    }

    fn part(&self, id: &SourceId) -> Option<&Part> {
        match id {
            SourceId::Bundle(name) => self.bundles.part(name),
            SourceId::Candidate(name) => self.candidate.as_ref()?.part(name),
            SourceId::Discovery => self.discovering.as_ref().map(|it| &it.part),
            _ => None,
        }
    }

    fn part_mut(&mut self, id: &SourceId) -> Option<&mut Part> {
        match id {
            SourceId::Bundle(name) => self.bundles.part_mut(name),
            SourceId::Candidate(name) => self.candidate.as_mut()?.part_mut(name),
            SourceId::Discovery => self.discovering.as_mut().map(|it| &mut it.part),
            _ => None,
        }
    }

    fn holds(&self, id: &SourceId) -> bool {
        match id {
            SourceId::Bundle(_) | SourceId::Candidate(_) | SourceId::Discovery => {
                self.part(id).is_some_and(|part| part.version(true).is_some())
            }
            SourceId::Keys(iss) => self.issuers.get(iss).is_some_and(|issuer| issuer.keys.is_some()),
            SourceId::ApprovalKeys(iss) => {
                self.approvers.get(iss).is_some_and(|issuer| issuer.keys.is_some())
            }
            SourceId::StatusList { iss, uri } => {
                self.issuers.get(iss).is_some_and(|issuer| issuer.status_lists.holds(uri))
            }
        }
    }

    fn source(&self, id: &SourceId) -> Option<&Source> {
        match id {
            SourceId::Bundle(_) | SourceId::Candidate(_) | SourceId::Discovery => {
                self.part(id)?.source.as_ref()
            }
            SourceId::Keys(iss) => self.issuers.get(iss)?.source.as_ref(),
            SourceId::ApprovalKeys(iss) => self.approvers.get(iss)?.source.as_ref(),
            // Where a list is fetched is configured, so nobody asks what is being discovered.
            SourceId::StatusList { .. } => None,
        }
    }

    pub(super) fn source_mut(&mut self, id: &SourceId) -> Option<&mut Source> {
        match id {
            SourceId::Bundle(_) | SourceId::Candidate(_) | SourceId::Discovery => {
                self.part_mut(id)?.source.as_mut()
            }
            SourceId::Keys(iss) => self.issuers.get_mut(iss)?.source.as_mut(),
            SourceId::ApprovalKeys(iss) => self.approvers.get_mut(iss)?.source.as_mut(),
            SourceId::StatusList { iss, uri } => self.issuers.get_mut(iss)?.status_lists.source_mut(uri),
        }
    }

    /// A place among those who wait for a source's next answer, at most `limits.key_waits` of them.
    ///
    /// # Errors
    ///
    /// See [`NoWait`].
    pub fn wait_for(&mut self, id: &SourceId, missing: Missing, now: UnixSeconds) -> Result<Ticket, NoWait> {
        let room = self.config.limits.key_waits;
        self.source_mut(id).ok_or(NoWait::NotFetched)?.wait(missing, room, now)
    }
}

/// What is good about an answer.
enum Good {
    /// It says where the content is.
    Place(Place),
    /// What was in force is still the right one.
    Confirmed,
    /// It is in force, with its ETag.
    Whole(Installed, Option<String>),
}

fn locate(discovery: &Discovery, answer: &Answer, limit: usize) -> Result<Good, FetchError> {
    match answer {
        Answer::Nothing => Err(FetchError::Nothing),
        Answer::TooLarge { bytes, limit } => Err(FetchError::TooLarge { bytes: *bytes, limit: *limit }),
        Answer::Response { status: 200, body, .. } if body.len() > limit => {
            Err(KeySetError::TooLarge { limit }.into())
        }
        Answer::Response { status: 200, body, .. } => Ok(Good::Place(discovery.locate(body)?)),
        Answer::Response { status, .. } => Err(FetchError::Status(*status)),
    }
}
