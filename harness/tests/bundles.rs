//! The shipped bundles: described, tested line by line, and in the form that OPA's and Regal's rules ask for.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use remit_harness::annotations::annotations;

/// Each is loaded by itself.
const BUNDLES: [&str; 6] = [
    "policy-bundles/agent-baseline",
    "policy-bundles/mcp-starter",
    "policy-bundles/opa-envoy-compat/decision-object",
    "policy-bundles/opa-envoy-compat/quick-start",
    "policy-bundles/opa-envoy-compat/request-body",
    "policy-bundles/red-team/expectations",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn run(program: &Path, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(program).current_dir(root()).args(arguments).output().unwrap();
    let told =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, told)
}

fn remit() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_remit"))
}

/// A program that is not part of the build: named by the environment, else in `PATH`.
fn program(name: &str, variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os(variable).map(PathBuf::from);
    let found = named.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join(name)));
    let program = found.into_iter().find(|path| path.is_file());
    if program.is_none() {
        eprintln!("skipped: no {name} in PATH, and {variable} does not name one");
    }
    program
}

fn rego(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rego(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rego") {
            into.push(path);
        }
    }
}

#[test]
fn every_line_is_tested() {
    for bundle in BUNDLES {
        let (output, told) = run(&remit(), &["test", "--coverage", "--threshold", "100", bundle]);
        assert_eq!(output.status.code(), Some(0), "{bundle}\n{told}");
    }
}

#[test]
fn every_bundle_and_every_reason_is_described() {
    for bundle in BUNDLES {
        let folder = root().join(bundle);
        let readme = |folder: &Path| folder.join("README.md").is_file();
        assert!(readme(&folder) || readme(folder.parent().unwrap()), "{bundle} has no README.md");
        let mut files = Vec::new();
        rego(&folder, &mut files);
        let mut entrypoints = 0;
        for file in files.iter().filter(|file| !file.to_str().unwrap().ends_with("_test.rego")) {
            let text = std::fs::read_to_string(file).unwrap();
            let blocks = annotations(&file.display().to_string(), &text);
            assert!(!blocks.is_empty(), "{}: no METADATA", file.display());
            for block in &blocks {
                let place = format!("{}:{}", file.display(), block.line);
                assert!(
                    block.title.is_some() && block.description.is_some(),
                    "{place}: title and description"
                );
            }
            entrypoints += blocks.iter().filter(|block| block.is_entrypoint).count();
            for (line, text) in text.lines().enumerate() {
                let code = text.split_once(" contains \"").and_then(|(_, rest)| rest.split('"').next());
                let Some(code) = code.filter(|_| !text.starts_with([' ', '\t', '#'])) else { continue };
                let about = u32::try_from(line + 1).unwrap();
                let is_told = blocks
                    .iter()
                    .any(|block| block.about == about && block.reason_code.as_deref() == Some(code));
                assert!(is_told, "{}:{about}: {code} has no METADATA of its own", file.display());
            }
        }
        assert_eq!(entrypoints, 1, "{bundle}: one entrypoint");
    }
}

#[test]
fn nothing_is_found_by_ourselves() {
    for bundle in BUNDLES {
        let decision = match bundle {
            bundle if bundle.contains("opa-envoy") => "envoy/authz/allow",
            bundle if bundle.contains("red-team") => "red_team/authz/decision",
            _ => "remit/authz/decision",
        };
        let (output, told) =
            run(&remit(), &["check", "--strict", "--bundle", bundle, "--decision", decision]);
        assert_eq!(output.status.code(), Some(0), "{bundle}\n{told}");
    }
}

#[test]
fn opa_finds_nothing() {
    let Some(opa) = program("opa", "REMIT_OPA") else { return };
    let (output, told) = run(&opa, &["fmt", "--list", "policy-bundles"]);
    assert!(output.status.success() && told.is_empty(), "opa fmt --write:\n{told}");
    for bundle in BUNDLES {
        let (output, told) = run(&opa, &["check", "--strict", "--bundle", bundle]);
        assert!(output.status.success(), "{bundle}\n{told}");
    }
}

