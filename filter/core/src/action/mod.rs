//! What a request means: one canonical action for MCP and plain HTTP, through the catalog of the bundle.

pub mod catalog;
mod http;
mod mcp;
mod pointer;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use catalog::{Catalog, CatalogError};
pub use mcp::McpId;
pub(crate) use pointer::fold;

use crate::ids::ReasonCode;
use crate::json::{self, JsonError, JsonLimits};
use crate::request::RequestView;
use catalog::Entry;
use pointer::{Arguments, Found, plain_text};

/// What kind of thing an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Verb {
    /// Reads one thing.
    Read,
    /// Lists things.
    List,
    /// Searches among things.
    Search,
    /// Answers the person who asked.
    Answer,
    /// Makes a thing.
    Create,
    /// Changes a thing.
    Update,
    /// Sends something to somebody.
    Send,
    /// Makes something visible to others.
    Publish,
    /// Changes who may do what.
    Grant,
    /// Removes a thing.
    Delete,
    /// Moves money.
    Pay,
    /// Runs code or a command.
    Execute,
    /// Keeps a protocol going, such as MCP's `initialize`.
    Session,
    /// Not known.
    Unknown,
}

impl Verb {
    /// The name in input and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Search => "search",
            Self::Answer => "answer",
            Self::Create => "create",
            Self::Update => "update",
            Self::Send => "send",
            Self::Publish => "publish",
            Self::Grant => "grant",
            Self::Delete => "delete",
            Self::Pay => "pay",
            Self::Execute => "execute",
            Self::Session => "session",
            Self::Unknown => "unknown",
        }
    }
}

/// Who can see what an action leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Visibility {
    /// The person who asked.
    Private,
    /// Others in the organisation.
    Internal,
    /// Anybody.
    Public,
}

impl Visibility {
    /// The name in input and catalog.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// What an action does to the world. The catalog states every member: none has a harmless default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Effects {
    /// It changes something.
    pub side_effect: bool,
    /// Who sees the change.
    pub visibility: Visibility,
    /// It can be undone.
    pub reversible: bool,
    /// It changes who may do what.
    pub privilege: bool,
    /// It moves money.
    pub money: bool,
    /// It reaches parties that the catalog cannot name.
    pub open_world: bool,
}

impl Effects {
    /// Nothing changes and nobody sees it.
    pub const NONE: Self = Self {
        side_effect: false,
        visibility: Visibility::Private,
        reversible: true,
        privilege: false,
        money: false,
        open_world: false,
    };
    /// Nothing is known, so everything is assumed.
    pub const WORST: Self = Self {
        side_effect: true,
        visibility: Visibility::Public,
        reversible: false,
        privilege: true,
        money: true,
        open_world: true,
    };
}

/// The protocol that an action was spoken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Protocol {
    /// Model Context Protocol over streamable HTTP.
    Mcp,
    /// Plain HTTP.
    Http,
}

impl Protocol {
    /// The name in input and audit.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Http => "http",
        }
    }
}

/// What an action is done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resource {
    /// The kind of thing, such as `thread`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub id: String,
    /// `type/id`, which is what a task's `locations` are compared with.
    pub name: String,
}

/// Somebody or something that an action reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counterparty {
    /// The kind, such as `person` or `repository`.
    pub kind: String,
    /// The value in the request.
    pub value: String,
    /// JSON pointer into the arguments where the value stands.
    pub from: String,
}

/// What a request means.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// The protocol it was spoken in.
    pub protocol: Protocol,
    /// Whether the catalog knows it. If not, [`Effects::WORST`] is assumed.
    pub classified: bool,
    /// The name that catalog, tokens and policy share, such as `forum.reply.publish`.
    pub operation: String,
    /// What kind of thing it does.
    pub verb: Verb,
    /// The JSON-RPC or HTTP method.
    pub method: String,
    /// The MCP tool.
    pub tool: Option<String>,
    /// What it is done to, where the catalog says so and the request names it.
    pub resource: Option<Resource>,
    /// What it does to the world.
    pub effects: Effects,
    /// MCP: `params.arguments` (or `params`); HTTP: `{"path", "query", "body"}`.
    pub arguments: Value,
    /// Whom it reaches.
    pub counterparties: Vec<Counterparty>,
    /// JSON pointers that the catalog needs and the request lacks.
    pub missing: Vec<String>,
    /// The JSON-RPC id, to answer a denied MCP request.
    pub mcp_id: Option<McpId>,
}

/// Why a request has no meaning that could be decided on.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// The body is not strict JSON.
    #[error("body: {0}")]
    Body(#[from] JsonError),
    /// The body is in an encoding or a charset that the filter does not read.
    #[error("the body is encoded: send it without content-encoding, as UTF-8")]
    BodyEncoded,
    /// A JSON-RPC batch: MCP removed it in revision 2025-06-18, and servers differ.
    #[error("a JSON-RPC batch")]
    Batch,
    /// No well-formed JSON-RPC 2.0 message.
    #[error("not a JSON-RPC 2.0 message: {0}")]
    Envelope(&'static str),
    /// A header that repeats the body says something else than the body.
    #[error("the header {0} contradicts the body")]
    HeaderMismatch(&'static str),
}

impl ActionError {
    /// The reason code in audit.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::Body(JsonError::NotUtf8 { .. }) => "body_not_utf8",
            Self::Body(JsonError::DuplicateKey { .. }) => "body_duplicate_key",
            Self::Body(JsonError::TooDeep { .. }) => "body_too_deep",
            Self::Body(JsonError::TooMany { .. }) => "body_too_many_values",
            Self::Body(JsonError::Malformed { .. }) => "body_malformed",
            Self::BodyEncoded => "body_encoded",
            Self::Batch => "mcp_batch",
            Self::Envelope(_) => "mcp_malformed",
            Self::HeaderMismatch(_) => "mcp_header_mismatch",
        })
    }

    /// The HTTP status that the client gets.
    #[must_use]
    pub fn status(&self) -> u16 {
        if matches!(self, Self::BodyEncoded) { 415 } else { 400 }
    }
}

