//! Receipts: what each hop was given, signed by the token's issuer, in the token itself (draft-mcguinness-oauth-actor-receipts
//! and -authority-bounds; here there is one for every actor, and all are of the token's own issuer).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::{DelegationError, Party, bounds};
use crate::ids::UnixSeconds;
use crate::keys::KeySet;
use crate::token::{Compact, IssuerRules, Rounding, TokenLimits, VerifiedToken, numeric_date};

/// `typ` of a receipt.
const TYPE: &str = "actor-receipt+jwt";
/// What `bounds` may have. An audience is recorded and, as each exchange chooses its own, not compared.
const BOUNDS: [&str; 4] = ["aud", "authorization_details", "resource", "scope"];

/// Verifies a receipt for each actor, the current one's first: no hop goes beyond the bounds of the one before it, and the
/// token not beyond the newest.
pub(super) fn verify(
    token: &VerifiedToken,
    chain: &[Party],
    rules: &IssuerRules,
    keys: Option<&KeySet>,
    limits: &TokenLimits,
) -> Result<(), DelegationError> {
    let (none, claimed) = (Vec::new(), token.claims());
    let texts = match claimed.get("actor_receipts") {
        None => &none,
        Some(Value::Array(texts)) if texts.len() <= chain.len() => texts,
        Some(_) => return Err(DelegationError::ReceiptInvalid { hop: 0, member: "actor_receipts" }),
    };
    if texts.len() < chain.len() {
        return Err(DelegationError::ReceiptsMissing);
    }
    let mut ids = BTreeSet::new();
    let mut newer: Option<(Map<String, Value>, UnixSeconds)> = None;
    for (before, (text, actor)) in texts.iter().zip(chain).enumerate() {
        let hop = before.saturating_add(1);
        let invalid = |member: &'static str| DelegationError::ReceiptInvalid { hop, member };
        let text = text.as_str().ok_or(invalid("actor_receipts"))?;
        let compact = Compact::parse(text, limits).map_err(|_| invalid("jws"))?;
        let key = keys.and_then(|keys| keys.select(compact.kid())).ok_or(invalid("kid"))?;
        let claims = compact.opened_by(TYPE, &rules.algorithms, key).ok_or(invalid("signature"))?;
        let act = claims.get("act").and_then(Value::as_object).ok_or(invalid("act"))?;
        if act.contains_key("act") || act.contains_key("cnf") {
            return Err(invalid("act"));
        }
        for (member, claims, claim, wanted) in [
            ("iss", claims, "iss", token.iss()),
            ("sub", claims, "sub", token.sub()),
            ("act", act, "iss", actor.iss.as_str()),
            ("act", act, "sub", actor.sub.as_str()),
        ] {
            if claims.get(claim).and_then(Value::as_str) != Some(wanted) {
                return Err(invalid(member));
            }
        }
        let id = claims.get("jti").and_then(Value::as_str).filter(|id| !id.is_empty());
        if !ids.insert(id.ok_or(invalid("jti"))?.to_owned()) {
            return Err(invalid("jti"));
        }
        let date = |claim: &'static str| {
            claims.get(claim).and_then(|value| numeric_date(value, Rounding::Down)).ok_or(invalid(claim))
        };
        // A receipt lasts as long as the token that carries it, so that what is remembered stays true.
        if date("exp")? < token.exp() {
            return Err(invalid("exp"));
        }
        let issued = date("iat")?;
        if issued > newer.as_ref().map_or(token.iat().plus(rules.skew()), |(_, newer)| *newer) {
            return Err(invalid("iat"));
        }
        let next = texts.get(hop).and_then(Value::as_str);
        let linked = next.map(|next| Value::from(URL_SAFE_NO_PAD.encode(Sha256::digest(next))));
        if claims.get("prh") != linked.as_ref() {
            return Err(invalid("prh"));
        }
        if claims.get("prh_alg").is_some_and(|alg| alg.as_str() != Some("sha-256")) {
            return Err(invalid("prh_alg"));
        }
        let older = claims.get("bounds").and_then(Value::as_object).ok_or(invalid("bounds"))?;
        if older.keys().any(|name| !BOUNDS.contains(&name.as_str())) {
            return Err(invalid("bounds"));
        }
        let held = newer.as_ref().map_or(&*claimed, |(newer, _)| newer);
        if let Some(member) = bounds::widened(held, older) {
            return Err(DelegationError::BoundsExceeded { hop, member });
        }
        newer = Some((older.clone(), issued));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