/// `opa check --schema` type-checks what policies read of the input.
#[test]
fn opa_accepts_the_schema_of_the_input() {
    let Some(opa) = program("opa", "REMIT_OPA") else { return };
    let schema = "policy-bundles/input.schema.json";
    for bundle in BUNDLES {
        let (output, told) = run(&opa, &["check", "--strict", "--schema", schema, "--bundle", bundle]);
        assert!(output.status.success(), "{bundle}\n{told}");
    }
    let folder = std::env::temp_dir().join(format!("remit-misspelt-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let policy = "package remit.authz\n\ndecision if input.remit.action.operaton == \"x\"\n";
    std::fs::write(folder.join("p.rego"), policy).unwrap();
    let (output, told) = run(&opa, &["check", "--schema", schema, folder.to_str().unwrap()]);
    assert!(!output.status.success() && told.contains("operaton"), "{told}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// What `opa build` evaluates in part is Rego, and decides here as what it was made of.
#[test]
fn what_opa_optimises_decides_the_same() {
    let Some(opa) = program("opa", "REMIT_OPA") else { return };
    let archive = std::env::temp_dir().join(format!("remit-optimised-{}.tar.gz", std::process::id()));
    let name = archive.to_str().unwrap();
    for level in ["1", "2"] {
        let bundle = ["build", "-b", BUNDLES[0], "-e", "remit/authz/decision", "-O", level, "-o", name];
        let (output, told) = run(&opa, &bundle);
        assert!(output.status.success(), "{told}");
        let replay = ["replay", "tests/scenarios/forum-post", "--native"];
        let sides = ["--bundle", BUNDLES[0], "--against", name];
        let (output, told) = run(&remit(), &[replay.as_slice(), &sides].concat());
        assert_eq!(output.status.code(), Some(0), "-O {level}\n{told}");
        assert!(told.contains("none of 16 requests changes"), "{told}");
    }
    std::fs::remove_file(archive).unwrap();
}

#[test]
fn what_is_built_is_what_was_asked_for() {
    let folder = std::env::temp_dir().join(format!("remit-built-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let out = folder.join("b.tar.gz");
    let out = out.to_str().unwrap();
    for (arguments, status, expected) in [
        (&["-e", "remit/authz/decision", "-O", "0", "-t", "rego"] as &[_], 0, ""),
        (&["-e", "remit/authz/decison"], 2, "entrypoint remit/authz/decison: policy: the bundle has no rule"),
        (&["-O", "1"], 2, "`opa build -O 1 -e …` first"),
        (&["-t", "wasm"], 2, "leave the target out"),
        (&["-t", "plan"], 2, "leave the target out"),
        (&["--delta", BUNDLES[0]], 2, "there is nothing to publish"),
        (&["--delta", BUNDLES[1]], 2, "publish the whole bundle"),
        (&["--delta", BUNDLES[0], "--signing-key", "x"], 2, "cannot be used with"),
    ] {
        let line = [&["bundle", "build", BUNDLES[0], "-o", out], arguments].concat();
        let (output, told) = run(&remit(), &line);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}\n{told}");
        assert!(told.contains(expected), "{arguments:?}\n{told}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn regal_finds_nothing() {
    let Some(regal) = program("regal", "REMIT_REGAL") else { return };
    let (output, told) = run(&regal, &["lint", "--format", "compact", "policy-bundles"]);
    assert!(output.status.success(), "{told}");
}

/// With the expectations beside the policy, and their decision.
const GUARDED: [&str; 4] =
    ["--bundle", "policy-bundles/red-team/expectations", "--config", "policy-bundles/red-team/guarded.json"];

#[test]
fn the_attacks_are_stopped_and_the_work_goes_on() {
    let line = ["replay", "policy-bundles/red-team", "--native"];
    let baseline = ["--bundle", "policy-bundles/agent-baseline"];
    for line in [&line[..], &[&line[..], &baseline, &GUARDED].concat()] {
        let (output, told) = run(&remit(), line);
        assert_eq!(output.status.code(), Some(0), "{told}");
    }
    // A policy that allows everything fails it, and so does one that denies everything.
    for (policy, expected) in [("true", "27 not as expected"), ("false", "8 not as expected")] {
        let folder = std::env::temp_dir().join(format!("remit-red-{policy}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("remit/authz")).unwrap();
        std::fs::write(folder.join(".manifest"), r#"{"roots": ["remit"]}"#).unwrap();
        std::fs::write(
            folder.join("remit/authz/p.rego"),
            format!("package remit.authz\n\ndecision := {policy}\n"),
        )
        .unwrap();
        let folder_name = folder.to_str().unwrap();
        let line = ["replay", "policy-bundles/red-team", "--native", "--bundle", folder_name];
        let (output, told) = run(&remit(), &line);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(expected), "{told}");
        // The expectations beside it stop what it lets through.
        let (output, told) = run(&remit(), &[&line[..], &GUARDED].concat());
        assert_eq!(output.status.code(), Some(if policy == "true" { 0 } else { 1 }), "{told}");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
