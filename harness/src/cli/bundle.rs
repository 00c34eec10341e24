//! `remit bundle`: build, sign, verify, inspect, diff, push and pull.

mod registry;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand};
use remit_core::bundle::{Bundle, BundleError, BundleLimits, SignatureFault, SigningError, Verification};
use remit_core::config::{BundleKey, BundleKeys, Signing};
use remit_core::json;
use remit_core::keys::Algorithm;
use remit_harness::bundles::{self, BuildOptions, Changes, Inspection};
use remit_harness::pack::{Files, PackOptions};
use remit_harness::signing::SigningKey;
use serde_json::{Map, Value, json};

use super::{Ending, Format, colours, key_file, print};

/// The largest key that is read to verify with, in bytes.
const MAX_KEY: u64 = 64 * 1024;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build a bundle out of folders and archives; the same input gives the same bytes
    Build(Build),
    /// Write the .signatures.json of a folder or an archive, as `opa sign` does
    Sign(Sign),
    /// Hold a bundle against its signature
    Verify(Verify),
    /// Show what is in a bundle
    Inspect(Inspect),
    /// Show what differs between two bundles: manifest, rules, data
    Diff(Diff),
    /// Put a bundle into an OCI registry, where OPA can pull it, too
    Push(registry::Push),
    /// Get a bundle out of an OCI registry
    Pull(registry::Pull),
}

