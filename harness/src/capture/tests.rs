//! Tests of the capture format.

use serde_json::json;

use super::*;

const HEADER: &str = r#"{"remit_capture":1,"name":"n","start":"2026-03-18T14:02:00Z","issuers":{"i":{"alg":"ES256","kid":"k"}},"tokens":{"t":{"claims":{"iss":"i","exp":null,"authorization_details":[{"expires":1773844320,"max_calls":3}]}}}}"#;

fn parse(lines: &[&str]) -> Result<Capture, CaptureError> {
    Capture::parse("c.jsonl", lines.join("\n").as_bytes(), &CaptureLimits::default())
}

#[test]
fn a_capture_survives_being_written() {
    let capture = parse(&[
        HEADER,
        r#"{"id":"a","request":{"authority":"x","path":"/"}}"#,
        "  ",
        r#"{"id":"b","at":1.5,"title":"t","request":{"method":"POST","scheme":"http","authority":"x","path":"/p?q","headers":[["a","1"],["a","2"]],"body":{"k":[1]}},"token":"t","approval":{"challenge_of":"a","issuer":"i","claims":{"sub":"m"}},"response":{"status":201,"headers":[],"body":{"base64":"/w=="}},"expect":{"outcome":"require_approval","reasons":["r"],"status":403}}"#,
        r#"{"id":"c","at":1.5,"request":{"authority":"x","path":"/","body":"text"}}"#,
    ])
    .unwrap();
    assert_eq!(capture.time_of(&capture.exchanges[1]).0, 1_773_842_521_500_000_000);
    assert_eq!(capture.exchanges[1].response.as_ref().unwrap().body, Some(Body::Bytes(vec![0xff])));
    assert_eq!(capture.exchanges[1].request.body.as_ref().unwrap().to_bytes(), br#"{"k":[1]}"#);
    let mut bytes = Vec::new();
    capture.write(&mut bytes).unwrap();
    assert_eq!(Capture::parse("again", &bytes, &CaptureLimits::default()).unwrap(), capture);
}

#[test]
fn what_is_fetched_is_read_and_checked() {
    let header = |fetched: &str, token: &str| {
        let fetched = format!(r#""fetched":[{fetched}],"tokens""#);
        HEADER.replace(r#""tokens""#, &fetched).replace(r#"{"claims""#, &format!(r#"{{{token}"claims""#))
    };
    let good = header(
        r#"{"cluster":"c","path":"/k","keys_of":["i"]},{"at":9,"cluster":"c","path":"/k","status":503}"#,
        r#""signed_by":"i","#,
    );
    let capture = parse(&[&good]).unwrap();
    assert_eq!((capture.fetched[0].status, capture.fetched[1].status), (200, 503));
    let mut bytes = Vec::new();
    capture.write(&mut bytes).unwrap();
    assert_eq!(Capture::parse("again", &bytes, &CaptureLimits::default()).unwrap(), capture);
    for (fetched, token, expected) in [
        (r#"{"cluster":"c","path":"/k","keys_of":["j"]}"#, "", "/fetched/0/keys_of"),
        (r#"{"cluster":"c","path":"/k","status":99}"#, "", "/fetched/0/status: 100 to 599"),
        (r#"{"cluster":"c","path":"/k","at":-1}"#, "", "/fetched/0/at"),
        (r#"{"cluster":"c"}"#, "", "missing field `path`"),
        ("", r#""signed_by":"j","#, "/tokens/t/signed_by"),
    ] {
        let error = parse(&[&header(fetched, token)]).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn errors_name_line_exchange_and_member() {
    let first = r#"{"id":"a","at":2,"request":{"authority":"x","path":"/"}}"#;
    for (line, expected) in [
        ("{", "c.jsonl:3: malformed JSON at line 1"),
        (r#"{"id":"b","id":"c"}"#, "c.jsonl:3: duplicate key"),
        (r#"{"id":"b"}"#, "c.jsonl:3 (b): the top level: missing field `request`"),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":7}}"#,
            "c.jsonl:3 (b): /request/path: invalid type",
        ),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/"},"expected":{}}"#,
            "unknown field `expected`",
        ),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/"},"expect":{"outcome":"maybe"}}"#,
            "/expect/outcome: unknown variant",
        ),
        (r#"{"id":"b","at":2,"request":{"authority":"x","path":""}}"#, "/request/path: empty"),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/","body":{"base64":"?"}}}"#,
            "/request/body: base64",
        ),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/","headers":[["a","b\nc"]]}}"#,
            "/request/headers/0: holds a line break",
        ),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/","headers":[[":path","b"]]}}"#,
            "/request/headers/0/0: a header's name",
        ),
        (
            r#"{"id":"a","at":2,"request":{"authority":"x","path":"/"}}"#,
            "(a): /id: an earlier exchange has this id",
        ),
        (
            r#"{"id":"b","at":1,"request":{"authority":"x","path":"/"}}"#,
            "/at: earlier than the exchange before",
        ),
        (r#"{"id":"b","at":-1,"request":{"authority":"x","path":"/"}}"#, "/at: seconds after the start"),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/"},"token":"u"}"#,
            "/token: \"u\" is not one of the capture's tokens",
        ),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/"},"approval":{"challenge_of":"b","issuer":"i"}}"#,
            "/approval/challenge_of: \"b\" is not an earlier exchange",
        ),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/"},"approval":{"challenge_of":"a","issuer":"j"}}"#,
            "/approval/issuer: \"j\" is not one",
        ),
        (
            r#"{"id":"b","at":2,"request":{"authority":"x","path":"/"},"response":{"status":99}}"#,
            "/response/status: 100 to 599",
        ),
    ] {
        let error = parse(&[HEADER, first, line]).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}\n{error}");
    }
}

#[test]
fn headers_are_checked() {
    for (line, expected) in [
        ("", "c.jsonl:1: no header"),
        (r#"{"id":"a"}"#, "c.jsonl:1: not a capture"),
        (r#"{"remit_capture":2}"#, "version 2 is not known; this build reads version 1"),
        (r#"{"remit_capture":"1"}"#, "version \"1\" is not known"),
        (r#"{"remit_capture":1}"#, "missing field `start`"),
        (r#"{"remit_capture":1,"start":"today"}"#, "/start: not a time"),
        (
            r#"{"remit_capture":1,"start":"2026-03-18T14:02:00Z","issuers":{"i":{"alg":"none","kid":"k"}}}"#,
            "/issuers/i/alg: unknown variant, expected one of",
        ),
        (
            r#"{"remit_capture":1,"start":"2026-03-18T14:02:00Z","tokens":{"t":{"claims":{}}}}"#,
            "/tokens/t/claims/iss: needed",
        ),
        (
            r#"{"remit_capture":1,"start":"2026-03-18T14:02:00Z","tokens":{"t":{"claims":{"iss":"x"}}}}"#,
            "\"x\" is not one of the capture's issuers",
        ),
    ] {
        let error = parse(&[line]).unwrap_err().to_string();
        assert!(error.contains(expected), "{line}\n{error}");
    }
}

#[test]
fn limits_hold() {
    let exchange = r#"{"id":"a","request":{"authority":"x","path":"/"}}"#;
    let text = [HEADER, exchange].join("\n");
    let with = |limits: CaptureLimits| {
        Capture::parse("c", text.as_bytes(), &limits).map_err(|error| error.to_string())
    };
    assert!(with(CaptureLimits { file_bytes: text.len(), ..CaptureLimits::default() }).is_ok());
    for (limits, expected) in [
        (CaptureLimits { file_bytes: text.len() - 1, ..CaptureLimits::default() }, "limit of"),
        (CaptureLimits { line_bytes: HEADER.len() - 1, ..CaptureLimits::default() }, "c:1: longer than"),
        (CaptureLimits { exchanges: 0, ..CaptureLimits::default() }, "more than the limit of 0 exchanges"),
    ] {
        assert!(with(limits).unwrap_err().contains(expected));
    }
}

#[test]
fn times_in_claims_move_along() {
    let capture = parse(&[HEADER]).unwrap();
    let moved = capture.clone().rebased(Now(capture.start.0 + 1_000_500_000_000));
    let details = &moved.tokens["t"].claims["authorization_details"];
    assert_eq!(details, &json!([{"expires": 1_773_845_320, "max_calls": 3}]));
    assert_eq!(moved.tokens["t"].claims["exp"], Value::Null);

    let mut capture = capture;
    let claims = &mut capture.tokens.get_mut("t").unwrap().claims;
    for (name, value) in
        [("iat", json!(1000.5)), ("exp", json!(1000)), ("nbf", json!(1e300)), ("x", json!(0.5))]
    {
        claims.insert(name.to_owned(), value);
    }
    let start = Now(capture.start.0 + 100_000_000_000);
    let moved = capture.rebased(start);
    for (name, expected) in
        [("iat", json!(1100.5)), ("exp", json!(1100)), ("nbf", json!(1e300)), ("x", json!(0.5))]
    {
        assert_eq!(moved.tokens["t"].claims[name], expected, "{name}");
    }
}
