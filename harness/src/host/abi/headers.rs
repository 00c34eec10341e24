//! Header maps: which one the guest sees in which callback is Envoy's choice.
use super::Outcome;
use crate::host::headers::HeaderMap;
use crate::host::limits::HostLimits;
use crate::host::memory::{Guest, hand_over, slice, split, write_u32};
use crate::host::message::Side;
use crate::host::state::VmState;
use crate::host::status::{Fault, Status};

/// `proxy_map_type_t`.
#[derive(Clone, Copy)]
enum Map {
    RequestHeaders,
    RequestTrailers,
    ResponseHeaders,
    ResponseTrailers,
    GrpcInitialMetadata,
    GrpcTrailingMetadata,
    CallHeaders,
    CallTrailers,
}

impl TryFrom<u32> for Map {
    type Error = Status;

    fn try_from(kind: u32) -> Result<Self, Status> {
        Ok(match kind {
            0 => Self::RequestHeaders,
            1 => Self::RequestTrailers,
            2 => Self::ResponseHeaders,
            3 => Self::ResponseTrailers,
            4 => Self::GrpcInitialMetadata,
            5 => Self::GrpcTrailingMetadata,
            6 => Self::CallHeaders,
            7 => Self::CallTrailers,
            _ => return Err(Status::BadArgument),
        })
    }
}

/// The map that the guest may read.
fn readable(state: &VmState, map: Map) -> Option<&HeaderMap> {
    let headers = |side: &'_ Side, logging: bool| side.headers_visible || (logging && side.started);
    match map {
        Map::RequestHeaders => {
            let stream = state.stream()?;
            headers(&stream.request, stream.logging).then_some(&stream.request.message.headers)
        }
        Map::ResponseHeaders => {
            let stream = state.stream()?;
            headers(&stream.response, stream.logging).then_some(&stream.response.message.headers)
        }
        Map::RequestTrailers => {
            let side = &state.stream()?.request;
            side.message.trailers.as_ref().filter(|_| side.trailers_visible)
        }
        Map::ResponseTrailers => {
            let stream = state.stream()?;
            let visible = stream.response.trailers_visible || stream.logging;
            stream.response.message.trailers.as_ref().filter(|_| visible)
        }
        Map::GrpcInitialMetadata => state.answer.grpc_initial_metadata.as_ref(),
        Map::GrpcTrailingMetadata => state.answer.grpc_trailing_metadata.as_ref(),
        Map::CallHeaders => state.answer.http.as_ref().map(|response| &response.headers),
        Map::CallTrailers => state.answer.http.as_ref()?.trailers.as_ref(),
    }
}

/// The map that the guest may change, and whether a change still has an effect.
fn writable(state: &mut VmState, map: Map) -> Option<(&mut HeaderMap, bool)> {
    let stream = state.stream_mut()?;
    let (side, trailers) = match map {
        Map::RequestHeaders => (&mut stream.request, false),
        Map::ResponseHeaders => (&mut stream.response, false),
        Map::RequestTrailers => (&mut stream.request, true),
        Map::ResponseTrailers => (&mut stream.response, true),
        Map::GrpcInitialMetadata | Map::GrpcTrailingMetadata | Map::CallHeaders | Map::CallTrailers => {
            return None;
        }
    };
    if trailers {
        let visible = side.trailers_visible;
        side.message.trailers.as_mut().filter(|_| visible).map(|map| (map, true))
    } else {
        let passed = side.headers_passed;
        side.headers_visible.then_some((&mut side.message.headers, !passed))
    }
}

/// Changes a map under the limits. A change to headers that were passed on succeeds and goes nowhere.
fn change(
    guest: &mut Guest<'_>,
    map: u32,
    change: impl FnOnce(&mut HeaderMap, &[u8], &HostLimits) -> Result<(), Status>,
) -> Outcome {
    let map = Map::try_from(map)?;
    let (memory, state) = split(guest)?;
    let limits = state.options.limits.clone();
    match writable(state, map) {
        Some((map, true)) => Ok(change(map, memory, &limits)?),
        Some((map, false)) => Ok(change(&mut map.clone(), memory, &limits)?),
        None => Err(Status::BadArgument.into()),
    }
}

/// Whether an entry of this size still fits.
fn check_room(map: &HeaderMap, size: usize, limits: &HostLimits) -> Result<(), Status> {
    let fits = map.len() < limits.header_count && map.byte_size().saturating_add(size) <= limits.header_bytes;
    fits.then_some(()).ok_or(Status::InternalFailure)
}

pub(super) fn value(
    guest: &mut Guest<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    out: u32,
    out_size: u32,
) -> Outcome {
    let map = Map::try_from(map)?;
    let (memory, state) = split(guest)?;
    let key = slice(memory, key, key_size)?;
    let mut scratch = std::mem::take(&mut state.scratch);
    scratch.clear();
    let found = readable(state, map)
        .ok_or(Status::BadArgument)
        .and_then(|map| map.first(key).ok_or(Status::NotFound))
        .map(|value| scratch.extend_from_slice(value));
    state.scratch = scratch;
    found?;
    hand_over(guest, out, out_size)
}

pub(super) fn pairs(guest: &mut Guest<'_>, map: u32, out: u32, out_size: u32) -> Outcome {
    let map = Map::try_from(map)?;
    let state = guest.data_mut();
    let mut scratch = std::mem::take(&mut state.scratch);
    scratch.clear();
    // A map that is not there reads as an empty one, and an empty one as no bytes.
    if let Some(map) = readable(state, map).filter(|map| !map.is_empty()) {
        map.serialize_into(&mut scratch);
    }
    state.scratch = scratch;
    hand_over(guest, out, out_size)
}

pub(super) fn byte_size(guest: &mut Guest<'_>, map: u32, out: u32) -> Outcome {
    let map = Map::try_from(map)?;
    let size = readable(guest.data(), map).ok_or(Status::BadArgument)?.byte_size();
    write_u32(guest, out, u32::try_from(size).map_err(|_| Fault::Status(Status::InternalFailure))?)
}

pub(super) fn add(
    guest: &mut Guest<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Outcome {
    change(guest, map, |map, memory, limits| {
        let (key, value) = (slice(memory, key, key_size)?, slice(memory, value, value_size)?);
        check_room(map, key.len().saturating_add(value.len()), limits)?;
        map.append(key, value);
        Ok(())
    })
}

pub(super) fn replace(
    guest: &mut Guest<'_>,
    map: u32,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
) -> Outcome {
    change(guest, map, |map, memory, limits| {
        let (key, value) = (slice(memory, key, key_size)?, slice(memory, value, value_size)?);
        check_room(map, key.len().saturating_add(value.len()), limits)?;
        map.set(key, value);
        Ok(())
    })
}

pub(super) fn remove(guest: &mut Guest<'_>, map: u32, key: u32, key_size: u32) -> Outcome {
    change(guest, map, |map, memory, _| {
        map.remove(slice(memory, key, key_size)?);
        Ok(())
    })
}

pub(super) fn set_pairs(guest: &mut Guest<'_>, map: u32, pairs: u32, pairs_size: u32) -> Outcome {
    change(guest, map, |map, memory, limits| {
        let pairs = slice(memory, pairs, pairs_size)?;
        *map = HeaderMap::deserialize(pairs, limits.header_count, limits.header_bytes);
        Ok(())
    })
}
