//! Rego unit tests by OPA's conventions: rules `test_*` in any package, evaluated by the interpreter that serves
//! `with`. `todo_test_*` is skipped and says so; `test_x[case]` is a test for each case.

mod cases;
mod coverage;
mod find;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use remit_core::ids::Now;
use remit_core::policy::{Surroundings, around};

use crate::rego::{Marked, Recorder, RegoError, Sources, Trail, mark, one_line};
use find::Found;

pub use cases::SubResult;
pub use coverage::{Coverage, FileCoverage};
pub use report::{Counts, covered, json, junit, text};

/// How often the interpreter looks at the time limit, in steps.
const TIMER_STEPS: u32 = 1024;

/// Why tests cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Files, data or Rego.
    #[error(transparent)]
    Rego(#[from] RegoError),
    /// What tests are chosen by.
    #[error("--run {pattern:?}: {message}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
}

/// One test that was run, or skipped.
#[derive(Debug, Clone, PartialEq)]
pub struct TestResult {
    /// The file, as the command line named its folder.
    pub file: String,
    /// 1-based line.
    pub row: u32,
    /// 1-based column.
    pub column: u32,
    /// The package, with `data.` in front.
    pub package: String,
    /// The rule, with `#01` and so on where there are several of one name.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// Its cases.
    pub cases: BTreeMap<String, SubResult>,
    /// Row and text of the last statement that was begun, of a test that failed.
    pub failed_at: Option<(u32, String)>,
    /// How long it took.
    pub duration: Duration,
    /// What it printed.
    pub prints: Vec<String>,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The rule is `true`, and so is every case.
    Pass,
    /// The rule is undefined, or anything but `true`; or a case is.
    Fail,
    /// `todo_test_*`.
    Skipped,
    /// The evaluation gave up.
    Error(String),
}

/// What was run.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The tests in the order of their files.
    pub results: Vec<TestResult>,
    /// The lines that they reached.
    pub coverage: Coverage,
}

/// Tests that were loaded.
pub struct Suite {
    engine: Engine,
    tests: Vec<Found>,
    /// The files as they are.
    files: BTreeMap<String, String>,
    marked: Marked,
    recorder: Recorder,
    time_limit: Duration,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("tests", &self.tests.len()).finish_non_exhaustive()
    }
}

impl Suite {
    /// Loads Rego, tests included, and data, where the filter would load what is no test.
    ///
    /// # Errors
    ///
    /// See [`RegoError`].
    pub fn load(paths: &[PathBuf], time_limit: Duration) -> Result<Self, RegoError> {
        let mut sources = Sources::load(paths)?;
        sources.load_as_filter()?;
        let files = sources.files.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
        let mut tests = find::tests(&sources.parse()?);
        // Rules of one name are one rule to the evaluator, and several tests to OPA.
        find::separate(&mut tests, &mut sources.files);
        let marked = mark(&sources.files, &sources.parse()?);
        sources.files.clone_from(&marked.files);
        let recorder = Recorder::new(&marked);
        let mut engine = sources.engine()?;
        recorder.listen(&mut engine)?;
        Ok(Self { engine, tests, files, marked, recorder, time_limit })
    }

    /// Keeps the tests whose whole name, such as `data.a_test.test_x`, matches a regular expression.
    ///
    /// # Errors
    ///
    /// [`LoadError::Pattern`].
    pub fn choose(&mut self, pattern: &str) -> Result<(), LoadError> {
        let bad = |message: String| LoadError::Pattern { pattern: pattern.to_owned(), message };
        let matcher = regex::Regex::new(pattern).map_err(|error| bad(one_line(&error.to_string())))?;
        self.tests.retain(|test| matcher.is_match(&format!("{}.{}", test.package, test.name)));
        Ok(())
    }

