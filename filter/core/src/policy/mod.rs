//! The operator's Rego, compiled once and evaluated for every request. The only user of regorus.

mod ahead;
mod annotations;
mod awaits;
mod bound;
mod builtins;
mod calls;
mod declared;
mod document;
mod edit;
mod engine;
mod error;
mod explain;
mod facts;
mod faithful;
mod fallback;
mod footprint;
mod functions;
mod graph;
mod http_send;
mod imports;
mod limits;
mod loose;
mod names;
mod nesting;
mod order;
mod patterns;
mod place;
mod prints;
mod problems;
mod reads;
mod refused;
mod rewrite;
mod risks;
mod scope;
mod shadow;
mod shown;
mod sources;
mod surroundings;
mod survey;
mod templates;
#[cfg(test)]
mod tests;
mod walk;
mod walked;
mod weights;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use regorus::unstable::{Module, Ref};
use regorus::{Engine, Rc, Value};

use crate::bundle::Bundle;
use crate::ids::ReasonCode;
use engine::{Bytecode, NoBytecode};
use explain::{Explainer, Noted};
use functions::{Called, Patterns};
use problems::Problems;
use risks::Risks;
use sources::{faithfully, parse, parsed};
use survey::Survey;

pub use builtins::Refusal;
pub use document::{Document, Key};
pub use error::{EvaluationError, PolicyError};
pub use explain::{Explanation, Given, Held};
pub use fallback::{EngineKind, Fallback};
pub use footprint::{Fields, Footprint, FootprintId};
pub use functions::{around, serve, served};
pub use http_send::{HttpCache, HttpCall, HttpReply};
pub use limits::{EvaluationBudget, PolicyLimits};
pub use nesting::NestingFault;
pub use place::Place;
pub use reads::Reads;
pub use refused::Construct;
pub use risks::Unseen;
pub use sources::{add_module, faithful_texts, parser};
pub use surroundings::Surroundings;

/// A bundle's policy, ready to decide.
pub struct Policy {
    /// `data.remit.authz.decision`.
    rule: String,
    /// Prepared; cloned for an evaluation by the interpreter.
    interpreter: Engine,
    evaluator: Evaluator,
    /// Absent where the policy cannot be compiled a second time.
    explainer: Option<Explainer>,
    /// Whether it needs to know what is around an evaluation.
    looks_around: bool,
    /// Whether the decision could be endless to walk.
    is_heavy: bool,
    patterns: std::rc::Rc<Patterns>,
    data: Value,
    reads: Reads,
    footprint: Footprint,
    reason_codes: BTreeSet<ReasonCode>,
}

enum Evaluator {
    Bytecode(Box<Bytecode>),
    Interpreter(Fallback),
}

/// The value of the decision, as the policy gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// Any value but undefined; whether it is a decision is for the caller to say.
    pub value: Document,
}

