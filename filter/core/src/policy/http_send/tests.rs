//! Calls of a policy, with the answers that a shell would bring. The results are OPA's.

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value as Json, json};

use super::*;
use crate::config::{HttpHost, HttpSend};
use crate::ids::Now;
use crate::policy::tests::{bundle, interpreted, is_bytecode};
use crate::policy::{
    Document, EvaluationBudget, EvaluationError, Policy, PolicyError, PolicyLimits, Surroundings,
};

fn settings() -> HttpSend {
    let host = |cluster: &str| HttpHost { cluster: cluster.to_owned() };
    let hosts = [("a.example".to_owned(), host("a")), ("b:8080".to_owned(), host("b"))];
    HttpSend {
        hosts: hosts.into(),
        timeout_ms: 5000,
        max_calls: 3,
        max_request_bytes: 100,
        max_response_bytes: 1000,
        cache_bytes: 1 << 20,
        max_waits: 2,
    }
}

fn try_policy(rego: &str) -> Result<Policy, PolicyError> {
    let bounds = PolicyLimits { http_send: Some(settings()), ..PolicyLimits::default() };
    Policy::compile(&bundle(&[("p.rego", &format!("package p\n{rego}\n"))]), "p/decision", &bounds)
}

fn policy(rego: &str) -> Policy {
    try_policy(rego).unwrap_or_else(|error| panic!("{rego}: {error}"))
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> HttpReply {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    HttpReply::Response { status, headers: headers.collect(), body: body.into() }
}

/// Evaluates with an upstream, and says which calls it got.
fn decide(
    policy: &Policy,
    input: &Json,
    cache: &Rc<RefCell<HttpCache>>,
    now: Now,
    mut upstream: impl FnMut(&HttpCall) -> HttpReply,
) -> (Result<Json, EvaluationError>, Vec<HttpCall>) {
    let mut around = Surroundings::at(now).with_http(Rc::new(settings()), Rc::clone(cache));
    let mut calls = Vec::new();
    loop {
        let evaluated =
            policy.evaluate_in(&mut around, Document::from_json(input), &EvaluationBudget::default());
        if evaluated != Err(EvaluationError::Waiting) {
            return (evaluated.map(|evaluated| evaluated.value.to_json().unwrap()), calls);
        }
        while let Some(call) = around.wanted().cloned() {
            around.take_reply(upstream(&call), now);
            calls.push(call);
        }
    }
}

fn cache() -> Rc<RefCell<HttpCache>> {
    Rc::new(RefCell::new(HttpCache::new(1 << 20)))
}

/// On both evaluators, with the same calls.
fn both(rego: &str, input: &Json, reply: &HttpReply) -> (Result<Json, EvaluationError>, Vec<HttpCall>) {
    let machine = policy(rego);
    assert!(is_bytecode(&machine), "{rego}: {:?}", machine.engine());
    let seen = decide(&machine, input, &cache(), Now(0), |_| reply.clone());
    assert_eq!(decide(&interpreted(machine), input, &cache(), Now(0), |_| reply.clone()), seen, "{rego}");
    seen
}

const GET: &str = "decision := http.send({\"method\": \"get\", \"url\": input.url})";

#[test]
fn responses_have_the_shape_of_opas() {
    for (headers, body, force, expected) in [
        (&[("content-type", "application/json")][..], "{\"a\": 1}", "", json!({"a": 1})),
        (&[("content-type", "application/problem+json; charset=utf-8")], "[1]", "", json!([1])),
        (&[("content-type", "text/html")], "<p>no</p>", "", json!(null)),
        (&[], "{\"a\": 1}", "", json!(null)),
        (&[], "{\"a\": 1}", ", \"force_json_decode\": true", json!({"a": 1})),
        (&[("content-type", "application/json")], "{\"a\": ", "", json!(null)),
        (&[("content-type", "application/json")], "", "", json!(null)),
    ] {
        let rego =
            format!("decision := http.send({{\"method\": \"GET\", \"url\": \"http://a.example/x\"{force}}})");
        let (seen, calls) = both(&rego, &json!({}), &response(200, headers, body));
        let named: serde_json::Map<_, _> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), json!([value]))).collect();
        let expected = json!({"status": "200 OK", "status_code": 200, "headers": named, "body": expected, "raw_body": body});
        assert_eq!(seen, Ok(expected), "{body}");
        assert_eq!(calls.len(), 1);
    }
}

