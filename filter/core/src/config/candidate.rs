//! A policy that is evaluated in shadow, beside the one in force.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::bundles::{check_entries, check_source};
use super::{BundleEntry, Checks, Config, SoleBundle};

/// What is evaluated beside the policy in force.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CandidateConfig {
    /// The candidate is this bundle alone. Exactly one of `bundle` and `bundles`.
    #[serde(default)]
    pub bundle: Option<SoleBundle>,
    /// The candidate is what is in force, with these bundles in place of those of the same name, or besides them.
    #[serde(default)]
    pub bundles: BTreeMap<String, BundleEntry>,
    /// The part of the requests that it is evaluated for, 0 to 1.
    #[serde(default = "all")]
    pub fraction: f64,
    /// Instructions for one decision of it; default: `limits.instructions`.
    #[serde(default)]
    pub instructions: Option<usize>,
    /// Time for one decision of it, in milliseconds; default: `limits.evaluation_ms`.
    #[serde(default)]
    pub evaluation_ms: Option<u64>,
}

const fn all() -> f64 {
    1.0
}

pub(super) fn check(config: &Config, checks: &mut Checks) {
    let Some(candidate) = &config.candidate else { return };
    let one_kind = candidate.bundle.is_some() == candidate.bundles.is_empty();
    checks.that(one_kind, "/candidate", "exactly one of `bundle` and `bundles`");
    if let Some(SoleBundle(entry)) = &candidate.bundle {
        check_source(&entry.source, "/candidate/bundle", checks);
    }
    let few = candidate.bundles.len() <= config.limits.bundles;
    checks.that(few, "/candidate/bundles", "more bundles than limits.bundles");
    check_entries(&candidate.bundles, "/candidate/bundles", checks);
    checks.that((0.0..=1.0).contains(&candidate.fraction), "/candidate/fraction", "0 to 1");
    let instructions = candidate.instructions.is_none_or(|count| (100..=100_000_000).contains(&count));
    checks.that(instructions, "/candidate/instructions", "100 to 100000000");
    let ms = candidate.evaluation_ms.is_none_or(|ms| (1..=1000).contains(&ms));
    checks.that(ms, "/candidate/evaluation_ms", "1 to 1000");
}
