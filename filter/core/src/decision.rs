//! The decision: five outcomes, and the one place where a failure becomes one of them.

mod challenge;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::{FailureMode, Mode};
use crate::ids::ReasonCode;
use crate::reason;
use crate::request::OWN_PREFIX;

pub(crate) use challenge::is_quotable;
pub use challenge::{Challenge, insufficient_authentication};

/// The most reason codes that a decision may carry.
const MAX_REASONS: usize = 32;

/// Headers that frame the message or route it: a policy that set them would change what was decided on.
const FRAMING: [&str; 8] =
    ["connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is forwarded.
    Allow,
    /// It is not forwarded.
    Deny,
    /// It is not forwarded until a human approves exactly this action.
    RequireApproval,
    /// It is forwarded with the changes that the policy names.
    Modify,
    /// It is not forwarded, and the policy asks for the session to be cut off.
    Quarantine,
}

impl Outcome {
    /// The name in audit, metrics and denials.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::RequireApproval => "require_approval",
            Self::Modify => "modify",
            Self::Quarantine => "quarantine",
        }
    }

    /// Whether the request is forwarded.
    #[must_use]
    pub fn allows(self) -> bool {
        matches!(self, Self::Allow | Self::Modify)
    }
}

/// Why what the policy returned is no decision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedDecision {
    /// Neither a boolean nor an object.
    #[error("the decision is neither a boolean nor an object")]
    Kind,
    /// `allowed` is missing or no boolean.
    #[error("`allowed` is missing or not a boolean")]
    Allowed,
    /// `outcome` is unknown or contradicts `allowed`.
    #[error("`outcome` is unknown or contradicts `allowed`")]
    Outcome,
    /// `reasons` is not a list of reason codes.
    #[error("`reasons` is not a list of at most {MAX_REASONS} reason codes")]
    Reasons,
    /// Another member has the wrong shape, or names what a policy may not set.
    #[error("`{0}` is malformed")]
    Member(&'static str),
}

/// A decision, with what the policy wants done besides.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// What becomes of the request.
    pub outcome: Outcome,
    /// Why, in the order of the policy.
    pub reasons: Vec<ReasonCode>,
    /// Allowed: headers for the upstream, of each name the last. Denied: headers of the reply.
    pub headers: Vec<(String, String)>,
    /// Request headers that the upstream must not see.
    pub remove_headers: Vec<String>,
    /// Headers added to the upstream's response.
    pub response_headers: Vec<(String, String)>,
    /// Query parameters to set.
    pub set_query: BTreeMap<String, Vec<String>>,
    /// Query parameters to remove.
    pub remove_query: Vec<String>,
    /// What the access log can print.
    pub metadata: Option<Map<String, Value>>,
    /// Denied: the body of the reply.
    pub body: Option<String>,
    /// Denied: the HTTP status of the reply.
    pub status: Option<u16>,
    /// Denied: what the client is asked to come back with.
    pub challenge: Option<Challenge>,
    /// Denied by the policy: the rules that held, for the operator.
    pub rules: Vec<DecidedBy>,
    /// Why those rules are not known.
    pub unexplained: Option<Unexplained>,
}

/// A definition of the policy that took part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecidedBy {
    /// The rule, as `data.remit.authz.deny`; a default says so.
    pub rule: String,
    /// File and line in the bundle.
    pub at: String,
}

/// Why it is not known which rules held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unexplained {
    /// What the request's evaluations may cost was spent before the explanation was there.
    BudgetSpent,
    /// The explanation failed.
    Failed,
}

impl Unexplained {
    /// The name in audit and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BudgetSpent => "budget_spent",
            Self::Failed => "failed",
        }
    }
}

/// Leave to forward a request. Only [`Decision::permit`] makes one.
#[derive(Debug)]
pub struct Permit(());

impl Decision {
    fn of(outcome: Outcome, reasons: Vec<ReasonCode>) -> Self {
        Self {
            outcome,
            reasons,
            headers: Vec::new(),
            remove_headers: Vec::new(),
            response_headers: Vec::new(),
            set_query: BTreeMap::new(),
            remove_query: Vec::new(),
            metadata: None,
            body: None,
            status: None,
            challenge: None,
            rules: Vec::new(),
            unexplained: None,
        }
    }