impl Policy {
    /// Compiles the modules of a bundle for one decision, a path such as `remit/authz/decision`.
    ///
    /// # Errors
    ///
    /// See [`PolicyError`]; each names the file, and line and column where there is one.
    pub fn compile(bundle: &Bundle, decision: &str, limits: &PolicyLimits) -> Result<Self, PolicyError> {
        let path = decision_path(decision)?;
        let rule = format!("data.{}", path.join("."));
        let mut interpreter = parse(bundle, limits, &BTreeMap::new())?;
        if !limits.print {
            let modules = interpreter.get_modules().clone();
            let erased = prints::erased(&survey::survey(&modules), &modules);
            if !erased.is_empty() {
                interpreter = parse(bundle, limits, &erased)?;
            }
        }
        let mut problems = Problems::default();
        let reason_codes = reason_codes(bundle, &mut problems);
        let modules = interpreter.get_modules().clone();
        check_roots(bundle, &modules, &mut problems);
        let survey = survey::survey(&modules);
        let shown = shown::names(&survey, Some(&path));
        if !survey.rules.contains_key(&path) && !shown.contains(&path) {
            problems.add(PolicyError::NoDecision { path: decision.to_owned() });
        }
        refused::check(&survey, &shown, &mut problems);
        calls::check(&survey, limits, &mut problems);
        let taken = survey.taken.iter().filter_map(patterns::Taken::call);
        let rewritten: Vec<_> = survey.expressions.iter().copied().chain(taken).collect();
        calls::check_results(&survey, &rewritten, &mut problems);
        bound::check(&survey, &modules, &mut problems);
        order::check(&survey, &modules, &mut problems);
        declared::check(&modules, &mut problems);
        problems.take(graph::order(&survey, limits.rule_depth));
        problems.end()?;
        let (rewritten, mut interpreter) = faithfully(bundle, interpreter, &shown)?;
        let modules = interpreter.get_modules().clone();
        let survey = if rewritten { survey::survey(&modules) } else { survey };
        if rewritten {
            graph::order(&survey, limits.rule_depth)?;
        }
        let walked = walked::rewrite(&survey, &modules, &path);
        let modules_walked;
        let (modules, survey) = match walked.texts {
            None => (&modules, survey),
            Some(texts) => {
                interpreter = parsed(bundle, texts)?;
                modules_walked = interpreter.get_modules().clone();
                (&modules_walked, survey::survey(&modules_walked))
            }
        };
        // None is left, else the interpreter would call it past the meter.
        let mut problems = Problems::default();
        calls::check_results(&survey, &[], &mut problems);
        problems.end()?;
        let called = Called::of(&survey);
        let data = data_of(bundle);
        prepare(&mut interpreter, &survey, &called, &rule, &data).map_err(|error| match error {
            PolicyError::Analysis { .. } => {
                problems::of_analysis(error, modules, &rule, |texts| parsed(bundle, texts).ok())
            }
            other => other,
        })?;
        let evaluator = match bytecode(bundle, &survey, &called, modules, &rule, &BTreeSet::new(), &data) {
            Ok(bytecode) => Evaluator::Bytecode(Box::new(bytecode)),
            Err(NoBytecode::Interpreted(why)) => Evaluator::Interpreter(why),
            Err(NoBytecode::Wrong { at, message }) => {
                return Err(PolicyError::Analysis { at: at.unwrap_or_else(Place::nowhere), message });
            }
        };
        let explainer = explainer(bundle, &survey, modules, (&path, &rule), &evaluator, &data);
        let (reads, footprint) = (Reads::of(&survey, &called), Footprint::of(&survey.inputs));
        let is_heavy = walked.is_heavy;
        let looks_around = is_heavy || called.look_around(&survey) || prints::first(&survey).is_some();
        let patterns = std::rc::Rc::new(Patterns::of(&survey));
        Ok(Self {
            rule,
            interpreter,
            evaluator,
            explainer,
            looks_around,
            is_heavy,
            patterns,
            data,
            reads,
            footprint,
            reason_codes,
        })
    }

    /// Evaluates the decision on an input, with nothing around it. No evaluation leaves anything behind for the next one.
    ///
    /// # Errors
    ///
    /// See [`EvaluationError`]; each has to become a denial.
    pub fn evaluate(&self, input: Document, budget: &EvaluationBudget) -> Result<Evaluated, EvaluationError> {
        self.evaluate_in(&mut Surroundings::default(), input, budget)
    }

    /// Evaluates the decision on an input and on what is around it.
    ///
    /// # Errors
    ///
    /// See [`EvaluationError`]; each has to become a denial.
    pub fn evaluate_in(
        &self,
        around: &mut Surroundings,
        input: Document,
        budget: &EvaluationBudget,
    ) -> Result<Evaluated, EvaluationError> {
        let budget = budget.begun();
        if !self.looks_around {
            return self.run(input, &budget);
        }
        around.know(&self.patterns);
        around.begin(&budget);
        let outcome = functions::surrounded(around, || self.run(input, &budget));
        match around.take_stop() {
            Some(stop) => Err(stop),
            None if self.is_heavy => outcome.and_then(|evaluated| {
                around.walks(&evaluated.value.0).map_err(|functions::Stop(stop)| stop)?;
                Ok(evaluated)
            }),
            None => outcome,
        }
    }

