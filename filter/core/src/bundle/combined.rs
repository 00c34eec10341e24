//! Several bundles in force together: each owns its part of `data`, and none reaches into another's.

use std::sync::Arc;

use serde_json::Map;

use super::error::CombineError;
use super::manifest::{Manifest, contains};
use super::{Bundle, Module, merge};

impl Bundle {
    /// One bundle with the modules and the data of several, given by name, in the order of the names.
    ///
    /// A module's path becomes `name:path`, which is unlike all others as no name holds a colon, and each keeps its own
    /// Rego version and the roots that its package has to lie in. The revision is `name=revision` of each, with blanks between; of a single bundle
    /// everything stays as it is.
    ///
    /// # Errors
    ///
    /// [`CombineError::Overlap`] when a root of one bundle is or holds a root of another, by whole parts of the path,
    /// as in OPA.
    pub fn combined<'a>(
        bundles: impl IntoIterator<Item = (&'a str, &'a Self)>,
    ) -> Result<Self, CombineError> {
        let mut sorted: Vec<(&str, &Self)> = Vec::new();
        for (name, bundle) in bundles {
            let place = sorted.partition_point(|(other, _)| *other <= name);
            sorted.insert(place, (name, bundle));
        }
        let bundles = sorted;
        if let [(_, only)] = bundles.as_slice() {
            return Ok((*only).clone());
        }
        let mut all = Self {
            manifest: Manifest { roots: Vec::new(), ..Manifest::default() },
            modules: Vec::new(),
            tests: Vec::new(),
            data: Map::new(),
        };
        let mut revisions = Vec::new();
        for (at, (name, bundle)) in bundles.iter().enumerate() {
            for (other_name, other) in bundles.iter().take(at) {
                if other_name == name {
                    return Err(CombineError::Name { name: (*name).to_owned() });
                }
                if let Some((first_root, second_root)) = overlap(other.roots(), bundle.roots()) {
                    return Err(CombineError::Overlap {
                        first: (*other_name).to_owned(),
                        first_root,
                        second: (*name).to_owned(),
                        second_root,
                    });
                }
            }
            if !bundle.revision().is_empty() {
                revisions.push(format!("{name}={}", bundle.revision()));
            }
            all.manifest.roots.extend_from_slice(bundle.roots());
            all.modules.extend(bundle.modules.iter().map(|module| under(name, module)));
            all.tests.extend(bundle.tests.iter().map(|module| under(name, module)));
            merge(&mut all.data, bundle.data.clone(), "")
                .map_err(|key| CombineError::Data { bundle: (*name).to_owned(), key })?;
        }
        all.manifest.revision = revisions.join(" ");
        Ok(all)
    }
}

/// The first two roots of which one is or holds the other; each without a `/` at its ends.
pub fn overlap(first: &[String], second: &[String]) -> Option<(String, String)> {
    first.iter().find_map(|a| {
        let b = second.iter().find(|b| contains(a, b) || contains(b, a))?;
        Some((a.clone(), b.clone()))
    })
}

