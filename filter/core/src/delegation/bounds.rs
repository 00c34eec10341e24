//! Authority that a later hop may have of an earlier one's: literal subsets (draft-mcguinness-oauth-actor-authority-bounds).

use serde_json::{Map, Value};

/// Members of an object of `authorization_details`, by how one refines another. Any other member fails the comparison.
const SETS: [&str; 4] = ["actions", "datatypes", "locations", "privileges"];
const EQUAL: [&str; 5] = ["identifier", "prompt", "requested_by", "task_id", "type"];
const AT_MOST: [&str; 2] = ["expires", "max_calls"];
/// Lists by kind.
const SETS_BY_KIND: &str = "identifiers";

/// What is wider in `newer` than in `older`, if anything is. What `older` leaves out, it has nothing of.
pub(super) fn widened(newer: &Map<String, Value>, older: &Map<String, Value>) -> Option<&'static str> {
    let (no_scope, nothing) = (Value::from(""), Value::Array(Vec::new()));
    let wider = |name: &str, within: fn(&Value, &Value) -> bool, nothing: &Value| {
        newer.get(name).is_some_and(|value| !within(value, older.get(name).unwrap_or(nothing)))
    };
    if wider("scope", scope_within, &no_scope) {
        Some("scope")
    } else if wider("resource", set_within, &nothing) {
        Some("resource")
    } else if wider("authorization_details", details_within, &nothing) {
        Some("authorization_details")
    } else {
        None
    }
}

fn scope_within(newer: &Value, older: &Value) -> bool {
    let (Some(newer), Some(older)) = (newer.as_str(), older.as_str()) else { return false };
    newer.split(' ').all(|word| word.is_empty() || older.split(' ').any(|wider| wider == word))
}

/// One string, or an array of strings.
fn set_within(newer: &Value, older: &Value) -> bool {
    fn items(value: &Value) -> &[Value] {
        value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
    }
    items(newer).iter().all(|item| item.is_string() && items(older).contains(item))
}

/// Every newer object refines an older one of the same type.
fn details_within(newer: &Value, older: &Value) -> bool {
    let (Some(newer), Some(older)) = (newer.as_array(), older.as_array()) else { return false };
    newer.iter().all(|detail| older.iter().any(|wider| refines(detail, wider)))
}

fn refines(newer: &Value, older: &Value) -> bool {
    let (Some(newer), Some(older)) = (newer.as_object(), older.as_object()) else { return false };
    let known = |name: &String| {
        let name = name.as_str();
        SETS.contains(&name) || EQUAL.contains(&name) || AT_MOST.contains(&name) || name == SETS_BY_KIND
    };
    newer.get("type").is_some_and(Value::is_string)
        && older.contains_key("type")
        && newer.keys().all(known)
        // What restricts the older one restricts the newer one at least as much.
        && older.iter().all(|(name, wider)| newer.get(name).is_some_and(|value| narrows(name, value, wider)))
}

fn narrows(name: &str, newer: &Value, older: &Value) -> bool {
    if SETS.contains(&name) {
        newer.is_array() && older.is_array() && set_within(newer, older)
    } else if AT_MOST.contains(&name) {
        newer.as_f64().zip(older.as_f64()).is_some_and(|(newer, older)| newer <= older)
    } else if name == SETS_BY_KIND {
        let (Some(newer), Some(older)) = (newer.as_object(), older.as_object()) else { return false };
        newer.iter().all(|(kind, values)| older.get(kind).is_some_and(|wider| set_within(values, wider)))
    } else {
        newer == older
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wider_is_named() {
        let task = json!({ "type": "agent_task", "task_id": "t", "actions": ["a", "b"], "locations": ["x"],
            "identifiers": { "thread": ["1", "2"] }, "max_calls": 9, "expires": 100 });
        let tasks = |changes: Value| {
            let task = crate::token::testing::with(task.clone(), &changes);
            json!({ "authorization_details": [task] })
        };
        let details = Some("authorization_details");
        for (newer, older, expected) in [
            (json!({}), json!({}), None),
            (json!({}), json!({ "scope": "a" }), None),
            (json!({ "scope": "" }), json!({}), None),
            (json!({ "scope": "b a" }), json!({ "scope": "a b c" }), None),
            (json!({ "scope": "a" }), json!({}), Some("scope")),
            (json!({ "scope": "a d" }), json!({ "scope": "a b c" }), Some("scope")),
            (json!({ "scope": "a" }), json!({ "scope": ["a"] }), Some("scope")),
            (json!({ "resource": "r" }), json!({ "resource": ["r", "s"] }), None),
            (json!({ "resource": ["r"] }), json!({ "resource": "r" }), None),
            (json!({ "resource": ["r/1"] }), json!({ "resource": ["r"] }), Some("resource")),
            (json!({ "resource": [1] }), json!({ "resource": [1] }), Some("resource")),
            (json!({ "resource": ["r"] }), json!({}), Some("resource")),
            (tasks(json!({})), tasks(json!({})), None),
            (tasks(json!({ "actions": ["b"], "max_calls": 3, "expires": 99.5 })), tasks(json!({})), None),
            (tasks(json!({ "identifiers": { "thread": ["2"] } })), tasks(json!({})), None),
            (tasks(json!({ "prompt": 1 })), tasks(json!({})), None),
            (tasks(json!({})), json!({}), details),
            (tasks(json!({ "task_id": "u" })), tasks(json!({})), details),
            (tasks(json!({ "actions": ["a", "c"] })), tasks(json!({})), details),
            (tasks(json!({ "actions": null })), tasks(json!({})), details),
            (tasks(json!({ "locations": "x" })), tasks(json!({})), details),
            (tasks(json!({ "identifiers": { "user": ["1"] } })), tasks(json!({})), details),
            (tasks(json!({ "identifiers": { "thread": ["3"] } })), tasks(json!({})), details),
            (tasks(json!({ "max_calls": 10 })), tasks(json!({})), details),
            (tasks(json!({ "max_calls": null })), tasks(json!({})), details),
            (tasks(json!({ "expires": "99" })), tasks(json!({})), details),
            (tasks(json!({ "amount": 1 })), tasks(json!({ "amount": 1 })), details),
            (tasks(json!({})), tasks(json!({ "amount": 1 })), details),
            (tasks(json!({ "type": "other" })), tasks(json!({})), details),
            (tasks(json!({ "type": null })), tasks(json!({ "type": null })), details),
            (json!({ "authorization_details": {} }), tasks(json!({})), details),
        ] {
            let found = widened(newer.as_object().unwrap(), older.as_object().unwrap());
            assert_eq!(found, expected, "{newer} / {older}");
        }
    }
}
