//! Packs folders into an OPA bundle: the same files always give the same bytes.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use remit_core::bundle::overlap;
use remit_core::json::{self, JsonError};
use serde_json::{Map, Value};

/// Nesting of JSON in data files.
const DEPTH: usize = 64;
/// What a bundle says of itself.
const MANIFEST: &str = ".manifest";
/// The data file at the top of a bundle.
const DATA: &str = "data.json";

/// What is packed, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackOptions {
    /// Pack `_test.rego` files, too.
    pub tests: bool,
    /// Pack what has no meaning in a bundle as well, as a signature has to cover it.
    pub everything: bool,
    /// Files in all.
    pub files: usize,
    /// Bytes in all.
    pub bytes: usize,
    /// Nesting of folders.
    pub depth: usize,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self { tests: false, everything: false, files: 10_000, bytes: 256 << 20, depth: 32 }
    }
}

/// Why a bundle cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file or folder cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A name that is not UTF-8.
    #[error("{}: the name is not UTF-8", path.display())]
    Name {
        /// The file or folder.
        path: PathBuf,
    },
    /// A data file is not JSON.
    #[error("{path}: {source}")]
    Json {
        /// Path in the bundle.
        path: String,
        /// What is wrong and where.
        source: JsonError,
    },
    /// A data file is not an object, so nothing can be added to it.
    #[error("{path}: two sources have this file, and not both hold an object")]
    NotAnObject {
        /// Path in the bundle.
        path: String,
    },
    /// Two sources give a value for the same key.
    #[error("{path}: two sources have a value for /{key}")]
    Conflict {
        /// Path in the bundle.
        path: String,
        /// The key, its parts joined by `/`.
        key: String,
    },
    /// Two sources have a file that cannot be merged.
    #[error("{path}: two sources have this file, and they differ")]
    Twice {
        /// Path in the bundle.
        path: String,
    },
    /// No bundle at all.
    #[error("{}: holds neither Rego nor data", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// More than allowed.
    #[error("{}: more than the limit of {limit} {what}", path.display())]
    Limit {
        /// Where it was exceeded.
        path: PathBuf,
        /// The limit in force.
        limit: usize,
        /// What there is too much of.
        what: &'static str,
    },
}

