//! Where the pointers of a catalog lead: the same place for every reader, or nowhere.

use serde_json::Value;

/// What a pointer leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'v> {
    Value(&'v Value),
    /// No reader finds anything there.
    Absent,
    /// A reader could find something there that the filter does not.
    Unclear,
}

/// The arguments of an action, and what of them is not to be seen.
pub(super) struct Arguments {
    pub(super) value: Value,
    /// Whether there is a body that was not read, or not understood.
    pub(super) hides_body: bool,
    /// Whether it is a request of plain HTTP, with a query.
    pub(super) is_http: bool,
}

impl Arguments {
    /// What a JSON pointer (RFC 6901) leads to. Of a query's name it leads to all values, or to the one that there is.
    pub(super) fn find(&self, pointer: &str) -> Found<'_> {
        let mut tokens = pointer.split('/').skip(1);
        let (first, name) = (tokens.next(), tokens.next().map(unescaped));
        match (first, name) {
            (Some("body"), _) if self.is_http && self.hides_body => Found::Unclear,
            (Some("query"), Some(name)) if self.is_http => self.find_in_query(pointer, &name, tokens.next()),
            _ => find(&self.value, pointer),
        }
    }

    /// Readers differ in which of several values they take, and some take `a[]=x` for one more of `a`.
    fn find_in_query(&self, pointer: &str, name: &str, index: Option<&str>) -> Found<'_> {
        let query = self.value.get("query").and_then(Value::as_object);
        let folded = fold(name);
        let is_part = |other: &String| {
            other.split_once('[').is_some_and(|(whole, _)| fold(whole) == folded) && fold(other) != folded
        };
        if query.is_some_and(|query| query.keys().any(is_part)) {
            return Found::Unclear;
        }
        let several = |values: &Value| values.as_array().is_some_and(|values| values.len() > 1);
        if index.is_some() && query.and_then(|query| query.get(name)).is_some_and(several) {
            return Found::Unclear;
        }
        match find(&self.value, pointer) {
            Found::Value(Value::Array(values)) if values.len() == 1 => {
                values.first().map_or(Found::Absent, Found::Value)
            }
            found => found,
        }
    }
}

fn find<'v>(value: &'v Value, pointer: &str) -> Found<'v> {
    let mut at = value;
    for name in pointer.split('/').skip(1).map(unescaped) {
        at = match at {
            Value::Object(members) => {
                let folded = fold(&name);
                let mut alike = members.iter().filter(|(other, _)| fold(other) == folded);
                match (alike.next(), alike.next()) {
                    (None, _) => return Found::Absent,
                    (Some((other, value)), None) if *other == name => value,
                    // A server that ignores case would take it, or either.
                    _ => return Found::Unclear,
                }
            }
            Value::Array(items) => match name.parse::<usize>() {
                Ok(index) => match items.get(index) {
                    Some(item) => item,
                    None => return Found::Absent,
                },
                Err(_) => return Found::Unclear,
            },
            Value::Null => return Found::Absent,
            _ => return Found::Unclear,
        };
    }
    if at.is_null() { Found::Absent } else { Found::Value(at) }
}

fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// A name as readers that ignore case compare it.
pub(crate) fn fold(name: &str) -> String {
    name.to_uppercase().to_lowercase()
}

/// The text of a scalar; an id that is an object or empty names nothing.
pub(super) fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pointer_leads_where_every_reader_goes() {
        let body = json!({"cc": "eve", "a": [{"b": 1}], "n": null, "text": "x", "Id": 1, "to": 1, "TO": 2});
        let query = json!({"id": ["1"], "two": ["1", "2"], "part": ["1"], "part[]": ["2"], "Kind": ["1"], "x[y]": ["1"]});
        let value = json!({"path": {"t": "1"}, "query": query, "body": body});
        let arguments = Arguments { value, hides_body: false, is_http: true };
        for (pointer, expected) in [
            ("/body/cc", Found::Value(&json!("eve"))),
            ("/body/a/0/b", Found::Value(&json!(1))),
            ("/body/a/1/b", Found::Absent),
            ("/body/a/b", Found::Unclear),
            ("/body/n", Found::Absent),
            ("/body/n/x", Found::Absent),
            ("/body/none", Found::Absent),
            ("/body/text/x", Found::Unclear),
            ("/body/id", Found::Unclear),
            ("/body/to", Found::Unclear),
            ("/path/t", Found::Value(&json!("1"))),
            ("/query/id", Found::Value(&json!("1"))),
            ("/query/id/0", Found::Value(&json!("1"))),
            ("/query/two", Found::Value(&json!(["1", "2"]))),
            ("/query/two/0", Found::Unclear),
            ("/query/part", Found::Unclear),
            ("/query/part/0", Found::Unclear),
            ("/query/x", Found::Unclear),
            ("/query/kind/0", Found::Unclear),
            ("/query/none/0", Found::Absent),
        ] {
            assert_eq!(arguments.find(pointer), expected, "{pointer}");
        }
        let hidden = Arguments { hides_body: true, ..arguments };
        assert_eq!(hidden.find("/body/none"), Found::Unclear);
        assert_eq!(hidden.find("/path/t"), Found::Value(&json!("1")));
        // The arguments of a tool may have such names themselves.
        let value = json!({"query": {"id": ["1", "2"], "id[]": 1}, "body": 1});
        let of_tool = Arguments { value, hides_body: false, is_http: false };
        assert_eq!(of_tool.find("/query/id/0"), Found::Value(&json!("1")));
    }
}
