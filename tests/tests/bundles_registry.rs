//! Bundles in a real registry, and real OPA that pulls them.
#![expect(clippy::indexing_slicing, reason = "a test that fails says where")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_harness::bundles::oci::{Credentials, OciError, Reference, RegistryOptions, pull, push};
use remit_harness::bundles::{BuildOptions, build};
use remit_tests::scratch::{Opa, Scratch};
use serde_json::json;
use xtask::http::{Reply, Server};
use xtask::workspace;

const PLAIN: RegistryOptions = RegistryOptions { plain_http: true, credentials: None };

/// The registry of Debian's package `docker-registry`: on `PATH`, or unpacked below the target folder.
fn program() -> Option<PathBuf> {
    if let Some(path) = workspace::on_path("docker-registry") {
        return Some(path);
    }
    // Tests ask from several threads at once; what is still being written cannot be started.
    static UNPACKING: Mutex<()> = Mutex::new(());
    let _unpacking = UNPACKING.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = workspace::target_dir().join("docker-registry");
    let path = folder.join("usr/bin/docker-registry");
    if path.is_file() {
        return Some(path);
    }
    match unpack(&folder) {
        Ok(()) => Some(path),
        Err(error) => {
            println!("skipped: no docker-registry: {error:#}");
            None
        }
    }
}

fn unpack(folder: &Path) -> Result<()> {
    for tool in ["apt-get", "dpkg"] {
        workspace::on_path(tool).with_context(|| format!("no {tool}"))?;
    }
    let scratch = Scratch::new(&[])?;
    let mut download = Command::new("apt-get");
    workspace::output(download.args(["download", "-q", "docker-registry"]).current_dir(scratch.path("")))?;
    let archive = std::fs::read_dir(scratch.path(""))?.next().context("apt-get left no package")??.path();
    std::fs::create_dir_all(folder)?;
    workspace::output(Command::new("dpkg").arg("-x").arg(&archive).arg(folder))?;
    Ok(())
}

/// A registry that ends with the test.
struct Registry {
    child: Child,
    port: u16,
    _files: Scratch,
}

