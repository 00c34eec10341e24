//! What the policy's input holds, under the names that ext_authz and opa-envoy-plugin have for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Settings of ext_authz and opa-envoy-plugin that shape `input`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InputSettings {
    /// `input.attributes.contextExtensions`, as `context_extensions` of ext_authz.
    pub context_extensions: BTreeMap<String, String>,
    /// `input.attributes.destination.labels`, which ext_authz takes from the metadata of the proxy's node
    /// (`bootstrap_metadata_labels_key`).
    pub destination_labels: BTreeMap<String, String>,
    /// Give the body as `rawBody`, in base64, in place of `body`, as `pack_as_bytes` of ext_authz.
    pub pack_as_bytes: bool,
    /// Leave out `parsed_body` and `truncated_body`, as `skip-request-body-parse` of opa-envoy-plugin.
    pub skip_request_body_parse: bool,
    /// The messages of gRPC calls: a `FileDescriptorSet` in base64 (RFC 4648 section 4), as `proto-descriptor` of
    /// opa-envoy-plugin names a file of.
    pub proto_descriptor: Option<String>,
}
