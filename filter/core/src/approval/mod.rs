//! Approval by a human: bound to one action of one agent, used once (the claims are Remit's own; the digest follows
//! AuthZEN's access-request profile, with the actors added).

mod challenges;
mod jcs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub use challenges::{Opened, Slot, SlotError, SpendError, slot_of};
pub(crate) use jcs::ecmascript_double;
pub use jcs::{InexactNumber, canonical};

use crate::action::Action;
use crate::audit::{self, AuditedApproval};
use crate::config::Approvals;
use crate::delegation::{Delegation, Party};
use crate::ids::{ReasonCode, UnixSeconds};
use crate::request::RequestView;
use crate::token::{TokenError, VerifiedToken};

/// `typ` of an approval.
pub const APPROVAL_TYPE: &str = "agent-approval+jwt";
/// The longest an approval may be valid, in seconds.
pub const MAX_LIFETIME_SECONDS: u64 = 300;

/// Why an approval does not count.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// Approvals are not configured.
    #[error("no issuer of approvals is configured")]
    NotConfigured,
    /// The token itself.
    #[error("the approval: {0}")]
    Token(#[from] TokenError),
    /// A claim is missing or malformed.
    #[error("the approval's claim `{0}` is missing or malformed")]
    Claim(&'static str),
    /// `decision` is not `approved`.
    #[error("the approval does not say `approved`")]
    NotApproved,
    /// It was given for another action, agent or principal.
    #[error("the approval is for another action")]
    OtherAction,
    /// The approver is no human, or somebody acts for the approver.
    #[error("the approver is not a human who acts in person")]
    NotHuman,
    /// The approver takes part in the action.
    #[error("the approver is an actor or the client of the request")]
    Involved,
    /// The challenge is unknown, expired, or was spent.
    #[error(transparent)]
    Challenge(#[from] SpendError),
}

impl ApprovalError {
    /// The reason code in audit.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::NotConfigured => "approval_not_configured",
            Self::Token(_) => "approval_invalid",
            Self::Claim(_) => "approval_malformed",
            Self::NotApproved => "approval_not_approved",
            Self::OtherAction => "approval_for_other_action",
            Self::NotHuman => "approval_not_by_human",
            Self::Involved => "approval_by_involved_party",
            Self::Challenge(SpendError::Unknown) => "approval_unknown_challenge",
            Self::Challenge(SpendError::Spent) => "approval_spent",
        })
    }
}

/// What an approval is bound to: everything that makes the action this one and no other.
#[derive(Debug, Clone)]
pub struct Binding {
    /// The members that are digested; whoever approves sees them.
    pub preimage: Value,
    /// SHA-256 of the canonical preimage.
    pub digest: [u8; 32],
    /// The digest in base64url.
    pub text: String,
}

impl Binding {
    /// Binds an action, within the transaction `txn` if there is one. Arguments of an MCP call are bound by value; of a plain request, the body's bytes too.
    ///
    /// # Errors
    ///
    /// [`InexactNumber`] when an argument has no canonical form.
    pub fn of(
        audience: &str,
        request: &RequestView,
        action: &Action,
        body_sha256: Option<&str>,
        delegation: &Delegation,
        txn: Option<&str>,
    ) -> Result<Self, InexactNumber> {
        let preimage = json!({
            "v": 1,
            "aud": audience,
            "method": request.method(),
            "authority": request.authority(),
            "path": request.target.path,
            "query": request.target.raw_query,
            "operation": action.operation,
            "rpc_method": action.mcp_id.as_ref().map(|_| &action.method),
            "tool": action.tool,
            "arguments": action.arguments,
            "body_sha256": if action.mcp_id.is_some() { None } else { body_sha256 },
            "principal": delegation.principal.party,
            "chain": delegation.chain,
            "task": delegation.task.as_ref().map(|task| &task.task_id),
            "prompt_digest": delegation.prompt_digest,
            "txn": txn,
        });
        let digest: [u8; 32] = Sha256::digest(canonical(&preimage)?).into();
        Ok(Self { preimage, digest, text: URL_SAFE_NO_PAD.encode(digest) })
    }
}

/// A verified approval, whose challenge is still to be looked up.
#[derive(Debug, Clone)]
pub struct Approval {
    /// Who approved.
    pub approver: Party,
    /// The challenge that it answers.
    pub challenge: String,
    /// How the approver was authenticated (RFC 9470).
    pub acr: Option<String>,
    /// When the approver was authenticated.
    pub auth_time: Option<UnixSeconds>,
    sha256: String,
}

