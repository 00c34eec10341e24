//! Verified tokens that are remembered: bounded, keyed by the whole text, never past their times.
//!
//! Two generations stand in for the bookkeeping of least-recently-used: entries enter the young one; when that is full
//! it becomes the old one, and what was still old is dropped. A hit in the old one moves the entry back.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::VerifiedToken;
use crate::ids::Now;

/// Bounds of a [`TokenCache`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheLimits {
    /// Tokens; fewer than 2 turn the cache off.
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
    limits: CacheLimits,
    epoch: u64,
    young: Generation<T>,
    old: Generation<T>,
    counts: CacheCounts,
}

struct Generation<T> {
    entries: BTreeMap<Box<str>, Entry<T>>,
    bytes: usize,
}

struct Entry<T> {
    cached: Arc<CachedToken<T>>,
    bytes: usize,
}

impl<T> TokenCache<T> {
    /// An empty cache.
    #[must_use]
    pub fn new(limits: CacheLimits) -> Self {
        Self {
            limits,
            epoch: 0,
            young: Generation::default(),
            old: Generation::default(),
            counts: CacheCounts::default(),
        }
    }

    /// The entry of this token, if its times hold at `now`. One whose times do not is dropped, so that verifying again
    /// gives the exact reason.
    pub fn lookup(&mut self, token: &str, now: Now) -> Option<Arc<CachedToken<T>>> {
        let found = match self.young.entries.get(token) {
            Some(entry) => Some(Arc::clone(&entry.cached)),
            None => self.old.remove(token).map(|(text, entry)| {
                let cached = Arc::clone(&entry.cached);
                self.admit(text, entry);
                cached
            }),
        };
        let held = found.filter(|cached| cached.token.times_hold(now).is_ok());
        match held {
            Some(_) => self.counts.hits = self.counts.hits.saturating_add(1),
            None => {
                self.counts.misses = self.counts.misses.saturating_add(1);
                self.young.remove(token);
            }
        }
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
        token: VerifiedToken,
        derived: T,
        derived_bytes: usize,
    ) -> Arc<CachedToken<T>> {
        let bytes = [text.len(), size_of::<CachedToken<T>>(), heap_bytes(&token), derived_bytes]
            .into_iter()
            .fold(0, usize::saturating_add);
        let cached = Arc::new(CachedToken { token, derived });
        if epoch == self.epoch {
            self.young.remove(text);
            self.old.remove(text);
            self.admit(text.into(), Entry { cached: Arc::clone(&cached), bytes });
        }
        cached
    }

    /// Forgets everything: the keys or the configuration have changed.
    pub fn invalidate(&mut self) {
        self.young = Generation::default();
        self.old = Generation::default();
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
        self.counts
    }

    /// Tokens in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.entries.len().saturating_add(self.old.entries.len())
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it holds, estimated.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.young.bytes.saturating_add(self.old.bytes)
    }

    /// Each generation gets half of the bounds, so both together stay within them. The entry is in neither.
    fn admit(&mut self, text: Box<str>, entry: Entry<T>) {
        let (max_entries, max_bytes) = (self.limits.max_entries / 2, self.limits.max_bytes / 2);
        if max_entries == 0 || entry.bytes > max_bytes {
            return;
        }
        let full = self.young.entries.len() >= max_entries
            || self.young.bytes.saturating_add(entry.bytes) > max_bytes;
        if full {
            let dropped = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            let dropped = u64::try_from(dropped.entries.len()).unwrap_or(u64::MAX);
            self.counts.evicted = self.counts.evicted.saturating_add(dropped);
        }
        self.young.bytes = self.young.bytes.saturating_add(entry.bytes);
        self.young.entries.insert(text, entry);
    }
}

/// Without the entries, whose keys are tokens.
impl<T> fmt::Debug for TokenCache<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("TokenCache");
        debug.field("len", &self.len()).field("bytes", &self.bytes()).field("counts", &self.counts);
        debug.finish_non_exhaustive()
    }
}

impl<T> Default for Generation<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), bytes: 0 }
    }
}

impl<T> Generation<T> {
    fn remove(&mut self, token: &str) -> Option<(Box<str>, Entry<T>)> {
        let (text, entry) = self.entries.remove_entry(token)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some((text, entry))
    }
}

/// Small values cost far more in memory than in the token, so its length alone would not bound anything.
fn heap_bytes(token: &VerifiedToken) -> usize {
    let claims = token.claims().iter().map(|(name, value)| member_bytes(name, value));
    let scope = token.scope().iter().map(|scope| scope.len().saturating_add(size_of::<String>()));
    claims.chain(scope).fold(0, usize::saturating_add)
}

fn member_bytes(name: &str, value: &Value) -> usize {
    name.len().saturating_add(size_of::<String>()).saturating_add(value_bytes(value))
}

/// The depth was bounded when the value was parsed.
fn value_bytes(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(value_bytes).fold(0, usize::saturating_add),
        Value::Object(members) => {
            members.iter().map(|(name, value)| member_bytes(name, value)).fold(0, usize::saturating_add)
        }
    };
    inside.saturating_add(size_of::<Value>())
}
