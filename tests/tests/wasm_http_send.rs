//! `http.send` natively and in the module on wasmtime, with a capture's documents for the servers that are called; and
//! what comes of replies that are late, of nobody's, or of a report.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use remit_harness::capture::Response;
use remit_harness::host::{HeaderMap, HttpResponse, MetricValue, Properties, StreamId, Verdict};
use remit_harness::replay::{Document, Native, Subject, Wasm, WasmOptions, WireRequest};
use remit_tests::proxy::compiled_module;
use remit_tests::world::{FORUM, THREAD, World, bundle, now};
use serde_json::{Value, json};

const POLICY: &str = r#"package remit.authz

default decision := false

asked := input.attributes.request.http.headers["x-ask"]

decision := {"allowed": true, "headers": {"x-group": user.body.group}} if user.status_code == 200

user := http.send({"method": "GET", "url": sprintf("http://users.example/%s", [asked]), "cache": true})
"#;

fn document(path: &str, status: u16, body: &str) -> Document {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Document { cluster: "users".to_owned(), path: path.to_owned(), status, headers, body: body.into() }
}

#[test]
fn replays_answer_the_calls_of_policies() {
    let world = World::new().unwrap();
    let hosts = json!({"users.example": {"cluster": "users"}});
    let changes = json!({"builtins": {"http_send": {"hosts": hosts, "max_response_bytes": 100}}});
    let config = world.config_with_bundle(&bundle("asks", POLICY).unwrap(), changes);
    // Compiling takes its time, and tokens must not be issued in the future.
    let module = compiled_module().unwrap();
    let token = world.token().unwrap();
    let start = now();
    let mut native = Native::new(&config, 7).unwrap();
    let options = WasmOptions { start, ..WasmOptions::default() };
    let mut wasm = Wasm::new(&module, &config, &options).unwrap();
    for subject in [&mut native as &mut dyn Subject, &mut wasm] {
        subject.serve(vec![
            document("/ada", 200, "{\"group\": \"staff\"}"),
            document("/bob", 404, "{}"),
            document("/eve", 200, &" ".repeat(101)),
        ]);
        for (asked, expected) in [
            ("ada", json!(["allow", []])),
            ("bob", json!(["deny", []])),
            ("eve", json!(["deny", ["http_send_failed"]])),
            ("nobody", json!(["deny", ["http_send_failed"]])),
        ] {
            let request = WireRequest {
                method: "GET".to_owned(),
                scheme: "https".to_owned(),
                authority: FORUM.to_owned(),
                path: THREAD.to_owned(),
                headers: vec![
                    ("authorization".to_owned(), format!("Bearer {token}")),
                    ("x-ask".to_owned(), asked.to_owned()),
                ],
                body: Vec::new(),
            };
            let observed = subject.carry(&request, &Response::default(), start).unwrap();
            let record: Value = serde_json::from_str(&observed.audit.unwrap().line).unwrap();
            assert_eq!(json!([record["outcome"], record["reasons"]]), expected, "{asked}: {record}");
            let group = observed
                .forwarded
                .map(|forwarded| forwarded.headers.contains(&("x-group".to_owned(), "staff".to_owned())));
            assert_eq!(group, (asked == "ada").then_some(true));
        }
    }
}

const SECOND: u64 = 1_000_000_000;

fn reply(status: &str, body: &str) -> HttpResponse {
    let headers = [(":status", status), ("content-type", "application/json"), ("server", "s"), ("date", "d")];
    HttpResponse { headers: HeaderMap::from(headers), body: body.into(), trailers: None }
}