    /// How many tests there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tests.len()
    }

    /// Runs the tests in the order of their files; `progress` is told how many are done.
    #[must_use]
    pub fn run(&self, progress: &mut dyn FnMut(usize)) -> Ran {
        let mut reached = BTreeSet::new();
        let mut results = Vec::new();
        for test in &self.tests {
            progress(results.len());
            let (result, mut trail) = self.run_one(test);
            reached.append(&mut trail.reached);
            results.push(result);
        }
        Ran { results, coverage: Coverage::of(&self.marked, &reached) }
    }

    fn run_one(&self, test: &Found) -> (TestResult, Trail) {
        // A copy of an engine that ran nothing yet: no test sees what another left behind.
        let mut engine = self.engine.clone();
        let check_interval = NonZeroU32::MIN.saturating_add(TIMER_STEPS);
        engine.set_execution_timer_config(ExecutionTimerConfig { limit: self.time_limit, check_interval });
        let began = Instant::now();
        let value = if test.is_skipped { Ok(Value::Undefined) } else { evaluate(&mut engine, test) };
        let duration = began.elapsed();
        let trail = self.recorder.take();
        let value = match &trail.asked {
            Some(url) => Err(unanswered(url)),
            None => value,
        };
        let mut cases = BTreeMap::new();
        let verdict = match value {
            _ if test.is_skipped => Verdict::Skipped,
            Ok(Value::Bool(true)) => Verdict::Pass,
            Ok(value @ Value::Object(_)) if test.has_cases => {
                let row_of = |mark: usize| self.marked.marks.get(mark).map(|mark| mark.row);
                let fail;
                (fail, cases) = cases::results(&value, &trail.cases, row_of);
                if fail { Verdict::Fail } else { Verdict::Pass }
            }
            Ok(_) => Verdict::Fail,
            Err(message) => Verdict::Error(message),
        };
        let failed_at =
            (verdict == Verdict::Fail && cases.is_empty()).then(|| self.failed_at(test, &trail)).flatten();
        let result = TestResult {
            file: test.file.clone(),
            row: test.row,
            column: test.column,
            package: test.package.clone(),
            name: test.name.clone(),
            verdict,
            cases,
            failed_at,
            duration,
            prints: engine.take_prints().unwrap_or_default(),
        };
        (result, trail)
    }

    /// The last statement of the test itself that was begun.
    fn failed_at(&self, test: &Found, trail: &Trail) -> Option<(u32, String)> {
        let mine = |definition: &usize| {
            let found = self.marked.definitions.get(*definition);
            found.is_some_and(|found| found.file == test.file && found.row == test.row)
        };
        let (_, last) = trail.last.iter().find(|(definition, _)| mine(definition))?;
        let row = self.marked.marks.get(*last)?.row;
        Some((row, self.line(&test.file, row)))
    }

    /// A line of a file as it is, without the blanks around it.
    fn line(&self, file: &str, row: u32) -> String {
        let line = usize::try_from(row).unwrap_or_default().checked_sub(1);
        let text = line.and_then(|line| self.files.get(file)?.lines().nth(line));
        text.unwrap_or_default().trim().to_owned()
    }
}

/// In OPA a test would go out to ask.
fn unanswered(url: &str) -> String {
    format!(
        "http.send to {url:?}: tests ask nobody; say what it gives, as in `with http.send as {{\"status_code\": 200}}`"
    )
}

fn evaluate(engine: &mut Engine, test: &Found) -> Result<Value, String> {
    let path = format!("{}.{}", test.package, test.rule);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Now(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    let evaluation = || {
        if test.has_cases {
            // What has a variable in its head is no rule by this name.
            engine.eval_query(path, false).map(|results| {
                let value = results
                    .result
                    .into_iter()
                    .next()
                    .and_then(|result| result.expressions.into_iter().next());
                value.map_or(Value::Undefined, |expression| expression.value)
            })
        } else {
            engine.eval_rule(path)
        }
    };
    let (value, stop) = around(&mut Surroundings::at(now), evaluation);
    match stop {
        Some(stop) => Err(stop.to_string()),
        None => value.map_err(|error| one_line(&error.to_string())),
    }
}
