//! Patterns as policies use them, on both evaluators.

use serde_json::json;

use super::*;

use super::pattern::MOST_TEXT;
use crate::policy::functions::tests::both;
use crate::policy::tests::{decide, interpreted, policy};
use crate::policy::{Document, EvaluationBudget, Policy};

/// Answers of `opa eval`; null where it has none.
#[test]
fn patterns_are_read_as_in_opa() {
    for (expression, text, expected) in [
        (r"regex.match(`^\d{2}$`, input.x)", "42", json!(true)),
        (r"regex.match(`^\d+$`, input.x)", "٤٢", json!(false)),
        (r"regex.match(`^\w+$`, input.x)", "é", json!(false)),
        (r"regex.match(`^[\w.-]+$`, input.x)", "a_b-c.d", json!(true)),
        (r"regex.match(`^[^\W\d]+$`, input.x)", "a_b", json!(true)),
        (r"regex.match(`^[^\W\d]+$`, input.x)", "a1", json!(false)),
        (r"regex.match(`\D`, input.x)", "12", json!(false)),
        (r"regex.match(`^\s$`, input.x)", "\u{a0}", json!(false)),
        (r"regex.match(`^\s\S$`, input.x)", " x", json!(true)),
        (r"regex.match(`\brm\b`, input.x)", "sudo rm -r", json!(true)),
        (r"regex.match(`\brm\b`, input.x)", "format", json!(false)),
        (r"regex.match(`\Brm`, input.x)", "farm", json!(true)),
        (r"regex.match(`^a\b`, input.x)", "aé", json!(true)),
        (r"regex.match(`^\\d$`, input.x)", "\\d", json!(true)),
        (r"regex.match(`^[]\d]$`, input.x)", "]", json!(true)),
        (r"regex.match(`^[[:alpha:]\d]$`, input.x)", "7", json!(true)),
        (r"regex.match(`^[\b]$`, input.x)", "b", json!(null)),
        (r"regex.match(`(?i)^DROP\s+table`, input.x)", "drop Table", json!(true)),
        (r"regex.match(`(?i)^DROP`, input.x)", "drop", json!(true)),
        (r"regex.match(`(?i)^[k]$`, input.x)", "\u{212a}", json!(true)),
        (r"regex.is_valid(`\d`)", "", json!(true)),
        (r"regex.is_valid(`\`)", "", json!(false)),
        (r#"regex.replace(input.x, `\d`, "_")"#, "a1b22", json!("a_b__")),
        (r"regex.split(`\s+`, input.x)", "a b  c", json!(["a", "b", "c"])),
        (r"regex.find_n(`\w+`, input.x, -1)", "a-b é", json!(["a", "b"])),
        (
            r"regex.find_all_string_submatch_n(`(\w)(\d)`, input.x, -1)",
            "a1 b2",
            json!([["a1", "a", "1"], ["b2", "b", "2"]]),
        ),
        (r#"regex.template_match(`id-{\d+}`, input.x, "{", "}")"#, "id-17", json!(true)),
        (r"regex.match(`^\p{L}+$`, input.x)", "né", json!(true)),
        (r"regex.match(`^\p{Lu}$`, input.x)", "É", json!(true)),
        (r"regex.match(`^\pN$`, input.x)", "٤", json!(true)),
        (r"regex.match(`^\p{Greek}$`, input.x)", "λ", json!(true)),
        (r"regex.match(`\`, input.x)", "λ", json!(null)),
    ] {
        assert_eq!(both(expression, &json!({ "x": text })), expected, "{expression} {text}");
    }
}

#[test]
fn what_must_not_match_does_not() {
    let denying = || {
        policy(
            r"default decision := true
decision := false if regex.match(`(?i)\bdrop\b`, input.x)",
        )
    };
    for (text, allowed) in [("select 1", true), ("DROP table", false), ("droplet", true)] {
        for policy in [denying(), interpreted(denying())] {
            assert_eq!(decide(&policy, &json!({ "x": text })), Ok(json!(allowed)), "{text}");
        }
    }
}

/// Where OPA's answers are not those of Rust's `regex`, and templates, replacements and groups.
#[test]
fn results_are_as_in_opa() {
    for (expression, expected) in [
        ("regex.split(`,`, `a,`)", json!(["a", ""])),
        ("regex.split(`,`, `,a`)", json!(["", "a"])),
        ("regex.split(`x*`, `abc`)", json!(["a", "b", "c"])),
        ("regex.split(``, `abc`)", json!(["a", "b", "c"])),
        ("regex.split(``, ``)", json!([])),
        ("regex.split(`a`, ``)", json!([""])),
        ("regex.split(`b*`, `abbc`)", json!(["a", "c"])),
        ("regex.find_n(`a*`, `baac`, -1)", json!(["", "aa", ""])),
        ("regex.find_n(`a`, `aaa`, 2)", json!(["a", "a"])),
        ("regex.find_n(`a`, `aaa`, 0)", json!([])),
        ("regex.find_n(`é|λ`, `éxλ`, -1)", json!(["é", "λ"])),
        (
            "regex.find_all_string_submatch_n(`a(x)?(b|c)`, `ab axc`, -1)",
            json!([["ab", "", "b"], ["axc", "x", "c"]]),
        ),
        (
            "regex.find_all_string_submatch_n(`(a|ab)(c|bcd)(d*)`, `abcd`, -1)",
            json!([["abcd", "a", "bcd", ""]]),
        ),
        ("regex.replace(`a1b2`, `(\\w)(\\d)`, `$2$1`)", json!("1a2b")),
        ("regex.replace(`a1`, `(?P<letter>\\w)(\\d)`, `${letter}x$letterx$$`)", json!("ax$")),
        ("regex.replace(`a1`, `(\\w)(\\d)`, `$1x|${1}x|$9|$-|${1`)", json!("|ax||$-|${1")),
        ("regex.replace(`abc`, ``, `-`)", json!("-a-b-c-")),
        ("regex.replace(`abc`, `(`, `-`)", json!(null)),
        ("regex.replace(`ab\\nb`, `(?m)^b`, `x`)", json!("ab\\nb")),
        ("regex.replace(\"ab\\nb\", `(?m)^b$`, `x`)", json!("ab\nx")),
        ("regex.replace(`aXbx`, `(?i)x`, ``)", json!("ab")),
        ("regex.template_match(`urn:{[a-z]+}.{\\d{2}}`, `urn:ab.12`, `{`, `}`)", json!(true)),
        ("regex.template_match(`urn:{[a-z]+}.{\\d{2}}`, `urn:abx12`, `{`, `}`)", json!(false)),
        ("regex.template_match(`urn:<.*>`, `urn:foo`, `<`, `>`)", json!(true)),
        ("regex.template_match(`urn:<.*`, `urn:foo`, `<`, `>`)", json!(null)),
        ("regex.template_match(`a{b)|(c}`, `ab`, `{`, `}`)", json!(null)),
        ("regex.template_match(`urn:{.*}`, `urn:foo`, ``, `}`)", json!(null)),
        ("regex.match(`\\<a\\>`, `<a>`)", json!(true)),
        ("regex.match(`\\<a\\>`, `a`)", json!(false)),
        ("regex.match(`^(a|a)*$`, `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab`)", json!(false)),
        ("regex.is_valid(1)", json!(false)),
        ("regex.match(1, `1`)", json!(null)),
    ] {
        assert_eq!(both(expression, &json!({})), expected, "{expression}");
    }
}

#[test]
fn a_pattern_that_is_too_large_denies() {
    for pattern in ["(abcdefghij){1000}", "([ab][cd][ef][gh]){1000}", "((a)(b)(c)(d)(e)(f)(g)(h)(i)(j)){500}"]
    {
        for policy in [
            policy("default decision := true\ndecision := false if regex.match(input.p, `x`)"),
            interpreted(policy("default decision := true\ndecision := false if regex.match(input.p, `x`)")),
        ] {
            let failed = decide(&policy, &json!({ "p": pattern })).unwrap_err();
            assert!(matches!(failed, EvaluationError::Failed { .. }), "{pattern}: {failed}");
            assert_eq!(decide(&policy, &json!({ "p": "x" })), Ok(json!(false)));
        }
    }
}

/// Made of a few parts, from a sequence of numbers.
fn made<'a>(next: &mut impl FnMut(u64) -> u64, parts: &[&'a str]) -> Vec<&'a str> {
    (0..=next(6)).map(|_| parts[usize::try_from(next(parts.len() as u64)).unwrap()]).collect()
}

