//! Bounds on size, depth, time, memory and state, each with a default that suits a gateway.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Checks;
use crate::dpop::ProofLimits;
use crate::json::JsonLimits;
use crate::policy::EvaluationBudget;
use crate::status::StatusLimits;

/// Bounds on everything that grows.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// Request headers of one request, names and values, in bytes.
    pub header_bytes: usize,
    /// Request headers of one request.
    pub header_count: usize,
    /// One token, approval or proof of possession, in bytes.
    pub token_bytes: usize,
    /// A request body that is read, in bytes.
    pub body_bytes: usize,
    /// How long the filter waits for a body that it needs, in seconds.
    pub body_seconds: u64,
    /// Nesting of JSON in bodies, claims and arguments, and of gRPC messages.
    pub json_depth: usize,
    /// Values of the JSON of a body, fields of a form, values of a gRPC message.
    pub body_values: usize,
    /// Instructions of the policy engine for one evaluation.
    pub instructions: usize,
    /// Time of the policy engine for all evaluations of one request, in milliseconds.
    pub evaluation_ms: u64,
    /// Bytes of the values that builtins make for one decision, whether they are kept or not.
    pub evaluation_bytes: usize,
    /// Signatures that `io.jwt.*` checks in one evaluation.
    pub evaluation_signatures: u32,
    /// A token that `io.jwt.*` reads, in bytes.
    pub evaluation_token_bytes: usize,
    /// How deep rules may call each other; a bundle that goes deeper is refused, and so is recursion.
    pub rule_depth: usize,
    /// Verified tokens that are remembered, for each worker.
    pub token_cache_entries: usize,
    /// Size of the verified tokens that are remembered, in bytes, for each worker.
    pub token_cache_bytes: usize,
    /// Decisions that are remembered for equal inputs, for each worker; 0 for none.
    pub decision_cache_entries: usize,
    /// Size of the decisions that are remembered and of their inputs, in bytes, for each worker.
    pub decision_cache_bytes: usize,
    /// Slots that open challenges are kept in, for the whole proxy.
    pub challenge_slots: u32,
    /// Open challenges in one slot. When a slot is full, no further challenge is issued from it.
    pub challenges_per_slot: usize,
    /// The `jti` of a proof of possession, in bytes.
    pub proof_jti_bytes: usize,
    /// Slots that used proofs are remembered in, for the whole proxy.
    pub proof_slots: u32,
    /// Used proofs in one slot, 24 bytes each. When a slot is full, no further proof is taken that belongs there.
    pub proofs_per_slot: usize,
    /// A status list as fetched, in bytes.
    pub status_list_bytes: usize,
    /// A status list inflated, in bytes: one holds eight statuses of one bit.
    pub status_list_unpacked_bytes: usize,
    /// Bundles that the policy is made of.
    pub bundles: usize,
    /// A bundle as fetched, in bytes.
    pub bundle_bytes: usize,
    /// A bundle unpacked, in bytes.
    pub bundle_unpacked_bytes: usize,
    /// Files in a bundle.
    pub bundle_files: usize,
    /// Agents in the registry of a bundle.
    pub registry_agents: usize,
    /// Entries of the kill list of a bundle.
    pub revoked_entries: usize,
    /// A key set as fetched, in bytes.
    pub key_set_bytes: usize,
    /// Keys in a key set.
    pub key_set_keys: usize,
    /// Requests that wait for one issuer's keys, for each worker; 0: none waits.
    pub key_waits: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: 64 * 1024,
            header_count: 128,
            token_bytes: 8 * 1024,
            body_bytes: 1024 * 1024,
            body_seconds: 60,
            json_depth: 32,
            body_values: 10_000,
            instructions: 100_000,
            evaluation_ms: 10,
            evaluation_bytes: 16 * 1024 * 1024,
            evaluation_signatures: 32,
            evaluation_token_bytes: 64 * 1024,
            rule_depth: 64,
            token_cache_entries: 4096,
            token_cache_bytes: 16 * 1024 * 1024,
            decision_cache_entries: 1024,
            decision_cache_bytes: 2 * 1024 * 1024,
            challenge_slots: 256,
            challenges_per_slot: 8,
            proof_jti_bytes: 256,
            proof_slots: 1024,
            proofs_per_slot: 128,
            status_list_bytes: 1024 * 1024,
            status_list_unpacked_bytes: 4 * 1024 * 1024,
            bundles: 16,
            bundle_bytes: 4 * 1024 * 1024,
            bundle_unpacked_bytes: 32 * 1024 * 1024,
            bundle_files: 512,
            registry_agents: 4096,
            revoked_entries: 65_536,
            key_set_bytes: 64 * 1024,
            key_set_keys: 32,
            key_waits: 64,
        }
    }
}

