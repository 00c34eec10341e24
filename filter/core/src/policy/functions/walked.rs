//! What [`super::super::walked`] puts around a value that could be endless to walk.

use regorus::Value;

use super::Stop;
use crate::policy::surroundings::Surroundings;

/// The value, if walking it does not take too long.
pub(super) fn walked(arguments: &[Value], around: &mut Surroundings) -> Result<Option<Value>, Stop> {
    let Some(value) = arguments.first() else { return Ok(None) };
    around.walks(value)?;
    Ok(Some(value.clone()))
}