    /// A denial that the filter gives by itself.
    #[must_use]
    pub fn deny(reason: ReasonCode, status: u16) -> Self {
        Self { status: Some(status), ..Self::of(Outcome::Deny, vec![reason]) }
    }

    /// What a failure is turned into: a denial, unless the operator's configuration chose otherwise for it.
    #[must_use]
    pub fn of_failure(reason: ReasonCode, mode: FailureMode, status: u16) -> Self {
        match mode {
            FailureMode::Deny => Self::deny(reason, status),
            FailureMode::Allow => Self::of(Outcome::Allow, vec![reason]),
        }
    }

    /// Reads what the policy returned: opa-envoy-plugin's boolean or object, with `outcome` and `reasons` besides.
    ///
    /// # Errors
    ///
    /// See [`MalformedDecision`]. Members that belong to the other branch are not read, as in opa-envoy-plugin.
    pub fn from_policy(value: Value) -> Result<Self, MalformedDecision> {
        let mut object = match value {
            Value::Bool(true) => return Ok(Self::of(Outcome::Allow, Vec::new())),
            Value::Bool(false) => return Ok(Self::of(Outcome::Deny, Vec::new())),
            Value::Object(object) => object,
            _ => return Err(MalformedDecision::Kind),
        };
        let allowed = object.get("allowed").and_then(Value::as_bool).ok_or(MalformedDecision::Allowed)?;
        let outcome = match object.remove("outcome") {
            None if allowed => Outcome::Allow,
            None => Outcome::Deny,
            Some(name) => serde_json::from_value(name).map_err(|_| MalformedDecision::Outcome)?,
        };
        if outcome.allows() != allowed {
            return Err(MalformedDecision::Outcome);
        }
        let mut decision = Self::of(outcome, reasons(object.remove("reasons"))?);
        decision.headers = headers(object.remove("headers"), "headers")?;
        decision.metadata = match object.remove("dynamic_metadata") {
            None => None,
            Some(Value::Object(metadata)) => Some(metadata),
            Some(_) => return Err(MalformedDecision::Member("dynamic_metadata")),
        };
        if allowed {
            decision.remove_headers =
                names(object.remove("request_headers_to_remove"), "request_headers_to_remove")?;
            decision.remove_headers.iter_mut().for_each(|name| name.make_ascii_lowercase());
            if decision.remove_headers.iter().any(|name| !may_be_set(name)) {
                return Err(MalformedDecision::Member("request_headers_to_remove"));
            }
            decision.response_headers =
                headers(object.remove("response_headers_to_add"), "response_headers_to_add")?;
            decision.remove_query =
                names(object.remove("query_parameters_to_remove"), "query_parameters_to_remove")?;
            decision.set_query = query(object.remove("query_parameters_to_set"))?;
        } else {
            decision.challenge = challenge::read(&object, &decision.reasons)?;
            decision.body = match object.remove("body") {
                None => None,
                Some(Value::String(body)) => Some(body),
                Some(_) => return Err(MalformedDecision::Member("body")),
            };
            decision.status = match object.remove("http_status") {
                None => None,
                Some(status) => {
                    let status = status.as_u64().and_then(|status| u16::try_from(status).ok());
                    let known = status.filter(|status| is_known(*status));
                    Some(known.ok_or(MalformedDecision::Member("http_status"))?)
                }
            };
        }
        Ok(decision)
    }

    /// Whether the decision is put into effect, or only recorded.
    #[must_use]
    pub fn is_enforced(&self, mode: Mode) -> bool {
        mode == Mode::Enforce || self.outcome.allows()
    }

    /// Leave to forward: for an allowing decision, and for any decision in observe mode.
    #[must_use]
    pub fn permit(&self, mode: Mode) -> Option<Permit> {
        (self.outcome.allows() || mode == Mode::Observe).then_some(Permit(()))
    }

    /// A denial in place of this decision, because something that it needs failed.
    #[must_use]
    pub fn overruled(mut self, reason: ReasonCode) -> Self {
        self.reasons.push(reason);
        Self::of(Outcome::Deny, self.reasons)
    }

