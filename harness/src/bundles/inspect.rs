//! What is in a bundle.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remit_core::bundle::{BundleError, RegoVersion};
use serde_json::{Value, json};

use super::{SIGNATURES, build, rego};
use crate::pack::Files;
use crate::text::{padded, printable, width};

/// What is in a bundle.
#[derive(Debug, Clone)]
pub struct Inspection {
    document: Value,
}

impl Inspection {
    /// Looks into the files of a bundle, or of a delta. The signature is shown and not verified.
    ///
    /// # Errors
    ///
    /// What does not load.
    pub fn of(mut files: Files) -> Result<Self, BundleError> {
        let signature = files.content(SIGNATURES).map(signature);
        let (count, bytes) = files.iter().fold((0_u64, 0_usize), |(count, bytes), (_, content)| {
            (count.saturating_add(1), bytes.saturating_add(content.len()))
        });
        let patch = files.content("patch.json").and_then(|content| remit_core::json::parse(content, 64).ok());
        files.retain(|path| path != SIGNATURES && path != "patch.json");
        let bundle = build::loaded(&files)?;
        let mut modules = Vec::new();
        for module in bundle.modules() {
            let (parsed, error) = match rego::parse(module) {
                Ok(parsed) => (Some(parsed), None),
                Err(message) => (None, Some(message)),
            };
            let mut shown = json!({
                "path": module.path,
                "package": parsed.as_ref().map(|parsed| &parsed.package),
                "rules": parsed.as_ref().map(|parsed| parsed.definitions.len()),
                "rego_version": version(module.rego_version),
            });
            if let (Some(error), Value::Object(members)) = (error, &mut shown) {
                members.insert("error".to_owned(), Value::String(error));
            }
            modules.push(shown);
        }
        let mut data = BTreeMap::new();
        parts(&mut data, "", &Value::Object(bundle.data().clone()), 2);
        let mut document = json!({
            "manifest": {
                "revision": bundle.revision(),
                "roots": bundle.roots(),
                "rego_version": version(bundle.rego_version()),
                "metadata": bundle.metadata(),
            },
            "signature": signature,
            "modules": modules,
            "data": data.into_iter().map(|(path, bytes)| json!({"path": path, "bytes": bytes})).collect::<Vec<_>>(),
            "files": count,
            "bytes": bytes,
        });
        if let (Some(patch), Value::Object(members)) = (patch, &mut document) {
            members.insert("patch".to_owned(), patch);
        }
        Ok(Self { document })
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> &Value {
        &self.document
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let text = |value: &Value| match value {
            Value::String(text) if text.is_empty() => "(none)".to_owned(),
            Value::String(text) => printable(text),
            Value::Null => "(none)".to_owned(),
            other => printable(&other.to_string()),
        };
        let manifest = at(&self.document, "/manifest");
        let roots = at(manifest, "/roots").as_array().map(Vec::as_slice).unwrap_or_default();
        let roots: Vec<_> =
            roots.iter().map(|root| if root == "" { "all of data".to_owned() } else { text(root) }).collect();
        let mut rows = vec![
            ("revision", text(at(manifest, "/revision"))),
            ("roots", roots.join(", ")),
            ("rego", format!("v{}", at(manifest, "/rego_version"))),
        ];
        if !at(manifest, "/metadata").is_null() {
            rows.push(("metadata", text(at(manifest, "/metadata"))));
        }
        rows.push((
            "signature",
            match at(&self.document, "/signature") {
                Value::Null => "(none)".to_owned(),
                signature => format!(
                    "key {}, {}, scope {}, {} files; not verified here",
                    text(at(signature, "/keyid")),
                    text(at(signature, "/algorithm")),
                    text(at(signature, "/scope")),
                    at(signature, "/files")
                ),
            },
        ));
        for module in at(&self.document, "/modules").as_array().into_iter().flatten() {
            let shown = match at(module, "/error") {
                Value::String(message) => format!("does not parse: {}", printable(message)),
                _ => format!("data.{}  {} rules", text(at(module, "/package")), at(module, "/rules")),
            };
            rows.push(("module", format!("{}  {shown}", text(at(module, "/path")))));
        }
        for part in at(&self.document, "/data").as_array().into_iter().flatten() {
            rows.push(("data", format!("{}  {} bytes", text(at(part, "/path")), at(part, "/bytes"))));
        }
        for operation in at(&self.document, "/patch/data").as_array().into_iter().flatten() {
            rows.push(("patch", format!("{}  {}", text(at(operation, "/op")), text(at(operation, "/path")))));
        }
        rows.push((
            "size",
            format!("{} files, {} bytes", at(&self.document, "/files"), at(&self.document, "/bytes")),
        ));
        let columns = rows.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
        rows.into_iter().map(|(name, text)| format!("{}  {text}\n", padded(name, columns))).collect()
    }
}

fn version(version: RegoVersion) -> u8 {
    match version {
        RegoVersion::V0 => 0,
        RegoVersion::V1 => 1,
    }
}

/// Pointers of the data down to some depth, with the size of each as JSON.
fn parts(into: &mut BTreeMap<String, usize>, pointer: &str, value: &Value, levels_left: usize) {
    match value {
        Value::Object(members) if levels_left > 0 => {
            for (name, value) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                parts(into, &format!("{pointer}/{name}"), value, levels_left.saturating_sub(1));
            }
        }
        value => {
            into.insert(pointer.to_owned(), value.to_string().len());
        }
    }
}

/// What a signature says of itself, as far as it can be read.
fn signature(content: &[u8]) -> Value {
    let document: Value = serde_json::from_slice(content).unwrap_or_default();
    let token = at(&document, "/signatures/0").as_str().unwrap_or_default();
    let mut parts = token.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        serde_json::from_slice::<Value>(&bytes).unwrap_or_default()
    });
    let (header, claims) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let keyid = if at(&header, "/kid").is_null() { at(&claims, "/keyid") } else { at(&header, "/kid") };
    json!({
        "keyid": keyid,
        "algorithm": at(&header, "/alg"),
        "scope": at(&claims, "/scope").as_str().unwrap_or_default(),
        "files": at(&claims, "/files").as_array().map_or(0, Vec::len),
    })
}

/// What is at a JSON pointer; null where nothing is.
fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}
