//! A proxy-wasm ABI 0.2.1 host on wasmtime that behaves as Envoy does.
//!
//! A [`Module`] is compiled once and cached on disk. A [`Vm`] is one instance of it; several share a [`SharedWorld`]
//! (shared data, queues, metrics, the virtual clock, the logs). A [`Vm`] is fed HTTP streams through [`HttpStream`],
//! lists the calls that the guest makes ([`Callout`]) and takes their answers. Nothing here reads the real clock,
//! opens a socket or draws real randomness: the same input gives the same output.

mod abi;
mod cache;
mod callout;
mod error;
mod exports;
mod flow;
mod headers;
mod imports;
mod limits;
mod memory;
mod message;
mod metrics;
mod module;
mod options;
mod properties;
mod queues;
mod random;
mod reply;
mod shared_data;
mod state;
mod status;
mod stream;
mod ticker;
mod vm;
mod wasi;
mod world;

#[cfg(test)]
mod tests;

pub use callout::{Callout, CalloutKind, GrpcAnswer, HttpResponse};
pub use error::{HostError, ModuleError};
pub use headers::HeaderMap;
pub use imports::{ENV_IMPORTS, WASI_IMPORTS, WASI_MODULE, is_allowed_import};
pub use limits::HostLimits;
pub use message::{Message, Progress, Verdict};
pub use metrics::{MetricKind, MetricValue};
pub use module::{Module, ModuleOptions};
pub use options::VmOptions;
pub use properties::Properties;
pub use reply::LocalReply;
pub use stream::{FinishedStream, HttpStream, StreamId};
pub use vm::Vm;
pub use world::{LogLevel, LogLine, SharedWorld};