    /// Whether the policy came to no decision, as opposed to deciding against.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        const FAILURES: [ReasonCode; 13] = [
            reason::NO_BUNDLE,
            reason::DECISION_UNDEFINED,
            reason::DECISION_CONFLICT,
            reason::DECISION_MALFORMED,
            reason::EVALUATION_FAILED,
            reason::INSTRUCTIONS_EXHAUSTED,
            reason::TIME_EXHAUSTED,
            reason::MEMORY_EXHAUSTED,
            reason::HTTP_SEND_FAILED,
            reason::HTTP_SEND_CALLS,
            reason::HTTP_SEND_BUSY,
            reason::STATE_UNAVAILABLE,
            reason::CHALLENGES_FULL,
        ];
        self.reasons.iter().any(|code| FAILURES.contains(code))
    }
}

fn reasons(value: Option<Value>) -> Result<Vec<ReasonCode>, MalformedDecision> {
    let items = match value {
        None => return Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= MAX_REASONS => items,
        Some(_) => return Err(MalformedDecision::Reasons),
    };
    let code = |item: &Value| item.as_str().and_then(ReasonCode::parse).ok_or(MalformedDecision::Reasons);
    items.iter().map(code).collect()
}

fn headers(value: Option<Value>, member: &'static str) -> Result<Vec<(String, String)>, MalformedDecision> {
    let malformed = || MalformedDecision::Member(member);
    let objects = match value {
        None => Vec::new(),
        Some(Value::Array(objects)) => objects,
        Some(object) => vec![object],
    };
    let mut list = Vec::new();
    for object in objects {
        let Value::Object(object) = object else { return Err(malformed()) };
        for (name, values) in object {
            let name = name.to_ascii_lowercase();
            if !is_header_name(&name) || !may_be_set(&name) {
                return Err(malformed());
            }
            for value in strings(values).ok_or_else(malformed)? {
                if value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
                    return Err(malformed());
                }
                list.push((name.clone(), value));
            }
        }
    }
    Ok(list)
}

fn names(value: Option<Value>, member: &'static str) -> Result<Vec<String>, MalformedDecision> {
    match value {
        None => Ok(Vec::new()),
        Some(list @ Value::Array(_)) => strings(list).ok_or(MalformedDecision::Member(member)),
        Some(_) => Err(MalformedDecision::Member(member)),
    }
}

fn query(value: Option<Value>) -> Result<BTreeMap<String, Vec<String>>, MalformedDecision> {
    let malformed = || MalformedDecision::Member("query_parameters_to_set");
    match value {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(object)) => {
            let mut query = BTreeMap::new();
            for (key, value) in object {
                query.insert(key, strings(value).ok_or_else(malformed)?);
            }
            Ok(query)
        }
        Some(_) => Err(malformed()),
    }
}

