;; A proxy-wasm filter that makes the calls that Remit makes for a request that it lets pass, and does nothing itself: what is left
;; when Remit's own work takes no time. The capital words below stand for a record and its size in bytes.
(module
  ;; (map, out: pointer, out: size) -> status
  (import "env" "proxy_get_header_map_pairs" (func $headers (param i32 i32 i32) (result i32)))
  ;; (buffer, start, length, out: pointer, out: size) -> status
  (import "env" "proxy_get_buffer_bytes" (func $body (param i32 i32 i32 i32 i32) (result i32)))
  ;; (map, name, its size, value, its size) -> status
  (import "env" "proxy_replace_header_map_value" (func $set_header (param i32 i32 i32 i32 i32) (result i32)))
  ;; (name, its size, value, its size) -> status
  (import "env" "proxy_set_property" (func $set_property (param i32 i32 i32 i32) (result i32)))
  ;; (level, text, its size) -> status
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  ;; (kind, name, its size, out: metric) -> status
  (import "env" "proxy_define_metric" (func $define_metric (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment_metric (param i32 i64) (result i32)))
  ;; (out: nanoseconds) -> status
  (import "env" "proxy_get_current_time_nanoseconds" (func $now (param i32) (result i32)))
  ;; 0: what calls give back. 65536: what is read. 131072: what is said.
  (memory (export "memory") 4)
  (data (i32.const 131072) "x-remit-agent" "x-remit-task!" "x-remit-human" "x-remit-id---")
  (data (i32.const 132000) "https://idp.internal.example#agent-analyst")
  (data (i32.const 133000) "remit_audit")
  (data (i32.const 134000) "calls.0" "calls.1" "calls.2" "calls.3" "calls.4" "calls.5")
  (data (i32.const 135000) "RECORD")
  ;; (status): a call that fails would be no floor.
  (func $done (param i32) (if (local.get 0) (then (unreachable))))
  (func (export "proxy_abi_version_0_2_1"))
  ;; What was read is not kept.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  ;; (context, its root): a root defines the metrics.
  (func (export "proxy_on_context_create") (param i32 i32)
    (local $i i32)
    (if (i32.eqz (local.get 1))
      (then
        (loop $next
          (call $done (call $define_metric
            (i32.const 0)
            (i32.add (i32.const 134000) (i32.mul (local.get $i) (i32.const 7)))
            (i32.const 7)
            (i32.add (i32.const 64) (i32.mul (local.get $i) (i32.const 4)))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const 6)))))))
  ;; (context, count, end of stream): held back while a body follows.
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (call $done (call $now (i32.const 8)))
    (call $done (call $headers (i32.const 0) (i32.const 0) (i32.const 4)))
    (call $done (call $now (i32.const 8)))
    (i32.eqz (local.get 2)))
  ;; (context, size, end of stream): collected until it is whole.
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (local $i i32)
    (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))
    (call $done (call $now (i32.const 8)))
    (call $done (call $body (i32.const 0) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 4)))
    (call $done (call $now (i32.const 8)))
    (loop $next
      (call $done (call $increment_metric
        (i32.load (i32.add (i32.const 64) (i32.mul (local.get $i) (i32.const 4))))
        (i64.const 1)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 6))))
    (call $done (call $log (i32.const 2) (i32.const 135000) (i32.const SIZE)))
    (call $done (call $set_property (i32.const 133000) (i32.const 11) (i32.const 135000) (i32.const SIZE)))
    (local.set $i (i32.const 0))
    (loop $next
      (call $done (call $set_header
        (i32.const 0)
        (i32.add (i32.const 131072) (i32.mul (local.get $i) (i32.const 13)))
        (i32.const 13)
        (i32.const 132000)
        (i32.const 42)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 4))))
    (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_delete") (param i32)))
