//! The little DER (X.690) that hosts want and that keys come in: SubjectPublicKeyInfo (RFC 5280), ECDSA signatures as
//! in RFC 3279 section 2.2.3.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const SEQUENCE: u8 = 0x30;
/// `rsaEncryption` with its NULL (RFC 3279 section 2.3.1).
const RSA: [u8; 15] = [SEQUENCE, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `id-ecPublicKey` with `secp256r1` (RFC 5480 section 2.1.1).
const P256: [u8; 21] = [
    SEQUENCE, 19, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
/// `id-ecPublicKey` with `secp384r1`.
const P384: [u8; 18] =
    [SEQUENCE, 16, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 6, 5, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// A point on P-256, uncompressed (SEC 1 section 2.3.3), as SubjectPublicKeyInfo.
pub(crate) fn p256_key(point: &[u8]) -> Option<Vec<u8>> {
    public_key(&P256, point)
}

/// A point on P-384, as [`p256_key`].
pub(crate) fn p384_key(point: &[u8]) -> Option<Vec<u8>> {
    public_key(&P384, point)
}

/// An RSA key (RFC 8017 appendix A.1.1), both numbers big-endian, as SubjectPublicKeyInfo.
pub(crate) fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    public_key(&RSA, &integers(modulus, exponent)?)
}

/// An ECDSA signature of two numbers of `size` octets each; `None` for any other length.
pub(crate) fn ecdsa_signature(raw: &[u8], size: usize) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(size)?;
    if s.len() != size {
        return None;
    }
    integers(r, s)
}

fn public_key(algorithm: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    // No bit of the last octet is unused.
    let bits = value(BIT_STRING, &[&[0], key])?;
    value(SEQUENCE, &[algorithm, &bits])
}

fn integers(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    value(SEQUENCE, &[&integer(first)?, &integer(second)?])
}

/// An INTEGER in the fewest octets (X.690 section 8.3.2), with a leading zero only where the value would be negative.
fn integer(magnitude: &[u8]) -> Option<Vec<u8>> {
    let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
    let digits = magnitude.get(zeros..)?;
    let pad = digits.first().is_none_or(|first| first & 0x80 != 0);
    let zero: &[u8] = if pad { &[0] } else { &[] };
    value(INTEGER, &[zero, digits])
}

/// Tag, length and contents; `None` beyond 65535 octets.
fn value(tag: u8, contents: &[&[u8]]) -> Option<Vec<u8>> {
    let length = contents.iter().map(|part| part.len()).fold(0, usize::saturating_add);
    let [high, low] = u16::try_from(length).ok()?.to_be_bytes();
    let mut der = Vec::with_capacity(length.saturating_add(4));
    der.push(tag);
    match (high, low) {
        (0, ..=0x7f) => der.push(low),
        (0, _) => der.extend([0x81, low]),
        _ => der.extend([0x82, high, low]),
    }
    for part in contents {
        der.extend_from_slice(part);
    }
    Some(der)
}

/// The contents of the value that comes first, and what follows it; `None` unless it has this tag and a definite length
/// in the fewest octets, at most two of them.
pub(crate) fn read(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        ..=0x7f => (usize::from(*first), rest),
        0x81 => {
            let (length, rest) = rest.split_first().filter(|(length, _)| **length >= 0x80)?;
            (usize::from(*length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>().filter(|(length, _)| length[0] > 0)?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    if *found != tag {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use p256::pkcs8::EncodePublicKey as _;

    use super::*;

    fn raw(r: &[u8], s: &[u8]) -> Vec<u8> {
        let pad = |value: &[u8]| [&[0; 32][value.len()..], value].concat();
        [pad(r), pad(s)].concat()
    }

    #[test]
    fn integers_are_minimal() {
        let ff = [0xff_u8; 32];
        let seven_f = [0x7f_u8; 32];
        for (r, s, expected) in [
            (&[1_u8][..], &[2_u8][..], vec![0x30, 6, 2, 1, 1, 2, 1, 2]),
            (&[], &[], vec![0x30, 6, 2, 1, 0, 2, 1, 0]),
            (&[0x7f], &[0x80], vec![0x30, 7, 2, 1, 0x7f, 2, 2, 0, 0x80]),
            (&[0x80, 0], &[1, 0], vec![0x30, 9, 2, 3, 0, 0x80, 0, 2, 2, 1, 0]),
            (&ff, &ff, [&[0x30, 70, 2, 33, 0][..], &ff, &[2, 33, 0], &ff].concat()),
            (&seven_f, &[9], [&[0x30, 37, 2, 32][..], &seven_f, &[2, 1, 9]].concat()),
        ] {
            assert_eq!(ecdsa_signature(&raw(r, s), 32).unwrap(), expected);
        }
    }

    #[test]
    fn only_twice_the_size_is_a_signature() {
        for (length, size) in
            [(0, 32), (1, 32), (31, 32), (32, 32), (63, 32), (65, 32), (96, 32), (64, 48), (95, 48), (97, 48)]
        {
            assert_eq!(ecdsa_signature(&vec![1; length], size), None, "{length}");
        }
    }

    #[test]
    fn the_primitives_read_back_what_was_written() {
        for seed in 0..64_u8 {
            let mut octets: Vec<u8> = (0..96_u8).map(|i| i.wrapping_mul(37).wrapping_add(seed)).collect();
            octets[..usize::from(seed % 5)].fill(0);
            octets[48..48 + usize::from(seed % 7)].fill(0);
            if let Ok(expected) = p256::ecdsa::Signature::from_slice(&octets[..64]) {
                let read =
                    p256::ecdsa::Signature::from_der(&ecdsa_signature(&octets[..64], 32).unwrap()).unwrap();
                assert_eq!(read, expected);
            }
            if let Ok(expected) = p384::ecdsa::Signature::from_slice(&octets) {
                let read = p384::ecdsa::Signature::from_der(&ecdsa_signature(&octets, 48).unwrap()).unwrap();
                assert_eq!(read, expected);
            }
        }
    }

    #[test]
    fn public_keys_are_what_others_write() {
        use jwt_simple::algorithms::RS256KeyPair;
        let p256 = p256::SecretKey::from_slice(&[7; 32]).unwrap().public_key();
        let point = p256::ecdsa::VerifyingKey::from(&p256).to_sec1_point(false);
        assert_eq!(p256_key(point.as_bytes()).unwrap(), p256.to_public_key_der().unwrap().as_ref());
        let p384 = p384::SecretKey::from_slice(&[7; 48]).unwrap().public_key();
        let point = p384::ecdsa::VerifyingKey::from(&p384).to_sec1_point(false);
        assert_eq!(p384_key(point.as_bytes()).unwrap(), p384.to_public_key_der().unwrap().as_ref());
        let rsa = RS256KeyPair::generate(2048).unwrap().public_key();
        let components = rsa.to_components();
        assert_eq!(rsa_key(&components.n, &components.e).unwrap(), rsa.to_der().unwrap());
    }
}
