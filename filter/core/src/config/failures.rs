//! What happens when something fails, and how a denial looks.

use serde::{Deserialize, Serialize};

/// What happens when a decision cannot be made as usual.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Failures {
    /// No bundle is in force: not fetched yet, refused, or older than its maximum age.
    pub no_bundle: FailureMode,
    /// The policy is undefined, contradicts itself, fails, or returns something that is no decision.
    pub evaluation: FailureMode,
    /// The policy ran over its instructions or its time.
    pub budget_exhausted: FailureMode,
    /// The body is larger than `limits.body_bytes`.
    pub body_too_large: BodyTooLarge,
    /// The request comes without a token.
    pub token_missing: TokenMissing,
    /// Servers could take the path for another one: dot segments, an escaped slash, a backslash, a control character, or
    /// no slash at the beginning.
    pub path_ambiguous: PathAmbiguous,
}

/// Deny or allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum FailureMode {
    /// Nothing is forwarded.
    #[default]
    Deny,
    /// The request is forwarded; audit says why.
    Allow,
}

/// What happens to a body over the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum BodyTooLarge {
    /// 413.
    #[default]
    Deny,
    /// The policy decides without the body, and sees `truncated_body`.
    DecideWithout,
}

/// What happens to a request without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TokenMissing {
    /// 401.
    #[default]
    Deny,
    /// The policy decides, and sees neither `input.remit.token` nor `input.remit.delegation`. A token that is there has to
    /// be good all the same; without any issuer `Authorization` is not read at all.
    DecideWithout,
}

/// What happens to a path that servers could take for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum PathAmbiguous {
    /// 400.
    #[default]
    Deny,
    /// The policy decides on `parsed_path` as opa-envoy-plugin gives it; the catalog does not know the request.
    Decide,
}

/// How signatures are verified.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Signatures {
    /// Let the proxy's foreign function `verify_signature` do ES256, ES384, RS256, RS384 and RS512 where it exists.
    pub host: bool,
}

impl Default for Signatures {
    fn default() -> Self {
        Self { host: true }
    }
}

/// What a denial says besides what the policy gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum DenialBody {
    /// The reason codes and the decision's id, as problem+json or in the client's protocol.
    #[default]
    Explained,
    /// Nothing, as with ext_authz: status, headers and body are the policy's; the filter's own refusals are bare.
    Policy,
}

/// How denials look.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Denials {
    /// HTTP status that carries a JSON-RPC error to MCP clients: 200 (default), because SDKs take any other for a
    /// broken transport and never read the error, or 400, 401 or 403.
    pub mcp_status: u16,
    /// What a denial says besides what the policy gives.
    pub body: DenialBody,
    /// Name the rules that held in a header `x-remit-rules`. Whoever sends requests sees them; records have them anyway.
    pub rules: bool,
}

impl Default for Denials {
    fn default() -> Self {
        Self { mcp_status: 200, body: DenialBody::Explained, rules: false }
    }
}
