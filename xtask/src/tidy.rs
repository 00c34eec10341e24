//! `cargo xtask tidy`: the house rules that neither the compiler nor clippy knows.

mod documents;
mod manifests;
mod sources;

use std::fmt;
use std::io::ErrorKind;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A tracked text file.
struct File {
    /// Relative to the workspace, with `/`.
    path: String,
    text: String,
}

/// A broken rule, at a place that an editor can open.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

/// Checks every tracked file and prints what is wrong, one `file:line: message` each.
///
/// # Errors
/// When a rule is broken, or git cannot list the files.
pub fn tidy() -> Result<()> {
    let (files, mut findings) = tracked_files()?;
    findings.extend(check(&files));
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} house rules broken", findings.len());
    }
    println!("{} files are tidy.", files.len());
    Ok(())
}

fn check(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        sources::check(file, &mut findings);
    }
    documents::check(files, &mut findings);
    manifests::check(files, &mut findings);
    findings.sort();
    findings
}

/// What git tracks, as it is in the work tree now, with a finding for each file that is not text: none has to be.
fn tracked_files() -> Result<(Vec<File>, Vec<Finding>)> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z"]).current_dir(workspace::root());
    let listed = workspace::output(&mut command).context("tidy reads the list of files from git")?;
    let (mut files, mut findings) = (Vec::new(), Vec::new());
    for path in listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned) {
        match std::fs::read_to_string(workspace::root().join(&path)) {
            Ok(text) => files.push(File { path, text }),
            // Deleted but not yet committed.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => findings.push(Finding { path, line: 1, message: format!("is not text: {error}") }),
        }
    }
    Ok((files, findings))
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    fn is_under(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Lines with their numbers, counted from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }

    fn finding(&self, line: usize, message: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// For the rules' tests: what is found in these files, as printed.
#[cfg(test)]
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> =
        files.iter().map(|(path, text)| File { path: (*path).into(), text: (*text).into() }).collect();
    check(&files).iter().map(ToString::to_string).collect()
}
