//! `.signatures.json`: who vouches for the files of a bundle, and that these are the files.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::archive::Files;
use super::error::BundleError;
use super::hash::{self, Hash};
use super::{document, path};
use crate::config::{BundleKeys, Signing};
use crate::keys::{Algorithm, Key, KeyFault};
use crate::token::{Parts, TokenError, TokenLimits, parameter};

/// The file's name; OPA finds it in any folder.
pub(super) const NAME: &str = ".signatures.json";

/// The keys and demands that a bundle's signature is held against.
#[derive(Debug, Default)]
pub struct Verification {
    keys: BTreeMap<String, PreparedKey>,
    required: bool,
    keyid: Option<String>,
    scope: Option<String>,
    exclude: Vec<String>,
    unsigned_deltas: bool,
}

#[derive(Debug)]
struct PreparedKey {
    key: Key,
    algorithm: Algorithm,
    scope: String,
}

/// Why keys and demands cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// A key that cannot be used.
    #[error("/keys: {keyid:?}: {fault}")]
    Key {
        /// Its id.
        keyid: String,
        /// What is wrong with it.
        fault: KeyFault,
    },
    /// `signing` without any key.
    #[error("/signing: there are no `keys` to verify a signature with")]
    NoKeys,
    /// `keyid` names no key.
    #[error("/signing: keyid {keyid:?} is none of the `keys`")]
    KeyUnknown {
        /// The id.
        keyid: String,
    },
    /// A pattern with more than `*` and `?`.
    #[error("/signing: exclude_files: {pattern:?}: only `*` and `?` are served")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
}

/// What is wrong with a signature, or with a file that it is about.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFault {
    /// No signature where one is asked for.
    #[error("the bundle is not signed, and its source asks for a signature: sign it, or leave `signing` out")]
    Missing,
    /// No key is configured.
    #[error("bundle is signed, and no key is configured to verify it with")]
    NoKeys,
    /// A second file of signatures.
    #[error("more than one .signatures.json")]
    Several,
    /// Not an object with `signatures`, an array of one string.
    #[error("not an object with `signatures`, an array of exactly one JWT")]
    Form,
    /// Made by a plug-in of somebody's own.
    #[error("made by the plug-in {name:?}, which is not served")]
    Plugin {
        /// Its name.
        name: String,
    },
    /// The JWT.
    #[error("the JWT: {0}")]
    Token(#[from] TokenError),
    /// The JWT names no key, and neither does the configuration.
    #[error("no key is named: neither by `keyid` of the configuration nor by `kid` of the JWT")]
    KeyIdMissing,
    /// The JWT names a key that is not configured.
    #[error("signed with the key {keyid:?}, which is not among the configured keys")]
    KeyUnknown {
        /// The id.
        keyid: String,
    },
    /// The JWT names another algorithm than the key's.
    #[error("signed with {found:?}; the key {keyid:?} is configured for {expected}")]
    Algorithm {
        /// The key's id.
        keyid: String,
        /// What the JWT says.
        found: String,
        /// What the key is for.
        expected: Algorithm,
    },
    /// The signature is not the key's.
    #[error("the signature is not that of the key {keyid:?}")]
    Invalid {
        /// The key's id.
        keyid: String,
    },
    /// Signed for something else.
    #[error("signed for the scope {found:?}, not for {expected:?}")]
    Scope {
        /// What the JWT says; empty for none.
        found: String,
        /// What is asked for; empty for none.
        expected: String,
    },
    /// `files` is not an array of objects with `name`, `hash` and `algorithm`.
    #[error("`files` of the JWT is not an array of objects with `name`, `hash` and `algorithm`")]
    Files,
    /// A hash that is not served.
    #[error("hashed with {algorithm:?}: SHA-256, SHA-384 and SHA-512 are served")]
    HashAlgorithm {
        /// Its name.
        algorithm: String,
    },
    /// Named twice.
    #[error("the signature names this file twice")]
    FileTwice,
    /// Not among the signed files.
    #[error("not covered by the bundle's signature")]
    FileUnsigned,
    /// Signed and not there.
    #[error("covered by the bundle's signature, and not in the bundle")]
    FileAbsent,
    /// Another content than what was signed.
    #[error("not as it was signed: its digest is another one")]
    FileChanged,
    /// A delta, which has no signature.
    #[error("a delta bundle cannot be signed, and its source asks for a signature")]
    Delta,
}

