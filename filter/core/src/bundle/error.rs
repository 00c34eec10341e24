//! Why a bundle is refused; every reason names the file that it is about.

use super::delta::DeltaFault;
use super::signature::SignatureFault;
use super::yaml::YamlError;
use crate::json::JsonError;

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The `.tar.gz` is larger than allowed.
    #[error("bundle has {bytes} compressed bytes, more than the limit of {limit}")]
    TooManyCompressedBytes {
        /// Size of the archive.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// The archive inflates to more than allowed; inflating stopped at the limit.
    #[error("bundle inflates to more than the limit of {limit} bytes")]
    TooManyInflatedBytes {
        /// The limit in force.
        limit: usize,
    },
    /// More files than allowed.
    #[error("{path}: bundle has more than the limit of {limit} files")]
    TooManyFiles {
        /// The first file over the limit.
        path: String,
        /// The limit in force.
        limit: usize,
    },
    /// The bytes are not one whole gzip member.
    #[error("bundle is not a gzip file")]
    Gzip(#[source] std::io::Error),
    /// Bytes follow the gzip member: a second member or garbage, which other readers may or may not read.
    #[error("bundle has {bytes} bytes after the end of its gzip data")]
    AfterGzip {
        /// How many bytes follow.
        bytes: usize,
    },
    /// The inflated bytes are not a tar archive.
    #[error("bundle is not a tar archive (after {after})")]
    Tar {
        /// The last file that was read, or `the start`.
        after: String,
        /// What was wrong.
        #[source]
        source: std::io::Error,
    },
    /// The archive ends without its end mark, or bytes follow it.
    #[error("tar archive does not end where its end mark should be (after {after})")]
    TarEnd {
        /// The last file that was read, or `the start`.
        after: String,
    },
    /// A file's path is not a plain relative one.
    #[error("{path}: {fault}")]
    Path {
        /// The path, shortened and escaped.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// The archive holds something other than a file or a folder.
    #[error("{path}: links, devices and sparse files are not allowed in a bundle")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// Two files have the same path.
    #[error("{path}: the same path twice")]
    DuplicatePath {
        /// The path.
        path: String,
    },
    /// A delta bundle.
    #[error("{path}: {fault}")]
    Delta {
        /// The patch.
        path: String,
        /// What is wrong.
        fault: DeltaFault,
    },
    /// The signature, or what it says of a file.
    #[error("{path}: {fault}")]
    Signature {
        /// The file that is at fault, or `.signatures.json`.
        path: String,
        /// What is wrong.
        fault: SignatureFault,
    },
    /// A part of the bundle format that Remit does not serve; ignoring it would change what the bundle means.
    #[error("{path}: {feature}")]
    NotServed {
        /// The file that asks for it.
        path: String,
        /// What it asks for.
        feature: Unserved,
    },
    /// A JSON file is not strict JSON.
    #[error("{path}: {source}")]
    Json {
        /// The file.
        path: String,
        /// What is wrong and where.
        source: JsonError,
    },
    /// A YAML file is not of the YAML that is served.
    #[error("{path}:{}: {source}", source.line)]
    Yaml {
        /// The file.
        path: String,
        /// What is wrong and where.
        source: YamlError,
    },
    /// A Rego or a data file is not UTF-8.
    #[error("{path}: not UTF-8: invalid byte at offset {offset}")]
    NotUtf8 {
        /// The file.
        path: String,
        /// Offset of the first bad byte.
        offset: usize,
    },
    /// `.manifest` does not say what it has to.
    #[error(".manifest: {fault}")]
    Manifest {
        /// What is wrong with it.
        fault: ManifestFault,
    },
    /// The `data.json` at the top is not an object.
    #[error("{path}: the data at the top of a bundle has to be an object")]
    DataNotAnObject {
        /// The file.
        path: String,
    },
    /// Two data files give a value for the same key.
    #[error("{path}: another data file already has a value for /{key}")]
    DataOverlap {
        /// The file that came second.
        path: String,
        /// The key, its parts joined by `/`.
        key: String,
    },
    /// Data that the roots of the manifest do not own.
    #[error("{path}: the manifest's roots [{roots}] do not cover the data at /{key}")]
    DataOutsideRoots {
        /// The file.
        path: String,
        /// The key, its parts joined by `/`.
        key: String,
        /// The roots, joined by a comma.
        roots: String,
    },
}

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// Not UTF-8.
    #[error("path is not UTF-8")]
    NotUtf8,
    /// Empty, or with an empty part.
    #[error("path has an empty part")]
    EmptyPart,
    /// `.` or `..` in the middle: it would reach another folder.
    #[error("path has a `.` or `..` part")]
    Traversal,
    /// A backslash or a control character.
    #[error("path has a backslash or a control character")]
    Character,
    /// Longer than allowed.
    #[error("path is longer than the limit of {limit} bytes")]
    TooLong {
        /// The limit in force.
        limit: usize,
    },
}

/// Parts of OPA's bundle format that Remit does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unserved {
    /// `policy.wasm`, and `wasm` in the manifest.
    #[error("compiled policies are not served: build the bundle with Rego (target `rego`)")]
    Wasm,
    /// `plan.json`.
    #[error("plans are not served: build the bundle with Rego (target `rego`)")]
    Plan,
    /// `.manifest.pb`.
    #[error("manifests in protobuf are not served: build the bundle with a JSON manifest")]
    ManifestProto,
    /// A `.manifest` that is not at the top, or another file whose name ends so: OPA takes it for the bundle's.
    #[error("a manifest belongs at the top of the bundle, under the name .manifest")]
    ManifestElsewhere,
    /// `patch.json`, where there is nothing that it could change.
    #[error("a delta bundle has to follow a snapshot")]
    Delta,
}

