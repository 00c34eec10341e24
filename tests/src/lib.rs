//! What the end-to-end tests share: a world of keys and tokens, a real Envoy with an upstream, and a client.

pub mod bundles;
pub mod contract;
pub mod http;
pub mod http2;
pub mod mcp;
pub mod opa_cases;
pub mod parity;
pub mod proxy;
pub mod rego_fuzz;
pub mod scratch;
pub mod subject;
pub mod tls;
pub mod upstream;
pub mod world;
