//! Everything that is worked out at configure time: issuers, keys, the policy in force. Requests only look things up.

mod status_lists;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::action::{Catalog, CatalogError};
use crate::approval::{APPROVAL_TYPE, MAX_LIFETIME_SECONDS};
use crate::bundle::{Bundle, BundleError, BundleLimits};
use crate::config::{BundleSource, Config, ConfigError, KeySource, Limits};
use crate::decision::Decision;
use crate::ids::UnixSeconds;
use crate::input::{Asked, Identity};
use crate::keys::{KeyLimits, KeySet, KeySetError};
use crate::policy::{Policy, PolicyError, PolicyLimits};
use crate::remembered::Remembered;
use crate::source::{Answer, Fetch, Source};
use crate::status::{StatusListError, StatusLists};
use crate::token::{CacheLimits, Demands, IssuerRules, Subjects, TokenCache};

/// Why a configuration cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The document itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A key set in it.
    #[error("configuration at {pointer}: {source}")]
    Keys {
        /// JSON pointer of the key set.
        pointer: String,
        /// What is wrong.
        source: KeySetError,
    },
    /// The bundle in it is not base64.
    #[error("configuration at /bundle/inline: not base64 (RFC 4648 section 4)")]
    BundleEncoding,
    /// The bundle in it.
    #[error("configuration at /bundle/inline: {0}")]
    Bundle(#[from] LoadError),
}

/// Why a bundle cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The archive, its manifest or its data.
    #[error("bundle: {0}")]
    Bundle(#[from] BundleError),
    /// The Rego.
    #[error("policy: {0}")]
    Policy(#[from] PolicyError),
    /// The catalog in the data.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// A bundle in force.
#[derive(Debug)]
pub struct ActiveBundle {
    /// `revision` of the manifest.
    pub revision: String,
    /// The compiled policy.
    pub policy: Policy,
    /// The catalog of its data.
    pub catalog: Catalog,
    /// What the policy decided on equal inputs: it has nothing to go by but the input and its data.
    pub(crate) decisions: RefCell<Remembered<(u64, Asked), Decision>>,
}

impl ActiveBundle {
    /// Compiles a bundle for a decision path.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn load(bundle: &Bundle, decision: &str, limits: &Limits) -> Result<Self, LoadError> {
        let (entries, bytes) = (limits.decision_cache_entries, limits.decision_cache_bytes);
        let limits = PolicyLimits { source_bytes: limits.bundle_unpacked_bytes, ..PolicyLimits::default() };
        let policy = Policy::compile(bundle, decision, &limits)?;
        let catalog = Catalog::parse(policy.data_at(&["remit", "catalog"]))?;
        let decisions = RefCell::new(Remembered::new(entries, bytes));
        Ok(Self { revision: bundle.revision().to_owned(), policy, catalog, decisions })
    }
}

/// The limits on bundles that a configuration sets.
#[must_use]
pub fn bundle_limits(limits: &Limits) -> BundleLimits {
    BundleLimits {
        compressed_bytes: limits.bundle_bytes,
        inflated_bytes: limits.bundle_unpacked_bytes,
        files: limits.bundle_files,
        ..BundleLimits::default()
    }
}

/// An issuer, of tokens or of approvals.
#[derive(Debug)]
pub struct Issuer {
    /// What its tokens must be like.
    pub rules: Arc<IssuerRules>,
    keys: Option<KeySet>,
    /// SHA-256 of the fetched key set in force.
    digest: Option<[u8; 32]>,
    source: Option<Source>,
    status_lists: StatusLists,
}

impl Issuer {
    fn new(rules: IssuerRules, keys: &KeySource, limits: &Limits) -> Result<Self, KeySetError> {
        let (keys, source) = match keys {
            KeySource::Inline(set) => {
                // Parsed from text once more, so that key sets are read by one reader only.
                let set = KeySet::parse(set.to_string().as_bytes(), &rules.algorithms, &key_limits(limits))?;
                (Some(set), None)
            }
            KeySource::Secret(secret) => (Some(KeySet::from_secret(secret)?), None),
            KeySource::Http(http) => (None, Some(Source::new(http.clone()))),
        };
        Ok(Self { rules: Arc::new(rules), keys, digest: None, source, status_lists: StatusLists::default() })
    }

    /// Puts a fetched key set in force. One that is the same to the byte changes nothing.
    fn install(&mut self, body: &[u8], limits: &KeyLimits) -> Result<Installed, KeySetError> {
        let digest: [u8; 32] = Sha256::digest(body).into();
        if self.keys.is_some() && self.digest == Some(digest) {
            return Ok(Installed::Unchanged);
        }
        self.keys = Some(KeySet::parse(body, &self.rules.algorithms, limits)?);
        self.digest = Some(digest);
        Ok(Installed::Keys)
    }

    /// The keys that may be used now: `None` before the first fetch, and after the last one has grown too old.
    #[must_use]
    pub fn keys(&self, now: UnixSeconds) -> Option<&KeySet> {
        let stale = self.source.as_ref().is_some_and(|source| source.is_stale(now));
        self.keys.as_ref().filter(|_| !stale)
    }
}

fn key_limits(limits: &Limits) -> KeyLimits {
    KeyLimits { max_bytes: limits.key_set_bytes, max_keys: limits.key_set_keys, ..KeyLimits::default() }
}

/// Something that is fetched.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceId {
    /// The bundle.
    Bundle,
    /// The key set of an issuer of tokens.
    Keys(String),
    /// The key set of an issuer of approvals.
    ApprovalKeys(String),
    /// A status list of an issuer of tokens.
    StatusList {
        /// The issuer.
        iss: String,
        /// The list.
        uri: String,
    },
}

