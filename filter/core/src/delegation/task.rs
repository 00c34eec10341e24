//! The task of a token: the `authorization_details` entry (RFC 9396 section 2) of Remit's own type `agent_task`, and the
//! digest of the prompt in it or in `tctx`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Map, Value};

use super::DelegationError;
use crate::ids::UnixSeconds;
use crate::token::{Attenuation, Carrier, IssuerRules, Rounding, numeric_date};

/// The `type` of a task.
const TYPE: &str = "agent_task";
/// The `type` of what a hop list grants, which `hops` reads.
pub(super) const GRANT: &str = "attenuating_agent_token";
/// How long the salt of a prompt's digest is, in bytes.
const SALT_BYTES: std::ops::RangeInclusive<usize> = 8..=64;

/// Every member that a task may have. An unknown one could be a restriction that nobody enforces, so it is refused.
const MEMBERS: [&str; 9] = [
    "type",
    "task_id",
    "requested_by",
    "actions",
    "locations",
    "identifiers",
    "prompt",
    "max_calls",
    "expires",
];

/// What the agent was asked to do. Serialises as `input.remit.delegation.task`; what the token leaves out stays out,
/// so that a policy cannot take it for an empty list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// Which task.
    pub task_id: String,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<String>,
    /// Names of operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<Vec<String>>,
    /// URIs of resources.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<String>>,
    /// By kind, the values that were named in the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifiers: Option<BTreeMap<String, Vec<String>>>,
    /// How many calls the task may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_calls: Option<u64>,
    /// When the task ends; a fraction is dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<UnixSeconds>,
}

/// The salted digest of a prompt: says which prompt it was to whoever knows prompt and salt, and to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromptDigest {
    /// `sha-256`.
    pub alg: &'static str,
    /// 8 to 64 bytes, base64url.
    pub salt: String,
    /// 32 bytes, base64url.
    pub digest: String,
}

impl PromptDigest {
    fn parse(value: &Value) -> Option<Self> {
        let members = value.as_object().filter(|members| members.len() == 3)?;
        let member = |name: &str| members.get(name)?.as_str();
        let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().map(|bytes| bytes.len());
        let (salt, digest) = (member("salt")?, member("digest")?);
        let fits = member("alg")? == "sha-256" && SALT_BYTES.contains(&bytes(salt)?) && bytes(digest)? == 32;
        fits.then(|| Self { alg: "sha-256", salt: salt.to_owned(), digest: digest.to_owned() })
    }
}

/// The one task and the one prompt among the claims; of a transaction token, among those in `tctx` too.
pub(super) fn read(
    claims: &Map<String, Value>,
    rules: &IssuerRules,
) -> Result<(Option<Task>, Option<PromptDigest>), DelegationError> {
    const DETAILS: &str = "authorization_details";
    let context = claims.get("tctx").filter(|_| rules.carrier == Carrier::TxnToken);
    let in_context = |name: &str| context.and_then(|context| context.get(name));
    let details = match (claims.get(DETAILS), in_context(DETAILS)) {
        (Some(_), Some(_)) => return Err(malformed(DETAILS)),
        (Some(details), None) | (None, Some(details)) => details.as_array().ok_or(malformed(DETAILS))?,
        (None, None) => &Vec::new(),
    };
    let mut found = None;
    for detail in details {
        let detail = detail.as_object().ok_or(malformed(DETAILS))?;
        let kind = detail.get("type").and_then(Value::as_str).ok_or(malformed("type"))?;
        let handled = rules.detail_types.iter().any(|handled| handled == kind)
            || kind == GRANT && rules.attenuation == Attenuation::HopList;
        // RFC 9396 section 5: what is not understood may be a restriction, so it is refused.
        if kind != TYPE && !handled {
            return Err(malformed("type"));
        }
        if kind == TYPE && found.replace(detail).is_some() {
            return Err(malformed(DETAILS));
        }
    }
    let prompt = match (found.and_then(|task| task.get("prompt")), in_context("prompt")) {
        (Some(one), Some(other)) if one != other => return Err(malformed("prompt")),
        (one, other) => one.or(other),
    };
    let prompt = prompt.map(|prompt| PromptDigest::parse(prompt).ok_or(malformed("prompt"))).transpose()?;
    let task = found.map(|task| Task::parse(task, rules.max_task_items)).transpose()?;
    Ok((task, prompt))
}

impl Task {
    /// `max_items` bounds each list, and the kinds of identifiers.
    fn parse(task: &Map<String, Value>, max_items: usize) -> Result<Self, DelegationError> {
        if task.keys().any(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(malformed("unknown member"));
        }
        Ok(Self {
            task_id: member(task, "task_id", text)?.ok_or(malformed("task_id"))?,
            requested_by: member(task, "requested_by", text)?,
            actions: member(task, "actions", |value| texts(value, max_items))?,
            locations: member(task, "locations", |value| texts(value, max_items))?,
            identifiers: member(task, "identifiers", |value| {
                let kinds = value.as_object().filter(|kinds| kinds.len() <= max_items)?;
                let mut identifiers = BTreeMap::new();
                for (kind, values) in kinds {
                    identifiers.insert(kind.clone(), texts(values, max_items)?);
                }
                Some(identifiers)
            })?,
            max_calls: member(task, "max_calls", Value::as_u64)?,
            expires: member(task, "expires", |value| numeric_date(value, Rounding::Down))?,
        })
    }
}

fn malformed(member: &'static str) -> DelegationError {
    DelegationError::TaskMalformed { member }
}

fn member<T>(
    task: &Map<String, Value>,
    name: &'static str,
    parse: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, DelegationError> {
    task.get(name).map(|value| parse(value).ok_or(malformed(name))).transpose()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn texts(value: &Value, max_items: usize) -> Option<Vec<String>> {
    value.as_array().filter(|items| items.len() <= max_items)?.iter().map(text).collect()
}
