//! What an expression can be, as far as it can be said without evaluating it: kinds of values, and at times the values.

use std::collections::BTreeSet;
use std::fmt;

use regorus::Value;
use regorus::unstable::{ArithOp, Expr};

/// Kinds of values, as letters in a set.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Kinds(u8);

const LETTERS: [(u8, char, &str); 7] = [
    (1, 'z', "null"),
    (2, 'b', "a boolean"),
    (4, 'n', "a number"),
    (8, 's', "a string"),
    (16, 'a', "an array"),
    (32, 'o', "an object"),
    (64, 't', "a set"),
];

impl Kinds {
    pub(super) const ANY: Self = Self(127);
    pub(super) const NONE: Self = Self(0);

    /// `z`, `b`, `n`, `s`, `a`, `o` and `t` in any order, and `*` for all of them.
    pub(super) fn of(letters: &str) -> Self {
        let all = |kinds: u8, letter: char| match LETTERS.iter().find(|(_, known, _)| *known == letter) {
            Some((bit, ..)) => kinds | bit,
            None => Self::ANY.0,
        };
        Self(letters.chars().fold(0, all))
    }

    /// By the name that JSON Schema has for it.
    pub(super) fn named(name: &str) -> Self {
        Self::of(match name {
            "null" => "z",
            "boolean" => "b",
            "integer" | "number" => "n",
            "string" => "s",
            "array" => "a",
            "object" => "o",
            _ => "*",
        })
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// `a string or a number`; null is not said where there is something else.
impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |bit: u8| if self.0 == 1 { bit == 1 } else { bit != 1 && self.0 & bit != 0 };
        let names: Vec<&str> =
            LETTERS.iter().filter(|(bit, ..)| named(*bit)).map(|(.., name)| *name).collect();
        f.write_str(&names.join(" or "))
    }
}

/// What an expression can be where it is defined.
#[derive(Clone)]
pub(super) struct Possible {
    pub(super) kinds: Kinds,
    /// All that it can be, where that is known.
    pub(super) values: Option<BTreeSet<Value>>,
    /// Whether its numbers are at least zero.
    pub(super) counts: bool,
}

impl Possible {
    pub(super) fn anything() -> Self {
        Self::kind(Kinds::ANY)
    }

    pub(super) fn kind(kinds: Kinds) -> Self {
        Self { kinds, values: None, counts: false }
    }

    /// Numbers from zero on.
    pub(super) fn counting() -> Self {
        Self { counts: true, ..Self::kind(Kinds::of("n")) }
    }

    pub(super) fn value(value: Value) -> Self {
        let kinds = Kinds::of(match &value {
            Value::Null => "z",
            Value::Bool(_) => "b",
            Value::Number(_) => "n",
            Value::String(_) => "s",
            Value::Array(_) => "a",
            Value::Object(_) => "o",
            Value::Set(_) => "t",
            _ => "*",
        });
        Self { kinds, values: Some(BTreeSet::from([value])), counts: false }
    }

    /// One or the other. Nothing at all, which is where a union begins, adds nothing.
    pub(super) fn or(self, other: Self) -> Self {
        if self.kinds == Kinds::NONE {
            return other;
        }
        let values = self.values.zip(other.values).map(|(mut some, more)| {
            some.extend(more);
            some
        });
        Self { kinds: self.kinds.or(other.kinds), values, counts: self.counts && other.counts }
    }

    pub(super) fn nothing() -> Self {
        Self::kind(Kinds::NONE)
    }

    /// Whether the two are never equal although they are of one kind.
    pub(super) fn differs(&self, other: &Self) -> bool {
        match (&self.values, &other.values) {
            (Some(some), Some(others)) => some.is_disjoint(others),
            _ => (self.counts && other.is_negative()) || (other.counts && self.is_negative()),
        }
    }

    /// Whether it is `""` or `null` and nothing else.
    pub(super) fn is_empty(&self) -> bool {
        let empty = BTreeSet::from([Value::Null, Value::from("")]);
        self.values.as_ref().is_some_and(|all| all.is_subset(&empty))
    }

    pub(super) fn is_negative(&self) -> bool {
        let zero = Value::from(0_u64);
        self.values.as_ref().is_some_and(|all| {
            !all.is_empty() && all.iter().all(|value| matches!(value, Value::Number(_)) && *value < zero)
        })
    }
}

/// What an expression can be that is neither a reference nor a call.
pub(super) fn literal(expr: &Expr) -> Possible {
    let kinds = match expr {
        Expr::String { value, .. }
        | Expr::RawString { value, .. }
        | Expr::Number { value, .. }
        | Expr::Bool { value, .. } => return Possible::value(value.clone()),
        Expr::Null { .. } => return Possible::value(Value::Null),
        Expr::Array { .. } | Expr::ArrayCompr { .. } => "a",
        Expr::Object { .. } | Expr::ObjectCompr { .. } => "o",
        Expr::Set { .. } | Expr::SetCompr { .. } | Expr::BinExpr { .. } => "t",
        Expr::ArithExpr { op: ArithOp::Sub, .. } => "nt",
        Expr::ArithExpr { .. } | Expr::UnaryExpr { .. } => "n",
        Expr::BoolExpr { .. } | Expr::AssignExpr { .. } | Expr::Membership { .. } => "b",
        Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } | Expr::Call { .. } => "*",
    };
    Possible::kind(Kinds::of(kinds))
}