/// A string, or an array of strings.
fn strings(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one]),
        Value::Array(several) => several
            .into_iter()
            .map(|item| match item {
                Value::String(one) => Some(one),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// The statuses that opa-envoy-plugin lets a policy give, but for 100: those that have a name both in Go and in Envoy.
fn is_known(status: u16) -> bool {
    matches!(status, 200..=208 | 226 | 300..=305 | 307 | 308 | 400..=417 | 421..=424 | 426 | 428 | 429 | 431
        | 500..=508 | 510 | 511)
}

/// RFC 9110 section 5.6.2 token, in lower case.
fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

fn may_be_set(name: &str) -> bool {
    !name.starts_with(':') && !name.starts_with(OWN_PREFIX) && !FRAMING.contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn good_decisions() {
        for (value, outcome) in [
            (json!(true), Outcome::Allow),
            (json!(false), Outcome::Deny),
            (json!({"allowed": true}), Outcome::Allow),
            (json!({"allowed": false}), Outcome::Deny),
            (json!({"allowed": true, "outcome": "modify", "headers": {"X-A": ["1", "2"]}}), Outcome::Modify),
            (
                json!({"allowed": false, "outcome": "require_approval", "reasons": ["a"]}),
                Outcome::RequireApproval,
            ),
            (json!({"allowed": false, "outcome": "quarantine"}), Outcome::Quarantine),
            // The other branch's members are not read.
            (json!({"allowed": true, "body": 1, "http_status": "x"}), Outcome::Allow),
            (json!({"allowed": false, "request_headers_to_remove": 1}), Outcome::Deny),
        ] {
            assert_eq!(Decision::from_policy(value.clone()).unwrap().outcome, outcome, "{value}");
        }
        let headers = json!({"allowed": true, "headers": [{"a": "1"}, {"b": ["2", "3"]}]});
        let headers = Decision::from_policy(headers).unwrap().headers;
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn malformed_decisions() {
        for value in [
            json!("allow"),
            json!(1),
            json!(null),
            json!([true]),
            json!({}),
            json!({"allowed": "true"}),
            json!({"allowed": true, "outcome": "deny"}),
            json!({"allowed": false, "outcome": "allow"}),
            json!({"allowed": false, "outcome": "maybe"}),
            json!({"allowed": false, "reasons": "a"}),
            json!({"allowed": false, "reasons": ["Not A Code"]}),
            json!({"allowed": false, "reasons": vec!["a"; 33]}),
            json!({"allowed": true, "headers": {"a": 1}}),
            json!({"allowed": true, "headers": {"a\nb": "1"}}),
            json!({"allowed": true, "headers": {"a": "1\r\nb: 2"}}),
            json!({"allowed": true, "headers": {":path": "/"}}),
            json!({"allowed": true, "headers": {"Host": "other"}}),
            json!({"allowed": true, "headers": {"x-remit-agent": "me"}}),
            json!({"allowed": true, "request_headers_to_remove": "a"}),
            json!({"allowed": true, "request_headers_to_remove": [":path"]}),
            json!({"allowed": true, "request_headers_to_remove": ["Content-Length"]}),
            json!({"allowed": true, "query_parameters_to_set": {"a": 1}}),
            json!({"allowed": true, "dynamic_metadata": 1}),
            json!({"allowed": false, "http_status": 99}),
            json!({"allowed": false, "http_status": 418}),
            json!({"allowed": false, "http_status": 599}),
            json!({"allowed": false, "http_status": "403"}),
            json!({"allowed": false, "http_status": 403.5}),
            json!({"allowed": false, "body": {}}),
            json!({"allowed": false, "reasons": ["insufficient_scope"], "scope": 1}),
            json!({"allowed": false, "reasons": ["insufficient_scope"], "scope": "a  b"}),
            json!({"allowed": false, "reasons": ["insufficient_scope"], "scope": ["a\"b"]}),
            json!({"allowed": false, "reasons": ["insufficient_user_authentication"], "max_age": -1}),
            json!({"allowed": false, "reasons": ["insufficient_user_authentication"], "acr_values": ["a b"]}),
        ] {
            assert!(Decision::from_policy(value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn a_denial_may_ask_for_more() {
        let sign_in = "insufficient_user_authentication";
        for (value, expected) in [
            (
                json!({"reasons": [sign_in], "acr_values": ["phr", "mfa"], "max_age": 60}),
                Some((401, r#"error="insufficient_user_authentication", acr_values="phr mfa", max_age=60"#)),
            ),
            (
                json!({"reasons": ["x", sign_in], "max_age": 0, "scope": "a"}),
                Some((401, r#"error="insufficient_user_authentication", max_age=0"#)),
            ),
            (
                json!({"reasons": ["insufficient_scope"], "scope": "a b:c"}),
                Some((403, r#"error="insufficient_scope", scope="a b:c""#)),
            ),
            (json!({"reasons": ["insufficient_scope"]}), None),
            (json!({"reasons": [sign_in]}), None),
            (json!({"reasons": ["x"], "scope": 1, "max_age": "x"}), None),
        ] {
            let mut value = value;
            value["allowed"] = json!(false);
            let challenge = Decision::from_policy(value.clone()).unwrap().challenge;
            let challenge = challenge.as_ref().map(|c| (c.status, c.parameters.as_str()));
            assert_eq!(challenge, expected, "{value}");
        }
    }

    #[test]
    fn only_what_allows_has_a_permit() {
        for outcome in
            [Outcome::Allow, Outcome::Deny, Outcome::RequireApproval, Outcome::Modify, Outcome::Quarantine]
        {
            let decision = Decision::of(outcome, Vec::new());
            assert_eq!(decision.permit(Mode::Enforce).is_some(), outcome.allows());
            assert!(decision.permit(Mode::Observe).is_some());
        }
        let denied = Decision::of(Outcome::Allow, Vec::new()).overruled(reason::STATE_UNAVAILABLE);
        assert!(denied.permit(Mode::Enforce).is_none());
        let failed = |mode| Decision::of_failure(reason::NO_BUNDLE, mode, 503).outcome;
        assert_eq!(failed(FailureMode::Deny), Outcome::Deny);
        assert_eq!(failed(FailureMode::Allow), Outcome::Allow);
    }
}
