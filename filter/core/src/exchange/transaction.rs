//! The tokens of a request, each in its own header: an access token, a transaction token, or both for one principal.

use std::rc::Rc;
use std::sync::Arc;

use super::conclude::Refusal;
use super::event::{Need, SignatureQuestion, Step};
use super::key_wait::Credential;
use super::{Exchange, Stage};
use crate::action::Protocol;
use crate::approval::ApprovalError;
use crate::config::FailureMode;
use crate::delegation::{Delegation, HOPS_HEADER, PROOF_HEADER, Proof};
use crate::engine::{ActiveBundle, Engine, SourceId};
use crate::ids::Now;
use crate::input::Identity;
use crate::reason;
use crate::token::{CachedToken, Carrier, Compact, TokenError, TokenLimits, Unverified, credentials};

/// The header of a transaction token (draft-ietf-oauth-transaction-tokens). It goes on to the upstream as it came.
pub(super) const TXN_TOKEN_HEADER: &str = "txn-token";

impl Exchange {
    /// The access token of a request, with the hops that were derived from it.
    pub(super) fn present(
        &mut self,
        engine: &mut Engine,
        authorization: &str,
        now: Now,
    ) -> Result<Step, Refusal> {
        let (scheme, text) = credentials(authorization)?;
        self.scheme = scheme;
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        match request.header(HOPS_HEADER).filter(|_| engine.reads_hops()) {
            Some(hops) => {
                let whole = format!("{text} {hops}");
                self.authenticate(engine, Carrier::Authorization, &whole, now)
            }
            None => self.authenticate(engine, Carrier::Authorization, text, now),
        }
    }

    /// Holds the action against the hop list that came with the token, where its issuer is configured for one.
    pub(super) fn hold_to_grant(&mut self, engine: &Engine, now: Now) -> Result<(), Refusal> {
        let grant = self.identity.as_ref().and_then(|identity| identity.derived.grant.as_ref());
        let Some(grant) = grant else { return Ok(()) };
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        let action = self.action.as_ref().ok_or_else(Refusal::internal)?;
        let limits = TokenLimits { max_bytes: engine.config.limits.token_bytes, ..TokenLimits::default() };
        let shown = action.protocol == Protocol::Mcp
            || action.arguments.get("body").is_some_and(|body| !body.is_null());
        let body_unseen = self.body_unread || self.counted.truncated || !self.body.is_empty() && !shown;
        let proof = Proof { text: request.header(PROOF_HEADER), limits: &limits, body_unseen };
        self.hop_proof = Some(grant.admit(action, proof, now)?);
        self.proven = true;
        Ok(())
    }

    /// A token's text, up to its signature. What is remembered of another header's token does not count.
    pub(super) fn authenticate(
        &mut self,
        engine: &mut Engine,
        carrier: Carrier,
        text: &str,
        now: Now,
    ) -> Result<Step, Refusal> {
        let cached = engine.tokens.lookup(text, now);
        // A token that was verified with keys that have grown too old is as good as one without keys.
        let vouched = |cached: &Arc<CachedToken<Identity>>| {
            let issuer = engine.issuer_of(cached.token.iss(), carrier);
            cached.token.carrier() == carrier
                && issuer.is_some_and(|issuer| issuer.keys(now.seconds()).is_some())
        };
        let cached = cached.filter(vouched);
        let earlier = self.counted.token_cached.unwrap_or(true);
        self.counted.token_cached = Some(earlier && cached.is_some());
        if let Some(cached) = cached {
            return self.authenticated(engine, cached, now);
        }
        self.check_token(engine, carrier, text, now)
    }

    /// A token that is not remembered, up to its signature.
    pub(super) fn check_token(
        &mut self,
        engine: &mut Engine,
        carrier: Carrier,
        text: &str,
        now: Now,
    ) -> Result<Step, Refusal> {
        let limits = &engine.config.limits;
        let limits = TokenLimits { max_bytes: limits.token_bytes, ..TokenLimits::default() };
        let compact = Compact::parse_pinned(apart(text).0, &limits, engine.issuer_without_iss(carrier))?;
        let issuer = engine.issuer_of(compact.claimed_issuer(), carrier).ok_or(TokenError::IssuerUnknown)?;
        let unverified = match Unverified::prepare(compact, &issuer.rules, issuer.keys(now.seconds())) {
            Ok(unverified) => unverified,
            Err(error) => {
                let source = SourceId::keys(&issuer.rules.issuer, carrier);
                let credential = Credential::Token(carrier, text.to_owned());
                return Ok(self.await_keys(engine, error, source, credential, now)?);
            }
        };
        self.has_waited = false;
        match SignatureQuestion::for_host(&unverified, engine.config.signatures.host) {
            Some(question) => {
                self.stage = Stage::TokenSignature(Box::new(unverified), text.to_owned());
                Ok(Step::Need(Need::Signature(question)))
            }
            None => self.verify(engine, unverified, text, None, now),
        }
    }

