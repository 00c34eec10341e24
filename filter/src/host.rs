//! The only user of host calls. No policy terms: bytes, names and numbers in and out.

use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};
use remit_core::exchange::{SignatureQuestion, Stored};
use remit_core::ids::Now;
use remit_core::policy::{HttpCall, HttpReply};
use remit_core::source::{Answer, Fetch, freshness};

/// The present.
pub(crate) fn now() -> Now {
    let since_epoch =
        hostcalls::get_current_time().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Now(since_epoch.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
}

/// 32 random bytes; `None` when the host has none to give.
pub(crate) fn random() -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok().map(|()| bytes)
}

pub(crate) fn log(level: LogLevel, message: &str) {
    // A log that cannot be written is not a reason to stop.
    let _ = hostcalls::log(level, message);
}

pub(crate) fn plugin_configuration() -> Vec<u8> {
    hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten().unwrap_or_default()
}

pub(crate) fn tick_every(period: Duration) {
    let _ = hostcalls::set_tick_period(period);
}

pub(crate) fn request_headers() -> Vec<(String, Vec<u8>)> {
    hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default()
}

/// Removes the request's trailers with such names.
pub(crate) fn remove_request_trailers(such: impl Fn(&str) -> bool) {
    let trailers = hostcalls::get_map_bytes(MapType::HttpRequestTrailers).unwrap_or_default();
    for (name, _) in trailers.iter().filter(|(name, _)| such(name)) {
        let _ = hostcalls::remove_map_value(MapType::HttpRequestTrailers, name);
    }
}

pub(crate) fn request_body(size: usize) -> Vec<u8> {
    hostcalls::get_buffer(BufferType::HttpRequestBody, 0, size).ok().flatten().unwrap_or_default()
}

/// An attribute of the proxy, in its own bytes.
pub(crate) fn attribute(path: &[&'static str]) -> Option<Vec<u8>> {
    hostcalls::get_property(path.to_vec()).ok().flatten()
}

/// SHA-256 of the downstream's certificate in hexadecimal digits, as the proxy's own TLS saw it.
pub(crate) fn certificate() -> Option<String> {
    String::from_utf8(attribute(&["connection", "sha256_peer_certificate_digest"])?).ok()
}

pub(crate) fn remove_request_header(name: &str) {
    let _ = hostcalls::remove_map_value(MapType::HttpRequestHeaders, name);
}

pub(crate) fn set_request_header(name: &str, value: &str) {
    let _ = hostcalls::set_map_value(MapType::HttpRequestHeaders, name, Some(value));
}

pub(crate) fn add_request_header(name: &str, value: &str) {
    let _ = hostcalls::add_map_value(MapType::HttpRequestHeaders, name, value);
}

pub(crate) fn add_response_header(name: &str, value: &str) {
    let _ = hostcalls::add_map_value(MapType::HttpResponseHeaders, name, value);
}

pub(crate) fn reply(status: u16, headers: &[(String, String)], body: &str) {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    if hostcalls::send_http_response(u32::from(status), headers, Some(body.as_bytes())).is_err() {
        // Without an answer the request would hang, so the stream is cut.
        let _ = hostcalls::reset_http_request();
    }
}

/// Lets a request go on that an earlier callback held back.
pub(crate) fn resume_request() {
    let _ = hostcalls::resume_http_request();
}

/// Filter state `wasm.<name>`, which access logs print as `%FILTER_STATE(wasm.<name>:PLAIN)%`.
pub(crate) fn set_filter_state(name: &str, value: &str) {
    let _ = hostcalls::set_property(vec![name], Some(value.as_bytes()));
}

/// A value of the proxy's shared data and its version; `None` when it cannot be read.
pub(crate) fn shared(key: &str) -> Option<(Option<Vec<u8>>, u32)> {
    match hostcalls::get_shared_data(key).ok()? {
        (None, _) => Some((None, 0)),
        // A value without a version could only be overwritten blindly.
        (Some(value), version) => Some((Some(value), version.filter(|version| *version > 0)?)),
    }
}

/// Replaces a value, or makes it where the version is 0: then there must be none. Hosts take any version for a key that
/// is new and overwrite blindly for version 0, so a version is named that no value has.
pub(crate) fn store_shared(key: &str, value: &[u8], version: u32) -> Stored {
    let version = if version == 0 { u32::MAX } else { version };
    match hostcalls::set_shared_data(key, Some(value), Some(version)) {
        Ok(()) => Stored::Done,
        Err(Status::CasMismatch) => Stored::Conflict,
        Err(_) => Stored::Failed,
    }
}

/// Asks the host whether a signature is good; `None` when it cannot say.
pub(crate) fn verify_signature(question: &SignatureQuestion) -> Option<bool> {
    let fields: [&[u8]; 4] =
        [question.hash.as_bytes(), &question.spki_der, &question.signature, &question.signed];
    let mut message = Vec::with_capacity(fields.iter().map(|field| field.len().saturating_add(8)).sum());
    for (number, field) in (1_u8..).zip(fields) {
        // A length-delimited field of a protobuf message: tag, varint length, bytes.
        message.push(number << 3 | 2);
        let mut length = field.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).unwrap_or(0));
        message.extend_from_slice(field);
    }
    let answer =
        hostcalls::call_foreign_function("verify_signature", Some(&message)).ok()?.unwrap_or_default();
    // VerifySignatureResult: field 1 is `result`, which proto3 leaves out where it is false; field 2 is `error`.
    if answer.starts_with(&[0x08, 0x01]) {
        return Some(true);
    }
    // Any other error says that this host cannot tell: it does not know the digest or the key's type.
    const FAILED: &[u8] = b"Failed to verify";
    answer.windows(FAILED.len()).any(|text| text == FAILED).then_some(false)
}

