//! Status lists: first byte even: a JWT as it comes; odd: claims, signed; 3 of 4: only the compressed list.

use std::io::{Read as _, Write as _};

use remit_core::ids::UnixSeconds;
use remit_core::status::{StatusError, StatusLimits, StatusList};
use serde_json::{Value, json};

use crate::signed::{ISSUER, NOW, by_ed25519, keys, rules, with};
use crate::text::{Node, decoded, encoded, json as read};

const URI: &str = "https://idp.example/statuslists/1";
const LIMITS: StatusLimits = StatusLimits { list_bytes: 16 * 1024, inflated_bytes: 1024 };
const HEADER: &[u8] = br#"{"alg":"EdDSA","kid":"k2","typ":"statuslist+jwt"}"#;

fn claims(bits: u8, lst: &str) -> Value {
    json!({"sub": URI, "iss": ISSUER, "iat": NOW - 60, "exp": NOW + 600, "ttl": 300,
        "status_list": {"bits": bits, "lst": lst}})
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(bytes).and_then(|()| zlib.finish()).expect("memory")
}

pub fn seeds() -> Vec<Vec<u8>> {
    let signed = |claims: Value| format!("\x01{claims}").into_bytes();
    let whole = by_ed25519(0, HEADER, claims(1, "eNrbuRgAAhcBXQ").to_string().as_bytes());
    vec![
        format!("\0{whole}").into_bytes(),
        format!("\0{whole}\n").into_bytes(),
        signed(claims(1, "eNrbuRgAAhcBXQ")),
        signed(claims(2, "eNo76fITAAPfAgc")),
        signed(claims(3, "eNo76fITAAPfAgc")),
        signed(with(claims(8, "eNo76fITAAPfAgc"), &json!({"exp": null, "ttl": null, "iss": null}))),
        [&[3][..], &deflated(&[0x21, 0xf0])].concat(),
        [&[7][..], &deflated(&[0; 2000])].concat(),
    ]
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let Some((kind, data)) = data.split_first() else { return false };
    let bits = 1 << (kind / 4 % 4);
    let jwt = match kind % 4 {
        1 => by_ed25519(0, HEADER, data),
        3 => by_ed25519(0, HEADER, claims(bits, &encoded(data)).to_string().as_bytes()),
        _ => String::from_utf8_lossy(data).into_owned(),
    };
    let verified = StatusList::verify(jwt.as_bytes(), URI, &rules(), Some(keys()), LIMITS, UnixSeconds(NOW));
    let Ok(list) = verified else { return false };
    assert!(jwt.len() <= LIMITS.list_bytes, "too long");
    let payload = jwt.split('.').nth(1).expect("segments");
    let claims = read(&decoded(payload).expect("canonical base64url"), 16).expect("strict JSON");
    assert_eq!(claims.get("sub").and_then(Node::text), Some(URI));
    let date = |claim| claims.get(claim).map(|node| node.date().expect("a NumericDate").floor());
    assert!(date("iat").expect("iat") <= NOW as f64 + 30.0, "from the future");
    assert!(date("exp").is_none_or(|exp| exp + 30.0 > NOW as f64), "too old");
    let list_claim = claims.get("status_list").expect("status_list");
    let bits = list_claim.get("bits").and_then(Node::date).expect("bits");
    assert!([1.0, 2.0, 4.0, 8.0].contains(&bits), "{bits}");
    let bits = bits as usize;
    let compressed = list_claim.get("lst").and_then(Node::text).and_then(decoded).expect("lst");
    let mut bytes = Vec::new();
    flate2::read::ZlibDecoder::new(&compressed[..]).read_to_end(&mut bytes).expect("a zlib stream");
    assert!(bytes.len() <= LIMITS.inflated_bytes, "inflates too much");
    let all = bytes.len() * 8 / bits;
    for index in 0..all {
        let status = (0..bits).rev().fold(0_u8, |status, bit| {
            let at = index * bits + bit;
            status << 1 | bytes[at / 8] >> (at % 8) & 1
        });
        let expected = match status {
            0 => Ok(()),
            1 => Err(StatusError::Invalid),
            2 => Err(StatusError::Suspended),
            other => Err(StatusError::Other(other)),
        };
        assert_eq!(list.check(index as u64), expected, "{index}");
    }
    for index in [all as u64, u64::MAX, u64::MAX / bits as u64] {
        assert_eq!(list.check(index), Err(StatusError::OutOfRange));
    }
    true
}
