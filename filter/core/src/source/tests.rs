//! Schedules: what is due when, who waits, and what an answer changes.

use super::*;

fn plan() -> Plan {
    Plan {
        timeout_ms: 1000,
        refresh_seconds: 60,
        min_refresh_seconds: Some(30),
        max_age_seconds: 1000,
        refetch_seconds: 30,
        polling: None,
    }
}

fn place(path: &str) -> Place {
    Place { cluster: "c".into(), authority: "a.example".into(), path: path.into() }
}

fn source() -> Source {
    Source::new(Target::Fixed(place("/p")), plan())
}

const fn t(seconds: u64) -> UnixSeconds {
    UnixSeconds(seconds)
}

/// A source that was fetched at 1000.
fn fetched(mut source: Source) -> Source {
    assert!(source.due(t(1000)).is_some());
    source.succeeded(t(1000), None, None);
    source
}

#[test]
fn one_fetch_at_a_time_then_every_refresh() {
    let mut source = source();
    assert!(source.due(t(1000)).is_some());
    assert!(source.due(t(1000)).is_none());
    source.succeeded(t(1001), Some("\"1\"".into()), None);
    assert!(source.due(t(1060)).is_none());
    assert_eq!(source.due(t(1061)).unwrap().etag.as_deref(), Some("\"1\""));
    source.confirmed(t(1061), None);
    assert!(!source.is_stale(t(2061)));
    assert!(source.is_stale(t(2062)));
}

#[test]
fn failures_back_off_and_keep_the_last_good_time() {
    let mut source = source();
    let mut now = t(1000);
    source.succeeded(now, Some("\"1\"".into()), None);
    for wait in [60, 1, 2, 4, 8, 16, 32, 60, 60] {
        assert!(source.due(now.plus(wait - 1)).is_none(), "{wait}");
        now = now.plus(wait);
        assert!(source.due(now).is_some());
        source.failed(now);
    }
    assert_eq!(source.last_good(), Some(t(1000)));
}

#[test]
fn the_answer_says_when_to_come_again() {
    for (fresh, max_age, expected) in [
        (None, 1000, 60),
        (Some(45), 1000, 45),
        (Some(200), 1000, 200),
        (Some(0), 1000, 30),
        (Some(5), 1000, 30),
        (Some(500), 1000, 500),
        (Some(900), 1000, 500),
        (Some(u64::MAX), 1000, 500),
        (Some(90), 100, 60),
        (Some(5000), 0, 5000),
        (Some(u64::MAX), 0, 86_400),
    ] {
        let mut source = Source::new(Target::Fixed(place("/")), Plan { max_age_seconds: max_age, ..plan() });
        source.confirmed(t(1000), fresh);
        assert!(source.due(t(1000 + expected - 1)).is_none(), "{fresh:?} {max_age}");
        assert!(source.due(t(1000 + expected)).is_some(), "{fresh:?} {max_age}");
    }
    let deaf = Plan { min_refresh_seconds: None, ..plan() };
    let mut source = Source::new(Target::Fixed(place("/")), deaf);
    source.confirmed(t(1000), Some(500));
    assert!(source.due(t(1060)).is_some(), "a source whose answers are not asked");
    let often = Plan { refresh_seconds: 1, ..plan() };
    let mut source = Source::new(Target::Fixed(place("/")), often);
    source.confirmed(t(1000), Some(0));
    assert!(source.due(t(1001)).is_some(), "the smaller of the two minima");
}

