//! A scenario: a capture, a plugin configuration without keys and bundle, a bundle, and data of the scenario's own.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remit_core::delegation::{HOPS_HEADER, PROOF_HEADER};
use remit_core::ids::Now;
use remit_core::json::{self, JsonError};
use remit_core::keys::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::capture::{ApprovalTemplate, Capture, CaptureError, CaptureLimits};
use crate::keyring::Keyring;
use crate::mint::{MintError, Minter};
use crate::pack::{Files, PackError, PackOptions};
use crate::replay::Document;
use crate::signing::KeyError;
use remit_core::shape;

/// Nesting of JSON in a configuration.
const DEPTH: usize = 32;

/// Why a scenario cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The capture.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A file is not JSON.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        source: JsonError,
    },
    /// A member is unknown, missing or of the wrong shape.
    #[error("{} at {pointer}: {problem}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// JSON pointer of the member.
        pointer: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// No configuration.
    #[error("no config.json beside {}: name a configuration with --config", capture.display())]
    NoConfig {
        /// The capture.
        capture: PathBuf,
    },
    /// No bundle.
    #[error("no bundle: name one with --bundle, or in {}", scenario.display())]
    NoBundle {
        /// Where the scenario could name it.
        scenario: PathBuf,
    },
    /// The bundle that the scenario names is not there.
    #[error("{}: there is no {bundle} beside it or in a folder above it", scenario.display())]
    BundleMissing {
        /// The file that names it.
        scenario: PathBuf,
        /// What it names.
        bundle: String,
    },
    /// The bundle cannot be packed.
    #[error("bundle: {0}")]
    Pack(#[from] PackError),
    /// A key cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// What takes the place of a scenario's own files.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Folders or archives, merged in this order; empty: those that `scenario.json` names.
    pub bundles: Vec<PathBuf>,
    /// A plugin configuration; absent: `config.json` beside the capture.
    pub config: Option<PathBuf>,
    /// What all issuers of the capture sign with, and the configuration accepts of them.
    pub algorithm: Option<Algorithm>,
}

/// `scenario.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    /// Folder or archive, looked for beside the file and in the folders above it.
    bundle: String,
}

/// A scenario, ready to be replayed.
#[derive(Debug)]
pub struct Scenario {
    /// The recorded traffic.
    pub capture: Capture,
    folder: PathBuf,
    config: Map<String, Value>,
    bundle: Option<Vec<u8>>,
    keys: Keyring,
    minter: Minter,
}

