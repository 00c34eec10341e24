//! `remit token`: development tokens and approvals.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, Subcommand};
use remit_core::approval::APPROVAL_TYPE;
use remit_core::ids::Now;
use remit_core::json;
use remit_core::keys::Algorithm;
use remit_harness::capture::Template;
use remit_harness::challenge::Challenge;
use remit_harness::mint::{approval_claims, token_claims};
use remit_harness::text::padded;
use remit_harness::vectors;
use serde_json::{Map, Value, json};

use super::{AlwaysJson, Ending, Format, key_file, print};

/// The largest challenge that is read, in bytes.
const MAX_CHALLENGE: u64 = 1024 * 1024;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    token: Option<Token>,
}

#[derive(Debug, Subcommand)]
enum Other {
    /// Print the public keys as a JWK Set
    Keys(Keys),
    /// Approve the action of a challenge, after showing it on standard error
    Approval(Approval),
    /// Print the test vectors: a capture of attacks on tokens, each with what must come of it
    Vectors(Vectors),
}

#[derive(Debug, Args)]
struct Token {
    /// Issuer of the token (`iss`)
    #[arg(long)]
    issuer: String,
    /// File with the private key: a JWK, or PEM with --alg
    #[arg(long, value_name = "FILE", required_unless_present = "new_key", conflicts_with = "new_key")]
    key: Option<PathBuf>,
    /// Make a private key and keep it in this file (mode 0600)
    #[arg(long, value_name = "FILE", requires = "alg")]
    new_key: Option<PathBuf>,
    /// Algorithm: ES256, ES384, EdDSA, RS256 to RS512, PS256 to PS512 or HS256
    #[arg(long, value_parser = algorithm)]
    alg: Option<Algorithm>,
    /// Name of the key (`kid`) [default: what its file says, else its thumbprint]
    #[arg(long)]
    kid: Option<String>,
    /// The human at the root (`sub`)
    #[arg(long)]
    sub: String,
    /// The protected resource (`aud`)
    #[arg(long)]
    aud: String,
    /// An actor: its `sub`, or the object of an `act` claim; the current actor first
    #[arg(long)]
    act: Vec<String>,
    /// Further claims, a JSON object; `null` leaves a claim out
    #[arg(long, value_name = "JSON", default_value = "{}")]
    claims: String,
    /// Seconds until it expires
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    lifetime: u64,
    /// Type of the token
    #[arg(long, default_value = "at+jwt")]
    typ: String,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Keys {
    /// File with a private key
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// Algorithm of keys in PEM
    #[arg(long, value_parser = algorithm)]
    alg: Option<Algorithm>,
    #[command(flatten)]
    _format: AlwaysJson,
}

#[derive(Debug, Args)]
struct Vectors {
    /// What varies in them; the repository holds those of the default
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    _format: AlwaysJson,
}

#[derive(Debug, Args)]
struct Approval {
    /// The challenge, or the reply that holds it; `-`: standard input
    #[arg(long, value_name = "FILE|-")]
    challenge: PathBuf,
    /// File with the private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Algorithm of a key in PEM
    #[arg(long, value_parser = algorithm)]
    alg: Option<Algorithm>,
    /// Issuer of the approval (`iss`)
    #[arg(long)]
    issuer: String,
    /// Who approves (`sub`)
    #[arg(long)]
    approver: String,
    /// Further claims, a JSON object, such as {"acr":"phr","auth_time":1773842751}
    #[arg(long, value_name = "JSON", default_value = "{}")]
    claims: String,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::parse(name).ok_or_else(|| format!("one of {}", Algorithm::ALL.map(Algorithm::name).join(", ")))
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    match (&arguments.other, &arguments.token) {
        (Some(Other::Keys(keys)), _) => print(&format!("{:#}\n", key_set(keys)?))?,
        (Some(Other::Approval(approval)), _) => print(&told(approval.format, &approve(approval)?))?,
        (Some(Other::Vectors(vectors)), _) => print(&vectors::generate(vectors.seed))?,
        (None, Some(token)) => print(&told(token.format, &mint(token)?))?,
        (None, None) => bail!("which token? see `remit token --help`"),
    }
    Ok(Ending::Good)
}

fn told(format: Format, token: &str) -> String {
    match format {
        Format::Table => format!("{token}\n"),
        Format::Json => format!("{}\n", json!({"token": token})),
    }
}

fn mint(token: &Token) -> Result<String> {
    let mut key = match (&token.key, &token.new_key, token.alg) {
        (Some(path), _, algorithm) => key_file::read(path, algorithm)?,
        (None, Some(path), Some(algorithm)) => key_file::create(path, algorithm, token.kid.as_deref())?,
        _ => bail!("no key: --key, or --new-key with --alg"),
    };
    if let Some(kid) = &token.kid {
        key = key.with_kid(kid);
    }
    let mut claims = Map::new();
    claims.insert("iss".to_owned(), json!(token.issuer));
    claims.insert("sub".to_owned(), json!(token.sub));
    claims.insert("aud".to_owned(), json!(token.aud));
    if let Some(act) = acting(&token.act, &token.issuer)? {
        claims.insert("act".to_owned(), act);
    }
    claims.extend(object(&token.claims)?);
    let template = Template {
        typ: token.typ.clone(),
        lifetime_seconds: token.lifetime,
        claims,
        signed_by: None,
        receipts: Vec::new(),
        hops: Vec::new(),
        dpop: None,
        forge: None,
    };
    let now = now()?;
    Ok(key.sign(&token.typ, &token_claims(&format!("dev-{}", now.0), &template, now)))
}

/// Nested `act` (RFC 8693 section 4.1): the current actor is the outermost.
fn acting(actors: &[String], issuer: &str) -> Result<Option<Value>> {
    let mut inner: Option<Value> = None;
    for actor in actors.iter().rev() {
        let mut node = if actor.trim_start().starts_with('{') {
            object(actor).context("--act")?
        } else {
            Map::from_iter([("iss".to_owned(), json!(issuer)), ("sub".to_owned(), json!(actor))])
        };
        if let Some(inner) = inner {
            node.insert("act".to_owned(), inner);
        }
        inner = Some(Value::Object(node));
    }
    Ok(inner)
}

fn key_set(keys: &Keys) -> Result<Value> {
    let mut set = Vec::new();
    for path in &keys.key {
        let key = key_file::read(path, keys.alg)?;
        let public = key.public_jwk().ok_or_else(|| anyhow!("a shared secret has no public key"));
        set.push(public.with_context(|| path.display().to_string())?);
    }
    Ok(json!({"keys": set}))
}

fn approve(approval: &Approval) -> Result<String> {
    let challenge = Challenge::read(&challenge_text(&approval.challenge)?)?;
    let key = key_file::read(&approval.key, approval.alg)?;
    let mut shown = String::from("approving:\n");
    for (name, text) in challenge.lines() {
        shown.push_str(&format!("  {}  {text}\n", padded(name, 14)));
    }
    std::io::Write::write_all(&mut std::io::stderr(), shown.as_bytes())?;
    let now = now()?;
    if challenge.expires <= now.seconds().0 {
        bail!("the challenge has expired: let the agent try again, and approve the new one");
    }
    let mut claims = Map::from_iter([("sub".to_owned(), json!(approval.approver))]);
    claims.extend(object(&approval.claims)?);
    Ok(key.sign(APPROVAL_TYPE, &approval_claims(&challenge, &approval.issuer, &claims, now)))
}

fn challenge_text(path: &Path) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_CHALLENGE).read_to_end(&mut text)?;
    } else {
        let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
        file.take(MAX_CHALLENGE).read_to_end(&mut text)?;
    }
    Ok(text)
}

fn object(text: &str) -> Result<Map<String, Value>> {
    match json::parse(text.as_bytes(), 32).context("--claims")? {
        Value::Object(object) => Ok(object),
        _ => bail!("not a JSON object"),
    }
}

pub(super) fn now() -> Result<Now> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
    Ok(Now(u64::try_from(since.as_nanos())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actors_nest_outermost_first() {
        for (actors, expected) in [
            (&[] as &[&str], Value::Null),
            (&["a"], json!({"iss": "i", "sub": "a"})),
            (&["a", r#"{"sub":"b"}"#], json!({"iss": "i", "sub": "a", "act": {"sub": "b"}})),
        ] {
            let actors: Vec<_> = actors.iter().map(|actor| (*actor).to_owned()).collect();
            assert_eq!(acting(&actors, "i").unwrap().unwrap_or_default(), expected);
        }
        assert!(acting(&["{".to_owned()], "i").is_err());
        assert!(object("[]").is_err());
    }
}
