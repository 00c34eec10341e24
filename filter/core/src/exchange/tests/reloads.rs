//! What is fetched: nothing yet, too old, replaced.

use super::*;

#[test]
fn without_bundle_or_keys_nothing_passes() {
    let http = |name: &str| json!({"http": {"cluster": name, "authority": "a.example", "path": "/"}});
    let mut world = World::with(POLICY, &json!({"bundle": http("bundles")}));
    assert_eq!(world.read().summary(), (503, "deny", "no_bundle"));
    let due = world.engine.due(at(NOW).seconds());
    assert_eq!(due.len(), 1);
    let answer = |status, body: &[u8]| crate::source::Answer::Response {
        status,
        etag: None,
        fresh_seconds: None,
        content_type: None,
        body: body.to_vec(),
    };
    for bad in [
        crate::source::Answer::Nothing,
        answer(500, b""),
        answer(200, b"<html>"),
        answer(304, b""),
        answer(200, &targz("package remit.authz\ndecision := http.send({})\n")),
        answer(200, &targz("package remit.authz\ndecision := \n")),
    ] {
        assert!(world.engine.answered(&due[0].0, bad, at(NOW).seconds()).is_err());
        assert_eq!(world.read().reasons, "no_bundle");
    }
    world.engine.answered(&due[0].0, answer(200, &targz(POLICY)), at(NOW).seconds()).unwrap();
    assert_eq!(world.read().outcome, "allow");
    assert!(world.engine.answered(&due[0].0, answer(200, b"<html>"), at(NOW).seconds()).is_err());
    assert_eq!(world.read().outcome, "allow", "the last good one stays");

    let issuer = |keys: Value| {
        json!({"issuers": [
        {"issuer": "https://idp.example", "algorithms": ["ES256"], "keys": keys}]})
    };
    let mut world = World::with(POLICY, &issuer(http("idp")));
    assert_eq!(world.read().summary(), (401, "deny", "key_set_unavailable"));
    let due = world.engine.due(at(NOW).seconds());
    let keys = json!({"keys": [world.idp.jwk()]}).to_string();
    world.engine.answered(&due[0].0, answer(200, keys.as_bytes()), at(NOW).seconds()).unwrap();
    assert_eq!(world.read().outcome, "allow");
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(world.send_at(NOW + 90, ("GET", "/threads/1"), &headers, None).cached, Some(true));
    let mut world = World::with(
        POLICY,
        &issuer(with(
            http("idp"),
            &json!({"http": {
        "cluster": "idp", "authority": "a.example", "path": "/", "refresh_seconds": 60, "max_age_seconds": 60}}),
        )),
    );
    let due = world.engine.due(at(NOW).seconds());
    let keys = json!({"keys": [world.idp.jwk()]}).to_string();
    world.engine.answered(&due[0].0, answer(200, keys.as_bytes()), at(NOW).seconds()).unwrap();
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(world.send_at(NOW + 60, ("GET", "/threads/1"), &headers, None).outcome, "allow");
    let came = world.send_at(NOW + 61, ("GET", "/threads/1"), &headers, None);
    assert_eq!(came.reasons, "key_set_unavailable", "a remembered token does not outlive its keys");
    let again = world.engine.due(at(NOW + 61).seconds());
    assert!(matches!(
        world.engine.answered(&again[0].0, answer(200, keys.as_bytes()), at(NOW + 61).seconds()),
        Ok(crate::engine::Installed::Unchanged)
    ));
    assert_eq!(world.send_at(NOW + 61, ("GET", "/threads/1"), &headers, None).cached, Some(true));
    let mut world = World::with(POLICY, &issuer(http("idp")));
    let due = world.engine.due(at(NOW).seconds());
    let keys = json!({"keys": [world.idp.jwk()]}).to_string();
    world.engine.answered(&due[0].0, answer(200, keys.as_bytes()), at(NOW).seconds()).unwrap();
    let mut late = claims();
    late["iat"] = json!(NOW + 4000);
    late["exp"] = json!(NOW + 4300);
    let bearer = format!("Bearer {}", world.idp.token(&late));
    let came = world.send_at(NOW + 4000, ("GET", "/threads/1"), &[("authorization", &bearer)], None);
    assert_eq!(came.reasons, "key_set_unavailable", "older than max_age_seconds");
}

#[test]
fn a_new_key_set_forgets_the_tokens_of_the_old_one() {
    let mut world = World::with(
        POLICY,
        &json!({"issuers": [{"issuer": "https://idp.example", "algorithms": ["ES256"],
                             "keys": {"http": {"cluster": "idp", "authority": "idp.example", "path": "/"}}}]}),
    );
    let due = world.engine.due(at(NOW).seconds());
    let keys = |signer: &Signer| crate::source::Answer::Response {
        status: 200,
        etag: None,
        fresh_seconds: None,
        content_type: None,
        body: json!({"keys": [signer.jwk()]}).to_string().into_bytes(),
    };
    let answer = keys(&world.idp);
    world.engine.answered(&due[0].0, answer, at(NOW).seconds()).unwrap();
    let bearer = format!("Bearer {}", world.token());
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(world.send(("GET", "/threads/1"), &headers, None).outcome, "allow");
    world.engine.answered(&due[0].0, keys(&Signer::new(Algorithm::Es256, "k2")), at(NOW).seconds()).unwrap();
    assert_eq!(world.send(("GET", "/threads/1"), &headers, None).reasons, "key_unknown");
}

#[test]
fn a_reload_does_not_change_the_rules_under_a_request() {
    let mut world = World::with(
        POLICY,
        &json!({"bundle": {"http": {"cluster": "b", "authority": "b.example", "path": "/"}}}),
    );
    let source = crate::engine::SourceId::Bundle(crate::config::SOLE_BUNDLE.into());
    let answer = |policy: &str| crate::source::Answer::Response {
        status: 200,
        etag: None,
        fresh_seconds: None,
        content_type: None,
        body: targz(policy),
    };
    world.engine.answered(&source, answer(POLICY), at(NOW).seconds()).unwrap();
    let mut exchange = Exchange::new(Nonce::new(&[9; 32]));
    let bearer = format!("Bearer {}", world.token());
    let pairs = call_headers(&bearer);
    let mut step = exchange.advance(
        &mut world.engine,
        Event::Headers { pairs, ends: false, circumstances: Circumstances::default() },
        at(NOW),
    );
    if matches!(step, Step::Need(Need::Signature(_))) {
        step = exchange.advance(&mut world.engine, Event::Signature(None), at(NOW));
    }
    assert!(matches!(step, Step::Need(Need::Body { .. })));
    world
        .engine
        .answered(&source, answer("package remit.authz\ndecision := false\n"), at(NOW).seconds())
        .unwrap();
    let body = Body::Whole(call("read", "x").into_bytes());
    let Step::Done(conclusion) = exchange.advance(&mut world.engine, Event::Body(body), at(NOW)) else {
        panic!()
    };
    assert_eq!(conclusion.outcome.as_str(), "allow");
    assert_eq!(world.read().outcome, "deny");
}