impl Scenario {
    /// Loads a scenario from its folder, or from its capture with the files beside it.
    ///
    /// # Errors
    ///
    /// See [`ScenarioError`]; each names the file at fault.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        Self::load_with(path, &Overrides::default())
    }

    /// As [`Scenario::load`], with other files in place of the scenario's own.
    ///
    /// # Errors
    ///
    /// See [`ScenarioError`].
    pub fn load_with(path: &Path, overrides: &Overrides) -> Result<Self, ScenarioError> {
        let (folder, file) = if path.is_dir() {
            (path.to_owned(), path.join("capture.jsonl"))
        } else {
            (path.parent().map(Path::to_path_buf).unwrap_or_default(), path.to_owned())
        };
        let mut capture = Capture::load(&file, &CaptureLimits::default())?;
        if let Some(algorithm) = overrides.algorithm {
            capture.issuers.values_mut().for_each(|issuer| issuer.alg = algorithm);
        }
        let own = folder.join("config.json");
        let config = match &overrides.config {
            Some(config) => config.clone(),
            None if own.is_file() => own,
            None => return Err(ScenarioError::NoConfig { capture: file }),
        };
        let mut keys = Keyring::generate(&capture.issuers)?;
        keys.bind(&mut capture.tokens)?;
        let config = configuration(&config, &keys, overrides.algorithm, !capture.fetched.is_empty())?;
        let bundle = bundle(&folder, overrides, config.contains_key("bundle"))?;
        Ok(Self { capture, folder, config, bundle, keys, minter: Minter::default() })
    }

    /// Puts another bundle in place, with the scenario's own data as before. The keys stay, and tokens are minted anew.
    ///
    /// # Errors
    ///
    /// When the bundle cannot be packed.
    pub fn replace_bundle(&mut self, sources: &[PathBuf]) -> Result<(), ScenarioError> {
        let overrides = Overrides { bundles: sources.to_vec(), ..Overrides::default() };
        self.bundle = bundle(&self.folder, &overrides, false)?;
        self.minter = Minter::default();
        Ok(())
    }

    /// The same scenario as if it began at another time; see [`Capture::rebased`].
    #[must_use]
    pub fn rebased(mut self, start: Now) -> Self {
        self.capture = self.capture.rebased(start);
        self.minter = Minter::default();
        self
    }

    /// The plugin configuration: with the development keys in place of `keys`, and the bundle inline.
    #[must_use]
    pub fn plugin_config(&self) -> String {
        Value::Object(self.plugin_config_document()).to_string()
    }

    /// [`Scenario::plugin_config`] as a document, to be changed.
    #[must_use]
    pub fn plugin_config_document(&self) -> Map<String, Value> {
        let mut config = self.config.clone();
        if let Some(bundle) = &self.bundle {
            config.remove("bundles");
            config.remove("discovery");
            config.insert("bundle".to_owned(), json!({"inline": STANDARD.encode(bundle)}));
        }
        config
    }

    /// The packed bundle; `None` where the configuration brings its own.
    #[must_use]
    pub fn bundle(&self) -> Option<&[u8]> {
        self.bundle.as_deref()
    }

    /// The development keys.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// What the filter gets at a time where it fetches.
    #[must_use]
    pub fn served(&self, now: Now) -> Vec<Document> {
        let mut served: Vec<Document> = Vec::new();
        for fetched in self.capture.fetched.iter().filter(|fetched| self.capture.after(fetched.at) <= now) {
            let keys = fetched.keys_of.as_ref().map(|names| {
                let keys: Vec<_> =
                    names.iter().filter_map(|name| self.keys.key(name)?.public_jwk()).collect();
                json!({ "keys": keys }).to_string().into_bytes()
            });
            let body = || fetched.body.as_ref().map(crate::capture::Body::to_bytes).unwrap_or_default();
            let document = Document {
                cluster: fetched.cluster.clone(),
                path: fetched.path.clone(),
                status: fetched.status,
                headers: fetched.headers.clone(),
                body: keys.unwrap_or_else(body),
            };
            served.retain(|other| (&other.cluster, &other.path) != (&document.cluster, &document.path));
            served.push(document);
        }
        served
    }

    /// A new token of a template with this `jti`, beside those that [`Scenario::mint`] remembers.
    ///
    /// # Errors
    ///
    /// [`MintError::UnknownTemplate`], [`MintError::UnknownIssuer`].
    pub fn mint_named(&self, template: &str, jti: &str, now: Now) -> Result<String, MintError> {
        let found = self.capture.tokens.get(template);
        let mut found =
            found.ok_or_else(|| MintError::UnknownTemplate { name: template.to_owned() })?.clone();
        found.claims.insert("jti".to_owned(), json!(jti));
        Minter::default().token(template, &found, &self.keys, now)
    }

    /// The token of a template at a time: the last one while it is valid, then a new one.
    ///
    /// # Errors
    ///
    /// [`MintError::UnknownTemplate`], [`MintError::UnknownIssuer`].
    pub fn mint(&mut self, template: &str, now: Now) -> Result<String, MintError> {
        let found = self.capture.tokens.get(template);
        let found = found.ok_or_else(|| MintError::UnknownTemplate { name: template.to_owned() })?;
        self.minter.token(template, found, &self.keys, now)
    }

    /// The headers that go with a token of a hop list: what was derived from it, and the proof of the last key.
    ///
    /// # Errors
    ///
    /// [`MintError::UnknownTemplate`], [`MintError::UnknownIssuer`].
    pub fn mint_hops(
        &mut self,
        template: &str,
        proof: Option<&Map<String, Value>>,
        now: Now,
    ) -> Result<Vec<(String, String)>, MintError> {
        if self.capture.tokens.get(template).is_none_or(|found| found.hops.is_empty()) {
            return Ok(Vec::new());
        }
        let root = self.mint(template, now)?;
        let found = self.capture.tokens.get(template);
        let found = found.ok_or_else(|| MintError::UnknownTemplate { name: template.to_owned() })?;
        let mut headers = Vec::new();
        if let Some(hops) = self.minter.hops(template, found, &root, &self.keys, now)? {
            headers.push((HOPS_HEADER.to_owned(), hops));
        }
        if let Some(proof) = proof {
            let proof = Minter::hop_proof(found, proof, &self.keys, now)?;
            headers.push((PROOF_HEADER.to_owned(), proof));
        }
        Ok(headers)
    }

    /// An approval of the challenge in a reply's body.
    ///
    /// # Errors
    ///
    /// See [`MintError`].
    pub fn mint_approval(
        &mut self,
        template: &ApprovalTemplate,
        reply: &[u8],
        now: Now,
    ) -> Result<String, MintError> {
        self.minter.approval(template, reply, &self.keys, now)
    }
}

