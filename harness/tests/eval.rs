//! `remit eval` and `remit bench` as authors run them: decisions, explanations, and what is said when there is none.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::process::Command;

const SCENARIO: &str = "tests/scenarios/forum-post";
const BUNDLE: &str = "policy-bundles/agent-baseline";

const POLICY: &str = r#"package p

default decision := {"allowed": false, "reasons": ["nobody"], "headers": {"x-why": "nobody"}}

decision := {"allowed": true, "reasons": ["member"]} if input.user in data.users

level := 1 if input.a

default twice := 0

twice := 1 if input.a

twice := 2 if input.b

loops := count([x | some x in numbers.range(1, 1000); some y in numbers.range(1, 1000); x == y])
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn remit(line: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remit"));
    let output = command.current_dir(root()).args(line.split_whitespace()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("remit-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("b")).unwrap();
    std::fs::write(folder.join("b/p.rego"), POLICY).unwrap();
    std::fs::write(folder.join("b/data.json"), r#"{"users": ["a"]}"#).unwrap();
    folder
}

#[test]
fn a_rule_is_evaluated_on_an_input() {
    let folder = folder("eval");
    let file = folder.join("input.json");
    let line = format!("eval --bundle {}/b --input {}", folder.display(), file.display());
    for (input, more, expected, part) in [
        (r#"{"user": "a"}"#, "--decision p/decision", Some(0), "outcome     allow\nreasons     member\n"),
        (r#"{"user": "b"}"#, "--decision data.p.decision", Some(0), "x-why"),
        (r#"{"user": "b"}"#, "--decision p/decision --explain", Some(0), "default data.p.decision  p.rego:3"),
        (r#"{"a": 1}"#, "--decision p/twice --format raw", Some(0), "1\n"),
        (r#"{"a": 1}"#, "--decision p/level", Some(0), "no decision: "),
        (r#"{}"#, "--decision p/level", Some(2), "p.rego:7: data.p.level is undefined"),
        (r#"{"a": 1, "b": 1}"#, "--decision p/twice", Some(2), "p.rego:13"),
        (r#"{}"#, "--decision p/loops", Some(2), "p.rego:15: data.p.loops: the policy ran for more than"),
        (r#"{}"#, "--decision p/none", Some(2), "p/none"),
        (r#"{"#, "--decision p/level", Some(2), "input.json"),
    ] {
        std::fs::write(&file, input).unwrap();
        let (status, out, error) = remit(&format!("{line} {more}"));
        assert_eq!(status, expected, "{more}\n{out}{error}");
        let said = if expected == Some(0) { &out } else { &error };
        assert!(said.contains(part), "{more}: {part}\n{out}{error}");
        assert!(!out.contains('\u{1b}'), "no colours where there is no terminal");
    }
    std::fs::write(&file, r#"{"user": "b"}"#).unwrap();
    let (_, out, _) = remit(&format!("{line} --decision p/decision --explain --format json"));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((json["outcome"].as_str(), json["engine"].as_str()), (Some("deny"), Some("bytecode")));
    assert_eq!(json["held"][0]["value"]["headers"]["x-why"], "nobody", "{out}");
    assert_eq!(
        (json["held"][0]["default"].as_bool(), json["held"][0]["line"].as_u64()),
        (Some(true), Some(3))
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_request_of_a_capture_is_evaluated_as_it_was_decided() {
    let (_, out, _) = remit(&format!("replay {SCENARIO} --bundle {BUNDLE} --native --format json"));
    let replayed: serde_json::Value = serde_json::from_str(&out).unwrap();
    let exchanges = replayed["exchanges"].as_array().unwrap();
    for id in ["publish", "publish-approved", "unknown-tool"] {
        let exchange = exchanges.iter().find(|exchange| exchange["id"] == id).unwrap();
        let (status, out, error) =
            remit(&format!("eval {SCENARIO} --bundle {BUNDLE} --exchange {id} --explain --format json"));
        assert_eq!(status, Some(0), "{id}: {error}");
        let evaluated: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(evaluated["outcome"], exchange["audit"]["outcome"], "{id}");
        assert_eq!(evaluated["reasons"], exchange["audit"]["reasons"], "{id}");
        assert!(!evaluated["held"].as_array().unwrap().is_empty(), "{id}");
    }
    let (status, _, error) = remit(&format!("eval {SCENARIO} --bundle {BUNDLE} --exchange nothing"));
    assert_eq!(status, Some(2));
    assert!(error.contains("no exchange \"nothing\""), "{error}");
    let (status, _, error) =
        remit(&format!("eval {SCENARIO} --bundle {BUNDLE} --exchange approval-replayed"));
    assert_eq!(status, Some(2));
    assert!(error.contains("the policy is not asked"), "{error}");
}

#[test]
fn each_rule_is_measured() {
    let folder = folder("bench");
    let file = folder.join("input.json");
    std::fs::write(&file, r#"{"user": "a", "a": 1}"#).unwrap();
    let line = format!(
        "bench --bundle {}/b --input {} --decision p/decision --runs 3",
        folder.display(),
        file.display()
    );
    let (status, out, error) = remit(&line);
    assert_eq!((status, error.as_str()), (Some(0), ""), "{out}");
    for part in [
        "data.p.decision  p.rego:3",
        "100 %",
        "data.p.level",
        "ran for more than",
        "3 runs of each rule on 1 input",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert!(out.lines().all(|line| line.chars().count() <= 120) && !out.contains('\u{1b}'), "{out}");
    let (_, out, _) = remit(&format!("{line} --input {} --format json", file.display()));
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((json["runs"].as_u64(), json["inputs"].as_u64()), (Some(3), Some(2)));
    assert_eq!(json["decision"]["engine"], "bytecode");
    let rules = json["rules"].as_array().unwrap();
    let names: std::collections::BTreeSet<_> =
        rules.iter().map(|rule| rule["rule"].as_str().unwrap()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["data.p.level", "data.p.loops", "data.p.twice"]);
    assert!(rules.iter().all(|rule| rule["median_us"].is_number() != rule["error"].is_string()), "{out}");
    let (status, _, error) = remit(&line.replace("p/decision", "p/loops"));
    assert_eq!(status, Some(2));
    assert!(error.contains("data.p.loops: the policy ran for more than"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}
