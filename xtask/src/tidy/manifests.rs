//! Rules on dependencies: one version of each, named once, in `[workspace.dependencies]`.

use std::collections::BTreeMap;

use super::{File, Finding};

/// Duplicates that only others can end, with the reason.
const FORCED_DUPLICATES: [(&str, &str); 2] = [
    ("getrandom", "jwt-simple is on 0.4, its rsa (through superboring) on 0.2"),
    ("sha2", "jwt-simple is on 0.11, its rsa (through superboring) and wasmtime are on 0.10"),
];

pub(super) fn check(files: &[File], findings: &mut Vec<Finding>) {
    for file in files {
        // A workspace of its own (the fuzz targets) is no member of this one.
        if file.path.ends_with("/Cargo.toml") && !file.lines().any(|(_, line)| line.trim() == "[workspace]") {
            check_member(file, findings);
        }
    }
    let root = files.iter().find(|file| file.path == "Cargo.toml");
    let lock = files.iter().find(|file| file.path == "Cargo.lock");
    if let (Some(root), Some(lock)) = (root, lock) {
        check_duplicates(root, lock, findings);
    }
}

/// Versions, paths and sources stand in the workspace's manifest; a member only says `workspace = true`.
fn check_member(manifest: &File, findings: &mut Vec<Finding>) {
    for (number, table, line) in entries(manifest) {
        let belongs = match table.rsplit_once("dependencies") {
            Some((_, "")) => line.contains("workspace = true"),
            // `[dependencies.name]`, a table for one dependency.
            Some((_, rest)) if rest.starts_with('.') => {
                !["version", "path", "git", "registry"].contains(&key(line))
            }
            _ => true,
        };
        if !belongs {
            let message = format!("`{}` must be `workspace = true`: versions stand in the root", key(line));
            findings.push(manifest.finding(number, message));
        }
    }
}

/// A dependency of ours that is there in two versions is paid for twice, and its types do not match.
fn check_duplicates(root: &File, lock: &File, findings: &mut Vec<Finding>) {
    let locked = locked_versions(lock);
    for (number, table, line) in entries(root) {
        if table != "workspace.dependencies" {
            continue;
        }
        let name = key(line);
        let versions = locked.get(name).map(Vec::as_slice).unwrap_or_default();
        let forced = FORCED_DUPLICATES.iter().any(|(duplicate, _)| *duplicate == name);
        if forced && versions.len() < 2 {
            let message = format!("`{name}` is locked once: end its exception in xtask's tidy");
            findings.push(root.finding(number, message));
        }
        if !forced && versions.len() > 1 {
            let message =
                format!("`{name}` is locked in {} versions: {}", versions.len(), versions.join(", "));
            findings.push(root.finding(number, message));
        }
    }
}

/// The lines of a manifest that set something: (line number, table, line).
fn entries(manifest: &File) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut table = "";
    manifest.lines().filter_map(move |(number, line)| {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            table = name;
            return None;
        }
        (line.contains('=') && !line.starts_with('#')).then_some((number, table, line))
    })
}

/// The name before the first `=` or `.`.
fn key(line: &str) -> &str {
    line.split(['=', '.']).next().unwrap_or(line).trim()
}

fn locked_versions(lock: &File) -> BTreeMap<&str, Vec<&str>> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut name = "";
    for (_, line) in lock.lines() {
        if let Some(value) = quoted(line, "name = ") {
            name = value;
        } else if let Some(version) = quoted(line, "version = ") {
            versions.entry(name).or_default().push(version);
        }
    }
    versions
}

fn quoted<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.strip_prefix(key)?.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::super::found;

    #[test]
    fn members_take_every_version_from_the_workspace() {
        for (text, broken) in [
            ("[dependencies]\nserde.workspace = true", None),
            ("[dev-dependencies]\nserde = { workspace = true, optional = true }", None),
            ("[dependencies]\n# serde = \"1\"\n", None),
            ("[workspace]\n\n[dependencies]\nserde = \"1\"\n", None),
            ("[features]\nserde = [\"dep:serde\"]", None),
            ("[dependencies.serde]\nworkspace = true", None),
            ("[package]\nversion = \"1\"", None),
            ("[dependencies]\nserde = \"1\"", Some("serde")),
            ("[dev-dependencies]\nremit-core = { path = \"../core\" }", Some("remit-core")),
            ("[target.'cfg(unix)'.dependencies]\nlibc = \"1\"", Some("libc")),
            ("[dependencies.serde]\nversion = \"1\"", Some("version")),
        ] {
            let expected: Vec<_> = broken
                .map(|name| {
                    format!("a/Cargo.toml:2: `{name}` must be `workspace = true`: versions stand in the root")
                })
                .into_iter()
                .collect();
            assert_eq!(found(&[("a/Cargo.toml", text)]), expected, "{text}");
        }
    }

    #[test]
    fn a_direct_dependency_has_one_version() {
        let package = |name: &str, version: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\n")
        };
        let root = "[workspace.dependencies]\nserde = { version = \"1\" }\n";
        let once = package("serde", "1.0.1") + &package("syn", "1.0.0") + &package("syn", "2.0.0");
        assert_eq!(found(&[("Cargo.toml", root), ("Cargo.lock", &once)]), [""; 0]);
        let twice = once + &package("serde", "0.9.0");
        let message = "Cargo.toml:2: `serde` is locked in 2 versions: 1.0.1, 0.9.0";
        assert_eq!(found(&[("Cargo.toml", root), ("Cargo.lock", &twice)]), [message]);

        let root = "[workspace.dependencies]\nsha2 = \"0.11\"\n";
        let once = package("sha2", "0.11.0");
        let twice = once.clone() + &package("sha2", "0.10.0");
        assert_eq!(found(&[("Cargo.toml", root), ("Cargo.lock", &twice)]), [""; 0], "forced");
        let message = "Cargo.toml:2: `sha2` is locked once: end its exception in xtask's tidy";
        assert_eq!(found(&[("Cargo.toml", root), ("Cargo.lock", &once)]), [message]);
    }
}
