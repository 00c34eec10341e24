//! HTTP streams: what arrives is brought to the guest in Envoy's order, and its actions take Envoy's effect.
use super::error::HostError;
use super::headers::HeaderMap;
use super::message::{Hold, Message, Progress, Verdict};
use super::properties::Properties;
use super::reply::{LocalReply, ReplyRequest};
use super::state::{AfterCall, Direction, ROOT, Stream, VmState};
use super::vm::Vm;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A stream of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub(crate) u32);

impl StreamId {
    /// The context id that the guest knows.
    pub fn context_id(self) -> u32 {
        self.0
    }
}

/// What is left of a stream after its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FinishedStream {
    /// The request as far as it was passed on.
    pub request: Message,
    /// The response as far as it was passed on; that of a local reply included.
    pub response: Message,
    /// The local reply, if there was one.
    pub reply: Option<LocalReply>,
    /// Whether the stream was reset.
    pub reset: bool,
    /// Filter state, by name (`wasm.<path>` for what the guest set as a property).
    pub filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// An open stream, to be fed.
#[derive(Debug)]
pub struct HttpStream<'vm> {
    vm: &'vm mut Vm,
    id: u32,
}

impl Vm {
    /// Opens a stream; its attributes go before those of the instance. A dead instance still takes it.
    pub fn open_stream(&mut self, properties: Properties) -> Result<HttpStream<'_>, HostError> {
        let limit = self.state().options.limits.streams;
        if self.state().streams.len() >= limit {
            return Err(HostError::TooManyStreams { limit });
        }
        let id = self.next_context();
        self.state_mut().streams.insert(id, Stream { properties, ..Stream::default() });
        if self.is_dead() {
            self.skip_context();
        } else if let Err(error) = self.create_context(ROOT).and_then(|_| self.run_after_call()) {
            self.state_mut().streams.remove(&id);
            return Err(error);
        }
        Ok(HttpStream { vm: self, id })
    }

    /// An open stream.
    pub fn stream(&mut self, id: StreamId) -> Result<HttpStream<'_>, HostError> {
        let StreamId(id) = id;
        if self.state().streams.contains_key(&id) {
            Ok(HttpStream { vm: self, id })
        } else {
            Err(HostError::UnknownStream { id })
        }
    }

    /// The open streams.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> {
        self.state().streams.keys().copied().map(StreamId)
    }

    fn at(&mut self, id: u32) -> Result<&mut Stream, HostError> {
        self.state_mut().streams.get_mut(&id).ok_or(HostError::UnknownStream { id })
    }

    /// What the instance's death means for a stream.
    fn fail_stream(&mut self, id: u32, direction: Direction) -> Result<(), HostError> {
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

    fn headers(
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

    fn body(&mut self, id: u32, direction: Direction, chunk: &[u8], end: bool) -> Result<(), HostError> {
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

    fn trailers(&mut self, id: u32, direction: Direction, trailers: HeaderMap) -> Result<(), HostError> {
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
}

impl HttpStream<'_> {
    /// The stream's id, to find it again with [`Vm::stream`].
    pub fn id(&self) -> StreamId {
        StreamId(self.id)
    }

    /// The request's headers. An error means that the instance died just now; the verdict holds all the same.
    pub fn request_headers(&mut self, headers: HeaderMap, end: bool) -> Result<Progress, HostError> {
        self.headers(Direction::Request, headers, end)
    }

    /// A piece of the request's body.
    pub fn request_body(&mut self, chunk: &[u8], end: bool) -> Result<Progress, HostError> {
        self.body(Direction::Request, chunk, end)
    }

    /// The request's trailers.
    pub fn request_trailers(&mut self, trailers: HeaderMap) -> Result<Progress, HostError> {
        self.trailers(Direction::Request, trailers)
    }

    /// The response's headers.
    pub fn response_headers(&mut self, headers: HeaderMap, end: bool) -> Result<Progress, HostError> {
        self.headers(Direction::Response, headers, end)
    }

    /// A piece of the response's body.
    pub fn response_body(&mut self, chunk: &[u8], end: bool) -> Result<Progress, HostError> {
        self.body(Direction::Response, chunk, end)
    }

    /// The response's trailers.
    pub fn response_trailers(&mut self, trailers: HeaderMap) -> Result<Progress, HostError> {
        self.trailers(Direction::Response, trailers)
    }

    /// What became of the request.
    pub fn request_verdict(&self) -> Verdict<'_> {
        self.verdict(Direction::Request)
    }

    /// What became of the response; a local reply that the response callbacks let through is one, too.
    pub fn response_verdict(&self) -> Verdict<'_> {
        self.verdict(Direction::Response)
    }

    /// A value of the stream's filter state; `wasm.<name>` is property `<name>` set by the guest.
    pub fn filter_state(&self, name: &str) -> Option<&[u8]> {
        let stream = self.vm.state().streams.get(&self.id)?;
        stream.filter_state.get(name.as_bytes()).map(Vec::as_slice)
    }

    /// Ends the stream: the guest logs it, is told that it is done, and forgets it. An error means that the instance
    /// died doing so; the stream is gone all the same.
    pub fn finish(self) -> Result<FinishedStream, (FinishedStream, HostError)> {
        let Self { vm, id } = self;
        let result = vm.end(id);
        let stream = vm.state_mut().streams.remove(&id).unwrap_or_default();
        let Stream { request, response, reply, reset, filter_state, .. } = stream;
        let finished = FinishedStream {
            request: request.message,
            response: response.message,
            reply,
            reset,
            filter_state,
        };
        match result {
            Ok(()) => Ok(finished),
            Err(error) => Err((finished, error)),
        }
    }

    fn headers(
        &mut self,
        direction: Direction,
        headers: HeaderMap,
        end: bool,
    ) -> Result<Progress, HostError> {
        let part = "headers";
        let stream = self.vm.at(self.id)?;
        let early = direction == Direction::Response && !stream.request.started;
        if stream.side(direction).started || early {
            return self.unless_over(direction, HostError::OutOfOrder { part });
        }
        if self.over() {
            return Ok(self.progress(direction));
        }
        if self.vm.is_dead() && !self.vm.at(self.id)?.failed {
            let side = self.vm.at(self.id)?.side_mut(direction);
            side.message.headers = headers;
            (side.started, side.ended) = (true, end);
            self.vm.fail_stream(self.id, direction)?;
        } else {
            self.vm.headers(self.id, direction, headers, end)?;
        }
        Ok(self.progress(direction))
    }

    fn body(&mut self, direction: Direction, chunk: &[u8], end: bool) -> Result<Progress, HostError> {
        if let Some(progress) = self.later_part(direction, "body")? {
            return Ok(progress);
        }
        self.vm.body(self.id, direction, chunk, end)?;
        Ok(self.progress(direction))
    }

    fn trailers(&mut self, direction: Direction, trailers: HeaderMap) -> Result<Progress, HostError> {
        if let Some(progress) = self.later_part(direction, "trailers")? {
            return Ok(progress);
        }
        self.vm.trailers(self.id, direction, trailers)?;
        Ok(self.progress(direction))
    }

    /// Checks that body or trailers can come now; a stream that is over swallows them.
    fn later_part(
        &mut self,
        direction: Direction,
        part: &'static str,
    ) -> Result<Option<Progress>, HostError> {
        if self.over() {
            return Ok(Some(self.progress(direction)));
        }
        let side = self.vm.at(self.id)?.side(direction);
        if !side.started || side.ended {
            return Err(HostError::OutOfOrder { part });
        }
        // A dead instance fails the stream before anything else.
        if self.vm.is_dead() && !self.vm.at(self.id)?.failed {
            self.vm.fail_stream(self.id, direction)?;
        }
        Ok(self.over().then(|| self.progress(direction)))
    }

    fn unless_over(&self, direction: Direction, error: HostError) -> Result<Progress, HostError> {
        if self.over() { Ok(self.progress(direction)) } else { Err(error) }
    }

    fn over(&self) -> bool {
        self.vm.state().streams.get(&self.id).is_none_or(|stream| stream.reset || stream.reply.is_some())
    }

    fn progress(&self, direction: Direction) -> Progress {
        match self.verdict(direction) {
            Verdict::Forwarded(_) | Verdict::Open(_) => Progress::Continue,
            Verdict::Paused(_) => Progress::Paused,
            Verdict::LocalReply(_) => Progress::Replied,
            Verdict::Reset => Progress::Reset,
        }
    }

    fn verdict(&self, direction: Direction) -> Verdict<'_> {
        let Some(stream) = self.vm.state().streams.get(&self.id) else { return Verdict::Reset };
        let side = stream.side(direction);
        match (&stream.reply, side.hold) {
            _ if stream.reset => Verdict::Reset,
            (Some(reply), _) => Verdict::LocalReply(reply),
            (None, Hold::Single | Hold::All) => Verdict::Paused(&side.message),
            (None, Hold::None) if side.end_passed => Verdict::Forwarded(&side.message),
            (None, Hold::None) => Verdict::Open(&side.message),
        }
    }
}

impl Vm {
    /// The last three callbacks of a stream, in Envoy's order: the access log comes first.
    fn end(&mut self, id: u32) -> Result<(), HostError> {
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
