//! Tests of the findings, with `opa check --strict` as a second opinion where it has one.

use std::process::Command;

use super::*;
use crate::testing::Folder;

const HEAD: &str = "# METADATA\n# title: t\n# description: d\n# scope: package\npackage remit.authz\n\n# METADATA\n# title: t\n# description: d\n# entrypoint: true\n";

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
        (
            "decision if input.remit.now > 1",
            &["undefined-decision: the decision can be undefined: data.remit.authz.decision"],
        ),
        ("default decision := false\n\ndecision if input.x", &["unknown-input: input never has x; see"]),
        (
            "decision := [r | r]\n\nr if input.remit.action.operaton",
            &["input.remit.action never has operaton; did you mean operation?"],
        ),
        (
            "decision := [r | r]\n\nr if input.remit.action.verb == \"improve\"",
            &["never-true: input.remit.action.verb is never \"improve\"; it is one of"],
        ),
        ("decision := [r | r]\n\nr if input.remit.action.verb == \"read\"", &[]),
        ("decision := [r | r]\n\nr if input.remit.action.arguments.any.thing", &[]),
        ("decision := [r | r]\n\nr if input.attributes.request.http.headers[\"x-y\"]", &[]),
        ("decision := [r | r]\n\nr if { some c in input.remit.action.counterparties; c.value }", &[]),
        ("decision := [r | r]\n\nr if { x := 1 }", &["unused-local: nothing refers to x"]),
        ("decision := [y | y := f(1)]\n\nf(x) := 1", &["unused-local: nothing refers to x"]),
        ("decision := [y | y := f(1)]\n\nf(x) := x", &[]),
        ("decision := [r | r]\n\nr if { every k, v in [1] { v } }", &["nothing refers to k"]),
        (
            "decision := [r | r]\n\nr contains \"why\" if true",
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

/// Each fault as an author plants it, after `default decision := false`: the line, the code and a part of what is said.
#[test]
fn every_planted_fault_is_found() {
    const FAULTS: &[(&str, u32, &str, &str)] = &[
        // Names.
        ("decision if input.remit.acton.verb == \"read\"", 1, "unknown-input", "did you mean action?"),
        (
            "decision if {\n\tinput.attributes.request.http.metod == \"GET\"\n}",
            2,
            "unknown-input",
            "did you mean method?",
        ),
        (
            "decision if {\n\tact := input.remit.action\n\tact.operaton == \"x\"\n}",
            3,
            "unknown-input",
            "did you mean operation?",
        ),
        (
            "decision if {\n\tsome p in input.remit.delegation.chain\n\tp.suf == \"x\"\n}",
            3,
            "unknown-input",
            "did you mean sub?",
        ),
        // Kinds.
        (
            "decision if input.remit.now == \"5\"",
            1,
            "wrong-type",
            "input.remit.now is a number, and \"5\" is a string",
        ),
        ("decision if input.remit.now > \"5\"", 1, "wrong-type", "is a number"),
        ("decision if input.parsed_path == \"a\"", 1, "wrong-type", "is an array"),
        ("decision if input.parsed_path[0] == 1", 1, "wrong-type", "is a string"),
        ("decision if input.remit.action.classified == \"true\"", 1, "wrong-type", "is a boolean"),
        ("decision if \"a\" == 1", 1, "wrong-type", "of one kind"),
        ("decision if startswith(input.remit.now, \"1\")", 1, "wrong-type", "startswith takes a string"),
        ("decision if count(input.remit.now) > 1", 1, "wrong-type", "count takes"),
        ("decision if lower(input.parsed_path) == \"a\"", 1, "wrong-type", "lower takes a string"),
        ("decision if count(input.parsed_path) == \"1\"", 1, "wrong-type", "is a number"),
        ("decision if {\n\tsome x in input.remit.mode\n\tx == 1\n}", 2, "wrong-type", "has no elements"),
        ("decision if \"a\" in input.remit.mode", 1, "wrong-type", "has no elements"),
        ("decision if 1 in input.remit.token.aud", 1, "wrong-type", "1 is a number"),
        ("decision if every p in input.remit.now { p > 1 }", 1, "wrong-type", "has no elements"),
        // Values.
        (
            "decision if input.remit.action.verb == \"improve\"",
            1,
            "never-true",
            "it is one of answer, create",
        ),
        ("decision if input.remit.action.verb = \"improve\"", 1, "never-true", "never \"improve\""),
        ("decision if \"improve\" == input.remit.action.verb", 1, "never-true", "never \"improve\""),
        (
            "decision if input.remit.action.verb in {\"improve\", \"destroy\"}",
            1,
            "never-true",
            "it is one of",
        ),
        (
            "decision if {\n\tv := input.remit.action.verb\n\tv == \"improve\"\n}",
            3,
            "never-true",
            "v is never",
        ),
        ("decision if not input.remit.mode == \"enforced\"", 1, "never-true", "enforce, observe"),
        ("decision if input.remit.mode != \"enforced\"", 1, "always-true", "enforce, observe"),
        (
            "decision if outcome == \"alow\"\n\ndefault outcome := \"deny\"\n\noutcome := \"allow\" if input.remit.now > 1",
            1,
            "never-true",
            "it is one of allow, deny",
        ),
        ("decision if count(input.parsed_path) < 0", 1, "never-true", "never less than 0"),
        ("decision if input.remit.now == -1", 1, "never-true", "at least 0"),
        ("decision if false", 1, "never-true", "always false"),
        ("decision if 1 == 2", 1, "never-true", "never"),
        ("decision if not true", 1, "never-true", "never holds"),
        (
            "decision if {\n\tinput.remit.mode == \"enforce\"\n\tinput.remit.mode == \"observe\"\n}",
            3,
            "never-true",
            "enforce here already",
        ),
        (
            "decision if {\n\tinput.remit.action.tool == \"a\"\n\tinput.remit.action.tool in {\"b\", \"c\"}\n}",
            3,
            "never-true",
            "a here already",
        ),
        // What is never reached.
        (
            "decision if input.remit.now > 1\n\nforgotten if input.remit.now > 3",
            3,
            "unreachable-rule",
            "data.remit.authz.forgotten",
        ),
        (
            "decision if f(1)\n\nf(x) if g(x)\n\ng(x) if x > 0\n\nh(x) if g(x)",
            7,
            "unreachable-rule",
            "data.remit.authz.h",
        ),
        // Metadata.
        (
            "# METADATA\n# title: t\n# custom:\n#   reason_code: othr\ndenials contains \"other\" if true\n\ndecision if count(denials) == 1",
            5,
            "missing-metadata",
            "announced as \"othr\"",
        ),
        (
            "# METADATA\n# title: t\ndenials contains \"other\" if true\n\ndecision if count(denials) == 1",
            3,
            "missing-metadata",
            "reason_code: other",
        ),
        (
            "# METADATA\n# custom:\n#   reason_code: other\ndenials contains \"other\" if true\n\ndecision if count(denials) == 1",
            4,
            "missing-metadata",
            "add `# title: …`",
        ),
        (
            "denials contains \"other\" if true\n\ndecision if count(denials) == 1",
            1,
            "missing-metadata",
            "not described",
        ),
        // OPA's strict mode.
        ("decision if {\n\tx := 1\n\tinput.remit.now > 1\n}", 2, "unused-local", "nothing refers to x"),
        (
            "decision if {\n\tx := 1\n} else if {\n\tx := 2\n\tx > 1\n}",
            2,
            "unused-local",
            "nothing refers to x",
        ),
        ("decision if count([1 | x := 1]) > 0", 1, "unused-local", "nothing refers to x"),
        ("decision if f(1)\n\nf(input) := input", 3, "shadowed-document", "input"),
    ];
    let lines = HEAD.lines().count();
    for (body, line, code, part) in FAULTS {
        let found = codes(&format!("{HEAD}default decision := false\n\n{body}\n"));
        let place = format!("p.rego:{}:", lines + 2 + usize::try_from(*line).unwrap());
        let is_it = |finding: &String| {
            finding.starts_with(&place) && finding.contains(&format!(": {code}: ")) && finding.contains(part)
        };
        assert!(found.iter().any(is_it), "{body}\n{place} {code} {part}\n{found:#?}");
        assert_eq!(found.len(), 1, "{body}\n{found:#?}");
    }
}

/// What stands above the decision, or the decision itself.
#[test]
fn faults_of_modules_are_found() {
    let decision = "# METADATA\n# title: t\n# entrypoint: true\n";
    let package = "# METADATA\n# title: t\npackage remit.authz\n";
    for (text, expected) in [
        (
            format!("package remit.authz\n{decision}decision := true\n"),
            "p.rego:1:1: missing-metadata: the package remit.authz",
        ),
        (
            format!("{package}decision := true\n"),
            "p.rego:4:1: missing-metadata: the decision is not described",
        ),
        (
            format!("{package}# METADATA\n# title: t\ndecision := true\n"),
            "p.rego:6:1: missing-metadata: the decision is not marked as what is asked for; add `# entrypoint: true`",
        ),
        (
            format!("{package}import data.a\n{decision}decision := true\n"),
            "p.rego:4:1: unused-import: nothing refers to data.a",
        ),
        (
            format!("{package}import data.a\n{decision}decision := [a | a := 1; a > 0]\n"),
            "p.rego:4:1: unused-import: nothing refers to data.a",
        ),
        (
            format!("{package}import data.a\nimport data.b.a\n{decision}decision := [a]\n"),
            "p.rego:5:1: duplicate-import: the name a is imported already",
        ),
        (
            format!("{package}import data.a\n{decision}decision := [a]\n\na := 1\n"),
            "p.rego:10:1: shadowed-import: the rule a",
        ),
        (
            format!("{package}import data.a\n{decision}decision := [a | f(a)]\n\nf(a) := a\n"),
            "p.rego:10:3: shadowed-import: the variable a hides an import",
        ),
        (
            format!("{package}import data.a as data\n{decision}decision := [x | x := data.x]\n"),
            "p.rego:4:1: shadowed-document: the import hides the document data",
        ),
        // Decisions that can be undefined.
        (
            format!(
                "{package}{decision}decision := {{\"allowed\": allow}}\n\nallow if input.remit.now > 1\n"
            ),
            "p.rego:9:1: undefined-decision: the decision can be undefined: data.remit.authz.allow is undefined where",
        ),
        (
            format!("{package}{decision}decision := input.parsed_body.allowed\n"),
            "p.rego:7:30: undefined-decision: the decision can be undefined: not every input has input.parsed_body.allowed",
        ),
        (
            format!(
                "{package}{decision}decision := true if input.remit.now > 1\n\ndecision := false if input.remit.now < 1\n"
            ),
            "undefined-decision: the decision can be undefined: data.remit.authz.decision is undefined where",
        ),
        (
            format!("{package}{decision}decision := f(input.remit.now)\n\nf(x) := true if x > 1\n"),
            "undefined-decision: the decision can be undefined: data.remit.authz.f is undefined for some arguments",
        ),
        (
            format!(
                "{package}{decision}decision := a if o == \"x\"\n\ndecision := a if o == \"y\"\n\na := true\n\ndefault o := \"x\"\n\no := \"y\" if input.remit.now > 1\n\no := \"z\" if input.remit.now > 2\n"
            ),
            "undefined-decision",
        ),
    ] {
        let found = codes(&text);
        assert!(found.iter().any(|finding| finding.contains(expected)), "{text}\n{expected}\n{found:#?}");
    }
    for rest in [
        "decision := {\"allowed\": allow}\n\ndefault allow := false\n\nallow if input.remit.now > 1\n",
        "decision := d if {\n\td := {\"allowed\": count(denials) == 0}\n}\n\ndenials contains input.remit.mode if input.remit.now > 1\n",
        "decision := true if allow\n\ndecision := false if not allow\n\nallow if input.remit.now > 1\n",
        "decision := true if input.remit.now > 1\n\ndecision := false if input.remit.now <= 1\n",
        "decision := input.remit.mode == \"observe\"\n",
        "decision := true if o == \"x\"\n\ndecision := false if o == \"y\"\n\ndefault o := \"x\"\n\no := \"y\" if input.remit.now > 1\n",
        "decision := f(input.remit.now)\n\nf(x) := true if x > 1\n\ndefault f(_) := false\n",
        "decision := data.remit.authz.o\n\ndefault o := 1\n\no := 2 if input.remit.action.tool != \"\"\n",
        "decision if input.remit.now > 1\nelse := false\n",
    ] {
        let found = codes(&format!("{package}{decision}{rest}"));
        assert!(found.is_empty(), "{rest}\n{found:#?}");
    }
}

#[test]
fn shipped_bundles_have_no_findings() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../policy-bundles");
    for (bundle, decision) in [
        ("agent-baseline", "remit/authz/decision"),
        ("mcp-starter", "remit/authz/decision"),
        ("opa-envoy-compat/decision-object", "envoy/authz/allow"),
        ("opa-envoy-compat/quick-start", "envoy/authz/allow"),
        ("opa-envoy-compat/request-body", "envoy/authz/allow"),
    ] {
        let findings = lint(&[root.join(bundle)], decision).unwrap();
        assert!(findings.is_empty(), "{bundle}: {findings:#?}");
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
        ("r if { x := 1 } else if { x := 2; x > 1 }", false),
        ("r if { x := 1; count([y | y := x]) > 0 }", true),
        ("r if { x := 1; count([x | x := 2]) > 0 }", false),
        ("r if { x := 1; every y in [1] { y == x } }", true),
        ("r := x if { x := 1 }", true),
        ("r := 1 if { false } else := x if { x := 2 }", true),
        ("f(x) := 1 if { false } else := x", true),
        ("import data.x\nr := [x | x := 1]", false),
        ("import input as x\nr := x.y", true),
        ("r := 1 if { x := 1; true with input as x }", true),
        ("r[x] := y if { x := 1; y := 2 }", true),
        ("r contains x if { x := 1; y := 2 }", false),
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
