//! The challenge of a denial, read as whoever approves must read it: what is displayed has to be what is signed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use remit_core::approval::{InexactNumber, canonical};
use remit_core::json::{self, JsonError};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Nesting of JSON in a reply.
const DEPTH: usize = 64;

/// Why there is nothing that could be approved.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// The reply is not JSON.
    #[error("the reply is not JSON: {0}")]
    Json(#[from] JsonError),
    /// No challenge in it.
    #[error("the reply holds no challenge: neither `challenge` (problem+json) nor `error.data.challenge` (JSON-RPC)")]
    Missing,
    /// A member is missing or malformed.
    #[error("the challenge's member `{0}` is missing or malformed")]
    Member(&'static str),
    /// The action has no canonical form.
    #[error("the challenge's action holds {0}")]
    Inexact(#[from] InexactNumber),
    /// The digest is that of another action than the one displayed.
    #[error("the digest is not that of the action that is displayed: do not approve it")]
    Digest,
    /// What is displayed beside the action contradicts it.
    #[error("the challenge's `{0}` contradicts its action: do not approve it")]
    Contradiction(&'static str),
}

/// A challenge whose digest was recomputed from the action that it displays.
#[derive(Debug, Clone, PartialEq)]
pub struct Challenge {
    /// Its id: the `nonce` of an approval.
    pub id: String,
    /// Expected `aud` of an approval.
    pub audience: String,
    /// When it closes, in seconds since 1970.
    pub expires: u64,
    /// The principal, with the current actor as `act`.
    pub requester: Value,
    /// What is asked for, in RFC 9396's form.
    pub authorization_details: Value,
    /// What the digest is made of.
    pub action: Value,
    /// SHA-256 of the canonical action, base64url.
    pub digest: String,
}

impl Challenge {
    /// The challenge in the body of a reply.
    ///
    /// # Errors
    ///
    /// See [`ChallengeError`].
    pub fn in_reply(body: &[u8]) -> Result<Self, ChallengeError> {
        let reply = json::parse(body, DEPTH)?;
        let challenge = reply.get("challenge").or_else(|| reply.pointer("/error/data/challenge"));
        Self::of(challenge.ok_or(ChallengeError::Missing)?)
    }

    /// A challenge by itself, or in the body of a reply.
    ///
    /// # Errors
    ///
    /// See [`ChallengeError`].
    pub fn read(text: &[u8]) -> Result<Self, ChallengeError> {
        let value = json::parse(text, DEPTH)?;
        if value.get("action_digest").is_some() { Self::of(&value) } else { Self::in_reply(text) }
    }

    fn of(challenge: &Value) -> Result<Self, ChallengeError> {
        let member = |name: &'static str| challenge.get(name).ok_or(ChallengeError::Member(name));
        let text = |name: &'static str| {
            let text = member(name)?.as_str().filter(|text| !text.is_empty());
            text.map(str::to_owned).ok_or(ChallengeError::Member(name))
        };
        let claimed = member("action_digest")?;
        let form = |name: &str| claimed.get(name).and_then(Value::as_str);
        if form("alg") != Some("sha-256") || form("canon") != Some("jcs") || claimed.get("v") != Some(&json!(1)) {
            return Err(ChallengeError::Member("action_digest"));
        }
        let action = member("action")?.clone();
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical(&action)?));
        if form("value") != Some(&digest) {
            return Err(ChallengeError::Digest);
        }
        let challenge = Self {
            id: text("id")?,
            audience: text("audience")?,
            expires: member("expires")?.as_u64().ok_or(ChallengeError::Member("expires"))?,
            requester: member("requester")?.clone(),
            authorization_details: member("authorization_details")?.clone(),
            action,
            digest,
        };
        challenge.check()?;
        Ok(challenge)
    }

    /// What people look at first has to say the same as what is digested.
    fn check(&self) -> Result<(), ChallengeError> {
        let same = |name: &'static str, displayed: Option<&Value>, digested: Option<&Value>| {
            if displayed == digested { Ok(()) } else { Err(ChallengeError::Contradiction(name)) }
        };
        same("audience", Some(&json!(self.audience)), self.action.get("aud"))?;
        let principal = self.action.get("principal").ok_or(ChallengeError::Member("action"))?;
        for name in ["iss", "sub"] {
            same("requester", self.requester.get(name), principal.get(name))?;
        }
        same("requester", self.requester.get("act"), self.action.pointer("/chain/0"))?;
        let details = self.authorization_details.as_array().ok_or(ChallengeError::Member("authorization_details"))?;
        for detail in details {
            same("authorization_details", detail.get("operation"), self.action.get("operation"))?;
        }
        Ok(())
    }

    /// What is being approved, a line for each part.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let text = |value: Option<&Value>| match value {
            None | Some(Value::Null) => "–".to_owned(),
            Some(Value::String(text)) => crate::text::printable(text),
            Some(other) => crate::text::printable(&other.to_string()),
        };
        let party = |value: Option<&Value>| {
            let part = |name| text(value.and_then(|value| value.get(name)));
            format!("{} (of {})", part("sub"), part("iss"))
        };
        let action = |name| text(self.action.get(name));
        let detail = |name: &str| text(self.authorization_details.pointer(&format!("/0/{name}")));
        let mut lines = vec![
            ("operation", format!("{} ({})", action("operation"), detail("verb"))),
            ("resource", detail("resource")),
            ("arguments", action("arguments")),
            ("effects", detail("effects")),
            ("counterparties", detail("counterparties")),
            ("request", format!("{} {}{}", action("method"), action("authority"), action("path"))),
            ("agent", party(self.requester.get("act"))),
            ("requester", party(Some(&self.requester))),
            ("task", action("task")),
            ("open until", crate::time::rfc3339(remit_core::ids::Now(self.expires.saturating_mul(1_000_000_000)))),
        ];
        if let Some(digest) = self.action.get("body_sha256").filter(|digest| !digest.is_null()) {
            lines.insert(3, ("body sha-256", text(Some(digest))));
        }
        lines
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A challenge as the filter makes them.
    pub(crate) fn challenge() -> Value {
        let action = json!({
            "v": 1, "aud": "https://tools", "method": "POST", "authority": "forum", "path": "/mcp", "query": null,
            "operation": "forum.publish", "arguments": {"text": "hi\u{1b}[2J", "n": 1.5}, "body_sha256": null,
            "principal": {"iss": "idp", "sub": "bea"}, "chain": [{"iss": "idp", "sub": "agent"}], "task": "t-1",
        });
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(canonical(&action).unwrap()));
        json!({
            "id": "c1", "audience": "https://tools", "expires": 1_773_842_820, "status_url": null,
            "requester": {"iss": "idp", "sub": "bea", "act": {"iss": "idp", "sub": "agent"}},
            "authorization_details": [{"type": "agent_action", "operation": "forum.publish", "verb": "publish"}],
            "action_digest": {"alg": "sha-256", "canon": "jcs", "v": 1, "value": digest},
            "action": action,
        })
    }

    #[test]
    fn a_challenge_is_found_in_both_forms_of_a_denial() {
        let problem = json!({"status": 403, "challenge": challenge()}).to_string();
        let rpc = json!({"jsonrpc": "2.0", "error": {"code": 1, "data": {"challenge": challenge()}}}).to_string();
        let found = Challenge::in_reply(problem.as_bytes()).unwrap();
        assert_eq!(Challenge::in_reply(rpc.as_bytes()).unwrap(), found);
        assert_eq!(Challenge::read(challenge().to_string().as_bytes()).unwrap(), found);
        assert_eq!((found.id.as_str(), found.expires), ("c1", 1_773_842_820));
        let shown = found.lines();
        assert!(shown.contains(&("operation", "forum.publish (publish)".to_owned())), "{shown:?}");
        assert!(shown.iter().all(|(_, text)| !text.contains('\u{1b}')), "{shown:?}");
    }

    #[test]
    fn what_does_not_hold_together_is_not_approved() {
        type Change = fn(&mut Value);
        let changes: [(Change, &str); 11] = [
            (|c| c["action"]["arguments"]["text"] = json!("other"), "the digest is not"),
            (|c| c["action_digest"]["value"] = json!("AAAA"), "the digest is not"),
            (|c| c["action_digest"]["alg"] = json!("md5"), "`action_digest`"),
            (|c| c["requester"]["sub"] = json!("mara"), "`requester` contradicts"),
            (|c| c["requester"]["act"]["sub"] = json!("other"), "`requester` contradicts"),
            (|c| drop(c["requester"].as_object_mut().unwrap().remove("act")), "`requester` contradicts"),
            (|c| c["audience"] = json!("https://other"), "`audience` contradicts"),
            (|c| c["authorization_details"][0]["operation"] = json!("read"), "`authorization_details` contradicts"),
            (|c| c["id"] = json!(7), "`id`"),
            (|c| c["expires"] = json!("soon"), "`expires`"),
            (|c| c["action"]["arguments"]["n"] = json!(9_007_199_254_740_993_u64), "a number that a double"),
        ];
        for (change, expected) in changes {
            let mut challenge = challenge();
            change(&mut challenge);
            let error = Challenge::read(challenge.to_string().as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        for (body, expected) in [("", "not JSON"), ("[]", "no challenge"), (r#"{"challenge":7}"#, "`action_digest`")] {
            assert!(Challenge::in_reply(body.as_bytes()).unwrap_err().to_string().contains(expected), "{body}");
        }
    }
}
