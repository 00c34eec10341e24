//! From the bytes of a `.tar.gz` to its files, inside the limits.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::bufread::GzDecoder;

use super::error::BundleError;
use super::limits::BundleLimits;
use super::path;

/// The files of a bundle by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

const BLOCK: usize = 512;

/// Reads the archive: one gzip member that holds one tar archive of plain files.
pub(super) fn unpack(bytes: &[u8], limits: &BundleLimits) -> Result<Files, BundleError> {
    if bytes.len() > limits.compressed_bytes {
        return Err(BundleError::TooManyCompressedBytes {
            bytes: bytes.len(),
            limit: limits.compressed_bytes,
        });
    }
    files(&inflate(bytes, limits.inflated_bytes)?, limits)
}

/// Inflates exactly one gzip member, and stops as soon as it gives more than `limit` bytes.
fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, BundleError> {
    let mut decoder = GzDecoder::new(bytes);
    let mut inflated = Vec::new();
    let one_too_many = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(one_too_many).read_to_end(&mut inflated).map_err(BundleError::Gzip)?;
    if inflated.len() > limit {
        return Err(BundleError::TooManyInflatedBytes { limit });
    }
    match decoder.into_inner().len() {
        0 => Ok(inflated),
        bytes => Err(BundleError::AfterGzip { bytes }),
    }
}

fn files(tar: &[u8], limits: &BundleLimits) -> Result<Files, BundleError> {
    let mut files = Files::new();
    let mut count = 0_usize;
    let mut end = 0_usize;
    let mut after = "the start".to_owned();
    let mut archive = tar::Archive::new(tar);
    let tar_error = |after: &str| {
        let after = after.to_owned();
        move |source| BundleError::Tar { after, source }
    };
    for entry in archive.entries().map_err(tar_error(&after))? {
        let mut entry = entry.map_err(tar_error(&after))?;
        let raw_path = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        end = start.saturating_add(size).checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX);
        // Folders come with a `/` at the end or as `.` alone; they hold nothing. Git writes its commit as a pax header.
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let path = normalised(&raw_path, limits)?;
        if !kind.is_file() {
            return Err(BundleError::NotAFile { path });
        }
        count = count.saturating_add(1);
        if count > limits.files {
            return Err(BundleError::TooManyFiles { path, limit: limits.files });
        }
        // The size in a header is only a claim: what is read is bounded by the inflated archive.
        let mut content = Vec::new();
        entry.read_to_end(&mut content).map_err(tar_error(&path))?;
        after.clone_from(&path);
        if content.len() != size {
            return Err(BundleError::TarEnd { after });
        }
        add(&mut files, path, content)?;
    }
    let rest = tar.get(end..).unwrap_or_default();
    if rest.len() < BLOCK || rest.iter().any(|byte| *byte != 0) {
        return Err(BundleError::TarEnd { after });
    }
    Ok(files)
}

/// The files that a caller holds in memory, under the same rules as those of an archive.
pub(super) fn collect<P: AsRef<str>>(
    given: impl IntoIterator<Item = (P, Vec<u8>)>,
    limits: &BundleLimits,
) -> Result<Files, BundleError> {
    let mut files = Files::new();
    let mut bytes = 0_usize;
    for (raw_path, content) in given {
        let path = normalised(raw_path.as_ref().as_bytes(), limits)?;
        if files.len() >= limits.files {
            return Err(BundleError::TooManyFiles { path, limit: limits.files });
        }
        bytes = bytes.saturating_add(content.len());
        if bytes > limits.inflated_bytes {
            return Err(BundleError::TooManyInflatedBytes { limit: limits.inflated_bytes });
        }
        add(&mut files, path, content)?;
    }
    Ok(files)
}

fn normalised(raw: &[u8], limits: &BundleLimits) -> Result<String, BundleError> {
    path::normalise(raw, limits.path_bytes)
        .map_err(|fault| BundleError::Path { path: path::shown(raw), fault })
}

fn add(files: &mut Files, path: String, content: Vec<u8>) -> Result<(), BundleError> {
    if files.contains_key(&path) {
        return Err(BundleError::DuplicatePath { path });
    }
    files.insert(path, content);
    Ok(())
}
