//! Bodies as opa-envoy-plugin parses them, and hostile ones: each gets an answer in proportion to its size.

use serde_json::json;

use super::*;
use crate::proto::tests::descriptors;
use crate::request::tests::request;

const RULES: BodyRules<'_> = BodyRules { depth: 8, values: 20, descriptors: None };

fn parsed(content_type: &str, body: &[u8]) -> Result<ParsedBody, BodyError> {
    let descriptors = descriptors();
    let view = request(("POST", "a", "/demo.Forum/Post"), &[("content-type", content_type)]).unwrap();
    parse(&view, body, false, &BodyRules { descriptors: Some(&descriptors), ..RULES })
}

fn part(disposition: &str, more: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: {disposition}{more}\r\n\r\n{content}\r\n")
}

fn field(name: &str, content: &str) -> String {
    part(&format!("form-data; name=\"{name}\""), "", content)
}

#[test]
fn content_types_choose_the_parser_by_what_they_contain() {
    let json = br#"{"a":[1]}"#;
    for (content_type, body, expected) in [
        ("application/json", &json[..], json!({"a": [1]})),
        ("application/json; charset=utf-8", json, json!({"a": [1]})),
        ("text/x; application/json", json, json!({"a": [1]})),
        ("application/problem+json", json, json!(null)),
        ("Application/JSON", json, json!(null)),
        ("text/plain", json, json!(null)),
        ("application/json", b"", json!(null)),
        ("application/json", b"null", json!(null)),
        ("application/json", b"\"x\"", json!("x")),
        (
            "application/x-www-form-urlencoded",
            b"a=1&a=2&b=%20x+y&c&=z",
            json!({"a": ["1", "2"], "b": [" x y"], "c": [""], "": ["z"]}),
        ),
        ("application/x-www-form-urlencoded", b"", json!(null)),
        ("application/x-www-form-urlencoded", b"&", json!({})),
    ] {
        let found = parsed(content_type, body).unwrap();
        assert_eq!(found, ParsedBody { value: expected, truncated: false }, "{content_type} {body:?}");
    }
    let view = request(("POST", "a", "/"), &[]).unwrap();
    assert_eq!(parse(&view, json, false, &RULES).unwrap(), ParsedBody::default());
    assert!(parse(&view, json, true, &RULES).unwrap().truncated);
}

#[test]
fn a_body_shorter_than_declared_is_truncated() {
    for (content_type, body, length, expected) in [
        ("application/json", "{}", "3", true),
        ("application/json", "{}", "2", false),
        ("application/json", "{}", "1", false),
        ("application/json", "", "3", false),
        ("application/x-www-form-urlencoded", "a=1", "4", true),
        ("multipart/form-data; boundary=b", "--b--", "9", true),
        ("text/plain", "x", "4", false),
    ] {
        let headers = [("content-type", content_type), ("content-length", length)];
        let view = request(("POST", "a", "/"), &headers).unwrap();
        let found = parse(&view, body.as_bytes(), false, &RULES).unwrap();
        assert_eq!(found.truncated, expected, "{content_type} {length}");
    }
}

#[test]
fn multipart_forms() {
    let many = format!("{}{}{}--b--\r\n", field("a", "1"), field("a", "2"), field("b", ""));
    let typed = part("form-data; name=\"j\"", "\r\nContent-Type: application/json", "{\"k\":1}");
    let file =
        part("form-data; name=\"f\"; filename=\"a\\\"b.txt\"", "\r\ncontent-type: image/png", "\u{fffd}");
    for (body, expected) in [
        (many.clone(), json!({"a": ["1", "2"], "b": [""]})),
        (format!("{typed}--b--"), json!({"j": [{"k": 1}]})),
        (format!("{file}--b--"), json!({"f": ["\u{fffd}"]})),
        (format!("preamble\r\n\r\n{many}epilogue"), json!({"a": ["1", "2"], "b": [""]})),
        ("--b--".to_owned(), json!({})),
        ("--b--\r\n".to_owned(), json!({})),
        (format!("{}--b  \r\n\r\nx\r\n--b--", field("a", "1")), json!({"a": ["1"]})),
        (format!("{}--b--", field("a", "x\r\n--bc\r\n--")), json!({"a": ["x\r\n--bc\r\n--"]})),
        (format!("{}--b--", field("a", "line\nline\r")), json!({"a": ["line\nline\r"]})),
        (format!("{}--b--", part("attachment; name=\"a\"", "", "1")), json!({})),
        (format!("{}--b--", part("form-data", "", "1")), json!({})),
        (format!("{}--b--", field("", "1")), json!({})),
        (format!("{}--b--", part("form-data; name=plain", "", "1")), json!({"plain": ["1"]})),
        ("--b\r\ncontent-disposition: form-data; name=a\r\n\r\n--b--".to_owned(), json!({"a": [""]})),
    ] {
        let found = parsed("multipart/form-data; boundary=b", body.as_bytes());
        assert_eq!(found.unwrap().value, expected, "{body:?}");
    }
    let bytes = [field("a", "").trim_end().as_bytes(), b"\r\n\r\n\xff\xfe\r\n--b--"].concat();
    assert_eq!(
        parsed("multipart/form-data; boundary=\"b\"", &bytes).unwrap().value,
        json!({"a": ["\u{fffd}\u{fffd}"]})
    );
    assert_eq!(parsed("multipart/form-data", many.as_bytes()).unwrap(), ParsedBody::default());
}

