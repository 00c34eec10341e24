//! The sole input that Rego sees: opa-envoy-plugin's, with Remit's own part under `input.remit`.

mod attributes;
mod contract;
mod delegated;
#[cfg(any(test, feature = "schema"))]
pub mod schema;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;

use serde_json::{Map, Value};

use crate::action::Action;
use crate::approval::Approval;
use crate::audit::AuditedToken;
use crate::body::ParsedBody;
use crate::config::Mode;
use crate::delegation::{Delegation, Grant, Party};
use crate::ids::{Now, UnixSeconds};
use crate::policy::{Document, Reads};
use crate::registry::Registration;
use crate::request::{Circumstances, Property, RequestView};
use crate::token::{Carrier, VerifiedToken};

pub use contract::Contract;

/// What depends on the token alone: made once for each token, and shared by every input that needs it.
#[derive(Debug)]
pub struct Identity {
    /// Who acts for whom.
    pub delegation: Delegation,
    /// What the leaf of its hop list may do.
    pub grant: Option<Box<Grant>>,
    /// What records keep of the token.
    pub audited: AuditedToken,
    token: Document,
    /// The same with `claims`.
    claimed: OnceCell<Document>,
    delegated: Document,
    /// Of a transaction token.
    transaction: Option<Document>,
    auth_time: Option<UnixSeconds>,
}

impl Identity {
    /// Prepares the part of the input that depends on the token alone.
    #[must_use]
    pub fn new(token: &VerifiedToken, delegation: Delegation) -> Self {
        let delegated = delegated::document(&delegation);
        let transaction = (token.carrier() == Carrier::TxnToken).then(|| transaction_document(token));
        let audited = AuditedToken::of(token);
        Self {
            delegation,
            grant: None,
            audited,
            token: token_document(token),
            claimed: OnceCell::new(),
            delegated,
            transaction,
            auth_time: token.auth_time(),
        }
    }

    /// Whether this comes of a transaction token.
    #[must_use]
    pub fn is_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Roughly what it holds, in bytes.
    #[must_use]
    pub fn bytes(&self, token_text: &str) -> usize {
        // The claims, once as they came and once in the input's own form.
        token_text.len().saturating_mul(8)
    }
}

fn token_document(token: &VerifiedToken) -> Document {
    let texts = |items: &[String]| Document::array(items.iter().map(|item| Document::text(item)));
    let mut fields = vec![
        ("iss", Document::text(token.iss())),
        ("sub", Document::text(token.sub())),
        ("aud", texts(token.aud())),
        ("exp", Document::number_u64(token.exp().0)),
        ("iat", Document::number_u64(token.iat().0)),
        ("scope", texts(token.scope())),
        ("alg", Document::text(token.alg().name())),
        ("lifetime_seconds", Document::number_u64(token.lifetime_seconds())),
    ];
    if let Some(auth_time) = token.auth_time() {
        fields.push(("auth_time", Document::number_u64(auth_time.0)));
    }
    for (name, value) in
        [("jti", token.jti()), ("client_id", token.client_id()), ("kid", token.kid()), ("acr", token.acr())]
    {
        if let Some(value) = value {
            fields.push((name, Document::text(value)));
        }
    }
    Document::object(fields)
}

fn transaction_document(token: &VerifiedToken) -> Document {
    let mut fields = vec![
        ("txn", Document::text(token.txn().unwrap_or_default())),
        ("aud", Document::text(token.aud().first().map_or("", String::as_str))),
        ("sub", Document::text(token.sub())),
        ("exp", Document::number_u64(token.exp().0)),
        ("scope", Document::array(token.scope().iter().map(|item| Document::text(item)))),
    ];
    for name in ["req_wl", "tctx", "rctx"] {
        if let Some(value) = token.claims().get(name) {
            fields.push((name, Document::from_json(value)));
        }
    }
    Document::object(fields)
}

/// The token's part. The age of the sign-in alone changes from request to request; the claims are a copy that few policies
/// read, made for the first that does.
fn told(identity: &Identity, claims: Option<&Map<String, Value>>, now: Option<Now>) -> Document {
    let token = match claims {
        Some(claims) => identity.claimed.get_or_init(|| {
            let members = claims.iter().map(|(name, value)| (name.as_str(), Document::from_json(value)));
            identity.token.with("claims", Document::map(members))
        }),
        None => &identity.token,
    };
    match (identity.auth_time, now) {
        (Some(time), Some(now)) => {
            token.with("auth_age_seconds", Document::number_u64(now.seconds().since(time)))
        }
        _ => token.clone(),
    }
}

/// What the input is made of.
#[derive(Debug)]
pub struct Parts<'a> {
    /// The request.
    pub request: &'a RequestView,
    /// What the configuration says of the input.
    pub contract: &'a Contract,
    /// What the proxy knows besides, as far as the policy reads it.
    pub circumstances: &'a Circumstances,
    /// The body; empty where nothing reads it.
    pub body: &'a [u8],
    /// The body as the policy reads it, where it does.
    pub parsed_body: Option<ParsedBody>,
    /// Whether the body was over the limit.
    pub truncated: bool,
    /// The transaction token that came along with another.
    pub transaction: Option<&'a Identity>,
    /// Whether the agent is registered.
    pub registration: Registration,
    /// What is asked for.
    pub action: &'a Action,
    /// The approval that came with the request.
    pub approval: Option<&'a Approval>,
    /// Enforce or observe.
    pub mode: Mode,
    /// The decision id.
    pub id: &'a str,
    /// The present.
    pub now: Now,
}

