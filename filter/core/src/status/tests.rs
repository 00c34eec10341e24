//! Status lists, good and bad, and the published ones.

use std::io::Write as _;

use serde_json::json;

use super::*;
use crate::config::{Headers, HttpSource, StatusListSource};
use crate::ids::UnixSeconds;
use crate::keys::{Algorithm, KeyLimits, KeySet};
use crate::token::IssuerRules;
use crate::token::testing::{ALL, ISSUER, NOW, Signer, base64, with};

pub(crate) const URI: &str = "https://idp.example/statuslists/1";
const LIMITS: StatusLimits = StatusLimits { list_bytes: 4096, inflated_bytes: 1024 };

pub(crate) fn compressed(bytes: &[u8]) -> String {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(bytes).unwrap();
    base64(zlib.finish().unwrap())
}

/// A signed list of one bit for each token, with changes of its claims.
pub(crate) fn list(signer: &Signer, lst: &str, changes: &Value) -> String {
    let header = json!({ "typ": "statuslist+jwt", "alg": signer.algorithm, "kid": signer.kid });
    let claims = json!({ "sub": URI, "iat": NOW - 60, "exp": NOW + 600, "ttl": 300,
        "status_list": { "bits": 1, "lst": lst } });
    signer.token_of(&header.to_string(), &with(claims, changes).to_string())
}

fn verified(text: &str, signer: &Signer) -> Result<StatusList, StatusListError> {
    let keys = signer.key_set();
    StatusList::verify(text.as_bytes(), URI, &signer.rules(), Some(&keys), LIMITS, UnixSeconds(NOW))
}

#[test]
fn a_reference_is_read_strictly() {
    for (status, expected) in [
        (json!({ "status_list": { "idx": 0, "uri": URI } }), Ok(0)),
        (json!({ "status_list": { "idx": 412, "uri": URI, "x": 1 }, "other": {} }), Ok(412)),
        (json!({ "status_list": { "idx": u64::MAX, "uri": URI } }), Ok(u64::MAX)),
        (json!({ "status_list": { "idx": -1, "uri": URI } }), Err(())),
        (json!({ "status_list": { "idx": 1.5, "uri": URI } }), Err(())),
        (json!({ "status_list": { "idx": "1", "uri": URI } }), Err(())),
        (json!({ "status_list": { "uri": URI } }), Err(())),
        (json!({ "status_list": { "idx": 1 } }), Err(())),
        (json!({ "status_list": { "idx": 1, "uri": "" } }), Err(())),
        (json!({ "status_list": { "idx": 1, "uri": [URI] } }), Err(())),
        (json!({ "status_list": [] }), Err(())),
        (json!({ "identifier_list": {} }), Err(())),
        (json!({}), Err(())),
        (json!(null), Err(())),
        (json!("valid"), Err(())),
    ] {
        let claims = json!({ "status": status });
        let read = StatusReference::read(claims.as_object().unwrap());
        assert_eq!(read.map(|reference| reference.unwrap().index).map_err(|_| ()), expected, "{status}");
    }
    assert_eq!(StatusReference::read(&Map::new()).unwrap(), None);
}

/// Draft sections 4.1 and 4.2.
#[test]
fn published_lists() {
    let signer = Signer::new(Algorithm::Es256, "k1");
    for (bits, lst, statuses) in [
        (1, "eNrbuRgAAhcBXQ", &[1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1][..]),
        (2, "eNo76fITAAPfAgc", &[1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]),
        (4, &compressed(&[0x21, 0xf0]), &[1, 2, 0, 15]),
        (8, &compressed(&[0, 1, 2, 255]), &[0, 1, 2, 255]),
    ] {
        let text = list(&signer, lst, &json!({ "status_list": { "bits": bits, "lst": lst } }));
        let list = verified(&text, &signer).unwrap();
        for (index, status) in (0..).zip(statuses) {
            let expected = match status {
                0 => Ok(()),
                1 => Err(StatusError::Invalid),
                2 => Err(StatusError::Suspended),
                other => Err(StatusError::Other(*other)),
            };
            assert_eq!(list.check(index), expected, "{bits} {index}");
        }
        for beyond in [statuses.len() as u64, u64::MAX / 8, u64::MAX] {
            assert_eq!(list.check(beyond), Err(StatusError::OutOfRange), "{bits} {beyond}");
        }
    }
}

