//! Tests of comparisons.

use remit_core::ids::Now;
use serde_json::{Value, json};

use super::*;
use crate::replay::{Forwarded, Reply};
use crate::table::Style;

fn observed(record: &Value, rest: Observed) -> Observed {
    let line = format!(r#"{{"audit":"remit.audit/1",{}"#, &record.to_string()[1..]);
    Observed { audit: Audit::of(&line), ..rest }
}

fn played(observed: Observed) -> Played {
    Played { id: "a".into(), title: None, time: Now(0), observed, is_checked: false, mismatches: Vec::new() }
}

fn side(observed: Observed) -> Side {
    let replay = Replay { name: "n".into(), subject: "native".into(), exchanges: vec![played(observed)] };
    Side { replay, bundle: "b".into(), reasons: Reasons::default() }
}

fn forwarded(id: &str, headers: &[(&str, &str)]) -> Observed {
    let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let forwarded = Forwarded { headers, ..Forwarded::default() };
    let record = json!({"outcome": "allow", "reasons": ["r"], "decision_id": id});
    observed(&record, Observed { forwarded: Some(forwarded), status: 200, ..Observed::default() })
}

fn replied(body: &Value) -> Observed {
    let reply = Reply { status: 403, headers: Vec::new(), body: body.to_string().into_bytes() };
    let record = json!({"outcome": "deny", "reasons": ["r"]});
    observed(&record, Observed { reply: Some(reply), status: 403, ..Observed::default() })
}

#[test]
fn kinds_follow_from_what_is_different() {
    let decided = |outcome: &str, reasons: &[&str]| {
        observed(&json!({"outcome": outcome, "reasons": reasons}), Observed::default())
    };
    let fault = || Observed { fault: Some("not sent: held no more".into()), ..Observed::default() };
    for (old, new, expected) in [
        (decided("allow", &["a"]), decided("allow", &["a"]), None),
        (decided("allow", &["b", "a"]), decided("allow", &["a", "b", "a"]), None),
        (decided("allow", &["a"]), decided("allow", &["b"]), Some(Kind::Reasons)),
        (decided("allow", &[]), decided("modify", &[]), Some(Kind::Effect)),
        (decided("deny", &[]), decided("modify", &[]), Some(Kind::NewlyAllowed)),
        (decided("require_approval", &[]), decided("allow", &[]), Some(Kind::NewlyAllowed)),
        (decided("deny", &[]), decided("require_approval", &[]), Some(Kind::NewlyHeld)),
        (decided("allow", &[]), decided("require_approval", &[]), Some(Kind::NewlyHeld)),
        (decided("require_approval", &[]), decided("deny", &[]), Some(Kind::NewlyDenied)),
        (decided("deny", &[]), decided("quarantine", &[]), Some(Kind::NewlyQuarantined)),
        (decided("deny", &[]), fault(), Some(Kind::Fault)),
        (fault(), decided("allow", &[]), Some(Kind::Fault)),
        (fault(), fault(), None),
        (Observed::default(), decided("allow", &[]), Some(Kind::NewlyAllowed)),
        (forwarded("id-1", &[("x", "1")]), forwarded("id-2", &[("x", "2")]), Some(Kind::Effect)),
        (replied(&json!({"title": "a"})), replied(&json!({"title": "b"})), Some(Kind::Effect)),
        (
            replied(&json!({"decision_id": "1", "reasons": [], "challenge": 1})),
            replied(&json!({"decision_id": "2", "reasons": [1], "challenge": 2})),
            None,
        ),
    ] {
        let comparison = Comparison::of(side(old), side(new));
        assert_eq!(comparison.exchanges[0].kind, expected, "{:?}", comparison.exchanges[0].changes);
        assert_eq!(comparison.is_unchanged(), expected.is_none());
    }
}

#[test]
fn headers_are_compared_by_name() {
    let old = forwarded(
        "id-1",
        &[("authorization", "Bearer a"), ("x-id", "id-1"), ("x-old", "o"), ("x", "1"), ("x", "2")],
    );
    let new =
        forwarded("id-2", &[("authorization", "Bearer b"), ("x-id", "id-2"), ("x-new", "n"), ("x", "1")]);
    let comparison = Comparison::of(side(old), side(new));
    let shown: Vec<_> = comparison.exchanges[0]
        .changes
        .iter()
        .map(|change| format!("{} {:?} {:?}", change.what, change.old.as_deref(), change.new.as_deref()))
        .collect();
    assert_eq!(
        shown,
        [
            r#"upstream header x Some("1, 2") Some("1")"#,
            r#"upstream header x-new None Some("n")"#,
            r#"upstream header x-old Some("o") None"#,
        ]
    );
}

#[test]
fn reasons_are_explained_by_the_bundle_that_gives_them() {
    let record = |outcome: &str, code: &str| {
        let record = json!({"outcome": outcome, "reasons": [code], "agent": {"sub": "agent"}, "action": {"operation": "o\u{1b}"}});
        side(observed(&record, Observed { status: 200, ..Observed::default() }))
    };
    let mut old = record("deny", "too_much");
    let block = Annotation {
        file: "a.rego".into(),
        about: 7,
        title: Some("Too much".into()),
        ..Annotation::default()
    };
    old.reasons = Reasons(BTreeMap::from([("too_much".to_owned(), block)]));
    let comparison = Comparison::of(old, record("allow", "fine"));
    let table = comparison.table(Style::default());
    for part in [
        "newly allowed",
        "→ allow",
        "−too_much",
        "+fine",
        "a.rego:7",
        "Too much",
        "n (native): 1 of 1 requests changes: 1 newly allowed",
    ] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(!table.contains('\u{1b}'), "{table}");
    let json = comparison.to_json();
    assert_eq!(json["by_change"], json!({"newly_allowed": 1}));
    assert_eq!(
        json["exchanges"][0]["reasons_gone"],
        json!([{"code": "too_much", "rule": "a.rego:7", "title": "Too much"}])
    );
    assert_eq!(json["exchanges"][0]["reasons_new"][0]["code"], "fine");
}
