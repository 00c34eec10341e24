//! One real Envoy with two listeners for each group: one with Remit, one with ext_authz before opa-envoy-plugin, and
//! otherwise the same to the letter.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use xtask::envoy::{self, Envoy, Start};
use xtask::workspace;

use super::case::{BODY_BYTES, Case, Group, Outcome, Received};
use super::sidecar::{Settings, Sidecar};
use crate::http;
use crate::proxy::module;
use crate::upstream::Upstream;

/// Headers of a reply that tell the time, or are about the connection: one that is answered before its body is there is closed.
const VOLATILE: [&str; 3] = ["connection", "date", "x-envoy-upstream-service-time"];
/// Headers to the upstream that no two requests share.
const VOLATILE_UPSTREAM: [&str; 2] = ["x-request-id", "x-remit-decision-id"];

/// How to start one.
#[derive(Debug, Default)]
pub struct PairOptions<'a> {
    /// Names its folder.
    pub name: &'a str,
    /// opa-envoy-plugin; `None`: only the listeners with Remit.
    pub plugin: Option<PathBuf>,
    /// The transport socket of all listeners; `None`: no TLS. With it the client's certificate is handed on.
    pub transport_socket: Option<String>,
    /// Whether the listeners look at which server a client names, before they take TLS.
    pub inspects_tls: bool,
}

/// A running Envoy and its sidecars.
#[derive(Debug)]
pub struct Pair {
    envoy: Envoy,
    upstream: Upstream,
    _sidecars: Vec<Sidecar>,
    ports: BTreeMap<String, u16>,
    folder: PathBuf,
}

impl Pair {
    /// Starts everything.
    ///
    /// # Errors
    /// When something of it does not start.
    pub fn start(options: &PairOptions<'_>, groups: &[Group]) -> Result<Self> {
        let folder =
            workspace::target_dir().join("e2e").join(format!("{}-{}", options.name, std::process::id()));
        fs::create_dir_all(&folder)?;
        let upstream = Upstream::start()?;
        let mut sidecars: BTreeMap<Settings, (Sidecar, String)> = BTreeMap::new();
        if let Some(plugin) = &options.plugin {
            let mut by_settings: BTreeMap<Settings, Vec<&Group>> = BTreeMap::new();
            for group in groups {
                by_settings.entry(Settings::of(group)).or_default().push(group);
            }
            for (number, (settings, groups)) in by_settings.into_iter().enumerate() {
                let name = format!("opa-{number}");
                let sidecar = Sidecar::start(plugin, &folder.join(&name), &settings, &groups)?;
                sidecars.insert(settings, (sidecar, name));
            }
        }
        let admin_port = envoy::free_port()?;
        let config = folder.join("envoy.yaml");
        fs::write(&config, document(groups, &upstream, &sidecars, admin_port, options)?)?;
        let start = Start {
            config: &config,
            admin_port,
            concurrency: 1,
            log: &folder.join("envoy.log"),
            access_log: Stdio::from(File::create(folder.join("access.log"))?),
        };
        let envoy =
            Envoy::start(&envoy::binary()?, start).with_context(|| format!("see {}", folder.display()))?;
        let listeners: Value = serde_json::from_str(&envoy.admin("/listeners?format=json")?)?;
        let statuses =
            listeners.get("listener_statuses").and_then(Value::as_array).context("no listeners")?;
        let port = |status: &Value| {
            let name = status.get("name")?.as_str()?.to_owned();
            let port = status.pointer("/local_address/socket_address/port_value")?.as_u64()?;
            Some((name, u16::try_from(port).ok()?))
        };
        let ports = statuses.iter().filter_map(port).collect();
        let sidecars = sidecars.into_values().map(|(sidecar, _)| sidecar).collect();
        Ok(Self { envoy, upstream, _sidecars: sidecars, ports, folder })
    }

    /// What a request comes to with Remit.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn remit(&self, group: &Group, case: &Case) -> Result<Outcome> {
        self.send(&format!("remit-{}", group.label()), case)
    }

    /// What a request comes to with opa-envoy-plugin.
    ///
    /// # Errors
    /// When there is no answer.
    pub fn opa(&self, group: &Group, case: &Case) -> Result<Outcome> {
        self.send(&format!("opa-{}", group.label()), case)
    }

    /// Where a group's listener is: with Remit, or with opa-envoy-plugin.
    ///
    /// # Errors
    /// When there is none.
    pub fn port(&self, kind: &str, group: &Group) -> Result<u16> {
        let listener = format!("{kind}-{}", group.label());
        self.ports.get(&listener).copied().with_context(|| format!("no listener {listener}"))
    }

    fn send(&self, listener: &str, case: &Case) -> Result<Outcome> {
        let port = self.ports.get(listener).with_context(|| format!("no listener {listener}"))?;
        let answer = http::send(*port, &case.request).with_context(|| case.name.clone())?;
        let upstream = self.upstream.take().pop().map(|arrived| Received {
            path: arrived.path,
            headers: sorted(arrived.headers, &VOLATILE_UPSTREAM),
            body: arrived.body,
        });
        let headers = sorted(answer.headers, &VOLATILE);
        Ok(Outcome { status: answer.status, headers, body: answer.body, upstream })
    }

    /// Ends it, and leaves nothing behind.
    ///
    /// # Errors
    /// When Envoy has ended before.
    pub fn finish(mut self) -> Result<()> {
        anyhow::ensure!(self.envoy.is_running(), "Envoy ended; see {}", self.folder.display());
        Ok(fs::remove_dir_all(&self.folder)?)
    }
}

