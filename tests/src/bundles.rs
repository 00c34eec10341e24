//! A server of bundles as OPA's bundle API has it: ETags, deltas, and requests that are held back until there is something
//! new.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use remit_harness::pack::Files;
use serde_json::{Value, json};
use xtask::http::{Reply, Request, Server};

const MEDIA_TYPE: &str = "application/vnd.openpolicyagent.bundles";

#[derive(Debug, Default)]
struct Served {
    body: Vec<u8>,
    etag: String,
    /// The ETag that the delta is from, and the delta.
    delta: Option<(String, Vec<u8>)>,
}

#[derive(Debug, Default)]
struct State {
    paths: BTreeMap<String, Served>,
    slow: Duration,
    /// How often each kind of answer was given.
    answers: BTreeMap<&'static str, usize>,
}

/// A bundle server on a free port.
#[derive(Debug, Clone)]
pub struct BundleServer {
    server: Server,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl BundleServer {
    /// Starts one that has nothing.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start() -> Result<Self> {
        let state = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| answer(&shared, &request))?;
        Ok(Self { server, state })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port
    }

    /// Has this bundle at a path from now on.
    pub fn serve(&self, path: &str, etag: &str, body: Vec<u8>) {
        let served = Served { body, etag: etag.to_owned(), delta: None };
        self.locked().paths.insert(path.to_owned(), served);
        self.state.1.notify_all();
    }

    /// Has this bundle at a path from now on; who has the version before it gets the delta alone.
    pub fn serve_delta(&self, path: &str, etag: &str, body: Vec<u8>, delta: Vec<u8>) {
        let mut state = self.locked();
        let served = state.paths.entry(path.to_owned()).or_default();
        let base = std::mem::replace(&mut served.etag, etag.to_owned());
        served.body = body;
        served.delta = Some((base, delta));
        drop(state);
        self.state.1.notify_all();
    }

    /// Has nothing at a path from now on.
    pub fn missing(&self, path: &str) {
        self.locked().paths.remove(path);
        self.state.1.notify_all();
    }

    /// Takes this long for each answer from now on.
    pub fn slow(&self, time: Duration) {
        self.locked().slow = time;
    }

    /// How often an answer of this kind was given: `whole`, `delta`, `unchanged`, `held`, `missing`.
    #[must_use]
    pub fn answered(&self, kind: &str) -> usize {
        self.locked().answers.get(kind).copied().unwrap_or(0)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn answer((state, changed): &(Mutex<State>, Condvar), request: &Request) -> Reply {
    let header = |name: &str| {
        request.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    };
    let (named, prefer) = (header("if-none-match").to_owned(), header("prefer").to_owned());
    let wait = prefer.split(';').find_map(|part| part.trim().strip_prefix("wait=")?.parse().ok());
    let wait = wait.map(Duration::from_secs);
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    let slow = state.slow;
    if !slow.is_zero() {
        drop(state);
        thread::sleep(slow);
        return Reply::Reset;
    }
    let is_current =
        |state: &State| state.paths.get(&request.path).is_some_and(|served| served.etag == named);
    if let Some(wait) = wait.filter(|_| is_current(&state)) {
        count(&mut state, "held");
        let held = changed.wait_timeout_while(state, wait, |state| is_current(state));
        state = held.unwrap_or_else(PoisonError::into_inner).0;
    }
    let headers = |etag: &str| {
        let media_type = if wait.is_some() { MEDIA_TYPE } else { "application/gzip" };
        vec![("etag", etag.to_owned()), ("content-type", media_type.to_owned())]
    };
    let (kind, reply) = match state.paths.get(&request.path) {
        None => ("missing", Reply::Answer { status: 404, headers: Vec::new(), body: Vec::new() }),
        Some(served) if served.etag == named => {
            ("unchanged", Reply::Answer { status: 304, headers: headers(&served.etag), body: Vec::new() })
        }
        Some(served) => {
            let delta = served.delta.as_ref().filter(|(base, _)| *base == named && prefer.contains("delta"));
            let (kind, body) = delta.map_or(("whole", &served.body), |(_, delta)| ("delta", delta));
            (kind, Reply::Answer { status: 200, headers: headers(&served.etag), body: body.clone() })
        }
    };
    count(&mut state, kind);
    reply
}

fn count(state: &mut State, kind: &'static str) {
    let counter = state.answers.entry(kind).or_default();
    *counter = counter.saturating_add(1);
}

/// A bundle of one Rego file and data under these roots.
///
/// # Errors
/// When it cannot be packed.
pub fn packed(revision: &str, roots: &[&str], rego: &str, data: &Value) -> Result<Vec<u8>> {
    let mut files = Files::default();
    files.add(".manifest", json!({"revision": revision, "roots": roots}).to_string().into_bytes())?;
    if !rego.is_empty() {
        files.add("policy.rego", rego.as_bytes().to_vec())?;
    }
    files.add_data(data.to_string().into_bytes())?;
    Ok(files.to_targz()?)
}

/// A delta bundle that replaces these values, by path.
///
/// # Errors
/// When it cannot be packed.
pub fn delta(revision: &str, roots: &[&str], values: &[(&str, Value)]) -> Result<Vec<u8>> {
    let change = |(path, value): &(&str, Value)| json!({"op": "upsert", "path": path, "value": value});
    let patch = json!({"data": values.iter().map(change).collect::<Vec<_>>()});
    let mut files = Files::default();
    files.add(".manifest", json!({"revision": revision, "roots": roots}).to_string().into_bytes())?;
    files.add("patch.json", patch.to_string().into_bytes())?;
    Ok(files.to_targz()?)
}
