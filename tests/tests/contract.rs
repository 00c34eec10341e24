//! The contract with policies that were written for opa-envoy-plugin, in the core, in the module, in Envoy, and beside the
//! real plugin.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::Path;
use std::process::Command;

use remit_harness::capture::Response;
use remit_harness::replay::{Native, Subject, WireRequest};
use remit_tests::contract::{Case, Group, Outcome, Pair, PairOptions, cases, grouped, native, wasm};
use remit_tests::proxy::compiled_module;
use remit_tests::world::{FORUM, THREAD, World, now, shipped_bundle};
use serde_json::{Value, json};
use xtask::go::OPA_ENVOY_PLUGIN;

/// What is different on purpose, with the reason; `policy-bundles/README.md` lists the same.
const DIFFERENCES: &[&str] = &[
    "content_encoding",
    "duplicate_keys",
    "error_text",
    "framing_headers",
    "json_depth",
    "multipart_plain",
    "not_utf8",
    "observe",
    "override_headers",
    "own_headers",
    "partial_body",
    "query_escapes",
    "repeated_headers",
    "surrogates",
];

fn groups() -> Vec<Group> {
    grouped(cases().unwrap())
}

/// Collects what does not hold, so that one run shows everything.
#[derive(Default)]
struct Failures(Vec<String>);

impl Failures {
    fn hold(&mut self, subject: &str, case: &Case, expect: &Value, outcome: &Outcome) {
        for difference in outcome.differences(expect) {
            self.0.push(format!("{subject} {}: {difference}", case.name));
        }
    }

    fn none(self) {
        assert!(self.0.is_empty(), "{} differences:\n{}", self.0.len(), self.0.join("\n"));
    }
}

#[test]
fn the_suite_is_whole() {
    let cases = cases().unwrap();
    assert!(cases.len() >= 150, "{}", cases.len());
    let mut named: Vec<&str> =
        cases.iter().filter_map(|case| Some(case.beside.as_ref()?.0.as_str())).collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named, DIFFERENCES, "every difference has a case, and every case a difference that is listed");
    let manual = std::fs::read_to_string(xtask::workspace::root().join("policy-bundles/README.md")).unwrap();
    for name in DIFFERENCES {
        assert!(manual.contains(&format!("`{name}`")), "{name} is not in the author's manual");
    }
    let (_, after) = manual.split_once("<!-- contract configuration -->").unwrap();
    let block = after.split("```").nth(1).unwrap().trim_start_matches("json");
    remit_core::config::Config::parse(block.as_bytes()).unwrap();
}

#[test]
fn natively() {
    let mut failures = Failures::default();
    for group in groups() {
        for (case, outcome) in native(&group).unwrap() {
            failures.hold("native", &case, &case.expect, &outcome);
        }
    }
    failures.none();
}

#[test]
fn in_the_module() {
    let module = compiled_module().unwrap();
    let mut failures = Failures::default();
    for group in groups() {
        for (case, outcome) in wasm(&module, &group).unwrap() {
            failures.hold("wasm", &case, &case.expect, &outcome);
        }
    }
    failures.none();
}

/// Cases that releases of opa-envoy-plugin before the one of the contract answer in another way.
const CHANGED_IN_1_19: [&str; 1] = ["body/a text over the limit"];

fn is_before_the_contract(plugin: &Path) -> bool {
    let output = Command::new(plugin).arg("version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.lines().find_map(|line| line.strip_prefix("Version: ")).unwrap();
    let (_, minor) = version.split_once('.').unwrap();
    let minor: u32 = minor.split('.').next().unwrap().parse().unwrap();
    version.starts_with("0.") || version.starts_with("1.") && minor < 19
}

/// The same Envoy, the same requests, once with Remit and once with opa-envoy-plugin: the same status, headers, body and
/// view of the upstream, but for what differs on purpose.
#[test]
fn in_envoy_and_beside_opa_envoy_plugin() {
    let groups = groups();
    let plugin = OPA_ENVOY_PLUGIN.find_or_skip();
    let compares = plugin.is_some();
    let is_older = plugin.as_deref().is_some_and(is_before_the_contract);
    let pair =
        Pair::start(&PairOptions { name: "contract", plugin, ..PairOptions::default() }, &groups).unwrap();
    let mut failures = Failures::default();
    let mut compared = 0_usize;
    for group in &groups {
        for case in &group.cases {
            let remit = pair.remit(group, case).unwrap();
            failures.hold("envoy", case, &case.expect, &remit);
            if !compares {
                continue;
            }
            if is_older && CHANGED_IN_1_19.contains(&case.name.as_str()) {
                println!("skipped: {} with an opa-envoy-plugin before 1.19", case.name);
                continue;
            }
            compared = compared.saturating_add(1);
            let opa = pair.opa(group, case).unwrap();
            match &case.beside {
                Some((_, expect)) => failures.hold("opa-envoy-plugin", case, expect, &opa),
                None if opa != remit => {
                    failures.hold("opa-envoy-plugin", case, &case.expect, &opa);
                    failures.0.push(format!("{}: remit {remit:?}\n  plugin {opa:?}", case.name));
                }
                None => {}
            }
        }
    }
    failures.none();
    println!("{compared} cases with opa-envoy-plugin");
    pair.finish().unwrap();
}

/// A configuration that lets a policy decide without a token lets nobody through whom the policy does not know.
#[test]
fn the_shipped_bundle_denies_whoever_has_no_token() {
    let world = World::new().unwrap();
    let changes = json!({"failures": {"token_missing": "decide_without"}});
    let configuration = world.config_with_bundle(&shipped_bundle().unwrap(), changes);
    let mut native = Native::new(&configuration, 1).unwrap();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    for (method, path, body) in [("GET", THREAD, ""), ("POST", "/mcp", &call), ("GET", "/elsewhere", "")] {
        let request = WireRequest {
            method: method.to_owned(),
            scheme: "https".to_owned(),
            authority: FORUM.to_owned(),
            path: path.to_owned(),
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: body.as_bytes().to_vec(),
        };
        let observed = native.carry(&request, &Response::default(), now()).unwrap();
        let audit = observed.audit.unwrap();
        assert_eq!(audit.outcome().map(|outcome| outcome.as_str()), Some("deny"), "{}", audit.line);
        assert!(observed.forwarded.is_none(), "{method} {path}");
        assert_eq!(audit.value()["token_missing"], true);
    }
}
