//! The audit record: one JSON line for every terminal step. Redacted when constructed: no token, no header, no query,
//! no argument, only digests of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::action::{Action, Resource, Verb};
use crate::approval::canonical;
use crate::config::Mode;
use crate::decision::{DecidedBy, Decision, Outcome, Unexplained};
use crate::delegation::{Delegation, Party};
use crate::exchange::Shadow;
use crate::ids::{Now, ReasonCode};
use crate::ordered;
use crate::token::VerifiedToken;

/// The longest path or name that a record repeats, in characters.
const MAX_TEXT: usize = 256;

/// One terminal step.
#[derive(Debug, Clone, Serialize)]
pub struct AuditRecord {
    /// What the line is, for whoever reads the proxy's log: `remit.audit/1`.
    audit: &'static str,
    /// RFC 3339, UTC, milliseconds.
    time: String,
    /// The id that the upstream and the client get too.
    decision_id: String,
    mode: Mode,
    /// The decision, also where observe mode does not enforce it.
    outcome: Outcome,
    /// Whether the decision was put into effect.
    enforced: bool,
    reasons: Vec<ReasonCode>,
    /// The HTTP status of the filter's own reply.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// What went wrong, for the operator; the client is not told.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The current actor.
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<Party>,
    /// The human at the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Party>,
    /// Every actor, the current one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    chain: Vec<Party>,
    /// Whether the agent is in the registry of the bundle, and its entry has not expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    registered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<String>,
    /// The transaction.
    #[serde(skip_serializing_if = "Option::is_none")]
    txn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<AuditedToken>,
    /// The policy was asked although no token came along.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    token_missing: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<AuditedAction>,
    request: AuditedRequest,
    /// SHA-256 of the body as it came, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<AuditedApproval>,
    /// The rules that held, of a decision of the policy's that does not allow.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<DecidedBy>,
    /// Why they are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    unexplained: Option<Unexplained>,
    /// Revision of the bundle that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<String>,
    /// Revisions of all bundles by name, where there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    bundles: BTreeMap<String, String>,
    /// What the candidate would have decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    candidate: Option<Shadow>,
}

#[derive(Debug, Clone, Serialize)]
struct AuditedAction {
    protocol: &'static str,
    classified: bool,
    operation: String,
    verb: Verb,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<Resource>,
    /// SHA-256 of the arguments as canonical JSON, base64url.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments_sha256: Option<String>,
}

/// What is kept of a token: enough to find it again and to put it on the kill list, not to use it.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct AuditedToken(#[serde(serialize_with = "shared")] Arc<AuditedTokenFields>);

#[derive(Debug, Serialize)]
struct AuditedTokenFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<String>,
    alg: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    lifetime_seconds: u64,
}

impl AuditedToken {
    /// What is kept of this token. Made once a token, shared by its records.
    #[must_use]
    pub fn of(token: &VerifiedToken) -> Self {
        Self(Arc::new(AuditedTokenFields {
            typ: token.typ().map(shortened),
            alg: token.alg().name(),
            kid: token.kid().map(shortened),
            jti: token.jti().map(shortened),
            lifetime_seconds: token.lifetime_seconds(),
        }))
    }
}

fn shared<S: Serializer>(fields: &Arc<AuditedTokenFields>, serializer: S) -> Result<S::Ok, S::Error> {
    fields.serialize(serializer)
}

#[derive(Debug, Clone, Default, Serialize)]
struct AuditedRequest {
    #[serde(skip_serializing_if = "String::is_empty")]
    method: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    authority: String,
    /// Without the query, which may hold secrets.
    #[serde(skip_serializing_if = "String::is_empty")]
    path: String,
}

/// What is kept of an approval.
#[derive(Debug, Clone, Serialize)]
pub struct AuditedApproval {
    /// Who approved.
    pub approver: Party,
    /// The challenge that was answered.
    pub challenge: String,
    /// SHA-256 of the approval as it came, base64url.
    pub sha256: String,
}

impl AuditRecord {
    /// A record of a decision, to which the stages that were reached add what they know.
    #[must_use]
    pub fn of(decision: &Decision, decision_id: &str, mode: Mode, now: Now) -> Self {
        Self {
            audit: "remit.audit/1",
            time: rfc3339(now),
            decision_id: decision_id.to_owned(),
            mode,
            outcome: decision.outcome,
            enforced: decision.is_enforced(mode),
            reasons: decision.reasons.clone(),
            status: None,
            detail: None,
            agent: None,
            principal: None,
            chain: Vec::new(),
            registered: None,
            task: None,
            txn: None,
            token: None,
            token_missing: false,
            action: None,
            request: AuditedRequest::default(),
            body_sha256: None,
            approval: None,
            rules: decision.rules.clone(),
            unexplained: decision.unexplained,
            bundle: None,
            bundles: BTreeMap::new(),
            candidate: None,
        }
    }

