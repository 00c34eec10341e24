//! The people, agents, keys and tokens of the forum post, at the present time.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_core::approval::APPROVAL_TYPE;
use remit_core::ids::Now;
use remit_harness::challenge::Challenge;
use remit_harness::mint::{approval_claims, token_claims};
use remit_harness::pack::{Files, PackOptions};
use remit_harness::scenario::Scenario;
use remit_harness::signing::SigningKey;
use serde_json::{Map, Value, json};

use crate::http::Request;

/// Who signs tokens.
pub const IDP: &str = "https://idp.internal.example";
/// Who signs approvals.
pub const APPROVALS: &str = "https://approvals.internal.example";
/// The forum.
pub const FORUM: &str = "forum.internal.example";
/// A route of the forum that the analyst may read.
pub const THREAD: &str = "/api/v1/threads/t-4711";

/// The present.
#[must_use]
pub fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// A time before now.
#[must_use]
pub fn seconds_ago(seconds: u64) -> Now {
    Now(now().0.saturating_sub(seconds.saturating_mul(1_000_000_000)))
}

/// The folder of a scenario.
#[must_use]
pub fn scenario_folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

/// What a busy machine takes longer for is not the policy's doing: the whole second that may be configured.
pub fn with_patience(config: &mut Map<String, Value>) {
    let limits = config.entry("limits").or_insert_with(|| json!({}));
    if let Some(limits) = limits.as_object_mut() {
        limits.insert("evaluation_ms".to_owned(), json!(1000));
    }
}

/// A bundle of a policy and the forum's data.
///
/// # Errors
/// When the data cannot be read.
pub fn bundle(revision: &str, policy: &str) -> Result<Vec<u8>> {
    let data = std::fs::read(scenario_folder("forum-post").join("data.json"))?;
    let manifest = json!({"revision": revision, "roots": ["remit"]});
    let mut files = Files::default();
    files.add(".manifest", manifest.to_string().into_bytes())?;
    files.add("policy.rego", policy.as_bytes().to_vec())?;
    files.add_data(data)?;
    Ok(files.to_targz()?)
}

/// The shipped bundle with the forum's data, under another revision.
///
/// # Errors
/// When a file cannot be read.
pub fn shipped_bundle() -> Result<Vec<u8>> {
    let folder = xtask::workspace::root().join("policy-bundles/agent-baseline");
    let mut files = Files::read(&folder, &PackOptions::default())?;
    files.add_data(std::fs::read(scenario_folder("forum-post").join("data.json"))?)?;
    Ok(files.to_targz()?)
}

/// The keys and the configuration of the forum post.
#[derive(Debug)]
pub struct World {
    scenario: Scenario,
}

impl World {
    /// The forum post with new keys, as if it had begun five minutes ago.
    ///
    /// # Errors
    /// When the scenario does not load.
    pub fn new() -> Result<Self> {
        let scenario = Scenario::load(&scenario_folder("forum-post"))?.rebased(seconds_ago(300));
        Ok(Self { scenario })
    }

    /// The plugin configuration, with members of `changes` over it.
    #[must_use]
    pub fn config(&self, changes: Value) -> String {
        let mut config = self.scenario.plugin_config_document();
        if let Value::Object(changes) = changes {
            config.extend(changes);
        }
        with_patience(&mut config);
        Value::Object(config).to_string()
    }

    /// The plugin configuration with this bundle inline, and changes over it.
    #[must_use]
    pub fn config_with_bundle(&self, bundle: &[u8], mut changes: Value) -> String {
        if let Some(changes) = changes.as_object_mut() {
            changes.insert("bundle".to_owned(), json!({"inline": STANDARD.encode(bundle)}));
        }
        self.config(changes)
    }

    /// The issuers of the configuration, with the keys fetched over HTTP from the cluster `keys`.
    #[must_use]
    pub fn issuers_over_http(&self, source: &Value) -> Value {
        let mut issuers = self.scenario.plugin_config_document().remove("issuers").unwrap_or_default();
        for issuer in issuers.as_array_mut().into_iter().flatten() {
            if let Some(issuer) = issuer.as_object_mut() {
                issuer.insert("keys".to_owned(), json!({"http": source}));
            }
        }
        issuers
    }

    /// The key of an issuer.
    ///
    /// # Errors
    /// When the scenario knows no such issuer.
    pub fn key(&self, iss: &str) -> Result<&SigningKey> {
        self.scenario.keys().key(iss).with_context(|| format!("no key of {iss}"))
    }

    /// The key set that the issuer of tokens publishes.
    ///
    /// # Errors
    /// When the scenario knows no such issuer.
    pub fn key_set(&self) -> Result<Vec<u8>> {
        Ok(json!({"keys": [self.key(IDP)?.public_jwk()]}).to_string().into_bytes())
    }

    /// The claims of the analyst's token from now on, with changes; `null` leaves a claim out.
    ///
    /// # Errors
    /// When the scenario has no such token.
    pub fn claims(&self, changes: &Value) -> Result<Value> {
        let template = self.scenario.capture.tokens.get("analyst").context("no template")?;
        let mut claims = token_claims("analyst", template, now());
        if let (Some(claims), Some(changes)) = (claims.as_object_mut(), changes.as_object()) {
            for (name, value) in changes {
                claims.insert(name.clone(), value.clone());
            }
            claims.retain(|_, value| !value.is_null());
        }
        Ok(claims)
    }

    /// A good token.
    ///
    /// # Errors
    /// As [`World::claims`].
    pub fn token(&self) -> Result<String> {
        self.token_with(&json!({}))
    }

    /// A token whose claims are changed.
    ///
    /// # Errors
    /// As [`World::claims`].
    pub fn token_with(&self, changes: &Value) -> Result<String> {
        Ok(self.key(IDP)?.sign("at+jwt", &self.claims(changes)?))
    }

    /// An approval by Mara of the challenge in a denial, with changes of its claims.
    ///
    /// # Errors
    /// When the body holds no sound challenge.
    pub fn approval(&self, denial: &[u8], changes: &Value) -> Result<String> {
        let challenge = Challenge::in_reply(denial)?;
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), json!("mara.osei@internal.example"));
        claims.insert("sub_profile".to_owned(), json!("user"));
        claims.insert("acr".to_owned(), json!("phr"));
        claims.insert("auth_time".to_owned(), json!(seconds_ago(5).seconds().0));
        claims.extend(changes.as_object().cloned().unwrap_or_default());
        let claims = approval_claims(&challenge, APPROVALS, &claims, now());
        Ok(self.key(APPROVALS)?.sign(APPROVAL_TYPE, &claims))
    }
}

/// A tool call to the forum.
#[must_use]
pub fn call(token: &str, tool: &str, arguments: &Value) -> Request {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                         "params": {"name": tool, "arguments": arguments}});
    mcp(token, message.to_string())
}

/// A body sent to the forum's MCP endpoint.
#[must_use]
pub fn mcp(token: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", FORUM, "/mcp")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .bearer(token)
        .body(body)
}

/// Reads the thread: allowed.
#[must_use]
pub fn read(token: &str) -> Request {
    call(token, "read_thread", &json!({"thread_id": "t-4711"}))
}

/// Reads the thread over the REST API: allowed, and no body at all.
#[must_use]
pub fn get(token: &str) -> Request {
    Request::new("GET", FORUM, THREAD).bearer(token)
}

/// Posts in the thread: needs an approval.
#[must_use]
pub fn publish(token: &str, text: &str) -> Request {
    call(token, "publish_reply", &json!({"thread_id": "t-4711", "text": text}))
}
