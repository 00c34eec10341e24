//! gRPC calls and streams.
use super::Outcome;
use super::callouts::{check_room, knows_cluster, new_call, pairs};
use super::protobuf;
use crate::host::callout::{Callout, CalloutKind};
use crate::host::memory::{Guest, slice, split, write};
use crate::host::state::VmState;
use crate::host::status::Status;

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
pub(super) fn call(
    guest: &mut Guest<'_>,
    target: u32,
    target_size: u32,
    service: u32,
    service_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    message: u32,
    message_size: u32,
    timeout: u32,
    token_at: u32,
) -> Outcome {
    let (memory, state) = split(guest)?;
    let target = slice(memory, target, target_size)?;
    let (service, method) = (text(memory, service, service_size)?, text(memory, method, method_size)?);
    let headers = pairs(state, slice(memory, metadata, metadata_size)?);
    let body = slice(memory, message, message_size)?.to_vec();
    let cluster = cluster_of(state, target)?;
    check_room(state, body.len())?;
    write(memory, token_at, &[0; 4])?;
    let token = state.calls.grpc_token(false);
    let kind = CalloutKind::GrpcCall { service, method };
    let call = Callout { headers, body, ..new_call(state, token, kind, cluster, timeout) };
    state.calls.grpc.insert(token, call);
    Ok(write(memory, token_at, &token.to_le_bytes())?)
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
pub(super) fn stream(
    guest: &mut Guest<'_>,
    target: u32,
    target_size: u32,
    service: u32,
    service_size: u32,
    method: u32,
    method_size: u32,
    metadata: u32,
    metadata_size: u32,
    token_at: u32,
) -> Outcome {
    let (memory, state) = split(guest)?;
    let target = slice(memory, target, target_size)?;
    let (service, method) = (text(memory, service, service_size)?, text(memory, method, method_size)?);
    let headers = pairs(state, slice(memory, metadata, metadata_size)?);
    let cluster = cluster_of(state, target)?;
    check_room(state, 0)?;
    write(memory, token_at, &[0; 4])?;
    let token = state.calls.grpc_token(true);
    let kind = CalloutKind::GrpcStream { service, method };
    let call = Callout { headers, ..new_call(state, token, kind, cluster, 0) };
    state.calls.grpc.insert(token, call);
    Ok(write(memory, token_at, &token.to_le_bytes())?)
}

pub(super) fn send(guest: &mut Guest<'_>, token: u32, message: u32, message_size: u32, end: u32) -> Outcome {
    let (memory, state) = split(guest)?;
    let message = slice(memory, message, message_size)?;
    if is_call(token) {
        return Err(Status::BadArgument.into());
    }
    let limit = state.options.limits.callout_bytes;
    let call = state.calls.grpc.get_mut(&token).ok_or(Status::NotFound)?;
    // An empty message counts too, or their number would be unbounded.
    let waiting: usize = call.messages.iter().map(|message| message.len().max(64)).sum();
    if waiting.saturating_add(message.len().max(64)) > limit {
        return Err(Status::InternalFailure.into());
    }
    call.messages.push(message.to_vec());
    call.half_closed |= end != 0;
    Ok(())
}

pub(super) fn cancel(guest: &mut Guest<'_>, token: u32) -> Outcome {
    guest.data_mut().calls.grpc.remove(&token).map(|_| ()).ok_or(Status::NotFound.into())
}

/// Closes the guest's half of a stream; a unary call is cancelled.
pub(super) fn close(guest: &mut Guest<'_>, token: u32) -> Outcome {
    if is_call(token) {
        return cancel(guest, token);
    }
    let call = guest.data_mut().calls.grpc.get_mut(&token).ok_or(Status::NotFound)?;
    call.half_closed = true;
    Ok(())
}

/// Odd tokens are unary calls.
fn is_call(token: u32) -> bool {
    token & 1 == 1
}

fn text(memory: &[u8], pointer: u32, size: u32) -> Result<String, Status> {
    String::from_utf8(slice(memory, pointer, size)?.to_vec()).map_err(|_| Status::BadArgument)
}

/// The cluster of a `GrpcService` message (`envoy_grpc.cluster_name`), or of its bare name.
fn cluster_of(state: &VmState, target: &[u8]) -> Result<String, Status> {
    let from_message = protobuf::fields(target)
        .and_then(|fields| fields.bytes(1))
        .and_then(protobuf::fields)
        .and_then(|envoy_grpc| envoy_grpc.bytes(1))
        .and_then(|name| std::str::from_utf8(name).ok());
    match from_message {
        Some(cluster) if knows_cluster(state, cluster) => Ok(cluster.to_owned()),
        Some(_) => Err(Status::BadArgument),
        None => match std::str::from_utf8(target) {
            Ok(cluster) if !cluster.is_empty() && knows_cluster(state, cluster) => Ok(cluster.to_owned()),
            _ => Err(Status::ParseFailure),
        },
    }
}
