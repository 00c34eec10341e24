//! Streams: pauses, chunked bodies, local replies, changes, and the order of callbacks.
use super::guest::{Guest, get, said};
use crate::host::*;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn start(guest: Guest) -> (SharedWorld, Vm) {
    let world = SharedWorld::default();
    let vm = guest.vm(&world, VmOptions::default());
    (world, vm)
}

/// Holds the request until the last chunk; logs each size seen.
fn buffering() -> Guest {
    let body = "(call $say (local.get 1)) (if (i32.eqz (local.get 2)) (then (return (i32.const 1))))";
    Guest::new().on("proxy_on_request_headers", "(return (i32.const 1))").on("proxy_on_request_body", body)
}

#[test]
fn callbacks_come_in_envoys_order() {
    let names = [
        ("proxy_on_context_create", "create"),
        ("proxy_on_request_headers", "request"),
        ("proxy_on_request_body", "body"),
        ("proxy_on_request_trailers", "trailers"),
        ("proxy_on_response_headers", "response"),
        ("proxy_on_response_body", "rbody"),
        ("proxy_on_response_trailers", "rtrailers"),
        ("proxy_on_log", "log"),
        ("proxy_on_done", "done"),
        ("proxy_on_delete", "delete"),
    ];
    let guest = names.iter().fold(Guest::new(), |guest, (callback, word)| {
        guest.on(callback, &format!("(drop (call $proxy_log (i32.const 2) \"{word}\"))"))
    });
    let (world, mut vm) = start(guest);
    let mut stream = vm.open_stream(Properties::new()).unwrap();
    stream.request_headers(get(), false).unwrap();
    stream.request_body(b"a", false).unwrap();
    stream.request_trailers(HeaderMap::new()).unwrap();
    stream.response_headers(HeaderMap::from([(":status", "200")]), false).unwrap();
    stream.response_body(b"b", false).unwrap();
    stream.response_trailers(HeaderMap::new()).unwrap();
    let finished = stream.finish();
    assert_eq!((finished.request.body, finished.response.body), (b"a".to_vec(), b"b".to_vec()));
    let order = "create create request body trailers response rbody rtrailers log done delete";
    assert_eq!(said(&world), order);
    assert_eq!(vm.streams().count(), 0);
}

#[test]
fn a_held_body_is_seen_whole_and_passed_on_once() {
    for chunks in [&["hello"][..], &["he", "llo"], &["h", "", "ell", "o"]] {
        let (world, mut vm) = start(buffering());
        let mut stream = vm.open_stream(Properties::new()).unwrap();
        assert_eq!(stream.request_headers(get(), false).unwrap(), Progress::Paused);
        let mut sizes = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let last = index + 1 == chunks.len();
            let progress = stream.request_body(chunk.as_bytes(), last).unwrap();
            assert_eq!(progress, if last { Progress::Continue } else { Progress::Paused });
            sizes.push(chunks[..=index].concat().len().to_string());
        }
        let Verdict::Forwarded(message) = stream.request_verdict() else { panic!("not forwarded") };
        assert_eq!((text(&message.body), &message.headers), ("hello".into(), &get()));
        assert_eq!(said(&world), sizes.join(" "));
    }
}

#[test]
fn without_stop_iteration_the_body_waits_outside() {
    let world = SharedWorld::default();
    let options = VmOptions { allow_on_headers_stop_iteration: false, ..VmOptions::default() };
    let resume = "(call $say (call $proxy_set_effective_context (i32.const 2)))
        (call $say (call $proxy_continue_stream (i32.const 0)))";
    let mut vm = buffering().on("proxy_on_tick", resume).vm(&world, options);
    let mut stream = vm.open_stream(Properties::new()).unwrap();
    let id = stream.id();
    stream.request_headers(get(), false).unwrap();
    stream.request_body(b"he", false).unwrap();
    stream.request_body(b"llo", true).unwrap();
    assert!(matches!(stream.request_verdict(), Verdict::Paused(_)));
    assert_eq!(said(&world), "");
    vm.tick().unwrap();
    assert_eq!(said(&world), "0 0 5");
    let stream = vm.stream(id).unwrap();
    let Verdict::Forwarded(message) = stream.request_verdict() else { panic!("not forwarded") };
    assert_eq!(text(&message.body), "hello");
}

