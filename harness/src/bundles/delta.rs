//! Builds a delta bundle: what has to be done to the data of one bundle so that it is that of another.

use remit_core::bundle::{BundleError, BundleLimits, Update, Verification};
use serde_json::{Value, json};

use super::SIGNATURES;
use super::build::{BuildError, loaded};
use super::diff::{Changes, Kind};
use crate::pack::{Files, PackError};

/// Why there is no delta between two bundles.
#[derive(Debug, thiserror::Error)]
pub enum DeltaError {
    /// One of the two does not load, or its Rego does not parse.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Packing it.
    #[error(transparent)]
    Files(#[from] PackError),
    /// Something else than data differs.
    #[error("a delta bundle changes data alone, and {what} {path} differs: publish the whole bundle")]
    NotData {
        /// `rule` or `manifest`.
        what: &'static str,
        /// Which.
        path: String,
    },
    /// The data is the same.
    #[error("the data of the two bundles is the same: there is nothing to publish")]
    Same,
    /// A reader of deltas would not take it, or come to other data.
    #[error("this change has no delta: {0}; publish the whole bundle")]
    Refused(#[from] BundleError),
    /// It would come to other data.
    #[error("this change has no delta that brings the new data about: publish the whole bundle")]
    Other,
}

/// The delta bundle that makes `new` of `old`, held against the reader that the filter has.
///
/// # Errors
///
/// See [`DeltaError`].
pub fn delta(old: &Files, new: &Files) -> Result<Files, DeltaError> {
    let bare = |files: &Files| {
        let mut files = files.clone();
        files.retain(|path| path != SIGNATURES);
        files
    };
    let (old, new) = (&bare(old), &bare(new));
    let changes = Changes::between(old.clone(), new.clone())?;
    let mut operations = Vec::new();
    for change in &changes.changes {
        match (change.what, change.path.as_str()) {
            // Each bundle has its own, and a delta brings its own.
            ("manifest", path) if path == "/revision" || path.starts_with("/metadata") => continue,
            ("manifest" | "rule", path) => {
                return Err(DeltaError::NotData { what: change.what, path: path.to_owned() });
            }
            _ => {}
        }
        // Readers take percent-encoding for what it means.
        let path = change.path.replace('%', "%25");
        operations.push(match (change.kind, &change.new) {
            (Kind::Removed, _) | (_, None) => json!({"op": "remove", "path": path}),
            (Kind::Added, Some(value)) => json!({"op": "upsert", "path": path, "value": value}),
            (Kind::Changed, Some(value)) => json!({"op": "replace", "path": path, "value": value}),
        });
    }
    if operations.is_empty() {
        return Err(DeltaError::Same);
    }
    let (before, after) = (loaded(old).map_err(BuildError::from)?, loaded(new).map_err(BuildError::from)?);
    let mut manifest = json!({"revision": after.revision(), "roots": after.roots()});
    if let (Value::Object(members), Some(metadata)) = (&mut manifest, after.metadata()) {
        members.insert("metadata".to_owned(), metadata.clone());
    }
    let mut files = Files::default();
    files.put(".manifest", manifest.to_string().into_bytes());
    files.put("patch.json", json!({ "data": operations }).to_string().into_bytes());
    let limits = BundleLimits::default();
    let update = Update::from_targz(&files.to_targz()?, &limits, &Verification::default())?;
    if update.onto(Some(&before), &limits)?.data() != after.data() {
        return Err(DeltaError::Other);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundles::{BuildOptions, build};
    use crate::testing::Folder;

    const MANIFEST: &str = r#"{"revision":"1","roots":["a"]}"#;
    const REGO: &str = "package a.p\n\nx := 1\n";

    fn bundle(manifest: &str, rego: &str, data: &str) -> Files {
        let folder = Folder::new(&[(".manifest", manifest), ("a/p.rego", rego), ("a/data.json", data)]);
        build(&[folder.path().to_owned()], &BuildOptions::default()).unwrap()
    }

    #[test]
    fn a_delta_is_what_the_data_differs_in() {
        let old = r#"{"gone": 1, "l": [1, 2], "more": [1], "o": {"a/b": 1, "~": 2, "100%": 3, "same": {}}, "t": "x"}"#;
        let new = r#"{"l": [1, 3], "more": [1, 2], "new": {"k": null}, "o": {"a/b": 2, "~": 3, "100%": 4, "same": {}}, "t": {}}"#;
        let newer = MANIFEST.replace('1', "2");
        let files = delta(&bundle(MANIFEST, REGO, old), &bundle(&newer, REGO, new)).unwrap();
        let patch: Value = serde_json::from_slice(files.content("patch.json").unwrap()).unwrap();
        let operations: Vec<String> =
            patch["data"].as_array().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            operations,
            [
                r#"{"op":"remove","path":"/a/gone"}"#,
                r#"{"op":"replace","path":"/a/l/1","value":3}"#,
                r#"{"op":"replace","path":"/a/more","value":[1,2]}"#,
                r#"{"op":"upsert","path":"/a/new","value":{"k":null}}"#,
                r#"{"op":"replace","path":"/a/o/100%25","value":4}"#,
                r#"{"op":"replace","path":"/a/o/a~1b","value":2}"#,
                r#"{"op":"replace","path":"/a/o/~0","value":3}"#,
                r#"{"op":"replace","path":"/a/t","value":{}}"#,
            ]
        );
        let manifest: Value = serde_json::from_slice(files.content(".manifest").unwrap()).unwrap();
        assert_eq!(manifest, json!({"revision": "2", "roots": ["a"]}));
    }

    #[test]
    fn what_is_no_change_of_data_is_refused() {
        let old = || bundle(MANIFEST, REGO, r#"{"k": 1}"#);
        for (new, expected) in [
            (bundle(MANIFEST, REGO, r#"{"k": 1}"#), "there is nothing to publish"),
            (bundle(MANIFEST, "package a.p\n\nx := 2\n", r#"{"k": 2}"#), "rule data.a.p.x differs"),
            (bundle(r#"{"roots":["a","b"]}"#, REGO, r#"{"k": 2}"#), "manifest /roots differs"),
            (bundle(MANIFEST, REGO, r#"{"k": 1, "": 2}"#), "no delta that brings the new data about"),
        ] {
            let error = delta(&old(), &new).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
