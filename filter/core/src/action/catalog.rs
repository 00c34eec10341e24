//! The catalog: operation → verb, resource, effects and counterparties. Checked when the bundle loads.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Effects, Verb};
use crate::request::RequestView;
use crate::shape::{self, Misfit};

/// What is wrong with a catalog, and where.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A member is unknown, missing or of the wrong shape.
    #[error("data.remit.catalog at {0}")]
    Shape(#[from] Misfit),
    /// A member has the right shape and a value that cannot work.
    #[error("data.remit.catalog at {pointer}: {problem}")]
    Value {
        /// JSON pointer (RFC 6901) below `data.remit.catalog`.
        pointer: String,
        /// What is wrong and what to do.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    mcp: Vec<McpDocument>,
    #[serde(default)]
    http: Vec<HttpDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct McpDocument {
    authority: String,
    path: String,
    tools: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpDocument {
    authority: String,
    /// `method`, `path` and the members of an [`Entry`]; split by hand, because serde's `flatten` would let
    /// unknown members pass.
    routes: Vec<Map<String, Value>>,
}

/// What the catalog says of one operation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name that tokens and policy use.
    pub operation: String,
    /// What kind of thing it does.
    pub verb: Verb,
    /// What it is done to.
    #[serde(default)]
    pub resource: Option<ResourceRule>,
    /// What it does to the world.
    pub effects: Effects,
    /// Whom it reaches.
    #[serde(default)]
    pub counterparties: Vec<CounterpartyRule>,
}

/// Where a resource is named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceRule {
    /// The kind of thing.
    #[serde(rename = "type")]
    pub kind: String,
    /// JSON pointer into the arguments.
    pub id: String,
}

/// Where a counterparty is named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CounterpartyRule {
    /// The kind of counterparty.
    pub kind: String,
    /// JSON pointer into the arguments: a scalar, or an array of scalars.
    pub value: String,
    /// Whether a request may leave it out.
    #[serde(default)]
    pub optional: bool,
}

impl Entry {
    /// Whether the body decides what this is, or has to be bound by an approval.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        let in_body = |pointer: &str| pointer == "/body" || pointer.starts_with("/body/");
        self.effects.side_effect
            || self.resource.as_ref().is_some_and(|resource| in_body(&resource.id))
            || self.counterparties.iter().any(|counterparty| in_body(&counterparty.value))
    }

    fn check(&self, at: &str) -> Result<(), CatalogError> {
        let fail = |problem| Err(CatalogError::Value { pointer: at.to_owned(), problem });
        if self.operation.is_empty() {
            return fail("operation: name it as tokens and policy do");
        }
        let mut pointers =
            self.resource.iter().map(|r| &r.id).chain(self.counterparties.iter().map(|c| &c.value));
        if pointers.any(|pointer| !pointer.starts_with('/')) {
            return fail("a JSON pointer into the arguments begins with `/`");
        }
        let reads_only = matches!(self.verb, Verb::Read | Verb::List | Verb::Search | Verb::Session);
        if reads_only && (self.effects.side_effect || self.effects.privilege || self.effects.money) {
            return fail("a verb that only reads cannot have side effects: choose another verb");
        }
        Ok(())
    }
}

/// An MCP server that the filter stands before.
#[derive(Debug)]
pub struct McpServer {
    /// Tool name → what it does.
    pub tools: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct HttpRoute {
    segments: Vec<Segment>,
    entry: Entry,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter(String),
}

/// The catalog, ready for look-ups.
#[derive(Debug, Default)]
pub struct Catalog {
    /// authority → path → server.
    mcp: BTreeMap<String, BTreeMap<String, McpServer>>,
    /// authority → method → routes, the more literal ones first.
    http: BTreeMap<String, BTreeMap<String, Vec<HttpRoute>>>,
}

impl Catalog {
    /// Reads `data.remit.catalog` of a bundle; `None` gives an empty catalog, in which everything is unclassified.
    ///
    /// # Errors
    ///
    /// See [`CatalogError`]: wrong shapes, bad templates, two entries for one request.
    pub fn parse(data: Option<Value>) -> Result<Self, CatalogError> {
        let Some(data) = data else { return Ok(Self::default()) };
        let document: Document = shape::read(&data)?;
        let mut catalog = Self::default();
        for (i, server) in document.mcp.into_iter().enumerate() {
            catalog.add_mcp(&format!("/mcp/{i}"), server)?;
        }
        for (i, host) in document.http.into_iter().enumerate() {
            catalog.add_http(&format!("/http/{i}"), host)?;
        }
        Ok(catalog)
    }

