//! Calls that the guest makes to other services, and their answers.
use super::error::HostError;
use super::headers::HeaderMap;
use super::state::ROOT;
use super::vm::Vm;
use std::collections::BTreeMap;

/// What kind of call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalloutKind {
    /// An HTTP request.
    Http,
    /// A unary gRPC call.
    GrpcCall {
        /// The service's full name.
        service: String,
        /// The method's name.
        method: String,
    },
    /// A gRPC stream.
    GrpcStream {
        /// The service's full name.
        service: String,
        /// The method's name.
        method: String,
    },
}

/// An outstanding call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// Its token: unique among the HTTP calls, or among the gRPC calls and streams.
    pub token: u32,
    /// What kind of call it is.
    pub kind: CalloutKind,
    /// The cluster it goes to.
    pub cluster: String,
    /// Request headers, or initial metadata.
    pub headers: HeaderMap,
    /// Request body, or message.
    pub body: Vec<u8>,
    /// Request trailers.
    pub trailers: HeaderMap,
    /// Time limit in milliseconds; 0: none.
    pub timeout_ms: u32,
    /// The context that made it; the root context is 1.
    pub context_id: u32,
    /// The virtual time of the call in nanoseconds.
    pub at: u64,
    /// Messages that the guest sent on a gRPC stream since [`Vm::take_grpc_messages`].
    pub messages: Vec<Vec<u8>>,
    /// Whether the guest closed its half of a gRPC stream.
    pub half_closed: bool,
}

/// The answer to an HTTP call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpResponse {
    /// Headers, `:status` included.
    pub headers: HeaderMap,
    /// Body.
    pub body: Vec<u8>,
    /// Trailers.
    pub trailers: Option<HeaderMap>,
}

/// The answer to a unary gRPC call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcAnswer {
    /// Success with a message.
    Message(Vec<u8>),
    /// Failure with a gRPC status and its message.
    Failure {
        /// gRPC status.
        status: u32,
        /// Its message.
        message: String,
    },
}

/// The outstanding calls of one instance.
#[derive(Debug)]
pub(crate) struct Calls {
    pub(crate) http: BTreeMap<u32, Callout>,
    pub(crate) grpc: BTreeMap<u32, Callout>,
    next_http: u32,
    next_grpc: u32,
}

impl Default for Calls {
    fn default() -> Self {
        Self { http: BTreeMap::new(), grpc: BTreeMap::new(), next_http: 1, next_grpc: 1 }
    }
}

impl Calls {
    pub(crate) fn len(&self) -> usize {
        self.http.len().saturating_add(self.grpc.len())
    }

    /// The next free token for an HTTP call; never 0.
    pub(crate) fn http_token(&mut self) -> u32 {
        loop {
            let token = self.next_http;
            self.next_http = token.wrapping_add(1);
            if token != 0 && !self.http.contains_key(&token) {
                return token;
            }
        }
    }

    /// The next free token for gRPC: odd for a call, even for a stream, never 0.
    pub(crate) fn grpc_token(&mut self, stream: bool) -> u32 {
        loop {
            let token = self.next_grpc;
            self.next_grpc = token.wrapping_add(1);
            if token != 0 && (token & 1 == 0) == stream && !self.grpc.contains_key(&token) {
                return token;
            }
        }
    }
}

/// What the guest sees of the answer that is being delivered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) http: Option<HttpResponse>,
    pub(crate) grpc_message: Option<Vec<u8>>,
    pub(crate) grpc_initial_metadata: Option<HeaderMap>,
    pub(crate) grpc_trailing_metadata: Option<HeaderMap>,
}

impl Vm {
    /// The outstanding calls: HTTP first, then gRPC, each in the order of their tokens.
    pub fn callouts(&self) -> impl Iterator<Item = &Callout> {
        let calls = &self.state().calls;
        calls.http.values().chain(calls.grpc.values())
    }

    /// Answers an HTTP call; `None`: it failed (connection reset or timeout).
    pub fn answer_http(&mut self, token: u32, response: Option<HttpResponse>) -> Result<(), HostError> {
        self.alive()?;
        let unknown = HostError::UnknownCallout { token };
        self.state_mut().calls.http.remove(&token).ok_or(unknown)?;
        let (headers, body, trailers) = match &response {
            Some(response) => {
                let trailers = response.trailers.as_ref().map_or(0, HeaderMap::len);
                (count(response.headers.len()), count(response.body.len()), count(trailers))
            }
            None => {
                // WasmResult::BrokenConnection
                self.state_mut().status = (11, "reset".to_owned());
                (0, 0, 0)
            }
        };
        self.state_mut().answer.http = response;
        let result = match self.exports().on_http_call_response.clone() {
            Some(callback) => {
                let arguments = (ROOT, token, headers, body, trailers);
                self.call("proxy_on_http_call_response", ROOT, &callback, arguments)
            }
            None => Ok(()),
        };
        self.after_answer(result)
    }

