//! Several bundles: whose mode counts, and what the record says of each.

use super::*;

fn inline(mode: &str, bytes: &[u8]) -> Value {
    json!({"mode": mode, "source": {"inline": base64::engine::general_purpose::STANDARD.encode(bytes)}})
}

/// A world whose policy is in one bundle and a fact in another.
fn world(policy: &str, mode: &str) -> World {
    let manifest = json!({"revision": "f1", "roots": ["facts"]}).to_string();
    let facts =
        packed(&[(".manifest", manifest.as_str()), ("data.json", r#"{"facts": {"allowed": false}}"#)]);
    let bundles = json!({"authz": inline(mode, &targz(policy)), "facts": inline("enforce", &facts)});
    World::with(POLICY, &json!({"bundle": null, "bundles": bundles}))
}

#[test]
fn the_mode_of_the_bundle_that_owns_the_decision_counts() {
    let denies = "package remit.authz\ndecision := {\"allowed\": data.facts.allowed, \"reasons\": [input.remit.mode]}\n";
    let asks = "package remit.authz\ndecision := {\"allowed\": false, \"outcome\": \"require_approval\"}\n";
    for (policy, mode, summary, enforced) in [
        (denies, "enforce", (403, "deny", "enforce"), true),
        (denies, "observe", (0, "deny", "observe"), false),
        (asks, "observe", (0, "require_approval", ""), false),
        ("package remit.authz\ndecision := 1\n", "observe", (0, "deny", "decision_malformed"), false),
    ] {
        let mut world = world(policy, mode);
        let came = world.read();
        assert_eq!(came.summary(), summary, "{mode}");
        assert_eq!((&came.record["mode"], &came.record["enforced"]), (&json!(mode), &json!(enforced)));
        assert_eq!(came.record["bundle"], "r1");
        assert_eq!(came.record["bundles"], json!({"authz": "r1", "facts": "f1"}));
    }
}

#[test]
fn what_is_refused_before_the_policy_is_asked_stays_refused() {
    let mut world = world("package remit.authz\ndecision := false\n", "observe");
    let came = world.send(("GET", "/threads/1"), &[("authorization", "Bearer x")], None);
    assert_eq!((came.summary().0, came.record["enforced"].clone()), (401, json!(true)));
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let came = world.send(("POST", "/mcp"), &headers, Some(b"late"));
    assert_eq!((came.summary().0, came.reasons.as_str()), (408, "body_late"));
}