#[test]
fn requests_are_what_opa_sends() {
    let rego = "decision := http.send({\"method\": \"post\", \"url\": \"https://a.example/p?q=1\", \"headers\": {\"X-A\": \"1\", \"Host\": \"other\"}, \"body\": {\"k\": [1]}, \"timeout\": \"2s\"}).status_code";
    let (seen, calls) = both(rego, &json!({}), &response(404, &[], ""));
    assert_eq!(seen, Ok(json!(404)));
    let headers: Vec<(&str, &str)> =
        calls[0].headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", "other"), (":path", "/p?q=1")];
    assert_eq!(headers[..4], pseudo);
    assert_eq!(headers[4..], [("x-a", "1")]);
    assert_eq!((calls[0].body.as_slice(), calls[0].timeout_ms), (b"{\"k\":[1]}".as_slice(), 2000));
    assert_eq!(calls[0].cluster, "a");
}

#[test]
fn what_goes_wrong_is_an_error_and_never_undefined() {
    for (url, reply, expected, code) in [
        (
            "http://a.example/x?secret",
            HttpReply::Late,
            "GET http://a.example/x: request timed out",
            "network",
        ),
        ("http://b:8080/", HttpReply::Nothing, "GET http://b:8080/: no connection", "network"),
        (
            "http://a.example/",
            HttpReply::TooLarge,
            "GET http://a.example/: the response is larger than 1000 bytes",
            "internal",
        ),
        ("http://c.example/", HttpReply::Nothing, "disallowed host: c.example:80", "internal"),
        ("http://a.example:81/", HttpReply::Nothing, "disallowed host: a.example:81", "internal"),
        ("ftp://a.example/", HttpReply::Nothing, "unsupported protocol scheme \"ftp\"", "internal"),
    ] {
        let input = json!({"url": url});
        let failed = Err(EvaluationError::HttpSend { message: expected.to_owned() });
        for rego in [
            GET,
            "decision if not http.send({\"method\": \"GET\", \"url\": input.url}).body.bad",
            "decision if not http.send({\"method\": \"GET\", \"url\": input.url})",
            "decision := [1 | http.send({\"method\": \"GET\", \"url\": input.url})]",
            "f(u) := http.send({\"method\": \"GET\", \"url\": u})\ndecision if not f(input.url)",
            "decision if every u in [input.url] { not http.send({\"method\": \"GET\", \"url\": u}) }",
        ] {
            assert_eq!(both(rego, &input, &reply).0, failed, "{rego} {url}");
        }
        let soft = "decision := http.send({\"method\": \"GET\", \"url\": input.url, \"raise_error\": false})";
        let error = json!({"code": format!("eval_http_send_{code}_error"), "message": expected});
        assert_eq!(both(soft, &input, &reply).0, Ok(json!({"status_code": 0, "error": error})), "{url}");
    }
    for (request, expected) in [
        ("input", "missing required request parameters(s): {\"method\"}"),
        ("{\"method\": \"GET\"}", "missing required request parameters(s): {\"url\"}"),
        ("input.list", "operand 1 must be object"),
        ("{\"method\": 1, \"url\": \"http://a.example/\"}", "\"method\" must be a string"),
        (
            "object.union({\"method\": \"GET\", \"url\": input.url}, {\"tls_ca_cert\": \"x\"})",
            "tls_ca_cert is not served: TLS is the cluster's",
        ),
        (
            "object.union({\"method\": \"GET\", \"url\": input.url}, {\"colour\": 1})",
            "invalid request parameters(s): {\"colour\"}",
        ),
        (
            "object.union({\"method\": \"GET\", \"url\": input.url}, {\"raise_error\": 1})",
            "invalid value for raise_error field",
        ),
        (
            "{\"method\": \"GET\", \"url\": \"http://a.example/\", \"headers\": {\"a\": input.evil}}",
            "net/http: invalid header field value for \"a\"",
        ),
        (
            "{\"method\": \"GET\", \"url\": \"http://a.example/\", \"headers\": {\"Content-Length\": \"1\"}}",
            "net/http: invalid header field name \"content-length\"",
        ),
        (
            "{\"method\": \"GET\", \"url\": \"http://a.example/\", \"headers\": {\"X-Envoy-Max-Retries\": \"25\"}}",
            "net/http: invalid header field name \"x-envoy-max-retries\"",
        ),
        (
            "{\"method\": \"GET\", \"url\": \"http://a.example/\", \"raw_body\": input.long}",
            "the body is larger than 100 bytes",
        ),
    ] {
        let input =
            json!({"url": "http://a.example/", "list": [], "evil": "1\r\nb: 2", "long": "x".repeat(101)});
        let input = if request == "input" { json!({"url": "http://a.example/"}) } else { input };
        let rego = format!("decision if not http.send({request})");
        let expected = Err(EvaluationError::HttpSend { message: expected.to_owned() });
        assert_eq!(both(&rego, &input, &HttpReply::Nothing), (expected, vec![]), "{request}");
    }
}

