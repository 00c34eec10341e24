//! The proxy-wasm shell around `remit-core`: it fetches what the pipeline needs and carries out what it concludes.
#![expect(missing_docs, reason = "the only public item is the start function that the macro makes")]

#[cfg(any(test, target_family = "wasm"))]
mod compare;
#[cfg(any(test, target_family = "wasm"))]
mod heap;
mod host;
mod metrics;
mod root;
mod stream;

use proxy_wasm::traits::RootContext;
use proxy_wasm::types::LogLevel;

use crate::root::Root;

#[cfg(target_family = "wasm")]
#[global_allocator]
static HEAP: heap::Heap = heap::Heap::new();

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|id| -> Box<dyn RootContext> { Box::new(Root::new(id)) });
}}
