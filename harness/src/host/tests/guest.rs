//! Guests for tests: callbacks in WAT, with string literals and helpers that log what a host call said.
use crate::host::*;

/// Imports in use: name and parameters (`l` is an i64); all return an i32.
const IMPORTS: &[(&str, &str)] = &[
    ("proxy_add_header_map_value", "iiiii"),
    ("proxy_call_foreign_function", "iiiiii"),
    ("proxy_close_stream", "i"),
    ("proxy_continue_stream", "i"),
    ("proxy_define_metric", "iiii"),
    ("proxy_dequeue_shared_queue", "iii"),
    ("proxy_done", ""),
    ("proxy_enqueue_shared_queue", "iii"),
    ("proxy_get_buffer_bytes", "iiiii"),
    ("proxy_get_buffer_status", "iii"),
    ("proxy_get_current_time_nanoseconds", "i"),
    ("proxy_get_header_map_pairs", "iii"),
    ("proxy_get_header_map_size", "ii"),
    ("proxy_get_header_map_value", "iiiii"),
    ("proxy_get_log_level", "i"),
    ("proxy_get_metric", "ii"),
    ("proxy_get_property", "iiii"),
    ("proxy_get_shared_data", "iiiii"),
    ("proxy_get_status", "iii"),
    ("proxy_grpc_call", "iiiiiiiiiiii"),
    ("proxy_grpc_cancel", "i"),
    ("proxy_grpc_close", "i"),
    ("proxy_grpc_send", "iiii"),
    ("proxy_grpc_stream", "iiiiiiiii"),
    ("proxy_http_call", "iiiiiiiiii"),
    ("proxy_increment_metric", "il"),
    ("proxy_log", "iii"),
    ("proxy_record_metric", "il"),
    ("proxy_register_shared_queue", "iii"),
    ("proxy_remove_header_map_value", "iii"),
    ("proxy_replace_header_map_value", "iiiii"),
    ("proxy_resolve_shared_queue", "iiiii"),
    ("proxy_send_local_response", "iiiiiiii"),
    ("proxy_set_buffer_bytes", "iiiii"),
    ("proxy_set_effective_context", "i"),
    ("proxy_set_header_map_pairs", "iii"),
    ("proxy_set_property", "iiii"),
    ("proxy_set_shared_data", "iiiii"),
    ("proxy_set_tick_period_milliseconds", "i"),
];

/// Callbacks: name, number of i32 parameters, and the result unless the body leaves one.
const CALLBACKS: &[(&str, usize, Option<i32>)] = &[
    ("proxy_on_context_create", 2, None),
    ("proxy_on_vm_start", 2, Some(1)),
    ("proxy_on_configure", 2, Some(1)),
    ("proxy_on_tick", 1, None),
    ("proxy_on_queue_ready", 2, None),
    ("proxy_on_request_headers", 3, Some(0)),
    ("proxy_on_request_body", 3, Some(0)),
    ("proxy_on_request_trailers", 2, Some(0)),
    ("proxy_on_response_headers", 3, Some(0)),
    ("proxy_on_response_body", 3, Some(0)),
    ("proxy_on_response_trailers", 2, Some(0)),
    ("proxy_on_http_call_response", 5, None),
    ("proxy_on_grpc_receive_initial_metadata", 3, None),
    ("proxy_on_grpc_receive", 3, None),
    ("proxy_on_grpc_receive_trailing_metadata", 3, None),
    ("proxy_on_grpc_close", 3, None),
    ("proxy_on_done", 1, Some(1)),
    ("proxy_on_log", 1, None),
    ("proxy_on_delete", 1, None),
    ("_initialize", 0, None),
];

