//! The shape of the input as types: what the published JSON Schema is generated from, and what tests hold inputs against.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::action::{Counterparty, Effects, Protocol, Resource, Verb};
use crate::config::Mode;

/// The input of a policy: opa-envoy-plugin's, with Remit's own part under `remit`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Input {
    /// Which input this is: ext_authz v3 as protojson.
    pub version: Version,
    /// The request and its connection.
    pub attributes: Attributes,
    /// The decoded segments of the path.
    pub parsed_path: Vec<String>,
    /// The decoded query.
    #[serde(default)]
    pub parsed_query: Option<BTreeMap<String, Vec<String>>>,
    /// The body: JSON, a form as name → list of values, or a gRPC message; else null.
    #[serde(default)]
    pub parsed_body: Option<Value>,
    /// Whether the body is not all there, so that the policy decides without it.
    #[serde(default)]
    pub truncated_body: Option<bool>,
    /// Who the client's certificate names.
    #[serde(default)]
    pub source_principal: Option<String>,
    /// What only Remit knows.
    pub remit: Remit,
}

/// Which input this is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Version {
    /// `v3`.
    pub ext_authz: String,
    /// `protojson`.
    pub encoding: String,
}

/// The request and its connection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attributes {
    /// The client.
    #[serde(default)]
    pub source: Option<Peer>,
    /// Where the client connected to: the proxy.
    #[serde(default)]
    pub destination: Option<Peer>,
    /// The request.
    pub request: Request,
    /// `input.context_extensions` of the configuration.
    #[serde(default)]
    pub context_extensions: Option<BTreeMap<String, String>>,
    /// What filters before this one noted.
    #[serde(default)]
    pub metadata_context: Option<MetadataContext>,
    /// The route's metadata.
    #[serde(default)]
    pub route_metadata_context: Option<MetadataContext>,
    /// The TLS session.
    #[serde(default)]
    pub tls_session: Option<TlsSession>,
}

/// One end of the connection.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Peer {
    /// Its address.
    #[serde(default)]
    pub address: Option<Address>,
    /// Its service, as the client says itself.
    #[serde(default)]
    pub service: Option<String>,
    /// Of the destination: `input.destination_labels` of the configuration.
    #[serde(default)]
    pub labels: Option<BTreeMap<String, String>>,
    /// Who its certificate names: URI, else DNS name, else subject.
    #[serde(default)]
    pub principal: Option<String>,
    /// The client's certificate in PEM, percent-encoded, where the proxy hands it on in `x-forwarded-client-cert`.
    #[serde(default)]
    pub certificate: Option<String>,
}

/// Metadata.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MetadataContext {
    /// By the filter's name.
    #[serde(default)]
    pub filter_metadata: Option<BTreeMap<String, Value>>,
}

/// A TLS session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TlsSession {
    /// The server name that the client asked for.
    #[serde(default)]
    pub sni: Option<String>,
}

/// An address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Address {
    /// A socket's address.
    pub socket_address: SocketAddress,
}

/// A socket's address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SocketAddress {
    /// IP address.
    pub address: String,
    /// Port; absent where it is 0.
    #[serde(default)]
    pub port_value: Option<u16>,
}

/// The request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Request {
    /// When it came.
    pub time: Time,
    /// As HTTP.
    pub http: Http,
}

/// An instant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Time {
    /// Seconds since the Unix epoch.
    pub seconds: u64,
    /// Nanoseconds beyond; absent where there are none.
    #[serde(default)]
    pub nanos: Option<u32>,
}

/// A request as HTTP.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Http {
    /// The decision id.
    pub id: String,
    /// The method.
    pub method: String,
    /// Path and query as they came.
    pub path: String,
    /// The authority as it came.
    pub host: String,
    /// `http` or `https`; absent where the proxy does not know.
    #[serde(default)]
    pub scheme: Option<String>,
    /// `HTTP/1.1`, `HTTP/2` or the like.
    #[serde(default)]
    pub protocol: Option<String>,
    /// The body's size in bytes, where it was read.
    #[serde(default)]
    pub size: Option<u64>,
    /// Names in lower case, pseudo-headers included; several values are joined by commas.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
    /// The body as text.
    #[serde(default)]
    pub body: Option<String>,
    /// The body in base64, in place of `body`, where `input.pack_as_bytes` is set.
    #[serde(default)]
    pub raw_body: Option<String>,
}

/// What only Remit knows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Remit {
    /// The version of this part: 1.
    pub v: u32,
    /// The present, in seconds since the Unix epoch.
    pub now: u64,
    /// Enforce or observe.
    pub mode: Mode,
    /// The verified token; absent where the policy decides without one.
    #[serde(default)]
    pub token: Option<Token>,
    /// Who acts for whom, and for which task; absent where the policy decides without a token.
    #[serde(default)]
    pub delegation: Option<Delegation>,
    /// The verified transaction token, where one came along.
    #[serde(default)]
    pub transaction: Option<Transaction>,
    /// Whether the agent is in `data.remit.registry`.
    pub registration: Registration,
    /// What is asked for.
    pub action: Action,
    /// What the action looks like beside a baseline and a history: nothing yet.
    pub signals: BTreeMap<String, Value>,
    /// A verified approval for exactly this action, whose challenge is open.
    #[serde(default)]
    pub approval: Option<Approval>,
}

