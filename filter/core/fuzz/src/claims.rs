//! Claims of a token whose signature is good, up to the delegation: the first byte selects the issuer's rules.

use std::sync::{Arc, OnceLock};

use remit_core::delegation::{Delegation, PrincipalKind};
use remit_core::keys::KeySet;
use remit_core::token::{
    Carrier, Compact, IssuerRules, PrincipalAt, Profile, Subjects, TokenLimits, Unverified,
};
use serde_json::json;

use crate::signed::{AUDIENCE, ISSUER, NOW, claims, now, rules, with};
use crate::text::{Node, encoded, json};

/// HS256: by far the quickest to sign with, and nothing here depends on the algorithm.
const SECRET: [u8; 32] = [9; 32];

fn keys() -> &'static KeySet {
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    KEYS.get_or_init(|| KeySet::from_secret(&encoded(&SECRET)).expect("a secret"))
}

fn variants() -> &'static [Arc<IssuerRules>] {
    static RULES: OnceLock<Vec<Arc<IssuerRules>>> = OnceLock::new();
    RULES.get_or_init(|| {
        let algorithms = vec![remit_core::keys::Algorithm::Hs256];
        let base = IssuerRules { algorithms, ..rules() };
        let tenant = "https://login.example/t-1/v2.0".to_owned();
        [
            base.clone(),
            IssuerRules { principal: PrincipalAt::InnermostAct, ..base.clone() },
            IssuerRules { profile: Profile::Auth0, subjects: Subjects::Human, ..base.clone() },
            IssuerRules { profile: Profile::Okta, ..base.clone() },
            IssuerRules { profile: Profile::Entra, issuer: tenant, ..base.clone() },
            IssuerRules { profile: Profile::Keycloak, subjects: Subjects::Unattended, ..base.clone() },
            IssuerRules {
                carrier: Carrier::TxnToken,
                types: vec!["txntoken+jwt".to_owned()],
                subject_issuer: Some(ISSUER.to_owned()),
                ..base.clone()
            },
            IssuerRules { multiple_audiences: true, detail_types: vec!["payment".to_owned()], ..base },
        ]
        .map(Arc::new)
        .to_vec()
    })
}

pub fn seeds() -> Vec<Vec<u8>> {
    let okta = json!({"act": {"sub": "wlp", "sub_profile": "ai_agent"}, "delegated_through": [{"sub": "wlp-2"}],
        "origin": {"sub": "alice", "sub_profile": "user"}, "sub_profile": null});
    let entra = json!({"iss": "https://login.example/t-1/v2.0", "tid": "t-1", "oid": "o-1", "idtyp": "user",
        "azp": "app-1", "appid": "app-1", "client_id": null, "xms_act_fct": "3 11", "xms_sub_fct": "1", "act": null, "scp": "a b",
        "scope": null});
    let transaction = json!({"txn": "x-1", "tctx": {"prompt": {"alg": "sha-256", "salt": "AAAAAAAAAAA",
        "digest": encoded(&[1; 32])}}, "rctx": {}, "req_wl": "w"});
    let changes = [
        (0, json!({})),
        (0, json!({"act": null, "aud": [AUDIENCE], "exp": NOW as f64 + 0.5, "nbf": NOW as f64 + 29.5})),
        (0, json!({"act": {"sub": "alice"}})),
        (0, json!({"cnf": {"jkt": encoded(&[1; 32])}, "status": {"status_list": {"idx": 1, "uri": "u"}}})),
        (1, json!({"sub": "agent-7", "sub_profile": null, "act": {"sub": "alice", "sub_profile": "user"}})),
        (2, json!({"azp": "agent-7", "client_id": null})),
        (3, okta),
        (4, entra),
        (5, json!({"sub_profile": "service", "authorization_details": null})),
        (6, transaction),
        (
            7,
            json!({"aud": [AUDIENCE, "https://other.example"], "authorization_details": [{"type": "payment"}]}),
        ),
    ];
    let seed = |(variant, changes): &(u8, serde_json::Value)| {
        [&[*variant], with(claims(), changes).to_string().as_bytes()].concat()
    };
    changes.iter().map(seed).collect()
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let Some((variant, payload)) = data.split_first() else { return false };
    let rules = &variants()[usize::from(*variant) % variants().len()];
    let typ = &rules.types[0];
    let header = format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#);
    let signed = format!("{}.{}", encoded(header.as_bytes()), encoded(payload));
    let text = format!("{signed}.{}", encoded(&hmac_sha256::HMAC::mac(signed.as_bytes(), SECRET)));
    let limits = TokenLimits::default();
    let Ok(compact) = Compact::parse(&text, &limits) else { return false };
    let Ok(unverified) = Unverified::prepare(compact, rules, Some(keys())) else { return false };
    let Ok(token) = unverified.verify(now()) else { return false };
    let claims = json(payload, limits.max_depth).expect("strict claims");
    registered(&claims, rules);

    let Ok(delegation) = Delegation::resolve(&token, rules) else { return false };
    let people = delegation.principal.kind == PrincipalKind::Human;
    assert!(people || rules.subjects == Subjects::Unattended, "no person at the root");
    assert_eq!(delegation.traceable, people);
    assert_eq!(delegation.depth, delegation.chain.len());
    assert!(delegation.depth <= rules.max_chain_depth, "too deep");
    assert_eq!(delegation.actor.as_ref(), delegation.chain.first());
    for (number, party) in delegation.chain.iter().enumerate() {
        assert!(!party.sub.is_empty() && !party.iss.is_empty(), "nobody");
        assert!(*party != delegation.principal.party, "acts for itself");
        assert!(!delegation.chain[..number].contains(party), "a cycle");
    }
    if rules.profile == Profile::Rfc8693 && rules.principal == PrincipalAt::Sub {
        chain(&claims, rules, &delegation);
    }
    task(&claims, rules, &delegation);
    true
}

