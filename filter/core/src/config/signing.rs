//! Keys that bundles are signed with, and what a signature has to say, in OPA's names.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::keys::Algorithm;

/// A key that bundles may be signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleKey {
    /// A public key in PEM or as a JWK, a certificate in PEM, or for HS256 the secret itself, at least 32 bytes.
    pub key: String,
    /// The one algorithm that it verifies.
    #[serde(default = "default_algorithm")]
    pub algorithm: Algorithm,
    /// The `scope` that a signature has to have where `signing` names none; by default it must have none.
    #[serde(default)]
    pub scope: String,
}

impl fmt::Debug for BundleKey {
    /// Without the key, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The keys by their ids.
pub type BundleKeys = BTreeMap<String, BundleKey>;

/// How a bundle has to be signed. Where a source has this, an unsigned bundle is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signing {
    /// The key; by default the one that the signature names.
    #[serde(default)]
    pub keyid: Option<String>,
    /// The `scope` that the signature has to have; by default the key's.
    #[serde(default)]
    pub scope: Option<String>,
    /// Files that need no signature, by path; `*` stands for any characters but `/`, `?` for one.
    #[serde(default)]
    pub exclude_files: Vec<String>,
    /// Take delta bundles, which cannot be signed.
    #[serde(default)]
    pub allow_unsigned_delta_bundles: bool,
}

const fn default_algorithm() -> Algorithm {
    Algorithm::Rs256
}