/// A few values, side by side.
pub(super) fn shown(values: &BTreeSet<Value>) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.to_string(),
        other => other.to_string(),
    };
    values.iter().map(plain).collect::<Vec<_>>().join(", ")
}

/// Builtins whose arguments are of one kind, and what they give: its name, the letters of each argument, those of the result.
const BUILTINS: &[(&str, &[&str], &str)] = &[
    ("abs", &["n"], "n"),
    ("array.concat", &["a", "a"], "a"),
    ("array.flatten", &["a"], "a"),
    ("array.reverse", &["a"], "a"),
    ("array.slice", &["a", "n", "n"], "a"),
    ("base64.decode", &["s"], "s"),
    ("base64.encode", &["s"], "s"),
    ("base64url.decode", &["s"], "s"),
    ("base64url.encode", &["s"], "s"),
    ("ceil", &["n"], "n"),
    ("concat", &["s", "at"], "s"),
    ("contains", &["s", "s"], "b"),
    ("count", &["aots"], "n"),
    ("crypto.sha256", &["s"], "s"),
    ("endswith", &["s", "s"], "b"),
    ("floor", &["n"], "n"),
    ("format_int", &["n", "n"], "s"),
    ("glob.match", &["s", "az", "s"], "b"),
    ("hex.decode", &["s"], "s"),
    ("hex.encode", &["s"], "s"),
    ("indexof", &["s", "s"], "n"),
    ("json.marshal", &["*"], "s"),
    ("json.unmarshal", &["s"], "*"),
    ("lower", &["s"], "s"),
    ("max", &["at"], "*"),
    ("min", &["at"], "*"),
    ("net.cidr_contains", &["s", "s"], "b"),
    ("numbers.range", &["n", "n"], "a"),
    ("object.get", &["o", "*", "*"], "*"),
    ("object.keys", &["o"], "t"),
    ("object.union", &["o", "o"], "o"),
    ("regex.match", &["s", "s"], "b"),
    ("regex.replace", &["s", "s", "s"], "s"),
    ("regex.split", &["s", "s"], "a"),
    ("replace", &["s", "s", "s"], "s"),
    ("round", &["n"], "n"),
    ("sort", &["at"], "a"),
    ("split", &["s", "s"], "a"),
    ("sprintf", &["s", "a"], "s"),
    ("startswith", &["s", "s"], "b"),
    ("strings.any_prefix_match", &["ats", "ats"], "b"),
    ("strings.any_suffix_match", &["ats", "ats"], "b"),
    ("strings.reverse", &["s"], "s"),
    ("strings.split_n", &["s", "s", "n"], "a"),
    ("substring", &["s", "n", "n"], "s"),
    ("sum", &["at"], "n"),
    ("time.add_date", &["na", "n", "n", "n"], "n"),
    ("time.clock", &["na"], "a"),
    ("time.date", &["na"], "a"),
    ("time.diff", &["na", "na"], "a"),
    ("time.format", &["na"], "s"),
    ("time.now_ns", &[], "n"),
    ("time.parse_duration_ns", &["s"], "n"),
    ("time.parse_ns", &["s", "s"], "n"),
    ("time.parse_rfc3339_ns", &["s"], "n"),
    ("time.weekday", &["na"], "s"),
    ("to_number", &["bnsz"], "n"),
    ("trim", &["s", "s"], "s"),
    ("trim_left", &["s", "s"], "s"),
    ("trim_prefix", &["s", "s"], "s"),
    ("trim_right", &["s", "s"], "s"),
    ("trim_space", &["s"], "s"),
    ("trim_suffix", &["s", "s"], "s"),
    ("type_name", &["*"], "s"),
    ("upper", &["s"], "s"),
];

/// The kinds of a builtin's arguments, and what it gives; `None` for one that takes anything or is not a builtin.
pub(super) fn builtin(name: &str) -> Option<(&'static [&'static str], Possible)> {
    let at = BUILTINS.binary_search_by(|(known, ..)| (*known).cmp(name)).ok()?;
    let (_, arguments, result) = BUILTINS.get(at)?;
    let result = if name == "count" { Possible::counting() } else { Possible::kind(Kinds::of(result)) };
    Some((arguments, result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(BUILTINS.is_sorted_by_key(|(name, ..)| *name));
        let served: BTreeSet<&str> = remit_core::policy::served().map(|(name, _)| name).collect();
        for (name, arguments, _) in BUILTINS {
            let known = regorus::unstable::BUILTINS.get(name).map(|(_, arity)| usize::from(*arity));
            let own = remit_core::policy::served().find(|(own, _)| own == name).map(|(_, arity)| arity);
            assert!(served.contains(name) || known.is_some(), "{name}");
            assert_eq!(own.or(known), Some(arguments.len()), "{name}");
        }
    }

    #[test]
    fn kinds_are_named() {
        for (letters, expected) in
            [("n", "a number"), ("zs", "a string"), ("z", "null"), ("at", "an array or a set")]
        {
            assert_eq!(Kinds::of(letters).to_string(), expected);
        }
    }
}
