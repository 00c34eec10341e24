//! Tokens that no honest issuer signs: what is wrong with them is part of the template.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remit_core::ids::Now;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use sha2::{Digest as _, Sha256};

use crate::mint::overlaid;
use crate::signing::SigningKey;

/// What is wrong with a token.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Forge {
    /// Parameters over those of the header; one that is `null` is left out.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub header: Map<String, Value>,
    /// Further members of the header, as written, with the comma in front.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub header_text: String,
    /// Further members of the claims, as written, with the comma in front.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub claims_text: String,
    /// In place of the claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// Claims in seconds after the token is minted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub relative: BTreeMap<String, f64>,
    /// In place of the signature: an HMAC keyed with the text of the public key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub hmac: bool,
    /// What is done to the text once it is signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edit>,
}

/// What is done to a signed token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Edit {
    /// `=` behind a segment, counted from 0.
    Pad(usize),
    /// A bit set in the last character of a segment that stands for no byte.
    TrailingBit(usize),
    /// A segment emptied.
    Empty(usize),
    /// A segment left out, with its dot.
    Drop(usize),
    /// So many segments more.
    Append(usize),
    /// The first character of a segment turned into `+`.
    Plus(usize),
    /// A space before a segment.
    Space(usize),
    /// A bit of the signature flipped.
    FlipBit(usize),
    /// The signature cut down to so many bytes, or filled up with zeros.
    Length(usize),
    /// Zeros for a signature.
    Zeros,
    /// An ECDSA signature in DER.
    Der,
    /// Another `sub`, with the signature of before.
    Tampered,
    /// A payload that is not UTF-8, with the signature of before.
    NotUtf8,
}

/// The token.
#[must_use]
pub fn text(forge: &Forge, key: &SigningKey, typ: &str, claims: &Value, now: Now) -> String {
    let header = json!({"typ": typ, "alg": key.algorithm(), "kid": key.kid()});
    let header = overlaid(members(&header), &forge.header);
    let mut claims = members(claims);
    for (name, after) in &forge.relative {
        let at = now.seconds().0 as f64 + after;
        let whole = at.fract() == 0.0;
        let number = if whole { Some(Number::from(at as u64)) } else { Number::from_f64(at) };
        claims.extend(number.map(|number| (name.clone(), Value::Number(number))));
    }
    let header = with_members(&header, &forge.header_text);
    let payload = with_members(&Value::Object(claims), &forge.claims_text);
    let payload = forge.payload.as_ref().unwrap_or(&payload);
    let signed = key.sign_bytes(header.as_bytes(), payload.as_bytes());
    let mut segments: Vec<String> = signed.split('.').map(str::to_owned).collect();
    if forge.hmac {
        let (input, _) = signed.rsplit_once('.').unwrap_or_default();
        let public = key.public_jwk().unwrap_or_default().to_string();
        replace(&mut segments, 2, URL_SAFE_NO_PAD.encode(hmac(public.as_bytes(), input.as_bytes())));
    }
    match forge.edit {
        Some(edit) => edited(edit, segments, payload),
        None => segments.join("."),
    }
}

fn edited(edit: Edit, mut segments: Vec<String>, payload: &str) -> String {
    let signature = segments.get(2).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()).unwrap_or_default();
    let change = |segments: &mut Vec<String>, at: usize, change: fn(&str) -> String| {
        if let Some(segment) = segments.get_mut(at) {
            *segment = change(segment);
        }
    };
    match edit {
        Edit::Pad(at) => change(&mut segments, at, |text| format!("{text}=")),
        Edit::TrailingBit(at) => change(&mut segments, at, trailing),
        Edit::Empty(at) => change(&mut segments, at, |_| String::new()),
        Edit::Plus(at) => change(&mut segments, at, |text| format!("+{}", text.get(1..).unwrap_or_default())),
        Edit::Space(at) => change(&mut segments, at, |text| format!(" {text}")),
        Edit::Drop(at) => drop(segments.remove(at.min(2))),
        Edit::Append(count) => segments.extend(vec!["AAAA".to_owned(); count]),
        Edit::Zeros => replace(&mut segments, 2, URL_SAFE_NO_PAD.encode(vec![0; signature.len()])),
        Edit::FlipBit(bit) => {
            let mut bytes = signature;
            if let Some(byte) = bytes.get_mut(bit / 8) {
                *byte ^= 1 << (bit % 8);
            }
            replace(&mut segments, 2, URL_SAFE_NO_PAD.encode(bytes));
        }
        Edit::Length(length) => {
            let mut bytes = signature;
            bytes.resize(length, 0);
            replace(&mut segments, 2, URL_SAFE_NO_PAD.encode(bytes));
        }
        Edit::Der => {
            let der = p256::ecdsa::Signature::from_slice(&signature).map(|signature| signature.to_der());
            replace(
                &mut segments,
                2,
                URL_SAFE_NO_PAD.encode(der.map(|der| der.as_bytes().to_vec()).unwrap_or_default()),
            );
        }
        Edit::Tampered => {
            let mut claims: Map<String, Value> = serde_json::from_str(payload).unwrap_or_default();
            claims.insert("sub".to_owned(), json!("mallory@internal.example"));
            replace(&mut segments, 1, URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string()));
        }
        Edit::NotUtf8 => replace(&mut segments, 1, URL_SAFE_NO_PAD.encode(b"{\"iss\":\"\xff\"}")),
    }
    segments.join(".")
}

