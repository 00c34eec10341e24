;; A proxy-wasm filter with Remit's stream callbacks, each of which does nothing: the floor of any filter.
(module
  (memory (export "memory") 2)
  (func (export "proxy_abi_version_0_2_1"))
  ;; The only thing that the proxy allocates for is an answer that nobody keeps: always the second page.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_delete") (param i32)))
