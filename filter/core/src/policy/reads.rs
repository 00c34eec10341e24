//! Which parts of the input a policy can read, so that what nobody reads need not be fetched or built.

use super::functions::Called;
use super::survey::Survey;
use crate::request::{Properties, Property};

/// Parts of the input that cost something to have. `false` is a promise: no rule of the bundle can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// The request's body, parsed or raw, or whether it was cut.
    pub body: bool,
    /// The arguments of the action.
    pub arguments: bool,
    /// What the catalog picks out of the arguments: resource, counterparties, what is missing.
    pub named: bool,
    /// Source, destination, TLS, and the metadata that the proxy adds.
    pub properties: Properties,
    /// The parsed query.
    pub query: bool,
    /// The request's headers.
    pub headers: bool,
    /// The token's claims as they came.
    pub claims: bool,
    /// The id or the time of the request, or the present: what no second request has.
    pub moment: bool,
    /// What is around the evaluation besides the input, and changes: the clock, answers to `http.send`.
    pub around: bool,
    /// The whole body, all headers or the client's port: what hardly two requests share.
    pub singular: bool,
    /// What no two tokens share, such as `jti` and `exp`.
    pub token_alone: bool,
}

#[cfg(test)]
impl Reads {
    /// Everything of the input, and nothing around it.
    pub(crate) const ALL: Self = Self {
        body: true,
        arguments: true,
        named: true,
        properties: Properties::ALL,
        query: true,
        headers: true,
        claims: true,
        moment: true,
        around: false,
        singular: true,
        token_alone: true,
    };
}

const BODY: &[&[&str]] = &[
    &["parsed_body"],
    &["truncated_body"],
    &["attributes", "request", "http", "body"],
    &["attributes", "request", "http", "rawBody"],
    &["attributes", "request", "http", "size"],
];
const ARGUMENTS: &[&[&str]] = &[&["remit", "action", "arguments"]];
const NAMED: &[&[&str]] = &[
    &["remit", "action", "resource"],
    &["remit", "action", "counterparties"],
    &["remit", "action", "missing"],
];
const PROPERTIES: &[(Property, &[&[&str]])] = &[
    (Property::SourceAddress, &[&["attributes", "source", "address"]]),
    (Property::SourcePrincipal, &[&["attributes", "source", "principal"], &["source_principal"]]),
    (Property::SourceCertificate, &[&["attributes", "source", "certificate"]]),
    (Property::SourceService, &[&["attributes", "source", "service"]]),
    (Property::DestinationAddress, &[&["attributes", "destination", "address"]]),
    (Property::DestinationPrincipal, &[&["attributes", "destination", "principal"]]),
    (Property::Protocol, &[&["attributes", "request", "http", "protocol"]]),
    (Property::ServerName, &[&["attributes", "tlsSession"]]),
    (Property::Metadata, &[&["attributes", "metadataContext"]]),
    (Property::RouteMetadata, &[&["attributes", "routeMetadataContext"]]),
];
const QUERY: &[&[&str]] = &[&["parsed_query"], &["attributes", "request", "http", "query"]];
const HEADERS: &[&[&str]] =
    &[&["attributes", "request", "http", "headers"], &["attributes", "request", "http", "headerMap"]];
const CLAIMS: &[&[&str]] = &[&["remit", "token", "claims"]];
const MOMENT: &[&[&str]] = &[
    &["attributes", "request", "http", "id"],
    &["attributes", "request", "time"],
    &["remit", "now"],
    &["remit", "token", "auth_age_seconds"],
];

/// Read as wholes they tell requests apart; a member of theirs may not.
const SINGULAR: &[&[&str]] = &[
    &["parsed_body"],
    &["attributes", "request", "http", "headers"],
    &["attributes", "request", "http", "headerMap"],
];
const SINGULAR_PARTS: &[&[&str]] = &[
    &["attributes", "request", "http", "headers", "x-request-id"],
    &["attributes", "request", "http", "body"],
    &["attributes", "request", "http", "rawBody"],
    &["attributes", "source", "address"],
    &["attributes", "metadataContext"],
];
const TOKEN_ALONE: &[&[&str]] = &[
    &["remit", "token", "jti"],
    &["remit", "token", "iat"],
    &["remit", "token", "exp"],
    &["remit", "token", "claims", "jti"],
    &["remit", "token", "claims", "iat"],
    &["remit", "token", "claims", "exp"],
    &["remit", "token", "claims", "nbf"],
    &["remit", "transaction", "txn"],
    &["remit", "transaction", "exp"],
];

impl Reads {
    /// Whether two requests can look the same to the policy, so that remembering a decision is worth its room.
    #[must_use]
    pub fn repeats(&self) -> bool {
        !(self.moment || self.singular || self.around)
    }

