//! Shared queues, by `vm_id` and name.
use super::status::Status;
use std::collections::{HashMap, VecDeque};

/// What an item counts at least, so that empty items are bounded too.
const ITEM_BYTES: usize = 64;

/// All queues of a world.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    tokens: HashMap<(Vec<u8>, Vec<u8>), u32>,
    queues: HashMap<u32, Queue>,
    ready: VecDeque<(u32, u32)>,
    bytes: usize,
}

#[derive(Debug)]
struct Queue {
    owner: u32,
    items: VecDeque<Vec<u8>>,
}

impl Queues {
    /// Registers a queue for instance `owner`, which will be told of new items; keeps the items of an existing one.
    pub(crate) fn register(
        &mut self,
        vm_id: &[u8],
        name: &[u8],
        owner: u32,
        limit: usize,
    ) -> Result<u32, Status> {
        let key = (vm_id.to_vec(), name.to_vec());
        if let Some(token) = self.tokens.get(&key).copied() {
            if let Some(queue) = self.queues.get_mut(&token) {
                queue.owner = owner;
            }
            return Ok(token);
        }
        if self.queues.len() >= limit {
            return Err(Status::InternalFailure);
        }
        let token =
            u32::try_from(self.queues.len().saturating_add(1)).map_err(|_| Status::InternalFailure)?;
        self.tokens.insert(key, token);
        self.queues.insert(token, Queue { owner, items: VecDeque::new() });
        Ok(token)
    }

    /// The token of a registered queue.
    pub(crate) fn resolve(&self, vm_id: &[u8], name: &[u8]) -> Option<u32> {
        self.tokens.get(&(vm_id.to_vec(), name.to_vec())).copied()
    }

    /// Adds an item.
    pub(crate) fn enqueue(&mut self, token: u32, item: &[u8], limit: usize) -> Result<(), Status> {
        let queue = self.queues.get_mut(&token).ok_or(Status::NotFound)?;
        let bytes = self.bytes.saturating_add(item.len().max(ITEM_BYTES));
        if bytes > limit {
            return Err(Status::InternalFailure);
        }
        self.bytes = bytes;
        queue.items.push_back(item.to_vec());
        self.ready.push_back((queue.owner, token));
        Ok(())
    }

    /// Takes the oldest item.
    pub(crate) fn dequeue(&mut self, token: u32) -> Result<Vec<u8>, Status> {
        let queue = self.queues.get_mut(&token).ok_or(Status::NotFound)?;
        let item = queue.items.pop_front().ok_or(Status::Empty)?;
        self.bytes = self.bytes.saturating_sub(item.len().max(ITEM_BYTES));
        // A notice never outlives its item, or notices would pile up when nobody polls.
        let notices = self.ready.iter().filter(|(_, ready)| *ready == token).count();
        if notices > queue.items.len()
            && let Some(place) = self.ready.iter().position(|(_, ready)| *ready == token)
        {
            self.ready.remove(place);
        }
        Ok(item)
    }

    /// Takes the next queue about which this instance is to be told.
    pub(crate) fn take_ready(&mut self, owner: u32) -> Option<u32> {
        let place = self.ready.iter().position(|(ready, _)| *ready == owner)?;
        self.ready.remove(place).map(|(_, token)| token)
    }
}
