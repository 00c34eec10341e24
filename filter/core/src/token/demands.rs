//! What an issuer's tokens must come with beyond a good signature and claims.

use serde::{Deserialize, Serialize};

use super::TokenError;
use super::confirmation::Confirmation;
use crate::ids::UnixSeconds;
use crate::status::StatusReference;

/// Whether tokens have to be bound to a key or a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SenderConstraint {
    /// A token that is bound needs its proof; one that is not bound does without.
    #[default]
    AsBound,
    /// A token that is not bound is refused.
    Required,
}

/// Whether tokens have to name their place in a status list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum StatusRule {
    /// A token with a `status` is looked up; one without is as good.
    #[default]
    AsPresent,
    /// A token without `status` is refused.
    Required,
}

/// How, and how lately, the principal must have signed in (RFC 9470). Empty: anyhow, at any time.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Authentication {
    /// Accepted values of `acr`; none: any, and none at all.
    pub acr_values: Vec<String>,
    /// Largest accepted age of `auth_time`, in seconds.
    pub max_age_seconds: Option<u64>,
}

impl Authentication {
    /// Whether a principal with these claims has signed in well enough and lately enough.
    #[must_use]
    pub fn suffices(
        &self,
        acr: Option<&str>,
        auth_time: Option<UnixSeconds>,
        now: UnixSeconds,
        skew: u64,
    ) -> bool {
        let strong =
            self.acr_values.is_empty() || acr.is_some_and(|acr| self.acr_values.iter().any(|a| a == acr));
        let fresh = self.max_age_seconds.is_none_or(|age| {
            let age = age.saturating_add(skew);
            auth_time.is_some_and(|time| now.since(time) <= age && time <= now.plus(skew))
        });
        strong && fresh
    }
}

/// What the tokens of an issuer must come with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Demands {
    /// A proof of possession.
    pub sender_constraint: SenderConstraint,
    /// A place in a status list.
    pub status: StatusRule,
    /// A sign-in.
    pub authentication: Authentication,
}

/// Holds what a token brings against what is demanded. Without demands nobody would ask for a proof or look up a status,
/// so a token that has either is refused.
pub(super) fn check(
    demands: Option<&Demands>,
    confirmation: Option<&Confirmation>,
    status: Option<&StatusReference>,
) -> Result<(), TokenError> {
    match demands {
        None if confirmation.is_some() => Err(TokenError::Bound),
        None if status.is_some() => Err(TokenError::StatusUnchecked),
        Some(demands)
            if confirmation.is_none() && demands.sender_constraint == SenderConstraint::Required =>
        {
            Err(TokenError::Unbound)
        }
        Some(demands) if status.is_none() && demands.status == StatusRule::Required => {
            Err(TokenError::ClaimMissing { claim: "status" })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_suffices_or_does_not() {
        let rule = |acr: &[&str], max_age_seconds| Authentication {
            acr_values: acr.iter().map(|acr| (*acr).to_owned()).collect(),
            max_age_seconds,
        };
        let now = UnixSeconds(1000);
        for (rule, acr, auth_time, expected) in [
            (rule(&[], None), None, None, true),
            (rule(&["phr", "mfa"], None), Some("mfa"), None, true),
            (rule(&["phr"], None), Some("PHR"), None, false),
            (rule(&["phr"], None), None, None, false),
            (rule(&[], Some(60)), None, Some(910), true),
            (rule(&[], Some(60)), None, Some(909), false),
            (rule(&[], Some(60)), None, None, false),
            (rule(&[], Some(60)), None, Some(1030), true),
            (rule(&[], Some(60)), None, Some(1031), false),
            (rule(&["phr"], Some(60)), Some("phr"), Some(999), true),
            (rule(&["phr"], Some(60)), Some("pwd"), Some(999), false),
            (rule(&[], Some(u64::MAX)), None, Some(0), true),
        ] {
            let suffices = rule.suffices(acr, auth_time.map(UnixSeconds), now, 30);
            assert_eq!(suffices, expected, "{rule:?} {acr:?} {auth_time:?}");
        }
    }
}
