//! Arithmetic on numbers that are not whole, as OPA reckons: with 64 bits, from what is written.
//!
//! A double has 53. What lies between two of them goes to the one on its side of the number that is written shortest, so that
//! comparing it with what somebody wrote gives what OPA gives: 0.1 + 0.2 is 0.3, and 1 - 0.9 is not 0.1.

use std::cmp::Ordering;

use regorus::Value;

/// A size of `bits` × 2^`exponent`. The first of the 64 bits is set, but for 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fraction {
    is_negative: bool,
    bits: u64,
    exponent: i32,
}

/// `None` where both are whole, and where regorus' own arithmetic has to do: for what is very large or very small.
pub(super) fn plus(a: &Value, b: &Value) -> Option<Value> {
    let (a, b) = fractions(a, b)?;
    a.plus(b)?.value()
}

/// As [`plus`].
pub(super) fn minus(a: &Value, b: &Value) -> Option<Value> {
    let (a, b) = fractions(a, b)?;
    a.plus(Fraction { is_negative: !b.is_negative, ..b })?.value()
}

/// As [`plus`].
pub(super) fn times(a: &Value, b: &Value) -> Option<Value> {
    let (a, b) = fractions(a, b)?;
    let exponent = a.exponent.checked_add(b.exponent)?;
    let is_negative = a.is_negative != b.is_negative;
    Fraction { is_negative, exponent, ..a }.times(b.bits)?.value()
}

/// As [`plus`]; the divisor is not 0.
pub(super) fn over(a: &Value, b: &Value) -> Option<Value> {
    let (a, b) = fractions(a, b)?;
    let (dividend, divisor) = (u128::from(a.bits).checked_shl(64)?, u128::from(b.bits));
    let (whole, rest) = (dividend.checked_div(divisor)?, dividend.checked_rem(divisor)?);
    // Two bits more, and whether anything is behind them.
    let rest = rest.checked_shl(2)?;
    let bits = whole.checked_shl(2)?.checked_add(rest.checked_div(divisor)?)?;
    let exponent = a.exponent.checked_sub(b.exponent)?.checked_sub(66)?;
    let has_more = rest.checked_rem(divisor)? != 0;
    Fraction::rounded(a.is_negative != b.is_negative, bits, exponent, has_more)?.value()
}

/// The whole number above. OPA has 1 for what lies between -1 and 0.
pub(super) fn ceil(given: &[Value]) -> Value {
    match given {
        [Value::Number(number)] if is_small_debt(number.as_f64()) => Value::from(1),
        [Value::Number(number)] => number.ceil().into(),
        _ => Value::Undefined,
    }
}

/// The whole number below. OPA has 0 for what lies between -1 and 0.
pub(super) fn floor(given: &[Value]) -> Value {
    match given {
        [Value::Number(number)] if is_small_debt(number.as_f64()) => Value::from(0),
        [Value::Number(number)] => number.floor().into(),
        _ => Value::Undefined,
    }
}

fn is_small_debt(number: Option<f64>) -> bool {
    number.is_some_and(|number| -1.0 < number && number < 0.0)
}

fn fractions(a: &Value, b: &Value) -> Option<(Fraction, Fraction)> {
    let is_whole = |value: &Value| matches!(value, Value::Number(number) if number.is_integer());
    if is_whole(a) && is_whole(b) {
        return None;
    }
    Some((Fraction::of(a)?, Fraction::of(b)?))
}

impl Fraction {
    fn of(value: &Value) -> Option<Self> {
        let Value::Number(number) = value else { return None };
        Self::written(number.as_f64()?)
    }

    /// Of the fewest digits that tell a double from the others.
    fn written(number: f64) -> Option<Self> {
        let text = format!("{:e}", number.abs());
        let (mantissa, exponent) = text.split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
        let exponent = exponent.parse::<i32>().ok()?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        Self::decimal(number.is_sign_negative(), digits, exponent)
    }

    /// `digits` × 10^`exponent`; `None` where that is very large or very small.
    pub(super) fn decimal(is_negative: bool, digits: u128, exponent: i32) -> Option<Self> {
        let power = 10_u64.checked_pow(exponent.unsigned_abs())?;
        if exponent >= 0 {
            return Self::rounded(is_negative, digits.checked_mul(u128::from(power))?, 0, false);
        }
        // As far up as there is room: the power has at most 64 bits, of which the quotient lacks one less.
        let room = digits.leading_zeros();
        let dividend = digits.checked_shl(room).unwrap_or(0);
        let power = u128::from(power);
        let (bits, rest) = (dividend.checked_div(power)?, dividend.checked_rem(power)?);
        Self::rounded(is_negative, bits, i32::try_from(room).ok()?.checked_neg()?, rest != 0)
    }

