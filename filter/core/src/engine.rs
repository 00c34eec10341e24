//! Everything that is worked out at configure time: issuers, keys, the policy in force. Requests only look things up.

mod bundles;
mod candidate;
mod discovery;
mod fetches;
mod issuer;
mod outside;
mod report;
mod status_lists;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::action::{Catalog, CatalogError};
use crate::approval::{APPROVAL_TYPE, MAX_LIFETIME_SECONDS};
use crate::bundle::{Bundle, BundleError, BundleLimits, CombineError, SigningError};
use crate::config::{Builtins, Config, ConfigError, Limits};
use crate::decision::Decision;
use crate::facts::FactsError;
use crate::ids::UnixSeconds;
use crate::input::{Contract, Identity};
use crate::keys::KeySetError;
use crate::policy::{Document, Policy, PolicyError, PolicyLimits};
use crate::proto::{DescriptorError, Descriptors};
use crate::registry::Registry;
use crate::remembered::Remembered;
use crate::request::Properties;
use crate::revocation::Revocations;
use crate::source::Source;
use crate::status::StatusLists;
use crate::token::{Attenuation, CacheLimits, Carrier, Demands, IssuerRules, Subjects, TokenCache};

use bundles::Bundles;
pub use bundles::{BundleFault, BundleStatus};
pub use candidate::Candidate;
use discovery::Discovering;
pub use discovery::PlanError;
use fetches::source_name;
pub use fetches::{FetchError, Installed, SourceId};
pub use issuer::Issuer;
use outside::Outside;
use report::Reports;

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
    /// The discovery bundle in it.
    #[error("configuration at /discovery: {source}")]
    Discovery {
        /// What is wrong.
        source: PlanError,
    },
    /// The keys that bundles are signed with.
    #[error("configuration at {pointer}{source}")]
    Signing {
        /// JSON pointer of the bundle; empty where there is one.
        pointer: String,
        /// What is wrong.
        source: SigningError,
    },
    /// A bundle in it is not base64.
    #[error("configuration at {pointer}: not base64 (RFC 4648 section 4)")]
    BundleEncoding {
        /// JSON pointer of the bundle.
        pointer: String,
    },
    /// A bundle in it.
    #[error("configuration at {pointer}: {source}")]
    Bundle {
        /// JSON pointer of the bundle.
        pointer: String,
        /// What is wrong.
        source: LoadError,
    },
    /// The messages of gRPC calls in it are not base64.
    #[error("configuration at /input/proto_descriptor: not base64 (RFC 4648 section 4)")]
    DescriptorEncoding,
    /// The messages of gRPC calls in it.
    #[error("configuration at /input/proto_descriptor: {0}")]
    Descriptor(#[from] DescriptorError),
}

