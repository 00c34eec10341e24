//! OPA's bundle format: a `.tar.gz` of Rego and JSON. What is not understood is refused, never skipped in silence.

mod archive;
mod combined;
mod delta;
mod document;
mod error;
mod hash;
mod limits;
mod manifest;
mod path;
mod signature;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod yaml;

use std::sync::Arc;

use serde_json::{Map, Value};

use archive::Files;
use manifest::Manifest;

pub use combined::overlap;
pub use delta::{Delta, DeltaFault, Update};
pub use error::{BundleError, CombineError, ManifestFault, PathFault, Unserved};
pub use hash::Hash;
pub use limits::BundleLimits;
pub use manifest::RegoVersion;
pub use signature::{SignatureFault, SigningError, Verification, file_digest};
pub use yaml::{YamlError, YamlFault};

/// A bundle that was read whole and keeps to the format; its Rego is not parsed yet.
#[derive(Debug, Clone)]
pub struct Bundle {
    manifest: Manifest,
    modules: Vec<Module>,
    tests: Vec<Module>,
    data: Map<String, Value>,
}

/// One Rego file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Path in the bundle, without a leading `/`.
    pub path: String,
    /// The source.
    pub text: String,
    /// The version of the language that it is written in.
    pub rego_version: RegoVersion,
    /// The roots of the bundle that it came in.
    roots: Arc<[String]>,
}

impl Module {
    /// Whether the bundle that it came in owns this package (parts joined by `/`).
    #[must_use]
    pub fn may_hold(&self, package: &str) -> bool {
        self.roots.iter().any(|root| manifest::contains(root, package))
    }
}

impl Bundle {
    /// Reads a bundle as `opa build` or `tar -cz` makes it.
    ///
    /// # Errors
    ///
    /// See [`BundleError`]: a limit, a malformed archive, an unsafe path, a part of the format that is not served,
    /// malformed JSON, data that overlaps or lies outside the roots.
    pub fn from_targz(bytes: &[u8], limits: &BundleLimits) -> Result<Self, BundleError> {
        Self::verified_from_targz(bytes, limits, &Verification::default())
    }

    /// As [`Bundle::from_targz`], signed by one of the keys and as it was signed.
    ///
    /// # Errors
    ///
    /// As of [`Bundle::from_targz`], and [`BundleError::Signature`].
    pub fn verified_from_targz(
        bytes: &[u8],
        limits: &BundleLimits,
        verification: &Verification,
    ) -> Result<Self, BundleError> {
        let mut files = archive::unpack(bytes, limits)?;
        verification.check(&mut files)?;
        Self::assemble(files, limits)
    }

    /// A bundle of files that are in memory already, under the same rules as those of an archive.
    ///
    /// # Errors
    ///
    /// As [`Bundle::from_targz`], without those of the archive.
    pub fn from_files<P: AsRef<str>>(
        files: impl IntoIterator<Item = (P, Vec<u8>)>,
        limits: &BundleLimits,
    ) -> Result<Self, BundleError> {
        let mut files = archive::collect(files, limits)?;
        Verification::default().check(&mut files)?;
        Self::assemble(files, limits)
    }

