//! How much the values may take that builtins make: regorus' own are called through here, and the evaluation ends before
//! a result that does not fit is made. What is made is counted, kept or not, so the sum bounds what an evaluation holds.

use regorus::unstable::{BUILTINS, Expr, Ref, Span};
use regorus::{LimitError, Value};

use super::{SURROUNDINGS, Stop, full, sprintf, stopped, strings};
use crate::policy::error::EvaluationError;

/// Builtins of regorus that make values; sorted. Those that are ours instead see to it themselves.
const METERED: [&str; COUNT] = [
    "array.concat",
    "array.reverse",
    "array.slice",
    "base64.encode",
    "base64url.encode",
    "base64url.encode_no_pad",
    "concat",
    "format_int",
    "hex.decode",
    "hex.encode",
    "indexof_n",
    "intersection",
    "json.marshal",
    "json.marshal_with_options",
    "lower",
    "object.filter",
    "object.keys",
    "object.remove",
    "object.union",
    "object.union_n",
    "replace",
    "semver.compare",
    "semver.is_valid",
    "sort",
    "split",
    "sprintf",
    "strings.reverse",
    "substring",
    "union",
    "upper",
];
const COUNT: usize = 30;

/// A builtin as regorus' bytecode calls it. `E` is regorus' own error type.
pub(super) type Builtin<E> = fn(&Span, &[Ref<Expr>], &[Value], bool) -> Result<Value, E>;

/// What stands in for a builtin of regorus, if it makes values.
pub(super) fn of<E: From<LimitError>>(name: &str) -> Option<Builtin<E>> {
    let at = METERED.binary_search(&name).ok()?;
    thunks::<E>().get(at).copied()
}

/// Calls a builtin of regorus, if it makes values.
pub(super) fn call<E: From<LimitError>>(
    name: &str,
    span: &Span,
    exprs: &[Ref<Expr>],
    arguments: &[Value],
) -> Result<Value, E> {
    SURROUNDINGS.with(|current| {
        let mut around = current.borrow_mut();
        let left = around.bytes_left();
        if foreseen(name, arguments, left) > left {
            return full(&mut around);
        }
        let value = match (name, arguments) {
            ("sprintf", [Value::String(format), Value::Array(values)]) => {
                match sprintf::sprintf(format, values.as_slice()) {
                    Ok(text) => Value::from(text),
                    // Undefined, it could take a denial with it.
                    Err(verb) => {
                        let message = format!("sprintf: %{verb} is not served for its value: write %v");
                        return stopped(&mut around, EvaluationError::Failed { at: None, message });
                    }
                }
            }
            _ => {
                if let Some(message) = strings::unserved(name, arguments) {
                    let message = message.to_owned();
                    return stopped(&mut around, EvaluationError::Failed { at: None, message });
                }
                let Some((builtin, _)) = BUILTINS.get(name) else { return Ok(Value::Undefined) };
                let given = strings::given(name, arguments);
                let given = given.as_deref().unwrap_or(arguments);
                // As OPA does: a builtin that fails is undefined; but not one that a limit of regorus' stops.
                match builtin(span, exprs, given, false) {
                    Ok(value) => strings::as_in_opa(name, arguments, value),
                    Err(error) => match error.downcast_ref::<LimitError>() {
                        Some(limit) => return Err((*limit).into()),
                        None => return Ok(Value::Undefined),
                    },
                }
            }
        };
        let size = own_size(&value);
        if !around.makes(size) {
            return full(&mut around);
        }
        match around.works(arguments.iter().map(own_size).fold(size, usize::saturating_add)) {
            Ok(()) => Ok(value),
            Err(Stop(error)) => stopped(&mut around, error),
        }
    })
}

fn thunk<const AT: usize, E: From<LimitError>>(
    span: &Span,
    exprs: &[Ref<Expr>],
    arguments: &[Value],
    _: bool,
) -> Result<Value, E> {
    call(METERED.get(AT).copied().unwrap_or_default(), span, exprs, arguments)
}

fn thunks<E: From<LimitError>>() -> [Builtin<E>; COUNT] {
    macro_rules! all {
        ($($at:literal)*) => { [$(thunk::<$at, E>),*] };
    }
    all!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29)
}

/// What a value holds itself, in bytes, without what it shares.
pub(super) fn own_size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len().saturating_mul(size_of::<Value>()),
        Value::Set(items) => items.len().saturating_mul(size_of::<Value>()),
        Value::Object(fields) => fields.len().saturating_mul(size_of::<(Value, Value)>()),
        _ => 0,
    }
}