fn under(name: &str, module: &Module) -> Module {
    Module {
        path: format!("{name}:{}", module.path),
        text: module.text.clone(),
        rego_version: module.rego_version,
        roots: Arc::clone(&module.roots),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::bundle::{BundleLimits, RegoVersion};
    use crate::policy::{Policy, PolicyLimits};

    fn bundle(manifest: &str, files: &[(&str, &str)]) -> Bundle {
        let files = files.iter().copied().chain([(".manifest", manifest)]);
        let files = files.map(|(path, text)| (path, text.as_bytes().to_vec()));
        Bundle::from_files(files, &BundleLimits::default()).unwrap()
    }

    #[test]
    fn each_brings_its_part() {
        let authz = bundle(
            r#"{"roots":["remit/authz"],"revision":"7"}"#,
            &[("p.rego", "package remit.authz\ndecision if data.remit.facts.ok == data.remit.old.yes\n")],
        );
        let old = bundle(
            r#"{"roots":["remit/old"],"rego_version":0,"revision":"a b"}"#,
            &[("p.rego", "package remit.old\nyes { true }\n")],
        );
        let facts =
            bundle(r#"{"roots":["remit/facts"]}"#, &[("data.json", r#"{"remit":{"facts":{"ok":true}}}"#)]);
        let all = Bundle::combined([("old", &old), ("authz", &authz), ("facts", &facts)]).unwrap();
        assert_eq!(all.revision(), "authz=7 old=a b");
        assert_eq!(all.roots(), ["remit/authz", "remit/facts", "remit/old"]);
        let modules: Vec<_> = all.modules().iter().map(|m| (m.path.as_str(), m.rego_version)).collect();
        assert_eq!(modules, [("authz:p.rego", RegoVersion::V1), ("old:p.rego", RegoVersion::V0)]);
        assert_eq!(Value::Object(all.data().clone()), json!({"remit":{"facts":{"ok":true}}}));
        let policy = Policy::compile(&all, "remit/authz/decision", &PolicyLimits::default()).unwrap();
        let budget = crate::policy::EvaluationBudget::default();
        let decision = policy.evaluate(crate::policy::Document::null(), &budget).unwrap();
        assert_eq!(decision.value.to_json(), Some(json!(true)));
        let alone = Bundle::combined([("authz", &authz)]).unwrap();
        assert_eq!((alone.revision(), alone.modules()), ("7", authz.modules()));
        assert!(Bundle::combined([]).unwrap().roots().is_empty());
    }

    #[test]
    fn none_reaches_into_another() {
        // The package of the second one's module lies in the roots of the first.
        let authz =
            bundle(r#"{"roots":["remit"]}"#, &[("p.rego", "package remit.authz\ndecision := false\n")]);
        let other =
            bundle(r#"{"roots":["other"]}"#, &[("q.rego", "package remit.authz\ndecision := true\n")]);
        let all = Bundle::combined([("authz", &authz), ("other", &other)]).unwrap();
        let error = Policy::compile(&all, "remit/authz/decision", &PolicyLimits::default()).unwrap_err();
        assert!(error.to_string().starts_with("other:q.rego:1"), "{error}");
    }

    #[test]
    fn equal_paths_stay_apart() {
        // Joined by a slash, both would be a/b/deny.rego.
        let folder = |rego: &str| bundle(r#"{"roots":["remit"]}"#, &[("b/deny.rego", rego)]);
        let plain = |manifest: &str, rego: &str| bundle(manifest, &[("deny.rego", rego)]);
        let compiled = |first: &Bundle, second: &Bundle| {
            let all = Bundle::combined([("a", first), ("a/b", second)]).unwrap();
            Policy::compile(&all, "remit/authz/decision", &PolicyLimits::default())
        };
        let decides = "package remit.authz\ndecision := 1 if not data.other.denied\ndecision := 2 if data.other.denied\n";
        let first = folder(decides);
        let denies =
            plain(r#"{"roots":["other"],"rego_version":0}"#, "package other\ndenied { print(\"x\") }\n");
        let policy = compiled(&first, &denies).unwrap();
        let budget = crate::policy::EvaluationBudget::default();
        let decision = policy.evaluate(crate::policy::Document::null(), &budget).unwrap();
        assert_eq!(decision.value.to_json(), Some(json!(2)));
        // The roots are those of the module's own bundle.
        let reaches = plain(r#"{"roots":["other"]}"#, "package remit.more\nx := 1\n");
        let error = compiled(&first, &reaches).unwrap_err().to_string();
        assert!(error.starts_with("a/b:deny.rego:1"), "{error}");
    }

    #[test]
    fn overlapping_roots_name_both_bundles() {
        for (first, second, expected) in [
            (r#"{"roots":["a"]}"#, r#"{"roots":["b"]}"#, None),
            (r#"{"roots":["a"]}"#, r#"{"roots":["ab"]}"#, None),
            (r#"{"roots":["a/b"]}"#, r#"{"roots":["a/c"]}"#, None),
            (r#"{"roots":[]}"#, r#"{"roots":["a"]}"#, None),
            (r#"{"roots":[]}"#, "{}", None),
            (
                r#"{"roots":["a"]}"#,
                r#"{"roots":["a"]}"#,
                Some(r#""one" and "two" have overlapping roots: "a" and "a""#),
            ),
            (r#"{"roots":["/a/b/"]}"#, r#"{"roots":["x","a"]}"#, Some(r#"overlapping roots: "a/b" and "a""#)),
            (r#"{"roots":["a"]}"#, r#"{"roots":["a/b"]}"#, Some(r#"overlapping roots: "a" and "a/b""#)),
            ("{}", r#"{"roots":["a"]}"#, Some(r#"roots: "" and "a" (the empty root"#)),
        ] {
            let (one, two) = (bundle(first, &[]), bundle(second, &[]));
            let outcome = Bundle::combined([("two", &two), ("one", &one)]).map_err(|error| error.to_string());
            match (outcome, expected) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => assert!(error.contains(expected), "{error}"),
                (outcome, _) => panic!("{first} {second}: {outcome:?}"),
            }
        }
        let one = bundle("{}", &[]);
        assert!(
            Bundle::combined([("a", &one), ("a", &one)]).unwrap_err().to_string().contains("the name \"a\"")
        );
    }
}