    /// Which definitions held on an input, and which defaults stood in. Costs as much as the decision.
    pub fn explain(
        &self,
        around: &mut Surroundings,
        input: Document,
        budget: &EvaluationBudget,
    ) -> Explanation {
        let Some(explainer) = &self.explainer else {
            let message = "the policy cannot be explained".to_owned();
            return Explanation {
                cut: Some(EvaluationError::Failed { at: None, message }),
                ..Explanation::default()
            };
        };
        around.know(&self.patterns);
        around.begin(budget);
        around.begin_notes();
        let outcome = functions::surrounded(around, || explainer.run(&self.rule, input.0, budget));
        let mut cut = around.take_stop().or(outcome.err());
        let mut held = explainer.held(around.take_notes(), cut.is_some());
        for given in held.iter_mut().map(|held| &mut held.given) {
            let walked = given.iter().try_for_each(|given| around.walks(&given.value.0));
            if let Err(functions::Stop(stop)) = walked {
                cut.get_or_insert(stop);
                given.clear();
            }
        }
        Explanation { held, cut }
    }

    fn run(&self, input: Document, budget: &EvaluationBudget) -> Result<Evaluated, EvaluationError> {
        let Evaluator::Bytecode(bytecode) = &self.evaluator else {
            return evaluated(engine::interpret(&self.interpreter, &self.rule, input.0, budget)?);
        };
        match bytecode.run(input.0.clone(), budget) {
            // Undefined may be a conflict, and an overflow may be a rewritten one: the interpreter tells.
            Ok(None) | Err(EvaluationError::Overflow) => {
                let exhausted = EvaluationError::TimeExhausted { milliseconds: budget.time.as_millis() };
                let left = budget.left().ok_or(exhausted)?;
                match engine::interpret(&self.interpreter, &self.rule, input.0, &left)? {
                    None => Err(EvaluationError::Undefined),
                    Some(_) => Err(EvaluationError::Disagreement),
                }
            }
            outcome => evaluated(outcome?),
        }
    }

    /// Which evaluator serves the policy; the load log says so.
    #[must_use]
    pub fn engine(&self) -> EngineKind {
        match &self.evaluator {
            Evaluator::Bytecode(_) => EngineKind::Bytecode,
            Evaluator::Interpreter(why) => EngineKind::Interpreter { why: why.clone() },
        }
    }

    /// The same policy without its bytecode, to compare the two.
    #[must_use]
    pub fn interpreted(self) -> Self {
        let why = Fallback::Unsupported { at: None, message: "asked for".to_owned() };
        Self { evaluator: Evaluator::Interpreter(why), ..self }
    }

    /// A part of the bundle's data, such as the catalog at `["remit", "catalog"]`.
    #[must_use]
    pub fn data_at(&self, path: &[&str]) -> Option<serde_json::Value> {
        let mut at = &self.data;
        for part in path {
            at = at.as_object().ok()?.get(&Value::from(*part))?;
        }
        document::json_of(at)
    }

    /// Whether an evaluation has to know what is around it.
    #[must_use]
    pub fn looks_around(&self) -> bool {
        self.looks_around
    }

    /// Which parts of the input the policy can read.
    #[must_use]
    pub fn reads(&self) -> Reads {
        self.reads
    }

    /// Which paths of the input the policy can read.
    #[must_use]
    pub fn footprint(&self) -> &Footprint {
        &self.footprint
    }

    /// The reason codes that the policy's annotations announce.
    #[must_use]
    pub fn reason_codes(&self) -> &BTreeSet<ReasonCode> {
        &self.reason_codes
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("rule", &self.rule)
            .field("engine", &self.engine())
            .finish_non_exhaustive()
    }
}

fn evaluated(value: Option<Value>) -> Result<Evaluated, EvaluationError> {
    value.map(|value| Evaluated { value: Document(value) }).ok_or(EvaluationError::Undefined)
}

/// By the bytecode where the decision is evaluated by it, if that goes; else by the interpreter.
fn explainer(
    bundle: &Bundle,
    survey: &Survey<'_>,
    modules: &[Ref<Module>],
    (decision, rule): (&survey::Path, &str),
    evaluator: &Evaluator,
    data: &Value,
) -> Option<Explainer> {
    let (noted, texts) = Noted::of(survey, decision, modules)?;
    let mut engine = parsed(bundle, texts).ok()?;
    let modules = engine.get_modules().clone();
    let survey = survey::survey(&modules);
    let called = Called::of(&survey);
    if let Evaluator::Bytecode(_) = evaluator
        && let Ok(bytecode) = bytecode(bundle, &survey, &called, &modules, rule, &noted.alike, data)
    {
        return Some(Explainer::new(explain::Evaluator::Bytecode(Box::new(bytecode)), noted));
    }
    prepare(&mut engine, &survey, &called, rule, data).ok()?;
    Some(Explainer::new(explain::Evaluator::Interpreter(Box::new(engine)), noted))
}

