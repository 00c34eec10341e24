//! The host functions of module `env`.
mod buffers;
mod callouts;
mod foreign;
mod grpc;
mod headers;
mod metrics;
mod misc;
mod properties;
mod protobuf;
mod queues;
mod shared;
mod signature;

pub(crate) use misc::write_log;

use super::memory::Guest;
use super::state::VmState;
use super::status::{Fault, to_guest};
use wasmtime::Linker;

/// Calls that a guest may make while `_initialize` or `_start` runs (as in Envoy).
const WHILE_STARTING: &[&str] = &["proxy_log"];

/// Links each function under its name.
macro_rules! functions {
    ($linker:ident: $($name:literal = $function:path, $($argument:ident),+;)+) => {
        $($linker.func_wrap("env", $name, |mut guest: Guest<'_>, $($argument: u32),+| {
            enter(&guest, $name)?;
            to_guest($function(&mut guest, $($argument),+))
        })?;)+
    };
}

/// Offers all functions to a module.
pub(crate) fn link(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    functions! { linker:
        "proxy_add_header_map_value" = headers::add, map, key, key_size, value, value_size;
        "proxy_get_header_map_pairs" = headers::pairs, map, out, out_size;
        "proxy_get_header_map_size" = headers::byte_size, map, out;
        "proxy_get_header_map_value" = headers::value, map, key, key_size, out, out_size;
        "proxy_remove_header_map_value" = headers::remove, map, key, key_size;
        "proxy_replace_header_map_value" = headers::replace, map, key, key_size, value, value_size;
        "proxy_set_header_map_pairs" = headers::set_pairs, map, pairs, pairs_size;
        "proxy_get_buffer_bytes" = buffers::bytes, buffer, start, length, out, out_size;
        "proxy_get_buffer_status" = buffers::status, buffer, length, flags;
        "proxy_set_buffer_bytes" = buffers::set, buffer, start, length, data, data_size;
        "proxy_get_property" = properties::value, path, path_size, out, out_size;
        "proxy_set_property" = properties::set, path, path_size, value, value_size;
        "proxy_get_shared_data" = shared::value, key, key_size, out, out_size, cas;
        "proxy_set_shared_data" = shared::set, key, key_size, value, value_size, cas;
        "proxy_register_shared_queue" = queues::register, name, name_size, token;
        "proxy_resolve_shared_queue" = queues::resolve, vm_id, vm_id_size, name, name_size, token;
        "proxy_dequeue_shared_queue" = queues::dequeue, token, out, out_size;
        "proxy_enqueue_shared_queue" = queues::enqueue, token, data, data_size;
        "proxy_define_metric" = metrics::define, kind, name, name_size, id;
        "proxy_get_metric" = metrics::value, id, out;
        "proxy_http_call" = callouts::http_call,
            cluster, cluster_size, headers, headers_size, body, body_size, trailers, trailers_size, timeout, token;
        "proxy_grpc_call" = grpc::call,
            target, target_size, service, service_size, method, method_size, metadata, metadata_size,
            message, message_size, timeout, token;
        "proxy_grpc_stream" = grpc::stream,
            target, target_size, service, service_size, method, method_size, metadata, metadata_size, token;
        "proxy_grpc_send" = grpc::send, token, message, message_size, end;
        "proxy_grpc_cancel" = grpc::cancel, token;
        "proxy_grpc_close" = grpc::close, token;
        "proxy_call_foreign_function" = foreign::call,
            name, name_size, arguments, arguments_size, out, out_size;
        "proxy_log" = misc::log, level, text, text_size;
        "proxy_get_log_level" = misc::log_level, out;
        "proxy_get_current_time_nanoseconds" = misc::now, out;
        "proxy_set_tick_period_milliseconds" = misc::set_tick_period, period;
        "proxy_get_status" = misc::status, code, out, out_size;
        "proxy_set_effective_context" = misc::set_effective_context, context;
        "proxy_continue_stream" = misc::continue_stream, kind;
        "proxy_close_stream" = misc::close_stream, kind;
        "proxy_send_local_response" = misc::send_local_response,
            status, details, details_size, body, body_size, headers, headers_size, grpc_status;
    }
    linker.func_wrap("env", "proxy_done", |mut guest: Guest<'_>| {
        enter(&guest, "proxy_done")?;
        to_guest(misc::done(&mut guest))
    })?;
    linker.func_wrap("env", "proxy_increment_metric", |guest: Guest<'_>, id: u32, offset: i64| {
        enter(&guest, "proxy_increment_metric")?;
        to_guest(metrics::increment(&guest, id, offset))
    })?;
    linker.func_wrap("env", "proxy_record_metric", |guest: Guest<'_>, id: u32, value: u64| {
        enter(&guest, "proxy_record_metric")?;
        to_guest(metrics::record(&guest, id, value))
    })?;
    Ok(())
}

fn enter(guest: &Guest<'_>, name: &'static str) -> wasmtime::Result<()> {
    if guest.data().starting && !WHILE_STARTING.contains(&name) {
        return Err(wasmtime::Error::msg(format!("{name} called while starting")));
    }
    Ok(())
}

/// Shorthand of the host functions' results.
type Outcome = Result<(), Fault>;
