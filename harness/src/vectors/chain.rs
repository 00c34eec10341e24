//! Nested `act`, what the parties are, and the task (delegation rules 7 to 11).

use serde_json::{Value, json};

use super::{AGENT, Allowed, Corpus, Expected, Forbidden, ISSUER, NoAgent, PERSON, Refused, but, task};

const MALFORMED: Expected = Refused("delegation_malformed");
/// Below zero, however far the capture is moved to a later start.
const FAR_BELOW: i64 = -9_000_000_000;
const TASK: Expected = Forbidden("task_malformed");

pub(super) fn add(corpus: &mut Corpus) {
    actors(corpus);
    people(corpus);
    tasks(corpus);
}

/// The agent, and behind it this.
fn behind(depth: usize, innermost: Value) -> Value {
    let inner = (1..depth).rev().fold(
        innermost,
        |inner, number| json!({"iss": ISSUER, "sub": format!("agent-{number}"), "act": inner}),
    );
    json!({"sub": AGENT, "sub_profile": "ai_agent", "act": inner})
}

fn actors(corpus: &mut Corpus) {
    let wrong = [
        json!([]),
        json!("agent"),
        json!(7),
        json!(true),
        json!({}),
        json!([{"sub": AGENT}]),
        json!({"iss": ISSUER}),
        json!({"sub": ""}),
        json!({"sub": 7}),
        json!({"sub": [AGENT]}),
        json!({"sub": {"id": AGENT}}),
        json!({"sub": null}),
        json!({"sub": "x", "iss": ""}),
        json!({"sub": "x", "iss": 7}),
        json!({"sub": "x", "iss": null}),
        json!({"sub": "x", "sub_profile": 7}),
        json!({"sub": "x", "sub_profile": ["ai_agent"]}),
        json!({"sub": "x", "sub_profile": null}),
        json!({"Sub": "x"}),
        json!({"client_id": "x"}),
    ];
    for act in wrong {
        corpus.token(&format!("act: {act}"), json!({"act": act}), MALFORMED);
        for depth in 1..=3 {
            let attack = format!("act {depth} deep: {act}");
            corpus.token(&attack, json!({"act": behind(depth, act.clone())}), MALFORMED);
        }
    }
    corpus.claim("act", "null", MALFORMED);
    corpus.token("an inner act: null", json!({"act": {"sub": AGENT, "act": null}}), MALFORMED);
    let last = |depth: usize| behind(depth, json!({"sub": "first"}));
    for depth in 1..=3 {
        corpus.token(&format!("{depth} actors behind the agent"), json!({"act": last(depth)}), Allowed);
    }
    for depth in [4, 5, 8, 13] {
        let attack = format!("{depth} actors behind the agent");
        corpus.token(&attack, json!({"act": last(depth)}), Forbidden("delegation_too_deep"));
    }
    for depth in [15, 40] {
        let attack = format!("{depth} actors behind the agent");
        corpus.token(&attack, json!({"act": last(depth)}), Refused("token_malformed"));
    }
    let own = Refused("delegation_self");
    corpus.token("acts for itself", json!({"act": {"sub": PERSON}}), own);
    corpus.token("acts for itself, by name", json!({"act": {"iss": ISSUER, "sub": PERSON}}), own);
    let elsewhere = json!({"act": {"iss": "https://elsewhere.example", "sub": PERSON}});
    corpus.token("a namesake elsewhere", elsewhere, Forbidden("actor_issuer_not_allowed"));
    let namesake = json!({"act": {"iss": "https://elsewhere.example", "sub": AGENT}});
    corpus.token("the agent's namesake elsewhere", namesake, Forbidden("actor_issuer_not_allowed"));
    let cycle = Refused("delegation_cycle");
    for depth in 1..=3 {
        for (who, party) in [
            ("the agent", json!({"sub": AGENT})),
            ("the agent, by name", json!({"iss": ISSUER, "sub": AGENT})),
            ("the person", json!({"sub": PERSON, "sub_profile": "user"})),
        ] {
            corpus.token(&format!("{who} again, {depth} deep"), json!({"act": behind(depth, party)}), cycle);
        }
    }
    let again = behind(3, json!({"iss": ISSUER, "sub": "agent-1"}));
    corpus.token("an inner actor again", json!({"act": again}), cycle);
    corpus.token("no act", json!({"act": null}), NoAgent);
    corpus.token("only may_act", json!({"act": null, "may_act": {"sub": AGENT}}), NoAgent);
    corpus.token("may_act besides", json!({"may_act": {"sub": "other", "act": 7}}), Allowed);
    corpus.token("may_act, malformed", json!({"may_act": [7]}), Allowed);
    corpus.token("only client_id", json!({"act": null, "client_id": AGENT}), NoAgent);
    corpus.token("only azp", json!({"act": null, "azp": AGENT}), NoAgent);
    for claim in ["delegated_through", "xms_act_fct", "xms_sub_fct", "xms_par_app_azp"] {
        corpus.token(
            &format!("{claim} of another profile"),
            json!({claim: "11"}),
            Refused("profile_mismatch"),
        );
    }
}

