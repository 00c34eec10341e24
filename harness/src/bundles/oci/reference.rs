//! `REGISTRY/REPOSITORY:TAG` and `REGISTRY/REPOSITORY@sha256:…`.

use std::fmt;

/// A place in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Host, with a port where there is one.
    pub registry: String,
    /// Repository in it.
    pub repository: String,
    /// Tag, or digest.
    pub tag: String,
}

/// Why a text is no reference.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:…: {problem}")]
pub struct ReferenceError {
    text: String,
    problem: &'static str,
}

impl Reference {
    /// Reads a reference. Nothing is assumed: neither a registry nor a tag.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`].
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let failed = |problem| ReferenceError { text: text.chars().take(200).collect(), problem };
        let (registry, rest) = text.split_once('/').ok_or_else(|| failed("no registry"))?;
        let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
        if registry.is_empty() || !registry.chars().all(is_host) {
            return Err(failed("the registry is no host"));
        }
        let (repository, tag) = match rest.split_once('@') {
            Some(parts) => parts,
            None => rest.rsplit_once(':').ok_or_else(|| failed("no tag"))?,
        };
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        let is_part = |part: &str| !part.is_empty() && part.chars().all(is_plain) && !part.starts_with('.');
        if !repository.split('/').all(is_part) {
            return Err(failed("a repository consists of lower-case letters, digits, `.`, `_`, `-` and `/`"));
        }
        let is_tag = |tag: &str| {
            (1..=128).contains(&tag.len())
                && tag.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
                && !tag.starts_with(['.', '-'])
        };
        let is_digest = |tag: &str| {
            tag.strip_prefix("sha256:").is_some_and(|hex| {
                hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            })
        };
        let good = if rest.contains('@') { is_digest(tag) } else { is_tag(tag) };
        if !good {
            return Err(failed("no tag and no sha256 digest"));
        }
        Ok(Self { registry: registry.to_owned(), repository: repository.to_owned(), tag: tag.to_owned() })
    }

    /// The digest, if it is one.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.tag.starts_with("sha256:").then_some(&self.tag)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.digest().is_some() { '@' } else { ':' };
        write!(f, "{}/{}{separator}{}", self.registry, self.repository, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_whole() {
        let digest = format!("r/a@sha256:{}", "0".repeat(64));
        for (text, expected) in [
            ("localhost:5000/policy/authz:1.2", Some(("localhost:5000", "policy/authz", "1.2"))),
            ("ghcr.io/org/a-b_c.d:latest", Some(("ghcr.io", "org/a-b_c.d", "latest"))),
            (digest.as_str(), Some(("r", "a", digest.split_once('@').map_or("", |(_, digest)| digest)))),
            ("[::1]:5000/a:b", Some(("[::1]:5000", "a", "b"))),
            ("authz:1", None),
            ("r/authz", None),
            ("r/authz:", None),
            ("/authz:1", None),
            ("r/Authz:1", None),
            ("r/../a:1", None),
            ("r/a//b:1", None),
            ("r/a:b/c", None),
            ("r/a@sha256:00", None),
            ("r/a@1", None),
            ("u:p@r/a:1", None),
            ("r?x/a:1", None),
        ] {
            let parsed = Reference::parse(text).ok();
            let parts = parsed.as_ref().map(|r| (r.registry.as_str(), r.repository.as_str(), r.tag.as_str()));
            assert_eq!(parts, expected, "{text}");
            assert!(parsed.is_none_or(|parsed| parsed.to_string() == text));
        }
    }
}
