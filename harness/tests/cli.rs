//! The `remit` command as its users run it: output, and how it ends.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says where")]

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
        ("replay nowhere --native".to_owned(), "nowhere: No such file"),
        (format!("replay {SCENARIO} --native --bundle nowhere"), "nowhere: No such file"),
        (format!("replay {SCENARIO} --bundle {BUNDLE} --wasm Cargo.toml"), "Cargo.toml is not usable"),
        (
            format!("replay {SCENARIO} --bundle {BUNDLE} --native --config Cargo.toml"),
            "Cargo.toml: malformed JSON",
        ),
        (format!("replay Cargo.toml --bundle {BUNDLE}"), "Cargo.toml:1: malformed JSON"),
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
    assert_eq!(status, Some(2), "{out}");
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

/// Real OPA, where it is installed.
fn opa() -> Option<PathBuf> {
    let named = std::env::var_os("REMIT_OPA").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join("opa")));
    let opa = found.into_iter().find(|path| path.is_file());
    if opa.is_none() {
        eprintln!("skipped: no opa in PATH, and REMIT_OPA does not name one");
    }
    opa
}

/// Names and verdicts of tests and cases, and what of a coverage does not depend on columns.
fn essence(tests: &serde_json::Value) -> Vec<String> {
    fn cases(of: &serde_json::Value, above: &str, into: &mut Vec<String>) {
        for (name, case) in of.as_object().into_iter().flatten() {
            let name = format!("{above}/{name}");
            into.push(format!("{name} {}", case["fail"].as_bool().unwrap_or_default()));
            cases(&case["sub_results"], &name, into);
        }
    }
    let mut essence = Vec::new();
    for test in tests.as_array().unwrap() {
        let name = format!(
            "{} {}:{}",
            test["package"].as_str().unwrap(),
            test["name"].as_str().unwrap(),
            test["location"]["row"]
        );
        let flags = ["fail", "skip"].map(|flag| test[flag].as_bool().unwrap_or_default());
        essence.push(format!("{name} {flags:?} {}", test["error"].is_object()));
        cases(&test["sub_results"], &name, &mut essence);
    }
    essence.sort();
    essence
}

const CONVENTIONS: &str = "tests/policies/test-conventions";
/// `with` on builtins, functions, rules, data and input.
const MOCKS: &str = "tests/policies/test-mocks";

#[test]
fn tests_go_as_with_opa() {
    let Some(opa) = opa() else { return };
    for folder in [CONVENTIONS, MOCKS, BUNDLE] {
        let theirs = Command::new(&opa)
            .current_dir(root())
            .args(["test", "-b", "--format", "json", folder])
            .output()
            .unwrap();
        let ours = remit(&format!("test --format json {folder}"));
        assert_eq!(ours.status.code(), theirs.status.code(), "{folder}");
        let json = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).unwrap();
        assert_eq!(essence(&json(&ours.stdout)), essence(&json(&theirs.stdout)), "{folder}");
    }
    for (arguments, status) in [
        (format!("-r test_passes {CONVENTIONS}"), 0),
        (format!("-r nothing_of_this_name {CONVENTIONS}"), 0),
        (format!("-r todo_ {CONVENTIONS}"), 2),
        (format!("-z -r todo_ {CONVENTIONS}"), 0),
        ("nowhere".to_owned(), 1),
        (format!("--coverage --threshold 99 -r test_passes {CONVENTIONS}"), 2),
        (format!("--coverage --threshold 1 -r test_passes {CONVENTIONS}"), 0),
    ] {
        let theirs =
            Command::new(&opa).current_dir(root()).arg("test").args(arguments.split(' ')).output().unwrap();
        assert_eq!(theirs.status.code(), Some(status), "opa test {arguments}");
        assert_eq!(remit(&format!("test {arguments}")).status.code(), Some(status), "remit test {arguments}");
    }
}

