//! Waiting for an issuer's keys: when one may help, who may wait, and what is tried again afterwards.

use super::conclude::Refusal;
use super::event::{Need, Step};
use super::{Exchange, Stage};
use crate::engine::{Engine, SourceId};
use crate::ids::Now;
use crate::source::{Missing, NoWait, Ticket};
use crate::token::{Carrier, TokenError};

/// What became of a wait for keys, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyWait {
    /// The key came.
    Resolved,
    /// It did not: not in the answer, no good answer, or none in time.
    InVain,
    /// Nobody waited: the issuer was asked a moment ago.
    TooSoon,
    /// Nobody waited: `limits.key_waits` others did.
    Full,
}

impl KeyWait {
    /// The name in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::InVain => "in_vain",
            Self::TooSoon => "too_soon",
            Self::Full => "full",
        }
    }
}

/// Whose signature cannot be checked yet.
#[derive(Debug)]
pub(super) enum Credential {
    /// A token, as it came in its header.
    Token(Carrier, String),
    /// The approval.
    Approval,
}

/// A wait that is under way.
#[derive(Debug)]
pub(super) struct Awaiting {
    credential: Credential,
    /// Held until the wait is over: others count it.
    ticket: Ticket,
}

impl Exchange {
    /// Waits for the keys that `error` says are missing; each credential once.
    ///
    /// # Errors
    ///
    /// `error` itself, where no keys can be waited for.
    pub(super) fn await_keys(
        &mut self,
        engine: &mut Engine,
        error: TokenError,
        source: SourceId,
        credential: Credential,
        now: Now,
    ) -> Result<Step, TokenError> {
        let missing = match error {
            TokenError::KeyUnknown => Missing::Newer,
            TokenError::KeySetUnavailable => Missing::Any,
            _ => return Err(error),
        };
        if std::mem::take(&mut self.has_waited) {
            self.counted.key_wait = Some(KeyWait::InVain);
            return Err(error);
        }
        match engine.wait_for(&source, missing, now.seconds()) {
            Ok(ticket) => {
                let until = *self.keys_until.get_or_insert(now.plus_millis(ticket.timeout_ms));
                let timeout_ms = until.millis_since(now).min(ticket.timeout_ms);
                if timeout_ms == 0 {
                    self.counted.key_wait = Some(KeyWait::InVain);
                    return Err(error);
                }
                self.stage = Stage::Keys(Box::new(Awaiting { credential, ticket }));
                Ok(Step::Need(Need::Keys { source, timeout_ms }))
            }
            Err(why) => {
                self.counted.key_wait = match why {
                    NoWait::NotFetched => None,
                    NoWait::TooSoon => Some(KeyWait::TooSoon),
                    NoWait::Full => Some(KeyWait::Full),
                };
                Err(error)
            }
        }
    }

    /// Tries again with whatever keys there are now.
    pub(super) fn keys_answered(
        &mut self,
        engine: &mut Engine,
        awaiting: Awaiting,
        now: Now,
    ) -> Result<Step, Refusal> {
        self.has_waited = true;
        self.counted.key_wait = Some(KeyWait::Resolved);
        let Awaiting { credential, ticket } = awaiting;
        drop(ticket);
        let step = match credential {
            Credential::Token(carrier, text) => self.check_token(engine, carrier, &text, now),
            Credential::Approval => self.present_approval(engine, now),
        };
        self.has_waited = false;
        step
    }
}
