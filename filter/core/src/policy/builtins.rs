//! Which builtins are served: those that give the same answer everywhere and whose work the input cannot blow up.

use regorus::unstable::Expr;

/// Why a call is refused when the bundle loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A builtin of OPA that Remit does not serve, or no function at all.
    #[error("is neither a function of the bundle nor a builtin that Remit serves")]
    Unknown,
    /// It would reach outside, or answer differently from one evaluation to the next.
    #[error("is not served: a decision has to follow from the input and the data alone")]
    Impure,
    /// Its work grows with the value of an argument, so the arguments have to be in the policy.
    #[error("is served with small constant arguments only: its work grows with their values")]
    Unbounded,
    /// A zone of the world, written in the call, whose offset changes.
    #[error(
        "is served with the zones UTC and Etc/GMT-14 to Etc/GMT+12 only, for want of a time-zone database: add the zone's offset to the time"
    )]
    Zone,
    /// A builtin that OPA has in Rego v0 alone.
    #[error("is of Rego v0: write {instead}, or say \"rego_version\": 0 in .manifest")]
    Old {
        /// What Rego v1 has for it.
        instead: &'static str,
    },
    /// Of annotations, which are not kept.
    #[error("is not served: write what the annotation says into the rule")]
    Annotation,
    /// `with` would put something else in its place.
    #[error("cannot be replaced by `with` in a bundle that decides")]
    Replaced,
}

/// Builtins that regorus implements in this build and that are pure and bounded by the size of their arguments.
pub(super) const SERVED: &[&str] = &[
    "__builtin_sets.intersection",
    "__builtin_sets.union",
    "abs",
    "array.concat",
    "array.reverse",
    "array.slice",
    "base64.decode",
    "base64.encode",
    "base64.is_valid",
    "base64url.decode",
    "base64url.encode",
    "base64url.encode_no_pad",
    "bits.and",
    "bits.lsh",
    "bits.negate",
    "bits.or",
    "bits.rsh",
    "bits.xor",
    "ceil",
    "concat",
    "contains",
    "count",
    "endswith",
    "floor",
    "format_int",
    "hex.decode",
    "hex.encode",
    "indexof",
    "indexof_n",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "json.filter",
    "json.marshal",
    "json.marshal_with_options",
    "json.remove",
    "lower",
    "max",
    "min",
    "object.filter",
    "object.get",
    "object.keys",
    "object.remove",
    "object.union",
    "object.union_n",
    "print",
    "product",
    "replace",
    "round",
    "semver.compare",
    "semver.is_valid",
    "sort",
    "split",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "strings.reverse",
    "substring",
    "sum",
    "to_number",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "union",
    "upper",
];

/// Builtins of OPA that are not in [`super::functions`] for a reason of their own, whatever regorus does with them.
const REFUSED: &[(&str, Refusal)] = &[
    ("net.lookup_ip_addr", Refusal::Impure),
    ("rego.metadata.chain", Refusal::Annotation),
    ("rego.metadata.rule", Refusal::Annotation),
];

/// What OPA has in Rego v0 alone, and what to write for it in v1.
const OLD: &[(&str, &str)] = &[
    ("all", "`every`"),
    ("any", "`true in` of the collection"),
    ("cast_array", "a comprehension"),
    ("cast_boolean", "is_boolean"),
    ("cast_null", "is_null"),
    ("cast_object", "is_object"),
    ("cast_set", "a comprehension"),
    ("cast_string", "is_string"),
    ("net.cidr_overlap", "net.cidr_contains"),
    ("re_match", "regex.match"),
    ("set_diff", "`a - b`"),
];

/// [`Refusal::Old`], for what Rego v1 has no longer.
pub(super) fn is_old(name: &str) -> Option<Refusal> {
    let (_, instead) = OLD.iter().find(|(old, _)| *old == name)?;
    Some(Refusal::Old { instead })
}

/// The reason of its own for which a builtin of OPA is refused.
pub(super) fn refused(name: &str) -> Option<Refusal> {
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, refusal)| *refusal)
}

const LARGEST_CONSTANT: i64 = 1_024;

/// Whether a call of this builtin is served.
pub(super) fn check(name: &str, arguments: &[regorus::unstable::ExprRef]) -> Result<(), Refusal> {
    if SERVED.binary_search(&name).is_err() {
        return Err(refused(name).unwrap_or(Refusal::Unknown));
    }
    match name {
        "bits.lsh" if !arguments.get(1).is_some_and(|shift| is_small_constant(shift)) => {
            Err(Refusal::Unbounded)
        }
        _ => Ok(()),
    }
}

/// How many arguments a served builtin takes; `None` for `print`, which takes any.
pub(super) fn arity(name: &str) -> Option<usize> {
    regorus::unstable::BUILTINS.get(name).map(|(_, arity)| usize::from(*arity))
}

fn is_small_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Number { value, .. } => {
            value.as_i64().is_ok_and(|number| (-LARGEST_CONSTANT..=LARGEST_CONSTANT).contains(&number))
        }
        Expr::UnaryExpr { expr, .. } => is_small_constant(expr),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::policy::tests::policy;
    use crate::policy::{Document, EvaluationBudget};

    /// What the build has and Remit does not serve; a new regorus or feature has to be sorted into one of the lists.
    const NOT_SERVED: &[&str] = &["trace"];

    #[test]
    fn every_builtin_of_the_build_is_sorted_into_a_list() {
        let replaced = |name: &&str| super::super::functions::find(name).is_none();
        let built: BTreeSet<_> = regorus::unstable::BUILTINS.keys().copied().filter(replaced).collect();
        let mut listed: BTreeSet<_> = SERVED.iter().chain(NOT_SERVED).copied().filter(replaced).collect();
        // The evaluators have it in themselves.
        assert!(listed.remove("print"));
        assert_eq!(built, listed);
        assert!(SERVED.is_sorted());
    }

    #[test]
    fn no_served_builtin_panics_on_odd_arguments() {
        let odd = [
            json!(null),
            json!(-1),
            json!(1.5),
            json!(1e308),
            json!(u64::MAX),
            json!(""),
            json!("ä(*[%\u{0}"),
            json!("-1e99999"),
            json!([]),
            json!([["a", {}], "b", 1]),
            json!({"a": {"b": [1]}}),
        ];
        for name in SERVED {
            let arity = arity(name).unwrap_or(1);
            let guarded =
                ["object.subset", "strings.count", "bits.lsh", "numbers.range", "numbers.range_step"];
            if guarded.contains(name) || name.starts_with("__") {
                continue;
            }
            let arguments: Vec<_> = (0..arity).map(|at| format!("input[{at}]")).collect();
            let policy = policy(&format!("decision := {name}({})", arguments.join(", ")));
            let bound: usize = if arity > 3 { 3 } else { odd.len() };
            for mut case in 0..bound.pow(u32::try_from(arity).unwrap()) {
                let input: Vec<_> = (0..arity)
                    .map(|_| {
                        let value = odd[case % bound].clone();
                        case /= bound;
                        value
                    })
                    .collect();
                let _ =
                    policy.evaluate(Document::from_json_owned(json!(input)), &EvaluationBudget::default());
            }
        }
    }
}
