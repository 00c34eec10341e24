//! What each stage costs, and the whole way of a request, with the shipped bundle and a `tools/call` of 2 KB.

use std::hint::black_box;
use std::path::{Path, PathBuf};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use jwt_simple::prelude::*;
use remit_core::action::Route;
use remit_core::approval::Binding;
use remit_core::audit::AuditRecord;
use remit_core::bundle::{Bundle, BundleLimits};
use remit_core::config::{Config, Denials, Limits, Mode};
use remit_core::decision::Decision;
use remit_core::delegation::Delegation;
use remit_core::effect::{self, Telling};
use remit_core::engine::{ActiveBundle, Engine};
use remit_core::exchange::{Body, Event, Exchange, Need, Nonce, Step};
use remit_core::ids::Now;
use remit_core::input::{Contract, Identity, Parts, compose};
use remit_core::json::JsonLimits;
use remit_core::keys::{Algorithm, KeyLimits, KeySet};
use remit_core::policy::HttpReply;
use remit_core::request::{Circumstances, RequestView};
use remit_core::token::{CachedToken, Compact, IssuerRules, TokenLimits, Unverified, VerifiedToken};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

const ISSUER: &str = "https://idp.internal.example";
const RESOURCE: &str = "https://tools.internal.example";
const SECONDS: u64 = 1_773_842_531;
const LIMITS: JsonLimits = JsonLimits { depth: 32, values: 10_000 };
const NOW: Now = Now(SECONDS * 1_000_000_000);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The shipped bundle with the scenario's catalog and registry.
fn bundle() -> Result<Bundle, Failure> {
    let folder = root().join("policy-bundles/agent-baseline");
    let mut files = vec![(".manifest".to_owned(), std::fs::read(folder.join(".manifest"))?)];
    let mut data: Value = serde_json::from_slice(&std::fs::read(folder.join("data.json"))?)?;
    let scenario = std::fs::read(root().join("tests/scenarios/forum-post/data.json"))?;
    let scenario: Value = serde_json::from_slice(&scenario)?;
    for (name, member) in scenario.pointer("/remit").and_then(Value::as_object).into_iter().flatten() {
        if let Some(remit) = data.pointer_mut("/remit").and_then(Value::as_object_mut) {
            remit.insert(name.clone(), member.clone());
        }
    }
    files.push(("data.json".to_owned(), data.to_string().into_bytes()));
    for entry in std::fs::read_dir(folder.join("remit/authz"))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !name.ends_with("_test.rego") {
            files.push((format!("remit/authz/{name}"), std::fs::read(path)?));
        }
    }
    Ok(Bundle::from_files(files, &BundleLimits::default())?)
}

struct Fixture {
    bundle: ActiveBundle,
    engine: Engine,
    token: String,
    keys: KeySet,
    rules: std::sync::Arc<IssuerRules>,
    body: Vec<u8>,
}

impl Fixture {
    fn new() -> Result<Self, Failure> {
        let pair = Ed25519KeyPair::generate().with_key_id("k1");
        let details = json!([{"type": "agent_task", "task_id": "t-1", "requested_by": "bea@internal.example",
            "actions": ["forum.thread.read", "forum.search"], "locations": ["thread/t-4711"]}]);
        let custom = json!({"sub_profile": "user", "act": {"iss": ISSUER, "sub": "agent-analyst"},
            "authorization_details": details});
        let custom: serde_json::Map<String, Value> = custom.as_object().cloned().unwrap_or_default();
        let mut claims = Claims::with_custom_claims(custom, Duration::from_secs(600))
            .with_issuer(ISSUER)
            .with_subject("bea@internal.example")
            .with_audience(RESOURCE)
            .with_jwt_id("j-1");
        claims.issued_at = Some(UnixTimeStamp::from_secs(SECONDS));
        claims.invalid_before = None;
        claims.expires_at = Some(UnixTimeStamp::from_secs(SECONDS + 600));
        let header = HeaderOptions { signature_type: Some("at+jwt".to_owned()), ..HeaderOptions::default() };
        let token = pair.sign_with_options(claims, &header)?;
        let mut jwk: Value = serde_json::from_str(&pair.public_key().to_jwk())?;
        if let Some(jwk) = jwk.as_object_mut() {
            jwk.insert("kid".to_owned(), json!("k1"));
        }
        let key_set = json!({"keys": [jwk]});
        let config = json!({
            "version": 1, "resource": RESOURCE, "limits": {"evaluation_ms": 1000},
            "issuers": [{"issuer": ISSUER, "algorithms": ["EdDSA"], "keys": {"inline": key_set}}],
            "bundle": {"http": {"cluster": "b", "authority": "b.example", "path": "/"}}});
        let mut engine = Engine::with_config(Config::parse(config.to_string().as_bytes())?)?;
        let limits = Limits::default();
        engine.activate(ActiveBundle::load(&bundle()?, "remit/authz/decision", &limits)?);
        let text = "x".repeat(1800);
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": "read_thread", "arguments": {"thread_id": "t-4711", "note": text}}});
        Ok(Self {
            bundle: ActiveBundle::load(&bundle()?, "remit/authz/decision", &limits)?,
            engine,
            token,
            keys: KeySet::parse(key_set.to_string().as_bytes(), &[Algorithm::EdDsa], &KeyLimits::default())?,
            rules: std::sync::Arc::new(IssuerRules::new(ISSUER, &[Algorithm::EdDsa], RESOURCE)),
            body: body.to_string().into_bytes(),
        })
    }

    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let length = self.body.len().to_string();
        let authorization = format!("Bearer {}", self.token);
        [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", "forum.internal.example"),
            (":path", "/mcp"),
            ("content-type", "application/json"),
            ("content-length", &length),
            ("accept", "application/json, text/event-stream"),
            ("user-agent", "bench/1"),
            ("x-request-id", "0d3e1f6a-8f5b-4b59-9a60-f6f1c8d2c0de"),
            ("authorization", &authorization),
        ]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()))
        .to_vec()
    }

    fn view(&self) -> Result<RequestView, Failure> {
        Ok(RequestView::parse(self.headers(), false, &Limits::default())?)
    }

    fn verified(&self) -> Result<VerifiedToken, Failure> {
        let compact = Compact::parse(&self.token, &TokenLimits::default())?;
        Ok(Unverified::prepare(compact, &self.rules, Some(&self.keys))?.verify(NOW)?)
    }

    /// The whole way; the answer is the outcome's name.
    fn run(&mut self) -> &'static str {
        let mut exchange = Exchange::new(Nonce::new(&[7; 32]));
        let mut event =
            Event::Headers { pairs: self.headers(), ends: false, circumstances: Circumstances::default() };
        loop {
            event = match exchange.advance(&mut self.engine, event, NOW) {
                Step::Need(Need::Body { .. }) => Event::Body(Body::Whole(self.body.clone())),
                Step::Need(Need::Keys { .. }) => Event::Keys { circumstances: Circumstances::default() },
                Step::Need(Need::Signature(_)) => Event::Signature(None),
                Step::Need(Need::Certificate) => Event::Certificate(None),
                Step::Need(Need::HttpCall(_)) => Event::HttpReply(HttpReply::Nothing),
                Step::Need(Need::State { .. } | Need::Store { .. }) => Event::State(None),
                Step::Done(conclusion) => {
                    black_box(conclusion.record.to_line());
                    return conclusion.outcome.as_str();
                }
            };
        }
    }
}

