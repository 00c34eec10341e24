//! Records of every form, the findings, and the bounds.

use std::io::BufReader;

use serde_json::{Value, json};

use super::*;

fn read(name: &str, content: &[u8], facts: &Facts) -> Inventory {
    let mut inventory = Inventory::default();
    // A small buffer, so that lines come in pieces.
    let mut content = BufReader::with_capacity(7, content);
    inventory.read(Source { name, content: &mut content }, facts, &mut |_| {}).unwrap();
    inventory
}

fn audit(second: u32, changes: &Value) -> String {
    let mut record = json!({
        "time": format!("2026-03-18T14:02:{second:02}.000Z"), "outcome": "allow",
        "agent": {"iss": "https://i", "sub": "a"}, "principal": {"iss": "https://i", "sub": "p"},
        "registered": true, "action": {"operation": "o.read", "verb": "read", "classified": true, "protocol": "mcp"},
        "token": {"typ": "at+jwt", "alg": "ES256", "kid": "k", "jti": "j", "lifetime_seconds": 600}});
    for (name, value) in changes.as_object().unwrap() {
        record[name] = value.clone();
    }
    record.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let rest = record.to_string();
    format!(r#"{{"audit":"remit.audit/1",{}"#, &rest[1..])
}

fn facts() -> Facts {
    let registry = json!({"agents": {"https://i": {
        "a": {"owner": "team", "capabilities": ["o.read", "o.write"]},
        "old": {"owner": "team", "capabilities": [], "expires": "2026-01-01"}}}});
    let registry = remit_core::registry::Registry::parse(Some(&registry), 9).unwrap();
    Facts { registry: Some(registry), ..Facts::default() }
}

#[test]
fn logs_are_read_whatever_stands_before_the_record() {
    let refused = json!({"outcome": "deny", "agent": null, "principal": null, "registered": null, "action": null,
                         "token": null});
    let access = json!({"status": 200, "audit": audit(5, &json!({}))}).to_string();
    let lines = [
        format!("[2026-03-18 14:02:00.000][7][info][wasm] [x.cc:1] wasm log remit: {}", audit(1, &json!({}))),
        audit(3, &refused),
        String::new(),
        // A program in between has sorted the members.
        audit(2, &json!({})).replacen(
            r#"{"audit":"remit.audit/1","#,
            r#"x {"a":[],"audit":"remit.audit/1","#,
            1,
        ),
        "[2026-03-18 14:02:00.000][7][info][main] starting".into(),
        access,
        json!({"status": 200, "audit": null}).to_string(),
        audit(
            2,
            &json!({"outcome": "require_approval", "agent": {"iss": "https://i", "sub": "x"}, "registered": false}),
        ),
    ];
    let inventory = read("log", lines.join("\n").as_bytes(), &Facts::default());
    assert_eq!((inventory.all.count, inventory.all.refused, inventory.anonymous), (5, 2, 1));
    assert_eq!((inventory.other_lines, inventory.malformed_count), (2, 0));
    let seen = |sub: &str| {
        let agent = &inventory.agents[&Party { iss: "https://i".into(), sub: sub.into() }];
        (agent.seen.count, agent.registered)
    };
    assert_eq!((seen("a"), seen("x")), ((3, Some(true)), (1, Some(false))));
    assert_eq!(crate::time::rfc3339(inventory.all.first), "2026-03-18T14:02:01Z");
    assert_eq!(crate::time::rfc3339(inventory.all.last), "2026-03-18T14:02:05Z");
}

#[test]
fn findings_are_what_should_not_be() {
    let party = |sub: &str| json!({"agent": {"iss": "https://i", "sub": sub}});
    let lines = [
        audit(1, &json!({})),
        audit(2, &party("old")),
        audit(3, &party("x")),
        audit(4, &json!({"agent": null})),
        audit(5, &json!({"token": {"alg": "ES256", "lifetime_seconds": 901}})),
        audit(6, &json!({"action": {"operation": "tools/call x", "verb": "unknown", "classified": false}})),
        "{\"audit\":\"remit.audit/1\",\"time\":".to_owned(),
        audit(7, &json!({"time": "noon"})),
    ];
    let inventory = read("log", lines.join("\n").as_bytes(), &facts());
    let findings = inventory.findings(&facts(), 900);
    let found: Vec<_> =
        findings.iter().map(|finding| format!("{} {}", finding.kind.as_str(), finding.what)).collect();
    assert_eq!(
        found,
        [
            "unregistered old of https://i: its registration has expired",
            "unregistered p of https://i: not in the registry of the bundle",
            "unregistered x of https://i: not in the registry of the bundle",
            "long-lived no kid of https://i: up to 901 s",
            "unused-capability a: o.write",
            "unclassified tools/call x: asked for once",
            "malformed log:7: EOF while parsing a value at line 1 column 32",
            "malformed log:8: time: not a time as RFC 3339 has it, such as 2026-03-18T14:02:00Z",
        ]
    );
    assert!(
        read("log", audit(1, &json!({})).as_bytes(), &Facts::default())
            .findings(&Facts::default(), 900)
            .is_empty()
    );
}

#[test]
fn what_is_compressed_is_refused() {
    let mut content: &[u8] = &[0x1f, 0x8b, 8, 0, 0];
    let source = Source { name: "log.gz", content: &mut content };
    let error = Inventory::default().read(source, &Facts::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("unpack it first"), "{error}");
}

#[test]
fn captures_are_read_with_the_catalog() {
    let header = json!({"remit_capture": 1, "start": "2026-03-18T14:02:00Z",
        "issuers": {"https://i": {"alg": "ES256", "kid": "k1"}},
        "tokens": {"t": {"lifetime_seconds": 60, "claims": {"iss": "https://i", "sub": "p", "act": {"sub": "a"}}}}});
    let call = |at: f64, token: &str| {
        json!({"id": format!("e{at}"), "at": at, "request": {"method": "GET", "authority": "x", "path": "/things"},
               "token": token})
    };
    let catalog = json!({"http": [{"authority": "x", "routes": [{"method": "GET", "path": "/things",
        "operation": "things.list", "verb": "list", "effects": {"side_effect": false, "visibility": "private",
        "reversible": true, "privilege": false, "money": false, "open_world": false}}]}]});
    let catalog = remit_core::action::Catalog::parse(Some(catalog)).unwrap();
    let lines = [header, call(0.5, "t"), call(2.0, "t"), call(3.0, "other"), json!({"id": 1})];
    let text = lines.map(|line| line.to_string()).join("\n");
    for (facts, operation) in
        [(Facts { catalog, ..Facts::default() }, "things.list"), (Facts::default(), "GET /things")]
    {
        let inventory = read("capture", text.as_bytes(), &facts);
        assert_eq!((inventory.all.count, inventory.malformed_count), (2, 2));
        assert_eq!(inventory.agents.keys().map(|party| party.sub.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(inventory.operations.keys().collect::<Vec<_>>(), [operation]);
        let (credential, lifetimes) = inventory.credentials.first_key_value().unwrap();
        assert_eq!((credential.kid.as_deref(), lifetimes.longest), (Some("k1"), 60));
        assert_eq!(inventory.malformed[0].problem, "token: not one of the capture's tokens");
        assert_eq!((inventory.malformed[1].file.as_str(), inventory.malformed[1].line), ("capture", 5));
    }
}

#[test]
fn memory_and_output_are_bounded() {
    let mut lines = String::new();
    for n in 0..MAX_DISTINCT + 5 {
        let action = json!({"operation": format!("o{n}"), "verb": "read", "classified": true});
        let agent = json!({"iss": "https://i", "sub": format!("a{n}\u{1b}[31m")});
        lines.push_str(&audit(1, &json!({"action": action, "agent": agent})));
        lines.push_str("\n{\"audit\":\"remit.audit/1\"\n");
    }
    let inventory = read("log", lines.as_bytes(), &Facts::default());
    assert_eq!((inventory.agents.len(), inventory.operations.len()), (MAX_DISTINCT, MAX_DISTINCT));
    assert_eq!(inventory.not_kept, 10);
    assert_eq!((inventory.malformed.len(), inventory.malformed_count), (MAX_NAMED, 10_005));
    let table = inventory.table(&Facts::default(), 900);
    assert!(table.lines().count() < 150 && table.lines().all(|line| line.chars().count() <= 120), "{table}");
    assert!(!table.contains('\u{1b}') && table.contains("… and 9950 more"), "{table}");

    let long = [vec![b'x'; read::MAX_LINE + 1], b"\n".to_vec(), audit(1, &json!({})).into_bytes()].concat();
    let mut inventory = Inventory::default();
    let source = Source { name: "log", content: &mut long.as_slice() };
    inventory.read(source, &Facts::default(), &mut |_| {}).unwrap();
    assert_eq!((inventory.malformed_count, inventory.all.count), (1, 1));
}
