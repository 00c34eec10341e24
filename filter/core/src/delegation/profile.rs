//! The shapes in which issuers say who acts for whom. Each profile takes one shape and refuses every other.

use serde_json::{Map, Value};

use super::{DelegationError, Party, PrincipalKind};
use crate::token::{IssuerRules, PrincipalAt, Profile, Subjects};

/// Claims that one profile alone reads: elsewhere they would be actors that nobody sees.
const FOREIGN: [(&str, Profile); 4] = [
    ("delegated_through", Profile::Okta),
    ("xms_act_fct", Profile::Entra),
    ("xms_sub_fct", Profile::Entra),
    ("xms_par_app_azp", Profile::Entra),
];

/// Facets of Microsoft Entra Agent ID: an agent identity, and the user account of an agent.
const AGENT_IDENTITY: &str = "11";
const AGENT_USER: &str = "13";

/// Who acts for whom, whatever the shape was.
pub(super) struct Parties {
    pub(super) principal: Classified,
    /// The current actor first.
    pub(super) actors: Vec<Classified>,
    /// Whether the issuer says that these are all actors.
    pub(super) complete: bool,
}

/// An identity, and what its issuer says it is.
pub(super) struct Classified {
    pub(super) party: Party,
    /// `None`: it says nothing.
    pub(super) kind: Option<PrincipalKind>,
}

/// Reads the parties by the issuer's profile; `sub` is the token's. Each comes once.
pub(super) fn read(
    claims: &Map<String, Value>,
    sub: &str,
    rules: &IssuerRules,
) -> Result<Parties, DelegationError> {
    if let Some((claim, _)) =
        FOREIGN.into_iter().find(|(claim, own)| *own != rules.profile && claims.contains_key(*claim))
    {
        return Err(mismatch(claim));
    }
    let namespace = rules.namespace();
    let subject = Classified {
        party: Party { iss: namespace.to_owned(), sub: sub.to_owned() },
        kind: kind(claims, 0)?,
    };
    let mut parties = match rules.profile {
        Profile::Rfc8693 | Profile::Keycloak => {
            let mut actors = nested(claims, rules)?;
            let mut principal = subject;
            if rules.principal == PrincipalAt::InnermostAct {
                let innermost = actors.pop().ok_or(mismatch("act"))?;
                actors.insert(0, std::mem::replace(&mut principal, innermost));
            }
            Parties { principal, actors, complete: rules.profile == Profile::Rfc8693 }
        }
        Profile::Auth0 => {
            let actors = nested(claims, rules)?;
            // The client that made the exchange is the outermost actor.
            let client = claims.get("azp").or_else(|| claims.get("client_id")).and_then(Value::as_str);
            if actors.first().is_some_and(|actor| client != Some(actor.party.sub.as_str())) {
                return Err(mismatch("azp"));
            }
            Parties { principal: subject, actors, complete: true }
        }
        Profile::Okta => okta(claims, subject, rules)?,
        Profile::Entra => entra(claims, rules)?,
    };
    // Where the token speaks, it is believed over the issuer's setting.
    if rules.subjects == Subjects::Human {
        parties.principal.kind.get_or_insert(PrincipalKind::Human);
    }
    check_distinct(&parties)?;
    // Rights come from the principal and the current actor; who acted before is told, and gives none.
    for of_rights in std::iter::once(&parties.principal).chain(parties.actors.first()) {
        let iss = &of_rights.party.iss;
        if iss != namespace && !rules.actor_issuers.contains(iss) {
            return Err(DelegationError::ForeignActor);
        }
    }
    Ok(parties)
}

/// RFC 8693 section 4.1: `act` within `act`, outermost first.
fn nested(claims: &Map<String, Value>, rules: &IssuerRules) -> Result<Vec<Classified>, DelegationError> {
    let mut actors = Vec::new();
    let mut next = claims.get("act");
    while let Some(node) = next {
        let actor = actor(node, "act", actors.len(), rules)?;
        actors.push(actor);
        next = node.get("act");
    }
    Ok(actors)
}

/// One actor, after `before` others.
fn actor(
    node: &Value,
    claim: &'static str,
    before: usize,
    rules: &IssuerRules,
) -> Result<Classified, DelegationError> {
    let hop = before.saturating_add(1);
    if hop > rules.max_chain_depth {
        return Err(DelegationError::TooDeep { limit: rules.max_chain_depth });
    }
    let node = node.as_object().ok_or(DelegationError::Malformed { claim, hop })?;
    let party = Party {
        // An actor without `iss` is in the namespace of the token's subjects.
        iss: name(node, "iss", hop)?.unwrap_or(rules.namespace()).to_owned(),
        sub: name(node, "sub", hop)?.ok_or(DelegationError::Malformed { claim: "sub", hop })?.to_owned(),
    };
    Ok(Classified { party, kind: kind(node, hop)? })
}

