//! Node packages for tests: each in a folder of its own under the target folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::workspace;

/// A folder named `name` with one pinned package (as `left-pad@1.3.0`) in it, made on the first call; another pin makes it
/// anew.
///
/// # Errors
/// When there is no npm, or the package cannot be installed.
pub fn folder(name: &str, pin: &str) -> Result<PathBuf> {
    // Tests ask from several threads at once; what is still being written cannot be used.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = workspace::target_dir().join(name);
    let installed = folder.join(format!(".{}", pin.replace('/', "-")));
    if !installed.exists() {
        println!("Installing {pin} from npm (about a quarter of a minute).");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        workspace::output(npm.arg(&folder).arg(pin)).with_context(|| {
            format!("failed to install {pin}; is there a Node with npm, and is its registry reachable?")
        })?;
        fs::write(&installed, "").with_context(|| format!("failed to write {}", installed.display()))?;
    }
    Ok(folder)
}