#[test]
fn what_forms_are_refused() {
    let encoded = part("form-data; name=\"a\"", "\r\nContent-Transfer-Encoding: base64", "eA==");
    let twice = part("form-data; name=\"a\"", "\r\nContent-Disposition: form-data; name=\"b\"", "1");
    let long = part("form-data; name=\"a\"", &format!("\r\nX: {}", "x".repeat(9000)), "1");
    let parameters = (0..20).map(|i| format!("; p{i}=1")).collect::<String>();
    let bomb = field("a", "1").repeat(21);
    for (content_type, body, expected) in [
        ("multipart/form-data; boundary=b", field("a", "1"), "body_malformed"),
        ("multipart/form-data; boundary=b", "nothing".into(), "body_malformed"),
        ("multipart/form-data; boundary=b", "--b\n\n1\n--b--".into(), "body_malformed"),
        ("multipart/form-data; boundary=b", format!("{encoded}--b--"), "body_malformed"),
        ("multipart/form-data; boundary=b", format!("{twice}--b--"), "body_malformed"),
        ("multipart/form-data; boundary=b", format!("{long}--b--"), "body_malformed"),
        (
            "multipart/form-data; boundary=b",
            format!("{}--b--", part("form-data; name*=utf-8''a", "", "1")),
            "body_malformed",
        ),
        (
            "multipart/form-data; boundary=b",
            format!("{}--b--", part("form-data; name=\"a", "", "1")),
            "body_malformed",
        ),
        (
            "multipart/form-data; boundary=b",
            format!("{}--b--", part("form-data; name=a; name=b", "", "1")),
            "body_malformed",
        ),
        (
            "multipart/form-data; boundary=b",
            format!("{}--b--", part(&format!("form-data{parameters}"), "", "1")),
            "body_malformed",
        ),
        (
            "multipart/form-data; boundary=b",
            format!("{}--b--", part("form-data; name=a", "\r\n folded: 1", "1")),
            "body_malformed",
        ),
        ("multipart/form-data; boundary=b", format!("{}--b--x", field("a", "1")), "body_malformed"),
        (
            "multipart/form-data; boundary=b",
            format!("{}--b--", part("form-data; name=a", "\r\ncontent-type: application/json", "{")),
            "body_malformed",
        ),
        (
            "multipart/form-data; boundary=b",
            format!(
                "{}--b--",
                part("form-data; name=a", "\r\ncontent-type: application/json", "{\"a\":1,\"a\":1}")
            ),
            "body_duplicate_key",
        ),
        ("multipart/form-data; boundary=b", format!("{bomb}--b--"), "body_too_many_values"),
        ("multipart/form-data; boundary=", "x".into(), "body_malformed"),
        ("multipart/form-data; boundary=\"\"", "x".into(), "body_malformed"),
        ("multipart/form-data; boundary=b; boundary=c", "x".into(), "body_malformed"),
        ("application/x-www-form-urlencoded", "a=%".into(), "body_malformed"),
        ("application/x-www-form-urlencoded", "a=1;b=2".into(), "body_malformed"),
        ("application/x-www-form-urlencoded", "a=%ff".into(), "body_malformed"),
        ("application/x-www-form-urlencoded", "a&".repeat(21), "body_too_many_values"),
        ("application/json", "{".into(), "body_malformed"),
        ("application/json", "{} {}".into(), "body_malformed"),
        ("application/json", "[".repeat(9), "body_too_deep"),
    ] {
        let error = parsed(content_type, body.as_bytes()).unwrap_err();
        assert_eq!(error.reason().as_str(), expected, "{content_type} {body:?}: {error}");
    }
}