    /// The manifest's `revision`; empty when there is none.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.manifest.revision
    }

    /// The parts of `data` that the bundle owns, without slashes at the ends; the empty root is all of it.
    #[must_use]
    pub fn roots(&self) -> &[String] {
        &self.manifest.roots
    }

    /// The Rego version of modules without one of their own.
    #[must_use]
    pub fn rego_version(&self) -> RegoVersion {
        self.manifest.rego_version
    }

    /// The modules that decide, by path.
    #[must_use]
    pub fn modules(&self) -> &[Module] {
        &self.modules
    }

    /// The `_test.rego` files, by path; they never take part in a decision.
    #[must_use]
    pub fn tests(&self) -> &[Module] {
        &self.tests
    }

    /// The manifest's `metadata`, an object.
    #[must_use]
    pub fn metadata(&self) -> Option<&Value> {
        self.manifest.metadata.as_ref()
    }

    /// All data files (`data.json`, `data.yaml`, `data.yml`), each mounted at its folder.
    #[must_use]
    pub fn data(&self) -> &Map<String, Value> {
        &self.data
    }

    /// Whether a root of the manifest owns this package or data path (parts joined by `/`).
    #[must_use]
    pub fn owns(&self, path: &str) -> bool {
        self.manifest.owns(path)
    }

    fn assemble(mut files: Files, limits: &BundleLimits) -> Result<Self, BundleError> {
        let manifest = match files.remove(manifest::PATH) {
            Some(content) => Manifest::read(&document::parse(manifest::PATH, &content, limits)?)?,
            None => Manifest::default(),
        };
        let roots: Arc<[String]> = manifest.roots.clone().into();
        let mut bundle = Self { manifest, modules: Vec::new(), tests: Vec::new(), data: Map::new() };
        for (path, content) in files {
            let name = path::name(&path);
            if let Some(feature) = unserved(name) {
                return Err(BundleError::NotServed { path, feature });
            }
            if document::is_data(name) {
                let value = document::parse(&path, &content, limits)?;
                bundle.mount(path, value)?;
            } else if name.ends_with(".rego") {
                let text = String::from_utf8(content).map_err(|error| BundleError::NotUtf8 {
                    path: path.clone(),
                    offset: error.utf8_error().valid_up_to(),
                })?;
                let is_test = name.ends_with("_test.rego");
                let rego_version = bundle.manifest.version_of(&path);
                let modules = if is_test { &mut bundle.tests } else { &mut bundle.modules };
                modules.push(Module { path, text, rego_version, roots: Arc::clone(&roots) });
            }
            // Every other file has no meaning in OPA's format: a README, a licence.
        }
        Ok(bundle)
    }

    fn mount(&mut self, path: String, value: Value) -> Result<(), BundleError> {
        let folders = path::folders(&path);
        if folders.is_empty() && !value.is_object() {
            return Err(BundleError::DataNotAnObject { path });
        }
        if let Err(key) = check_roots(&self.manifest, &folders.join("/"), &value) {
            return Err(BundleError::DataOutsideRoots { path, key, roots: self.manifest.roots.join(", ") });
        }
        let mut tree = value;
        for folder in folders.iter().rev() {
            let mut outer = Map::new();
            outer.insert((*folder).to_owned(), tree);
            tree = Value::Object(outer);
        }
        if let Value::Object(tree) = tree {
            merge(&mut self.data, tree, "").map_err(|key| BundleError::DataOverlap { path, key })?;
        }
        Ok(())
    }
}

fn unserved(name: &str) -> Option<Unserved> {
    match name {
        "patch.json" => Some(Unserved::Delta),
        "plan.json" | "plan.pb" => Some(Unserved::Plan),
        name if name.ends_with(".wasm") => Some(Unserved::Wasm),
        name if name.ends_with(".manifest.pb") => Some(Unserved::ManifestProto),
        name if name.ends_with(".manifest") => Some(Unserved::ManifestElsewhere),
        _ => None,
    }
}

/// Finds a value that no root owns; objects on the way to a root are fine. The error is its key.
fn check_roots(manifest: &Manifest, key: &str, value: &Value) -> Result<(), String> {
    if manifest.owns(key) {
        return Ok(());
    }
    let Value::Object(object) = value else { return Err(key.to_owned()) };
    object.iter().try_for_each(|(name, value)| check_roots(manifest, &joined(key, name), value))
}

/// Puts `from` into `into`, objects key by key. The error is the key that both have a value for.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>, key: &str) -> Result<(), String> {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (None, value) => {
                into.insert(name, value);
            }
            (Some(Value::Object(there)), Value::Object(more)) => merge(there, more, &joined(key, &name))?,
            _ => return Err(joined(key, &name)),
        }
    }
    Ok(())
}

fn joined(key: &str, name: &str) -> String {
    if key.is_empty() { name.to_owned() } else { format!("{key}/{name}") }
}
