//! How long a decision takes in the bytecode machine, and each rule by itself.

mod report;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use remit_core::bundle::Bundle;
use remit_core::config::Limits;
use remit_core::engine::bundle_limits;
use remit_core::ids::Now;
use remit_core::policy::{
    Document, EngineKind, EvaluationBudget, EvaluationError, Policy, PolicyLimits, Surroundings,
};
use serde_json::Value;

use crate::eval::{TIME, path};
use crate::rego::definitions;

/// The times of a rule on all inputs.
#[derive(Debug, Clone)]
pub struct Timed {
    /// The rule, as `data.remit.authz.deny`.
    pub rule: String,
    /// File and line of its first definition.
    pub at: String,
    /// What came of it.
    pub result: Outcome,
}

/// What came of a rule's runs.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The median of a run on one input.
    Median {
        /// How long.
        median: Duration,
        /// Which evaluator served.
        engine: EngineKind,
        /// Inputs on which the rule is undefined.
        undefined: usize,
    },
    /// It cannot be measured, and why.
    Failed(String),
}

/// What was measured: the decision first, then the other rules, the slowest first.
#[derive(Debug, Clone)]
pub struct Benchmark {
    /// How often each rule ran on each input.
    pub runs: u32,
    /// How many inputs there were.
    pub inputs: usize,
    /// The decision.
    pub decision: Timed,
    /// The rules, without functions: these run as part of others.
    pub rules: Vec<Timed>,
}

/// Measures a packed bundle, with this as the present.
///
/// # Errors
///
/// When the bundle cannot be read, or the decision cannot be evaluated.
pub fn benchmark(archive: &[u8], decision: &str, inputs: &[Value], runs: u32, now: Now) -> Result<Benchmark> {
    let limits = Limits::default();
    let bundle = Bundle::from_targz(archive, &bundle_limits(&limits)).context("bundle")?;
    let mut places: BTreeMap<String, String> = BTreeMap::new();
    for definition in definitions(&bundle).into_iter().filter(|definition| !definition.is_function) {
        let at = format!("{}:{}", definition.file, definition.line);
        places.entry(definition.rule).or_insert(at);
    }
    let decision = format!("data.{}", path(decision).replace('/', "."));
    let bench = Bench { bundle: &bundle, limits: &limits, inputs, runs, now };
    let first = bench.timed(&decision, places.get(&decision).cloned().unwrap_or_default());
    if let Outcome::Failed(problem) = &first.result {
        return Err(anyhow!("{decision}: {problem}"));
    }
    let mut rules: Vec<_> = places
        .into_iter()
        .filter(|(rule, _)| *rule != decision)
        .map(|(rule, at)| bench.timed(&rule, at))
        .collect();
    rules.sort_by_key(|timed| std::cmp::Reverse(timed.median()));
    Ok(Benchmark { runs, inputs: inputs.len(), decision: first, rules })
}

impl Timed {
    /// The median, where there is one.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        match &self.result {
            Outcome::Median { median, .. } => Some(*median),
            Outcome::Failed(_) => None,
        }
    }
}

struct Bench<'a> {
    bundle: &'a Bundle,
    limits: &'a Limits,
    inputs: &'a [Value],
    runs: u32,
    now: Now,
}

impl Bench<'_> {
    fn timed(&self, rule: &str, at: String) -> Timed {
        let result = self.run(rule).unwrap_or_else(Outcome::Failed);
        Timed { rule: rule.to_owned(), at, result }
    }

    fn run(&self, rule: &str) -> Result<Outcome, String> {
        let limits = PolicyLimits {
            source_bytes: self.limits.bundle_unpacked_bytes,
            rule_depth: self.limits.rule_depth,
            ..PolicyLimits::default()
        };
        let policy = Policy::compile(self.bundle, &path(rule), &limits).map_err(|error| error.to_string())?;
        let budget = EvaluationBudget { time: TIME, ..self.limits.evaluation() };
        let (mut times, mut undefined) = (Vec::new(), 0_usize);
        for input in self.inputs {
            let input = Document::from_json(input);
            // The first run of a machine is not like the others.
            for run in 0..=self.runs {
                let (mut around, input) = (Surroundings::at(self.now), input.clone());
                let began = Instant::now();
                let evaluated = policy.evaluate_in(&mut around, input, &budget);
                let took = began.elapsed();
                match evaluated {
                    Ok(_) => {}
                    Err(EvaluationError::Undefined) if run == 0 => undefined = undefined.saturating_add(1),
                    Err(EvaluationError::Undefined) => {}
                    Err(error) => return Err(error.to_string()),
                }
                if run > 0 {
                    times.push(took);
                }
            }
        }
        times.sort_unstable();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        Ok(Outcome::Median { median, engine: policy.engine(), undefined })
    }
}