fn people(corpus: &mut Corpus) {
    let nobody = Forbidden("not_traceable");
    for profile in [
        "",
        "ai_agent",
        "service",
        "USER",
        "User",
        "users",
        "user,ai_agent",
        "user\u{a0}",
        "human",
        "user\tx",
        // The least trusted word counts.
        "user ai_agent",
        "ai_agent user",
        "user service",
        "user other",
        "-user",
    ] {
        corpus.token(&format!("sub_profile: {profile:?}"), json!({"sub_profile": profile}), nobody);
    }
    corpus.token("no sub_profile", json!({"sub_profile": null}), nobody);
    for profile in ["7", "null", "[\"user\"]", "{}", "true"] {
        corpus.claim("sub_profile", profile, MALFORMED);
    }
    for profile in ["user", "user user"] {
        corpus.token(&format!("sub_profile: {profile:?}"), json!({"sub_profile": profile}), Allowed);
    }
    for depth in 1..=3 {
        let act = behind(depth, json!({"sub": PERSON, "sub_profile": "user"}));
        let claims = json!({"sub": "agent-0", "sub_profile": "ai_agent", "act": act});
        corpus.token(&format!("a person {depth} deep only"), claims, nobody);
    }
}

fn tasks(corpus: &mut Corpus) {
    for written in ["{}", "\"x\"", "7", "null", "true", "[7]", "[\"agent_task\"]", "[[]]", "[null]", "[{}]"] {
        corpus.claim("authorization_details", written, TASK);
    }
    for kind in [
        json!(7),
        json!(null),
        json!(["agent_task"]),
        json!("payment"),
        json!("AGENT_TASK"),
        json!("agent_task "),
        json!(""),
    ] {
        let mut detail = task();
        if let Some(members) = detail.as_object_mut() {
            members.insert("type".to_owned(), kind.clone());
        }
        corpus.token(&format!("type: {kind}"), json!({"authorization_details": [detail]}), TASK);
        let both = json!({"authorization_details": [task(), detail]});
        corpus.token(&format!("a task and type: {kind}"), both, TASK);
    }
    let other = but(task(), "task_id", json!("task-2"));
    for (attack, details) in [
        ("two tasks", json!([task(), other])),
        ("the task twice", json!([task(), task()])),
        ("a grant that nobody verifies", json!([task(), {"type": "attenuating_agent_token", "tools": {}}])),
    ] {
        corpus.token(attack, json!({"authorization_details": details}), TASK);
    }
    let many: Vec<_> = (0..65).map(|number| format!("a.{number}")).collect();
    let kinds: Value =
        many.iter().map(|kind| (kind.clone(), json!(["x"]))).collect::<serde_json::Map<_, _>>().into();
    let texts =
        || vec![json!("x"), json!({}), json!([7]), json!([""]), json!([null]), json!([["x"]]), json!(many)];
    let prompt = |member: &str, value: Value| {
        let good = json!({"alg": "sha-256", "salt": "cTdWZDBjMkxoQjl3",
            "digest": "kVA6-g663_iH0WXdBMQbihieIu3IqC7o2ThM49o7OC4"});
        but(good, member, value)
    };
    let member = super::unknown(corpus);
    for (name, values) in [
        ("task_id", vec![Value::Null, json!(""), json!(7), json!([]), json!({})]),
        ("requested_by", vec![json!(""), json!(7), json!([PERSON])]),
        ("actions", texts()),
        ("locations", texts()),
        (
            "identifiers",
            vec![json!([]), json!("x"), json!({"k": "v"}), json!({"k": [1]}), json!({"k": [""]}), kinds],
        ),
        ("max_calls", vec![json!(-1), json!(1.5), json!("3"), json!(1e30), json!([3]), json!(true)]),
        (
            "expires",
            vec![json!("soon"), json!(FAR_BELOW), json!(1e300), json!(true), json!([1]), json!("1773842520")],
        ),
        (
            "prompt",
            vec![
                json!("x"),
                json!({}),
                json!([]),
                prompt("alg", json!("md5")),
                prompt("alg", json!("SHA-256")),
                prompt("salt", json!("AAAA")),
                prompt("salt", Value::Null),
                prompt("digest", json!("AAAA")),
                prompt("digest", json!(7)),
                prompt("more", json!(1)),
            ],
        ),
        ("Actions", vec![json!(["forum.thread.read"])]),
        ("amount", vec![json!(1)]),
        (&member, vec![json!(null).clone(), json!({})]),
    ] {
        for value in values {
            // `null` leaves a member out where the task needs it, and is a value elsewhere.
            let mut changed = task();
            if let Some(members) = changed.as_object_mut() {
                members.insert(name.to_owned(), value.clone());
            }
            let shown: String = value.to_string().chars().take(40).collect();
            corpus.token(&format!("{name}: {shown}"), json!({"authorization_details": [changed]}), TASK);
        }
    }
    for (expires, expected) in [
        (super::START - 10, Forbidden("task_expired")),
        (0, Forbidden("task_expired")),
        (super::START + 7200, Allowed),
    ] {
        let details = json!([but(task(), "expires", json!(expires))]);
        corpus.token(&format!("expires: {expires}"), json!({"authorization_details": details}), expected);
    }
    let missing = but(task(), "task_id", Value::Null);
    corpus.token("no task_id", json!({"authorization_details": [missing]}), TASK);
    corpus.token("no details", json!({"authorization_details": null}), Forbidden("task_missing"));
    corpus.token("no details in the list", json!({"authorization_details": []}), Forbidden("task_missing"));
}
