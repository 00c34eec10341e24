//! Rego unit tests by OPA's conventions: rules `test_*` in any package, evaluated by the interpreter that serves
//! `with`. `todo_test_*` is skipped and says so.

mod find;
mod report;
#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regorus::utils::limits::ExecutionTimerConfig;
use regorus::{Engine, Value};
use remit_core::bundle::{Bundle, BundleError, BundleLimits, RegoVersion};

use crate::pack::{Files, PackError, PackOptions};
use find::{Found, Source};

pub use report::{Counts, json, text};

/// How often the interpreter looks at the time limit, in steps.
const TIMER_STEPS: u32 = 1024;

/// Why tests cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The files.
    #[error(transparent)]
    Files(#[from] PackError),
    /// The data or the manifest.
    #[error("{}: {source}", root.display())]
    Bundle {
        /// The folder.
        root: PathBuf,
        /// What is wrong.
        source: BundleError,
    },
    /// The Rego does not parse, or does not make a policy together.
    #[error("{message}")]
    Rego {
        /// What the parser says, with the place, on one line.
        message: String,
    },
    /// No test.
    #[error("no tests: no rule's name begins with `test_`")]
    NoTests,
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
    /// How long it took.
    pub duration: Duration,
    /// What it printed.
    pub prints: Vec<String>,
}

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The rule is `true`.
    Pass,
    /// The rule is undefined, or anything but `true`.
    Fail,
    /// `todo_test_*`.
    Skipped,
    /// The evaluation gave up.
    Error(String),
}

/// Tests that were loaded.
pub struct Suite {
    engine: Engine,
    tests: Vec<Found>,
    time_limit: Duration,
}

impl std::fmt::Debug for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("tests", &self.tests.len()).finish_non_exhaustive()
    }
}

impl Suite {
    /// Loads the Rego of folders, tests included, and their data, each mounted at its folder's path.
    ///
    /// # Errors
    ///
    /// See [`LoadError`].
    pub fn load(roots: &[PathBuf], time_limit: Duration) -> Result<Self, LoadError> {
        let mut sources = Vec::new();
        let mut data = Vec::new();
        for root in roots {
            let bundle = read(root)?;
            let modules = bundle.modules().iter().chain(bundle.tests());
            sources.extend(modules.map(|module| Source {
                path: root.join(&module.path).display().to_string(),
                text: module.text.clone(),
                is_v0: module.rego_version == RegoVersion::V0,
            }));
            data.push(serde_json::Value::Object(bundle.data().clone()));
        }
        let mut tests = find::tests(&mut engine(&sources)?);
        if tests.is_empty() {
            return Err(LoadError::NoTests);
        }
        // Rules of one name are one rule to the evaluator, and several tests to OPA.
        find::separate(&mut tests, &mut sources);
        let mut engine = engine(&sources)?;
        for document in data {
            engine.add_data(Value::from(document)).map_err(|error| rego(&error.to_string()))?;
        }
        Ok(Self { engine, tests, time_limit })
    }

    /// Runs the tests in the order of their files.
    #[must_use]
    pub fn run(&self) -> Vec<TestResult> {
        self.tests.iter().map(|test| self.run_one(test)).collect()
    }

    fn run_one(&self, test: &Found) -> TestResult {
        // A copy of an engine that ran nothing yet: no test sees what another left behind.
        let mut engine = self.engine.clone();
        let check_interval = NonZeroU32::MIN.saturating_add(TIMER_STEPS);
        engine.set_execution_timer_config(ExecutionTimerConfig { limit: self.time_limit, check_interval });
        let began = Instant::now();
        let verdict = if test.is_skipped {
            Verdict::Skipped
        } else if test.has_cases {
            Verdict::Error("cases in a rule's head are not served: use `every case in cases`".to_owned())
        } else {
            match engine.eval_rule(format!("{}.{}", test.package, test.rule)) {
                Ok(Value::Bool(true)) => Verdict::Pass,
                Ok(_) => Verdict::Fail,
                Err(error) => Verdict::Error(one_line(&error.to_string())),
            }
        };
        TestResult {
            file: test.file.clone(),
            row: test.row,
            column: test.column,
            package: test.package.clone(),
            name: test.name.clone(),
            verdict,
            duration: began.elapsed(),
            prints: engine.take_prints().unwrap_or_default(),
        }
    }
}

fn read(root: &Path) -> Result<Bundle, LoadError> {
    let options = PackOptions { tests: true, ..PackOptions::default() };
    let files = Files::read(root, &options)?;
    let limits = BundleLimits { files: options.files, ..BundleLimits::default() };
    Bundle::from_files(files.iter().map(|(path, content)| (path, content.to_vec())), &limits)
        .map_err(|source| LoadError::Bundle { root: root.to_owned(), source })
}

fn engine(sources: &[Source]) -> Result<Engine, LoadError> {
    let mut engine = Engine::new();
    engine.set_gather_prints(true);
    engine.set_strict_builtin_errors(false);
    for source in sources {
        engine.set_rego_v0(source.is_v0);
        engine
            .add_policy(source.path.clone(), source.text.clone())
            .map_err(|error| rego(&error.to_string()))?;
    }
    Ok(engine)
}

fn rego(message: &str) -> LoadError {
    LoadError::Rego { message: one_line(message) }
}

/// The evaluator's message without its picture: `file:line:column: what`.
fn one_line(message: &str) -> String {
    let lines = || message.lines().map(str::trim);
    let place = lines().find_map(|line| line.strip_prefix("--> "));
    let what = lines().find_map(|line| line.strip_prefix("error: "));
    match (place, what) {
        (Some(place), Some(what)) => format!("{place}: {what}"),
        _ => message.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
