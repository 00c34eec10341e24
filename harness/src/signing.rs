//! Private keys that tokens are signed with in development: made, read, written, and never printed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use p256::ecdsa::signature::Signer as _;
use remit_core::keys::Algorithm;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Signer as _};
use serde_json::{Map, Value, json};

/// Size of the RSA keys that are made, in bits.
const RSA_BITS: usize = 2048;
/// The shortest HS256 secret, in bytes (RFC 7518 section 3.2).
const MIN_SECRET_BYTES: usize = 32;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Neither a private JWK nor PEM.
    #[error("neither a private JWK (RFC 7517) nor a private key in PEM")]
    Form,
    /// Not a key of the wanted algorithm.
    #[error("not a private key for {algorithm}")]
    Mismatch {
        /// The wanted algorithm.
        algorithm: Algorithm,
    },
    /// The file does not say for which algorithm the key is.
    #[error("the key does not say its `alg`: name it, as in ES256")]
    AlgorithmMissing,
    /// The `alg` is none that Remit verifies.
    #[error("alg {name:?} is none of ES256, ES384, EdDSA, RS256 to RS512, PS256 to PS512, HS256")]
    AlgorithmUnknown {
        /// What the key says.
        name: String,
    },
    /// The wanted algorithm is another one than the key says.
    #[error("the key is for {key}, not for {wanted}")]
    AlgorithmDiffers {
        /// What the key says.
        key: Algorithm,
        /// What was asked for.
        wanted: Algorithm,
    },
    /// A secret under 32 bytes.
    #[error("an HS256 secret has at least {MIN_SECRET_BYTES} bytes")]
    SecretTooShort,
    /// The key cannot be made.
    #[error("a key for {algorithm} cannot be made")]
    Generation {
        /// The wanted algorithm.
        algorithm: Algorithm,
    },
}

/// A private key with its `kid`.
pub struct SigningKey {
    kid: String,
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    Es256(ES256KeyPair),
    Es384(ES384KeyPair),
    EdDsa(Ed25519KeyPair),
    /// RSA signs through the crate that can sign any bytes; jwt-simple reads and writes the key.
    Rsa(RS256KeyPair, Box<rsa::RsaPrivateKey>),
    Hs256(HS256Key),
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Makes a key. Without `kid` it is named by its thumbprint (RFC 7638).
    ///
    /// # Errors
    ///
    /// [`KeyError::Generation`].
    pub fn generate(algorithm: Algorithm, kid: Option<&str>) -> Result<Self, KeyError> {
        let material = match algorithm {
            Algorithm::Es256 => Material::Es256(ES256KeyPair::generate()),
            Algorithm::Es384 => Material::Es384(ES384KeyPair::generate()),
            Algorithm::EdDsa => Material::EdDsa(Ed25519KeyPair::generate()),
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => {
                let pair =
                    RS256KeyPair::generate(RSA_BITS).map_err(|_| KeyError::Generation { algorithm })?;
                Material::rsa(pair).ok_or(KeyError::Generation { algorithm })?
            }
            Algorithm::Hs256 => Material::Hs256(HS256Key::generate()),
        };
        Ok(Self::named(material, algorithm, kid.map(str::to_owned)))
    }

    fn named(material: Material, algorithm: Algorithm, kid: Option<String>) -> Self {
        let kid = kid.unwrap_or_else(|| material.thumbprint());
        Self { kid, algorithm, material }
    }

