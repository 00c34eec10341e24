//! What a policy may ask the client to come back with: a better or later sign-in (RFC 9470), or more scope (RFC 6750).

use serde_json::{Map, Value};

use super::MalformedDecision;
use crate::ids::ReasonCode;
use crate::reason;

/// What a denial asks the client for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The parameters of `WWW-Authenticate`, after the scheme.
    pub parameters: String,
    /// The status that goes with them.
    pub status: u16,
}

/// Whether a byte can stand in a scope, an `acr`, and a quoted string (RFC 6749 section 3.3).
pub(crate) fn is_quotable(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

/// The parameters that ask for a sign-in of one of these kinds, at most this long ago.
#[must_use]
pub fn insufficient_authentication(acr_values: &[String], max_age: Option<u64>) -> String {
    let mut parameters = r#"error="insufficient_user_authentication""#.to_owned();
    if !acr_values.is_empty() {
        parameters.push_str(&format!(r#", acr_values="{}""#, acr_values.join(" ")));
    }
    if let Some(max_age) = max_age {
        parameters.push_str(&format!(", max_age={max_age}"));
    }
    parameters
}

/// What a denial with these reasons asks for, if it says so. The members are read with their own reason only.
pub(super) fn read(
    object: &Map<String, Value>,
    reasons: &[ReasonCode],
) -> Result<Option<Challenge>, MalformedDecision> {
    if reasons.contains(&reason::INSUFFICIENT_USER_AUTHENTICATION) {
        let max_age = match object.get("max_age") {
            None => None,
            Some(age) => Some(age.as_u64().ok_or(MalformedDecision::Member("max_age"))?),
        };
        let acr_values = words(object, "acr_values")?;
        if max_age.is_some() || !acr_values.is_empty() {
            let parameters = insufficient_authentication(&acr_values, max_age);
            return Ok(Some(Challenge { parameters, status: 401 }));
        }
    }
    if reasons.contains(&reason::INSUFFICIENT_SCOPE) {
        let scope = words(object, "scope")?;
        if !scope.is_empty() {
            let parameters = format!(r#"error="insufficient_scope", scope="{}""#, scope.join(" "));
            return Ok(Some(Challenge { parameters, status: 403 }));
        }
    }
    Ok(None)
}

/// A list of words, or one string of them with single spaces between.
fn words(object: &Map<String, Value>, member: &'static str) -> Result<Vec<String>, MalformedDecision> {
    let malformed = MalformedDecision::Member(member);
    let words = match object.get(member) {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => text.split(' ').map(str::to_owned).collect(),
        Some(list) => super::strings(list.clone()).ok_or(malformed.clone())?,
    };
    let good = |word: &String| !word.is_empty() && word.bytes().all(is_quotable);
    if words.iter().all(good) { Ok(words) } else { Err(malformed) }
}
