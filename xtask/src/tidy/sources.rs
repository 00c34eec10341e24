//! Rules on one file's own text: its subject, its length, what it must not name.

use super::{File, Finding};

/// A file that needs more lines than this holds two subjects.
const MAX_LINES: usize = 500;

/// What is nowhere in Rust code. Written in two parts so that this file passes.
const BANNED_IN_RUST: [(&str, &str); 5] = [
    (concat!("#[", "allow("), "state the reason with `#[expect(…, reason = …)]`"),
    (concat!("#![", "allow("), "state the reason with `#[expect(…, reason = …)]`"),
    (concat!("todo", "!("), "finish it or leave it out"),
    (concat!("unimplemented", "!("), "finish it or leave it out"),
    (concat!("#[", "ignore"), "a test runs or is removed"),
];

const BANNED_WORDS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Where a name may be used: (name, the only files, why).
const HOMES: [(&str, Home, &str); 3] = [
    ("proxy_wasm", Home::Not("filter/core"), "the core has no host"),
    (
        "regorus",
        Home::Only(&[
            "filter/core/src/policy",
            "harness/src/bundles/rego",
            "harness/src/lint",
            "harness/src/rego",
            "harness/src/rego_test",
        ]),
        "only the core's `policy` knows the engine, and the harness where authors' tools read and run Rego",
    ),
    ("hostcalls", Home::Only(&["filter/src/host"]), "only the filter's `host` calls the host"),
];

enum Home {
    /// These modules: the file of that name or the folder of that name.
    Only(&'static [&'static str]),
    /// Everywhere but in this folder.
    Not(&'static str),
}

pub(super) fn check(file: &File, findings: &mut Vec<Finding>) {
    if file.is_rust() {
        check_subject(file, findings);
        check_length(file, findings);
        check_banned(file, findings);
        // This package names them as data.
        if !file.is_under("xtask") {
            check_homes(file, findings);
        }
    }
    check_words(file, findings);
    if file.is_under("envoy") {
        check_no_rego(file, findings);
    }
}

fn check_subject(file: &File, findings: &mut Vec<Finding>) {
    if !file.text.starts_with("//! ") {
        findings.push(file.finding(1, "the first line must say the file's subject: `//! …`"));
    }
}

fn check_length(file: &File, findings: &mut Vec<Finding>) {
    if file.path.ends_with("/tests.rs") {
        return;
    }
    let length = file.lines().take_while(|(_, line)| *line != "#[cfg(test)]").count();
    if length > MAX_LINES {
        let message =
            format!("{length} lines before its tests, more than {MAX_LINES}: it holds two subjects");
        findings.push(file.finding(MAX_LINES, message));
    }
}

fn check_banned(file: &File, findings: &mut Vec<Finding>) {
    for (number, line) in file.lines() {
        for (banned, instead) in BANNED_IN_RUST {
            if line.contains(banned) {
                findings.push(file.finding(number, format!("`{banned}`: {instead}")));
            }
        }
    }
}

fn check_homes(file: &File, findings: &mut Vec<Finding>) {
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("//") {
            continue;
        }
        for (name, home, why) in &HOMES {
            if has_word(line, name) && !home.allows(file) {
                findings.push(file.finding(number, format!("`{name}` does not belong here: {why}")));
            }
        }
    }
}

fn check_words(file: &File, findings: &mut Vec<Finding>) {
    for (number, line) in file.lines() {
        for word in BANNED_WORDS {
            if has_word(line, word) {
                findings.push(file.finding(number, format!("`{word}`: do it, or open an issue")));
            }
        }
    }
}

fn check_no_rego(file: &File, findings: &mut Vec<Finding>) {
    for (number, line) in file.lines() {
        let line = line.trim_start();
        let is_rego = line.starts_with("import rego")
            || line.starts_with("import data.")
            || (line.starts_with("package ") && !line.contains(':'))
            || (line.starts_with("default ") && line.contains(":="));
        if is_rego {
            findings.push(file.finding(number, "Rego belongs in a bundle under policy-bundles/"));
        }
    }
}

impl Home {
    fn allows(&self, file: &File) -> bool {
        match self {
            Self::Only(modules) => modules
                .iter()
                .any(|module| file.is_under(module) || file.path.strip_suffix(".rs") == Some(module)),
            Self::Not(folder) => !file.is_under(folder),
        }
    }
}

