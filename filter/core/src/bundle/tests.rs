//! Bundles made here by tar and flate2, and one as `opa build` lays it out.

use std::io::Write;

use serde_json::json;

use super::*;

struct Entry {
    path: &'static str,
    kind: tar::EntryType,
    content: Vec<u8>,
}

fn file(path: &'static str, content: impl Into<Vec<u8>>) -> Entry {
    Entry { path, kind: tar::EntryType::Regular, content: content.into() }
}

/// Writes paths as they are, so that hostile ones get into the archive.
fn tar_of(entries: &[Entry]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..entry.path.len()].copy_from_slice(entry.path.as_bytes());
        header.set_size(entry.content.len() as u64);
        header.set_entry_type(entry.kind);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, entry.content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip_of(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn load(entries: &[Entry]) -> Result<Bundle, BundleError> {
    Bundle::from_targz(&gzip_of(&tar_of(entries)), &BundleLimits::default())
}

#[test]
fn a_bundle_as_opa_build_makes_it() {
    // `opa build -b` writes leading slashes, data.json always, and its own keys in the manifest.
    let bundle = load(&[
        file("/data.json", r#"{"remit":{"limits":{"calls":3}}}"#),
        file("/authz/decision.rego", "package remit.authz\ndecision := true\n"),
        file("/authz/decision_test.rego", "package remit.authz_test\n"),
        file("/.manifest", r#"{"revision":"r1","roots":["remit"],"rego_version":1,"metadata":{"a":1}}"#),
        file("/README.md", "not policy"),
    ])
    .unwrap();
    assert_eq!(bundle.revision(), "r1");
    assert_eq!(bundle.roots(), ["remit"]);
    assert_eq!(bundle.rego_version(), RegoVersion::V1);
    assert_eq!(bundle.modules().iter().map(|m| m.path.as_str()).collect::<Vec<_>>(), ["authz/decision.rego"]);
    assert_eq!(
        bundle.tests().iter().map(|m| m.path.as_str()).collect::<Vec<_>>(),
        ["authz/decision_test.rego"]
    );
    assert_eq!(Value::Object(bundle.data().clone()), json!({"remit":{"limits":{"calls":3}}}));
}

#[test]
fn defaults_without_a_manifest() {
    let bundle = load(&[file("a.rego", "package a\n")]).unwrap();
    assert_eq!(
        (bundle.revision(), bundle.roots(), bundle.rego_version()),
        ("", &[String::new()][..], RegoVersion::V1)
    );
    assert!(bundle.owns("anything"));
}

#[test]
fn single_files_may_be_of_another_version() {
    let manifest = r#"{"rego_version":1,"file_rego_versions":{"/old/*":0,"/p.rego":0}}"#;
    let files = ["new.rego", "old/a.rego", "p.rego"].map(|path| file(path, "package a\n"));
    let bundle = load(&files.into_iter().chain([file(".manifest", manifest)]).collect::<Vec<_>>()).unwrap();
    let versions: Vec<_> = bundle.modules().iter().map(|module| module.rego_version).collect();
    assert_eq!(versions, [RegoVersion::V1, RegoVersion::V0, RegoVersion::V0]);
}

#[test]
fn folders_and_pax_headers_are_not_files() {
    let folder = |path| Entry { path, kind: tar::EntryType::Directory, content: Vec::new() };
    let global = Entry {
        path: "pax_global_header",
        kind: tar::EntryType::XGlobalHeader,
        content: b"20 comment=abcdefgh\n".to_vec(),
    };
    let bundle = load(&[global, folder("./"), folder("./a/"), file("./a/data.json", "1")]).unwrap();
    assert_eq!(Value::Object(bundle.data().clone()), json!({"a":1}));
}

#[test]
fn data_is_mounted_at_its_folder_and_merged() {
    let bundle = load(&[
        file("data.json", r#"{"a":{"x":1}}"#),
        file("a/data.json", r#"{"y":2}"#),
        file("a/b/c/data.json", "[1]"),
        file("a/b/data.yaml", "d:\n- 1.0\n- yes\n"),
        file("a/z/data.yml", "{\"n\":1.0}"),
    ])
    .unwrap();
    assert_eq!(
        Value::Object(bundle.data().clone()),
        json!({"a":{"x":1,"y":2,"b":{"c":[1],"d":[1,"yes"]},"z":{"n":1.0}}})
    );
}

#[test]
fn every_refusal_names_the_file() {
    let link = |kind| Entry { path: "a/link.rego", kind, content: Vec::new() };
    let manifest = |text: &str| file(".manifest", text);
    let long_revision = json!({"revision": "x".repeat(257)}).to_string();
    let roots: Vec<String> = (0..1001).map(|at| format!("r{at}")).collect();
    let many_roots = json!({"roots": roots}).to_string();
    for (entries, expected) in [
        (vec![file("../a.rego", "")], "../a.rego: path has a `.` or `..` part"),
        (vec![file("a/../../b.rego", "")], "a/../../b.rego: path has a `.` or `..` part"),
        (vec![file("//etc/a.rego", "")], "//etc/a.rego: path has an empty part"),
        (vec![link(tar::EntryType::Symlink)], "a/link.rego: links"),
        (vec![link(tar::EntryType::Link)], "a/link.rego: links"),
        (vec![link(tar::EntryType::Char)], "a/link.rego: links"),
        (vec![link(tar::EntryType::Block)], "a/link.rego: links"),
        (vec![link(tar::EntryType::Fifo)], "a/link.rego: links"),
        (vec![link(tar::EntryType::GNUSparse)], "bundle is not a tar archive"),
        (vec![file("a.rego", ""), file("/a.rego", "")], "a.rego: the same path twice"),
        (vec![file("a/data.yaml", "a:\n  b: &x 1\n")], "a/data.yaml:2: anchors and aliases are not served"),
        (vec![file("data.yml", "")], "data.yml: the data at the top"),
        (vec![file("data.yml", "a: 1"), file("data.json", r#"{"a":1}"#)], "data.yml: another data file"),
        (vec![file("policy.wasm", "")], "policy.wasm: compiled policies are not served"),
        (vec![file("plan.json", "{}")], "plan.json: plans are not served"),
        (vec![file("patch.json", "{}")], "patch.json: a delta bundle has to follow a snapshot"),
        (vec![file(".signatures.json", "{}")], ".signatures.json: bundle is signed, and no key"),
        (vec![file("sub/.manifest", "{}")], "sub/.manifest: a manifest belongs at the top"),
        (vec![file(".manifest.pb", "")], ".manifest.pb: manifests in protobuf"),
        (vec![file("a/plan.pb", "")], "a/plan.pb: plans are not served"),
        (vec![file("data.json", "{\n \"a\":1,\"a\":2}")], "data.json: duplicate key at line 2 column"),
        (vec![file("a/data.json", "{\n]")], "a/data.json: malformed JSON at line 2 column"),
        (vec![file("data.json", "[]")], "data.json: the data at the top"),
        (vec![file("a.rego", b"package \xff".to_vec())], "a.rego: not UTF-8: invalid byte at offset 8"),
        (
            vec![file("data.json", r#"{"a":{"b":1}}"#), file("a/data.json", r#"{"b":1}"#)],
            "data.json: another data file already has a value for /a/b",
        ),
        (vec![file("a/b/data.json", "1"), file("a/data.json", "2")], "a/data.json: another data file"),
        (
            vec![manifest(r#"{"roots":["a/b"]}"#), file("data.json", r#"{"a":{"c":1}}"#)],
            "data.json: the manifest's roots [a/b] do not cover the data at /a/c",
        ),
        (
            vec![manifest(r#"{"roots":["a"]}"#), file("ab/data.json", "{\"x\":1}")],
            "ab/data.json: the manifest's roots [a] do not cover the data at /ab/x",
        ),
        (vec![manifest("[]")], ".manifest: not an object"),
        (vec![manifest("{")], ".manifest: malformed JSON"),
        (vec![manifest(r#"{"revision":1}"#)], ".manifest: `revision` is not a string"),
        (vec![manifest(&long_revision)], ".manifest: `revision` is not a string of at most 256 bytes"),
        (vec![manifest(r#"{"roots":"a"}"#)], ".manifest: `roots` is not an array"),
        (vec![manifest(&many_roots)], ".manifest: `roots` is not an array of at most 1000 paths"),
        (vec![manifest(r#"{"roots":["a","a/b"]}"#)], ".manifest: `roots` overlap"),
        (vec![manifest(r#"{"rego_version":2}"#)], ".manifest: `rego_version` is neither 0 nor 1"),
        (vec![manifest(r#"{"file_rego_versions":{"/a.rego":2}}"#)], ".manifest: `file_rego_versions` is not"),
        (vec![manifest(r#"{"file_rego_versions":{"/[a].rego":0}}"#)], ".manifest: `file_rego_versions` has"),
        (vec![manifest(r#"{"metadata":[]}"#)], ".manifest: `metadata` is not an object"),
        (vec![manifest(r#"{"wasm":[{"module":"/p.wasm"}]}"#)], ".manifest: compiled policies"),
    ] {
        let paths: Vec<_> = entries.iter().map(|entry| entry.path).collect();
        let message = load(&entries).unwrap_err().to_string();
        assert!(message.starts_with(expected), "{paths:?}: {message}");
    }
}

#[test]
fn what_is_not_one_whole_archive_is_refused() {
    let tar = tar_of(&[file("a.rego", "package a\n"), file("b.rego", "package b\n")]);
    let good = gzip_of(&tar);
    let joined = |parts: &[&[u8]]| parts.concat();
    for (bytes, expected) in [
        (Vec::new(), "bundle is not a gzip file"),
        (b"package a".to_vec(), "bundle is not a gzip file"),
        (good[..good.len() / 2].to_vec(), "bundle is not a gzip file"),
        (good[..good.len() - 1].to_vec(), "bundle is not a gzip file"),
        (joined(&[&good, b"x"]), "bundle has 1 bytes after"),
        (joined(&[&good, &good]), "bundle has"),
        (gzip_of(b"not a tar"), "bundle is not a tar archive"),
        (gzip_of(&tar[..700]), "bundle is not a tar archive (after a.rego)"),
        (gzip_of(&tar[..1024]), "tar archive does not end"),
        (gzip_of(&joined(&[&tar, &[7; 512]])), "tar archive does not end"),
        (gzip_of(&joined(&[&tar, &tar])), "tar archive does not end"),
    ] {
        let error = Bundle::from_targz(&bytes, &BundleLimits::default()).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{expected}: {error}");
    }
}

#[test]
fn each_limit_holds() {
    let usual = BundleLimits::default;
    let bomb = gzip_of(&vec![0; 64 << 20]);
    let two = gzip_of(&tar_of(&[file("a.rego", "package a\n"), file("notes.txt", "x")]));
    let deep = gzip_of(&tar_of(&[file("data.json", r#"{"a":[[1]]}"#)]));
    for (bytes, limits, expected) in [
        (
            &two,
            BundleLimits { compressed_bytes: 10, ..usual() },
            "compressed bytes, more than the limit of 10",
        ),
        (&bomb, usual(), "inflates to more than the limit of 33554432 bytes"),
        (&two, BundleLimits { inflated_bytes: 100, ..usual() }, "inflates to more than the limit of 100"),
        (&two, BundleLimits { files: 1, ..usual() }, "notes.txt: bundle has more than the limit of 1 files"),
        (&two, BundleLimits { path_bytes: 5, ..usual() }, "a.rego: path is longer than the limit of 5"),
        (&deep, BundleLimits { json_depth: 2, ..usual() }, "data.json: nested deeper than 2 levels"),
    ] {
        let message = Bundle::from_targz(bytes, &limits).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    assert!(bomb.len() < usual().compressed_bytes, "the bomb has to reach the inflater");
}

#[test]
fn a_long_pax_path_is_bounded_too() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o644);
    let path = format!("{}.rego", "a/".repeat(200));
    builder.append_data(&mut header, path, std::io::empty()).unwrap();
    let error = Bundle::from_targz(&gzip_of(&builder.into_inner().unwrap()), &BundleLimits::default());
    assert!(error.unwrap_err().to_string().contains("path is longer"));
}

#[test]
fn files_in_memory_follow_the_same_rules() {
    let limits = BundleLimits::default();
    let bundle = Bundle::from_files([("./a.rego", b"package a\n".to_vec())], &limits).unwrap();
    assert_eq!(bundle.modules()[0].path, "a.rego");
    for (path, expected) in [("../a.rego", "path has"), ("policy.wasm", "compiled")] {
        let error = Bundle::from_files([(path, Vec::new())], &limits).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let small = BundleLimits { inflated_bytes: 3, ..limits };
    assert!(Bundle::from_files([("a.rego", vec![b'#'; 4])], &small).is_err());
}