/// What is known of an action before the body.
#[derive(Debug)]
pub struct Route<'c> {
    destination: Destination<'c>,
}

#[derive(Debug)]
enum Destination<'c> {
    Mcp(&'c catalog::McpServer),
    Http(&'c Entry, serde_json::Map<String, Value>),
    Unknown,
}

/// What the body is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyUse {
    /// Nobody reads it.
    None,
    /// It says what the request means, or an approval has to bind it.
    Meaning,
}

impl<'c> Route<'c> {
    /// Looks a request up in the catalog, by authority, method and path.
    #[must_use]
    pub fn find(request: &RequestView, catalog: &'c Catalog) -> Self {
        let authority = request.authority();
        // What servers take for different things is in nobody's catalog.
        let destination = if request.target.is_ambiguous() {
            Destination::Unknown
        } else if let Some(server) = catalog.mcp_server(&authority, request) {
            Destination::Mcp(server)
        } else if let Some((entry, parameters)) = catalog.http_entry(&authority, request) {
            Destination::Http(entry, parameters)
        } else {
            Destination::Unknown
        };
        Self { destination }
    }

    /// Whether this is a route to an MCP server.
    #[must_use]
    pub fn is_mcp(&self) -> bool {
        matches!(self.destination, Destination::Mcp(_))
    }

    /// What the action needs the body for; `reads_arguments` says whether the policy reads what is in it.
    #[must_use]
    pub fn body_use(&self, request: &RequestView, reads_arguments: bool) -> BodyUse {
        let needed = match self.destination {
            Destination::Mcp(_) => request.method() == "POST",
            Destination::Http(entry, _) => entry.reads_body() || reads_arguments && request.is_json(),
            Destination::Unknown => false,
        };
        if needed { BodyUse::Meaning } else { BodyUse::None }
    }

    /// Works out the action. `body` is `None` where it was not read.
    ///
    /// # Errors
    ///
    /// See [`ActionError`].
    pub fn classify(
        self,
        request: &RequestView,
        body: Option<&[u8]>,
        limits: JsonLimits,
    ) -> Result<Action, ActionError> {
        if body.is_some_and(|body| !body.is_empty()) && request.is_encoded() {
            return Err(ActionError::BodyEncoded);
        }
        match self.destination {
            Destination::Mcp(server) => mcp::classify(server, request, body, limits),
            Destination::Http(entry, parameters) => {
                let json = match body {
                    Some(bytes) if request.is_json() && !bytes.is_empty() => {
                        Some(json::parse_within(bytes, limits)?)
                    }
                    Some([]) => Some(Value::Null),
                    None if request.ends_with_headers => Some(Value::Null),
                    _ => None,
                };
                Ok(http::action(entry, request, parameters, json))
            }
            Destination::Unknown => Ok(http::unknown(request)),
        }
    }
}

impl Action {
    /// An action that the catalog knows nothing about.
    fn unclassified(protocol: Protocol, mut operation: String, method: &str, arguments: Value) -> Self {
        // The client chose this text; audit records stay small all the same.
        let end = operation.char_indices().nth(200).map_or(operation.len(), |(at, _)| at);
        operation.truncate(end);
        Self {
            protocol,
            classified: false,
            operation,
            verb: Verb::Unknown,
            method: method.to_owned(),
            tool: None,
            resource: None,
            effects: Effects::WORST,
            arguments,
            counterparties: Vec::new(),
            missing: Vec::new(),
            mcp_id: None,
        }
    }

    /// An action as its catalog entry describes it, with resource and counterparties taken from the arguments.
    fn of_entry(protocol: Protocol, entry: &Entry, method: &str, arguments: Arguments) -> Self {
        let mut missing = Vec::new();
        let resource = entry.resource.as_ref().and_then(|resource| {
            let id = match arguments.find(&resource.id) {
                Found::Value(value) => plain_text(value),
                Found::Absent | Found::Unclear => None,
            };
            if id.is_none() {
                missing.push(resource.id.clone());
            }
            let id = id?;
            Some(Resource { name: format!("{}/{id}", resource.kind), kind: resource.kind.clone(), id })
        });
        let mut counterparties = Vec::new();
        for wanted in &entry.counterparties {
            let several = match arguments.find(&wanted.value) {
                Found::Value(Value::Array(items)) => items.iter().map(plain_text).collect::<Option<Vec<_>>>(),
                Found::Value(one) => plain_text(one).map(|value| vec![value]),
                Found::Absent if wanted.optional => Some(Vec::new()),
                Found::Absent | Found::Unclear => None,
            };
            match several {
                Some(values) => counterparties.extend(values.into_iter().map(|value| Counterparty {
                    kind: wanted.kind.clone(),
                    value,
                    from: wanted.value.clone(),
                })),
                None => missing.push(wanted.value.clone()),
            }
        }
        Self {
            protocol,
            classified: true,
            operation: entry.operation.clone(),
            verb: entry.verb,
            method: method.to_owned(),
            tool: None,
            resource,
            effects: entry.effects,
            arguments: arguments.value,
            counterparties,
            missing,
            mcp_id: None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
