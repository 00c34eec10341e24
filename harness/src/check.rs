//! Checks a configuration and a bundle with the code that the filter itself runs at configure time.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_core::bundle::Bundle;
use remit_core::config::{BundleSource, Config, KeySource, Limits, Mode, SOLE_BUNDLE};
use remit_core::engine::{ActiveBundle, Engine, EngineError, LoadError, bundle_limits};
use remit_core::ids::UnixSeconds;
use remit_core::json;
use remit_core::policy::EngineKind;
use serde_json::{Value, json};

use crate::bundles::SIGNATURES;
use crate::eval::path;
use crate::pack::{Files, PackOptions};
use crate::refused::Refused;

/// What is checked.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The plugin configuration.
    pub config: Option<PathBuf>,
    /// Folders or archives, merged in this order; they take the place of the configuration's bundle.
    pub bundles: Vec<PathBuf>,
    /// The decision's path, where there is no configuration to give it.
    pub decision: Option<String>,
}

/// What is in force, a heading and a text a line.
pub type InForce = Vec<(&'static str, String)>;

/// Checks, and says what would be in force.
///
/// # Errors
///
/// What is wrong, where, and what to do.
pub fn check(subject: &Subject) -> Result<InForce> {
    let bundle = match subject.bundles.as_slice() {
        [] => None,
        sources => Some(packed(sources)?),
    };
    match (&subject.config, bundle) {
        (Some(config), bundle) => check_config(config, bundle.as_deref(), &subject.bundles),
        (None, Some(bundle)) => {
            let decision = path(subject.decision.as_deref().unwrap_or("remit/authz/decision"));
            check_bundle(&bundle, &decision, &subject.bundles)
        }
        (None, None) => bail!("nothing to check: name a configuration, a bundle, or both"),
    }
}

/// The archive as it is, or the folders packed. A signature is left out: who has the files at hand needs none to try them,
/// and `remit bundle verify` holds them against it.
///
/// # Errors
///
/// When one cannot be read.
pub fn packed(sources: &[PathBuf]) -> Result<Vec<u8>> {
    if let [archive] = sources
        && archive.is_file()
    {
        let options = PackOptions { everything: true, tests: true, ..PackOptions::default() };
        // What is no archive, or not a good one, is refused by who reads it strictly.
        return match Files::read(archive, &options) {
            Ok(mut files) if files.content(SIGNATURES).is_some() => {
                files.retain(|path| path != SIGNATURES);
                Ok(files.to_targz()?)
            }
            _ => std::fs::read(archive).with_context(|| archive.display().to_string()),
        };
    }
    let mut files = Files::default();
    for source in sources {
        files.merge(Files::read(source, &PackOptions::default())?)?;
    }
    Ok(files.to_targz()?)
}

fn check_config(path: &Path, bundle: Option<&[u8]>, sources: &[PathBuf]) -> Result<InForce> {
    let name = || path.display().to_string();
    let mut document = std::fs::read(path).with_context(name)?;
    if let Some(bundle) = bundle {
        let mut config = json::parse(&document, 32).with_context(name)?;
        let object = config.as_object_mut().ok_or_else(|| anyhow!("not an object")).with_context(name)?;
        object.remove("bundles");
        object.remove("discovery");
        object.insert("bundle".to_owned(), json!({"inline": STANDARD.encode(bundle)}));
        document = Value::to_string(&config).into_bytes();
    }
    let engine =
        Engine::configure(&document).map_err(|error| explained(error, bundle, sources)).with_context(name)?;
    let mut lines = configured(&engine.config);
    match engine.bundle(UnixSeconds(0)) {
        Some(active) => lines.extend(in_force(active)),
        None => {
            for (name, entry) in engine.config.bundle_entries() {
                let BundleSource::Http(http) = &entry.source else { continue };
                let from = format!("{}{} of cluster {}", http.authority, http.path, http.cluster);
                let name = if name == SOLE_BUNDLE { String::new() } else { format!("{name}: ") };
                lines.push((
                    "bundle",
                    format!("{name}fetched from {from}; not checked here: give it with --bundle"),
                ));
            }
        }
    }
    Ok(lines)
}

fn check_bundle(bundle: &[u8], decision: &str, sources: &[PathBuf]) -> Result<InForce> {
    let limits = Limits::default();
    let bundle = Bundle::from_targz(bundle, &bundle_limits(&limits)).context("bundle")?;
    let active =
        ActiveBundle::load(&bundle, decision, &limits).map_err(|error| hinted(error, &bundle, sources))?;
    let mut lines = vec![("decision", format!("data.{}", decision.replace('/', ".")))];
    lines.extend(in_force(&active));
    Ok(lines)
}

/// The error of a bundle that was given beside the configuration is not one of the configuration.
fn explained(error: EngineError, bundle: Option<&[u8]>, sources: &[PathBuf]) -> anyhow::Error {
    let limits = Limits::default();
    match (error, bundle) {
        (EngineError::Bundle { source: error, .. }, Some(bytes)) => {
            match Bundle::from_targz(bytes, &bundle_limits(&limits)) {
                Ok(bundle) => hinted(error, &bundle, sources),
                Err(_) => anyhow!(error),
            }
        }
        (error, _) => anyhow!(error),
    }
}

fn hinted(error: LoadError, bundle: &Bundle, sources: &[PathBuf]) -> anyhow::Error {
    match error {
        LoadError::Policy(policy) => anyhow::Error::new(Refused::of(&policy, bundle, sources)),
        other => anyhow!(other),
    }
}

fn configured(config: &Config) -> InForce {
    let mode = match config.mode {
        Mode::Enforce => "enforce: what is not allowed is not forwarded",
        Mode::Observe => "observe: everything is decided and recorded, nothing is blocked",
    };
    let mut lines = vec![("mode", mode.to_owned()), ("resource", config.resource.clone())];
    for issuer in &config.issuers {
        let algorithms: Vec<_> = issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect();
        let lifetime = issuer.max_lifetime_seconds;
        lines.push((
            "issuer",
            format!(
                "{}: {}, {}, at most {lifetime} s",
                issuer.issuer,
                algorithms.join(" "),
                keys(&issuer.keys)
            ),
        ));
    }
    match &config.approvals {
        None => lines.push(("approvals", "not configured: what needs one is denied".to_owned())),
        Some(approvals) => {
            for issuer in &approvals.issuers {
                let algorithms: Vec<_> = issuer.algorithms.iter().map(|algorithm| algorithm.name()).collect();
                let seconds = approvals.challenge_seconds;
                let keys = keys(&issuer.keys);
                let text = format!(
                    "{}: {}, {keys}; challenges open for {seconds} s",
                    issuer.issuer,
                    algorithms.join(" ")
                );
                lines.push(("approvals by", text));
            }
        }
    }
    lines.push(("decision", format!("data.{}", config.decision.replace('/', "."))));
    lines
}

fn keys(source: &KeySource) -> String {
    match source {
        KeySource::Inline(set) => {
            let count = set.get("keys").and_then(Value::as_array).map_or(0, Vec::len);
            counted(count, "inline key")
        }
        KeySource::Http(fetch) => {
            format!("keys fetched from {}{}", fetch.authority, fetch.path.as_deref().unwrap_or_default())
        }
        KeySource::Discovery(fetch) => format!("keys by the metadata of {}", fetch.authority),
        KeySource::Secret(_) => "a shared secret".to_owned(),
    }
}

fn in_force(active: &ActiveBundle) -> InForce {
    let revision = if active.revision.is_empty() { "without a revision" } else { &active.revision };
    let engine = match active.policy.engine() {
        EngineKind::Bytecode => "bytecode".to_owned(),
        EngineKind::Interpreter { why } => format!("interpreter, which is slower: {why}"),
    };
    let reads = active.policy.reads();
    let reads: Vec<&str> = [
        (reads.headers, "headers"),
        (reads.query, "query"),
        (reads.body, "body"),
        (reads.arguments, "arguments"),
        (!reads.properties.is_empty(), "properties of the connection"),
    ]
    .into_iter()
    .filter_map(|(read, name)| read.then_some(name))
    .collect();
    let reads = if reads.is_empty() { "nothing of the request itself".to_owned() } else { reads.join(", ") };
    let codes: Vec<_> = active.policy.reason_codes().iter().map(|code| code.as_str()).collect();
    let codes = match codes.len() {
        0 => "none announced (METADATA, custom.reason_code)".to_owned(),
        count => format!("{count}: {}", codes.join(", ")),
    };
    vec![
        ("bundle", revision.to_owned()),
        ("engine", engine),
        ("reads", reads),
        ("reason codes", codes),
        ("catalog", catalog(active)),
        ("registry", counted(active.registry.count(), "agent")),
        ("kill list", counted(active.revoked.count(), "fact")),
    ]
}

/// How much the catalog of a bundle that loaded holds.
fn catalog(active: &ActiveBundle) -> String {
    let Some(catalog) = active.policy.data_at(&["remit", "catalog"]) else {
        return "none in the bundle: every action is unclassified".to_owned();
    };
    let entries = |list: &str, members: &str| -> (usize, usize) {
        let servers = catalog.get(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let count = |server: &Value| match server.get(members) {
            Some(Value::Object(object)) => object.len(),
            Some(Value::Array(array)) => array.len(),
            _ => 0,
        };
        (servers.len(), servers.iter().map(count).sum())
    };
    let (servers, tools) = entries("mcp", "tools");
    let (hosts, routes) = entries("http", "routes");
    format!(
        "{} on {}, {} on {}",
        counted(tools, "MCP tool"),
        counted(servers, "server"),
        counted(routes, "HTTP route"),
        counted(hosts, "host"),
    )
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    const REGO: &str = "package remit.authz\n\n# METADATA\n# custom:\n#   reason_code: fine\ndecision := true if input.attributes.request.http.method == \"GET\"\n";
    const CONFIG: &str = r#"{"version":1,"resource":"https://r","issuers":[{"issuer":"i","algorithms":["HS256"],"keys":{"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}}],"bundle":{"http":{"cluster":"c","authority":"a","path":"/b"}}}"#;

    fn run(files: &[(&str, &str)], config: bool, bundle: bool) -> Result<InForce> {
        let folder = Folder::new(files);
        check(&Subject {
            config: config.then(|| folder.path().join("config.json")),
            bundles: bundle.then(|| folder.path().join("b")).into_iter().collect(),
            decision: None,
        })
    }

    #[test]
    fn what_is_in_force_is_said() {
        let files = [("config.json", CONFIG), ("b/p.rego", REGO)];
        let text = |lines: InForce| {
            lines.into_iter().map(|(name, text)| format!("{name}: {text}\n")).collect::<String>()
        };
        let both = text(run(&files, true, true).unwrap());
        for part in [
            "mode: enforce",
            "issuer: i: HS256, a shared secret, at most 900 s",
            "approvals: not configured",
            "decision: data.remit.authz.decision",
            "bundle: without a revision",
            "engine: bytecode",
            "reason codes: 1: fine",
            "catalog: none in the bundle",
        ] {
            assert!(both.contains(part), "{part}\n{both}");
        }
        assert!(
            text(run(&files, true, false).unwrap())
                .contains("fetched from a/b of cluster c; not checked here")
        );
        assert!(text(run(&files, false, true).unwrap()).starts_with("decision: data.remit.authz.decision"));
    }

    #[test]
    fn a_bundle_at_hand_takes_the_place_of_what_would_be_fetched() {
        let http = r#"{"http":{"cluster":"c","authority":"a","path":"/b"}}"#;
        let sole = format!(r#""bundle":{http}"#);
        for instead in [
            format!(r#""bundles":{{"a":{{"source":{http}}},"b":{{"source":{http}}}}}"#),
            format!(
                r#""discovery":{{"source":{http},"services":{{"s":{{"cluster":"c","authority":"a","path":"/v1"}}}}}}"#
            ),
        ] {
            let config = CONFIG.replace(&sole, &instead);
            assert_ne!(config, CONFIG);
            let files = [("config.json", config.as_str()), ("b/p.rego", REGO)];
            let lines = run(&files, true, true).unwrap();
            assert!(
                lines.iter().any(|(name, text)| *name == "bundle" && text == "without a revision"),
                "{lines:?}"
            );
            assert!(run(&files, true, false).is_ok());
        }
    }

    #[test]
    fn what_is_signed_can_be_checked_without_its_key() {
        let key = crate::signing::SigningKey::generate(remit_core::keys::Algorithm::Es256, None).unwrap();
        let folder = Folder::new(&[("b/p.rego", REGO), ("b/README.md", "about")]);
        let all = PackOptions { everything: true, ..PackOptions::default() };
        let files = Files::read(&folder.path().join("b"), &all).unwrap();
        let files = crate::bundles::signed(files, &key, &serde_json::Map::new()).unwrap();
        let archive = folder.path().join("signed.tar.gz");
        std::fs::write(&archive, files.to_targz().unwrap()).unwrap();
        let subject = Subject { bundles: vec![archive], ..Subject::default() };
        assert!(check(&subject).is_ok());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let sends = "package remit.authz\ndecision if http.send({\"url\": \"x\"})\n";
        let old = "package remit.authz\ndecision { true }\n";
        let shadows = "package remit.authz\ninput := 1\ndecision := input\n";
        let unserved = "package remit.authz\ndecision if {\n\tio.jwt.verify_es512(\"\", \"\")\n}\n";
        let deprecated = "package remit.authz\ndecision if any([true])\n";
        let misspelt = "package remit.authz\ndecision if startwith(\"a\", \"b\")\n";
        for (files, config, bundle, expected) in [
            (&[] as &[_], false, false, "nothing to check"),
            (&[], true, false, "config.json: No such file"),
            (&[("config.json", "{")], true, false, "malformed JSON"),
            (&[("config.json", r#"{"version":2}"#)], true, false, "this filter reads version 1"),
            (&[("config.json", CONFIG)], true, true, "/b"),
            (&[("config.json", CONFIG), ("b/p.rego", sends)], true, true, "http.send"),
            (&[("b/p.rego", sends)], false, true, "p.rego:2"),
            (&[("b/p.rego", old)], false, true, "\"rego_version\": 0"),
            (&[("b/p.rego", shadows)], false, true, "p.rego:2:1: input cannot be shadowed"),
            (&[("b/p.rego", unserved)], false, true, "p.rego:3:21: io.jwt.verify_es512 is neither"),
            (&[("b/p.rego", unserved)], false, true, "; policy-bundles/BUILTINS.md lists what is"),
            (
                &[("b/p.rego", deprecated)],
                false,
                true,
                "p.rego:2:16: any is of Rego v0: write `true in` of the collection, or say \"rego_version\": 0",
            ),
            (&[("b/p.rego", misspelt)], false, true, "serves; look for a misspelt name"),
            (&[("b/p.rego", "package other\n")], false, true, "remit/authz/decision"),
            (&[("b/p.rego", "package other\nallow := true\n")], false, true, "there are: other/allow"),
            (
                &[("b/p.rego", "package other\ndefault allow[\"decision\"] := false\n")],
                false,
                true,
                "there are: other/allow/decision",
            ),
        ] {
            let error = format!("{:#}", run(files, config, bundle).unwrap_err());
            assert!(error.contains(expected), "{error}");
            assert_eq!(error.contains("rego_version"), expected.contains("rego_version"), "{error}");
        }
    }
}
