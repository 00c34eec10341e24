//! The bounds of the cache, and what it forgets.

use serde_json::{Value, json};

use crate::keys::Algorithm;
use crate::token::claims::VALUES_OF_AN_OBJECT;
use crate::token::testing::{NOW, Signer, at, claims, with};
use crate::token::{CacheCounts, CacheLimits, TokenCache};

fn cache(max_entries: usize, max_bytes: usize) -> TokenCache<usize> {
    TokenCache::new(CacheLimits { max_entries, max_bytes })
}

fn put(cache: &mut TokenCache<usize>, signer: &Signer, n: usize) {
    let token = signer.verified(&with(claims(), &json!({ "jti": format!("j-{n}") })));
    let epoch = cache.epoch();
    assert_eq!(cache.insert(epoch, &format!("text {n}"), token, n, 0).derived, n);
}

fn found(cache: &mut TokenCache<usize>, n: usize) -> bool {
    let hit = cache.lookup(&format!("text {n}"), at(NOW));
    hit.as_ref().is_none_or(|hit| hit.derived == n && hit.token.jti() == Some(&format!("j-{n}")))
        && hit.is_some()
}

#[test]
fn only_the_whole_text_is_found() {
    let mut cache = cache(8, 1 << 20);
    put(&mut cache, &Signer::new(Algorithm::Hs256, "k1"), 1);
    assert!(found(&mut cache, 1));
    for other in ["text ", "text 10", "text 2", "TEXT 1", ""] {
        assert!(cache.lookup(other, at(NOW)).is_none(), "{other}");
    }
    assert_eq!(cache.counts(), CacheCounts { hits: 1, misses: 5, evicted: 0 });
}

#[test]
fn entries_are_bounded_and_what_is_used_stays() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let mut cache = cache(9, 1 << 20);
    for n in 0..100 {
        put(&mut cache, &signer, n);
        assert!(cache.len() <= 9, "{n}");
        assert!(found(&mut cache, 0), "{n}");
    }
    assert!(found(&mut cache, 99) && !found(&mut cache, 50));
    assert!(cache.counts().evicted >= 90);
}

#[test]
fn bytes_are_bounded() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let mut one = cache(8, 1 << 20);
    put(&mut one, &signer, 0);
    let limit = one.bytes() * 5;
    let mut cache = cache(1000, limit);
    for n in 0..20 {
        put(&mut cache, &signer, n);
        assert!(cache.bytes() <= limit && !cache.is_empty(), "{n}");
        assert!(found(&mut cache, n), "{n}");
    }
    assert!(cache.len() <= 5);
    // Larger than half: returned, but not kept.
    let token = signer.verified(&claims());
    let epoch = cache.epoch();
    cache.insert(epoch, "large", token, 0, limit);
    assert!(cache.lookup("large", at(NOW)).is_none());
}

#[test]
fn values_cost_more_than_their_text() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let mut cache = cache(8, 1 << 22);
    for (value, values) in [(json!(0), 1), (json!([]), 2), (json!({}), VALUES_OF_AN_OBJECT)] {
        let token = signer.verified(&with(claims(), &json!({ "x": vec![value; 1000] })));
        let epoch = cache.epoch();
        cache.insert(epoch, "t", token, 0, 0);
        assert!(cache.bytes() > 1000 * values * size_of::<Value>(), "{} {values}", cache.bytes());
    }
}

#[test]
fn what_is_remembered_has_the_same_claims() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let mut cache = cache(8, 1 << 20);
    let values = json!({"n": [0, -1, 1.5, 1e300, u64::MAX, null, true, "\u{e9}\"\\"], "o": {"a": {"": []}}});
    let token = signer.verified(&with(claims(), &values));
    let came = token.claims().into_owned();
    assert_eq!(came["o"], values["o"]);
    let epoch = cache.epoch();
    let kept = cache.insert(epoch, "text 1", token, 1, 0);
    assert_eq!(*kept.token.claims(), came);
    assert_eq!(*cache.lookup("text 1", at(NOW)).unwrap().token.claims(), came);
}

#[test]
fn nothing_is_kept_without_room() {
    for (max_entries, max_bytes) in [(0, 1 << 20), (1, 1 << 20), (8, 0), (8, 100)] {
        let mut cache = cache(max_entries, max_bytes);
        put(&mut cache, &Signer::new(Algorithm::Hs256, "k1"), 1);
        assert!(cache.is_empty() && !found(&mut cache, 1), "{max_entries} {max_bytes}");
    }
}

#[test]
fn a_token_is_not_remembered_past_its_times() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let mut cache = cache(8, 1 << 20);
    put(&mut cache, &signer, 1);
    assert!(cache.lookup("text 1", at(NOW + 329)).is_some());
    // The clock may also step back.
    assert!(cache.lookup("text 1", at(NOW - 330)).is_some());
    assert!(cache.lookup("text 1", at(NOW + 330)).is_none());
    assert!(cache.is_empty() && cache.bytes() == 0);
}

#[test]
fn a_change_of_keys_forgets_everything() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let mut cache = cache(8, 1 << 20);
    put(&mut cache, &signer, 1);
    let before = cache.epoch();
    cache.invalidate();
    assert!(cache.is_empty() && !found(&mut cache, 1));
    assert_eq!(cache.insert(before, "text 2", signer.verified(&claims()), 2, 0).derived, 2);
    assert!(cache.lookup("text 2", at(NOW)).is_none());
    put(&mut cache, &signer, 3);
    assert!(found(&mut cache, 3));
}

#[test]
fn the_same_token_twice_is_one_entry() {
    let signer = Signer::new(Algorithm::Hs256, "k1");
    let mut cache = cache(8, 1 << 20);
    put(&mut cache, &signer, 1);
    let bytes = cache.bytes();
    put(&mut cache, &signer, 1);
    assert_eq!((cache.len(), cache.bytes()), (1, bytes));
}