/// What became of an answer.
#[derive(Debug)]
pub enum Installed {
    /// A new bundle is in force.
    Bundle(Rc<ActiveBundle>),
    /// A new key set is in force.
    Keys,
    /// A new status list is in force.
    StatusList,
    /// The last good answer is still the right one (HTTP 304).
    Unchanged,
}

/// Why an answer could not be used. What was in force stays in force.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing came back.
    #[error("no answer")]
    Nothing,
    /// Another status than 200 or 304.
    #[error("status {0}")]
    Status(u16),
    /// A bundle that does not load.
    #[error(transparent)]
    Bundle(#[from] LoadError),
    /// A key set that does not load.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// A status list that does not load.
    #[error(transparent)]
    StatusList(#[from] StatusListError),
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
            Self::Status(_) => "status",
            Self::Bundle(_) => "bundle_refused",
            Self::Keys(_) => "key_set_refused",
            Self::StatusList(_) => "status_list_refused",
            Self::Unknown => "unknown",
        }
    }
}

/// A configuration in force.
#[derive(Debug)]
pub struct Engine {
    /// The document.
    pub config: Config,
    /// Verified tokens, with what was derived from them.
    pub tokens: TokenCache<Identity>,
    issuers: BTreeMap<String, Issuer>,
    approvers: BTreeMap<String, Issuer>,
    bundle: Option<Rc<ActiveBundle>>,
    bundle_source: Option<Source>,
}

impl Engine {
    /// Puts a configuration document in force.
    ///
    /// # Errors
    ///
    /// See [`EngineError`]: each names the member at fault. Sources that are fetched are not errors yet; until their
    /// first good answer requests are denied.
    pub fn configure(document: &[u8]) -> Result<Self, EngineError> {
        Self::with_config(Config::parse(document)?)
    }