/// The files of a bundle, by their paths in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    files: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// Reads a folder, or an archive (`.tar.gz`).
    ///
    /// # Errors
    ///
    /// See [`PackError`].
    pub fn read(path: &Path, options: &PackOptions) -> Result<Self, PackError> {
        let mut files = Self::default();
        let metadata =
            std::fs::metadata(path).map_err(|source| PackError::Read { path: path.to_owned(), source })?;
        if metadata.is_dir() {
            Walk { options, bytes: 0 }.folder(path, "", 0, &mut files)?;
        } else {
            files.unpack(path, options)?;
        }
        if files.files.is_empty() {
            return Err(PackError::Nothing { path: path.to_owned() });
        }
        Ok(files)
    }

    /// The files, by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// Adds a file, or merges it: objects of data files key by key, manifests with disjoint roots. Equal files are one file.
    ///
    /// # Errors
    ///
    /// See [`PackError`].
    pub fn add(&mut self, path: &str, content: Vec<u8>) -> Result<(), PackError> {
        let Some(there) = self.files.get_mut(path) else {
            self.files.insert(path.to_owned(), content);
            return Ok(());
        };
        if *there == content {
            return Ok(());
        }
        if path == MANIFEST {
            let merged = together(object(path, there)?, object(path, &content)?);
            *there =
                merged.ok_or_else(|| PackError::Twice { path: path.to_owned() })?.to_string().into_bytes();
            return Ok(());
        }
        if path != DATA && !path.ends_with("/data.json") {
            return Err(PackError::Twice { path: path.to_owned() });
        }
        let mut merged = object(path, there)?;
        merge(&mut merged, object(path, &content)?, "")
            .map_err(|key| PackError::Conflict { path: path.to_owned(), key })?;
        *there = Value::Object(merged).to_string().into_bytes();
        Ok(())
    }

    /// Adds all files of another source.
    ///
    /// # Errors
    ///
    /// See [`PackError`].
    pub fn merge(&mut self, other: Self) -> Result<(), PackError> {
        other.files.into_iter().try_for_each(|(path, content)| self.add(&path, content))
    }

    /// What a file holds.
    #[must_use]
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Puts a file in the place of the one that may be there.
    pub fn put(&mut self, path: &str, content: Vec<u8>) {
        self.files.insert(path.to_owned(), content);
    }

    /// Leaves out the files whose paths do not fit.
    pub fn retain(&mut self, fits: impl Fn(&str) -> bool) {
        self.files.retain(|path, _| fits(path));
    }

    /// Adds a data document at the top.
    ///
    /// # Errors
    ///
    /// See [`PackError`].
    pub fn add_data(&mut self, content: Vec<u8>) -> Result<(), PackError> {
        self.add(DATA, content)
    }

    /// The bundle: sorted by path, no times, no owners.
    ///
    /// # Errors
    ///
    /// [`PackError::Read`] in theory only: everything is in memory.
    pub fn to_targz(&self) -> Result<Vec<u8>, PackError> {
        let failed = |source| PackError::Read { path: PathBuf::from("bundle.tar.gz"), source };
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (path, content) in &self.files {
            let mut header = tar::Header::new_ustar();
            header.set_size(u64::try_from(content.len()).unwrap_or(u64::MAX));
            header.set_mode(0o644);
            header.set_mtime(0);
            archive.append_data(&mut header, path, content.as_slice()).map_err(failed)?;
        }
        let mut compressed = archive.into_inner().map_err(failed)?;
        compressed.flush().map_err(failed)?;
        compressed.finish().map_err(failed)
    }

    fn unpack(&mut self, path: &Path, options: &PackOptions) -> Result<(), PackError> {
        let failed = |source| PackError::Read { path: path.to_owned(), source };
        let limit = |limit, what| PackError::Limit { path: path.to_owned(), limit, what };
        let compressed = std::fs::File::open(path).map_err(failed)?;
        let cap = u64::try_from(options.bytes).unwrap_or(u64::MAX);
        let mut archive = tar::Archive::new(GzDecoder::new(compressed).take(cap.saturating_add(1)));
        let mut bytes = 0_usize;
        for entry in archive.entries().map_err(failed)? {
            let mut entry = entry.map_err(failed)?;
            if !entry.header().entry_type().is_file() {
                continue;
            }
            let name = String::from_utf8(entry.path_bytes().into_owned())
                .map_err(|_| PackError::Name { path: path.to_owned() })?;
            let name = name.trim_start_matches("./").trim_start_matches('/');
            let mut content = Vec::new();
            entry.read_to_end(&mut content).map_err(failed)?;
            bytes = bytes.saturating_add(content.len());
            if bytes > options.bytes {
                return Err(limit(options.bytes, "bytes"));
            }
            if self.files.len() >= options.files {
                return Err(limit(options.files, "files"));
            }
            if wanted(name.rsplit('/').next().unwrap_or(name), options) {
                self.add(name, content)?;
            }
        }
        Ok(())
    }
}

struct Walk<'a> {
    options: &'a PackOptions,
    bytes: usize,
}

impl Walk<'_> {
    fn folder(
        &mut self,
        folder: &Path,
        prefix: &str,
        depth: usize,
        files: &mut Files,
    ) -> Result<(), PackError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PackError::Read { path, source }
        };
        let limit = |limit, what| PackError::Limit { path: folder.to_owned(), limit, what };
        if depth > self.options.depth {
            return Err(limit(self.options.depth, "folders in each other"));
        }
        for entry in std::fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name else { return Err(PackError::Name { path }) };
            // Links are followed: a mounted ConfigMap consists of them. Its `..data` folders are not content.
            let metadata = std::fs::metadata(&path).map_err(failed(&path))?;
            let inside = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
            if metadata.is_dir() {
                if !name.starts_with('.') {
                    self.folder(&path, &inside, depth.saturating_add(1), files)?;
                }
            } else if metadata.is_file() && wanted(name, self.options) {
                let content = std::fs::read(&path).map_err(failed(&path))?;
                self.bytes = self.bytes.saturating_add(content.len());
                if self.bytes > self.options.bytes {
                    return Err(limit(self.options.bytes, "bytes"));
                }
                if files.files.len() >= self.options.files {
                    return Err(limit(self.options.files, "files"));
                }
                files.files.insert(inside, content);
            }
        }
        Ok(())
    }
}