impl Registry {
    fn start(program: &Path, auth: Option<&str>) -> Result<Self> {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let files = Scratch::new(&[])?;
        let mut config = json!({
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": files.path("data")}},
            "http": {"addr": format!("127.0.0.1:{port}")},
        });
        if let Some(users) = auth {
            let path = files.write("htpasswd", users.as_bytes())?;
            config["auth"] = json!({"htpasswd": {"realm": "test", "path": path}});
        }
        // JSON is YAML.
        let path = files.write("config.yml", config.to_string().as_bytes())?;
        let child = Command::new(program)
            .arg("serve")
            .arg(path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let registry = Self { child, port, _files: files };
        for _ in 0..100 {
            if xtask::http::get(port, "/v2/").is_ok() {
                return Ok(registry);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the registry does not answer")
    }

    fn reference(&self, rest: &str) -> Result<Reference> {
        Ok(Reference::parse(&format!("127.0.0.1:{}/{rest}", self.port))?)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn archive() -> Result<Vec<u8>> {
    let files = Scratch::new(&[
        ("b/.manifest", r#"{"revision":"r1","roots":["a"]}"#),
        ("b/a/p.rego", "package a\n\nallow if input.x\n"),
        ("b/a/data.json", r#"{"limit":7}"#),
    ])?;
    Ok(build(&[files.path("b")], &BuildOptions::default())?.to_targz()?)
}

#[test]
fn what_is_pushed_is_pulled() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let registry = Registry::start(&program, None)?;
    let archive = archive()?;
    let reference = registry.reference("policy/authz:1.0")?;
    let pushed = push(&reference, &archive, &PLAIN)?;
    assert_eq!(push(&reference, &archive, &PLAIN)?, pushed, "the same bundle is the same image");
    let pulled = pull(&reference, 1 << 20, &PLAIN)?;
    assert_eq!(
        (&pulled.archive, &pulled.manifest, &pulled.bundle),
        (&archive, &pushed.manifest, &pushed.bundle)
    );
    let by_digest = registry.reference(&format!("policy/authz@{}", pushed.manifest))?;
    assert_eq!(pull(&by_digest, 1 << 20, &PLAIN)?.archive, archive);
    let error = pull(&registry.reference("policy/authz:none")?, 1 << 20, &PLAIN).unwrap_err().to_string();
    assert!(error.ends_with("status 404: no such repository or tag"), "{error}");
    let error = pull(&reference, 10, &PLAIN).unwrap_err();
    assert!(matches!(error, OciError::TooLarge { limit: 10, .. }), "{error}");
    let https = RegistryOptions { plain_http: false, credentials: None };
    assert!(matches!(pull(&reference, 1 << 20, &https).unwrap_err(), OciError::Http { .. }));
    Ok(())
}

/// `user:secret`, as htpasswd hashes it with bcrypt.
const USERS: &str = "user:$2b$05$U4n7ZFf.p84ujqKGnlHFresA3xKHQg8IWsyFKxTHKQmUtVxdruLPG\n";

#[test]
fn who_may_not_is_refused() -> Result<()> {
    let Some(program) = program() else { return Ok(()) };
    let registry = Registry::start(&program, Some(USERS))?;
    let (archive, reference) = (archive()?, registry.reference("authz:1")?);
    let with = |user: &str, password: &str| RegistryOptions {
        plain_http: true,
        credentials: Some(Credentials::new(user, password)),
    };
    for (options, is_good) in [(PLAIN, false), (with("user", "wrong"), false), (with("user", "secret"), true)]
    {
        let outcome = push(&reference, &archive, &options).and_then(|_| pull(&reference, 1 << 20, &options));
        match outcome {
            Ok(pulled) => assert!(is_good && pulled.archive == archive),
            Err(error) => {
                let text = error.to_string();
                assert!(
                    !is_good && text.contains("status 401: sign in") && !text.contains("wrong"),
                    "{text}"
                );
            }
        }
    }
    Ok(())
}

/// A token service in front of a registry that answers with whatever the test wants.
#[test]
fn tokens_are_fetched_and_answers_are_checked() -> Result<()> {
    let manifest = json!({"layers": [{
        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
        "digest": format!("sha256:{}", "0".repeat(64)), "size": 5,
    }]})
    .to_string();
    let index = json!({"manifests": [{"digest": format!("sha256:{}", "1".repeat(64))}]}).to_string();
    let server = Server::start(move |request| {
        let header = |wanted: &str| {
            request.headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str())
        };
        let answer =
            |status, headers, body: &str| Reply::Answer { status, headers, body: body.as_bytes().to_vec() };
        let host = header("host").to_owned();
        let basic = format!("Basic {}", STANDARD.encode("user:secret"));
        match request.path.as_str() {
            path if path.starts_with("/token?service=here%20and%20there&scope=repository%3Aa%3Apull") => {
                let is_good = header("authorization") == basic;
                answer(if is_good { 200 } else { 401 }, vec![], r#"{"token":"t-1"}"#)
            }
            path if path.contains("plain") => {
                let challenge = r#"Bearer realm="ftp://x/token""#;
                answer(401, vec![("www-authenticate", challenge.to_owned())], "")
            }
            path if path.contains("odd") => {
                answer(401, vec![("www-authenticate", "Negotiate".to_owned())], "")
            }
            _ if header("authorization") != "Bearer t-1" => {
                let challenge = format!(
                    r#"Bearer realm="http://{host}/token",service="here and there",scope="repository:a:pull""#
                );
                answer(401, vec![("www-authenticate", challenge)], "")
            }
            "/v2/a/manifests/good" => answer(200, vec![], &manifest),
            "/v2/a/manifests/index" => answer(200, vec![], &index),
            "/v2/a/manifests/none" => answer(200, vec![], r#"{"layers":[]}"#),
            "/v2/a/manifests/broken" => answer(200, vec![], "{"),
            path if path.starts_with("/v2/a/blobs/") => answer(200, vec![], "other"),
            path if path.starts_with("/v2/a/manifests/sha256:") => answer(200, vec![], "{}"),
            _ => answer(404, vec![], ""),
        }
    })?;
    let options = RegistryOptions { plain_http: true, credentials: Some(Credentials::new("user", "secret")) };
    for (rest, options, expected) in [
        ("a:good", &options, "what the registry sent has the digest"),
        ("a:index", &options, "what the registry sent has the digest"),
        ("a:none", &options, "no layer of type application/vnd.oci.image.layer.v1.tar+gzip"),
        ("a:broken", &options, "the manifest is not JSON"),
        ("a:missing", &options, "status 404"),
        ("a:good", &PLAIN, "/token: status 401: sign in"),
        ("plain:1", &options, "it is not https"),
        ("odd:1", &options, "neither Basic nor Bearer"),
    ] {
        let reference = Reference::parse(&format!("127.0.0.1:{}/{rest}", server.port))?;
        let error = pull(&reference, 1 << 20, options).unwrap_err().to_string();
        assert!(error.contains(expected), "{rest}: {error}");
    }
    Ok(())
}

#[test]
fn opa_pulls_what_is_pushed() -> Result<()> {
    let (Some(opa), Some(program)) = (Opa::find(), program()) else { return Ok(()) };
    let registry = Registry::start(&program, None)?;
    push(&registry.reference("policy/authz:1.0")?, &archive()?, &PLAIN)?;
    let host = format!("127.0.0.1:{}", registry.port);
    let config = json!({
        "services": {"registry": {"url": format!("http://{host}"), "type": "oci"}},
        "bundles": {"authz": {"service": "registry", "resource": format!("{host}/policy/authz:1.0")}},
    });
    let files = Scratch::new(&[("config.json", &config.to_string())])?;
    let port = std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
    let mut child = Command::new(&opa.program)
        .args(["run", "--server", "--addr", &format!("127.0.0.1:{port}"), "--config-file", "config.json"])
        .current_dir(files.path(""))
        .stderr(Stdio::null())
        .spawn()?;
    let mut seen = String::new();
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(100));
        let Ok((200, body)) = xtask::http::get(port, "/v1/data/a/limit") else { continue };
        seen = body;
        if seen.contains('7') {
            break;
        }
    }
    child.kill()?;
    child.wait()?;
    let seen: serde_json::Value = serde_json::from_str(&seen)?;
    assert_eq!(seen["result"], 7);
    Ok(())
}
