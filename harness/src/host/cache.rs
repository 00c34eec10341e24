//! Compiled modules on disk, kept between runs.
//!
//! The directory must be the user's own: an artefact is machine code. A checksum in front of each finds damage, not
//! forgery. Anything that does not fit, including a directory that cannot be written, means compiling.
use sha2::{Digest, Sha256};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::Engine;

const MAGIC: &[u8; 16] = b"remit-compiled-1";
const CHECKSUM: usize = 32;

/// Counts this process' writes, so that two threads never share a temporary file.
static WRITES: AtomicU64 = AtomicU64::new(0);

/// Where the artefact of these bytes under this engine lies: the hash covers wasmtime's version and configuration.
pub(crate) fn location(directory: &Path, wasm: &[u8], engine: &Engine) -> PathBuf {
    let mut config = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut config);
    let digest = hex(&Sha256::digest(wasm));
    directory.join(format!("{digest}-{:016x}.cwasm", config.finish()))
}

/// The module at this place, if there is an undamaged one that fits the engine.
pub(crate) fn load(path: &Path, engine: &Engine) -> Option<wasmtime::Module> {
    let bytes = std::fs::read(path).ok()?;
    let rest = bytes.strip_prefix(MAGIC)?;
    let (checksum, artefact) = rest.split_at_checked(CHECKSUM)?;
    if Sha256::digest(artefact).as_slice() != checksum {
        return None;
    }
    // SAFETY: the bytes are what `store` wrote (the checksum holds), and `deserialize` itself checks that they were
    // made by this version and configuration of wasmtime.
    unsafe { wasmtime::Module::deserialize(engine, artefact) }.ok()
}

/// Writes the module's artefact beside its place and moves it there; failure leaves no trace and is no error.
pub(crate) fn store(path: &Path, module: &wasmtime::Module) {
    let Ok(artefact) = module.serialize() else { return };
    let Some(directory) = path.parent() else { return };
    let turn = WRITES.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{turn}.tmp", std::process::id()));
    let written = std::fs::create_dir_all(directory).and_then(|()| {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(MAGIC)?;
        file.write_all(&Sha256::digest(&artefact))?;
        file.write_all(&artefact)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)
    });
    if written.is_err() {
        // Best effort: the file may not exist, and the next run does not look at it.
        let _ = std::fs::remove_file(&temporary);
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
