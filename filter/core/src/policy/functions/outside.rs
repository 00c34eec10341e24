//! `http.send`, `opa.runtime`, `trace`: what looks or writes outside.

use regorus::Value;

use super::Stop;
use crate::policy::http_send::{Failure, Request};
use crate::policy::surroundings::Surroundings;

/// OPA's `http.send`. Whatever goes wrong ends the evaluation, unless `raise_error` is `false`: it is never undefined,
/// which a `not` would take for good news.
pub(super) fn http_send(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let request = arguments.first().unwrap_or(&Value::Null);
    let raises = match request.as_object().ok().and_then(|fields| fields.get(&Value::from("raise_error"))) {
        None => true,
        Some(Value::Bool(raises)) => *raises,
        Some(_) => return Err(Failure::internal("invalid value for raise_error field".to_owned()).raised()),
    };
    let answer = match Request::parse(request) {
        Ok(request) => around.answer_to(request)?,
        Err(message) => Err(Failure::internal(message)),
    };
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(failure) if raises => Err(failure.raised()),
        Err(failure) => Ok(Some(failure.value())),
    }
}

/// OPA's `opa.runtime`, without what the proxy's surroundings hold: no environment.
pub(super) fn runtime(_: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    Ok(Some(around.runtime()))
}

/// A line for the log, where lines are wanted.
pub(super) fn trace(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let [Value::String(note)] = arguments else { return Ok(None) };
    around.print(note);
    Ok(Some(Value::Bool(true)))
}
