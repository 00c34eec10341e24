//! What a configuration has to say who asks is in no output of the command, whatever is wrong with the rest.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

const SCENARIO: &str = "tests/scenarios/forum-post";
const BUNDLE: &str = "policy-bundles/agent-baseline";
/// As they stand in the configuration, and of the number the digits alone.
const SECRETS: [&str; 4] =
    ["s3cret-bearer", "s3cret-header", "s3cret-key-of-thirty-two-bytes-or-more", "531800805318008"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Runs the command, and gives its status and all that it said.
fn remit(line: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_remit"))
        .current_dir(root())
        .args(line.split_whitespace())
        .env_remove("REMIT_WASM")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

fn shows_none(text: &str, what: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} shows {secret}:\n{text}");
    }
}

/// The configuration of the scenario, and credentials wherever it can have some.
fn configuration() -> Value {
    let text = std::fs::read(root().join(SCENARIO).join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&text).unwrap();
    let http = || {
        json!({"cluster": "c", "authority": "a.example", "path": "/x", "timeout_ms": 900,
            "headers": {"x-api-key": SECRETS[1]}, "credentials": {"bearer": {"token": SECRETS[0]}}})
    };
    config["issuers"][0]["keys"] = json!({"http": http()});
    config["issuers"][0]["status_lists"] = json!([{"uri": "https://l.example", "http": http()}]);
    config["approvals"]["issuers"][0]["keys"] = json!({"discovery": http()});
    config["keys"] = json!({"ci": {"algorithm": "HS256", "key": SECRETS[2]}});
    config["bundle"] = json!({"http": http(), "signing": {"keyid": "ci"}});
    config["candidate"] = json!({"bundle": {"http": http()}});
    config["status"] = http();
    config["status"]["interval_seconds"] = json!(60);
    config
}

/// The same with something else at a place, and what is said of it.
fn faults() -> Vec<(&'static str, Value, &'static str)> {
    let bearer = |token: Value| json!({"bearer": {"token": token}});
    let number: Value = serde_json::from_str(SECRETS[3]).unwrap();
    vec![
        ("/bundle/http/credentials", bearer(json!(format!("{} ", SECRETS[0]))), "credentials.bearer.token"),
        ("/bundle/http/credentials", bearer(number.clone()), "/bundle/http/credentials/bearer/token"),
        ("/bundle/http/credentials", bearer(json!([SECRETS[0]])), "/bundle/http/credentials/bearer/token"),
        ("/bundle/http/credentials", json!({"bearer": SECRETS[0]}), "/bundle/http/credentials/bearer"),
        ("/bundle/http/credentials", json!(SECRETS[0]), "/bundle/http/credentials"),
        ("/bundle/http/headers", json!({"x-api-key": format!("{}\n", SECRETS[1])}), "headers: values"),
        ("/bundle/http/headers", json!({"x-api-key": number}), "/bundle/http/headers/x-api-key"),
        ("/bundle/http/headers", json!([SECRETS[1]]), "/bundle/http/headers"),
        ("/bundle/http/headers", json!(SECRETS[1]), "/bundle/http/headers"),
        ("/bundle/http/headers", json!({"authorization": SECRETS[1]}), "credentials: `authorization`"),
        ("/bundle/http", json!(SECRETS[0]), "/bundle/http"),
        ("/bundle/http/timeout_ms", json!(0), "timeout_ms"),
        ("/bundle/signing", json!({"keyid": "other"}), "none of the `keys`"),
        ("/issuers/0/keys", json!(SECRETS[2]), "/issuers/0/keys"),
        ("/issuers/0/keys", json!({"secret": SECRETS[2]}), "/issuers/0"),
        ("/issuers/0/keys", json!({"inline": SECRETS[2]}), "/issuers/0/keys"),
        ("/keys/ci", json!(SECRETS[2]), "/keys/ci"),
        ("/keys/ci", json!({"key": SECRETS[2]}), "/keys"),
        ("/keys/ci", json!({"key": SECRETS[2], "algorithm": SECRETS[2]}), "/keys/ci/algorithm"),
        ("/status/credentials", bearer(json!("")), "/status"),
        ("/status/interval_seconds", json!(SECRETS[0]), "/status/interval_seconds"),
        ("/mode", json!(SECRETS[0]), "/mode"),
    ]
}

#[test]
fn neither_checks_nor_replays_show_who_asks() {
    let folder = std::env::temp_dir().join(format!("remit-secrets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("config.json");
    let write = |config: &Value| std::fs::write(&file, config.to_string()).unwrap();
    let check = |more: &str| remit(&format!("check --config {} {more}", file.display()));

    let config = configuration();
    write(&config);
    for more in ["", "--format json", "--bundle policy-bundles/agent-baseline --strict --format json"] {
        let (status, said) = check(more);
        assert_eq!(status, Some(0), "{said}");
        shows_none(&said, more);
    }
    let (html, junit) = (folder.join("report.html"), folder.join("report.xml"));
    for more in ["", "--format json", "--against policy-bundles/agent-baseline"] {
        let (html, junit, file) = (html.display(), junit.display(), file.display());
        let line = format!(
            "replay {SCENARIO} --native --bundle {BUNDLE} --config {file} --html {html} --junit {junit} {more}"
        );
        let (status, said) = remit(&line);
        assert_eq!(status, Some(0), "{said}");
        shows_none(&said, &line);
    }
    for report in [html, junit] {
        shows_none(&std::fs::read_to_string(&report).unwrap(), &report.display().to_string());
    }

    for (at, value, expected) in faults() {
        let mut broken = config.clone();
        *broken.pointer_mut(at).unwrap() = value;
        write(&broken);
        for more in ["", "--format json"] {
            let (status, said) = check(more);
            assert!(status == Some(1) && said.contains(expected), "{at}: {said}");
            shows_none(&said, at);
        }
    }
    // Cut off in the middle, as an editor or a template leaves it.
    let text = config.to_string();
    for (at, _) in text.match_indices("s3cret") {
        std::fs::write(&file, &text[..at + 8]).unwrap();
        let (status, said) = check("");
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("malformed JSON") && !said.contains("s3cret"), "{said}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
