//! What is compared: one Envoy each, alike but for the filter.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use anyhow::{Context, Result};

use super::filter::Filter;
use super::load::Requests;
use crate::envoy::{self, Envoy, Start};

/// Something to measure.
pub(super) struct Subject {
    /// As the table names it.
    pub(super) name: String,
    /// What stands before the router.
    pub(super) filter: Filter,
    /// Who is asked, where that is a process of its own.
    pub(super) sidecar: Option<Sidecar>,
    /// What it is sent.
    pub(super) requests: Requests,
    /// How many a round.
    pub(super) per_round: usize,
    /// Whether further workers are worth starting: not for what differs from another subject in its requests alone.
    pub(super) has_workers: bool,
}

/// A process that decides for a subject. Ends when dropped.
pub(super) struct Sidecar(pub(super) Child);

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Already ended, or about to: both are what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A subject's running Envoy.
pub(super) struct Running {
    pub(super) envoy: Envoy,
    pub(super) port: u16,
}

impl Subject {
    /// Starts its Envoy in front of the upstream, with files in `folder` under the name `label`.
    pub(super) fn start(
        &self,
        label: &str,
        folder: &Path,
        upstream_port: u16,
        concurrency: u32,
    ) -> Result<Running> {
        let (port, admin_port) = (envoy::free_port()?, envoy::free_port()?);
        let filter = self.filter.yaml(&folder.join(format!("{label}.wasm")))?;
        let (sidecar_port, sidecar_protocol) = self.filter.sidecar();
        let text = include_str!("../../bench/envoy.yaml")
            .replace("ADMIN_PORT", &admin_port.to_string())
            .replace("LISTENER_PORT", &port.to_string())
            .replace("UPSTREAM_PORT", &upstream_port.to_string())
            .replace("SIDECAR_PORT", &sidecar_port.to_string())
            .replace("SIDECAR_PROTOCOL\n", &format!("{sidecar_protocol}\n"))
            .replace("ROUTE\n", self.filter.route_yaml())
            .replace("FILTER\n", &filter);
        let config = folder.join(format!("{label}.yaml"));
        fs::write(&config, text).with_context(|| format!("failed to write {}", config.display()))?;
        let log = folder.join(format!("{label}.log"));
        let start = Start { config: &config, admin_port, concurrency, log: &log, access_log: Stdio::null() };
        let envoy = Envoy::start(&envoy::binary()?, start)
            .with_context(|| format!("failed to start {}", self.name))?;
        Ok(Running { envoy, port })
    }

    /// The size of its module, in megabytes.
    pub(super) fn module_megabytes(&self) -> Option<f64> {
        let (Filter::Wasm { module, .. } | Filter::WasmElsewhere { module, .. }) = &self.filter else {
            return None;
        };
        Some(f64::from(u32::try_from(module.len()).ok()?) / 1e6)
    }
}