/// What has a meaning in a bundle, unless everything is asked for. A signature means nothing without the files that it covers.
/// What the filter does not serve is packed as well, so that it is refused by name.
fn wanted(name: &str, options: &PackOptions) -> bool {
    if options.everything && (options.tests || !name.ends_with("_test.rego")) {
        return true;
    }
    match name {
        ".manifest" | DATA | "data.yaml" | "data.yml" | "patch.json" | "plan.json" => true,
        name if name.ends_with("_test.rego") => options.tests,
        name => name.ends_with(".rego") || name.ends_with(".wasm"),
    }
}

fn object(path: &str, content: &[u8]) -> Result<Map<String, Value>, PackError> {
    match json::parse(content, DEPTH) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(PackError::NotAnObject { path: path.to_owned() }),
        Err(source) => Err(PackError::Json { path: path.to_owned(), source }),
    }
}

/// The manifest of two bundles in one: with the roots of both, and the first one's revision and metadata. `None` where one owns what
/// is the other's, or where a member that says how files are read differs.
fn together(mut first: Map<String, Value>, second: Map<String, Value>) -> Option<Value> {
    // Without a version it is 1.
    let said = |manifest: &Map<String, Value>, member: &str| {
        manifest.get(member).filter(|value| value.as_u64() != Some(1)).cloned()
    };
    let same = |member: &str| said(&first, member) == said(&second, member);
    if !["rego_version", "file_rego_versions"].into_iter().all(same) {
        return None;
    }
    let roots = |manifest: &Map<String, Value>| -> Option<Vec<String>> {
        let roots = manifest.get("roots")?.as_array()?.iter();
        roots.map(|root| Some(root.as_str()?.trim_matches('/').to_owned())).collect()
    };
    let (ours, theirs) = (roots(&first)?, roots(&second)?);
    if overlap(&ours, &theirs).is_some() {
        return None;
    }
    let roots = ours.into_iter().chain(theirs).map(Value::from).collect();
    first.insert("roots".to_owned(), Value::Array(roots));
    Some(Value::Object(first))
}

