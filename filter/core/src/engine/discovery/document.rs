//! OPA's configuration, as far as a discovery bundle may give it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::PlanError;
use crate::config::{
    BundleEntry, BundleSource, Config, DiscoveryConfig, HttpSource, Mode, Service, Signing, StatusConfig,
};

/// What a discovery bundle comes to.
#[derive(Debug)]
pub(in super::super) struct Planned {
    /// The bundles, by name.
    pub(in super::super) bundles: BTreeMap<String, BundleEntry>,
    /// Who is told about them.
    pub(in super::super) status: Option<StatusConfig>,
}

/// The document. What is not named here is not for a discovery bundle to say.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    #[serde(default)]
    bundles: BTreeMap<String, SaidBundle>,
    #[serde(default)]
    status: Option<SaidStatus>,
    /// Must be the configured one.
    #[serde(default)]
    default_decision: Option<String>,
    /// Of no interest.
    #[serde(default, rename = "decision_logs")]
    _decision_logs: Value,
    #[serde(default, rename = "labels")]
    _labels: Value,
    #[serde(default, rename = "persistence_directory")]
    _persistence_directory: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidBundle {
    service: String,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    polling: SaidPolling,
    #[serde(default)]
    signing: Option<Signing>,
    #[serde(default)]
    trigger: Option<String>,
    #[serde(default)]
    size_limit_bytes: Option<usize>,
    #[serde(default, rename = "persist")]
    _persist: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidPolling {
    #[serde(default)]
    min_delay_seconds: Option<u64>,
    #[serde(default)]
    max_delay_seconds: Option<u64>,
    #[serde(default)]
    long_polling_timeout_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidStatus {
    service: String,
    #[serde(default)]
    partition_name: Option<String>,
    #[serde(default, rename = "trigger")]
    _trigger: Value,
    #[serde(default, rename = "console")]
    _console: Value,
    #[serde(default)]
    prometheus: bool,
}

/// The plan, within what the configuration allows.
pub(super) fn plan(said: &Said, discovery: &DiscoveryConfig, config: &Config) -> Result<Planned, PlanError> {
    let wrong = |pointer: String, problem| Err(PlanError::Value { pointer, problem });
    if said.default_decision.as_ref().is_some_and(|path| path.trim_matches('/') != config.decision) {
        return wrong(
            "/default_decision".to_owned(),
            "the configuration's `decision` says which rule decides",
        );
    }
    if said.bundles.is_empty() {
        return wrong("/bundles".to_owned(), "no bundle is named, so there would be no policy");
    }
    if said.bundles.len() > config.limits.bundles {
        return wrong("/bundles".to_owned(), "more bundles than limits.bundles");
    }
    let mut bundles = BTreeMap::new();
    for (name, bundle) in &said.bundles {
        let at = super::super::bundles::below("/bundles", name);
        let Some(service) = discovery.services.get(&bundle.service) else {
            return wrong(
                format!("{at}/service"),
                "the configuration's discovery.services has no such service",
            );
        };
        if bundle.trigger.as_deref().is_some_and(|trigger| trigger != "periodic") {
            return wrong(format!("{at}/trigger"), "only `periodic` is served");
        }
        if bundle.size_limit_bytes.is_some_and(|limit| limit < config.limits.bundle_bytes) {
            return wrong(format!("{at}/size_limit_bytes"), "set limits.bundle_bytes in the configuration");
        }
        let resource = bundle.resource.clone().unwrap_or_else(|| format!("bundles/{name}"));
        if !stays_below(&resource) {
            return wrong(format!("{at}/resource"), NOT_BELOW);
        }
        let longest = bundle.polling.max_delay_seconds.unwrap_or(120);
        let fetch = HttpSource {
            cluster: service.cluster.clone(),
            authority: service.authority.clone(),
            path: path(service, &resource),
            headers: service.headers.clone(),
            credentials: service.credentials.clone(),
            timeout_ms: service.timeout_ms,
            refresh_seconds: longest,
            min_refresh_seconds: Some(bundle.polling.min_delay_seconds.unwrap_or_else(|| longest.min(60))),
            max_age_seconds: service.max_age_seconds,
            long_polling_timeout_seconds: bundle.polling.long_polling_timeout_seconds,
        };
        let signing = match (&bundle.signing, &discovery.signing) {
            (Some(said), Some(demanded)) if relaxes(said, demanded) => {
                return wrong(
                    format!("{at}/signing"),
                    "only `keyid` and `scope` may differ from the configuration's discovery.signing",
                );
            }
            (Some(said), Some(demanded)) => Some(Signing {
                keyid: said.keyid.clone().or_else(|| demanded.keyid.clone()),
                scope: said.scope.clone().or_else(|| demanded.scope.clone()),
                ..demanded.clone()
            }),
            (said, demanded) => said.clone().or_else(|| demanded.clone()),
        };
        bundles.insert(
            name.clone(),
            BundleEntry { source: BundleSource::Http(fetch), mode: Mode::Enforce, signing },
        );
    }
    if let Some((pointer, problem)) = Config::fault_of_bundles(&bundles) {
        return wrong(pointer, problem);
    }
    let status = match &said.status {
        None => None,
        Some(status) => {
            let Some(service) = discovery.services.get(&status.service) else {
                let problem = "the configuration's discovery.services has no such service";
                return wrong("/status/service".to_owned(), problem);
            };
            if status.partition_name.as_ref().is_some_and(|name| !stays_below(name)) {
                return wrong("/status/partition_name".to_owned(), NOT_BELOW);
            }
            let partition = status.partition_name.as_ref().map(|name| format!("/{name}")).unwrap_or_default();
            Some(StatusConfig {
                cluster: service.cluster.clone(),
                authority: service.authority.clone(),
                path: path(service, &format!("status{partition}")),
                headers: service.headers.clone(),
                credentials: service.credentials.clone(),
                timeout_ms: service.timeout_ms,
                interval_seconds: 60,
                prometheus: status.prometheus,
            })
        }
    };
    Ok(Planned { bundles, status })
}

const NOT_BELOW: &str =
    "visible ASCII without `#`, and no segment `.` or `..`, so that it stays below the service's path";

/// Whether no server and no proxy takes this for a place outside of the path that it is appended to.
fn stays_below(resource: &str) -> bool {
    let plain = resource.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let lower = resource.to_ascii_lowercase();
    let read = lower.replace("%2e", ".").replace("%2f", "/").replace("%5c", "\\");
    // Some servers drop what follows `;` in a segment, and some read `\` as `/`.
    let mut segments = read.split(['/', '\\', '?']).filter_map(|segment| segment.split(';').next());
    plain && !segments.any(|segment| segment == "." || segment == "..")
}

/// Whether a bundle would be taken that the configuration's demands refuse.
fn relaxes(said: &Signing, demanded: &Signing) -> bool {
    (said.allow_unsigned_delta_bundles && !demanded.allow_unsigned_delta_bundles)
        || said.exclude_files.iter().any(|pattern| !demanded.exclude_files.contains(pattern))
}

fn path(service: &Service, resource: &str) -> String {
    format!("{}/{}", service.path.trim_end_matches('/'), resource.trim_start_matches('/'))
}
