//! The task of a token: the `authorization_details` entry (RFC 9396 section 2) of Remit's own type `agent_task`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::DelegationError;
use crate::ids::UnixSeconds;
use crate::token::{Rounding, numeric_date};

/// The `type` of a task.
const TYPE: &str = "agent_task";

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

impl Task {
    /// The one task among the claims. `max_items` bounds each list, and the kinds of identifiers.
    pub(super) fn read(
        claims: &Map<String, Value>,
        max_items: usize,
    ) -> Result<Option<Self>, DelegationError> {
        const DETAILS: &str = "authorization_details";
        let Some(details) = claims.get(DETAILS) else { return Ok(None) };
        let mut found = None;
        for detail in details.as_array().ok_or(malformed(DETAILS))? {
            let detail = detail.as_object().ok_or(malformed(DETAILS))?;
            let kind = detail.get("type").and_then(Value::as_str).ok_or(malformed("type"))?;
            // RFC 9396 section 5: what is not understood may be a restriction, so it is refused.
            if kind != TYPE {
                return Err(malformed("type"));
            }
            if found.replace(detail).is_some() {
                return Err(malformed(DETAILS));
            }
        }
        found.map(|task| Self::parse(task, max_items)).transpose()
    }

    fn parse(task: &Map<String, Value>, max_items: usize) -> Result<Self, DelegationError> {
        if task.keys().any(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(malformed("unknown member"));
        }
        if task.get("prompt").is_some_and(|prompt| !prompt.is_object()) {
            return Err(malformed("prompt"));
        }
        Ok(Self {
            task_id: read(task, "task_id", text)?.ok_or(malformed("task_id"))?,
            requested_by: read(task, "requested_by", text)?,
            actions: read(task, "actions", |value| texts(value, max_items))?,
            locations: read(task, "locations", |value| texts(value, max_items))?,
            identifiers: read(task, "identifiers", |value| {
                let kinds = value.as_object().filter(|kinds| kinds.len() <= max_items)?;
                kinds.iter().map(|(kind, values)| Some((kind.clone(), texts(values, max_items)?))).collect()
            })?,
            max_calls: read(task, "max_calls", Value::as_u64)?,
            expires: read(task, "expires", |value| numeric_date(value, Rounding::Down))?,
        })
    }
}

fn malformed(member: &'static str) -> DelegationError {
    DelegationError::TaskMalformed { member }
}

fn read<T>(
    task: &Map<String, Value>,
    member: &'static str,
    parse: impl FnOnce(&Value) -> Option<T>,
) -> Result<Option<T>, DelegationError> {
    task.get(member).map(|value| parse(value).ok_or(malformed(member))).transpose()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn texts(value: &Value, max_items: usize) -> Option<Vec<String>> {
    value.as_array().filter(|items| items.len() <= max_items)?.iter().map(text).collect()
}
