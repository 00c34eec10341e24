//! Bundles to and from real OPA: what one builds and signs, the other loads and verifies.
#![expect(clippy::indexing_slicing, reason = "a test that fails says where")]

use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context, Result};
use remit_core::bundle::{Bundle, BundleLimits, RegoVersion, Update, Verification};
use remit_core::config::{BundleKey, BundleKeys, Signing};
use remit_core::keys::Algorithm;
use remit_harness::bundles::{BuildOptions, build, delta, sign, signed};
use remit_harness::pack::{Files, PackOptions};
use remit_harness::signing::SigningKey;
use remit_tests::scratch::{Opa, Scratch};
use serde_json::{Map, Value, json};
use xtask::http::{Reply, Server};

const SECRET: &str = "a secret of more than 32 bytes of text";

const FILES: &[(&str, &str)] = &[
    ("b/.manifest", r#"{"revision":"r1","roots":["a","b"],"metadata":{"team":"x"},"unknown":1}"#),
    ("b/a/p.rego", "package a\n\nallow if input.x == data.b.limits.calls\n"),
    (
        "b/b/data.json",
        r#"{"limits": {"calls": 3, "rate": 1.50, "big": 12345678901234567890, "text": "<ü\u2028>"}}"#,
    ),
    ("b/b/more/data.yaml", "list:\n- yes\n- 2026-01-02\n- 1e3\n"),
];

const KEYS: [(Algorithm, &str, &str); 3] = [
    (Algorithm::Rs256, include_str!("../keys/rs256.pem"), include_str!("../keys/rs256.pub.pem")),
    (Algorithm::Es256, include_str!("../keys/es256.pem"), include_str!("../keys/es256.pub.pem")),
    (Algorithm::Es384, include_str!("../keys/es384.pem"), include_str!("../keys/es384.pub.pem")),
];

fn scratch() -> Result<Scratch> {
    let scratch = Scratch::new(FILES)?;
    for (algorithm, private, public) in KEYS.into_iter().chain([(Algorithm::Hs256, SECRET, SECRET)]) {
        let path = scratch.write(&format!("{algorithm}.key"), private.as_bytes())?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        scratch.write(&format!("{algorithm}.pub"), public.as_bytes())?;
    }
    Ok(scratch)
}

fn algorithms() -> impl Iterator<Item = (Algorithm, &'static str, &'static str)> {
    KEYS.into_iter().chain([(Algorithm::Hs256, SECRET, SECRET)])
}

fn verification(algorithm: Algorithm, public: &str, signing: &Signing) -> Result<Verification> {
    let key = BundleKey { key: public.to_owned(), algorithm, scope: String::new() };
    Ok(Verification::new(&BundleKeys::from([("default".to_owned(), key)]), Some(signing))?)
}

fn verified(archive: &[u8], verification: &Verification) -> Result<Bundle> {
    Ok(Bundle::verified_from_targz(archive, &BundleLimits::default(), verification)?)
}

#[test]
fn what_opa_builds_loads_and_says_the_same() -> Result<()> {
    let Some(opa) = Opa::find() else { return Ok(()) };
    let scratch = scratch()?;
    let folder = scratch.path("");
    opa.run(&folder, &["build", "-b", "b", "-o", "opa.tar.gz", "-r", "r2"])?;
    let bundle = Bundle::from_targz(&std::fs::read(scratch.path("opa.tar.gz"))?, &BundleLimits::default())?;
    assert_eq!((bundle.revision(), bundle.roots()), ("r2", &["a".to_owned(), "b".to_owned()][..]));
    assert_eq!(bundle.rego_version(), RegoVersion::V1);
    let of_opa = opa.data(&folder, "opa.tar.gz")?;
    assert_eq!(Some(&bundle.data()["b"]), of_opa.get("b"));
    // The folder as it is, YAML included, and the archive that Remit builds of it.
    let built = build(&[scratch.path("b")], &BuildOptions::default())?;
    scratch.write("remit.tar.gz", &built.to_targz()?)?;
    let bundle = Bundle::from_targz(&std::fs::read(scratch.path("remit.tar.gz"))?, &BundleLimits::default())?;
    assert_eq!(Some(&bundle.data()["b"]), of_opa.get("b"));
    assert_eq!(opa.data(&folder, "remit.tar.gz")?, of_opa);
    Ok(())
}

#[test]
fn old_rego_keeps_its_version() -> Result<()> {
    let Some(opa) = Opa::find() else { return Ok(()) };
    let scratch = Scratch::new(&[
        ("old/.manifest", r#"{"roots":["old"]}"#),
        ("old/p.rego", "package old\nallow { input.x }\n"),
        ("new/.manifest", r#"{"roots":["new"]}"#),
        ("new/p.rego", "package new\nallow if input.x\n"),
    ])?;
    let folder = scratch.path("");
    opa.run(&folder, &["build", "--v0-compatible", "-b", "old", "-o", "old.tar.gz"])?;
    // Two bundles in one: OPA writes the version of single files.
    opa.run(&folder, &["build", "-b", "old.tar.gz", "-b", "new", "-o", "both.tar.gz"])?;
    for (archive, expected) in
        [("old.tar.gz", vec![RegoVersion::V0]), ("both.tar.gz", vec![RegoVersion::V0, RegoVersion::V1])]
    {
        let bundle = Bundle::from_targz(&std::fs::read(scratch.path(archive))?, &BundleLimits::default())?;
        let mut versions: Vec<_> = bundle
            .modules()
            .iter()
            .map(|module| (module.text.contains("new"), module.rego_version))
            .collect();
        versions.sort_by_key(|(is_new, _)| *is_new);
        assert_eq!(
            versions.into_iter().map(|(_, version)| version).collect::<Vec<_>>(),
            expected,
            "{archive}"
        );
    }
    Ok(())
}

#[test]
fn what_opa_signs_is_verified() -> Result<()> {
    let Some(opa) = Opa::find() else { return Ok(()) };
    let scratch = scratch()?;
    let folder = scratch.path("");
    scratch.write("claims.json", br#"{"scope":"write","keyid":"default"}"#)?;
    for (algorithm, _, public) in algorithms() {
        let (key, name) = (scratch.path(&format!("{algorithm}.key")), algorithm.name());
        let key = key.to_str().context("not UTF-8")?;
        opa.run(
            &folder,
            &["build", "-b", "b", "-o", "s.tar.gz", "--signing-key", key, "--signing-alg", name],
        )?;
        let archive = std::fs::read(scratch.path("s.tar.gz"))?;
        let plain = verification(algorithm, public, &Signing::default())?;
        verified(&archive, &plain).with_context(|| format!("{algorithm}: opa build"))?;
        // A folder that OPA signed, packed with everything in it.
        opa.run(
            &scratch.path("b"),
            &[
                "sign",
                "-b",
                ".",
                "--signing-key",
                key,
                "--signing-alg",
                name,
                "--claims-file",
                "../claims.json",
            ],
        )?;
        let options = PackOptions { everything: true, tests: true, ..PackOptions::default() };
        let files = Files::read(&scratch.path("b"), &options)?;
        let scoped =
            verification(algorithm, public, &Signing { scope: Some("write".into()), ..Signing::default() })?;
        verified(&files.to_targz()?, &scoped).with_context(|| format!("{algorithm}: opa sign"))?;
        let error = verified(&files.to_targz()?, &plain).unwrap_err().to_string();
        assert!(error.contains("signed for the scope \"write\""), "{error}");
        for path in ["b/data.json", ".manifest", "a/p.rego", "b/more/data.yaml"] {
            let mut changed = files.clone();
            let content = changed.content(path).context(path)?;
            let content =
                String::from_utf8(content.to_vec())?.replace(['3', '1'], "4").replace("input.x", "input.y");
            changed.put(path, content.into_bytes());
            let error = verified(&changed.to_targz()?, &scoped).unwrap_err().to_string();
            assert!(error.contains("not as it was signed"), "{path}: {error}");
        }
        std::fs::remove_file(scratch.path("b/.signatures.json"))?;
    }
    Ok(())
}

#[test]
fn what_is_signed_here_opa_verifies() -> Result<()> {
    let Some(opa) = Opa::find() else { return Ok(()) };
    let scratch = scratch()?;
    let folder = scratch.path("");
    let claims = json!({"scope": "write"});
    let claims = claims.as_object().context("an object")?;
    for (algorithm, private, _) in algorithms() {
        let key = match algorithm {
            Algorithm::Hs256 => SigningKey::from_secret(private)?,
            algorithm => SigningKey::parse(private, Some(algorithm))?,
        };
        let built = build(&[scratch.path("b")], &BuildOptions::default())?;
        let files = signed(built.clone(), &key.with_kid("default"), claims)?;
        let mut changed = files.clone();
        changed.put("a/p.rego", b"package a\n".to_vec());
        let mut more = files.clone();
        more.put("a/q.rego", b"package a\n".to_vec());
        let mut fewer = files.clone();
        fewer.retain(|path| path != "a/p.rego");
        for (what, files, scope, is_good) in [
            ("good", &files, "write", true),
            ("other scope", &files, "read", false),
            ("changed", &changed, "write", false),
            ("more", &more, "write", false),
            ("fewer", &fewer, "write", false),
        ] {
            scratch.write("s.tar.gz", &files.to_targz()?)?;
            let public = format!("{algorithm}.pub");
            let arguments = [
                "build",
                "-b",
                "s.tar.gz",
                "-o",
                "out.tar.gz",
                "--verification-key",
                &public,
                "--signing-alg",
                algorithm.name(),
                "--scope",
                scope,
            ];
            let output = opa.try_run(&folder, &arguments)?;
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), is_good, "{algorithm} {what}: {said}");
        }
    }
    // Every number and text in the same form as OPA writes it.
    let key = SigningKey::from_secret(SECRET)?.with_kid("default");
    let ours: Value = serde_json::from_str(&sign(
        &build(&[scratch.path("b")], &BuildOptions::default())?,
        &key,
        &Map::new(),
    )?)?;
    opa.run(
        &scratch.path("b"),
        &["sign", "-b", ".", "--signing-key", "../HS256.key", "--signing-alg", "HS256"],
    )?;
    let theirs: Value = serde_json::from_slice(&std::fs::read(scratch.path("b/.signatures.json"))?)?;
    assert_eq!(hashes(&ours)?, hashes(&theirs)?);
    Ok(())
}

/// A server loads what is signed here, and does not start with what was changed since.
#[test]
fn a_server_of_opa_runs_what_is_signed_here() -> Result<()> {
    let Some(opa) = Opa::find() else { return Ok(()) };
    let scratch = scratch()?;
    let key = SigningKey::parse(KEYS[1].1, Some(Algorithm::Es256))?.with_kid("default");
    let claims = json!({"scope": "write"});
    let files = build(&[scratch.path("b")], &BuildOptions::default())?;
    let files = signed(files, &key, claims.as_object().context("an object")?)?;
    let mut changed = files.clone();
    changed.put("a/p.rego", b"package a\n\nallow := true\n".to_vec());
    for (files, is_good) in [(&files, true), (&changed, false)] {
        scratch.write("s.tar.gz", &files.to_targz()?)?;
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let mut server = std::process::Command::new(&opa.program)
            .args(["run", "--server", "--addr", &address, "--log-level", "error", "-b", "s.tar.gz"])
            .args(["--verification-key", "ES256.pub", "--signing-alg", "ES256", "--scope", "write"])
            .current_dir(scratch.path(""))
            .stderr(std::process::Stdio::null())
            .spawn()?;
        let mut answer = None;
        for _ in 0..200 {
            std::thread::sleep(std::time::Duration::from_millis(50));
            if let Ok((200, body)) = xtask::http::get(port, "/v1/data/b/limits/calls") {
                answer = Some(serde_json::from_str::<Value>(&body)?["result"].clone());
                break;
            }
            if server.try_wait()?.is_some() {
                break;
            }
        }
        let _ = server.kill();
        server.wait()?;
        assert_eq!(answer, is_good.then(|| json!(3)));
    }
    Ok(())
}

/// Names and hashes that a signature holds.
fn hashes(signatures: &Value) -> Result<Vec<(String, String)>> {
    use base64::Engine as _;
    let token = signatures.pointer("/signatures/0").and_then(Value::as_str).context("no signature")?;
    let claims = token.split('.').nth(1).context("no claims")?;
    let claims: Value =
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims)?)?;
    let text = |file: &Value, member: &str| {
        file[member].as_str().unwrap_or_default().trim_start_matches('/').to_owned()
    };
    let files = claims["files"].as_array().context("no files")?;
    let mut hashes: Vec<_> = files.iter().map(|file| (text(file, "name"), text(file, "hash"))).collect();
    hashes.sort();
    Ok(hashes)
}

