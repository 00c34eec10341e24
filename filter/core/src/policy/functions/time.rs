//! `time.*`: the clock.

use regorus::Value;

use super::Stop;
use crate::policy::error::EvaluationError;
use crate::policy::surroundings::Surroundings;

/// Nanoseconds since the Unix epoch; the same instant for a whole evaluation, as in OPA.
pub(super) fn now_ns(_: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    match around.now() {
        Some(now) => Ok(Some(Value::from(now.0))),
        // Undefined could turn a `not` around.
        None => Err(Stop(EvaluationError::Failed {
            at: None,
            message: "time.now_ns: there is no clock".to_owned(),
        })),
    }
}
