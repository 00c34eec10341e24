//! Which definitions held: asked for decisions that do not allow, of a second compilation, so that others pay nothing.
//!
//! Each definition that the decision can reach is copied under a name of its own, `remit_rule_<n>`, behind the text of
//! its module, so that lines stay the author's; one more rule gathers those that have a value.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use regorus::unstable::{Expr, Module, Ref, Rule, RuleHead};
use regorus::{Engine, Rc, Value};

use super::document::Document;
use super::engine::{self, Bytecode};
use super::error::EvaluationError;
use super::functions::Called;
use super::limits::EvaluationBudget;
use super::place::Place;
use super::survey::{self, Path, Survey};
use super::{graph, walk};

const GATHERED: &str = "remit_explained";
const COPY: &str = "remit_rule_";

/// A definition that held, or a default that stood in for all others of its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The rule, as `data.remit.authz.deny`.
    pub rule: String,
    /// Where the definition stands in the bundle.
    pub at: Place,
    /// Whether it is a default.
    pub is_default: bool,
    /// What it gave; `None` for a default. Values may hold what nobody should read in a log.
    pub value: Option<Document>,
}

/// What tells which definitions held.
pub(super) struct Explainer {
    evaluator: Evaluator,
    rule: String,
    definitions: Vec<Definition>,
}

enum Evaluator {
    Bytecode(Box<Bytecode>),
    Interpreter(Box<Engine>),
}

/// What is asked about; the number in its copy's name is its place in the list.
struct Definition {
    path: Path,
    at: Place,
    is_default: bool,
}

/// A second text of a policy.
pub(super) struct Marked {
    /// Behind the texts of modules, by path in the bundle.
    ends: BTreeMap<String, String>,
    /// A module more, in Rego v1.
    gathering: String,
    rule: String,
    definitions: Vec<Definition>,
}

impl Marked {
    /// `None` where a name is taken.
    pub(super) fn of(survey: &Survey<'_>, decision: &Path, modules: &[Ref<Module>]) -> Option<Self> {
        let taken = |name: &String| name.starts_with(COPY) || name == GATHERED;
        if survey.rules.keys().any(|path| path.iter().any(taken)) {
            return None;
        }
        let (_, package) = decision.split_last()?;
        let mut marked = Self {
            ends: BTreeMap::new(),
            gathering: format!("package {}\n", package.join(".")),
            rule: format!("data.{}.{GATHERED}", package.join(".")),
            definitions: Vec::new(),
        };
        let packages: BTreeMap<&str, Path> = modules
            .iter()
            .map(|module| (module.package.span.source.get_path().as_str(), survey::package_of(module)))
            .collect();
        for path in reachable(survey, decision) {
            let Some(facts) = survey.rules.get(path).filter(|facts| facts.arity.is_none()) else { continue };
            for definition in &facts.definitions {
                let at = Place::of(definition.rule.span());
                let number = marked.definitions.len();
                let is_default = matches!(definition.rule, Rule::Default { .. });
                if !is_default {
                    let Some(package) = packages.get(at.file.as_str()) else { continue };
                    let Some(copy) = copied(definition.rule, modules, number) else { continue };
                    marked.ends.entry(at.file.clone()).or_default().push_str(&copy);
                    marked.gather(package, number, is_partial(definition.rule));
                }
                marked.definitions.push(Definition { path: path.clone(), at, is_default });
            }
        }
        Some(marked)
    }

    fn gather(&mut self, package: &Path, number: usize, is_partial: bool) {
        let package = package.join(".");
        // A partial rule without elements is defined, and nothing held.
        let filled = if is_partial { "; count(remit_value) > 0" } else { "" };
        self.gathering.push_str(&format!(
            "{GATHERED} contains [{number}, remit_value] if {{ remit_value := data.{package}.{COPY}{number}{filled} }}\n"
        ));
    }

    /// An engine with these texts, and what stands behind them.
    pub(super) fn engine(&self, texts: impl Iterator<Item = (String, String, bool)>) -> Option<Engine> {
        let mut engine = Engine::new();
        for (path, mut text, is_v0) in texts {
            engine.set_rego_v0(is_v0);
            text.push('\n');
            text.push_str(self.ends.get(&path).map_or("", String::as_str));
            engine.add_policy(path, text).ok()?;
        }
        engine.set_rego_v0(false);
        engine.add_policy("remit_explained.rego".to_owned(), self.gathering.clone()).ok()?;
        Some(engine)
    }
}

