//! The input as a whole: of the published shape, and without what nobody reads.

use serde_json::json;

use super::*;
use crate::action::tests::effects;
use crate::action::{Catalog, Route};
use crate::json::JsonLimits;
use crate::request::Properties;
use crate::request::tests::request;
use crate::token::IssuerRules;
use crate::token::testing::{ISSUER, NOW, Signer, at, claims, with};

/// What a proxy answers that knows everything.
fn circumstances(properties: Properties) -> Circumstances {
    Circumstances::ask(properties, |path| {
        let answer: &[u8] = match path.join(".").as_str() {
            "source.address" => b"10.0.0.1:9",
            "destination.address" => b"[::1]:443",
            "connection.uri_san_peer_certificate" => b"spiffe://a/client",
            "connection.dns_san_local_certificate" => b"server.example",
            "connection.requested_server_name" => b"forum.example",
            "request.protocol" => b"HTTP/2",
            "metadata" => b"\x0a\x0f\x0a\x01f\x12\x0a\x0a\x08\x0a\x01k\x12\x03\x1a\x01v",
            _ => return None,
        };
        Some(answer.to_vec())
    })
}

fn contract() -> Contract {
    let settings = json!({"context_extensions": {"team": "a"}, "destination_labels": {"app": "forum"}, "pack_as_bytes": false});
    Contract::new(&crate::shape::read(&settings).unwrap(), None)
}

fn composed(reads: Reads) -> Value {
    trimmed(reads, Footprint::whole())
}

fn trimmed(reads: Reads, footprint: &Footprint) -> Value {
    let signer = Signer::new(crate::keys::Algorithm::EdDsa, "k1");
    let task = json!([{"type": "agent_task", "task_id": "t", "actions": ["a"], "expires": NOW + 9}]);
    let token = signer.verified(&with(claims(), &json!({"authorization_details": task})));
    composed_of(&identified(token), reads, footprint, at(NOW))
}

fn composed_of(known: &CachedToken<Identity>, reads: Reads, footprint: &Footprint, now: Now) -> Value {
    let view = request(
        ("POST", "forum.example", "/mcp/a?x=1"),
        &[("a", "1"), ("a", "2"), ("x-envoy-auth-partial-body", "true")],
    )
    .unwrap();
    let catalog = Catalog::parse(Some(json!({"http": [{"authority": "forum.example", "routes": [
        {"method": "POST", "path": "/mcp/{p}", "operation": "o", "verb": "create",
         "resource": {"type": "thing", "id": "/path/p"}, "effects": effects(true),
         "counterparties": [{"kind": "person", "value": "/query/x"}]}]}]})))
    .unwrap();
    let action = Route::find(&view, &catalog)
        .classify(&view, Some(b"text"), JsonLimits { depth: 8, values: 100 })
        .unwrap();
    let approval: Option<&Approval> = None;
    let circumstances = circumstances(reads.properties);
    let contract = contract();
    let parts = Parts {
        request: &view,
        contract: &contract,
        circumstances: &circumstances,
        body: b"text",
        parsed_body: reads.body.then(ParsedBody::default),
        truncated: false,
        identity: Some(known),
        transaction: None,
        registration: Registration::Registered,
        action: &action,
        approval,
        mode: Mode::Enforce,
        id: "d",
        now,
    };
    compose(parts, &reads, footprint).to_json().unwrap()
}

#[test]
fn inputs_have_the_published_shape() {
    let input = composed(Reads::ALL);
    let shape: Result<schema::Input, _> = serde_json::from_value(input.clone());
    assert!(shape.is_ok(), "{}: {input:#}", shape.unwrap_err());
}