/// Whether the line has the word, not only as a part of a longer one.
fn has_word(line: &str, word: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at.saturating_add(word.len())..).and_then(|text| text.chars().next());
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::super::found;
    use super::{BANNED_IN_RUST, BANNED_WORDS, MAX_LINES};

    #[test]
    fn names_have_their_homes() {
        for (path, line, message) in [
            ("filter/core/src/token.rs", "use proxy_wasm::types;", Some("the core has no host")),
            ("filter/src/lib.rs", "use proxy_wasm::types;", None),
            ("filter/core/src/input.rs", "use regorus::Value;", Some("only the core's `policy`")),
            ("filter/core/src/policy.rs", "use regorus::Value;", None),
            ("filter/core/src/policy/vm.rs", "use regorus::Value;", None),
            ("filter/core/src/policy_input.rs", "use regorus::Value;", Some("only the core's `policy`")),
            ("filter/core/src/input.rs", "/// regorus and proxy_wasm in a comment", None),
            ("filter/core/src/input.rs", "let unregorused = 1;", None),
            ("filter/src/root.rs", "proxy_wasm::hostcalls::log();", Some("only the filter's `host`")),
            ("filter/src/host.rs", "proxy_wasm::hostcalls::log();", None),
        ] {
            let found = found(&[(path, &format!("//! A.\n{line}\n"))]);
            match message {
                None => assert_eq!(found, [""; 0], "{path}: {line}"),
                Some(message) => {
                    let [only] = &found[..] else { panic!("{path}: {line}: {found:?}") };
                    assert!(only.starts_with(&format!("{path}:2: ")) && only.contains(message), "{only}");
                }
            }
        }
    }

    #[test]
    fn each_file_says_its_subject_first() {
        let message = "a.rs:1: the first line must say the file's subject: `//! …`";
        assert_eq!(found(&[("a.rs", "use std::fmt;\n//! Late.\n")]), [message]);
        assert_eq!(found(&[("a.rs", "")]), [message]);
        assert_eq!(found(&[("a.rs", "//! Subject.\n")]), [""; 0]);
    }

    #[test]
    fn length_is_counted_up_to_the_tests() {
        let lines = |count: usize| format!("//! A.\n{}", "fn a() {}\n".repeat(count - 1));
        let tests = "#[cfg(test)]\nmod tests {}\n";
        assert_eq!(found(&[("a.rs", &lines(MAX_LINES))]), [""; 0]);
        assert_eq!(found(&[("a.rs", &(lines(MAX_LINES) + tests))]), [""; 0]);
        assert_eq!(found(&[("a/tests.rs", &lines(MAX_LINES + 1))]), [""; 0]);
        let message = "a.rs:500: 501 lines before its tests, more than 500: it holds two subjects";
        assert_eq!(found(&[("a.rs", &lines(MAX_LINES + 1))]), [message]);
    }

    #[test]
    fn banned_text_is_found_in_every_rust_file() {
        for (banned, _) in BANNED_IN_RUST {
            let found = found(&[("xtask/src/a.rs", &format!("//! A.\n\n    {banned}x)]\n"))]);
            assert!(found[0].starts_with("xtask/src/a.rs:3: "), "{banned}: {found:?}");
        }
    }

    #[test]
    fn leftover_marks_are_found_in_every_text_file() {
        for word in BANNED_WORDS {
            assert_eq!(
                found(&[("notes.md", &format!("a\n{word}: b\n"))]),
                [format!("notes.md:2: `{word}`: do it, or open an issue")]
            );
            assert_eq!(found(&[("notes.md", &format!("a\nX{word}S\n"))]), [""; 0]);
        }
    }

    #[test]
    fn deployment_files_hold_no_rego() {
        for line in ["package authz", "  import rego.v1", "    default allow := false"] {
            let found = found(&[("envoy/istio.yaml", &format!("a: |\n{line}\n"))]);
            assert_eq!(
                found,
                ["envoy/istio.yaml:2: Rego belongs in a bundle under policy-bundles/"],
                "{line}"
            );
        }
        assert_eq!(found(&[("envoy/envoy.yaml", "package: a\ndefault: b\n")]), [""; 0]);
        assert_eq!(found(&[("policy-bundles/a/a.rego", "package authz\n")]), [""; 0]);
    }
}
