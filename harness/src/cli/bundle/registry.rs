//! `remit bundle push` and `remit bundle pull`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use remit_core::bundle::{Bundle, BundleError, BundleLimits, SignatureFault};
use remit_harness::bundles::oci::{self, Credentials, Reference, RegistryOptions};
use serde_json::json;

use super::super::{Ending, Format, print};
use super::archive;

const SIGN_IN: &str = "\
Signs in with REMIT_REGISTRY_USERNAME and REMIT_REGISTRY_PASSWORD, else with what `docker login` keeps in its config.json.
Certificates: SSL_CERT_FILE names a file of authorities in PEM, in place of Mozilla's.";

/// A place in a registry, and the way there.
#[derive(Debug, Args)]
struct Place {
    /// Place in a registry: REGISTRY/REPOSITORY:TAG
    #[arg(value_name = "REFERENCE", value_parser = Reference::parse)]
    reference: Reference,
    /// Speak http in place of https
    #[arg(long)]
    plain_http: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Args)]
#[command(after_help = SIGN_IN)]
pub(super) struct Push {
    #[command(flatten)]
    place: Place,
    /// Archive, or folder to pack
    #[arg(value_name = "DIR|FILE", default_value = "bundle.tar.gz")]
    bundle: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = SIGN_IN)]
pub(super) struct Pull {
    #[command(flatten)]
    place: Place,
    /// Where the bundle goes
    #[arg(short, long, value_name = "FILE", default_value = "bundle.tar.gz")]
    output: PathBuf,
    /// Largest bundle that is taken, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20)]
    max_bytes: u64,
}

impl Place {
    fn options(&self) -> Result<RegistryOptions> {
        let credentials = Credentials::find(&self.reference.registry)?;
        Ok(RegistryOptions { plain_http: self.plain_http, credentials })
    }
}

impl Push {
    pub(in super::super) fn format(&self) -> Format {
        self.place.format
    }
}

impl Pull {
    pub(in super::super) fn format(&self) -> Format {
        self.place.format
    }
}

pub(super) fn push(arguments: &Push) -> Result<Ending> {
    let place = &arguments.place;
    let archive = archive(&arguments.bundle)?;
    loads(&archive).with_context(|| arguments.bundle.display().to_string())?;
    let pushed = oci::push(&place.reference, &archive, &place.options()?)?;
    let reference = place.reference.to_string();
    print(&match place.format {
        Format::Table => {
            format!("pushed {reference}\nmanifest {}\nbundle {}\n", pushed.manifest, pushed.bundle)
        }
        Format::Json => format!(
            "{:#}\n",
            json!({"reference": reference, "manifest": pushed.manifest, "bundle": pushed.bundle})
        ),
    })?;
    Ok(Ending::Good)
}

pub(super) fn pull(arguments: &Pull) -> Result<Ending> {
    let place = &arguments.place;
    let pulled = oci::pull(&place.reference, arguments.max_bytes, &place.options()?)?;
    let reference = place.reference.to_string();
    loads(&pulled.archive).with_context(|| reference.clone())?;
    let name = || arguments.output.display().to_string();
    std::fs::write(&arguments.output, &pulled.archive).with_context(name)?;
    print(&match place.format {
        Format::Table => {
            format!("pulled {reference}\nmanifest {}\nbundle {}\n", pulled.manifest, pulled.bundle)
        }
        Format::Json => format!(
            "{:#}\n",
            json!({"reference": reference, "manifest": pulled.manifest, "bundle": pulled.bundle})
        ),
    })?;
    Ok(Ending::Good)
}

/// What no filter would take is neither pushed nor kept. Whether the signature is good is for those to say who have the key.
fn loads(archive: &[u8]) -> Result<()> {
    let limits = BundleLimits {
        compressed_bytes: 256 << 20,
        inflated_bytes: 256 << 20,
        files: 10_000,
        ..BundleLimits::default()
    };
    match Bundle::from_targz(archive, &limits) {
        Ok(_) | Err(BundleError::Signature { fault: SignatureFault::NoKeys, .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
