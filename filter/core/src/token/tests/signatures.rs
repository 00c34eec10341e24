//! Keys and signatures: none is confused, a changed token does not verify, the host and jwt-simple agree.

use super::*;

#[test]
fn keys_are_not_confused() {
    let es256 = Signer::new(Algorithm::Es256, "k1");
    let other = Signer::new(Algorithm::Es256, "k1");
    let theirs = Signer::new(Algorithm::Es256, "k9");
    let rs256 = Signer::new(Algorithm::Rs256, "r1");
    let ps256 = Signer::new(Algorithm::Ps256, "r1");
    let ed25519 = Signer::new(Algorithm::EdDsa, "e1");

    // Anyone can take a public key for a secret: in DER, as a JWK, or its bare coordinates.
    let es256_keys = es256.key_set();
    let der = es256_keys.select(Some("k1")).unwrap().spki_der().unwrap().to_vec();
    let x = es256.jwk()["x"].as_str().unwrap().as_bytes().to_vec();
    let both = Arc::new(IssuerRules::new(ISSUER, &[Algorithm::Es256, Algorithm::Hs256], AUDIENCE));
    for secret in [der, es256.jwk().to_string().into_bytes(), x] {
        let pair = Pair::Secret(jwt_simple::algorithms::HS256Key::from_bytes(&secret));
        let forger = Signer { algorithm: Algorithm::Hs256, kid: "k1", pair };
        let token = forger.token(&claims());
        assert_eq!(reason(verify(&token, &es256.rules(), &es256_keys)), "algorithm_not_accepted");
        assert_eq!(reason(verify(&token, &both, &es256_keys)), "algorithm_not_accepted");
        let renamed = forger.token_of(&es256.header().to_string(), &claims().to_string());
        assert_eq!(reason(verify(&renamed, &es256.rules(), &es256_keys)), "signature_invalid");
    }

    let document = json!({ "keys": [es256.jwk(), rs256.jwk(), ed25519.jwk()] }).to_string();
    let keys = KeySet::parse(document.as_bytes(), &ALL, &KeyLimits::default()).unwrap();
    let rules = Arc::new(IssuerRules::new(ISSUER, &ALL, AUDIENCE));
    let renamed = |signer: &Signer, changes: Value| {
        signer.token_of(&with(signer.header(), &changes).to_string(), &claims().to_string())
    };
    for (token, expected) in [
        (es256.token(&claims()), "accepted"),
        (rs256.token(&claims()), "accepted"),
        (ps256.token(&claims()), "accepted"),
        (other.token(&claims()), "signature_invalid"),
        (theirs.token(&claims()), "key_unknown"),
        (renamed(&theirs, json!({ "kid": "k1" })), "signature_invalid"),
        (renamed(&es256, json!({ "kid": "r1" })), "algorithm_not_accepted"),
        (renamed(&rs256, json!({ "alg": "PS256" })), "signature_invalid"),
        (renamed(&ps256, json!({ "alg": "RS256" })), "signature_invalid"),
        (renamed(&ed25519, json!({ "kid": "k1", "alg": "ES256" })), "signature_invalid"),
        (renamed(&es256, json!({ "kid": "e1", "alg": "EdDSA" })), "signature_invalid"),
        (renamed(&es256, json!({ "kid": null })), "key_unknown"),
    ] {
        assert_eq!(reason(verify(&token, &rules, &keys)), expected, "{token}");
    }

    // The key would serve it, the issuer's rules do not list it.
    assert_eq!(reason(verify(&ps256.token(&claims()), &rs256.rules(), &keys)), "algorithm_not_accepted");

    let compact = Compact::parse(&es256.token(&claims()), &TokenLimits::default()).unwrap();
    assert_eq!(compact.claimed_issuer(), ISSUER);
    let unavailable = Unverified::prepare(compact, &es256.rules(), None).unwrap_err();
    assert_eq!(unavailable.reason().as_str(), "key_set_unavailable");
    assert_eq!(TokenError::Missing.reason().as_str(), "token_missing");
}

