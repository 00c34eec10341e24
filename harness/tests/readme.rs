//! What the manuals show is what there is: the configuration, the catalog, what commands print, and the table of the demo.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use remit_core::action::Catalog;
use remit_core::config::Config;
use remit_core::registry::Registry;
use remit_core::revocation::Revocations;
use remit_harness::replay::report::Style;
use remit_harness::replay::{Native, replay};
use remit_harness::scenario::Scenario;
use serde_json::Value;

const OPERATOR: &str = "envoy/README.md";
const AUTHOR: &str = "policy-bundles/README.md";
const COMMAND: &str = "harness/README.md";

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The fenced block that follows a line of a document.
fn block(document: &str, after: &str) -> String {
    let text = std::fs::read_to_string(root().join(document)).unwrap();
    let (_, rest) = text.split_once(after).unwrap_or_else(|| panic!("{document} has no {after:?}"));
    let (_, rest) = rest.split_once("```").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// Without what differs from run to run: the latency, and which host it was.
fn steady(table: &str) -> Vec<String> {
    let cut = |line: &str| {
        if line.starts_with(['✓', '✗', ' ']) && line.chars().count() > 112 {
            line.chars().take(112).collect::<String>().trim_end().to_owned()
        } else {
            line.split(" (").next().unwrap_or_default().trim_end().to_owned()
        }
    };
    table.lines().map(cut).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_configuration_is_valid() {
    Config::parse(block(OPERATOR, "<!-- configuration -->").as_bytes()).unwrap();
}

#[test]
fn the_parts_of_a_configuration_are_valid() {
    let whole: Value = serde_json::from_str(&block(OPERATOR, "<!-- configuration -->")).unwrap();
    let text = std::fs::read_to_string(root().join(OPERATOR)).unwrap();
    for (_, rest) in text.match_indices("<!-- configuration: ").map(|(at, _)| text.split_at(at)) {
        let mark = rest.lines().next().unwrap();
        let part: Value = serde_json::from_str(&block(OPERATOR, mark)).unwrap();
        let mut config = whole.clone();
        if part.get("bundles").is_some() || part.get("discovery").is_some() {
            config.as_object_mut().unwrap().remove("bundle");
        }
        config.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        let parsed = Config::parse(config.to_string().as_bytes());
        assert!(parsed.is_ok(), "{mark}: {}", parsed.unwrap_err());
    }
}

#[test]
fn the_catalog_is_valid() {
    let document: Value = serde_json::from_str(&block(AUTHOR, "## Catalog and registry")).unwrap();
    Catalog::parse(document.pointer("/remit/catalog").cloned()).unwrap();
    assert_eq!(Registry::parse(document.pointer("/remit/registry"), 1).unwrap().count(), 1);
    let document: Value = serde_json::from_str(&block(AUTHOR, "## Kill list")).unwrap();
    assert_eq!(Revocations::parse(document.pointer("/remit/revoked"), 7).unwrap().count(), 7);
}

/// Without times: `(12µs)` and `(1.5ms)` become `()`.
fn timeless(text: &str) -> String {
    let is_time = |inside: &str| {
        let number = inside.strip_suffix("µs").or_else(|| inside.strip_suffix("ms"));
        number.is_some_and(|number| number.chars().all(|c| c.is_ascii_digit() || c == '.'))
    };
    let pieces = text.split_inclusive('(').map(|piece| match piece.split_once(')') {
        Some((inside, rest)) if is_time(inside) => format!("){rest}"),
        _ => piece.to_owned(),
    });
    pieces.collect()
}

#[test]
fn what_commands_print_is_what_they_print() {
    let mut count = 0;
    for document in [AUTHOR, COMMAND] {
        let manual = std::fs::read_to_string(root().join(document)).unwrap();
        for part in manual.split("<!-- output: remit ").skip(1) {
            let (line, _) = part.split_once(" -->").unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_remit"));
            let output = command.current_dir(root()).args(line.split(' ')).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0..=2)), "remit {line}\n{error}");
            let printed = String::from_utf8(output.stdout).unwrap();
            let shown = block(document, &format!("<!-- output: remit {line} -->"));
            assert!(timeless(&printed) == timeless(&shown), "{document}: remit {line}\n{printed}");
            count += 1;
        }
    }
    assert!(count > 1);
}

#[test]
fn the_table_is_what_the_demo_prints() {
    let mut scenario = Scenario::load(&root().join("tests/scenarios/forum-post")).unwrap();
    let config = scenario.plugin_config();
    let mut subject = Native::new(&config, 1).unwrap();
    let mut played = replay(&mut scenario, &mut subject).unwrap();
    // A busy machine takes longer, and a wider column for it.
    played.exchanges.iter_mut().for_each(|exchange| exchange.observed.added = Duration::ZERO);
    assert_eq!(steady(&block("README.md", "<!-- demo -->")), steady(&played.table(Style::default())));
}
