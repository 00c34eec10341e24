//! One token of each issuer as it emits them, and what is not quite such a token.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::delegation::{Delegation, DelegationError};
use crate::keys::Algorithm;
use crate::token::testing::{AUDIENCE, ISSUER, NOW, Signer, verify, with};
use crate::token::{IssuerRules, PrincipalAt, Profile, Subjects};

const TENANT: &str = "https://login.microsoftonline.com/00000001-0000-0ff1-ce00-000000000000/v2.0";

fn rules(profile: Profile) -> IssuerRules {
    let issuer = if profile == Profile::Entra { TENANT } else { ISSUER };
    let actor_issuers = ["https://people.example", "https://x.example"].map(str::to_owned).to_vec();
    IssuerRules { profile, actor_issuers, ..IssuerRules::new(issuer, &[Algorithm::Hs256], AUDIENCE) }
}

fn resolve(claims: &Value, rules: &IssuerRules) -> Result<Delegation, DelegationError> {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let times = json!({ "iss": rules.issuer, "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300 });
    let token = signer.token(&with(times, claims));
    let token = verify(&token, &Arc::new(rules.clone()), &signer.key_set()).unwrap();
    Delegation::resolve(&token, rules)
}

/// Okta, agent-to-agent: the token that the second agent gets for a resource.
fn okta() -> Value {
    json!({
        "sub": "0oa9jh6hizeR7uMag0g7", "scope": "chat.read+chat.history", "sub_profile": "user",
        "act": { "sub": "wlp9jecfovIcujmca0g7", "sub_profile": "ai_agent" },
        "delegated_through": [{ "sub": "wlp9jebmx18qWtCeu0g7", "sub_profile": "ai_agent" }],
        "origin": { "sub": "0oa9jh6hizeR7uMag0g7", "sub_profile": "user" },
    })
}

/// Microsoft Entra Agent ID: an agent identity on behalf of a person.
fn entra() -> Value {
    json!({
        "azp": "aaaaaaaa-1111-2222-3333-444444444444", "azpacr": "2", "idtyp": "user", "xms_idrel": "1",
        "oid": "bbbbbbbb-1111-2222-3333-444444444444", "sub": "pairwise", "ver": "2.0", "scp": "Mail.Read User.Read",
        "tid": "00000001-0000-0ff1-ce00-000000000000", "xms_act_fct": "3 9 11", "xms_sub_fct": "3",
        "xms_tnt_fct": "3 9", "xms_par_app_azp": "30cf4c22-9985-4ef7-8756-91cc888176bd",
    })
}

/// Auth0, on-behalf-of exchange: an MCP server for a user of a single-page application.
fn auth0() -> Value {
    json!({
        "sub": "auth0|user123", "azp": "mcp_server_client_id", "scope": "read:mail",
        "act": { "sub": "mcp_server_client_id", "act": { "sub": "spa_client_id" } },
    })
}

/// Keycloak, exchange with an actor that `may_act` named.
fn keycloak() -> Value {
    json!({
        "sub": "f:1:bea", "azp": "forum", "typ": "Bearer", "scope": "openid", "may_act": { "sub": "agent-analyst" },
        "act": { "sub": "agent-analyst" },
    })
}

/// The agent in `sub`, the person in `act.act`.
fn inverted() -> Value {
    json!({
        "sub": "agent-analyst", "sub_profile": "ai_agent",
        "act": { "sub": "planner", "sub_profile": "ai_agent",
                 "act": { "sub": "bea", "iss": "https://people.example", "sub_profile": "user" } },
    })
}

#[test]
fn each_profile_reads_its_own_shape() {
    let party = |iss: &str, sub: &str| json!({ "iss": iss, "sub": sub });
    let human = |profile| IssuerRules { subjects: Subjects::Human, ..rules(profile) };
    let innermost = |profile| IssuerRules { principal: PrincipalAt::InnermostAct, ..rules(profile) };
    for (claims, rules, principal, chain, actor_kind, complete) in [
        (
            okta(),
            rules(Profile::Okta),
            party(ISSUER, "0oa9jh6hizeR7uMag0g7"),
            vec![party(ISSUER, "wlp9jecfovIcujmca0g7"), party(ISSUER, "wlp9jebmx18qWtCeu0g7")],
            "agent",
            true,
        ),
        (
            entra(),
            rules(Profile::Entra),
            party(TENANT, "bbbbbbbb-1111-2222-3333-444444444444"),
            vec![party(TENANT, "aaaaaaaa-1111-2222-3333-444444444444")],
            "agent",
            false,
        ),
        (
            auth0(),
            human(Profile::Auth0),
            party(ISSUER, "auth0|user123"),
            vec![party(ISSUER, "mcp_server_client_id"), party(ISSUER, "spa_client_id")],
            "unknown",
            true,
        ),
        (
            keycloak(),
            human(Profile::Keycloak),
            party(ISSUER, "f:1:bea"),
            vec![party(ISSUER, "agent-analyst")],
            "unknown",
            false,
        ),
        (
            inverted(),
            innermost(Profile::Rfc8693),
            party("https://people.example", "bea"),
            vec![party(ISSUER, "agent-analyst"), party(ISSUER, "planner")],
            "agent",
            true,
        ),
    ] {
        let delegation = serde_json::to_value(resolve(&claims, &rules).unwrap()).unwrap();
        let read = with(delegation["principal"].clone(), &json!({ "kind": null }));
        assert_eq!(read, principal, "{:?}", rules.profile);
        assert_eq!(delegation["principal"]["kind"], "human", "{:?}", rules.profile);
        assert_eq!(delegation["chain"], json!(chain), "{:?}", rules.profile);
        assert_eq!(delegation["actor"], chain[0], "{:?}", rules.profile);
        assert_eq!(delegation["actor_kind"], actor_kind, "{:?}", rules.profile);
        assert_eq!(delegation["chain_complete"], complete, "{:?}", rules.profile);
    }
}

#[test]
fn an_agent_of_entra_may_act_alone_where_that_is_configured() {
    let app = json!({ "idtyp": "app", "xms_sub_fct": "9 3 11", "scp": "/" });
    let user_account = json!({ "xms_sub_fct": "13" });
    let alone = IssuerRules { subjects: Subjects::Unattended, ..rules(Profile::Entra) };
    for (changes, sub, depth) in [
        (&app, "aaaaaaaa-1111-2222-3333-444444444444", 0),
        (&user_account, "bbbbbbbb-1111-2222-3333-444444444444", 1),
    ] {
        let claims = with(entra(), changes);
        let error = resolve(&claims, &rules(Profile::Entra)).unwrap_err();
        assert_eq!(error, DelegationError::NotTraceable, "{changes}");
        let delegation = resolve(&claims, &alone).unwrap();
        let principal = serde_json::to_value(&delegation.principal).unwrap();
        assert_eq!(principal, json!({ "iss": TENANT, "sub": sub, "kind": "agent" }));
        assert_eq!((delegation.depth, delegation.traceable), (depth, false), "{changes}");
    }
}

#[test]
fn what_does_not_fit_is_refused_and_never_guessed() {
    let version_1 = json!({ "azp": null, "appid": "aaaaaaaa-1111-2222-3333-444444444444" });
    assert!(resolve(&with(entra(), &version_1), &rules(Profile::Entra)).is_ok());
    let nested = json!({ "sub": "a", "act": { "sub": "b" } });
    let mismatches = [
        (Profile::Okta, okta(), json!({ "act": null }), "act"),
        (Profile::Okta, okta(), json!({ "act": nested }), "act"),
        (Profile::Okta, okta(), json!({ "delegated_through": null }), "delegated_through"),
        (
            Profile::Okta,
            okta(),
            json!({ "delegated_through": [{ "sub": "a", "act": { "sub": "b" } }] }),
            "act",
        ),
        (Profile::Okta, okta(), json!({ "delegated_through": { "sub": "a" } }), "delegated_through"),
        (Profile::Okta, okta(), json!({ "origin": null }), "origin"),
        (Profile::Okta, okta(), json!({ "origin": "0oa9jh6hizeR7uMag0g7" }), "origin"),
        (Profile::Okta, okta(), json!({ "origin": { "sub": "somebody", "sub_profile": "user" } }), "origin"),
        (Profile::Okta, okta(), json!({ "sub_profile": "service" }), "sub_profile"),
        (Profile::Okta, auth0(), json!({}), "act"),
        (Profile::Entra, entra(), json!({ "act": { "sub": "a" } }), "act"),
        (Profile::Entra, entra(), json!({ "tid": null }), "tid"),
        (Profile::Entra, entra(), json!({ "tid": "00000002-0000-0ff1-ce00-000000000000" }), "tid"),
        (Profile::Entra, entra(), json!({ "tid": 1 }), "tid"),
        (Profile::Entra, entra(), json!({ "azp": null }), "appid"),
        (Profile::Entra, entra(), json!({ "oid": null }), "oid"),
        (Profile::Entra, entra(), json!({ "idtyp": null }), "idtyp"),
        (Profile::Entra, entra(), json!({ "idtyp": "device" }), "idtyp"),
        (Profile::Entra, entra(), json!({ "idtyp": "app" }), "idtyp"),
        (Profile::Entra, entra(), json!({ "xms_act_fct": null }), "xms_act_fct"),
        (Profile::Entra, entra(), json!({ "xms_act_fct": "3 111" }), "xms_act_fct"),
        (Profile::Entra, entra(), json!({ "xms_act_fct": 11 }), "xms_act_fct"),
        (Profile::Auth0, auth0(), json!({ "azp": "spa_client_id" }), "azp"),
        (Profile::Auth0, auth0(), json!({ "azp": null }), "azp"),
        (Profile::Auth0, okta(), json!({}), "delegated_through"),
        (Profile::Rfc8693, okta(), json!({}), "delegated_through"),
        (Profile::Rfc8693, entra(), json!({}), "xms_act_fct"),
        (Profile::Keycloak, entra(), json!({}), "xms_act_fct"),
        (Profile::Okta, entra(), json!({}), "xms_act_fct"),
        (Profile::Entra, okta(), json!({}), "delegated_through"),
    ];
    for (profile, claims, changes, claim) in mismatches {
        let error = resolve(&with(claims, &changes), &rules(profile)).unwrap_err();
        assert_eq!(error, DelegationError::ProfileMismatch { claim }, "{profile:?} {changes}");
        assert_eq!(error.reason().as_str(), "profile_mismatch");
        assert!(error.is_invalid_token());
    }
    let malformed = [
        (Profile::Okta, okta(), json!({ "delegated_through": ["a"] }), "delegated_through"),
        (Profile::Okta, okta(), json!({ "delegated_through": [{ "sub_profile": "ai_agent" }] }), "sub"),
        (Profile::Okta, okta(), json!({ "act": { "sub": "" } }), "sub"),
        (Profile::Okta, okta(), json!({ "act": { "sub": "a", "sub_profile": 1 } }), "sub_profile"),
        (Profile::Keycloak, keycloak(), json!({ "act": { "client_id": "agent-analyst" } }), "sub"),
    ];
    for (profile, claims, changes, claim) in malformed {
        let error = resolve(&with(claims, &changes), &rules(profile)).unwrap_err();
        assert!(
            matches!(error, DelegationError::Malformed { claim: found, .. } if found == claim),
            "{changes}: {error}"
        );
    }
}

#[test]
fn chains_of_every_shape_are_bounded_and_without_cycles() {
    let through = |subs: &[&str]| {
        let nodes: Vec<_> = subs.iter().map(|sub| json!({ "sub": sub })).collect();
        json!({ "delegated_through": nodes })
    };
    let innermost = IssuerRules { principal: PrincipalAt::InnermostAct, ..rules(Profile::Rfc8693) };
    let inner = |node: Value| json!({ "act": node });
    for (rules, claims, changes, expected) in [
        (rules(Profile::Okta), okta(), through(&["a", "b", "c"]), "accepted"),
        (rules(Profile::Okta), okta(), through(&["a", "b", "c", "d"]), "delegation_too_deep"),
        (rules(Profile::Okta), okta(), through(&["a", "a"]), "delegation_cycle"),
        (rules(Profile::Okta), okta(), through(&["wlp9jecfovIcujmca0g7"]), "delegation_cycle"),
        (rules(Profile::Okta), okta(), through(&["0oa9jh6hizeR7uMag0g7"]), "delegation_cycle"),
        (
            rules(Profile::Okta),
            okta(),
            json!({ "act": { "sub": "0oa9jh6hizeR7uMag0g7" } }),
            "delegation_self",
        ),
        (rules(Profile::Auth0), auth0(), json!({ "sub": "mcp_server_client_id" }), "delegation_self"),
        (innermost.clone(), inverted(), json!({ "act": null }), "profile_mismatch"),
        (
            innermost.clone(),
            inverted(),
            inner(json!({ "sub": "agent-analyst", "sub_profile": "user" })),
            "delegation_self",
        ),
        // The same name at another issuer is someone else.
        (
            innermost.clone(),
            inverted(),
            inner(json!({ "sub": "agent-analyst", "iss": "https://x.example", "sub_profile": "user" })),
            "accepted",
        ),
        // A person whom only an inner `act` names is no root, unless the issuer is configured so.
        (rules(Profile::Rfc8693), inverted(), json!({}), "not_traceable"),
        (
            innermost,
            inverted(),
            inner(json!({ "sub": "planner", "sub_profile": "ai_agent" })),
            "not_traceable",
        ),
    ] {
        let rules = IssuerRules {
            subjects: if rules.profile == Profile::Auth0 { Subjects::Human } else { rules.subjects },
            ..rules
        };
        let result = resolve(&with(claims, &changes), &rules);
        let found =
            result.as_ref().map_or_else(|e| e.reason().as_str().to_owned(), |_| "accepted".to_owned());
        assert_eq!(found, expected, "{:?} {changes}", rules.profile);
    }
}
