//! Development keys: one key pair for each issuer that a capture names, made afresh for every replay.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::capture::IssuerKey;
use crate::signing::{KeyError, SigningKey};

/// The private keys of the issuers of a capture, by `iss`.
#[derive(Debug, Default)]
pub struct Keyring {
    keys: BTreeMap<String, SigningKey>,
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
        Ok(Self { keys })
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
