//! Evidence of attenuation: the first byte says receipts or hops, the first line holds the token's claims, each further
//! line those of a receipt or a hop. What ties them together is filled in where a line does not give it, and all are signed.

use std::sync::{Arc, OnceLock};

use remit_core::delegation::Delegation;
use remit_core::token::{Attenuation, Compact, IssuerRules, TokenLimits, Unverified};
use serde_json::{Map, Value, json};

use crate::signed::{ISSUER, NOW, by_ed25519, claims, ed25519_jwk, keys, now, rules, with};
use crate::text::{Node, encoded, json as read};

/// Most lines after the first.
const MOST: usize = 6;

fn variants() -> &'static [Arc<IssuerRules>; 2] {
    static RULES: OnceLock<[Arc<IssuerRules>; 2]> = OnceLock::new();
    RULES.get_or_init(|| {
        [Attenuation::Receipts, Attenuation::HopList]
            .map(|attenuation| Arc::new(IssuerRules { attenuation, ..rules() }))
    })
}

fn digest(text: &str) -> String {
    encoded(&hmac_sha256::Hash::hash(text.as_bytes()))
}

fn holder(number: u8) -> String {
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":{}}}"#, ed25519_jwk(number)["x"]);
    format!("urn:ietf:params:oauth:jwk-thumbprint:sha-256:{}", digest(&canonical))
}

pub fn seeds() -> Vec<Vec<u8>> {
    let task =
        |actions: Value| json!([{"type": "agent_task", "task_id": "t", "actions": actions, "max_calls": 3}]);
    let base = with(claims(), &json!({"authorization_details": task(json!(["a"])), "scope": "r"}));
    let older = json!({"act": {"iss": ISSUER, "sub": "agent-6"}, "iat": NOW - 302,
        "bounds": {"scope": "r w x", "authorization_details": task(json!(["a", "b"]))}});
    let newer = json!({"act": {"iss": ISSUER, "sub": "agent-7"}, "iat": NOW - 301,
        "bounds": {"scope": "r w", "authorization_details": task(json!(["a", "b"]))}});
    let grant = |tools: Value| json!([{"type": "attenuating_agent_token", "tools": tools}]);
    let root = with(
        claims(),
        &json!({"act": null, "cnf": {"jwk": ed25519_jwk(1)}, "del_depth": 0, "del_max_depth": 3,
            "authorization_details": grant(json!({"read": {}, "write": {"n": {"constraint_type": "range", "max": 9}}}))}),
    );
    let hop = json!({"del_max_depth": 3, "authorization_details": grant(json!({"read": {}}))});
    let last = json!({"del_max_depth": 2, "authorization_details":
        grant(json!({"read": {"id": {"constraint_type": "exact", "value": 1}}}))});
    let lines = |kind: u8, lines: &[&Value]| {
        let text: Vec<_> = lines.iter().map(|line| line.to_string()).collect();
        [&[kind], text.join("\n").as_bytes()].concat()
    };
    vec![
        lines(0, &[&base, &newer, &older]),
        lines(0, &[&base, &newer]),
        lines(0, &[&with(base.clone(), &json!({"act": null}))]),
        lines(1, &[&root, &hop, &last]),
        lines(1, &[&root]),
    ]
}