/// The key that a bundle is signed with.
#[derive(Debug, Args)]
struct Signer {
    /// File with the private key: PEM, a JWK, or for HS256 the secret as it is (mode 0600)
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// Algorithm: ES256, ES384, EdDSA, RS256 to RS512, PS256 to PS512 or HS256
    #[arg(long, value_name = "ALG", default_value = "RS256", value_parser = algorithm, requires = "signing_key")]
    signing_alg: Algorithm,
    /// Name of the key in the signature
    #[arg(long, value_name = "ID", default_value = "default", requires = "signing_key")]
    signing_key_id: String,
    /// Scope of the signature
    #[arg(long, requires = "signing_key")]
    scope: Option<String>,
    /// File with further claims, a JSON object
    #[arg(long, value_name = "FILE", requires = "signing_key")]
    claims_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Build {
    /// Folders and archives; several are merged
    #[arg(required = true, value_name = "DIR|FILE")]
    sources: Vec<PathBuf>,
    /// Where the bundle goes
    #[arg(short, long, value_name = "FILE", default_value = "bundle.tar.gz")]
    output: PathBuf,
    /// Revision, in place of the manifest's
    #[arg(short, long)]
    revision: Option<String>,
    /// Names or paths of files and folders to leave out; `*` and `?` stand for characters
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Rule that will be asked, such as remit/authz/decision: it has to be there and to compile as in the filter
    #[arg(short, long, value_name = "PATH")]
    entrypoint: Vec<String>,
    /// Build what changes from this folder or archive to the sources: a delta bundle, of data alone
    #[arg(long, value_name = "OLD", conflicts_with = "signing_key")]
    delta: Option<PathBuf>,
    /// As OPA has it: 0 alone
    #[arg(short = 'O', long, value_name = "LEVEL", default_value = "0", value_parser = optimize)]
    optimize: String,
    /// As OPA has it: rego alone
    #[arg(short, long, default_value = "rego", value_parser = target)]
    target: String,
    #[command(flatten)]
    signer: Signer,
    /// Form of the output; for people there is none where all went well
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Sign {
    /// Folder or archive
    #[arg(value_name = "DIR|FILE")]
    source: PathBuf,
    /// The folder that .signatures.json is written to
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    output_file_path: PathBuf,
    #[command(flatten)]
    signer: Signer,
    /// Form of the output; for people there is none where all went well
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if the signature is good; 1 if it is not, or there is none; 2 if something cannot be read."
)]
struct Verify {
    /// Folder or archive
    #[arg(value_name = "DIR|FILE")]
    bundle: PathBuf,
    /// File with the public key: PEM, a certificate, a JWK, or for HS256 the secret as it is
    #[arg(long, value_name = "FILE")]
    verification_key: PathBuf,
    /// Name of the key
    #[arg(long, value_name = "ID", default_value = "default")]
    verification_key_id: String,
    /// Algorithm of the key
    #[arg(long, value_name = "ALG", default_value = "RS256", value_parser = algorithm)]
    signing_alg: Algorithm,
    /// Scope that the signature must have; by default none
    #[arg(long, default_value = "")]
    scope: String,
    /// Files that need no signature, by path; `*` and `?` stand for characters but `/`
    #[arg(long, value_name = "PATTERNS", value_delimiter = ',')]
    exclude_files_verify: Vec<String>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
struct Inspect {
    /// Folder or archive
    #[arg(value_name = "DIR|FILE")]
    bundle: PathBuf,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 if nothing differs; 1 if something does; 2 if something cannot be read."
)]
struct Diff {
    /// Folder or archive
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Folder or archive
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

impl Arguments {
    pub(super) fn format(&self) -> Format {
        match &self.command {
            Command::Build(arguments) => arguments.format,
            Command::Sign(arguments) => arguments.format,
            Command::Verify(arguments) => arguments.format,
            Command::Inspect(arguments) => arguments.format,
            Command::Diff(arguments) => arguments.format,
            Command::Push(arguments) => arguments.format(),
            Command::Pull(arguments) => arguments.format(),
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Ending> {
    match &arguments.command {
        Command::Build(arguments) => build(arguments),
        Command::Sign(arguments) => sign(arguments),
        Command::Verify(arguments) => verify(arguments),
        Command::Inspect(arguments) => inspect(arguments),
        Command::Diff(arguments) => diff(arguments),
        Command::Push(arguments) => registry::push(arguments),
        Command::Pull(arguments) => registry::pull(arguments),
    }
}

fn build(arguments: &Build) -> Result<Ending> {
    let options = BuildOptions {
        revision: arguments.revision.clone(),
        ignore: arguments.ignore.clone(),
        entrypoints: arguments.entrypoint.clone(),
    };
    let mut files = bundles::build(&arguments.sources, &options)?;
    if let Some(old) = &arguments.delta {
        files = bundles::delta(&Files::read(old, &PackOptions::default())?, &files)
            .with_context(|| format!("from {} to {}", old.display(), named(&arguments.sources)))?;
    }
    if let Some(key) = arguments.signer.key()? {
        files = bundles::signed(files, &key, &arguments.signer.claims()?)?;
    }
    let name = || arguments.output.display().to_string();
    let archive = files.to_targz()?;
    std::fs::write(&arguments.output, &archive).with_context(name)?;
    let signed = arguments.signer.signing_key.is_some();
    written(
        arguments.format,
        json!({"built": name(), "bytes": archive.len(), "signed": signed, "delta": arguments.delta.is_some()}),
    )
}

fn sign(arguments: &Sign) -> Result<Ending> {
    let key = arguments.signer.key()?.ok_or_else(|| anyhow!("--signing-key: the key to sign with"))?;
    let files = everything(&arguments.source)?;
    let signatures = bundles::sign(&files, &key, &arguments.signer.claims()?)?;
    let path = arguments.output_file_path.join(bundles::SIGNATURES);
    std::fs::write(&path, signatures).with_context(|| path.display().to_string())?;
    written(arguments.format, json!({"signed": arguments.source, "signatures": path}))
}

/// Says what was written, to programs.
fn written(format: Format, what: Value) -> Result<Ending> {
    if format == Format::Json {
        print(&format!("{what:#}\n"))?;
    }
    Ok(Ending::Good)
}

fn verify(arguments: &Verify) -> Result<Ending> {
    let key = BundleKey {
        key: text(&arguments.verification_key)?,
        algorithm: arguments.signing_alg,
        scope: String::new(),
    };
    let keys = BundleKeys::from([(arguments.verification_key_id.clone(), key)]);
    let signing = Signing {
        keyid: Some(arguments.verification_key_id.clone()),
        scope: Some(arguments.scope.clone()),
        exclude_files: arguments.exclude_files_verify.clone(),
        ..Signing::default()
    };
    let verification = Verification::new(&keys, Some(&signing)).map_err(|error| of_key(arguments, error))?;
    let archive = archive(&arguments.bundle)?;
    let limits = BundleLimits {
        compressed_bytes: PackOptions::default().bytes,
        inflated_bytes: PackOptions::default().bytes,
        files: PackOptions::default().files,
        ..BundleLimits::default()
    };
    let outcome = Bundle::verified_from_targz(&archive, &limits, &verification);
    let error = outcome.err().map(|error| of_bundle(&error));
    match (arguments.format, &error) {
        (Format::Json, _) => print(&format!("{:#}\n", json!({"verified": error.is_none(), "error": error})))?,
        (Format::Table, None) => print("verified\n")?,
        (Format::Table, Some(error)) => super::report(&anyhow!("{error}")),
    }
    Ok(if error.is_none() { Ending::Good } else { Ending::Bad })
}

/// Here the signature is asked for by whoever runs the command, not by a source.
fn of_bundle(error: &BundleError) -> String {
    match error {
        BundleError::Signature { path, fault: SignatureFault::Missing } => format!(
            "it is not signed: there is no {path} in it; `remit bundle sign` makes one, and `remit bundle build \
             --signing-key` a signed archive"
        ),
        other => other.to_string(),
    }
}

/// Here the key is a file and an option, not a member of a configuration.
fn of_key(arguments: &Verify, error: SigningError) -> anyhow::Error {
    match error {
        SigningError::Key { fault, .. } => anyhow!(
            "{}: {fault}; --signing-alg is {}",
            arguments.verification_key.display(),
            arguments.signing_alg
        ),
        other => anyhow!(other),
    }
}

fn inspect(arguments: &Inspect) -> Result<Ending> {
    let inspection = Inspection::of(everything(&arguments.bundle)?)?;
    match arguments.format {
        Format::Table => print(&inspection.table())?,
        Format::Json => print(&format!("{:#}\n", inspection.to_json()))?,
    }
    Ok(Ending::Good)
}

fn diff(arguments: &Diff) -> Result<Ending> {
    let read = |path: &PathBuf| Files::read(path, &PackOptions::default());
    let changes = Changes::between(read(&arguments.old)?, read(&arguments.new)?)?;
    match arguments.format {
        Format::Table => print(&changes.table(colours()))?,
        Format::Json => print(&format!("{:#}\n", changes.to_json()))?,
    }
    Ok(if changes.is_empty() { Ending::Good } else { Ending::Bad })
}

impl Signer {
    fn key(&self) -> Result<Option<SigningKey>> {
        let Some(path) = &self.signing_key else { return Ok(None) };
        let key = match self.signing_alg {
            Algorithm::Hs256 => key_file::read_secret(path)?,
            algorithm => key_file::read(path, Some(algorithm))?,
        };
        Ok(Some(key.with_kid(&self.signing_key_id)))
    }

    fn claims(&self) -> Result<Map<String, Value>> {
        let mut claims = match &self.claims_file {
            None => Map::new(),
            Some(path) => {
                let document = json::parse(text(path)?.as_bytes(), 16);
                let document = document.with_context(|| path.display().to_string())?;
                let claims = document.as_object().cloned();
                claims.ok_or_else(|| anyhow!("{}: not an object", path.display()))?
            }
        };
        if let Some(scope) = &self.scope {
            claims.insert("scope".to_owned(), json!(scope));
        }
        Ok(claims)
    }
}

/// The archive as it is; of a folder everything in it where it is signed, else what has a meaning in a bundle.
fn archive(path: &Path) -> Result<Vec<u8>> {
    if path.is_dir() {
        let is_signed = path.join(bundles::SIGNATURES).is_file();
        let files = if is_signed { everything(path)? } else { Files::read(path, &PackOptions::default())? };
        return Ok(files.to_targz()?);
    }
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// All files, as a signature has to cover them.
fn everything(path: &Path) -> Result<Files> {
    Ok(Files::read(path, &PackOptions { tests: true, everything: true, ..PackOptions::default() })?)
}

fn text(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let name = || path.display().to_string();
    let mut text = String::new();
    std::fs::File::open(path)
        .with_context(name)?
        .take(MAX_KEY)
        .read_to_string(&mut text)
        .with_context(name)?;
    Ok(text)
}

fn named(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" + ")
}

/// What OPA's builder optimises, it evaluates in part; that is OPA's to do.
fn optimize(level: &str) -> Result<String, String> {
    match level {
        "0" => Ok(level.to_owned()),
        _ => Err("policies are not evaluated in part here: the filter compiles Rego to bytecode when it loads it. Where it \
                  pays, `opa build -O 1 -e …` first: what it writes can be signed, checked and loaded"
            .to_owned()),
    }
}

fn target(target: &str) -> Result<String, String> {
    match target {
        "rego" => Ok(target.to_owned()),
        "wasm" | "plan" => {
            Err("the filter loads Rego and compiles it itself: leave the target out, or say rego".to_owned())
        }
        _ => Err("there is rego".to_owned()),
    }
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::parse(name)
        .ok_or_else(|| "one of ES256, ES384, EdDSA, RS256 to RS512, PS256 to PS512, HS256".to_owned())
}