#[test]
fn fetches_out_of_turn_are_rare_and_shared() {
    let mut source = fetched(source());
    let first = source.wait(Missing::Newer, 2, t(1001)).unwrap();
    assert_eq!(first.timeout_ms, 1000);
    let second = source.wait(Missing::Newer, 2, t(1001)).unwrap();
    assert_eq!(source.wait(Missing::Newer, 2, t(1001)).unwrap_err(), NoWait::Full);
    assert!(source.due(t(1001)).is_some());
    assert!(source.due(t(1001)).is_none(), "one fetch for all");
    drop(first);
    drop(source.wait(Missing::Newer, 2, t(1002)).unwrap());
    drop(second);
    source.confirmed(t(1002), None);
    for seconds in [1002, 1030] {
        assert_eq!(source.wait(Missing::Newer, 2, t(seconds)).unwrap_err(), NoWait::TooSoon);
        assert!(source.due(t(seconds)).is_none(), "{seconds}");
    }
    assert!(source.wait(Missing::Newer, 2, t(1031)).is_ok());
    assert!(source.due(t(1031)).is_some());
    // Failures leave the limit as it is.
    source.failed(t(1031));
    assert_eq!(source.wait(Missing::Newer, 2, t(1031)).unwrap_err(), NoWait::TooSoon);
    assert!(source.wait(Missing::Newer, 2, t(1032)).is_ok(), "the next try is due anyway");
}

#[test]
fn whoever_misses_everything_waits_only_for_what_is_due() {
    let mut source = source();
    assert!(source.wait(Missing::Any, 1, t(1000)).is_ok(), "the first fetch");
    assert!(source.due(t(1000)).is_some());
    assert!(source.wait(Missing::Any, 1, t(1000)).is_ok(), "the fetch under way");
    source.failed(t(1000));
    assert_eq!(source.wait(Missing::Any, 1, t(1000)).unwrap_err(), NoWait::TooSoon);
    assert!(source.wait(Missing::Any, 1, t(1001)).is_ok());
    assert_eq!(source.wait(Missing::Any, 0, t(1001)).unwrap_err(), NoWait::Full, "nobody may wait");
    assert!(source.due(t(1001)).is_some(), "it is fetched all the same");
}

#[test]
fn an_answer_that_never_comes_does_not_block_the_source() {
    let mut source = source();
    assert!(source.due(t(1000)).is_some());
    assert!(source.due(t(1006)).is_none());
    assert!(source.due(t(1007)).is_some());
}

#[test]
fn a_discovered_place_is_looked_up_first_and_again_after_a_failure() {
    let discovery = Discovery {
        issuer: "https://a.example".into(),
        metadata: place("/metadata"),
        jwks_authorities: std::collections::BTreeMap::new(),
    };
    let mut source = Source::new(Target::Discovered(discovery), plan());
    let path = |source: &mut Source, now| source.due(t(now)).map(|fetch| fetch.place.path);
    assert_eq!(path(&mut source, 1000).as_deref(), Some("/metadata"));
    assert!(source.discovering().is_some());
    assert!(source.wait(Missing::Any, 1, t(1000)).is_ok());
    source.located(t(1000), place("/keys"));
    assert_eq!(path(&mut source, 1000).as_deref(), Some("/keys"));
    assert!(source.discovering().is_none());
    source.succeeded(t(1000), Some("\"1\"".into()), None);
    let again = source.due(t(1060)).unwrap();
    assert_eq!((again.place.path.as_str(), again.etag.as_deref()), ("/keys", Some("\"1\"")));
    source.failed(t(1060));
    assert_eq!(path(&mut source, 1061).as_deref(), Some("/metadata"));
    source.failed(t(1061));
    assert_eq!(path(&mut source, 1063).as_deref(), Some("/metadata"));
    source.located(t(1063), place("/keys"));
    assert_eq!(path(&mut source, 1063).as_deref(), Some("/keys"));
    source.confirmed(t(1063), None);
    assert_eq!(path(&mut source, 2064).as_deref(), Some("/metadata"), "older than max_age_seconds");
}

