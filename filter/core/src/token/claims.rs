//! The claims of a token whose signature is verified (RFC 7519 section 4.1, RFC 9068 section 2.2).

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::confirmation::Confirmation;
use super::{
    Attenuation, Carrier, Compact, IssuerRules, Profile, Rounding, TokenError, demands, numeric_date,
};
use crate::ids::{Now, UnixSeconds};
use crate::keys::Algorithm;
use crate::status::StatusReference;

/// Names and values that an object of documents has room for, however few it has.
pub(super) const VALUES_OF_AN_OBJECT: usize = 22;

/// A token that was verified: holding one is the proof. Only [`super::Unverified`] makes one.
///
/// Serialises as `input.remit.token`.
#[derive(Debug, Clone, Serialize)]
pub struct VerifiedToken {
    iss: String,
    sub: String,
    aud: Vec<String>,
    exp: UnixSeconds,
    iat: UnixSeconds,
    #[serde(skip)]
    nbf: Option<UnixSeconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    scope: Vec<String>,
    #[serde(skip)]
    txn: Option<String>,
    #[serde(skip)]
    acr: Option<String>,
    #[serde(skip)]
    auth_time: Option<UnixSeconds>,
    #[serde(skip)]
    typ: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    alg: Algorithm,
    lifetime_seconds: u64,
    claims: Claims,
    #[serde(skip)]
    digest: Option<[u8; 32]>,
    #[serde(skip)]
    confirmation: Option<Confirmation>,
    #[serde(skip)]
    status: Option<StatusReference>,
    #[serde(skip)]
    rules: Arc<IssuerRules>,
}

impl VerifiedToken {
    pub(super) fn read(
        compact: Compact,
        alg: Algorithm,
        rules: &Arc<IssuerRules>,
        now: Now,
    ) -> Result<Self, TokenError> {
        let Compact { claims, payload, kid, typ, signed, claimed_issuer: iss, .. } = compact;
        // The key of a hop list's root is no binding of this token: its proof comes with each action.
        let is_holder = |cnf: &Map<String, Value>| cnf.len() == 1 && cnf.contains_key("jwk");
        let heads_hops = rules.attenuation == Attenuation::HopList
            && claims.get("cnf").and_then(Value::as_object).is_some_and(is_holder);
        let confirmation = if heads_hops { None } else { Confirmation::read(&claims)? };
        let status = StatusReference::read(&claims)?;
        demands::check(rules.demands.as_ref(), confirmation.as_ref(), status.as_ref())?;
        let exp = date(&claims, "exp", Rounding::Down)?.ok_or(TokenError::ClaimMissing { claim: "exp" })?;
        let iat = date(&claims, "iat", Rounding::Down)?.ok_or(TokenError::ClaimMissing { claim: "iat" })?;
        if exp <= iat {
            return Err(TokenError::ClaimMalformed { claim: "exp" });
        }
        let token = Self {
            iss,
            sub: text(&claims, "sub")?.ok_or(TokenError::ClaimMissing { claim: "sub" })?,
            aud: audience(&claims)?,
            exp,
            iat,
            nbf: date(&claims, "nbf", Rounding::Up)?,
            jti: text(&claims, "jti")?,
            client_id: client(&claims)?,
            txn: text(&claims, "txn")?,
            scope: scope(&claims, rules.profile)?,
            acr: text(&claims, "acr")?,
            auth_time: date(&claims, "auth_time", Rounding::Down)?,
            typ,
            kid,
            alg,
            lifetime_seconds: exp.since(iat),
            // Of some kilobyte: only for those who name a token by it.
            digest: (rules.attenuation == Attenuation::HopList)
                .then(|| Sha256::digest(signed.as_bytes()).into()),
            confirmation,
            status,
            rules: Arc::clone(rules),
            claims: Claims { text: payload, tree: Some(claims) },
        };
        if rules.carrier == Carrier::TxnToken {
            token.check_transaction()?;
        }
        // More than one audience lets each of them replay the token at the others.
        let others_too = rules.multiple_audiences && token.aud.contains(&rules.audience);
        if !others_too && token.aud.as_slice() != std::slice::from_ref(&rules.audience) {
            return Err(TokenError::AudienceMismatch);
        }
        let (seconds, limit) = (token.lifetime_seconds, rules.max_lifetime_seconds);
        if seconds > limit {
            return Err(TokenError::LifetimeExceeded { seconds, limit });
        }
        token.times_hold(now)?;
        Ok(token)
    }

