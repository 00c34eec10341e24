//! A bounded memory of values by key, which forgets what has not been used for long.
//!
//! Two generations stand in for the bookkeeping of least-recently-used: entries enter the young one; when that is full
//! it becomes the old one, and what was still old goes. A hit in the old one moves the entry back. What goes is dropped a
//! few entries at a time: thousands at once would hold up every request of the worker.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Values by key, within a number of entries and of bytes.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    max_entries: usize,
    max_bytes: usize,
    young: Generation<K, V>,
    old: Generation<K, V>,
    going: Generation<K, V>,
    dropped: u64,
}

/// How many entries are dropped for each that comes.
const DROPPED_AT_ONCE: usize = 2;

#[derive(Debug)]
struct Generation<K, V> {
    entries: BTreeMap<K, Entry<V>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
}

impl<K: Ord, V: Clone> Remembered<K, V> {
    /// An empty memory; fewer than 3 entries keep nothing.
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        let [young, old, going] = [0; 3].map(|_| Generation::default());
        Self { max_entries, max_bytes, young, old, going, dropped: 0 }
    }

    /// Whether it keeps anything at all.
    pub(crate) fn has_room(&self) -> bool {
        self.max_entries / 3 > 0 && self.max_bytes / 3 > 0
    }

    /// The value of a key, which counts as used.
    pub(crate) fn find<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some(entry) = self.young.entries.get(key) {
            return Some(entry.value.clone());
        }
        let (key, entry) = self.old.remove(key)?;
        let value = entry.value.clone();
        self.admit(key, entry);
        Some(value)
    }

    /// Keeps a value of roughly this size in place of any other of its key.
    pub(crate) fn keep(&mut self, key: K, value: V, bytes: usize) {
        self.forget(&key);
        self.admit(key, Entry { value, bytes });
    }

    /// Drops the value of a key.
    pub(crate) fn forget<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.young.remove(key);
        self.old.remove(key);
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        [self.young, self.old, self.going] = [0; 3].map(|_| Generation::default());
    }

    /// Entries in it, those on their way out included.
    pub(crate) fn len(&self) -> usize {
        [&self.young, &self.old, &self.going].map(|part| part.entries.len()).iter().sum()
    }

    /// Bytes in it, as its entries were declared.
    pub(crate) fn bytes(&self) -> usize {
        [&self.young, &self.old, &self.going].map(|part| part.bytes).iter().sum()
    }

    /// How many entries were dropped to make room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Each generation gets a third of the bounds, so all together stay within them. The key is in neither.
    fn admit(&mut self, key: K, entry: Entry<V>) {
        let (max_entries, max_bytes) = (self.max_entries / 3, self.max_bytes / 3);
        if max_entries == 0 || entry.bytes > max_bytes {
            return;
        }
        let full = self.young.entries.len() >= max_entries
            || self.young.bytes.saturating_add(entry.bytes) > max_bytes;
        if full {
            let old = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            self.dropped = self.dropped.saturating_add(u64::try_from(old.entries.len()).unwrap_or(u64::MAX));
            self.going = old;
        }
        for _ in 0..DROPPED_AT_ONCE {
            let Some((_, entry)) = self.going.entries.pop_first() else { break };
            self.going.bytes = self.going.bytes.saturating_sub(entry.bytes);
        }
        self.young.bytes = self.young.bytes.saturating_add(entry.bytes);
        self.young.entries.insert(key, entry);
    }
}

impl<K, V> Default for Generation<K, V> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), bytes: 0 }
    }
}

impl<K: Ord, V> Generation<K, V> {
    fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<(K, Entry<V>)>
    where
        K: Borrow<Q>,
    {
        let (key, entry) = self.entries.remove_entry(key)?;
        self.bytes = self.bytes.saturating_sub(entry.bytes);
        Some((key, entry))
    }
}
