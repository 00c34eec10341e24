//! Reads a capture: strictly, so that a misspelt member is an error and not an expectation that nobody checks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use remit_core::json;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Capture, CaptureError, CaptureFault, Exchange, Fetched, IssuerKey, Template, VERSION};
use crate::time;
use remit_core::shape;

/// The latest `at`, in seconds: some thirty years.
const MAX_AT: f64 = 1e9;
/// Nesting of JSON in a line.
const DEPTH: usize = 64;

/// Bounds on a capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Bytes of the whole file.
    pub file_bytes: usize,
    /// Bytes of one line.
    pub line_bytes: usize,
    /// Exchanges.
    pub exchanges: usize,
}

impl Default for CaptureLimits {
    fn default() -> Self {
        Self { file_bytes: 512 << 20, line_bytes: 32 << 20, exchanges: 100_000 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(rename = "remit_capture")]
    _version: u32,
    #[serde(default)]
    name: String,
    start: String,
    #[serde(default)]
    issuers: BTreeMap<String, IssuerKey>,
    #[serde(default)]
    tokens: BTreeMap<String, Template>,
    #[serde(default)]
    fetched: Vec<Fetched>,
}

/// Where the reader is, for errors.
struct Line<'a> {
    file: &'a str,
    number: usize,
    entry: Option<String>,
}

impl Line<'_> {
    fn error(&self, fault: CaptureFault) -> CaptureError {
        CaptureError { file: self.file.to_owned(), line: self.number, entry: self.entry.clone(), fault }
    }

    fn that(&self, holds: bool, pointer: &str, problem: &'static str) -> Result<(), CaptureError> {
        if holds {
            return Ok(());
        }
        Err(self.error(CaptureFault::Value { pointer: pointer.to_owned(), problem }))
    }

    fn known(&self, known: bool, pointer: &str, name: &str, what: &'static str) -> Result<(), CaptureError> {
        if known {
            return Ok(());
        }
        Err(self.error(CaptureFault::Unknown { pointer: pointer.to_owned(), name: name.to_owned(), what }))
    }

    fn shaped<T: DeserializeOwned>(&self, value: Value) -> Result<T, CaptureError> {
        shape::read(&value).map_err(|misfit| self.error(CaptureFault::Shape(misfit)))
    }
}

impl Capture {
    /// Reads a capture from a file.
    ///
    /// # Errors
    ///
    /// See [`CaptureError`]; each names the file, the line and, where it can, the exchange and the member.
    pub fn load(path: &Path, limits: &CaptureLimits) -> Result<Self, CaptureError> {
        let name = path.display().to_string();
        let line = Line { file: &name, number: 0, entry: None };
        let cap = u64::try_from(limits.file_bytes).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(cap).read_to_end(&mut bytes))
            .map_err(|error| line.error(CaptureFault::Read(error)))?;
        Self::parse(&name, &bytes, limits)
    }

    /// Reads a capture from bytes; `file` is its name in errors.
    ///
    /// # Errors
    ///
    /// See [`CaptureError`].
    pub fn parse(file: &str, bytes: &[u8], limits: &CaptureLimits) -> Result<Self, CaptureError> {
        let mut line = Line { file, number: 1, entry: None };
        if bytes.len() > limits.file_bytes {
            return Err(line.error(CaptureFault::TooLong { limit: limits.file_bytes }));
        }
        let mut capture: Option<Self> = None;
        let mut ids = BTreeSet::new();
        for (number, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            line = Line { file, number, entry: None };
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if text.len() > limits.line_bytes {
                return Err(line.error(CaptureFault::TooLong { limit: limits.line_bytes }));
            }
            let value = json::parse(text, DEPTH).map_err(|error| line.error(CaptureFault::Json(error)))?;
            match &mut capture {
                None => capture = Some(header(&line, value)?),
                Some(capture) => {
                    if capture.exchanges.len() >= limits.exchanges {
                        return Err(line.error(CaptureFault::TooMany { limit: limits.exchanges }));
                    }
                    line.entry =
                        value.get("id").and_then(Value::as_str).map(|id| id.chars().take(64).collect());
                    let exchange: Exchange = line.shaped(value)?;
                    check(&line, capture, &ids, &exchange)?;
                    ids.insert(exchange.id.clone());
                    capture.exchanges.push(exchange);
                }
            }
        }
        capture.ok_or_else(|| Line { file, number: 1, entry: None }.error(CaptureFault::Empty))
    }
}