    /// Reads a key from PEM (PKCS #8, PKCS #1) or from a private JWK. PEM does not say `alg`; a JWK may.
    ///
    /// # Errors
    ///
    /// See [`KeyError`]. No error repeats any of the text.
    pub fn parse(text: &str, wanted: Option<Algorithm>) -> Result<Self, KeyError> {
        if text.trim_start().starts_with("-----BEGIN ") {
            let algorithm = wanted.ok_or(KeyError::AlgorithmMissing)?;
            let material =
                Material::from_pem(text.trim(), algorithm).ok_or(KeyError::Mismatch { algorithm })?;
            return Ok(Self::named(material, algorithm, None));
        }
        let Ok(Value::Object(jwk)) = remit_core::json::parse(text.as_bytes(), 4) else {
            return Err(KeyError::Form);
        };
        let named =
            match jwk.get("alg").and_then(Value::as_str) {
                Some(name) => {
                    let named = Algorithm::parse(name);
                    Some(named.ok_or_else(|| KeyError::AlgorithmUnknown {
                        name: name.chars().take(32).collect(),
                    })?)
                }
                None => None,
            };
        let algorithm = match (named, wanted) {
            (Some(key), Some(wanted)) if key != wanted => {
                return Err(KeyError::AlgorithmDiffers { key, wanted });
            }
            (named, wanted) => named.or(wanted).ok_or(KeyError::AlgorithmMissing)?,
        };
        let kid = jwk.get("kid").and_then(Value::as_str).map(str::to_owned);
        Ok(Self::named(Material::from_jwk(jwk, algorithm)?, algorithm, kid))
    }

    /// A secret for HS256 that is this text itself, as OPA takes it.
    ///
    /// # Errors
    ///
    /// [`KeyError::SecretTooShort`].
    pub fn from_secret(text: &str) -> Result<Self, KeyError> {
        if text.len() < MIN_SECRET_BYTES {
            return Err(KeyError::SecretTooShort);
        }
        let material = Material::Hs256(HS256Key::from_bytes(text.as_bytes()));
        Ok(Self::named(material, Algorithm::Hs256, None))
    }

    /// The key with another `kid`.
    #[must_use]
    pub fn with_kid(mut self, kid: &str) -> Self {
        kid.clone_into(&mut self.kid);
        self
    }

    /// Its `kid`.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key as a JWK; `None` for a secret, which has none.
    #[must_use]
    pub fn public_jwk(&self) -> Option<Value> {
        let text = match &self.material {
            Material::Es256(pair) => pair.public_key().to_jwk(),
            Material::Es384(pair) => pair.public_key().to_jwk(),
            Material::EdDsa(pair) => pair.public_key().to_jwk(),
            Material::Rsa(pair, _) => pair.public_key().to_jwk(),
            Material::Hs256(_) => return None,
        };
        Some(self.labelled(&text, "verify"))
    }

    /// The thumbprint of the public key as a URI (RFC 9278).
    #[must_use]
    pub fn thumbprint_uri(&self) -> String {
        format!("urn:ietf:params:oauth:jwk-thumbprint:sha-256:{}", self.material.thumbprint())
    }

    /// What a configuration has for this key under `keys`: an inline JWK Set, or the secret.
    #[must_use]
    pub fn key_source(&self) -> Value {
        match (&self.material, self.public_jwk()) {
            (_, Some(jwk)) => json!({"inline": {"keys": [jwk]}}),
            (Material::Hs256(key), _) => json!({"secret": URL_SAFE_NO_PAD.encode(key.to_bytes())}),
            (_, None) => Value::Null,
        }
    }

    /// The private key as a JWK, for a file of the key's owner.
    #[must_use]
    pub fn private_jwk(&self) -> String {
        let text = match &self.material {
            Material::Es256(pair) => pair.to_jwk(),
            Material::Es384(pair) => pair.to_jwk(),
            Material::EdDsa(pair) => pair.to_jwk(),
            Material::Rsa(pair, _) => pair.to_jwk(),
            Material::Hs256(key) => {
                json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(key.to_bytes())}).to_string()
            }
        };
        self.labelled(&text, "sign").to_string()
    }

    fn labelled(&self, jwk: &str, operation: &str) -> Value {
        let mut jwk: Map<String, Value> = serde_json::from_str(jwk).unwrap_or_default();
        jwk.insert("kid".to_owned(), json!(self.kid));
        jwk.insert("alg".to_owned(), json!(self.algorithm));
        jwk.insert("use".to_owned(), json!("sig"));
        jwk.insert("key_ops".to_owned(), json!([operation]));
        Value::Object(jwk)
    }

    /// A token with this `typ`, this key's `alg` and `kid`, and exactly these claims.
    #[must_use]
    pub fn sign(&self, typ: &str, claims: &Value) -> String {
        self.sign_with_header(&json!({"typ": typ, "alg": self.algorithm, "kid": self.kid}), claims)
    }

    /// A token with exactly this header and these claims, however wrong they are.
    #[must_use]
    pub fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        self.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    /// A token of these bytes: for what no JSON value can say, such as a claim that is given twice.
    #[must_use]
    pub fn sign_bytes(&self, header: &[u8], claims: &[u8]) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.signature(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, signed: &[u8]) -> Vec<u8> {
        match (&self.material, self.algorithm) {
            (Material::Es256(pair), _) => {
                let signature: p256::ecdsa::Signature = pair.key_pair().as_ref().sign(signed);
                signature.to_bytes().to_vec()
            }
            (Material::EdDsa(pair), _) => pair.key_pair().as_ref().sk.sign(signed, None).to_vec(),
            (Material::Es384(pair), _) => {
                let signature: p384::ecdsa::Signature = pair.key_pair().as_ref().sign(signed);
                signature.to_bytes().to_vec()
            }
            (Material::Rsa(_, key), algorithm) => rsa_signature(key, algorithm, signed),
            (Material::Hs256(key), _) => key.authentication_tag(signed),
        }
    }
}

