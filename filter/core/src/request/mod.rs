//! The request as the policy sees it: normalised once, limits applied once, ambiguity refused.

mod circumstances;
mod path;

use std::borrow::Cow;
use std::fmt;

use crate::config::Limits;
use crate::ids::ReasonCode;

pub use circumstances::{Circumstances, Properties, Property};
pub use path::{PathError, Target};
pub(crate) use path::{decode, pairs};

/// The header that carries an approval.
pub const APPROVAL_HEADER: &str = "agent-approval";
/// Every header that the filter sends upstream begins so; a client's own are removed.
pub const OWN_PREFIX: &str = "x-remit-";

/// Whether a header is the filter's to send or to consume, in whatever case.
#[must_use]
pub fn is_own(name: &str) -> bool {
    let begins = name.as_bytes().get(..OWN_PREFIX.len());
    begins.is_some_and(|begins| reads_as(begins, OWN_PREFIX)) || reads_as(name.as_bytes(), APPROVAL_HEADER)
}

/// Whether a server that takes `_` for `-`, as CGI does, takes a name for another one, in whatever case.
fn reads_as(name: &[u8], other: &str) -> bool {
    let folded = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == other.len() && name.iter().map(folded).eq(other.bytes())
}

/// Headers that make some servers take another method or path than the one that was decided on.
const OVERRIDES: [&str; 5] =
    ["x-http-method", "x-http-method-override", "x-method-override", "x-original-url", "x-rewrite-url"];

/// Headers that mean one thing: a second one, and readers differ in which they take.
const SINGLE: [&str; 17] = [
    ":authority",
    ":method",
    ":path",
    ":scheme",
    "agent-approval",
    "agent-hop-proof",
    "agent-hops",
    "content-encoding",
    "content-length",
    "content-type",
    "dpop",
    "host",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "txn-token",
];

/// Why a request is refused before anybody looks at what it wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// More headers, or more bytes of them, than the limits allow.
    #[error("headers over the limit")]
    HeadersTooLarge,
    /// A header value is not UTF-8.
    #[error("a header value is not UTF-8")]
    HeaderNotText,
    /// A header that means one thing occurs twice.
    #[error("a header that may occur once occurs twice")]
    HeaderAmbiguous,
    /// More than one credential.
    #[error("more than one Authorization header")]
    TokenAmbiguous,
    /// `:method`, `:path` or `:authority` is absent.
    #[error("a pseudo-header is missing")]
    PseudoHeaderMissing,
    /// The path or the query can be read in two ways, or not at all.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A header that makes some servers take another method or path.
    #[error("a header or a query that overrides the method or the path")]
    Override,
    /// A tunnel (RFC 9110 section 9.3.6), extended CONNECT (RFC 8441) included: nobody would read what goes through it.
    #[error("CONNECT is not forwarded")]
    Connect,
    /// The connection would turn into one whose content nobody reads.
    #[error("protocol upgrades are not forwarded")]
    Upgrade,
}

impl RequestError {
    /// The reason code in audit.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::HeadersTooLarge => "headers_too_large",
            Self::HeaderNotText => "header_not_text",
            Self::HeaderAmbiguous => "header_ambiguous",
            Self::TokenAmbiguous => "token_ambiguous",
            Self::PseudoHeaderMissing => "pseudo_header_missing",
            Self::Path(PathError::Undecodable) => "path_undecodable",
            Self::Path(PathError::Ambiguous) => "path_ambiguous",
            Self::Path(PathError::QueryUndecodable) => "query_undecodable",
            Self::Override => "override_refused",
            Self::Connect => "connect_refused",
            Self::Upgrade => "upgrade_refused",
        })
    }

    /// The HTTP status that the client gets.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::HeadersTooLarge => 431,
            Self::TokenAmbiguous => 401,
            Self::Connect | Self::Upgrade => 403,
            _ => 400,
        }
    }
}

/// What is not refused although it can be read in more than one way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// `Authorization`, which is the policy's own business.
    pub any_authorization: bool,
    /// Paths.
    pub any_path: bool,
}

/// A request, read once.
pub struct RequestView {
    /// Lower-case names and values, pseudo-headers included, in the order in which they came.
    headers: Vec<(String, String)>,
    /// Path and query.
    pub target: Target,
    /// Whether the headers were all there is.
    pub ends_with_headers: bool,
}

impl fmt::Debug for RequestView {
    /// Without headers, which hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestView").field("target", &self.target.path).finish_non_exhaustive()
    }
}

