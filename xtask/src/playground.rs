//! `cargo xtask envoy`: the filter in a real Envoy, to be tried with curl.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::envoy::{self, Envoy, Start};
use crate::envoy_config::Settings;
use crate::{build_wasm, scenario, upstream, workspace};

/// Runs until Ctrl-C; then Envoy and everything written for it are gone.
///
/// # Errors
/// When a part cannot be built or started, or Envoy ends by itself.
pub fn run() -> Result<()> {
    let module = build_wasm::build()?;
    let binary = envoy::binary()?;
    let setup = scenario::scenario_setup("ES256", 0)?;

    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("failed to watch for Ctrl-C")?;
    }
    let folder = Folder::create("envoy-run")?;
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
    let log = folder.0.join("envoy.log");
    let start =
        Start { config: &config, admin_port, concurrency: 1, log: &log, access_log: Stdio::inherit() };
    let mut envoy = Envoy::start(&binary, start)?;

    for call in &setup.calls {
        println!("\n# {}\n{}", call.title, call.curl(listener_port));
    }
    println!(
        "\n# an upstream that closes the connection\ncurl -i http://127.0.0.1:{listener_port}{}",
        upstream::RESET_PATH
    );
    println!("\nEnvoy is ready after {:.1} s. Its access log follows.", envoy.ready_after.as_secs_f64());
    println!("Metrics: http://127.0.0.1:{admin_port}/stats/prometheus   Audit: {}", log.display());
    println!("Ctrl-C ends it.");
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