fn sorted(mut headers: Vec<(String, String)>, volatile: &[&str]) -> Vec<(String, String)> {
    headers.retain(|(name, _)| !volatile.contains(&name.as_str()));
    headers.sort_by(|(one, _), (other, _)| one.cmp(other));
    headers
}

fn document(
    groups: &[Group],
    upstream: &Upstream,
    sidecars: &BTreeMap<Settings, (Sidecar, String)>,
    admin_port: u16,
    options: &PairOptions<'_>,
) -> Result<String> {
    let module = module()?;
    let mut listeners = Vec::new();
    for group in groups {
        let filter = remit(&module, &group.configuration()?);
        listeners.push(listener(&format!("remit-{}", group.label()), &filter, &Map::new()));
        if let Some((_, cluster)) = sidecars.get(&Settings::of(group)) {
            let (filter, per_route) = ext_authz(cluster, group);
            listeners.push(listener(&format!("opa-{}", group.label()), &filter, &per_route));
        }
    }
    let mut clusters = vec![cluster("upstream", upstream.port(), false)];
    clusters.extend(sidecars.values().map(|(sidecar, name)| cluster(name, sidecar.port, true)));
    let document = json!({
        "node": {"id": "contract", "cluster": "contract", "metadata": {"labels": {"app": "contract"}}},
        "admin": {"address": address(admin_port)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    });
    let mut text = document.to_string();
    if options.inspects_tls {
        let inspector = json!([{"name": "envoy.filters.listener.tls_inspector", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"}}]);
        let chains = "\"filter_chains\":[{";
        text = text.replace(chains, &format!("\"listener_filters\":{inspector},{chains}"));
    }
    if let Some(transport_socket) = &options.transport_socket {
        // JSON is YAML, and so is what is put into it.
        let chain = "\"filter_chains\":[{";
        text = text.replace(chain, &format!("{chain}{transport_socket},"));
        let manager = "\"stat_prefix\":\"contract\"";
        text = text.replace(
            manager,
            &format!(
                "{manager},\"forward_client_cert_details\":\"SANITIZE_SET\",\
                 \"set_current_client_cert_details\":{{\"cert\":true,\"uri\":true}}"
            ),
        );
        // Without TLS it would make the plugin show a session that is empty.
        let certificate = "\"include_peer_certificate\":true";
        text = text.replace(certificate, &format!("{certificate},\"include_tls_session\":true"));
    }
    Ok(text)
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn cluster(name: &str, port: u16, speaks_grpc: bool) -> Value {
    let http2 = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}}}});
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "2s",
        "typed_extension_protocol_options": if speaks_grpc { http2 } else { json!({}) },
        "load_assignment": {"cluster_name": name, "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]},
    })
}

fn listener(name: &str, filter: &Value, per_route: &Map<String, Value>) -> Value {
    let router = json!({"name": "envoy.filters.http.router", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}});
    json!({
        "name": name,
        "address": address(0),
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "contract",
            "http_filters": [filter, router],
            "route_config": {"virtual_hosts": [{
                "name": "all", "domains": ["*"],
                "routes": [{
                    "match": {"prefix": "/"}, "route": {"cluster": "upstream"},
                    "metadata": {"filter_metadata": {"contract": {"route": "all"}}},
                    "typed_per_filter_config": per_route}]}]}}}]}],
    })
}

fn remit(module: &Path, configuration: &str) -> Value {
    json!({"name": "envoy.filters.http.wasm", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "remit", "root_id": "remit", "allow_on_headers_stop_iteration": true,
            "vm_config": {
                "vm_id": "contract", "runtime": "envoy.wasm.runtime.v8",
                "code": {"local": {"filename": module}}},
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue", "value": configuration}}}})
}

/// ext_authz, and what of it belongs to the route.
fn ext_authz(cluster: &str, group: &Group) -> (Value, Map<String, Value>) {
    let packs = group.input_setting("pack_as_bytes") == Some(Value::Bool(true));
    let filter = json!({"name": "envoy.filters.http.ext_authz", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": cluster}, "timeout": "10s"},
        "route_metadata_context_namespaces": ["contract"],
        // As the default of the filter's own failures.
        "status_on_error": {"code": "InternalServerError"},
        "include_peer_certificate": true,
        "bootstrap_metadata_labels_key": "labels",
        "with_request_body": {
            "max_request_bytes": BODY_BYTES, "allow_partial_message": true, "pack_as_bytes": packs}}});
    let extensions = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
        "check_settings": {"context_extensions": {"case": group.label()}}});
    (filter, Map::from_iter([("envoy.filters.http.ext_authz".to_owned(), extensions)]))
}
