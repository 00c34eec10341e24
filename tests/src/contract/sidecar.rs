//! A real opa-envoy-plugin that serves the policies of many cases, each under a name of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use xtask::{envoy, http};

use super::case::Group;

/// How long its start may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its own settings that a group needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Settings {
    skip_request_body_parse: bool,
    dry_run: bool,
    /// In base64.
    proto_descriptor: Option<String>,
}

impl Settings {
    /// Those that say what Remit's configuration says.
    #[must_use]
    pub fn of(group: &Group) -> Self {
        let descriptor = group.input_setting("proto_descriptor");
        Self {
            skip_request_body_parse: group.input_setting("skip_request_body_parse")
                == Some(Value::Bool(true)),
            dry_run: group.changes().get("mode").and_then(Value::as_str) == Some("observe"),
            proto_descriptor: descriptor.and_then(|text| text.as_str().map(str::to_owned)),
        }
    }
}

/// A running opa-envoy-plugin. Ends when dropped.
#[derive(Debug)]
pub struct Sidecar {
    child: Child,
    /// Where it speaks ext_authz.
    pub port: u16,
}

impl Sidecar {
    /// Starts one for these groups.
    ///
    /// # Errors
    /// When it does not start; the error holds what it said.
    pub fn start(binary: &Path, folder: &Path, settings: &Settings, groups: &[&Group]) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let mut policies = vec![folder.join("dispatch.rego")];
        let mut dispatch = "package contract\n\nimport rego.v1\n".to_owned();
        for group in groups {
            let label = group.label();
            let path = decision(group);
            dispatch.push_str(&format!(
                "\nallow := data.{label}.{path} if input.attributes.contextExtensions.case == \"{label}\"\n"
            ));
            let file = folder.join(format!("{label}.rego"));
            // Its package moves below its label; nothing else of it changes.
            let policy = group.policy().replacen("package ", &format!("package {label}."), 1);
            fs::write(&file, policy)?;
            policies.push(file);
        }
        fs::write(folder.join("dispatch.rego"), dispatch)?;
        let (port, admin_port) = (envoy::free_port()?, envoy::free_port()?);
        let log = folder.join("opa.log");
        let mut command = Command::new(binary);
        let set = |command: &mut Command, name: &str, value: &str| {
            command.args(["--set", &format!("plugins.envoy_ext_authz_grpc.{name}={value}")]);
        };
        command.args(["run", "--server", "--skip-version-check", "--log-level", "error"]);
        command.args(["--addr", &format!("127.0.0.1:{admin_port}")]);
        set(&mut command, "addr", &format!("127.0.0.1:{port}"));
        set(&mut command, "path", "contract/allow");
        set(&mut command, "dry-run", &settings.dry_run.to_string());
        set(&mut command, "skip-request-body-parse", &settings.skip_request_body_parse.to_string());
        if let Some(descriptor) = &settings.proto_descriptor {
            let file: PathBuf = folder.join("descriptors.pb");
            let bytes = STANDARD.decode(descriptor).map_err(|error| anyhow::anyhow!("{error}"))?;
            fs::write(&file, bytes)?;
            set(&mut command, "proto-descriptor", &file.to_string_lossy());
        }
        let output = File::create(&log)?;
        command.args(&policies).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("failed to start {}", binary.display()))?;
        let mut sidecar = Self { child, port };
        let begun = Instant::now();
        while !http::get(admin_port, "/health?plugins").is_ok_and(|(status, _)| status == 200) {
            let said = || fs::read_to_string(&log).unwrap_or_default();
            ensure!(sidecar.child.try_wait()?.is_none(), "opa-envoy-plugin ended:\n{}", said());
            ensure!(begun.elapsed() < PATIENCE, "opa-envoy-plugin does not start:\n{}", said());
            thread::sleep(Duration::from_millis(50));
        }
        Ok(sidecar)
    }
}

/// The decision as a reference below `data`.
fn decision(group: &Group) -> String {
    let path =
        group.changes().get("decision").and_then(Value::as_str).unwrap_or("envoy/authz/allow").to_owned();
    path.replace('/', ".")
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        // Already ended, or about to: both are what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
