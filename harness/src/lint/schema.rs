//! The schema of the input, asked for paths.

use serde_json::Value;

use super::possible::{Kinds, Possible};

/// How many letters may be wrong in a name that is offered instead.
const MAX_DISTANCE: usize = 3;

/// What a path comes to.
pub(super) enum Found {
    /// Something that there can be.
    Known {
        /// What it can be.
        possible: Possible,
        /// Whether every input has it.
        always: bool,
    },
    /// What no input has.
    Unknown {
        /// The path so far.
        at: String,
        /// The name that is not there.
        name: String,
        /// The name that it comes near.
        nearest: Option<String>,
    },
}

/// What the schema leaves open.
fn open() -> Found {
    Found::Known { possible: Possible::anything(), always: false }
}

/// A JSON Schema, as `schemars` writes it.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn of_input() -> Self {
        Self(serde_json::from_str(&crate::schema::input()).unwrap_or_default())
    }

    /// What a path below `input` comes to; `None` in it is any key.
    pub(super) fn find(&self, path: &[Option<String>]) -> Found {
        let mut at = vec![&self.0];
        let mut shown = "input".to_owned();
        let mut always = true;
        for segment in path {
            let nodes: Vec<&Value> = at.into_iter().flat_map(|node| self.alternatives(node, 0)).collect();
            always &= segment.as_deref().is_some_and(|name| nodes.iter().all(|node| requires(node, name)));
            let mut next = Vec::new();
            let mut names: Vec<&str> = Vec::new();
            for node in nodes {
                match step(node, segment.as_deref()) {
                    Step::Free => return open(),
                    Step::To(inner) => next.push(inner),
                    Step::Nowhere(known) => names.extend(known),
                }
            }
            let Some(name) = segment else {
                if next.is_empty() {
                    return open();
                }
                at = next;
                shown.push_str("[…]");
                continue;
            };
            if next.is_empty() {
                let near = names.into_iter().map(|known| (distance(known, name), known)).min();
                let nearest =
                    near.filter(|(distance, _)| *distance <= MAX_DISTANCE).map(|(_, known)| known.to_owned());
                return Found::Unknown { at: shown, name: name.clone(), nearest };
            }
            at = next;
            shown.push('.');
            shown.push_str(name);
        }
        let nodes = at.into_iter().flat_map(|node| self.alternatives(node, 0));
        let possible = nodes.fold(Possible::nothing(), |some, node| some.or(possible(node)));
        Found::Known { possible, always }
    }

    /// The schemas that a node stands for, references followed. The depth is that of the schema, which is ours.
    fn alternatives<'a>(&'a self, node: &'a Value, depth: usize) -> Vec<&'a Value> {
        if depth > 16 {
            return vec![node];
        }
        let deeper = depth.saturating_add(1);
        if let Some(target) = node.get("$ref").and_then(Value::as_str) {
            let target = target.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer));
            return target.map(|target| self.alternatives(target, deeper)).unwrap_or_default();
        }
        for several in ["anyOf", "oneOf"] {
            if let Some(all) = node.get(several).and_then(Value::as_array) {
                return all.iter().flat_map(|one| self.alternatives(one, deeper)).collect();
            }
        }
        vec![node]
    }
}

fn requires(node: &Value, name: &str) -> bool {
    let required = node.get("required").and_then(Value::as_array);
    required.is_some_and(|all| all.iter().any(|known| known == name))
}

/// What a schema without alternatives allows.
fn possible(node: &Value) -> Possible {
    let constant = |value: &Value| Possible::value(regorus::Value::from(value.clone()));
    if let Some(values) = node.get("enum").and_then(Value::as_array) {
        return values.iter().fold(Possible::nothing(), |some, value| some.or(constant(value)));
    }
    if let Some(value) = node.get("const") {
        return constant(value);
    }
    let kinds = match node.get("type") {
        Some(Value::String(name)) => Kinds::named(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).fold(Kinds::NONE, |some, name| some.or(Kinds::named(name)))
        }
        _ => return Possible::anything(),
    };
    let counts = node.get("minimum").and_then(Value::as_f64).is_some_and(|least| least >= 0.0);
    Possible { counts, ..Possible::kind(kinds) }
}

enum Step<'a> {
    Free,
    To(&'a Value),
    /// There is no such member; these are there.
    Nowhere(Vec<&'a str>),
}

fn step<'a>(node: &'a Value, name: Option<&str>) -> Step<'a> {
    let is = |kind: &str| match node.get("type") {
        Some(Value::String(one)) => one == kind,
        Some(Value::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    };
    if node.get("type").is_none() && node.get("properties").is_none() {
        return Step::Free;
    }
    if is("array") {
        return match (node.get("items"), name) {
            (Some(items), None) => Step::To(items),
            // `x["0"]` of an array; nothing a schema tells of.
            _ => Step::Free,
        };
    }
    let properties = node.get("properties").and_then(Value::as_object);
    if let (Some(name), Some(found)) = (name, properties.zip(name).and_then(|(all, name)| all.get(name))) {
        let _ = name;
        return Step::To(found);
    }
    match node.get("additionalProperties") {
        Some(Value::Bool(false)) => {}
        Some(inner @ Value::Object(_)) => return Step::To(inner),
        _ if is("object") => return Step::Free,
        _ => {}
    }
    if name.is_none() && properties.is_some() {
        return Step::Free;
    }
    Step::Nowhere(properties.into_iter().flatten().map(|(name, _)| name.as_str()).collect())
}

/// Letters that have to be changed, added or taken away (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        let mut left = i.saturating_add(1);
        let mut next = vec![left];
        for (j, y) in b.iter().enumerate() {
            let above = row.get(j.saturating_add(1)).copied().unwrap_or_default();
            let cost = if x == *y { before } else { before.min(above).min(left).saturating_add(1) };
            before = above;
            left = cost;
            next.push(cost);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_counted() {
        for (a, b, expected) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("operation", "operaton", 1), ("a", "a", 0)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
