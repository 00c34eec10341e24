//! Evidence along a chain: receipts in a token, tokens derived from it, and the proof of the last key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remit_core::ids::Now;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{MintError, key_of, overlaid};
use crate::capture::Template;
use crate::keyring::Keyring;
use crate::signing::SigningKey;

/// The confirmed key of the root, and its depth.
pub(super) fn add_root(claims: &mut Value, template: &Template, keys: &Keyring) -> Result<(), MintError> {
    let (Some(root), Value::Object(claims)) = (template.hops.first(), claims) else { return Ok(()) };
    let added = json!({"cnf": {"jwk": key_of(keys, &root.holder)?.public_jwk()}, "del_depth": 0});
    claims.extend(added.as_object().cloned().unwrap_or_default());
    if let Value::Object(all) = overlaid(std::mem::take(claims), &root.claims) {
        *claims = all;
    }
    Ok(())
}

/// Receipts, signed with the issuer's key, each linked to the one after it.
pub(super) fn add_receipts(claims: &mut Value, template: &Template, key: &SigningKey) {
    let mut texts: Vec<String> = Vec::new();
    for receipt in template.receipts.iter().rev() {
        let filled = json!({
            "iss": claims.get("iss"),
            "sub": claims.get("sub"),
            "iat": claims.get("iat"),
            "exp": claims.get("exp"),
            "jti": format!("receipt-{}", texts.len()),
        });
        let mut filled = filled.as_object().cloned().unwrap_or_default();
        if let Some(older) = texts.first() {
            filled.insert("prh".to_owned(), json!(URL_SAFE_NO_PAD.encode(Sha256::digest(older))));
        }
        texts.insert(0, key.sign("actor-receipt+jwt", &overlaid(filled, receipt)));
    }
    if let (false, Value::Object(claims)) = (texts.is_empty(), claims) {
        claims.insert("actor_receipts".to_owned(), json!(texts));
    }
}

/// The tokens derived from a root, as long as it is good for, and the claims of the last.
pub(super) fn derived(template: &Template, root: &str, keys: &Keyring) -> Result<(String, Value), MintError> {
    let payload = root.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let mut last: Value = serde_json::from_slice(&payload.unwrap_or_default()).unwrap_or_default();
    let (issued, expires) = (last.get("iat").cloned(), last.get("exp").cloned());
    let (mut texts, mut parent) = (Vec::new(), root.to_owned());
    for (depth, pair) in (1_u64..).zip(template.hops.windows(2)) {
        let [by, hop] = pair else { continue };
        let signer = key_of(keys, &by.holder)?;
        let signed = parent.rsplit_once('.').map_or("", |(signed, _)| signed);
        let filled = json!({
            "iss": signer.thumbprint_uri(),
            "jti": format!("hop-{depth}"),
            "iat": issued,
            "exp": expires,
            "cnf": {"jwk": key_of(keys, &hop.holder)?.public_jwk()},
            "del_depth": depth,
            "par_hash": URL_SAFE_NO_PAD.encode(Sha256::digest(signed)),
        });
        last = overlaid(filled.as_object().cloned().unwrap_or_default(), &hop.claims);
        parent = signer.sign("aat+jwt", &last);
        texts.push(parent.clone());
    }
    Ok((texts.join("~"), last))
}

/// A proof of the last key, for whatever the claims say.
pub(super) fn proof(
    template: &Template,
    claims: &Map<String, Value>,
    keys: &Keyring,
    now: Now,
) -> Result<String, MintError> {
    let holder = template.hops.last().map_or("", |hop| hop.holder.as_str());
    let last = template.hops.len().saturating_sub(1);
    let filled = json!({"jti": "proof", "iat": now.seconds().0, "aat_id": format!("hop-{last}")});
    let claims = overlaid(filled.as_object().cloned().unwrap_or_default(), claims);
    Ok(key_of(keys, holder)?.sign("aat-pop+jwt", &claims))
}