#[test]
fn what_nobody_reads_is_not_built() {
    let (all, none) = (composed(Reads::ALL), composed(Reads::default()));
    assert_eq!(all["attributes"]["request"]["http"]["headers"]["a"], "1,2");
    assert_eq!(all["attributes"]["request"]["http"]["headers"]["x-envoy-auth-partial-body"], "false");
    let (sources, http) = (&all["attributes"]["source"], &all["attributes"]["request"]["http"]);
    let address = json!({"socketAddress": {"address": "10.0.0.1", "portValue": 9}});
    assert_eq!(*sources, json!({"address": address, "principal": "spiffe://a/client"}));
    let address = json!({"socketAddress": {"address": "::1", "portValue": 443}});
    let labels = json!({"app": "forum"});
    assert_eq!(
        all["attributes"]["destination"],
        json!({"address": address, "principal": "server.example", "labels": labels})
    );
    assert_eq!(all["source_principal"], "spiffe://a/client");
    assert_eq!(all["attributes"]["tlsSession"], json!({"sni": "forum.example"}));
    assert_eq!(all["attributes"]["metadataContext"], json!({"filterMetadata": {"f": {"k": "v"}}}));
    assert_eq!(all["attributes"]["routeMetadataContext"], json!({}));
    assert_eq!(all["attributes"]["contextExtensions"], json!({"team": "a"}));
    assert_eq!(
        (&http["protocol"], &http["size"], &http["body"]),
        (&json!("HTTP/2"), &json!(4), &json!("text"))
    );
    assert_eq!(all["parsed_query"], json!({"x": ["1"]}));
    assert_eq!(all["parsed_body"], Value::Null);
    for pointer in [
        "/attributes/request/http/headers",
        "/attributes/request/http/body",
        "/attributes/request/http/size",
        "/attributes/request/http/protocol",
        "/attributes/source",
        "/attributes/destination/address",
        "/attributes/tlsSession",
        "/attributes/metadataContext",
        "/attributes/routeMetadataContext",
        "/source_principal",
        "/parsed_query",
        "/parsed_body",
        "/truncated_body",
        "/remit/action/arguments",
        "/remit/action/resource",
        "/remit/action/counterparties",
        "/remit/action/missing",
        "/remit/now",
        "/remit/token/claims",
        "/attributes/request/time",
        "/attributes/request/http/id",
    ] {
        assert!(all.pointer(pointer).is_some(), "{pointer}");
        assert!(none.pointer(pointer).is_none(), "{pointer}");
    }
}

/// A policy that reads these paths.
fn reading(paths: &[&str]) -> crate::policy::Policy {
    let rules: Vec<String> =
        paths.iter().enumerate().map(|(i, path)| format!("r{i} := input.{path}")).collect();
    let text = format!("package p\nd := true\n{}\n", rules.join("\n"));
    let files = [("p.rego", text.into_bytes())];
    let bundle = crate::bundle::Bundle::from_files(files, &crate::bundle::BundleLimits::default()).unwrap();
    crate::policy::Policy::compile(&bundle, "p/d", &crate::policy::PolicyLimits::default()).unwrap()
}

#[test]
fn what_is_built_is_the_whole_without_what_is_not_read() {
    let whole = Document::from_json(&composed(Reads::ALL));
    for paths in [
        &["remit.token", "remit.delegation"][..],
        &["remit.token.exp", "remit.token.lifetime_seconds", "remit.token.alg", "remit.token.kid.x"],
        &["remit.token.claims", "remit.token.scope[0]", "remit.token.aud", "remit.token.acr"],
        &["remit.token.claims.authorization_details[0].task_id", "remit.token.claims.act.sub"],
        &["remit.delegation.task", "remit.delegation.principal", "remit.delegation.evidence"],
        &[
            "remit.delegation.task.identifiers.thread",
            "remit.delegation.task.expires",
            "remit.delegation.depth",
        ],
        &[
            "remit.delegation.chain[0].sub",
            "remit.delegation.prompt_digest.alg",
            "remit.delegation.actor_kind",
        ],
        &["remit"],
    ] {
        let policy = reading(paths);
        let expected = whole.trimmed(policy.footprint()).to_json().unwrap();
        assert_eq!(trimmed(policy.reads(), policy.footprint()), expected, "{paths:?}");
    }
}

fn identified(token: VerifiedToken) -> CachedToken<Identity> {
    let delegation = Delegation::resolve(&token, &IssuerRules::new(ISSUER, &[], "x")).unwrap();
    CachedToken { derived: Identity::new(&token, delegation), token }
}

