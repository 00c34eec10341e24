//! Tests of the replay, and of how it is told.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::capture::{Capture, CaptureLimits};
use crate::text::width;
use report::Style;

fn played(id: &str, audit: serde_json::Value, mismatches: Vec<Mismatch>, micros: u64) -> Played {
    let audit = match audit {
        serde_json::Value::Object(rest) => {
            let rest = serde_json::Value::Object(rest).to_string();
            Audit::of(&format!(r#"{{"audit":"remit.audit/1",{}"#, &rest[1..]))
        }
        _ => None,
    };
    let added = Duration::from_micros(micros);
    let observed = Observed { audit, added, status: 200, ..Observed::default() };
    Played {
        id: id.into(),
        title: Some("a title".into()),
        time: Now(0),
        observed,
        is_checked: true,
        mismatches,
    }
}

fn example() -> Replay {
    let long = json!({
        "agent": {"sub": "agent-analyst"}, "principal": {"sub": "bea.lindqvist@internal.example"},
        "action": {"operation": "forum.message.answer", "resource": {"name": "inbox/bea.lindqvist@internal.example"}},
        "outcome": "require_approval", "reasons": ["approval_required", "operation_outside_task", "publishes"],
        "detail": "why\u{1b}[2J",
    });
    let mismatch = Mismatch { what: "outcome", expected: "allow".into(), got: "require_approval".into() };
    let exchanges = vec![
        played("a", json!({"outcome": "allow", "request": {"method": "GET", "path": "/"}}), vec![], 900),
        played("b", long, vec![mismatch], 1200),
        played("c", json!(null), vec![], 100),
    ];
    Replay { name: "n".into(), subject: "native".into(), exchanges }
}

#[test]
fn tables_fit_and_explain() {
    let table = example().table(Style::default());
    assert!(table.lines().all(|line| width(line) <= 120), "{table}");
    for part in [
        "✓ 00:00:00  –                              GET /",
        "agent-analyst → bea.lindqvist",
        "operation_outside_task",
        "n (native): 3 exchanges, 1 not as expected; median added latency 0.90 ms",
        "✗ b (00:00:00, a title)\n    outcome: expected allow, got require_approval\n    audit says: why\u{fffd}[2J",
    ] {
        assert!(table.contains(part), "{part}\n{table}");
    }
    assert!(!table.contains('\u{1b}'));
    assert!(example().table(Style { colours: true }).contains("\u{1b}[33mrequire_approval"));
}

#[test]
fn several_runs_make_one() {
    let (mut first, mut second, third) = (example(), example(), example());
    first.exchanges[1].mismatches.clear();
    second.exchanges[1].observed.added = Duration::from_micros(5);
    let merged = Replay::merged(vec![first, second, third]).unwrap();
    assert_eq!(merged.exchanges[1].mismatches.len(), 1);
    assert_eq!(merged.exchanges[0].observed.added, Duration::from_micros(900));
    assert_eq!(merged.to_json()["unexpected"], 1);
    assert!(Replay::merged(Vec::new()).is_none());
}

/// Holds every `POST`, and asks for the approval of what it held before.
struct Holding(Vec<WireRequest>);

impl Subject for Holding {
    fn name(&self) -> &str {
        "holding"
    }

    fn carry(&mut self, request: &WireRequest, response: &Response, _now: Now) -> Result<Observed> {
        self.0.push(request.clone());
        let challenge = crate::challenge::tests::challenge();
        let body = json!({"error": {"data": {"challenge": challenge}}}).to_string().into_bytes();
        let is_held = request.method == "POST";
        let outcome = if is_held { "require_approval" } else { "allow" };
        Ok(Observed {
            audit: Audit::of(&format!(r#"{{"audit":"remit.audit/1","outcome":"{outcome}"}}"#)),
            status: if is_held { 403 } else { response.status },
            reply: is_held.then(|| Reply { status: 403, headers: Vec::new(), body }),
            ..Observed::default()
        })
    }
}

fn scenario(exchanges: &str) -> crate::scenario::Scenario {
    let header = r#"{"remit_capture":1,"start":"2026-03-18T14:02:00Z","issuers":{"i":{"alg":"ES256","kid":"k"}},"tokens":{"t":{"lifetime_seconds":100,"claims":{"iss":"i"}}}}"#;
    let capture = format!("{header}\n{exchanges}");
    assert!(Capture::parse("c", capture.as_bytes(), &CaptureLimits::default()).is_ok());
    let folder =
        crate::testing::Folder::new(&[("capture.jsonl", &capture), ("config.json", r#"{"bundle":{}}"#)]);
    crate::scenario::Scenario::load(folder.path()).unwrap()
}

#[test]
fn tokens_and_approvals_go_along() {
    let exchanges = [
        r#"{"id":"a","request":{"method":"POST","authority":"x","path":"/","headers":[["X-A","1"]],"body":[1]},"token":"t","expect":{"status":403}}"#,
        r#"{"id":"b","at":99,"request":{"authority":"x","path":"/"},"token":"t","approval":{"challenge_of":"a","issuer":"i"},"response":{"status":204},"expect":{"status":204}}"#,
        r#"{"id":"c","at":100,"request":{"authority":"x","path":"/"},"token":"t","approval":{"challenge_of":"a","issuer":"i"},"expect":{"outcome":"deny"}}"#,
    ];
    let mut subject = Holding(Vec::new());
    let replay = replay(&mut scenario(&exchanges.join("\n")), &mut subject).unwrap();
    assert!(!replay.is_as_expected());
    assert_eq!(replay.exchanges[2].mismatches[0].to_string(), "outcome: expected deny, got allow");
    let header = |i: usize, name: &str| {
        let pairs = subject.0[i].pairs();
        pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    };
    assert_eq!(header(0, "x-a").as_deref(), Some("1"));
    assert_eq!(subject.0[0].pairs()[0].0, ":authority");
    assert_eq!(header(0, "authorization"), header(1, "authorization"));
    assert_ne!(header(1, "authorization"), header(2, "authorization"));
    assert_eq!(header(1, "agent-approval"), header(2, "agent-approval"), "the same approval once more");
    assert!(header(0, "agent-approval").is_none());
}

#[test]
fn what_cannot_be_approved_is_named() {
    let exchanges = [
        r#"{"id":"a","request":{"authority":"x","path":"/"}}"#,
        r#"{"id":"b","request":{"authority":"x","path":"/"},"approval":{"challenge_of":"a","issuer":"i"}}"#,
    ];
    let replay = replay(&mut scenario(&exchanges.join("\n")), &mut Holding(Vec::new())).unwrap();
    assert_eq!(
        replay.exchanges[1].mismatches[0].to_string(),
        "fault: expected none, got not sent: a was forwarded, so it holds no challenge"
    );
}
