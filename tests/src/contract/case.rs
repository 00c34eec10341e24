//! A case as it is written down: a policy, a request, and what must come of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::http::Request;

/// The largest body that is read in a case, in bytes, unless it says otherwise.
pub(super) const BODY_BYTES: usize = 2048;

/// One case.
#[derive(Debug, Clone)]
pub struct Case {
    /// `<file>/<name>`.
    pub name: String,
    /// The policy, as its author wrote it.
    pub policy: String,
    /// Members of Remit's configuration over those of every case.
    pub config: Map<String, Value>,
    /// The request.
    pub request: Request,
    /// What must come of it.
    pub expect: Value,
    /// What comes of it with opa-envoy-plugin, where that is meant to differ, and the name of the difference.
    pub beside: Option<(String, Value)>,
    /// Only a real proxy can tell.
    pub needs_proxy: bool,
}

/// Cases with one policy and one configuration.
#[derive(Debug)]
pub struct Group {
    /// Its number, which names its listeners.
    pub number: usize,
    /// Its cases.
    pub cases: Vec<Case>,
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The status that the client got.
    pub status: u16,
    /// The headers that the client got, sorted.
    pub headers: Vec<(String, String)>,
    /// The body that the client got.
    pub body: Vec<u8>,
    /// What the upstream got.
    pub upstream: Option<Received>,
}

/// A request as the upstream got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Path and query.
    pub path: String,
    /// Its headers, sorted.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

/// The folder with the cases.
#[must_use]
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contract")
}

/// Every case of the suite.
///
/// # Errors
/// When one cannot be read; the error names it.
pub fn cases() -> Result<Vec<Case>> {
    let folder = folder();
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (number, line) in fs::read_to_string(&path)?.lines().enumerate() {
            let at = || format!("{}:{}", path.display(), number.saturating_add(1));
            let case = serde_json::from_str(line).map_err(anyhow::Error::from);
            cases.push(case.and_then(|case| read(&stem, &case)).with_context(at)?);
        }
    }
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    let twice = names.windows(2).find(|pair| pair.first() == pair.last());
    ensure!(twice.is_none(), "two cases of one name: {twice:?}");
    Ok(cases)
}

/// Cases with equal policies and configurations together.
#[must_use]
pub fn grouped(cases: Vec<Case>) -> Vec<Group> {
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases {
        let key = json!([case.policy, case.config]).to_string();
        groups.entry(key).or_default().push(case);
    }
    groups.into_values().enumerate().map(|(number, cases)| Group { number, cases }).collect()
}

const MEMBERS: [&str; 9] =
    ["name", "policy", "policy_file", "config", "request", "expect", "differs", "beside", "needs_proxy"];

fn read(stem: &str, case: &Value) -> Result<Case> {
    let text = |name: &str| case.get(name).and_then(Value::as_str).map(str::to_owned);
    let members = case.as_object().context("not an object")?;
    let unknown = members.keys().find(|name| !MEMBERS.contains(&name.as_str()));
    ensure!(unknown.is_none(), "unknown member {unknown:?}");
    let policy = match text("policy_file") {
        Some(file) => fs::read_to_string(folder().join(&file)).with_context(|| file)?,
        None => text("policy").context("no policy")?,
    };
    let expect = case.get("expect").cloned().context("no expect")?;
    ensure!(expect.get("status").is_some(), "no expected status");
    let beside = text("differs").map(|name| (name, case.get("beside").cloned().unwrap_or_default()));
    Ok(Case {
        name: format!("{stem}/{}", text("name").context("no name")?),
        policy,
        config: case.get("config").and_then(Value::as_object).cloned().unwrap_or_default(),
        request: request(case.get("request").unwrap_or(&Value::Null))?,
        expect,
        beside,
        needs_proxy: case.get("needs_proxy").is_some(),
    })
}

fn request(request: &Value) -> Result<Request> {
    let text = |name: &str| request.get(name).and_then(Value::as_str);
    let path = text("path").unwrap_or("/");
    let mut read =
        Request::new(text("method").unwrap_or("GET"), text("authority").unwrap_or("app.example"), path);
    for header in request.get("headers").and_then(Value::as_array).into_iter().flatten() {
        let part = |i: usize| header.get(i).and_then(Value::as_str).context("a header is [name, value]");
        read = read.header(part(0)?, part(1)?);
    }
    if let Some(body) = text("body") {
        read = read.body(body);
    }
    if let Some(body) = text("body_base64") {
        read = read.body(STANDARD.decode(body).map_err(|error| anyhow::anyhow!("{error}"))?);
    }
    Ok(read)
}

