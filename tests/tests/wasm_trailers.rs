//! Trailers of requests, in the module on wasmtime: a decision does not wait for more than the body, and what is the
//! filter's to say nobody says in them.

use remit_harness::host::{HeaderMap, Progress, Properties, Verdict};
use remit_harness::replay::{Wasm, WasmOptions};
use remit_tests::proxy::compiled_module;
use remit_tests::world::{World, now, read};
use serde_json::json;

#[test]
fn trailers_end_a_body_and_name_nobody() {
    let world = World::new().unwrap();
    let module = compiled_module().unwrap();
    let request = read(&world.token().unwrap());
    let options = WasmOptions { start: now(), ..WasmOptions::default() };
    let mut wasm = Wasm::new(&module, &world.config(json!({})), &options).unwrap();
    let mut stream = wasm.vm().open_stream(Properties::new()).unwrap();
    let mut headers = vec![
        (":method".to_owned(), request.method),
        (":scheme".to_owned(), "https".to_owned()),
        (":authority".to_owned(), request.authority),
        (":path".to_owned(), request.path),
    ];
    headers.extend(request.headers);
    stream.request_headers(headers.into_iter().collect(), false).unwrap();
    stream.request_body(&request.body.unwrap(), false).unwrap();
    assert!(matches!(stream.request_verdict(), Verdict::Paused(_)));
    let trailers = [("x-checksum", "7"), ("x-remit-agent", "admin"), ("agent-approval", "a")];
    let progress = stream.request_trailers(HeaderMap::from(trailers)).unwrap();
    assert_eq!(progress, Progress::Continue);
    let finished = stream.finish();
    assert_eq!(finished.reply, None);
    assert_eq!(finished.request.headers.text("x-remit-agent"), Some("agent-analyst"));
    assert_eq!(finished.request.trailers, Some(HeaderMap::from([("x-checksum", "7")])));
}
