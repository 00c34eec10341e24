//! Ordered maps and sets, filled item by item.
//!
//! `collect` sorts a list first, and every kind of iterator brings a copy of that sort: 4 KB of the module each. What is made
//! here is short, or in order already.

use std::collections::{BTreeMap, BTreeSet};

/// A map of these; of two with the same key the last.
pub(crate) fn map<K: Ord, V>(items: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    let mut map = BTreeMap::new();
    map.extend(items);
    map
}

/// A set of these.
pub(crate) fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    set.extend(items);
    set
}
