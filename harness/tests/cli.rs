//! The `remit` command as its users run it: output, and how it ends.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const SCENARIO: &str = "tests/scenarios/forum-post";
const BUNDLE: &str = "policy-bundles/agent-baseline";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn remit(line: &str) -> Output {
    remit_with(line, "")
}

fn remit_with(line: &str, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remit"));
    let arguments = line.split_whitespace().map(|word| word.replace('␣', " "));
    command.current_dir(root()).args(arguments).env_remove("REMIT_WASM");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Exit status, standard output and standard error.
fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("remit-cli-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_forum_post_is_replayed_as_expected() {
    let (status, table, error) =
        told(&remit(&format!("replay {SCENARIO} --bundle {BUNDLE} --native --repeat 2")));
    assert_eq!((status, error.as_str()), (Some(0), ""), "{table}");
    assert!(table.contains("forum post (native): 16 exchanges, all as expected"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours where there is no terminal");

    let json = remit(&format!("replay {SCENARIO} --bundle {BUNDLE} --native --format json"));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (json["as_expected"].as_bool(), json["exchanges"].as_array().map(Vec::len)),
        (Some(true), Some(16))
    );
    assert_eq!(json["exchanges"][10]["audit"]["approval"]["approver"]["sub"], "mara.osei@internal.example");
}

#[test]
fn what_is_not_as_expected_is_explained() {
    let folder = folder("unexpected");
    let scenario = root().join(SCENARIO);
    for name in ["config.json", "data.json"] {
        std::fs::copy(scenario.join(name), folder.join(name)).unwrap();
    }
    let capture = std::fs::read_to_string(scenario.join("capture.jsonl")).unwrap();
    let changed = capture.replacen(
        r#""reasons": ["approval_spent"], "status": 200"#,
        r#""reasons": [], "status": 403"#,
        1,
    );
    assert_ne!(capture, changed);
    std::fs::write(folder.join("capture.jsonl"), changed).unwrap();
    let line = format!("replay {}/capture.jsonl --bundle {BUNDLE} --native", folder.display());
    let (status, table, _) = told(&remit(&line));
    assert_eq!(status, Some(1), "{table}");
    for part in [
        "1 not as expected",
        "✗ approval-replayed (14:06:11, posts it once more with the same approval)",
        "reasons: expected none, got approval_spent",
        "status: expected 403, got 200",
    ] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn bad_input_ends_with_2_and_a_reason() {
    for (line, expected) in [
        ("replay nowhere --native".to_owned(), "nowhere:1: No such file"),
        (format!("replay {SCENARIO} --native --bundle nowhere"), "nowhere: No such file"),
        (format!("replay {SCENARIO} --bundle {BUNDLE} --wasm Cargo.toml"), "Cargo.toml is not usable"),
        (
            format!("replay {SCENARIO} --bundle {BUNDLE} --native --config Cargo.toml"),
            "Cargo.toml: malformed JSON",
        ),
        (format!("replay Cargo.toml --bundle {BUNDLE}"), "Cargo.toml:1: malformed JSON"),
        ("test nowhere".to_owned(), "nowhere: No such file"),
        ("token --issuer i --key nowhere --sub s --aud a".to_owned(), "nowhere"),
        ("token approval --challenge - --key k --issuer i --approver m".to_owned(), "malformed JSON"),
        ("frobnicate".to_owned(), "unrecognized subcommand"),
    ] {
        let (status, out, error) = told(&remit(&line));
        assert_eq!((status, out.as_str()), (Some(2), ""), "{line}\n{error}");
        assert!(error.contains(expected), "{line}\n{error}");
    }
}

#[test]
fn policies_are_tested_and_checked() {
    let (status, out, error) = told(&remit(&format!("test {BUNDLE} --verbose")));
    assert_eq!((status, error.as_str()), (Some(0), ""), "{out}");
    assert!(
        out.contains("data.remit.authz_test.test_approval: PASS (") && out.ends_with("PASS: 26/26\n"),
        "{out}"
    );

    let folder = folder("test");
    std::fs::write(folder.join("a_test.rego"), "package a_test\n\ntest_no if 1 == 2\n").unwrap();
    let (status, out, _) = told(&remit(&format!("test {}", folder.display())));
    assert_eq!(status, Some(1), "{out}");
    assert!(out.contains("a_test.rego:3:\ndata.a_test.test_no: FAIL ("), "{out}");
    std::fs::remove_dir_all(folder).unwrap();

    let (status, out, error) = told(&remit(&format!("check --bundle {BUNDLE} --bundle {SCENARIO}")));
    assert_eq!((status, error.as_str()), (Some(0), ""));
    assert!(out.contains("catalog       6 MCP tools on 2 servers, 3 HTTP routes on 1 host\n"), "{out}");
    let (status, _, error) = told(&remit(&format!("check --config {SCENARIO}/config.json")));
    assert_eq!(status, Some(1), "{error}");
    assert!(error.contains("missing field `keys`"), "{error}");
    let (status, out, _) = told(&remit("check --schema config"));
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((status, schema["title"].as_str()), (Some(0), Some("Config")));
}

#[test]
fn an_inventory_is_taken() {
    let capture = format!("inventory {SCENARIO}/capture.jsonl --bundle {SCENARIO}");
    for (more, expected) in [
        ("", Some(0)),
        ("--fail-on unregistered,long-lived,malformed", Some(0)),
        ("--fail-on unclassified", Some(1)),
        ("--fail-on unregistered,unused-capability", Some(1)),
        ("--fail-on long-lived --max-lifetime 599", Some(1)),
    ] {
        let (status, out, error) = told(&remit(&format!("{capture} {more}")));
        assert_eq!((status, error.as_str()), (expected, ""), "{more}\n{out}");
        assert!(out.starts_with("16 records; 2026-03-18 14:02 to 2026-03-18 14:14\n"), "{out}");
    }
    let log = r#"[info][wasm] wasm log remit: {"audit":"remit.audit/1","time":"2026-03-18T14:02:00.000Z","outcome":"deny"}
[info][main] something else
{"audit":"remit.audit/1","time":7}
"#;
    let (status, out, _) = told(&remit_with("inventory - --format json --fail-on malformed", log));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(status, Some(1));
    assert_eq!((json["records"]["count"].as_u64(), json["without_identity"].as_u64()), (Some(1), Some(1)));
    assert_eq!((json["other_lines"].as_u64(), json["malformed_lines"].as_u64()), (Some(1), Some(1)));
    assert_eq!(
        (json["malformed"][0]["file"].as_str(), json["malformed"][0]["line"].as_u64()),
        (Some("-"), Some(3))
    );
    let (status, out, error) = told(&remit("inventory nowhere"));
    assert_eq!((status, out.as_str()), (Some(2), ""));
    assert!(error.contains("nowhere\n  No such file"), "{error}");
}

#[test]
fn tokens_are_minted_and_keys_stay_private() {
    let folder = folder("token");
    let key = folder.join("idp.key");
    let line = format!(
        "token --issuer https://idp --sub bea --aud https://tools --act agent --kid k1 --new-key {} --alg EdDSA",
        key.display()
    );
    let (status, token, error) = told(&remit(&line));
    assert_eq!((status, error.as_str()), (Some(0), ""));
    assert_eq!(token.trim().split('.').count(), 3);
    let (status, keys, _) = told(&remit(&format!("token keys --key {}", key.display())));
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    assert_eq!((status, keys["keys"][0]["kid"].as_str()), (Some(0), Some("k1")));
    assert!(keys["keys"][0].get("d").is_none());
    let (status, _, error) = told(&remit(&line));
    assert_eq!(status, Some(2), "a key is never overwritten");
    assert!(error.contains("exists"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn an_approver_sees_what_is_approved() {
    let folder = folder("approval");
    let key = folder.join("approvals.key");
    let make = format!("token --issuer a --sub s --aud a --new-key {} --alg ES256", key.display());
    assert!(remit(&make).status.success());
    let json = remit(&format!("replay {SCENARIO} --bundle {BUNDLE} --native --format json"));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let reply =
        json["exchanges"].as_array().unwrap().iter().find(|exchange| exchange["id"] == "publish").unwrap();
    let reply = reply["reply"].as_str().unwrap();
    let line = format!("token approval --challenge - --key {} --issuer a --approver mara", key.display());
    // The scenario plays in the past, so its challenge has expired; what it asks for is shown all the same.
    let (status, out, error) = told(&remit_with(&line, reply));
    assert_eq!((status, out.as_str()), (Some(2), ""), "{error}");
    for part in
        ["forum.reply.publish (publish)", "thread/t-4711", "all-engineering", "agent-analyst", "has expired"]
    {
        assert!(error.contains(part), "{part}\n{error}");
    }
    let (status, _, error) = told(&remit_with(&line, &reply.replace("ledger-readers", "ledger-writers")));
    assert_eq!(status, Some(2));
    assert!(error.contains("do not approve it"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_scenario_is_printed_for_a_filter_that_runs_elsewhere() {
    let keys = folder("scenario-keys");
    let line = format!(
        "scenario {SCENARIO} --bundle {BUNDLE} --algorithm EdDSA --tokens 3 --keys {}",
        keys.display()
    );
    let (status, document, error) = told(&remit(&line));
    assert_eq!((status, error.as_str()), (Some(0), ""));
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let issuer = &document["configuration"]["issuers"][0];
    assert_eq!(issuer["algorithms"], serde_json::json!(["EdDSA"]));
    assert_eq!(issuer["keys"]["inline"]["keys"][0]["crv"], "Ed25519");
    assert!(document["configuration"]["bundle"]["inline"].is_string());
    assert_eq!(document["calls"].as_array().map(Vec::len), Some(16));
    let call = &document["calls"][3];
    assert_eq!((call["method"].as_str(), call["path"].as_str()), (Some("POST"), Some("/mcp")));
    assert!(call["body"].as_str().unwrap().contains("read_thread") && call["token"].is_string());
    assert_eq!(document["calls"][10]["approval"]["kid"], "approvals-2026-03");
    let tokens: std::collections::BTreeSet<_> =
        document["tokens"].as_array().unwrap().iter().map(|token| token.as_str().unwrap()).collect();
    assert_eq!(tokens.len(), 3);
    assert!(keys.join("approvals-2026-03.jwk").is_file() && keys.join("idp-2026-03.jwk").is_file());
    std::fs::remove_dir_all(&keys).unwrap();
}
