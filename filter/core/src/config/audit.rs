//! Where the records of decisions go.

use serde::{Deserialize, Serialize};

use super::Checks;

/// Where the record of a decision goes, in at least one place. Each costs the proxy some microseconds a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AuditPlaces {
    /// A line in the proxy's own log, at level info.
    pub log: bool,
    /// The filter state `wasm.remit_audit`, which access logs print.
    pub filter_state: bool,
}

impl Default for AuditPlaces {
    fn default() -> Self {
        Self { log: true, filter_state: true }
    }
}

impl AuditPlaces {
    pub(super) fn check(self, checks: &mut Checks) {
        checks.that(
            self.log || self.filter_state,
            "/audit",
            "a record has to go somewhere: log or filter_state",
        );
    }
}
