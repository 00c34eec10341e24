//! What a verified token has to come with, remembered or not: its status, the certificate and the proof of possession
//! that it is bound to, and a good enough sign-in. Nothing of this is remembered with the token.

use std::sync::Arc;

use super::conclude::Refusal;
use super::event::{Need, SignatureQuestion, Step, Stored};
use super::{Exchange, Stage};
use crate::decision::insufficient_authentication;
use crate::dpop::{Mark, Occasion, PROOF_HEADER, Proof, ProofError, SpendError, spend};
use crate::effect::Credential;
use crate::engine::Engine;
use crate::ids::{Now, ReasonCode};
use crate::input::Identity;
use crate::reason;
use crate::token::{CachedToken, Confirmation, Scheme, TokenError, credentials};

/// How often a race for a slot may be lost before the request is denied.
const MAX_TRIES: u32 = 8;

/// Why a token's bearer is not taken for the one that it was issued to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum PossessionError {
    /// A token that is bound to a key came as if it were not.
    #[error("the token is bound to a key, and came with the scheme Bearer")]
    SchemeBearer,
    /// A token that is not bound to a key came as if it were.
    #[error("the token is not bound to a key, and came with the scheme DPoP")]
    SchemeDpop,
    /// The connection has no client certificate.
    #[error("the token is bound to a certificate, and the connection has none")]
    CertificateMissing,
    /// The connection has another one.
    #[error("the token is bound to another certificate than the connection's")]
    CertificateMismatch,
}

impl PossessionError {
    pub(super) fn reason(self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::SchemeBearer => "bound_token_as_bearer",
            Self::SchemeDpop => "unbound_token_with_proof",
            Self::CertificateMissing => "certificate_missing",
            Self::CertificateMismatch => "certificate_mismatch",
        })
    }
}

impl Exchange {
    /// Where every verified token goes, from the cache or not.
    pub(super) fn possess(
        &mut self,
        engine: &mut Engine,
        identity: Arc<CachedToken<Identity>>,
        now: Now,
    ) -> Result<Step, Refusal> {
        self.identity = Some(identity);
        // Before a place is taken for its proof.
        if let Some(bundle) = engine.bundle(now.seconds()) {
            self.hold_to_kill_list(bundle)?;
        }
        let token = &self.identity.as_ref().ok_or_else(Refusal::internal)?.token;
        if let Some(reference) = token.status() {
            let issuer = engine.issuer(token.iss()).ok_or(TokenError::IssuerUnknown)?;
            issuer.check_status(reference, now.seconds())?;
        }
        let Confirmation { key, certificate } = token.confirmation().copied().unwrap_or_default();
        match (key, self.scheme) {
            (Some(_), Scheme::Bearer) => {
                // So the client is told to come with a proof.
                self.scheme = Scheme::Dpop;
                Err(PossessionError::SchemeBearer.into())
            }
            (None, Scheme::Dpop) => Err(PossessionError::SchemeDpop.into()),
            _ if certificate.is_some() => {
                self.stage = Stage::Certificate;
                Ok(Step::Need(Need::Certificate))
            }
            _ => self.prove(engine, now),
        }
    }

    /// Holds the connection's certificate against the token (RFC 8705 section 3).
    pub(super) fn compare_certificate(
        &mut self,
        engine: &mut Engine,
        digest: Option<&str>,
        now: Now,
    ) -> Result<Step, Refusal> {
        let bound = self.confirmation()?.certificate.ok_or_else(Refusal::internal)?;
        let digest = digest.filter(|hex| !hex.is_empty()).ok_or(PossessionError::CertificateMissing)?;
        if !digest.eq_ignore_ascii_case(&crate::ids::hex(&bound)) {
            return Err(PossessionError::CertificateMismatch.into());
        }
        self.prove(engine, now)
    }

    /// Reads the proof, if there has to be one, up to its signature.
    fn prove(&mut self, engine: &mut Engine, now: Now) -> Result<Step, Refusal> {
        let Some(bound_to) = self.confirmation()?.key else { return self.possessed(engine, now) };
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        let header = request.header(PROOF_HEADER).ok_or(ProofError::Missing)?;
        let proof = Proof::read(header, &bound_to, &engine.config.dpop, engine.config.limits.proof())?;
        match proof.signature_check().filter(|_| engine.config.signatures.host) {
            Some(check) => {
                let question = SignatureQuestion::from(check);
                self.stage = Stage::ProofSignature(Box::new(proof));
                Ok(Step::Need(Need::Signature(question)))
            }
            None => self.verify_proof(engine, proof, None, now),
        }
    }