/// A wrong clock that is put right, or a machine that is brought back to an earlier state.
#[test]
fn a_clock_that_is_set_back_changes_nothing() {
    const DAY: u64 = 86_400;
    let mut source = fetched(source());
    assert!(source.due(t(1060 + DAY)).is_some());
    source.succeeded(t(1060 + DAY), None, None);
    assert!(source.due(t(1061 + DAY)).is_none());
    // One second later by the true time.
    assert!(source.due(t(1062)).is_none());
    assert_eq!(source.last_good(), Some(t(1061)));
    assert!(source.due(t(1120)).is_none());
    assert!(source.due(t(1121)).is_some(), "sixty seconds after the last good answer");
    // Nor does what is under way get lost, or forgotten.
    assert!(source.due(t(121)).is_none(), "it is under way");
    assert!(source.due(t(126)).is_none());
    assert!(source.due(t(128)).is_some(), "it is lost");
    source.failed(t(128));
    assert!(!source.is_stale(t(128)));
    assert!(source.is_stale(t(1062)), "a thousand seconds after the last good answer");
}

fn polling(long_poll_seconds: Option<u64>) -> Source {
    let polling = Polling { min_refresh_seconds: 30, long_poll_seconds };
    Source::new(Target::Fixed(place("/b")), Plan { polling: Some(polling), ..plan() })
}

#[test]
fn bundles_are_asked_for_as_opa_asks() {
    const BUNDLES: Option<&str> = Some("application/vnd.openpolicyagent.bundles");
    let mut source = polling(Some(20));
    let first = source.due(t(1000)).unwrap();
    assert_eq!((first.prefer.as_deref(), first.timeout_ms), (Some("modes=snapshot;wait=20"), 21_000));
    source.answered_by(BUNDLES);
    source.succeeded(t(1000), Some("\"1\"".into()), None);
    assert!(source.due(t(1000)).is_none(), "it did not hold that one back");
    let held = source.due(t(1001)).unwrap();
    assert_eq!(held.prefer.as_deref(), Some("modes=snapshot,delta;wait=20"));
    assert!(source.due(t(1026)).is_none(), "it is held back");
    assert!(source.due(t(1028)).is_some(), "it is lost");
    source.answered_by(Some("Application/vnd.openpolicyagent.bundles; charset=utf-8"));
    source.confirmed(t(1038), None);
    assert!(source.due(t(1038)).is_some());
    // A server that says so and holds nothing back is not asked without end.
    source.answered_by(BUNDLES);
    source.confirmed(t(1038), None);
    assert!(source.due(t(1067)).is_none());
    assert!(source.due(t(1068)).is_some());
    // A server that does not hold back is polled as any other, and asked in the way that it knows.
    source.answered_by(Some("application/gzip"));
    source.confirmed(t(1068), None);
    assert!(source.due(t(1127)).is_none());
    let plain = source.due(t(1128)).unwrap();
    assert_eq!((plain.prefer.as_deref(), plain.timeout_ms), (Some("modes=snapshot,delta"), 1000));
    source.failed(t(1128));
    assert_eq!(source.due(t(1129)).unwrap().prefer.as_deref(), Some("modes=snapshot"), "no version is named");
    let mut source = polling(None);
    assert_eq!(source.due(t(1000)).unwrap().prefer.as_deref(), Some("modes=snapshot"));
    source.answered_by(BUNDLES);
    source.confirmed(t(1000), None);
    assert!(source.due(t(1059)).is_none(), "long polling is not configured");
}

#[test]
fn fetches_of_bundles_are_spread() {
    let next =
        |source: &mut Source, from: u64| (0..).find(|wait| source.due(t(from + wait)).is_some()).unwrap();
    let mut regular = std::collections::BTreeSet::new();
    let mut third = std::collections::BTreeSet::new();
    for seed in 1..200 {
        let mut source = polling(None);
        source.spread(seed);
        source.confirmed(t(1000), None);
        regular.insert(next(&mut source, 1000));
        let mut now = 2000;
        for (failure, most) in [1_u64, 2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            source.failed(t(now));
            let wait = next(&mut source, now);
            assert!((most.div_ceil(2)..=most).contains(&wait), "{failure}: {wait}");
            if most == 32 {
                third.insert(wait);
            }
            now += wait;
        }
    }
    assert!(regular.iter().all(|wait| (30..=60).contains(wait)), "{regular:?}");
    assert!(regular.len() > 20 && third.len() > 10, "{regular:?} {third:?}");
}
