//! Delta bundles: `patch.json`, which changes the data of the bundle in force.

use serde_json::{Map, Value};

use super::archive::{self, Files};
use super::error::{BundleError, Unserved};
use super::manifest::{self, Manifest};
use super::signature::Verification;
use super::{Bundle, BundleLimits, document, path};

const NAME: &str = "patch.json";

/// What a fetch of a bundle brought.
#[derive(Debug, Clone)]
pub enum Update {
    /// The whole bundle.
    Snapshot(Bundle),
    /// Changes to the one in force.
    Delta(Delta),
}

/// Changes to the data of a bundle.
#[derive(Debug, Clone)]
pub struct Delta {
    manifest: Manifest,
    patches: Vec<Patch>,
}

#[derive(Debug, Clone)]
struct Patch {
    operation: Operation,
    path: Vec<String>,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Upsert,
    Remove,
    Replace,
}

/// Why a delta bundle cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaFault {
    /// Not an object with `data`, an array of operations.
    #[error("not an object with `data`, an array of operations")]
    Form,
    /// No operation.
    #[error("no operations: an empty delta would be taken for a snapshot")]
    Empty,
    /// More operations than allowed.
    #[error("more than the limit of {limit} operations")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
    /// `op` is none of the three.
    #[error("/data/{at}: `op` is none of upsert, remove, replace")]
    Operation {
        /// Position of the operation, from 0.
        at: usize,
    },
    /// `path` is no path below `data`.
    #[error("/data/{at}: `path` is no path below data")]
    Path {
        /// Position of the operation, from 0.
        at: usize,
    },
    /// `path` leads into what the bundle does not own.
    #[error("/data/{at}: the manifest's roots do not cover the data at /{path}")]
    OutsideRoots {
        /// Position of the operation, from 0.
        at: usize,
        /// The path, its parts joined by `/`.
        path: String,
    },
    /// Other content beside the patch.
    #[error("a delta bundle holds its patch and a manifest only, and there is {path}")]
    NotAlone {
        /// The other file.
        path: String,
    },
    /// Other roots than those of the bundle in force.
    #[error("the roots are not those of the bundle in force: [{found}], not [{expected}]")]
    Roots {
        /// The delta's, joined by commas.
        found: String,
        /// Those in force, joined by commas.
        expected: String,
    },
    /// Nothing is there, or not what the path needs.
    #[error("/data/{at}: there is nothing to change at /{path}")]
    NotFound {
        /// Position of the operation, from 0.
        at: usize,
        /// The path, its parts joined by `/`.
        path: String,
    },
    /// The data would be nested too deep or become too large.
    #[error("the data would exceed the limit of {limit} {what}")]
    Limit {
        /// The limit in force.
        limit: usize,
        /// What it limits.
        what: &'static str,
    },
}

impl Update {
    /// Reads what a fetch brought, signed as it has to be.
    ///
    /// # Errors
    ///
    /// As of [`Bundle::verified_from_targz`], and [`BundleError::Delta`].
    pub fn from_targz(
        bytes: &[u8],
        limits: &BundleLimits,
        verification: &Verification,
    ) -> Result<Self, BundleError> {
        let mut files = archive::unpack(bytes, limits)?;
        let Some(path) = files.keys().find(|path| path::name(path) == NAME).cloned() else {
            verification.check(&mut files)?;
            return Bundle::assemble(files, limits).map(Self::Snapshot);
        };
        verification.check_delta(&path)?;
        Delta::read(&path, files, limits).map(Self::Delta)
    }

    /// The bundle that is in force with it: the snapshot itself, or what was in force with the changes.
    ///
    /// # Errors
    ///
    /// [`BundleError::NotServed`] for a delta where there is nothing yet to change, [`BundleError::Delta`] for one that
    /// does not fit. What was in force is not touched.
    pub fn onto(self, in_force: Option<&Bundle>, limits: &BundleLimits) -> Result<Bundle, BundleError> {
        match (self, in_force) {
            (Self::Snapshot(bundle), _) => Ok(bundle),
            (Self::Delta(delta), Some(bundle)) => bundle.patched(&delta, limits),
            (Self::Delta(_), None) => {
                Err(BundleError::NotServed { path: NAME.to_owned(), feature: Unserved::Delta })
            }
        }
    }
}

