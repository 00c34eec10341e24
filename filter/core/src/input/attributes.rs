//! `input.attributes`: `envoy.service.auth.v3.AttributeContext` as opa-envoy-plugin shows it. What is empty or zero is
//! absent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Document, Parts};
use crate::policy::Reads;
use crate::proto::MessageLimits;
use crate::request::Property;

/// Whether the body is cut, for policies that ask the header; a client's own says nothing.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";
/// By which a client says what service it is.
const SERVICE: &str = "x-envoy-downstream-service-cluster";
/// Metadata comes of the proxy's own filters and routes.
const METADATA: MessageLimits = MessageLimits { depth: 32, values: 10_000 };

type Fields = Vec<(&'static str, Document)>;

pub(super) fn compose(parts: &Parts<'_>, reads: &Reads) -> Fields {
    let mut attributes = vec![("request", request(parts, reads))];
    if let Some(extensions) = &parts.contract.context_extensions {
        attributes.push(("contextExtensions", extensions.clone()));
    }
    if reads.properties.is_empty() {
        return attributes;
    }
    let around = parts.circumstances;
    let mut source = peer(parts, Property::SourceAddress, Property::SourcePrincipal);
    if let Some(service) =
        parts.request.header(SERVICE).filter(|_| reads.properties.has(Property::SourceService))
    {
        source.push(("service", Document::text(service)));
    }
    let destination = peer(parts, Property::DestinationAddress, Property::DestinationPrincipal);
    for (name, fields) in [("source", source), ("destination", destination)] {
        if !fields.is_empty() {
            attributes.push((name, Document::object(fields)));
        }
    }
    if let Some(name) = around.text(Property::ServerName) {
        attributes.push(("tlsSession", Document::object([("sni", Document::text(name))])));
    }
    for (name, property) in
        [("metadataContext", Property::Metadata), ("routeMetadataContext", Property::RouteMetadata)]
    {
        if reads.properties.has(property) {
            let metadata = around.metadata(property, METADATA).map(Value::Object);
            let metadata = metadata.map(|found| ("filterMetadata", Document::from_json_owned(found)));
            attributes.push((name, Document::object(metadata)));
        }
    }
    attributes
}

fn peer(parts: &Parts<'_>, address: Property, principal: Property) -> Fields {
    let mut peer = Fields::new();
    if let Some((address, port)) = parts.circumstances.address(address) {
        let mut socket = vec![("address", Document::text(address))];
        if port > 0 {
            socket.push(("portValue", Document::number_u64(u64::from(port))));
        }
        let socket = Document::object(socket);
        peer.push(("address", Document::object([("socketAddress", socket)])));
    }
    if let Some(principal) = parts.circumstances.text(principal) {
        peer.push(("principal", Document::text(principal)));
    }
    peer
}

fn request(parts: &Parts<'_>, reads: &Reads) -> Document {
    let request = parts.request;
    let mut http = Fields::new();
    for (name, value) in [
        ("method", request.method()),
        ("path", request.header(":path").unwrap_or_default()),
        ("host", request.header(":authority").unwrap_or_default()),
        ("scheme", request.scheme()),
        ("protocol", parts.circumstances.text(Property::Protocol).unwrap_or_default()),
    ] {
        if !value.is_empty() {
            http.push((name, Document::text(value)));
        }
    }
    if reads.headers {
        http.push(("headers", headers(parts)));
    }
    if reads.body && !parts.body.is_empty() {
        http.push(("size", Document::number_u64(u64::try_from(parts.body.len()).unwrap_or(u64::MAX))));
        if parts.contract.packs_bytes {
            http.push(("rawBody", Document::text(&STANDARD.encode(parts.body))));
        } else if let Ok(body) = std::str::from_utf8(parts.body) {
            http.push(("body", Document::text(body)));
        }
    }
    if !reads.moment {
        return Document::object([("http", Document::object(http))]);
    }
    http.push(("id", Document::text(parts.id)));
    let mut time = vec![("seconds", Document::number_u64(parts.now.seconds().0))];
    let nanos = parts.now.subsecond_nanos();
    if nanos > 0 {
        time.push(("nanos", Document::number_u64(u64::from(nanos))));
    }
    Document::object([("time", Document::object(time)), ("http", Document::object(http))])
}

/// As Envoy joins them for ext_authz: values of one name by commas.
fn headers(parts: &Parts<'_>) -> Document {
    let mut joined: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in parts.request.headers().iter().filter(|(name, _)| name != PARTIAL_BODY) {
        joined
            .entry(name)
            .and_modify(|all| {
                all.push(',');
                all.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    if parts.truncated || !parts.body.is_empty() {
        joined.insert(PARTIAL_BODY, parts.truncated.to_string());
    }
    Document::map(joined.iter().map(|(name, value)| (*name, Document::text(value))))
}
