//! A scenario's configuration, requests and tokens, as `remit scenario` prints them.

use std::path::Path;
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
    /// Its name in the scenario.
    pub id: String,
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
    /// The approval that it needs; it can be signed when the call that it approves was held.
    pub approval: Option<Approval>,
}

/// What an approval of the scenario says.
#[derive(Debug)]
pub struct Approval {
    /// The call whose denial holds the challenge.
    pub challenge_of: String,
    /// Who signs it.
    pub issuer: String,
    /// The key it is signed with, in the file `<kid>.jwk`.
    pub kid: String,
    /// Claims of the approver, a JSON object.
    pub claims: Value,
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
pub fn scenario_setup(bundle: &str, algorithm: &str, tokens: usize) -> Result<Setup> {
    prepare(bundle, &["--algorithm", algorithm, "--tokens", &tokens.to_string()])
}

/// As [`scenario_setup`], with a second bundle merged into the first and no spare tokens.
///
/// # Errors
/// As [`scenario_setup`].
pub fn scenario_setup_with(bundle: &str, second: &str, algorithm: &str) -> Result<Setup> {
    prepare(bundle, &["--bundle", second, "--algorithm", algorithm])
}

/// The forum post with tokens from now on, and its issuers' private keys in `folder`, to sign approvals with.
///
/// # Errors
/// As [`scenario_setup`], and when the keys cannot be written or are there already.
pub fn scenario_with_keys(folder: &Path) -> Result<Setup> {
    prepare(BUNDLE, &["--keys", &folder.to_string_lossy()])
}

fn prepare(bundle: &str, options: &[&str]) -> Result<Setup> {
    let mut command = remit()?;
    command.args(["scenario", SCENARIO, "--bundle", bundle]).args(options);
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
    let approval = call.get("approval").filter(|approval| !approval.is_null());
    Ok(Call {
        id: text("id")?,
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
        approval: approval.map(parse_approval).transpose()?,
    })
}

fn parse_approval(approval: &Value) -> Result<Approval> {
    let text = |name: &str| {
        let text = approval.get(name).and_then(Value::as_str).map(str::to_owned);
        text.with_context(|| format!("an approval without {name}"))
    };
    Ok(Approval {
        challenge_of: text("challenge_of")?,
        issuer: text("issuer")?,
        kid: text("kid")?,
        claims: approval.get("claims").cloned().unwrap_or_default(),
    })
}

impl Call {
    /// The call as a command line to paste into a shell, with these words after `curl`.
    #[must_use]
    pub fn curl(&self, port: u16, options: &str) -> String {
        let mut words =
            vec![format!("curl {options} http://127.0.0.1:{port}{} -X {}", self.path, self.method)];
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

    /// The call without its token.
    #[must_use]
    pub fn without_token(self) -> Self {
        Self { token: None, ..self }
    }

    /// The call as HTTP/1.1 bytes, with another token if given. A `tools/call` gets a further argument that fills its
    /// body up to `length`.
    #[must_use]
    pub fn bytes(&self, length: usize, token: Option<&str>) -> Vec<u8> {
        let body = filled(&self.body, length).unwrap_or_else(|| self.body.clone());
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

/// The body of a `tools/call` with text in a further argument; `None` for another body, or one that is long enough.
fn filled(body: &str, length: usize) -> Option<String> {
    let mut call: Value = serde_json::from_str(body).ok()?;
    let arguments = call.pointer_mut("/params/arguments")?.as_object_mut()?;
    let added = r#""context":"","#.len();
    let missing = length.checked_sub(body.len())?.checked_sub(added)?;
    let text: String = "what was said before, in words ".chars().cycle().take(missing).collect();
    arguments.insert("context".to_owned(), Value::String(text));
    Some(call.to_string())
}

/// In single quotes, where a shell leaves everything alone but the quote itself.
pub(crate) fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::{filled, parse};

    const PRINTED: &str = r#"{"configuration":{"version":1},"tokens":["t1","t2"],"calls":[
        {"id":"c","title":"posts","method":"POST","authority":"forum.example","path":"/mcp","headers":[["a","b"]],
         "body":"it's","token":"t0","approval":{"challenge_of":"b","issuer":"i","kid":"k","claims":{}}}]}"#;

    #[test]
    fn a_call_becomes_a_command_line_and_bytes() {
        let setup = parse(PRINTED).unwrap();
        assert_eq!(setup.configuration, r#"{"version":1}"#);
        assert_eq!(setup.tokens, ["t1", "t2"]);
        assert_eq!(
            setup.calls[0].curl(10000, "-i"),
            "curl -i http://127.0.0.1:10000/mcp -X POST -H 'host: forum.example' \
             -H 'authorization: Bearer t0' -H 'a: b' --data-binary 'it'\\''s'"
        );
        assert_eq!(setup.calls[0].approval.as_ref().unwrap().kid, "k");
        let expected = "POST /mcp HTTP/1.1\r\nhost: forum.example\r\nauthorization: Bearer t1\r\na: b\r\n\
                        content-length: 4\r\n\r\nit's";
        assert_eq!(setup.calls[0].bytes(6, Some("t1")), expected.as_bytes());
    }

    #[test]
    fn a_tool_call_is_filled_up() {
        let body = r#"{"params":{"arguments":{"a":1}}}"#;
        let expected = r#"{"params":{"arguments":{"a":1,"context":"what"}}}"#;
        assert_eq!(filled(body, expected.len()).as_deref(), Some(expected));
        assert_eq!((filled(body, 10), filled("text", 100), filled("{}", 100)), (None, None, None));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (json, message) in [
            ("{}", "no configuration"),
            (r#"{"configuration":{}}"#, "no calls"),
            (r#"{"configuration":{},"calls":[{"id":"c","title":"a"}]}"#, "a call without method"),
        ] {
            assert_eq!(format!("{:#}", parse(json).unwrap_err()), message);
        }
    }
}