    /// With the status of the filter's own reply.
    pub fn replied(&mut self, status: u16) {
        self.status = Some(status);
    }

    /// With what went wrong.
    pub fn failed(&mut self, detail: &str) {
        self.detail = Some(shortened(detail));
    }

    /// With the request line.
    pub fn requested(&mut self, method: &str, authority: &str, path: &str) {
        self.request = AuditedRequest {
            method: shortened(method),
            authority: shortened(authority),
            path: shortened(path),
        };
    }

    /// With who acts for whom.
    pub fn delegated(&mut self, delegation: &Delegation) {
        self.agent = delegation.actor.clone();
        self.principal = Some(delegation.principal.party.clone());
        self.chain.clone_from(&delegation.chain);
        self.task = delegation.task.as_ref().map(|task| shortened(&task.task_id));
    }

    /// With the transaction that it is part of.
    pub fn part_of(&mut self, txn: &str) {
        self.txn = Some(shortened(txn));
    }

    /// With whether the agent is registered.
    pub fn registered(&mut self, registered: Option<bool>) {
        self.registered = registered;
    }

    /// With the token that it came with.
    pub fn authorized_by(&mut self, token: AuditedToken) {
        self.token = Some(token);
    }

    /// Without anybody's token.
    pub fn without_token(&mut self) {
        self.token_missing = true;
    }

    /// With what was asked for.
    pub fn acted(&mut self, action: &Action) {
        let arguments =
            (!action.arguments.is_null()).then(|| canonical(&action.arguments)).and_then(Result::ok);
        self.action = Some(AuditedAction {
            protocol: action.protocol.as_str(),
            classified: action.classified,
            operation: shortened(&action.operation),
            verb: action.verb,
            tool: action.tool.as_deref().map(shortened),
            resource: action.resource.as_ref().map(|resource| Resource {
                kind: shortened(&resource.kind),
                id: shortened(&resource.id),
                name: shortened(&resource.name),
            }),
            arguments_sha256: arguments.map(|text| sha256(text.as_bytes())),
        });
    }

    /// With the digest of the body.
    pub fn carried(&mut self, body_sha256: String) {
        self.body_sha256 = Some(body_sha256);
    }

    /// With the approval that was presented.
    pub fn approved(&mut self, approval: AuditedApproval) {
        self.approval = Some(approval);
    }

    /// With the bundle that decided, and all of them where there are several.
    pub fn decided_by(&mut self, revision: &str, revisions: &[(String, String)]) {
        self.bundle = Some(shortened(revision));
        self.bundles =
            ordered::map(revisions.iter().map(|(name, revision)| (name.clone(), shortened(revision))));
    }

    /// With what the candidate would have decided.
    pub fn shadowed(&mut self, mut candidate: Shadow) {
        candidate.revision = shortened(&candidate.revision);
        self.candidate = Some(candidate);
    }

    /// The record as one line of JSON.
    #[must_use]
    pub fn to_line(&self) -> String {
        // A struct of strings and numbers always serialises.
        serde_json::to_string(self)
            .unwrap_or_else(|_| r#"{"audit":"remit.audit/1","detail":"unserialisable"}"#.into())
    }
}

/// SHA-256 in base64url without padding.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default().to_owned()
}

/// RFC 3339 in UTC with milliseconds.
pub(crate) fn rfc3339(now: Now) -> String {
    let seconds = now.seconds().0;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    let millis = now.subsecond_nanos() / 1_000_000;
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "days of u64 seconds: the products stay far below u64::MAX"
)]
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        for (nanos, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_123_456_789, "2000-02-29T00:00:00.123Z"),
            (1_773_842_531_500_000_000, "2026-03-18T14:02:11.500Z"),
            (u64::MAX, "2554-07-21T23:34:33.709Z"),
        ] {
            assert_eq!(rfc3339(Now(nanos)), expected);
        }
    }

    #[test]
    fn records_stay_small() {
        let decision = Decision::deny(ReasonCode::of("x"), 403);
        let mut record = AuditRecord::of(&decision, "id", Mode::Enforce, Now(0));
        record.requested("GET", "a", &"/ä".repeat(10_000));
        record.failed(&"x".repeat(100_000));
        assert!(record.to_line().len() < 2000);
    }
}
