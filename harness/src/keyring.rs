//! Development keys: one key pair for each issuer that a capture names, made afresh for every replay.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::capture::{IssuerKey, Template};
use crate::proof::confirmation;
use crate::signing::{KeyError, SigningKey};

/// The private keys of the issuers of a capture, by `iss`.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: BTreeMap<String, SigningKey>,
    /// The agents' own keys, by the names of the tokens that are bound to them.
    proofs: BTreeMap<String, SigningKey>,
}

impl Keyring {
    /// Makes the keys.
    ///
    /// # Errors
    ///
    /// [`KeyError::Generation`].
    pub fn generate(issuers: &BTreeMap<String, IssuerKey>) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        for (iss, IssuerKey { alg, kid }) in issuers {
            keys.insert(iss.clone(), SigningKey::generate(*alg, Some(kid))?);
        }
        Ok(Self { keys, proofs: BTreeMap::new() })
    }

    /// Makes the keys that tokens are to be bound to, and binds them.
    ///
    /// # Errors
    ///
    /// [`KeyError::Generation`].
    pub fn bind(&mut self, tokens: &mut BTreeMap<String, Template>) -> Result<(), KeyError> {
        for (name, template) in tokens {
            let Some(algorithm) = template.dpop else { continue };
            let key = SigningKey::generate(algorithm, Some(name))?;
            let cnf = confirmation(&key, template.claims.get("cnf"));
            template.claims.insert("cnf".to_owned(), cnf);
            self.proofs.insert(name.clone(), key);
        }
        Ok(())
    }

    /// The key that a token is bound to.
    #[must_use]
    pub fn proof_key(&self, token: &str) -> Option<&SigningKey> {
        self.proofs.get(token)
    }

    /// The key of an issuer.
    #[must_use]
    pub fn key(&self, iss: &str) -> Option<&SigningKey> {
        self.keys.get(iss)
    }

    /// The public half of an issuer's key, as a configuration has it under `keys`.
    #[must_use]
    pub fn source(&self, iss: &str) -> Option<Value> {
        self.key(iss).map(SigningKey::key_source)
    }
}