#[test]
fn matches_are_those_of_another_engine() {
    let mut state = 7_u64;
    let mut next = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let pieces = [
        "a", "b", "é", ".", "^", "$", "|", "(", ")", "(?:", "*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}",
        "{1,}?", "[ab]", "[^a]", r"\b", r"\B", "(?i)", "(?m)", "(a|ab)", "(b*)", "(|a)",
    ];
    let texts = ["a", "b", "A", "é", "\n", " ", "ab", "ba"];
    let repeats = ['*', '+', '?', '{'];
    let mut compared = 0;
    for _ in 0..20_000 {
        let made_of = made(&mut next, &pieces);
        let pattern = made_of.concat();
        let in_theirs = pattern.replace(r"\b", r"(?-u:\b)").replace(r"\B", r"(?-u:\B)");
        let Ok(theirs) = ::regex::Regex::new(&in_theirs) else { continue };
        let Ok(ours) = Pattern::compile(&pattern) else {
            // RE2 repeats no repetition; the other engine does.
            assert!(
                made_of.windows(2).any(|two| two.iter().all(|one| one.starts_with(repeats))),
                "{pattern:?}"
            );
            continue;
        };
        let text = made(&mut next, &texts).concat();
        let expected: Vec<Positions> = theirs
            .captures_iter(&text)
            .map(|found| {
                found.iter().flat_map(|group| [group.map(|g| g.start()), group.map(|g| g.end())]).collect()
            })
            .collect();
        let around = Surroundings::default();
        let found: Vec<Positions> =
            ours.all(&text, theirs.captures_len(), &around).map(|found| found.ok().unwrap()).collect();
        assert_eq!(found, expected, "{pattern:?} in {text:?}");
        assert_eq!(
            ours.matches(&text, &around).ok().unwrap(),
            theirs.is_match(&text),
            "{pattern:?} in {text:?}"
        );
        compared += 1;
    }
    assert!(compared > 3_000, "{compared}");
}

