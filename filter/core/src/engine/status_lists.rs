//! The issuers' status lists among what is fetched.

use super::{Engine, FetchError, Issuer, SourceId};
use crate::ids::UnixSeconds;
use crate::source::Source;
use crate::status::{StatusError, StatusReference};

impl Issuer {
    /// Nothing, if the status of a token with this reference is VALID now.
    ///
    /// # Errors
    ///
    /// See [`StatusError`].
    pub fn check_status(&self, reference: &StatusReference, now: UnixSeconds) -> Result<(), StatusError> {
        self.status_lists.check(reference, now)
    }

    /// Everything of its that is fetched.
    pub(super) fn sources(&self) -> impl Iterator<Item = &Source> {
        self.source.iter().chain(self.status_lists.sources())
    }
}

impl Engine {
    pub(super) fn install_status_list(
        &mut self,
        iss: &str,
        uri: &str,
        jwt: Vec<u8>,
        now: UnixSeconds,
    ) -> Result<(), FetchError> {
        let limits = self.config.limits.status_list();
        let issuer = self.issuers.get_mut(iss).ok_or(FetchError::Unknown)?;
        let keys = issuer.keys.as_ref();
        Ok(issuer.status_lists.install(uri, jwt, &issuer.rules, keys, limits, now)?)
    }

    /// After something was installed: lists that new keys do not verify are dropped, and a list's own `ttl` may ask for
    /// an earlier fetch than the configuration does.
    pub(super) fn tend_status_lists(&mut self, id: &SourceId, new_keys: bool, now: UnixSeconds) {
        let limits = self.config.limits.status_list();
        match id {
            SourceId::Keys(iss) if new_keys => {
                if let Some(issuer) = self.issuers.get_mut(iss) {
                    issuer.status_lists.hold_against(&issuer.rules, issuer.keys.as_ref(), limits, now);
                }
            }
            SourceId::StatusList { iss, uri } => {
                let ttl = self.issuers.get(iss).and_then(|issuer| issuer.status_lists.ttl(uri));
                if let (Some(ttl), Some(source)) = (ttl, self.source_mut(id)) {
                    source.due_by(now.plus(ttl.max(1)));
                }
            }
            _ => {}
        }
    }
}
