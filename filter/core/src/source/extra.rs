//! What requests say besides what is asked: who asks.

use std::fmt;
use std::rc::Rc;

/// Headers that say who asks, any of which may be a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Extra(Rc<[(String, String)]>);

impl Extra {
    /// Names in lower case, and values.
    #[must_use]
    pub fn new(headers: Vec<(String, String)>) -> Self {
        Self(headers.into())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Extra {
    /// Names alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|(name, _)| name)).finish()
    }
}
