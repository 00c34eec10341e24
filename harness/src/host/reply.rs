//! Replies that Envoy makes itself, in Envoy's form.
use super::headers::HeaderMap;

/// A reply made by the filter or by the host instead of the upstream's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalReply {
    /// HTTP status as the filter gave it (a gRPC client sees 200 and `grpc-status`).
    pub status: u32,
    /// Headers as the client sees them, `:status` included.
    pub headers: HeaderMap,
    /// Body as the client sees it.
    pub body: Vec<u8>,
    /// gRPC status, if one was given.
    pub grpc_status: Option<u32>,
    /// Response code details, blanks replaced by underscores.
    pub details: String,
}

/// What the guest (or the host, when it fails a stream) asks for.
#[derive(Clone, Debug)]
pub(crate) struct ReplyRequest {
    pub(crate) status: u32,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) grpc_status: Option<u32>,
    pub(crate) details: String,
}

impl ReplyRequest {
    /// What a stream of a dead instance gets.
    pub(crate) fn failed_stream() -> Self {
        Self::plain(503, "", Some(14), "wasm_fail_stream")
    }

    /// What a stream gets whose buffered body exceeds the limit.
    pub(crate) fn body_too_large(response: bool) -> Self {
        if response {
            Self::plain(500, "Internal Server Error", None, "response_payload_too_large")
        } else {
            Self::plain(413, "Payload Too Large", None, "request_payload_too_large")
        }
    }

    fn plain(status: u32, body: &str, grpc_status: Option<u32>, details: &str) -> Self {
        let (body, details) = (body.as_bytes().to_vec(), details.to_owned());
        Self { status, headers: HeaderMap::new(), body, grpc_status, details }
    }

    /// The reply to this request in Envoy's form (`Utility::prepareLocalReply`).
    pub(crate) fn render(self, request: &HeaderMap) -> LocalReply {
        let Self { status, headers: additional, mut body, grpc_status, details } = self;
        let mut headers = HeaderMap::from([(":status", status.to_string())]);
        headers.extend(additional.iter());
        if is_grpc(request) {
            headers.set(":status", "200");
            headers.set("content-type", "application/grpc");
            if headers.first("grpc-status").is_none() {
                headers.set("grpc-status", grpc_status.unwrap_or_else(|| grpc_from_http(status)).to_string());
            }
            if !body.is_empty() {
                headers.set("grpc-message", percent_encoded(&body));
                body.clear();
            }
            headers.remove("content-length");
        } else if body.is_empty() {
            headers.remove("content-length");
            headers.remove("content-type");
        } else {
            headers.set("content-length", body.len().to_string());
            if headers.first("content-type").is_none() {
                headers.append("content-type", "text/plain");
            }
        }
        if request.first(":method") == Some(b"HEAD") {
            body.clear();
        }
        LocalReply { status, headers, body, grpc_status, details }
    }
}

fn is_grpc(request: &HeaderMap) -> bool {
    request
        .first("content-type")
        .and_then(|kind| kind.strip_prefix(b"application/grpc"))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
}

/// <https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md>
fn grpc_from_http(status: u32) -> u32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// Percent-encoding of `grpc-message`.
fn percent_encoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if (b' '..=b'~').contains(byte) && *byte != b'%' {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::type_complexity, reason = "a table")]
    fn replies_have_envoys_form() {
        let form = |request: &[(&str, &str)], additional: &[(&str, &str)], body: &str| {
            let request: HeaderMap = request.iter().copied().collect();
            let headers = additional.iter().copied().collect();
            let asked = ReplyRequest {
                status: 403,
                headers,
                body: body.into(),
                grpc_status: None,
                details: String::new(),
            };
            let reply = asked.render(&request);
            let lines: Vec<String> = reply
                .headers
                .iter()
                .map(|(n, v)| format!("{}={}", String::from_utf8_lossy(n), String::from_utf8_lossy(v)))
                .collect();
            format!("{} | {}", lines.join(" "), String::from_utf8_lossy(&reply.body))
        };
        let table: &[(&[(&str, &str)], &[(&str, &str)], &str, &str)] = &[
            (&[], &[], "", ":status=403 | "),
            (&[], &[("content-type", "a/b")], "", ":status=403 | "),
            (&[], &[], "no", ":status=403 content-length=2 content-type=text/plain | no"),
            (&[], &[("Content-Type", "a/b")], "no", ":status=403 content-type=a/b content-length=2 | no"),
            (&[(":method", "HEAD")], &[], "no", ":status=403 content-length=2 content-type=text/plain | "),
            (
                &[("content-type", "application/grpc+proto")],
                &[],
                "n\no%",
                ":status=200 content-type=application/grpc grpc-status=7 grpc-message=n%0Ao%25 | ",
            ),
            (&[("content-type", "application/grpc-web")], &[], "", ":status=403 | "),
        ];
        for (request, additional, body, expected) in table {
            assert_eq!(form(request, additional, body), *expected);
        }
    }
}
