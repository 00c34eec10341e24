//! Everything that is worked out at configure time: issuers, keys, the policy in force. Requests only look things up.

mod fetches;
mod issuer;
mod status_lists;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::action::{Catalog, CatalogError};
use crate::approval::{APPROVAL_TYPE, MAX_LIFETIME_SECONDS};
use crate::bundle::{Bundle, BundleError, BundleLimits, SigningError, Verification};
use crate::config::{BundleSource, Config, ConfigError, Limits};
use crate::decision::Decision;
use crate::facts::FactsError;
use crate::ids::UnixSeconds;
use crate::input::{Asked, Identity};
use crate::keys::KeySetError;
use crate::policy::{Policy, PolicyError, PolicyLimits};
use crate::registry::Registry;
use crate::remembered::Remembered;
use crate::revocation::Revocations;
use crate::source::Source;
use crate::status::StatusLists;
use crate::token::{Attenuation, CacheLimits, Carrier, Demands, IssuerRules, Subjects, TokenCache};

use fetches::source_name;
pub use fetches::{FetchError, Installed, SourceId};
pub use issuer::Issuer;

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
    /// The keys that bundles are signed with.
    #[error("configuration at {0}")]
    Signing(#[source] SigningError),
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
    /// The registry or the kill list in the data.
    #[error(transparent)]
    Facts(#[from] FactsError),
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
    /// The registry of its data.
    pub registry: Registry,
    /// The kill list of its data.
    pub revoked: Revocations,
}

impl ActiveBundle {
    /// Compiles a bundle for a decision path.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn load(bundle: &Bundle, decision: &str, limits: &Limits) -> Result<Self, LoadError> {
        let (entries, bytes) = (limits.decision_cache_entries, limits.decision_cache_bytes);
        let bounds = PolicyLimits { source_bytes: limits.bundle_unpacked_bytes, ..PolicyLimits::default() };
        let policy = Policy::compile(bundle, decision, &bounds)?;
        let catalog = Catalog::parse(policy.data_at(&["remit", "catalog"]))?;
        let registry = policy.data_at(&["remit", "registry"]);
        let registry = Registry::parse(registry.as_ref(), limits.registry_agents)?;
        let revoked = policy.data_at(&["remit", "revoked"]);
        let revoked = Revocations::parse(revoked.as_ref(), limits.revoked_entries)?;
        let decisions = RefCell::new(Remembered::new(entries, bytes));
        Ok(Self { revision: bundle.revision().to_owned(), policy, catalog, registry, revoked, decisions })
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

/// A configuration in force.
#[derive(Debug)]
pub struct Engine {
    /// The document.
    pub config: Config,
    /// Verified tokens, with what was derived from them.
    pub tokens: TokenCache<Identity>,
    /// By `iss`; those of transaction tokens apart, see [`source_name`].
    issuers: BTreeMap<String, Issuer>,
    txn_issuer_without_iss: Option<String>,
    approvers: BTreeMap<String, Issuer>,
    bundle: Option<Rc<ActiveBundle>>,
    bundle_source: Option<Source>,
    verification: Verification,
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
        let mut txn_issuer_without_iss = None;
        for (i, issuer) in config.issuers.iter().enumerate() {
            let rules = IssuerRules {
                types: issuer.types(),
                carrier: issuer.carrier,
                multiple_audiences: issuer.multiple_audiences,
                subject_issuer: issuer.subject_issuer.clone(),
                alone: issuer.alone,
                actor_issuers: issuer.actor_issuers.clone(),
                profile: issuer.profile,
                principal: issuer.principal.unwrap_or_default(),
                attenuation: issuer.attenuation,
                clients: issuer.clients.clone(),
                detail_types: issuer.detail_types.clone(),
                prompt_digest: issuer.prompt_digest,
                max_lifetime_seconds: issuer.max_lifetime_seconds,
                clock_skew_seconds: issuer.clock_skew_seconds,
                max_chain_depth: issuer.max_chain_depth,
                subjects: issuer.subjects,
                demands: (issuer.carrier == Carrier::Authorization).then(|| Demands {
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
            if issuer.without_iss {
                txn_issuer_without_iss = Some(issuer.issuer.clone());
            }
            issuers.insert(source_name(&issuer.issuer, issuer.carrier), built);
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
        let verification = Verification::new(&config.keys, None).map_err(EngineError::Signing)?;
        let (bundle, bundle_source) = match &config.bundle {
            BundleSource::Inline(encoded) => {
                let bytes = STANDARD.decode(encoded).map_err(|_| EngineError::BundleEncoding)?;
                let active = load(&bytes, &config, &verification)?;
                (Some(Rc::new(active)), None)
            }
            BundleSource::Http(http) => (None, Some(Source::new(http.target(), http.plan()))),
        };
        let tokens = TokenCache::new(CacheLimits {
            max_entries: limits.token_cache_entries,
            max_bytes: limits.token_cache_bytes,
        });
        Ok(Self {
            config,
            tokens,
            issuers,
            txn_issuer_without_iss,
            approvers,
            bundle,
            bundle_source,
            verification,
        })
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

    /// The issuer of access tokens with this `iss`.
    #[must_use]
    pub fn issuer(&self, iss: &str) -> Option<&Issuer> {
        self.issuer_of(iss, Carrier::Authorization)
    }

    /// The issuer with this `iss` of tokens that come in this header.
    #[must_use]
    pub fn issuer_of(&self, iss: &str, carrier: Carrier) -> Option<&Issuer> {
        let issuer = match carrier {
            Carrier::Authorization => self.issuers.get(iss),
            Carrier::TxnToken => self.issuers.get(&source_name(iss, carrier)),
        };
        issuer.filter(|issuer| issuer.rules.carrier == carrier)
    }

    /// Whether any issuer is configured for hop lists.
    #[must_use]
    pub fn reads_hops(&self) -> bool {
        self.issuers.values().any(|issuer| issuer.rules.attenuation == Attenuation::HopList)
    }

    /// The issuer that a token without `iss` in this header is of.
    #[must_use]
    pub fn issuer_without_iss(&self, carrier: Carrier) -> Option<&str> {
        self.txn_issuer_without_iss.as_deref().filter(|_| carrier == Carrier::TxnToken)
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

fn load(bytes: &[u8], config: &Config, verification: &Verification) -> Result<ActiveBundle, LoadError> {
    let bundle = Bundle::verified_from_targz(bytes, &bundle_limits(&config.limits), verification)?;
    ActiveBundle::load(&bundle, &config.decision, &config.limits)
}
