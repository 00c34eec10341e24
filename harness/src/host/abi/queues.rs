//! Shared queues.
use super::Outcome;
use crate::host::memory::{Guest, hand_over, slice, split, write_u32};
use crate::host::status::Status;

pub(super) fn register(guest: &mut Guest<'_>, name: u32, name_size: u32, token_at: u32) -> Outcome {
    let (memory, state) = split(guest)?;
    let name = slice(memory, name, name_size)?;
    let limit = state.world.limits().queues;
    let vm_id = state.options.vm_id.as_bytes();
    let token = state.world.queues().register(vm_id, name, state.instance, limit)?;
    write_u32(guest, token_at, token)
}

pub(super) fn resolve(
    guest: &mut Guest<'_>,
    vm_id: u32,
    vm_id_size: u32,
    name: u32,
    name_size: u32,
    token_at: u32,
) -> Outcome {
    let (memory, state) = split(guest)?;
    let (vm_id, name) = (slice(memory, vm_id, vm_id_size)?, slice(memory, name, name_size)?);
    let vm_id = if vm_id.is_empty() { state.options.vm_id.as_bytes() } else { vm_id };
    let token = state.world.queues().resolve(vm_id, name).ok_or(Status::NotFound)?;
    write_u32(guest, token_at, token)
}

pub(super) fn dequeue(guest: &mut Guest<'_>, token: u32, out: u32, out_size: u32) -> Outcome {
    let state = guest.data_mut();
    state.scratch = state.world.queues().dequeue(token)?;
    hand_over(guest, out, out_size)
}

pub(super) fn enqueue(guest: &mut Guest<'_>, token: u32, data: u32, data_size: u32) -> Outcome {
    let (memory, state) = split(guest)?;
    let data = slice(memory, data, data_size)?;
    let limit = state.world.limits().queue_bytes;
    Ok(state.world.queues().enqueue(token, data, limit)?)
}
