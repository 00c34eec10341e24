//! How a stream moves: what arrives is brought to the guest in Envoy's order, and its actions take Envoy's effect.
use super::error::HostError;
use super::headers::HeaderMap;
use super::message::{Hold, Message};
use super::reply::ReplyRequest;
use super::state::{AfterCall, Direction, Stream, VmState};
use super::vm::Vm;
use std::sync::Arc;

impl Vm {
    pub(crate) fn at(&mut self, id: u32) -> Result<&mut Stream, HostError> {
        self.state_mut().streams.get_mut(&id).ok_or(HostError::UnknownStream { id })
    }

    /// What the instance's death means for a stream.
    pub(crate) fn fail_stream(&mut self, id: u32, direction: Direction) -> Result<(), HostError> {
        let fail_open = self.state().options.fail_open;
        let stream = self.at(id)?;
        stream.failed = true;
        if fail_open {
            stream.side_mut(direction).release();
            return Ok(());
        }
        if stream.reply.is_none() {
            self.reply(id, ReplyRequest::failed_stream())?;
        }
        Ok(())
    }

    /// Does what callbacks asked for, including what that leads to.
    pub(crate) fn run_after_call(&mut self) -> Result<(), HostError> {
        while !self.state().after_call.is_empty() {
            for (id, action) in std::mem::take(&mut self.state_mut().after_call) {
                let known = self.state().streams.contains_key(&id);
                match action {
                    AfterCall::DeleteRoot => self.delete_root()?,
                    // The stream may be gone by now.
                    _ if !known => {}
                    AfterCall::Resume(direction) => {
                        self.resume(id, direction)?;
                        self.settle_reply(id)?;
                    }
                    AfterCall::Reply(request) => self.reply(id, request)?,
                    AfterCall::Reset => self.at(id)?.reset = true,
                }
            }
        }
        Ok(())
    }

    pub(crate) fn headers(
        &mut self,
        id: u32,
        direction: Direction,
        headers: HeaderMap,
        end: bool,
    ) -> Result<(), HostError> {
        let count = size(headers.len());
        let side = self.at(id)?.side_mut(direction);
        side.message.headers = headers;
        (side.started, side.headers_visible, side.ended) = (true, true, end);
        let exports = Arc::clone(self.exports());
        let (name, callback) = match direction {
            Direction::Request => ("proxy_on_request_headers", &exports.on_request_headers),
            Direction::Response => ("proxy_on_response_headers", &exports.on_response_headers),
        };
        let action = match callback {
            _ if self.passes_by(id)? => Ok(0),
            Some(callback) => self.call(name, id, callback, (id, count, u32::from(end))),
            None => Ok(0),
        };
        let action = self.survived(id, direction, action)?;
        let allow_stop = self.state().options.allow_on_headers_stop_iteration;
        let stopped = self.take_stop();
        let side = self.at(id)?.side_mut(direction);
        match action {
            // 2 is ContinueAndEndStream, which Envoy's filter does not know either.
            0 | 2 if !stopped => {
                side.headers_visible = false;
                side.release();
            }
            1 if allow_stop && !stopped => side.hold = Hold::Single,
            _ => side.hold = Hold::All,
        }
        self.run_after_call()
    }

    pub(crate) fn body(
        &mut self,
        id: u32,
        direction: Direction,
        chunk: &[u8],
        end: bool,
    ) -> Result<(), HostError> {
        let limit = self.state().options.limits.body_bytes;
        let side = self.at(id)?.side_mut(direction);
        side.ended = end;
        let holds = side.hold != Hold::None;
        if holds && side.held_bytes().saturating_add(chunk.len()) > limit {
            let response = direction == Direction::Response;
            return self.reply(id, ReplyRequest::body_too_large(response));
        }
        if side.hold == Hold::All {
            side.waiting.extend_from_slice(chunk);
            side.waiting_body = true;
            return Ok(());
        }
        if !side.buffering {
            let mut unseen = std::mem::take(&mut side.buffer);
            side.held.append(&mut unseen);
        }
        side.buffer.extend_from_slice(chunk);
        side.body_visible = true;
        let length = size(side.buffer.len());
        let exports = Arc::clone(self.exports());
        let (name, callback) = match direction {
            Direction::Request => ("proxy_on_request_body", &exports.on_request_body),
            Direction::Response => ("proxy_on_response_body", &exports.on_response_body),
        };
        let action = match callback {
            _ if self.passes_by(id)? => Ok(0),
            Some(callback) => self.call(name, id, callback, (id, length, u32::from(end))),
            None => Ok(0),
        };
        let action = self.survived(id, direction, action)?;
        let stopped = self.take_stop();
        let side = self.at(id)?.side_mut(direction);
        match action {
            0 if !stopped => side.release(),
            1 | 2 if !stopped => {
                side.hold = Hold::Single;
                side.buffering = action == 1;
                if side.held_bytes() > limit {
                    return self.reply(id, ReplyRequest::body_too_large(direction == Direction::Response));
                }
            }
            _ => {
                side.hold = Hold::Single;
                side.buffering = false;
                side.buffer.clear();
            }
        }
        self.run_after_call()
    }