/// The object of a line, with what it does not give.
fn filled(line: &[u8], base: Value) -> Option<Map<String, Value>> {
    let Ok(Value::Object(members)) = serde_json::from_slice(line) else { return None };
    match with(base, &Value::Object(members)) {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let Some((kind, data)) = data.split_first() else { return false };
    let hops = *kind % 2 == 1;
    let rules = &variants()[usize::from(hops)];
    let mut lines = data.split(|byte| *byte == b'\n');
    let Some(Ok(Value::Object(mut claims))) = lines.next().map(serde_json::from_slice) else { return false };
    let lines: Vec<_> = lines.take(MOST).collect();
    let header = br#"{"alg":"EdDSA","kid":"k2","typ":"at+jwt"}"#;
    if !hops && !lines.is_empty() {
        let mut texts: Vec<String> = Vec::new();
        for (number, line) in lines.iter().enumerate().rev() {
            let mut base = json!({"iss": claims.get("iss"), "sub": claims.get("sub"), "iat": claims.get("iat"),
                "exp": claims.get("exp"), "jti": format!("r-{number}")});
            if let Some(older) = texts.first() {
                base["prh"] = json!(digest(older));
            }
            let Some(receipt) = filled(line, base) else { return false };
            let header = br#"{"alg":"EdDSA","kid":"k2","typ":"actor-receipt+jwt"}"#;
            texts.insert(0, by_ed25519(0, header, Value::Object(receipt).to_string().as_bytes()));
        }
        claims.insert("actor_receipts".to_owned(), json!(texts));
    }
    let payload = Value::Object(claims).to_string();
    let token = by_ed25519(0, header, payload.as_bytes());
    let mut texts: Vec<String> = Vec::new();
    let mut payloads = vec![payload.clone()];
    if hops {
        let root = read(payload.as_bytes(), 16);
        let number = |claim| root.as_ref().and_then(|root| root.get(claim)?.date()).unwrap_or(0.0) as u64;
        for (depth, line) in (1_u8..).zip(&lines) {
            let parent = texts.last().unwrap_or(&token);
            let base = json!({"iss": holder(depth), "jti": format!("h-{depth}"), "iat": number("iat"),
                "exp": number("exp"), "cnf": {"jwk": ed25519_jwk(depth + 1)}, "del_depth": depth,
                "par_hash": digest(parent.rsplit_once('.').map_or("", |(signed, _)| signed))});
            let Some(hop) = filled(line, base) else { return false };
            let payload = Value::Object(hop).to_string();
            texts.push(by_ed25519(depth, br#"{"alg":"EdDSA","typ":"aat+jwt"}"#, payload.as_bytes()));
            payloads.push(payload);
        }
    }
    let limits = TokenLimits { max_bytes: 64 * 1024, ..TokenLimits::default() };
    let Ok(compact) = Compact::parse(&token, &limits) else { return false };
    let Ok(unverified) = Unverified::prepare(compact, rules, Some(keys())) else { return false };
    let Ok(token) = unverified.verify(now()) else { return false };
    let Ok(mut delegation) = Delegation::resolve(&token, rules) else { return false };
    let actors = delegation.chain.len();
    let joined = texts.join("~");
    let given = (!texts.is_empty()).then_some(joined.as_str());
    let Ok(grant) = delegation.attest(&token, given, rules, Some(keys()), &limits) else { return false };
    assert_eq!(grant.is_some(), hops);
    if hops {
        let all: Vec<Node> =
            payloads.iter().map(|payload| read(payload.as_bytes(), 16).expect("strict claims")).collect();
        assert!(delegation.chain.len() <= rules.max_chain_depth, "too many holders");
        assert_eq!(delegation.chain.len(), actors.max(1) + lines.len());
        all.windows(2).for_each(|pair| narrows(&pair[0], &pair[1]));
    } else {
        assert_eq!(lines.len(), actors, "a receipt for each actor");
        for line in &lines {
            let Ok(receipt) = serde_json::from_slice::<Value>(line) else { panic!("a receipt") };
            let words = |scope: Option<&Value>| -> Vec<String> {
                let scope = scope.and_then(Value::as_str).unwrap_or_default();
                scope.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
            };
            let wider = words(receipt.pointer("/bounds/scope"));
            assert!(token.scope().iter().all(|word| wider.contains(word)), "a scope that was not given");
        }
    }
    true
}

/// Whether a hop has no more than its parent.
fn narrows(parent: &Node, child: &Node) {
    let date = |node: &Node, claim| node.get(claim).and_then(Node::date).expect("a number");
    assert!(date(child, "exp").floor() <= date(parent, "exp").floor(), "lives longer");
    assert!(date(child, "iat").floor() >= date(parent, "iat").floor(), "is older");
    assert!(date(child, "del_depth") == date(parent, "del_depth") + 1.0, "depth");
    assert!(date(child, "del_max_depth") <= date(parent, "del_max_depth"), "may be deeper");
    let tools = |node: &Node| -> Vec<String> {
        let details = node.get("authorization_details").and_then(Node::list).expect("details");
        let kind =
            |detail: &&Node| detail.get("type").and_then(Node::text) == Some("attenuating_agent_token");
        match details.iter().find(kind).and_then(|detail| detail.get("tools")) {
            Some(Node::Object(tools)) => tools.iter().map(|(name, _)| name.clone()).collect(),
            _ => panic!("tools"),
        }
    };
    let wider = tools(parent);
    assert!(tools(child).iter().all(|tool| wider.contains(tool)), "a tool that was not given");
}
