//! The query that the upstream sees, where a policy changes it: as Envoy changes it for ext_authz.

use std::collections::BTreeMap;

use crate::decision::Decision;
use crate::request::{RequestView, decode};

/// The new `:path`; `None` where the policy changes no parameter. Parameters come sorted by name, and those that the
/// policy does not name as they are. First it sets, then it removes.
pub(super) fn changed_path(request: &RequestView, decision: &Decision) -> Option<String> {
    if decision.set_query.is_empty() && decision.remove_query.is_empty() {
        return None;
    }
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let raw = request.target.raw_query.as_deref().unwrap_or_default();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        query.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    // An upstream decodes names, so one that is written with escapes is the same.
    let is = |raw: &str, name: &str| raw == name || decode(raw, true).is_some_and(|decoded| decoded == name);
    for (name, values) in &decision.set_query {
        // Of several values Envoy keeps the last.
        if let Some(value) = values.last() {
            query.retain(|raw, _| !is(raw, name));
            query.insert(escaped(name, b"&=+"), vec![escaped(value, b"&")]);
        }
    }
    for name in &decision.remove_query {
        query.retain(|raw, _| !is(raw, name));
    }
    let mut path = request.target.path.clone();
    let pairs = query.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    for (i, (name, value)) in pairs.enumerate() {
        path.push(if i == 0 { '?' } else { '&' });
        path.push_str(name);
        path.push('=');
        path.push_str(value);
    }
    Some(path)
}

/// What may stand in a query (RFC 3986 section 3.4) as it is, escapes included; everything else and `besides` escaped. So
/// what a policy has encoded stays what it is.
fn escaped(text: &str, besides: &[u8]) -> String {
    let bytes = text.as_bytes();
    let stays = |at: usize, byte: u8| match byte {
        b'%' => {
            let digits = bytes.get(at.saturating_add(1)..at.saturating_add(3));
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        }
        byte => {
            !besides.contains(&byte)
                && (byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte))
        }
    };
    let mut out = String::with_capacity(text.len());
    for (at, byte) in bytes.iter().enumerate() {
        if stays(at, *byte) {
            out.push(char::from(*byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::tests::request;

    #[test]
    fn queries_are_changed_as_envoy_changes_them() {
        for (path, set, remove, expected) in [
            ("/p?b=2&a=1", json!({}), json!(["x"]), Some("/p?a=1&b=2")),
            ("/p?a=1&b=2", json!({}), json!([]), None),
            ("/p?a=1&b=2&a=3", json!({}), json!(["a"]), Some("/p?b=2")),
            ("/p?a=1", json!({}), json!(["a"]), Some("/p")),
            ("/p", json!({"a": "1"}), json!([]), Some("/p?a=1")),
            ("/p?a=1&a=2", json!({"a": "3"}), json!([]), Some("/p?a=3")),
            ("/p?z=1", json!({"a": ["1", "2"]}), json!([]), Some("/p?a=2&z=1")),
            ("/p?a=1", json!({"a": []}), json!([]), Some("/p?a=1")),
            ("/p", json!({"a": "1", "b": "2"}), json!(["a"]), Some("/p?b=2")),
            ("/p?a=x+y&c=%20", json!({"b": "u v"}), json!([]), Some("/p?a=x+y&b=u%20v&c=%20")),
            ("/p?a", json!({"b": "1"}), json!([]), Some("/p?a=&b=1")),
            ("/p", json!({"b": "a%20b"}), json!([]), Some("/p?b=a%20b")),
            ("/p", json!({"b": "100%"}), json!([]), Some("/p?b=100%25")),
            ("/p", json!({"b": "1&admin=1#x"}), json!([]), Some("/p?b=1%26admin=1%23x")),
            ("/p", json!({"a=b": "\u{e4}\r\n"}), json!([]), Some("/p?a%3Db=%C3%A4%0D%0A")),
            ("/p?%61dmin=1", json!({}), json!(["admin"]), Some("/p")),
            ("/p?%61=1", json!({"a": "2"}), json!([]), Some("/p?a=2")),
        ] {
            let view = request(("GET", "a", path), &[]).unwrap();
            let value: Value = json!({"allowed": true, "query_parameters_to_set": set,
                                      "query_parameters_to_remove": remove});
            let decision = Decision::from_policy(value).unwrap();
            assert_eq!(changed_path(&view, &decision).as_deref(), expected, "{path} {set} {remove}");
        }
    }
}