#[test]
fn a_pattern_that_is_too_long_is_not_read() {
    for (pattern, refused) in [
        ("{".repeat(4096), None),
        ("a".repeat(MOST_TEXT + 1), Some(Refused::TooLarge)),
        ("{".repeat(1 << 20), Some(Refused::TooLarge)),
        (format!("a{{{}}}", "1".repeat(40)), Some(Refused::Malformed)),
        (format!("a{{1,{}}}", "1".repeat(40)), Some(Refused::Malformed)),
    ] {
        assert_eq!(Pattern::compile(&pattern).err(), refused, "{}", pattern.get(..50).unwrap_or(&pattern));
    }
}

#[test]
fn a_search_that_takes_too_long_is_cut() {
    let long = "a".repeat(1 << 20);
    let budget = EvaluationBudget { bytes: usize::MAX, ..EvaluationBudget::default() };
    for decision in [
        "regex.match(`(a?){500}(a{0,300}){3}b`, input.x)",
        "count(regex.find_n(`(a{0,900}b)?`, input.x, -1)) > 0",
        "regex.split(`(a|aa|a{500})*b`, input.x) == []",
        "regex.replace(input.x, `(a{1,450}){2}b`, \"\") == \"\"",
        "regex.template_match(`{(a?){900}b}`, input.x, `{`, `}`)",
        "regex.find_all_string_submatch_n(`(a?){400}b`, input.x, -1) == []",
    ] {
        let policy = policy(&format!("decision if {decision}"));
        let evaluate = |policy: &Policy| {
            policy.evaluate(Document::from_json(&json!({"x": long})), &budget).map(|_| "a value")
        };
        let expected = Err(EvaluationError::TimeExhausted { milliseconds: budget.time.as_millis() });
        assert_eq!(evaluate(&policy), expected, "{decision}");
        assert_eq!(evaluate(&policy.interpreted()), expected, "{decision}");
    }
}
