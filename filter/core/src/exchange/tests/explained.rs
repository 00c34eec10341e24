//! Denials name the rules that decided: in every record, and to clients only where that is configured.

use super::*;

const POLICY: &str = "package remit.authz\n\ndefault decision := false\n\ndecision if input.remit.action.operation == \"nothing\"\n\ndecision := {\"allowed\": false, \"reasons\": [\"evil\"]} if evil\n\nevil if input.parsed_path[1] == \"666\"\n";

fn read(world: &mut World, path: &str) -> Came {
    let bearer = format!("Bearer {}", world.token());
    world.send(("GET", path), &[("authorization", &bearer)], None)
}

#[test]
fn records_name_the_rules_that_held_and_clients_are_not_told() {
    for (path, rules, header) in [
        (
            "/threads/1",
            json!([{"rule": "default data.remit.authz.decision", "at": "authz.rego:3"}]),
            "default data.remit.authz.decision authz.rego:3",
        ),
        (
            "/threads/666",
            json!([{"rule": "data.remit.authz.decision", "at": "authz.rego:7"},
                   {"rule": "data.remit.authz.evil", "at": "authz.rego:9"}]),
            "data.remit.authz.decision authz.rego:7, data.remit.authz.evil authz.rego:9",
        ),
    ] {
        for (told, expected) in [(false, None), (true, Some(header))] {
            let denials = json!({"denials": {"mcp_status": 403, "rules": told}});
            let mut world = World::with(POLICY, &denials);
            let token = world.token();
            // The third is remembered.
            for _ in 0..3 {
                let came = world.send(("GET", path), &[("authorization", &format!("Bearer {token}"))], None);
                assert_eq!((came.outcome.as_str(), &came.record["rules"]), ("deny", &rules));
                let reply = came.reply.unwrap();
                let header = reply.headers.iter().find(|(name, _)| name == "x-remit-rules");
                assert_eq!(header.map(|(_, value)| value.as_str()), expected);
                assert!(!reply.body.contains("authz.rego"));
            }
        }
    }
}

#[test]
fn other_decisions_name_none() {
    for (policy, path) in [
        ("package remit.authz\ndecision := true\n", "/threads/1"),
        ("package remit.authz\ndecision := 7\n", "/threads/1"),
        ("package remit.authz\ndecision if input.nothing\n", "/threads/1"),
    ] {
        let mut world = World::with(policy, &json!({}));
        assert_eq!(read(&mut world, path).record["rules"], Value::Null, "{policy}");
    }
    let mut many = "package remit.authz\ndecision := false if count(all) > 0\n".to_owned();
    for n in 0..40 {
        many.push_str(&format!("all contains {n} if input.remit\n"));
    }
    let mut world = World::with(&many, &json!({}));
    assert_eq!(read(&mut world, "/threads/1").record["rules"].as_array().map(Vec::len), Some(16));
}
