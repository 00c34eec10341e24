//! Attributes: what the caller supplied, the instance's own names, and what the guest set.
use super::Outcome;
use crate::host::memory::{Guest, hand_over, slice, split};
use crate::host::state::VmState;
use crate::host::status::Status;

/// Names that Envoy looks up itself; any other is a property that the guest set.
const KNOWN: &[&[u8]] = &[
    b"cluster_metadata",
    b"cluster_name",
    b"connection",
    b"connection_id",
    b"destination",
    b"filter_state",
    b"listener_direction",
    b"listener_metadata",
    b"metadata",
    b"node",
    b"plugin_name",
    b"plugin_root_id",
    b"plugin_vm_id",
    b"request",
    b"response",
    b"route_metadata",
    b"route_name",
    b"source",
    b"upstream",
    b"upstream_filter_state",
    b"upstream_host_metadata",
    b"xds",
];

fn readable<'a>(state: &'a VmState, path: &[u8]) -> Option<&'a [u8]> {
    let path = path.strip_suffix(&[0]).unwrap_or(path);
    let stream = state.stream();
    if let Some(value) = stream.and_then(|stream| stream.properties.at(path)) {
        return Some(value);
    }
    if let Some(value) = state.options.properties.at(path) {
        return Some(value);
    }
    let filter_state = |name: &[u8]| {
        let value = stream.and_then(|stream| stream.filter_state.get(name));
        value.map(Vec::as_slice)
    };
    let (first, rest) = match path.iter().position(|byte| *byte == 0) {
        Some(end) => (path.get(..end)?, path.get(end..)?.strip_prefix(&[0])),
        None => (path, None),
    };
    match (first, rest) {
        (b"plugin_name", None) => Some(state.options.name.as_bytes()),
        (b"plugin_root_id", None) => Some(state.options.root_id.as_bytes()),
        (b"plugin_vm_id", None) => Some(state.options.vm_id.as_bytes()),
        (b"filter_state", Some(name)) => filter_state(name),
        (name, None) if !KNOWN.contains(&name) => filter_state(&own_name(name)),
        _ => None,
    }
}

/// The filter state's name of a property that the guest sets.
fn own_name(path: &[u8]) -> Vec<u8> {
    [b"wasm.", path].concat()
}

pub(super) fn value(guest: &mut Guest<'_>, path: u32, path_size: u32, out: u32, out_size: u32) -> Outcome {
    let (memory, state) = split(guest)?;
    let path = slice(memory, path, path_size)?;
    let mut scratch = std::mem::take(&mut state.scratch);
    scratch.clear();
    let found = readable(state, path).map(|value| scratch.extend_from_slice(value));
    state.scratch = scratch;
    found.ok_or(Status::NotFound)?;
    hand_over(guest, out, out_size)
}

pub(super) fn set(guest: &mut Guest<'_>, path: u32, path_size: u32, value: u32, value_size: u32) -> Outcome {
    let (memory, state) = split(guest)?;
    let (path, value) = (slice(memory, path, path_size)?, slice(memory, value, value_size)?);
    Ok(set_filter_state(state, &own_name(path), value)?)
}

/// Sets filter state of the stream; there is none in the root context.
pub(super) fn set_filter_state(state: &mut VmState, name: &[u8], value: &[u8]) -> Result<(), Status> {
    let limit = state.options.limits.filter_state_bytes;
    let filter_state = &mut state.stream_mut().ok_or(Status::NotFound)?.filter_state;
    let others: usize = filter_state
        .iter()
        .filter(|(known, _)| known.as_slice() != name)
        .map(|(known, value)| known.len().saturating_add(value.len()))
        .sum();
    if others.saturating_add(name.len()).saturating_add(value.len()) > limit {
        return Err(Status::InternalFailure);
    }
    filter_state.insert(name.to_vec(), value.to_vec());
    Ok(())
}
