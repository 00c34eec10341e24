//! What the proxy knows of a request besides its message: connection, TLS and metadata, asked for only where a policy
//! reads it.

use serde_json::{Map, Value};

use crate::proto::{Fields, MessageLimits, structure};

/// Something that the proxy knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Property {
    /// The client's address and port.
    SourceAddress,
    /// Who the client's certificate names.
    SourcePrincipal,
    /// SHA-256 of the client's certificate, in hexadecimal digits.
    SourceCertificate,
    /// The client's service, which it says itself, in `x-envoy-downstream-service-cluster`.
    SourceService,
    /// The address and port that the client connected to.
    DestinationAddress,
    /// Who the proxy's certificate names.
    DestinationPrincipal,
    /// `HTTP/1.1`, `HTTP/2` and the like.
    Protocol,
    /// The server name that the client asked for (RFC 6066 section 3).
    ServerName,
    /// What filters before this one noted: `envoy.config.core.v3.Metadata`.
    Metadata,
    /// The route's metadata, of the same type.
    RouteMetadata,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::SourceAddress,
        Self::SourcePrincipal,
        Self::SourceCertificate,
        Self::SourceService,
        Self::DestinationAddress,
        Self::DestinationPrincipal,
        Self::Protocol,
        Self::ServerName,
        Self::Metadata,
        Self::RouteMetadata,
    ];

    /// The attributes of the proxy in which it is; the first that is there and not empty counts.
    #[must_use]
    pub fn attributes(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::SourceAddress => &[&["source", "address"]],
            // In the order in which Envoy tells ext_authz.
            Self::SourcePrincipal => &[
                &["connection", "uri_san_peer_certificate"],
                &["connection", "dns_san_peer_certificate"],
                &["connection", "subject_peer_certificate"],
            ],
            Self::SourceCertificate => &[&["connection", "sha256_peer_certificate_digest"]],
            Self::SourceService => &[],
            Self::DestinationAddress => &[&["destination", "address"]],
            Self::DestinationPrincipal => &[
                &["connection", "uri_san_local_certificate"],
                &["connection", "dns_san_local_certificate"],
                &["connection", "subject_local_certificate"],
            ],
            Self::Protocol => &[&["request", "protocol"]],
            Self::ServerName => &[&["connection", "requested_server_name"]],
            Self::Metadata => &[&["metadata"]],
            Self::RouteMetadata => &[&["xds", "route_metadata"]],
        }
    }

    fn bit(self) -> u16 {
        1_u16.wrapping_shl(self as u32)
    }
}

/// A set of properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Properties(u16);

impl Properties {
    /// All of them.
    pub const ALL: Self = Self(0x3ff);

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether one is among them.
    #[must_use]
    pub fn has(self, property: Property) -> bool {
        self.0 & property.bit() != 0
    }

