//! The two evaluators of regorus: its bytecode machine, and its interpreter for what the bytecode cannot do.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use regorus::languages::rego::compiler::{Compiler, CompilerError};
use regorus::rvm::program::Program;
use regorus::rvm::vm::{RegoVM, VmError};
use regorus::{CompiledPolicy, Engine, LimitError, Value};

use super::Fallback;
use super::error::EvaluationError;
use super::functions::{self, Called};
use super::limits::EvaluationBudget;
use super::place::{self, Place};

/// The bytecode of one rule and a machine that has run it before.
pub(super) struct Bytecode {
    program: Arc<Program>,
    entry: String,
    machine: RefCell<RegoVM>,
    data: Value,
}

/// Why there is no bytecode.
pub(super) enum NoBytecode {
    /// The interpreter has to do it.
    Interpreted(Fallback),
    /// The policy is wrong, whoever evaluates it.
    Wrong { at: Option<Place>, message: String },
}

impl Bytecode {
    pub(super) fn compile(
        policy: &CompiledPolicy,
        entry: &str,
        called: &Called,
        is_variable: impl Fn(&str) -> bool,
        alike: &BTreeSet<String>,
        data: Value,
    ) -> Result<Self, NoBytecode> {
        let signatures = called.signatures();
        let compiled = Compiler::compile_from_policy_with_host_await(policy, &[entry], &signatures);
        let program = compiled.map_err(|error| {
            let at = error.span.as_ref().map(Place::of);
            let message = error.error.to_string();
            match error.error {
                CompilerError::UnknownFunction { .. } => NoBytecode::Wrong { at, message },
                CompilerError::UndefinedVariable { name } if is_variable(&name) => {
                    NoBytecode::Wrong { at, message }
                }
                _ => NoBytecode::Interpreted(Fallback::Unsupported { at, message }),
            }
        })?;
        let mut program = lightened(Arc::unwrap_or_clone(program), alike);
        functions::install(&mut program);
        let program = Arc::new(program);
        let machine = machine(&program, &data)
            .map_err(|error| NoBytecode::Wrong { at: None, message: error.to_string() })?;
        Ok(Self { program, entry: entry.to_owned(), machine: RefCell::new(machine), data })
    }

    /// `None` for undefined.
    pub(super) fn run(
        &self,
        input: Value,
        budget: &EvaluationBudget,
    ) -> Result<Option<Value>, EvaluationError> {
        let mut machine = self
            .machine
            .try_borrow_mut()
            .map_err(|_| EvaluationError::Failed { at: None, message: "the machine is in use".to_owned() })?;
        machine.set_max_instructions(budget.instructions);
        // Setting it looks at the clock, as beginning does.
        let timer = Some(budget.timer());
        if machine.execution_timer_config() != timer {
            machine.set_execution_timer_config(timer);
        }
        machine.set_input(input);
        let outcome = machine.execute_entry_point_by_name(&self.entry);
        // The input is the caller's; what the machine keeps of it goes with the next evaluation.
        machine.set_input(Value::Undefined);
        match outcome {
            Ok(Value::Undefined) => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                // A machine that failed is not trusted to have put everything back.
                if let Ok(fresh) = self::machine(&self.program, &self.data) {
                    *machine = fresh;
                }
                Err(failure(&error, budget))
            }
        }
    }
}

/// The machine copies what it knows of a rule at each call of it, so what it does not need goes: names, and lists that
/// say of each definition that it has nothing special, which is what an absent list says too.
fn lightened(mut program: Program, alike: &BTreeSet<String>) -> Program {
    for rule in &mut program.rule_infos {
        // The compiler sees it only where values are written out.
        rule.early_exit_on_first_success |= alike.contains(&rule.name);
        rule.name = String::new();
        if let Some(function) = &mut rule.function_info {
            function.param_names = Vec::new();
        }
        if !rule.else_bodies.iter().flatten().any(|is_else| *is_else) {
            rule.else_bodies = Vec::new();
        }
        if rule.destructuring_blocks.iter().all(Option::is_none) {
            rule.destructuring_blocks = Vec::new();
        }
    }
    program
}

