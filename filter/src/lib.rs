//! The proxy-wasm shell around `remit-core`.
