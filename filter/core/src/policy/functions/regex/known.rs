//! Patterns that have been compiled: those of the policy's text when it loads, others when they come, as far as there is room.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use regorus::unstable::Expr;

use super::pattern::{Pattern, Refused};
use crate::policy::survey::Survey;

/// How much the compiled patterns of a policy take at most, and those that came with requests.
const MOST_BYTES: usize = 1024 * 1024;

type Compiled = Result<Rc<Pattern>, Refused>;

/// The patterns of a policy.
#[derive(Debug, Default)]
pub(in crate::policy) struct Patterns {
    constant: Kept,
    others: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    compiled: BTreeMap<String, Compiled>,
    bytes: usize,
}

impl Patterns {
    /// With the patterns that stand in calls.
    pub(in crate::policy) fn of(survey: &Survey<'_>) -> Self {
        let mut constant = Kept::default();
        for call in &survey.builtin_calls {
            let at = match call.name.as_str() {
                "regex.replace" => 1,
                // Made of more than one argument.
                "regex.template_match" => continue,
                "re_match" => 0,
                name if name.starts_with("regex.") => 0,
                _ => continue,
            };
            let argument = call.arguments.get(at).map(|argument| argument.as_ref());
            if let Some(Expr::String { value, .. } | Expr::RawString { value, .. }) = argument
                && let Ok(pattern) = value.as_string()
                && !constant.compiled.contains_key(pattern.as_ref())
            {
                constant.keep(pattern, &compile(pattern));
            }
        }
        Self { constant, others: RefCell::default() }
    }

    /// The program of a pattern.
    pub(super) fn compiled(&self, pattern: &str) -> Compiled {
        if let Some(compiled) = self.constant.compiled.get(pattern) {
            return compiled.clone();
        }
        let mut others = self.others.borrow_mut();
        if let Some(compiled) = others.compiled.get(pattern) {
            return compiled.clone();
        }
        let compiled = compile(pattern);
        if !others.keep(pattern, &compiled) {
            *others = Kept::default();
            others.keep(pattern, &compiled);
        }
        compiled
    }
}

fn compile(pattern: &str) -> Compiled {
    Pattern::compile(pattern).map(Rc::new)
}

impl Kept {
    /// Keeps a program if there is room.
    fn keep(&mut self, pattern: &str, compiled: &Compiled) -> bool {
        let program = compiled.as_ref().map_or(0, |compiled| compiled.bytes());
        let bytes = self.bytes.saturating_add(pattern.len()).saturating_add(program).saturating_add(ENTRY);
        if bytes > MOST_BYTES {
            return false;
        }
        self.bytes = bytes;
        self.compiled.insert(pattern.to_owned(), compiled.clone());
        true
    }
}

/// What an entry takes besides.
const ENTRY: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded() {
        let patterns = Patterns::default();
        for number in 0..200 {
            let pattern = format!("^{number}[a-z]{{1000}}$");
            assert!(patterns.compiled(&pattern).is_ok());
            assert!(patterns.compiled(&pattern).is_ok());
            let others = patterns.others.borrow();
            assert!(others.bytes <= MOST_BYTES && others.compiled.contains_key(&pattern));
        }
        let long = "a".repeat(2 * MOST_BYTES);
        assert_eq!(patterns.compiled(&long).unwrap_err(), Refused::TooLarge);
        assert!(patterns.others.borrow().compiled.is_empty());
    }
}
