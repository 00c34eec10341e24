//! Each host function, in the callback where it matters: status and effect.
use super::guest::{Guest, get, said};
use crate::host::*;

/// Runs a body in a callback of a whole exchange; returns what was logged.
fn run(callback: &str, body: &str) -> String {
    let world = SharedWorld::new(7_000_000_005, 1, HostLimits::default());
    let properties = Properties::new().with(&["source", "address"], "10.0.0.1:5");
    let environment = vec![("A".to_owned(), "b".to_owned())];
    let options = VmOptions {
        name: "plugin".into(),
        vm_configuration: b"vmconf".to_vec(),
        environment,
        properties,
        ..VmOptions::default()
    };
    let wasi = r#"
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fdstat (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    "#;
    let mut vm = Guest::new().import(wasi).on(callback, body).vm(&world, options);
    vm.configure(b"conf").unwrap();
    vm.tick().unwrap();
    let mut stream = vm.open_stream(Properties::new().with(&["request", "id"], "r1")).unwrap();
    stream.request_headers(get(), false).unwrap();
    stream.request_body(b"hello", false).unwrap();
    stream.request_trailers(HeaderMap::from([("t", "9")])).unwrap();
    stream.response_headers(HeaderMap::from([(":status", "200")]), false).unwrap();
    stream.response_body(b"world", true).unwrap();
    let shown = format!("{:?}", stream.request_verdict());
    assert!(shown.starts_with("Forwarded"), "{shown}");
    stream.finish();
    said(&world)
}

const HEADERS: &str = "proxy_on_request_headers";
const BODY: &str = "proxy_on_request_body";

fn check(table: &[(&str, &str, &str)]) {
    for (callback, body, expected) in table {
        assert_eq!(run(callback, body), *expected, "{callback}: {body}");
    }
}

#[test]
fn header_functions() {
    check(&[
        (
            HEADERS,
            r#"(call $say (call $proxy_get_header_map_value (i32.const 0) "X-One" OUT)) (call $show)"#,
            "0 1",
        ),
        (HEADERS, r#"(call $say (call $proxy_get_header_map_value (i32.const 0) "no" OUT))"#, "1"),
        // Other phases' maps are not there.
        (HEADERS, r#"(call $say (call $proxy_get_header_map_value (i32.const 2) "a" OUT))"#, "2"),
        (HEADERS, r#"(call $say (call $proxy_get_header_map_value (i32.const 6) "a" OUT))"#, "2"),
        (HEADERS, r#"(call $say (call $proxy_get_header_map_value (i32.const 8) "a" OUT))"#, "2"),
        (BODY, r#"(call $say (call $proxy_get_header_map_value (i32.const 0) ":path" OUT))"#, "2"),
        (
            "proxy_on_log",
            r#"(call $say (call $proxy_get_header_map_value (i32.const 0) ":path" OUT)) (call $show)"#,
            "0 /p",
        ),
        (
            "proxy_on_log",
            r#"(call $say (call $proxy_get_header_map_value (i32.const 2) ":status" OUT)) (call $show)"#,
            "0 200",
        ),
        (
            "proxy_on_request_trailers",
            r#"(call $say (call $proxy_get_header_map_value (i32.const 1) "t" OUT)) (call $show)"#,
            "0 9",
        ),
        (
            HEADERS,
            r#"(call $say (call $proxy_get_header_map_pairs (i32.const 0) OUT)) (call $say (i32.load (i32.load (i32.const 50000)))) (call $say (i32.load (i32.const 50004)))"#,
            "0 5 95",
        ),
        (HEADERS, r#"(call $say (call $proxy_get_header_map_pairs (i32.const 2) OUT)) (call $word)"#, "0 0"),
        (
            HEADERS,
            r#"(call $say (call $proxy_get_header_map_size (i32.const 0) (i32.const 50000))) (call $word)"#,
            "0 41",
        ),
        (
            HEADERS,
            r#"(call $say (call $proxy_add_header_map_value (i32.const 0) "X-One" "3")) (call $say (call $proxy_get_header_map_size (i32.const 0) (i32.const 50000))) (call $word)"#,
            "0 0 47",
        ),
        (
            HEADERS,
            r#"(call $say (call $proxy_replace_header_map_value (i32.const 0) "X-One" "35")) (call $say (call $proxy_get_header_map_value (i32.const 0) "x-one" OUT)) (call $show)"#,
            "0 0 35",
        ),
        (
            HEADERS,
            r#"(call $say (call $proxy_remove_header_map_value (i32.const 0) "X-One")) (call $say (call $proxy_get_header_map_value (i32.const 0) "x-one" OUT))"#,
            "0 1",
        ),
        (
            HEADERS,
            r#"(call $say (call $proxy_set_header_map_pairs (i32.const 0) "\01\00\00\00\01\00\00\00\01\00\00\00k\00v\00")) (call $say (call $proxy_get_header_map_value (i32.const 0) "k" OUT)) (call $show) (call $say (call $proxy_get_header_map_size (i32.const 0) (i32.const 50000))) (call $word)"#,
            "0 0 v 0 2",
        ),
        (HEADERS, r#"(call $say (call $proxy_add_header_map_value (i32.const 2) "a" "3"))"#, "2"),
        (HEADERS, r#"(call $say (call $proxy_add_header_map_value (i32.const 6) "a" "3"))"#, "2"),
    ]);
}

#[test]
fn buffer_functions() {
    check(&[
        (
            BODY,
            "(call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 1) (i32.const 3) OUT)) (call $show)",
            "0 ell",
        ),
        (
            BODY,
            "(call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 1) (i32.const -1) OUT)) (call $show)",
            "0 ello",
        ),
        (
            BODY,
            "(call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 9) (i32.const 3) OUT)) (call $word)",
            "0 0",
        ),
        (
            HEADERS,
            "(call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 3) OUT)) (call $word)",
            "0 0",
        ),
        (
            BODY,
            "(call $say (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 3) OUT))",
            "1",
        ),
        (
            BODY,
            "(call $say (call $proxy_get_buffer_bytes (i32.const 9) (i32.const 0) (i32.const 3) OUT))",
            "2",
        ),
        (BODY, "(call $say (call $proxy_get_buffer_status (i32.const 0) OUT)) (call $word)", "0 5"),
        (
            "proxy_on_response_body",
            "(call $say (call $proxy_get_buffer_bytes (i32.const 1) (i32.const 0) (i32.const 9) OUT)) (call $show)",
            "0 world",
        ),
        (
            "proxy_on_vm_start",
            "(call $say (local.get 1)) (call $say (call $proxy_get_buffer_bytes (i32.const 6) (i32.const 0) (i32.const 9) OUT)) (call $show)",
            "6 0 vmconf",
        ),
        (
            "proxy_on_configure",
            "(call $say (local.get 1)) (call $say (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 9) OUT)) (call $show)",
            "4 0 conf",
        ),
        (
            HEADERS,
            "(call $say (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 9) OUT))",
            "1",
        ),
        // Prepend, replace, append; anything else is refused.
        (
            BODY,
            r#"(call $say (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) "A")) (call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 9) OUT)) (call $show)"#,
            "0 0 Ahello",
        ),
        (
            BODY,
            r#"(call $say (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 5) "A")) (call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 9) OUT)) (call $show)"#,
            "0 0 A",
        ),
        (
            BODY,
            r#"(call $say (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 5) (i32.const 0) "A")) (call $say (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 9) OUT)) (call $show)"#,
            "0 0 helloA",
        ),
        (
            BODY,
            r#"(call $say (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 2) "A"))"#,
            "2",
        ),
        (
            BODY,
            r#"(call $say (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 2) (i32.const 1) "A"))"#,
            "2",
        ),
        (
            BODY,
            r#"(call $say (call $proxy_set_buffer_bytes (i32.const 6) (i32.const 0) (i32.const 9) "A"))"#,
            "2",
        ),
        (
            HEADERS,
            r#"(call $say (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 9) "A"))"#,
            "2",
        ),
        (
            BODY,
            r#"(call $say (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 9) (i32.const 0) (i32.const 131073)))"#,
            "6",
        ),
    ]);
}

#[test]
fn property_functions() {
    check(&[
        (
            HEADERS,
            r#"(call $say (call $proxy_get_property "source\00address" OUT)) (call $show)"#,
            "0 10.0.0.1:5",
        ),
        (HEADERS, r#"(call $say (call $proxy_get_property "request\00id" OUT)) (call $show)"#, "0 r1"),
        (HEADERS, r#"(call $say (call $proxy_get_property "plugin_name" OUT)) (call $show)"#, "0 plugin"),
        (HEADERS, r#"(call $say (call $proxy_get_property "request\00size" OUT))"#, "1"),
        (
            HEADERS,
            r#"(call $say (call $proxy_set_property "mine" "v")) (call $say (call $proxy_get_property "mine" OUT)) (call $show)"#,
            "0 0 v",
        ),
        (
            HEADERS,
            r#"(call $say (call $proxy_set_property "mine" "v")) (call $say (call $proxy_get_property "filter_state\00wasm.mine" OUT)) (call $show)"#,
            "0 0 v",
        ),
        ("proxy_on_configure", r#"(call $say (call $proxy_set_property "mine" "v"))"#, "1"),
        (
            "proxy_on_configure",
            r#"(call $say (call $proxy_get_property "source\00address" OUT)) (call $show)"#,
            "0 10.0.0.1:5",
        ),
    ]);
}

#[test]
fn shared_functions() {
    let tick = "proxy_on_tick";
    check(&[
        (tick, r#"(call $say (call $proxy_get_shared_data "k" OUT (i32.const 50008)))"#, "1"),
        (
            tick,
            r#"(call $say (call $proxy_set_shared_data "k" "v" (i32.const 9))) (call $say (call $proxy_get_shared_data "k" OUT (i32.const 50008))) (call $show) (call $say (i32.load (i32.const 50008)))"#,
            "0 0 v 1",
        ),
        (
            tick,
            r#"(call $say (call $proxy_set_shared_data "k" "v" (i32.const 0))) (call $say (call $proxy_set_shared_data "k" "w" (i32.const 2))) (call $say (call $proxy_set_shared_data "k" "w" (i32.const 1))) (call $say (call $proxy_set_shared_data "k" "x" (i32.const 0)))"#,
            "0 8 0 0",
        ),
        (
            tick,
            r#"(call $say (call $proxy_register_shared_queue "q" (i32.const 50000))) (call $word) (call $say (call $proxy_dequeue_shared_queue (i32.const 1) OUT)) (call $say (call $proxy_enqueue_shared_queue (i32.const 1) "item")) (call $say (call $proxy_dequeue_shared_queue (i32.const 1) OUT)) (call $show)"#,
            "0 1 7 0 0 item",
        ),
        (
            tick,
            r#"(call $say (call $proxy_register_shared_queue "q" (i32.const 50000))) (call $say (call $proxy_resolve_shared_queue "" "q" (i32.const 50000))) (call $word) (call $say (call $proxy_resolve_shared_queue "" "r" (i32.const 50000))) (call $say (call $proxy_enqueue_shared_queue (i32.const 2) "item")) (call $say (call $proxy_dequeue_shared_queue (i32.const 2) OUT))"#,
            "0 0 1 1 1 1",
        ),
    ]);
}

#[test]
fn metric_functions() {
    let tick = "proxy_on_tick";
    let counter =
        r#"(call $say (call $proxy_define_metric (i32.const 0) "c" (i32.const 50000))) (call $word)"#;
    let gauge = r#"(call $say (call $proxy_define_metric (i32.const 1) "g" (i32.const 50000))) (call $word)"#;
    let histogram =
        r#"(call $say (call $proxy_define_metric (i32.const 2) "h" (i32.const 50000))) (call $word)"#;
    let read =
        |id| format!("(call $say (call $proxy_get_metric (i32.const {id}) (i32.const 50000))) (call $word)");
    let add =
        |id, by| format!("(call $say (call $proxy_increment_metric (i32.const {id}) (i64.const {by})))");
    let put = |id, to| format!("(call $say (call $proxy_record_metric (i32.const {id}) (i64.const {to})))");
    let table = [
        ([counter, &add(4, 3), &add(4, 0), &put(4, 2), &read(4)].concat(), "0 4 0 2 0 0 5"),
        ([gauge, &add(5, 3), &add(5, -1), &read(5), &put(5, 9), &read(5)].concat(), "0 5 0 0 0 2 0 0 9"),
        (
            [histogram, &put(6, 2), &add(6, 1)].concat()
                + "(call $say (call $proxy_get_metric (i32.const 6) (i32.const 50000)))",
            "0 6 0 2 2",
        ),
        (add(4, 1) + &put(4, 1) + &add(7, 1) + &put(7, 1), "1 1 2 1"),
        ([counter, counter, &add(8, 1), &read(4)].concat(), "0 4 0 8 0 0 1"),
        (r#"(call $say (call $proxy_define_metric (i32.const 3) "c" (i32.const 50000)))"#.to_owned(), "2"),
    ];
    for (body, expected) in table {
        assert_eq!(run(tick, &body), expected, "{body}");
    }
}

#[test]
fn other_functions() {
    check(&[
        (
            HEADERS,
            r#"(call $say (call $proxy_log (i32.const 4) "oops")) (call $say (call $proxy_log (i32.const 1) "hidden")) (call $say (call $proxy_log (i32.const 6) "bad"))"#,
            "oops 0 0 2",
        ),
        (HEADERS, "(call $say (call $proxy_get_log_level (i32.const 50000))) (call $word)", "0 2"),
        (
            HEADERS,
            "(call $say (call $proxy_get_current_time_nanoseconds (i32.const 50000))) (call $say (i32.wrap_i64 (i64.div_u (i64.load (i32.const 50000)) (i64.const 1000000000))))",
            "0 7",
        ),
        (HEADERS, "(call $say (call $proxy_get_status (i32.const 50008) OUT)) (call $word)", "0 0"),
        (
            HEADERS,
            "(call $say (call $proxy_set_effective_context (i32.const 1))) (call $say (call $proxy_set_effective_context (i32.const 77)))",
            "0 2",
        ),
        (
            HEADERS,
            "(call $say (call $proxy_set_effective_context (i32.const 1))) (call $say (call $proxy_get_header_map_value (i32.const 0) \"a\" OUT))",
            "0 2",
        ),
        (
            HEADERS,
            "(call $say (call $proxy_continue_stream (i32.const 2))) (call $say (call $proxy_continue_stream (i32.const 4)))",
            "2 2",
        ),
        (
            HEADERS,
            "(call $say (call $proxy_close_stream (i32.const 2))) (call $say (call $proxy_close_stream (i32.const 4)))",
            "0 2",
        ),
        (HEADERS, "(call $say (call $proxy_done))", "1"),
        (HEADERS, r#"(call $say (call $proxy_call_foreign_function "nothing" "" OUT))"#, "1"),
        (
            HEADERS,
            r#"(call $say (call $proxy_call_foreign_function "set_envoy_filter_state" "\0a\07envoy.a\12\01v" OUT)) (call $say (call $proxy_get_property "filter_state\00envoy.a" OUT)) (call $show)"#,
            "0 0 v",
        ),
        (
            HEADERS,
            r#"(call $say (call $proxy_call_foreign_function "set_envoy_filter_state" "\0a\01x" OUT)) (call $say (call $proxy_call_foreign_function "set_envoy_filter_state" "\0a" OUT))"#,
            "1 2",
        ),
    ]);
}

#[test]
fn wasi_functions() {
    check(&[
        (
            HEADERS,
            "(i32.store (i32.const 100) (i32.const 200)) (i32.store (i32.const 104) (i32.const 3)) (i32.store (i32.const 200) (i32.const 0x0a6968)) (call $say (call $fd_write (i32.const 1) (i32.const 100) (i32.const 1) (i32.const 50000))) (call $word)",
            "hi 0 3",
        ),
        (
            HEADERS,
            "(call $say (call $fd_write (i32.const 3) (i32.const 100) (i32.const 1) (i32.const 50000)))",
            "8",
        ),
        (
            HEADERS,
            "(call $say (call $fd_write (i32.const 1) (i32.const -1) (i32.const 1) (i32.const 50000)))",
            "21",
        ),
        (
            HEADERS,
            "(call $say (call $random_get (i32.const 50000) (i32.const 16))) (call $say (i64.ne (i64.load (i32.const 50000)) (i64.load (i32.const 50008))))",
            "0 1",
        ),
        (
            HEADERS,
            "(call $say (call $random_get (i32.const 131070) (i32.const 16))) (call $say (call $random_get (i32.const 0) (i32.const 65537)))",
            "21 28",
        ),
        (
            HEADERS,
            "(call $say (call $clock (i32.const 1) (i64.const 0) (i32.const 50000))) (call $say (i32.wrap_i64 (i64.div_u (i64.load (i32.const 50000)) (i64.const 1000000000)))) (call $say (call $clock (i32.const 2) (i64.const 0) (i32.const 50000)))",
            "0 7 58",
        ),
        (
            HEADERS,
            "(call $say (call $environ_sizes OUT)) (call $word) (call $say (i32.load (i32.const 50004))) (call $say (call $environ (i32.const 100) (i32.const 200))) (i32.store (i32.const 50000) (i32.load (i32.const 100))) (i32.store (i32.const 50004) (i32.const 3)) (call $show)",
            "0 1 4 0 A=b",
        ),
        (
            HEADERS,
            "(call $say (call $args_sizes OUT)) (call $word) (call $say (call $fdstat (i32.const 2) (i32.const 100))) (call $say (i32.load (i32.const 108))) (call $say (call $fdstat (i32.const 3) (i32.const 100)))",
            "0 0 0 64 8",
        ),
        (
            HEADERS,
            "(call $say (call $prestat (i32.const 3) (i32.const 100))) (call $exit (i32.const 1)) (call $say (call $poll (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 50000))) (call $say (call $yield))",
            "8 0 0",
        ),
    ]);
}

#[test]
fn bad_pointers_are_answered_and_harmless() {
    let bad = "(i32.const -8)";
    let end = "(i32.const 131070)";
    let calls = [
        format!("(call $proxy_log (i32.const 2) {bad} (i32.const 100))"),
        format!("(call $proxy_log (i32.const 2) (i32.const 5) {bad})"),
        format!("(call $proxy_get_log_level {bad})"),
        format!("(call $proxy_get_log_level {end})"),
        format!("(call $proxy_get_current_time_nanoseconds {end})"),
        format!("(call $proxy_get_header_map_value (i32.const 0) {bad} (i32.const 9) OUT)"),
        format!("(call $proxy_get_header_map_value (i32.const 0) \":path\" {bad} (i32.const 0))"),
        format!("(call $proxy_get_header_map_pairs (i32.const 0) (i32.const 0) {end})"),
        format!("(call $proxy_get_header_map_size (i32.const 0) {end})"),
        format!("(call $proxy_add_header_map_value (i32.const 0) \"a\" {bad} (i32.const 1))"),
        format!("(call $proxy_replace_header_map_value (i32.const 0) \"a\" {bad} (i32.const 9))"),
        format!("(call $proxy_remove_header_map_value (i32.const 0) {bad} (i32.const 9))"),
        format!("(call $proxy_set_header_map_pairs (i32.const 0) {bad} (i32.const 9))"),
        format!("(call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 3) {bad} {bad})"),
        format!("(call $proxy_get_buffer_status (i32.const 0) {bad} {bad})"),
        format!("(call $proxy_get_property {bad} (i32.const 9) OUT)"),
        format!("(call $proxy_set_property \"a\" {bad} (i32.const 9))"),
        format!("(call $proxy_get_shared_data {bad} (i32.const 9) OUT (i32.const 0))"),
        format!("(call $proxy_set_shared_data \"a\" {bad} (i32.const 9) (i32.const 0))"),
        format!("(call $proxy_register_shared_queue \"a\" {bad})"),
        format!("(call $proxy_resolve_shared_queue {bad} (i32.const 9) \"a\" (i32.const 0))"),
        format!("(call $proxy_define_metric (i32.const 0) \"a\" {bad})"),
        format!("(call $proxy_call_foreign_function {bad} (i32.const 9) \"\" OUT)"),
        format!("(call $proxy_call_foreign_function \"x\" {bad} (i32.const 9) OUT)"),
        format!("(call $proxy_get_status {bad} OUT)"),
        format!(
            "(call $proxy_send_local_response (i32.const 200) {bad} (i32.const 9) \"\" \"\" (i32.const -1))"
        ),
        format!("(call $proxy_http_call \"c\" \"\" \"\" \"\" (i32.const 9) {bad})"),
        format!("(call $proxy_grpc_call \"c\" \"s\" \"m\" \"\" \"\" (i32.const 9) {bad})"),
        format!("(call $proxy_grpc_stream \"c\" \"s\" \"m\" {bad} (i32.const 9) (i32.const 0))"),
        format!("(call $proxy_grpc_send (i32.const 2) {bad} (i32.const 9) (i32.const 0))"),
    ];
    for call in calls {
        assert_eq!(run(HEADERS, &format!("(call $say {call})")), "6", "{call}");
    }
}
