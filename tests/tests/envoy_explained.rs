//! Which rules denied, in real Envoy: for operators in the log and as metadata, for clients only where that is configured.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use remit_tests::proxy::{Options, Proxy};
use remit_tests::world::{World, bundle, call, get};
use serde_json::{Value, json};

/// Denies by a function, by a rule whose name has dots, and by a default.
const POLICY: &str = r#"package remit.authz

default decision := false

decision := {"allowed": false, "reasons": sort(why.not.now)} if count(why.not.now) > 0

decision if input.parsed_path[0] == "open"

why.not.now contains "closed" if closed(input.attributes.request.http.headers["x-room"])

closed(room) if room in {"attic", "cellar"}

closed(room) if endswith(room, "-secret")
"#;

/// What a client asks for, what is recorded, and the same in the header.
fn cases() -> [(&'static str, Value); 3] {
    let by = |rule: &str, line: u32| json!({"rule": rule, "at": format!("policy.rego:{line}")});
    let (decision, why) = (by("data.remit.authz.decision", 5), by("data.remit.authz.why.not.now", 9));
    let closed = |line| by("data.remit.authz.closed", line);
    [
        ("attic", json!([decision, why, closed(11)])),
        ("x-secret", json!([decision, why, closed(13)])),
        ("hall", json!([by("default data.remit.authz.decision", 3)])),
    ]
}

fn header(rules: &Value) -> String {
    let named = |by: &Value| format!("{} {}", by["rule"].as_str().unwrap(), by["at"].as_str().unwrap());
    rules.as_array().unwrap().iter().map(named).collect::<Vec<_>>().join(", ")
}

#[test]
fn operators_read_which_rules_denied_and_clients_only_where_they_may() {
    let world = World::new().unwrap();
    let token = world.token().unwrap();
    let policy = bundle("explained", POLICY).unwrap();
    for (name, changes, shows) in [
        ("explained", json!({}), false),
        ("explained-policy", json!({"denials": {"body": "policy"}}), false),
        ("explained-told", json!({"denials": {"rules": true}}), true),
        ("explained-observed", json!({"mode": "observe", "denials": {"rules": true}}), false),
    ] {
        let configuration = world.config_with_bundle(&policy, changes);
        let proxy = Proxy::start(&Options { name, configuration, ..Options::default() }).unwrap();
        let observes = name == "explained-observed";
        for (room, rules) in cases() {
            let message = call(&token, "read_thread", &json!({"thread_id": "t-4711"}));
            for request in [get(&token), message] {
                let seen = proxy.send(&request.header("x-room", room)).unwrap();
                let record = seen.audit.value();
                assert_eq!(
                    (&record["outcome"], &record["rules"]),
                    (&json!("deny"), &rules),
                    "{name} {record}"
                );
                let told = seen.answer.header("x-remit-rules");
                assert_eq!(told, shows.then(|| header(&rules)).as_deref(), "{name} {room}");
                let body = String::from_utf8_lossy(&seen.answer.body);
                assert!(!body.contains("policy.rego") && !body.contains("data.remit"), "{name} {body}");
                let all = seen.answer.headers.iter().filter(|(header, _)| header != "x-remit-rules");
                let said: Vec<_> = all.filter(|(_, value)| value.contains("policy.rego")).collect();
                assert!(said.is_empty(), "{name} {said:?}");
                if observes {
                    let upstream = proxy.upstream.take();
                    let forwarded = upstream.last().unwrap();
                    let names = |(_, value): &(String, String)| value.contains("policy.rego");
                    assert!(!forwarded.headers.iter().any(names), "{forwarded:?}");
                }
            }
        }
        // The access log prints the filter state: the operator's metadata.
        let lines = proxy.finish().unwrap();
        let records = lines.iter().map(|line| line["audit"].as_str().unwrap());
        let records: Vec<Value> = records.map(|record| serde_json::from_str(record).unwrap()).collect();
        for (_, rules) in cases() {
            let with = records.iter().filter(|record| record["rules"] == rules).count();
            assert_eq!(with, 2, "{name} {rules}");
        }
    }
}
