//! A scenario's configuration, requests and tokens, as `remit scenario` prints them.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace;

/// The scenario that is shown and measured.
pub const SCENARIO: &str = "tests/scenarios/forum-post";

/// The bundle that decides it.
pub const BUNDLE: &str = "policy-bundles/agent-baseline";

/// A scenario that is ready to be played against a running filter.
#[derive(Debug)]
pub struct Setup {
    /// The plugin configuration with keys and bundle in it, as JSON.
    pub configuration: String,
    /// The scenario's requests, in order, with tokens that are valid now.
    pub calls: Vec<Call>,
    /// Further tokens of the first call's template, each different, as many as were asked for.
    pub tokens: Vec<String>,
}

/// One request.
#[derive(Debug)]
pub struct Call {
    /// What happens in it, in words.
    pub title: String,
    /// The method.
    pub method: String,
    /// For the `host` header.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// Names and values; neither `host` nor `authorization` is among them.
    pub headers: Vec<(String, String)>,
    /// The body; empty for none.
    pub body: String,
    /// The bearer token; `None` for a call without one.
    pub token: Option<String>,
}

/// The `remit` command, built if it has changed.
///
/// # Errors
/// When it does not build.
pub fn remit() -> Result<Command> {
    workspace::run(workspace::cargo().args(["build", "--package", "remit-harness", "--bin", "remit"]))?;
    let mut command = Command::new(workspace::target_dir().join("debug/remit"));
    command.current_dir(workspace::root());
    Ok(command)
}

/// The forum post with tokens from now on, signed with `algorithm`, and `tokens` spare ones.
///
/// # Errors
/// When `remit` does not build, or cannot prepare the scenario.
pub fn scenario_setup(algorithm: &str, tokens: usize) -> Result<Setup> {
    let mut command = remit()?;
    command.args(["scenario", SCENARIO, "--bundle", BUNDLE]).args([
        "--algorithm",
        algorithm,
        "--tokens",
        &tokens.to_string(),
    ]);
    let json = workspace::output(&mut command).context("failed to prepare the scenario")?;
    parse(&json).context("`remit scenario` printed something unexpected")
}

fn parse(json: &str) -> Result<Setup> {
    let document: Value = serde_json::from_str(json)?;
    let configuration = document.get("configuration").context("no configuration")?.to_string();
    let list =
        |name: &str| document.get(name).and_then(Value::as_array).with_context(|| format!("no {name}"));
    let calls = list("calls")?.iter().map(parse_call).collect::<Result<_>>()?;
    let tokens = list("tokens")?.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    Ok(Setup { configuration, calls, tokens })
}

fn parse_call(call: &Value) -> Result<Call> {
    let optional = |name: &str| call.get(name).and_then(Value::as_str).map(str::to_owned);
    let text = |name: &str| optional(name).with_context(|| format!("a call without {name}"));
    let headers = call.get("headers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let header = |pair: &Value| {
        let part = |index: usize| pair.get(index).and_then(Value::as_str).map(str::to_owned);
        Some((part(0)?, part(1)?))
    };
    Ok(Call {
        title: text("title")?,
        method: text("method")?,
        authority: text("authority")?,
        path: text("path")?,
        headers: headers
            .iter()
            .map(|pair| header(pair).context("a header is no pair"))
            .collect::<Result<_>>()?,
        body: optional("body").unwrap_or_default(),
        token: optional("token"),
    })
}

impl Call {
    /// The call as a command line to paste into a shell.
    #[must_use]
    pub fn curl(&self, port: u16) -> String {
        let mut words = vec![format!("curl -i http://127.0.0.1:{port}{} -X {}", self.path, self.method)];
        words.push(format!("-H {}", shell_quoted(&format!("host: {}", self.authority))));
        if let Some(token) = &self.token {
            words.push(format!("-H {}", shell_quoted(&format!("authorization: Bearer {token}"))));
        }
        for (name, value) in &self.headers {
            words.push(format!("-H {}", shell_quoted(&format!("{name}: {value}"))));
        }
        if !self.body.is_empty() {
            words.push(format!("--data-binary {}", shell_quoted(&self.body)));
        }
        words.join(" ")
    }

    /// The call as HTTP/1.1 bytes, its body filled up with spaces to at least `length`, with another token if given.
    #[must_use]
    pub fn bytes(&self, length: usize, token: Option<&str>) -> Vec<u8> {
        let body = format!("{:length$}", self.body);
        let mut head = format!("{} {} HTTP/1.1\r\nhost: {}\r\n", self.method, self.path, self.authority);
        if let Some(token) = token.or(self.token.as_deref()) {
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        head.into_bytes()
    }
}

/// In single quotes, where a shell leaves everything alone but the quote itself.
fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::parse;

    const PRINTED: &str = r#"{"configuration":{"version":1},"tokens":["t1","t2"],"calls":[
        {"title":"posts","method":"POST","authority":"forum.example","path":"/mcp","headers":[["a","b"]],
         "body":"it's","token":"t0"}]}"#;

    #[test]
    fn a_call_becomes_a_command_line_and_bytes() {
        let setup = parse(PRINTED).unwrap();
        assert_eq!(setup.configuration, r#"{"version":1}"#);
        assert_eq!(setup.tokens, ["t1", "t2"]);
        assert_eq!(
            setup.calls[0].curl(10000),
            "curl -i http://127.0.0.1:10000/mcp -X POST -H 'host: forum.example' \
             -H 'authorization: Bearer t0' -H 'a: b' --data-binary 'it'\\''s'"
        );
        let expected = "POST /mcp HTTP/1.1\r\nhost: forum.example\r\nauthorization: Bearer t1\r\na: b\r\n\
                        content-length: 6\r\n\r\nit's  ";
        assert_eq!(setup.calls[0].bytes(6, Some("t1")), expected.as_bytes());
    }

    #[test]
    fn what_is_missing_is_named() {
        for (json, message) in [
            ("{}", "no configuration"),
            (r#"{"configuration":{}}"#, "no calls"),
            (r#"{"configuration":{},"calls":[{"title":"a"}]}"#, "a call without method"),
        ] {
            assert_eq!(format!("{:#}", parse(json).unwrap_err()), message);
        }
    }
}