    /// `Unverified` → `VerifiedToken` → [`Delegation`]
    pub(super) fn verify(
        &mut self,
        engine: &mut Engine,
        unverified: Unverified,
        text: &str,
        host: Option<bool>,
        now: Now,
    ) -> Result<Step, Refusal> {
        let token = unverified.verify_with(|_| host, now)?;
        let issuer = engine.issuer_of(token.iss(), token.carrier()).ok_or(TokenError::IssuerUnknown)?;
        let mut delegation = Delegation::resolve(&token, &issuer.rules)?;
        let limits = TokenLimits { max_bytes: engine.config.limits.token_bytes, ..TokenLimits::default() };
        let (hops, keys) = (apart(text).1, issuer.keys(now.seconds()));
        let grant = delegation.attest(&token, hops, &issuer.rules, keys, &limits)?;
        let granted = grant.as_ref().map_or(0, |grant| grant.bytes(text.len()));
        let mut identity = Identity::new(&token, delegation);
        identity.grant = grant;
        let bytes = identity.bytes(text).saturating_add(granted);
        let epoch = engine.tokens.epoch();
        let cached = engine.tokens.insert(epoch, text, token, identity, bytes);
        self.authenticated(engine, cached, now)
    }

    /// One token is verified; another may have come along.
    fn authenticated(
        &mut self,
        engine: &mut Engine,
        cached: Arc<CachedToken<Identity>>,
        now: Now,
    ) -> Result<Step, Refusal> {
        cached.derived.delegation.times_hold(now)?;
        if cached.token.carrier() == Carrier::Authorization {
            let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
            if let Some(text) = request.header(TXN_TOKEN_HEADER).map(str::to_owned) {
                self.identity = Some(cached);
                return self.transact(engine, &text, now);
            }
            return self.possess(engine, cached, now);
        }
        let Some(identity) = self.identity.clone() else {
            if !cached.token.rules().alone {
                return Err(TokenError::Missing.into());
            }
            return self.possess(engine, cached, now);
        };
        if !agree(&identity, &cached) {
            return Err(Refusal::of(reason::TOKEN_CONFLICT, 403));
        }
        self.transaction = Some(cached);
        self.possess(engine, identity, now)
    }

    /// Whether the kill list of a bundle has either token, or anybody in their chains, or the approval that came along.
    pub(super) fn hold_to_kill_list(&self, bundle: &ActiveBundle) -> Result<(), Refusal> {
        for known in self.identity.iter().chain(&self.transaction) {
            if let Some(revoked) = bundle.revoked.of_request(&known.token, &known.derived.delegation) {
                return Err(revoked.into());
            }
        }
        if let Some(revoked) =
            self.approval_token.as_ref().and_then(|approval| bundle.revoked.of_approval(approval))
        {
            return Err(revoked.into());
        }
        Ok(())
    }

    /// Whether all that the request came with is still good: a body, an approval's keys or an answer that the policy
    /// asked for may have been long in coming.
    pub(super) fn still_good(&self, engine: &Engine, now: Now) -> Result<(), Refusal> {
        for known in self.identity.iter().chain(&self.transaction) {
            known.token.times_hold(now)?;
            known.derived.delegation.times_hold(now)?;
            if let Some(reference) = known.token.status() {
                let issuer = engine.issuer(known.token.iss()).ok_or(TokenError::IssuerUnknown)?;
                issuer.check_status(reference, now.seconds())?;
            }
            if let (Some(grant), Some(proven)) = (&known.derived.grant, self.hop_proof) {
                grant.times_hold(proven, now)?;
            }
        }
        if let Some(approval) = &self.approval_token {
            approval.times_hold(now).map_err(ApprovalError::from)?;
        }
        self.hold_to_present(engine, now)
    }

    /// The rules stay those that the request began with; who was killed meanwhile is stopped, and so is what rests on a
    /// bundle that counts no longer.
    fn hold_to_present(&self, engine: &Engine, now: Now) -> Result<(), Refusal> {
        match engine.bundle(now.seconds()) {
            Some(bundle) if self.bundle.as_ref().is_some_and(|mine| Rc::ptr_eq(mine, bundle)) => Ok(()),
            Some(bundle) => self.hold_to_kill_list(bundle),
            None if engine.config.failures.no_bundle == FailureMode::Allow => Ok(()),
            None => Err(Refusal::of(reason::NO_BUNDLE, 503)),
        }
    }

    /// The transaction token of a request.
    pub(super) fn transact(&mut self, engine: &mut Engine, text: &str, now: Now) -> Result<Step, Refusal> {
        if text.contains(',') {
            return Err(TokenError::Ambiguous.into());
        }
        self.authenticate(engine, Carrier::TxnToken, text, now)
    }

    /// The transaction that the request is part of.
    pub(super) fn txn(&self) -> Option<&str> {
        self.transaction.as_ref().or(self.identity.as_ref())?.token.txn()
    }
}

/// An access token, and the hops that came along. No token has a space in it, so that the text of both together names what
/// was verified.
fn apart(text: &str) -> (&str, Option<&str>) {
    text.split_once(' ').map_or((text, None), |(token, hops)| (token, Some(hops)))
}

/// Whether an access token and a transaction token speak of the same principal, and do not contradict each other.
fn agree(access: &CachedToken<Identity>, transaction: &CachedToken<Identity>) -> bool {
    fn compatible<T: PartialEq>(one: Option<&T>, other: Option<&T>) -> bool {
        one.is_none() || other.is_none() || one == other
    }
    let (one, other) = (&access.derived.delegation, &transaction.derived.delegation);
    one.principal.party == other.principal.party
        && (other.actor.is_none() || one.actor == other.actor)
        && compatible(one.task.as_ref(), other.task.as_ref())
        && compatible(one.prompt_digest.as_ref(), other.prompt_digest.as_ref())
        && compatible(access.token.txn().as_ref(), transaction.token.txn().as_ref())
}
