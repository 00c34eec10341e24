//! NumericDate (RFC 7519 section 2): seconds since the epoch, fractions included.

use serde_json::Value;

use crate::ids::UnixSeconds;

/// Beyond 2^53 a double skips whole seconds.
const MAX_SAFE: u64 = 1 << 53;

/// Where a fraction goes; always the stricter way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the earlier second: `exp`, `iat`.
    Down,
    /// To the later second: `nbf`.
    Up,
}

/// The instant of a NumericDate; `None` for anything but a number from 0 to 2^53.
pub(crate) fn numeric_date(value: &Value, rounding: Rounding) -> Option<UnixSeconds> {
    let number = value.as_number()?;
    let seconds = match number.as_u64() {
        Some(seconds) => seconds,
        None => {
            let seconds = number.as_f64()?;
            let seconds = match rounding {
                Rounding::Down => seconds.floor(),
                Rounding::Up => seconds.ceil(),
            };
            // Not a number fails both comparisons; -0.5 rounded up would pass them.
            if !number.as_f64().is_some_and(|exact| exact >= 0.0) || seconds > 9_007_199_254_740_992.0 {
                return None;
            }
            // In range and whole, so nothing is lost.
            seconds as u64
        }
    };
    (seconds <= MAX_SAFE).then_some(UnixSeconds(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_round_the_stricter_way_and_the_rest_is_refused() {
        for (text, down, up) in [
            ("0", Some(0), Some(0)),
            ("1773842531", Some(1_773_842_531), Some(1_773_842_531)),
            ("1773842531.0", Some(1_773_842_531), Some(1_773_842_531)),
            ("1773842531.999", Some(1_773_842_531), Some(1_773_842_532)),
            ("1.5e3", Some(1500), Some(1500)),
            ("0.1", Some(0), Some(1)),
            ("9007199254740992", Some(MAX_SAFE), Some(MAX_SAFE)),
            ("9007199254740993", None, None),
            ("9.1e15", None, None),
            ("1e300", None, None),
            ("18446744073709551616", None, None),
            ("-1", None, None),
            ("-0.5", None, None),
            ("\"123\"", None, None),
            ("null", None, None),
            ("true", None, None),
            ("[1]", None, None),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(numeric_date(&value, Rounding::Down), down.map(UnixSeconds), "{text}");
            assert_eq!(numeric_date(&value, Rounding::Up), up.map(UnixSeconds), "{text}");
        }
    }
}
