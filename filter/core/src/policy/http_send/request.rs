//! The request object of `http.send`, as OPA 1.22 reads it. What the cluster does instead, or what is not served, is an
//! error, never passed over.

use regorus::Value;
use regorus::unstable::{Expr, ExprRef};

use super::url::Url;
use crate::config::HttpSend;
use crate::ordered;
use crate::policy::document::json_of;
use crate::policy::error::PolicyError;
use crate::policy::place::Place;
use crate::policy::walk::text;

/// Headers that frame the message or that the connection owns.
const REFUSED_HEADERS: [&str; 7] =
    ["connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Fields that are read. All others of OPA's are the cluster's matter.
const FIELDS: [&str; 15] = [
    "body",
    "cache",
    "cache_ignored_headers",
    "caching_mode",
    "enable_redirect",
    "force_cache",
    "force_cache_duration_seconds",
    "force_json_decode",
    "force_yaml_decode",
    "headers",
    "max_retry_attempts",
    "method",
    "raise_error",
    "raw_body",
    "timeout",
];

/// Whether, and for how long, an answer is kept for later evaluations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caching {
    Off,
    /// For as long as the response says.
    AsAnswered,
    /// For so many seconds, whatever the response says.
    Forced(u64),
}

/// A call, read and checked.
#[derive(Debug)]
pub(in crate::policy) struct Request {
    /// What makes two calls the same one: all of the object but the headers that it says to ignore.
    pub(super) key: Value,
    pub(super) method: String,
    pub(super) url: Url,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// 0: the configured one.
    pub(super) timeout_ms: u64,
    pub(super) force_json: bool,
    pub(super) caching: Caching,
    pub(super) retries: u64,
}

impl Request {
    /// Reads the object. The error is what OPA's error object would say, or the like.
    pub(in crate::policy) fn parse(object: &Value) -> Result<Self, String> {
        let Ok(fields) = object.as_object() else { return Err("operand 1 must be object".to_owned()) };
        for (name, value) in fields.iter() {
            let name = text(name).ok_or("invalid request parameters(s)")?;
            check_field(name, matches!(value, Value::Bool(false)))?;
        }
        let field = |name: &str| fields.get(&Value::from(name));
        let string = |name: &str| match field(name) {
            None => Ok(None),
            Some(value) => text(value).map(Some).ok_or_else(|| format!("{name:?} must be a string")),
        };
        let boolean = |name: &str| match field(name) {
            None => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(_) => Err(format!("invalid value for {name:?} field")),
        };
        let whole = |name: &str| match field(name) {
            None => Ok(None),
            Some(value) => {
                let number = matches!(value, Value::Number(_)).then(|| value.as_u64().ok()).flatten();
                number.map(Some).ok_or_else(|| format!("invalid value for field {name:?}"))
            }
        };
        let missing = |name: &str| format!("missing required request parameters(s): {{{name:?}}}");
        let method = string("method")?.ok_or_else(|| missing("method"))?.to_ascii_uppercase();
        if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-') {
            return Err(format!("net/http: invalid method {method:?}"));
        }
        let url = Url::parse(string("url")?.ok_or_else(|| missing("url"))?)?;
        let (headers, key) = headers(object, field("headers"), field("cache_ignored_headers"))?;
        let body = match (string("raw_body")?, field("body")) {
            (Some(raw), _) => raw.as_bytes().to_vec(),
            (None, Some(body)) => json_of(body).ok_or("the body is no JSON")?.to_string().into_bytes(),
            (None, None) => Vec::new(),
        };
        let caching = match (boolean("force_cache")?, boolean("cache")?) {
            (true, _) => Caching::Forced(
                whole("force_cache_duration_seconds")?
                    .ok_or("'force_cache' set but 'force_cache_duration_seconds' parameter is missing")?,
            ),
            (false, true) => Caching::AsAnswered,
            (false, false) => Caching::Off,
        };
        if !matches!(string("caching_mode")?, None | Some("serialized" | "deserialized")) {
            return Err("invalid value specified for \"caching_mode\" field".to_owned());
        }
        Ok(Self {
            key,
            method,
            url,
            headers,
            body,
            timeout_ms: timeout(field("timeout"))?,
            force_json: boolean("force_json_decode")?,
            caching,
            retries: whole("max_retry_attempts")?.unwrap_or(0),
        })
    }
}

/// Whether a field is served; `off` where it says `false`.
fn check_field(name: &str, off: bool) -> Result<(), String> {
    match name {
        "enable_redirect" | "force_yaml_decode" if !off => {
            Err(format!("{name} is not served: a redirect may lead anywhere, and YAML is not read"))
        }
        _ if name == "url" || FIELDS.contains(&name) => Ok(()),
        _ if name.starts_with("tls_") => Err(format!("{name} is not served: TLS is the cluster's")),
        _ => Err(format!("invalid request parameters(s): {{{name:?}}}")),
    }
}

