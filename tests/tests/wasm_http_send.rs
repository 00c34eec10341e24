//! `http.send` natively and in the module on wasmtime, with a capture's documents for the servers that are called.

use remit_harness::capture::Response;
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
