//! Facts in the bundle's data that the filter itself reads: shapes taken apart by hand, faults named by JSON pointer.

use serde_json::{Map, Value};

/// What is wrong with facts, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{document} at {}: {problem}", if .pointer.is_empty() { "the top level" } else { .pointer.as_str() })]
pub struct FactsError {
    /// As `data.remit.registry`.
    pub document: &'static str,
    /// JSON pointer (RFC 6901) below it.
    pub pointer: String,
    /// What is wrong and what to do.
    pub problem: &'static str,
}

/// A value in a document, and where it is.
#[derive(Debug, Clone)]
pub(crate) struct Fact<'a> {
    document: &'static str,
    pointer: String,
    value: &'a Value,
}

impl<'a> Fact<'a> {
    pub(crate) fn new(document: &'static str, value: &'a Value) -> Self {
        Self { document, pointer: String::new(), value }
    }

    pub(crate) fn fault(&self, problem: &'static str) -> FactsError {
        FactsError { document: self.document, pointer: self.pointer.clone(), problem }
    }

    fn below(&self, segment: &str, value: &'a Value) -> Self {
        let segment = segment.replace('~', "~0").replace('/', "~1");
        Self { document: self.document, pointer: format!("{}/{segment}", self.pointer), value }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    fn object(&self, problem: &'static str) -> Result<&'a Map<String, Value>, FactsError> {
        self.value.as_object().ok_or_else(|| self.fault(problem))
    }

    /// The members of an object with names of the operator's own.
    pub(crate) fn members(&self, problem: &'static str) -> Result<Vec<(&'a str, Self)>, FactsError> {
        let members = self.object(problem)?.iter();
        Ok(members.map(|(name, value)| (name.as_str(), self.below(name, value))).collect())
    }

    /// Holds that an object has no other members than these: one that is misspelt would restrict nothing.
    pub(crate) fn only(&self, known: &[&str], problem: &'static str) -> Result<(), FactsError> {
        match self.object(problem)?.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, value)) => Err(self.below(name, value).fault("this member is not known")),
            None => Ok(()),
        }
    }

    /// A member that may be absent; null is the same as absent.
    pub(crate) fn member(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(self.below(name, value))
    }

    pub(crate) fn items(&self, problem: &'static str) -> Result<Vec<Self>, FactsError> {
        let items = self.value.as_array().ok_or_else(|| self.fault(problem))?;
        Ok(items.iter().enumerate().map(|(i, item)| self.below(&i.to_string(), item)).collect())
    }

    /// A text with something in it.
    pub(crate) fn text(&self) -> Result<&'a str, FactsError> {
        match self.value.as_str() {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.fault("a text that is not empty")),
        }
    }

    pub(crate) fn required_text(&self, name: &str, problem: &'static str) -> Result<&'a str, FactsError> {
        self.member(name).ok_or_else(|| self.fault(problem))?.text()
    }

    /// Holds that this is an array of texts, none of them empty.
    pub(crate) fn texts(&self) -> Result<(), FactsError> {
        self.items("an array of texts")?.iter().try_for_each(|item| item.text().map(drop))
    }
}
