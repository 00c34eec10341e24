//! The registry of agents in the bundle's data: who answers for an agent, and until when. Checked when the bundle loads.

use serde_json::{Map, Value};

use crate::audit::civil;
use crate::delegation::Party;
use crate::facts::{Fact, FactsError};
use crate::ids::UnixSeconds;
use crate::token::{Rounding, numeric_date};

const DOCUMENT: &str = "data.remit.registry";
const VERBS: [&str; 12] = [
    "answer", "create", "delete", "execute", "grant", "list", "pay", "publish", "read", "search", "send",
    "update",
];
const VISIBILITIES: [&str; 3] = ["private", "internal", "public"];

/// Whether an agent is registered. Serialised as text in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// It is.
    Registered,
    /// It was, and that has ended.
    Expired,
    /// Nobody answers for it.
    Unregistered,
}

impl Registration {
    /// The name in the input.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::Expired => "expired",
            Self::Unregistered => "unregistered",
        }
    }
}

/// The agents of `data.remit.registry`, by issuer and name: an identity is both.
#[derive(Debug, Default)]
pub struct Registry {
    /// As in the data, with each `expires` as a number. A map of values is what the module has the code for already.
    agents: Map<String, Value>,
    count: usize,
}

impl Registry {
    /// Reads `data.remit.registry`, of `limit` agents at most; `None` gives an empty one, in which nobody is registered.
    ///
    /// # Errors
    ///
    /// See [`FactsError`].
    pub fn parse(data: Option<&Value>, limit: usize) -> Result<Self, FactsError> {
        let mut registry = Self::default();
        let Some(data) = data else { return Ok(registry) };
        let document = Fact::new(DOCUMENT, data);
        document.only(&["agents"], "an object with `agents`")?;
        let Some(issuers) = document.member("agents") else { return Ok(registry) };
        for (iss, subjects) in issuers.members("an object: issuer → `sub` → agent")? {
            let mut agents = Map::new();
            for (sub, agent) in subjects.members("an object: `sub` → agent, below its issuer")? {
                registry.count = registry.count.saturating_add(1);
                if registry.count > limit {
                    return Err(agent.fault("more agents than `limits.registry_agents`"));
                }
                agents.insert(sub.to_owned(), read(&agent)?);
            }
            registry.agents.insert(iss.to_owned(), Value::Object(agents));
        }
        Ok(registry)
    }

    /// Whether this identity is registered at this time.
    #[must_use]
    pub fn state(&self, party: &Party, now: UnixSeconds) -> Registration {
        let Some(agent) = self.agents.get(&party.iss).and_then(|agents| agents.get(&party.sub)) else {
            return Registration::Unregistered;
        };
        match agent.get("expires").and_then(Value::as_u64) {
            Some(expires) if expires <= now.0 => Registration::Expired,
            _ => Registration::Registered,
        }
    }

    /// How many agents there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Issuer → `sub` → agent, as in the data; each `expires` is in seconds since 1970.
    #[must_use]
    pub fn agents(&self) -> &Map<String, Value> {
        &self.agents
    }
}

fn read(agent: &Fact<'_>) -> Result<Value, FactsError> {
    const SHAPE: &str = "an object with `owner` and `capabilities`; agents stand below their issuer";
    agent.only(&["owner", "capabilities", "purpose", "scope", "expires"], SHAPE)?;
    agent.member("capabilities").ok_or_else(|| agent.fault(SHAPE))?.texts()?;
    agent.required_text("owner", SHAPE)?;
    if let Some(purpose) = agent.member("purpose") {
        purpose.text()?;
    }
    if let Some(scope) = agent.member("scope") {
        check_scope(&scope)?;
    }
    let mut read = agent.value().clone();
    if let (Some(expires), Some(read)) = (agent.member("expires"), read.as_object_mut()) {
        let instant = instant(expires.value()).ok_or_else(|| {
            expires.fault("seconds since 1970, or a date such as 2026-12-31 or 2026-12-31T12:00:00Z")
        })?;
        read.insert("expires".to_owned(), Value::from(instant.0));
    }
    Ok(read)
}

fn check_scope(scope: &Fact<'_>) -> Result<(), FactsError> {
    scope.only(&["verbs", "locations", "visibility"], "an object of `verbs`, `locations`, `visibility`")?;
    if let Some(locations) = scope.member("locations") {
        locations.texts()?;
    }
    for (name, known, problem) in [
        ("verbs", VERBS.as_slice(), "not a verb of the catalog"),
        ("visibility", VISIBILITIES.as_slice(), "one of private, internal, public"),
    ] {
        for item in
            scope.member(name).map(|list| list.items("an array of texts")).transpose()?.unwrap_or_default()
        {
            if !known.contains(&item.text()?) {
                return Err(item.fault(problem));
            }
        }
    }
    Ok(())
}

/// A NumericDate (RFC 7519 section 2), a full-date or a date-time in UTC (RFC 3339 section 5.6). A date is its first
/// second: the stricter reading.
fn instant(value: &Value) -> Option<UnixSeconds> {
    let Some(text) = value.as_str() else { return numeric_date(value, Rounding::Down) };
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if year < 1970 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    // The inverse of `civil` by search: it is asked once an agent, and there is no second calendar to get wrong.
    let (mut low, mut high) = (0_u64, 3_000_000_u64);
    while low < high {
        let middle = low.midpoint(high);
        if civil(middle) < (year, month, day) { low = middle.saturating_add(1) } else { high = middle }
    }
    let seconds = low.checked_mul(86_400)?.checked_add(hour.checked_mul(3600)?)?;
    let seconds = seconds.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
    (civil(low) == (year, month, day)).then_some(UnixSeconds(seconds))
}

