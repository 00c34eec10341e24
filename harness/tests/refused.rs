//! What a policy's author is told by the `remit` command when something is wrong: all of it, where, and what to do.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

const AUTHZ: &str = "package remit.authz\n\nimport data.roles\n\ndefault decision := false\n\ndecision if nosuch(input.x)\n\nother := alowed\n";
const ROLES: &str = "package roles\n\ncontains := 1\n";

fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("remit-refused-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Exit status, standard output and standard error.
fn remit(folder: &PathBuf, line: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remit"));
    let output = command.current_dir(folder).args(line.split_whitespace()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place_and_remedy() {
    let folder = folder("all", &[("authz.rego", AUTHZ), ("roles.rego", ROLES), ("x.json", "{}")]);
    std::fs::create_dir(folder.join("bundle")).unwrap();
    for name in ["authz.rego", "roles.rego"] {
        std::fs::rename(folder.join(name), folder.join("bundle").join(name)).unwrap();
    }
    for (line, status, of) in [("check -b bundle", 1, "bundle/"), ("eval -b bundle -i x.json", 2, "")] {
        let (code, out, error) = remit(&folder, line);
        let lines: Vec<&str> = error.lines().collect();
        let expected = [
            "error: 3 problems in the Rego".to_owned(),
            format!(
                "  {of}authz.rego:7:19: nosuch is neither a function of the bundle nor a builtin that Remit serves; look for"
            ),
            format!("  {of}authz.rego:9:10: use of undefined variable `alowed` is unsafe"),
            format!("  {of}roles.rego:3:1: contains is a keyword: give the rule another name"),
        ];
        assert!(
            code == Some(status) && out.is_empty() && lines.len() == expected.len(),
            "{line}: {code:?}\n{out}\n{error}"
        );
        assert!(lines.iter().zip(&expected).all(|(line, begins)| line.starts_with(begins)), "{error}");

        let (_, out, _) = remit(&folder, &format!("{line} --format json"));
        let out: Value = serde_json::from_str(&out).unwrap();
        let problems = out["problems"].as_array().unwrap();
        let places: Vec<_> = problems.iter().map(|problem| problem["location"]["row"].as_u64()).collect();
        assert_eq!(places, [Some(7), Some(9), Some(3)], "{out}");
        assert!(problems[0]["remedy"].as_str().unwrap().starts_with("look for"), "{out}");
        assert_eq!(problems[0]["location"]["file"], format!("{of}authz.rego"));
    }
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn what_does_not_parse_is_told_of_every_file() {
    let files =
        [("a.rego", "package a\n\nx := {\n"), ("b.rego", "package b\n\ny if (\n"), ("c.rego", "package c\n")];
    let folder = folder("parse", &files);
    for line in ["check -b .", "test .", "bundle build . -o b.tar.gz"] {
        let (code, out, error) = remit(&folder, line);
        assert!(code.is_some_and(|code| code > 0) && out.is_empty(), "{line}: {out}");
        let lines: Vec<&str> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{line}: {error}");
        assert!(lines[1].contains("a.rego:4:1: ") && lines[2].contains("b.rego:4:1: "), "{line}: {error}");
    }
    let (_, out, _) = remit(&folder, "test . --format json");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(out["problems"].as_array().map(Vec::len), Some(2), "{out}");
    let (code, out, _) = remit(&folder, "bundle inspect .");
    assert!(code == Some(0) && out.contains("a.rego  does not parse: a.rego:4:1: "), "{out}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Tests are evaluated of marked texts: of a place there the line alone is the author's.
#[test]
fn names_without_a_value_are_told_by_remit_test_with_their_lines() {
    let folder =
        folder("test", &[("a_test.rego", "package a\n\nx := nope\n\ntest_y if { z := missing.a; z }\n")]);
    let (code, _, error) = remit(&folder, "test a_test.rego");
    let expected = "error: 2 problems in the Rego
  a_test.rego:3: use of undefined variable `nope` is unsafe: no rule, import or statement gives it a value
  a_test.rego:5: use of undefined variable `missing` is unsafe: no rule, import or statement gives it a value
";
    assert_eq!((code, error.as_str()), (Some(1), expected));
    let (_, out, _) = remit(&folder, "test a_test.rego --format json");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert!(out["error"].as_str().is_some_and(|text| text.starts_with("a_test.rego:3: use of")), "{out}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// A public key.
const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEurCdoDOZSC/L/qVDldeV6xmtVOkb
xms6vQBc5g0Vxav0GQC9hO5BNrtCwPIMaHBXQCkhw5SL2pDnDD2gtTcKGA==
-----END PUBLIC KEY-----
";

#[test]
fn each_error_names_what_it_is_about_once() {
    let files = [
        ("p.rego", "package p\n\nd := 1\n"),
        (".manifest", "{\"roots\": [\"q\"]}"),
        ("x.json", "{\"x\": 1}"),
        ("k.pem", KEY),
        ("good/p.rego", "package q\n\nd := 1\n"),
    ];
    let folder = folder("words", &files);
    for (line, expected) in [
        (
            "bundle build . -o b.tar.gz",
            "error: p.rego: package p is outside the roots of the bundle's manifest\n",
        ),
        ("test nowhere", "error: nowhere: No such file or directory (os error 2)\n"),
        ("replay nowhere --native", "error: nowhere: No such file or directory (os error 2)\n"),
        (
            "bundle verify . --verification-key x.json --signing-alg ES256",
            "error: x.json: `kty` is missing; --signing-alg is ES256\n",
        ),
        (
            "bundle verify good --verification-key k.pem --signing-alg ES256",
            "error: it is not signed: there is no .signatures.json in it; `remit bundle sign` makes one, and `remit bundle \
             build --signing-key` a signed archive\n",
        ),
        (
            "check --bundle good --decision p",
            "error: decision path \"p\" names no rule: write its package and its name, joined by `/`, as in \
             remit/authz/decision; name the rule that decides, by `decision` in the configuration or by --decision; there \
             are: q/d\n",
        ),
    ] {
        let (code, out, error) = remit(&folder, line);
        assert_eq!((out.as_str(), error.as_str()), ("", expected), "{line}");
        assert!(code.is_some_and(|code| code > 0));
        let (_, out, _) = remit(&folder, &format!("{line} --format json"));
        let out: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(out["error"].as_str().map(|text| format!("error: {text}\n")), Some(expected.to_owned()));
    }
    std::fs::remove_dir_all(folder).unwrap();
}
