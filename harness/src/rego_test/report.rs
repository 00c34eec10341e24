//! Test results as OPA writes them.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{TestResult, Verdict};
use crate::text::printable;

/// Counts of results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tests that passed.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests that gave up.
    pub errors: usize,
    /// Tests that were skipped.
    pub skipped: usize,
}

impl Counts {
    /// Counts results.
    #[must_use]
    pub fn of(results: &[TestResult]) -> Self {
        let count = |wanted: fn(&Verdict) -> bool| results.iter().filter(|result| wanted(&result.verdict)).count();
        Self {
            passed: count(|verdict| *verdict == Verdict::Pass),
            failed: count(|verdict| *verdict == Verdict::Fail),
            errors: count(|verdict| matches!(verdict, Verdict::Error(_))),
            skipped: count(|verdict| *verdict == Verdict::Skipped),
        }
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.failed == 0 && self.errors == 0
    }
}

impl TestResult {
    fn text(&self) -> String {
        let (verdict, detail) = match &self.verdict {
            Verdict::Pass => ("PASS", None),
            Verdict::Fail => ("FAIL", None),
            Verdict::Skipped => ("SKIPPED", None),
            Verdict::Error(message) => ("ERROR", Some(message)),
        };
        let took = if self.verdict == Verdict::Skipped { String::new() } else { format!(" ({})", took(self.duration)) };
        let mut text = format!("{}:{}:\n{}.{}: {verdict}{took}\n", self.file, self.row, self.package, self.name);
        if let Some(message) = detail {
            text.push_str(&format!("  {}\n", printable(message)));
        }
        for print in &self.prints {
            text.push_str(&format!("\n  {}\n", printable(print)));
        }
        text
    }

    fn json(&self) -> Value {
        let mut json = Map::new();
        let mut put = |name: &str, value: Value| {
            json.insert(name.to_owned(), value);
        };
        put("location", json!({"file": self.file, "row": self.row, "col": self.column}));
        put("package", json!(self.package));
        put("name", json!(self.name));
        put("duration", json!(u64::try_from(self.duration.as_nanos()).unwrap_or(u64::MAX)));
        match &self.verdict {
            Verdict::Pass => {}
            Verdict::Fail => put("fail", json!(true)),
            Verdict::Skipped => put("skip", json!(true)),
            Verdict::Error(message) => put("error", json!({"code": "eval_error", "message": message})),
        }
        if !self.prints.is_empty() {
            let output: String = self.prints.iter().map(|print| format!("{print}\n")).collect();
            put("output", json!(STANDARD.encode(output)));
        }
        Value::Object(json)
    }
}

/// The results as text: all of them, or those that did not pass, and the counts.
#[must_use]
pub fn text(results: &[TestResult], verbose: bool) -> String {
    let mut text: String = results
        .iter()
        .filter(|result| verbose || result.verdict != Verdict::Pass)
        .map(TestResult::text)
        .collect();
    if !text.is_empty() {
        text.push_str(&format!("{}\n", "-".repeat(80)));
    }
    let counts = Counts::of(results);
    for (what, count) in [
        ("PASS", Some(counts.passed).filter(|_| counts.passed > 0 || counts.is_success())),
        ("FAIL", Some(counts.failed).filter(|count| *count > 0)),
        ("ERROR", Some(counts.errors).filter(|count| *count > 0)),
        ("SKIPPED", Some(counts.skipped).filter(|count| *count > 0)),
    ] {
        if let Some(count) = count {
            text.push_str(&format!("{what}: {count}/{}\n", results.len()));
        }
    }
    text
}

/// The results as `opa test --format json` writes them.
#[must_use]
pub fn json(results: &[TestResult]) -> Value {
    Value::Array(results.iter().map(TestResult::json).collect())
}

fn took(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..1000 => format!("{micros}µs"),
        _ => format!("{:.3}ms", duration.as_secs_f64() * 1e3),
    }
}
