//! Verified tokens that are remembered: bounded, keyed by the whole text, never past their times.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use super::VerifiedToken;
use crate::ids::Now;
use crate::remembered::Remembered;

/// Bounds of a [`TokenCache`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLimits {
    /// Tokens; fewer than 3 turn the cache off.
    pub max_entries: usize,
    /// Bytes of memory, estimated.
    pub max_bytes: usize,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { max_entries: 1024, max_bytes: 8 * 1024 * 1024 }
    }
}

/// What a cache has done, since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CacheCounts {
    /// Lookups that found a token whose times held.
    pub hits: u64,
    /// Lookups that did not.
    pub misses: u64,
    /// Tokens dropped to make room.
    pub evicted: u64,
}

/// A verified token and what was derived from it.
#[derive(Debug)]
pub struct CachedToken<T> {
    /// The proof.
    pub token: VerifiedToken,
    /// What depends on the token and the configuration alone.
    pub derived: T,
}

/// Verified tokens by their whole text. Refusals are not remembered.
pub struct TokenCache<T> {
    epoch: u64,
    /// By the end of the text, which is the signature's: tokens of one agent are alike for hundreds of bytes before.
    tokens: Remembered<Tail, Arc<Known<T>>>,
    hits: u64,
    misses: u64,
}

type Tail = [u8; 16];

/// The whole text decides; two that end alike take turns.
struct Known<T> {
    text: Box<str>,
    cached: Arc<CachedToken<T>>,
}

fn tail(text: &str) -> Tail {
    let mut tail = [0; 16];
    for (slot, byte) in tail.iter_mut().zip(text.bytes().rev()) {
        *slot = byte;
    }
    tail
}

impl<T> TokenCache<T> {
    /// An empty cache.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        let tokens = Remembered::new(limits.max_entries, limits.max_bytes);
        Self { epoch: 0, tokens, hits: 0, misses: 0 }
    }

    /// The entry of this token, if its times hold at `now`. One whose times do not is dropped, so that verifying again
    /// gives the exact reason.
    pub fn lookup(&mut self, token: &str, now: Now) -> Option<Arc<CachedToken<T>>> {
        let tail = tail(token);
        let known = self.tokens.find(&tail).filter(|known| &*known.text == token);
        let held = match known {
            Some(known) if known.cached.token.times_hold(now).is_ok() => Some(Arc::clone(&known.cached)),
            Some(_) => {
                self.tokens.forget(&tail);
                None
            }
            None => None,
        };
        let count = if held.is_some() { &mut self.hits } else { &mut self.misses };
        *count = count.saturating_add(1);
        held
    }

    /// Remembers a token that was verified with the keys and rules of `epoch` (see [`TokenCache::epoch`]); after
    /// [`TokenCache::invalidate`] a token of an earlier epoch is not kept.
    ///
    /// `derived_bytes` is what `derived` holds, roughly. The entry is returned whether it was kept or not.
    pub fn insert(
        &mut self,
        epoch: u64,
        text: &str,
        mut token: VerifiedToken,
        derived: T,
        derived_bytes: usize,
    ) -> Arc<CachedToken<T>> {
        token.fold();
        let bytes = [text.len(), size_of::<CachedToken<T>>(), heap_bytes(&token), derived_bytes]
            .into_iter()
            .fold(0, usize::saturating_add);
        let cached = Arc::new(CachedToken { token, derived });
        if epoch == self.epoch {
            let known = Known { text: text.into(), cached: Arc::clone(&cached) };
            self.tokens.keep(tail(text), Arc::new(known), bytes);
        }
        cached
    }

    /// Forgets everything: the keys or the configuration have changed.
    pub fn invalidate(&mut self) {
        self.tokens.clear();
        self.epoch = self.epoch.saturating_add(1);
    }

    /// Counts the calls of [`TokenCache::invalidate`]. Take it before verifying a token.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What the cache has done.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        CacheCounts { hits: self.hits, misses: self.misses, evicted: self.tokens.dropped() }
    }

    /// Tokens in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it holds, estimated.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.tokens.bytes()
    }
}

/// Without the entries, whose keys are tokens.
impl<T> fmt::Debug for TokenCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TokenCache");
        debug.field("len", &self.len()).field("bytes", &self.bytes()).field("counts", &self.counts());
        debug.finish_non_exhaustive()
    }
}

/// Claims as a policy may have them shown, and the lists that were read out of them.
fn heap_bytes(token: &VerifiedToken) -> usize {
    let texts = token.aud().iter().chain(token.scope());
    let texts = texts.map(|text| text.len().saturating_add(size_of::<String>()));
    texts.fold(token.claims_bytes(), usize::saturating_add)
}