    pub(super) fn of(survey: &Survey<'_>, called: &Called) -> Self {
        let any = |parts: &[&[&str]]| {
            survey.inputs.iter().any(|read| {
                // A reference that stops above a part reads all of it, one that goes on below reads some.
                parts.iter().any(|part| read.iter().zip(part.iter()).all(|(a, b)| a == b))
            })
        };
        let whole = |parts: &[&[&str]]| {
            survey.inputs.iter().any(|read| {
                parts
                    .iter()
                    .any(|part| read.len() <= part.len() && read.iter().zip(part.iter()).all(|(a, b)| a == b))
            })
        };
        Self {
            body: any(BODY),
            arguments: any(ARGUMENTS),
            named: any(NAMED),
            properties: PROPERTIES
                .iter()
                .filter(|(_, parts)| any(parts))
                .fold(Properties::default(), |set, (property, _)| set.with(*property)),
            query: any(QUERY),
            headers: any(HEADERS),
            claims: any(CLAIMS),
            moment: any(MOMENT),
            around: !called.repeat(),
            singular: whole(SINGULAR) || any(SINGULAR_PARTS),
            token_alone: any(TOKEN_ALONE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::policy;
    use crate::request::Property;

    #[test]
    fn the_policy_tells_what_it_can_read() {
        let none = Reads::default();
        let all = Reads::ALL;
        let peer = |property| Reads { properties: Properties::default().with(property), ..none };
        let protocol = peer(Property::Protocol);
        let http = Reads { body: true, query: true, headers: true, moment: true, singular: true, ..protocol };
        let body = Reads { body: true, ..none };
        let whole_body = Reads { singular: true, ..body };
        let alone = Reads { token_alone: true, ..none };
        for (rego, expected) in [
            ("decision := 1", none),
            ("decision := input.remit.token.sub", none),
            ("decision := input.attributes.request.http.method", none),
            ("decision := input.parsed_body.x", body),
            ("decision := input[\"parsed_body\"]", whole_body),
            ("decision := input.truncated_body", body),
            ("decision := input.attributes.request.http.rawBody", whole_body),
            ("decision := input.attributes.request.http", http),
            ("decision := input.attributes.request.http[input.remit.mode]", http),
            ("decision := input.attributes.request.http.headers.cookie", Reads { headers: true, ..none }),
            ("decision := input.attributes.source.principal", peer(Property::SourcePrincipal)),
            ("decision := input.attributes.source.certificate", peer(Property::SourceCertificate)),
            ("decision := input.source_principal", peer(Property::SourcePrincipal)),
            ("decision := input.parsed_query.q", Reads { query: true, ..none }),
            ("decision := input.remit.action", Reads { arguments: true, named: true, ..none }),
            ("decision := input.remit.action.resource.name", Reads { named: true, ..none }),
            ("decision := input.remit.token.claims.x", Reads { claims: true, ..none }),
            ("decision := input.remit.token", Reads { claims: true, moment: true, ..alone }),
            ("decision := input.remit.now", Reads { moment: true, ..none }),
            ("decision := input.attributes.request.time.seconds", Reads { moment: true, ..none }),
            ("decision := input.remit.action.arguments.to", Reads { arguments: true, ..none }),
            ("decision := input.remit.action.operation", none),
            ("decision := input", all),
            ("decision := count(input)", all),
            ("decision := input[data.p.k]\nk := \"x\"", all),
            ("decision := f(input)\nf(x) := x.remit", all),
            ("decision if { 1 == 1 with input as {} }", all),
            (
                "import input.attributes as a\ndecision := a.source.address",
                Reads { singular: true, ..peer(Property::SourceAddress) },
            ),
            (
                "decision := input.attributes.metadataContext.filterMetadata.f.k",
                Reads { singular: true, ..peer(Property::Metadata) },
            ),
            (
                "decision := input.attributes.request.http.headers[data.p.k]",
                Reads { headers: true, singular: true, ..none },
            ),
            (
                "decision := input.attributes.request.http.headers[\"x-request-id\"]",
                Reads { headers: true, singular: true, ..none },
            ),
            ("decision := input.remit.token.jti", alone),
            ("decision := input.remit.token.claims.exp", Reads { claims: true, ..alone }),
            ("decision := object.get(input.remit.action, \"tool\", 1)", none),
            (
                "decision := object.get(input.remit, [\"action\", \"arguments\"], 1)",
                Reads { arguments: true, ..none },
            ),
            (
                "decision := object.get(input.remit, \"action\", input.remit.now)",
                Reads { arguments: true, named: true, moment: true, ..none },
            ),
            (
                "decision := object.get(input.remit.action, input.remit.mode, 1)",
                Reads { arguments: true, named: true, ..none },
            ),
            (
                "decision := object.get(input.remit.action, [\"x\", input.remit.mode], 1)",
                Reads { arguments: true, named: true, ..none },
            ),
            (
                "decision := object.get(input.remit.action, [], 1)",
                Reads { arguments: true, named: true, ..none },
            ),
            ("import input.remit.action as a\ndecision if { every a in [1] { a == 1 }; a.verb == 1 }", none),
            ("decision := input.attributes.tlsSession.sni", peer(Property::ServerName)),
            ("decision := input.attributes.request.http.size", body),
            ("import input as i\ndecision := i.parsed_body", whole_body),
            ("decision := x if { x := input; x.remit }", all),
            ("decision := time.now_ns()", Reads { around: true, ..none }),
            ("unused := input.parsed_body\ndecision := 1", whole_body),
        ] {
            assert_eq!(policy(rego).reads(), expected, "{rego}");
        }
    }
}