/// Puts `from` into `into`, objects key by key. The error is the key that both have a value for.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>, key: &str) -> Result<(), String> {
    for (name, value) in from {
        let key = if key.is_empty() { name.clone() } else { format!("{key}/{name}") };
        match (into.get_mut(&name), value) {
            (None, value) => {
                into.insert(name, value);
            }
            (Some(Value::Object(there)), Value::Object(more)) => merge(there, more, &key)?,
            (Some(there), value) if *there == value => {}
            _ => return Err(key),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use remit_core::bundle::{Bundle, BundleLimits};

    use super::*;
    use crate::testing::Folder;

    fn folder() -> Folder {
        Folder::new(&[
            (".manifest", r#"{"revision":"r1","roots":["a"]}"#),
            ("data.json", r#"{"a":{"x":1}}"#),
            ("a/p.rego", "package a\nok := true\n"),
            ("a/p_test.rego", "package a_test\n"),
            ("README.md", "about"),
            (".git/HEAD", "x"),
            (".git/x.rego", "x"),
        ])
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let folder = folder();
        let mut files = Files::read(folder.path(), &PackOptions::default()).unwrap();
        let paths: Vec<_> = files.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, [".manifest", "a/p.rego", "data.json"]);
        files.add_data(br#"{"a":{"y":{"z":2}}}"#.to_vec()).unwrap();
        let bytes = files.to_targz().unwrap();
        assert_eq!(bytes, files.to_targz().unwrap());
        let bundle = Bundle::from_targz(&bytes, &BundleLimits::default()).unwrap();
        assert_eq!(bundle.revision(), "r1");
        assert_eq!(Value::Object(bundle.data().clone()), serde_json::json!({"a": {"x": 1, "y": {"z": 2}}}));
        let archive = folder.path().join("b.tar.gz");
        std::fs::write(&archive, &bytes).unwrap();
        assert_eq!(Files::read(&archive, &PackOptions::default()).unwrap(), files);
        let with_tests = PackOptions { tests: true, ..PackOptions::default() };
        assert_eq!(Files::read(folder.path(), &with_tests).unwrap().iter().count(), 4);
    }

    #[test]
    fn sources_that_contradict_each_other_are_refused() {
        let files = Files::read(folder().path(), &PackOptions::default()).unwrap();
        for (path, content, expected) in [
            ("data.json", r#"{"a":{"x":2}}"#, "data.json: two sources have a value for /a/x"),
            ("data.json", r#"{"a":7}"#, "two sources have a value for /a"),
            ("data.json", "[]", "not both hold an object"),
            ("data.json", "{", "data.json: malformed JSON"),
            ("a/p.rego", "package a\n", "a/p.rego: two sources have this file"),
            (".manifest", "{}", ".manifest: two sources"),
        ] {
            let error = files.clone().add(path, content.as_bytes().to_vec()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(files.clone().add("data.json", br#"{"a":{"x":1}}"#.to_vec()).is_ok());
        assert!(files.clone().merge(files.clone()).is_ok());
    }

    #[test]
    fn manifests_with_disjoint_roots_are_one() {
        for (one, other, expected) in [
            (
                r#"{"revision":"1","roots":["a"]}"#,
                r#"{"revision":"2","roots":["b/c","d"]}"#,
                Some(r#"{"revision":"1","roots":["a","b/c","d"]}"#),
            ),
            (
                r#"{"roots":["a"],"rego_version":1}"#,
                r#"{"roots":["ab"],"rego_version":1}"#,
                Some(r#"{"roots":["a","ab"],"rego_version":1}"#),
            ),
            (r#"{"roots":["a"]}"#, r#"{"roots":["b"],"rego_version":1}"#, Some(r#"{"roots":["a","b"]}"#)),
            (r#"{"roots":["a"]}"#, r#"{"roots":["a/b"]}"#, None),
            (r#"{"roots":["a/b"]}"#, r#"{"roots":["c","a"]}"#, None),
            (r#"{"roots":["a"]}"#, r#"{"roots":[""]}"#, None),
            (r#"{"roots":["a"]}"#, r#"{"roots":["b"],"rego_version":0}"#, None),
            (r#"{"revision":"1"}"#, r#"{"roots":["b"]}"#, None),
        ] {
            let mut files = Files::default();
            files.put(MANIFEST, one.as_bytes().to_vec());
            let added = files.add(MANIFEST, other.as_bytes().to_vec());
            let merged: Option<Value> =
                added.ok().and_then(|()| serde_json::from_slice(files.content(MANIFEST)?).ok());
            assert_eq!(merged, expected.map(|text| serde_json::from_str(text).unwrap()), "{one} {other}");
        }
    }

    #[test]
    fn limits_hold() {
        let folder = folder();
        let archive = folder.path().join("b.tar.gz");
        let files = Files::read(folder.path(), &PackOptions::default()).unwrap();
        std::fs::write(&archive, files.to_targz().unwrap()).unwrap();
        for path in [folder.path(), &archive] {
            for (options, expected) in [
                (PackOptions { files: 2, ..PackOptions::default() }, "limit of 2 files"),
                (PackOptions { bytes: 40, ..PackOptions::default() }, ""),
            ] {
                assert!(Files::read(path, &options).unwrap_err().to_string().contains(expected));
            }
        }
        let error =
            Files::read(folder.path(), &PackOptions { depth: 0, ..PackOptions::default() }).unwrap_err();
        assert!(error.to_string().contains("folders in each other"));
        let empty = Folder::new(&[("README.md", "")]);
        assert!(
            Files::read(empty.path(), &PackOptions::default())
                .unwrap_err()
                .to_string()
                .contains("neither Rego")
        );
        assert!(Files::read(Path::new("/nowhere"), &PackOptions::default()).is_err());
    }
}
