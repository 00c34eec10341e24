//! opa-envoy-plugin as a sidecar that evaluates the rules of Remit's bundle on the input that Remit would give them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::subject::Sidecar;
use crate::{envoy, http, scenario, workspace};

/// Answers with Remit's input in place of an answer.
const CAPTURING: &str =
    "package remit.authz\n\ndecision := {\"allowed\": false, \"body\": json.marshal(input.remit)}\n";

/// The sidecar has no `input.remit`: it gets the one that was captured, so that both evaluate the same.
const WRAPPER: &str = "package sidecar\n\n\
    allow := decision.allowed\n\n\
    decision := given if {\n\tgiven := data.remit.authz.decision with input.remit as data.captured\n}\n";

/// Starts the sidecar with files in `folder`; returns it with its gRPC port.
pub(super) fn start(binary: &Path, folder: &Path, call: &str) -> Result<(Sidecar, u16)> {
    let folder = folder.join("opa");
    let captured = json!({"captured": captured_input(&folder.join("capturing"), call)?});
    let files = [("captured.json", captured.to_string()), ("sidecar.rego", WRAPPER.to_owned())];
    for (name, content) in &files {
        write(&folder.join(name), content)?;
    }
    let root = workspace::root();
    let mut policy: Vec<OsString> = vec![
        root.join(scenario::BUNDLE).join("remit").into(),
        root.join(scenario::BUNDLE).join("data.json").into(),
        root.join(scenario::SCENARIO).join("data.json").into(),
    ];
    policy.extend(files.iter().map(|(name, _)| folder.join(name).into()));

    let (port, admin_port) = (envoy::free_port()?, envoy::free_port()?);
    let log = folder.join("opa.log");
    let child = Command::new(binary)
        .args(["run", "--server", "--skip-version-check", "--log-level", "error"])
        .args(["--addr", &format!("127.0.0.1:{admin_port}")])
        .args(["--set", &format!("plugins.envoy_ext_authz_grpc.addr=127.0.0.1:{port}")])
        .args(["--set", "plugins.envoy_ext_authz_grpc.path=sidecar/allow"])
        .args(["--set", "decision_logs.console=true"])
        .args(policy)
        .stdin(Stdio::null())
        // Where it says why it does not start; decisions go to the other stream.
        .stdout(File::create(&log)?)
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("failed to start {}", binary.display()))?;
    let mut sidecar = Sidecar(child);
    let begun = Instant::now();
    while !http::get(admin_port, "/health?plugins").is_ok_and(|(status, _)| status == 200) {
        if sidecar.0.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(30) {
            bail!("opa-envoy-plugin does not start:\n{}", fs::read_to_string(&log).unwrap_or_default());
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok((sidecar, port))
}

/// `input.remit` of a call of the scenario, from an evaluation of it.
fn captured_input(folder: &Path, call: &str) -> Result<Value> {
    write(&folder.join("remit/authz/decision.rego"), CAPTURING)?;
    let mut remit = scenario::remit()?;
    let mut bundle = vec![OsString::from("--bundle"), folder.into()];
    bundle.extend(["--native", "--format", "json"].map(OsString::from));
    // Its status says that the decisions are not the expected ones, which is so.
    let output = remit.args(["replay", scenario::SCENARIO]).args(bundle).output()?;
    let replay: Value = serde_json::from_slice(&output.stdout).context("`remit replay` printed no JSON")?;
    let exchanges = replay.get("exchanges").and_then(Value::as_array).context("no exchanges")?;
    let named = |exchange: &&Value| exchange.get("id").and_then(Value::as_str) == Some(call);
    let exchange = exchanges.iter().find(named).context("the call was not replayed")?;
    let reply = exchange.get("reply").and_then(Value::as_str).context("no reply")?;
    serde_json::from_str(reply).context("the reply holds no input")
}

fn write(path: &Path, content: &str) -> Result<()> {
    workspace::write_if_changed(path, content.as_bytes()).map(drop)
}