/// Three numbers of exactly these many digits.
fn numbers(text: &str, separator: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn agents(entry: Value) -> Value {
        json!({"agents": {"https://a/b": {"x": entry}}})
    }

    #[test]
    fn an_identity_is_issuer_and_name() {
        let entry = |expires| json!({"owner": "o", "capabilities": ["a.b"], "expires": expires});
        let data = json!({"agents": {
            "https://one.example": {"x": entry(json!(1000)), "y": entry(json!(null))},
            "https://two.example": {"x": entry(json!("1970-01-02"))}}});
        let registry = Registry::parse(Some(&data), 3).unwrap();
        for (iss, sub, now, expected) in [
            ("https://one.example", "x", 999, Registration::Registered),
            ("https://one.example", "x", 1000, Registration::Expired),
            ("https://one.example", "y", u64::MAX, Registration::Registered),
            ("https://two.example", "x", 1000, Registration::Registered),
            ("https://two.example", "x", 86_400, Registration::Expired),
            ("https://two.example", "y", 0, Registration::Unregistered),
            ("https://three.example", "x", 0, Registration::Unregistered),
        ] {
            let party = Party { iss: iss.into(), sub: sub.into() };
            assert_eq!(registry.state(&party, UnixSeconds(now)), expected, "{iss} {sub} {now}");
        }
        assert_eq!(registry.count(), 3);
        assert_eq!(
            Registry::parse(Some(&data), 2).unwrap_err().to_string(),
            "data.remit.registry at /agents/https:~1~1two.example/x: more agents than `limits.registry_agents`"
        );
        for none in [None, Some(json!({})), Some(json!({"agents": {}}))] {
            assert_eq!(Registry::parse(none.as_ref(), 0).unwrap().count(), 0);
        }
    }

    #[test]
    fn faults_are_named_by_pointer() {
        let below = "/agents/https:~1~1a~1b/x";
        let good = json!({"owner": "o", "capabilities": ["c"], "purpose": "p",
            "scope": {"verbs": ["read"], "locations": ["thread/*"], "visibility": ["private"]}});
        assert!(Registry::parse(Some(&agents(good.clone())), 1).is_ok());
        for (change, pointer) in [
            (json!({"owner": null}), ""),
            (json!({"owner": ""}), "/owner"),
            (json!({"owner": 1}), "/owner"),
            (json!({"capabilities": null}), ""),
            (json!({"capabilities": "c"}), "/capabilities"),
            (json!({"capabilities": ["c", ""]}), "/capabilities/1"),
            (json!({"purpose": []}), "/purpose"),
            (json!({"expire": 1}), "/expire"),
            (json!({"expires": "soon"}), "/expires"),
            (json!({"scope": []}), "/scope"),
            (json!({"scope": {"verb": []}}), "/scope/verb"),
            (json!({"scope": {"verbs": ["read", "session"]}}), "/scope/verbs/1"),
            (json!({"scope": {"verbs": "read"}}), "/scope/verbs"),
            (json!({"scope": {"visibility": ["all"]}}), "/scope/visibility/0"),
            (json!({"scope": {"locations": [1]}}), "/scope/locations/0"),
        ] {
            let mut entry = good.clone();
            for (name, value) in change.as_object().unwrap() {
                entry[name] = value.clone();
            }
            let error = Registry::parse(Some(&agents(entry)), 1).unwrap_err();
            assert_eq!(error.pointer, format!("{below}{pointer}"), "{change}");
        }
        for (data, pointer) in [
            (json!([]), ""),
            (json!({"agent": {}}), "/agent"),
            (json!({"agents": []}), "/agents"),
            (json!({"agents": {"x": []}}), "/agents/x"),
            // As it was before agents stood below their issuer.
            (json!({"agents": {"x": {"iss": "https://a", "owner": "o"}}}), "/agents/x/iss"),
        ] {
            assert_eq!(Registry::parse(Some(&data), 1).unwrap_err().pointer, pointer, "{data}");
        }
    }

    #[test]
    fn registrations_end_at_an_instant() {
        for (value, expected) in [
            (json!(1_798_675_200), Some(1_798_675_200)),
            (json!(1.5), Some(1)),
            (json!("2026-12-31"), Some(1_798_675_200)),
            (json!("2026-12-31T00:00:01Z"), Some(1_798_675_201)),
            (json!("2024-02-29"), Some(1_709_164_800)),
            (json!("1970-01-01"), Some(0)),
            (json!("9999-12-31T23:59:59Z"), Some(253_402_300_799)),
            (json!("2025-02-29"), None),
            (json!("2026-13-01"), None),
            (json!("2026-00-01"), None),
            (json!("2026-12-31T24:00:00Z"), None),
            (json!("2026-12-31T00:00:00"), None),
            (json!("2026-12-31T00:00:00+01:00"), None),
            (json!("1969-12-31"), None),
            (json!("26-12-31"), None),
            (json!("2026-12-31-01"), None),
            (json!("+026-12-31"), None),
            (json!(-1), None),
            (json!(true), None),
        ] {
            assert_eq!(instant(&value), expected.map(UnixSeconds), "{value}");
        }
    }
}
