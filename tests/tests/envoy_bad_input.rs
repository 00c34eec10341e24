//! Bad input in real Envoy: each gets a defined answer and a record, and the next good request is served.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::process::Command;

use remit_core::keys::Algorithm;
use remit_harness::signing::SigningKey;
use remit_tests::http::{Request, send, send_pieces};
use remit_tests::proxy::{Options, Proxy};
use remit_tests::world::{FORUM, IDP, THREAD, World, call, get, mcp, now, read};
use serde_json::json;

const LIMIT: usize = 20_000;

fn start(world: &World, name: &'static str) -> Proxy {
    let configuration = world.config(json!({"limits": {"body_bytes": LIMIT}}));
    Proxy::start(&Options { name, configuration, ..Options::default() }).unwrap()
}

/// Sends what is bad, and then what is good.
fn refused(proxy: &Proxy, good: &Request, bad: &Request, expected: &str) {
    let seen = proxy.send(bad).unwrap();
    assert_eq!(seen.summary(), expected, "{}", seen.audit.line);
    assert!(proxy.upstream.take().is_empty(), "{expected}: nothing reaches the upstream");
    assert_eq!(proxy.send(good).unwrap().summary(), "200 allow within_remit", "after {expected}");
    assert_eq!(proxy.upstream.take().len(), 1);
}

