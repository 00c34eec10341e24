//! Hop lists: tokens that each holder derived from its own, root to leaf, and a proof of the leaf's key for one action
//! (draft-niyikiza-oauth-attenuating-agent-tokens; the root is an access token that names the person).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::{Delegation, DelegationError, Party, PrincipalKind, constraint, profile, task};
use crate::action::{Action, Protocol, Verb};
use crate::approval::canonical;
use crate::ids::{Now, UnixSeconds};
use crate::keys::{Algorithm, Key};
use crate::ordered;
use crate::token::{Compact, IssuerRules, Rounding, TokenLimits, VerifiedToken, numeric_date};

/// The derived tokens, from the one after the root to the leaf, with `~` between them.
pub const HOPS_HEADER: &str = "agent-hops";
/// The proof of the leaf's key.
pub const PROOF_HEADER: &str = "agent-hop-proof";
/// `typ` of a derived token and of a proof.
const HOP_TYPE: &str = "aat+jwt";
const PROOF_TYPE: &str = "aat-pop+jwt";
/// RFC 9278 section 3.
const THUMBPRINT: &str = "urn:ietf:params:oauth:jwk-thumbprint:sha-256:";
/// How long a proof counts, in seconds, apart from the issuer's clock skew.
const PROOF_SECONDS: u64 = 60;
/// Every claim of a derived token: another could be a restriction that nobody enforces.
const CLAIMS: [&str; 9] =
    ["authorization_details", "cnf", "del_depth", "del_max_depth", "exp", "iat", "iss", "jti", "par_hash"];
const PROOF_CLAIMS: [&str; 6] = ["aat_aud", "aat_id", "aat_tool", "hta", "iat", "jti"];

/// What the leaf of a hop list may do. Every action is held against it.
#[derive(Debug)]
pub struct Grant {
    id: String,
    /// Thumbprint URI of its key.
    holder: String,
    key: Key,
    issued: UnixSeconds,
    expires: UnixSeconds,
    depth: u64,
    max_depth: u64,
    /// By operation, constraints by argument.
    tools: Map<String, Value>,
    digest: [u8; 32],
    algorithms: Vec<Algorithm>,
    audience: String,
    skew: u64,
    max_items: usize,
}

/// What came with a request to prove that it is the leaf's holder who asks.
#[derive(Debug, Clone, Copy)]
pub struct Proof<'p> {
    /// The value of [`PROOF_HEADER`].
    pub text: Option<&'p str>,
    /// How much of it is read.
    pub limits: &'p TokenLimits,
    /// Whether there is a body that the arguments do not show.
    pub body_unseen: bool,
}

/// Verifies a hop list, and puts the holders of its keys in the chain.
pub(super) fn verify(
    token: &VerifiedToken,
    hops: Option<&str>,
    delegation: &mut Delegation,
    rules: &IssuerRules,
    limits: &TokenLimits,
) -> Result<Grant, DelegationError> {
    let missing = |member| DelegationError::HopsMissing { member };
    let digest = token.digest().ok_or(missing("jws"))?;
    let claims = token.claims();
    let mut leaf = Grant::read(&claims, digest, rules, false).map_err(missing)?;
    if leaf.depth != 0 || claims.contains_key("par_hash") {
        return Err(missing("del_depth"));
    }
    // `act` may name the holder of the root's key, and nobody else.
    if delegation.chain.len() > 1 {
        return Err(profile::mismatch("act"));
    }
    let holder = |grant: &Grant| Party { iss: rules.namespace().to_owned(), sub: grant.holder.clone() };
    if delegation.chain.is_empty() {
        delegation.chain.push(holder(&leaf));
    }
    let mut ids = ordered::set([leaf.id.clone()]);
    let mut holders = ordered::set([leaf.holder.clone()]);
    for (before, text) in hops.into_iter().flat_map(|hops| hops.split('~')).enumerate() {
        let hop = before.saturating_add(1);
        let invalid = |member: &'static str| DelegationError::HopInvalid { hop, member };
        if delegation.chain.len() >= rules.max_chain_depth {
            return Err(DelegationError::TooDeep { limit: rules.max_chain_depth });
        }
        let compact = Compact::parse(text, limits).map_err(|_| invalid("jws"))?;
        let claims = compact.opened_by(HOP_TYPE, &rules.algorithms, &leaf.key).ok_or(invalid("signature"))?;
        if claims.keys().any(|name| !CLAIMS.contains(&name.as_str())) {
            return Err(invalid("unknown claim"));
        }
        if compact.claimed_issuer() != leaf.holder {
            return Err(invalid("iss"));
        }
        let hash = URL_SAFE_NO_PAD.encode(leaf.digest);
        if claims.get("par_hash").and_then(Value::as_str) != Some(&hash) {
            return Err(invalid("par_hash"));
        }
        let child = Grant::read(claims, compact.digest(), rules, true).map_err(invalid)?;
        if !ids.insert(child.id.clone()) {
            return Err(invalid("jti"));
        }
        if !holders.insert(child.holder.clone()) {
            return Err(DelegationError::Cycle { hop });
        }
        child.check_within(&leaf).map_err(|member| DelegationError::HopWidens { hop, member })?;
        delegation.chain.insert(0, holder(&child));
        delegation.actor_kind = None;
        leaf = child;
    }
    delegation.depth = delegation.chain.len();
    delegation.actor = delegation.chain.first().cloned();
    // Nobody classifies a holder that is known by its key alone.
    delegation.actor_kind.get_or_insert(PrincipalKind::Unknown);
    Ok(leaf)
}

