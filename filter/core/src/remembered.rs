//! A bounded memory of values by key, which forgets what has not been used for long.
//!
//! Two generations stand in for the bookkeeping of least-recently-used: entries enter the young one; when that is full
//! it becomes the old one, and what was still old is dropped. A hit in the old one moves the entry back.

use std::borrow::Borrow;
use std::collections::BTreeMap;

/// Values by key, within a number of entries and of bytes.
#[derive(Debug)]
pub(crate) struct Remembered<K, V> {
    max_entries: usize,
    max_bytes: usize,
    young: Generation<K, V>,
    old: Generation<K, V>,
    dropped: u64,
}

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
    /// An empty memory; fewer than 2 entries keep nothing.
    pub(crate) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { max_entries, max_bytes, young: Generation::default(), old: Generation::default(), dropped: 0 }
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
        self.young = Generation::default();
        self.old = Generation::default();
    }

    /// Entries in it.
    pub(crate) fn len(&self) -> usize {
        self.young.entries.len().saturating_add(self.old.entries.len())
    }

    /// Bytes in it, as its entries were declared.
    pub(crate) fn bytes(&self) -> usize {
        self.young.bytes.saturating_add(self.old.bytes)
    }

    /// How many entries were dropped to make room.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Each generation gets half of the bounds, so both together stay within them. The key is in neither.
    fn admit(&mut self, key: K, entry: Entry<V>) {
        let (max_entries, max_bytes) = (self.max_entries / 2, self.max_bytes / 2);
        if max_entries == 0 || entry.bytes > max_bytes {
            return;
        }
        let full = self.young.entries.len() >= max_entries
            || self.young.bytes.saturating_add(entry.bytes) > max_bytes;
        if full {
            let dropped = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            let dropped = u64::try_from(dropped.entries.len()).unwrap_or(u64::MAX);
            self.dropped = self.dropped.saturating_add(dropped);
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
