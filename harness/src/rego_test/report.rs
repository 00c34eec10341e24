//! Test results as OPA writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Coverage, Ran, SubResult, TestResult, Verdict};
use crate::junit::{self, Case};
use crate::table::Style;
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
        let mut counts = Self::default();
        for result in results {
            let mut add = |verdict: &Verdict| {
                let count = match verdict {
                    Verdict::Pass => &mut counts.passed,
                    Verdict::Fail => &mut counts.failed,
                    Verdict::Error(_) => &mut counts.errors,
                    Verdict::Skipped => &mut counts.skipped,
                };
                *count = count.saturating_add(1);
            };
            if result.cases.is_empty() {
                add(&result.verdict);
            } else {
                SubResult::leaves(&result.cases, &[], &mut |_, case| {
                    add(if case.fail { &Verdict::Fail } else { &Verdict::Pass });
                });
            }
        }
        counts
    }

    /// Tests in all; each case is one.
    #[must_use]
    pub fn all(self) -> usize {
        [self.passed, self.failed, self.errors, self.skipped].into_iter().fold(0, usize::saturating_add)
    }

    /// Whether nothing failed.
    #[must_use]
    pub fn is_success(self) -> bool {
        self.failed == 0 && self.errors == 0
    }
}

impl TestResult {
    fn text(&self, verbose: bool, style: Style) -> String {
        let (verdict, colour, detail) = match &self.verdict {
            Verdict::Pass => ("PASS", "32", None),
            Verdict::Fail => ("FAIL", "31", None),
            Verdict::Skipped => ("SKIPPED", "33", None),
            Verdict::Error(message) => ("ERROR", "31", Some(message)),
        };
        let verdict = style.paint(colour, verdict);
        let took = if self.verdict == Verdict::Skipped {
            String::new()
        } else {
            format!(" ({})", took(self.duration))
        };
        let mut text =
            format!("{}:{}:\n{}.{}: {verdict}{took}\n", self.file, self.row, self.package, self.name);
        if let Some(message) = detail {
            text.push_str(&format!("  {}\n", printable(message)));
        }
        if let Some((row, line)) = &self.failed_at {
            text.push_str(&format!("  {}:{row}: {}\n", self.file, printable(line)));
        }
        write_cases(&mut text, &self.file, &self.cases, 1, verbose, style);
        for print in &self.prints {
            text.push('\n');
            let lines = print.split('\n').map(|line| printable(&line.replace('\t', "    ")));
            lines.for_each(|line| text.push_str(&format!("  {line}\n")));
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
        if let Some((row, line)) = &self.failed_at {
            put("failed_at", json!({"location": {"file": self.file, "row": row}, "text": line}));
        }
        if !self.cases.is_empty() {
            put("sub_results", cases_json(&self.cases));
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
pub fn text(results: &[TestResult], verbose: bool, style: Style) -> String {
    let mut text: String = results
        .iter()
        .filter(|result| verbose || result.verdict != Verdict::Pass)
        .map(|result| result.text(verbose, style))
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
            text.push_str(&format!("{what}: {count}/{}\n", counts.all()));
        }
    }
    text
}

/// The results as `opa test --format json` writes them.
#[must_use]
pub fn json(results: &[TestResult]) -> Value {
    Value::Array(results.iter().map(TestResult::json).collect())
}

/// The coverage as `opa test --coverage --format json` writes it, with those that did not pass as `failures`, where there are
/// any: OPA writes text then, and no coverage.
#[must_use]
pub fn covered(ran: &Ran) -> Value {
    let mut document = ran.coverage.to_json();
    let bad = |result: &&TestResult| matches!(result.verdict, Verdict::Fail | Verdict::Error(_));
    let failures: Vec<Value> = ran.results.iter().filter(bad).map(TestResult::json).collect();
    if let (Value::Object(members), false) = (&mut document, failures.is_empty()) {
        members.insert("failures".to_owned(), Value::Array(failures));
    }
    document
}

/// The results as JUnit's XML; each case is a test. The coverage is told by properties of the suite.
#[must_use]
pub fn junit(results: &[TestResult], coverage: Option<&Coverage>) -> String {
    let mut cases = Vec::new();
    for result in results {
        let place = |row: u32| format!("{}:{row}", result.file);
        let case = |name: String, verdict: junit::Verdict, duration: Duration| Case {
            class: result.package.clone(),
            name,
            place: Some((result.file.clone(), result.row)),
            duration,
            verdict,
            output: result.prints.join("\n"),
        };
        if result.cases.is_empty() {
            let verdict = match &result.verdict {
                Verdict::Pass => junit::Verdict::Passed,
                Verdict::Skipped => junit::Verdict::Skipped("todo".to_owned()),
                Verdict::Error(message) => junit::Verdict::Broken(message.clone()),
                Verdict::Fail => {
                    let at = result.failed_at.as_ref();
                    let at = at
                        .map_or_else(|| place(result.row), |(row, line)| format!("{}: {line}", place(*row)));
                    junit::Verdict::Failed("the test is not true".to_owned(), at)
                }
            };
            cases.push(case(result.name.clone(), verdict, result.duration));
            continue;
        }
        SubResult::leaves(&result.cases, &[], &mut |path, sub| {
            let verdict = match sub.fail {
                false => junit::Verdict::Passed,
                true => {
                    let at = place(sub.failed_at.unwrap_or(result.row));
                    junit::Verdict::Failed("the case is not true".to_owned(), at)
                }
            };
            cases.push(case(format!("{}[{}]", result.name, path.join("][")), verdict, Duration::ZERO));
        });
    }
    let properties = coverage.map(Coverage::properties).unwrap_or_default();
    junit::document("remit test", &properties, &cases)
}

fn write_cases(
    out: &mut String,
    file: &str,
    cases: &BTreeMap<String, SubResult>,
    depth: usize,
    verbose: bool,
    style: Style,
) {
    for (name, case) in cases.iter().filter(|(_, case)| case.fail || verbose) {
        let (verdict, colour) = if case.fail { ("FAIL", "31") } else { ("PASS", "32") };
        let at = case.failed_at.map(|row| format!(" ({file}:{row})")).unwrap_or_default();
        let indent = "  ".repeat(depth);
        out.push_str(&format!("{indent}{}: {}{at}\n", printable(name), style.paint(colour, verdict)));
        write_cases(out, file, &case.cases, depth.saturating_add(1), verbose, style);
    }
}

fn cases_json(cases: &BTreeMap<String, SubResult>) -> Value {
    let case = |name: &str, case: &SubResult| {
        let mut json = Map::from_iter([("name".to_owned(), json!(name))]);
        if case.fail {
            json.insert("fail".to_owned(), json!(true));
        }
        if !case.cases.is_empty() {
            json.insert("sub_results".to_owned(), cases_json(&case.cases));
        }
        Value::Object(json)
    };
    Value::Object(cases.iter().map(|(name, sub)| (name.clone(), case(name, sub))).collect())
}

fn took(duration: Duration) -> String {
    match duration.as_micros() {
        micros @ 0..1000 => format!("{micros}µs"),
        _ => format!("{:.3}ms", duration.as_secs_f64() * 1e3),
    }
}