impl Delta {
    fn read(path: &str, mut files: Files, limits: &BundleLimits) -> Result<Self, BundleError> {
        let fault = |fault| BundleError::Delta { path: path.to_owned(), fault };
        let manifest = match files.remove(manifest::PATH) {
            Some(content) => Manifest::read(&document::parse(manifest::PATH, &content, limits)?)?,
            None => Manifest::default(),
        };
        let content = files.remove(path).unwrap_or_default();
        // A README means nothing here either, so that there is no reason to refuse it.
        let means_something = |path: &&String| {
            let name = path::name(path);
            document::is_data(name)
                || name.contains(".rego")
                || name.starts_with('.')
                || name.ends_with(".wasm")
        };
        if let Some(other) = files.keys().find(means_something) {
            return Err(fault(DeltaFault::NotAlone { path: other.clone() }));
        }
        let document = document::parse(path, &content, limits)?;
        let operations = document.get("data").and_then(Value::as_array);
        let operations = operations.ok_or_else(|| fault(DeltaFault::Form))?;
        if operations.is_empty() {
            return Err(fault(DeltaFault::Empty));
        }
        if operations.len() > limits.delta_operations {
            return Err(fault(DeltaFault::TooMany { limit: limits.delta_operations }));
        }
        let patches =
            operations.iter().enumerate().map(|(at, operation)| Patch::read(at, operation, &manifest));
        let patches = patches.collect::<Result<_, _>>().map_err(fault)?;
        Ok(Self { manifest, patches })
    }
}

impl Patch {
    fn read(at: usize, operation: &Value, manifest: &Manifest) -> Result<Self, DeltaFault> {
        let text = |member| operation.get(member).and_then(Value::as_str);
        let value = operation.get("value").cloned().unwrap_or_default();
        let operation = match text("op") {
            Some("upsert") => Operation::Upsert,
            Some("remove") => Operation::Remove,
            Some("replace") => Operation::Replace,
            _ => return Err(DeltaFault::Operation { at }),
        };
        let given = text("path").ok_or(DeltaFault::Path { at })?.trim_matches('/');
        let path: Vec<_> =
            given.split('/').map(unescaped).collect::<Option<_>>().ok_or(DeltaFault::Path { at })?;
        if given.is_empty() || path.iter().any(String::is_empty) {
            return Err(DeltaFault::Path { at });
        }
        if !manifest.owns_parts(&path) {
            return Err(DeltaFault::OutsideRoots { at, path: path.join("/") });
        }
        Ok(Self { operation, path, value })
    }

    /// Carries the operation out as OPA's store does; `None` where the path leads to nothing.
    fn apply(&self, data: &mut Value) -> Option<()> {
        let (last, folders) = self.path.split_last()?;
        let mut place = data;
        for folder in folders {
            place = match place {
                Value::Object(members) => {
                    if self.operation == Operation::Upsert && !members.contains_key(folder) {
                        members.insert(folder.clone(), Value::Object(Map::new()));
                    }
                    members.get_mut(folder)?
                }
                Value::Array(items) => items.get_mut(index(folder)?)?,
                _ => return None,
            };
        }
        match place {
            Value::Object(members) => self.apply_to_object(members, last),
            Value::Array(items) => self.apply_to_array(items, last),
            _ => None,
        }
    }

    fn apply_to_object(&self, members: &mut Map<String, Value>, name: &str) -> Option<()> {
        match self.operation {
            Operation::Upsert => {
                members.insert(name.to_owned(), self.value.clone());
            }
            Operation::Replace => members.get_mut(name)?.clone_from(&self.value),
            Operation::Remove => {
                members.remove(name)?;
            }
        }
        Some(())
    }

    fn apply_to_array(&self, items: &mut Vec<Value>, name: &str) -> Option<()> {
        if self.operation == Operation::Upsert {
            // Before the element of this index; `-` is behind the last.
            let at = if name == "-" { items.len() } else { index(name)? };
            if at > items.len() {
                return None;
            }
            items.insert(at, self.value.clone());
            return Some(());
        }
        let at = index(name).filter(|at| *at < items.len())?;
        if self.operation == Operation::Remove {
            items.remove(at);
        } else {
            items.get_mut(at)?.clone_from(&self.value);
        }
        Some(())
    }
}

