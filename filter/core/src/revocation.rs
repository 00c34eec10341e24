//! The kill list in the bundle's data: what counts no longer, whatever its signature says. Asked on every request, before
//! the policy, also for a token that is remembered.

use serde_json::{Map, Value};

use crate::delegation::{Delegation, Party};
use crate::facts::{Fact, FactsError};
use crate::ids::ReasonCode;
use crate::token::VerifiedToken;

const DOCUMENT: &str = "data.remit.revoked";

/// A kind of fact; its name is the member that lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Tokens,
    Keys,
    Principals,
    Actors,
    Agents,
    Transactions,
    Tasks,
}

/// The kinds, and for those within an issuer, the other member of their entries.
const KINDS: [(&str, Option<&str>); 7] = [
    ("tokens", Some("jti")),
    ("keys", Some("kid")),
    ("principals", Some("sub")),
    ("actors", Some("sub")),
    ("agents", Some("sub")),
    ("transactions", None),
    ("tasks", None),
];

/// The entry of the kill list that a request met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revoked by {DOCUMENT} at /{}/{index}", self.list())]
pub struct Revoked {
    kind: Kind,
    /// Of the approval that came along, not of the request's own token.
    approval: bool,
    index: u64,
}

impl Revoked {
    fn list(self) -> &'static str {
        KINDS.get(self.kind as usize).map_or("", |(name, _)| name)
    }

    /// The reason code in audit.
    #[must_use]
    pub fn reason(self) -> ReasonCode {
        ReasonCode::of(match (self.approval, self.kind) {
            (true, Kind::Tokens | Kind::Keys) => "revoked_approval",
            (true, _) => "revoked_approver",
            (false, Kind::Tokens) => "revoked_token",
            (false, Kind::Keys) => "revoked_key",
            (false, Kind::Principals) => "revoked_principal",
            (false, Kind::Actors) => "revoked_actor",
            (false, Kind::Agents) => "revoked_agent",
            (false, Kind::Transactions) => "revoked_transaction",
            (false, Kind::Tasks) => "revoked_task",
        })
    }

    /// Whether the token is no good anywhere (401 `invalid_token`), or good but not permitted here (403).
    #[must_use]
    pub fn is_invalid_token(self) -> bool {
        !self.approval && matches!(self.kind, Kind::Tokens | Kind::Keys)
    }
}

/// The kill list, ready for look-ups.
#[derive(Debug, Default)]
pub struct Revocations {
    /// Kind, in the order of [`KINDS`] → issuer (empty where there is none) → entry → its place in the list. A map of
    /// values is what the module has the code for already.
    lists: [Map<String, Value>; 7],
    count: usize,
}

impl Revocations {
    /// Reads `data.remit.revoked`, of `limit` entries at most; `None` gives an empty list.
    ///
    /// # Errors
    ///
    /// See [`FactsError`].
    pub fn parse(data: Option<&Value>, limit: usize) -> Result<Self, FactsError> {
        const SHAPE: &str = "an object of lists";
        let mut revocations = Self::default();
        let Some(data) = data else { return Ok(revocations) };
        let document = Fact::new(DOCUMENT, data);
        document.only(&KINDS.map(|(name, _)| name), SHAPE)?;
        for ((name, member), list) in KINDS.into_iter().zip(&mut revocations.lists) {
            let Some(entries) = document.member(name) else { continue };
            for (index, entry) in (0_u64..).zip(entries.items("an array")?) {
                revocations.count = revocations.count.saturating_add(1);
                if revocations.count > limit {
                    return Err(entry.fault("more entries than `limits.revoked_entries`"));
                }
                let (iss, text) = match member {
                    None => ("", entry.text()?),
                    Some(member) => {
                        const PAIR: &str = "an object with `iss` and the `sub`, `jti` or `kid` within it";
                        entry.only(&["iss", member], PAIR)?;
                        (entry.required_text("iss", PAIR)?, entry.required_text(member, PAIR)?)
                    }
                };
                let within = list.entry(iss).or_insert_with(|| Value::Object(Map::new()));
                if let Some(within) = within.as_object_mut() {
                    within.entry(text).or_insert_with(|| Value::from(index));
                }
            }
        }
        Ok(revocations)
    }

