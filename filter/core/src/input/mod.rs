//! The sole input that Rego sees: opa-envoy-plugin's, with Remit's own part under `input.remit`.

mod attributes;
mod certificate;
mod contract;
mod delegated;
#[cfg(any(test, feature = "schema"))]
pub mod schema;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use serde_json::Value;

use crate::action::Action;
use crate::approval::Approval;
use crate::audit::AuditedToken;
use crate::body::ParsedBody;
use crate::config::Mode;
use crate::delegation::{Delegation, Grant, Party};
use crate::ids::Now;
use crate::policy::{Document, Fields, Footprint, FootprintId, Reads};
use crate::registry::Registration;
use crate::request::{Circumstances, Property, RequestView};
use crate::token::{CachedToken, Carrier, VerifiedToken};

pub use contract::Contract;

/// Policies that a token is shown to at the same time: the one in force, its candidate, and one that a request began with
/// before a reload. The tools of authors, which are shown everything, take its place.
const SHOWN_TO: usize = 3;

/// What depends on the token alone: made once for each token, and shared by every input that needs it.
#[derive(Debug)]
pub struct Identity {
    /// Who acts for whom.
    pub delegation: Delegation,
    /// What the leaf of its hop list may do.
    pub grant: Option<Box<Grant>>,
    /// What records keep of the token.
    pub audited: AuditedToken,
    /// By policy, in the order in which they came.
    shown: RefCell<Vec<Shown>>,
    /// Of a transaction token.
    transaction: Option<Document>,
}

/// What one policy reads of a token.
#[derive(Debug, Clone)]
struct Shown {
    /// What it reads below `remit`, and whether of the claims: what all is read of is the same for all, the claims left out
    /// or not.
    reads: (FootprintId, bool),
    /// Without `auth_age_seconds`, which changes from request to request.
    token: Document,
    delegation: Document,
}

impl Identity {
    /// Prepares the part of the input that depends on the token alone.
    #[must_use]
    pub fn new(token: &VerifiedToken, delegation: Delegation) -> Self {
        let transaction = (token.carrier() == Carrier::TxnToken).then(|| transaction_document(token));
        let audited = AuditedToken::of(token);
        Self { delegation, grant: None, audited, shown: RefCell::default(), transaction }
    }

    /// Whether this comes of a transaction token.
    #[must_use]
    pub fn is_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// Roughly what it holds, in bytes.
    #[must_use]
    pub fn bytes(&self, token_text: &str) -> usize {
        // The delegation, and what policies are shown of it; the cache counts the claims.
        token_text.len().saturating_mul(8)
    }

    /// What a policy reads of this identity's token, which is made for the first request that it decides on.
    fn shown(&self, token: &VerifiedToken, footprint: &Footprint, claims: bool) -> Shown {
        let mut known = self.shown.borrow_mut();
        if let Some(shown) =
            known.iter().find(|shown| shown.reads.1 == claims && shown.reads.0.is_of(footprint))
        {
            return shown.clone();
        }
        let part = |name: &str, document: &dyn Fn(&Footprint) -> Document| {
            footprint.of_member(name).map_or_else(Document::null, document)
        };
        let shown = Shown {
            reads: (footprint.id(), claims),
            token: part("token", &|reads| token_document(token, reads, claims)),
            delegation: part("delegation", &|reads| delegated::document(&self.delegation, reads)),
        };
        known.retain(|shown| shown.reads.0.is_alive());
        if known.len() >= SHOWN_TO {
            known.remove(0);
        }
        known.push(shown.clone());
        shown
    }
}

fn token_document(token: &VerifiedToken, reads: &Footprint, claims: bool) -> Document {
    let texts = |items: &[String]| Document::array(items.iter().map(|item| Document::text(item)));
    let mut fields = Fields::of(reads);
    for (name, text) in [
        ("iss", Some(token.iss())),
        ("sub", Some(token.sub())),
        ("alg", Some(token.alg().name())),
        ("jti", token.jti()),
        ("client_id", token.client_id()),
        ("kid", token.kid()),
        ("acr", token.acr()),
    ] {
        if let Some(text) = text {
            fields.text(name, text);
        }
    }
    for (name, items) in [("aud", token.aud()), ("scope", token.scope())] {
        fields.put(name, |_| texts(items));
    }
    for (name, number) in [
        ("exp", Some(token.exp().0)),
        ("iat", Some(token.iat().0)),
        ("lifetime_seconds", Some(token.lifetime_seconds())),
        ("auth_time", token.auth_time().map(|time| time.0)),
    ] {
        if let Some(number) = number {
            fields.put(name, |_| Document::number_u64(number));
        }
    }
    if claims {
        fields.put("claims", |of_claims| {
            Document::from_json_trimmed(&Value::Object(token.claims().into_owned()), of_claims)
        });
    }
    fields.document()
}

fn transaction_document(token: &VerifiedToken) -> Document {
    let mut fields = vec![
        ("txn", Document::text(token.txn().unwrap_or_default())),
        ("aud", Document::text(token.aud().first().map_or("", String::as_str))),
        ("sub", Document::text(token.sub())),
        ("exp", Document::number_u64(token.exp().0)),
        ("scope", Document::array(token.scope().iter().map(|item| Document::text(item)))),
    ];
    let claims = token.claims();
    for name in ["req_wl", "tctx", "rctx"] {
        if let Some(value) = claims.get(name) {
            fields.push((name, Document::from_json(value)));
        }
    }
    Document::object(fields)
}

/// How long ago the principal signed in.
const AGE: &str = "auth_age_seconds";

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
    /// The token that it came with, and whose.
    pub identity: Option<&'a CachedToken<Identity>>,
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
    if let Some(CachedToken { token, derived: identity }) = parts.identity {
        let shown = identity.shown(token, footprint, reads.claims);
        fields.put("token", |of_token| {
            let age = token.auth_time().filter(|_| reads.moment && of_token.of_member(AGE).is_some());
            let age = age.map(|time| Document::number_u64(parts.now.seconds().since(time)));
            age.map_or(shown.token.clone(), |age| shown.token.with(AGE, age))
        });
        fields.put("delegation", |_| shown.delegation.clone());
    }
    let own = parts.identity.and_then(|identity| identity.derived.transaction.as_ref());
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
