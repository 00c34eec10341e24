//! How much a bundle may hold, so that a hostile or broken one cannot exhaust the module that loads it.

/// The bounds of one bundle; every one is checked before the memory is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleLimits {
    /// Bytes of the `.tar.gz` itself.
    pub compressed_bytes: usize,
    /// Bytes of the tar archive inside; inflating stops there.
    pub inflated_bytes: usize,
    /// Files in the archive, ignored ones included.
    pub files: usize,
    /// Bytes of one file's path.
    pub path_bytes: usize,
    /// Levels of nesting in `.manifest` and `data.json`.
    pub json_depth: usize,
    /// Operations of one delta bundle.
    pub delta_operations: usize,
}

impl Default for BundleLimits {
    fn default() -> Self {
        Self {
            compressed_bytes: 4 << 20,
            inflated_bytes: 32 << 20,
            files: 1_000,
            path_bytes: 255,
            json_depth: 64,
            delta_operations: 10_000,
        }
    }
}
