//! What the manuals show is what there is: the configuration, the catalog, the inventory, and the table of the demo.
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

#[test]
fn the_inventory_is_what_the_command_prints() {
    let manual = std::fs::read_to_string(root().join(COMMAND)).unwrap();
    let (_, rest) = manual.split_once("<!-- inventory: remit ").unwrap();
    let (line, _) = rest.split_once(" -->").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_remit"));
    let output = command.current_dir(root()).args(line.split(' ')).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), block(COMMAND, "<!-- inventory: remit "));
    assert_eq!(output.status.code(), Some(0));
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
