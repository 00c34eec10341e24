//! `memcmp` of eight bytes at a time. The C library's goes byte by byte, and an evaluation compares the keys of objects all the time.

use std::cmp::Ordering;

/// As in C: negative, zero or positive as `one` comes before, is, or comes after `other`.
///
/// # Safety
///
/// Both addresses have `length` bytes and are not null.
#[cfg(target_family = "wasm")]
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: as this function's own.
    let (one, other) =
        unsafe { (std::slice::from_raw_parts(one, length), std::slice::from_raw_parts(other, length)) };
    order(one, other) as i32
}

/// The order of two texts of one length. Nothing in it compares slices, which would call it again.
fn order(one: &[u8], other: &[u8]) -> Ordering {
    let (ones, one_rest) = one.as_chunks::<8>();
    let (others, other_rest) = other.as_chunks::<8>();
    for (one, other) in ones.iter().zip(others) {
        if u64::from_ne_bytes(*one) != u64::from_ne_bytes(*other) {
            return u64::from_be_bytes(*one).cmp(&u64::from_be_bytes(*other));
        }
    }
    for (one, other) in one_rest.iter().zip(other_rest) {
        if one != other {
            return one.cmp(other);
        }
    }
    Ordering::Equal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_ordered_as_their_bytes_are() {
        for length in 0..40 {
            let one: Vec<u8> = (0..length).map(|at: u8| at.wrapping_mul(7)).collect();
            assert_eq!(order(&one, &one), Ordering::Equal);
            for at in 0..one.len() {
                for byte in [0, 1, 127, 128, 255] {
                    // What comes behind the first difference does not count.
                    let mut other: Vec<u8> = one.iter().map(|byte| byte.wrapping_add(1)).collect();
                    other[..at].copy_from_slice(&one[..at]);
                    other[at] = byte;
                    assert_eq!(order(&one, &other), one.cmp(&other), "{one:?} {other:?}");
                }
            }
        }
    }
}
