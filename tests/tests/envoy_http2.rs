//! HTTP/2 in real Envoy: what is read, decided and refused is what it is over HTTP/1.1, by the same reasons.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use remit_core::config::Limits;
use remit_tests::http::Request;
use remit_tests::http2;
use remit_tests::proxy::{Options, Proxy};
use remit_tests::world::{World, mcp, read};
use serde_json::json;
use xtask::workspace;

/// The call that reads a thread, with white space up to this many bytes.
fn padded(token: &str, bytes: usize) -> Request {
    let whole = read(token).body.unwrap();
    let mut body = whole.clone();
    let last = body.pop().unwrap();
    body.resize(bytes.saturating_sub(1), b' ');
    body.push(last);
    mcp(token, body)
}

#[test]
fn a_body_comes_whole_up_to_the_limit_and_is_refused_on_the_record_beyond() {
    let world = World::new().unwrap();
    let configuration = world.config(json!({}));
    let proxy = Proxy::start(&Options { name: "http2", configuration, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    let limit = Limits::default().body_bytes;
    for (bytes, status, reason) in [
        (1_000, 200, "within_remit"),
        // Above the window that RFC 9113 begins with.
        (70_000, 200, "within_remit"),
        (limit, 200, "within_remit"),
        (limit.saturating_add(1), 413, "body_too_large"),
        (limit.saturating_mul(3), 413, "body_too_large"),
        (1_000, 200, "within_remit"),
    ] {
        let before = proxy.audits().unwrap().len();
        assert_eq!(http2::send(proxy.port, &padded(&token, bytes)).unwrap(), status, "{bytes}");
        assert_eq!(proxy.audit_after(before).unwrap().reasons(), [reason], "{bytes}");
        let arrived = proxy.upstream.take();
        let expected = if status == 200 { vec![bytes] } else { Vec::new() };
        assert_eq!(arrived.iter().map(|request| request.body.len()).collect::<Vec<_>>(), expected);
    }
    proxy.finish().unwrap();
}

#[test]
fn what_is_said_to_be_in_another_charset_is_refused() {
    let world = World::new().unwrap();
    let configuration = world.config(json!({}));
    let proxy = Proxy::start(&Options { name: "charset", configuration, ..Options::default() }).unwrap();
    let token = world.token().unwrap();
    for (charset, expected) in [
        ("utf-8", "200 allow within_remit"),
        ("utf-7", "415 deny body_encoded"),
        ("UTF-16LE", "415 deny body_encoded"),
        ("\"UTF-8\"", "200 allow within_remit"),
    ] {
        let mut request = read(&token);
        for (_, value) in request.headers.iter_mut().filter(|(name, _)| name == "content-type") {
            *value = format!("application/json; charset={charset}");
        }
        assert_eq!(proxy.send(&request).unwrap().summary(), expected, "{charset}");
    }
    proxy.finish().unwrap();
}

/// The number behind a name in the Envoy configuration that operators copy.
fn setting(name: &str) -> u64 {
    let text = std::fs::read_to_string(workspace::root().join("envoy/envoy.yaml")).unwrap();
    let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

#[test]
fn the_shipped_envoy_leaves_room_and_time_to_the_filter() {
    // Otherwise Envoy answers by itself, and no record says so.
    let limits = Limits::default();
    let body_bytes = u64::try_from(limits.body_bytes).unwrap();
    for room in [
        "per_connection_buffer_limit_bytes:",
        "initial_stream_window_size:",
        "initial_connection_window_size:",
    ] {
        assert!(setting(room) > body_bytes, "{room}");
    }
    assert!(setting("request_timeout:") > limits.body_seconds);
}
