//! Signers for tests: key pairs of jwt-simple, and tokens with any header and payload.

use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike as _, ECDSAP384KeyPairLike as _, ES256KeyPair, ES384KeyPair, Ed25519KeyPair,
    EdDSAKeyPairLike as _, HS256Key, MACLike as _, RS256KeyPair, RSAKeyPairLike as _,
};
use p256::ecdsa::signature::Signer as _;
use serde_json::{Value, json};
use superboring::hash::MessageDigest;
use superboring::pkey::PKey;
use superboring::rsa::Padding;

use super::{Compact, IssuerRules, TokenError, TokenLimits, Unverified, VerifiedToken};
use crate::ids::Now;
use crate::keys::{Algorithm, KeyLimits, KeySet};

pub(crate) const ISSUER: &str = "https://idp.example";
pub(crate) const AUDIENCE: &str = "https://tools.example";
/// The present of the tests, in seconds.
pub(crate) const NOW: u64 = 1_773_842_531;
pub(crate) const ALL: [Algorithm; 10] = Algorithm::ALL;

/// `seconds` as the core is told the time.
pub(crate) fn at(seconds: u64) -> Now {
    Now(seconds.saturating_mul(1_000_000_000))
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) enum Pair {
    P256(ES256KeyPair),
    P384(ES384KeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RS256KeyPair>),
    Secret(HS256Key),
}

/// An issuer's key that signs.
pub(crate) struct Signer {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: &'static str,
    pub(crate) pair: Pair,
}

impl Signer {
    pub(crate) fn new(algorithm: Algorithm, kid: &'static str) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => Pair::P256(ES256KeyPair::generate()),
            Algorithm::EdDsa => Pair::Ed25519(Ed25519KeyPair::generate()),
            Algorithm::Es384 => Pair::P384(ES384KeyPair::generate()),
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => Pair::Rsa(Box::new(rsa_pair().clone())),
            Algorithm::Hs256 => Pair::Secret(HS256Key::generate()),
        };
        Self { algorithm, kid, pair }
    }

    /// The public JWK, with `kid` and without `alg`.
    pub(crate) fn jwk(&self) -> Value {
        let text = match &self.pair {
            Pair::P256(pair) => pair.public_key().to_jwk(),
            Pair::P384(pair) => pair.public_key().to_jwk(),
            Pair::Ed25519(pair) => pair.public_key().to_jwk(),
            Pair::Rsa(pair) => pair.public_key().to_jwk(),
            Pair::Secret(_) => panic!("a secret is not published"),
        };
        let mut jwk: Value = serde_json::from_str(&text).unwrap();
        jwk["kid"] = json!(self.kid);
        jwk.as_object_mut().unwrap().remove("alg");
        jwk
    }

    pub(crate) fn key_set(&self) -> KeySet {
        match &self.pair {
            Pair::Secret(key) => KeySet::from_secret(&base64(key.to_bytes())).unwrap(),
            _ => {
                let document = json!({ "keys": [self.jwk()] }).to_string();
                KeySet::parse(document.as_bytes(), &ALL, &KeyLimits::default()).unwrap()
            }
        }
    }

    pub(crate) fn rules(&self) -> Arc<IssuerRules> {
        Arc::new(IssuerRules::new(ISSUER, &[self.algorithm], AUDIENCE))
    }

    /// The signature over `signed`, in the raw form of a JWS.
    pub(crate) fn sign(&self, signed: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::P256(pair) => {
                let signature: p256::ecdsa::Signature = pair.key_pair().as_ref().sign(signed);
                signature.to_bytes().to_vec()
            }
            Pair::P384(pair) => {
                let signature: p384::ecdsa::Signature = pair.key_pair().as_ref().sign(signed);
                signature.to_bytes().to_vec()
            }
            Pair::Ed25519(pair) => pair.key_pair().as_ref().sk.sign(signed, None).to_vec(),
            Pair::Rsa(pair) => {
                let padding = match self.algorithm {
                    Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512 => Padding::PKCS1_PSS,
                    _ => Padding::PKCS1,
                };
                let digest = match self.algorithm {
                    Algorithm::Rs384 | Algorithm::Ps384 => MessageDigest::sha384(),
                    Algorithm::Rs512 | Algorithm::Ps512 => MessageDigest::sha512(),
                    _ => MessageDigest::sha256(),
                };
                let key = PKey::from_rsa(pair.key_pair().as_ref().clone()).unwrap();
                let mut signer = superboring::sign::Signer::new(digest, &key).unwrap();
                signer.set_rsa_padding(padding).unwrap();
                signer.update(signed).unwrap();
                signer.sign_to_vec().unwrap()
            }
            Pair::Secret(key) => key.authentication_tag(signed),
        }
    }

    pub(crate) fn header(&self) -> Value {
        json!({ "alg": self.algorithm, "kid": self.kid, "typ": "at+jwt" })
    }

    /// A token with the usual header.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_of(&self.header().to_string(), &claims.to_string())
    }

    /// A token with these texts as header and payload, JSON or not.
    pub(crate) fn token_of(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", base64(header), base64(payload));
        let signature = base64(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A token of these claims, verified at [`NOW`].
    pub(crate) fn verified(&self, claims: &Value) -> VerifiedToken {
        verify(&self.token(claims), &self.rules(), &self.key_set()).unwrap()
    }
}

/// RSA keys take seconds to make, so the tests share one.
fn rsa_pair() -> &'static RS256KeyPair {
    static PAIR: OnceLock<RS256KeyPair> = OnceLock::new();
    PAIR.get_or_init(|| RS256KeyPair::generate(2048).unwrap())
}

/// What every test starts from.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW - 300,
        "jti": "j-1", "client_id": "console", "scope": "forum:read forum:write", "sub_profile": "user",
        "act": { "sub": "agent-7", "iss": ISSUER },
    })
}

/// `base` with the members of `changes` put in, and those that are null there taken out.
pub(crate) fn with(mut base: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        let members = base.as_object_mut().unwrap();
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    base
}

/// The whole way of a token, at [`NOW`].
pub(crate) fn verify(
    token: &str,
    rules: &Arc<IssuerRules>,
    keys: &KeySet,
) -> Result<VerifiedToken, TokenError> {
    let compact = Compact::parse(token, &TokenLimits::default())?;
    Unverified::prepare(compact, rules, Some(keys))?.verify(at(NOW))
}
