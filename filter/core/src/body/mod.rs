//! The body as opa-envoy-plugin parses it for the policy: `parsed_body` and `truncated_body`.

mod form;
mod multipart;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::ids::ReasonCode;
use crate::json::{self, JsonError, JsonLimits};
use crate::proto::{Descriptors, MessageError, MessageLimits};
use crate::request::RequestView;

/// How a body is read.
#[derive(Debug, Clone, Copy)]
pub struct BodyRules<'a> {
    /// Nesting of JSON, and of messages.
    pub depth: usize,
    /// Fields of a form, or values of JSON or of a message.
    pub values: usize,
    /// The messages of gRPC calls.
    pub descriptors: Option<&'a Descriptors>,
}

impl BodyRules<'_> {
    fn json(&self) -> JsonLimits {
        JsonLimits { depth: self.depth, values: self.values }
    }
}

/// What the policy sees of a body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParsedBody {
    /// `parsed_body`.
    pub value: Value,
    /// `truncated_body`.
    pub truncated: bool,
}

/// Why a body is refused.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not strict JSON.
    #[error("body: {0}")]
    Json(#[from] JsonError),
    /// A form that cannot be decoded.
    #[error("body: a form that cannot be decoded")]
    Form,
    /// No well-formed `multipart/form-data`, or one that can be read in more than one way.
    #[error("body: multipart/form-data: {0}")]
    Multipart(&'static str),
    /// More fields than the limit.
    #[error("body: more than {limit} fields")]
    TooMany {
        /// The limit in force.
        limit: usize,
    },
    /// A gRPC frame that is cut before its length.
    #[error("body: less than a gRPC frame")]
    Frame,
    /// A gRPC call to a path that names no service and method.
    #[error("body: a gRPC call whose path is not /service/method")]
    GrpcPath,
    /// A gRPC message that cannot be read.
    #[error("body: gRPC: {0}")]
    Message(#[from] MessageError),
}

impl BodyError {
    /// The reason code in audit.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        ReasonCode::of(match self {
            Self::Json(JsonError::NotUtf8 { .. }) => "body_not_utf8",
            Self::Json(JsonError::DuplicateKey { .. }) => "body_duplicate_key",
            Self::Json(JsonError::TooDeep { .. }) | Self::Message(MessageError::TooDeep { .. }) => {
                "body_too_deep"
            }
            Self::TooMany { .. }
            | Self::Json(JsonError::TooMany { .. })
            | Self::Message(MessageError::TooMany { .. }) => "body_too_many_values",
            Self::GrpcPath => "grpc_path",
            _ => "body_malformed",
        })
    }
}

/// The fifth byte after which a gRPC message begins: a flag and its length.
const FRAME: usize = 5;

/// Reads a body by its content type. `partial` says that it is not all of it.
///
/// # Errors
///
/// See [`BodyError`]; each is the client's fault.
pub fn parse(
    request: &RequestView,
    body: &[u8],
    partial: bool,
    rules: &BodyRules<'_>,
) -> Result<ParsedBody, BodyError> {
    if partial {
        return Ok(ParsedBody { truncated: true, ..ParsedBody::default() });
    }
    let content_type = request.header("content-type").unwrap_or_default();
    if body.is_empty() {
        return Ok(ParsedBody::default());
    }
    let cut = declared(request).is_some_and(|declared| declared > body.len());
    let value = if content_type.contains("application/json") {
        if cut { None } else { Some(json::parse_within(body, rules.json())?) }
    } else if content_type.contains("application/grpc") {
        return grpc(request, body, rules);
    } else if content_type.contains("application/x-www-form-urlencoded") {
        if cut { None } else { Some(form::parse(body, rules.values)?) }
    } else if content_type.contains("multipart/form-data") {
        if cut { None } else { Some(multipart(content_type, body, rules)?) }
    } else {
        return Ok(ParsedBody::default());
    };
    Ok(ParsedBody { truncated: value.is_none(), value: value.unwrap_or_default() })
}

fn declared(request: &RequestView) -> Option<usize> {
    request.header("content-length")?.parse().ok()
}

fn multipart(content_type: &str, body: &[u8], rules: &BodyRules<'_>) -> Result<Value, BodyError> {
    let (_, parameters) = multipart::parameters(content_type)?;
    match parameters.into_iter().find(|(name, _)| name == "boundary") {
        None => Ok(Value::Null),
        // RFC 2046 section 5.1.1.
        Some((_, boundary)) if boundary.is_empty() || boundary.len() > 70 => {
            Err(BodyError::Multipart("a boundary of no or more than 70 characters"))
        }
        Some((_, boundary)) => multipart::parse(body, &boundary, rules),
    }
}

/// The first message of a call; nothing where it is compressed, or its method is unknown or takes a stream.
fn grpc(request: &RequestView, body: &[u8], rules: &BodyRules<'_>) -> Result<ParsedBody, BodyError> {
    let Some(descriptors) = rules.descriptors else { return Ok(ParsedBody::default()) };
    let [service, method] = request.target.segments.as_slice() else { return Err(BodyError::GrpcPath) };
    let (frame, rest) = body.split_at_checked(FRAME).ok_or(BodyError::Frame)?;
    let [compressed, length @ ..] = frame else { return Err(BodyError::Frame) };
    if *compressed != 0 {
        return Ok(ParsedBody::default());
    }
    let length = length.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    let Some(message) = rest.get(..length) else {
        return Ok(ParsedBody { truncated: true, ..ParsedBody::default() });
    };
    let method = descriptors.method(service, method).filter(|method| !method.client_streaming);
    let Some(method) = method else { return Ok(ParsedBody::default()) };
    let limits = MessageLimits { depth: rules.depth, values: rules.values };
    let value = descriptors.decode(&method.input, message, limits)?;
    Ok(ParsedBody { value, truncated: false })
}
