//! The header, the segments, base64url and JSON (delegation rules 1 to 3).

use serde_json::json;

use super::{Allowed, Corpus, Expected, Refused, base, unknown};

const MALFORMED: Expected = Refused("token_malformed");

pub(super) fn add(corpus: &mut Corpus) {
    headers(corpus);
    segments(corpus);
    json_texts(corpus);
}

fn headers(corpus: &mut Corpus) {
    corpus.add("no token", Refused("token_missing"), |_| json!({}));
    for (scheme, expected) in [
        ("bearer", Allowed),
        ("BEARER", Allowed),
        ("BeArEr", Allowed),
        ("Basic", Refused("token_scheme_not_accepted")),
        ("Digest", Refused("token_scheme_not_accepted")),
        ("Token", Refused("token_scheme_not_accepted")),
        ("Bearer:", Refused("token_scheme_not_accepted")),
        ("Bearertoken", Refused("token_scheme_not_accepted")),
        ("Bearer ", MALFORMED),
        ("Bearer x", MALFORMED),
        ("Bearer Bearer", MALFORMED),
        ("Bearer a.b.c, Bearer", Refused("token_ambiguous")),
        ("Bearer a.b.c,Bearer", Refused("token_ambiguous")),
        ("Basic YTpi, Bearer", Refused("token_ambiguous")),
        ("Bearer ,", Refused("token_ambiguous")),
    ] {
        corpus.tokens.insert(format!("scheme {scheme}"), json!({"claims": base()}));
        let name = format!("scheme {scheme}");
        corpus.add(&name, expected, |_| json!({"token": name, "proof": {"scheme": scheme}}));
    }
    for value in [
        "Bearer",
        "Bearer .",
        "Bearer ..",
        "Bearer ...",
        "Bearer =",
        "Bearer a",
        "Bearer a.b",
        "Bearer .b.c",
        "Bearer a..c",
        "Bearer a.b.",
        "Bearer e30.e30.e30",
        "Bearer bnVsbA.bnVsbA.AA",
        "Bearer W10.W10.AA",
    ] {
        corpus.add(value, MALFORMED, |_| json!({"headers": [["authorization", value]]}));
    }
    for header in ["txn-token", "dpop", "agent-approval", "agent-hops", "agent-hop-proof"] {
        corpus.tokens.insert(format!("beside {header}"), json!({"claims": base()}));
        let name = format!("beside {header}");
        let twice = Expected::Status(400, "header_ambiguous");
        corpus.add(
            &format!("{header} twice"),
            twice,
            |_| json!({"token": name, "headers": [[header, "a.b.c"], [header, "a.b.c"]]}),
        );
    }
    corpus.tokens.insert("beside two".to_owned(), json!({"claims": base()}));
    corpus.add(
        "two transaction tokens in one header",
        Refused("token_ambiguous"),
        |_| json!({"token": "beside two", "headers": [["txn-token", "a.b.c, d.e.f"]]}),
    );
    corpus.add(
        "16 KiB of headers",
        Expected::Status(431, "headers_too_large"),
        |_| json!({"headers": [["x-filler", "x".repeat(16 * 1024)]]}),
    );
    corpus.token("8 KiB of token", json!({"filler": "x".repeat(8 * 1024)}), Refused("token_too_large"));
}

fn segments(corpus: &mut Corpus) {
    for segment in 0..3 {
        corpus.forged(&format!("segment {segment} padded"), json!({"edit": {"pad": segment}}), MALFORMED);
        corpus.forged(&format!("segment {segment} empty"), json!({"edit": {"empty": segment}}), MALFORMED);
        corpus.forged(&format!("segment {segment} left out"), json!({"edit": {"drop": segment}}), MALFORMED);
        corpus.forged(
            &format!("segment {segment} in the other alphabet"),
            json!({"edit": {"plus": segment}}),
            MALFORMED,
        );
        corpus.forged(&format!("a space before {segment}"), json!({"edit": {"space": segment}}), MALFORMED);
    }
    corpus.forged("a fourth segment", json!({"edit": {"append": 1}}), MALFORMED);
    corpus.forged("the five segments of a JWE", json!({"edit": {"append": 2}}), MALFORMED);
    corpus.forged("trailing bits", json!({"edit": {"trailing_bit": 2}}), MALFORMED);
    let invalid = Refused("signature_invalid");
    for _ in 0..6 {
        let bit = corpus.below(512);
        corpus.forged(&format!("bit {bit} flipped"), json!({"edit": {"flip_bit": bit}}), invalid);
    }
    for length in [1, 32, 63, 65, 96, 128] {
        let attack = format!("a signature of {length} bytes");
        corpus.forged(&attack, json!({"edit": {"length": length}}), invalid);
    }
    corpus.forged("a signature of zeros", json!({"edit": "zeros"}), invalid);
    corpus.forged("a signature in DER", json!({"edit": "der"}), invalid);
    corpus.forged("another subject under the signature", json!({"edit": "tampered"}), invalid);
    corpus.forged("a payload that is not UTF-8", json!({"edit": "not_utf8"}), MALFORMED);
}

fn json_texts(corpus: &mut Corpus) {
    for payload in [
        "",
        "null",
        "[]",
        "7",
        "\"x\"",
        "{",
        "{}x",
        "{} {}",
        "\u{feff}{}",
        "{'iss':1}",
        "{\"a\":1,}",
        "{\"a\" 1}",
    ] {
        corpus.forged(&format!("payload {payload:?}"), json!({"payload": payload}), MALFORMED);
    }
    for name in ["iss", "sub", "aud", "exp", "iat", "act", "scope", "sub_profile", "authorization_details"] {
        corpus.written(&format!("{name} twice"), &format!(r#""{name}":"x""#), MALFORMED);
    }
    corpus.written("a name twice, once escaped", r#""\u0073ub":"x""#, MALFORMED);
    let name = unknown(corpus);
    for depth in [1, 2, 3, 5, 8, 13] {
        let twice = format!(r#"{{"{name}":1,"{name}":1}}"#);
        let nested = format!("{}{twice}{}", r#"{"x":"#.repeat(depth), "}".repeat(depth));
        corpus.written(&format!("a name twice, {depth} deep"), &format!(r#""{name}":{nested}"#), MALFORMED);
        let listed = format!("{}{twice}{}", "[".repeat(depth), "]".repeat(depth));
        corpus.written(
            &format!("a name twice in {depth} lists"),
            &format!(r#""{name}":{listed}"#),
            MALFORMED,
        );
    }
    for (depth, expected) in [(15, Allowed), (16, MALFORMED), (64, MALFORMED), (1000, MALFORMED)] {
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        corpus.written(&format!("{depth} lists"), &format!(r#""{name}":{nested}"#), expected);
    }
    for name in ["alg", "kid", "typ"] {
        corpus.forged(
            &format!("{name} twice"),
            json!({"header_text": format!(r#","{name}":"x""#)}),
            MALFORMED,
        );
    }
    for text in
        [r#","x":{"a":1,"a":1}"#, r#","x":1,"x":1"#, ",\"x\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]", ",\"x\":NaN"]
    {
        corpus.forged(&format!("header {text}"), json!({"header_text": text}), MALFORMED);
    }
}
