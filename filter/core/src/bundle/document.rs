//! The documents of a bundle: manifest and data, strictly read.

use std::borrow::Cow;

use serde_json::Value;

use super::BundleLimits;
use super::error::{BundleError, Unserved};
use crate::json;

/// Whether a file of this name holds data for the folder that it is in.
pub(super) fn is_data(name: &str) -> bool {
    matches!(name, "data.json" | "data.yaml" | "data.yml")
}

/// The JSON text of a document.
pub(super) fn json_text<'c>(path: &str, content: &'c [u8]) -> Result<Cow<'c, str>, BundleError> {
    if path.ends_with(".yaml") || path.ends_with(".yml") {
        return Err(BundleError::NotServed { path: path.to_owned(), feature: Unserved::YamlData });
    }
    std::str::from_utf8(content)
        .map(Cow::Borrowed)
        .map_err(|error| BundleError::NotUtf8 { path: path.to_owned(), offset: error.valid_up_to() })
}

/// What a document says.
pub(super) fn parse(path: &str, content: &[u8], limits: &BundleLimits) -> Result<Value, BundleError> {
    let text = json_text(path, content)?;
    json::parse(text.as_bytes(), limits.json_depth)
        .map_err(|source| BundleError::Json { path: path.to_owned(), source })
}