/// RFC 7519 section 4.1, the house's way.
fn registered(claims: &Node, rules: &IssuerRules) {
    assert_eq!(claims.get("iss").and_then(Node::text), Some(rules.issuer.as_str()));
    assert!(claims.get("sub").and_then(Node::text).is_some_and(|sub| !sub.is_empty()), "no subject");
    match claims.get("aud").expect("aud") {
        Node::Text(audience) => assert_eq!(audience, AUDIENCE),
        Node::List(all) => {
            assert!(all.iter().any(|audience| audience.text() == Some(AUDIENCE)), "for others");
            assert!(all.len() == 1 || rules.multiple_audiences, "for others besides");
        }
        _ => panic!("aud"),
    }
    let date = |claim| claims.get(claim).map(|node| node.date().expect("a NumericDate"));
    let (exp, iat) = (date("exp").expect("exp").floor(), date("iat").expect("iat").floor());
    let (now, skew) = (NOW as f64, rules.clock_skew_seconds as f64);
    assert!(exp > iat && exp - iat <= rules.max_lifetime_seconds as f64, "lifetime");
    assert!(now < exp + skew && iat <= now + skew, "not now");
    assert!(date("nbf").is_none_or(|nbf| nbf.ceil() <= now + skew), "not yet");
    assert!(claims.get("cnf").is_none() && claims.get("status").is_none(), "nobody would check it");
    let scope = claims.get("scope");
    assert!(scope.is_none_or(|scope| scope.text().is_some()), "scope");
}

/// RFC 8693 section 4.1, walked again.
fn chain(claims: &Node, rules: &IssuerRules, delegation: &Delegation) {
    let mut walked = Vec::new();
    let mut next = claims.get("act");
    while let Some(node) = next {
        assert!(matches!(node, Node::Object(_)), "act");
        let iss = node.get("iss").map_or(rules.namespace(), |iss| iss.text().expect("iss"));
        walked.push((iss, node.get("sub").and_then(Node::text).expect("sub")));
        next = node.get("act");
    }
    let found: Vec<_> =
        delegation.chain.iter().map(|party| (party.iss.as_str(), party.sub.as_str())).collect();
    assert_eq!(walked, found);
    let profile = claims.get("sub_profile").map(|profile| profile.text().expect("sub_profile"));
    let is_user = profile.is_some_and(|profile| profile.split(' ').all(|word| word == "user"));
    assert_eq!(is_user, delegation.principal.kind == PrincipalKind::Human);
}

/// RFC 9396 section 2.
fn task(claims: &Node, rules: &IssuerRules, delegation: &Delegation) {
    let context = claims.get("tctx").filter(|_| rules.carrier == Carrier::TxnToken);
    let details = claims.get("authorization_details");
    let details = details.or_else(|| context?.get("authorization_details"));
    let details = details.map_or(&[][..], |details| details.list().expect("a list"));
    let kinds: Vec<_> = details.iter().map(|detail| detail.get("type").and_then(Node::text)).collect();
    let known = |kind: &&str| *kind == "agent_task" || rules.detail_types.iter().any(|known| known == kind);
    assert!(kinds.iter().all(|kind| kind.as_ref().is_some_and(known)), "a type that nobody handles");
    let mut tasks =
        details.iter().filter(|detail| detail.get("type").and_then(Node::text) == Some("agent_task"));
    let (one, other) = (tasks.next(), tasks.next());
    assert!(other.is_none(), "two tasks");
    assert_eq!(one.is_some(), delegation.task.is_some());
    let (Some(node), Some(task)) = (one, &delegation.task) else { return };
    assert_eq!(node.get("task_id").and_then(Node::text), Some(task.task_id.as_str()));
    for (name, items) in [("actions", &task.actions), ("locations", &task.locations)] {
        let read = node.get(name).map(|list| list.list().expect("a list").iter().map(|item| item.text()));
        let same = read.map(|items| items.map(|item| item.map(str::to_owned)).collect::<Option<Vec<_>>>());
        assert_eq!(same.map(|items| items.expect("texts")).as_ref(), items.as_ref(), "{name}");
    }
    let expires = node.get("expires").map(|date| date.date().expect("a NumericDate").floor());
    assert_eq!(expires, task.expires.map(|expires| expires.0 as f64));
    let calls = node.get("max_calls").map(|calls| calls.date().expect("a count"));
    assert_eq!(
        calls,
        task.max_calls.map(|calls| calls as f64).filter(|calls| *calls <= 9_007_199_254_740_992.0)
    );
}
