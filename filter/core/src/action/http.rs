//! Plain HTTP, by route template.

use serde_json::{Map, Value, json};

use super::catalog::Entry;
use super::pointer::Arguments;
use super::{Action, Protocol};
use crate::request::RequestView;

/// The action of a request whose route the catalog knows; `body` is `None` where there is one that was not read, or is no JSON.
pub(super) fn action(
    entry: &Entry,
    request: &RequestView,
    parameters: Map<String, Value>,
    body: Option<Value>,
) -> Action {
    let hides_body = body.is_none();
    let value = arguments(request, parameters, body.unwrap_or_default());
    let arguments = Arguments { value, hides_body, is_http: true };
    Action::of_entry(Protocol::Http, entry, request.method(), arguments)
}

/// The action of a request that the catalog does not know.
pub(super) fn unknown(request: &RequestView) -> Action {
    let operation = format!("{} {}", request.method(), request.target.path);
    let arguments = arguments(request, Map::new(), Value::Null);
    Action::unclassified(Protocol::Http, operation, request.method(), arguments)
}

fn arguments(request: &RequestView, parameters: Map<String, Value>, body: Value) -> Value {
    json!({"path": parameters, "query": request.target.query, "body": body})
}