fn stages(criterion: &mut Criterion) -> Result<(), Failure> {
    let mut fixture = Fixture::new()?;
    assert_eq!(fixture.run(), "allow");
    let (view, token) = (fixture.view()?, fixture.verified()?);
    let delegation = Delegation::resolve(&token, &fixture.rules)?;
    let known = CachedToken { derived: Identity::new(&token, delegation.clone()), token: token.clone() };
    let action = Route::find(&view, &fixture.bundle.catalog).classify(&view, Some(&fixture.body), LIMITS)?;
    let (reads, footprint) = (fixture.bundle.policy.reads(), fixture.bundle.policy.footprint());
    let (contract, circumstances) = (Contract::default(), Circumstances::default());
    let parts = || Parts {
        request: &view,
        contract: &contract,
        circumstances: &circumstances,
        body: &fixture.body,
        parsed_body: None,
        truncated: false,
        identity: Some(&known),
        transaction: None,
        registration: remit_core::registry::Registration::Registered,
        action: &action,
        approval: None,
        mode: Mode::Enforce,
        id: "d",
        now: NOW,
    };
    let input = compose(parts(), &reads, footprint);
    let budget = Limits { evaluation_ms: 1000, ..Limits::default() }.evaluation();
    let value = fixture.bundle.policy.evaluate(input.clone(), &budget)?.value.to_json().unwrap_or_default();
    let denial = Decision::deny(remit_core::reason::NO_BUNDLE, 503);
    let telling = Telling { decision_id: "d", ..Telling::default() };

    let mut group = criterion.benchmark_group("stages");
    group.bench_function("parse", |b| {
        b.iter_batched(
            || fixture.headers(),
            |pairs| RequestView::parse(pairs, false, &Limits::default()).is_ok(),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("resolve", |b| {
        b.iter(|| Delegation::resolve(black_box(&token), &fixture.rules).is_ok())
    });
    group.bench_function("classify", |b| {
        b.iter(|| {
            Route::find(&view, &fixture.bundle.catalog).classify(&view, Some(&fixture.body), LIMITS).is_ok()
        });
    });
    group.bench_function("compose", |b| b.iter(|| compose(parts(), &reads, footprint)));
    group.bench_function("evaluate", |b| {
        b.iter(|| fixture.bundle.policy.evaluate(black_box(input.clone()), &budget).is_ok());
    });
    group.bench_function("decide", |b| b.iter(|| Decision::from_policy(black_box(value.clone())).is_ok()));
    group.bench_function("render", |b| {
        b.iter(|| effect::reply(black_box(&denial), &telling, Denials::default()))
    });
    group.bench_function("record", |b| {
        b.iter(|| {
            let mut record = AuditRecord::of(&denial, "d", Mode::Enforce, NOW);
            record.delegated(&delegation);
            record.acted(&action);
            record.to_line()
        });
    });
    group.bench_function("bind an approval", |b| {
        b.iter(|| Binding::of(RESOURCE, &view, &action, None, &delegation, None).is_ok());
    });
    group.finish();
    criterion.bench_function("whole way, cached token", |b| b.iter(|| fixture.run()));
    Ok(())
}

fn benches(criterion: &mut Criterion) {
    if let Err(failure) = stages(criterion) {
        eprintln!("the stages cannot be measured: {failure}");
        std::process::exit(1);
    }
}

criterion_group!(all, benches);
criterion_main!(all);