impl Grant {
    /// Reads a root, whose `authorization_details` may hold other types besides, or a derived token; else gives the member
    /// at fault.
    fn read(
        claims: &Map<String, Value>,
        digest: [u8; 32],
        rules: &IssuerRules,
        derived: bool,
    ) -> Result<Self, &'static str> {
        let jwk = claims.get("cnf").and_then(|cnf| cnf.get("jwk")).ok_or("cnf")?;
        let date = |claim: &'static str| {
            claims.get(claim).and_then(|value| numeric_date(value, Rounding::Down)).ok_or(claim)
        };
        let (issued, expires) = (date("iat")?, date("exp")?);
        if expires <= issued {
            return Err("exp");
        }
        let depth = |claim: &'static str| claims.get(claim).and_then(Value::as_u64).ok_or(claim);
        let (depth, max_depth) = (depth("del_depth")?, depth("del_max_depth")?);
        if depth > max_depth {
            return Err("del_depth");
        }
        let details = claims.get("authorization_details").and_then(Value::as_array);
        let details = details.filter(|details| !derived || details.len() == 1);
        let is_grant = |detail: &&Value| detail.get("type").and_then(Value::as_str) == Some(task::GRANT);
        let mut grants = details.into_iter().flatten().filter(is_grant);
        let (Some(Value::Object(grant)), None) = (grants.next(), grants.next()) else {
            return Err("authorization_details");
        };
        let tools = grant.get("tools").and_then(Value::as_object).filter(|_| grant.len() == 2);
        let tools = tools.filter(|tools| tools.len() <= rules.max_task_items).ok_or("tools")?;
        let known = |tool: &Value| {
            tool.as_object().is_some_and(|tool| constraint::are_known(tool, rules.max_task_items))
        };
        if !tools.values().all(known) {
            return Err("tools");
        }
        let id = claims.get("jti").and_then(Value::as_str).filter(|id| !id.is_empty());
        Ok(Self {
            id: id.ok_or("jti")?.to_owned(),
            key: Key::from_jwk(jwk, &rules.algorithms).ok().flatten().ok_or("cnf")?,
            holder: thumbprint(jwk).ok_or("cnf")?,
            issued,
            expires,
            depth,
            max_depth,
            tools: tools.clone(),
            digest,
            algorithms: rules.algorithms.clone(),
            audience: rules.audience.clone(),
            skew: rules.skew(),
            max_items: rules.max_task_items,
        })
    }

    /// Whether this is one step from `parent` and allows nothing that it does not; else the member at fault.
    fn check_within(&self, parent: &Self) -> Result<(), &'static str> {
        if Some(self.depth) != parent.depth.checked_add(1) {
            return Err("del_depth");
        }
        if self.max_depth > parent.max_depth {
            return Err("del_max_depth");
        }
        if self.expires > parent.expires {
            return Err("exp");
        }
        if self.issued < parent.issued {
            return Err("iat");
        }
        let covered = |(name, tool): (&String, &Value)| {
            let wider = parent.tools.get(name).and_then(Value::as_object);
            let pair = tool.as_object().zip(wider);
            pair.is_some_and(|(tool, wider)| constraint::are_within(tool, wider, self.max_items))
        };
        if self.tools.iter().all(covered) { Ok(()) } else { Err("tools") }
    }

    /// Roughly what it holds, in bytes, for a token of this many.
    #[must_use]
    pub fn bytes(&self, token_bytes: usize) -> usize {
        token_bytes.saturating_mul(4).saturating_add(size_of::<Self>())
    }

    /// Holds an action against the leaf: it is in time, its holder proves to ask for this very action, and the action is
    /// among what it grants. The handshake of a protocol reaches nothing and needs the proof alone. Gives the second that
    /// the proof was made in, for [`Grant::times_hold`].
    ///
    /// # Errors
    ///
    /// [`DelegationError::ProofMissing`], [`DelegationError::ProofInvalid`], [`DelegationError::NotGranted`].
    pub fn admit(&self, action: &Action, proof: Proof<'_>, now: Now) -> Result<UnixSeconds, DelegationError> {
        let invalid = |member: &'static str| DelegationError::ProofInvalid { member };
        let not_granted = |member: &'static str| DelegationError::NotGranted { member };
        let none = Map::new();
        self.leaf_holds(now.seconds())?;
        let arguments = match &action.arguments {
            Value::Null => &none,
            Value::Object(arguments) => arguments,
            _ => return Err(not_granted("argument")),
        };
        let text = proof.text.ok_or(DelegationError::ProofMissing)?;
        let compact = Compact::parse_pinned(text, proof.limits, Some("")).map_err(|_| invalid("jws"))?;
        let claims =
            compact.opened_by(PROOF_TYPE, &self.algorithms, &self.key).ok_or(invalid("signature"))?;
        if claims.keys().any(|name| !PROOF_CLAIMS.contains(&name.as_str())) {
            return Err(invalid("unknown claim"));
        }
        let own = [("aat_id", &self.id), ("aat_tool", &action.operation), ("aat_aud", &self.audience)];
        let other = |(claim, own): &(&str, &String)| claims.get(*claim).and_then(Value::as_str) != Some(own);
        if let Some((claim, _)) = own.into_iter().find(other) {
            return Err(invalid(claim));
        }
        if claims.get("jti").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(invalid("jti"));
        }
        let issued = claims.get("iat").and_then(|value| numeric_date(value, Rounding::Down));
        let issued = issued.ok_or(invalid("iat"))?;
        self.times_hold(issued, now)?;
        let exact = |value: &Value| canonical(value).map_err(|_| invalid("hta"));
        let proven = claims.get("hta").filter(|value| value.is_object()).ok_or(invalid("hta"))?;
        if exact(proven)? != exact(&Value::Object(arguments.clone()))? {
            return Err(invalid("hta"));
        }
        if action.verb == Verb::Session {
            return Ok(issued);
        }
        let constraints = self.tools.get(&action.operation).and_then(Value::as_object);
        let constraints = constraints.ok_or(not_granted("tool"))?;
        if proof.body_unseen {
            return Err(not_granted("body"));
        }
        let http = action.protocol == Protocol::Http;
        // Of a plain request all three parts are always there.
        let is_nothing =
            |value: &Value| http && (value.is_null() || value.as_object().is_some_and(Map::is_empty));
        let admitted = constraint::admit(constraints, arguments, is_nothing, self.max_items);
        if admitted { Ok(issued) } else { Err(not_granted("argument")) }
    }

    /// Whether the leaf, and a proof of this second, are in time.
    ///
    /// # Errors
    ///
    /// [`DelegationError::ProofInvalid`].
    pub fn times_hold(&self, proven: UnixSeconds, now: Now) -> Result<(), DelegationError> {
        let now = now.seconds();
        self.leaf_holds(now)?;
        if proven > now.plus(self.skew) || now > proven.plus(PROOF_SECONDS).plus(self.skew) {
            return Err(DelegationError::ProofInvalid { member: "iat" });
        }
        Ok(())
    }

    fn leaf_holds(&self, now: UnixSeconds) -> Result<(), DelegationError> {
        if now >= self.expires.plus(self.skew) || self.issued > now.plus(self.skew) {
            return Err(DelegationError::ProofInvalid { member: "leaf" });
        }
        Ok(())
    }
}

/// The thumbprint URI of a public key (RFC 9278).
fn thumbprint(jwk: &Value) -> Option<String> {
    Some(format!("{THUMBPRINT}{}", URL_SAFE_NO_PAD.encode(crate::keys::thumbprint(jwk)?)))
}

#[cfg(test)]
mod tests;
