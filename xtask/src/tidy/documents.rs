//! Rule on the documents: a path that the README, a manual or ARCHITECTURE names exists.

use super::{File, Finding};

const DOCUMENTS: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "envoy/README.md", "harness/README.md", "policy-bundles/README.md"];

/// Endings that make a word a file's name.
const EXTENSIONS: [&str; 10] =
    [".rs", ".md", ".toml", ".yaml", ".json", ".jsonl", ".rego", ".wat", ".manifest", ".txt"];

pub(super) fn check(files: &[File], findings: &mut Vec<Finding>) {
    for document in files.iter().filter(|file| DOCUMENTS.contains(&file.path.as_str())) {
        let mut in_block = false;
        for (number, line) in document.lines() {
            if line.trim_start().starts_with("```") {
                in_block = !in_block;
            }
            if in_block {
                continue;
            }
            for path in code_spans(line).filter(|span| is_path(span, files)) {
                if !exists(path, files) {
                    findings.push(document.finding(number, format!("`{path}` does not exist")));
                }
            }
        }
    }
}

/// What stands between single backticks.
fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether it is meant as a path of this repository: `tools/call` and `application/json` are not.
fn is_path(span: &str, files: &[File]) -> bool {
    let is_plain = !span.is_empty()
        && span.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'))
        && !span.starts_with(['/', '-'])
        && !span.contains("..");
    let (first, has_folder) = match span.split_once('/') {
        Some((first, _)) => (first, true),
        None => (span, false),
    };
    let built = first == "target";
    let named = EXTENSIONS.iter().any(|ending| span.len() > ending.len() && span.ends_with(ending));
    let in_known_folder = has_folder && files.iter().any(|file| file.is_under(first));
    is_plain && !built && (named || span.ends_with('/') || in_known_folder)
}

/// From the root, or from any folder: `exchange.rs` may stand for `filter/core/src/exchange.rs`.
fn exists(path: &str, files: &[File]) -> bool {
    let path = path.trim_end_matches('/');
    files.iter().any(|file| {
        let ends_with =
            |whole: &str| whole.strip_suffix(path).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'));
        ends_with(&file.path)
            || file.path.match_indices('/').any(|(at, _)| file.path.get(..at).is_some_and(ends_with))
    })
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn named_paths_exist() {
        let others = [("filter/core/src/exchange.rs", "//! A.\n"), ("policy-bundles/base/.manifest", "{}")];
        for (text, missing) in [
            ("see `filter/core/src/exchange.rs`", None),
            ("see `exchange.rs` and `core/src/`", None),
            ("see `policy-bundles/base`", None),
            ("see `filter/gone`", Some("filter/gone")),
            ("see `change.rs`", Some("change.rs")),
            ("see `gone/`", Some("gone/")),
            ("`a` and `docs/gone.md`", Some("docs/gone.md")),
            ("`tools/call`, `application/json`, `cargo xtask demo`, `--wasm`, `/mcp`", None),
            ("`target/wasm32-wasip1/release/remit_filter.wasm`", None),
            ("`tests/scenarios/<name>/`", None),
            ("```\n`docs/gone.md`\n```", None),
        ] {
            let files = [&[("README.md", text)], &others[..]].concat();
            let expected: Vec<_> =
                missing.map(|path| format!("README.md:1: `{path}` does not exist")).into_iter().collect();
            assert_eq!(found(&files), expected, "{text}");
        }
    }
}