#[test]
fn changes_reach_the_upstream_until_headers_are_passed_on() {
    let guest = Guest::new()
        .on("proxy_on_request_headers", r#"(drop (call $proxy_add_header_map_value (i32.const 0) "x-new" "1")) (drop (call $proxy_remove_header_map_value (i32.const 0) "x-one")) (return (i32.const 1))"#)
        .on("proxy_on_request_body", r#"(drop (call $proxy_replace_header_map_value (i32.const 0) "x-new" "2")) (drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 99) "changed"))"#)
        .on("proxy_on_request_trailers", r#"(call $say (call $proxy_replace_header_map_value (i32.const 0) "x-new" "3")) (drop (call $proxy_add_header_map_value (i32.const 1) "u" "2"))"#);
    let (world, mut vm) = start(guest);
    let mut stream = vm.open_stream(Properties::new()).unwrap();
    stream.request_headers(get(), false).unwrap();
    stream.request_body(b"hello", false).unwrap();
    stream.request_trailers(HeaderMap::from([("t", "1")])).unwrap();
    let Verdict::Forwarded(message) = stream.request_verdict() else { panic!("not forwarded") };
    assert_eq!((message.headers.text("x-new"), message.headers.first("x-one")), (Some("2"), None));
    assert_eq!(text(&message.body), "changed");
    assert_eq!(message.trailers, Some(HeaderMap::from([("t", "1"), ("u", "2")])));
    assert_eq!(said(&world), "0");
}

const REPLY: &str = r#"(drop (call $proxy_send_local_response (i32.const 403) "not allowed" "no" "\01\00\00\00\01\00\00\00\01\00\00\00k\00v\00" (i32.const -1)))"#;

#[test]
fn a_local_reply_ends_the_stream_wherever_it_comes_from() {
    for (callback, pause) in [
        ("proxy_on_request_headers", ""),
        ("proxy_on_request_headers", "(return (i32.const 1))"),
        ("proxy_on_request_body", ""),
        ("proxy_on_request_trailers", ""),
        ("proxy_on_response_headers", ""),
    ] {
        let mut guest = Guest::new().on(callback, &format!("{REPLY} {pause}"));
        if callback != "proxy_on_response_headers" {
            guest = guest.on(
                "proxy_on_response_headers",
                r#"(drop (call $proxy_add_header_map_value (i32.const 2) "seen" "1"))"#,
            );
        }
        let (_, mut vm) = start(guest);
        let mut stream = vm.open_stream(Properties::new()).unwrap();
        stream.request_headers(get(), false).unwrap();
        stream.request_body(b"hello", false).unwrap();
        stream.request_trailers(HeaderMap::new()).unwrap();
        let progress = stream.response_headers(HeaderMap::from([(":status", "200")]), true).unwrap();
        assert_eq!(progress, Progress::Replied, "{callback}");
        let Verdict::LocalReply(reply) = stream.request_verdict() else { panic!("{callback}") };
        assert_eq!((reply.status, reply.grpc_status, reply.details.as_str()), (403, None, "not_allowed"));
        assert_eq!((text(&reply.body), reply.headers.text("k")), ("no".into(), Some("v")));
        let seen = callback != "proxy_on_response_headers";
        assert_eq!(reply.headers.text("seen"), seen.then_some("1"), "{callback}");
        assert!(stream.finish().reply.is_some());
    }
}

#[test]
fn replies_after_the_response_and_closes_reset() {
    for (callback, body, expected) in [
        ("proxy_on_response_body", REPLY, Progress::Reset),
        ("proxy_on_request_headers", "(drop (call $proxy_close_stream (i32.const 0)))", Progress::Reset),
    ] {
        let (_, mut vm) = start(Guest::new().on(callback, body));
        let mut stream = vm.open_stream(Properties::new()).unwrap();
        stream.request_headers(get(), true).unwrap();
        stream.response_headers(HeaderMap::from([(":status", "200")]), false).unwrap();
        assert_eq!(stream.response_body(b"a", false).unwrap(), expected, "{callback}");
        assert!(stream.finish().reset);
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let world = SharedWorld::default();
    let limits = HostLimits { body_bytes: 8, ..HostLimits::default() };
    for chunks in [&["12345", "6789"][..], &["123456789"]] {
        let mut vm = buffering().vm(&world, VmOptions { limits: limits.clone(), ..VmOptions::default() });
        let mut stream = vm.open_stream(Properties::new()).unwrap();
        stream.request_headers(get(), false).unwrap();
        for chunk in chunks {
            stream.request_body(chunk.as_bytes(), false).unwrap();
        }
        let Verdict::LocalReply(reply) = stream.request_verdict() else { panic!("{chunks:?}") };
        assert_eq!((reply.status, reply.details.as_str()), (413, "request_payload_too_large"));
    }
}

#[test]
fn parts_out_of_order_are_errors() {
    let (_, mut vm) = start(Guest::new());
    let mut stream = vm.open_stream(Properties::new()).unwrap();
    let early = HostError::OutOfOrder { part: "body" };
    assert_eq!(stream.request_body(b"", true).unwrap_err(), early);
    assert!(stream.response_headers(HeaderMap::new(), true).is_err());
    stream.request_headers(get(), true).unwrap();
    assert!(stream.request_headers(get(), true).is_err());
    assert_eq!(stream.request_body(b"", true).unwrap_err(), early);
    assert!(stream.request_trailers(HeaderMap::new()).is_err());
    let id = stream.id();
    stream.finish();
    assert_eq!(vm.stream(id).unwrap_err(), HostError::UnknownStream { id: id.context_id() });
}

#[test]
fn streams_interleave() {
    let (_, mut vm) = start(buffering());
    let ids: Vec<_> = (0..3).map(|_| vm.open_stream(Properties::new()).unwrap().id()).collect();
    for id in &ids {
        vm.stream(*id).unwrap().request_headers(get(), false).unwrap();
    }
    for (index, id) in ids.iter().enumerate() {
        vm.stream(*id).unwrap().request_body(&[b'0' + u8::try_from(index).unwrap()], true).unwrap();
    }
    for (index, id) in ids.iter().enumerate() {
        let finished = vm.stream(*id).unwrap().finish();
        assert_eq!(text(&finished.request.body), index.to_string());
    }
}
