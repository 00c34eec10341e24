//! The upstream of demonstrations and tests: it tells the caller what arrived.

use std::fmt::Write;

use anyhow::Result;

use crate::http::{Reply, Request, Server};

/// A request for this path, or below it, finds its connection closed without an answer.
pub const RESET_PATH: &str = "/reset";

/// The same for a request with this header, on any path: a filter forwards only what its catalog knows.
pub const RESET_HEADER: &str = "x-upstream-reset";

/// How its answers begin, and nobody else's.
pub(crate) const ECHO: &[u8] = b"{\"method\":";

/// Starts the echoing upstream on a free port.
///
/// # Errors
/// When no port can be bound.
pub fn start() -> Result<Server> {
    Server::start(|request| echo(&request))
}

fn echo(request: &Request) -> Reply {
    let is_asked_to = request.headers.iter().any(|(name, _)| name == RESET_HEADER);
    if is_asked_to || request.path.starts_with(RESET_PATH) {
        return Reply::Reset;
    }
    let headers = vec![("content-type", "application/json".to_owned())];
    Reply::Answer { status: 200, headers, body: describe(request).into_bytes() }
}

/// `{"method","path","headers":[[name,value]…],"body"}`; bytes of the body that are not UTF-8 are replaced.
fn describe(request: &Request) -> String {
    let headers: Vec<_> = request
        .headers
        .iter()
        .map(|(name, value)| format!("[{},{}]", json_string(name), json_string(value)))
        .collect();
    format!(
        "{{\"method\":{},\"path\":{},\"headers\":[{}],\"body\":{}}}\n",
        json_string(&request.method),
        json_string(&request.path),
        headers.join(","),
        json_string(&String::from_utf8_lossy(&request.body)),
    )
}

fn json_string(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            // Writing to a string cannot fail.
            '\0'..='\x1f' => drop(write!(json, "\\u{:04x}", u32::from(c))),
            _ => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::{describe, echo};
    use crate::http::{Reply, Request};

    fn request(path: &str, body: &[u8]) -> Request {
        let headers = vec![("a".to_owned(), "b".to_owned())];
        Request { method: "POST".into(), path: path.into(), headers, body: body.into() }
    }

    #[test]
    fn what_arrived_is_told_as_json() {
        let expected = "{\"method\":\"POST\",\"path\":\"/a\",\"headers\":[[\"a\",\"b\"]],\"body\":\"\\\"\\\\\\u000aü\"}\n";
        assert_eq!(describe(&request("/a", "\"\\\nü".as_bytes())), expected);
    }

    #[test]
    fn the_reset_path_gets_no_answer() {
        assert!(matches!(echo(&request("/reset/now", b"")), Reply::Reset));
        let mut asked = request("/a", b"");
        asked.headers.push(("x-upstream-reset".to_owned(), "1".to_owned()));
        assert!(matches!(echo(&asked), Reply::Reset));
        assert!(matches!(echo(&request("/a", b"")), Reply::Answer { status: 200, .. }));
    }
}
