//! `io.jwt.encode_sign` and `io.jwt.encode_sign_raw`: a token signed with a key of the policy's data.
//!
//! As in OPA, with HMAC and with ES256. Any other key ends the evaluation: one RSA signature takes longer than an evaluation
//! may, those of Ed25519 and P-384 would add 100 KB of tables to the module, and some keys that are malformed OPA takes. ES256
//! is deterministic here (RFC 6979), so that a replay repeats it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::signature::Signer as _;
use regorus::Value;
use serde_json::{Map, Value as Json};

use super::verify::spend;
use super::{Stop, failed};
use crate::keys::Algorithm;
use crate::policy::functions::crypto::Mac;
use crate::policy::functions::metered::text_size;
use crate::policy::functions::strings::as_in_opa;
use crate::policy::functions::values::is_valid;
use crate::policy::surroundings::Surroundings;

/// `io.jwt.encode_sign(headers, payload, key)`: three objects, written as `json.marshal` writes them.
pub(in crate::policy::functions) fn encode_sign(
    arguments: &[Value],
    around: &mut Surroundings,
) -> Result<Option<Value>, Stop> {
    let mut texts = Vec::new();
    for part in arguments {
        let size = text_size(part, around.bytes_left());
        around.has_room(size)?;
        around.makes(size);
        let Ok(text) = serde_json::to_string(part) else { return Ok(None) };
        texts.push(as_in_opa("json.marshal", &[], Value::from(text)));
    }
    encode_sign_raw(&texts, around)
}

/// `io.jwt.encode_sign_raw(headers, payload, key)`: three texts, of which the first two are signed as they stand.
pub(in crate::policy::functions) fn encode_sign_raw(
    arguments: &[Value],
    around: &mut Surroundings,
) -> Result<Option<Value>, Stop> {
    let [Value::String(headers), Value::String(payload), Value::String(key)] = arguments else {
        return Ok(None);
    };
    let limit = around.token_bytes();
    if [headers, payload, key].iter().any(|text| text.len() > limit) {
        return Err(failed(format!("header, payload or key of more than {limit} bytes")));
    }
    let header = match crate::json::parse(headers.as_bytes(), DEPTH) {
        Ok(Json::Object(header)) => header,
        // OPA takes some of these, such as `{"alg": "HS256", "n": 01}`.
        Err(error) if headers.trim_start().starts_with('{') => {
            return Err(failed(format!("a header to sign: {error}")));
        }
        _ => return Ok(None),
    };
    let Some(alg) = header.get("alg").and_then(Json::as_str).filter(|alg| is_known(alg)) else {
        return Ok(None);
    };
    let is_jwt = header.get("typ").and_then(Json::as_str).is_none_or(|typ| typ == "JWT");
    if is_jwt && is_valid(&[Value::String(payload.clone())]) != Some(Value::Bool(true)) {
        return Ok(None);
    }
    spend(around)?;
    let mut token = URL_SAFE_NO_PAD.encode(headers.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload.as_bytes(), &mut token);
    let signature = match crate::json::parse(key.as_bytes(), DEPTH) {
        Ok(Json::Object(key)) => sign(alg, &key, token.as_bytes()),
        _ => None,
    };
    let Some(signature) = signature else {
        return Err(failed(format!("signing with {alg} and this key is not served")));
    };
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(Some(Value::from(token)))
}

/// How deep a header may be nested.
const DEPTH: usize = 16;

fn is_known(alg: &str) -> bool {
    Algorithm::parse(alg).is_some() || Mac::of_jwt(alg).is_some() || alg == "ES512"
}

/// RFC 7518 section 3. `None` where the key is not of the algorithm, not served, or malformed.
fn sign(alg: &str, key: &Map<String, Json>, signed: &[u8]) -> Option<Vec<u8>> {
    // OPA takes no key with a member of another type than its own.
    if key.iter().any(|(name, value)| !value.is_string() && !matches!(name.as_str(), "key_ops" | "x5c")) {
        return None;
    }
    let text = |name: &str| key.get(name).and_then(Json::as_str).unwrap_or_default();
    let octets = |name: &str| URL_SAFE_NO_PAD.decode(text(name)).ok().filter(|octets| !octets.is_empty());
    let point = |y: &[u8]| Some([&[4], octets("x")?.as_slice(), y].concat());
    Some(match (alg, text("kty"), text("crv")) {
        (_, "oct", _) => Mac::of_jwt(alg)?.of(&octets("k")?, signed),
        ("ES256", "EC", "P-256") => {
            let key = p256::ecdsa::SigningKey::from_slice(&octets("d")?).ok()?;
            if key.verifying_key().to_sec1_point(false).as_bytes() != point(&octets("y")?)? {
                return None;
            }
            let signature: p256::ecdsa::Signature = key.sign(signed);
            signature.to_vec()
        }
        _ => return None,
    })
}
