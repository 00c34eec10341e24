//! ECDSA signatures: from `r ‖ s` (RFC 7518 section 3.4) to DER (RFC 3279 section 2.2.3), which hosts verify.

/// The DER form of 32 octets `r` and 32 octets `s`; `None` for any other length.
pub(super) fn from_raw(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(32)?;
    if s.len() != 32 {
        return None;
    }
    let mut integers = Vec::with_capacity(70);
    push_integer(&mut integers, r)?;
    push_integer(&mut integers, s)?;
    // At most 2 × 35 octets: the short form of the length is always enough.
    let mut der = vec![0x30, u8::try_from(integers.len()).ok()?];
    der.append(&mut integers);
    Some(der)
}

/// An INTEGER in the fewest octets (X.690 section 8.3.2), with a leading zero only where the value would be negative.
fn push_integer(der: &mut Vec<u8>, magnitude: &[u8]) -> Option<()> {
    let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
    let (_, digits) = magnitude.split_at_checked(zeros)?;
    let pad = digits.first().is_none_or(|first| first & 0x80 != 0);
    der.push(0x02);
    der.push(u8::try_from(digits.len().saturating_add(usize::from(pad))).ok()?);
    if pad {
        der.push(0);
    }
    der.extend_from_slice(digits);
    Some(())
}

#[cfg(test)]
mod tests {
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
            assert_eq!(from_raw(&raw(r, s)).unwrap(), expected);
        }
    }

    #[test]
    fn only_64_octets_are_a_signature() {
        for length in [0, 1, 31, 32, 63, 65, 70, 96, 128] {
            assert_eq!(from_raw(&vec![1; length]), None, "{length}");
        }
    }

    #[test]
    fn the_primitive_reads_back_what_was_written() {
        for seed in 0..64_u8 {
            let mut octets: Vec<u8> = (0..64_u8).map(|i| i.wrapping_mul(37).wrapping_add(seed)).collect();
            octets[..usize::from(seed % 5)].fill(0);
            octets[32..32 + usize::from(seed % 7)].fill(0);
            octets[31] |= 1;
            octets[63] |= 1;
            let Ok(expected) = p256::ecdsa::Signature::from_slice(&octets) else { continue };
            let read = p256::ecdsa::Signature::from_der(&from_raw(&octets).unwrap()).unwrap();
            assert_eq!(read, expected);
        }
    }
}
