//! The cases of a test `test_x[case]`: those that were begun, and those that came out true.

use std::collections::BTreeMap;

use regorus::Value;

use crate::rego::Case;

/// A case, or a group of cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubResult {
    /// Whether it, or one of its own, did not come out true.
    pub fail: bool,
    /// Row of the last statement that was begun for a case that failed.
    pub failed_at: Option<u32>,
    /// Its own.
    pub cases: BTreeMap<String, SubResult>,
}

/// The cases by name, and whether one failed.
pub(super) fn results(
    value: &Value,
    begun: &[Case],
    row_of: impl Fn(usize) -> Option<u32>,
) -> (bool, BTreeMap<String, SubResult>) {
    let mut cases = of_value(value);
    for case in begun {
        let names: Vec<String> = case.name.iter().map(name).collect();
        missing(&mut cases, &names, case.last.and_then(&row_of));
    }
    (cases.values().any(|case| case.fail), cases)
}

fn of_value(value: &Value) -> BTreeMap<String, SubResult> {
    let Value::Object(fields) = value else { return BTreeMap::new() };
    let result = |value: &Value| match value {
        Value::Object(_) => {
            let cases = of_value(value);
            SubResult { fail: cases.values().any(|case| case.fail), failed_at: None, cases }
        }
        value => SubResult { fail: *value != Value::Bool(true), ..SubResult::default() },
    };
    fields.iter().map(|(key, value)| (name(key), result(value))).collect()
}

/// Adds a case that was begun; where it did not come out at all, it failed.
fn missing(cases: &mut BTreeMap<String, SubResult>, names: &[String], row: Option<u32>) -> bool {
    let Some((first, rest)) = names.split_first() else { return true };
    let case = cases.entry(first.clone()).or_insert_with(|| SubResult { fail: true, ..SubResult::default() });
    if rest.is_empty() {
        case.failed_at = row.filter(|_| case.fail);
        return case.fail;
    }
    let fail = missing(&mut case.cases, rest, row);
    case.fail |= fail;
    fail
}

/// A text as it is, anything else as JSON.
fn name(value: &Value) -> String {
    match value {
        Value::String(text) => text.as_ref().to_owned(),
        other => other.to_json_str().unwrap_or_else(|_| "INVALID".to_owned()).split_whitespace().collect(),
    }
}

impl SubResult {
    /// The cases that have none of their own, with their whole names.
    pub(super) fn leaves<'a>(
        cases: &'a BTreeMap<String, SubResult>,
        above: &[&'a str],
        see: &mut dyn FnMut(&[&'a str], &'a SubResult),
    ) {
        for (name, case) in cases {
            let path: Vec<&str> = above.iter().copied().chain([name.as_str()]).collect();
            if case.cases.is_empty() {
                see(&path, case);
            } else {
                Self::leaves(&case.cases, &path, see);
            }
        }
    }
}
