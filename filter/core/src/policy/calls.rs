//! Which calls load: of what is served, with as many arguments as it takes.

use regorus::unstable::Expr;

use super::error::PolicyError;
use super::functions::{self, Function};
use super::limits::PolicyLimits;
use super::place::Place;
use super::problems::Problems;
use super::survey::{self, Survey};
use super::{Construct, Refusal, builtins, http_send, templates, walk};

/// [`PolicyError::Builtin`], [`PolicyError::HttpSend`] and [`PolicyError::Arity`].
pub(super) fn check(survey: &Survey<'_>, limits: &PolicyLimits, problems: &mut Problems) {
    for call in &survey.builtin_calls {
        problems.take(check_builtin(call, limits));
    }
    for call in &survey.function_calls {
        let Some(facts) = survey.rules.get(&call.function) else { continue };
        let name = format!("data.{}", call.function.join("."));
        problems.take(check_arity(&call.at, &name, facts.arity.unwrap_or(0), call.given));
    }
}

fn check_builtin(call: &survey::BuiltinCall<'_>, limits: &PolicyLimits) -> Result<(), PolicyError> {
    if call.name.starts_with("remit__") {
        let construct = match call.name.as_str() {
            functions::TEMPLATE if templates::is_written(call) => return Ok(()),
            functions::TEMPLATE => Construct::Template,
            _ => Construct::Taken,
        };
        return Err(PolicyError::Construct { at: call.at.clone(), construct });
    }
    if let Some(refusal) = builtins::is_old(&call.name).filter(|_| call.is_v1) {
        return Err(PolicyError::Builtin { at: call.at.clone(), name: call.name.clone(), refusal });
    }
    if let Some(function) = functions::find(&call.name) {
        check_function(call, function)?;
        if function.name == "http.send" {
            http_send::check_literal(&call.at, call.arguments, limits.http_send.as_ref())?;
        }
        return Ok(());
    }
    builtins::check(&call.name, call.arguments).map_err(|refusal| PolicyError::Builtin {
        at: call.at.clone(),
        name: call.name.clone(),
        refusal,
    })?;
    match builtins::arity(&call.name) {
        Some(expected) if call.is_call => check_arity(&call.at, &call.name, expected, call.arguments.len()),
        _ => Ok(()),
    }
}

/// Only a statement can name its result, and those that do are rewritten.
pub(super) fn check_results(survey: &Survey<'_>, rewritten: &[&Expr], problems: &mut Problems) {
    let is_rewritten = |call: &survey::BuiltinCall<'_>| {
        let same = |params: &[_]| std::ptr::eq(params, call.arguments);
        rewritten.iter().any(|expr| matches!(expr, Expr::Call { params, .. } if same(params)))
    };
    for call in survey.builtin_calls.iter().filter(|call| call.is_call) {
        let Some(expected) = functions::arity(&call.name) else { continue };
        let given = call.arguments.len();
        if given > expected && !is_rewritten(call) {
            let (at, name) = (call.at.clone(), call.name.clone());
            problems.add(PolicyError::Arity { at, name, expected, given });
        }
    }
}

/// The interpreter knows no `with` on the names of ours.
fn check_function(call: &survey::BuiltinCall<'_>, function: &Function) -> Result<(), PolicyError> {
    let (at, name) = (call.at.clone(), call.name.clone());
    if !call.is_call {
        return Err(PolicyError::Builtin { at, name, refusal: Refusal::Replaced });
    }
    if function.name.starts_with("time.") && call.arguments.iter().any(|argument| has_other_zone(argument)) {
        return Err(PolicyError::Builtin { at, name, refusal: Refusal::Zone });
    }
    check_arity(&at, &name, function.arity, call.arguments.len())
}

/// Whether an argument is `[ns, zone, …]` with a zone, written out, that is not served.
fn has_other_zone(argument: &Expr) -> bool {
    let Expr::Array { items, .. } = argument else { return false };
    match items.get(1).map(|zone| zone.as_ref()) {
        Some(Expr::String { value, .. } | Expr::RawString { value, .. }) => {
            walk::text(value).is_some_and(|zone| !functions::is_known_zone(zone))
        }
        _ => false,
    }
}

/// One argument more than the function has is Rego's way to name the result.
fn check_arity(at: &Place, name: &str, expected: usize, given: usize) -> Result<(), PolicyError> {
    if given == expected || given == expected.saturating_add(1) {
        return Ok(());
    }
    Err(PolicyError::Arity { at: at.clone(), name: name.to_owned(), expected, given })
}
