//! Shared data.
use super::Outcome;
use crate::host::memory::{Guest, hand_over, slice, split, write_u32};
use crate::host::status::Status;

pub(super) fn value(
    guest: &mut Guest<'_>,
    key: u32,
    key_size: u32,
    out: u32,
    out_size: u32,
    cas_at: u32,
) -> Outcome {
    let (memory, state) = split(guest)?;
    let key = slice(memory, key, key_size)?;
    state.scratch.clear();
    let cas = {
        let data = state.world.data();
        let (value, cas) = data.value(state.options.vm_id.as_bytes(), key).ok_or(Status::NotFound)?;
        state.scratch.extend_from_slice(value);
        cas
    };
    hand_over(guest, out, out_size)?;
    write_u32(guest, cas_at, cas)
}

pub(super) fn set(
    guest: &mut Guest<'_>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
    cas: u32,
) -> Outcome {
    let (memory, state) = split(guest)?;
    let (key, value) = (slice(memory, key, key_size)?, slice(memory, value, value_size)?);
    Ok(state.world.data().set(state.options.vm_id.as_bytes(), key, value, cas)?)
}
