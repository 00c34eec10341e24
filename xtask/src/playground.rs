//! `cargo xtask envoy`: the filter in a real Envoy, to be tried with curl.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Stdio};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::access_line::readable;
use crate::envoy::{self, Envoy, Start};
use crate::envoy_config::Settings;
use crate::scenario::{self, Approval, Setup, shell_quoted};
use crate::{build_wasm, upstream, workspace};

/// The calls of the scenario that are shown, by name: allowed; held; the same by another way.
const SHOWN: [&str; 3] = ["read-thread", "publish", "publish-rest"];

/// Runs until Ctrl-C; then Envoy and what was written for it are gone, but for its log.
///
/// # Errors
/// When a part cannot be built or started, or Envoy ends by itself.
pub fn run() -> Result<()> {
    let module = build_wasm::build()?;
    let binary = envoy::binary()?;
    let stop = workspace::interrupted()?;
    let folder = Folder::create("envoy-run")?;
    let setup = scenario::scenario_with_keys(&folder.0)?;
    let upstream = upstream::start()?;
    let (listener_port, admin_port) = (envoy::free_port()?, envoy::free_port()?);
    let config = folder.0.join("envoy.yaml");
    let settings = Settings::default()
        .listener_port(listener_port)
        .admin_port(admin_port)
        .upstream_port(upstream.port)
        .module(&module)
        .configuration(&setup.configuration);
    fs::write(&config, settings.render()?)
        .with_context(|| format!("failed to write {}", config.display()))?;
    let log = workspace::target_dir().join("envoy.log");
    let start = Start { config: &config, admin_port, concurrency: 1, log: &log, access_log: Stdio::piped() };
    let mut envoy = Envoy::start(&binary, start)?;

    print!("{}", lines(setup, listener_port, &folder.0)?);
    println!(
        "\nEnvoy was ready after {:.1} s. The tokens hold for 10 minutes.",
        envoy.ready_after.as_secs_f64()
    );
    println!("Metrics: http://127.0.0.1:{admin_port}/stats/prometheus");
    println!("Log with the audit records: {}", log.display());
    println!("Ctrl-C ends it. Each request that Envoy has answered follows:\n");
    if let Some(access_log) = envoy.access_log() {
        thread::spawn(move || show(access_log));
    }
    while !stop.load(Ordering::Relaxed) {
        if !envoy.is_running() {
            // Ctrl-C reaches Envoy as well, and it may be the first to end.
            thread::sleep(Duration::from_millis(100));
            if !stop.load(Ordering::Relaxed) {
                bail!("Envoy ended:\n{}", fs::read_to_string(&log).unwrap_or_default());
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    println!("\nStopped.");
    Ok(())
}

fn show(access_log: ChildStdout) {
    for line in BufReader::new(access_log).lines().map_while(std::io::Result::ok) {
        println!("{}", readable(&line));
    }
}

/// What to paste into a shell, each line under what it shows.
fn lines(setup: Setup, port: u16, folder: &Path) -> Result<String> {
    let mut calls = setup.calls;
    let mut take = |id: &str| {
        let index = calls.iter().position(|call| call.id == id);
        index.map(|index| calls.swap_remove(index)).with_context(|| format!("no call {id} in the scenario"))
    };
    let mut text = String::new();
    let mut add = |title: &str, line: &str| text.push_str(&format!("\n# {title}\n{line}\n"));
    for id in SHOWN {
        let call = take(id)?;
        add(&call.title, &call.curl(port, "-i"));
        if id == "read-thread" {
            let reset = format!("-i -H '{}: 1'", upstream::RESET_HEADER);
            add(
                "the same, where the upstream closes the connection without an answer",
                &call.curl(port, &reset),
            );
            add("the same without a token", &call.without_token().curl(port, "-i"));
        }
    }
    let approved = take("publish-approved")?;
    let approval = approved.approval.as_ref().context("the approved call has no approval")?;
    let held = take(&approval.challenge_of)?;
    let challenge = folder.join("challenge.json");
    let challenge = shell_quoted(&challenge.to_string_lossy());
    add(
        "an approval, first step: be held, and keep the challenge",
        &held.curl(port, &format!("-s -o {challenge}")),
    );
    let header = format!("-i -H \"agent-approval: $({})\"", sign(approval, &challenge, folder));
    add(
        "second step: the approver signs exactly that post, and it passes; once",
        &approved.curl(port, &header),
    );
    Ok(text)
}

/// The command that signs an approval of the challenge in a file.
fn sign(approval: &Approval, challenge: &str, folder: &Path) -> String {
    let mut claims = approval.claims.as_object().cloned().unwrap_or_default();
    let approver = claims.remove("sub");
    // Of the time when it is signed, and new with each challenge.
    claims.remove("auth_time");
    claims.remove("jti");
    let claims = Value::Object(claims).to_string();
    let remit = workspace::target_dir().join("debug/remit");
    let key = folder.join(format!("{}.jwk", approval.kid));
    let words = [
        shell_quoted(&remit.to_string_lossy()),
        format!("token approval --challenge {challenge} --key"),
        shell_quoted(&key.to_string_lossy()),
        format!("--issuer {}", shell_quoted(&approval.issuer)),
        format!("--approver {}", shell_quoted(approver.as_ref().and_then(Value::as_str).unwrap_or_default())),
        format!("--claims {}", shell_quoted(&claims)),
    ];
    words.join(" ")
}

/// A folder under the target folder, removed when dropped.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn create(name: &str) -> Result<Self> {
        let path = workspace::target_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("failed to create {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now goes with the target folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
