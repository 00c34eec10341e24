//! HTTP streams: opened, fed part by part, asked for their verdict, finished.
use super::error::HostError;
use super::headers::HeaderMap;
use super::message::{Hold, Message, Progress, Verdict};
use super::properties::Properties;
use super::reply::LocalReply;
use super::state::{Direction, ROOT, Stream};
use super::vm::Vm;
use std::collections::BTreeMap;

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
    /// The request: headers as the guest left them, body as far as it was passed on.
    pub request: Message,
    /// The response likewise; a local reply's is one, too.
    pub response: Message,
    /// The local reply, if there was one.
    pub reply: Option<LocalReply>,
    /// Whether the stream was reset.
    pub reset: bool,
    /// Filter state, by name (`wasm.<path>` for what the guest set as a property).
    pub filter_state: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What the instance died of while the stream ended.
    pub fault: Option<HostError>,
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

    /// Ends the stream: the guest logs it, is told that it is done, and forgets it.
    pub fn finish(self) -> FinishedStream {
        let Self { vm, id } = self;
        let fault = vm.end(id).err();
        let stream = vm.state_mut().streams.remove(&id).unwrap_or_default();
        let Stream { request, response, reply, reset, filter_state, .. } = stream;
        let (request, response) = (request.message, response.message);
        FinishedStream { request, response, reply, reset, filter_state, fault }
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