/// What is wrong with `.manifest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// Not an object.
    #[error("not an object")]
    NotAnObject,
    /// `revision` is not a string, or a long one.
    #[error("`revision` is not a string of at most 256 bytes")]
    Revision,
    /// `roots` is not an array of plain paths, or a long one.
    #[error("`roots` is not an array of at most 1000 paths")]
    Roots,
    /// One root lies inside another.
    #[error("`roots` overlap")]
    RootsOverlap,
    /// `rego_version` is neither 0 nor 1.
    #[error("`rego_version` is neither 0 nor 1")]
    RegoVersion,
    /// `file_rego_versions` is not an object of 0 and 1.
    #[error("`file_rego_versions` is not an object of paths to 0 or 1")]
    FileRegoVersions,
    /// A pattern in `file_rego_versions` with more than `*` and `?`.
    #[error("`file_rego_versions` has a pattern with more than `*` and `?`")]
    FilePattern,
    /// `metadata` is not an object.
    #[error("`metadata` is not an object")]
    Metadata,
}

/// Why bundles cannot be in force together.
#[derive(Debug, thiserror::Error)]
pub enum CombineError {
    /// Two bundles own the same part of `data`.
    #[error(
        "bundles {first:?} and {second:?} have overlapping roots: {first_root:?} and {second_root:?}{}",
        if first_root.is_empty() || second_root.is_empty() {
            " (the empty root, or no roots in the manifest, is all of data)"
        } else {
            ""
        }
    )]
    Overlap {
        /// Name of one bundle.
        first: String,
        /// Its root.
        first_root: String,
        /// Name of the other.
        second: String,
        /// Its root.
        second_root: String,
    },
    /// The data of two bundles meets although their roots do not.
    #[error("bundle {bundle:?}: another bundle already has a value for /{key}")]
    Data {
        /// Name of the bundle that came second.
        bundle: String,
        /// The key, its parts joined by `/`.
        key: String,
    },
    /// Two bundles of one name.
    #[error("two bundles have the name {name:?}")]
    Name {
        /// The name.
        name: String,
    },
}