#[test]
fn bad_tokens() {
    let world = World::new().unwrap();
    let proxy = start(&world, "bad-tokens");
    let good = world.token().unwrap();
    let seconds = now().seconds().0;
    let token = |changes| world.token_with(&changes).unwrap();
    let key = world.key(IDP).unwrap();
    let claims = world.claims(&json!({})).unwrap();
    let none = key.sign_with_header(&json!({"typ": "at+jwt", "alg": "none", "kid": key.kid()}), &claims);
    let wrong = SigningKey::generate(Algorithm::Es256, Some(key.kid())).unwrap().sign("at+jwt", &claims);
    let unsigned = good.rsplit_once('.').unwrap().0.to_owned() + ".";
    let cut = good.get(..good.len() - 2).unwrap().to_owned();
    let twice = key.sign_bytes(
        json!({"typ": "at+jwt", "alg": "ES256", "kid": key.kid()}).to_string().as_bytes(),
        claims.to_string().replacen('{', r#"{"sub":"mara.osei@internal.example","#, 1).as_bytes(),
    );
    let bare = Request::new("GET", FORUM, THREAD);
    let with = |value: &str| bare.clone().header("authorization", value);
    for (bad, expected) in [
        (bare.clone(), "401 deny token_missing"),
        (get(&good).bearer(&good), "401 deny token_ambiguous"),
        (with(&format!("Bearer {good}, Bearer {good}")), "401 deny token_ambiguous"),
        (with(&format!("Bearer {good},Bearer {good}")), "401 deny token_ambiguous"),
        (with("Basic YTpi"), "401 deny token_scheme_not_accepted"),
        (with("Bearer"), "401 deny token_malformed"),
        (get("garbage"), "401 deny token_malformed"),
        (get("a.b.c"), "401 deny token_malformed"),
        (get(&unsigned), "401 deny token_malformed"),
        (get(&twice), "401 deny token_malformed"),
        (get(&none), "401 deny token_header_refused"),
        (get(&wrong), "401 deny signature_invalid"),
        (get(&cut), "401 deny signature_invalid"),
        (get(&token(json!({"iat": seconds - 900, "exp": seconds - 100}))), "401 deny token_expired"),
        (get(&token(json!({"nbf": seconds + 100}))), "401 deny token_not_yet_valid"),
        (get(&token(json!({"exp": seconds + 9000}))), "401 deny token_lifetime_exceeded"),
        (get(&token(json!({"exp": null}))), "401 deny claim_missing"),
        (get(&token(json!({"aud": "https://other.example"}))), "401 deny audience_mismatch"),
        (get(&token(json!({"iss": "https://evil.example"}))), "401 deny issuer_unknown"),
    ] {
        refused(&proxy, &get(&good), &bad, expected);
        let told = String::from_utf8(send(proxy.port, &bad).unwrap().body).unwrap();
        let reason = expected.rsplit(' ').next().unwrap();
        assert!(reason == "token_missing" || !told.contains(reason), "the client is not told: {told}");
    }
    // Envoy's own signature check counts, and so does the memory of its answer: the same token passes again and again.
    let hits = proxy.statistic("remit_token_cache", &["result=\"hit\""]).unwrap();
    assert!(hits > 0, "{}", proxy.statistics().unwrap());
    proxy.finish().unwrap();
}

#[test]
fn bad_bodies() {
    let world = World::new().unwrap();
    let proxy = start(&world, "bad-bodies");
    let token = world.token().unwrap();
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let deep = "[".repeat(10_000);
    let late_key = format!(r#"{{"a":"{}","b":1,"b":2}}"#, "x".repeat(15_000));
    let large = "x".repeat(LIMIT + 1);
    let very_large = "x".repeat(500_000);
    for (bad, expected) in [
        (mcp(&token, r#"{"jsonrpc":"2.0","id":1,"id":2}"#), "400 deny body_duplicate_key"),
        (mcp(&token, late_key.as_str()), "400 deny body_duplicate_key"),
        (mcp(&token, deep.as_str()), "400 deny body_too_deep"),
        (mcp(&token, deep.as_str()).chunked(1000), "400 deny body_too_deep"),
        (mcp(&token, b"{\"a\":\"\xff\"}".as_slice()), "400 deny body_not_utf8"),
        (mcp(&token, format!("{message} x")), "400 deny body_malformed"),
        (mcp(&token, format!("{message}{message}")), "400 deny body_malformed"),
        (mcp(&token, ""), "400 deny body_malformed"),
        (mcp(&token, format!("[{message}]")), "400 deny mcp_batch"),
        (mcp(&token, "{}"), "400 deny mcp_malformed"),
        (call(&token, "explode", &json!({})), "200 deny action_unclassified"),
        (mcp(&token, large.as_str()), "413 deny body_too_large"),
        (mcp(&token, large.as_str()).chunked(3000), "413 deny body_too_large"),
        (mcp(&token, very_large.as_str()), "413 deny body_too_large"),
        (mcp(&token, very_large.as_str()).chunked(10_000), "413 deny body_too_large"),
        (read(&token).header("content-encoding", "gzip"), "415 deny body_encoded"),
        (mcp(&token, b"\x1f\x8b\x08\x00".as_slice()), "400 deny body_not_utf8"),
    ] {
        refused(&proxy, &read(&token), &bad, expected);
    }
    // In one byte a piece the very same message is decided, and forwarded whole.
    let piecemeal = read(&token).chunked(1);
    assert_eq!(proxy.send(&piecemeal).unwrap().summary(), "200 allow within_remit");
    assert_eq!(proxy.upstream.take()[0].body, piecemeal.body.unwrap());
    // Exactly at the limit.
    let body = read(&token).body.unwrap();
    let padded = [body.as_slice(), " ".repeat(LIMIT - body.len()).as_bytes()].concat();
    assert_eq!(proxy.send(&mcp(&token, padded)).unwrap().summary(), "200 allow within_remit");
    // A connection that dies in the middle of a body leaves nothing behind.
    let cut = mcp(&token, "x".repeat(100));
    let mut pieces = cut.pieces();
    pieces[1].truncate(10);
    let port = proxy.port;
    for _ in 0..20 {
        let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut writer = &stream;
        std::io::Write::write_all(&mut writer, &pieces.concat()).unwrap();
    }
    assert_eq!(proxy.send(&read(&token)).unwrap().summary(), "200 allow within_remit");
    proxy.finish().unwrap();
}

#[test]
fn bad_requests() {
    let world = World::new().unwrap();
    let proxy = start(&world, "bad-requests");
    let token = world.token().unwrap();
    let at = |path: &str| Request::new("GET", FORUM, path).bearer(&token);
    for (bad, expected) in [
        (at("/nowhere"), "403 deny action_unclassified"),
        (Request::new("DELETE", FORUM, THREAD).bearer(&token), "403 deny action_unclassified"),
        (at("/api/v1/threads/t-1"), "403 deny resource_outside_task"),
        // Envoy resolves the dot segments first; what is decided is what the upstream would have got.
        (at("/api/v1/threads/t-4711/%2e%2e/t-1"), "403 deny resource_outside_task"),
        (at("/api/v1/threads/t-4711/../../../../admin"), "403 deny action_unclassified"),
        (at("/api/v1/threads/t-4711;x"), "403 deny action_unclassified"),
        (at("/api/v1/threads/t-4711?a=1;b=2"), "400 deny query_undecodable"),
        (
            get(&token).header("mcp-session-id", "a").header("mcp-session-id", "b"),
            "400 deny header_ambiguous",
        ),
        (get(&token).header("x-long", &"a".repeat(40_000)).header("x-more", &"a".repeat(15_000)), "200"),
    ] {
        if expected == "200" {
            // Large, and within both Envoy's limit and the filter's.
            assert_eq!(proxy.send(&bad).unwrap().summary(), "200 allow within_remit");
            let _ = proxy.upstream.take();
            continue;
        }
        refused(&proxy, &get(&token), &bad, expected);
    }

    // Envoy tells a denial in gRPC's own way: 200, and the status in a trailer or header (7: PERMISSION_DENIED).
    let grpc = Request::new("POST", FORUM, "/forum.Threads/Delete")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .bearer(&token)
        .body(vec![0, 0, 0, 0, 2, 8, 1]);
    let seen = proxy.send(&grpc).unwrap();
    assert_eq!(seen.summary(), "200 deny action_unclassified");
    assert_eq!(
        (seen.answer.header("grpc-status"), seen.audit.value()["status"].as_u64()),
        (Some("7"), Some(403))
    );
    assert!(proxy.upstream.take().is_empty());

    // What Envoy itself refuses gets no record of the filter's, but a line in the access log that says why.
    let bytes = |text: String| vec![text.into_bytes()];
    let authorization = format!("authorization: Bearer {token}\r\n");
    for (pieces, expected) in [
        (at("/api/v1/threads%2Ft-4711").pieces(), vec![400]),
        (at("/api/v1/threads/t-4711%5c..%5ct-1").pieces(), vec![400]),
        (at("/api/v1/threads/t-4711%00").pieces(), vec![400]),
        (get(&token).header("x_remit_agent", "root").pieces(), vec![400]),
        (get(&token).header("x-long", &"a".repeat(70_000)).pieces(), vec![431]),
        (
            get(&token)
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==")
                .pieces(),
            vec![403],
        ),
        (
            bytes(format!("CONNECT {FORUM}:443 HTTP/1.1\r\nhost: {FORUM}:443\r\n{authorization}\r\n")),
            vec![400, 403, 404],
        ),
        (
            bytes(format!(
                "POST /mcp HTTP/1.1\r\nhost: {FORUM}\r\n{authorization}content-length: 3\r\n\
                 transfer-encoding: chunked\r\n\r\n0\r\n\r\n"
            )),
            vec![400],
        ),
        (
            bytes(format!(
                "POST /mcp HTTP/1.1\r\nhost: {FORUM}\r\n{authorization}content-length: 3\r\n\
                 content-length: 4\r\n\r\nabcd"
            )),
            vec![400],
        ),
    ] {
        let shown = String::from_utf8_lossy(&pieces[0]).replace(&token, "…");
        let answer = send_pieces(proxy.port, pieces).unwrap();
        assert!(expected.contains(&answer.status), "{}: {}", answer.status, &shown[..shown.len().min(200)]);
        assert!(proxy.upstream.take().is_empty(), "{shown}");
        assert_eq!(proxy.send(&get(&token)).unwrap().summary(), "200 allow within_remit");
        let _ = proxy.upstream.take();
    }
    let access = proxy.finish().unwrap();
    let refused: Vec<_> = access.iter().filter(|line| line["audit"].as_str().is_none()).collect();
    assert!(refused.len() >= 6, "{refused:?}");
    assert!(
        refused.iter().all(|line| line["details"].as_str().is_some_and(|why| why.len() > 3)),
        "{refused:?}"
    );
}

#[test]
fn http_2_and_grpc() {
    let version = Command::new("curl").arg("--version").output().unwrap();
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(version.contains("HTTP2"), "these tests need a curl that speaks HTTP/2: {version}");
    let world = World::new().unwrap();
    let proxy = start(&world, "http-2");
    let token = world.token().unwrap();
    let curl = |request: &Request| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--http2-prior-knowledge", "--max-time", "15", "--output", "/dev/null"]);
        command.args(["--write-out", "%{http_version} %{http_code}", "--request", &request.method]);
        command.arg("--header").arg(format!("host: {}", request.authority));
        for (name, value) in &request.headers {
            command.arg("--header").arg(format!("{name}: {value}"));
        }
        if request.chunk.is_some() {
            command.args(["--header", "content-length:"]);
        }
        if let Some(body) = &request.body {
            command.arg("--data-binary").arg(String::from_utf8(body.clone()).unwrap());
        }
        command.arg(format!("http://127.0.0.1:{}{}", proxy.port, request.path));
        // This client closes its ear now and then when it is answered before its body is sent.
        let (mut answer, mut tries) = (String::from("0 000"), 0);
        while answer.starts_with("0 000") && tries < 5 {
            let before = proxy.audits().unwrap().len();
            let output = command.output().unwrap();
            let audit = proxy.audit_after(before).unwrap();
            let outcome = audit.outcome().unwrap().as_str();
            answer = format!(
                "{} {outcome} {}",
                String::from_utf8_lossy(&output.stdout),
                audit.reasons().join(",")
            );
            tries += 1;
        }
        answer
    };
    let grpc = |path: &str| {
        Request::new("POST", FORUM, path)
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .bearer(&token)
            .body("message")
    };
    for (request, expected) in [
        (get(&token), "2 200 allow within_remit"),
        (read(&token), "2 200 allow within_remit"),
        (Request::new("GET", FORUM, THREAD), "2 401 deny token_missing"),
        (get(&token).bearer(&token), "2 401 deny token_ambiguous"),
        // Without content-length: a denial before the body is sent makes this client close its ear now and then.
        (mcp(&token, "x".repeat(LIMIT + 1)).chunked(1), "2 413 deny body_too_large"),
        (mcp(&token, "["), "2 400 deny body_malformed"),
        // The policy knows no such method; the body, which is a stream, is not waited for.
        (grpc("/forum.Threads/Delete"), "2 200 deny action_unclassified"),
        (get(&token), "2 200 allow within_remit"),
    ] {
        assert_eq!(curl(&request), expected, "{} {}", request.method, request.path);
    }
    proxy.finish().unwrap();
}