/// Draft section 5.1, signed with the draft's own key.
#[test]
fn a_published_token() {
    let key = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "12", "alg": "ES256", "use": "sig",
        "x": "I3HWm_0Ds1dPMI-IWmf4mBmH-YaeAVbPVu7vB27CxXo", "y": "6N_d5Elj9bs1htgV3okJKIdbHEpkgTmAluYKJemzn1M" }] });
    let keys = KeySet::parse(key.to_string().as_bytes(), &ALL, &KeyLimits::default()).unwrap();
    let text = "eyJhbGciOiJFUzI1NiIsImtpZCI6IjEyIiwidHlwIjoic3RhdHVzbGlzdCtqd3QifQ.eyJleHAiOjIyOTE3MjAxNzAsImlhdCI6MTY4Njky\
        MDE3MCwiaXNzIjoiaHR0cHM6Ly9leGFtcGxlLmNvbSIsInN0YXR1c19saXN0Ijp7ImJpdHMiOjEsImxzdCI6ImVOcmJ1UmdBQWhjQlhRIn0sInN1Yi\
        I6Imh0dHBzOi8vZXhhbXBsZS5jb20vc3RhdHVzbGlzdHMvMSIsInR0bCI6NDMyMDB9.2lKUUNG503R9htu4aHAYi7vjmr3sgApbfoDvPrl65N3URUO\
        1EYqqQl45Jfzd-Av4QzlKa3oVALpLwOEUOq-U_g";
    let rules = IssuerRules::new("https://example.com", &[Algorithm::Es256], "x");
    let uri = "https://example.com/statuslists/1";
    let now = UnixSeconds(NOW);
    let list = StatusList::verify(text.as_bytes(), uri, &rules, Some(&keys), LIMITS, now).unwrap();
    assert_eq!((list.check(0), list.check(1)), (Err(StatusError::Invalid), Ok(())));
    assert_eq!(list.ttl, Some(43_200));
}

#[test]
fn every_rule_has_its_violation() {
    let signer = Signer::new(Algorithm::EdDsa, "k1");
    let lst = compressed(&[0; 8]);
    let made = |changes: Value| list(&signer, &lst, &changes);
    let listed = |status_list: Value| made(json!({ "status_list": status_list }));
    let typed = |typ: &str| {
        let header = json!({ "typ": typ, "alg": "EdDSA", "kid": "k1" });
        signer.token_of(&header.to_string(), "{}")
    };
    let stranger = Signer::new(Algorithm::EdDsa, "k1");
    let unknown = Signer::new(Algorithm::EdDsa, "k2");
    let bomb = compressed(&[0; 1025]);
    let trailing = {
        use base64::Engine as _;
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        base64([engine.decode(&lst).unwrap(), vec![0]].concat())
    };
    for (text, expected) in [
        (made(json!({})), "good"),
        (made(json!({ "iss": ISSUER, "exp": null, "ttl": null })), "good"),
        (format!("{}\n", made(json!({}))), "good"),
        (made(json!({ "sub": "https://idp.example/statuslists/2" })), "another one"),
        (made(json!({ "sub": null })), "another one"),
        (made(json!({ "iss": "https://other.example" })), "unknown issuer"),
        (made(json!({ "iat": null })), "`iat` is missing"),
        (made(json!({ "iat": "1" })), "`iat` is malformed"),
        (made(json!({ "iat": NOW + 31 })), "issued in the future"),
        (made(json!({ "exp": NOW - 30 })), "expired"),
        (made(json!({ "exp": NOW - 29 })), "good"),
        (made(json!({ "exp": -1 })), "`exp` is malformed"),
        (made(json!({ "ttl": -1 })), "`ttl` is missing or malformed"),
        (made(json!({ "status_list": null })), "`bits` is missing or malformed"),
        (listed(json!({ "bits": 3, "lst": lst })), "`bits`"),
        (listed(json!({ "bits": 0, "lst": lst })), "`bits`"),
        (listed(json!({ "bits": 16, "lst": lst })), "`bits`"),
        (listed(json!({ "bits": 257, "lst": lst })), "`bits`"),
        (listed(json!({ "bits": "1", "lst": lst })), "`bits`"),
        (listed(json!({ "bits": 1 })), "`lst`"),
        (listed(json!({ "bits": 1, "lst": "+" })), "`lst`"),
        (listed(json!({ "bits": 1, "lst": "" })), "does not inflate"),
        (listed(json!({ "bits": 1, "lst": "AAAA" })), "does not inflate"),
        (listed(json!({ "bits": 1, "lst": &lst[..lst.len() - 4] })), "does not inflate"),
        (listed(json!({ "bits": 1, "lst": trailing })), "does not inflate"),
        (listed(json!({ "bits": 1, "lst": bomb })), "inflates to more than 1024 bytes"),
        (typed("at+jwt"), "`typ`"),
        (typed("JWT"), "`typ`"),
        (list(&stranger, &lst, &json!({})), "signature"),
        (list(&unknown, &lst, &json!({})), "unknown key"),
        (list(&Signer::new(Algorithm::Es256, "k1"), &lst, &json!({})), "`alg`"),
        (made(json!({ "pad": "x".repeat(4096) })), "longer than"),
        ("<html>".into(), "not three segments"),
        (String::new(), "not three segments"),
        ("\u{0}".into(), "not three segments"),
    ] {
        let outcome = verified(&text, &signer).map_or_else(|error| error.to_string(), |_| "good".into());
        assert!(outcome.contains(expected), "{expected}: {outcome}");
    }
    assert!(
        StatusList::verify(b"\xff", URI, &signer.rules(), None, LIMITS, UnixSeconds(NOW)).is_err(),
        "not text"
    );
}