/// The last character with its lowest bit set: no byte hangs on that bit, unless the segment ends with a whole byte.
fn trailing(text: &str) -> String {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (front, last) = text.split_at(text.len().saturating_sub(1));
    let index = DIGITS.find(last).unwrap_or(0) | 1;
    format!("{front}{}", DIGITS.get(index..index.saturating_add(1)).unwrap_or_default())
}

/// RFC 2104, with SHA-256.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    let digest = Sha256::digest(key);
    let key = if key.len() > block.len() { digest.as_slice() } else { key };
    block.iter_mut().zip(key).for_each(|(place, byte)| *place = *byte);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
}

fn replace(segments: &mut [String], at: usize, text: String) {
    if let Some(segment) = segments.get_mut(at) {
        *segment = text;
    }
}

fn with_members(object: &Value, more: &str) -> String {
    let text = object.to_string();
    let open = text.strip_suffix('}').unwrap_or(&text);
    format!("{open}{more}}}")
}

fn members(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use remit_core::keys::Algorithm;

    use super::*;

    #[test]
    fn an_hmac_is_that_of_the_rfc() {
        // RFC 4231 section 4.3.
        let found = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(found[..4], [0x5b, 0xdc, 0xc1, 0x46]);
    }

    #[test]
    fn each_edit_does_what_it_says() {
        let key = SigningKey::generate(Algorithm::Es256, Some("k-1")).unwrap();
        let claims = json!({"sub": "a"});
        let forged = |forge: &Forge| text(forge, &key, "at+jwt", &claims, Now(5_000_000_000));
        let decoded = |text: &str, at: usize| {
            String::from_utf8(URL_SAFE_NO_PAD.decode(text.split('.').nth(at).unwrap()).unwrap()).unwrap()
        };
        let relative = [("exp".to_owned(), 10.0), ("nbf".to_owned(), -0.5)].into();
        let made = forged(&Forge { relative, claims_text: r#","sub":"b""#.into(), ..Forge::default() });
        assert_eq!(decoded(&made, 1), r#"{"exp":15,"nbf":4.5,"sub":"a","sub":"b"}"#);
        for (edit, segments, part) in [
            (Edit::Pad(2), 3, "="),
            (Edit::Empty(1), 3, ".."),
            (Edit::Drop(0), 2, ""),
            (Edit::Append(2), 5, ".AAAA.AAAA"),
            (Edit::Plus(0), 3, "+"),
            (Edit::Space(1), 3, ". "),
            (Edit::Zeros, 3, ".AAAAAAA"),
            (Edit::Length(1), 3, ""),
            (Edit::Der, 3, ".ME"),
        ] {
            let made = forged(&Forge { edit: Some(edit), ..Forge::default() });
            assert_eq!(made.split('.').count(), segments, "{edit:?}");
            assert!(made.contains(part), "{edit:?}: {made}");
        }
        let made = forged(&Forge { edit: Some(Edit::TrailingBit(2)), ..Forge::default() });
        assert!(URL_SAFE_NO_PAD.decode(made.split('.').nth(2).unwrap()).is_err());
        let made = forged(&Forge { edit: Some(Edit::Tampered), ..Forge::default() });
        assert!(decoded(&made, 1).contains("mallory"));
    }
}