fn rsa_signature(key: &rsa::RsaPrivateKey, algorithm: Algorithm, signed: &[u8]) -> Vec<u8> {
    use rsa::{pkcs1v15, pss};
    let (key, mut rng) = (key.clone(), rsa::rand_core::OsRng);
    match algorithm {
        Algorithm::Ps256 => pss::SigningKey::<Sha256>::new(key).sign_with_rng(&mut rng, signed).to_vec(),
        Algorithm::Ps384 => pss::SigningKey::<Sha384>::new(key).sign_with_rng(&mut rng, signed).to_vec(),
        Algorithm::Ps512 => pss::SigningKey::<Sha512>::new(key).sign_with_rng(&mut rng, signed).to_vec(),
        Algorithm::Rs384 => pkcs1v15::SigningKey::<Sha384>::new(key).sign(signed).to_vec(),
        Algorithm::Rs512 => pkcs1v15::SigningKey::<Sha512>::new(key).sign(signed).to_vec(),
        _ => pkcs1v15::SigningKey::<Sha256>::new(key).sign(signed).to_vec(),
    }
}

impl Material {
    fn rsa(pair: RS256KeyPair) -> Option<Self> {
        let der = pair.to_der().ok()?;
        let key =
            rsa::RsaPrivateKey::from_pkcs8_der(&der).or_else(|_| rsa::RsaPrivateKey::from_pkcs1_der(&der));
        Some(Self::Rsa(pair, Box::new(key.ok()?)))
    }