/// The configuration, with the public keys of every issuer whose private key the harness has.
fn configuration(
    path: &Path,
    keys: &Keyring,
    algorithm: Option<Algorithm>,
    fetches: bool,
) -> Result<Map<String, Value>, ScenarioError> {
    let mut config = object(path)?;
    let misfit =
        |pointer: String, problem: String| ScenarioError::Shape { path: path.to_owned(), pointer, problem };
    let put = |issuers: Option<&mut Value>, at: &str| {
        let issuers = issuers.and_then(Value::as_array_mut).map(Vec::as_mut_slice).unwrap_or_default();
        for (i, issuer) in issuers.iter_mut().enumerate() {
            let Some(issuer) = issuer.as_object_mut() else { continue };
            let iss = issuer.get("issuer").and_then(Value::as_str).unwrap_or_default().to_owned();
            let remote = |keys: &Value| keys.get("http").or_else(|| keys.get("discovery")).is_some();
            let is_served = fetches && issuer.get("keys").is_some_and(remote);
            match keys.source(&iss) {
                Some(_) if is_served => {
                    if let Some(algorithm) = algorithm {
                        issuer.insert("algorithms".to_owned(), json!([algorithm]));
                    }
                }
                Some(source) => {
                    issuer.insert("keys".to_owned(), source);
                    if let Some(algorithm) = algorithm {
                        issuer.insert("algorithms".to_owned(), json!([algorithm]));
                    }
                }
                None if issuer.contains_key("keys") => {}
                None => {
                    let problem = format!("no keys, and the capture has none for issuer {iss:?}");
                    return Err(misfit(format!("{at}/{i}"), problem));
                }
            }
        }
        Ok(())
    };
    put(config.get_mut("issuers"), "/issuers")?;
    put(
        config.get_mut("approvals").and_then(|approvals| approvals.get_mut("issuers")),
        "/approvals/issuers",
    )?;
    Ok(config)
}

fn bundle(folder: &Path, overrides: &Overrides, configured: bool) -> Result<Option<Vec<u8>>, ScenarioError> {
    let description = folder.join("scenario.json");
    let mut sources = overrides.bundles.clone();
    if sources.is_empty() && description.is_file() {
        let value = Value::Object(object(&description)?);
        let Description { bundle } = shape::read(&value).map_err(|misfit| ScenarioError::Shape {
            path: description.clone(),
            pointer: misfit.pointer,
            problem: misfit.problem,
        })?;
        sources.push(
            above(folder, &bundle)
                .ok_or(ScenarioError::BundleMissing { scenario: description.clone(), bundle })?,
        );
    }
    let data = folder.join("data.json");
    match sources.as_slice() {
        [] if configured => return Ok(None),
        [] => return Err(ScenarioError::NoBundle { scenario: description }),
        // The bytes that are shipped are the bytes that are tested.
        [archive] if archive.is_file() && !data.is_file() => return read(archive).map(Some),
        _ => {}
    }
    let mut files = Files::default();
    for source in &sources {
        files.merge(Files::read(source, &PackOptions::default())?)?;
    }
    if data.is_file() {
        files.add_data(read(&data)?)?;
    }
    Ok(Some(files.to_targz()?))
}

/// A path that is looked for in a folder and in those above it.
fn above(folder: &Path, path: &str) -> Option<PathBuf> {
    let folder = std::path::absolute(folder).ok()?;
    folder.ancestors().map(|folder| folder.join(path)).find(|candidate| candidate.exists())
}

fn read(path: &Path) -> Result<Vec<u8>, ScenarioError> {
    std::fs::read(path).map_err(|source| ScenarioError::Read { path: path.to_owned(), source })
}