/// Helpers. `$out`/`$size` (50000, 50004) are where host calls write; `$say` logs a number, `$show` what came back,
/// `$word` the word at `$out`.
const HELPERS: &str = r#"
  (memory (export "memory") 2)
  (global $heap (mut i32) (i32.const 70000))
  (func (export "proxy_abi_version_0_2_1"))
  (func $malloc (export "proxy_on_memory_allocate") (param i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $heap))
    (global.set $heap (i32.add (global.get $heap) (local.get 0)))
    (local.get $at))
  (func $say (param $n i32)
    (local $at i32)
    (local.set $at (i32.const 60020))
    (loop $digits
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at) (i32.add (i32.const 48) (i32.rem_u (local.get $n) (i32.const 10))))
      (local.set $n (i32.div_u (local.get $n) (i32.const 10)))
      (br_if $digits (local.get $n)))
    (drop (call $proxy_log (i32.const 2) (local.get $at) (i32.sub (i32.const 60020) (local.get $at)))))
  (func $show (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 50000)) (i32.load (i32.const 50004)))))
  (func $word (call $say (i32.load (i32.const 50000))))
  (func $wasi (param i32) (call $say (local.get 0)))
"#;

/// A guest in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guest {
    functions: String,
    data: String,
    used: usize,
    imports: String,
}

impl Guest {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds an import beyond the usual.
    pub(crate) fn import(mut self, wat: &str) -> Self {
        self.imports.push_str(wat);
        self
    }

    /// Adds a callback. In the body, `"text"` stands for pointer and length of a literal, `OUT` for `50000 50004`.
    pub(crate) fn on(mut self, name: &str, body: &str) -> Self {
        let (_, count, result) = CALLBACKS.iter().find(|known| known.0 == name).unwrap();
        let parameters = vec!["i32"; *count].join(" ");
        let (kind, end) = match result {
            Some(value) => ("(result i32)", format!("(i32.const {value})")),
            None => ("", String::new()),
        };
        let body = self.literals(&body.replace("OUT", "(i32.const 50000) (i32.const 50004)"));
        let text = format!("(func (export \"{name}\") (param {parameters}) {kind} {body} {end})\n");
        self.functions.push_str(&text);
        self
    }

    fn literals(&mut self, body: &str) -> String {
        let mut parts = body.split('"');
        let mut text = parts.next().unwrap().to_owned();
        while let Some(literal) = parts.next() {
            let bytes = unescaped(literal);
            let at = 1000 + self.used;
            self.data.push_str(&format!("(data (i32.const {at}) \"{literal}\")\n"));
            self.used += bytes;
            text.push_str(&format!("(i32.const {at}) (i32.const {bytes})"));
            text.push_str(parts.next().unwrap());
        }
        text
    }

    pub(crate) fn wasm(&self) -> Vec<u8> {
        let mut imports = self.imports.clone();
        for (name, parameters) in IMPORTS {
            let parameters: Vec<_> =
                parameters.chars().map(|kind| if kind == 'l' { "i64" } else { "i32" }).collect();
            let parameters = parameters.join(" ");
            imports.push_str(&format!(
                "(import \"env\" \"{name}\" (func ${name} (param {parameters}) (result i32)))\n"
            ));
        }
        let text = format!("(module {imports} {HELPERS} {} {})", self.data, self.functions);
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    pub(crate) fn module(&self) -> Module {
        Module::from_bytes(&self.wasm(), &ModuleOptions::default()).unwrap()
    }

    pub(crate) fn vm(&self, world: &SharedWorld, options: VmOptions) -> Vm {
        Vm::start(&self.module(), world, options).unwrap()
    }
}

/// Length of a WAT literal in bytes.
fn unescaped(literal: &str) -> usize {
    literal.len() - 2 * literal.matches('\\').count()
}

/// The log lines since the last time, joined by blanks.
pub(crate) fn said(world: &SharedWorld) -> String {
    world.take_logs().into_iter().map(|line| line.text).collect::<Vec<_>>().join(" ")
}

/// Headers of a plain request.
pub(crate) fn get() -> HeaderMap {
    HeaderMap::from([
        (":method", "POST"),
        (":path", "/p"),
        (":authority", "a"),
        ("x-one", "1"),
        ("x-one", "2"),
    ])
}
