//! What tokens have to come with besides themselves: proofs of possession, statuses, sign-ins.

use serde::{Deserialize, Serialize};

use super::{Checks, HttpSource, Issuer};
use crate::keys::Algorithm;
use crate::token::MAX_CLOCK_SKEW_SECONDS;

/// Most status lists of one issuer.
const MAX_STATUS_LISTS: usize = 64;

/// How proofs of possession are verified (DPoP, RFC 9449).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dpop {
    /// Algorithms that proofs may be signed with; none of them symmetric.
    pub algorithms: Vec<Algorithm>,
    /// How old a proof may be, in seconds, 1 to 600; for as long, it is remembered that it was used.
    pub max_age_seconds: u64,
    /// Tolerated difference of clocks, in seconds; at most 300.
    pub clock_skew_seconds: u64,
}

impl Default for Dpop {
    fn default() -> Self {
        Self {
            algorithms: vec![
                Algorithm::Es256,
                Algorithm::Es384,
                Algorithm::EdDsa,
                Algorithm::Rs256,
                Algorithm::Ps256,
            ],
            max_age_seconds: 60,
            clock_skew_seconds: 30,
        }
    }
}

impl Dpop {
    /// The algorithms as `algs` of a challenge names them (RFC 9449 section 5.1).
    #[must_use]
    pub fn algs(&self) -> String {
        self.algorithms.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        let known = !self.algorithms.is_empty() && !self.algorithms.contains(&Algorithm::Hs256);
        checks.that(known, "/dpop/algorithms", "at least one, and not HS256: proofs show a private key");
        let age = (1..=600).contains(&self.max_age_seconds);
        checks.that(age, "/dpop/max_age_seconds", "1 to 600");
        let skew = self.clock_skew_seconds <= MAX_CLOCK_SKEW_SECONDS;
        checks.that(skew, "/dpop/clock_skew_seconds", "at most 300");
    }
}

/// A status list of an issuer (draft-ietf-oauth-status-list), signed with the issuer's own keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusListSource {
    /// Exact value of `uri` in the tokens, and of `sub` in the list.
    pub uri: String,
    /// Where it is fetched. A list that is older than `max_age_seconds`, or than its own `exp`, is as good as none.
    pub http: HttpSource,
}

pub(super) fn check_issuer(checks: &mut Checks, at: &str, issuer: &Issuer) {
    let lists = &issuer.status_lists;
    checks.that(lists.len() <= MAX_STATUS_LISTS, at, "status_lists: at most 64");
    for (i, list) in lists.iter().enumerate() {
        let at = format!("{at}/status_lists/{i}");
        checks.that(!list.uri.is_empty(), &at, "uri: as tokens name the list in `status.status_list.uri`");
        let earlier = lists.iter().take(i).any(|other| other.uri == list.uri);
        checks.that(!earlier, &at, "this status list is configured twice");
        let (at, http) = (format!("{at}/http"), &list.http);
        http.check(&at, checks);
        let polled = http.min_refresh_seconds.is_some() || http.long_polling_timeout_seconds.is_some();
        checks.that(!polled, &at, "min_refresh_seconds, long_polling_timeout_seconds: for bundles only");
    }
    // They are repeated in a quoted string of a header (RFC 9470 section 3).
    let quotable = |acr: &String| !acr.is_empty() && acr.bytes().all(crate::decision::is_quotable);
    let acr_values = issuer.authentication.acr_values.iter().all(quotable);
    let at = format!("{at}/authentication/acr_values");
    checks.that(acr_values, &at, "visible ASCII without space, `\"` and `\\`");
}
