//! The sole input that Rego sees: opa-envoy-plugin's, with Remit's own part under `input.remit`.

mod attributes;
mod certificate;
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
use crate::policy::{Document, Fields, Footprint, Reads};
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
    /// Whose token it came with.
    pub identity: Option<&'a Identity>,
    /// The claims of that token.
    pub claims: Option<&'a Map<String, Value>>,
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

/// Composes the input, of what the policy can read. Two requests with equal inputs it cannot tell apart.
#[must_use]
pub fn compose(parts: Parts<'_>, reads: &Reads, footprint: &Footprint) -> Document {
    let request = parts.request;
    let texts = |items: &[String]| Document::array(items.iter().map(|item| Document::text(item)));
    let mut fields = Fields::of(footprint);
    fields.put("parsed_path", |_| texts(&request.target.segments));
    if reads.query {
        fields.put("parsed_query", |of_query| {
            let query = request.target.query.iter().map(|(name, values)| (name.as_str(), texts(values)));
            Document::map(query).trimmed(of_query)
        });
    }
    if let Some(principal) = parts.circumstances.text(Property::SourcePrincipal) {
        fields.text("source_principal", principal);
    }
    if let Some(parsed) = &parts.parsed_body {
        fields.put("truncated_body", |_| Document::boolean(parsed.truncated));
        fields.put("parsed_body", |of_body| Document::from_json_trimmed(&parsed.value, of_body));
    }
    fields.put("version", |_| {
        Document::object([("ext_authz", Document::text("v3")), ("encoding", Document::text("protojson"))])
    });
    fields.put("attributes", |of_attributes| attributes::compose(&parts, reads, of_attributes));
    fields.put("remit", |of_remit| remit_document(&parts, reads, of_remit));
    fields.document()
}

fn remit_document(parts: &Parts<'_>, reads: &Reads, footprint: &Footprint) -> Document {
    let mut fields = Fields::of(footprint);
    fields.put("v", |_| Document::number_u64(1));
    fields.put("action", |of_action| action_document(parts.action, reads, of_action));
    fields.text("mode", parts.mode.as_str());
    // Changes with time, so it belongs to the request and not to the token.
    fields.text("registration", parts.registration.as_str());
    if reads.moment {
        fields.put("now", |_| Document::number_u64(parts.now.seconds().0));
    }
    if let Some(identity) = parts.identity {
        let claims = parts.claims.filter(|_| reads.claims);
        let now = reads.moment.then_some(parts.now);
        fields.put("token", |of_token| told(identity, claims, now).trimmed(of_token));
        fields.put("delegation", |of_delegation| identity.delegated.trimmed(of_delegation));
    }
    let own = parts.identity.and_then(|identity| identity.transaction.as_ref());
    let beside = parts.transaction.and_then(|identity| identity.transaction.as_ref());
    if let Some(transaction) = own.or(beside) {
        fields.put("transaction", |of_transaction| transaction.trimmed(of_transaction));
    }
    if let Some(approval) = parts.approval {
        fields.put("approval", |_| approval_document(approval));
    }
    // What the request itself shows is in the action; baselines and history are not kept yet.
    fields.put("signals", |_| Document::map([]));
    fields.document()
}

fn approval_document(approval: &Approval) -> Document {
    let mut approved = vec![("approver", party_document(&approval.approver))];
    if let Some(acr) = &approval.acr {
        approved.push(("acr", Document::text(acr)));
    }
    if let Some(auth_time) = approval.auth_time {
        approved.push(("auth_time", Document::number_u64(auth_time.0)));
    }
    Document::object(approved)
}

fn party_document(party: &Party) -> Document {
    Document::object([("iss", Document::text(&party.iss)), ("sub", Document::text(&party.sub))])
}

fn action_document(action: &Action, reads: &Reads, footprint: &Footprint) -> Document {
    let mut fields = Fields::of(footprint);
    for (name, text) in [
        ("protocol", action.protocol.as_str()),
        ("operation", &action.operation),
        ("verb", action.verb.as_str()),
        ("method", &action.method),
    ] {
        fields.text(name, text);
    }
    fields.put("classified", |_| Document::boolean(action.classified));
    fields.put("effects", |of_effects| {
        let mut effects = Fields::of(of_effects);
        effects.text("visibility", action.effects.visibility.as_str());
        for (name, effect) in [
            ("side_effect", action.effects.side_effect),
            ("reversible", action.effects.reversible),
            ("privilege", action.effects.privilege),
            ("money", action.effects.money),
            ("open_world", action.effects.open_world),
        ] {
            effects.put(name, |_| Document::boolean(effect));
        }
        effects.document()
    });
    if reads.named {
        fields.put("counterparties", |_| {
            Document::array(action.counterparties.iter().map(|party| {
                Document::object([
                    ("kind", Document::text(&party.kind)),
                    ("value", Document::text(&party.value)),
                    ("from", Document::text(&party.from)),
                ])
            }))
        });
        fields.put("missing", |_| {
            Document::array(action.missing.iter().map(|pointer| Document::text(pointer)))
        });
    }
    if reads.arguments {
        fields.put("arguments", |of_arguments| Document::from_json_trimmed(&action.arguments, of_arguments));
    }
    if let Some(tool) = &action.tool {
        fields.text("tool", tool);
    }
    if let Some(resource) = action.resource.as_ref().filter(|_| reads.named) {
        fields.put("resource", |of_resource| {
            let mut fields = Fields::of(of_resource);
            fields.text("type", &resource.kind);
            fields.text("id", &resource.id);
            fields.text("name", &resource.name);
            fields.document()
        });
    }
    fields.document()
}