/// `act` is the current actor, `delegated_through` those before it, `origin` the principal, which is also `sub`.
fn okta(
    claims: &Map<String, Value>,
    subject: Classified,
    rules: &IssuerRules,
) -> Result<Parties, DelegationError> {
    let member = |claim: &'static str| claims.get(claim).ok_or(mismatch(claim));
    let current = member("act")?;
    if current.get("act").is_some() {
        return Err(mismatch("act"));
    }
    let mut actors = vec![actor(current, "act", 0, rules)?];
    for node in member("delegated_through")?.as_array().ok_or(mismatch("delegated_through"))? {
        if node.get("act").is_some() {
            return Err(mismatch("act"));
        }
        let actor = actor(node, "delegated_through", actors.len(), rules)?;
        actors.push(actor);
    }
    let origin = member("origin")?.as_object().ok_or(mismatch("origin"))?;
    if name(origin, "sub", 0)? != Some(&subject.party.sub) || origin.contains_key("act") {
        return Err(mismatch("origin"));
    }
    if claims.contains_key("sub_profile") && claims.get("sub_profile") != origin.get("sub_profile") {
        return Err(mismatch("sub_profile"));
    }
    let principal = Classified { kind: kind(origin, 0)?, ..subject };
    Ok(Parties { principal, actors, complete: true })
}

/// The application is the agent. A person is `oid` in the tenant that `iss` names.
fn entra(claims: &Map<String, Value>, rules: &IssuerRules) -> Result<Parties, DelegationError> {
    let text = |claim: &'static str| {
        claims.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or(mismatch(claim))
    };
    let facet = |claim: &'static str, facet: &str| match claims.get(claim) {
        None => Ok(false),
        Some(_) => Ok(text(claim)?.split(' ').any(|word| word == facet)),
    };
    let party = |sub: &str| Party { iss: rules.namespace().to_owned(), sub: sub.to_owned() };
    if claims.contains_key("act") {
        return Err(mismatch("act"));
    }
    if !rules.issuer.contains(&format!("/{}/", text("tid")?)) {
        return Err(mismatch("tid"));
    }
    // Tokens of version 1 have `appid`, those of version 2 `azp`.
    let application = match (claims.get("azp"), claims.get("appid")) {
        (Some(azp), Some(appid)) if azp != appid => return Err(mismatch("appid")),
        (Some(_), _) => text("azp")?,
        (None, _) => text("appid")?,
    };
    if !facet("xms_act_fct", AGENT_IDENTITY)? {
        return Err(mismatch("xms_act_fct"));
    }
    let user = text("oid")?;
    let agent = Classified { party: party(application), kind: Some(PrincipalKind::Agent) };
    match text("idtyp")? {
        "user" => {
            let kind = if facet("xms_sub_fct", AGENT_USER)? || facet("xms_sub_fct", AGENT_IDENTITY)? {
                PrincipalKind::Agent
            } else {
                PrincipalKind::Human
            };
            let principal = Classified { party: party(user), kind: Some(kind) };
            Ok(Parties { principal, actors: vec![agent], complete: false })
        }
        "app" if facet("xms_sub_fct", AGENT_IDENTITY)? => {
            Ok(Parties { principal: agent, actors: Vec::new(), complete: false })
        }
        _ => Err(mismatch("idtyp")),
    }
}

fn check_distinct(parties: &Parties) -> Result<(), DelegationError> {
    let root = &parties.principal.party;
    let mut seen: Vec<&Party> = Vec::new();
    for (before, actor) in parties.actors.iter().enumerate() {
        if actor.party == *root && before == 0 {
            return Err(DelegationError::SelfDelegation);
        }
        if actor.party == *root || seen.contains(&&actor.party) {
            return Err(DelegationError::Cycle { hop: before.saturating_add(1) });
        }
        seen.push(&actor.party);
    }
    Ok(())
}

pub(super) fn mismatch(claim: &'static str) -> DelegationError {
    DelegationError::ProfileMismatch { claim }
}

fn name<'n>(
    node: &'n Map<String, Value>,
    claim: &'static str,
    hop: usize,
) -> Result<Option<&'n str>, DelegationError> {
    match node.get(claim) {
        None => Ok(None),
        Some(Value::String(name)) if !name.is_empty() => Ok(Some(name)),
        Some(_) => Err(DelegationError::Malformed { claim, hop }),
    }
}

/// `sub_profile` is a list with spaces between its words (actor-profile draft). Absent: unclassified.
fn kind(node: &Map<String, Value>, hop: usize) -> Result<Option<PrincipalKind>, DelegationError> {
    let Some(profile) = node.get("sub_profile") else { return Ok(None) };
    let profile = profile.as_str().ok_or(DelegationError::Malformed { claim: "sub_profile", hop })?;
    let is = |name: &str| profile.split(' ').any(|word| word == name);
    // Of several words the least trusted counts: a user's account that an agent runs is an agent.
    Ok(Some(if is("ai_agent") {
        PrincipalKind::Agent
    } else if is("service") {
        PrincipalKind::Service
    } else if profile.split(' ').all(|word| word == "user") {
        PrincipalKind::Human
    } else {
        PrincipalKind::Unknown
    }))
}

#[cfg(test)]
mod tests;