/// The headers to send, in lower case, and the object as a key.
fn headers(
    object: &Value,
    headers: Option<&Value>,
    ignored: Option<&Value>,
) -> Result<(Vec<(String, String)>, Value), String> {
    let mut key = object.clone();
    if let Ok(fields) = key.as_object_mut() {
        fields.insert(Value::from("cache_ignored_headers"), Value::Null);
    }
    let Some(headers) = headers else { return Ok((Vec::new(), key)) };
    let headers = headers.as_object().map_err(|_| "invalid type for headers key".to_owned())?;
    let mut list: Vec<(String, String)> = Vec::new();
    for (name, value) in headers.iter() {
        let name = text(name).ok_or("invalid type for headers key")?.to_ascii_lowercase();
        let value = text(value).ok_or_else(|| format!("invalid type for headers value of {name:?}"))?;
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        // What begins with `x-envoy-` tells the proxy how often to try, and for how long.
        let is_proxys = name.starts_with("x-envoy-") || REFUSED_HEADERS.contains(&name.as_str());
        if name.is_empty() || !name.bytes().all(token) || is_proxys {
            return Err(format!("net/http: invalid header field name {name:?}"));
        }
        if value.bytes().any(|b| b < b' ' && b != b'\t' || b == 0x7f) {
            return Err(format!("net/http: invalid header field value for {name:?}"));
        }
        list.push((name, value.to_owned()));
    }
    if let Some(ignored) = ignored {
        let ignored = ignored.as_array().ok().filter(|names| names.iter().all(|name| text(name).is_some()));
        let ignored = ignored.ok_or("cache_ignored_headers must be an array of strings")?;
        let kept = headers.iter().filter(|(name, _)| !ignored.iter().any(|other| other == *name));
        let kept = ordered::map(kept.map(|(name, value)| (name.clone(), value.clone())));
        if let Ok(fields) = key.as_object_mut() {
            fields.insert(Value::from("headers"), Value::from(kept));
        }
    }
    Ok((list, key))
}

/// Nanoseconds as a number or as text, or Go's durations such as `1.5s`; in whole milliseconds, at least one.
fn timeout(value: Option<&Value>) -> Result<u64, String> {
    let invalid = || "invalid timeout value".to_owned();
    let nanoseconds = match value {
        None => return Ok(0),
        Some(value @ Value::Number(_)) => value.as_i64().map_err(|_| invalid())?.to_string(),
        Some(value) => text(value).ok_or("'timeout' must be one of {string, number}")?.to_owned(),
    };
    let nanoseconds = match nanoseconds.parse::<i64>() {
        // Less than none is none, as in Go.
        Ok(nanoseconds) => u64::try_from(nanoseconds).unwrap_or(0),
        Err(_) => duration(&nanoseconds).ok_or_else(invalid)?,
    };
    Ok(if nanoseconds == 0 { 0 } else { (nanoseconds / 1_000_000).max(1) })
}

fn duration(mut text: &str) -> Option<u64> {
    let mut sum = 0_u64;
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at_checked(end)?;
        let length = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (unit, rest) = rest.split_at_checked(length)?;
        let unit = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000_u64,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        sum = sum.checked_add(whole.parse::<u64>().ok()?.checked_mul(unit)?)?;
        let mut place = unit;
        for digit in fraction.bytes() {
            place = place.checked_div(10)?;
            sum = sum.checked_add(place.checked_mul(u64::from(digit.checked_sub(b'0')?))?)?;
        }
        text = rest;
    }
    Some(sum)
}

/// What can be said of a call when the bundle loads: its URL and its fields, where they are written out.
pub(in crate::policy) fn check_literal(
    at: &Place,
    arguments: &[ExprRef],
    settings: Option<&HttpSend>,
) -> Result<(), PolicyError> {
    let refuse = |at: &Place, problem: String| Err(PolicyError::HttpSend { at: at.clone(), problem });
    let Some(settings) = settings else {
        return refuse(at, "is not configured: builtins.http_send says where it may go".to_owned());
    };
    let Some(Expr::Object { fields, .. }) = arguments.first().map(AsRef::as_ref) else { return Ok(()) };
    for (_, name, value) in fields {
        let at = Place::of(name.span());
        let constant = |expr: &Expr| match expr {
            Expr::String { value, .. } | Expr::RawString { value, .. } => text(value).map(str::to_owned),
            _ => None,
        };
        let Some(name) = constant(name) else { continue };
        let off = !matches!(value.as_ref(), Expr::Bool { value: Value::Bool(true), .. });
        if let Err(problem) = check_field(&name, off) {
            return refuse(&at, problem);
        }
        let Some(url) = constant(value).filter(|_| name == "url") else { continue };
        match Url::parse(&url) {
            Err(problem) => return refuse(&at, problem),
            Ok(url) if settings.cluster(&url.host, url.port, url.is_default_port).is_none() => {
                return Err(PolicyError::HttpHost { at, host: format!("{}:{}", url.host, url.port) });
            }
            Ok(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts() {
        for (value, expected) in [
            (Value::from(5_000_000_000_u64), Some(5000)),
            (Value::from(1_u64), Some(1)),
            (Value::from(0_u64), Some(0)),
            (Value::from("2000000"), Some(2)),
            (Value::from("1.5s"), Some(1500)),
            (Value::from("1m0.25s"), Some(60_250)),
            (Value::from("300ms"), Some(300)),
            (Value::from("-1"), Some(0)),
            (Value::from("1"), Some(1)),
            (Value::from("1 s"), None),
            (Value::from("s"), None),
            (Value::from("1x"), None),
            (Value::from("99999999999999999999h"), None),
            (Value::Bool(true), None),
        ] {
            assert_eq!(timeout(Some(&value)).ok(), expected, "{value}");
        }
        assert_eq!(timeout(None), Ok(0));
    }
}
