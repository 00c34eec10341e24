//! A bundle on its way: blobs first, then the manifest; and back.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use ureq::Body;
use ureq::http::Response;

use super::access::{MAX_DOCUMENT, Registry, refused};
use super::{OciError, Reference, RegistryOptions};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Indexes in indexes that are gone through, as in OPA.
const MAX_INDEXES: usize = 4;

/// What was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Digest of the image manifest.
    pub manifest: String,
    /// Digest of the bundle.
    pub bundle: String,
}

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The archive.
    pub archive: Vec<u8>,
    /// Digest of the image manifest.
    pub manifest: String,
    /// Digest of the bundle.
    pub bundle: String,
}

/// Puts an archive into a registry. The same archive gives the same manifest.
///
/// # Errors
///
/// See [`OciError`].
pub fn push(reference: &Reference, archive: &[u8], options: &RegistryOptions) -> Result<Pushed, OciError> {
    let mut registry = Registry::new(reference, options)?;
    let config =
        json!({"architecture": "unknown", "os": "unknown", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = config.to_string().into_bytes();
    let bundle = digest(archive);
    for blob in [config.as_slice(), archive] {
        upload(&mut registry, blob)?;
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest(&config), "size": config.len()},
        "layers": [{
            "mediaType": LAYER,
            "digest": bundle,
            "size": archive.len(),
            "annotations": {"org.opencontainers.image.title": "bundle.tar.gz"},
        }],
    })
    .to_string();
    let digest = digest(manifest.as_bytes());
    let tag = match reference.digest() {
        Some(expected) if expected != digest => {
            return Err(OciError::Digest { expected: expected.to_owned(), found: digest });
        }
        _ => &reference.tag,
    };
    let url = format!("{}/manifests/{tag}", registry.base);
    let response = registry.send("PUT", &url, &[("content-type", MANIFEST)], manifest.as_bytes())?;
    match response.status().as_u16() {
        200..=299 => Ok(Pushed { manifest: digest, bundle }),
        _ => Err(refused(&url, &response)),
    }
}

fn upload(registry: &mut Registry, blob: &[u8]) -> Result<(), OciError> {
    let digest = digest(blob);
    let url = format!("{}/blobs/{digest}", registry.base);
    if registry.send("HEAD", &url, &[], &[])?.status().as_u16() == 200 {
        return Ok(());
    }
    let url = format!("{}/blobs/uploads/", registry.base);
    let response = registry.send("POST", &url, &[], &[])?;
    if response.status().as_u16() != 202 {
        return Err(refused(&url, &response));
    }
    let location =
        response.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let place = located(&url, location);
    let separator = if place.contains('?') { '&' } else { '?' };
    let place = format!("{place}{separator}digest={digest}");
    let response = registry.send("PUT", &place, &[("content-type", "application/octet-stream")], blob)?;
    match response.status().as_u16() {
        201 | 202 | 204 => Ok(()),
        _ => Err(refused(&place, &response)),
    }
}

/// A `Location`, which may lack its host.
fn located(url: &str, location: &str) -> String {
    if location.starts_with("http://") || location.starts_with("https://") {
        return location.to_owned();
    }
    let host = url.find("/v2/").and_then(|end| url.get(..end)).unwrap_or(url);
    format!("{host}{location}")
}

/// Gets an archive of at most `limit` bytes out of a registry, and makes sure that it is the one that was asked for.
///
/// # Errors
///
/// See [`OciError`].
pub fn pull(reference: &Reference, limit: u64, options: &RegistryOptions) -> Result<Pulled, OciError> {
    let mut registry = Registry::new(reference, options)?;
    let failed = |problem| OciError::Manifest { reference: reference.to_string(), problem };
    let accept = format!("{MANIFEST}, {INDEX}, {DOCKER_MANIFEST}");
    let mut tag = reference.tag.clone();
    for _ in 0..=MAX_INDEXES {
        let url = format!("{}/manifests/{tag}", registry.base);
        let (content, found) = fetch(&mut registry, &url, &accept, MAX_DOCUMENT, "the manifest")?;
        if tag.starts_with("sha256:") && tag != found {
            return Err(OciError::Digest { expected: tag, found });
        }
        let document: Value =
            serde_json::from_slice(&content).map_err(|_| failed("the manifest is not JSON"))?;
        let list = |member: &str| document.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
        let is_layer = |layer: &&Value| layer.get("mediaType").and_then(Value::as_str) == Some(LAYER);
        if let Some(layer) = list("layers").iter().find(is_layer) {
            let bundle = layer.get("digest").and_then(Value::as_str).filter(|digest| is_sha256(digest));
            let bundle = bundle.ok_or_else(|| failed("the layer has no sha256 digest"))?.to_owned();
            let size = layer.get("size").and_then(Value::as_u64).unwrap_or(0);
            if size > limit {
                return Err(OciError::TooLarge { what: "the bundle".to_owned(), limit });
            }
            let url = format!("{}/blobs/{bundle}", registry.base);
            let (archive, digest) = fetch(&mut registry, &url, "*/*", limit, "the bundle")?;
            if digest != bundle {
                return Err(OciError::Digest { expected: bundle, found: digest });
            }
            return Ok(Pulled { archive, manifest: found, bundle });
        }
        let next = list("manifests").into_iter().find(|entry| {
            entry.pointer("/platform/os").and_then(Value::as_str) != Some("unknown")
                || list("manifests").len() == 1
        });
        let next = next.and_then(|entry| entry.get("digest").and_then(Value::as_str).map(str::to_owned));
        tag = next
            .filter(|digest| is_sha256(digest))
            .ok_or_else(|| failed("no layer of type application/vnd.oci.image.layer.v1.tar+gzip"))?;
    }
    Err(failed("image indexes are nested too deep"))
}

/// What is at a URL, with its digest.
fn fetch(
    registry: &mut Registry,
    url: &str,
    accept: &str,
    limit: u64,
    what: &str,
) -> Result<(Vec<u8>, String), OciError> {
    let mut response: Response<Body> = registry.send("GET", url, &[("accept", accept)], &[])?;
    if response.status().as_u16() != 200 {
        return Err(refused(url, &response));
    }
    let content =
        response.body_mut().with_config().limit(limit).read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => OciError::TooLarge { what: what.to_owned(), limit },
            source => OciError::Http { url: url.to_owned(), source: Box::new(source) },
        })?;
    let digest = digest(&content);
    Ok((content, digest))
}

fn is_sha256(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
