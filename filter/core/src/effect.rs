//! The effect of a decision: the only home of status codes, header changes and bodies of replies.

mod query;

use serde_json::{Map, Value, json};

use crate::action::McpId;
use crate::config::{DenialBody, Denials};
use crate::decision::{Decision, Outcome, Permit};
use crate::delegation::Delegation;
use crate::request::{OWN_PREFIX, RequestView};

/// JSON-RPC error code of a denial; outside of the range that JSON-RPC and MCP reserve.
pub const MCP_DENIED: i64 = -31_403;
/// JSON-RPC error code of a request that needs approval.
pub const MCP_APPROVAL_REQUIRED: i64 = -31_401;

/// What the shell does.
#[derive(Debug)]
pub enum Effect {
    /// The request goes on to the upstream.
    Forward(Forward),
    /// The filter answers.
    Reply(Reply),
}

/// A request on its way, with changes. It cannot be built without a [`Permit`].
#[derive(Debug)]
pub struct Forward {
    _permit: Permit,
    /// Headers to remove, the client's own copies of the filter's first.
    pub remove_headers: Vec<String>,
    /// Headers to set, each once.
    pub set_headers: Vec<(String, String)>,
    /// The new `:path`, where the policy changed the query.
    pub path: Option<String>,
    /// Headers to add to the upstream's response.
    pub response_headers: Vec<(String, String)>,
}

/// A reply of the filter's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
}

/// What a client is told apart from the decision.
#[derive(Debug, Clone, Default)]
pub struct Telling<'a> {
    /// The decision id.
    pub decision_id: &'a str,
    /// Whether the client speaks MCP, and the id of its request.
    pub mcp: Option<Option<&'a McpId>>,
    /// The challenge to be approved.
    pub challenge: Option<Value>,
    /// What is wrong with the credential. The client is told this and no reason code.
    pub credential: Option<Credential>,
    /// What is wrong with what the client sent, where it may know.
    pub detail: Option<String>,
    /// The algorithms for proofs of possession, where the client has to come with one.
    pub dpop: Option<String>,
}

/// What a client is told about a credential that was not accepted (RFC 6750 section 3.1, RFC 9449 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// There was none.
    Missing,
    /// It is not valid; why is nobody's business but the operator's.
    Invalid,
    /// The token may be valid; the proof of possession is not.
    InvalidProof,
}

/// The effect of a decision with leave to forward. `own_headers` are the client's copies of what only the filter sends.
#[must_use]
pub fn forward(
    permit: Permit,
    decision: &Decision,
    request: Option<&RequestView>,
    own_headers: Vec<String>,
    delegation: Option<&Delegation>,
    decision_id: &str,
) -> Forward {
    let mut remove_headers = own_headers;
    let mut set_headers = vec![(format!("{OWN_PREFIX}decision-id"), decision_id.to_owned())];
    if let Some(delegation) = delegation {
        let mut tell =
            |name: &str, value: &str| set_headers.push((format!("{OWN_PREFIX}{name}"), header_safe(value)));
        tell("principal", &delegation.principal.party.sub);
        tell("principal-issuer", &delegation.principal.party.iss);
        if let Some(actor) = &delegation.actor {
            tell("agent", &actor.sub);
            tell("agent-issuer", &actor.iss);
        }
        if let Some(task) = &delegation.task {
            tell("task", &task.task_id);
        }
    }
    let mut path = None;
    let mut response_headers = Vec::new();
    if decision.outcome.allows() {
        remove_headers.extend(decision.remove_headers.iter().cloned());
        set_headers.extend(set_by_policy(decision));
        response_headers.clone_from(&decision.response_headers);
        path = request.and_then(|request| query::changed_path(request, decision));
    }
    Forward { _permit: permit, remove_headers, set_headers, path, response_headers }
}

/// As Envoy has it for ext_authz: of several values of one name the upstream gets the last, and of a name that is to be
/// removed none.
fn set_by_policy(decision: &Decision) -> Vec<(String, String)> {
    let mut set: Vec<(String, String)> = Vec::new();
    for (name, value) in &decision.headers {
        if decision.remove_headers.contains(name) {
            continue;
        }
        match set.iter_mut().find(|(known, _)| known == name) {
            Some((_, last)) => last.clone_from(value),
            None => set.push((name.clone(), value.clone())),
        }
    }
    set
}

