//! The tools behind the proxy: they remember what arrived, and answer as they are told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use xtask::http::{Reply, Request, Server};

/// What the upstream does with a request.
#[derive(Debug, Clone)]
pub enum Manner {
    /// Answers: status, headers, body.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// Closes the connection without an answer.
    Reset,
    /// Closes the connection without an answer after a time.
    Late(Duration),
}

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Arrived {
    /// The values of a header.
    #[must_use]
    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| value.as_str()).collect()
    }
}

#[derive(Debug)]
struct State {
    manner: Manner,
    arrived: Vec<Arrived>,
}

/// An upstream on a free port.
#[derive(Debug, Clone)]
pub struct Upstream {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl Upstream {
    /// Starts one that answers `200` and `{}`.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start() -> Result<Self> {
        let state = Arc::new(Mutex::new(State { manner: plain(), arrived: Vec::new() }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let manner = {
                let mut state = locked(&shared);
                state.arrived.push(arrived(request));
                state.manner.clone()
            };
            match manner {
                Manner::Reset => Reply::Reset,
                Manner::Late(time) => {
                    thread::sleep(time);
                    Reply::Reset
                }
                Manner::Answer(status, headers, body) => {
                    // The server wants static names; there are as many as the tests name.
                    let headers =
                        headers.into_iter().map(|(name, value)| (&*name.leak(), value)).collect::<Vec<_>>();
                    Reply::Answer { status, headers, body }
                }
            }
        })?;
        Ok(Self { server, state })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// How it treats requests from now on.
    pub fn behave(&self, manner: Manner) {
        locked(&self.state).manner = manner;
    }

    /// Answers `200` with these bytes from now on.
    pub fn serve(&self, body: impl Into<Vec<u8>>) {
        self.behave(Manner::Answer(200, Vec::new(), body.into()));
    }

    /// Answers `200` and `{}` from now on.
    pub fn behave_well(&self) {
        self.behave(plain());
    }

    /// What has arrived since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<Arrived> {
        std::mem::take(&mut locked(&self.state).arrived)
    }
}

fn plain() -> Manner {
    Manner::Answer(200, vec![("content-type".to_owned(), "application/json".to_owned())], b"{}".to_vec())
}

fn arrived(request: Request) -> Arrived {
    Arrived { method: request.method, path: request.path, headers: request.headers, body: request.body }
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
