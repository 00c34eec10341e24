//! `input.attributes`: `envoy.service.auth.v3.AttributeContext` as opa-envoy-plugin shows it. What is empty or zero is
//! absent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Document, Parts, certificate};
use crate::policy::{Fields, Footprint, Reads};
use crate::proto::MessageLimits;
use crate::request::Property;

/// Whether the body is cut, for policies that ask the header; a client's own says nothing.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";
/// By which a client says what service it is.
const SERVICE: &str = "x-envoy-downstream-service-cluster";
/// By which the proxy may hand the client's certificate on.
const CLIENT_CERTIFICATE: &str = "x-forwarded-client-cert";
/// Metadata comes of the proxy's own filters and routes.
const METADATA: MessageLimits = MessageLimits { depth: 32, values: 10_000 };

pub(super) fn compose(parts: &Parts<'_>, reads: &Reads, footprint: &Footprint) -> Document {
    let mut attributes = Fields::of(footprint);
    attributes.put("request", |of_request| request(parts, reads, of_request));
    if let Some(extensions) = &parts.contract.context_extensions {
        attributes.put("contextExtensions", |of_extensions| extensions.trimmed(of_extensions));
    }
    let labels = &parts.contract.destination_labels;
    if reads.properties.is_empty() && labels.is_none() {
        return attributes.document();
    }
    let around = parts.circumstances;
    let mut source = peer(parts, Property::SourceAddress, Property::SourcePrincipal);
    if let Some(service) =
        parts.request.header(SERVICE).filter(|_| reads.properties.has(Property::SourceService))
    {
        source.push(("service", Document::text(service)));
    }
    if let (Some(digest), Some(header)) =
        (around.text(Property::SourceCertificate), parts.request.header(CLIENT_CERTIFICATE))
        && let Some(found) = certificate::forwarded(header, digest)
    {
        source.push(("certificate", Document::text(found)));
    }
    let mut destination = peer(parts, Property::DestinationAddress, Property::DestinationPrincipal);
    destination.extend(labels.iter().map(|labels| ("labels", labels.clone())));
    for (name, fields) in [("source", source), ("destination", destination)] {
        if !fields.is_empty() {
            attributes.put(name, |of_peer| Document::object(fields).trimmed(of_peer));
        }
    }
    if let Some(name) = around.text(Property::ServerName) {
        attributes.put("tlsSession", |_| Document::object([("sni", Document::text(name))]));
    }
    for (name, property) in
        [("metadataContext", Property::Metadata), ("routeMetadataContext", Property::RouteMetadata)]
    {
        if reads.properties.has(property) {
            let metadata = around.metadata(property, METADATA).map(Value::Object);
            let metadata = metadata.map(|found| ("filterMetadata", Document::from_json_owned(found)));
            attributes.put(name, |of_metadata| Document::object(metadata).trimmed(of_metadata));
        }
    }
    attributes.document()
}

fn peer(parts: &Parts<'_>, address: Property, principal: Property) -> Vec<(&'static str, Document)> {
    let mut peer = Vec::new();
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

fn request(parts: &Parts<'_>, reads: &Reads, footprint: &Footprint) -> Document {
    let mut fields = Fields::of(footprint);
    if reads.moment {
        fields.put("time", |of_time| {
            let mut time = Fields::of(of_time);
            time.put("seconds", |_| Document::number_u64(parts.now.seconds().0));
            let nanos = parts.now.subsecond_nanos();
            if nanos > 0 {
                time.put("nanos", |_| Document::number_u64(u64::from(nanos)));
            }
            time.document()
        });
    }
    fields.put("http", |of_http| http(parts, reads, of_http));
    fields.document()
}

fn http(parts: &Parts<'_>, reads: &Reads, footprint: &Footprint) -> Document {
    let request = parts.request;
    let mut http = Fields::of(footprint);
    for (name, value) in [
        ("method", request.method()),
        ("path", request.header(":path").unwrap_or_default()),
        ("host", request.header(":authority").unwrap_or_default()),
        ("scheme", request.scheme()),
        ("protocol", parts.circumstances.text(Property::Protocol).unwrap_or_default()),
    ] {
        if !value.is_empty() {
            http.text(name, value);
        }
    }
    if reads.headers {
        http.put("headers", |of_headers| headers(parts, of_headers));
    }
    if reads.body && !parts.body.is_empty() {
        let size = u64::try_from(parts.body.len()).unwrap_or(u64::MAX);
        http.put("size", |_| Document::number_u64(size));
        if parts.contract.packs_bytes {
            http.put("rawBody", |_| Document::text(&STANDARD.encode(parts.body)));
        } else if let Ok(body) = std::str::from_utf8(parts.body) {
            http.text("body", body);
        }
    }
    if reads.moment {
        http.text("id", parts.id);
    }
    http.document()
}

/// As Envoy joins them for ext_authz: values of one name by commas.
fn headers(parts: &Parts<'_>, footprint: &Footprint) -> Document {
    let mut joined: BTreeMap<&str, String> = BTreeMap::new();
    let read = |name: &str| name != PARTIAL_BODY && footprint.of_member(name).is_some();
    for (name, value) in parts.request.headers().iter().filter(|(name, _)| read(name)) {
        joined
            .entry(name)
            .and_modify(|all| {
                all.push(',');
                all.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    if (parts.truncated || !parts.body.is_empty()) && footprint.of_member(PARTIAL_BODY).is_some() {
        joined.insert(PARTIAL_BODY, parts.truncated.to_string());
    }
    Document::map(joined.iter().map(|(name, value)| (*name, Document::text(value))))
}
