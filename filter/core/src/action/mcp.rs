//! Model Context Protocol over streamable HTTP (revisions 2025-03-26 and later): JSON-RPC 2.0 in a POST.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value};

use super::catalog::McpServer;
use super::pointer::Arguments;
use super::{Action, ActionError, Effects, Protocol, Resource, Verb, fold};
use crate::json::{self, JsonLimits};
use crate::request::RequestView;

/// The id of a JSON-RPC request: a string or an integer, never null (MCP, section "Requests").
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum McpId {
    /// A string.
    Text(String),
    /// An integer.
    Number(i64),
}

/// Methods of the protocol itself, and what they do. Whatever is not here and is not `tools/call` is unclassified.
const METHODS: [(&str, Verb); 20] = [
    ("completion/complete", Verb::Read),
    ("initialize", Verb::Session),
    ("logging/setLevel", Verb::Session),
    ("notifications/cancelled", Verb::Session),
    ("notifications/elicitation/complete", Verb::Session),
    ("notifications/initialized", Verb::Session),
    ("notifications/progress", Verb::Session),
    ("notifications/roots/list_changed", Verb::Session),
    ("ping", Verb::Session),
    ("prompts/get", Verb::Read),
    ("prompts/list", Verb::Session),
    ("resources/list", Verb::Session),
    ("resources/read", Verb::Read),
    ("resources/subscribe", Verb::Read),
    ("resources/templates/list", Verb::Session),
    ("resources/unsubscribe", Verb::Session),
    ("server/discover", Verb::Session),
    ("subscriptions/listen", Verb::Session),
    ("tasks/get", Verb::Read),
    ("tools/list", Verb::Session),
];

/// The members of `params` that say what a message means.
const PARAMS: [&str; 5] = ["_meta", "arguments", "name", "task", "uri"];

/// The members of `params` of `tools/call` (MCP 2025-11-25, section "Calling Tools").
const CALL_PARAMS: [&str; 4] = ["_meta", "arguments", "name", "task"];

const ENVELOPE: [&str; 6] = ["error", "id", "jsonrpc", "method", "params", "result"];

/// Works out what a request to an MCP server means.
pub(super) fn classify(
    server: &McpServer,
    request: &RequestView,
    body: Option<&[u8]>,
    limits: JsonLimits,
) -> Result<Action, ActionError> {
    match (request.method(), body) {
        _ if request.target.raw_query.is_some() => Ok(by_transport(request, None)),
        ("POST", Some(body)) if request.is_json() => {
            message(server, request, json::parse_within(body, limits)?)
        }
        ("POST", Some(_)) => Err(ActionError::Envelope("content-type is not application/json")),
        // With a body they could be read as a message that nobody has looked at.
        ("GET", _) if request.ends_with_headers => Ok(by_transport(request, Some("mcp.listen"))),
        ("DELETE", _) if request.ends_with_headers => Ok(by_transport(request, Some("mcp.terminate"))),
        _ => Ok(by_transport(request, None)),
    }
}

/// What the transport itself offers: a stream of server messages, and the end of a session.
fn by_transport(request: &RequestView, operation: Option<&str>) -> Action {
    let method = request.method();
    match operation {
        Some(operation) => of_method(operation, method, Verb::Session, Value::Null),
        None => Action::unclassified(Protocol::Mcp, format!("{method} mcp"), method, Value::Null),
    }
}