#[test]
fn a_token_keeps_what_policies_read_that_are_still_there() {
    let known = identified(Signer::new(crate::keys::Algorithm::EdDsa, "k1").verified(&claims()));
    let policies = ["token.sub", "token.iss", "token.alg", "delegation"]
        .map(|path| reading(&[&format!("remit.{path}")]));
    let of_remit = |policy: &crate::policy::Policy| policy.footprint().of_member("remit").unwrap().clone();
    let kept = |footprint: &Footprint| {
        known.derived.shown.borrow().iter().filter(|one| one.reads.0.is_of(footprint)).count()
    };
    let [first, second, third, fourth] = policies.each_ref().map(of_remit);
    for turn in 0..3 {
        for footprint in [&first, &second, &third] {
            let shown = known.derived.shown(&known.token, footprint, false);
            let built = (
                token_document(&known.token, footprint.of_member("token").unwrap(), false),
                Document::null(),
            );
            assert_eq!((shown.token, shown.delegation), built, "{turn}");
        }
        assert_eq!([&first, &second, &third].map(kept), [1, 1, 1], "{turn}");
    }
    known.derived.shown(&known.token, &fourth, false);
    assert_eq!([&first, &second, &third, &fourth].map(kept), [0, 1, 1, 1]);
    drop((policies, second, third));
    known.derived.shown(&known.token, &first, false);
    assert_eq!((known.derived.shown.borrow().len(), kept(&first), kept(&fourth)), (2, 1, 1));
}

#[test]
fn claims_and_the_age_of_a_sign_in_are_each_requests_own() {
    let signer = Signer::new(crate::keys::Algorithm::EdDsa, "k1");
    let known = identified(signer.verified(&with(claims(), &json!({"auth_time": NOW - 50}))));
    for claims in [false, true, false, true] {
        let shown = known.derived.shown(&known.token, Footprint::whole(), claims).token.to_json().unwrap();
        assert_eq!(shown.get("claims").is_some(), claims);
        assert_eq!(shown.get(AGE), None);
    }
    for (reads, later, age) in
        [(Reads::ALL, 0, json!(50)), (Reads::ALL, 7, json!(57)), (Reads::default(), 7, Value::Null)]
    {
        let input = composed_of(&known, reads, Footprint::whole(), at(NOW + later));
        assert_eq!(input["remit"]["token"][AGE], age);
    }
}

#[test]
fn of_what_is_read_no_more_is_built() {
    for (paths, expected) in [
        (&[][..], json!({})),
        (
            &["remit.action.verb", "remit.action.effects.money", "remit.token.sub", "remit.delegation.depth"],
            json!({"remit": {"action": {"verb": "create", "effects": {"money": false}},
                "token": {"sub": "alice"}, "delegation": {"depth": 1}}}),
        ),
        (
            &["remit.action.arguments.path.p", "remit.action.resource.id"],
            json!({"remit": {"action": {"arguments": {"path": {"p": "a"}}, "resource": {"id": "a"}}}}),
        ),
        (
            &["attributes.request.http.headers.a", "parsed_query.x", "remit.token.claims.jti"],
            json!({"attributes": {"request": {"http": {"headers": {"a": "1,2"}}}}, "parsed_query": {"x": ["1"]},
                "remit": {"token": {"claims": {"jti": "j-1"}}}}),
        ),
        (
            &["attributes.destination.labels.app"],
            json!({"attributes": {"destination": {"labels": {"app": "forum"}}}}),
        ),
        (&["attributes.destination.labels.other"], json!({"attributes": {"destination": {"labels": {}}}})),
        (&["remit.nothing.such", "attributes.nothing"], json!({"remit": {}, "attributes": {}})),
        (
            &[
                "remit.delegation.principal.kind",
                "remit.delegation.actor.sub",
                "remit.delegation.task.actions[0]",
            ],
            json!({"remit": {"delegation": {"principal": {"kind": "human"}, "actor": {"sub": "agent-7"},
                "task": {"actions": ["a"]}}}}),
        ),
    ] {
        let policy = reading(paths);
        assert_eq!(trimmed(policy.reads(), policy.footprint()), expected, "{paths:?}");
    }
}