impl Bundle {
    /// This bundle with the changes of a delta, and with its revision; this one stays as it is.
    ///
    /// # Errors
    ///
    /// [`BundleError::Delta`] when the roots differ, a path leads to nothing, or the data would exceed a limit.
    pub fn patched(&self, delta: &Delta, limits: &BundleLimits) -> Result<Self, BundleError> {
        let fault = |fault| BundleError::Delta { path: NAME.to_owned(), fault };
        let sorted = |roots: &[String]| {
            let mut roots = roots.to_vec();
            roots.sort();
            roots.join(", ")
        };
        let (found, expected) = (sorted(&delta.manifest.roots), sorted(&self.manifest.roots));
        if found != expected {
            return Err(fault(DeltaFault::Roots { found, expected }));
        }
        let mut data = Value::Object(self.data.clone());
        for (at, patch) in delta.patches.iter().enumerate() {
            if patch.path.len().saturating_add(depth(&patch.value)) > limits.json_depth {
                return Err(fault(DeltaFault::Limit { limit: limits.json_depth, what: "levels of nesting" }));
            }
            let not_found = || fault(DeltaFault::NotFound { at, path: patch.path.join("/") });
            patch.apply(&mut data).ok_or_else(not_found)?;
        }
        // What no single file holds any more is held against the bound of all files.
        if size(&data) > limits.inflated_bytes {
            return Err(fault(DeltaFault::Limit { limit: limits.inflated_bytes, what: "bytes" }));
        }
        let manifest = Manifest {
            revision: delta.manifest.revision.clone(),
            metadata: delta.manifest.metadata.clone(),
            ..self.manifest.clone()
        };
        // A path is never empty, so that the top stays an object.
        let Value::Object(data) = data else { return Err(fault(DeltaFault::Form)) };
        Ok(Self { manifest, modules: self.modules.clone(), tests: self.tests.clone(), data })
    }
}

/// One part of a path: percent-encoding first, as OPA does for the sake of old paths, then RFC 6901.
fn unescaped(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok()?
        } else {
            byte
        });
    }
    Some(String::from_utf8(bytes).ok()?.replace("~1", "/").replace("~0", "~"))
}

fn index(name: &str) -> Option<usize> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) { name.parse().ok() } else { None }
}

fn depth(value: &Value) -> usize {
    let inside = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    inside.unwrap_or(0).saturating_add(1)
}