impl Group {
    /// The first case, which has the policy and the configuration of all.
    fn first(&self) -> Option<&Case> {
        self.cases.first()
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &str {
        self.first().map(|case| case.policy.as_str()).unwrap_or_default()
    }

    /// Members of Remit's configuration over those of every case.
    #[must_use]
    pub fn changes(&self) -> Map<String, Value> {
        self.first().map(|case| case.config.clone()).unwrap_or_default()
    }

    /// A setting below `input` of the configuration.
    #[must_use]
    pub fn input_setting(&self, name: &str) -> Option<Value> {
        self.first()?.config.get("input")?.get(name).cloned()
    }

    /// What tells this group's requests apart at a sidecar that serves all of them.
    #[must_use]
    pub fn label(&self) -> String {
        format!("g{}", self.number)
    }

    /// Remit's configuration.
    ///
    /// # Errors
    /// When the bundle cannot be made.
    pub fn configuration(&self) -> Result<String> {
        let mut files = remit_harness::pack::Files::default();
        files.add(".manifest", br#"{"revision": "contract"}"#.to_vec())?;
        files.add("policy.rego", self.policy().as_bytes().to_vec())?;
        let mut config = json!({
            "version": 1,
            "bundle": {"inline": STANDARD.encode(files.to_targz()?)},
            "decision": "envoy/authz/allow",
            "failures": {
                "token_missing": "decide_without",
                "path_ambiguous": "decide",
                "body_too_large": "decide_without"
            },
            "denials": {"body": "policy"},
            "limits": {"evaluation_ms": 1000, "body_bytes": BODY_BYTES},
            "input": {"context_extensions": {"case": self.label()}, "destination_labels": {"app": "contract"}},
        });
        for (name, value) in self.changes() {
            let whole = config.as_object_mut().context("an object")?;
            match (whole.get_mut(&name), value) {
                (Some(Value::Object(known)), Value::Object(more)) => known.extend(more),
                (_, value) => drop(whole.insert(name, value)),
            }
        }
        Ok(config.to_string())
    }
}

impl Outcome {
    /// What of an expectation does not hold.
    #[must_use]
    pub fn differences(&self, expect: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let mut holds = |holds: bool, what: String| {
            if !holds {
                found.push(what);
            }
        };
        let status = expect.get("status").and_then(Value::as_u64);
        holds(status == Some(u64::from(self.status)), format!("status {}", self.status));
        named(expect, &self.headers, "header", &mut holds);
        let body = String::from_utf8_lossy(&self.body);
        if let Some(expected) = expect.get("body") {
            holds(expected.as_str() == Some(&body), format!("body {body:?}"));
        }
        if let Some(expected) = expect.get("json") {
            let json: Option<Value> = serde_json::from_slice(&self.body).ok();
            holds(json.as_ref() == Some(expected), format!("body {body}"));
        }
        let upstream = expect.get("upstream");
        holds(
            upstream.is_some() == self.upstream.is_some(),
            format!("the upstream got {}", if self.upstream.is_some() { "it" } else { "nothing" }),
        );
        if let (Some(expected), Some(upstream)) = (upstream, &self.upstream) {
            if let Some(path) = expected.get("path").and_then(Value::as_str) {
                holds(path == upstream.path, format!("upstream path {}", upstream.path));
            }
            if let Some(body) = expected.get("body").and_then(Value::as_str) {
                holds(body.as_bytes() == upstream.body, "upstream body".to_owned());
            }
            named(expected, &upstream.headers, "upstream header", &mut holds);
        }
        found
    }
}

/// Holds the headers that an expectation names: exactly these values; none where the list is empty.
fn named(expect: &Value, headers: &[(String, String)], what: &str, holds: &mut impl FnMut(bool, String)) {
    for (name, values) in expect.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let found: Vec<&str> =
            headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect();
        holds(json!(found) == *values, format!("{what} {name}: {found:?}"));
    }
}
