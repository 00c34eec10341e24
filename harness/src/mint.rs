//! Tokens and approvals out of templates, as an issuer would sign them at that time.

mod chain;

use std::collections::BTreeMap;

use remit_core::approval::{APPROVAL_TYPE, MAX_LIFETIME_SECONDS};
use remit_core::ids::Now;
use serde_json::{Map, Value, json};

use crate::capture::{ApprovalTemplate, Template};
use crate::challenge::{Challenge, ChallengeError};
use crate::forge;
use crate::keyring::Keyring;
use crate::signing::SigningKey;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// The template is not known.
    #[error("{name:?} is not one of the capture's tokens")]
    UnknownTemplate {
        /// Its name.
        name: String,
    },
    /// Nobody has a key for the issuer.
    #[error("there is no key of issuer {iss:?}")]
    UnknownIssuer {
        /// The issuer.
        iss: String,
    },
    /// There is nothing to approve.
    #[error("nothing to approve: {0}")]
    Challenge(#[from] ChallengeError),
}

/// Mints, and remembers what it minted until that expires: an agent does not ask for a new token with every request.
#[derive(Debug, Default)]
pub struct Minter {
    tokens: BTreeMap<String, Minted>,
}

#[derive(Debug)]
struct Minted {
    text: String,
    /// Second at which it was issued; 0 when `iat` is missing or malformed.
    issued: u64,
    /// Second at which it is no longer valid; `None` when `exp` is missing or malformed.
    expires: Option<u64>,
}

impl Minter {
    /// The token of a template: the last one, if it is still valid, else a new one.
    ///
    /// # Errors
    ///
    /// [`MintError::UnknownIssuer`].
    pub fn token(
        &mut self,
        name: &str,
        template: &Template,
        keys: &Keyring,
        now: Now,
    ) -> Result<String, MintError> {
        self.remembered(format!("token {name}"), now, || {
            let iss = template.claims.get("iss").and_then(Value::as_str).unwrap_or_default();
            let key = key_of(keys, template.signed_by.as_deref().unwrap_or(iss))?;
            let mut claims = token_claims(name, template, now);
            chain::add_root(&mut claims, template, keys)?;
            chain::add_receipts(&mut claims, template, key);
            let text = match &template.forge {
                Some(forge) => forge::text(forge, key, &template.typ, &claims, now),
                None => key.sign(&template.typ, &claims),
            };
            Ok((text, claims))
        })
    }

    /// What was derived from the hop list's root `root`, for the header; `None` where nothing was.
    ///
    /// # Errors
    ///
    /// [`MintError::UnknownIssuer`].
    pub fn hops(
        &mut self,
        name: &str,
        template: &Template,
        root: &str,
        keys: &Keyring,
        now: Now,
    ) -> Result<Option<String>, MintError> {
        if template.hops.len() < 2 {
            return Ok(None);
        }
        let derived =
            self.remembered(format!("hops {name}"), now, || chain::derived(template, root, keys))?;
        Ok(Some(derived))
    }

    /// A proof of the last key of a hop list.
    ///
    /// # Errors
    ///
    /// [`MintError::UnknownIssuer`].
    pub fn hop_proof(
        template: &Template,
        claims: &Map<String, Value>,
        keys: &Keyring,
        now: Now,
    ) -> Result<String, MintError> {
        chain::proof(template, claims, keys, now)
    }

    /// An approval of the challenge in a reply: the last one for the same template, if it is still valid.
    ///
    /// # Errors
    ///
    /// [`MintError::UnknownIssuer`], and [`MintError::Challenge`] when the reply's body holds no challenge or one
    /// that does not hold together.
    pub fn approval(
        &mut self,
        template: &ApprovalTemplate,
        reply: &[u8],
        keys: &Keyring,
        now: Now,
    ) -> Result<String, MintError> {
        let challenge = Challenge::in_reply(reply)?;
        let claims_text = Value::Object(template.claims.clone());
        self.remembered(format!("approval {} {} {claims_text}", challenge.id, template.issuer), now, || {
            let key = key_of(keys, &template.issuer)?;
            let claims = approval_claims(&challenge, &template.issuer, &template.claims, now);
            Ok((key.sign(APPROVAL_TYPE, &claims), claims))
        })
    }

    fn remembered(
        &mut self,
        name: String,
        now: Now,
        mint: impl FnOnce() -> Result<(String, Value), MintError>,
    ) -> Result<String, MintError> {
        if let Some(minted) = self.tokens.get(&name)
            && minted.issued <= now.seconds().0
            && minted.expires.is_none_or(|expires| expires > now.seconds().0)
        {
            return Ok(minted.text.clone());
        }
        let (text, claims) = mint()?;
        let issued = claims.get("iat").and_then(Value::as_u64).unwrap_or(0);
        let expires = claims.get("exp").and_then(Value::as_u64);
        self.tokens.insert(name, Minted { text: text.clone(), issued, expires });
        Ok(text)
    }
}

