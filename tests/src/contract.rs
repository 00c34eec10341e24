//! The contract with policies that were written for opa-envoy-plugin: cases, each a policy, a request and the exact outcome,
//! and what carries a request to whoever has to keep it.

mod case;
mod here;
mod proxy;
mod sidecar;

pub use case::{Case, Group, Outcome, Received, cases, grouped};
pub use here::{native, wasm};
pub use proxy::{Pair, PairOptions};
pub use sidecar::{Settings, Sidecar};
