//! What a token costs: taken apart, verified with each algorithm, found in the cache.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use jwt_simple::prelude::*;
use remit_core::ids::Now;
use remit_core::keys::{Algorithm, KeyLimits, KeySet};
use remit_core::token::{CacheLimits, Compact, IssuerRules, TokenCache, TokenLimits, Unverified};
use serde_json::json;

const ISSUER: &str = "https://idp.example";
const AUDIENCE: &str = "https://tools.example";
const SECONDS: u64 = 1_773_842_531;

type Details = serde_json::Map<String, serde_json::Value>;

fn claims() -> JWTClaims<Details> {
    let custom = json!({
        "client_id": "console", "scope": "forum:read forum:write", "sub_profile": "user",
        "act": { "iss": ISSUER, "sub": "agent-7", "act": { "iss": ISSUER, "sub": "planner" } },
        "authorization_details": [{ "type": "agent_task", "task_id": "t-1", "actions": ["forum.read", "forum.reply"],
            "locations": ["https://forum.example/"], "identifiers": { "thread": ["t-4711"] } }],
    });
    let custom = custom.as_object().cloned().unwrap_or_default();
    let mut claims = Claims::with_custom_claims(custom, Duration::from_secs(300))
        .with_issuer(ISSUER)
        .with_subject("alice")
        .with_audience(AUDIENCE)
        .with_jwt_id("j-1");
    claims.issued_at = Some(UnixTimeStamp::from_secs(SECONDS));
    claims.invalid_before = None;
    claims.expires_at = Some(UnixTimeStamp::from_secs(SECONDS.saturating_add(300)));
    claims
}

/// A token and the key set that verifies it.
fn signed(algorithm: Algorithm) -> Result<(String, KeySet), Box<dyn std::error::Error>> {
    let header = HeaderOptions { signature_type: Some("at+jwt".to_owned()), ..HeaderOptions::default() };
    let (token, jwk) = match algorithm {
        Algorithm::Es256 => {
            let pair = ES256KeyPair::generate().with_key_id("k1");
            (pair.sign_with_options(claims(), &header)?, pair.public_key().to_jwk())
        }
        Algorithm::Es384 => {
            let pair = ES384KeyPair::generate().with_key_id("k1");
            (pair.sign_with_options(claims(), &header)?, pair.public_key().to_jwk())
        }
        Algorithm::EdDsa => {
            let pair = Ed25519KeyPair::generate().with_key_id("k1");
            (pair.sign_with_options(claims(), &header)?, pair.public_key().to_jwk())
        }
        Algorithm::Rs256 => {
            let pair = RS256KeyPair::generate(2048)?.with_key_id("k1");
            (pair.sign_with_options(claims(), &header)?, pair.public_key().to_jwk())
        }
        Algorithm::Ps256 => {
            let pair = PS256KeyPair::generate(2048)?.with_key_id("k1");
            (pair.sign_with_options(claims(), &header)?, pair.public_key().to_jwk())
        }
        Algorithm::Rs384 | Algorithm::Rs512 | Algorithm::Ps384 | Algorithm::Ps512 => {
            return Err("measured with SHA-256".into());
        }
        Algorithm::Hs256 => {
            let key = HS256Key::generate();
            let secret = Base64UrlSafeNoPadding::encode_to_string(key.to_bytes())?;
            return Ok((key.authenticate_with_options(claims(), &header)?, KeySet::from_secret(&secret)?));
        }
    };
    let document = format!("{{\"keys\":[{jwk}]}}");
    Ok((token, KeySet::parse(document.as_bytes(), &[algorithm], &KeyLimits::default())?))
}

fn tokens(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("token");
    let limits = TokenLimits::default();
    let now = Now(SECONDS.saturating_mul(1_000_000_000));
    let mut cache = TokenCache::new(CacheLimits::default());
    for algorithm in [
        Algorithm::Hs256,
        Algorithm::EdDsa,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Rs256,
        Algorithm::Ps256,
    ] {
        let (token, keys) = match signed(algorithm) {
            Ok(signed) => signed,
            Err(error) => return eprintln!("no {algorithm} token: {error}"),
        };
        let rules = Arc::new(IssuerRules::new(ISSUER, &[algorithm], AUDIENCE));
        let verify = || {
            let compact = Compact::parse(black_box(&token), &limits)?;
            Unverified::prepare(compact, &rules, Some(&keys))?.verify(now)
        };
        match verify() {
            Ok(verified) => drop(cache.insert(0, &token, verified, (), 0)),
            Err(error) => return eprintln!("the {algorithm} token is refused: {error}"),
        }
        group.bench_function(format!("verify {algorithm}"), |b| b.iter(verify));
        group.bench_function(format!("parse {algorithm}"), |b| {
            b.iter(|| Compact::parse(black_box(&token), &limits));
        });
        group.bench_function(format!("cached {algorithm}"), |b| b.iter(|| cache.lookup(&token, now)));
    }
    group.finish();
}

criterion_group!(benches, tokens);
criterion_main!(benches);
