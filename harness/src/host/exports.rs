//! The callbacks that a guest exports; each may be missing.
use super::error::HostError;
use super::state::VmState;
use wasmtime::{Extern, Instance, Store, TypedFunc, WasmParams, WasmResults};

/// Typed callbacks of one instance.
#[expect(clippy::type_complexity, reason = "the ABI's signatures")]
pub(crate) struct Exports {
    pub(crate) on_context_create: Option<TypedFunc<(u32, u32), ()>>,
    pub(crate) on_vm_start: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_configure: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_tick: Option<TypedFunc<u32, ()>>,
    pub(crate) on_queue_ready: Option<TypedFunc<(u32, u32), ()>>,
    pub(crate) on_request_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) on_request_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) on_request_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_response_headers: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) on_response_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(crate) on_response_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub(crate) on_http_call_response: Option<TypedFunc<(u32, u32, u32, u32, u32), ()>>,
    pub(crate) on_grpc_receive_initial_metadata: Option<TypedFunc<(u32, u32, u32), ()>>,
    pub(crate) on_grpc_receive: Option<TypedFunc<(u32, u32, u32), ()>>,
    pub(crate) on_grpc_receive_trailing_metadata: Option<TypedFunc<(u32, u32, u32), ()>>,
    pub(crate) on_grpc_close: Option<TypedFunc<(u32, u32, u32), ()>>,
    pub(crate) on_done: Option<TypedFunc<u32, u32>>,
    pub(crate) on_log: Option<TypedFunc<u32, ()>>,
    pub(crate) on_delete: Option<TypedFunc<u32, ()>>,
}

impl Exports {
    pub(crate) fn of(instance: &Instance, store: &mut Store<VmState>) -> Result<Self, HostError> {
        Ok(Self {
            on_context_create: find(instance, store, "proxy_on_context_create")?,
            on_vm_start: find(instance, store, "proxy_on_vm_start")?,
            on_configure: find(instance, store, "proxy_on_configure")?,
            on_tick: find(instance, store, "proxy_on_tick")?,
            on_queue_ready: find(instance, store, "proxy_on_queue_ready")?,
            on_request_headers: find(instance, store, "proxy_on_request_headers")?,
            on_request_body: find(instance, store, "proxy_on_request_body")?,
            on_request_trailers: find(instance, store, "proxy_on_request_trailers")?,
            on_response_headers: find(instance, store, "proxy_on_response_headers")?,
            on_response_body: find(instance, store, "proxy_on_response_body")?,
            on_response_trailers: find(instance, store, "proxy_on_response_trailers")?,
            on_http_call_response: find(instance, store, "proxy_on_http_call_response")?,
            on_grpc_receive_initial_metadata: find(
                instance,
                store,
                "proxy_on_grpc_receive_initial_metadata",
            )?,
            on_grpc_receive: find(instance, store, "proxy_on_grpc_receive")?,
            on_grpc_receive_trailing_metadata: find(
                instance,
                store,
                "proxy_on_grpc_receive_trailing_metadata",
            )?,
            on_grpc_close: find(instance, store, "proxy_on_grpc_close")?,
            on_done: find(instance, store, "proxy_on_done")?,
            on_log: find(instance, store, "proxy_on_log")?,
            on_delete: find(instance, store, "proxy_on_delete")?,
        })
    }
}

/// The export of this name, if there is one; its type must fit.
pub(crate) fn find<P: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<VmState>,
    name: &'static str,
) -> Result<Option<TypedFunc<P, R>>, HostError> {
    match instance.get_export(&mut *store, name) {
        None => Ok(None),
        Some(Extern::Func(function)) => {
            function.typed(&*store).map(Some).map_err(|_| HostError::ExportType { name })
        }
        Some(_) => Err(HostError::ExportType { name }),
    }
}
