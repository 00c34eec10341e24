//! Where the workspace and its build output are, and how child commands are run.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// The target that the filter is built for.
pub const WASM_TARGET: &str = "wasm32-wasip1";

/// The folder that holds the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Cargo's target folder: `CARGO_TARGET_DIR` where it is set, else `target` in the workspace.
pub fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => root().join(dir),
        _ => root().join("target"),
    }
}

/// Where `cargo xtask build-wasm` leaves the filter.
pub fn filter_wasm() -> PathBuf {
    target_dir().join(WASM_TARGET).join("release/remit_filter.wasm")
}

/// The cargo that runs this, or the first on `PATH`, working in the workspace.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command with its output passed through.
///
/// # Errors
/// When it cannot be started, or ends with another status than 0.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command.status().with_context(|| format!("failed to start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command silently and returns what it printed, without the last newline.
///
/// # Errors
/// When it cannot be started, or ends with another status than 0; the error holds its last line on stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("failed to start `{shown}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let mut lines = stderr.lines().filter(|line| !line.trim().is_empty());
        let told = lines.clone().find(|line| line.to_ascii_lowercase().starts_with("error"));
        bail!("`{shown}` failed ({}): {}", output.status, told.or(lines.next_back()).unwrap_or("no message"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Set by SIGINT, SIGTERM and SIGHUP from now on, so that whoever has started processes can end them.
///
/// # Errors
/// When the signals cannot be watched.
pub fn interrupted() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("failed to watch for Ctrl-C")?;
    }
    Ok(stop)
}

/// The first executable of that name on `PATH`.
pub fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Writes a file only when its content differs, so that whoever caches by time of change is not disturbed.
///
/// # Errors
/// When the file or its folder cannot be written.
pub fn write_if_changed(path: &Path, content: &[u8]) -> Result<bool> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(false);
    }
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    }
    // Renamed into place: a reader sees the old file or the new one, never half of it.
    let staged = path.with_extension("staged");
    std::fs::write(&staged, content).with_context(|| format!("failed to write {}", staged.display()))?;
    std::fs::rename(&staged, path).with_context(|| format!("failed to write {}", path.display()))?;
    Ok(true)
}

fn shown(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}
