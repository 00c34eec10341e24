//! A proxy-wasm host on wasmtime, and what the `remit` command is made of.
pub mod host;