fn message(server: &McpServer, request: &RequestView, message: Value) -> Result<Action, ActionError> {
    let mut envelope = match message {
        Value::Object(envelope) => envelope,
        Value::Array(_) => return Err(ActionError::Batch),
        _ => return Err(ActionError::Envelope("not an object")),
    };
    // A server that ignores case would read `Method` where the filter reads `method`.
    if envelope.keys().any(|key| !ENVELOPE.contains(&key.as_str())) {
        return Err(ActionError::Envelope("a member that JSON-RPC does not know"));
    }
    if envelope.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(ActionError::Envelope("jsonrpc is not \"2.0\""));
    }
    let id = match envelope.remove("id") {
        None => None,
        Some(Value::String(id)) => Some(McpId::Text(id)),
        Some(Value::Number(id)) => {
            Some(McpId::Number(id.as_i64().ok_or(ActionError::Envelope("id is not an integer"))?))
        }
        Some(_) => return Err(ActionError::Envelope("id is neither a string nor an integer")),
    };
    let params = match envelope.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err(ActionError::Envelope("params is not an object")),
    };
    let looks_like_known = |key: &String| {
        let folded = fold(key);
        PARAMS.contains(&folded.as_str()) && !PARAMS.contains(&key.as_str())
    };
    if params.keys().any(looks_like_known) {
        return Err(ActionError::Envelope("a member of params that differs from a known one only in case"));
    }
    let answers = envelope.contains_key("result") || envelope.contains_key("error");
    let method = match envelope.remove("method") {
        Some(Value::String(_)) if answers => {
            return Err(ActionError::Envelope("a request and a response at once"));
        }
        Some(Value::String(method)) => method,
        Some(_) => return Err(ActionError::Envelope("method is not a string")),
        None if answers && id.is_some() && params.is_empty() => {
            let action = of_method("mcp.reply", "response", Verb::Session, Value::Null);
            return Ok(Action { mcp_id: id, ..action });
        }
        None => return Err(ActionError::Envelope("neither method nor result nor error")),
    };
    agree(request, "mcp-method", Some(&method))?;
    if method.starts_with("notifications/") == id.is_some() {
        return Err(ActionError::Envelope("requests have an id, notifications have none"));
    }
    let action = match method.as_str() {
        "tools/call" => call(server, request, params)?,
        "resources/read" | "resources/subscribe" => {
            let uri = named(request, &params, "uri")?;
            resource(uri, &method, params)
        }
        "prompts/get" => {
            named(request, &params, "name")?;
            of_method(&method, &method, Verb::Read, Value::Object(params))
        }
        _ => match METHODS.binary_search_by(|(name, _)| (*name).cmp(method.as_str())) {
            Ok(index) => {
                let verb = METHODS.get(index).map_or(Verb::Unknown, |(_, verb)| *verb);
                of_method(&method, &method, verb, Value::Object(params))
            }
            Err(_) => Action::unclassified(Protocol::Mcp, method.clone(), &method, Value::Object(params)),
        },
    };
    Ok(Action { mcp_id: id, ..action })
}

fn call(
    server: &McpServer,
    request: &RequestView,
    mut params: Map<String, Value>,
) -> Result<Action, ActionError> {
    // They could change what is done, and neither the policy nor an approval would have seen it.
    if params.keys().any(|key| !CALL_PARAMS.contains(&key.as_str())) {
        return Err(ActionError::Envelope("a member of params that tools/call does not know"));
    }
    let tool = named(request, &params, "name")?;
    let arguments = match params.remove("arguments") {
        None => Value::Object(Map::new()),
        Some(Value::Object(arguments)) => {
            let names = arguments.keys().map(|name| fold(name));
            if names.collect::<BTreeSet<_>>().len() < arguments.len() {
                return Err(ActionError::Envelope("two arguments whose names differ only in case"));
            }
            Value::Object(arguments)
        }
        Some(_) => return Err(ActionError::Envelope("params.arguments is not an object")),
    };
    let mut action = match server.tools.get(&tool) {
        Some(entry) => {
            let arguments = Arguments { value: arguments, hides_body: false, is_http: false };
            Action::of_entry(Protocol::Mcp, entry, "tools/call", arguments)
        }
        None => Action::unclassified(Protocol::Mcp, format!("tools/call {tool}"), "tools/call", arguments),
    };
    action.tool = Some(tool);
    Ok(action)
}

/// A string member of `params` that names what the method is about, and that the header `mcp-name` may repeat.
fn named(request: &RequestView, params: &Map<String, Value>, member: &str) -> Result<String, ActionError> {
    match params.get(member).and_then(Value::as_str) {
        Some(name) if !name.is_empty() => {
            agree(request, "mcp-name", Some(name))?;
            Ok(name.to_owned())
        }
        _ => Err(ActionError::Envelope("params does not name the tool, prompt or resource")),
    }
}

/// Headers that repeat the body, so that gateways need not read it, must not contradict it.
fn agree(request: &RequestView, header: &'static str, body: Option<&str>) -> Result<(), ActionError> {
    match request.header(header) {
        Some(value) if Some(value) != body => Err(ActionError::HeaderMismatch(header)),
        _ => Ok(()),
    }
}

fn resource(uri: String, method: &str, params: Map<String, Value>) -> Action {
    let mut action = of_method(method, method, Verb::Read, Value::Object(params));
    action.resource = Some(Resource { kind: "mcp".to_owned(), name: format!("mcp/{uri}"), id: uri });
    action
}

fn of_method(operation: &str, method: &str, verb: Verb, arguments: Value) -> Action {
    Action {
        protocol: Protocol::Mcp,
        classified: true,
        operation: operation.to_owned(),
        verb,
        method: method.to_owned(),
        tool: None,
        resource: None,
        effects: Effects::NONE,
        arguments,
        counterparties: Vec::new(),
        missing: Vec::new(),
        mcp_id: None,
    }
}
