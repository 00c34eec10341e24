//! The documents of a bundle: manifest and data, strictly read.

use std::borrow::Cow;

use serde_json::Value;

use super::error::BundleError;
use super::{BundleLimits, yaml};
use crate::json;

/// Whether a file of this name holds data for the folder that it is in.
pub(super) fn is_data(name: &str) -> bool {
    matches!(name, "data.json" | "data.yaml" | "data.yml")
}

/// The JSON text of a document.
pub(super) fn json_text<'c>(path: &str, content: &'c [u8]) -> Result<Cow<'c, str>, BundleError> {
    let text = std::str::from_utf8(content)
        .map_err(|error| BundleError::NotUtf8 { path: path.to_owned(), offset: error.valid_up_to() })?;
    let is_yaml = path.ends_with(".yaml") || path.ends_with(".yml");
    // JSON is read as JSON under either name, as in OPA.
    if !is_yaml || json::parse(content, MAX_DEPTH).is_ok() {
        return Ok(Cow::Borrowed(text));
    }
    yaml::to_json(text, MAX_DEPTH)
        .map(Cow::Owned)
        .map_err(|source| BundleError::Yaml { path: path.to_owned(), source })
}

/// The JSON reader holds the text against the limit that is configured, which is never higher.
const MAX_DEPTH: usize = 120;

/// What a document says.
pub(super) fn parse(path: &str, content: &[u8], limits: &BundleLimits) -> Result<Value, BundleError> {
    let text = json_text(path, content)?;
    json::parse(text.as_bytes(), limits.json_depth)
        .map_err(|source| BundleError::Json { path: path.to_owned(), source })
}
