//! Requests that wait for keys: who waits, for how many fetches, and how it ends.

use super::*;
use crate::keys::Algorithm;

const JWKS: &str = "/jwks";
const METADATA: &str = "/.well-known/oauth-authorization-server";

fn http(changes: &Value) -> Value {
    let source = json!({"cluster": "idp", "authority": "idp.example", "path": JWKS, "refresh_seconds": 600});
    json!({"http": with(source, changes)})
}

fn world(keys: Value, limits: Value) -> World {
    let mut world = World::with(
        POLICY,
        &json!({"issuers": [{"issuer": "https://idp.example", "algorithms": ["ES256"], "keys": keys}],
                "limits": limits}),
    );
    world.served = Some(BTreeMap::new());
    world
}

fn answer(body: &Value) -> Answer {
    Answer::Response {
        status: 200,
        etag: None,
        fresh_seconds: None,
        content_type: None,
        body: body.to_string().into_bytes(),
    }
}

impl World {
    fn publishes(&mut self, path: &str, signers: &[&Signer]) {
        let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
        self.serves(path, answer(&json!({ "keys": keys })));
    }

    fn serves(&mut self, path: &str, answer: Answer) {
        self.served.as_mut().unwrap().insert(path.to_owned(), answer);
    }

    /// Reason, reads at this time with a token of this key.
    fn reads_with(&mut self, signer: &Signer, now: u64) -> String {
        let token = signer.token(&with(claims(), &json!({"exp": now + 300, "iat": now})));
        let bearer = format!("Bearer {token}");
        self.send_at(now, ("GET", "/threads/1"), &[("authorization", &bearer)], None).reasons
    }
}

#[test]
fn a_new_key_is_fetched_while_the_request_waits() {
    let mut world = world(http(&json!({})), json!({}));
    let (old, new, unknown) = (
        Signer::new(Algorithm::Es256, "old"),
        Signer::new(Algorithm::Es256, "new"),
        Signer::new(Algorithm::Es256, "unknown"),
    );
    world.publishes(JWKS, &[&old]);
    assert_eq!(world.reads_with(&old, NOW), "reads", "also before the first fetch");
    assert_eq!(world.reads_with(&old, NOW), "reads");
    assert_eq!((world.waited_for.len(), world.fetched.len()), (1, 1));

    world.publishes(JWKS, &[&old, &new]);
    assert_eq!(world.reads_with(&new, NOW + 1), "reads");
    assert_eq!(world.reads_with(&old, NOW + 1), "reads");
    assert_eq!(world.fetched.len(), 2);
    // Whoever makes names up waits for nothing and starts nothing.
    for seconds in [1, 2, 30] {
        assert_eq!(world.reads_with(&unknown, NOW + seconds), "key_unknown");
    }
    assert_eq!((world.waited_for.len(), world.fetched.len()), (2, 2));
    assert_eq!(world.reads_with(&unknown, NOW + 31), "key_unknown");
    assert_eq!((world.waited_for.len(), world.fetched.len()), (3, 3));
    assert_eq!(world.reads_with(&new, NOW + 31), "reads");
}

#[test]
fn a_fetch_that_fails_leaves_the_old_keys() {
    let mut world = world(http(&json!({"refetch_seconds": 5})), json!({}));
    let (old, new) = (Signer::new(Algorithm::Es256, "old"), Signer::new(Algorithm::Es256, "new"));
    world.publishes(JWKS, &[&old]);
    assert_eq!(world.reads_with(&old, NOW), "reads");
    for (n, bad) in [
        Answer::Nothing,
        answer(&json!("<html>")),
        answer(&json!({"keys": []})),
        Answer::Response {
            status: 302,
            etag: None,
            fresh_seconds: None,
            content_type: None,
            body: Vec::new(),
        },
    ]
    .into_iter()
    .enumerate()
    {
        let now = NOW + 10 + 10 * n as u64;
        world.serves(JWKS, bad);
        assert_eq!(world.reads_with(&new, now), "key_unknown");
        assert_eq!(world.reads_with(&old, now), "reads");
    }
    world.publishes(JWKS, &[&new]);
    assert_eq!(world.reads_with(&new, NOW + 60), "reads");
    assert_eq!(world.reads_with(&old, NOW + 60), "key_unknown");
}