    fn add_mcp(&mut self, at: &str, server: McpDocument) -> Result<(), CatalogError> {
        check_authority(at, &server.authority)?;
        for (tool, entry) in &server.tools {
            entry.check(&format!("{at}/tools/{tool}"))?;
        }
        let problem = if !server.path.starts_with('/') {
            Some("path: begins with `/`")
        } else {
            let paths = self.mcp.entry(server.authority).or_default();
            let earlier = paths.insert(server.path, McpServer { tools: server.tools });
            earlier.is_some().then_some("this authority and path are in the catalog twice")
        };
        match problem {
            Some(problem) => Err(CatalogError::Value { pointer: at.to_owned(), problem }),
            None => Ok(()),
        }
    }

    fn add_http(&mut self, at: &str, host: HttpDocument) -> Result<(), CatalogError> {
        check_authority(at, &host.authority)?;
        let methods = self.http.entry(host.authority).or_default();
        for (i, mut route) in host.routes.into_iter().enumerate() {
            let at = format!("{at}/routes/{i}");
            let fail = |problem| CatalogError::Value { pointer: at.clone(), problem };
            let upper =
                |method: &String| !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase());
            let method = match route.remove("method") {
                Some(Value::String(method)) if upper(&method) => method,
                _ => return Err(fail("method: in upper case, such as POST")),
            };
            let segments = route.remove("path").as_ref().and_then(Value::as_str).and_then(template).ok_or_else(
                || fail("path: begins with `/`; a parameter is a whole segment such as `{thread}`, named once"),
            )?;
            let entry: Entry = shape::read(&Value::Object(route)).map_err(|misfit| misfit.within(&at))?;
            entry.check(&at)?;
            let routes = methods.entry(method).or_default();
            if routes.iter().any(|other| same_shape(&other.segments, &segments)) {
                return Err(fail("this method and path are in the catalog twice"));
            }
            // Literals come before parameters, so that `/users/me` is found before `/users/{id}`.
            let place = routes.partition_point(|other| other.segments <= segments);
            routes.insert(place, HttpRoute { segments, entry });
        }
        Ok(())
    }

    /// The MCP server behind an authority and path.
    pub(super) fn mcp_server(&self, authority: &str, request: &RequestView) -> Option<&McpServer> {
        self.mcp.get(authority)?.get(&request.target.path)
    }

    /// The route that a request takes, with the values of its path parameters.
    pub(super) fn http_entry(
        &self,
        authority: &str,
        request: &RequestView,
    ) -> Option<(&Entry, Map<String, Value>)> {
        let target = &request.target;
        // Leading slashes are folded in the segments; to the catalog `//a` is not `/a`.
        if target.path.starts_with("//") {
            return None;
        }
        let routes = self.http.get(authority)?.get(request.method())?;
        routes.iter().find_map(|route| {
            let parameters = match_segments(&route.segments, &target.segments)?;
            Some((&route.entry, parameters))
        })
    }
}

fn check_authority(at: &str, authority: &str) -> Result<(), CatalogError> {
    let good = !authority.is_empty() && !authority.bytes().any(|b| b.is_ascii_uppercase() || b == b'/');
    if good {
        return Ok(());
    }
    let problem = "authority: host, or host:port, in lower case";
    Err(CatalogError::Value { pointer: at.to_owned(), problem })
}

fn template(path: &str) -> Option<Vec<Segment>> {
    let mut names: Vec<&str> = Vec::new();
    let mut segments = Vec::new();
    for part in path.strip_prefix('/')?.split('/') {
        if let Some(name) = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            if name.is_empty() || name.contains(['{', '}']) || names.contains(&name) {
                return None;
            }
            names.push(name);
            segments.push(Segment::Parameter(name.to_owned()));
        } else if part.contains(['{', '}', '%', '?', '#']) {
            return None;
        } else {
            segments.push(Segment::Literal(part.to_owned()));
        }
    }
    Some(segments)
}

fn same_shape(a: &[Segment], b: &[Segment]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|pair| match pair {
            (Segment::Literal(a), Segment::Literal(b)) => a == b,
            (Segment::Parameter(_), Segment::Parameter(_)) => true,
            _ => false,
        })
}

fn match_segments(template: &[Segment], segments: &[String]) -> Option<Map<String, Value>> {
    if template.len() != segments.len() {
        return None;
    }
    let mut parameters = Map::new();
    for (wanted, segment) in template.iter().zip(segments) {
        match wanted {
            Segment::Literal(literal) if literal == segment => {}
            // `;` begins path parameters for some servers (RFC 3986 section 3.3), and is part of the name for others.
            Segment::Parameter(name) if !segment.is_empty() && !segment.contains(';') => {
                parameters.insert(name.clone(), Value::String(segment.clone()));
            }
            _ => return None,
        }
    }
    Some(parameters)
}
