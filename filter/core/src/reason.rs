//! The reason codes of the filter's own that are not tied to one error type.

use crate::ids::ReasonCode;

/// No configuration is in force, or the host has no randomness to name a decision with.
pub const NO_CONFIGURATION: ReasonCode = ReasonCode::of("no_configuration");
/// No bundle is in force.
pub const NO_BUNDLE: ReasonCode = ReasonCode::of("no_bundle");
/// The policy gave no decision.
pub const DECISION_UNDEFINED: ReasonCode = ReasonCode::of("decision_undefined");
/// The policy gave two decisions.
pub const DECISION_CONFLICT: ReasonCode = ReasonCode::of("decision_conflict");
/// The policy gave something that is no decision.
pub const DECISION_MALFORMED: ReasonCode = ReasonCode::of("decision_malformed");
/// The policy failed while it ran.
pub const EVALUATION_FAILED: ReasonCode = ReasonCode::of("evaluation_failed");
/// The policy ran over its instructions.
pub const INSTRUCTIONS_EXHAUSTED: ReasonCode = ReasonCode::of("instructions_exhausted");
/// The policy ran over its time.
pub const TIME_EXHAUSTED: ReasonCode = ReasonCode::of("time_exhausted");
/// The policy would make more than fits.
pub const MEMORY_EXHAUSTED: ReasonCode = ReasonCode::of("memory_exhausted");
/// A call of `http.send` went wrong, and the policy does not take errors.
pub const HTTP_SEND_FAILED: ReasonCode = ReasonCode::of("http_send_failed");
/// The policy makes more calls of `http.send` than allowed.
pub const HTTP_SEND_CALLS: ReasonCode = ReasonCode::of("http_send_calls");
/// Too many requests wait for answers to `http.send`.
pub const HTTP_SEND_BUSY: ReasonCode = ReasonCode::of("http_send_busy");
/// The body is over the limit.
pub const BODY_TOO_LARGE: ReasonCode = ReasonCode::of("body_too_large");
/// The body did not arrive in time.
pub const BODY_LATE: ReasonCode = ReasonCode::of("body_late");
/// `content-length` and the body differ.
pub const BODY_LENGTH_MISMATCH: ReasonCode = ReasonCode::of("body_length_mismatch");
/// The state that challenges are kept in cannot be read or written.
pub const STATE_UNAVAILABLE: ReasonCode = ReasonCode::of("state_unavailable");
/// There is no room for a further challenge.
pub const CHALLENGES_FULL: ReasonCode = ReasonCode::of("challenges_full");
/// Approval is needed and none can be asked for: no approval issuer is configured.
pub const APPROVAL_NOT_CONFIGURED: ReasonCode = ReasonCode::of("approval_not_configured");
/// Approval is needed, or comes along, and nobody is named that it could be for.
pub const APPROVAL_WITHOUT_TOKEN: ReasonCode = ReasonCode::of("approval_without_token");
/// Approval is needed and the action has nothing that an approval could be bound to.
pub const APPROVAL_UNBINDABLE: ReasonCode = ReasonCode::of("approval_unbindable");
/// The host announced a body and did not hand it over.
pub const BODY_UNREADABLE: ReasonCode = ReasonCode::of("body_unreadable");
/// The access token and the transaction token of one request contradict each other.
pub const TOKEN_CONFLICT: ReasonCode = ReasonCode::of("token_conflict");
/// A proof of possession that was used before.
pub const PROOF_REPLAYED: ReasonCode = ReasonCode::of("proof_replayed");
/// There is no room to remember that a further proof was used.
pub const PROOFS_FULL: ReasonCode = ReasonCode::of("proofs_full");
/// The principal has not signed in well or lately enough (RFC 9470).
pub const INSUFFICIENT_USER_AUTHENTICATION: ReasonCode = ReasonCode::of("insufficient_user_authentication");
/// The token lacks scope (RFC 6750 section 3.1).
pub const INSUFFICIENT_SCOPE: ReasonCode = ReasonCode::of("insufficient_scope");
/// The shell fed an event that nobody asked for.
pub const OUT_OF_ORDER: ReasonCode = ReasonCode::of("internal_out_of_order");
