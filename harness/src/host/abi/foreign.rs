//! Foreign functions that Envoy registers, as far as a filter of ours may use them.
use super::Outcome;
use super::properties::set_filter_state;
use super::{protobuf, signature};
use crate::host::memory::{Guest, allocate, slice, split, write};
use crate::host::state::VmState;
use crate::host::status::Status;

pub(super) fn call(
    guest: &mut Guest<'_>,
    name: u32,
    name_size: u32,
    arguments: u32,
    arguments_size: u32,
    out: u32,
    out_size: u32,
) -> Outcome {
    let (memory, state) = split(guest)?;
    let (name, arguments) = (slice(memory, name, name_size)?, slice(memory, arguments, arguments_size)?);
    let result = match name {
        b"verify_signature" if state.options.verify_signature => signature::verify(arguments),
        b"set_envoy_filter_state" => set_envoy_filter_state(state, arguments).map(|()| Vec::new()),
        b"clear_route_cache" => Ok(Vec::new()),
        _ => return Err(Status::NotFound.into()),
    };
    // Envoy writes pointer and size whether the function succeeds or not.
    let bytes = result.as_deref().unwrap_or_default();
    let pointer = if bytes.is_empty() || out == 0 { 0 } else { allocate(guest, bytes)? };
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
    let (memory, _) = split(guest)?;
    if out != 0 {
        write(memory, out, &pointer.to_le_bytes())?;
    }
    if out_size != 0 {
        write(memory, out_size, &size.to_le_bytes())?;
    }
    result?;
    Ok(())
}

/// `SetEnvoyFilterStateArguments`: path 1, value 2, span 3. Envoy has a factory for each name that it knows.
fn set_envoy_filter_state(state: &mut VmState, arguments: &[u8]) -> Result<(), Status> {
    let fields = protobuf::fields(arguments).ok_or(Status::BadArgument)?;
    let (path, value) = (fields.bytes(1).unwrap_or_default(), fields.bytes(2).unwrap_or_default());
    if fields.number(3).unwrap_or(0) > 2 {
        return Err(Status::BadArgument);
    }
    if !path.starts_with(b"envoy.") {
        return Err(Status::NotFound);
    }
    set_filter_state(state, path, value)
}
