//! Approvals on the way of a request: presenting one, spending it, and asking for one.

use std::borrow::Cow;

use serde_json::Value;

use super::conclude::Refusal;
use super::event::{Need, SignatureQuestion, Step, Stored};
use super::key_wait::Credential;
use super::{Exchange, Stage};
use crate::approval::{Approval, ApprovalError, Binding, Opened, Slot, SlotError, challenge, slot_of};
use crate::config::Mode;
use crate::decision::Decision;
use crate::engine::{Engine, SourceId};
use crate::ids::Now;
use crate::reason;
use crate::request::APPROVAL_HEADER;
use crate::token::{Compact, TokenError, TokenLimits, Unverified};

/// How often a race for a slot may be lost before the request is denied.
const MAX_TRIES: u32 = 8;

impl Exchange {
    /// Works out what an approval is bound to, once somebody asks. An unread body cannot be vouched for by anybody.
    fn bind(&mut self, engine: &Engine) -> Option<()> {
        let (request, action) = (self.request.as_ref()?, self.action.as_ref()?);
        if self.body_unread {
            return None;
        }
        let mut delegation = Cow::Borrowed(&self.identity.as_ref()?.derived.delegation);
        let transaction = self.transaction.as_ref().map(|transaction| &transaction.derived.delegation);
        if let (None, Some(transaction)) = (&delegation.prompt_digest, transaction) {
            delegation.to_mut().prompt_digest.clone_from(&transaction.prompt_digest);
        }
        let audience = engine.config.approval_audience();
        let body_sha256 = self.body_sha256.as_deref();
        self.binding = Binding::of(audience, request, action, body_sha256, &delegation, self.txn()).ok();
        self.binding.as_ref().map(|_| ())
    }

    /// The approval that came with the request, up to its signature.
    pub(super) fn present_approval(&mut self, engine: &mut Engine, now: Now) -> Result<Step, Refusal> {
        if engine.config.approvals.is_none() {
            return Err(ApprovalError::NotConfigured.into());
        }
        if self.identity.is_none() {
            return Err(Refusal::of(reason::APPROVAL_WITHOUT_TOKEN, 403));
        }
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        let text = request.header(APPROVAL_HEADER).unwrap_or_default().to_owned();
        let limits = TokenLimits { max_bytes: engine.config.limits.token_bytes, ..TokenLimits::default() };
        let compact = Compact::parse(&text, &limits).map_err(ApprovalError::from)?;
        let approver = engine
            .approver(compact.claimed_issuer())
            .ok_or(ApprovalError::Token(TokenError::IssuerUnknown))?;
        let unverified = match Unverified::prepare(compact, &approver.rules, approver.keys(now.seconds())) {
            Ok(unverified) => unverified,
            Err(error) => {
                let source = SourceId::ApprovalKeys(approver.rules.issuer.clone());
                let step = self.await_keys(engine, error, source, Credential::Approval, now);
                return Ok(step.map_err(ApprovalError::from)?);
            }
        };
        self.has_waited = false;
        match SignatureQuestion::for_host(&unverified, engine.config.signatures.host) {
            Some(question) => {
                self.stage = Stage::ApprovalSignature(Box::new(unverified), text);
                Ok(Step::Need(Need::Signature(question)))
            }
            None => self.verify_approval(engine, unverified, &text, None, now),
        }
    }

    pub(super) fn verify_approval(
        &mut self,
        engine: &mut Engine,
        unverified: Unverified,
        text: &str,
        host: Option<bool>,
        now: Now,
    ) -> Result<Step, Refusal> {
        let mut token = unverified.verify_with(|_| host, now).map_err(ApprovalError::from)?;
        let bundle = self.bundle.as_ref().ok_or_else(Refusal::internal)?;
        if let Some(revoked) = bundle.revoked.of_approval(&token) {
            return Err(revoked.into());
        }
        self.bind(engine).ok_or_else(|| Refusal::of(reason::APPROVAL_UNBINDABLE, 403))?;
        let binding = self.binding.as_ref().ok_or_else(Refusal::internal)?;
        let identity = self.identity.as_ref().ok_or_else(Refusal::internal)?;
        let delegation = &identity.derived.delegation;
        let approval = Approval::read(&token, text, binding, delegation, identity.token.client_id())?;
        if let Some(transaction) = &self.transaction {
            let (delegation, client) = (&transaction.derived.delegation, transaction.token.client_id());
            approval.is_by_nobody_of(delegation, client)?;
        }
        self.approval = Some(approval);
        token.fold();
        self.approval_token = Some(Box::new(token));
        self.stage = Stage::ApprovedChallenge;
        self.need_slot(engine)
    }

