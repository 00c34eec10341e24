//! The status lists of one issuer: when each is fetched, which is in force.

use super::{StatusError, StatusLimits, StatusList, StatusListError, StatusReference};
use crate::config::StatusListSource;
use crate::ids::UnixSeconds;
use crate::keys::KeySet;
use crate::source::{Fetch, Source};
use crate::token::IssuerRules;

/// The status lists of one issuer.
#[derive(Debug, Default)]
pub struct StatusLists {
    lists: Vec<Published>,
}

#[derive(Debug)]
struct Published {
    uri: String,
    source: Source,
    list: Option<InForce>,
    /// When the newest list was issued that ever was in force.
    newest: Option<UnixSeconds>,
}

/// A list with the text that it came of, which a new key set has to verify as well.
#[derive(Debug)]
struct InForce {
    list: StatusList,
    jwt: Vec<u8>,
}

impl StatusLists {
    /// Lists that were never fetched.
    #[must_use]
    pub fn new(sources: &[StatusListSource]) -> Self {
        let published = |source: &StatusListSource| Published {
            uri: source.uri.clone(),
            source: Source::new(source.http.target(), source.http.plan()).with(source.http.extra()),
            list: None,
            newest: None,
        };
        Self { lists: sources.iter().map(published).collect() }
    }

    /// Nothing, if the token with this reference is VALID.
    ///
    /// # Errors
    ///
    /// See [`StatusError`].
    pub fn check(&self, reference: &StatusReference, now: UnixSeconds) -> Result<(), StatusError> {
        let published =
            self.lists.iter().find(|list| list.uri == reference.uri).ok_or(StatusError::NotConfigured)?;
        let stale = published.source.is_stale(now);
        let in_force = published.list.as_ref().map(|in_force| &in_force.list);
        let list = in_force.filter(|list| !stale && list.is_in_force(now)).ok_or(StatusError::Unavailable)?;
        list.check(reference.index)
    }

    /// The schedules of the lists.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.lists.iter().map(|published| &published.source)
    }

    /// The fetches that are due, with the URI of each list.
    pub fn due(&mut self, now: UnixSeconds) -> impl Iterator<Item = (String, Fetch)> {
        self.lists
            .iter_mut()
            .filter_map(move |published| Some((published.uri.clone(), published.source.due(now)?)))
    }

    /// The schedule of a list.
    pub fn source_mut(&mut self, uri: &str) -> Option<&mut Source> {
        Some(&mut self.find(uri)?.source)
    }

    /// Whether a list is there at all, fresh or stale.
    #[must_use]
    pub fn holds(&self, uri: &str) -> bool {
        self.lists.iter().any(|published| published.uri == uri && published.list.is_some())
    }

    /// Puts a fetched list in force.
    ///
    /// # Errors
    ///
    /// See [`StatusListError`]. What was in force stays. A list that is older than that is refused: whoever serves it
    /// could otherwise take back a revocation.
    pub fn install(
        &mut self,
        uri: &str,
        jwt: Vec<u8>,
        rules: &IssuerRules,
        keys: Option<&KeySet>,
        limits: StatusLimits,
        now: UnixSeconds,
    ) -> Result<(), StatusListError> {
        let published = self.find(uri).ok_or(StatusListError::Subject)?;
        let list = StatusList::verify(&jwt, uri, rules, keys, limits, now)?;
        if published.newest.is_some_and(|newest| list.issued < newest) {
            return Err(StatusListError::Older);
        }
        published.newest = Some(list.issued);
        published.list = Some(InForce { list, jwt });
        Ok(())
    }

    /// How many seconds after its fetch a list says that there may be a newer one.
    #[must_use]
    pub fn ttl(&self, uri: &str) -> Option<u64> {
        self.lists.iter().find(|published| published.uri == uri)?.list.as_ref()?.list.ttl
    }

    /// Drops every list that the issuer's new keys do not verify, and has it fetched again.
    pub fn hold_against(
        &mut self,
        rules: &IssuerRules,
        keys: Option<&KeySet>,
        limits: StatusLimits,
        now: UnixSeconds,
    ) {
        for published in &mut self.lists {
            let verifies = |in_force: &InForce| {
                StatusList::verify(&in_force.jwt, &published.uri, rules, keys, limits, now).is_ok()
            };
            if published.list.as_ref().is_some_and(|in_force| !verifies(in_force)) {
                published.list = None;
                published.source.discard(now);
            }
        }
    }

    fn find(&mut self, uri: &str) -> Option<&mut Published> {
        self.lists.iter_mut().find(|published| published.uri == uri)
    }
}