fn object(path: &Path) -> Result<Map<String, Value>, ScenarioError> {
    let value = json::parse(&read(path)?, DEPTH)
        .map_err(|source| ScenarioError::Json { path: path.to_owned(), source })?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(ScenarioError::Shape {
            path: path.to_owned(),
            pointer: "the top level".to_owned(),
            problem: "not an object".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Folder;

    const CAPTURE: &str = r#"{"remit_capture":1,"start":"2026-03-18T14:02:00Z","issuers":{"i":{"alg":"ES256","kid":"k"},"h":{"alg":"HS256","kid":"s"}},"tokens":{"t":{"claims":{"iss":"i"}}}}"#;
    const CONFIG: &str = r#"{"version":1,"issuers":[{"issuer":"i"},{"issuer":"h"},{"issuer":"o","keys":{"http":{}}}],"approvals":{"issuers":[{"issuer":"i","keys":{"inline":{}}}]}}"#;

    fn folder(extra: &[(&str, &str)]) -> Folder {
        let files = [("s/capture.jsonl", CAPTURE), ("b/a.rego", "package a"), ("b/data.json", r#"{"x":1}"#)];
        Folder::new(&[&files, extra].concat())
    }

    #[test]
    fn keys_and_bundle_are_put_in() {
        let folder = folder(&[
            ("s/config.json", CONFIG),
            ("s/scenario.json", r#"{"bundle":"b"}"#),
            ("s/data.json", r#"{"y":2}"#),
        ]);
        let mut scenario = Scenario::load(&folder.path().join("s")).unwrap();
        let config: Value = serde_json::from_str(&scenario.plugin_config()).unwrap();
        assert_eq!(config["issuers"][0]["keys"]["inline"]["keys"][0]["kid"], "k");
        assert!(config["issuers"][0]["keys"]["inline"]["keys"][0].get("d").is_none());
        assert!(config["issuers"][1]["keys"]["secret"].is_string());
        assert_eq!(config["issuers"][2]["keys"], json!({"http": {}}));
        assert_eq!(config["approvals"]["issuers"][0]["keys"], config["issuers"][0]["keys"]);
        let archive = folder.path().join("packed.tar.gz");
        std::fs::write(&archive, scenario.bundle().unwrap()).unwrap();
        let files = Files::read(&archive, &PackOptions::default()).unwrap();
        let files: Vec<_> = files.iter().collect();
        assert_eq!(files, [("a.rego", b"package a".as_slice()), ("data.json", br#"{"x":1,"y":2}"#)]);
        assert!(scenario.mint("t", Now(0)).is_ok());
        assert_eq!(
            scenario.mint("u", Now(0)).unwrap_err().to_string(),
            "\"u\" is not one of the capture's tokens"
        );
    }

    #[test]
    fn another_algorithm_is_signed_with_and_accepted() {
        let folder = folder(&[("s/config.json", CONFIG), ("s/scenario.json", r#"{"bundle":"b"}"#)]);
        let overrides = Overrides { algorithm: Some(Algorithm::EdDsa), ..Overrides::default() };
        let scenario = Scenario::load_with(&folder.path().join("s"), &overrides).unwrap();
        let config = scenario.plugin_config_document();
        for issuer in [&config["issuers"][0], &config["issuers"][1], &config["approvals"]["issuers"][0]] {
            assert_eq!(issuer["algorithms"], json!(["EdDSA"]));
            assert_eq!(issuer["keys"]["inline"]["keys"][0]["alg"], "EdDSA");
        }
        assert!(config["issuers"][2].get("algorithms").is_none(), "not an issuer of the capture");
        let mint = |jti| scenario.mint_named("t", jti, Now(0)).unwrap();
        assert_ne!(mint("a"), mint("b"));
        assert!(scenario.mint_named("u", "a", Now(0)).is_err());
    }

    #[test]
    fn an_archive_is_taken_as_it_is() {
        let folder = folder(&[("s/config.json", CONFIG), ("any.tar.gz", "bytes")]);
        let overrides = Overrides { bundles: vec![folder.path().join("any.tar.gz")], ..Overrides::default() };
        let scenario = Scenario::load_with(&folder.path().join("s/capture.jsonl"), &overrides).unwrap();
        assert_eq!(scenario.bundle(), Some(b"bytes".as_slice()));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (files, expected) in [
            (&[] as &[_], "no config.json beside"),
            (&[("s/config.json", CONFIG)], "no bundle: name one with --bundle"),
            (
                &[("s/config.json", CONFIG), ("s/scenario.json", r#"{"bundle":"nowhere"}"#)],
                "there is no nowhere",
            ),
            (
                &[("s/config.json", CONFIG), ("s/scenario.json", r#"{"bundles":"b"}"#)],
                "unknown field `bundles`",
            ),
            (&[("s/config.json", "[]")], "config.json at the top level: not an object"),
            (&[("s/config.json", "{")], "config.json: malformed JSON"),
            (
                &[("s/config.json", r#"{"issuers":[{"issuer":"z"}]}"#)],
                "/issuers/0: no keys, and the capture has none",
            ),
        ] {
            let folder = folder(files);
            let error = Scenario::load(&folder.path().join("s")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