    /// The policy sees an approval only if its challenge is open.
    pub(super) fn look_up_challenge(
        &mut self,
        engine: &mut Engine,
        stored: Option<(Option<Vec<u8>>, u32)>,
        now: Now,
    ) -> Result<Step, Refusal> {
        let (slot, _) = read_slot(stored, now)?;
        let (approval, digest) = self.approved()?;
        slot.find(digest, &approval.challenge).map_err(ApprovalError::from)?;
        self.decide(engine, now)
    }

    /// Before an approved action is forwarded, its challenge is spent.
    pub(super) fn begin_spending(
        &mut self,
        engine: &Engine,
        decision: Decision,
        tries: u32,
    ) -> Result<Step, Refusal> {
        self.stage = Stage::Spending(Box::new(decision), tries);
        self.need_slot(engine)
    }

    pub(super) fn spend(
        &mut self,
        engine: &mut Engine,
        decision: Decision,
        stored: Option<(Option<Vec<u8>>, u32)>,
        tries: u32,
        now: Now,
    ) -> Result<Step, Refusal> {
        let (mut slot, version) = read_slot(stored, now)?;
        let (approval, digest) = self.approved()?;
        slot.spend(digest, &approval.challenge).map_err(ApprovalError::from)?;
        self.stage = Stage::Spent(Box::new(decision), tries);
        self.need_store(engine, &slot, version)
    }

    pub(super) fn after_spending(
        &mut self,
        engine: &mut Engine,
        decision: Decision,
        stored: Stored,
        tries: u32,
        now: Now,
    ) -> Result<Step, Refusal> {
        match stored {
            Stored::Done => Ok(self.conclude(engine, decision, None, now)),
            Stored::Conflict if tries < MAX_TRIES => {
                self.begin_spending(engine, decision, tries.saturating_add(1))
            }
            Stored::Conflict | Stored::Failed => Err(Refusal::state_unavailable()),
        }
    }

    /// The policy asks for an approval: a challenge is opened, unless nothing is enforced.
    pub(super) fn ask_for_approval(
        &mut self,
        engine: &mut Engine,
        decision: Decision,
        now: Now,
    ) -> Result<Step, Refusal> {
        if self.mode(engine) == Mode::Observe {
            return Ok(self.conclude(engine, decision, None, now));
        }
        if engine.config.approvals.is_none() {
            let decision = decision.overruled(reason::APPROVAL_NOT_CONFIGURED);
            return Ok(self.conclude(engine, decision, None, now));
        }
        if self.identity.is_none() {
            let decision = decision.overruled(reason::APPROVAL_WITHOUT_TOKEN);
            return Ok(self.conclude(engine, decision, None, now));
        }
        if self.bind(engine).is_none() {
            let decision = decision.overruled(reason::APPROVAL_UNBINDABLE);
            return Ok(self.conclude(engine, decision, None, now));
        }
        self.begin_opening(engine, decision, 0)
    }

    fn begin_opening(&mut self, engine: &Engine, decision: Decision, tries: u32) -> Result<Step, Refusal> {
        self.stage = Stage::Opening(Box::new(decision), tries);
        self.need_slot(engine)
    }

