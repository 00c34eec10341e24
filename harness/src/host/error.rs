//! What can go wrong with a module and with an instance of it.
use std::path::PathBuf;
use std::time::Duration;

/// Why a module cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The engine could not be set up.
    #[error("engine: {message}")]
    Engine {
        /// What wasmtime says.
        message: String,
    },
    /// The bytes are no valid WebAssembly module.
    #[error("invalid module: {message}")]
    Invalid {
        /// What wasmtime says.
        message: String,
    },
    /// The module imports what Envoy does not offer.
    #[error("import {module}.{name} is not on the allow-list")]
    ForbiddenImport {
        /// The import's module.
        module: String,
        /// The import's name.
        name: String,
    },
    /// An import has the right name and the wrong type.
    #[error("import does not fit the host: {message}")]
    ImportType {
        /// What wasmtime says.
        message: String,
    },
    /// An export that every proxy-wasm module needs is missing.
    #[error("export {name} is missing")]
    MissingExport {
        /// The export's name.
        name: &'static str,
    },
    /// An export has the wrong type.
    #[error("export {name} has another type than the ABI says")]
    ExportType {
        /// The export's name.
        name: &'static str,
    },
}

/// Why an instance could not do what it was asked to.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostError {
    /// The guest trapped; the instance is dead.
    #[error("trap in {callback}: {message}")]
    Trap {
        /// The callback that ran.
        callback: &'static str,
        /// What wasmtime says.
        message: String,
    },
    /// The callback ran longer than the wall-clock limit; the instance is dead.
    #[error("{callback} exceeded its time limit of {limit:?}")]
    TimeLimit {
        /// The callback that ran.
        callback: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The callback used up its fuel; the instance is dead.
    #[error("{callback} used up its fuel of {limit}")]
    FuelLimit {
        /// The callback that ran.
        callback: &'static str,
        /// The limit in wasmtime's units.
        limit: u64,
    },
    /// The guest trapped after it was refused memory; the instance is dead.
    #[error("{callback} exceeded the memory limit of {limit} bytes: {message}")]
    MemoryLimit {
        /// The callback that ran.
        callback: &'static str,
        /// The limit in bytes.
        limit: usize,
        /// What wasmtime says.
        message: String,
    },
    /// The module could not be instantiated.
    #[error("cannot instantiate: {message}")]
    Instantiate {
        /// What wasmtime says.
        message: String,
    },
    /// A time limit was asked for, and the module was compiled without interruption points.
    #[error("a time limit needs a module compiled with `interruptible`")]
    NotInterruptible,
    /// A fuel limit was asked for, and the module was compiled without fuel.
    #[error("a fuel limit needs a module compiled with `metered`")]
    NotMetered,
    /// An export has the wrong type.
    #[error("export {name} has another type than the ABI says")]
    ExportType {
        /// The export's name.
        name: &'static str,
    },
    /// `proxy_on_vm_start` returned false; the instance is dead.
    #[error("the guest refused to start")]
    StartRefused,
    /// `proxy_on_configure` returned false; the instance is dead.
    #[error("the guest refused its configuration")]
    ConfigurationRefused,
    /// The instance died earlier.
    #[error("the instance is dead")]
    Dead,
    /// There is no such stream (any more).
    #[error("no stream {id}")]
    UnknownStream {
        /// The stream's context id.
        id: u32,
    },
    /// There is no such outstanding call (any more).
    #[error("no outstanding call {token}")]
    UnknownCallout {
        /// The call's token.
        token: u32,
    },
    /// The stream is not where this part of a message can arrive.
    #[error("{part} arrived out of order")]
    OutOfOrder {
        /// What arrived.
        part: &'static str,
    },
    /// The caller opened more streams than the limit allows.
    #[error("more than {limit} open streams")]
    TooManyStreams {
        /// The limit.
        limit: usize,
    },
}