    /// How many entries there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    fn find(&self, kind: Kind, iss: &str, text: Option<&str>) -> Option<Revoked> {
        let index = self.lists.get(kind as usize)?.get(iss)?.get(text?)?.as_u64()?;
        Some(Revoked { kind, approval: false, index })
    }

    fn party(&self, kind: Kind, party: &Party) -> Option<Revoked> {
        self.find(kind, &party.iss, Some(&party.sub))
    }

    /// The entry that a request's token or any member of its chain meets, if any: an agent in whatever role, the client
    /// of the token included.
    #[must_use]
    pub fn of_request(&self, token: &VerifiedToken, delegation: &Delegation) -> Option<Revoked> {
        if self.count == 0 {
            return None;
        }
        let principal = &delegation.principal.party;
        let task = delegation.task.as_ref().map(|task| task.task_id.as_str());
        self.find(Kind::Tokens, token.iss(), token.jti())
            .or_else(|| self.find(Kind::Keys, token.iss(), token.kid()))
            .or_else(|| self.party(Kind::Principals, principal))
            .or_else(|| delegation.chain.iter().find_map(|actor| self.party(Kind::Actors, actor)))
            .or_else(|| self.party(Kind::Agents, principal))
            .or_else(|| delegation.chain.iter().find_map(|actor| self.party(Kind::Agents, actor)))
            .or_else(|| self.find(Kind::Agents, token.iss(), token.client_id()))
            .or_else(|| self.transaction(token.txn()))
            .or_else(|| self.find(Kind::Tasks, "", task))
    }

    /// The entry that a transaction meets.
    #[must_use]
    pub fn transaction(&self, txn: Option<&str>) -> Option<Revoked> {
        self.find(Kind::Transactions, "", txn)
    }

    /// The entry that an approval meets: itself, its key, or whoever gave it.
    #[must_use]
    pub fn of_approval(&self, token: &VerifiedToken) -> Option<Revoked> {
        let approver = Some(token.sub());
        let found = self
            .find(Kind::Tokens, token.iss(), token.jti())
            .or_else(|| self.find(Kind::Keys, token.iss(), token.kid()))
            .or_else(|| self.find(Kind::Principals, token.iss(), approver))
            .or_else(|| self.find(Kind::Agents, token.iss(), approver));
        found.map(|revoked| Revoked { approval: true, ..revoked })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::keys::Algorithm;
    use crate::token::IssuerRules;
    use crate::token::testing::{ISSUER, NOW, Signer, claims, with};

    #[test]
    fn every_fact_is_found_where_it_is() {
        let task = json!([{"type": "agent_task", "task_id": "t-1", "actions": ["a"], "expires": NOW + 9}]);
        let act =
            json!({"sub": "outer", "iss": ISSUER, "act": {"sub": "inner", "iss": "https://other.example"}});
        let more =
            json!({"jti": "j", "client_id": "c", "txn": "x", "authorization_details": task, "act": act});
        let token = Signer::new(Algorithm::EdDsa, "k1").verified(&with(claims(), &more));
        let delegation = Delegation::resolve(&token, &IssuerRules::new(ISSUER, &[], "x")).unwrap();
        let principal = token.sub();
        let pair = |member: &str, text: &str| json!({"iss": ISSUER, member: text});
        let noise = pair("sub", "nobody");
        for (list, entry, reason, invalid) in [
            ("tokens", pair("jti", "j"), "revoked_token", true),
            ("keys", pair("kid", "k1"), "revoked_key", true),
            ("principals", pair("sub", principal), "revoked_principal", false),
            ("actors", pair("sub", "outer"), "revoked_actor", false),
            ("actors", json!({"iss": "https://other.example", "sub": "inner"}), "revoked_actor", false),
            ("agents", pair("sub", principal), "revoked_agent", false),
            ("agents", json!({"iss": "https://other.example", "sub": "inner"}), "revoked_agent", false),
            ("agents", pair("sub", "c"), "revoked_agent", false),
            ("transactions", json!("x"), "revoked_transaction", false),
            ("tasks", json!("t-1"), "revoked_task", false),
        ] {
            let others = if noise.get("sub").is_some() && entry.get("sub").is_some() {
                vec![noise.clone()]
            } else {
                vec![]
            };
            let index = others.len();
            let entries: Vec<_> = others.into_iter().chain([entry.clone(), entry.clone()]).collect();
            let list_of = Revocations::parse(Some(&json!({list: entries})), 3).unwrap();
            let found = list_of.of_request(&token, &delegation).unwrap();
            assert_eq!((found.reason().as_str(), found.is_invalid_token()), (reason, invalid), "{entry}");
            assert_eq!(found.to_string(), format!("revoked by data.remit.revoked at /{list}/{index}"));
        }
        for (list, entry) in [
            ("tokens", json!({"iss": "https://other.example", "jti": "j"})),
            ("principals", pair("sub", "outer")),
            ("actors", pair("sub", "inner")),
            ("actors", pair("sub", principal)),
            ("transactions", json!("t-1")),
            ("tasks", json!("x")),
        ] {
            let list_of = Revocations::parse(Some(&json!({list: [entry]})), 1).unwrap();
            assert_eq!(list_of.of_request(&token, &delegation), None, "{list} {entry}");
        }
        assert_eq!(Revocations::default().of_request(&token, &delegation), None);

        for (list, entry, reason) in [
            ("tokens", pair("jti", "j"), Some("revoked_approval")),
            ("keys", pair("kid", "k1"), Some("revoked_approval")),
            ("principals", pair("sub", principal), Some("revoked_approver")),
            ("agents", pair("sub", principal), Some("revoked_approver")),
            ("actors", pair("sub", principal), None),
        ] {
            let found = Revocations::parse(Some(&json!({list: [entry]})), 1).unwrap().of_approval(&token);
            assert_eq!(found.map(|found| found.reason().as_str().to_owned()).as_deref(), reason, "{list}");
            assert!(found.is_none_or(|found| !found.is_invalid_token()));
        }
    }

    #[test]
    fn faults_are_named_by_pointer() {
        for (data, pointer) in [
            (json!([]), ""),
            (json!({"agent": []}), "/agent"),
            (json!({"tokens": {}}), "/tokens"),
            (json!({"tokens": ["j"]}), "/tokens/0"),
            (json!({"tokens": [{"iss": "i", "jti": "j"}, {"iss": "i"}]}), "/tokens/1"),
            (json!({"tokens": [{"iss": "i", "sub": "j"}]}), "/tokens/0/sub"),
            (json!({"keys": [{"iss": "i", "kid": 7}]}), "/keys/0/kid"),
            (json!({"actors": [{"iss": "", "sub": "s"}]}), "/actors/0/iss"),
            (json!({"tasks": [""]}), "/tasks/0"),
            (json!({"tasks": ["a"], "transactions": ["a", "b", "c"]}), "/tasks/0"),
        ] {
            let error = Revocations::parse(Some(&data), 3).unwrap_err();
            assert_eq!(error.pointer, pointer, "{data}");
        }
        for none in [None, Some(json!({})), Some(json!({"tasks": [], "agents": null}))] {
            assert_eq!(Revocations::parse(none.as_ref(), 0).unwrap().count(), 0);
        }
    }
}