#[test]
fn equal_calls_are_made_once_and_all_are_counted() {
    let rego = "call(u) := http.send({\"method\": \"GET\", \"url\": u}).status_code\ndecision := [call(input.xs[0]), call(input.xs[0]), [call(x) | some x in input.xs]]";
    let input = |n: u8| json!({"xs": (0..n).map(|i| format!("http://a.example/{i}")).collect::<Vec<_>>()});
    let (seen, calls) = both(rego, &input(3), &response(201, &[], ""));
    assert_eq!((seen, calls.len()), (Ok(json!([201, 201, [201, 201, 201]])), 3));
    let (seen, calls) = both(rego, &input(4), &response(201, &[], ""));
    assert_eq!((seen, calls.len()), (Err(EvaluationError::HttpCalls { limit: 3 }), 3));
    // Retries count, too.
    let rego = "decision := http.send({\"method\": \"GET\", \"url\": \"http://a.example/\", \"max_retry_attempts\": 9, \"raise_error\": false}).status_code";
    let (seen, calls) = both(rego, &json!({}), &HttpReply::Late);
    assert_eq!((seen, calls.len()), (Ok(json!(0)), 3));
}

#[test]
fn responses_are_kept_as_they_say() {
    let policy = policy(
        "decision := http.send(object.union({\"method\": \"GET\", \"url\": \"http://a.example/\", \"headers\": {\"x-trace\": input.trace}, \"cache_ignored_headers\": [\"x-trace\"]}, input.more)).raw_body",
    );
    let cached = json!({"cache": true});
    let forced = json!({"force_cache": true, "force_cache_duration_seconds": 30});
    let control = |value: &'static str| vec![("cache-control", value), ("etag", "\"1\"")];
    // What is asked for, what is answered, and how many calls there are at once, after 20 s and after 40 s.
    for (more, headers, expected) in [
        (&cached, control("max-age=30"), [1, 1, 2]),
        (&cached, control("no-cache"), [2, 3, 4]),
        (&cached, control("no-store, max-age=30"), [2, 3, 4]),
        (&forced, control("no-store"), [1, 1, 2]),
        (&json!({}), control("max-age=30"), [2, 3, 4]),
        (&cached, vec![], [2, 3, 4]),
    ] {
        let cache = cache();
        let mut made = 0;
        let mut ask = |seconds: u64, trace: u8| {
            let input = json!({"more": more, "trace": trace.to_string()});
            let (seen, calls) = decide(&policy, &input, &cache, Now(seconds * 1_000_000_000), |call| {
                let asks = call.headers.iter().any(|(name, _)| name == "if-none-match");
                if asks { response(304, &headers, "") } else { response(200, &headers, "body") }
            });
            assert_eq!(seen, Ok(json!("body")), "{more} {headers:?}");
            made += calls.len();
            made
        };
        ask(0, 0);
        assert_eq!([ask(0, 1), ask(20, 2), ask(40, 3)], expected, "{more} {headers:?}");
    }
    let small = Rc::new(RefCell::new(HttpCache::new(100)));
    let input = json!({"more": forced, "trace": "0"});
    for _ in 0..2 {
        let (_, calls) = decide(&policy, &input, &small, Now(0), |_| response(200, &[], "body"));
        assert_eq!(calls.len(), 1);
    }
}

#[test]
fn what_can_be_told_at_load_is_told_at_load() {
    for (request, expected) in [
        (
            "{\"method\": \"GET\", \"url\": \"http://c.example/\"}",
            "p.rego:2:42: http.send: c.example:80 is not among",
        ),
        ("{\"method\": \"GET\", \"url\": \"c.example\"}", "p.rego:2:42: http.send: the URL has no scheme"),
        (
            "{\"url\": input.u, \"tls_insecure_skip_verify\": true}",
            "p.rego:2:42: http.send: tls_insecure_skip_verify",
        ),
        (
            "{\"url\": input.u, \"enable_redirect\": true}",
            "p.rego:2:42: http.send: enable_redirect is not served",
        ),
        ("{\"url\": input.u, \"colour\": 1}", "p.rego:2:42: http.send: invalid request parameters(s)"),
    ] {
        let error = try_policy(&format!("decision := http.send({request})")).unwrap_err().to_string();
        assert!(error.starts_with(&expected[..9]) && error.contains(&expected[12..]), "{error}");
    }
    let bounds = PolicyLimits::default();
    let bundle = bundle(&[("p.rego", "package p\ndecision := http.send(input)")]);
    let error = Policy::compile(&bundle, "p/decision", &bounds).unwrap_err().to_string();
    assert!(error.starts_with("p.rego:2:") && error.contains("is not configured"), "{error}");
    assert!(!policy(GET).reads().repeats());
}