impl Verification {
    /// Prepares keys, and the demands of one source. Without demands a bundle need not be signed; if it is, and there are
    /// keys, the signature has to be good.
    ///
    /// # Errors
    ///
    /// See [`SigningError`].
    pub fn new(keys: &BundleKeys, signing: Option<&Signing>) -> Result<Self, SigningError> {
        let mut prepared = BTreeMap::new();
        for (keyid, given) in keys {
            let key = Key::from_text(&given.key, given.algorithm)
                .map_err(|fault| SigningError::Key { keyid: keyid.clone(), fault })?;
            let scope = given.scope.clone();
            prepared.insert(keyid.clone(), PreparedKey { key, algorithm: given.algorithm, scope });
        }
        let mut verification = Self { keys: prepared, ..Self::default() };
        let Some(signing) = signing else { return Ok(verification) };
        if keys.is_empty() {
            return Err(SigningError::NoKeys);
        }
        if let Some(keyid) = signing.keyid.as_ref().filter(|keyid| !keys.contains_key(*keyid)) {
            return Err(SigningError::KeyUnknown { keyid: keyid.clone() });
        }
        if let Some(pattern) = signing.exclude_files.iter().find(|pattern| pattern.contains(['[', '\\'])) {
            return Err(SigningError::Pattern { pattern: pattern.clone() });
        }
        verification.required = true;
        verification.keyid.clone_from(&signing.keyid);
        verification.scope.clone_from(&signing.scope);
        verification.exclude.clone_from(&signing.exclude_files);
        verification.unsigned_deltas = signing.allow_unsigned_delta_bundles;
        Ok(verification)
    }

    /// Checks the signature and every file, and takes the file of signatures away.
    pub(super) fn check(&self, files: &mut Files) -> Result<(), BundleError> {
        let at = |path: &str, fault| BundleError::Signature { path: path.to_owned(), fault };
        let mut found = files.keys().filter(|path| path::name(path) == NAME);
        let Some(path) = found.next().cloned() else {
            return if self.required { Err(at(NAME, SignatureFault::Missing)) } else { Ok(()) };
        };
        if let Some(second) = found.next() {
            return Err(at(second, SignatureFault::Several));
        }
        let content = files.remove(&path).unwrap_or_default();
        if self.keys.is_empty() {
            return Err(at(&path, SignatureFault::NoKeys));
        }
        let claims = self.claims(&content).map_err(|fault| at(&path, fault))?;
        let mut listed =
            listed(&claims).map_err(|(name, fault)| at(name.as_deref().unwrap_or(&path), fault))?;
        for (path, content) in files.iter() {
            let signed = listed.remove(path);
            if self.exclude.iter().any(|pattern| path::matches_within_folder(pattern, path)) {
                continue;
            }
            let (hash, expected) = signed.ok_or_else(|| at(path, SignatureFault::FileUnsigned))?;
            if hash.of(&covered(path, content)?) != expected {
                return Err(at(path, SignatureFault::FileChanged));
            }
        }
        match listed.into_keys().next() {
            Some(absent) => Err(at(&absent, SignatureFault::FileAbsent)),
            None => Ok(()),
        }
    }

    /// Deltas carry no signature.
    pub(super) fn check_delta(&self, path: &str) -> Result<(), BundleError> {
        if self.required && !self.unsigned_deltas {
            return Err(BundleError::Signature { path: path.to_owned(), fault: SignatureFault::Delta });
        }
        Ok(())
    }

