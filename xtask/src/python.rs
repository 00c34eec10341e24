//! Python packages for tests: each in a virtual environment of its own under the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::workspace;

/// A virtual environment named `name` with one pinned package (as `mcp==1.30.0`), made on the first call; another pin
/// makes it anew.
///
/// # Errors
/// When there is no Python 3 with `venv`, or the package cannot be installed.
pub fn environment(name: &str, pin: &str) -> Result<PathBuf> {
    // Tests ask from several threads at once; what is still being written cannot be started.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let venv = workspace::target_dir().join(name);
    let installed = venv.join(format!(".{pin}"));
    if !installed.exists() {
        install(&venv, pin)?;
        fs::write(&installed, "").with_context(|| format!("failed to write {}", installed.display()))?;
    }
    Ok(venv)
}

fn install(venv: &Path, pin: &str) -> Result<()> {
    println!("Installing {pin} from PyPI (about half a minute).");
    workspace::output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))
        .context("failed to make a virtual environment; on Debian install python3-venv")?;
    let pip = || {
        let mut command = Command::new(venv.join("bin/python3"));
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", pin]);
        workspace::output(&mut command)
    };
    // A registry's hiccup is common enough to be worth one more try.
    pip().or_else(|_| pip()).with_context(|| format!("failed to install {pin}; is PyPI reachable?"))?;
    Ok(())
}
