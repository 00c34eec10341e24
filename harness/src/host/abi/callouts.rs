//! HTTP calls.
use super::Outcome;
use crate::host::callout::{Callout, CalloutKind};
use crate::host::headers::HeaderMap;
use crate::host::memory::{Guest, slice, split, write};
use crate::host::state::VmState;
use crate::host::status::Status;

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
pub(super) fn http_call(
    guest: &mut Guest<'_>,
    cluster: u32,
    cluster_size: u32,
    headers: u32,
    headers_size: u32,
    body: u32,
    body_size: u32,
    trailers: u32,
    trailers_size: u32,
    timeout: u32,
    token_at: u32,
) -> Outcome {
    let (memory, state) = split(guest)?;
    let cluster = slice(memory, cluster, cluster_size)?;
    let body = slice(memory, body, body_size)?;
    let mut headers = pairs(state, slice(memory, headers, headers_size)?);
    let trailers = pairs(state, slice(memory, trailers, trailers_size)?);
    let cluster = String::from_utf8(cluster.to_vec()).map_err(|_| Status::BadArgument)?;
    let body = body.to_vec();
    // Shows that the token can be written before anything starts.
    write(memory, token_at, &[0; 4])?;
    let complete = [":path", ":method", ":authority"].iter().all(|name| headers.first(name).is_some());
    if timeout.cast_signed() < 0 || !knows_cluster(state, &cluster) || !complete {
        return Err(Status::BadArgument.into());
    }
    if !body.is_empty() {
        headers.set("content-length", body.len().to_string());
    }
    check_room(state, body.len())?;
    let token = state.calls.http_token();
    let call =
        Callout { headers, body, trailers, ..new_call(state, token, CalloutKind::Http, cluster, timeout) };
    state.calls.http.insert(token, call);
    Ok(write(memory, token_at, &token.to_le_bytes())?)
}

/// A call without contents, made now by the current context.
pub(super) fn new_call(
    state: &VmState,
    token: u32,
    kind: CalloutKind,
    cluster: String,
    timeout_ms: u32,
) -> Callout {
    Callout {
        token,
        kind,
        cluster,
        headers: HeaderMap::new(),
        body: Vec::new(),
        trailers: HeaderMap::new(),
        timeout_ms,
        context_id: state.context(),
        at: state.world.now(),
        messages: Vec::new(),
        half_closed: false,
    }
}

pub(super) fn pairs(state: &VmState, bytes: &[u8]) -> HeaderMap {
    let limits = &state.options.limits;
    HeaderMap::deserialize(bytes, limits.header_count, limits.header_bytes)
}

pub(super) fn knows_cluster(state: &VmState, cluster: &str) -> bool {
    state.options.clusters.as_ref().is_none_or(|known| known.contains(cluster))
}

/// Whether one more call with this much body is within the limits.
pub(super) fn check_room(state: &VmState, bytes: usize) -> Result<(), Status> {
    let limits = &state.options.limits;
    let fits = state.calls.len() < limits.callouts && bytes <= limits.callout_bytes;
    fits.then_some(()).ok_or(Status::InternalFailure)
}