    /// Puts a configuration in force.
    ///
    /// # Errors
    ///
    /// See [`EngineError`].
    pub fn with_config(config: Config) -> Result<Self, EngineError> {
        let limits = config.limits;
        let mut issuers = BTreeMap::new();
        for (i, issuer) in config.issuers.iter().enumerate() {
            let rules = IssuerRules {
                types: issuer.types.clone(),
                max_lifetime_seconds: issuer.max_lifetime_seconds,
                clock_skew_seconds: issuer.clock_skew_seconds,
                max_chain_depth: issuer.max_chain_depth,
                subjects: issuer.subjects,
                demands: Some(Demands {
                    sender_constraint: issuer.sender_constraint,
                    status: issuer.status,
                    authentication: issuer.authentication.clone(),
                }),
                ..IssuerRules::new(
                    &issuer.issuer,
                    &issuer.algorithms,
                    issuer.audience.as_deref().unwrap_or(&config.resource),
                )
            };
            let mut built = Issuer::new(rules, &issuer.keys, &limits)
                .map_err(|source| EngineError::Keys { pointer: format!("/issuers/{i}/keys"), source })?;
            built.status_lists = StatusLists::new(&issuer.status_lists);
            issuers.insert(issuer.issuer.clone(), built);
        }
        let mut approvers = BTreeMap::new();
        for (i, issuer) in config.approvals.iter().flat_map(|approvals| approvals.issuers.iter().enumerate())
        {
            let rules = IssuerRules {
                types: vec![APPROVAL_TYPE.to_owned()],
                max_lifetime_seconds: MAX_LIFETIME_SECONDS,
                clock_skew_seconds: issuer.clock_skew_seconds,
                subjects: Subjects::Human,
                ..IssuerRules::new(&issuer.issuer, &issuer.algorithms, config.approval_audience())
            };
            let built = Issuer::new(rules, &issuer.keys, &limits).map_err(|source| EngineError::Keys {
                pointer: format!("/approvals/issuers/{i}/keys"),
                source,
            })?;
            approvers.insert(issuer.issuer.clone(), built);
        }
        let (bundle, bundle_source) = match &config.bundle {
            BundleSource::Inline(encoded) => {
                let bytes = STANDARD.decode(encoded).map_err(|_| EngineError::BundleEncoding)?;
                let active = load(&bytes, &config)?;
                (Some(Rc::new(active)), None)
            }
            BundleSource::Http(http) => (None, Some(Source::new(http.clone()))),
        };
        let tokens = TokenCache::new(CacheLimits {
            max_entries: limits.token_cache_entries,
            max_bytes: limits.token_cache_bytes,
        });
        Ok(Self { config, tokens, issuers, approvers, bundle, bundle_source })
    }

    /// Puts a bundle in force that was loaded apart from any source, as a replay does.
    pub fn activate(&mut self, bundle: ActiveBundle) -> &Rc<ActiveBundle> {
        self.bundle.insert(Rc::new(bundle))
    }

    /// The bundle in force: `None` before the first fetch, and after the last one has grown too old.
    #[must_use]
    pub fn bundle(&self, now: UnixSeconds) -> Option<&Rc<ActiveBundle>> {
        let stale = self.bundle_source.as_ref().is_some_and(|source| source.is_stale(now));
        self.bundle.as_ref().filter(|_| !stale)
    }

    /// The issuer of tokens with this `iss`.
    #[must_use]
    pub fn issuer(&self, iss: &str) -> Option<&Issuer> {
        self.issuers.get(iss)
    }

    /// The issuer of approvals with this `iss`.
    #[must_use]
    pub fn approver(&self, iss: &str) -> Option<&Issuer> {
        self.approvers.get(iss)
    }

    /// Whether anything has to be fetched at all.
    #[must_use]
    pub fn fetches(&self) -> bool {
        self.sources().next().is_some()
    }

    /// Whether everything that is fetched has been fetched once.
    #[must_use]
    pub fn has_fetched_everything(&self) -> bool {
        self.sources().all(|source| source.last_good().is_some())
    }

    fn sources(&self) -> impl Iterator<Item = &Source> {
        let issuers = self.issuers.values().chain(self.approvers.values());
        issuers.flat_map(Issuer::sources).chain(&self.bundle_source)
    }

