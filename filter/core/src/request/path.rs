//! Path and query: decoded once, and refused where the upstream could decode them differently.

use std::collections::BTreeMap;

/// Why a path or query is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not absolute, a bad percent-escape, a control character, or not UTF-8 when decoded.
    #[error("the path cannot be decoded")]
    Undecodable,
    /// Dot segments, an escaped `/` or `\`, or a fragment: servers disagree on what it names.
    #[error("the path can be read in more than one way")]
    Ambiguous,
    /// A bad percent-escape, or not UTF-8 when decoded.
    #[error("the query cannot be decoded")]
    QueryUndecodable,
}

/// The target of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The path as it came, up to `?`.
    pub path: String,
    /// The query as it came, without `?`; `None` where there is no `?`.
    pub raw_query: Option<String>,
    /// The decoded segments between slashes, after all leading slashes, as opa-envoy-plugin's `parsed_path`.
    pub segments: Vec<String>,
    /// The decoded query, as opa-envoy-plugin's `parsed_query`.
    pub query: BTreeMap<String, Vec<String>>,
    fault: Option<PathError>,
}

impl Target {
    /// Reads the value of `:path`.
    ///
    /// # Errors
    ///
    /// See [`PathError`].
    pub fn parse(whole: &str) -> Result<Self, PathError> {
        let target = Self::parse_any(whole)?;
        target.fault.map_or(Ok(target), Err)
    }

    /// The same of a path that servers may read in more than one way; [`Target::is_ambiguous`] tells.
    ///
    /// # Errors
    ///
    /// A bad percent-escape, or bytes that are not UTF-8.
    pub fn parse_any(whole: &str) -> Result<Self, PathError> {
        let (path, raw_query) = match whole.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (whole, None),
        };
        let decoded = decode(path, false).ok_or(PathError::Undecodable)?;
        let segments: Vec<String> = decoded.trim_start_matches('/').split('/').map(str::to_owned).collect();
        let fault = fault_of(path, &decoded, &segments).or_else(|| {
            // A fragment is the client's own business.
            whole.contains('#').then_some(PathError::Ambiguous)
        });
        let query = raw_query.map_or_else(|| Ok(BTreeMap::new()), parse_query)?;
        Ok(Self { path: path.to_owned(), raw_query: raw_query.map(str::to_owned), segments, query, fault })
    }

    /// Whether servers could take it for another path.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.fault.is_some()
    }
}

fn fault_of(path: &str, decoded: &str, segments: &[String]) -> Option<PathError> {
    if !path.starts_with('/') || decoded.contains(|c: char| c.is_control()) {
        return Some(PathError::Undecodable);
    }
    // An escaped slash makes segments for some servers and none for others.
    let slashes = |text: &str| text.bytes().filter(|byte| *byte == b'/').count();
    let escaped_slash = decoded.len() != path.len() && slashes(decoded) != slashes(path);
    // `;` begins path parameters for some servers (RFC 3986 section 3.3), so `..;x` is `..` to them.
    let is_dots = |segment: &String| matches!(segment.split(';').next().unwrap_or_default(), "." | "..");
    (escaped_slash || decoded.contains('\\') || segments.iter().any(is_dots)).then_some(PathError::Ambiguous)
}

fn parse_query(raw: &str) -> Result<BTreeMap<String, Vec<String>>, PathError> {
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in pairs(raw) {
        let (key, value) = pair.ok_or(PathError::QueryUndecodable)?;
        query.entry(key).or_default().push(value);
    }
    Ok(query)
}

/// The pairs of a query or a form, decoded; `None` in place of one that cannot be.
pub(crate) fn pairs(raw: &str) -> impl Iterator<Item = Option<(String, String)>> {
    raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        // Some servers separate pairs by it.
        if pair.contains(';') {
            return None;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode(key, true)?, decode(value, true)?))
    })
}

/// Percent-decoding (RFC 3986 section 2.1), once; in queries `+` is a space. `None` where it is malformed.
pub(crate) fn decode(raw: &str, plus_is_space: bool) -> Option<String> {
    if !raw.contains(['%', '+']) {
        return Some(raw.to_owned());
    }
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_segments() {
        for (path, expected) in [
            ("/", vec![""]),
            ("/a/b", vec!["a", "b"]),
            ("///a//b/", vec!["a", "", "b", ""]),
            ("/a%20b/%c3%a4", vec!["a b", "ä"]),
            ("/a+b", vec!["a+b"]),
            ("/...", vec!["..."]),
            ("/a;v=1", vec!["a;v=1"]),
        ] {
            assert_eq!(Target::parse(path).unwrap().segments, expected, "{path}");
        }
    }

    #[test]
    fn queries_become_lists() {
        let target = Target::parse("/a?x=1&x=2&y&z=a%26b+c&").unwrap();
        assert_eq!(target.query["x"], ["1", "2"]);
        assert_eq!(target.query["y"], [""]);
        assert_eq!(target.query["z"], ["a&b c"]);
        assert_eq!(target.raw_query.as_deref(), Some("x=1&x=2&y&z=a%26b+c&"));
    }

    #[test]
    fn ambiguous_paths_have_the_segments_of_opa_envoy_plugin() {
        for (path, expected) in [
            ("/a%2fb", vec!["a", "b"]),
            ("/%2Fa", vec!["a"]),
            ("/%2fa%2F/", vec!["a", "", ""]),
            ("/a/../b", vec!["a", "..", "b"]),
            ("/a%2f..%2fb", vec!["a", "..", "b"]),
            ("/a%5Cb", vec!["a\\b"]),
            ("/a%00", vec!["a\0"]),
            ("*", vec!["*"]),
        ] {
            let target = Target::parse_any(path).unwrap();
            assert_eq!(target.segments, expected, "{path}");
            assert!(target.is_ambiguous(), "{path}");
            assert!(Target::parse(path).is_err(), "{path}");
        }
        assert!(!Target::parse_any("/a%20b").unwrap().is_ambiguous());
    }

    #[test]
    fn what_servers_read_differently_is_refused() {
        for (path, expected) in [
            ("/a/../b", PathError::Ambiguous),
            ("/a/./b", PathError::Ambiguous),
            ("/a/%2e%2e/b", PathError::Ambiguous),
            ("/a/.%2E/b", PathError::Ambiguous),
            ("/a/..;x=1/b", PathError::Ambiguous),
            ("/a%2fb", PathError::Ambiguous),
            ("/a%5cb", PathError::Ambiguous),
            ("/a\\b", PathError::Ambiguous),
            ("/a#b", PathError::Ambiguous),
            ("/a%00", PathError::Undecodable),
            ("/a%0a", PathError::Undecodable),
            ("/a%", PathError::Undecodable),
            ("/a%g1", PathError::Undecodable),
            ("/a%ff", PathError::Undecodable),
            ("a", PathError::Undecodable),
            ("", PathError::Undecodable),
            ("*", PathError::Undecodable),
            ("/a?x=%", PathError::QueryUndecodable),
            ("/a?x=%ff", PathError::QueryUndecodable),
            ("/a?x=1;y=2", PathError::QueryUndecodable),
        ] {
            assert_eq!(Target::parse(path).unwrap_err(), expected, "{path}");
        }
    }
}
