//! Logs, time, contexts, and the fate of streams.
use super::Outcome;
use super::callouts::pairs;
use crate::host::memory::{Guest, hand_over, slice, split, write_u32, write_u64};
use crate::host::reply::ReplyRequest;
use crate::host::state::{AfterCall, Direction, ROOT, VmState};
use crate::host::status::Status;
use crate::host::world::LogLevel;

pub(super) fn log(guest: &mut Guest<'_>, level: u32, text: u32, text_size: u32) -> Outcome {
    let level = LogLevel::from_abi(level).ok_or(Status::BadArgument)?;
    let (memory, state) = split(guest)?;
    write_log(state, level, slice(memory, text, text_size)?);
    Ok(())
}

/// Keeps a line unless its level is too low.
pub(crate) fn write_log(state: &VmState, level: LogLevel, text: &[u8]) {
    if level >= state.options.log_level {
        state.world.log(level, text, &state.name);
    }
}

pub(super) fn log_level(guest: &mut Guest<'_>, out: u32) -> Outcome {
    let level = guest.data().options.log_level;
    write_u32(guest, out, level as u32)
}

pub(super) fn now(guest: &mut Guest<'_>, out: u32) -> Outcome {
    let now = guest.data().world.now();
    write_u64(guest, out, now)
}

pub(super) fn set_tick_period(guest: &mut Guest<'_>, period: u32) -> Outcome {
    let state = guest.data_mut();
    state.tick_period = (period != 0).then_some(period);
    let period = state.tick_period.map(|period| u64::from(period).saturating_mul(1_000_000));
    state.next_tick = period.map(|period| state.world.now().saturating_add(period));
    Ok(())
}

pub(super) fn status(guest: &mut Guest<'_>, code_at: u32, out: u32, out_size: u32) -> Outcome {
    let state = guest.data_mut();
    let code = state.status.0;
    state.scratch.clear();
    state.scratch.extend_from_slice(state.status.1.as_bytes());
    write_u32(guest, code_at, code)?;
    hand_over(guest, out, out_size)
}

pub(super) fn set_effective_context(guest: &mut Guest<'_>, context: u32) -> Outcome {
    let state = guest.data_mut();
    if !state.has_context(context) {
        return Err(Status::BadArgument.into());
    }
    state.effective = context;
    Ok(())
}

/// Ends the root context, if its end waits for that.
pub(super) fn done(guest: &mut Guest<'_>) -> Outcome {
    let state = guest.data_mut();
    if !std::mem::take(&mut state.done_pending) {
        return Err(Status::NotFound.into());
    }
    state.after_call.push((ROOT, AfterCall::DeleteRoot));
    Ok(())
}

pub(super) fn continue_stream(guest: &mut Guest<'_>, kind: u32) -> Outcome {
    let direction = match kind {
        0 => Direction::Request,
        1 => Direction::Response,
        _ => return Err(Status::BadArgument.into()),
    };
    let state = guest.data_mut();
    let context = state.context();
    if let Some(stream) = state.stream_mut() {
        // Envoy takes the request away from the guest at once, whichever direction is resumed.
        stream.request.headers_visible = false;
        stream.request.trailers_visible = false;
        if !stream.request.buffering {
            stream.request.body_visible = false;
        }
        state.after_call.push((context, AfterCall::Resume(direction)));
    }
    Ok(())
}

pub(super) fn close_stream(guest: &mut Guest<'_>, kind: u32) -> Outcome {
    match kind {
        0 | 1 => {
            let state = guest.data_mut();
            let context = state.context();
            if state.stream().is_some() {
                state.after_call.push((context, AfterCall::Reset));
            }
            Ok(())
        }
        // The connections of a network filter, which there are none of here.
        2 | 3 => Ok(()),
        _ => Err(Status::BadArgument.into()),
    }
}

#[expect(clippy::too_many_arguments, reason = "the ABI's signature")]
pub(super) fn send_local_response(
    guest: &mut Guest<'_>,
    status: u32,
    details: u32,
    details_size: u32,
    body: u32,
    body_size: u32,
    headers: u32,
    headers_size: u32,
    grpc_status: u32,
) -> Outcome {
    let (memory, state) = split(guest)?;
    let details = slice(memory, details, details_size)?;
    let body = slice(memory, body, body_size)?;
    let headers = pairs(state, slice(memory, headers, headers_size)?);
    if body.len() > state.options.limits.body_bytes {
        return Err(Status::InternalFailure.into());
    }
    let details = String::from_utf8_lossy(details).replace(|c: char| c.is_ascii_whitespace(), "_");
    // The SDKs' -1 means that there is none.
    let grpc_status = (grpc_status <= 16).then_some(grpc_status);
    let request = ReplyRequest { status, headers, body: body.to_vec(), grpc_status, details };
    let context = state.context();
    state.stop_iteration = true;
    // The first reply of a callback wins; more would only pile up.
    let replied =
        state.after_call.iter().any(|(id, action)| *id == context && matches!(action, AfterCall::Reply(_)));
    if state.stream().is_some() && !replied {
        state.after_call.push((context, AfterCall::Reply(request)));
    }
    Ok(())
}