    /// draft-ietf-oauth-transaction-tokens: `txn`, and the claims that only transaction tokens have.
    fn check_transaction(&self) -> Result<(), TokenError> {
        if self.txn.is_none() {
            return Err(TokenError::ClaimMissing { claim: "txn" });
        }
        let claims = self.claims();
        text(&claims, "req_wl")?;
        match ["tctx", "rctx"].into_iter().find(|claim| claims.get(*claim).is_some_and(|v| !v.is_object())) {
            Some(claim) => Err(TokenError::ClaimMalformed { claim }),
            None => Ok(()),
        }
    }

    /// Checks the token's times again, at `now`.
    ///
    /// # Errors
    ///
    /// [`TokenError::Expired`], [`TokenError::NotYetValid`], [`TokenError::IssuedInFuture`], each beyond the issuer's
    /// clock skew.
    pub fn times_hold(&self, now: Now) -> Result<(), TokenError> {
        let (now, skew) = (now.seconds(), self.rules.skew());
        let latest = now.plus(skew);
        if now >= self.exp.plus(skew) {
            return Err(TokenError::Expired { exp: self.exp });
        }
        if let Some(nbf) = self.nbf.filter(|nbf| *nbf > latest) {
            return Err(TokenError::NotYetValid { nbf });
        }
        if self.iat > latest {
            return Err(TokenError::IssuedInFuture { iat: self.iat });
        }
        Ok(())
    }

    /// `iss`, the configured issuer.
    #[must_use]
    pub fn iss(&self) -> &str {
        &self.iss
    }

    /// `sub`. An identity is (`iss`, `sub`), never this alone.
    #[must_use]
    pub fn sub(&self) -> &str {
        &self.sub
    }

    /// `typ` of its header, as it came.
    #[must_use]
    pub fn typ(&self) -> Option<&str> {
        self.typ.as_deref()
    }

    /// `aud`: the issuer's configured audience, and others where its rules allow them.
    #[must_use]
    pub fn aud(&self) -> &[String] {
        &self.aud
    }

    /// `exp`, rounded down.
    #[must_use]
    pub fn exp(&self) -> UnixSeconds {
        self.exp
    }

    /// `iat`, rounded down.
    #[must_use]
    pub fn iat(&self) -> UnixSeconds {
        self.iat
    }

    /// `nbf`, rounded up.
    #[must_use]
    pub fn nbf(&self) -> Option<UnixSeconds> {
        self.nbf
    }

    /// `jti`. A revocation names (`iss`, `jti`).
    #[must_use]
    pub fn jti(&self) -> Option<&str> {
        self.jti.as_deref()
    }

    /// `client_id`, `azp` or `appid`: the OAuth client, which is not the actor.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    /// `txn`: the transaction that the token is part of (RFC 8417 section 2.2).
    #[must_use]
    pub fn txn(&self) -> Option<&str> {
        self.txn.as_deref()
    }

    /// The header that it came in.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.rules.carrier
    }

    /// `scope` (Microsoft Entra: `scp`), split at the spaces; empty when the claim is absent.
    #[must_use]
    pub fn scope(&self) -> &[String] {
        &self.scope
    }

    /// `acr` (RFC 9470).
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// `auth_time` (RFC 9470), rounded down.
    #[must_use]
    pub fn auth_time(&self) -> Option<UnixSeconds> {
        self.auth_time
    }

    /// `kid` of the header.
    #[must_use]
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// `alg` of the header.
    #[must_use]
    pub fn alg(&self) -> Algorithm {
        self.alg
    }

    /// Seconds from `iat` to `exp`.
    #[must_use]
    pub fn lifetime_seconds(&self) -> u64 {
        self.lifetime_seconds
    }

    /// What it is bound to: its bearer has to prove all of it.
    #[must_use]
    pub fn confirmation(&self) -> Option<&Confirmation> {
        self.confirmation.as_ref()
    }

    /// Its place in a status list, to be looked up whenever the token is used.
    #[must_use]
    pub fn status(&self) -> Option<&StatusReference> {
        self.status.as_ref()
    }

    /// The rules of its issuer.
    #[must_use]
    pub fn rules(&self) -> &IssuerRules {
        &self.rules
    }

    /// All claims as they came. Of a token that is remembered they are read anew: few policies ask for them.
    #[must_use]
    pub fn claims(&self) -> Cow<'_, Map<String, Value>> {
        self.claims.tree()
    }

    /// Leaves of the claims the text alone, which is a fifth of their tree: for a token that is kept.
    pub(crate) fn fold(&mut self) {
        self.claims.tree = None;
    }

    /// Roughly what the claims hold, in bytes, with a document of all of them that a policy is shown: a short value costs far
    /// more than its text.
    pub(super) fn claims_bytes(&self) -> usize {
        let values = self.claims.text.iter().map(|byte| match byte {
            b'{' => VALUES_OF_AN_OBJECT,
            b',' | b':' | b'[' => 1,
            _ => 0,
        });
        let values = values.fold(0, usize::saturating_add);
        values.saturating_mul(size_of::<Value>()).saturating_add(self.claims.text.len())
    }

    /// SHA-256 of the JWS signing input, which hops name their parent by; `None` where the issuer's rules know no hops.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        self.digest
    }
}

