//! A proxy-wasm host on wasmtime, and what the `remit` command is made of.

pub mod annotations;
pub mod bench;
pub mod bundles;
pub mod capture;
pub mod challenge;
pub mod check;
pub mod eval;
pub mod forge;
pub mod host;
pub mod inventory;
pub mod junit;
pub mod keyring;
pub mod lint;
pub mod mint;
pub mod pack;
pub mod proof;
pub mod refused;
pub mod rego;
pub mod rego_test;
pub mod replay;
pub mod scenario;
pub mod schema;
pub mod signing;
pub mod table;
#[cfg(test)]
mod testing;
pub mod text;
pub mod time;
pub mod vectors;
