//! `crypto.*`: digests and their keyed forms.

mod legacy;

use regorus::Value;
use sha2::{Digest, Sha256, Sha384, Sha512};

pub(super) use crate::ids::hex;

pub(super) fn md5(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    Some(Value::from(hex(&legacy::md5(text.as_bytes()))))
}

pub(super) fn sha1(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    Some(Value::from(hex(&legacy::sha1(text.as_bytes()))))
}

pub(super) fn sha256(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    Some(Value::from(hex(&Sha256::digest(text.as_bytes()))))
}

pub(super) fn hmac_md5(arguments: &[Value]) -> Option<Value> {
    keyed(arguments, 64, |bytes| legacy::md5(bytes).to_vec())
}

pub(super) fn hmac_sha1(arguments: &[Value]) -> Option<Value> {
    keyed(arguments, 64, |bytes| legacy::sha1(bytes).to_vec())
}

pub(super) fn hmac_sha256(arguments: &[Value]) -> Option<Value> {
    keyed(arguments, 64, |bytes| Sha256::digest(bytes).to_vec())
}

pub(super) fn hmac_sha512(arguments: &[Value]) -> Option<Value> {
    keyed(arguments, 128, |bytes| Sha512::digest(bytes).to_vec())
}

/// Whether two texts are the same; how long it takes says nothing on where they differ.
pub(super) fn hmac_equal(arguments: &[Value]) -> Option<Value> {
    let [Value::String(one), Value::String(other)] = arguments else { return None };
    Some(Value::Bool(jwt_simple::reexports::ct_codecs::verify(one.as_bytes(), other.as_bytes())))
}

/// The keyed hash of a JWT (RFC 7518 section 3.2).
#[derive(Debug, Clone, Copy)]
pub(super) enum Mac {
    Hs256,
    Hs384,
    Hs512,
}

impl Mac {
    /// The one of this `alg`.
    pub(super) fn of_jwt(alg: &str) -> Option<Self> {
        match alg {
            "HS256" => Some(Self::Hs256),
            "HS384" => Some(Self::Hs384),
            "HS512" => Some(Self::Hs512),
            _ => None,
        }
    }

    pub(super) fn of(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256 => hmac(key, message, 64, |bytes| Sha256::digest(bytes).to_vec()),
            Self::Hs384 => hmac(key, message, 128, |bytes| Sha384::digest(bytes).to_vec()),
            Self::Hs512 => hmac(key, message, 128, |bytes| Sha512::digest(bytes).to_vec()),
        }
    }
}

fn keyed(arguments: &[Value], block: usize, hash: fn(&[u8]) -> Vec<u8>) -> Option<Value> {
    let [Value::String(message), Value::String(key)] = arguments else { return None };
    Some(Value::from(hex(&hmac(key.as_bytes(), message.as_bytes(), block, hash))))
}

/// RFC 2104, with a hash that reads blocks of so many bytes.
fn hmac(key: &[u8], message: &[u8], block: usize, hash: fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut key = if key.len() > block { hash(key) } else { key.to_vec() };
    key.resize(block, 0);
    let padded = |pad: u8, rest: &[u8]| {
        let mut bytes: Vec<u8> = key.iter().map(|byte| byte ^ pad).collect();
        bytes.extend_from_slice(rest);
        hash(&bytes)
    };
    padded(0x5c, &padded(0x36, message))
}

/// In lower case, as Go writes it.
#[cfg(test)]
mod tests;