impl Limits {
    /// What a body may make.
    #[must_use]
    pub fn json(&self) -> JsonLimits {
        JsonLimits { depth: self.json_depth, values: self.body_values }
    }

    /// What the evaluations of one request may cost.
    #[must_use]
    pub fn evaluation(&self) -> EvaluationBudget {
        let time = Duration::from_millis(self.evaluation_ms);
        EvaluationBudget {
            instructions: self.instructions,
            time,
            bytes: self.evaluation_bytes,
            signatures: self.evaluation_signatures,
            token_bytes: self.evaluation_token_bytes,
            since: None,
        }
    }

    /// How much of a proof of possession is read.
    #[must_use]
    pub fn proof(&self) -> ProofLimits {
        ProofLimits { proof_bytes: self.token_bytes, jti_bytes: self.proof_jti_bytes }
    }

    /// How much of a status list is read.
    #[must_use]
    pub fn status_list(&self) -> StatusLimits {
        StatusLimits { list_bytes: self.status_list_bytes, inflated_bytes: self.status_list_unpacked_bytes }
    }

    pub(super) fn check(&self, checks: &mut Checks) {
        let at = |name: &str| format!("/limits/{name}");
        let mut within = |name: &str, value: usize, low: usize, high: usize, problem: &'static str| {
            checks.that((low..=high).contains(&value), &at(name), problem);
        };
        within("header_bytes", self.header_bytes, 1024, 1 << 20, "1024 to 1048576");
        within("header_count", self.header_count, 8, 1024, "8 to 1024");
        within("token_bytes", self.token_bytes, 256, 32 * 1024, "256 to 32768");
        within("body_bytes", self.body_bytes, 0, 64 << 20, "at most 67108864");
        within("json_depth", self.json_depth, 4, 120, "4 to 120");
        within("body_values", self.body_values, 1, 1 << 20, "1 to 1048576");
        within("instructions", self.instructions, 100, 100_000_000, "100 to 100000000");
        let ms = usize::try_from(self.evaluation_ms).unwrap_or(usize::MAX);
        within("evaluation_ms", ms, 1, 1000, "1 to 1000");
        within("rule_depth", self.rule_depth, 1, 64, "1 to 64");
        within("evaluation_bytes", self.evaluation_bytes, 1024, 1 << 30, "1024 to 1073741824");
        let signatures = usize::try_from(self.evaluation_signatures).unwrap_or(usize::MAX);
        within("evaluation_signatures", signatures, 0, 1024, "at most 1024");
        within("evaluation_token_bytes", self.evaluation_token_bytes, 256, 1 << 20, "256 to 1048576");
        within("token_cache_entries", self.token_cache_entries, 0, 1 << 20, "at most 1048576");
        within("token_cache_bytes", self.token_cache_bytes, 0, 256 << 20, "at most 268435456");
        within("decision_cache_entries", self.decision_cache_entries, 0, 1 << 20, "at most 1048576");
        within("decision_cache_bytes", self.decision_cache_bytes, 0, 256 << 20, "at most 268435456");
        let seconds = usize::try_from(self.body_seconds).unwrap_or(usize::MAX);
        within("body_seconds", seconds, 1, 3600, "1 to 3600");
        let slots = usize::try_from(self.challenge_slots).unwrap_or(usize::MAX);
        within("challenge_slots", slots, 1, 65_536, "1 to 65536");
        within("challenges_per_slot", self.challenges_per_slot, 1, 64, "1 to 64");
        within("proof_jti_bytes", self.proof_jti_bytes, 16, 1024, "16 to 1024");
        let slots = usize::try_from(self.proof_slots).unwrap_or(usize::MAX);
        within("proof_slots", slots, 1, 65_536, "1 to 65536");
        within("proofs_per_slot", self.proofs_per_slot, 1, 1024, "1 to 1024");
        within("status_list_bytes", self.status_list_bytes, 64, 16 << 20, "64 to 16777216");
        let unpacked = self.status_list_unpacked_bytes;
        within("status_list_unpacked_bytes", unpacked, 1, 64 << 20, "1 to 67108864");
        within("bundles", self.bundles, 1, 64, "1 to 64");
        within("bundle_bytes", self.bundle_bytes, 256, 64 << 20, "256 to 67108864");
        within("bundle_unpacked_bytes", self.bundle_unpacked_bytes, 1024, 256 << 20, "1024 to 268435456");
        within("bundle_files", self.bundle_files, 1, 65_536, "1 to 65536");
        within("registry_agents", self.registry_agents, 0, 1 << 20, "at most 1048576");
        within("revoked_entries", self.revoked_entries, 0, 1 << 20, "at most 1048576");
        within("key_set_bytes", self.key_set_bytes, 64, 1 << 20, "64 to 1048576");
        within("key_set_keys", self.key_set_keys, 1, 256, "1 to 256");
        within("key_waits", self.key_waits, 0, 65_536, "at most 65536");
    }
}