    /// Answers a unary gRPC call.
    pub fn answer_grpc(&mut self, token: u32, answer: GrpcAnswer) -> Result<(), HostError> {
        self.alive()?;
        let unknown = HostError::UnknownCallout { token };
        match self.state().calls.grpc.get(&token) {
            Some(Callout { kind: CalloutKind::GrpcCall { .. }, .. }) => {}
            _ => return Err(unknown),
        }
        self.state_mut().calls.grpc.remove(&token);
        match answer {
            GrpcAnswer::Message(message) => self.deliver_grpc_message(token, message),
            GrpcAnswer::Failure { status, message } => self.deliver_grpc_close(token, status, message),
        }
    }

    /// Delivers initial metadata on a gRPC stream.
    pub fn grpc_initial_metadata(&mut self, token: u32, metadata: HeaderMap) -> Result<(), HostError> {
        self.known_grpc_stream(token)?;
        let size = count(metadata.len());
        self.state_mut().answer.grpc_initial_metadata = Some(metadata);
        let callback = self.exports().on_grpc_receive_initial_metadata.clone();
        let result = match callback {
            Some(callback) => {
                self.call("proxy_on_grpc_receive_initial_metadata", ROOT, &callback, (ROOT, token, size))
            }
            None => Ok(()),
        };
        self.after_answer(result)
    }

    /// Delivers a message on a gRPC stream.
    pub fn grpc_message(&mut self, token: u32, message: Vec<u8>) -> Result<(), HostError> {
        self.known_grpc_stream(token)?;
        self.deliver_grpc_message(token, message)
    }

    /// Delivers trailing metadata on a gRPC stream.
    pub fn grpc_trailing_metadata(&mut self, token: u32, metadata: HeaderMap) -> Result<(), HostError> {
        self.known_grpc_stream(token)?;
        let size = count(metadata.len());
        self.state_mut().answer.grpc_trailing_metadata = Some(metadata);
        let callback = self.exports().on_grpc_receive_trailing_metadata.clone();
        let result = match callback {
            Some(callback) => {
                self.call("proxy_on_grpc_receive_trailing_metadata", ROOT, &callback, (ROOT, token, size))
            }
            None => Ok(()),
        };
        self.after_answer(result)
    }

    /// Ends a gRPC stream with a status.
    pub fn grpc_close(&mut self, token: u32, status: u32, message: String) -> Result<(), HostError> {
        self.known_grpc_stream(token)?;
        self.state_mut().calls.grpc.remove(&token);
        self.deliver_grpc_close(token, status, message)
    }

    /// Takes the messages that the guest sent on a gRPC stream.
    pub fn take_grpc_messages(&mut self, token: u32) -> Result<Vec<Vec<u8>>, HostError> {
        self.known_grpc_stream(token)?;
        let call = self.state_mut().calls.grpc.get_mut(&token);
        Ok(call.map(|call| std::mem::take(&mut call.messages)).unwrap_or_default())
    }

    fn known_grpc_stream(&self, token: u32) -> Result<(), HostError> {
        self.alive()?;
        match self.state().calls.grpc.get(&token) {
            Some(Callout { kind: CalloutKind::GrpcStream { .. }, .. }) => Ok(()),
            _ => Err(HostError::UnknownCallout { token }),
        }
    }

    fn deliver_grpc_message(&mut self, token: u32, message: Vec<u8>) -> Result<(), HostError> {
        let size = count(message.len());
        self.state_mut().answer.grpc_message = Some(message);
        let result = match self.exports().on_grpc_receive.clone() {
            Some(callback) => self.call("proxy_on_grpc_receive", ROOT, &callback, (ROOT, token, size)),
            None => Ok(()),
        };
        self.after_answer(result)
    }

    fn deliver_grpc_close(&mut self, token: u32, status: u32, message: String) -> Result<(), HostError> {
        self.state_mut().status = (status, message);
        let result = match self.exports().on_grpc_close.clone() {
            Some(callback) => self.call("proxy_on_grpc_close", ROOT, &callback, (ROOT, token, status)),
            None => Ok(()),
        };
        self.after_answer(result)
    }

    /// Forgets the answer, then does what the callback asked for.
    fn after_answer(&mut self, result: Result<(), HostError>) -> Result<(), HostError> {
        let state = self.state_mut();
        state.answer = Answer::default();
        state.status.1.clear();
        state.stop_iteration = false;
        result?;
        self.run_after_call()
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
