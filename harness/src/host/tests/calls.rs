//! Calls to other services: made, refused, answered, failed.
use super::guest::{Guest, get, said};
use crate::host::*;
use std::collections::BTreeSet;

/// Serialised `:method GET, :path /k, :authority h`.
const CALL_HEADERS: &str = r#""\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\02\00\00\00\0a\00\00\00\01\00\00\00:method\00GET\00:path\00/k\00:authority\00h\00""#;

fn caller(answer: &str) -> Guest {
    let call = format!(
        r#"(call $say (call $proxy_http_call "keys" {CALL_HEADERS} "body" "" (i32.const 250) (i32.const 50000)))
        (call $word) (return (i32.const 1))"#
    );
    Guest::new().on("proxy_on_request_headers", &call).on("proxy_on_http_call_response", answer)
}

fn clusters() -> VmOptions {
    VmOptions { clusters: Some(BTreeSet::from(["keys".to_owned()])), ..VmOptions::default() }
}

const RESUME: &str = r#"(call $say (local.get 0)) (call $say (local.get 1)) (call $say (local.get 2)) (call $say (local.get 3)) (call $say (local.get 4))
    (call $say (call $proxy_get_header_map_value (i32.const 6) "etag" OUT)) (call $show)
    (call $say (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 99) OUT)) (call $show)
    (drop (call $proxy_set_effective_context (i32.const 2)))
    (drop (call $proxy_continue_stream (i32.const 0)))"#;

#[test]
fn an_answered_call_resumes_the_stream() {
    let world = SharedWorld::new(42, 0, HostLimits::default());
    let mut vm = caller(RESUME).vm(&world, clusters());
    let mut stream = vm.open_stream(Properties::new()).unwrap();
    let id = stream.id();
    assert_eq!(stream.request_headers(get(), true).unwrap(), Progress::Paused);
    assert_eq!(said(&world), "0 1");
    let calls: Vec<_> = vm.callouts().cloned().collect();
    let [call] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!((call.token, &call.kind, call.cluster.as_str()), (1, &CalloutKind::Http, "keys"));
    assert_eq!((call.body.as_slice(), call.timeout_ms, call.context_id, call.at), (&b"body"[..], 250, 2, 42));
    assert_eq!((call.headers.text(":path"), call.headers.text("content-length")), (Some("/k"), Some("4")));
    let headers = HeaderMap::from([(":status", "200"), ("etag", "e1")]);
    vm.answer_http(1, Some(HttpResponse { headers, body: b"{}".to_vec(), trailers: None })).unwrap();
    assert_eq!(said(&world), "1 1 2 2 0 0 e1 0 {}");
    assert!(matches!(vm.stream(id).unwrap().request_verdict(), Verdict::Forwarded(_)));
    assert_eq!(vm.answer_http(1, None).unwrap_err(), HostError::UnknownCallout { token: 1 });
}

#[test]
fn a_failed_call_has_no_headers_and_can_end_in_a_reply() {
    let world = SharedWorld::default();
    let answer = r#"(call $say (local.get 2)) (call $say (call $proxy_get_status (i32.const 50008) OUT)) (call $show) (call $say (i32.load (i32.const 50008)))
        (call $say (call $proxy_get_header_map_value (i32.const 6) ":status" OUT))
        (call $say (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 9) OUT))
        (drop (call $proxy_set_effective_context (i32.const 2)))
        (drop (call $proxy_send_local_response (i32.const 503) "" "later" "" (i32.const 14)))"#;
    let mut vm = caller(answer).vm(&world, clusters());
    let mut stream = vm.open_stream(Properties::new()).unwrap();
    let id = stream.id();
    stream.request_headers(get(), false).unwrap();
    vm.answer_http(1, None).unwrap();
    assert_eq!(said(&world), "0 1 0 0 reset 11 2 1");
    let mut stream = vm.stream(id).unwrap();
    let Verdict::LocalReply(reply) = stream.request_verdict() else { panic!("no reply") };
    assert_eq!((reply.status, reply.body.as_slice(), reply.grpc_status), (503, &b"later"[..], Some(14)));
    assert_eq!(stream.request_body(b"late", true).unwrap(), Progress::Replied);
}

