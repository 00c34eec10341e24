//! What stands before the router: a proxy-wasm module, Envoy's own filters, or a question to a sidecar.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// A filter in front of the router.
pub(super) enum Filter {
    /// None: what the others are compared with.
    None,
    /// A proxy-wasm module with this plugin configuration.
    Wasm { module: Vec<u8>, configuration: String },
    /// The same, switched off for the one route that there is: what other routes of the proxy pay for it.
    WasmElsewhere { module: Vec<u8>, configuration: String },
    /// `jwt_authn` with these keys, then `rbac` that lets one subject pass.
    Jwt { issuer: String, audience: String, keys: String, subject: String, remembers: bool },
    /// `ext_authz` over HTTP to this port.
    AskHttp { port: u16 },
    /// `ext_authz` over gRPC to this port, with the body.
    AskGrpc { port: u16 },
}

impl Filter {
    /// The entries in `http_filters`; a module is written to `path` first.
    pub(super) fn yaml(&self, path: &Path) -> Result<String> {
        Ok(match self {
            Self::None => String::new(),
            Self::Wasm { module, configuration } | Self::WasmElsewhere { module, configuration } => {
                fs::write(path, module).with_context(|| format!("failed to write {}", path.display()))?;
                wasm(&path.to_string_lossy(), configuration)
            }
            Self::Jwt { issuer, audience, keys, subject, remembers } => {
                jwt(issuer, audience, keys, subject, *remembers)
            }
            Self::AskHttp { .. } => ASK_HTTP.to_owned(),
            Self::AskGrpc { .. } => ASK_GRPC.to_owned(),
        })
    }

    /// What the route says of the filter.
    pub(super) fn route_yaml(&self) -> &'static str {
        match self {
            Self::WasmElsewhere { .. } => SWITCHED_OFF,
            _ => "",
        }
    }

    /// Port and protocol of the cluster `sidecar`.
    pub(super) fn sidecar(&self) -> (u16, &'static str) {
        match self {
            Self::AskHttp { port } => (*port, ""),
            Self::AskGrpc { port } => (*port, GRPC_CLUSTER),
            // The cluster is there, and nobody asks it.
            _ => (1, ""),
        }
    }
}

fn wasm(path: &str, configuration: &str) -> String {
    format!(
        r#"                  - name: subject
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
                      config:
                        name: remit
                        allow_on_headers_stop_iteration: true
                        failure_policy: FAIL_RELOAD
                        vm_config:
                          vm_id: remit
                          runtime: envoy.wasm.runtime.v8
                          code: {{ local: {{ filename: {} }} }}
                        configuration:
                          "@type": type.googleapis.com/google.protobuf.StringValue
                          value: {}
"#,
        quoted(path),
        quoted(configuration),
    )
}

fn jwt(issuer: &str, audience: &str, keys: &str, subject: &str, remembers: bool) -> String {
    let cache = if remembers { "jwt_cache_config: { jwt_cache_size: 1000 }" } else { "" };
    format!(
        r#"                  - name: subject
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication
                      providers:
                        idp:
                          issuer: {}
                          audiences: [{}]
                          forward: true
                          payload_in_metadata: token
                          local_jwks: {{ inline_string: {} }}
                          {cache}
                      rules:
                        - match: {{ prefix: / }}
                          requires: {{ provider_name: idp }}
                  - name: rights
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
                      rules:
                        action: ALLOW
                        policies:
                          subject:
                            permissions: [{{ header: {{ name: ":method", string_match: {{ exact: POST }} }} }}]
                            principals:
                              - metadata:
                                  filter: envoy.filters.http.jwt_authn
                                  path: [{{ key: token }}, {{ key: sub }}]
                                  value: {{ string_match: {{ exact: {} }} }}
"#,
        quoted(issuer),
        quoted(audience),
        quoted(keys),
        quoted(subject),
    )
}

const SWITCHED_OFF: &str = r#"                          typed_per_filter_config:
                            subject:
                              "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig
                              disabled: true
"#;

const ASK_HTTP: &str = r#"                  - name: subject
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
                      transport_api_version: V3
                      http_service: { server_uri: { uri: "http://sidecar", cluster: sidecar, timeout: 5s } }
"#;

const ASK_GRPC: &str = r#"                  - name: subject
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz
                      transport_api_version: V3
                      with_request_body: { max_request_bytes: 65536, allow_partial_message: true }
                      grpc_service: { envoy_grpc: { cluster_name: sidecar }, timeout: 5s }
"#;

const GRPC_CLUSTER: &str = r#"      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config: { http2_protocol_options: {} }"#;

/// A single-quoted YAML scalar: the only character with a meaning in it is the quote.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