fn failure(error: &VmError, budget: &EvaluationBudget) -> EvaluationError {
    match error {
        VmError::InstructionLimitExceeded { limit, .. } => {
            EvaluationError::BudgetExhausted { instructions: *limit }
        }
        VmError::TimeLimitExceeded { .. } => {
            EvaluationError::TimeExhausted { milliseconds: budget.time.as_millis() }
        }
        VmError::NumericOverflow { .. } => EvaluationError::Overflow,
        other => {
            let (at, message) = place::located(&other.to_string());
            EvaluationError::Failed { at, message: without_values(&message) }
        }
    }
}

fn machine(program: &Arc<Program>, data: &Value) -> Result<RegoVM, VmError> {
    let mut machine = RegoVM::new();
    machine.load_program(Arc::clone(program));
    machine.set_data(data.clone())?;
    Ok(machine)
}

/// Runs the rule in the interpreter, on a copy of the prepared engine: cheaper than an engine that was used.
pub(super) fn interpret(
    engine: &Engine,
    rule: &str,
    input: Value,
    budget: &EvaluationBudget,
) -> Result<Option<Value>, EvaluationError> {
    let mut engine = engine.clone();
    engine.set_execution_timer_config(budget.timer());
    engine.set_input(input);
    let outcome = engine.eval_rule(rule.to_owned());
    if let Some(lines) = engine.take_prints().ok().filter(|lines| !lines.is_empty()) {
        functions::printed(lines);
    }
    match outcome {
        Ok(Value::Undefined) => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(interpreter_failure(&error, budget)),
    }
}

/// How the interpreter words a conflict: of a rule or function, of two rules, of an object's key.
const CONFLICTS: [(&str, &str); 3] = [
    ("multiple outputs", "a rule or a function has several values"),
    ("rule conflicts with rule", "a rule conflicts with another one"),
    ("value for key", "a key of an object has several values"),
];

/// A message up to the first value in it: those that a request brings are nobody's to log.
fn without_values(message: &str) -> String {
    // "Cannot add 1 and …", and the like.
    let end = match message.strip_prefix("Cannot ") {
        Some(rest) => rest.find(' ').map(|at| at.saturating_add("Cannot ".len())),
        None => {
            ["`", "\"", "value=", "template=", "left="].iter().filter_map(|begin| message.find(begin)).min()
        }
    };
    match end.and_then(|end| message.get(..end)) {
        Some(before) => format!("{}…", before.trim_end()),
        None => message.to_owned(),
    }
}

fn interpreter_failure(error: &dyn ErrorChain, budget: &EvaluationBudget) -> EvaluationError {
    if error.is_time_limit() {
        return EvaluationError::TimeExhausted { milliseconds: budget.time.as_millis() };
    }
    let (at, message) = place::located(&error.text());
    let conflict = CONFLICTS.into_iter().find(|(conflict, _)| message.contains(conflict));
    match (at, conflict) {
        // What it says besides are keys and values, of the request as well.
        (Some(at), Some((_, meaning))) => EvaluationError::Conflict { at, message: meaning.to_owned() },
        (at, _) => EvaluationError::Failed { at, message: without_values(&message) },
    }
}

/// What is asked of regorus' error type, whose crate is not a dependency of ours.
trait ErrorChain {
    fn is_time_limit(&self) -> bool;
    fn text(&self) -> String;
}

impl<E> ErrorChain for E
where
    E: std::ops::Deref<Target = dyn std::error::Error + Send + Sync> + std::fmt::Display,
{
    fn is_time_limit(&self) -> bool {
        matches!(self.deref().downcast_ref::<LimitError>(), Some(LimitError::TimeLimitExceeded { .. }))
    }

    fn text(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn a_message_ends_before_the_first_value() {
        for (message, expected) in [
            ("value for key `\"session\"` generated", "value for key…"),
            ("Cannot iterate over String(\"SECRET\") (pc=7)", "Cannot iterate…"),
            (
                "Register 3 does not contain a set (value=Number(1), pc=2)",
                "Register 3 does not contain a set (…",
            ),
            (
                "recursion detected when evaluating rule: (data.p.d)",
                "recursion detected when evaluating rule: (data.p.d)",
            ),
        ] {
            assert_eq!(without_values(message), expected);
        }
    }
}