    pub(super) fn open_challenge(
        &mut self,
        engine: &mut Engine,
        decision: Decision,
        stored: Option<(Option<Vec<u8>>, u32)>,
        tries: u32,
        now: Now,
    ) -> Result<Step, Refusal> {
        let Ok((mut slot, version)) = read_slot(stored, now) else {
            let decision = decision.overruled(reason::STATE_UNAVAILABLE);
            return Ok(self.conclude(engine, decision, None, now));
        };
        let binding = self.binding.as_ref().ok_or_else(Refusal::internal)?;
        let approvals = engine.config.approvals.as_ref().ok_or_else(Refusal::internal)?;
        let expires = now.seconds().plus(approvals.challenge_seconds);
        let room = engine.config.limits.challenges_per_slot;
        match slot.open(&binding.text, &self.nonce.challenge_id(), expires, room) {
            Ok((opened, true)) => {
                self.stage = Stage::Opened(Box::new(decision), tries, opened);
                self.need_store(engine, &slot, version)
            }
            Ok((opened, false)) => {
                let challenge = self.challenge(engine, &opened)?;
                Ok(self.conclude(engine, decision, Some(challenge), now))
            }
            Err(SlotError::Full | SlotError::Corrupt) => {
                let decision = decision.overruled(reason::CHALLENGES_FULL);
                Ok(self.conclude(engine, decision, None, now))
            }
        }
    }

    pub(super) fn after_opening(
        &mut self,
        engine: &mut Engine,
        decision: Decision,
        opened: &Opened,
        stored: Stored,
        tries: u32,
        now: Now,
    ) -> Result<Step, Refusal> {
        match stored {
            Stored::Done => {
                let challenge = self.challenge(engine, opened)?;
                Ok(self.conclude(engine, decision, Some(challenge), now))
            }
            Stored::Conflict if tries < MAX_TRIES => {
                self.begin_opening(engine, decision, tries.saturating_add(1))
            }
            Stored::Conflict | Stored::Failed => {
                let decision = decision.overruled(reason::STATE_UNAVAILABLE);
                Ok(self.conclude(engine, decision, None, now))
            }
        }
    }

    fn challenge(&self, engine: &Engine, opened: &Opened) -> Result<Value, Refusal> {
        let binding = self.binding.as_ref().ok_or_else(Refusal::internal)?;
        let action = self.action.as_ref().ok_or_else(Refusal::internal)?;
        let identity = self.identity.as_ref().ok_or_else(Refusal::internal)?;
        let approvals = engine.config.approvals.as_ref().ok_or_else(Refusal::internal)?;
        let audience = engine.config.approval_audience();
        Ok(challenge(opened, binding, action, &identity.derived.delegation, audience, approvals))
    }

    fn approved(&self) -> Result<(&Approval, &str), Refusal> {
        let approval = self.approval.as_ref().ok_or_else(Refusal::internal)?;
        let binding = self.binding.as_ref().ok_or_else(Refusal::internal)?;
        Ok((approval, &binding.text))
    }

    fn slot_key(&self, engine: &Engine) -> Result<String, Refusal> {
        let binding = self.binding.as_ref().ok_or_else(Refusal::internal)?;
        let slot = slot_of(&binding.digest, engine.config.limits.challenge_slots);
        Ok(format!("remit/challenges/{slot}"))
    }

    fn need_slot(&self, engine: &Engine) -> Result<Step, Refusal> {
        Ok(Step::Need(Need::State { key: self.slot_key(engine)? }))
    }

    fn need_store(&self, engine: &Engine, slot: &Slot, version: u32) -> Result<Step, Refusal> {
        let value = slot.encode().map_err(|_| Refusal::state_unavailable())?;
        Ok(Step::Need(Need::Store { key: self.slot_key(engine)?, value, version }))
    }
}

fn read_slot(stored: Option<(Option<Vec<u8>>, u32)>, now: Now) -> Result<(Slot, u32), Refusal> {
    let (value, version) = stored.ok_or_else(Refusal::state_unavailable)?;
    let slot = Slot::decode(value.as_deref(), now.seconds()).map_err(|_| Refusal::state_unavailable())?;
    Ok((slot, version))
}