/// Claims as they came, and their tree until the token is kept.
#[derive(Clone)]
struct Claims {
    text: Vec<u8>,
    tree: Option<Map<String, Value>>,
}

impl Claims {
    fn tree(&self) -> Cow<'_, Map<String, Value>> {
        if let Some(tree) = &self.tree {
            return Cow::Borrowed(tree);
        }
        // Always an object: the same parser has read this text, within narrower limits. A policy must not see claims left out.
        let tree = crate::json::parse(&self.text, usize::MAX);
        debug_assert!(tree.as_ref().is_ok_and(Value::is_object), "claims that were read before");
        match tree {
            Ok(Value::Object(tree)) => Cow::Owned(tree),
            _ => Cow::Owned(Map::new()),
        }
    }
}

impl Serialize for Claims {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.tree().serialize(serializer)
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree().fmt(f)
    }
}

fn text(claims: &Map<String, Value>, claim: &'static str) -> Result<Option<String>, TokenError> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(TokenError::ClaimMalformed { claim }),
    }
}

fn date(
    claims: &Map<String, Value>,
    claim: &'static str,
    rounding: Rounding,
) -> Result<Option<UnixSeconds>, TokenError> {
    let date = |value| numeric_date(value, rounding).ok_or(TokenError::ClaimMalformed { claim });
    claims.get(claim).map(date).transpose()
}

/// RFC 7519 section 4.1.3: one string, or an array of them.
fn audience(claims: &Map<String, Value>) -> Result<Vec<String>, TokenError> {
    let malformed = || TokenError::ClaimMalformed { claim: "aud" };
    let one = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(malformed);
    match claims.get("aud").ok_or(TokenError::ClaimMissing { claim: "aud" })? {
        Value::Array(audiences) if !audiences.is_empty() => audiences.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}

/// The client has several names; those that a token gives must be the same.
fn client(claims: &Map<String, Value>) -> Result<Option<String>, TokenError> {
    let mut found = None;
    for claim in ["client_id", "azp", "appid"] {
        let Some(client) = text(claims, claim)? else { continue };
        if found.replace(client).is_some_and(|earlier| found.as_ref() != Some(&earlier)) {
            return Err(TokenError::ClaimMalformed { claim });
        }
    }
    Ok(found)
}

/// RFC 6749 section 3.3: scope tokens with single spaces between them.
fn scope(claims: &Map<String, Value>, profile: Profile) -> Result<Vec<String>, TokenError> {
    let claim = if profile == Profile::Entra { "scp" } else { "scope" };
    let malformed = || TokenError::ClaimMalformed { claim };
    let Some(value) = claims.get(claim) else { return Ok(Vec::new()) };
    let text = value.as_str().ok_or_else(malformed)?;
    // Entra writes `/` where there is none.
    if text.is_empty() || profile == Profile::Entra && text == "/" {
        return Ok(Vec::new());
    }
    let is_scope_char = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    text.split(' ')
        .map(|token| {
            let well_formed = !token.is_empty() && token.bytes().all(is_scope_char);
            well_formed.then(|| token.to_owned()).ok_or_else(malformed)
        })
        .collect()
}