/// Whether an agent is registered.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Registration {
    /// It is.
    Registered,
    /// It was, and that has ended.
    Expired,
    /// Nobody answers for it, or there is no agent.
    Unregistered,
}

/// A verified token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Token {
    /// Issuer.
    pub iss: String,
    /// Subject: the principal.
    pub sub: String,
    /// Audience.
    pub aud: Vec<String>,
    /// Expiry, in seconds since the Unix epoch.
    pub exp: u64,
    /// Issue, in seconds since the Unix epoch.
    pub iat: u64,
    /// The token's id.
    #[serde(default)]
    pub jti: Option<String>,
    /// The OAuth client, which is not the actor.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Scopes.
    pub scope: Vec<String>,
    /// The key that signed it.
    #[serde(default)]
    pub kid: Option<String>,
    /// The algorithm.
    pub alg: String,
    /// `exp - iat`.
    pub lifetime_seconds: u64,
    /// How the principal signed in (RFC 9470).
    #[serde(default)]
    pub acr: Option<String>,
    /// When the principal signed in, in seconds since the Unix epoch.
    #[serde(default)]
    pub auth_time: Option<u64>,
    /// How long ago that was, in seconds.
    #[serde(default)]
    pub auth_age_seconds: Option<u64>,
    /// All claims as they came.
    pub claims: BTreeMap<String, Value>,
}

/// Who acts for whom.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Delegation {
    /// On whose behalf.
    pub principal: Principal,
    /// Who acts now; absent when the token expresses no delegation.
    #[serde(default)]
    pub actor: Option<Party>,
    /// What acts now: `human`, `service`, `agent` or `unknown`.
    #[serde(default)]
    pub actor_kind: Option<String>,
    /// All actors, the current one first.
    pub chain: Vec<Party>,
    /// How many actors there are.
    pub depth: usize,
    /// Whether the issuer says that these are all actors.
    pub chain_complete: bool,
    /// What proves that each hop narrowed: `asserted`, `receipts` or `hop_list`.
    pub evidence: String,
    /// Whether a human is at the root.
    pub traceable: bool,
    /// The task, where the token names one.
    #[serde(default)]
    pub task: Option<Task>,
    /// The digest of the prompt that the agent works on.
    #[serde(default)]
    pub prompt_digest: Option<PromptDigest>,
}

/// The salted digest of a prompt.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromptDigest {
    /// `sha-256`.
    pub alg: String,
    /// base64url.
    pub salt: String,
    /// base64url.
    pub digest: String,
}

/// A verified transaction token, where one came along.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Transaction {
    /// The transaction.
    pub txn: String,
    /// The trust domain.
    pub aud: String,
    /// The principal in it.
    pub sub: String,
    /// Expiry, in seconds since the Unix epoch.
    pub exp: u64,
    /// What it is for.
    pub scope: Vec<String>,
    /// The workload that asked for it.
    #[serde(default)]
    pub req_wl: Option<String>,
    /// What stays the same along the chain of calls.
    #[serde(default)]
    pub tctx: Option<BTreeMap<String, Value>>,
    /// The circumstances of the request that began it.
    #[serde(default)]
    pub rctx: Option<BTreeMap<String, Value>>,
}

/// The identity at the root.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Principal {
    /// Issuer.
    pub iss: String,
    /// Name within it.
    pub sub: String,
    /// `human`, `service`, `agent` or `unknown`.
    pub kind: String,
}

/// An identity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Party {
    /// Issuer.
    pub iss: String,
    /// Name within it.
    pub sub: String,
}

/// What the agent was asked to do; what the token leaves out is absent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Task {
    /// Which task.
    pub task_id: String,
    /// Who asked.
    #[serde(default)]
    pub requested_by: Option<String>,
    /// Names of operations.
    #[serde(default)]
    pub actions: Option<Vec<String>>,
    /// Names of resources.
    #[serde(default)]
    pub locations: Option<Vec<String>>,
    /// Values named in the prompt, by kind.
    #[serde(default)]
    pub identifiers: Option<BTreeMap<String, Vec<String>>>,
    /// How many calls the task may take.
    #[serde(default)]
    pub max_calls: Option<u64>,
    /// When it ends, in seconds since the Unix epoch.
    #[serde(default)]
    pub expires: Option<u64>,
}

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Action {
    /// The protocol it was spoken in.
    pub protocol: Protocol,
    /// Whether the catalog knows it.
    pub classified: bool,
    /// The name that catalog, tokens and policy share.
    pub operation: String,
    /// What kind of thing it does.
    pub verb: Verb,
    /// The JSON-RPC or HTTP method.
    pub method: String,
    /// The MCP tool.
    #[serde(default)]
    pub tool: Option<String>,
    /// What it is done to.
    #[serde(default)]
    pub resource: Option<Resource>,
    /// What it does to the world.
    pub effects: Effects,
    /// MCP: the arguments. HTTP: `path`, `query` and `body`. Absent where no rule reads them.
    #[serde(default)]
    pub arguments: Option<Value>,
    /// Whom it reaches.
    pub counterparties: Vec<Counterparty>,
    /// JSON pointers that the catalog needs and the request lacks.
    pub missing: Vec<String>,
}

/// An approval.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Approval {
    /// Who approved.
    pub approver: Party,
    /// How the approver was authenticated.
    #[serde(default)]
    pub acr: Option<String>,
    /// When the approver was authenticated, in seconds since the Unix epoch.
    #[serde(default)]
    pub auth_time: Option<u64>,
}
