//! Buffers: bodies (which the guest may change), configurations and answers (which it may not).
use super::Outcome;
use crate::host::memory::{Guest, hand_over, slice, split, write};
use crate::host::state::{Direction, VmState};
use crate::host::status::{Fault, Status};

/// `proxy_buffer_type_t`.
#[derive(Clone, Copy)]
enum Buffer {
    Body(Direction),
    CallBody,
    GrpcMessage,
    VmConfiguration,
    PluginConfiguration,
    /// Network data and call data, which an HTTP filter never has: empty.
    Nothing,
}

impl TryFrom<u32> for Buffer {
    type Error = Status;

    fn try_from(kind: u32) -> Result<Self, Status> {
        Ok(match kind {
            0 => Self::Body(Direction::Request),
            1 => Self::Body(Direction::Response),
            2 | 3 | 8 => Self::Nothing,
            4 => Self::CallBody,
            5 => Self::GrpcMessage,
            6 => Self::VmConfiguration,
            7 => Self::PluginConfiguration,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// The bytes of a buffer; a body that is not there is empty, as in Envoy.
fn readable(state: &VmState, buffer: Buffer) -> Result<&[u8], Status> {
    match buffer {
        Buffer::Body(direction) => Ok(state
            .stream()
            .map(|stream| stream.side(direction))
            .filter(|side| side.body_visible)
            .map_or(&[], |side| side.buffer.as_slice())),
        Buffer::CallBody => {
            state.answer.http.as_ref().map(|response| response.body.as_slice()).ok_or(Status::NotFound)
        }
        Buffer::GrpcMessage => Ok(state.answer.grpc_message.as_deref().unwrap_or_default()),
        Buffer::VmConfiguration => Ok(&state.options.vm_configuration),
        Buffer::PluginConfiguration => state.plugin_configuration.as_deref().ok_or(Status::NotFound),
        Buffer::Nothing => Ok(&[]),
    }
}

pub(super) fn bytes(
    guest: &mut Guest<'_>,
    buffer: u32,
    start: u32,
    length: u32,
    out: u32,
    out_size: u32,
) -> Outcome {
    let buffer = Buffer::try_from(buffer)?;
    let state = guest.data_mut();
    let mut scratch = std::mem::take(&mut state.scratch);
    scratch.clear();
    let read = readable(state, buffer).map(|bytes| {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let rest = bytes.get(start..).unwrap_or_default();
        scratch.extend_from_slice(rest.get(..length).unwrap_or(rest));
    });
    state.scratch = scratch;
    read?;
    hand_over(guest, out, out_size)
}

pub(super) fn status(guest: &mut Guest<'_>, buffer: u32, length: u32, flags: u32) -> Outcome {
    let size = readable(guest.data(), Buffer::try_from(buffer)?)?.len();
    let size = u32::try_from(size).map_err(|_| Fault::Status(Status::InternalFailure))?;
    let (memory, _) = split(guest)?;
    write(memory, length, &size.to_le_bytes())?;
    Ok(write(memory, flags, &[0; 4])?)
}

/// Prepends (start 0, length 0), replaces (start 0, length at least the size) or appends (start at least the size);
/// Envoy refuses anything else.
pub(super) fn set(
    guest: &mut Guest<'_>,
    buffer: u32,
    start: u32,
    length: u32,
    data: u32,
    data_size: u32,
) -> Outcome {
    let buffer = Buffer::try_from(buffer)?;
    let (memory, state) = split(guest)?;
    readable(state, buffer)?;
    let data = slice(memory, data, data_size)?;
    let limit = state.options.limits.body_bytes;
    let Buffer::Body(direction) = buffer else { return Err(Status::BadArgument.into()) };
    let side = state.stream_mut().ok_or(Status::BadArgument)?.side_mut(direction);
    if !side.body_visible {
        return Err(Status::BadArgument.into());
    }
    let body = &mut side.buffer;
    let start = usize::try_from(start).unwrap_or(usize::MAX);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let replaces = start == 0 && length > 0 && length >= body.len();
    let kept = if replaces { 0 } else { body.len() };
    if kept.saturating_add(data.len()) > limit {
        return Err(Status::InternalFailure.into());
    }
    if start == 0 && length == 0 {
        body.splice(..0, data.iter().copied());
    } else if replaces {
        body.clear();
        body.extend_from_slice(data);
    } else if start != 0 && start >= body.len() {
        body.extend_from_slice(data);
    } else {
        return Err(Status::BadArgument.into());
    }
    Ok(())
}