/// The reply of a decision that does not forward.
#[must_use]
pub fn reply(decision: &Decision, telling: &Telling<'_>, denials: Denials) -> Reply {
    // Who has to approve has to be told what.
    let is_bare = denials.body == DenialBody::Policy && telling.challenge.is_none();
    let mut headers = Vec::new();
    if !is_bare {
        headers.push(("cache-control".to_owned(), "no-store".to_owned()));
    }
    let status = match (telling.credential, &decision.challenge) {
        (Some(_), _) => 401,
        (None, Some(challenge)) => decision.status.unwrap_or(challenge.status),
        (None, None) => decision.status.unwrap_or(403),
    };
    let parameters = match (telling.credential, &decision.challenge) {
        (Some(Credential::Missing), _) => Some(""),
        (Some(Credential::Invalid), _) => Some(r#"error="invalid_token""#),
        (Some(Credential::InvalidProof), _) => Some(r#"error="invalid_dpop_proof""#),
        (None, challenge) => challenge.as_ref().map(|challenge| challenge.parameters.as_str()),
    };
    if let Some(parameters) = parameters {
        let comma = if parameters.is_empty() { "" } else { ", " };
        let challenge = match &telling.dpop {
            None => format!("Bearer {parameters}"),
            Some(algs) => format!("DPoP {parameters}{comma}algs=\"{algs}\""),
        };
        headers.push(("www-authenticate".to_owned(), challenge.trim_end().to_owned()));
    }
    headers.extend(decision.headers.iter().cloned());
    if denials.rules && !decision.rules.is_empty() {
        let rules: Vec<_> = decision.rules.iter().map(|by| format!("{} {}", by.rule, by.at)).collect();
        let rules = rules.join(", ").replace(|c: char| !c.is_ascii_graphic() && c != ' ', "?");
        headers.push(("x-remit-rules".to_owned(), rules));
    }
    if is_bare {
        let body = decision.body.as_ref().or(telling.detail.as_ref()).cloned().unwrap_or_default();
        return Reply { status, headers, body };
    }
    let told = told(decision, telling);
    let has_type = headers.iter().any(|(name, _)| name == "content-type");
    let (status, media_type, body) = match (telling.mcp, &decision.body) {
        (_, Some(body)) => (status, None, body.clone()),
        (Some(id), None) => {
            // A status that a client has to act upon stays.
            let status =
                if id.is_some() && parameters.is_none() { mcp_status(status, denials) } else { status };
            (status, Some("application/json"), rpc_error(decision, id, told))
        }
        (None, None) => (status, Some("application/problem+json"), problem(decision, status, told)),
    };
    if let (Some(media_type), false) = (media_type, has_type) {
        headers.push(("content-type".to_owned(), media_type.to_owned()));
    }
    Reply { status, headers, body }
}

/// The status under a JSON-RPC error that answers a request. SDKs tear the session down at any but 2xx, so an answer
/// rides on `denials.mcp_status`; what the client's transport has to act upon (as 401, 429) stays. A notification gets no
/// answer, and its denial stays an HTTP error (MCP, "Streamable HTTP").
fn mcp_status(status: u16, denials: Denials) -> u16 {
    match status {
        403 => denials.mcp_status,
        500.. if denials.mcp_status == 200 => 200,
        other => other,
    }
}

/// What both forms of a denial tell.
fn told(decision: &Decision, telling: &Telling<'_>) -> Map<String, Value> {
    let mut told = Map::new();
    told.insert("decision_id".to_owned(), json!(telling.decision_id));
    told.insert("outcome".to_owned(), json!(decision.outcome));
    let reasons = match telling.credential {
        Some(Credential::Missing) => json!(["token_missing"]),
        Some(Credential::Invalid) => json!(["invalid_token"]),
        Some(Credential::InvalidProof) => json!(["invalid_dpop_proof"]),
        None => json!(decision.reasons),
    };
    told.insert("reasons".to_owned(), reasons);
    if let Some(detail) = &telling.detail {
        told.insert("detail".to_owned(), json!(detail));
    }
    if let Some(challenge) = &telling.challenge {
        told.insert("challenge".to_owned(), challenge.clone());
    }
    told
}

/// RFC 9457.
fn problem(decision: &Decision, status: u16, told: Map<String, Value>) -> String {
    let mut problem = Map::new();
    problem.insert("type".to_owned(), json!("about:blank"));
    problem.insert("title".to_owned(), json!(title(decision)));
    problem.insert("status".to_owned(), json!(status));
    problem.extend(told);
    Value::Object(problem).to_string()
}

/// JSON-RPC 2.0 section 5.1. A denied notification has no id to answer to.
fn rpc_error(decision: &Decision, id: Option<&McpId>, told: Map<String, Value>) -> String {
    let code = if decision.outcome == Outcome::RequireApproval { MCP_APPROVAL_REQUIRED } else { MCP_DENIED };
    let mut response =
        json!({"jsonrpc": "2.0", "error": {"code": code, "message": title(decision), "data": told}});
    if let (Some(id), Some(response)) = (id, response.as_object_mut()) {
        response.insert("id".to_owned(), json!(id));
    }
    response.to_string()
}

fn title(decision: &Decision) -> &'static str {
    match decision.outcome {
        Outcome::RequireApproval => "this action needs the approval of a human",
        Outcome::Quarantine => "this session is quarantined",
        _ if decision.is_failure() => "no decision could be made",
        _ => "this action is outside of the remit",
    }
}

/// Visible ASCII as it is, everything else percent-encoded: a subject may hold what a header must not.
fn header_safe(value: &str) -> String {
    let mut safe = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            safe.push(char::from(byte));
        } else {
            safe.push_str(&format!("%{byte:02X}"));
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;
    use crate::ids::ReasonCode;
    use crate::request::tests::request;

    fn telling(mcp: Option<Option<&McpId>>) -> Telling<'_> {
        Telling { decision_id: "d-1", mcp, ..Telling::default() }
    }

    #[test]
    fn a_denial_is_told_in_the_clients_protocol() {
        let decision = Decision::deny(ReasonCode::of("operation_outside_task"), 403);
        let http = reply(&decision, &telling(None), Denials::default());
        let body: Value = serde_json::from_str(&http.body).unwrap();
        assert_eq!((http.status, body["reasons"][0].as_str()), (403, Some("operation_outside_task")));
        assert!(http.headers.contains(&("content-type".into(), "application/problem+json".into())));

        let id = McpId::Text("7".into());
        let mcp =
            reply(&decision, &telling(Some(Some(&id))), Denials { mcp_status: 200, ..Denials::default() });
        let body: Value = serde_json::from_str(&mcp.body).unwrap();
        assert_eq!((mcp.status, &body["id"], &body["error"]["code"]), (200, &json!("7"), &json!(MCP_DENIED)));

        for (status, mcp_status, expected) in [
            (403, 200, 200),
            (500, 200, 200),
            (503, 200, 200),
            (401, 200, 401),
            (429, 200, 429),
            (403, 403, 403),
            (500, 403, 500),
        ] {
            let decision = Decision::deny(ReasonCode::of("x"), status);
            let reply =
                reply(&decision, &telling(Some(Some(&id))), Denials { mcp_status, ..Denials::default() });
            assert_eq!(reply.status, expected, "{status} {mcp_status}");
        }

        let notification = reply(&decision, &telling(Some(None)), Denials::default());
        let body: Value = serde_json::from_str(&notification.body).unwrap();
        assert_eq!((notification.status, body.get("id")), (403, None));
    }

    #[test]
    fn a_bad_credential_is_told_nothing() {
        let decision = Decision::deny(ReasonCode::of("signature_invalid"), 401);
        let telling = Telling { credential: Some(Credential::Invalid), ..telling(None) };
        let reply = reply(&decision, &telling, Denials::default());
        assert_eq!(reply.status, 401);
        assert!(!reply.body.contains("signature"), "{}", reply.body);
    }

    #[test]
    fn what_only_the_filter_sends_is_removed() {
        let own = vec!["x-remit-agent".to_owned()];
        let view = request(("GET", "a", "/p?a=1&b=2"), &[("accept", "*")]).unwrap();
        let decision = Decision::from_policy(json!({
            "allowed": true, "headers": {"x-a": ["1", "2"], "Accept": "x"}, "request_headers_to_remove": ["accept"],
            "query_parameters_to_remove": ["a"], "query_parameters_to_set": {"c": "x y"}}))
        .unwrap();
        let permit = decision.permit(Mode::Enforce).unwrap();
        let forward = forward(permit, &decision, Some(&view), own, None, "d-1");
        assert_eq!(forward.remove_headers, ["x-remit-agent", "accept"]);
        assert_eq!(forward.path.as_deref(), Some("/p?b=2&c=x%20y"));
        assert_eq!(forward.set_headers.last(), Some(&("x-a".to_owned(), "2".to_owned())));
        assert_eq!(forward.set_headers.len(), 2, "the decision's id, and the last value");
    }

    #[test]
    fn subjects_cannot_break_out_of_a_header() {
        assert_eq!(header_safe("a b\r\nx: ä%"), "a%20b%0D%0Ax:%20%C3%A4%25");
    }
}
