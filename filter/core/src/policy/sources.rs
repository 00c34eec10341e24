//! The modules of a bundle as the evaluators get them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};

use regorus::Engine;
use regorus::unstable::{Module, Ref};
use regorus::utils::limits::PolicyLengthConfig;

use super::error::PolicyError;
use super::limits::PolicyLimits;
use super::place::{self, Place};
use super::problems::Problems;
use super::{analysis, bound, facts, faithful, graph, imports, nesting, shadow, shown, survey, templates};
use crate::bundle::{Bundle, RegoVersion};
use crate::ordered;

/// Texts by path as the evaluators of a [`Policy`](super::Policy) get them, lines kept, for an interpreter of somebody
/// else's; `is_v0` says of a path whether it is Rego v0.
///
/// # Errors
///
/// [`PolicyError::Nested`] and [`PolicyError::Syntax`] where a text does not parse; [`PolicyError::Analysis`] where a
/// name has no value; [`PolicyError::Recursion`] and [`PolicyError::TooDeep`] where evaluating would not end, or not in its stack.
pub fn faithful_texts(
    texts: BTreeMap<String, String>,
    is_v0: &dyn Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>, PolicyError> {
    let mut problems = Problems::default();
    let mut engine = parser();
    for (path, text) in &texts {
        problems.take(add_module(&mut engine, is_v0(path), path, text));
    }
    problems.end()?;
    let modules = engine.get_modules().clone();
    let survey = survey::survey(&modules);
    let mut problems = Problems::default();
    bound::check(&survey, &modules, &mut problems);
    // Tests stand above the rules that they test.
    problems.take(graph::order(&survey, PolicyLimits::default().rule_depth.saturating_mul(2)));
    problems.end()?;
    let names = shown::names(&survey, None);
    let (_, mut engine) = rewritten(engine, &names, is_v0)?;
    let modules = engine.get_modules().clone();
    let sources = modules.iter().map(|module| &module.package.span.source);
    Ok(ordered::map(sources.map(|source| (source.get_path().clone(), source.get_contents().clone()))))
}

/// The modules as [`faithful_texts`] has them, and whether that changed anything.
pub(super) fn faithfully(
    bundle: &Bundle,
    engine: Engine,
    shown: &BTreeSet<survey::Path>,
) -> Result<(bool, Engine), PolicyError> {
    rewritten(engine, shown, &|path| is_v0(bundle, path))
}

/// `shown` are the names of [`shown::names`].
fn rewritten(
    engine: Engine,
    shown: &BTreeSet<survey::Path>,
    is_v0: &dyn Fn(&str) -> bool,
) -> Result<(bool, Engine), PolicyError> {
    let mut engine = engine;
    let mut is_changed = false;
    if let Some(texts) = with_keywords(&engine.get_modules().clone(), is_v0) {
        (engine, is_changed) = (parsed_as(texts, is_v0)?, true);
    }
    // One level of what is nested in each other after the other.
    for round in 0..faithful::ROUNDS {
        let Some(texts) = shadow::rewrite(&engine.get_modules().clone(), round) else { break };
        (engine, is_changed) = (parsed_as(texts, is_v0)?, true);
    }
    if let Some(texts) = imports::rewrite(&engine.get_modules().clone())? {
        (engine, is_changed) = (parsed_as(texts, is_v0)?, true);
    }
    let modules = engine.get_modules().clone();
    if let Some(texts) = shown::rewrite(&survey::survey(&modules), &modules, shown) {
        (engine, is_changed) = (parsed_as(texts, is_v0)?, true);
    }
    for round in 0..=faithful::ROUNDS {
        let modules = engine.get_modules().clone();
        let survey = survey::survey(&modules);
        let Some(texts) = faithful::rewrite(&survey, &modules, round) else {
            return survey.not_taken().map_or(Ok((is_changed, engine)), Err);
        };
        (engine, is_changed) = (parsed_as(texts, is_v0)?, true);
    }
    Err(analysis("operators and negations are nested too deep"))
}

/// The texts with `in` and `if` known in Rego v0, as what they are rewritten to needs them: on the line of the package, and where
/// no name is in the way.
fn with_keywords(modules: &[Ref<Module>], is_v0: &dyn Fn(&str) -> bool) -> Option<BTreeMap<String, String>> {
    let mut texts = BTreeMap::new();
    let mut is_changed = false;
    for module in modules {
        let source = &module.package.span.source;
        let (path, text) = (source.get_path().clone(), source.get_contents().clone());
        let package =
            faithful::extent(module.package.refr.span()).filter(|_| is_v0(&path) && !module.rego_v1);
        let known = package.and_then(|(_, end)| text.split_at_checked(end)).map(|(before, after)| {
            format!("{before} import future.keywords.in import future.keywords.if{after}")
        });
        let known = known.filter(|text| add(&mut parser(), true, path.clone(), text.clone()).is_ok());
        is_changed |= known.is_some();
        texts.insert(path, known.unwrap_or(text));
    }
    is_changed.then_some(texts)
}

/// An engine with these texts in place of the bundle's.
pub(super) fn parsed(bundle: &Bundle, texts: BTreeMap<String, String>) -> Result<Engine, PolicyError> {
    parsed_as(texts, &|path| is_v0(bundle, path))
}

fn is_v0(bundle: &Bundle, path: &str) -> bool {
    let module = bundle.modules().iter().find(|module| module.path == path);
    module.is_some_and(|module| module.rego_version == RegoVersion::V0)
}

fn parsed_as(texts: BTreeMap<String, String>, is_v0: &dyn Fn(&str) -> bool) -> Result<Engine, PolicyError> {
    let mut engine = parser();
    let mut problems = Problems::default();
    for (path, text) in texts {
        problems.take(add(&mut engine, is_v0(&path), path, text));
    }
    problems.end()?;
    Ok(engine)
}

fn add(engine: &mut Engine, is_v0: bool, path: String, text: String) -> Result<(), PolicyError> {
    engine.set_rego_v0(is_v0);
    engine.add_policy(path.clone(), text).map(drop).map_err(|error| {
        let (at, message) = place::located(&error.to_string());
        let message = told(&message).map_or(message, str::to_owned);
        PolicyError::Syntax { at: at.unwrap_or(Place { file: path, line: 0, column: 0 }), message }
    })
}

/// A rule without anything.
const BODILESS: &str = "a rule needs a value or a body: write `:= …` or `if …` behind it";

/// What regorus says that does not say what to write.
fn told(message: &str) -> Option<&'static str> {
    match message {
        facts::REFUSED => Some(BODILESS),
        "else cannot be used with set rules" => {
            Some("a second body of a set is not served: write the rule twice")
        }
        "unexpected keyword `import`" => Some("imports stand in front of all rules"),
        _ => None,
    }
}

