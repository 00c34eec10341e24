//! Newtypes for the identifiers and instants that travel between the stages.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Seconds since 1970-01-01T00:00:00Z, as in a NumericDate (RFC 7519 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// This instant and `seconds` more; stays at the far end instead of overflowing.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// Seconds from `earlier` to this instant; 0 when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The present as the shell sees it, in nanoseconds since the Unix epoch. The core never asks a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub u64);

impl Now {
    /// The whole seconds of this instant.
    #[must_use]
    pub fn seconds(self) -> UnixSeconds {
        UnixSeconds(self.0 / 1_000_000_000)
    }

    /// This instant and some milliseconds more; stays at the far end instead of overflowing.
    #[must_use]
    pub fn plus_millis(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1_000_000)))
    }

    /// Whole milliseconds from `earlier` to this instant; 0 when `earlier` is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000_000
    }

    /// The nanoseconds beyond [`Now::seconds`].
    #[must_use]
    pub fn subsecond_nanos(self) -> u32 {
        u32::try_from(self.0 % 1_000_000_000).unwrap_or(0)
    }
}

/// Bytes as hexadecimal digits, the letters small.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Why a decision came out as it did: 1 to 64 characters of `a-z`, `0-9` and `_`, starting with a letter.
///
/// The filter's own codes are the constants of [`crate::reason`]; a policy brings its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ReasonCode(Cow<'static, str>);

impl ReasonCode {
    /// A code of the filter's own.
    #[must_use]
    pub const fn of(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// A code that a policy gave; `None` when it is not of the required form.
    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let mut bytes = code.bytes();
        let starts_well = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let goes_on_well = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        (starts_well && goes_on_well && code.len() <= 64).then(|| Self(Cow::Owned(code.to_owned())))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_codes_have_one_form() {
        for good in ["a", "approval_required", "x1_2"] {
            assert!(ReasonCode::parse(good).is_some(), "{good}");
        }
        for bad in ["", "A", "1a", "a-b", "a b", "ä", &"a".repeat(65)] {
            assert!(ReasonCode::parse(bad).is_none(), "{bad}");
        }
    }
}
