//! Bundles built, signed, looked into and compared.

use std::path::PathBuf;

use remit_core::bundle::{Bundle, BundleLimits, Verification};
use remit_core::config::{BundleKey, BundleKeys, Signing};
use remit_core::keys::Algorithm;
use serde_json::{Map, Value, json};

use super::*;
use crate::pack::{Files, PackOptions};
use crate::signing::SigningKey;
use crate::testing::Folder;

const OLD: &[(&str, &str)] = &[
    (".manifest", r#"{"revision":"1","roots":["a","remit"]}"#),
    (
        "a/p.rego",
        "package a\n\nimport data.remit\n\n# one\nallow if input.x\n\nallow if input.y\n\ngone := 1\n",
    ),
    (
        "data.json",
        r#"{"a":{"n":1,"l":[1,2],"same":{"x":1}},"remit":{"catalog":{"mcp":[{"tools":{"t":{}}}]},"registry":{"x":1}}}"#,
    ),
    ("a/p_test.rego", "package a_test\n"),
    ("README.md", "about"),
];

const NEW: &[(&str, &str)] = &[
    (".manifest", r#"{"roots":["remit","a"],"revision":"2"}"#),
    // Comments and indentation do not count.
    (
        "a/q.rego",
        "package a\n\n# two\nimport data.remit\n\n  allow if input.x\n# three\n\nallow if input.z\nfresh if true\n",
    ),
    (
        "data.yaml",
        "a:\n  n: 2\n  l: [1, 3]\n  same: {x: 1}\nremit:\n  catalog: {mcp: [{tools: {t: {}, u: {}}}]}\n  revoked: {all: true}\n",
    ),
];

fn built(files: &[(&str, &str)], options: &BuildOptions) -> Files {
    let folder = Folder::new(files);
    build(&[folder.path().to_owned()], options).unwrap()
}

#[test]
fn what_is_built_loads_and_is_always_the_same() {
    let options = BuildOptions {
        revision: Some("7".to_owned()),
        ignore: vec!["q*".to_owned()],
        ..BuildOptions::default()
    };
    let files = built(OLD, &options);
    let paths: Vec<_> = files.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, [".manifest", "a/p.rego", "data.json"]);
    let archive = files.to_targz().unwrap();
    assert_eq!(archive, built(OLD, &options).to_targz().unwrap());
    let bundle = Bundle::from_targz(&archive, &BundleLimits::default()).unwrap();
    assert_eq!((bundle.revision(), bundle.roots()), ("7", &["a".to_owned(), "remit".to_owned()][..]));
    assert_eq!(built(NEW, &options).iter().count(), 2);
    let none = build(&[PathBuf::from("/nowhere")], &options);
    assert!(matches!(none, Err(BuildError::Files(_))));
}

#[test]
fn rego_that_no_filter_takes_is_not_built() {
    for (rego, refused) in [
        ("decision if decision", true),
        ("decision if net.lookup_ip_addr(\"a\")", true),
        ("decision := -input.a + 1", true),
        // May be in another bundle.
        ("decision if data.b.allow", false),
        ("decision if data.b.f(1)", false),
    ] {
        let folder = Folder::new(&[("p.rego", &format!("package a\n\n{rego}\n"))]);
        let outcome = build(&[folder.path().to_owned()], &BuildOptions::default());
        assert_eq!(outcome.is_err(), refused, "{rego}: {:?}", outcome.err());
    }
}

#[test]
fn what_is_signed_is_verified() {
    let key = SigningKey::generate(Algorithm::Es256, Some("k1")).unwrap();
    let claims = json!({"scope": "write", "iss": "ci"});
    let files = signed(built(OLD, &BuildOptions::default()), &key, claims.as_object().unwrap()).unwrap();
    let public = key.public_jwk().unwrap().to_string();
    let config = BundleKey { key: public, algorithm: Algorithm::Es256, scope: "write".to_owned() };
    let keys = BundleKeys::from([("k1".to_owned(), config)]);
    let verification = Verification::new(&keys, Some(&Signing::default())).unwrap();
    let load = |files: &Files| {
        Bundle::verified_from_targz(&files.to_targz().unwrap(), &BundleLimits::default(), &verification)
    };
    assert!(load(&files).is_ok());
    let mut changed = files.clone();
    changed.put("a/p.rego", b"package a\n".to_vec());
    assert!(load(&changed).unwrap_err().to_string().starts_with("a/p.rego: not as it was signed"));
    let inspection = Inspection::of(files).unwrap();
    let expected = json!({"keyid": "k1", "algorithm": "ES256", "scope": "write", "files": 3});
    assert_eq!(inspection.to_json()["signature"], expected);
    // Signing again covers the same files.
    let again = signed(changed, &key, &Map::new()).unwrap();
    assert_eq!(Inspection::of(again).unwrap().to_json()["signature"]["files"], 3);
}

#[test]
fn what_is_in_a_bundle_is_shown() {
    let folder = Folder::new(OLD);
    let options = PackOptions { tests: true, everything: true, ..PackOptions::default() };
    let inspection = Inspection::of(Files::read(folder.path(), &options).unwrap()).unwrap();
    let document = inspection.to_json();
    assert_eq!(document["manifest"]["revision"], "1");
    assert_eq!(
        document["modules"],
        json!([{"path": "a/p.rego", "package": "a", "rules": 3, "rego_version": 1}])
    );
    let data: Vec<_> = document["data"].as_array().unwrap().iter().map(|part| &part["path"]).collect();
    assert_eq!(data, ["/a/l", "/a/n", "/a/same", "/remit/catalog", "/remit/registry"]);
    assert_eq!((&document["files"], &document["signature"]), (&json!(5), &Value::Null));
    let table = inspection.table();
    for line in ["revision   1\n", "roots      a, remit\n", "module     a/p.rego  data.a  3 rules\n"] {
        assert!(table.contains(line), "{table}");
    }
    let patch = r#"{"data":[{"op":"remove","path":"/a/n"}]}"#;
    let folder = Folder::new(&[("patch.json", patch), (".manifest", "{}")]);
    let delta = Inspection::of(Files::read(folder.path(), &options).unwrap()).unwrap();
    assert!(delta.table().contains("patch      remove  /a/n\n"));
}

#[test]
fn differences_have_a_path() {
    let options = BuildOptions::default();
    let changes = Changes::between(built(OLD, &options), built(NEW, &options)).unwrap();
    let expected = "\
~ manifest   /revision  \"1\" → \"2\"
~ rule       data.a.allow
+ rule       data.a.fresh
- rule       data.a.gone
~ data       /a/l/1  2 → 3
~ data       /a/n  1 → 2
+ catalog    /remit/catalog/mcp/0/tools/u  {}
- registry   /remit/registry  {\"x\":1}
+ kill list  /remit/revoked  {\"all\":true}
";
    assert_eq!(changes.table(false), expected);
    assert!(changes.table(true).contains("\u{1b}[32m+ rule       data.a.fresh\u{1b}[0m\n"));
    let first = &changes.to_json()["changes"][1];
    assert_eq!(
        (&first["change"], &first["old"]),
        (&json!("changed"), &json!("allow if input.x\nallow if input.y\n"))
    );
    let same = Changes::between(built(OLD, &options), built(OLD, &options)).unwrap();
    assert!(same.is_empty());
    assert_eq!(same.table(false), "no differences\n");
    let broken = Folder::new(&[("p.rego", "package a\nx := [")]);
    let broken = Files::read(broken.path(), &PackOptions::default()).unwrap();
    assert!(Changes::between(broken.clone(), broken).unwrap_err().to_string().contains("p.rego:2"));
}
