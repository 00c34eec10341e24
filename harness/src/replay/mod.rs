//! Replays recorded traffic through a subject: the core itself, the module in wasmtime, or a real proxy.

pub mod changes;
mod document;
mod expect;
pub mod html;
mod junit;
mod native;
mod observed;
pub mod report;
mod run;
#[cfg(test)]
mod tests;
mod wasm;

pub use document::Document;
pub use expect::Mismatch;
pub use native::Native;
pub use observed::{Audit, Forwarded, Observed, Reply};
pub use run::{Played, Replay, WireRequest, replay};
pub use wasm::{Wasm, WasmOptions};

use anyhow::Result;
use remit_core::ids::Now;

use crate::capture::Response;

/// What a capture is replayed through.
pub trait Subject {
    /// Its name in reports, such as `wasm`.
    fn name(&self) -> &str;

    /// The time at which an exchange happens, given when the capture says that it does. A subject with a real clock
    /// gives that one, and wants a scenario that was rebased to it.
    fn clock(&self, captured: Now) -> Now {
        captured
    }

    /// Answers from now on what the filter fetches with these. A subject that fetches from servers of its own need not.
    fn serve(&mut self, _documents: Vec<Document>) {}

    /// Brings a request to the subject, answers it as the upstream did, and says what came of it.
    ///
    /// # Errors
    ///
    /// When the subject itself does not work: not for a denial, and not for a request that kills a worker.
    fn carry(&mut self, request: &WireRequest, response: &Response, now: Now) -> Result<Observed>;
}