/// The data that each case of a delta begins with, below its root.
fn base() -> Value {
    json!({"l": [1, 2], "o": {"k": 1, "a/b": 2, "~": 3}, "s": "x", "n": null})
}

fn cases() -> Vec<Value> {
    let one = |op: &str, path: &str, value: Value| json!([{"op": op, "path": path, "value": value}]);
    let mut cases = Vec::new();
    for op in ["upsert", "replace", "remove"] {
        for path in [
            "",
            "/new",
            "/new/deep",
            "/l",
            "/l/0",
            "/l/1",
            "/l/2",
            "/l/3",
            "/l/-",
            "/l/x",
            "/l/0/x",
            "/o",
            "/o/k",
            "/o/k/x",
            "/o/new/deep/er",
            "/o/a~1b",
            "/o/~0",
            "/o/a%2Fb",
            "/o/%6B",
            "/s",
            "/s/x",
            "/n",
            "/n/x",
            "/o/",
        ] {
            cases.push(one(op, &format!("/c{}{path}", cases.len()), json!({"v": [1]})));
        }
    }
    let at = |path: &str, cases: &Vec<Value>| format!("c{}/{path}", cases.len());
    let two = json!([
        {"op": "upsert", "path": at("t", &cases), "value": {}},
        {"op": "upsert", "path": at("t/u", &cases), "value": 1},
        {"op": "remove", "path": at("s", &cases)},
    ]);
    cases.push(two);
    let half = json!([
        {"op": "upsert", "path": at("t", &cases), "value": 1},
        {"op": "remove", "path": at("none", &cases)},
    ]);
    cases.push(half);
    cases.push(one("move", &at("s", &cases), json!(1)));
    cases.push(one("upsert", "other", json!(1)));
    cases
}

