//! Server and clients of the official MCP SDKs, as processes that speak a line of JSON at a time.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use xtask::{node, python, workspace};

use crate::proxy::SOON;
use crate::world::FORUM;

/// The release of the SDK for Python that is tested with, from PyPI.
pub const PYTHON: &str = "mcp==1.30.0";
/// The release of the SDK for TypeScript that is tested with, from npm.
pub const TYPESCRIPT: &str = "@modelcontextprotocol/sdk@1.32.2";

/// What runs a script that uses an SDK.
#[derive(Debug, Clone)]
pub struct Sdk {
    program: PathBuf,
    client: PathBuf,
}

impl Sdk {
    /// The SDK for Python, installed on the first call. It has the server too.
    ///
    /// # Errors
    /// When there is no Python 3, or no package index.
    pub fn python() -> Result<Self> {
        let program = python::environment("mcp-venv", PYTHON)?.join("bin/python3");
        Ok(Self { program, client: script("client.py") })
    }

    /// The SDK for TypeScript, installed on the first call.
    ///
    /// # Errors
    /// When there is no Node with npm, or no package registry.
    pub fn typescript() -> Result<Self> {
        let folder = node::folder("mcp-node", TYPESCRIPT)?;
        // Node looks for packages beside the script.
        let client = folder.join("client.mjs");
        workspace::write_if_changed(&client, &fs::read(script("client.mjs"))?)?;
        Ok(Self { program: PathBuf::from("node"), client })
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp").join(name)
}

/// A process of the tests' own. Ends when dropped.
#[derive(Debug)]
struct Script {
    child: Child,
    lines: Receiver<String>,
}

impl Script {
    fn start(program: &Path, script: &Path, arguments: &[&str]) -> Result<(Self, ChildStdin)> {
        let mut child = Command::new(program)
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start {}", script.display()))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stdout = BufReader::new(stdout.context("no standard output")?);
        let (sender, lines) = channel();
        // A read has no time limit of its own; a channel's has.
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok((Self { child, lines }, stdin.context("no standard input")?))
    }

    fn line(&self) -> Result<Value> {
        let line = self.lines.recv_timeout(SOON).context("no answer in time")?;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Already ended, or about to: both are what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server.
#[derive(Debug)]
pub struct Server {
    script: Script,
    _stdin: ChildStdin,
    /// Where it listens.
    pub port: u16,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// When it does not say where it listens.
    pub fn start(python: &Sdk) -> Result<Self> {
        let (script, stdin) = Script::start(&python.program, &script("server.py"), &[])?;
        let port = script.line()?.get("port").and_then(Value::as_u64).context("no port")?;
        Ok(Self { script, _stdin: stdin, port: u16::try_from(port)? })
    }

    /// The calls that arrived since the last time: tool, and the headers that only the filter may send.
    #[must_use]
    pub fn calls(&self) -> Vec<Value> {
        self.script.lines.try_iter().filter_map(|line| serde_json::from_str(&line).ok()).collect()
    }
}

/// A client with one session.
#[derive(Debug)]
pub struct Client {
    script: Script,
    stdin: Option<ChildStdin>,
}

impl Client {
    /// Starts one that talks to the forum through a proxy on this port.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(sdk: &Sdk, port: u16) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}/mcp");
        let (script, stdin) = Script::start(&sdk.program, &sdk.client, &[&url, FORUM])?;
        Ok(Self { script, stdin: Some(stdin) })
    }

    /// Gives a command and returns the answer. A session that breaks meanwhile answers `{"broken": […]}`.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn ask(&mut self, command: &Value) -> Result<Value> {
        let Some(stdin) = &mut self.stdin else { bail!("the session is over") };
        // One that has broken is not there to listen, but has said why.
        let _ = writeln!(stdin, "{command}");
        self.script.line()
    }

    /// With these tokens from now on: the next one after a 401.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn present(&mut self, tokens: &[&str]) -> Result<()> {
        self.ask(&json!({"do": "tokens", "tokens": tokens})).map(drop)
    }

    /// Calls a tool, with an approval if there is one.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn call(&mut self, tool: &str, arguments: &Value, approval: Option<&str>) -> Result<Value> {
        self.ask(&json!({"do": "call", "tool": tool, "arguments": arguments, "approval": approval}))
    }

    /// Ends the session as the SDK does, and returns its last word.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn close(&mut self) -> Result<Value> {
        self.stdin = None;
        self.script.line()
    }
}