    /// Whether the policy in force reads the other end of the connection.
    #[must_use]
    pub fn reads_peer(&self) -> bool {
        self.bundle.as_ref().is_some_and(|bundle| bundle.policy.reads().peer)
    }

    /// The fetches that are due. Each has to be answered with [`Engine::answered`].
    pub fn due(&mut self, now: UnixSeconds) -> Vec<(SourceId, Fetch)> {
        let mut due = Vec::new();
        if let Some(fetch) = self.bundle_source.as_mut().and_then(|source| source.due(now)) {
            due.push((SourceId::Bundle, fetch));
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
        let installed = self.install(id, answer, now);
        let Some(source) = self.source_mut(id) else { return Err(FetchError::Unknown) };
        match installed {
            Ok((installed, etag)) => {
                match etag {
                    Some(etag) => source.succeeded(now, etag),
                    None => source.confirmed(now),
                }
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

    /// What is installed, and the ETag of what replaces the last good answer, if something does.
    fn install(
        &mut self,
        id: &SourceId,
        answer: Answer,
        now: UnixSeconds,
    ) -> Result<(Installed, Option<Option<String>>), FetchError> {
        let (etag, body) = match answer {
            Answer::Nothing => return Err(FetchError::Nothing),
            Answer::Response { status: 304, .. } if self.holds(id) => {
                return Ok((Installed::Unchanged, None));
            }
            Answer::Response { status: 200, etag, body } => (etag, body),
            Answer::Response { status, .. } => return Err(FetchError::Status(status)),
        };
        let limits = key_limits(&self.config.limits);
        let installed = match id {
            SourceId::Bundle => {
                let active = load(&body, &self.config)?;
                Installed::Bundle(Rc::clone(self.activate(active)))
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
        Ok((installed, Some(etag)))
    }

    fn holds(&self, id: &SourceId) -> bool {
        match id {
            SourceId::Bundle => self.bundle.is_some(),
            SourceId::Keys(iss) => self.issuers.get(iss).is_some_and(|issuer| issuer.keys.is_some()),
            SourceId::ApprovalKeys(iss) => {
                self.approvers.get(iss).is_some_and(|issuer| issuer.keys.is_some())
            }
            SourceId::StatusList { iss, uri } => {
                self.issuers.get(iss).is_some_and(|issuer| issuer.status_lists.holds(uri))
            }
        }
    }

    fn source_mut(&mut self, id: &SourceId) -> Option<&mut Source> {
        match id {
            SourceId::Bundle => self.bundle_source.as_mut(),
            SourceId::Keys(iss) => self.issuers.get_mut(iss)?.source.as_mut(),
            SourceId::ApprovalKeys(iss) => self.approvers.get_mut(iss)?.source.as_mut(),
            SourceId::StatusList { iss, uri } => self.issuers.get_mut(iss)?.status_lists.source_mut(uri),
        }
    }

    /// Seconds since the bundle was fetched or confirmed; `None` for an inline one, and before the first fetch.
    #[must_use]
    pub fn bundle_age(&self, now: UnixSeconds) -> Option<u64> {
        Some(now.since(self.bundle_source.as_ref()?.last_good()?))
    }

    /// Seconds since the oldest of the fetched key sets was fetched or confirmed.
    #[must_use]
    pub fn key_set_age(&self, now: UnixSeconds) -> Option<u64> {
        let issuers = self.issuers.values().chain(self.approvers.values());
        issuers.filter_map(|issuer| Some(now.since(issuer.source.as_ref()?.last_good()?))).max()
    }
}

fn load(bytes: &[u8], config: &Config) -> Result<ActiveBundle, LoadError> {
    let bundle = Bundle::from_targz(bytes, &bundle_limits(&config.limits))?;
    ActiveBundle::load(&bundle, &config.decision, &config.limits)
}