#[test]
fn grpc_calls() {
    let text = b"\x4a\x05hello";
    let framed = |flag: u8, length: u8, message: &[u8]| [&[flag, 0, 0, 0, length], message].concat();
    let value = |value| Ok(ParsedBody { value, truncated: false });
    let (null, cut) = (ParsedBody::default(), ParsedBody { value: Value::Null, truncated: true });
    for (path, body, expected) in [
        ("/demo.Forum/Post", framed(0, 7, text), value(json!({"text": "hello"}))),
        (
            "/demo.Forum/Post",
            [framed(0, 7, text), framed(0, 7, text)].concat(),
            value(json!({"text": "hello"})),
        ),
        ("/demo.Forum/Post", framed(0, 0, b""), value(json!({}))),
        ("/demo.Forum/Post", framed(1, 7, text), Ok(null.clone())),
        ("/demo.Forum/Post", framed(0, 8, text), Ok(cut)),
        ("/demo.Forum/Upload", framed(0, 7, text), Ok(null.clone())),
        ("/demo.Forum/None", framed(0, 7, text), Ok(null.clone())),
        ("/demo.Other/Post", framed(0, 7, text), Ok(null.clone())),
        ("/demo.Forum/Post", vec![0, 0, 0], Err("body_malformed")),
        ("/demo.Forum/Post", framed(0, 2, b"\x4a\xff"), Err("body_malformed")),
        ("/demo.Forum", framed(0, 7, text), Err("grpc_path")),
        ("/a/demo.Forum/Post", framed(0, 7, text), Err("grpc_path")),
    ] {
        let known = descriptors();
        let rules = BodyRules { descriptors: Some(&known), ..RULES };
        let view = request(("POST", "a", path), &[("content-type", "application/grpc+proto")]).unwrap();
        let found = parse(&view, &body, false, &rules).map_err(|error| error.reason().as_str().to_owned());
        assert_eq!(found, expected.map_err(str::to_owned), "{path} {body:?}");
        assert_eq!(parse(&view, &body, false, &RULES).unwrap(), null, "no descriptors, no message");
    }
}

/// Every prefix of good bodies, and every byte of them changed to one that means something: an answer, never a panic.
#[test]
fn damage_is_answered() {
    let form = format!(
        "{}{}--b--",
        field("a", "1"),
        part("form-data; name=\"j\"", "\r\nContent-Type: application/json", "{\"k\":1}")
    );
    let grpc = [&[0, 0, 0, 0, 7][..], b"\x4a\x05hello"].concat();
    for (content_type, whole) in [
        ("multipart/form-data; boundary=b", form.as_bytes()),
        ("application/x-www-form-urlencoded", b"a=1&b=%20&c"),
        ("application/grpc", &grpc),
        ("application/json", br#"{"a":[1,{"b":"\u0061"}]}"#),
    ] {
        for end in 0..whole.len() {
            let _ = parsed(content_type, &whole[..end]);
        }
        for at in 0..whole.len() {
            for byte in b"\0\x01\x0a\x0d\"%&-;:=\\\x7f\x80\xff" {
                let mut damaged = whole.to_vec();
                damaged[at] = *byte;
                let _ = parsed(content_type, &damaged);
            }
        }
    }
}

/// Large and ugly: read once, from the front.
#[test]
fn hostile_sizes_are_answered() {
    let almost = format!("{}{}", field("a", "1").trim_end(), "\r\n--bb".repeat(100_000));
    let blank = "\r\n".repeat(300_000);
    let boundary = format!("multipart/form-data; boundary={}", "b".repeat(71));
    let quoted = format!("multipart/form-data; boundary=\"{}", "\\".repeat(60_000));
    for (content_type, body) in [
        ("multipart/form-data; boundary=b", almost.as_str()),
        ("multipart/form-data; boundary=b", blank.as_str()),
        (boundary.as_str(), blank.as_str()),
        (quoted.as_str(), "x"),
    ] {
        assert!(parsed(content_type, body.as_bytes()).is_err());
    }
}