#[test]
fn calls_are_refused_for_what_they_lack() {
    let table = [
        (
            format!(
                r#"(call $proxy_http_call "other" {CALL_HEADERS} "" "" (i32.const 9) (i32.const 50000))"#
            ),
            "2",
        ),
        (r#"(call $proxy_http_call "keys" "" "" "" (i32.const 9) (i32.const 50000))"#.to_owned(), "2"),
        (
            format!(
                r#"(call $proxy_http_call "keys" {CALL_HEADERS} "" "" (i32.const -1) (i32.const 50000))"#
            ),
            "2",
        ),
        (r#"(call $proxy_grpc_call "other" "s" "m" "" "" (i32.const 9) (i32.const 50000))"#.to_owned(), "4"),
        (
            r#"(call $proxy_grpc_call "\0a\07\0a\05other" "s" "m" "" "" (i32.const 9) (i32.const 50000))"#
                .to_owned(),
            "2",
        ),
        (
            r#"(call $proxy_grpc_call "\0a\06\0a\04keys" "s" "m" "" "" (i32.const 9) (i32.const 50000))"#
                .to_owned(),
            "0",
        ),
        (r#"(call $proxy_grpc_send (i32.const 3) "" (i32.const 0))"#.to_owned(), "2"),
        (r#"(call $proxy_grpc_send (i32.const 2) "" (i32.const 0))"#.to_owned(), "1"),
        ("(call $proxy_grpc_cancel (i32.const 1))".to_owned(), "1"),
        ("(call $proxy_grpc_close (i32.const 2))".to_owned(), "1"),
    ];
    for (call, expected) in table {
        let world = SharedWorld::default();
        let mut vm = Guest::new().on("proxy_on_tick", &format!("(call $say {call})")).vm(&world, clusters());
        vm.tick().unwrap();
        assert_eq!(said(&world), expected, "{call}");
    }
}

#[test]
fn grpc_calls_and_streams() {
    let world = SharedWorld::default();
    let open = r#"(call $say (call $proxy_grpc_call "keys" "svc" "M" "" "req" (i32.const 9) (i32.const 50000))) (call $word)
        (call $say (call $proxy_grpc_stream "keys" "svc" "S" "" (i32.const 50000))) (call $word)
        (call $say (call $proxy_grpc_send (i32.load (i32.const 50000)) "m1" (i32.const 1)))"#;
    let guest = Guest::new()
        .on("proxy_on_tick", open)
        .on("proxy_on_grpc_receive", "(call $say (local.get 1)) (call $say (call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (local.get 2) OUT)) (call $show)")
        .on("proxy_on_grpc_receive_initial_metadata", r#"(call $say (local.get 2)) (call $say (call $proxy_get_header_map_value (i32.const 4) "i" OUT)) (call $show)"#)
        .on("proxy_on_grpc_receive_trailing_metadata", r#"(call $say (local.get 2)) (call $say (call $proxy_get_header_map_value (i32.const 5) "t" OUT)) (call $show)"#)
        .on("proxy_on_grpc_close", "(call $say (local.get 2)) (call $say (call $proxy_get_status (i32.const 50008) OUT)) (call $show)");
    let mut vm = guest.vm(&world, clusters());
    vm.tick().unwrap();
    assert_eq!(said(&world), "0 1 0 2 0");
    let names: Vec<_> = vm.callouts().map(|call| (call.token, call.half_closed)).collect();
    assert_eq!(names, [(1, false), (2, true)]);
    assert!(vm.grpc_message(1, Vec::new()).is_err());
    assert!(vm.answer_grpc(2, GrpcAnswer::Message(Vec::new())).is_err());
    assert_eq!(vm.take_grpc_messages(2).unwrap(), [b"m1".to_vec()]);
    vm.answer_grpc(1, GrpcAnswer::Message(b"r1".to_vec())).unwrap();
    vm.grpc_initial_metadata(2, HeaderMap::from([("i", "x")])).unwrap();
    vm.grpc_message(2, b"r2".to_vec()).unwrap();
    vm.grpc_trailing_metadata(2, HeaderMap::from([("t", "y")])).unwrap();
    vm.grpc_close(2, 5, "gone".into()).unwrap();
    assert_eq!(said(&world), "1 0 r1 1 0 x 2 0 r2 1 0 y 5 0 gone");
    assert_eq!(vm.callouts().count(), 0);
    vm.tick().unwrap();
    vm.answer_grpc(3, GrpcAnswer::Failure { status: 14, message: "down".into() }).unwrap();
    assert_eq!(said(&world), "0 3 0 4 0 14 0 down");
}
