//! `io.jwt.verify_…`: whether a signature is that of a key.

use jwt_simple::reexports::ct_codecs;
use regorus::Value;

use super::keys::{Named, read};
use super::{Stop, Token, base64url, failed};
use crate::keys::Algorithm;
use crate::policy::functions::crypto::Mac;
use crate::policy::surroundings::Surroundings;

/// `io.jwt.verify_rs256` and the like.
pub(in crate::policy::functions) fn verify(
    arguments: &[Value],
    around: &mut Surroundings,
    algorithm: Algorithm,
) -> Result<Option<Value>, Stop> {
    let [Value::String(token), Value::String(keys)] = arguments else { return Ok(None) };
    let Some(token) = Token::split(token, around)? else { return Ok(None) };
    let Some(keys) = read(keys, algorithm)? else { return Ok(None) };
    let Some(signature) = base64url(token.signature) else { return Ok(None) };
    let Some(header) = token.header(around)? else { return Ok(None) };
    let Some(header) = Header::of(&header) else { return Ok(None) };
    verify_with(&keys, &header, algorithm, (&token, &signature), around).map(|valid| Some(Value::Bool(valid)))
}

/// `io.jwt.verify_hs256` and the like.
pub(in crate::policy::functions) fn verify_mac(
    arguments: &[Value],
    around: &mut Surroundings,
    mac: Mac,
) -> Result<Option<Value>, Stop> {
    let [Value::String(token), Value::String(secret)] = arguments else { return Ok(None) };
    let Some(token) = Token::split(token, around)? else { return Ok(None) };
    let Some(signature) = base64url(token.signature) else { return Ok(None) };
    spend(around)?;
    Ok(Some(Value::Bool(has_mac(&token, &signature, secret, mac))))
}

pub(super) fn has_mac(token: &Token<'_>, signature: &[u8], secret: &str, mac: Mac) -> bool {
    ct_codecs::verify(&mac.of(secret.as_bytes(), token.signed.as_bytes()), signature)
}

/// With the key that the token names, or else with each that may have its algorithm.
pub(super) fn verify_with(
    keys: &[Named],
    header: &Header,
    algorithm: Algorithm,
    (token, signature): (&Token<'_>, &[u8]),
    around: &mut Surroundings,
) -> Result<bool, Stop> {
    let mut verifies = |named: &Named| match &named.key {
        None => Ok(false),
        Some(Ok(key)) => {
            spend(around)?;
            Ok(key.verify(algorithm, token.signed.as_bytes(), signature))
        }
        Some(Err(unserved)) => Err(unserved.stop()),
    };
    if let Some(named) = keys.iter().find(|named| !header.kid.is_empty() && named.kid == header.kid) {
        return verifies(named);
    }
    let mut unserved = None;
    for named in keys.iter().filter(|named| named.alg.is_empty() || named.alg == header.alg) {
        match verifies(named) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(stop) => unserved = Some(stop),
        }
    }
    unserved.map_or(Ok(false), Err)
}

/// Takes account of one signature: the time budget is looked at between builtins only.
pub(super) fn spend(around: &mut Surroundings) -> Result<(), Stop> {
    if around.checks_signature() {
        return Ok(());
    }
    Err(failed("more signatures than one evaluation may check".to_owned()))
}

/// What OPA reads in a header.
#[derive(Default)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: String,
    pub(super) cty: String,
    /// Whether a parameter is critical that OPA does not know (RFC 7515 section 4.1.11).
    pub(super) is_critical: bool,
}

impl Header {
    /// `None` where a parameter is not of its type.
    pub(super) fn of(header: &Value) -> Option<Self> {
        let header = header.as_object().ok()?;
        let text = |name: &str| match header.get(&Value::from(name)) {
            None => Some(String::new()),
            Some(Value::String(text)) => Some(text.to_string()),
            Some(_) => None,
        };
        text("typ")?;
        let mut is_critical = false;
        if let Some(critical) = header.get(&Value::from("crit")) {
            let texts = critical.as_array().ok()?.iter().take_while(|name| matches!(name, Value::String(_)));
            let known = ["alg", "kid", "typ", "cty", "crit"].map(Value::from);
            let mut none = true;
            for name in texts {
                none = false;
                is_critical |= header.contains_key(name) && !known.contains(name);
            }
            if none {
                return None;
            }
        }
        Some(Self { alg: text("alg")?, kid: text("kid")?, cty: text("cty")?, is_critical })
    }
}