    /// The claims of the one JWT, if it is signed as it has to be.
    fn claims(&self, content: &[u8]) -> Result<Map<String, Value>, SignatureFault> {
        let document = crate::json::parse(content, 4).map_err(|_| SignatureFault::Form)?;
        match document.get("plugin") {
            None => {}
            Some(Value::String(name)) if name.is_empty() || name == "_default" => {}
            Some(name) => {
                let name = name.as_str().unwrap_or_default().chars().take(80).collect();
                return Err(SignatureFault::Plugin { name });
            }
        }
        let tokens = document.get("signatures").and_then(Value::as_array).map(Vec::as_slice);
        let Some([Value::String(token)]) = tokens else { return Err(SignatureFault::Form) };
        let limits = TokenLimits { max_bytes: token.len(), ..TokenLimits::default() };
        let parts = Parts::parse(token, None, &limits)?;
        let named = match &self.keyid {
            Some(keyid) => Some(keyid.clone()),
            None => parameter(&parts.header, "kid").map_err(TokenError::from)?,
        };
        let named = named.filter(|keyid| !keyid.is_empty());
        let claimed = || parts.claims.get("keyid").and_then(Value::as_str).map(str::to_owned);
        let keyid = named.or_else(claimed).ok_or(SignatureFault::KeyIdMissing)?;
        let Some(prepared) = self.keys.get(&keyid) else {
            return Err(SignatureFault::KeyUnknown { keyid: keyid.chars().take(80).collect() });
        };
        if Algorithm::parse(&parts.algorithm) != Some(prepared.algorithm) {
            let found = parts.algorithm.chars().take(16).collect();
            return Err(SignatureFault::Algorithm { keyid, found, expected: prepared.algorithm });
        }
        if !prepared.key.verify(prepared.algorithm, parts.signed.as_bytes(), &parts.signature) {
            return Err(SignatureFault::Invalid { keyid });
        }
        let expected = self.scope.as_ref().unwrap_or(&prepared.scope);
        let found = match parts.claims.get("scope") {
            None => "",
            Some(scope) => scope.as_str().unwrap_or("not a string"),
        };
        if found != expected {
            let (found, expected) = (found.chars().take(80).collect(), expected.clone());
            return Err(SignatureFault::Scope { found, expected });
        }
        Ok(parts.claims)
    }
}

type Fault = (Option<String>, SignatureFault);

/// The files of the claims by their normal paths, each with its hash.
fn listed(claims: &Map<String, Value>) -> Result<BTreeMap<String, (Hash, Vec<u8>)>, Fault> {
    let form = || (None, SignatureFault::Files);
    let mut listed = BTreeMap::new();
    for file in claims.get("files").and_then(Value::as_array).ok_or_else(form)? {
        let text = |member| file.get(member).and_then(Value::as_str).ok_or_else(form);
        let name = text("name")?;
        let name = path::normalise(name.as_bytes(), name.len()).map_err(|_| form())?;
        let algorithm = text("algorithm")?;
        let Some(hash) = Hash::parse(algorithm) else {
            let algorithm = algorithm.chars().take(32).collect();
            return Err((Some(name), SignatureFault::HashAlgorithm { algorithm }));
        };
        let digest = hexadecimal(text("hash")?).ok_or_else(form)?;
        if listed.insert(name.clone(), (hash, digest)).is_some() {
            return Err((Some(name), SignatureFault::FileTwice));
        }
    }
    Ok(listed)
}

/// What the digest of a file is of.
fn covered(path: &str, content: &[u8]) -> Result<Vec<u8>, BundleError> {
    let name = path::name(path);
    if name != super::manifest::PATH && !document::is_data(name) {
        return Ok(content.to_vec());
    }
    let text = document::json_text(path, content)?;
    hash::canonical(&text)
        .ok_or_else(|| BundleError::Signature { path: path.to_owned(), fault: SignatureFault::FileChanged })
}

/// What OPA's signature has as `hash` of a file, in lower-case hexadecimal.
///
/// # Errors
///
/// A data file or a manifest that does not parse.
pub fn file_digest(path: &str, content: &[u8], hash: Hash) -> Result<String, BundleError> {
    Ok(hash.of(&covered(path, content)?).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(
            |pair| {
                if let [high, low] = pair { Some(digit(high)?.checked_mul(16)? | digit(low)?) } else { None }
            },
        )
        .collect()
}