impl RequestView {
    /// Reads the header map of a request.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn parse(
        pairs: Vec<(String, Vec<u8>)>,
        ends_with_headers: bool,
        limits: &Limits,
    ) -> Result<Self, RequestError> {
        Self::parse_as(pairs, ends_with_headers, limits, Reading::default())
    }

    /// The same with what a configuration leaves to the policy.
    ///
    /// # Errors
    ///
    /// See [`RequestError`].
    pub fn parse_as(
        pairs: Vec<(String, Vec<u8>)>,
        ends_with_headers: bool,
        limits: &Limits,
        reading: Reading,
    ) -> Result<Self, RequestError> {
        let bytes = pairs
            .iter()
            .fold(0_usize, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(value.len()));
        if pairs.len() > limits.header_count || bytes > limits.header_bytes {
            return Err(RequestError::HeadersTooLarge);
        }
        let mut headers = Vec::with_capacity(pairs.len());
        for (mut name, value) in pairs {
            let value = String::from_utf8(value).map_err(|_| RequestError::HeaderNotText)?;
            name.make_ascii_lowercase();
            headers.push((name, value));
        }
        refuse_repeated(&headers)?;
        let credentials = headers.iter().filter(|(name, _)| name == "authorization").count();
        if credentials > 1 && !reading.any_authorization {
            return Err(RequestError::TokenAmbiguous);
        }
        let value = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, v)| v.as_str());
        let method = value(":method").ok_or(RequestError::PseudoHeaderMissing)?;
        // Before `:path`, which CONNECT does not have (RFC 9113 section 8.5).
        if method.eq_ignore_ascii_case("CONNECT") {
            return Err(RequestError::Connect);
        }
        if value("upgrade").is_some() || value(":protocol").is_some() {
            return Err(RequestError::Upgrade);
        }
        let path = value(":path").ok_or(RequestError::PseudoHeaderMissing)?;
        value(":authority").ok_or(RequestError::PseudoHeaderMissing)?;
        let overrides = |name: &str| OVERRIDES.iter().any(|other| reads_as(name.as_bytes(), other));
        let target = if reading.any_path { Target::parse_any(path) } else { Target::parse(path) }?;
        if headers.iter().any(|(name, _)| overrides(name)) || target.query.contains_key("_method") {
            return Err(RequestError::Override);
        }
        Ok(Self { headers, target, ends_with_headers })
    }

    /// All headers, in order; names in lower case.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The first value of a header, by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `:method`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.header(":method").unwrap_or_default()
    }

    /// `:scheme`, or nothing.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.header(":scheme").unwrap_or_default()
    }

    /// `:authority` in lower case and without the default port of the scheme.
    #[must_use]
    pub fn authority(&self) -> Cow<'_, str> {
        let whole = self.header(":authority").unwrap_or_default();
        let default_port = if self.scheme() == "https" { ":443" } else { ":80" };
        let short = whole.strip_suffix(default_port).unwrap_or(whole);
        if short.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(short.to_ascii_lowercase())
        } else {
            Cow::Borrowed(short)
        }
    }

    /// The media type of `content-type` (RFC 9110 section 8.3.1): no parameters, lower case.
    #[must_use]
    pub fn media_type(&self) -> String {
        let whole = self.header("content-type").unwrap_or_default();
        whole.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether the body is JSON, by its media type (`application/json` or `+json`).
    #[must_use]
    pub fn is_json(&self) -> bool {
        let media_type = self.media_type();
        media_type == "application/json"
            || (media_type.starts_with("application/") && media_type.ends_with("+json"))
    }

    /// Whether this is a gRPC call, whose body is a stream of messages.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        let media_type = self.media_type();
        media_type == "application/grpc" || media_type.starts_with("application/grpc+")
    }

    /// Whether the body is compressed or in another charset, so that its bytes are not what the upstream reads.
    #[must_use]
    pub fn is_encoded(&self) -> bool {
        let compressed = |value: &str| !value.trim().eq_ignore_ascii_case("identity");
        self.header("content-encoding").is_some_and(compressed) || self.is_transcoded()
    }

    /// Whether a server that goes by `charset` would read JSON or a form in it as another text than UTF-8 does: what is within a
    /// string here ends it there.
    fn is_transcoded(&self) -> bool {
        let whole = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let is_read = ["json", "form"].iter().any(|kind| whole.contains(kind));
        let is_utf8 = |parameter: &str| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim() == "charset" && matches!(value.trim().trim_matches('"'), "utf-8" | "utf8")
            })
        };
        let mut parameters = whole.split(';').skip(1);
        is_read && parameters.any(|parameter| parameter.contains("charset") && !is_utf8(parameter))
    }
}