/// `instead` has other texts for some of the modules.
pub(super) fn parse(
    bundle: &Bundle,
    limits: &PolicyLimits,
    instead: &BTreeMap<String, String>,
) -> Result<Engine, PolicyError> {
    let mut engine = parser();
    let mut problems = Problems::default();
    let (mut bytes, mut read) = (0_usize, 0_u64);
    for module in bundle.modules() {
        bytes = bytes.saturating_add(module.text.len());
        if bytes > limits.source_bytes {
            return Err(PolicyError::TooLarge { file: module.path.clone(), limit: limits.source_bytes });
        }
        let text = instead.get(&module.path).unwrap_or(&module.text);
        let is_v0 = module.rego_version == RegoVersion::V0;
        match add_counted(&mut engine, is_v0, &module.path, text) {
            Ok(more) => read = read.saturating_add(more),
            Err(error) => problems.add(error),
        }
        if read > nesting::MAX_READ_OF_ALL {
            let at = Place { file: module.path.clone(), line: 0, column: 0 };
            problems.add(PolicyError::Nested { at, fault: nesting::NestingFault::Brackets });
            break;
        }
    }
    problems.end()?;
    Ok(engine)
}

/// Adds a module to an engine of [`parser`], unless reading it would take too long or more than the stack.
///
/// # Errors
///
/// [`PolicyError::Nested`] and [`PolicyError::Syntax`].
pub fn add_module(engine: &mut Engine, is_v0: bool, path: &str, text: &str) -> Result<(), PolicyError> {
    add_counted(engine, is_v0, path, text).map(drop)
}

/// The same, and how much was read; see [`nesting::check`].
fn add_counted(engine: &mut Engine, is_v0: bool, path: &str, text: &str) -> Result<u64, PolicyError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = templates::written_out(is_v0, path, text)?.unwrap_or_else(|| text.to_owned());
    let read = nesting::check(path, &text)?;
    let times = add_with_facts(engine, is_v0, path, text, nesting::times(read))?;
    Ok(read.saturating_mul(times))
}

/// The same of a text that has been looked at, with a value for each function that has neither one nor a body. The text is read again for each,
/// at most so many times; says how often it was.
fn add_with_facts(
    engine: &mut Engine,
    is_v0: bool,
    path: &str,
    text: String,
    most: u64,
) -> Result<u64, PolicyError> {
    if is_v0 {
        let mut alone = parser();
        add(&mut alone, is_v0, path.to_owned(), text.clone())?;
        let with_values = facts::with_values(&mut alone).map_err(|line| PolicyError::Syntax {
            at: Place { file: path.to_owned(), line, column: 0 },
            message: BODILESS.to_owned(),
        })?;
        return add(engine, is_v0, path.to_owned(), with_values.unwrap_or(text)).map(|()| 1);
    }
    let mut text = text;
    for times in 1..facts::MOST.min(most) {
        match add(engine, is_v0, path.to_owned(), text.clone()) {
            Err(PolicyError::Syntax { at, message }) if message == BODILESS => {
                match facts::with_value(&text, at.line) {
                    Some(with_value) => text = with_value,
                    None => return Err(PolicyError::Syntax { at, message }),
                }
            }
            outcome => return outcome.map(|()| times),
        }
    }
    add(engine, is_v0, path.to_owned(), text).map(|()| facts::MOST.min(most))
}

/// An engine to parse with. Lines and files may be as long as a bundle: keys and tokens stand on one line.
#[must_use]
pub fn parser() -> Engine {
    let mut engine = Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::MAX,
        max_file_bytes: NonZeroUsize::MAX,
        max_lines: NonZeroUsize::MAX,
    });
    engine
}
