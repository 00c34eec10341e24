//! The names of statistics: how other names go into them, and how many there may be, as a proxy never frees one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

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
    ids: BTreeMap<String, Defined>,
    of_bundles: BTreeMap<String, Defined>,
}

/// The proxy's id, and whether it is a counter.
type Defined = (Option<u32>, bool);

/// A statistic as the proxy has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistic {
    /// `remit.<what>.<label>.<value>…`
    pub name: String,
    /// A counter, or a gauge.
    pub is_counter: bool,
    /// Its value.
    pub value: u64,
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
        if let Some((id, _)) = ids.get(name) {
            return *id;
        }
        let name = match ids.len() {
            taken if taken < most => name,
            _ if is_counter => BEYOND,
            _ => return None,
        };
        ids.entry(name.to_owned()).or_insert_with(|| (define(name), is_counter)).0
    }

    /// All that have a value of their own: no histograms.
    pub fn read(&self, value: impl Fn(u32) -> Option<u64>) -> Vec<Statistic> {
        let all = self.ids.iter().chain(&self.of_bundles);
        let read = all.filter_map(|(name, (id, is_counter))| {
            Some(Statistic { name: name.clone(), is_counter: *is_counter, value: value((*id)?)? })
        });
        read.collect()
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

/// Statistics as metric families of Prometheus, by name, in the JSON of OPA's status document.
#[must_use]
pub fn prometheus(statistics: &[Statistic]) -> Value {
    let mut families = Map::new();
    for Statistic { name, is_counter, value } in statistics {
        let mut parts = name.split('.');
        // `remit.what.` or, where pairs follow that, `remit.what.of_it.`
        let of_name = if name.split('.').count() % 2 == 0 { 2 } else { 3 };
        let family = parts.by_ref().take(of_name).collect::<Vec<_>>().join("_");
        let mut labels = Vec::new();
        while let (Some(label), Some(value)) = (parts.next(), parts.next()) {
            let label = if label == "named" { "bundle" } else { label };
            labels.push(json!({"name": label, "value": value}));
        }
        let (kind, number) = if *is_counter { ("counter", 0) } else { ("gauge", 1) };
        let empty = json!({"name": family, "help": "", "type": number, "metric": []});
        let family = families.entry(family).or_insert(empty);
        if let Some(metrics) = family.get_mut("metric").and_then(Value::as_array_mut) {
            let mut metric = Map::from_iter([(kind.to_owned(), json!({"value": value}))]);
            if !labels.is_empty() {
                metric.insert("label".to_owned(), Value::Array(labels));
            }
            metrics.push(Value::Object(metric));
        }
    }
    Value::Object(families)
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
    fn pairs_of_a_name_are_labels_of_a_family() {
        let mut names = Names::default();
        let mut next = 0;
        for (name, is_counter) in [
            ("remit.decisions.outcome.allow.enforced.true", true),
            ("remit.decisions.outcome.deny.enforced.true", true),
            ("remit.bundle.in_force", false),
            ("remit.bundles.age_seconds.named.a_2fb", false),
            ("remit.evaluation_us", false),
            ("remit.errors.kind.none", true),
        ] {
            names.id(name, is_counter, |name| {
                next += 1;
                (!name.ends_with("none")).then_some(next)
            });
        }
        let read = names.read(|id| (id != 5).then_some(u64::from(id)));
        let label = |name: &str, value: &str| json!({"name": name, "value": value});
        let enforced = || label("enforced", "true");
        assert_eq!(
            prometheus(&read),
            json!({
                "remit_decisions": {"name": "remit_decisions", "help": "", "type": 0, "metric": [
                    {"counter": {"value": 1}, "label": [label("outcome", "allow"), enforced()]},
                    {"counter": {"value": 2}, "label": [label("outcome", "deny"), enforced()]}]},
                "remit_bundle_in_force": {"name": "remit_bundle_in_force", "help": "", "type": 1, "metric": [
                    {"gauge": {"value": 3}}]},
                "remit_bundles_age_seconds": {"name": "remit_bundles_age_seconds", "help": "", "type": 1, "metric": [
                    {"gauge": {"value": 4}, "label": [label("bundle", "a_2fb")]}]},
            })
        );
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
