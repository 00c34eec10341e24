//! Proofs of possession (RFC 9449) as the holder of a token's key would send them, or as somebody else might.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remit_core::ids::Now;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::capture::ProofTemplate;
use crate::mint::overlaid;
use crate::signing::SigningKey;

/// `typ` of a proof.
const TYPE: &str = "dpop+jwt";

/// What a proof is about.
#[derive(Debug, Clone, Copy)]
pub struct Proven<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The request's URI without query.
    pub uri: &'a str,
    /// The access token.
    pub token: &'a str,
    /// The proof's own name.
    pub jti: &'a str,
}

/// A proof, with what a template has over a good one.
#[must_use]
pub fn proof(key: &SigningKey, about: Proven<'_>, now: Now, template: &ProofTemplate) -> String {
    let mut jwk = key.public_jwk().unwrap_or_default();
    if let Some(jwk) = jwk.as_object_mut() {
        jwk.retain(|name, _| !matches!(name.as_str(), "kid" | "use" | "key_ops" | "alg"));
    }
    let header = members(json!({"typ": TYPE, "alg": key.algorithm(), "jwk": jwk}));
    let claims = members(json!({
        "jti": about.jti,
        "htm": about.method,
        "htu": about.uri,
        "iat": now.seconds().0,
        "ath": URL_SAFE_NO_PAD.encode(Sha256::digest(about.token.as_bytes())),
    }));
    key.sign_with_header(&overlaid(header, &template.header), &overlaid(claims, &template.claims))
}

/// A proof of an honest client.
#[must_use]
pub fn good(key: &SigningKey, about: Proven<'_>, now: Now) -> String {
    proof(key, about, now, &ProofTemplate::default())
}

/// The claim `cnf` with the thumbprint of this key in it.
#[must_use]
pub fn confirmation(key: &SigningKey, cnf: Option<&Value>) -> Value {
    let mut cnf = cnf.and_then(Value::as_object).cloned().unwrap_or_default();
    let thumbprint = key.public_jwk().and_then(|jwk| remit_core::keys::thumbprint(&jwk));
    cnf.insert("jkt".to_owned(), json!(thumbprint.map(|digest| URL_SAFE_NO_PAD.encode(digest))));
    Value::Object(cnf)
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
