//! The names of statistics: how other names go into them, and how many there may be, as a proxy never frees one.

use std::collections::BTreeMap;

/// The most names apart from those of bundles: policies bring reason codes of their own.
const MOST: usize = 256;
/// The most names of what is told of single bundles: 64 bundles take three gauges each, their results and their revisions.
const MOST_OF_BUNDLES: usize = 1024;
/// What the names of single bundles begin with.
const OF_BUNDLES: &str = "remit.bundles.";
/// Stands for all counters beyond the limits.
const BEYOND: &str = "remit.names.beyond.limit";
/// The longest text that goes into a label, in characters.
const LONGEST: usize = 64;

/// The statistics that one worker has defined, by name. Bundles have a share of their own and take none of the others'.
#[derive(Debug, Default)]
pub struct Names {
    ids: BTreeMap<String, Option<u32>>,
    of_bundles: BTreeMap<String, Option<u32>>,
}

impl Names {
    /// The id of a name, which `define` defines when it comes first; `None` where the proxy has none. Counters beyond
    /// the limit are one counter, and what is no counter has no id there.
    pub fn id(
        &mut self,
        name: &str,
        is_counter: bool,
        define: impl FnOnce(&str) -> Option<u32>,
    ) -> Option<u32> {
        let (ids, most) = if name.starts_with(OF_BUNDLES) {
            (&mut self.of_bundles, MOST_OF_BUNDLES)
        } else {
            (&mut self.ids, MOST)
        };
        if let Some(id) = ids.get(name) {
            return *id;
        }
        let name = match ids.len() {
            taken if taken < most => name,
            _ if is_counter => BEYOND,
            _ => return None,
        };
        *ids.entry(name.to_owned()).or_insert_with(|| define(name))
    }
}

/// A text as the value of a label, which is a part of a name between dots: letters, digits and `-` stay, `_` becomes `__`,
/// and everything else `_` and two hexadecimal digits for each byte of its UTF-8. Of a longer text, the first 64 characters.
#[must_use]
pub fn label(text: &str) -> String {
    let mut label = String::with_capacity(text.len());
    for c in text.chars().take(LONGEST) {
        if c.is_ascii_alphanumeric() || c == '-' {
            label.push(c);
        } else if c == '_' {
            label.push_str("__");
        } else {
            let hex = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                label.extend(['_', hex(byte >> 4), hex(byte & 15)]);
            }
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_say_which_text_it_was() {
        for (text, expected) in [
            ("facts-2", "facts-2"),
            ("a/b", "a_2fb"),
            ("a_b", "a__b"),
            ("a.b", "a_2eb"),
            ("a_2fb", "a__2fb"),
            ("é\n", "_c3_a9_0a"),
            ("", ""),
        ] {
            assert_eq!(label(text), expected, "{text}");
        }
        let mut texts = vec![String::new()];
        let mut seen = BTreeSet::from([String::new()]);
        for _ in 0..4 {
            let pieces = ["a", "2", "f", "_", "/", ".", "-", "é"];
            texts = texts.iter().flat_map(|text| pieces.map(|piece| format!("{text}{piece}"))).collect();
            assert!(texts.iter().all(|text| seen.insert(label(text))), "two texts have one label");
        }
        assert!(
            seen.iter().all(|label| label.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)))
        );
        assert_eq!(label(&"/".repeat(100)), "_2f".repeat(64));
    }

    #[test]
    fn bundles_and_policies_have_their_shares() {
        let mut names = Names::default();
        let mut defined = Vec::new();
        let mut id = |name: String, is_counter: bool| {
            names.id(&name, is_counter, |name| {
                defined.push(name.to_owned());
                u32::try_from(defined.len()).ok()
            })
        };
        for bundle in 0..64 {
            for gauge in ["age_seconds", "last_activation_seconds", "faulty", "revision"] {
                assert!(id(format!("remit.bundles.{gauge}.named.{bundle}"), false).is_some());
            }
            for result in 0..8 {
                assert!(id(format!("remit.bundles.fetches.result.{result}.named.{bundle}"), true).is_some());
            }
        }
        let first = id("remit.reasons.outcome.deny.reason.0".to_owned(), true);
        for code in 1..256 {
            assert!(id(format!("remit.reasons.outcome.deny.reason.{code}"), true).is_some());
        }
        assert_eq!(id("remit.reasons.outcome.deny.reason.0".to_owned(), true), first, "it is known");
        let beyond = id("remit.reasons.outcome.deny.reason.256".to_owned(), true);
        assert_eq!(id("remit.reasons.outcome.deny.reason.257".to_owned(), true), beyond);
        assert_eq!(id("remit.bundle.in_force".to_owned(), false), None, "a gauge is not added to a counter");
        assert!(id("remit.bundles.fetches.result.ok.named.more".to_owned(), true).is_some());
        for more in 0..1024 {
            let _ = id(format!("remit.bundles.faulty.named.more{more}"), false);
        }
        assert_eq!(id("remit.bundles.faulty.named.last".to_owned(), false), None);
        assert!(id("remit.bundles.fetches.result.ok.named.last".to_owned(), true).is_some());
        // Each name once, and each share's counter beyond its limit.
        assert_eq!(defined.len(), 256 + 1024 + 2);
        assert_eq!(defined.iter().filter(|name| *name == "remit.names.beyond.limit").count(), 2);
    }
}