/// At least what the result takes, of builtins whose results can be much larger than their arguments.
fn foreseen(name: &str, arguments: &[Value], limit: usize) -> usize {
    match (name, arguments) {
        ("array.concat", [Value::Array(one), Value::Array(two)]) => {
            one.len().saturating_add(two.len()).saturating_mul(size_of::<Value>())
        }
        ("concat", [delimiter, list]) => {
            let delimiter = own_size(delimiter);
            let all = |sizes: &mut dyn Iterator<Item = usize>| {
                sizes.fold(0, |sum: usize, size| sum.saturating_add(size).saturating_add(delimiter))
            };
            match list {
                Value::Array(items) => all(&mut items.iter().map(own_size)),
                Value::Set(items) => all(&mut items.iter().map(own_size)),
                _ => 0,
            }
        }
        ("indexof_n", [Value::String(text), Value::String(part)]) => {
            // Those that overlap are found too.
            let found = text.matches(part.as_ref()).count().saturating_mul(part.len().max(1));
            found.min(text.len()).saturating_mul(size_of::<Value>())
        }
        ("object.filter" | "object.remove", [object, _]) => own_size(object),
        ("object.union", [one, two]) => united_size(one, two, limit),
        ("object.union_n", [Value::Array(items)]) => {
            // regorus copies what it has for each further item.
            let (mut sum, mut united) = (0_usize, 0_usize);
            for item in items.iter() {
                united = united.saturating_add(united_size(item, item, limit) / 2);
                sum = sum.saturating_add(united);
                if sum > limit {
                    break;
                }
            }
            sum
        }
        ("split", [Value::String(text), Value::String(delimiter)]) => {
            let parts = text.matches(delimiter.as_ref()).count().saturating_add(1);
            text.len().saturating_add(parts.saturating_mul(PART))
        }
        ("replace", [Value::String(text), Value::String(old), Value::String(new)]) => {
            text.len().saturating_add(text.matches(old.as_ref()).count().saturating_mul(new.len()))
        }
        ("sprintf", [Value::String(format), values]) => {
            let widths = format.matches('%').count().saturating_mul(1000);
            // `%x` takes two for each byte, `%q` may, and each value too many is told with its type.
            let doubles = usize::from(format.contains(['x', 'X', 'q'])).saturating_add(1);
            let named = values.as_array().map_or(0, |values| values.len().saturating_mul(16));
            let sizes = text_size(values, limit).saturating_mul(doubles);
            format.len().saturating_add(widths).saturating_add(named).saturating_add(sizes)
        }
        ("json.marshal" | "json.marshal_with_options", [value, ..]) => text_size(value, limit),
        _ => 0,
    }
}

/// What a text of its own takes besides its bytes.
const PART: usize = size_of::<(Value, [usize; 2])>();

/// What two objects take as one, with those in them that are united too; stops counting beyond the limit, since shared parts
/// are united each time.
fn united_size(one: &Value, two: &Value, limit: usize) -> usize {
    let mut sum = 0_usize;
    let mut open = vec![(one, two)];
    while let Some((one, two)) = open.pop() {
        let (Value::Object(ours), Value::Object(theirs)) = (one, two) else { continue };
        sum = sum.saturating_add(own_size(one)).saturating_add(own_size(two));
        if sum > limit {
            break;
        }
        open.extend(theirs.iter().filter_map(|(key, value)| Some((ours.get(key)?, value))));
    }
    sum
}

/// What a value takes as JSON, at least; stops counting beyond the limit, since shared parts count each time.
pub(super) fn text_size(value: &Value, limit: usize) -> usize {
    let mut sum = 0_usize;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        sum = sum.saturating_add(2).saturating_add(match value {
            Value::String(text) => text.len(),
            Value::Array(items) => {
                open.extend(items.iter());
                0
            }
            Value::Set(items) => {
                open.extend(items.iter());
                0
            }
            Value::Object(fields) => {
                open.extend(fields.iter().flat_map(|(key, value)| [key, value]));
                0
            }
            _ => 8,
        });
        if sum > limit {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_regorus_has_all_of_it() {
        assert!(METERED.is_sorted());
        assert_eq!(METERED.iter().find(|name| !BUILTINS.contains_key(**name)), None);
        assert_eq!(METERED.iter().find(|name| super::super::find(name).is_some()), None);
    }

    #[test]
    fn no_text_is_longer_than_foreseen() {
        let number = Value::from(1);
        let quotes = Value::from("\"".repeat(5000));
        for (format, values) in [
            ("%x", vec![quotes.clone()]),
            ("%q", vec![quotes.clone()]),
            ("%s", vec![quotes]),
            ("%999d", vec![number.clone()]),
            ("", vec![number.clone(); 5000]),
            ("%d%d", vec![]),
            ("%s", vec![number]),
        ] {
            let text = sprintf::sprintf(format, &values).unwrap();
            let foreseen = foreseen("sprintf", &[Value::from(format), Value::from(values)], usize::MAX);
            assert!(text.len() <= foreseen, "{format}: {} of {foreseen}", text.len());
        }
    }
}