#[test]
fn only_a_token_that_could_pass_is_worth_a_fetch() {
    let mut world = world(http(&json!({})), json!({}));
    let key = Signer::new(Algorithm::Es256, "k");
    world.publishes(JWKS, &[&key]);
    assert_eq!(world.reads_with(&key, NOW), "reads");
    let other = Signer::new(Algorithm::EdDsa, "x");
    let foreign = with(claims(), &json!({"iss": "https://evil.example"}));
    for (token, expected) in [
        (other.token(&claims()), "algorithm_not_accepted"),
        (key.token_of(r#"{"alg":"ES256","kid":"x","typ":"JWT"}"#, "{}"), "claim_missing"),
        (
            key.token_of(r#"{"alg":"ES256","kid":"x","typ":"JWT"}"#, &claims().to_string()),
            "token_type_not_accepted",
        ),
        (key.token(&foreign), "issuer_unknown"),
    ] {
        let bearer = format!("Bearer {token}");
        let came = world.send(("GET", "/threads/1"), &[("authorization", &bearer)], None);
        assert_eq!(came.reasons, expected);
    }
    assert_eq!(world.fetched.len(), 1);
}

#[test]
fn few_may_wait_and_a_place_is_free_when_its_request_is_gone() {
    let mut world = world(http(&json!({})), json!({"key_waits": 2}));
    let key = Signer::new(Algorithm::Es256, "k");
    let start = |world: &mut World, n: u8| {
        let mut exchange = Exchange::new(Nonce::new(&[n; 32]));
        let bearer = format!("Bearer {}", key.token(&claims()));
        let pairs = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "forum.example"),
            (":path", "/threads/1"),
            ("authorization", &bearer),
        ];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into();
        let headers = Event::Headers { pairs, ends: true, circumstances: Circumstances::default() };
        let step = exchange.advance(&mut world.engine, headers, at(NOW));
        (exchange, step)
    };
    let waits = |step: &Step| match step {
        Step::Need(Need::Keys { source, timeout_ms }) => {
            assert_eq!((source, *timeout_ms), (&SourceId::Keys("https://idp.example".into()), 1000));
            true
        }
        Step::Need(_) => false,
        Step::Done(conclusion) => {
            assert_eq!(conclusion.counted.key_wait, Some(KeyWait::Full));
            false
        }
    };
    let (first, step) = start(&mut world, 1);
    assert!(waits(&step));
    let (mut second, step) = start(&mut world, 2);
    assert!(waits(&step));
    let (_, step) = start(&mut world, 3);
    assert!(!waits(&step), "two wait already");
    // The client goes away.
    drop(first);
    let (third, step) = start(&mut world, 4);
    assert!(waits(&step));
    drop(third);
    // Time is over: nothing came.
    let Step::Done(conclusion) =
        second.advance(&mut world.engine, Event::Keys { circumstances: Circumstances::default() }, at(NOW))
    else {
        panic!()
    };
    assert_eq!(conclusion.reasons.first().unwrap().as_str(), "key_set_unavailable");
    assert_eq!(conclusion.counted.key_wait, Some(KeyWait::InVain));
    let (mut fourth, step) = start(&mut world, 5);
    assert!(waits(&step));
    world.publishes(JWKS, &[&key]);
    world.fetch(NOW);
    let step =
        fourth.advance(&mut world.engine, Event::Keys { circumstances: Circumstances::default() }, at(NOW));
    assert!(matches!(step, Step::Need(Need::Signature(_))));
    let Step::Done(conclusion) = fourth.advance(&mut world.engine, Event::Signature(None), at(NOW)) else {
        panic!()
    };
    assert_eq!(
        (conclusion.outcome.as_str(), conclusion.counted.key_wait),
        ("allow", Some(KeyWait::Resolved))
    );
}

#[test]
fn without_waits_the_fetch_is_made_all_the_same() {
    let mut world = world(http(&json!({})), json!({"key_waits": 0}));
    let key = Signer::new(Algorithm::Es256, "k");
    world.publishes(JWKS, &[&key]);
    assert_eq!(world.reads_with(&key, NOW), "key_set_unavailable");
    world.fetch(NOW);
    assert_eq!(world.reads_with(&key, NOW), "reads");
}

#[test]
fn an_issuer_with_keys_in_the_configuration_is_never_waited_for() {
    let mut world = World::new();
    world.served = Some(BTreeMap::new());
    let unknown = Signer::new(Algorithm::Es256, "x");
    assert_eq!(world.reads_with(&unknown, NOW), "key_unknown");
    assert!(world.waited_for.is_empty());
}

#[test]
fn keys_are_found_by_the_issuers_metadata() {
    let discovery = json!({"discovery": {"cluster": "idp", "authority": "idp.example",
                                         "jwks_authorities": {"keys.example": "keys"}}});
    let mut world = world(discovery, json!({}));
    let (old, new) = (Signer::new(Algorithm::Es256, "old"), Signer::new(Algorithm::Es256, "new"));
    let metadata = |issuer: &str, uri: &str| answer(&json!({"issuer": issuer, "jwks_uri": uri}));
    world.publishes(JWKS, &[&old]);
    for (n, bad) in [
        metadata("https://evil.example", "https://idp.example/jwks"),
        metadata("https://idp.example", "http://idp.example/jwks"),
        metadata("https://idp.example", "https://evil.example/jwks"),
        answer(&json!("x".repeat(70_000))),
        Answer::Response {
            status: 404,
            etag: None,
            fresh_seconds: None,
            content_type: None,
            body: Vec::new(),
        },
        Answer::Nothing,
    ]
    .into_iter()
    .enumerate()
    {
        world.serves(METADATA, bad);
        assert_eq!(world.reads_with(&old, NOW + 100 * n as u64), "key_set_unavailable");
    }
    assert!(world.fetched.iter().all(|path| path == METADATA));
    world.serves(METADATA, metadata("https://idp.example", "https://keys.example/jwks"));
    assert_eq!(world.reads_with(&old, NOW + 700), "reads", "two fetches, one wait");
    world.fetched.clear();
    world.publishes(JWKS, &[&new]);
    assert_eq!(world.reads_with(&new, NOW + 701), "reads");
    assert_eq!(world.fetched, [JWKS]);
}

#[test]
fn the_keys_of_approvers_are_waited_for_too() {
    let approver = Signer::new(Algorithm::EdDsa, "a1");
    let issuers = json!({"approvals": {"issuers": [{"issuer": "https://approvals.example", "algorithms": ["EdDSA"],
                                                    "keys": http(&json!({}))}]}});
    let mut world = World::with(POLICY, &issuers);
    world.approvals = approver;
    world.served = Some(BTreeMap::new());
    let challenge = world.publish(&[], "hello").told()["error"]["data"]["challenge"].clone();
    let approval = world.approval(&challenge, &json!({}));
    assert_eq!(world.publish(&[("agent-approval", &approval)], "hello").reasons, "approval_invalid");
    let jwk = world.approvals.jwk();
    world.serves(JWKS, answer(&json!({"keys": [jwk]})));
    world.fetch(NOW + 10);
    assert_eq!(world.publish(&[("agent-approval", &approval)], "hello").reasons, "approved");
    assert_eq!(world.waited_for, [SourceId::ApprovalKeys("https://approvals.example".into())]);
}

#[test]
fn all_waits_of_a_request_end_when_the_first_might_have() {
    let mut world = World::with(
        POLICY,
        &json!({
            "issuers": [{"issuer": "https://idp.example", "algorithms": ["ES256"], "keys": http(&json!({}))}],
            "approvals": {"issuers": [{"issuer": "https://approvals.example", "algorithms": ["EdDSA"],
                                       "keys": http(&json!({"path": "/approvers"}))}]}}),
    );
    let bearer = format!("Bearer {}", world.token());
    let mut pairs = call_headers(&bearer);
    let approval = world.approval(&json!({"audience": "https://tools.example"}), &json!({}));
    pairs.push(("agent-approval".to_owned(), approval.into_bytes()));
    let after = |millis: u64| at(NOW).plus_millis(millis);
    let mut exchange = Exchange::new(Nonce::new(&[9; 32]));
    let step = exchange.advance(
        &mut world.engine,
        Event::Headers { pairs, ends: false, circumstances: Circumstances::default() },
        after(0),
    );
    let Step::Need(Need::Keys { timeout_ms: first, .. }) = step else { panic!("{step:?}") };
    // Both are asked; only the issuer of tokens answers, and late.
    let keys = answer(&json!({"keys": [world.idp.jwk()]}));
    for (id, _) in world.engine.due(at(NOW).seconds()) {
        if id == SourceId::Keys("https://idp.example".into()) {
            world.engine.answered(&id, keys.clone(), at(NOW).seconds()).unwrap();
        }
    }
    let late = first - 100;
    let mut step = exchange.advance(
        &mut world.engine,
        Event::Keys { circumstances: Circumstances::default() },
        after(late),
    );
    if matches!(step, Step::Need(Need::Signature(_))) {
        step = exchange.advance(&mut world.engine, Event::Signature(None), after(late));
    }
    assert!(matches!(step, Step::Need(Need::Body { .. })), "{step:?}");
    let body = Event::Body(Body::Whole(call("publish", "x").into_bytes()));
    let step = exchange.advance(&mut world.engine, body, after(late));
    let Step::Need(Need::Keys { timeout_ms: second, .. }) = step else { panic!("{step:?}") };
    assert_eq!(second, 100);
}

#[test]
fn whoever_is_at_the_other_end_is_known_after_a_wait_too() {
    let policy = "package remit.authz\ndecision := input.attributes.source.address.socketAddress.address == \"10.0.0.1\"\n";
    let issuers = json!({"issuers": [{"issuer": "https://idp.example", "algorithms": ["ES256"], "keys": http(&json!({}))}]});
    for (address, expected) in [("10.0.0.1", "allow"), ("10.0.0.2", "deny")] {
        let mut world = World::with(policy, &issuers);
        let bearer = format!("Bearer {}", world.token());
        let mut pairs = call_headers(&bearer);
        pairs[0].1 = b"GET".to_vec();
        pairs[3].1 = b"/threads/1".to_vec();
        let headers = Event::Headers { pairs, ends: true, circumstances: Circumstances::default() };
        let mut exchange = Exchange::new(Nonce::new(&[9; 32]));
        let step = exchange.advance(&mut world.engine, headers, at(NOW));
        assert!(matches!(step, Step::Need(Need::Keys { .. })), "{step:?}");
        let keys = answer(&json!({"keys": [world.idp.jwk()]}));
        let due = world.engine.due(at(NOW).seconds());
        world.engine.answered(&due[0].0, keys, at(NOW).seconds()).unwrap();
        let circumstances =
            Circumstances::ask(world.engine.properties(), |_| Some(format!("{address}:9").into_bytes()));
        let mut step = exchange.advance(&mut world.engine, Event::Keys { circumstances }, at(NOW));
        if matches!(step, Step::Need(Need::Signature(_))) {
            step = exchange.advance(&mut world.engine, Event::Signature(None), at(NOW));
        }
        let Step::Done(conclusion) = step else { panic!("{step:?}") };
        assert_eq!(conclusion.outcome.as_str(), expected, "{:?}", conclusion.reasons);
    }
}
