//! `graph.*`

use std::collections::BTreeSet;

use regorus::Value;

/// Which nodes of a graph, an object of arrays or sets, can be reached from some.
pub(super) fn reachable(arguments: &[Value]) -> Option<Value> {
    let [Value::Object(graph), start] = arguments else { return None };
    if !matches!(start, Value::Array(_) | Value::Set(_)) {
        return None;
    }
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&Value> = nodes(start);
    while let Some(node) = waiting.pop() {
        if let Some(edges) = graph.get(node)
            && reached.insert(node.clone())
        {
            waiting.extend(nodes(edges));
        }
    }
    Some(Value::from(reached))
}

fn nodes(of: &Value) -> Vec<&Value> {
    match of {
        Value::Array(nodes) => nodes.iter().collect(),
        Value::Set(nodes) => nodes.iter().collect(),
        _ => Vec::new(),
    }
}
