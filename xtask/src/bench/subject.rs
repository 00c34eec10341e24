//! What is compared: one Envoy each, alike but for the filter.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::load::Requests;
use crate::envoy::{self, Envoy, Start};

/// Something to measure.
pub(super) struct Subject {
    /// As the table names it.
    pub(super) name: String,
    /// What stands before the router.
    pub(super) filter: Filter,
    /// What it is sent.
    pub(super) requests: Requests,
    /// How many a round.
    pub(super) per_round: usize,
}

/// A filter in front of the router.
pub(super) enum Filter {
    /// None: what the others are compared with.
    None,
    /// A proxy-wasm module with this plugin configuration.
    Wasm { module: Vec<u8>, configuration: String },
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
        let text = include_str!("../../bench/envoy.yaml")
            .replace("ADMIN_PORT", &admin_port.to_string())
            .replace("LISTENER_PORT", &port.to_string())
            .replace("UPSTREAM_PORT", &upstream_port.to_string())
            .replace("FILTER\n", &filter);
        let config = folder.join(format!("{label}.yaml"));
        fs::write(&config, text).with_context(|| format!("failed to write {}", config.display()))?;
        let log = folder.join(format!("{label}.log"));
        let start = Start { config: &config, admin_port, concurrency, log: &log, access_log: Stdio::null() };
        let envoy = Envoy::start(&envoy::binary()?, start)
            .with_context(|| format!("failed to start {}", self.name))?;
        Ok(Running { envoy, port })
    }
}

impl Filter {
    /// The entry in `http_filters`; a module is written to `path` first.
    fn yaml(&self, path: &Path) -> Result<String> {
        let Self::Wasm { module, configuration } = self else { return Ok(String::new()) };
        fs::write(path, module).with_context(|| format!("failed to write {}", path.display()))?;
        Ok(format!(
            r#"                  - name: subject
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        allow_on_headers_stop_iteration: true
                        vm_config:
                          runtime: envoy.wasm.runtime.v8
                          code: {{ local: {{ filename: '{}' }} }}
                        configuration:
                          "@type": type.googleapis.com/google.protobuf.StringValue
                          value: '{}'
"#,
            path.display(),
            configuration.replace('\'', "''"),
        ))
    }
}
