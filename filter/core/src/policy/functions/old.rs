//! What OPA keeps for Rego v0 alone; see [`super::super::builtins::is_old`].

use std::collections::BTreeSet;

use regorus::Value;

/// Whether all elements are `true`.
pub(super) fn all(arguments: &[Value]) -> Option<Value> {
    let is_true = |item: &Value| *item == Value::Bool(true);
    Some(Value::Bool(match arguments {
        [Value::Array(items)] => items.iter().all(is_true),
        [Value::Set(items)] => items.iter().all(is_true),
        _ => return None,
    }))
}

/// Whether an element is `true`.
pub(super) fn any(arguments: &[Value]) -> Option<Value> {
    let is_true = |item: &Value| *item == Value::Bool(true);
    Some(Value::Bool(match arguments {
        [Value::Array(items)] => items.iter().any(is_true),
        [Value::Set(items)] => items.iter().any(is_true),
        _ => return None,
    }))
}

/// The elements of a set, as an array.
pub(super) fn cast_array(arguments: &[Value]) -> Option<Value> {
    match arguments {
        [Value::Set(items)] => Some(Value::from(items.iter().cloned().collect::<Vec<_>>())),
        _ => cast(arguments, |value| matches!(value, Value::Array(_))),
    }
}

/// The elements of an array, as a set.
pub(super) fn cast_set(arguments: &[Value]) -> Option<Value> {
    match arguments {
        [Value::Array(items)] => Some(Value::from(items.iter().cloned().collect::<BTreeSet<_>>())),
        _ => cast(arguments, |value| matches!(value, Value::Set(_))),
    }
}

/// A value as it is, if it is of a kind.
pub(super) fn cast(arguments: &[Value], is_kind: impl Fn(&Value) -> bool) -> Option<Value> {
    let [value] = arguments else { return None };
    is_kind(value).then(|| value.clone())
}

/// What is in the first set alone.
pub(super) fn set_diff(arguments: &[Value]) -> Option<Value> {
    let [Value::Set(one), Value::Set(other)] = arguments else { return None };
    Some(Value::from(one.iter().filter(|item| !other.contains(item)).cloned().collect::<BTreeSet<_>>()))
}
