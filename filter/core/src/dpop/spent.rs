//! Proofs that were used, in a fixed number of slots of the proxy's shared data, until they are too old anyway.
//!
//! An entry is 16 bytes of a mark's digest and 8 of its expiry. A slot that is full of live entries takes no further one:
//! overwriting would forget that a proof was used.

use super::Mark;
use crate::ids::UnixSeconds;

const DIGEST: usize = 16;
const ENTRY: usize = 24;

/// Why a proof cannot be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// It was used before.
    #[error("the proof was used before")]
    Replayed,
    /// Every place is taken by a proof that is still young enough.
    #[error("no room to remember a further proof")]
    Full,
    /// The stored bytes are not what this filter wrote.
    #[error("the stored proofs cannot be read")]
    Corrupt,
}

/// The slot's bytes with one more mark, and without those that have expired.
///
/// # Errors
///
/// See [`SpendError`].
pub fn spend(
    stored: Option<&[u8]>,
    mark: &Mark,
    room: usize,
    now: UnixSeconds,
) -> Result<Vec<u8>, SpendError> {
    let stored = stored.unwrap_or_default();
    let entries = stored.chunks_exact(ENTRY);
    if !entries.remainder().is_empty() {
        return Err(SpendError::Corrupt);
    }
    let digest = mark.digest.first_chunk::<DIGEST>().ok_or(SpendError::Corrupt)?;
    let mut kept = Vec::with_capacity(stored.len().saturating_add(ENTRY));
    for entry in entries {
        let (known, expires) = entry.split_first_chunk::<DIGEST>().ok_or(SpendError::Corrupt)?;
        let expires = u64::from_be_bytes(expires.try_into().map_err(|_| SpendError::Corrupt)?);
        if expires <= now.0 {
            continue;
        }
        if known == digest {
            return Err(SpendError::Replayed);
        }
        kept.extend_from_slice(entry);
    }
    if kept.len() / ENTRY >= room {
        return Err(SpendError::Full);
    }
    kept.extend_from_slice(digest);
    kept.extend_from_slice(&mark.expires.0.to_be_bytes());
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: UnixSeconds = UnixSeconds(1000);

    fn mark(byte: u8, expires: u64) -> Mark {
        Mark { digest: [byte; 32], expires: UnixSeconds(expires) }
    }

    #[test]
    fn a_mark_is_spent_once_until_it_expires() {
        let one = spend(None, &mark(1, 1010), 8, T).unwrap();
        assert_eq!(one.len(), ENTRY);
        assert_eq!(spend(Some(&one), &mark(1, 1010), 8, T.plus(9)), Err(SpendError::Replayed));
        let two = spend(Some(&one), &mark(2, 1020), 8, T.plus(9)).unwrap();
        assert_eq!(two.len(), 2 * ENTRY);
        // What has expired is dropped; who would present it again is refused for its age.
        let later = spend(Some(&two), &mark(3, 1020), 8, T.plus(10)).unwrap();
        assert_eq!(later.len(), 2 * ENTRY);
    }

    #[test]
    fn a_full_slot_refuses_and_forgets_nothing() {
        let full = spend(None, &mark(1, 1010), 2, T).unwrap();
        let full = spend(Some(&full), &mark(2, 1010), 2, T).unwrap();
        assert_eq!(spend(Some(&full), &mark(3, 1010), 2, T), Err(SpendError::Full));
        assert_eq!(spend(Some(&full), &mark(1, 1010), 2, T), Err(SpendError::Replayed));
        assert!(spend(Some(&full), &mark(3, 1020), 2, T.plus(10)).is_ok());
        assert_eq!(spend(None, &mark(1, 1010), 0, T), Err(SpendError::Full));
    }

    #[test]
    fn what_nobody_wrote_is_corrupt() {
        for length in [1, 23, 25, 47] {
            assert_eq!(spend(Some(&vec![0; length]), &mark(1, 1010), 8, T), Err(SpendError::Corrupt));
        }
        assert!(spend(Some(&[]), &mark(1, 1010), 8, T).is_ok());
    }
}
