//! One record: what an audit line, or a line of a capture with the catalog beside it, says of who asked for what.

use std::collections::BTreeMap;

use remit_core::action::{Catalog, Route};
use remit_core::config::Limits;
use remit_core::delegation::Party;
use remit_core::ids::Now;
use remit_core::request::RequestView;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::capture::{Exchange, IssuerKey, Template};
use crate::time;

/// The longest name that is kept, in characters.
const MAX_NAME: usize = 256;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// As catalog and policy call it; of one that is unclassified, what the request shows.
    pub name: String,
    /// The verb.
    pub verb: String,
    /// Whether the catalog knows it.
    pub classified: bool,
}

/// What tokens have in common. Never the token.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credential {
    /// `iss`.
    pub iss: String,
    /// `kid`.
    pub kid: Option<String>,
    /// `alg`.
    pub alg: String,
    /// `typ`.
    pub typ: Option<String>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// When.
    pub at: Now,
    /// Whether the filter denied it, or would have.
    pub refused: bool,
    /// The current actor, or a principal that acts for itself and is no person.
    pub agent: Option<Party>,
    /// On whose behalf.
    pub principal: Option<Party>,
    /// What the filter said of the agent's registration.
    pub registered: Option<bool>,
    /// What was asked for.
    pub operation: Option<Operation>,
    /// The token's kind, and its lifetime in seconds.
    pub credential: Option<(Credential, u64)>,
}

#[derive(Deserialize)]
struct AuditLine {
    time: String,
    outcome: String,
    #[serde(default)]
    agent: Option<AuditParty>,
    #[serde(default)]
    principal: Option<AuditParty>,
    #[serde(default)]
    registered: Option<bool>,
    #[serde(default)]
    action: Option<AuditAction>,
    #[serde(default)]
    token: Option<AuditToken>,
}

#[derive(Deserialize)]
struct AuditParty {
    iss: String,
    sub: String,
}

impl AuditParty {
    fn party(self) -> Party {
        Party { iss: shortened(&self.iss), sub: shortened(&self.sub) }
    }
}

#[derive(Deserialize)]
struct AuditAction {
    operation: String,
    verb: String,
    classified: bool,
}

#[derive(Deserialize)]
struct AuditToken {
    #[serde(default)]
    typ: Option<String>,
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    lifetime_seconds: u64,
}

impl Sighting {
    /// Reads an audit record (`remit.audit/1`).
    ///
    /// # Errors
    ///
    /// What is wrong with it. Members that are not needed are not looked at.
    pub fn of_audit(record: &str) -> Result<Self, String> {
        let line: AuditLine = serde_json::from_str(record).map_err(|error| error.to_string())?;
        let at = time::parse(&line.time).map_err(|error| format!("time: {error}"))?;
        let principal = line.principal.map(AuditParty::party);
        let agent = line.agent.map(AuditParty::party);
        // The filter says of agents only whether they are registered: without an actor it is the principal.
        let agent = agent.or_else(|| principal.clone().filter(|_| line.registered.is_some()));
        let credential = line.token.zip(principal.as_ref()).map(|(token, principal)| {
            let credential = Credential {
                iss: principal.iss.clone(),
                kid: token.kid.as_deref().map(shortened),
                alg: shortened(&token.alg),
                typ: token.typ.as_deref().map(shortened),
            };
            (credential, token.lifetime_seconds)
        });
        Ok(Self {
            at,
            refused: !matches!(line.outcome.as_str(), "allow" | "modify"),
            agent,
            principal,
            registered: line.registered,
            operation: line.action.map(|action| Operation {
                name: shortened(&action.operation),
                verb: shortened(&action.verb),
                classified: action.classified,
            }),
            credential,
        })
    }

    /// Reads an exchange of a capture, with the meaning that the catalog gives it. Nothing decides it.
    #[must_use]
    pub fn of_exchange(
        exchange: &Exchange,
        start: Now,
        token: Option<&Template>,
        issuers: &BTreeMap<String, IssuerKey>,
        catalog: &Catalog,
    ) -> Self {
        let claims = token.map(|token| &token.claims);
        let principal = claims.and_then(|claims| party(claims, None));
        let iss = principal.as_ref().map(|party| party.iss.as_str());
        let actor = claims.and_then(|claims| claims.get("act")).and_then(Value::as_object);
        let is_person =
            claims.and_then(|claims| claims.get("sub_profile")).and_then(Value::as_str) == Some("user");
        let agent = match actor {
            Some(actor) => party(actor, iss),
            None => principal.clone().filter(|_| !is_person),
        };
        let credential = token.zip(iss).map(|(token, iss)| {
            let key = issuers.get(iss);
            let credential = Credential {
                iss: iss.to_owned(),
                kid: key.map(|key| shortened(&key.kid)),
                alg: key.map_or("?", |key| key.alg.name()).to_owned(),
                typ: Some(shortened(&token.typ)),
            };
            (credential, lifetime(token))
        });
        let refused = exchange.expect.as_ref().and_then(|expect| expect.outcome);
        Self {
            at: Now(start.0.saturating_add(nanos(exchange.at))),
            refused: refused.is_some_and(|outcome| !outcome.allows()),
            agent,
            principal,
            registered: None,
            operation: operation(exchange, catalog),
            credential,
        }
    }
}

fn party(claims: &Map<String, Value>, iss: Option<&str>) -> Option<Party> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    Some(Party { iss: shortened(text("iss").or(iss)?), sub: shortened(text("sub")?) })
}

fn lifetime(token: &Template) -> u64 {
    let time = |name: &str| token.claims.get(name).and_then(Value::as_u64);
    match (time("iat"), time("exp")) {
        (Some(iat), Some(exp)) => exp.saturating_sub(iat),
        _ => token.lifetime_seconds,
    }
}

fn nanos(seconds: f64) -> u64 {
    std::time::Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|time| u64::try_from(time.as_nanos()).ok())
        .unwrap_or(0)
}

/// `None` for a request that the filter would refuse before it means anything.
fn operation(exchange: &Exchange, catalog: &Catalog) -> Option<Operation> {
    let request = &exchange.request;
    let body = request.body.as_ref().map(crate::capture::Body::to_bytes).unwrap_or_default();
    let pseudo = [
        (":authority", &request.authority),
        (":path", &request.path),
        (":method", &request.method),
        (":scheme", &request.scheme),
    ];
    let pseudo = pseudo.into_iter().map(|(name, value)| (name.to_owned(), value.clone()));
    let pairs = pseudo.chain(request.headers.iter().cloned());
    let pairs = pairs.map(|(name, value)| (name, value.into_bytes())).collect();
    let limits = Limits::default();
    let view = RequestView::parse(pairs, body.is_empty(), &limits).ok()?;
    let action = Route::find(&view, catalog).classify(&view, Some(&body), limits.json()).ok()?;
    Some(Operation {
        name: shortened(&action.operation),
        verb: action.verb.as_str().to_owned(),
        classified: action.classified,
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}