/// Bytes of the data as JSON.
fn size(data: &Value) -> usize {
    struct Counted(usize);
    impl std::io::Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(0);
    // Counting does not fail.
    let _ = serde_json::to_writer(&mut counted, data);
    counted.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bundle::archive::Files;

    fn limits() -> BundleLimits {
        BundleLimits { json_depth: 8, inflated_bytes: 400, delta_operations: 4, ..BundleLimits::default() }
    }

    fn files(manifest: &str, files: &[(&str, &str)]) -> Files {
        let files = files.iter().copied().chain([(".manifest", manifest)]);
        files.map(|(path, content)| (path.to_owned(), content.as_bytes().to_vec())).collect()
    }

    const ROOTS: &str = r#"{"roots":["a"],"revision":"2"}"#;

    fn applied(operations: &Value) -> Result<Value, String> {
        let base = json!({"a":{"l":[1,2],"o":{"k":1},"s":"x","n":null}}).to_string();
        let base = files(ROOTS, &[("data.json", &base), ("a/p.rego", "package a\n")]);
        let base = Bundle::assemble(base, &limits()).unwrap();
        let before = base.data().clone();
        let patch = json!({ "data": operations }).to_string();
        let delta =
            Delta::read(NAME, files(ROOTS, &[(NAME, &patch)]), &limits()).map_err(|e| e.to_string())?;
        let patched = Update::Delta(delta).onto(Some(&base), &limits()).map_err(|e| e.to_string())?;
        assert_eq!((base.data(), patched.modules().len()), (&before, 1));
        Ok(patched.data()["a"].clone())
    }

    #[test]
    fn operations_as_in_opas_store() {
        for (operations, expected) in [
            (
                json!([{"op":"upsert","path":"/a/new","value":[1]}]),
                json!({"l":[1,2],"o":{"k":1},"s":"x","n":null,"new":[1]}),
            ),
            (
                json!([{"op":"upsert","path":"a/o/deep/er","value":1}]),
                json!({"l":[1,2],"o":{"k":1,"deep":{"er":1}},"s":"x","n":null}),
            ),
            (
                json!([{"op":"upsert","path":"/a/l/-","value":3}]),
                json!({"l":[1,2,3],"o":{"k":1},"s":"x","n":null}),
            ),
            (
                json!([{"op":"upsert","path":"/a/l/2","value":3}]),
                json!({"l":[1,2,3],"o":{"k":1},"s":"x","n":null}),
            ),
            (
                json!([{"op":"upsert","path":"/a/l/0","value":0}]),
                json!({"l":[0,1,2],"o":{"k":1},"s":"x","n":null}),
            ),
            (
                json!([{"op":"replace","path":"/a/l/1","value":9}]),
                json!({"l":[1,9],"o":{"k":1},"s":"x","n":null}),
            ),
            (json!([{"op":"remove","path":"/a/l/0"}]), json!({"l":[2],"o":{"k":1},"s":"x","n":null})),
            (json!([{"op":"remove","path":"/a/o/k"}]), json!({"l":[1,2],"o":{},"s":"x","n":null})),
            (json!([{"op":"upsert","path":"/a","value":{}}]), json!({})),
            (json!([{"op":"replace","path":"/a/s"}]), json!({"l":[1,2],"o":{"k":1},"s":null,"n":null})),
            (
                json!([{"op":"upsert","path":"/a/o/x~1y~01%41","value":1}]),
                json!({"l":[1,2],"o":{"k":1,"x/y~1A":1},"s":"x","n":null}),
            ),
            (
                json!([{"op":"upsert","path":"/a/t","value":{}},{"op":"upsert","path":"/a/t/u","value":1},{"op":"remove","path":"/a/o"}]),
                json!({"l":[1,2],"s":"x","n":null,"t":{"u":1}}),
            ),
        ] {
            assert_eq!(applied(&operations), Ok(expected), "{operations}");
        }
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let nothing = "there is nothing to change at";
        let big = "x".repeat(400);
        for (operations, expected) in [
            (json!([{"op":"remove","path":"/a/none"}]), nothing),
            (json!([{"op":"replace","path":"/a/none","value":1}]), nothing),
            (json!([{"op":"replace","path":"/a/none/deep","value":1}]), nothing),
            (json!([{"op":"upsert","path":"/a/s/x","value":1}]), nothing),
            (json!([{"op":"upsert","path":"/a/n/x","value":1}]), nothing),
            (json!([{"op":"upsert","path":"/a/l/x","value":1}]), nothing),
            (json!([{"op":"upsert","path":"/a/l/3","value":1}]), nothing),
            (json!([{"op":"upsert","path":"/a/l/+1","value":1}]), nothing),
            (json!([{"op":"remove","path":"/a/l/-"}]), nothing),
            (json!([{"op":"remove","path":"/a/l/2"}]), nothing),
            (
                json!([{"op":"upsert","path":"/a/x","value":1},{"op":"remove","path":"/a/none"}]),
                "/data/1: there",
            ),
            (json!([{"op":"upsert","path":"/b","value":1}]), "/data/0: the manifest's roots do not cover"),
            (json!([{"op":"upsert","path":"/ab","value":1}]), "roots do not cover the data at /ab"),
            (json!([{"op":"upsert","path":"/","value":1}]), "`path` is no path"),
            (json!([{"op":"upsert","path":"/a//b","value":1}]), "`path` is no path"),
            (json!([{"op":"upsert","path":"/a/%4","value":1}]), "`path` is no path"),
            (json!([{"op":"upsert","path":7,"value":1}]), "`path` is no path"),
            (json!([{"op":"move","path":"/a","value":1}]), "`op` is none"),
            (json!([]), "no operations"),
            (json!({}), "not an object with `data`"),
            (json!([0, 0, 0, 0, 0]), "more than the limit of 4 operations"),
            (json!([{"op":"upsert","path":"/a/1/2/3/4/5/6/7/8","value":1}]), "limit of 8 levels"),
            (json!([{"op":"upsert","path":"/a/x","value":big}]), "limit of 400 bytes"),
        ] {
            let error = applied(&operations).unwrap_err();
            assert!(error.starts_with("patch.json: ") && error.contains(expected), "{operations}: {error}");
        }
    }

    #[test]
    fn a_delta_is_of_one_bundle_and_alone() {
        let patch = r#"{"data":[{"op":"upsert","path":"/a","value":1}]}"#;
        for (manifest, more, expected) in [
            (
                r#"{"roots":["a","b"]}"#,
                "x",
                "the roots are not those of the bundle in force: [a, b], not [a]",
            ),
            ("{}", "x", "[], not [a]"),
            (ROOTS, "data.json", "and there is data.json"),
            (ROOTS, "a/p.rego", "and there is a/p.rego"),
            (ROOTS, ".signatures.json", "and there is .signatures.json"),
        ] {
            let base = Bundle::assemble(files(ROOTS, &[]), &limits()).unwrap();
            let delta = Delta::read(NAME, files(manifest, &[(NAME, patch), (more, "{}")]), &limits());
            let error = delta.and_then(|delta| base.patched(&delta, &limits())).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let delta = Delta::read(NAME, files(ROOTS, &[(NAME, patch)]), &limits()).unwrap();
        let error = Update::Delta(delta.clone()).onto(None, &limits()).unwrap_err().to_string();
        assert_eq!(error, "patch.json: a delta bundle has to follow a snapshot");
        let base = Bundle::assemble(files(r#"{"roots":["/a/"],"revision":"1"}"#, &[]), &limits()).unwrap();
        assert_eq!(base.patched(&delta, &limits()).unwrap().revision(), "2");
    }
}