#[test]
fn a_changed_token_does_not_verify() {
    for algorithm in ALL {
        let signer = Signer::new(algorithm, "k1");
        let token = signer.token(&claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let payload = base64(with(claims(), &json!({ "sub": "bob" })).to_string());
        let header = signed.split_once('.').unwrap().0;
        let mut cut = signer.sign(signed.as_bytes());
        cut.pop();
        let mut flipped = signer.sign(signed.as_bytes());
        flipped[0] ^= 1;
        for forged in [
            format!("{header}.{payload}.{signature}"),
            format!("{signed}.{}", base64(&cut)),
            format!("{signed}.{}", base64(&flipped)),
            format!("{signed}.{}", base64([0; 64])),
            format!("{signed}.{}", base64([0; 256])),
            format!("{signed}.{}", base64([0xff; 256])),
            format!("{signed}.{}", base64([0xff; 2048])),
            format!("{signed}.AA"),
        ] {
            let result = verify(&forged, &signer.rules(), &signer.key_set());
            assert_eq!(reason(result), "signature_invalid", "{algorithm}");
        }
    }
}

/// What a host gets is enough to verify with, and its answer counts where it can give one.
#[test]
fn the_host_checks_what_it_can() {
    use jwt_simple::algorithms::{
        ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey,
    };
    use p256::ecdsa::signature::Verifier as _;
    for algorithm in ALL {
        let signer = Signer::new(algorithm, "k1");
        let prepared = || {
            let compact = Compact::parse(&signer.token(&claims()), &TokenLimits::default()).unwrap();
            Unverified::prepare(compact, &signer.rules(), Some(&signer.key_set())).unwrap()
        };
        let hash = match algorithm {
            Algorithm::Es256 | Algorithm::Rs256 => Some("SHA256"),
            Algorithm::Es384 | Algorithm::Rs384 => Some("SHA384"),
            Algorithm::Rs512 => Some("SHA512"),
            _ => None,
        };
        let by_host = hash.is_some();
        assert_eq!(prepared().signature_check().is_some(), by_host, "{algorithm}");
        assert!(prepared().verify_here(), "{algorithm}");
        assert_eq!(reason(prepared().verify_with(|_| None, at(NOW))), "accepted", "{algorithm}");
        assert_eq!(reason(prepared().verify_with(|_| Some(true), at(NOW))), "accepted", "{algorithm}");
        let refused = if by_host { "signature_invalid" } else { "accepted" };
        assert_eq!(reason(prepared().verify_with(|_| Some(false), at(NOW))), refused, "{algorithm}");
        if let Some(check) = prepared().signature_check() {
            assert_eq!(Some(check.hash), hash);
            if algorithm == Algorithm::Es384 {
                let key = ES384PublicKey::from_der(check.spki_der).unwrap();
                let signature = p384::ecdsa::Signature::from_der(&check.signature).unwrap();
                assert!(key.public_key().as_ref().verify(check.signed, &signature).is_ok());
            } else if algorithm == Algorithm::Es256 {
                let key = ES256PublicKey::from_der(check.spki_der).unwrap();
                let signature = p256::ecdsa::Signature::from_der(&check.signature).unwrap();
                assert!(key.public_key().as_ref().verify(check.signed, &signature).is_ok());
            } else {
                assert!(jwt_simple::algorithms::RS256PublicKey::from_der(check.spki_der).is_ok());
                assert_eq!(check.signature, signer.sign(check.signed));
            }
        }
    }
}

#[test]
fn a_signature_of_the_wrong_length_is_not_shown_to_the_host() {
    let signer = Signer::new(Algorithm::Es256, "k1");
    let token = signer.token(&claims());
    let (signed, _) = token.rsplit_once('.').unwrap();
    let compact = Compact::parse(&format!("{signed}.AAAA"), &TokenLimits::default()).unwrap();
    let prepared = Unverified::prepare(compact, &signer.rules(), Some(&signer.key_set())).unwrap();
    assert_eq!(reason(prepared.verify_with(|_| Some(true), at(NOW))), "signature_invalid");
}

/// jwt-simple's own `verify_token` is the reference: both verify the same signatures.
#[test]
fn jwt_simple_agrees() {
    use jwt_simple::prelude::*;
    for algorithm in super::testing::ALL {
        let signer = Signer::new(algorithm, "k1");
        let header = HeaderOptions { signature_type: Some("at+jwt".to_owned()), ..HeaderOptions::default() };
        let options = VerificationOptions {
            artificial_time: Some(UnixTimeStamp::from_secs(NOW)),
            ..VerificationOptions::default()
        };
        let custom: serde_json::Map<String, Value> =
            serde_json::from_value(json!({ "client_id": "console" })).unwrap();
        let mut theirs = Claims::with_custom_claims(custom, Duration::from_secs(300))
            .with_issuer(ISSUER)
            .with_subject("alice")
            .with_audience(AUDIENCE);
        theirs.issued_at = Some(UnixTimeStamp::from_secs(NOW));
        theirs.invalid_before = None;
        theirs.expires_at = Some(UnixTimeStamp::from_secs(NOW + 300));
        let good = signer.token(&claims());
        let (signed, _) = good.rsplit_once('.').unwrap();
        let mut flipped = signer.sign(signed.as_bytes());
        flipped[10] ^= 4;
        let bad = format!("{signed}.{}", base64(&flipped));
        let read = |token: &str| match &signer.pair {
            Pair::P256(pair) => {
                pair.public_key().verify_token::<NoCustomClaims>(token, Some(options.clone()))
            }
            Pair::P384(pair) => pair.public_key().verify_token(token, Some(options.clone())),
            Pair::Ed25519(pair) => pair.public_key().verify_token(token, Some(options.clone())),
            Pair::Rsa(pair) => {
                let der = pair.public_key().to_der().unwrap();
                let options = Some(options.clone());
                match algorithm {
                    Algorithm::Rs256 => pair.public_key().verify_token(token, options),
                    Algorithm::Rs384 => RS384PublicKey::from_der(&der).unwrap().verify_token(token, options),
                    Algorithm::Rs512 => RS512PublicKey::from_der(&der).unwrap().verify_token(token, options),
                    Algorithm::Ps256 => PS256PublicKey::from_der(&der).unwrap().verify_token(token, options),
                    Algorithm::Ps384 => PS384PublicKey::from_der(&der).unwrap().verify_token(token, options),
                    _ => PS512PublicKey::from_der(&der).unwrap().verify_token(token, options),
                }
            }
            Pair::Secret(key) => key.verify_token(token, Some(options.clone())),
        };
        assert!(read(&good).is_ok(), "{algorithm}");
        assert!(read(&bad).is_err(), "{algorithm}");
        let written = match &signer.pair {
            Pair::P256(pair) => ES256KeyPair::from_jwk(&pair.to_jwk())
                .unwrap()
                .with_key_id("k1")
                .sign_with_options(theirs, &header),
            Pair::P384(pair) => ES384KeyPair::from_jwk(&pair.to_jwk())
                .unwrap()
                .with_key_id("k1")
                .sign_with_options(theirs, &header),
            Pair::Ed25519(pair) => pair.clone().with_key_id("k1").sign_with_options(theirs, &header),
            Pair::Rsa(pair) => {
                let der = pair.to_der().unwrap();
                macro_rules! by {
                    ($pair:ident) => {
                        $pair::from_der(&der).unwrap().with_key_id("k1").sign_with_options(theirs, &header)
                    };
                }
                match algorithm {
                    Algorithm::Rs256 => by!(RS256KeyPair),
                    Algorithm::Rs384 => by!(RS384KeyPair),
                    Algorithm::Rs512 => by!(RS512KeyPair),
                    Algorithm::Ps256 => by!(PS256KeyPair),
                    Algorithm::Ps384 => by!(PS384KeyPair),
                    _ => by!(PS512KeyPair),
                }
            }
            Pair::Secret(key) => key.authenticate_with_options(theirs, &header),
        };
        let result = verify(&written.unwrap(), &signer.rules(), &signer.key_set());
        assert_eq!(reason(result), "accepted", "{algorithm}");
    }
}