    /// With one more.
    #[must_use]
    pub fn with(self, property: Property) -> Self {
        Self(self.0 | property.bit())
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Property> {
        Property::ALL.into_iter().filter(move |property| self.has(*property))
    }
}

/// What the proxy answered.
#[derive(Debug, Clone, Default)]
pub struct Circumstances(Vec<(Property, Vec<u8>)>);

impl Circumstances {
    /// With the answers of whoever can ask the proxy for an attribute.
    pub fn ask(properties: Properties, attribute: impl Fn(&[&'static str]) -> Option<Vec<u8>>) -> Self {
        if properties.is_empty() {
            return Self::default();
        }
        let answer = |property: Property| {
            let mut attributes = property.attributes().iter();
            attributes.find_map(|path| attribute(path).filter(|value| !value.is_empty()))
        };
        Self(properties.iter().filter_map(|property| Some((property, answer(property)?))).collect())
    }

    /// Whether nothing was answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&self, wanted: Property) -> Option<&[u8]> {
        self.0.iter().find(|(property, _)| *property == wanted).map(|(_, value)| value.as_slice())
    }

    /// A property that is text.
    #[must_use]
    pub fn text(&self, wanted: Property) -> Option<&str> {
        std::str::from_utf8(self.bytes(wanted)?).ok()
    }

    /// IP address and port of an address such as `10.0.0.1:80` or `[::1]:80`.
    #[must_use]
    pub fn address(&self, wanted: Property) -> Option<(&str, u16)> {
        let (address, port) = self.text(wanted)?.rsplit_once(':')?;
        let address = address.trim_start_matches('[').trim_end_matches(']');
        Some((address, port.parse().ok()?))
    }

    /// The metadata by filter, as far as it can be read; `None` where there is none.
    #[must_use]
    pub fn metadata(&self, wanted: Property, limits: MessageLimits) -> Option<Map<String, Value>> {
        let mut metadata = Map::new();
        for (number, wire) in Fields::of(self.bytes(wanted)?).map_while(Result::ok) {
            let (1, Some(entry)) = (number, wire.bytes()) else { continue };
            let (mut name, mut value) = (None, None);
            for (number, wire) in Fields::of(entry).map_while(Result::ok) {
                match number {
                    1 => name = wire.text(),
                    2 => value = wire.bytes(),
                    _ => {}
                }
            }
            if let (Some(name), Ok(value)) = (name, structure(value.unwrap_or_default(), limits)) {
                metadata.insert(name.to_owned(), value);
            }
        }
        (!metadata.is_empty()).then_some(metadata)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_read_is_asked_for_once() {
        let asked = std::cell::RefCell::new(Vec::new());
        let wanted = Properties::default().with(Property::SourcePrincipal).with(Property::ServerName);
        let circumstances = Circumstances::ask(wanted, |path| {
            asked.borrow_mut().push(path.join("."));
            (path[1] == "dns_san_peer_certificate").then(|| b"client.example".to_vec())
        });
        let expected = [
            "connection.uri_san_peer_certificate",
            "connection.dns_san_peer_certificate",
            "connection.requested_server_name",
        ];
        assert_eq!(asked.into_inner(), expected);
        assert_eq!(circumstances.text(Property::SourcePrincipal), Some("client.example"));
        assert_eq!(circumstances.text(Property::ServerName), None);
        assert_eq!((wanted.iter().count(), Properties::ALL.iter().count()), (2, Property::ALL.len()));
    }

    #[test]
    fn addresses_are_taken_apart() {
        for (text, expected) in [
            ("10.0.0.1:80", Some(("10.0.0.1", 80))),
            ("[2001:db8::1]:443", Some(("2001:db8::1", 443))),
            ("@abstract", None),
            ("10.0.0.1:99999", None),
            ("", None),
        ] {
            let set = Properties::default().with(Property::SourceAddress);
            let circumstances = Circumstances::ask(set, |_| Some(text.into()));
            assert_eq!(circumstances.address(Property::SourceAddress), expected, "{text}");
        }
    }

    #[test]
    fn metadata_is_read_as_far_as_it_goes() {
        // filter_metadata {"f": {"k": "v"}}, then one without a value, then one that is damaged.
        let entry = [b"\x0a\x01f\x12\x0a\x0a\x08\x0a\x01k\x12\x03\x1a\x01v".as_slice()].concat();
        let mut bytes = vec![0x0a, entry.len() as u8];
        bytes.extend(entry);
        bytes.extend(b"\x0a\x03\x0a\x01g\x0a\x06\x0a\x01h\x12\x01\x0a");
        let set = Properties::default().with(Property::Metadata);
        let limits = MessageLimits { depth: 8, values: 100 };
        let read = |bytes: &[u8]| {
            Circumstances::ask(set, |_| Some(bytes.to_vec())).metadata(Property::Metadata, limits)
        };
        assert_eq!(read(&bytes).map(Value::Object), Some(json!({"f": {"k": "v"}, "g": {}})));
        assert_eq!(read(b"\x0a\xff"), None);
    }
}