/// The rows that OPA misses, less those that its index or its early exit keeps it from, which the interpreter looks at.
#[test]
fn the_same_lines_are_covered_as_with_opa() {
    let Some(opa) = opa() else { return };
    for (folder, run) in [(BUNDLE, "."), (CONVENTIONS, "passes|with_data|mocked")] {
        let json = |output: Output| serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap();
        let theirs = Command::new(&opa);
        let theirs =
            { theirs }.current_dir(root()).args(["test", "--coverage", "-r", run, folder]).output().unwrap();
        let (theirs, ours) =
            (json(theirs), json(remit(&format!("test --coverage --format json -r {run} {folder}"))));
        if run == "." {
            assert_eq!((theirs["coverage"].as_f64(), ours["coverage"].as_f64()), (Some(100.0), Some(100.0)));
        }
        let rows = |range: &serde_json::Value| {
            range["start"]["row"].as_u64().unwrap()..=range["end"]["row"].as_u64().unwrap()
        };
        for (path, file) in ours["files"].as_object().unwrap() {
            let missed = |file: &serde_json::Value, all: bool| -> std::collections::BTreeSet<u64> {
                let ranges = file["not_covered"].as_array().into_iter().flatten();
                ranges.filter(|range| all || range["kinds"].is_null()).flat_map(rows).collect()
            };
            let opa = &theirs["files"][path];
            let ours = missed(file, true);
            assert!(missed(opa, false).is_subset(&ours), "{path} {run}\n{ours:?}\n{opa:#}");
            assert!(ours.is_subset(&missed(opa, true)), "{path} {run}\n{ours:?}\n{opa:#}");
        }
    }
}

/// Laid over the shipped bundle: publishing needs nobody, and searching is denied.
const CHANGE: &str = "tests/policies/forum-change";

#[test]
fn two_bundles_are_compared() {
    let folder = folder("against");
    let (html, junit) = (folder.join("r.html"), folder.join("r.xml"));
    let line = format!(
        "replay {SCENARIO} --native --bundle {BUNDLE} --against {BUNDLE} --against {CHANGE} --html {} --junit {}",
        html.display(),
        junit.display()
    );
    let (status, table, error) = told(&remit(&line));
    assert_eq!((status, error.as_str()), (Some(1), ""), "{table}");
    for part in [
        "forum post (native): 6 of 16 requests change: 3 newly allowed, 1 newly denied, 2 not comparable\n",
        "+ search_closed      new  remit/authz/change.rego:8",
        "− publishes          old  remit/authz/approval.rego:8",
        "403 → 200  publish-rest",
    ] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 120), "{table}");
    let page = std::fs::read_to_string(&html).unwrap();
    assert!(page.contains("<h1>6 of 16 requests change</h1>") && !page.contains("<script"), "{page}");
    assert!(std::fs::read_to_string(&junit).unwrap().contains(r#"tests="16" failures="6""#));

    let (status, json, _) = told(&remit(&format!("{line} --format json")));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((status, json["changed"].as_u64(), json["requests"].as_u64()), (Some(1), Some(6), Some(16)));
    let search = json["exchanges"].as_array().unwrap().iter().find(|one| one["id"] == "search").unwrap();
    assert_eq!(
        (search["change"].as_str(), search["new"]["outcome"].as_str()),
        (Some("newly_denied"), Some("deny"))
    );
    assert_eq!(search["reasons_new"][0]["rule"], "remit/authz/change.rego:8");

    for scenario in ["forum-post", "bound", "delegation", "hostile", "key-rotation"] {
        let line = format!("replay tests/scenarios/{scenario} --native --against {BUNDLE}");
        let (status, table, error) = told(&remit(&line));
        assert_eq!((status, error.as_str()), (Some(0), ""), "{table}");
        assert!(table.contains("requests changes\n") && table.contains(": none of "), "{table}");
    }
    let (status, _, error) = told(&remit(&format!("replay {SCENARIO} --native --against nowhere")));
    assert_eq!(status, Some(2));
    assert!(error.contains("nowhere"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn junit_tells_what_is_not_as_expected() {
    let folder = folder("junit");
    let junit = folder.join("r.xml");
    let line =
        format!("replay {SCENARIO} --native --bundle {BUNDLE} --bundle {CHANGE} --junit {}", junit.display());
    let (status, table, error) = told(&remit(&line));
    assert_eq!((status, error.as_str()), (Some(1), ""), "{table}");
    let text = std::fs::read_to_string(&junit).unwrap();
    assert!(text.contains(r#"tests="16" failures="6" errors="0" skipped="0""#), "{text}");
    assert!(text.contains("outcome: expected allow, got deny"), "{text}");
    std::fs::remove_dir_all(folder).unwrap();
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