/// Has an interpreter of modules evaluate as OPA does.
fn prepare(
    engine: &mut Engine,
    survey: &Survey<'_>,
    called: &Called,
    rule: &str,
    data: &Value,
) -> Result<(), PolicyError> {
    called.extend(engine, survey);
    engine
        .add_data(data.clone())
        .map_err(|error| PolicyError::RuleDataConflict { message: place::located(&error.to_string()).1 })?;
    engine.set_gather_prints(true);
    // As OPA does: a builtin that fails is undefined.
    engine.set_strict_builtin_errors(false);
    // Prepares the engine, and with it analyses the modules.
    engine.compile_with_entrypoint(&Rc::from(rule)).map_err(|error| analysis(&error.to_string()))?;
    Ok(())
}

/// Compiles to bytecode, of rewritten modules where two values could meet.
fn bytecode(
    bundle: &Bundle,
    survey: &Survey<'_>,
    called: &Called,
    modules: &[Ref<Module>],
    rule: &str,
    alike: &BTreeSet<String>,
    data: &Value,
) -> Result<Bytecode, NoBytecode> {
    let risks = Risks::of(survey);
    if let Some((at, what)) = risks.unseen {
        return Err(NoBytecode::Interpreted(Fallback::Unseen { at, what }));
    }
    let unsupported = |message: String| NoBytecode::Interpreted(Fallback::Unsupported { at: None, message });
    if let Some(at) = prints::first(survey) {
        let message = "print is for the interpreter, where it is wanted at all".to_owned();
        return Err(NoBytecode::Interpreted(Fallback::Unsupported { at: Some(at), message }));
    }
    if let Some(name) = called.redefined(survey) {
        return Err(unsupported(format!(
            "the bundle has a function {name} of its own and calls the builtin too"
        )));
    }
    let texts = rewrite::rewrite(survey, &risks.rewritable, modules)
        .ok_or_else(|| unsupported("a rule is named remit_one or remit_values_…".to_owned()))?;
    let mut engine = parsed(bundle, texts).map_err(|error| unsupported(error.to_string()))?;
    let compiled = engine
        .compile_with_entrypoint(&Rc::from(rule))
        .map_err(|error| unsupported(place::located(&error.to_string()).1))?;
    // The compiler calls `_` undefined, and the first part of a rule's dotted name.
    let is_variable = |name: &str| name != "_" && !survey.names_part_of_a_rule(name);
    Bytecode::compile(&compiled, rule, called, is_variable, alike, data.clone())
}

fn decision_path(decision: &str) -> Result<survey::Path, PolicyError> {
    let path: survey::Path = decision.split('/').map(str::to_owned).collect();
    let is_identifier = |part: &String| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && !part.starts_with(|c: char| c.is_ascii_digit())
    };
    if path.len() < 2 || !path.iter().all(is_identifier) {
        return Err(PolicyError::DecisionPath { path: decision.to_owned() });
    }
    Ok(path)
}

fn reason_codes(bundle: &Bundle, problems: &mut Problems) -> BTreeSet<ReasonCode> {
    let mut codes = BTreeSet::new();
    for module in bundle.modules() {
        annotations::reason_codes(module, &mut codes, problems);
    }
    codes
}

fn check_roots(bundle: &Bundle, modules: &[Ref<Module>], problems: &mut Problems) {
    for module in modules {
        let package = survey::package_of(module).join("/");
        let file = module.package.span.source.get_path();
        if !bundle.modules().iter().any(|module| module.path == *file && module.may_hold(&package)) {
            problems.add(PolicyError::PackageOutsideRoots { at: Place::of(&module.package.span), package });
        }
    }
}

fn data_of(bundle: &Bundle) -> Value {
    Document::from_json_owned(serde_json::Value::Object(bundle.data().clone())).0
}

fn analysis(error: &str) -> PolicyError {
    let (at, message) = place::located(error);
    PolicyError::Analysis { at: at.unwrap_or_else(Place::nowhere), message }
}
