//! Open challenges, in a fixed number of slots of the proxy's shared data.
//!
//! A challenge is opened when an action needs approval and spent when an approved action is forwarded. A slot that is
//! full of live challenges takes no further one: overwriting would forget that an approval was spent.

use serde::{Deserialize, Serialize};

use crate::ids::UnixSeconds;

/// One open or spent challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Challenge {
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "d")]
    digest: String,
    #[serde(rename = "e")]
    expires: UnixSeconds,
    #[serde(rename = "s", default)]
    spent: bool,
}

/// The challenges of one slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot {
    challenges: Vec<Challenge>,
}

/// Why a slot cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// The stored bytes are not what this filter wrote.
    #[error("the stored challenges cannot be read")]
    Corrupt,
    /// Every place is taken by a challenge that is still live.
    #[error("no room for a further challenge")]
    Full,
}

/// Why a challenge cannot be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// This deployment has no such live challenge for this action.
    #[error("no such challenge is open")]
    Unknown,
    /// It was spent before.
    #[error("the challenge was spent before")]
    Spent,
}

/// An open challenge, as the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The id, which an approval repeats as `nonce`.
    pub id: String,
    /// When it closes.
    pub expires: UnixSeconds,
}

/// Which slot the challenges for an action are kept in.
#[must_use]
pub fn slot_of(digest: &[u8; 32], slots: u32) -> u32 {
    let [a, b, c, d, ..] = *digest;
    u32::from_be_bytes([a, b, c, d]).checked_rem(slots).unwrap_or(0)
}

impl Slot {
    /// Reads a slot, and forgets what has expired.
    ///
    /// # Errors
    ///
    /// [`SlotError::Corrupt`].
    pub fn decode(bytes: Option<&[u8]>, now: UnixSeconds) -> Result<Self, SlotError> {
        let Some(bytes) = bytes else { return Ok(Self::default()) };
        // From text: a reader of bytes would be a second one in the module.
        let text = std::str::from_utf8(bytes).map_err(|_| SlotError::Corrupt)?;
        let mut slot: Self = serde_json::from_str(text).map_err(|_| SlotError::Corrupt)?;
        slot.challenges.retain(|challenge| challenge.expires > now);
        Ok(slot)
    }

    /// The bytes to store.
    ///
    /// # Errors
    ///
    /// [`SlotError::Corrupt`], which does not happen with what [`Slot::decode`] made.
    pub fn encode(&self) -> Result<Vec<u8>, SlotError> {
        serde_json::to_vec(self).map_err(|_| SlotError::Corrupt)
    }

    /// The open challenge for an action, or a new one under `id`. A retry of the same action gets the same challenge.
    /// The flag says whether the slot has changed and must be stored.
    ///
    /// # Errors
    ///
    /// [`SlotError::Full`].
    pub fn open(
        &mut self,
        digest: &str,
        id: &str,
        expires: UnixSeconds,
        room: usize,
    ) -> Result<(Opened, bool), SlotError> {
        if let Some(open) = self.challenges.iter().find(|c| c.digest == digest && !c.spent) {
            return Ok((Opened { id: open.id.clone(), expires: open.expires }, false));
        }
        if self.challenges.len() >= room {
            return Err(SlotError::Full);
        }
        self.challenges.push(Challenge {
            id: id.to_owned(),
            digest: digest.to_owned(),
            expires,
            spent: false,
        });
        Ok((Opened { id: id.to_owned(), expires }, true))
    }

    /// Whether a challenge could be spent now.
    ///
    /// # Errors
    ///
    /// See [`SpendError`].
    pub fn find(&self, digest: &str, id: &str) -> Result<(), SpendError> {
        match self.challenges.iter().find(|c| c.id == id && c.digest == digest) {
            None => Err(SpendError::Unknown),
            Some(challenge) if challenge.spent => Err(SpendError::Spent),
            Some(_) => Ok(()),
        }
    }

    /// Spends a challenge.
    ///
    /// # Errors
    ///
    /// See [`SpendError`].
    pub fn spend(&mut self, digest: &str, id: &str) -> Result<(), SpendError> {
        self.find(digest, id)?;
        for challenge in &mut self.challenges {
            if challenge.id == id {
                challenge.spent = true;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: UnixSeconds = UnixSeconds(1000);

    #[test]
    fn a_challenge_is_spent_once() {
        let mut slot = Slot::decode(None, T).unwrap();
        let (opened, changed) = slot.open("d", "c1", T.plus(10), 8).unwrap();
        assert!(changed);
        assert_eq!(slot.open("d", "c2", T.plus(10), 8).unwrap(), (opened, false));
        let mut slot = Slot::decode(Some(&slot.encode().unwrap()), T).unwrap();
        assert_eq!(slot.spend("other", "c1"), Err(SpendError::Unknown));
        assert_eq!(slot.spend("d", "c2"), Err(SpendError::Unknown));
        assert_eq!(slot.spend("d", "c1"), Ok(()));
        assert_eq!(slot.spend("d", "c1"), Err(SpendError::Spent));
        // The same action again needs a new challenge.
        let (opened, changed) = slot.open("d", "c3", T.plus(10), 8).unwrap();
        assert_eq!((opened.id.as_str(), changed), ("c3", true));
    }

    #[test]
    fn a_full_slot_refuses_until_something_expires() {
        let mut slot = Slot::default();
        slot.open("a", "c1", T.plus(5), 2).unwrap();
        slot.open("b", "c2", T.plus(50), 2).unwrap();
        slot.spend("b", "c2").unwrap();
        assert_eq!(slot.open("c", "c3", T.plus(50), 2), Err(SlotError::Full));
        let bytes = slot.encode().unwrap();
        let mut later = Slot::decode(Some(&bytes), T.plus(5)).unwrap();
        assert_eq!(later.find("a", "c1"), Err(SpendError::Unknown));
        assert_eq!(later.find("b", "c2"), Err(SpendError::Spent));
        assert!(later.open("c", "c3", T.plus(50), 2).is_ok());
    }

    #[test]
    fn what_nobody_wrote_is_corrupt() {
        for bytes in [b"".as_slice(), b"{}", b"[{}]", b"\xff", b"[1]"] {
            assert_eq!(Slot::decode(Some(bytes), T), Err(SlotError::Corrupt));
        }
    }

    #[test]
    fn slots_spread() {
        assert_eq!(slot_of(&[0xff; 32], 256), 255);
        assert_eq!(slot_of(&[0; 32], 256), 0);
        assert_eq!(slot_of(&[7; 32], 0), 0);
    }
}