fn refuse_repeated(headers: &[(String, String)]) -> Result<(), RequestError> {
    let mut seen = [false; SINGLE.len()];
    for (name, _) in headers {
        if let Ok(index) = SINGLE.binary_search(&name.as_str())
            && let Some(seen) = seen.get_mut(index)
        {
            if *seen {
                return Err(RequestError::HeaderAmbiguous);
            }
            *seen = true;
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A request as a test writes it: method, authority and path, and headers besides.
    pub(crate) fn request(
        line: (&str, &str, &str),
        headers: &[(&str, &str)],
    ) -> Result<RequestView, RequestError> {
        let (method, authority, path) = line;
        let mut pairs = vec![
            (":method".to_owned(), method.into()),
            (":scheme".to_owned(), b"https".to_vec()),
            (":authority".to_owned(), authority.into()),
            (":path".to_owned(), path.into()),
        ];
        pairs.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())));
        let ends = matches!(method, "GET" | "DELETE");
        RequestView::parse(pairs, ends, &Limits::default())
    }

    #[test]
    fn own_headers_are_known_in_every_spelling() {
        for name in ["x-remit-agent", "X_Remit-Agent", "x_remit_agent", "Agent_Approval", "agent-approval"] {
            assert!(is_own(name), "{name}");
        }
        for name in ["x-remit", "x-remitagent", "agent-approvals", "agent", "xremit-agent"] {
            assert!(!is_own(name), "{name}");
        }
        let error = request(("POST", "a", "/x?a=1&_method=DELETE"), &[]).unwrap_err();
        assert_eq!(error.reason().as_str(), "override_refused");
    }

    #[test]
    fn the_list_of_single_headers_is_sorted() {
        assert!(SINGLE.is_sorted());
    }

    #[test]
    fn names_and_authority_are_normalised() {
        let view = request(("GET", "Forum.Example:443", "/a"), &[("Content-Type", "Application/JSON; a=b")])
            .unwrap();
        assert_eq!(view.authority(), "forum.example");
        assert_eq!(view.header("content-type"), Some("Application/JSON; a=b"));
        assert!(view.is_json());
        let view = request(("GET", "forum.example:8443", "/a"), &[("content-encoding", "identity")]).unwrap();
        assert_eq!(view.authority(), "forum.example:8443");
        assert!(!view.is_encoded());
    }

    #[test]
    fn what_is_not_read_as_utf8_is_encoded() {
        for (content_type, expected) in [
            ("application/json", false),
            ("application/json; charset=utf-8", false),
            ("application/json;Charset=\"UTF-8\"; v=1", false),
            ("application/json ; charset = utf8", false),
            ("application/json; profile=x", false),
            ("application/json; charset=utf-7", true),
            ("application/json; charset=utf-16le", true),
            ("application/json; charset=us-ascii", true),
            ("application/json; charset=", true),
            ("application/json; charset", true),
            ("application/json; charset=utf-8; charset=utf-7", true),
            ("application/json; charset=utf-7; charset=utf-8", true),
            ("application/json; charset*=utf-7''x", true),
            ("application/json; x=\"; charset=utf-7\"", true),
            ("application/json; x=y,charset=utf-7", true),
            ("application/vnd.api+json; charset=shift_jis", true),
            ("application/x-www-form-urlencoded; charset=ibm037", true),
            ("multipart/form-data; boundary=x; charset=utf-7", true),
            ("text/plain; charset=iso-8859-1", false),
        ] {
            let view = request(("POST", "a", "/"), &[("content-type", content_type)]).unwrap();
            assert_eq!(view.is_encoded(), expected, "{content_type}");
        }
    }

    #[test]
    fn ambiguous_headers_are_refused() {
        let long = "x".repeat(70_000);
        for (headers, expected) in [
            (vec![("authorization", "Bearer a"), ("Authorization", "Bearer b")], "token_ambiguous"),
            (vec![("content-type", "a"), ("content-type", "a")], "header_ambiguous"),
            (vec![("content-length", "1"), ("content-length", "2")], "header_ambiguous"),
            (vec![("Agent-Approval", "a"), ("agent-approval", "b")], "header_ambiguous"),
            (vec![("host", "a"), ("host", "b")], "header_ambiguous"),
            (vec![(":path", "/b")], "header_ambiguous"),
            (vec![("upgrade", "websocket")], "upgrade_refused"),
            (vec![("X-HTTP-Method-Override", "DELETE")], "override_refused"),
            (vec![("x-original-url", "/admin")], "override_refused"),
            (vec![("x_http_method_override", "DELETE")], "override_refused"),
            (vec![(":protocol", "websocket")], "upgrade_refused"),
            (vec![("x", long.as_str())], "headers_too_large"),
            (vec![("x", "y"); 200], "headers_too_large"),
        ] {
            let error = request(("POST", "a", "/"), &headers).unwrap_err();
            assert_eq!(error.reason().as_str(), expected, "{headers:?}");
        }
        let pairs = vec![(":method".to_owned(), b"GET".to_vec()), ("x".to_owned(), vec![0xff])];
        let error = RequestView::parse(pairs, true, &Limits::default()).unwrap_err();
        assert_eq!(error, RequestError::HeaderNotText);
        let error = RequestView::parse(Vec::new(), true, &Limits::default()).unwrap_err();
        assert_eq!(error, RequestError::PseudoHeaderMissing);
        assert_eq!(request(("CONNECT", "a", "/"), &[]).unwrap_err(), RequestError::Connect);
        // As HTTP/1.1 and HTTP/2 have it: no path, and no scheme.
        let pairs = [(":method", "connect"), (":authority", "a:443"), ("upgrade", "websocket")];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).to_vec();
        let refused = RequestView::parse(pairs, true, &Limits::default()).unwrap_err();
        assert_eq!((refused.reason().as_str(), refused.status()), ("connect_refused", 403));
    }
}
