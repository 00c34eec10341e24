//! Tests of the findings, with `opa check --strict` as a second opinion where it has one.

use std::process::Command;

use super::*;
use crate::testing::Folder;

const HEAD: &str = "# METADATA\n# title: t\n# description: d\n# scope: package\npackage remit.authz\n\n# METADATA\n# title: t\n# description: d\n";

fn codes(policy: &str) -> Vec<String> {
    let folder = Folder::new(&[("p.rego", policy)]);
    let findings = lint(&[folder.path().to_owned()], "remit/authz/decision").unwrap();
    let prefix = format!("{}/", folder.path().display());
    findings.iter().map(|finding| finding.to_string().replace(&prefix, "")).collect()
}

#[test]
fn what_is_wrong_is_found() {
    for (body, expected) in [
        ("decision := true", &[] as &[&str]),
        ("decision if input.remit.now > 1", &["undefined-decision"]),
        ("default decision := false\n\ndecision if input.x", &["unknown-input: input never has x; see"]),
        (
            "decision := true\n\nr if input.remit.action.operaton",
            &["input.remit.action never has operaton; did you mean operation?"],
        ),
        (
            "decision := true\n\nr if input.remit.action.verb == \"improve\"",
            &["never-true: input.remit.action.verb is never \"improve\"; it is one of"],
        ),
        ("decision := true\n\nr if input.remit.action.verb == \"read\"", &[]),
        ("decision := true\n\nr if input.remit.action.arguments.any.thing", &[]),
        ("decision := true\n\nr if input.attributes.request.http.headers[\"x-y\"]", &[]),
        ("decision := true\n\nr if { some c in input.remit.action.counterparties; c.value }", &[]),
        ("decision := true\n\nr if { x := 1 }", &["unused-local: nothing refers to x"]),
        ("decision := true\n\nf(x) := 1", &["unused-local: nothing refers to x"]),
        ("decision := true\n\nf(x) := x", &[]),
        ("decision := true\n\nr if { every k, v in [1] { v } }", &["nothing refers to k"]),
        (
            "decision := true\n\nr contains \"why\" if true",
            &["missing-metadata: the reason \"why\" is not described"],
        ),
    ] {
        let found = codes(&format!("{HEAD}{body}\n"));
        assert_eq!(found.len(), expected.len(), "{body}\n{found:#?}");
        let mut rest = found.clone();
        for part in expected {
            let at = rest.iter().position(|finding| finding.contains(part));
            let at = at.unwrap_or_else(|| panic!("{part}\n{found:#?}"));
            rest.remove(at);
        }
    }
    let found = codes(
        "package remit.authz\nimport input.remit.action\nimport data.action\ndecision := action.operaton\n",
    );
    for part in [
        "p.rego:1:1: missing-metadata",
        "duplicate-import",
        "the decision is not described",
        "did you mean operation?",
    ] {
        assert!(found.iter().any(|finding| finding.contains(part)), "{part}\n{found:#?}");
    }
}

/// Policies of which OPA's strict mode says the same.
#[test]
fn strict_mode_is_as_opa_has_it() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::var_os("REMIT_OPA").map(PathBuf::from);
    let found = named.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join("opa")));
    let Some(opa) = found.into_iter().find(|path| path.is_file()) else {
        eprintln!("skipped: no opa in PATH, and REMIT_OPA does not name one");
        return;
    };
    let strict = [
        Code::DuplicateImport,
        Code::UnusedImport,
        Code::UnusedLocal,
        Code::ShadowedDocument,
        Code::DeprecatedBuiltin,
    ];
    for (body, is_good) in [
        ("r := 1", true),
        ("import data.x\nr := 1", false),
        ("import data.x\nr := x.y", true),
        ("import data.x as y\nr := y", true),
        ("import data.x\nimport data.y.x\nr := x", false),
        ("r if { x := 1 }", false),
        ("r if { x := 1; x > 0 }", true),
        ("r if { some x in [1]; x > 0 }", true),
        ("r if { some x in [1] }", true),
        ("r if { every x in [1] { true } }", false),
        ("r if { every k, x in [1] { x > 0 } }", false),
        ("r if { some x; true }", false),
        ("r if { some x; x = 1 }", true),
        ("r if { [x, y] := [1, 2]; x > 0 }", false),
        ("r if any([true])", false),
        ("r if { some k, v in [1]; k == v }", true),
        ("r if { every x in [1] { x > 0 } }", true),
        ("f(x) := 1", false),
        ("f(x) := x", true),
        ("f(_) := 1", true),
        ("r := [y | some x in [1]; y := x]", true),
        ("r := [1 | x := 1]", false),
        ("r := {x: y | some x, y in {\"a\": 1}}", true),
        ("r contains x if some x in [1]", true),
        ("r[x] := 1 if some x in [1]", true),
        ("f([x, y]) := x", false),
        ("r if { [x, _] := [1, 2]; x > 0 }", true),
    ] {
        let text = format!("package a\n\n{body}\n");
        let folder = Folder::new(&[("p.rego", &text)]);
        let findings = lint(&[folder.path().to_owned()], "a/r").unwrap();
        let ours = !findings.iter().any(|finding| strict.contains(&finding.code));
        let theirs = Command::new(&opa).args(["check", "--strict"]).arg(folder.path()).output().unwrap();
        assert_eq!(theirs.status.success(), is_good, "{body}\n{}", String::from_utf8_lossy(&theirs.stderr));
        assert_eq!(ours, is_good, "{body}\n{findings:#?}");
    }
}
