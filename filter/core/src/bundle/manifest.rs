//! `.manifest`: the bundle's revision, the part of `data` that it owns, and its Rego version.

use serde_json::Value;

use super::error::{BundleError, ManifestFault, Unserved};
use super::path;

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
    /// Versions of single files by pattern; of several that match the first one counts.
    pub(super) file_rego_versions: Vec<(String, RegoVersion)>,
    pub(super) metadata: Option<Value>,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            revision: String::new(),
            roots: vec![String::new()],
            rego_version: RegoVersion::V1,
            file_rego_versions: Vec::new(),
            metadata: None,
        }
    }
}

/// Of a revision, which is in every log line and metric that names a bundle.
const MOST_REVISION_BYTES: usize = 256;
/// Each is compared with each.
const MOST_ROOTS: usize = 1_000;

impl Manifest {
    pub(super) fn read(value: &Value) -> Result<Self, BundleError> {
        let fault = |fault| BundleError::Manifest { fault };
        let not_served = |feature| BundleError::NotServed { path: PATH.to_owned(), feature };
        let object = value.as_object().ok_or(fault(ManifestFault::NotAnObject))?;
        let mut manifest = Self::default();
        match object.get("revision") {
            None | Some(Value::Null) => {}
            Some(Value::String(revision)) if revision.len() <= MOST_REVISION_BYTES => {
                manifest.revision.clone_from(revision);
            }
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
        match object.get("file_rego_versions") {
            None | Some(Value::Null) => {}
            Some(versions) => {
                manifest.file_rego_versions = read_file_versions(versions).map_err(fault)?;
            }
        }
        match object.get("metadata") {
            None | Some(Value::Null) => {}
            Some(metadata @ Value::Object(_)) => manifest.metadata = Some(metadata.clone()),
            Some(_) => return Err(fault(ManifestFault::Metadata)),
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

    /// As [`Manifest::owns`], of a path whose parts may hold a `/`.
    pub(super) fn owns_parts(&self, parts: &[String]) -> bool {
        self.roots.iter().any(|root| {
            let mut parts = parts.iter();
            root.is_empty() || root.split('/').all(|part| parts.next().is_some_and(|found| found == part))
        })
    }

    /// The version of one file.
    pub(super) fn version_of(&self, path: &str) -> RegoVersion {
        let absolute = format!("/{path}");
        let named = self.file_rego_versions.iter().find(|(pattern, _)| path::matches(pattern, &absolute));
        named.map_or(self.rego_version, |(_, version)| *version)
    }
}

/// Whether `path` is `root` itself or lies inside it.
pub(super) fn contains(root: &str, path: &str) -> bool {
    root.is_empty() || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn read_roots(value: &Value) -> Result<Vec<String>, ManifestFault> {
    let mut roots = Vec::new();
    let values = value.as_array().filter(|values| values.len() <= MOST_ROOTS).ok_or(ManifestFault::Roots)?;
    for root in values {
        roots.push(root.as_str().ok_or(ManifestFault::Roots)?.trim_matches('/').to_owned());
    }
    let overlap = roots.iter().enumerate().any(|(at, root)| {
        roots.iter().enumerate().any(|(other_at, other)| at != other_at && contains(root, other))
    });
    if overlap { Err(ManifestFault::RootsOverlap) } else { Ok(roots) }
}

fn read_file_versions(value: &Value) -> Result<Vec<(String, RegoVersion)>, ManifestFault> {
    let mut versions = Vec::new();
    for (pattern, version) in value.as_object().ok_or(ManifestFault::FileRegoVersions)? {
        // Classes and alternatives of OPA's patterns; `opa build` writes plain paths.
        if pattern.contains(['[', '{', '\\']) {
            return Err(ManifestFault::FilePattern);
        }
        versions.push((pattern.clone(), read_version(version).ok_or(ManifestFault::FileRegoVersions)?));
    }
    Ok(versions)
}

fn read_version(value: &Value) -> Option<RegoVersion> {
    match value.as_u64() {
        Some(0) => Some(RegoVersion::V0),
        Some(1) => Some(RegoVersion::V1),
        _ => None,
    }
}
