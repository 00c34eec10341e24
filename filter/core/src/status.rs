//! Token status lists (draft-ietf-oauth-status-list): what a token says about its status, and lists that say it is so.

mod error;
mod list;
mod lists;
#[cfg(test)]
pub(crate) mod tests;

use serde_json::{Map, Value};

use crate::token::TokenError;

pub use error::{StatusError, StatusListError};
pub use list::{StatusLimits, StatusList};
pub use lists::StatusLists;

/// A token's place in a status list: the claim `status.status_list` (section 6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReference {
    /// Which list; compared exactly.
    pub uri: String,
    /// Which of its statuses, from 0.
    pub index: u64,
}

impl StatusReference {
    /// Reads the claim; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`TokenError::ClaimMalformed`], also for a status that is told by another mechanism, which nobody would ask.
    pub fn read(claims: &Map<String, Value>) -> Result<Option<Self>, TokenError> {
        let Some(status) = claims.get("status") else { return Ok(None) };
        let list = status.get("status_list");
        let index = list.and_then(|list| list.get("idx")?.as_u64());
        let uri = list.and_then(|list| list.get("uri")?.as_str());
        match (index, uri) {
            (Some(index), Some(uri)) if !uri.is_empty() => Ok(Some(Self { uri: uri.to_owned(), index })),
            _ => Err(TokenError::ClaimMalformed { claim: "status" }),
        }
    }
}