fn key_of<'k>(keys: &'k Keyring, iss: &str) -> Result<&'k SigningKey, MintError> {
    keys.key(iss).ok_or_else(|| MintError::UnknownIssuer { iss: iss.to_owned() })
}

/// The claims of a template at a time: `iat`, `exp` and `jti` filled in unless given, `null` left out.
#[must_use]
pub fn token_claims(name: &str, template: &Template, now: Now) -> Value {
    let mut claims = Map::new();
    let now = now.seconds().0;
    let issued = template.claims.get("iat").and_then(Value::as_u64).unwrap_or(now);
    claims.insert("iat".to_owned(), json!(issued));
    claims.insert("exp".to_owned(), json!(issued.saturating_add(template.lifetime_seconds)));
    claims.insert("jti".to_owned(), json!(format!("{name}-{issued}")));
    overlaid(claims, &template.claims)
}

/// The claims of an approval of a challenge, with those of the approver over them.
#[must_use]
pub fn approval_claims(challenge: &Challenge, issuer: &str, claims: &Map<String, Value>, now: Now) -> Value {
    let issued = claims.get("iat").and_then(Value::as_u64).unwrap_or(now.seconds().0);
    let base = json!({
        "iss": issuer,
        "aud": challenge.audience,
        "iat": issued,
        "exp": issued.saturating_add(MAX_LIFETIME_SECONDS),
        "jti": format!("approval-{}-{issued}", challenge.id),
        "nonce": challenge.id,
        "decision": "approved",
        "requester": challenge.requester,
        "authorization_details": challenge.authorization_details,
        "action_digest": {"alg": "sha-256", "canon": "jcs", "v": 1, "value": challenge.digest},
    });
    let Value::Object(base) = base else { return Value::Null };
    overlaid(base, claims)
}

/// An object with the members of another over it; what is `null` there is left out.
#[must_use]
pub(crate) fn overlaid(mut base: Map<String, Value>, claims: &Map<String, Value>) -> Value {
    for (name, value) in claims {
        if value.is_null() {
            base.remove(name);
        } else {
            base.insert(name.clone(), value.clone());
        }
    }
    Value::Object(base)
}

#[cfg(test)]
mod tests {
    use remit_core::keys::Algorithm;

    use super::*;
    use crate::capture::IssuerKey;

    fn template(claims: Value) -> Template {
        serde_json::from_value(json!({"lifetime_seconds": 600, "claims": claims})).unwrap()
    }

    fn at(seconds: u64) -> Now {
        Now(seconds.saturating_mul(1_000_000_000).saturating_add(500_000_000))
    }

    #[test]
    fn times_and_names_are_filled_in() {
        for (claims, expected) in [
            (json!({"iss": "i"}), json!({"iss": "i", "iat": 100, "exp": 700, "jti": "t-100"})),
            (json!({"iat": 50}), json!({"iat": 50, "exp": 650, "jti": "t-50"})),
            (json!({"iat": -1, "exp": 1.5, "jti": "j"}), json!({"iat": -1, "exp": 1.5, "jti": "j"})),
            (json!({"exp": null, "jti": null}), json!({"iat": 100})),
            (json!({"exp": "soon"}), json!({"iat": 100, "exp": "soon", "jti": "t-100"})),
        ] {
            assert_eq!(token_claims("t", &template(claims), at(100)), expected);
        }
    }

    #[test]
    fn a_token_is_used_until_it_expires() {
        let issuers = [("i".to_owned(), IssuerKey { alg: Algorithm::Es256, kid: "k".into() })].into();
        let keys = Keyring::generate(&issuers).unwrap();
        let mut minter = Minter::default();
        let mut mint =
            |claims: Value, seconds| minter.token("t", &template(claims), &keys, at(seconds)).unwrap();
        let first = mint(json!({"iss": "i"}), 100);
        assert_eq!(mint(json!({"iss": "i"}), 699), first);
        let second = mint(json!({"iss": "i"}), 700);
        assert_ne!(second, first);
        assert_ne!(mint(json!({"iss": "i"}), 100), second, "not before it was issued");
        let error = Minter::default().token("t", &template(json!({"iss": "j"})), &keys, at(1)).unwrap_err();
        assert_eq!(error.to_string(), "there is no key of issuer \"j\"");
    }
}
