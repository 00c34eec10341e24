//! Signatures good and hostile.

use serde_json::json;

use super::*;
use crate::bundle::{Bundle, BundleLimits};
use crate::token::testing::{Pair, Signer, base64};

const MANIFEST: &str = r#"{"revision":"1", "roots":["a"]}"#;
const DATA: &str = r#"{"a": {"y": 1.0, "x": 1e2}}"#;
const REGO: &str = "package a\n";

fn bundle_files() -> Files {
    [(".manifest", MANIFEST), ("a.rego", REGO), ("data.json", DATA)]
        .map(|(path, content)| (path.to_owned(), content.as_bytes().to_vec()))
        .into()
}

fn entry(name: &str, content: &str) -> Value {
    let hash = file_digest(name, content.as_bytes(), Hash::Sha256).unwrap();
    json!({"name": name, "hash": hash, "algorithm": "SHA-256"})
}

fn all() -> Value {
    json!([entry(".manifest", MANIFEST), entry("a.rego", REGO), entry("data.json", DATA)])
}

/// What a configuration has of the key.
fn public(signer: &Signer) -> String {
    match &signer.pair {
        Pair::Secret(key) => String::from_utf8(key.to_bytes()).unwrap(),
        _ => signer.jwk().to_string(),
    }
}

fn keys(signers: &[(&str, &Signer, &str)]) -> BundleKeys {
    let of = |(keyid, signer, scope): &(&str, &Signer, &str)| {
        let document = json!({"key": public(signer), "algorithm": signer.algorithm, "scope": scope});
        ((*keyid).to_owned(), crate::shape::read(&document).unwrap())
    };
    signers.iter().map(of).collect()
}

fn secret(text: &str) -> Signer {
    let pair = Pair::Secret(jwt_simple::algorithms::HS256Key::from_bytes(text.as_bytes()));
    Signer { algorithm: Algorithm::Hs256, kid: "k", pair }
}

const SECRET: &str = "a secret of more than 32 bytes of text";

fn outcome(
    verification: &Verification,
    signatures: Option<&Value>,
    change: impl FnOnce(&mut Files),
) -> Result<(), String> {
    let mut files = bundle_files();
    if let Some(signatures) = signatures {
        files.insert(NAME.to_owned(), signatures.to_string().into_bytes());
    }
    change(&mut files);
    verification.check(&mut files).map_err(|error| error.to_string())?;
    assert!(!files.contains_key(NAME));
    Bundle::assemble(files, &BundleLimits::default()).map(|_| ()).map_err(|error| error.to_string())
}

fn one(token: &str) -> Value {
    json!({ "signatures": [token] })
}