    pub(crate) fn trailers(
        &mut self,
        id: u32,
        direction: Direction,
        trailers: HeaderMap,
    ) -> Result<(), HostError> {
        let count = size(trailers.len());
        let side = self.at(id)?.side_mut(direction);
        side.ended = true;
        if side.hold == Hold::All {
            side.waiting_trailers = Some(trailers);
            return Ok(());
        }
        side.message.trailers = Some(trailers);
        side.trailers_visible = true;
        let exports = Arc::clone(self.exports());
        let (name, callback) = match direction {
            Direction::Request => ("proxy_on_request_trailers", &exports.on_request_trailers),
            Direction::Response => ("proxy_on_response_trailers", &exports.on_response_trailers),
        };
        let action = match callback {
            _ if self.passes_by(id)? => Ok(0),
            Some(callback) => self.call(name, id, callback, (id, count)),
            None => Ok(0),
        };
        let action = self.survived(id, direction, action)?;
        let stopped = self.take_stop();
        let side = self.at(id)?.side_mut(direction);
        if action == 0 && !stopped {
            side.trailers_visible = false;
            side.release();
        } else {
            side.hold = Hold::Single;
        }
        self.run_after_call()
    }

    /// Whether the guest is not asked any more: it is dead, or it failed under this stream.
    fn passes_by(&mut self, id: u32) -> Result<bool, HostError> {
        Ok(self.is_dead() || self.at(id)?.failed)
    }

    /// The callback's action; if it killed the instance, the stream gets what Envoy gives it.
    fn survived(
        &mut self,
        id: u32,
        direction: Direction,
        action: Result<u32, HostError>,
    ) -> Result<u32, HostError> {
        action.or_else(|error| {
            self.fail_stream(id, direction)?;
            Err(error)
        })
    }

    fn take_stop(&mut self) -> bool {
        std::mem::take(&mut self.state_mut().stop_iteration)
    }

    /// `continueDecoding` or `continueEncoding`.
    fn resume(&mut self, id: u32, direction: Direction) -> Result<(), HostError> {
        let stream = self.at(id)?;
        if (stream.reply.is_some() && direction == Direction::Request) || stream.reset {
            return Ok(());
        }
        let side = stream.side_mut(direction);
        match side.hold {
            Hold::None => Ok(()),
            Hold::Single => {
                side.release();
                Ok(())
            }
            Hold::All => {
                let (body, trailers) = (std::mem::take(&mut side.waiting), side.waiting_trailers.take());
                let has_body = std::mem::take(&mut side.waiting_body);
                let ended = side.ended;
                side.ended = ended && !has_body && trailers.is_none();
                side.release();
                if has_body {
                    self.body(id, direction, &body, ended && trailers.is_none())?;
                }
                match trailers {
                    Some(trailers) => self.trailers(id, direction, trailers),
                    None => Ok(()),
                }
            }
        }
    }

    /// `sendLocalReply`: in the request phase through the response callbacks, later in place of the response, and a
    /// reset once response headers went out.
    fn reply(&mut self, id: u32, request: ReplyRequest) -> Result<(), HostError> {
        let stream = self.at(id)?;
        if stream.reset {
            return Ok(());
        }
        if stream.response.headers_passed {
            // A second reply after a whole response changes nothing.
            stream.reset = !stream.response.end_passed;
            return Ok(());
        }
        let reply = request.render(&stream.request.message.headers);
        let (headers, body) = (reply.headers.clone(), reply.body.clone());
        let direct = stream.response.started;
        stream.reply = Some(reply);
        stream.request.headers_visible = false;
        stream.request.body_visible = false;
        if direct {
            let side = &mut stream.response;
            side.message = Message { headers, body, trailers: None };
            side.buffer.clear();
            side.held.clear();
            side.ended = true;
            side.release();
            return Ok(());
        }
        self.headers(id, Direction::Response, headers, body.is_empty())?;
        // The response callbacks may have replied anew, and then this body is void.
        if !self.at(id)?.response.ended {
            self.body(id, Direction::Response, &body, true)?;
        }
        self.settle_reply(id)
    }

    /// Once a local reply has passed the response callbacks, it is what they made of it.
    fn settle_reply(&mut self, id: u32) -> Result<(), HostError> {
        let stream = self.at(id)?;
        if let Some(reply) = &mut stream.reply
            && stream.response.end_passed
        {
            reply.headers.clone_from(&stream.response.message.headers);
            reply.body.clone_from(&stream.response.message.body);
        }
        Ok(())
    }

    /// The last three callbacks of a stream, in Envoy's order: the access log comes first.
    pub(crate) fn end(&mut self, id: u32) -> Result<(), HostError> {
        if self.is_dead() {
            return Ok(());
        }
        let exports = Arc::clone(self.exports());
        if let Some(callback) = &exports.on_log {
            self.at(id)?.logging = true;
            let result = self.call("proxy_on_log", id, callback, id);
            self.at(id)?.logging = false;
            result?;
        }
        if let Some(callback) = &exports.on_done {
            self.call("proxy_on_done", id, callback, id)?;
        }
        if let Some(callback) = &exports.on_delete {
            self.call("proxy_on_delete", id, callback, id)?;
        }
        forget_own_actions(self.state_mut(), id);
        self.run_after_call()
    }
}

/// A stream that has ended can neither be resumed nor answered.
fn forget_own_actions(state: &mut VmState, id: u32) {
    state.stop_iteration = false;
    state.after_call.retain(|(stream, _)| *stream != id);
}

fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