    pub(super) fn verify_proof(
        &mut self,
        engine: &mut Engine,
        proof: Proof,
        host: Option<bool>,
        now: Now,
    ) -> Result<Step, Refusal> {
        let request = self.request.as_ref().ok_or_else(Refusal::internal)?;
        let (_, token) = credentials(request.header("authorization").unwrap_or_default())?;
        let occasion = Occasion {
            method: request.method(),
            scheme: request.scheme(),
            authority: request.header(":authority").unwrap_or_default(),
            path: &request.target.path,
            token,
        };
        let limits = engine.config.limits.proof();
        let mark = proof.verify(host, occasion, &engine.config.dpop, limits, now)?;
        Ok(self.need_marks(engine, mark, 0))
    }

    fn need_marks(&mut self, engine: &Engine, mark: Mark, tries: u32) -> Step {
        let key = marks_key(engine, &mark);
        self.stage = Stage::ProofSlot(mark, tries);
        Step::Need(Need::State { key })
    }

    /// Marks the proof as used, before anything else is done with the request.
    pub(super) fn spend_proof(
        &mut self,
        engine: &Engine,
        mark: Mark,
        stored: Option<(Option<Vec<u8>>, u32)>,
        tries: u32,
        now: Now,
    ) -> Result<Step, Refusal> {
        let (stored, version) = stored.ok_or_else(Refusal::state_unavailable)?;
        let room = engine.config.limits.proofs_per_slot;
        let value = spend(stored.as_deref(), &mark, room, now.seconds())?;
        let key = marks_key(engine, &mark);
        self.stage = Stage::ProofSpent(mark, tries);
        Ok(Step::Need(Need::Store { key, value, version }))
    }

    pub(super) fn after_proof(
        &mut self,
        engine: &mut Engine,
        mark: Mark,
        stored: Stored,
        tries: u32,
        now: Now,
    ) -> Result<Step, Refusal> {
        match stored {
            Stored::Done => self.possessed(engine, now),
            Stored::Conflict if tries < MAX_TRIES => {
                Ok(self.need_marks(engine, mark, tries.saturating_add(1)))
            }
            Stored::Conflict | Stored::Failed => Err(Refusal::state_unavailable()),
        }
    }

    /// Everything is proven; what is left is whether the principal has signed in well enough (RFC 9470).
    fn possessed(&mut self, engine: &mut Engine, now: Now) -> Result<Step, Refusal> {
        let token = &self.identity.as_ref().ok_or_else(Refusal::internal)?.token;
        let rules = token.rules();
        if let Some(wanted) = rules.demands.as_ref().map(|demands| &demands.authentication)
            && !wanted.suffices(token.acr(), token.auth_time(), now.seconds(), rules.skew())
        {
            let challenge = insufficient_authentication(&wanted.acr_values, wanted.max_age_seconds);
            return Err(Refusal::challenging(reason::INSUFFICIENT_USER_AUTHENTICATION, 401, challenge));
        }
        // The holder of a hop list proves itself with the action.
        self.proven = self.identity.as_ref().is_some_and(|identity| identity.derived.grant.is_none());
        self.identified(engine, now)
    }

    fn confirmation(&self) -> Result<Confirmation, Refusal> {
        let identity = self.identity.as_ref().ok_or_else(Refusal::internal)?;
        Ok(identity.token.confirmation().copied().unwrap_or_default())
    }
}

fn marks_key(engine: &Engine, mark: &Mark) -> String {
    format!("remit/proofs/{}", mark.slot(engine.config.limits.proof_slots))
}

impl From<ProofError> for Refusal {
    fn from(error: ProofError) -> Self {
        Self::credential(error.reason(), 401, Credential::InvalidProof, error.to_string())
    }
}

impl From<PossessionError> for Refusal {
    fn from(error: PossessionError) -> Self {
        Self::credential(error.reason(), 401, Credential::Invalid, error.to_string())
    }
}

impl From<crate::status::StatusError> for Refusal {
    fn from(error: crate::status::StatusError) -> Self {
        Self::credential(error.reason(), 401, Credential::Invalid, error.to_string())
    }
}

impl From<SpendError> for Refusal {
    fn from(error: SpendError) -> Self {
        match error {
            SpendError::Replayed => {
                Self::credential(reason::PROOF_REPLAYED, 401, Credential::InvalidProof, error.to_string())
            }
            SpendError::Full => Self::of(reason::PROOFS_FULL, 503),
            SpendError::Corrupt => Self::state_unavailable(),
        }
    }
}