    fn from_pem(text: &str, algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Es256 => ES256KeyPair::from_pem(text).ok().map(Self::Es256),
            Algorithm::EdDsa => Ed25519KeyPair::from_pem(text).ok().map(Self::EdDsa),
            Algorithm::Es384 => ES384KeyPair::from_pem(text).ok().map(Self::Es384),
            Algorithm::Hs256 => None,
            _ => RS256KeyPair::from_pem(text).ok().and_then(Self::rsa),
        }
    }

    fn from_jwk(mut jwk: Map<String, Value>, algorithm: Algorithm) -> Result<Self, KeyError> {
        let mismatch = || KeyError::Mismatch { algorithm };
        if algorithm == Algorithm::Hs256 {
            let secret =
                jwk.get("k").and_then(Value::as_str).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            let secret = secret.filter(|_| jwk.get("kty") == Some(&json!("oct"))).ok_or_else(mismatch)?;
            if secret.len() < MIN_SECRET_BYTES {
                return Err(KeyError::SecretTooShort);
            }
            return Ok(Self::Hs256(HS256Key::from_bytes(&secret)));
        }
        // What the key may be used for was settled by the caller; one RSA key serves all of its algorithms here.
        for member in ["alg", "key_ops", "use"] {
            jwk.remove(member);
        }
        let text = Value::Object(jwk).to_string();
        match algorithm {
            Algorithm::Es256 => ES256KeyPair::from_jwk(&text).ok().map(Self::Es256),
            Algorithm::Es384 => ES384KeyPair::from_jwk(&text).ok().map(Self::Es384),
            Algorithm::EdDsa => Ed25519KeyPair::from_jwk(&text).ok().map(Self::EdDsa),
            _ => RS256KeyPair::from_jwk(&text).ok().and_then(Self::rsa),
        }
        .ok_or_else(mismatch)
    }

    fn thumbprint(&self) -> String {
        match self {
            Self::Es256(pair) => pair.jwk_thumbprint(),
            Self::Es384(pair) => pair.jwk_thumbprint(),
            Self::EdDsa(pair) => pair.jwk_thumbprint(),
            Self::Rsa(pair, _) => pair.jwk_thumbprint(),
            // A digest of a secret could be used to guess it; verification does not look at this name.
            Self::Hs256(_) => "secret".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use remit_core::keys::{KeyLimits, KeySet};

    use super::*;

    /// Whether the filter's own key set takes the token's signature.
    fn verifies(key: &SigningKey, token: &str) -> bool {
        let source = key.key_source();
        let set = match source.get("secret").and_then(Value::as_str) {
            Some(secret) => KeySet::from_secret(secret).unwrap(),
            None => {
                let set = source["inline"].to_string();
                KeySet::parse(set.as_bytes(), &[key.algorithm()], &KeyLimits::default()).unwrap()
            }
        };
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        set.select(Some(key.kid())).unwrap().verify(key.algorithm(), signed.as_bytes(), &signature)
    }

    #[test]
    fn every_algorithm_signs_what_the_filter_verifies() {
        for algorithm in Algorithm::ALL {
            let key = SigningKey::generate(algorithm, Some("k1")).unwrap();
            let token = key.sign("at+jwt", &json!({"iat": 1.5, "exp": -3}));
            assert!(verifies(&key, &token), "{algorithm}");
            let read = SigningKey::parse(&key.private_jwk(), None).unwrap();
            assert_eq!((read.kid(), read.algorithm()), ("k1", algorithm));
            assert!(verifies(&key, &read.sign("at+jwt", &json!({}))), "{algorithm} from its JWK");
        }
    }

    #[test]
    fn header_and_claims_are_what_was_asked_for() {
        let key = SigningKey::generate(Algorithm::Es256, Some("k1")).unwrap();
        let token = key.sign("at+jwt", &json!({"exp": 1.5, "iat": -1, "aud": ["a", "b"]}));
        let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
        let header: Value = serde_json::from_slice(&parts.next().unwrap()).unwrap();
        assert_eq!(header, json!({"typ": "at+jwt", "alg": "ES256", "kid": "k1"}));
        assert_eq!(parts.next().unwrap(), br#"{"aud":["a","b"],"exp":1.5,"iat":-1}"#);
        let twice = key.sign_bytes(br#"{"alg":"none"}"#, br#"{"sub":"a","sub":"b"}"#);
        let claims = twice.split('.').nth(1).unwrap();
        assert_eq!(URL_SAFE_NO_PAD.decode(claims).unwrap(), br#"{"sub":"a","sub":"b"}"#);
    }

    #[test]
    fn keys_are_named_by_their_thumbprint() {
        let key = SigningKey::generate(Algorithm::EdDsa, None).unwrap();
        assert_eq!(key.kid().len(), 43);
        assert!(!format!("{key:?}").contains("Ed25519"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let es256 = SigningKey::generate(Algorithm::Es256, None).unwrap().private_jwk();
        for (text, wanted, expected) in [
            ("", None, "neither"),
            ("[]", None, "neither"),
            ("secret words", None, "neither"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", None, "does not say its `alg`"),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
                Some(Algorithm::Es256),
                "for ES256",
            ),
            (r#"{"kty":"EC"}"#, Some(Algorithm::Es256), "for ES256"),
            (r#"{"kty":"EC","alg":"ES512"}"#, None, "\"ES512\" is none of"),
            (r#"{"kty":"oct","k":"c2hvcnQ","alg":"HS256"}"#, None, "at least 32"),
            (&es256, Some(Algorithm::Rs256), "for ES256, not for RS256"),
        ] {
            let error = SigningKey::parse(text, wanted).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("AAAA"), "{text}: {error}");
        }
    }
}