/// Data before and after, to be brought about by a delta.
fn changed() -> Vec<(Value, Value)> {
    vec![
        (base(), json!({"l": [1, 3], "o": {"k": {"new": [1]}, "a/b": 9, "~": 3}, "s": {}, "m": null})),
        (
            json!({"a%2Fb": 1, "x": [1, 2, 3], "y": {"z": {"deep": 1}}}),
            json!({"a%2Fb": 2, "x": [1, 2], "y": {"z": {}}}),
        ),
        (json!({"100%": 1, "ü/~": {"k": 1}}), json!({"100%": 2, "ü/~": {"k": 2, "l": [[]]}})),
    ]
}

fn archive(files: &[(&str, String)]) -> Result<Vec<u8>> {
    let mut all = Files::default();
    for (path, content) in files {
        all.put(path, content.clone().into_bytes());
    }
    Ok(all.to_targz()?)
}

/// OPA polls a server that has a snapshot for whoever has nothing, and then a delta.
#[test]
fn deltas_do_what_they_do_in_opa() -> Result<()> {
    let Some(opa) = Opa::find() else { return Ok(()) };
    let mut expected = Map::new();
    let mut bundles = Vec::new();
    for (at, operations) in cases().into_iter().enumerate() {
        let root = format!("c{at}");
        let manifest = |revision: &str| json!({"revision": revision, "roots": [root]}).to_string();
        let data = json!({ &root: base() }).to_string();
        let snapshot = archive(&[(".manifest", manifest("1")), ("data.json", data)])?;
        let patch = json!({ "data": operations }).to_string();
        let delta = archive(&[(".manifest", manifest("2")), ("patch.json", patch)])?;
        let limits = BundleLimits::default();
        let none = Verification::default();
        let before = Bundle::from_targz(&snapshot, &limits)?;
        let update = Update::from_targz(&delta, &limits, &none);
        let after = update.and_then(|update| update.onto(Some(&before), &limits)).unwrap_or(before);
        expected.extend(after.data().clone());
        bundles.push((snapshot, delta));
    }
    // What is built here of two bundles, besides.
    for (old, new) in changed() {
        let root = format!("c{}", bundles.len());
        let whole = |revision: &str, data: &Value| -> Result<Files> {
            let mut files = Files::default();
            files.put(".manifest", json!({"revision": revision, "roots": [root]}).to_string().into_bytes());
            files.put("data.json", json!({ &root: data }).to_string().into_bytes());
            Ok(files)
        };
        let snapshot = whole("1", &old)?;
        let built = delta(&snapshot, &whole("2", &new)?)?;
        expected.insert(root.clone(), new);
        bundles.push((snapshot.to_targz()?, built.to_targz()?));
    }
    let count = bundles.len();
    let server = Server::start(move |request| {
        let known =
            request.headers.iter().find(|(name, _)| name == "if-none-match").map(|(_, value)| value.as_str());
        let bundle = request.path.trim_start_matches("/c").parse().ok().and_then(|at: usize| bundles.get(at));
        let (status, etag, body) = match (bundle, known) {
            (None, _) => (404, "", Vec::new()),
            (Some((snapshot, _)), None) => (200, "1", snapshot.clone()),
            (Some((_, delta)), Some("1")) => (200, "2", delta.clone()),
            (Some(_), Some(_)) => (304, "2", Vec::new()),
        };
        let headers = vec![("etag", etag.to_owned()), ("content-type", "application/gzip".to_owned())];
        Reply::Answer { status, headers, body }
    })?;
    let sources: Map<String, Value> = (0..count)
        .map(|at| {
            let polling = json!({"min_delay_seconds": 1, "max_delay_seconds": 1});
            (format!("c{at}"), json!({"service": "s", "resource": format!("c{at}"), "polling": polling}))
        })
        .collect();
    let config = json!({
        "services": {"s": {"url": format!("http://127.0.0.1:{}", server.port)}},
        "bundles": sources,
    });
    let scratch = Scratch::new(&[("config.json", &config.to_string())])?;
    let port = free_port()?;
    let address = format!("127.0.0.1:{port}");
    let mut child = std::process::Command::new(&opa.program)
        .args(["run", "--server", "--addr", &address, "--config-file", "config.json", "--log-level", "error"])
        .current_dir(scratch.path(""))
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let mut seen = Value::Null;
    for _ in 0..100 {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let Ok((200, body)) = xtask::http::get(port, "/v1/data") else { continue };
        seen = serde_json::from_str::<Value>(&body)?["result"].take();
        if seen == Value::Object(expected.clone()) {
            break;
        }
    }
    child.kill()?;
    child.wait()?;
    for (root, expected) in &expected {
        let at: usize = root.trim_start_matches('c').parse()?;
        assert_eq!(seen.get(root), Some(expected), "{root} {:?}", cases().get(at));
    }
    assert_eq!(seen.as_object().map(Map::len), Some(expected.len()));
    Ok(())
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
