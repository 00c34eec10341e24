//! Holds what came of an exchange against what the capture expects.

use std::fmt;

use crate::capture::Expectation;
use crate::replay::Observed;

/// What the fault of an exchange begins with that could not be sent.
pub(super) const NOT_SENT: &str = "not sent: ";

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// `outcome`, `reasons`, `status`, `stopped` or `fault`.
    pub what: &'static str,
    /// What the capture expects.
    pub expected: String,
    /// What came of it.
    pub got: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.what, self.expected, self.got)
    }
}

/// What is not as expected. A fault of the subject is never expected, and neither is a missing audit record.
pub(super) fn compare(expected: Option<&Expectation>, observed: &Observed) -> Vec<Mismatch> {
    // What approves something that was not held is not sent, and so does not pass.
    let is_unsent = observed.fault.as_ref().is_some_and(|fault| fault.starts_with(NOT_SENT));
    if is_unsent && expected.is_some_and(|expected| expected.stopped == Some(true)) {
        return Vec::new();
    }
    let mut mismatches = Vec::new();
    let mut differ = |what, expected: String, got: String| {
        if expected != got {
            mismatches.push(Mismatch { what, expected, got });
        }
    };
    if let Some(fault) = &observed.fault {
        differ("fault", "none".to_owned(), fault.clone());
    } else if observed.audit.is_none() {
        differ("fault", "none".to_owned(), "no audit record".to_owned());
    }
    let Some(expected) = expected else { return mismatches };
    if let Some(outcome) = expected.outcome {
        let got = observed.audit.as_ref().and_then(|audit| audit.outcome());
        differ("outcome", outcome.as_str().to_owned(), got.map_or("none", |got| got.as_str()).to_owned());
    }
    if let Some(reasons) = &expected.reasons {
        let got = observed.audit.as_ref().map(|audit| audit.reasons()).unwrap_or_default();
        differ("reasons", set(reasons.iter().map(String::as_str)), set(got.into_iter()));
    }
    if let Some(status) = expected.status {
        differ("status", status.to_string(), observed.status.to_string());
    }
    if let (Some(stopped), None) = (expected.stopped, &observed.fault) {
        let got = observed.audit.as_ref().and_then(|audit| audit.outcome());
        let is_stopped = !got.is_some_and(|outcome| outcome.allows());
        differ("stopped", stopped.to_string(), is_stopped.to_string());
    }
    mismatches
}

/// The codes in order and once each.
fn set<'a>(codes: impl Iterator<Item = &'a str>) -> String {
    let codes: std::collections::BTreeSet<_> = codes.collect();
    if codes.is_empty() { "none".to_owned() } else { codes.into_iter().collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::replay::Audit;

    #[test]
    fn only_what_is_expected_is_compared() {
        let audit = Audit::of(r#"{"audit":"remit.audit/1","outcome":"deny","reasons":["b","a"]}"#);
        let observed = Observed { audit, status: 403, ..Observed::default() };
        for (expected, mismatches) in [
            (json!({}), &[] as &[&str]),
            (json!({"outcome": "deny", "reasons": ["a", "b", "a"], "status": 403}), &[]),
            (json!({"outcome": "allow"}), &["outcome: expected allow, got deny"]),
            (json!({"reasons": ["a"]}), &["reasons: expected a, got a, b"]),
            (json!({"stopped": true}), &[]),
            (json!({"stopped": false}), &["stopped: expected false, got true"]),
            (json!({"reasons": []}), &["reasons: expected none, got a, b"]),
            (
                json!({"status": 200, "outcome": "require_approval"}),
                &["outcome: expected require_approval, got deny", "status: expected 200, got 403"],
            ),
        ] {
            let expected: Expectation = serde_json::from_value(expected).unwrap();
            let got: Vec<_> = compare(Some(&expected), &observed).iter().map(Mismatch::to_string).collect();
            assert_eq!(got, mismatches);
        }
    }

    #[test]
    fn a_fault_is_never_as_expected() {
        let trapped = Observed { fault: Some("trap".to_owned()), ..Observed::default() };
        assert_eq!(compare(None, &trapped)[0].to_string(), "fault: expected none, got trap");
        assert_eq!(
            compare(None, &Observed::default())[0].to_string(),
            "fault: expected none, got no audit record"
        );
    }
}