/// What a request brings to the input besides the token's part: equal for two requests that the policy cannot tell
/// apart, if their tokens are the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    // First what differs most often, so that a comparison ends early.
    remit: Vec<(&'static str, Document)>,
    attributes: Vec<(&'static str, Document)>,
    fields: Vec<(&'static str, Document)>,
}

impl Asked {
    /// The whole input, of nobody's token or with the token's claims and the age of the sign-in at `now` where the policy reads them.
    #[must_use]
    pub fn of(
        self,
        identity: Option<&Identity>,
        claims: Option<&Map<String, Value>>,
        now: Option<Now>,
    ) -> Document {
        let version = Document::object([
            ("ext_authz", Document::text("v3")),
            ("encoding", Document::text("protojson")),
        ]);
        let mut remit = self.remit;
        remit.push(("v", Document::number_u64(1)));
        if let Some(identity) = identity {
            remit.push(("token", told(identity, claims, now)));
            remit.push(("delegation", identity.delegated.clone()));
            if let Some(transaction) = &identity.transaction {
                remit.push(("transaction", transaction.clone()));
            }
        }
        // What the request itself shows is in the action; baselines and history are not kept yet.
        remit.push(("signals", Document::map([])));
        let mut fields = self.fields;
        fields.push(("version", version));
        fields.push(("attributes", Document::object(self.attributes)));
        fields.push(("remit", Document::object(remit)));
        Document::object(fields)
    }

    /// Roughly what it holds, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let parts = self.remit.iter().chain(&self.attributes).chain(&self.fields);
        parts.map(|(name, part)| name.len().saturating_add(part.bytes())).fold(0, usize::saturating_add)
    }
}

/// Composes the input but for what depends on the token alone. Parts that the policy cannot read are left out.
#[must_use]
pub fn compose(parts: Parts<'_>, reads: &Reads) -> Asked {
    let request = parts.request;
    let remit = remit_fields(&parts, reads);
    let attributes = attributes::compose(&parts, reads);
    let texts = |items: &[String]| Document::array(items.iter().map(|item| Document::text(item)));
    let mut fields = vec![("parsed_path", texts(&request.target.segments))];
    if reads.query {
        let query = request.target.query.iter().map(|(name, values)| (name.as_str(), texts(values)));
        fields.push(("parsed_query", Document::map(query)));
    }
    if let Some(principal) = parts.circumstances.text(Property::SourcePrincipal) {
        fields.push(("source_principal", Document::text(principal)));
    }
    if let Some(parsed) = parts.parsed_body {
        fields.push(("truncated_body", Document::boolean(parsed.truncated)));
        fields.push(("parsed_body", Document::from_json_owned(parsed.value)));
    }
    Asked { remit, attributes, fields }
}

fn remit_fields(parts: &Parts<'_>, reads: &Reads) -> Vec<(&'static str, Document)> {
    let mut fields = vec![
        ("action", action_document(parts.action, reads)),
        ("mode", Document::text(parts.mode.as_str())),
        // Changes with time, so it belongs to the request and not to the token.
        ("registration", Document::text(parts.registration.as_str())),
    ];
    if reads.moment {
        fields.push(("now", Document::number_u64(parts.now.seconds().0)));
    }
    if let Some(transaction) = parts.transaction.and_then(|identity| identity.transaction.clone()) {
        fields.push(("transaction", transaction));
    }
    if let Some(approval) = parts.approval {
        let mut approved = vec![("approver", party_document(&approval.approver))];
        if let Some(acr) = &approval.acr {
            approved.push(("acr", Document::text(acr)));
        }
        if let Some(auth_time) = approval.auth_time {
            approved.push(("auth_time", Document::number_u64(auth_time.0)));
        }
        fields.push(("approval", Document::object(approved)));
    }
    fields
}

fn party_document(party: &Party) -> Document {
    Document::object([("iss", Document::text(&party.iss)), ("sub", Document::text(&party.sub))])
}

fn action_document(action: &Action, reads: &Reads) -> Document {
    let effects = Document::object([
        ("side_effect", Document::boolean(action.effects.side_effect)),
        ("visibility", Document::text(action.effects.visibility.as_str())),
        ("reversible", Document::boolean(action.effects.reversible)),
        ("privilege", Document::boolean(action.effects.privilege)),
        ("money", Document::boolean(action.effects.money)),
        ("open_world", Document::boolean(action.effects.open_world)),
    ]);
    let counterparties = action.counterparties.iter().map(|party| {
        Document::object([
            ("kind", Document::text(&party.kind)),
            ("value", Document::text(&party.value)),
            ("from", Document::text(&party.from)),
        ])
    });
    let mut fields = vec![
        ("protocol", Document::text(action.protocol.as_str())),
        ("classified", Document::boolean(action.classified)),
        ("operation", Document::text(&action.operation)),
        ("verb", Document::text(action.verb.as_str())),
        ("method", Document::text(&action.method)),
        ("effects", effects),
    ];
    if reads.named {
        fields.push(("counterparties", Document::array(counterparties)));
        let missing = action.missing.iter().map(|pointer| Document::text(pointer));
        fields.push(("missing", Document::array(missing)));
    }
    if reads.arguments {
        fields.push(("arguments", Document::from_json(&action.arguments)));
    }
    if let Some(tool) = &action.tool {
        fields.push(("tool", Document::text(tool)));
    }
    if let Some(resource) = action.resource.as_ref().filter(|_| reads.named) {
        let resource = Document::object([
            ("type", Document::text(&resource.kind)),
            ("id", Document::text(&resource.id)),
            ("name", Document::text(&resource.name)),
        ]);
        fields.push(("resource", resource));
    }
    Document::object(fields)
}
