//! Folders of files for tests with other programs, and real OPA.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail};
use xtask::go::OPA;

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A folder that goes away with the test.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// A folder with these files.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(files: &[(&str, &str)]) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let scratch = Self(std::env::temp_dir().join(format!("remit-tests-{}-{number}", std::process::id())));
        std::fs::create_dir_all(&scratch.0)?;
        for (path, content) in files {
            scratch.write(path, content.as_bytes())?;
        }
        Ok(scratch)
    }

    /// The folder, or a path in it.
    #[must_use]
    pub fn path(&self, inside: &str) -> PathBuf {
        if inside.is_empty() { self.0.clone() } else { self.0.join(inside) }
    }

    /// Writes a file; returns its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, inside: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.0.join(inside);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&path, content).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Real OPA.
#[derive(Debug)]
pub struct Opa {
    /// The binary.
    pub program: PathBuf,
}

impl Opa {
    /// OPA, or `None` after saying why the test is skipped.
    #[must_use]
    pub fn find() -> Option<Self> {
        OPA.find_or_skip().map(|program| Self { program })
    }

    /// Runs a command of OPA, whatever comes of it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn try_run(&self, folder: &Path, arguments: &[&str]) -> Result<Output> {
        Command::new(&self.program)
            .args(arguments)
            .current_dir(folder)
            .output()
            .context("opa cannot be started")
    }

    /// Runs a command of OPA that has to succeed.
    ///
    /// # Errors
    /// What OPA says otherwise.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> Result<String> {
        let output = self.try_run(folder, arguments)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("opa {}: {said}{}", arguments.join(" "), String::from_utf8_lossy(&output.stdout));
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The data of a bundle as OPA has it.
    ///
    /// # Errors
    /// When OPA does not load it.
    pub fn data(&self, folder: &Path, bundle: &str) -> Result<serde_json::Value> {
        let said = self.run(folder, &["eval", "--format", "json", "--bundle", bundle, "data"])?;
        let document: serde_json::Value = serde_json::from_str(&said)?;
        let value = document.pointer("/result/0/expressions/0/value").context("opa eval gave no value")?;
        Ok(value.clone())
    }
}