fn header(line: &Line<'_>, value: Value) -> Result<Capture, CaptureError> {
    let version = value.get("remit_capture").ok_or_else(|| line.error(CaptureFault::NotACapture))?;
    if version.as_u64() != Some(u64::from(VERSION)) {
        return Err(line.error(CaptureFault::Version { found: version.to_string() }));
    }
    let header: Header = line.shaped(value)?;
    let start = time::parse(&header.start).map_err(|error| line.error(CaptureFault::Start(error)))?;
    for (name, template) in &header.tokens {
        let at = format!("/tokens/{name}");
        for hop in &template.hops {
            let known = header.issuers.contains_key(&hop.holder);
            line.known(known, &format!("{at}/hops"), &hop.holder, "one of the capture's issuers")?;
        }
        let iss = template.claims.get("iss").and_then(Value::as_str);
        if let Some(signer) = &template.signed_by {
            let known = header.issuers.contains_key(signer);
            line.known(known, &format!("{at}/signed_by"), signer, "one of the capture's issuers")?;
        } else if let Some(iss) = iss {
            let known = header.issuers.contains_key(iss);
            line.known(known, &format!("{at}/claims/iss"), iss, "one of the capture's issuers")?;
        } else {
            line.that(false, &format!("{at}/claims/iss"), "needed: it says whose key signs the token")?;
        }
    }
    for (i, fetched) in header.fetched.iter().enumerate() {
        let at = format!("/fetched/{i}");
        line.that((0.0..=MAX_AT).contains(&fetched.at), &format!("{at}/at"), "0 to 1e9")?;
        line.that((100..=599).contains(&fetched.status), &format!("{at}/status"), "100 to 599")?;
        check_headers(line, &format!("{at}/headers"), &fetched.headers)?;
        for issuer in fetched.keys_of.iter().flatten() {
            let known = header.issuers.contains_key(issuer);
            line.known(known, &format!("{at}/keys_of"), issuer, "one of the capture's issuers")?;
        }
    }
    let Header { name, issuers, tokens, fetched, .. } = header;
    Ok(Capture { name, start, issuers, tokens, fetched, exchanges: Vec::new() })
}

fn check(
    line: &Line<'_>,
    capture: &Capture,
    ids: &BTreeSet<String>,
    exchange: &Exchange,
) -> Result<(), CaptureError> {
    line.that(!exchange.id.is_empty(), "/id", "empty")?;
    line.that(!ids.contains(&exchange.id), "/id", "an earlier exchange has this id")?;
    line.that((0.0..=MAX_AT).contains(&exchange.at), "/at", "seconds after the start: 0 to 1e9")?;
    let earlier = capture.exchanges.last().is_none_or(|last| last.at <= exchange.at);
    line.that(earlier, "/at", "earlier than the exchange before")?;
    let request = &exchange.request;
    for (name, value) in [
        ("method", &request.method),
        ("scheme", &request.scheme),
        ("authority", &request.authority),
        ("path", &request.path),
    ] {
        line.that(
            is_sendable(value) && !value.is_empty(),
            &format!("/request/{name}"),
            "empty, or holds a line break",
        )?;
    }
    check_headers(line, "/request/headers", &request.headers)?;
    if let Some(response) = &exchange.response {
        line.that((100..=599).contains(&response.status), "/response/status", "100 to 599")?;
        check_headers(line, "/response/headers", &response.headers)?;
    }
    if let Some(token) = &exchange.token {
        line.known(capture.tokens.contains_key(token), "/token", token, "one of the capture's tokens")?;
    }
    if let Some(token) = &exchange.txn_token {
        line.known(capture.tokens.contains_key(token), "/txn_token", token, "one of the capture's tokens")?;
    }
    let hops = exchange.token.as_ref().and_then(|token| capture.tokens.get(token)).map(|token| &token.hops);
    let provable = exchange.hop_proof.is_none() || hops.is_some_and(|hops| !hops.is_empty());
    line.that(provable, "/hop_proof", "goes with a token that has hops")?;
    if let Some(proof) = &exchange.proof {
        for (member, token) in [("token", &exchange.token), ("proof/key_of", &proof.key_of)] {
            let Some(token) = token else { continue };
            let known = capture.tokens.contains_key(token);
            line.known(known, &format!("/{member}"), token, "one of the capture's tokens")?;
        }
        if let Some(id) = &proof.same_as {
            line.known(ids.contains(id), "/proof/same_as", id, "an earlier exchange")?;
        }
    }
    if let Some(approval) = &exchange.approval {
        let id = &approval.challenge_of;
        line.known(ids.contains(id), "/approval/challenge_of", id, "an earlier exchange")?;
        let issuer = &approval.issuer;
        let known = capture.issuers.contains_key(issuer);
        line.known(known, "/approval/issuer", issuer, "one of the capture's issuers")?;
    }
    Ok(())
}

fn check_headers(line: &Line<'_>, at: &str, headers: &[(String, String)]) -> Result<(), CaptureError> {
    for (i, (name, value)) in headers.iter().enumerate() {
        let named = !name.is_empty() && !name.starts_with(':');
        line.that(named, &format!("{at}/{i}/0"), "a header's name is not empty and has no `:` in front")?;
        line.that(is_sendable(name) && is_sendable(value), &format!("{at}/{i}"), "holds a line break")?;
    }
    Ok(())
}

fn is_sendable(text: &str) -> bool {
    !text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
