//! `uuid.parse`: what a UUID says (RFC 4122).

use regorus::Value;

use super::crypto::hex;
use crate::ordered;

/// Hundreds of nanoseconds from the Gregorian calendar's first day to the Unix epoch.
const GREGORIAN: i64 = 122_192_928_000_000_000;

/// Version and variant; of one that is made of time and place, these.
pub(super) fn parse(arguments: &[Value]) -> Option<Value> {
    let [Value::String(text)] = arguments else { return None };
    let digits: Vec<u8> = digits(text)?.chars().filter_map(|c| u8::try_from(c.to_digit(16)?).ok()).collect();
    let mut uuid = [0_u8; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
    }
    let [t0, t1, t2, t3, t4, t5, t6, t7, c0, c1, node @ ..] = uuid;
    let variant = match c0 >> 5 {
        0b100 | 0b101 => "RFC4122",
        0b110 => "Microsoft",
        0b111 => "Future",
        _ => "Reserved",
    };
    let mut fields = vec![("version", Value::from(u64::from(t6 >> 4))), ("variant", Value::from(variant))];
    if matches!(t6 >> 4, 1 | 2) {
        let [first, rest @ ..] = node;
        let address = rest.iter().fold(hex(&[first]), |text, byte| text + "-" + &hex(&[*byte]));
        let time = i64::from_be_bytes([t6 & 0xf, t7, t4, t5, t0, t1, t2, t3]);
        let kind = match first & 0b11 {
            0b11 => "local:multicast",
            0b01 => "global:multicast",
            0b10 => "local:unicast",
            _ => "global:unicast",
        };
        fields.extend([
            ("time", Value::from(time.wrapping_sub(GREGORIAN).wrapping_mul(100))),
            ("nodeid", Value::from(address)),
            ("macvariables", Value::from(kind)),
            ("clocksequence", Value::from(u64::from(u16::from_be_bytes([c0 & 0x3f, c1])))),
        ]);
    }
    if t6 >> 4 == 2 {
        let domain = match c1 {
            0 => Value::from("Person"),
            1 => Value::from("Group"),
            2 => Value::from("Org"),
            other => Value::from(["Domain", &other.to_string()].concat()),
        };
        fields.push(("id", Value::from(u64::from(u32::from_be_bytes([t0, t1, t2, t3])))));
        fields.push(("domain", domain));
    }
    Some(Value::from(ordered::map(fields.into_iter().map(|(name, value)| (Value::from(name), value)))))
}

/// The 32 digits of the forms that OPA reads: with dashes, with `urn:uuid:` or in braces, or alone.
fn digits(text: &str) -> Option<String> {
    let text = match text.len() {
        32 if text.bytes().all(|b| b.is_ascii_hexdigit()) => return Some(text.to_owned()),
        36 => text,
        45 if text.get(..9)?.eq_ignore_ascii_case("urn:uuid:") => text.get(9..)?,
        // OPA does not look at what stands around it.
        38 => text.get(1..37)?,
        _ => return None,
    };
    let is_right = text.bytes().enumerate().all(|(at, b)| match at {
        8 | 13 | 18 | 23 => b == b'-',
        _ => b.is_ascii_hexdigit(),
    });
    is_right.then(|| text.replace('-', ""))
}