impl Approval {
    /// Reads an approval out of a verified token, and holds it against the action.
    ///
    /// # Errors
    ///
    /// See [`ApprovalError`].
    pub fn read(
        token: &VerifiedToken,
        text: &str,
        binding: &Binding,
        delegation: &Delegation,
        client_id: Option<&str>,
    ) -> Result<Self, ApprovalError> {
        let claims = token.claims();
        let claim = |name: &'static str| claims.get(name).ok_or(ApprovalError::Claim(name));
        let text_claim = |name: &'static str| claim(name)?.as_str().ok_or(ApprovalError::Claim(name));
        if !is_human_in_person(&claims) {
            return Err(ApprovalError::NotHuman);
        }
        if token.jti().is_none() {
            return Err(ApprovalError::Claim("jti"));
        }
        if text_claim("decision")? != "approved" {
            return Err(ApprovalError::NotApproved);
        }
        let digest = claim("action_digest")?;
        let member = |name: &str| digest.get(name).and_then(Value::as_str);
        if member("alg") != Some("sha-256")
            || member("canon") != Some("jcs")
            || digest.get("v") != Some(&json!(1))
        {
            return Err(ApprovalError::Claim("action_digest"));
        }
        if member("value") != Some(&binding.text) {
            return Err(ApprovalError::OtherAction);
        }
        let requester = claim("requester")?;
        let names = |node: &Value, party: &Party| {
            let member = |name: &str| node.get(name).and_then(Value::as_str);
            member("iss") == Some(&party.iss) && member("sub") == Some(&party.sub)
        };
        let actor_agrees = match (requester.get("act"), &delegation.actor) {
            (Some(act), Some(actor)) => names(act, actor),
            (None, None) => true,
            _ => false,
        };
        if !names(requester, &delegation.principal.party) || !actor_agrees {
            return Err(ApprovalError::OtherAction);
        }
        let approval = Self {
            approver: Party { iss: token.iss().to_owned(), sub: token.sub().to_owned() },
            challenge: text_claim("nonce")?.to_owned(),
            acr: token.acr().map(str::to_owned),
            auth_time: token.auth_time(),
            sha256: audit::sha256(text.as_bytes()),
        };
        approval.is_by_nobody_of(delegation, client_id)?;
        Ok(approval)
    }

    /// Refuses an approver who takes part in a delegation.
    ///
    /// # Errors
    ///
    /// [`ApprovalError::Involved`]. By name alone: the same party under another issuer is still the same party to a
    /// careful reader.
    pub fn is_by_nobody_of(
        &self,
        delegation: &Delegation,
        client_id: Option<&str>,
    ) -> Result<(), ApprovalError> {
        let involved = |sub: &str| sub == self.approver.sub;
        if delegation.chain.iter().any(|actor| involved(&actor.sub)) || client_id.is_some_and(involved) {
            return Err(ApprovalError::Involved);
        }
        Ok(())
    }

    /// What audit keeps.
    #[must_use]
    pub fn audited(&self) -> AuditedApproval {
        AuditedApproval {
            approver: self.approver.clone(),
            challenge: self.challenge.clone(),
            sha256: self.sha256.clone(),
        }
    }
}

/// The issuers of approvals have people only; a claim that says otherwise, or an actor, is believed all the same.
fn is_human_in_person(claims: &Map<String, Value>) -> bool {
    let is_user = match claims.get("sub_profile") {
        None => true,
        Some(Value::String(profiles)) => profiles.split(' ').all(|profile| profile == "user"),
        Some(_) => false,
    };
    is_user && !claims.contains_key("act")
}

/// What the client is told, and hands to whoever approves: the challenge, and all that is needed to check the digest
/// against what is displayed.
#[must_use]
pub fn challenge(
    opened: &Opened,
    binding: &Binding,
    action: &Action,
    delegation: &Delegation,
    audience: &str,
    approvals: &Approvals,
) -> Value {
    let mut requester = json!({"iss": delegation.principal.party.iss, "sub": delegation.principal.party.sub});
    if let (Some(actor), Some(requester)) = (&delegation.actor, requester.as_object_mut()) {
        requester.insert("act".to_owned(), json!(actor));
    }
    let status_url = approvals.status_url.as_ref().map(|url| url.replace("{challenge}", &opened.id));
    json!({
        "id": opened.id,
        "audience": audience,
        "expires": opened.expires,
        "status_url": status_url,
        "requester": requester,
        "authorization_details": [{
            "type": "agent_action",
            "operation": action.operation,
            "verb": action.verb,
            "resource": action.resource.as_ref().map(|resource| &resource.name),
            "effects": action.effects,
            "counterparties": action.counterparties,
        }],
        "action_digest": {"alg": "sha-256", "canon": "jcs", "v": 1, "value": binding.text},
        "action": binding.preimage,
    })
}
