//! Shared data with compare-and-swap, as Envoy keeps it: by `vm_id`, never evicted.
use super::status::Status;
use std::collections::HashMap;

/// All shared data of a world.
#[derive(Debug)]
pub(crate) struct SharedData {
    spaces: HashMap<Vec<u8>, HashMap<Vec<u8>, Entry>>,
    next_cas: u32,
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    cas: u32,
}

impl SharedData {
    pub(crate) fn new(limit: usize) -> Self {
        Self { spaces: HashMap::new(), next_cas: 1, bytes: 0, limit }
    }

    /// Value and CAS number of a key.
    pub(crate) fn value(&self, vm_id: &[u8], key: &[u8]) -> Option<(&[u8], u32)> {
        self.spaces.get(vm_id)?.get(key).map(|entry| (entry.value.as_slice(), entry.cas))
    }

    /// Sets a key; a CAS number that is not 0 must be the current one, unless the key is new.
    pub(crate) fn set(&mut self, vm_id: &[u8], key: &[u8], value: &[u8], cas: u32) -> Result<(), Status> {
        let current = self.spaces.get(vm_id).and_then(|space| space.get(key));
        let freed = match current {
            Some(entry) if cas != 0 && cas != entry.cas => return Err(Status::CasMismatch),
            Some(entry) => entry.value.len().saturating_add(key.len()),
            None => 0,
        };
        let needed = key.len().saturating_add(value.len());
        let bytes = self.bytes.saturating_sub(freed).saturating_add(needed);
        if bytes > self.limit {
            return Err(Status::InternalFailure);
        }
        self.bytes = bytes;
        let cas = self.next_cas;
        // 0 means "no number", so it is skipped when the counter wraps.
        self.next_cas = cas.checked_add(1).unwrap_or(1);
        if !self.spaces.contains_key(vm_id) {
            self.spaces.insert(vm_id.to_vec(), HashMap::new());
        }
        if let Some(space) = self.spaces.get_mut(vm_id) {
            match space.get_mut(key) {
                Some(entry) => {
                    entry.value.clear();
                    entry.value.extend_from_slice(value);
                    entry.cas = cas;
                }
                None => {
                    space.insert(key.to_vec(), Entry { value: value.to_vec(), cas });
                }
            }
        }
        Ok(())
    }

    /// Bytes of keys and values.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}
