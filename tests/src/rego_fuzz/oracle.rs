//! OPA as a server, asked over one connection: a process for each case would be slow.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::opa_cases::Outcome;

/// A running OPA, ended with this value.
#[derive(Debug)]
pub struct Server {
    process: Child,
    connection: BufReader<TcpStream>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Server {
    /// Starts OPA with this data.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn start(opa: &Path, data: &Value) -> Result<Self> {
        Self::start_with(opa, &[], data)
    }

    /// The same with more arguments.
    ///
    /// # Errors
    /// When it does not start or does not answer.
    pub fn start_with(opa: &Path, arguments: &[&str], data: &Value) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(opa)
            .args(["run", "--server", "--log-level", "error", "--addr", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut tries = 0_u32;
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) => break stream,
                Err(_) if tries < 200 => {
                    tries = tries.saturating_add(1);
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(error) => return Err(error).context("opa does not answer"),
            }
        };
        stream.set_nodelay(true)?;
        let mut server = Self { process, connection: BufReader::new(stream) };
        server.know(data)?;
        Ok(server)
    }

    /// Puts members of the data in place.
    ///
    /// # Errors
    /// When OPA does not answer.
    pub fn know(&mut self, data: &Value) -> Result<()> {
        for (name, value) in data.as_object().into_iter().flatten() {
            self.ask("PUT", &format!("/v1/data/{name}"), &value.to_string())?;
        }
        Ok(())
    }

    /// Puts a policy in place of the one before; `false` when OPA refuses it.
    ///
    /// # Errors
    /// When OPA does not answer.
    pub fn load(&mut self, policy: &str) -> Result<Result<(), String>> {
        self.load_as("case", policy)
    }

    /// The same under a name; an empty text takes the policy away.
    ///
    /// # Errors
    /// When OPA does not answer.
    pub fn load_as(&mut self, name: &str, policy: &str) -> Result<Result<(), String>> {
        let method = if policy.is_empty() { "DELETE" } else { "PUT" };
        let (status, answer) = self.ask(method, &format!("/v1/policies/{name}"), policy)?;
        Ok(if status == 200 { Ok(()) } else { Err(answer.to_string()) })
    }

    /// The decision on an input.
    ///
    /// # Errors
    /// When OPA does not answer, or not in its own form.
    pub fn decide(&mut self, input: &Value) -> Result<Outcome> {
        self.decide_at("fuzz/decision", input)
    }

    /// The value of a rule on an input.
    ///
    /// # Errors
    /// When OPA does not answer, or not in its own form.
    pub fn decide_at(&mut self, path: &str, input: &Value) -> Result<Outcome> {
        let asked = json!({ "input": input }).to_string();
        let (status, answer) = self.ask("POST", &format!("/v1/data/{path}"), &asked)?;
        if status == 200 {
            return Ok(answer.get("result").cloned().map_or(Outcome::Undefined, Outcome::Value));
        }
        let text = answer.to_string();
        Ok(if text.contains("eval_conflict_error") { Outcome::Conflict } else { Outcome::Error(text) })
    }

    /// Whether some rule of the package conflicts on an input.
    ///
    /// # Errors
    /// When OPA does not answer.
    pub fn conflicts(&mut self, input: &Value) -> Result<bool> {
        let (_, answer) = self.ask("POST", "/v1/data/fuzz", &json!({ "input": input }).to_string())?;
        Ok(answer.to_string().contains("eval_conflict_error"))
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, Value)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: opa\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n{body}",
            if path.starts_with("/v1/policies") { "text/plain" } else { "application/json" },
            body.len(),
        );
        self.connection.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        if self.connection.read_line(&mut line)? == 0 {
            // A builtin of its own has panicked; it serves on.
            let stream = TcpStream::connect(self.connection.get_ref().peer_addr()?)?;
            self.connection = BufReader::new(stream);
            return Ok((500, Value::Null));
        }
        let status = line.split(' ').nth(1).context("no status")?.parse()?;
        let (mut length, mut chunked) = (0_usize, false);
        loop {
            line.clear();
            self.connection.read_line(&mut line)?;
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= header == "transfer-encoding: chunked";
        }
        let mut answer = Vec::new();
        if chunked {
            loop {
                line.clear();
                self.connection.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16)?;
                let mut chunk = vec![0; size.saturating_add(2)];
                self.connection.read_exact(&mut chunk)?;
                if size == 0 {
                    break;
                }
                answer.extend_from_slice(chunk.get(..size).unwrap_or_default());
            }
        } else {
            answer.resize(length, 0);
            self.connection.read_exact(&mut answer)?;
        }
        if answer.is_empty() {
            return Ok((status, Value::Null));
        }
        match serde_json::from_slice(&answer) {
            Ok(value) => Ok((status, value)),
            // A number that no double holds, or none at all, as `NaN`.
            Err(_) if status == 200 => Ok((500, Value::Null)),
            Err(error) => bail!("opa answers {}: {error}", String::from_utf8_lossy(&answer)),
        }
    }
}