#[test]
fn lists_come_into_force_and_grow_old() {
    let signer = Signer::new(Algorithm::EdDsa, "k1");
    let (rules, keys) = (signer.rules(), signer.key_set());
    let http = HttpSource {
        cluster: "c".into(),
        authority: "a".into(),
        path: "/".into(),
        headers: Headers::default(),
        credentials: None,
        timeout_ms: 1000,
        refresh_seconds: 60,
        min_refresh_seconds: None,
        max_age_seconds: 100,
        long_polling_timeout_seconds: None,
    };
    let mut lists = StatusLists::new(&[StatusListSource { uri: URI.into(), http }]);
    let reference = |index, uri: &str| StatusReference { uri: uri.into(), index };
    let now = UnixSeconds(NOW);
    assert_eq!(lists.check(&reference(0, "https://elsewhere"), now), Err(StatusError::NotConfigured));
    assert_eq!(lists.check(&reference(0, URI), now), Err(StatusError::Unavailable));
    assert_eq!(lists.due(now).count(), 1);
    let install = |lists: &mut StatusLists, text: String, seconds: u64| {
        let at = now.plus(seconds);
        let done = lists.install(URI, text.into_bytes(), &rules, Some(&keys), LIMITS, at);
        match &done {
            Ok(()) => lists.source_mut(URI).unwrap().succeeded(at, None, None),
            Err(_) => lists.source_mut(URI).unwrap().failed(at),
        }
        done.map_err(|error| error.to_string())
    };
    let made = |byte: u8, changes: Value| list(&signer, &compressed(&[byte]), &changes);
    install(&mut lists, made(0b10, json!({})), 0).unwrap();
    assert_eq!(lists.check(&reference(0, URI), now), Ok(()));
    assert_eq!(lists.check(&reference(1, URI), now), Err(StatusError::Invalid));
    assert_eq!(lists.check(&reference(8, URI), now), Err(StatusError::OutOfRange));
    // Flipped; and what was in force before does not come back, whoever serves it.
    install(&mut lists, made(0b01, json!({ "iat": NOW - 59 })), 1).unwrap();
    assert_eq!(lists.check(&reference(0, URI), now), Err(StatusError::Invalid));
    assert!(install(&mut lists, made(0b10, json!({})), 2).unwrap_err().contains("older"));
    assert!(install(&mut lists, "garbage".into(), 2).is_err());
    assert_eq!(lists.check(&reference(0, URI), now.plus(101)), Err(StatusError::Invalid));
    assert_eq!(lists.check(&reference(0, URI), now.plus(102)), Err(StatusError::Unavailable), "too old");
    install(&mut lists, made(0, json!({ "iat": NOW - 59, "exp": NOW + 130 })), 103).unwrap();
    assert_eq!(lists.check(&reference(0, URI), now.plus(159)), Ok(()));
    assert_eq!(lists.check(&reference(0, URI), now.plus(160)), Err(StatusError::Unavailable), "expired");
    // New keys: a list that they verify stays, one that they do not goes and is fetched again.
    lists.hold_against(&rules, Some(&keys), LIMITS, now.plus(104));
    assert!(lists.holds(URI));
    assert_eq!(lists.due(now.plus(104)).count(), 0);
    let new_keys = Signer::new(Algorithm::EdDsa, "k1").key_set();
    lists.hold_against(&rules, Some(&new_keys), LIMITS, now.plus(104));
    assert_eq!(lists.check(&reference(0, URI), now.plus(104)), Err(StatusError::Unavailable));
    assert_eq!(lists.due(now.plus(104)).count(), 1);
    // Nor does a list that went open the way for an older one.
    let again = made(0b10, json!({}));
    assert!(lists.install(URI, again.into_bytes(), &rules, Some(&keys), LIMITS, now.plus(105)).is_err());
    assert!(!lists.holds(URI));
}
