//! What the tasks are made of; the end-to-end tests use the same Envoy, configuration and upstream.

pub mod access_line;
pub mod bench;
pub mod build_wasm;
pub mod builtins;
pub mod envoy;
pub mod envoy_config;
pub mod fuzz;
pub mod go;
pub mod http;
mod layout;
pub mod node;
pub mod playground;
pub mod python;
pub mod rego_fuzz;
pub mod scenario;
mod shrink;
pub mod test;
pub mod tidy;
pub mod upstream;
pub mod workspace;