    /// To 64 bits, to the even one of two that are as near.
    fn rounded(is_negative: bool, bits: u128, exponent: i32, has_more: bool) -> Option<Self> {
        if bits == 0 {
            return Some(Self { is_negative: false, bits: 0, exponent: 0 });
        }
        let length = i32::try_from(u128::BITS.checked_sub(bits.leading_zeros())?).ok()?;
        let over = length.checked_sub(64)?;
        let exponent = exponent.checked_add(over)?;
        let Ok(over) = u32::try_from(over) else {
            let bits = bits.checked_shl(over.unsigned_abs())?;
            return Some(Self { is_negative, bits: u64::try_from(bits).ok()?, exponent });
        };
        let kept = u64::try_from(bits.checked_shr(over)?).ok()?;
        let rest = bits.checked_sub(u128::from(kept).checked_shl(over)?)?;
        let half = 1_u128.checked_shl(over)?.checked_shr(1)?;
        let is_up = match rest.cmp(&half) {
            Ordering::Less => false,
            Ordering::Equal => half > 0 && (has_more || kept & 1 == 1),
            Ordering::Greater => true,
        };
        let bits = if is_up { kept.checked_add(1) } else { Some(kept) };
        Some(match bits {
            Some(bits) => Self { is_negative, bits, exponent },
            None => Self { is_negative, bits: 1 << 63, exponent: exponent.checked_add(1)? },
        })
    }

    /// Times a whole number.
    pub(super) fn times(self, factor: u64) -> Option<Self> {
        let bits = u128::from(self.bits).checked_mul(u128::from(factor))?;
        Self::rounded(self.is_negative, bits, self.exponent, false)
    }

    /// What is in front of the point of its size; `None` where that has more than 64 bits.
    pub(super) fn whole(self) -> Option<u64> {
        match u32::try_from(self.exponent) {
            Ok(up) => self.bits.checked_mul(2_u64.checked_pow(up)?),
            Err(_) => Some(self.bits.checked_shr(self.exponent.unsigned_abs()).unwrap_or(0)),
        }
    }

    fn plus(self, other: Self) -> Option<Self> {
        let (high, low) = if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        if low.bits == 0 || high.bits == 0 {
            return Some(if low.bits == 0 { high } else { low });
        }
        let apart =
            u32::try_from(high.exponent.checked_sub(low.exponent)?).ok().filter(|apart| *apart < 63)?;
        let (more, less) = (u128::from(high.bits).checked_shl(apart)?, u128::from(low.bits));
        let (is_negative, bits) = match (high.is_negative == low.is_negative, more >= less) {
            (true, _) => (high.is_negative, more.checked_add(less)?),
            (false, true) => (high.is_negative, more.checked_sub(less)?),
            (false, false) => (low.is_negative, less.checked_sub(more)?),
        };
        Self::rounded(is_negative, bits, low.exponent, false)
    }

    fn value(self) -> Option<Value> {
        if self.bits == 0 {
            return Some(Value::from(0_u64));
        }
        // 2^exponent
        let scale =
            u64::try_from(self.exponent.checked_add(1023)?).ok().filter(|scale| (1..2047).contains(scale))?;
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "to the nearest double")]
        let near = self.bits as f64 * f64::from_bits(scale.checked_shl(52)?);
        if !near.is_normal() {
            return None;
        }
        let written = Self::written(near)?;
        let size = match self.exponent.cmp(&written.exponent).then(self.bits.cmp(&written.bits)) {
            Ordering::Less => near.next_down(),
            Ordering::Equal => near,
            Ordering::Greater => near.next_up(),
        };
        Some(Value::from(if self.is_negative { -size } else { size }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether OPA finds the two equal, or which is less.
    #[test]
    fn results_compare_as_in_opa() {
        type Operation = fn(&Value, &Value) -> Option<Value>;
        let cases: [(Operation, f64, f64, f64, Ordering); 14] = [
            (plus, 0.1, 0.2, 0.3, Ordering::Equal),
            (plus, 0.7, 0.1, 0.8, Ordering::Equal),
            (plus, 1.1, 2.2, 3.3, Ordering::Greater),
            (plus, 0.5, 0.5, 1.0, Ordering::Equal),
            (plus, 0.0, 0.1, 0.1, Ordering::Equal),
            (minus, 0.1, 0.3, -0.2, Ordering::Less),
            (minus, -0.5, -0.5, 0.0, Ordering::Equal),
            (minus, 1.0, 0.9, 0.1, Ordering::Greater),
            (times, 0.1, 3.0, 0.3, Ordering::Equal),
            (times, 0.57, 100.0, 57.0, Ordering::Equal),
            (times, 3.0, -1.1, -3.3, Ordering::Less),
            (over, 0.3, 0.1, 3.0, Ordering::Equal),
            (over, -1.5, 3.0, -0.5, Ordering::Equal),
            (over, 0.5, 4.0, 0.125, Ordering::Equal),
        ];
        for (operation, a, b, written, expected) in cases {
            let given = operation(&Value::from(a), &Value::from(b)).unwrap();
            assert_eq!(given.cmp(&Value::from(written)), expected, "{a} {b} {given}");
        }
        for (a, b) in [(1.0, 2.0), (1e300, 1.5), (1e-30, 1.0)] {
            assert_eq!(plus(&Value::from(a), &Value::from(b)), None);
        }
    }
}
