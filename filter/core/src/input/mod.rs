//! The sole input that Rego sees: opa-envoy-plugin's, with Remit's own part under `input.remit`.

#[cfg(any(test, feature = "schema"))]
pub mod schema;

use std::cell::OnceCell;

use serde_json::{Map, Value};

use crate::action::Action;
use crate::approval::Approval;
use crate::audit::AuditedToken;
use crate::config::Mode;
use crate::delegation::{Delegation, Grant, Party};
use crate::ids::{Now, UnixSeconds};
use crate::policy::{Document, Reads};
use crate::registry::Registration;
use crate::request::{Peer, RequestView};
use crate::token::{Carrier, VerifiedToken};

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
        let delegated =
            serde_json::to_value(&delegation).map_or_else(|_| Document::null(), Document::from_json_owned);
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
    /// The other end, where the policy reads it.
    pub peer: Option<&'a Peer>,
    /// The body, where something reads it.
    pub body: Option<&'a [u8]>,
    /// The body as JSON, where it is JSON and the policy reads it.
    pub parsed_body: Option<Value>,
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
    let mut attributes = vec![("request", request_document(&parts, reads))];
    if let Some(peer) = parts.peer {
        let socket = Document::object([
            ("address", Document::text(&peer.address)),
            ("portValue", Document::number_u64(u64::from(peer.port))),
        ]);
        let address = Document::object([("socketAddress", socket)]);
        attributes.push(("source", Document::object([("address", address)])));
    }
    let texts = |items: &[String]| Document::array(items.iter().map(|item| Document::text(item)));
    let mut fields = vec![("parsed_path", texts(&request.target.segments))];
    if reads.query {
        let query = request.target.query.iter().map(|(name, values)| (name.as_str(), texts(values)));
        fields.push(("parsed_query", Document::map(query)));
    }
    if reads.body {
        fields.push(("truncated_body", Document::boolean(parts.truncated)));
        fields
            .push(("parsed_body", parts.parsed_body.map_or_else(Document::null, Document::from_json_owned)));
    }
    Asked { remit, attributes, fields }
}

fn request_document(parts: &Parts<'_>, reads: &Reads) -> Document {
    let request = parts.request;
    let whole_path = request.header(":path").unwrap_or_default();
    let mut http = vec![
        ("method", Document::text(request.method())),
        ("path", Document::text(whole_path)),
        ("host", Document::text(request.header(":authority").unwrap_or_default())),
        ("scheme", Document::text(request.scheme())),
    ];
    if reads.headers {
        // As Envoy joins them for opa-envoy-plugin: values of one name by commas.
        let mut joined: std::collections::BTreeMap<&str, String> = std::collections::BTreeMap::new();
        for (name, value) in request.headers() {
            joined
                .entry(name)
                .and_modify(|all| {
                    all.push(',');
                    all.push_str(value);
                })
                .or_insert_with(|| value.clone());
        }
        let headers = joined.iter().map(|(name, value)| (*name, Document::text(value)));
        http.push(("headers", Document::map(headers)));
    }
    if reads.body
        && let Some(body) = parts.body.and_then(|body| std::str::from_utf8(body).ok())
        && !body.is_empty()
    {
        http.push(("body", Document::text(body)));
    }
    if !reads.moment {
        return Document::object([("http", Document::object(http))]);
    }
    http.push(("id", Document::text(parts.id)));
    let time = Document::object([
        ("seconds", Document::number_u64(parts.now.seconds().0)),
        ("nanos", Document::number_u64(u64::from(parts.now.subsecond_nanos()))),
    ]);
    Document::object([("time", time), ("http", Document::object(http))])
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::action::tests::effects;
    use crate::action::{Catalog, Route};
    use crate::request::tests::request;
    use crate::token::IssuerRules;
    use crate::token::testing::{ISSUER, NOW, Signer, at, claims, with};

    const ALL: Reads = Reads {
        body: true,
        arguments: true,
        named: true,
        peer: true,
        query: true,
        headers: true,
        claims: true,
        moment: true,
        around: false,
    };

    fn composed(reads: Reads) -> Value {
        let signer = Signer::new(crate::keys::Algorithm::EdDsa, "k1");
        let task = json!([{"type": "agent_task", "task_id": "t", "actions": ["a"], "expires": NOW + 9}]);
        let token = signer.verified(&with(claims(), &json!({"authorization_details": task})));
        let rules = IssuerRules::new(ISSUER, &[], "x");
        let identity = Identity::new(&token, Delegation::resolve(&token, &rules).unwrap());
        let view = request(("POST", "forum.example", "/mcp/a?x=1"), &[("a", "1"), ("a", "2")]).unwrap();
        let catalog = Catalog::parse(Some(json!({"http": [{"authority": "forum.example", "routes": [
            {"method": "POST", "path": "/mcp/{p}", "operation": "o", "verb": "create",
             "resource": {"type": "thing", "id": "/path/p"}, "effects": effects(true),
             "counterparties": [{"kind": "person", "value": "/query/x"}]}]}]})))
        .unwrap();
        let action = Route::find(&view, &catalog).classify(&view, Some(b"text"), 8).unwrap();
        let approval: Option<&Approval> = None;
        let parts = Parts {
            request: &view,
            peer: Some(&Peer { address: "10.0.0.1".into(), port: 9 }),
            body: Some(b"text"),
            parsed_body: None,
            truncated: false,
            transaction: None,
            registration: Registration::Registered,
            action: &action,
            approval,
            mode: Mode::Enforce,
            id: "d",
            now: at(NOW),
        };
        compose(parts, &reads)
            .of(Some(&identity), reads.claims.then(|| token.claims()), Some(at(NOW)))
            .to_json()
            .unwrap()
    }

    #[test]
    fn inputs_have_the_published_shape() {
        let input = composed(ALL);
        let shape: Result<schema::Input, _> = serde_json::from_value(input.clone());
        assert!(shape.is_ok(), "{}: {input:#}", shape.unwrap_err());
    }

    #[test]
    fn what_nobody_reads_is_not_built() {
        let (all, none) = (composed(ALL), composed(Reads::default()));
        assert_eq!(all["attributes"]["request"]["http"]["headers"]["a"], "1,2");
        assert_eq!(all["parsed_query"], json!({"x": ["1"]}));
        assert_eq!(all["parsed_body"], Value::Null);
        for pointer in [
            "/attributes/request/http/headers",
            "/attributes/request/http/body",
            "/parsed_query",
            "/parsed_body",
            "/truncated_body",
            "/remit/action/arguments",
            "/remit/action/resource",
            "/remit/action/counterparties",
            "/remit/action/missing",
            "/remit/now",
            "/remit/token/claims",
            "/attributes/request/time",
            "/attributes/request/http/id",
        ] {
            assert!(all.pointer(pointer).is_some(), "{pointer}");
            assert!(none.pointer(pointer).is_none(), "{pointer}");
        }
    }
}
