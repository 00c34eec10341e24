//! Builds a bundle of folders and archives: what has a meaning in it, and always the same bytes of the same input.

use std::path::PathBuf;

use remit_core::bundle::{Bundle, BundleError, BundleLimits, Module};
use remit_core::config::Limits;
use remit_core::engine::{ActiveBundle, LoadError};
use remit_core::json::{self, JsonError};
use remit_core::policy::{PolicyError, Refusal};
use serde_json::{Map, Value};

use super::{SIGNATURES, rego};
use crate::pack::{Files, PackError, PackOptions};
use crate::refused::Refused;
use crate::rego::{decisions, load};

const MANIFEST: &str = ".manifest";

/// What is built.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// `revision` of the manifest, in place of the one that is there.
    pub revision: Option<String>,
    /// Names of files and folders, or paths, that are left out; `*` and `?` stand for characters.
    pub ignore: Vec<String>,
    /// Rules that will be asked, such as `remit/authz/decision`: each has to be there and to compile as in the filter.
    pub entrypoints: Vec<String>,
}

/// Why a bundle cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Reading what it is built of.
    #[error(transparent)]
    Files(#[from] PackError),
    /// The manifest is not JSON.
    #[error(".manifest: {0}")]
    Manifest(#[from] JsonError),
    /// It would not load.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A rule that will be asked is not there, or does not compile.
    #[error("entrypoint {entrypoint}: {source}")]
    Entrypoint {
        /// As it was given.
        entrypoint: String,
        /// What is wrong.
        source: LoadError,
    },
    /// Modules that are not Rego, or not in their place.
    #[error("{0}")]
    Refused(Refused),
}

/// Builds a bundle, and makes sure that it loads and that its Rego parses. An old signature is left out, and so are tests.
///
/// # Errors
///
/// See [`BuildError`].
pub fn build(sources: &[PathBuf], options: &BuildOptions) -> Result<Files, BuildError> {
    let mut files = Files::default();
    for source in sources {
        files.merge(Files::read(source, &PackOptions::default())?)?;
    }
    files.retain(|path| path != SIGNATURES && !options.ignore.iter().any(|pattern| ignores(pattern, path)));
    if let Some(revision) = &options.revision {
        let mut manifest = match files.content(MANIFEST) {
            Some(content) => json::parse(content, 64)?,
            None => Value::Object(Map::new()),
        };
        // A manifest that is no object is refused below.
        if let Value::Object(members) = &mut manifest {
            members.insert("revision".to_owned(), Value::String(revision.clone()));
        }
        files.put(MANIFEST, manifest.to_string().into_bytes());
    }
    let bundle = loaded(&files)?;
    let problems: Vec<String> = bundle.modules().iter().filter_map(problem).collect();
    if !problems.is_empty() {
        return Err(BuildError::Refused(Refused::told(problems)));
    }
    if options.entrypoints.is_empty() {
        refuse(&bundle)?;
    }
    for entrypoint in &options.entrypoints {
        ActiveBundle::load(&bundle, entrypoint.trim_matches('/'), &Limits::default())
            .map_err(|source| BuildError::Entrypoint { entrypoint: entrypoint.clone(), source })?;
    }
    Ok(files)
}

/// The Rego that the filter would refuse, whichever bundles come beside this one: what is not in it may be in another, and so may
/// be a part of the catalog.
fn refuse(bundle: &Bundle) -> Result<(), BuildError> {
    for entrypoint in decisions(bundle) {
        let Err(LoadError::Policy(error)) = load(bundle, &entrypoint) else { continue };
        let problems: Vec<String> =
            error.each().iter().filter(|one| !may_be_elsewhere(one)).map(ToString::to_string).collect();
        if !problems.is_empty() {
            return Err(BuildError::Refused(Refused::told(problems)));
        }
    }
    Ok(())
}

fn may_be_elsewhere(error: &PolicyError) -> bool {
    matches!(
        error,
        PolicyError::Analysis { .. }
            | PolicyError::NoDecision { .. }
            | PolicyError::Builtin { refusal: Refusal::Unknown, .. }
    )
}

fn problem(module: &Module) -> Option<String> {
    match rego::parse(module) {
        Err(message) => Some(message),
        Ok(_) => outside_roots(module),
    }
}

/// What is wrong with a module that parses and lies outside the roots of its bundle.
pub(crate) fn outside_roots(module: &Module) -> Option<String> {
    let package = rego::parse(module).ok()?.package;
    (!module.may_hold(&package.replace('.', "/")))
        .then(|| format!("{}: package {package} is outside the roots of the bundle's manifest", module.path))
}

/// The files as the filter would load them, with room for large ones.
pub(super) fn loaded(files: &Files) -> Result<Bundle, BundleError> {
    let limits = BundleLimits {
        inflated_bytes: PackOptions::default().bytes,
        files: PackOptions::default().files,
        ..BundleLimits::default()
    };
    Bundle::from_files(files.iter().map(|(path, content)| (path, content.to_vec())), &limits)
}

/// Whether a pattern is of the path, of a folder that it is in, or of a name in it.
fn ignores(pattern: &str, path: &str) -> bool {
    let pattern = pattern.trim_matches('/');
    let folders = path.match_indices('/').map(|(end, _)| path.get(..end).unwrap_or(path));
    path.split('/').chain(folders).chain([path]).any(|text| matches(pattern, text))
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut after = pattern.chars();
    match after.next() {
        None => text.is_empty(),
        Some('*') => {
            let ends = text.find('/').unwrap_or(text.len());
            (0..=ends).filter_map(|at| text.get(at..)).any(|rest| matches(after.as_str(), rest))
        }
        Some(wanted) => {
            let mut rest = text.chars();
            rest.next().is_some_and(|found| found == wanted || (wanted == '?' && found != '/'))
                && matches(after.as_str(), rest.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    #[test]
    fn patterns_leave_out_files_and_folders() {
        for (pattern, path, expected) in [
            ("*_x.rego", "a/b_x.rego", true),
            ("b", "a/b/c.rego", true),
            ("a/b", "a/b/c.rego", true),
            ("a/*", "a/b/c.rego", true),
            ("b/c.rego", "a/b/c.rego", false),
            (".*", "a/c.rego", false),
            ("?.rego", "a/c.rego", true),
            ("?.rego", "a/cc.rego", false),
            ("/a/", "a/c.rego", true),
        ] {
            assert_eq!(ignores(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn what_will_be_asked_is_there() {
        let folder = Folder::new(&[("p.rego", "package a.b\n\nallow if input.x\n\nf(x) := x\n")]);
        for (entrypoint, expected) in [
            ("a/b/allow", None),
            ("/a/b/allow", None),
            ("a/b/alow", Some("entrypoint a/b/alow: policy: the bundle has no rule \"a/b/alow\"")),
            ("a.b.allow", Some("entrypoint a.b.allow: ")),
            ("a/b", Some("entrypoint a/b: ")),
        ] {
            let options =
                BuildOptions { entrypoints: vec![entrypoint.to_owned()], ..BuildOptions::default() };
            let error = build(&[folder.path().to_owned()], &options).err().map(|error| error.to_string());
            match (&error, expected) {
                (Some(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
                (error, expected) => assert_eq!(error.as_deref(), expected, "{entrypoint}"),
            }
        }
    }

    #[test]
    fn what_would_not_load_is_not_built() {
        for (path, content, expected) in [
            ("p.rego", "package a\nx := [", "p.rego:2"),
            ("data.json", "{", "data.json: malformed JSON"),
            ("data.yaml", "a: &x 1", "data.yaml:1: anchors"),
            (".manifest", "{\"roots\":[\"b\"]}", ""),
            ("policy.wasm", "", "compiled policies are not served"),
        ] {
            let folder = Folder::new(&[(path, content), ("a/data.json", "1")]);
            let built = build(&[folder.path().to_owned()], &BuildOptions::default());
            let error = built.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
