//! What goes in and out of the pipeline: what the shell has, what the pipeline needs, and what it concludes.

use std::fmt;

use super::Conclusion;
use crate::engine::SourceId;
use crate::ids::hex;
use crate::policy::{HttpCall, HttpReply};
use crate::request::Circumstances;
use crate::token::{SignatureCheck, Unverified};

/// 32 random bytes of the shell's, from which an exchange names its decision and a challenge.
#[derive(Debug, Clone)]
pub struct Nonce {
    decision_id: String,
    challenge: [u8; 16],
    sample: u32,
}

impl Nonce {
    /// The names that come of these bytes.
    #[must_use]
    pub fn new(random: &[u8; 32]) -> Self {
        let (decision, rest) = random.split_at(16);
        let mut challenge = [0; 16];
        challenge.copy_from_slice(rest);
        let sample = decision.iter().take(4).fold(0, |number, byte| number << 8 | u32::from(*byte));
        Self { decision_id: hex(decision), challenge, sample }
    }

    /// The decision id: 32 hexadecimal digits.
    #[must_use]
    pub fn decision_id(&self) -> &str {
        &self.decision_id
    }

    /// A number of which samples are taken: that of the decision id's first eight digits.
    #[must_use]
    pub fn sample(&self) -> u32 {
        self.sample
    }

    /// What a policy draws from: it is not told unless a challenge is opened, and then after the decision.
    #[must_use]
    pub(super) fn lots(&self) -> [u8; 16] {
        self.challenge
    }

    /// The id of a challenge, if one is opened: 32 hexadecimal digits.
    #[must_use]
    pub fn challenge_id(&self) -> String {
        hex(&self.challenge)
    }
}

/// A body, as far as it was read.
#[derive(Debug)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It is larger than the limit that was asked for.
    TooLarge,
    /// It did not arrive within `limits.body_seconds`.
    Late,
    /// The host has it, and does not give it.
    Unreadable,
}

/// What became of a write to the proxy's shared data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is stored.
    Done,
    /// Somebody else was faster.
    Conflict,
    /// It is not stored.
    Failed,
}

/// What the shell tells the pipeline.
#[derive(Debug)]
pub enum Event {
    /// The request's headers.
    Headers {
        /// Names and values in the order in which they came, pseudo-headers included.
        pairs: Vec<(String, Vec<u8>)>,
        /// Whether the request ends with them.
        ends: bool,
        /// What the proxy knows besides, as far as the policy reads it.
        circumstances: Circumstances,
    },
    /// The answer to [`Need::Body`].
    Body(Body),
    /// The answer to [`Need::Keys`]: they were fetched, or could not be, or time is over.
    Keys {
        /// What the proxy knows besides, as far as the policy reads it by now.
        circumstances: Circumstances,
    },
    /// The answer to [`Need::HttpCall`].
    HttpReply(HttpReply),
    /// The answer to [`Need::Signature`]: `None` when the host cannot say, and the module checks.
    Signature(Option<bool>),
    /// The answer to [`Need::Certificate`]: SHA-256 in hexadecimal digits, from the proxy's own TLS and nowhere else.
    Certificate(Option<String>),
    /// The answer to [`Need::State`]: the value, if any, and its version. `None` when it cannot be read.
    State(Option<(Option<Vec<u8>>, u32)>),
    /// The answer to [`Need::Store`].
    Stored(Stored),
}

/// What the pipeline asks the shell for.
#[derive(Debug)]
pub enum Need {
    /// The body, up to a limit in bytes.
    Body {
        /// The limit.
        limit: usize,
    },
    /// The next answer of a source of keys.
    Keys {
        /// Which one. It is due or under way.
        source: SourceId,
        /// How long the wait may take, in milliseconds.
        timeout_ms: u64,
    },
    /// An answer that the policy asks for with `http.send`.
    HttpCall(HttpCall),
    /// Whether a signature is good, if the host can tell.
    Signature(SignatureQuestion),
    /// The digest of the client's certificate on this connection.
    Certificate,
    /// A value of the proxy's shared data.
    State {
        /// Its key.
        key: String,
    },
    /// A value of the proxy's shared data to be replaced, if its version is still this one.
    Store {
        /// Its key.
        key: String,
        /// The new value.
        value: Vec<u8>,
        /// The version that it replaces; 0 for none.
        version: u32,
    },
}

/// What a host needs to check a signature.
#[derive(Clone, PartialEq, Eq)]
pub struct SignatureQuestion {
    /// SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// Name of the digest, as `SHA256`.
    pub hash: &'static str,
    /// RSASSA-PKCS1-v1_5: as in the token. ECDSA: in DER.
    pub signature: Vec<u8>,
    /// The bytes that are signed.
    pub signed: Vec<u8>,
}

impl fmt::Debug for SignatureQuestion {
    /// Without what would make a usable token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureQuestion").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl SignatureQuestion {
    /// The question, where the host may be asked and hosts can answer it.
    pub(super) fn for_host(unverified: &Unverified, may_ask: bool) -> Option<Self> {
        unverified.signature_check().filter(|_| may_ask).map(Self::from)
    }
}

impl From<SignatureCheck<'_>> for SignatureQuestion {
    fn from(check: SignatureCheck<'_>) -> Self {
        Self {
            spki_der: check.spki_der.to_vec(),
            hash: check.hash,
            signature: check.signature,
            signed: check.signed.to_vec(),
        }
    }
}

/// The next step.
#[derive(Debug)]
pub enum Step {
    /// Something is needed first.
    Need(Need),
    /// The exchange is over.
    Done(Box<Conclusion>),
}
