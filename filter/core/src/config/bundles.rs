//! Where the policy comes from: one bundle, or several with disjoint roots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Checks, Config, ConfigError, HttpSource, Mode, Signing};

/// The name of the bundle that `bundle` configures.
pub const SOLE_BUNDLE: &str = "bundle";

/// Where a policy bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BundleSource {
    /// A `.tar.gz` in base64 (RFC 4648 section 4).
    Inline(String),
    /// A `.tar.gz` fetched through a cluster of the proxy.
    Http(HttpSource),
}

/// One of several bundles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BundleEntry {
    /// Where it comes from.
    pub source: BundleSource,
    /// `observe`: if this bundle owns the decision, what it decides is recorded and not enforced.
    #[serde(default)]
    pub mode: Mode,
    /// How it has to be signed; absent: it need not be.
    #[serde(default)]
    pub signing: Option<Signing>,
}

/// The one bundle that the policy is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SoleDocument", into = "SoleDocument")]
pub struct SoleBundle(pub BundleEntry);

/// The one bundle that the policy is: exactly one of `http` and `inline`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct SoleDocument {
    /// A `.tar.gz` fetched through a cluster of the proxy.
    #[serde(default)]
    http: Option<HttpSource>,
    /// A `.tar.gz` in base64 (RFC 4648 section 4).
    #[serde(default)]
    inline: Option<String>,
    /// How it has to be signed; absent: it need not be.
    #[serde(default)]
    signing: Option<Signing>,
}

impl TryFrom<SoleDocument> for SoleBundle {
    type Error = &'static str;

    fn try_from(document: SoleDocument) -> Result<Self, Self::Error> {
        let source = match (document.http, document.inline) {
            (Some(http), None) => BundleSource::Http(http),
            (None, Some(inline)) => BundleSource::Inline(inline),
            _ => return Err("exactly one of `http` and `inline` says where the bundle comes from"),
        };
        Ok(Self(BundleEntry { source, mode: Mode::Enforce, signing: document.signing }))
    }
}

impl From<SoleBundle> for SoleDocument {
    fn from(SoleBundle(BundleEntry { source, signing, .. }): SoleBundle) -> Self {
        let (http, inline) = match source {
            BundleSource::Http(http) => (Some(http), None),
            BundleSource::Inline(inline) => (None, Some(inline)),
        };
        Self { http, inline, signing }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for SoleBundle {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SoleBundle".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = SoleDocument::json_schema(generator);
        let one = |name: &str| serde_json::json!({"required": [name]});
        schema.insert("oneOf".to_owned(), serde_json::json!([one("http"), one("inline")]));
        schema
    }
}

impl Config {
    /// What is wrong with bundles that a discovery bundle names, and where.
    pub(crate) fn fault_of_bundles(
        bundles: &BTreeMap<String, BundleEntry>,
    ) -> Option<(String, &'static str)> {
        let mut checks = Checks { failed: None };
        check_entries(bundles, "/bundles", &mut checks);
        match checks.failed {
            Some(ConfigError::Value { pointer, problem }) => Some((pointer, problem)),
            _ => None,
        }
    }

    /// The bundles that are configured, by name.
    pub fn bundle_entries(&self) -> impl Iterator<Item = (&str, &BundleEntry)> {
        let sole = self.bundle.iter().map(|SoleBundle(entry)| (SOLE_BUNDLE, entry));
        sole.chain(self.bundles.iter().map(|(name, entry)| (name.as_str(), entry)))
    }
}

pub(super) fn check(config: &Config, checks: &mut Checks) {
    let kinds = [config.bundle.is_some(), !config.bundles.is_empty(), config.discovery.is_some()];
    checks.that(
        kinds.into_iter().filter(|kind| *kind).count() == 1,
        "/bundle",
        "exactly one of `bundle`, `bundles` and `discovery` says where the policy comes from",
    );
    if let Some(SoleBundle(entry)) = &config.bundle {
        check_source(&entry.source, "/bundle", checks);
    }
    let few = config.bundles.len() <= config.limits.bundles;
    checks.that(few, "/bundles", "more bundles than limits.bundles");
    check_entries(&config.bundles, "/bundles", checks);
}

pub(super) fn check_entries(bundles: &BTreeMap<String, BundleEntry>, at: &str, checks: &mut Checks) {
    for (name, entry) in bundles {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        checks.that(is_name(name), &at, "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ - /");
        check_source(&entry.source, &format!("{at}/source"), checks);
    }
}

pub(super) fn check_source(source: &BundleSource, at: &str, checks: &mut Checks) {
    if let BundleSource::Http(http) = source {
        http.check(&format!("{at}/http"), checks);
    }
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}