impl Explainer {
    /// By the bytecode, of texts that are safe for it.
    pub(super) fn bytecode(
        marked: Marked,
        mut engine: Engine,
        called: &Called,
        data: &Value,
    ) -> Option<Self> {
        let compiled = engine.compile_with_entrypoint(&Rc::from(marked.rule.as_str())).ok()?;
        let bytecode = Bytecode::compile(&compiled, &marked.rule, called, |_| true, data.clone()).ok()?;
        let evaluator = Evaluator::Bytecode(Box::new(bytecode));
        Some(Self { evaluator, rule: marked.rule, definitions: marked.definitions })
    }

    /// By the interpreter.
    pub(super) fn interpreter(
        marked: Marked,
        mut engine: Engine,
        called: &Called,
        survey: &Survey<'_>,
        data: &Value,
    ) -> Option<Self> {
        called.extend(&mut engine, survey);
        engine.add_data(data.clone()).ok()?;
        engine.set_gather_prints(true);
        engine.set_strict_builtin_errors(false);
        engine.compile_with_entrypoint(&Rc::from(marked.rule.as_str())).ok()?;
        let evaluator = Evaluator::Interpreter(Box::new(engine));
        Some(Self { evaluator, rule: marked.rule, definitions: marked.definitions })
    }

    pub(super) fn run(&self, input: Value, budget: &EvaluationBudget) -> Result<Vec<Held>, EvaluationError> {
        let gathered = match &self.evaluator {
            Evaluator::Bytecode(bytecode) => bytecode.run(input, budget)?,
            Evaluator::Interpreter(engine) => engine::interpret(engine, &self.rule, input, budget)?,
        };
        let mut values: BTreeMap<usize, Value> = BTreeMap::new();
        for pair in gathered.iter().filter_map(|set| set.as_set().ok()).flat_map(|set| set.iter()) {
            let Ok(pair) = pair.as_array() else { continue };
            let mut parts = pair.iter();
            let number = parts.next().and_then(|number| usize::try_from(number.as_u64().ok()?).ok());
            if let (Some(number), Some(value)) = (number, parts.next()) {
                values.insert(number, value.clone());
            }
        }
        let decided: BTreeSet<&Path> =
            values.keys().filter_map(|number| Some(&self.definitions.get(*number)?.path)).collect();
        let held = self.definitions.iter().enumerate().filter_map(|(number, definition)| {
            let value = values.remove(&number);
            let holds =
                if definition.is_default { !decided.contains(&definition.path) } else { value.is_some() };
            holds.then(|| Held {
                rule: format!("data.{}", definition.path.join(".")),
                at: definition.at.clone(),
                is_default: definition.is_default,
                value: value.map(Document),
            })
        });
        Ok(held.collect())
    }
}

/// The rules that the decision can need, the nearest first.
fn reachable<'a>(survey: &'a Survey<'_>, decision: &Path) -> Vec<&'a Path> {
    let mut found: Vec<&Path> = Vec::new();
    let mut next: VecDeque<&Path> =
        survey.rules.get_key_value(decision).map(|(path, _)| path).into_iter().collect();
    while let Some(path) = next.pop_front() {
        if !found.contains(&path) {
            found.push(path);
            next.extend(graph::needs(survey, path));
        }
    }
    found
}

/// A definition under its copy's name, up to where the next one begins. `None` for a name of several parts.
fn copied(rule: &Rule, modules: &[Ref<Module>], number: usize) -> Option<String> {
    let Expr::Var { span: name, .. } = walk::head_of(rule) else { return None };
    let source = &rule.span().source;
    let module = modules.iter().find(|module| module.package.span.source.get_path() == source.get_path())?;
    let start = rule.span().start;
    let next = module.policy.iter().map(|other| other.span().start).filter(|other| *other > start).min();
    let text = source.get_contents();
    let end = next.map_or(Some(text.len()), |next| usize::try_from(next).ok())?;
    let rest = text.get(usize::try_from(name.end).ok()?..end)?.trim_end();
    Some(format!("{COPY}{number}{}\n", rest.strip_suffix("default").unwrap_or(rest)))
}

fn is_partial(rule: &Rule) -> bool {
    match rule {
        Rule::Spec { head: RuleHead::Set { .. }, .. } => true,
        Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } => !matches!(refr.as_ref(), Expr::Var { .. }),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
