;; A proxy-wasm filter that reads all request headers and the whole body and decides nothing: the floor of any filter
;; that decides on a body.
(module
  ;; (map, out: pointer, out: size) -> status
  (import "env" "proxy_get_header_map_pairs" (func $headers (param i32 i32 i32) (result i32)))
  ;; (buffer, start, length, out: pointer, out: size) -> status
  (import "env" "proxy_get_buffer_bytes" (func $body (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (func (export "proxy_abi_version_0_2_1"))
  ;; What was read is not kept: always the second page.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_context_create") (param i32 i32))
  ;; (context, count, end of stream): held back while a body follows.
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $headers (i32.const 0) (i32.const 0) (i32.const 4)))
    (i32.eqz (local.get 2)))
  ;; (context, size, end of stream): collected until it is whole.
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (if (result i32) (local.get 2)
      (then
        (drop (call $body (i32.const 0) (i32.const 0) (local.get 1) (i32.const 0) (i32.const 4)))
        (i32.const 0))
      (else (i32.const 1))))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_delete") (param i32)))
