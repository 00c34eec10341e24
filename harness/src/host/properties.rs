//! Attributes that the guest reads with `proxy_get_property`.
use std::collections::BTreeMap;
use std::sync::Arc;

/// Attributes by path. Values are bytes as Envoy serialises them (numbers: 8 bytes little endian). A clone shares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    values: Arc<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Properties {
    /// No attributes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value under a path such as `["source", "address"]`.
    #[must_use]
    pub fn with(mut self, path: &[&str], value: impl Into<Vec<u8>>) -> Self {
        self.insert(path, value);
        self
    }

    /// Sets a value under a path.
    pub fn insert(&mut self, path: &[&str], value: impl Into<Vec<u8>>) {
        Arc::make_mut(&mut self.values).insert(path.join("\0").into_bytes(), value.into());
    }

    /// The value at a path of NUL-separated segments.
    pub(crate) fn at(&self, path: &[u8]) -> Option<&[u8]> {
        self.values.get(path).map(Vec::as_slice)
    }
}
