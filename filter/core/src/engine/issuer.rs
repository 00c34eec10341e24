//! An issuer with its keys: configured, fetched, or taken as too old.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Installed;
use crate::config::{KeySource, Limits};
use crate::ids::UnixSeconds;
use crate::keys::{KeyLimits, KeySet, KeySetError};
use crate::source::Source;
use crate::status::StatusLists;
use crate::token::IssuerRules;

/// An issuer, of tokens or of approvals.
#[derive(Debug)]
pub struct Issuer {
    /// What its tokens must be like.
    pub rules: Arc<IssuerRules>,
    pub(super) keys: Option<KeySet>,
    /// SHA-256 of the fetched key set in force.
    digest: Option<[u8; 32]>,
    pub(super) source: Option<Source>,
    pub(super) status_lists: StatusLists,
}

impl Issuer {
    pub(super) fn new(rules: IssuerRules, keys: &KeySource, limits: &Limits) -> Result<Self, KeySetError> {
        let (keys, source) = match keys {
            KeySource::Inline(set) => {
                // Parsed from text once more, so that key sets are read by one reader only.
                let set = KeySet::parse(set.to_string().as_bytes(), &rules.algorithms, &key_limits(limits))?;
                (Some(set), None)
            }
            KeySource::Secret(secret) => (Some(KeySet::from_secret(secret)?), None),
            KeySource::Http(fetch) => {
                (None, Some(Source::new(fetch.fixed(), fetch.plan()).with(fetch.extra())))
            }
            KeySource::Discovery(fetch) => {
                let source = Source::new(fetch.discovered(&rules.issuer), fetch.plan());
                (None, Some(source.with(fetch.extra())))
            }
        };
        Ok(Self { rules: Arc::new(rules), keys, digest: None, source, status_lists: StatusLists::default() })
    }

    /// Puts a fetched key set in force. One that is the same to the byte changes nothing.
    pub(super) fn install(&mut self, body: &[u8], limits: &KeyLimits) -> Result<Installed, KeySetError> {
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

pub(super) fn key_limits(limits: &Limits) -> KeyLimits {
    KeyLimits { max_bytes: limits.key_set_bytes, max_keys: limits.key_set_keys, ..KeyLimits::default() }
}
