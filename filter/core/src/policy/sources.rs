//! The modules of a bundle as the evaluators get them.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

use regorus::Engine;
use regorus::utils::limits::PolicyLengthConfig;

use super::error::PolicyError;
use super::limits::PolicyLimits;
use super::place::{self, Place};
use super::problems::Problems;
use super::{analysis, bound, faithful, graph, nesting, survey};
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
    for (path, text) in &texts {
        problems.take(nesting::check(path, text));
    }
    problems.end()?;
    let mut engine = parsed_as(texts, is_v0)?;
    let modules = engine.get_modules().clone();
    let survey = survey::survey(&modules);
    let mut problems = Problems::default();
    bound::check(&survey, &modules, &mut problems);
    // Tests stand above the rules that they test.
    problems.take(graph::order(&survey, PolicyLimits::default().rule_depth.saturating_mul(2)));
    problems.end()?;
    let (_, mut engine) = rewritten(engine, is_v0)?;
    let modules = engine.get_modules().clone();
    let sources = modules.iter().map(|module| &module.package.span.source);
    Ok(ordered::map(sources.map(|source| (source.get_path().clone(), source.get_contents().clone()))))
}

/// The modules as [`faithful_texts`] has them, and whether that changed anything.
pub(super) fn faithfully(bundle: &Bundle, engine: Engine) -> Result<(bool, Engine), PolicyError> {
    rewritten(engine, &|path| is_v0(bundle, path))
}

fn rewritten(engine: Engine, is_v0: &dyn Fn(&str) -> bool) -> Result<(bool, Engine), PolicyError> {
    let mut engine = engine;
    for round in 0..=faithful::ROUNDS {
        let modules = engine.get_modules().clone();
        let texts = faithful::rewrite(&survey::survey(&modules), &modules, round);
        let Some(texts) = texts else { return Ok((round > 0, engine)) };
        engine = parsed_as(texts, is_v0)?;
    }
    Err(analysis("operators and negations are nested too deep"))
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
    let mut engine = new_engine();
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
        PolicyError::Syntax { at: at.unwrap_or(Place { file: path, line: 0, column: 0 }), message }
    })
}

/// `instead` has other texts for some of the modules.
pub(super) fn parse(
    bundle: &Bundle,
    limits: &PolicyLimits,
    instead: &BTreeMap<String, String>,
) -> Result<Engine, PolicyError> {
    let mut engine = new_engine();
    let mut problems = Problems::default();
    let mut bytes = 0_usize;
    for module in bundle.modules() {
        bytes = bytes.saturating_add(module.text.len());
        if bytes > limits.source_bytes {
            return Err(PolicyError::TooLarge { file: module.path.clone(), limit: limits.source_bytes });
        }
        let text = instead.get(&module.path).unwrap_or(&module.text).clone();
        let is_v0 = module.rego_version == RegoVersion::V0;
        let added = nesting::check(&module.path, &text)
            .and_then(|()| add(&mut engine, is_v0, module.path.clone(), text));
        problems.take(added);
    }
    problems.end()?;
    Ok(engine)
}

/// Lines and files may be as long as a bundle: keys and tokens stand on one line.
fn new_engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::MAX,
        max_file_bytes: NonZeroUsize::MAX,
        max_lines: NonZeroUsize::MAX,
    });
    engine
}
