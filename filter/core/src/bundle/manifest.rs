//! `.manifest`: the bundle's revision, the part of `data` that it owns, and its Rego version.

use serde_json::Value;

use super::error::{BundleError, ManifestFault, Unserved};

/// The file's path in a bundle.
pub(super) const PATH: &str = ".manifest";

/// The version of the Rego language that the modules are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RegoVersion {
    /// Before OPA 1.0: `if`, `in`, `contains` and `every` only where imported.
    V0,
    /// OPA 1.0 and later.
    #[default]
    V1,
}

/// What `.manifest` says. Without the file: no revision, all of `data`, Rego v1. Unknown keys are of no interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) revision: String,
    /// Without slashes at the ends; the empty root owns everything.
    pub(super) roots: Vec<String>,
    pub(super) rego_version: RegoVersion,
}

impl Default for Manifest {
    fn default() -> Self {
        Self { revision: String::new(), roots: vec![String::new()], rego_version: RegoVersion::V1 }
    }
}

impl Manifest {
    pub(super) fn read(value: &Value) -> Result<Self, BundleError> {
        let fault = |fault| BundleError::Manifest { fault };
        let not_served = |feature| BundleError::NotServed { path: PATH.to_owned(), feature };
        let object = value.as_object().ok_or(fault(ManifestFault::NotAnObject))?;
        let mut manifest = Self::default();
        match object.get("revision") {
            None | Some(Value::Null) => {}
            Some(Value::String(revision)) => manifest.revision.clone_from(revision),
            Some(_) => return Err(fault(ManifestFault::Revision)),
        }
        match object.get("roots") {
            None | Some(Value::Null) => {}
            Some(roots) => manifest.roots = read_roots(roots).map_err(fault)?,
        }
        match object.get("rego_version") {
            None | Some(Value::Null) => {}
            Some(version) => {
                manifest.rego_version = read_version(version).ok_or(fault(ManifestFault::RegoVersion))?;
            }
        }
        if let Some(versions) = object.get("file_rego_versions").and_then(Value::as_object)
            && versions.values().any(|version| read_version(version) != Some(manifest.rego_version))
        {
            return Err(not_served(Unserved::FileRegoVersions));
        }
        if object.get("wasm").and_then(Value::as_array).is_some_and(|modules| !modules.is_empty()) {
            return Err(not_served(Unserved::Wasm));
        }
        Ok(manifest)
    }

    /// Whether one of the roots owns this path (parts joined by `/`).
    pub(super) fn owns(&self, path: &str) -> bool {
        self.roots.iter().any(|root| contains(root, path))
    }
}

/// Whether `path` is `root` itself or lies inside it.
fn contains(root: &str, path: &str) -> bool {
    root.is_empty() || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn read_roots(value: &Value) -> Result<Vec<String>, ManifestFault> {
    let mut roots = Vec::new();
    for root in value.as_array().ok_or(ManifestFault::Roots)? {
        roots.push(root.as_str().ok_or(ManifestFault::Roots)?.trim_matches('/').to_owned());
    }
    let overlap = roots.iter().enumerate().any(|(at, root)| {
        roots.iter().enumerate().any(|(other_at, other)| at != other_at && contains(root, other))
    });
    if overlap { Err(ManifestFault::RootsOverlap) } else { Ok(roots) }
}

fn read_version(value: &Value) -> Option<RegoVersion> {
    match value.as_u64() {
        Some(0) => Some(RegoVersion::V0),
        Some(1) => Some(RegoVersion::V1),
        _ => None,
    }
}