/// Sends a fetch on its way; the token comes back with the answer.
pub(crate) fn dispatch(fetch: &Fetch) -> Option<u32> {
    let mut headers = vec![
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", fetch.place.authority.as_str()),
        (":path", fetch.place.path.as_str()),
        (
            "accept",
            "application/json, application/gzip, application/octet-stream, application/statuslist+jwt, application/vnd.openpolicyagent.bundles",
        ),
    ];
    if let Some(etag) = &fetch.etag {
        headers.push(("if-none-match", etag));
    }
    if let Some(prefer) = &fetch.prefer {
        headers.push(("prefer", prefer));
    }
    headers.extend(fetch.extra.iter());
    let timeout = Duration::from_millis(fetch.timeout_ms);
    hostcalls::dispatch_http_call(&fetch.place.cluster, headers, None, Vec::new(), timeout).ok()
}

/// Sends a call of the policy's on its way, for the stream whose turn it is; the token comes back with the answer.
pub(crate) fn call(call: &HttpCall) -> Option<u32> {
    let headers = call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let body = (!call.body.is_empty()).then_some(call.body.as_slice());
    let timeout = Duration::from_millis(call.timeout_ms);
    hostcalls::dispatch_http_call(&call.cluster, headers, body, Vec::new(), timeout).ok()
}

/// The reply to a call of the policy's.
pub(crate) fn reply_to_call(num_headers: usize, body_size: usize, limit: usize) -> HttpReply {
    let headers = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders).unwrap_or_default();
    let status = headers.iter().find(|(name, _)| name == ":status");
    let status = status.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
    let Some(status) = status.filter(|_| num_headers > 0) else { return HttpReply::Nothing };
    // See `answer`: what the proxy says of its own is no answer.
    let is_own = !headers.iter().any(|(name, _)| name == "date" || name == "server");
    match status {
        504 if is_own => return HttpReply::Late,
        503 if is_own => return HttpReply::Nothing,
        _ if body_size > limit => return HttpReply::TooLarge,
        _ => {}
    }
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size).ok().flatten();
    let body = body.unwrap_or_default();
    // A part of a body in place of all of it could be read as something else.
    if body.len() == body_size { HttpReply::Response { status, headers, body } } else { HttpReply::Nothing }
}

/// The answer to a fetch. A body over the limit is not copied out of the host.
pub(crate) fn answer(num_headers: usize, body_size: usize, limit: usize) -> Answer {
    if num_headers == 0 {
        return Answer::Nothing;
    }
    // Not `get_map_value`, which panics at a value that is no UTF-8.
    let bytes = |name| hostcalls::get_map_value_bytes(MapType::HttpCallResponseHeaders, name).ok().flatten();
    let value = |name| String::from_utf8(bytes(name)?).ok();
    let Some(status) = value(":status").and_then(|status| status.parse().ok()) else {
        return Answer::Nothing;
    };
    // Envoy answers a call that got nowhere by itself, with 503 or 504; only an origin says when it answered.
    if matches!(status, 503 | 504) && bytes("date").is_none() && bytes("server").is_none() {
        return Answer::Nothing;
    }
    if body_size > limit {
        return Answer::TooLarge { bytes: body_size, limit };
    }
    let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, body_size);
    let body = body.ok().flatten().unwrap_or_default();
    let fresh_seconds = freshness(value("cache-control").as_deref(), value("age").as_deref());
    Answer::Response { status, etag: value("etag"), fresh_seconds, content_type: value("content-type"), body }
}

/// Makes the stream with this id the one that the next calls are about.
pub(crate) fn turn_to(context_id: u32) {
    let _ = hostcalls::set_effective_context(context_id);
}

pub(crate) fn define_metric(kind: MetricType, name: &str) -> Option<u32> {
    hostcalls::define_metric(kind, name).ok()
}

/// The value of a counter or a gauge.
pub(crate) fn metric(metric: u32) -> Option<u64> {
    hostcalls::get_metric(metric).ok()
}

pub(crate) fn increment(metric: u32) {
    let _ = hostcalls::increment_metric(metric, 1);
}

pub(crate) fn record(metric: u32, value: u64) {
    let _ = hostcalls::record_metric(metric, value);
}