#[test]
fn every_algorithm_signs() {
    for algorithm in Algorithm::ALL {
        let signer = if algorithm == Algorithm::Hs256 { secret(SECRET) } else { Signer::new(algorithm, "k") };
        let verification =
            Verification::new(&keys(&[("k", &signer, "")]), Some(&Signing::default())).unwrap();
        let signed = one(&signer.token(&json!({ "files": all() })));
        assert_eq!(outcome(&verification, Some(&signed), |_| {}), Ok(()), "{algorithm}");
        // White space and the order of members are no change; the form of a number is, as in OPA.
        let reordered = r#"{"a":{"x":1e2,"y":1.0}}"#;
        let put = |text: &'static str| {
            move |files: &mut Files| {
                files.insert("data.json".to_owned(), text.as_bytes().to_vec());
            }
        };
        assert_eq!(outcome(&verification, Some(&signed), put(reordered)), Ok(()), "{algorithm}");
        let error = outcome(&verification, Some(&signed), put(r#"{"a":{"x":100,"y":1.0}}"#)).unwrap_err();
        assert_eq!(error, "data.json: not as it was signed: its digest is another one");
    }
}

#[test]
fn hostile_signatures_are_refused() {
    let signer = secret(SECRET);
    let other = secret("another secret of more than 32 bytes");
    let verification =
        Verification::new(&keys(&[("k", &signer, "write")]), Some(&Signing::default())).unwrap();
    let claims =
        |changes: Value| crate::token::testing::with(json!({"files": all(), "scope": "write"}), &changes);
    let token = |changes: Value| one(&signer.token(&claims(changes)));
    let header = |header: Value| one(&signer.token_of(&header.to_string(), &claims(json!({})).to_string()));
    let without = |index: usize| {
        let mut files = all();
        files.as_array_mut().unwrap().remove(index);
        files
    };
    let added = |entry: Value| {
        let mut files = all();
        files.as_array_mut().unwrap().push(entry);
        files
    };
    let good = signer.token(&claims(json!({})));
    let (head, _) = good.rsplit_once('.').unwrap();
    for (signatures, expected) in [
        (token(json!({})), None),
        (token(json!({"files": without(0)})), Some(".manifest: not covered by the bundle's signature")),
        (token(json!({"files": without(1)})), Some("a.rego: not covered")),
        (
            token(json!({"files": added(entry("b.rego", "x"))})),
            Some("b.rego: covered by the bundle's signature, and not in the bundle"),
        ),
        (
            token(json!({"files": added(entry("a.rego", REGO))})),
            Some("a.rego: the signature names this file twice"),
        ),
        (
            token(json!({"files": added(entry("/a.rego", REGO))})),
            Some("a.rego: the signature names this file twice"),
        ),
        (
            token(json!({"files": added(json!({"name":"b","hash":"00","algorithm":"MD5"}))})),
            Some("b: hashed with \"MD5\""),
        ),
        (
            token(json!({"files": added(json!({"name":"b","hash":"0","algorithm":"SHA-256"}))})),
            Some("`files` of the JWT"),
        ),
        (
            token(json!({"files": added(json!({"name":"b","hash":"0x","algorithm":"SHA-256"}))})),
            Some("`files` of the JWT"),
        ),
        (
            token(json!({"files": added(json!({"name":"../b","hash":"00","algorithm":"SHA-256"}))})),
            Some("`files` of the JWT"),
        ),
        (token(json!({"files": added(json!({"name":"b"}))})), Some("`files` of the JWT")),
        (token(json!({"files": {}})), Some("`files` of the JWT")),
        (token(json!({"scope": "read"})), Some("signed for the scope \"read\", not for \"write\"")),
        (token(json!({"scope": null})), Some("signed for the scope \"\"")),
        (token(json!({"scope": 7})), Some("signed for the scope")),
        (one(&other.token(&claims(json!({})))), Some("the signature is not that of the key \"k\"")),
        (one(&format!("{head}.{}", base64("x"))), Some("the signature is not that of")),
        (one(&format!("{head}.")), Some("the JWT: malformed")),
        (header(json!({"alg":"none","kid":"k"})), Some("the JWT: the header parameter `alg` is refused")),
        (
            header(json!({"alg":"HS512","kid":"k"})),
            Some("signed with \"HS512\"; the key \"k\" is configured for HS256"),
        ),
        (
            header(json!({"alg":"HS256","kid":"other"})),
            Some("signed with the key \"other\", which is not among"),
        ),
        (header(json!({"alg":"HS256"})), Some("no key is named")),
        (header(json!({"alg":"HS256","kid":7})), Some("the JWT: malformed")),
        (
            header(json!({"alg":"HS256","kid":"k","crit":["b64"]})),
            Some("the header parameter `crit` is refused"),
        ),
        (json!({"signatures": []}), Some("not an object with `signatures`")),
        (json!({"signatures": [good, good]}), Some("not an object with `signatures`")),
        (json!({"signatures": good}), Some("not an object with `signatures`")),
        (json!({}), Some("not an object with `signatures`")),
        (json!([]), Some("not an object with `signatures`")),
        (json!({"signatures": [good], "plugin": "_default"}), None),
        (json!({"signatures": [good], "plugin": "mine"}), Some("made by the plug-in \"mine\"")),
    ] {
        match (outcome(&verification, Some(&signatures), |_| {}), expected) {
            (Ok(()), None) => {}
            (Err(error), Some(expected)) => assert!(error.contains(expected), "{signatures}: {error}"),
            (outcome, _) => panic!("{signatures}: {outcome:?}"),
        }
    }
    // The old place of the key's name.
    let signed = header(json!({"alg":"HS256"}));
    assert!(outcome(&verification, Some(&signed), |_| {}).is_err());
    let claims = claims(json!({"keyid": "k"})).to_string();
    let signed = one(&signer.token_of(r#"{"alg":"HS256"}"#, &claims));
    assert_eq!(outcome(&verification, Some(&signed), |_| {}), Ok(()));
}

#[test]
fn files_are_those_that_were_signed() {
    let signer = secret(SECRET);
    let keys = keys(&[("k", &signer, "")]);
    let signing = Signing { exclude_files: vec!["docs/*".to_owned()], ..Signing::default() };
    let verification = Verification::new(&keys, Some(&signing)).unwrap();
    let signed = one(&signer.token(&json!({ "files": all() })));
    type Change = fn(&mut Files);
    let changes: [(Change, Option<&str>); 7] = [
        (|_| {}, None),
        (|files| drop(files.insert("docs/x.md".into(), Vec::new())), None),
        (
            |files| drop(files.insert("docs/deep/x.md".into(), Vec::new())),
            Some("docs/deep/x.md: not covered"),
        ),
        (|files| drop(files.insert("README.md".into(), Vec::new())), Some("README.md: not covered")),
        (|files| drop(files.remove("a.rego")), Some("a.rego: covered by")),
        (|files| files.get_mut("a.rego").unwrap().push(b'\n'), Some("a.rego: not as it was signed")),
        (
            |files| drop(files.insert("sub/.signatures.json".into(), Vec::new())),
            Some("more than one .signatures.json"),
        ),
    ];
    for (change, expected) in changes {
        match (outcome(&verification, Some(&signed), change), expected) {
            (Ok(()), None) => {}
            (Err(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
            (outcome, expected) => panic!("{expected:?}: {outcome:?}"),
        }
    }
}

#[test]
fn whether_a_signature_is_needed() {
    let signer = secret(SECRET);
    let keys = keys(&[("k", &signer, ""), ("scoped", &signer, "s")]);
    let signed = one(&signer.token(&json!({ "files": all() })));
    let signing = Signing::default();
    let missing = Some(".signatures.json: the bundle is not signed");
    let no_key = Some(".signatures.json: bundle is signed, and no key");
    for (keys, signing, signatures, expected) in [
        (&BundleKeys::new(), None, None, None),
        (&BundleKeys::new(), None, Some(&signed), no_key),
        (&keys, None, None, None),
        (&keys, None, Some(&signed), None),
        (&keys, Some(&signing), None, missing),
        (
            &keys,
            Some(&Signing { keyid: Some("scoped".into()), ..signing.clone() }),
            Some(&signed),
            Some("not for \"s\""),
        ),
        (
            &keys,
            Some(&Signing { scope: Some("t".into()), ..signing.clone() }),
            Some(&signed),
            Some("not for \"t\""),
        ),
        (&keys, Some(&Signing { keyid: Some("k".into()), ..signing.clone() }), Some(&signed), None),
    ] {
        let verification = Verification::new(keys, signing).unwrap();
        match (outcome(&verification, signatures, |_| {}), expected) {
            (Ok(()), None) => {}
            (Err(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
            (outcome, expected) => panic!("{expected:?}: {outcome:?}"),
        }
    }
    let delta =
        |signing: Option<&Signing>| Verification::new(&keys, signing).unwrap().check_delta("patch.json");
    assert!(delta(None).is_ok());
    assert!(delta(Some(&signing)).unwrap_err().to_string().contains("a delta bundle cannot be signed"));
    assert!(delta(Some(&Signing { allow_unsigned_delta_bundles: true, ..signing })).is_ok());
}

#[test]
fn keys_and_demands_that_cannot_work_are_refused() {
    let signer = secret(SECRET);
    let good = keys(&[("k", &signer, "")]);
    let with = |key: &str, algorithm: &str| -> BundleKeys {
        let key = crate::shape::read(&json!({"key": key, "algorithm": algorithm})).unwrap();
        [("k".to_owned(), key)].into()
    };
    let ec = Signer::new(Algorithm::Es256, "k").jwk().to_string();
    let pem = "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----";
    for (keys, signing, expected) in [
        (BundleKeys::new(), Signing::default(), "there are no `keys`"),
        (
            good.clone(),
            Signing { keyid: Some("x".into()), ..Signing::default() },
            "keyid \"x\" is none of the `keys`",
        ),
        (good, Signing { exclude_files: vec!["[a]".into()], ..Signing::default() }, "only `*` and `?`"),
        (with("short", "HS256"), Signing::default(), "a secret of 5 bytes"),
        (with(pem, "HS256"), Signing::default(), "PEM is no secret"),
        (with(pem, "RS256"), Signing::default(), "neither a public JWK nor"),
        (with(&ec, "RS256"), Signing::default(), "not a key for RS256"),
        (with("words", "ES256"), Signing::default(), "neither a public JWK nor"),
    ] {
        let error = Verification::new(&keys, Some(&signing)).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("short") && !error.contains("words"), "{error}");
    }
}

#[test]
fn documents_are_hashed_by_what_they_say() {
    for (path, content, algorithm, expected) in [
        (
            "data.json",
            r#"{"b":1,"a":[true,null]}"#,
            Hash::Sha256,
            Hash::Sha256.of(br#"{"a":[true,null],"b":1}"#),
        ),
        ("a/data.json", "[ ]", Hash::Sha512, Hash::Sha512.of(b"[]")),
        ("a.rego", "{ }", Hash::Sha384, Hash::Sha384.of(b"{ }")),
        ("other.json", "{ }", Hash::Sha256, Hash::Sha256.of(b"{ }")),
    ] {
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(file_digest(path, content.as_bytes(), algorithm).unwrap(), expected, "{path}");
    }
}