/// A module whose policy asks twice, whatever became of the first call, and a stream that waits for the first.
fn asks_twice(world: &World) -> (Wasm, StreamId) {
    let policy = r#"package remit.authz

default decision := false

first := http.send({"method": "GET", "url": "http://users.example/1", "timeout": "500ms", "raise_error": false})

decision if http.send({"method": "GET", "url": sprintf("http://users.example/2?%v", [first.status_code]), "timeout": "500ms"})
"#;
    let hosts = json!({"users.example": {"cluster": "users"}});
    let changes = json!({"builtins": {"http_send": {"hosts": hosts}}});
    let config = world.config_with_bundle(&bundle("asks", policy).unwrap(), changes);
    let module = compiled_module().unwrap();
    let authorization = format!("Bearer {}", world.token().unwrap());
    let options = WasmOptions { start: now(), ..WasmOptions::default() };
    let mut wasm = Wasm::new(&module, &config, &options).unwrap();
    let mut stream = wasm.vm().open_stream(Properties::new()).unwrap();
    let headers = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", FORUM),
        (":path", THREAD),
        ("authorization", authorization.as_str()),
    ];
    stream.request_headers(HeaderMap::from(headers), true).unwrap();
    let id = stream.id();
    (wasm, id)
}

fn calls(wasm: &mut Wasm) -> Vec<u32> {
    wasm.vm().callouts().map(|call| call.token).collect()
}

#[test]
fn a_late_reply_does_not_prolong_the_next_wait() {
    let world = World::new().unwrap();
    let (mut wasm, id) = asks_twice(&world);
    let start = wasm.vm().world().now();
    let at = |wasm: &mut Wasm, milliseconds: u64| {
        wasm.vm().world().set_now(start + milliseconds * SECOND / 1000);
    };
    let [first] = calls(&mut wasm)[..] else { panic!("one call") };
    // The host never said that the first call's time was over.
    at(&mut wasm, 2600);
    wasm.vm().tick().unwrap();
    assert_eq!(calls(&mut wasm).len(), 2, "the policy has asked again");
    at(&mut wasm, 4500);
    wasm.vm().answer_http(first, Some(reply("200", "{}"))).unwrap();
    assert!(matches!(wasm.vm().stream(id).unwrap().request_verdict(), Verdict::Paused(_)));
    at(&mut wasm, 5200);
    wasm.vm().tick().unwrap();
    let stream = wasm.vm().stream(id).unwrap();
    let Verdict::LocalReply(denial) = stream.request_verdict() else {
        panic!("{:?}", stream.request_verdict())
    };
    assert_eq!(denial.status, 500);
}

#[test]
fn a_reply_to_a_stream_that_is_gone_is_nobodys() {
    let world = World::new().unwrap();
    let (mut wasm, id) = asks_twice(&world);
    let [first] = calls(&mut wasm)[..] else { panic!("one call") };
    wasm.vm().stream(id).unwrap().finish();
    wasm.vm().answer_http(first, Some(reply("200", "{}"))).unwrap();
    wasm.vm().tick().unwrap();
    assert!(calls(&mut wasm).is_empty());
}

#[test]
fn a_report_that_is_answered_with_an_error_was_not_taken() {
    let world = World::new().unwrap();
    let module = compiled_module().unwrap();
    let changes = json!({"status": {"cluster": "control", "authority": "control.example"}});
    for (status, body, expected) in [
        ("200", "{}", "ok"),
        ("204", "", "ok"),
        ("500", "{\"code\": \"internal_error\"}", "status"),
        ("401", "", "status"),
    ] {
        let options = WasmOptions { start: now(), ..WasmOptions::default() };
        let mut wasm = Wasm::new(&module, &world.config(changes.clone()), &options).unwrap();
        wasm.vm().tick().unwrap();
        let [report] = calls(&mut wasm)[..] else { panic!("one report") };
        wasm.vm().answer_http(report, Some(reply(status, body))).unwrap();
        let metrics = wasm.vm().world().metrics();
        let count = metrics.get(&format!("remit.status_reports.result.{expected}"));
        assert!(matches!(count, Some(MetricValue::Counter(1))), "{status} {body}: {count:?}");
    }
}