/// Why a bundle cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The archive, its manifest or its data.
    #[error("bundle: {0}")]
    Bundle(#[from] BundleError),
    /// Several bundles together.
    #[error(transparent)]
    Combine(#[from] CombineError),
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
    /// `revision` of the manifest; of several bundles, of the one that owns the decision.
    pub revision: String,
    /// Name and `revision` of each of several bundles; empty for one.
    pub revisions: Vec<(String, String)>,
    /// The bundle that owns the decision is only observed.
    pub observes: bool,
    /// The compiled policy.
    pub policy: Policy,
    /// The catalog of its data.
    pub catalog: Catalog,
    /// What the policy decided on equal inputs: it has nothing to go by but the input and its data. The digest comes first, so
    /// that hardly more than one input is compared.
    pub(crate) decisions: RefCell<Remembered<(u64, Document), Decision>>,
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
        Self::load_with(bundle, decision, limits, &Builtins::default())
    }

    /// Compiles a bundle for a decision path, with builtins that look outside.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn load_with(
        bundle: &Bundle,
        decision: &str,
        limits: &Limits,
        builtins: &Builtins,
    ) -> Result<Self, LoadError> {
        let (entries, bytes) = (limits.decision_cache_entries, limits.decision_cache_bytes);
        let bounds = PolicyLimits {
            source_bytes: limits.bundle_unpacked_bytes,
            rule_depth: limits.rule_depth,
            print: builtins.print,
            http_send: builtins.http_send.clone(),
        };
        let policy = Policy::compile(bundle, decision, &bounds)?;
        let catalog = Catalog::parse(policy.data_at(&["remit", "catalog"]))?;
        let registry = policy.data_at(&["remit", "registry"]);
        let registry = Registry::parse(registry.as_ref(), limits.registry_agents)?;
        let revoked = policy.data_at(&["remit", "revoked"]);
        let revoked = Revocations::parse(revoked.as_ref(), limits.revoked_entries)?;
        let decisions = RefCell::new(Remembered::new(entries, bytes));
        let revision = bundle.revision().to_owned();
        let (revisions, observes) = (Vec::new(), false);
        Ok(Self { revision, revisions, observes, policy, catalog, registry, revoked, decisions })
    }

    /// As what the decision on an input is remembered, if it is worth it and there is room. Of a token that is seen for the
    /// first time only where another may look the same: many are never seen again.
    pub(crate) fn remembers(&self, input: &Document, seen: bool) -> Option<(u64, Document)> {
        let reads = self.policy.reads();
        let repeats = reads.repeats() && (seen || !reads.token_alone);
        (repeats && self.decisions.borrow().has_room()).then(|| (input.digest(), input.clone()))
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
    /// What the configuration says of the input, prepared.
    pub(crate) contract: Contract,
    /// By `iss`; those of transaction tokens apart, see [`source_name`].
    issuers: BTreeMap<String, Issuer>,
    txn_issuer_without_iss: Option<String>,
    approvers: BTreeMap<String, Issuer>,
    bundles: Bundles,
    outside: Outside,
    candidate: Option<Candidate>,
    discovering: Option<Discovering>,
    status_discovered: bool,
    /// What fetches are spread by.
    seed: u64,
    reports: Reports,
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
        let bundles = Bundles::configure(&config)?;
        let descriptors = match &config.input.proto_descriptor {
            Some(encoded) => {
                let set = STANDARD.decode(encoded).map_err(|_| EngineError::DescriptorEncoding)?;
                Some(Descriptors::parse(&set)?)
            }
            None => None,
        };
        let contract = Contract::new(&config.input, descriptors);
        let candidate = Candidate::configure(&config, &bundles)?;
        let discovering = Discovering::configure(&config)?;
        let tokens = TokenCache::new(CacheLimits {
            max_entries: limits.token_cache_entries,
            max_bytes: limits.token_cache_bytes,
        });
        let outside = Outside::new(&config);
        let mut engine = Self {
            config,
            tokens,
            contract,
            issuers,
            txn_issuer_without_iss,
            approvers,
            bundles,
            candidate,
            discovering,
            status_discovered: false,
            seed: 0,
            reports: Reports::default(),
            outside,
        };
        engine.discover_inline()?;
        Ok(engine)
    }

    /// Puts a bundle in force that was loaded apart from any source, as a replay does.
    pub fn activate(&mut self, bundle: ActiveBundle) -> &Rc<ActiveBundle> {
        self.bundles.activate(bundle)
    }

    /// The policy in force: `None` until all of its bundles were fetched once, and after one has grown too old.
    #[must_use]
    pub fn bundle(&self, now: UnixSeconds) -> Option<&Rc<ActiveBundle>> {
        self.bundles.active(now)
    }

    /// What is evaluated beside the policy in force, if anything is configured to be.
    #[must_use]
    pub fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref()
    }

    /// The bundles that the policy is made of, by name, with what became of each.
    pub fn bundle_statuses(&self) -> impl Iterator<Item = (&str, &BundleStatus)> {
        self.bundles.statuses()
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
        let discovery = self.discovering.iter().filter_map(|it| it.part.source.as_ref());
        issuers.flat_map(Issuer::sources).chain(self.bundles.sources()).chain(discovery)
    }

    /// What the policy in force reads of what only the proxy knows.
    #[must_use]
    pub fn properties(&self) -> Properties {
        let candidates = self.candidate.as_ref().map(Candidate::properties).unwrap_or_default();
        candidates.iter().fold(self.bundles.properties(), Properties::with)
    }

    /// Seconds since the bundle, of several the oldest, was fetched or confirmed; `None` for inline ones, and before the
    /// first fetch.
    #[must_use]
    pub fn bundle_age(&self, now: UnixSeconds) -> Option<u64> {
        self.bundles.sources().filter_map(|source| Some(now.since(source.last_good()?))).max()
    }

    /// Seconds since the oldest of the fetched key sets was fetched or confirmed.
    #[must_use]
    pub fn key_set_age(&self, now: UnixSeconds) -> Option<u64> {
        let issuers = self.issuers.values().chain(self.approvers.values());
        issuers.filter_map(|issuer| Some(now.since(issuer.source.as_ref()?.last_good()?))).max()
    }
}
