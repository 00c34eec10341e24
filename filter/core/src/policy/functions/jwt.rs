//! `io.jwt.*`: reading tokens, checking them against keys that the policy names, and signing them.
//!
//! As in OPA, but for keys that Remit does not take (short RSA keys, private ones): where such a key could have
//! been the right one the evaluation ends, so that no `not` holds because of it.

mod constraints;
mod keys;
mod sign;
mod verify;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use regorus::Value;

use super::Stop;
use super::crypto::hex;
use super::values::unmarshal;
use crate::policy::error::EvaluationError;
use crate::policy::surroundings::Surroundings;
pub(super) use constraints::decode_verify;
pub(super) use sign::{encode_sign, encode_sign_raw};
pub(super) use verify::{verify, verify_mac};

/// Go's `base64.URLEncoding`: padded, and the bits that are left over may be anything.
const BASE64URL: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

/// Header, payload and the signature in hex; a token in a token is opened.
pub(super) fn decode(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::String(text)] = arguments else { return Ok(None) };
    let mut text = text.to_string();
    loop {
        let Some(token) = Token::split(&text, around)? else { return Ok(None) };
        let Some(header) = token.header(around)? else { return Ok(None) };
        let Some(payload) = base64url(token.payload) else { return Ok(None) };
        match header.as_object().ok().and_then(|header| header.get(&Value::from("cty"))) {
            Some(Value::String(kind)) if kind.as_ref() == "JWT" => {
                let Ok(inner) = String::from_utf8(payload) else { return Ok(None) };
                inner.trim_matches(['"', '\'']).clone_into(&mut text);
                continue;
            }
            Some(Value::String(_)) | None => {}
            Some(_) => return Ok(None),
        }
        let Some(payload) = object(payload, around)? else { return Ok(None) };
        let Some(signature) = base64url(token.signature) else { return Ok(None) };
        return Ok(Some(Value::from(vec![header, payload, Value::from(hex(&signature))])));
    }
}

/// The parts of a token in compact form (RFC 7515 section 3.1), still encoded.
struct Token<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    /// Header and payload with the dot between them.
    signed: &'t str,
}

impl<'t> Token<'t> {
    /// `None` unless there are three parts.
    fn split(text: &'t str, around: &Surroundings) -> Result<Option<Self>, Stop> {
        let limit = around.token_bytes();
        if text.len() > limit {
            return Err(failed(format!("a token of more than {limit} bytes")));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Ok(None);
        };
        let signed = text.rsplit_once('.').map_or(text, |(signed, _)| signed);
        Ok(Some(Self { header, payload, signature, signed }))
    }

    /// An object that is not the header of an encrypted token.
    fn header(&self, around: &mut Surroundings) -> Result<Option<Value>, Stop> {
        let Some(bytes) = base64url(self.header) else { return Ok(None) };
        let header = object(bytes, around)?;
        Ok(header.filter(|header| {
            header.as_object().is_ok_and(|header| !header.contains_key(&Value::from("enc")))
        }))
    }
}

fn base64url(text: &str) -> Option<Vec<u8>> {
    let padding = match text.len() % 4 {
        _ if text.ends_with('=') => "",
        0 => "",
        2 => "==",
        3 => "=",
        _ => return None,
    };
    BASE64URL.decode([text, padding].concat()).ok()
}

fn object(bytes: Vec<u8>, around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    // OPA would put other characters in the place of the bytes.
    let text = String::from_utf8(bytes).map_err(|_| failed("a token that is not UTF-8".to_owned()))?;
    Ok(unmarshal(&[Value::from(text)], around)?.filter(|value| value.as_object().is_ok()))
}

fn failed(message: String) -> Stop {
    Stop(EvaluationError::Failed { at: None, message: format!("io.jwt: {message}") })
}

#[cfg(test)]
mod tests;
