//! Whether the filter would load what is at hand: tests say little of a bundle that it refuses.

use std::collections::{BTreeMap, BTreeSet};

use remit_core::bundle::{Bundle, BundleLimits};
use remit_core::config::{Builtins, Limits};
use remit_core::engine::{ActiveBundle, LoadError};
use remit_core::policy::PolicyError;
use serde_json::json;

use super::{RegoError, Sources, definitions};
use crate::annotations::annotations;
use crate::pack::{Files, PackOptions};
use crate::refused::Refused;

/// The rule that decides unless something else is configured.
const DECISION: &str = "remit/authz/decision";
/// What is compiled where there are functions alone.
const NO_RULE: &str = "package remit_harness_nothing\n\ndecision := true\n";
/// How often a host may be added: each time ten problems are told at most.
const ROUNDS: usize = 100;

impl Sources {
    /// Loads the files but `_test.rego`, and the data, as the filter does. Where `http.send` may go is for the operator to say,
    /// and is taken as said.
    ///
    /// # Errors
    ///
    /// [`RegoError::Refused`] and [`RegoError::Load`]: what the filter would say. [`RegoError::Files`] where two data
    /// documents overlap.
    pub fn load_as_filter(&self) -> Result<(), RegoError> {
        // Two folders may have files of one path.
        let mut names = BTreeMap::new();
        let mut files = Files::default();
        let mut old = serde_json::Map::new();
        for (at, file) in self.files.iter().filter(|file| !is_test(&file.path)).enumerate() {
            let name = format!("{at:05}.rego");
            if file.is_v0 {
                old.insert(format!("/{name}"), json!(0));
            }
            files.put(&name, file.text.clone().into_bytes());
            names.insert(name, file.path.clone());
        }
        for data in &self.data {
            files.add_data(data.to_string().into_bytes())?;
        }
        files
            .put(".manifest", json!({"rego_version": 1, "file_rego_versions": old}).to_string().into_bytes());
        let mut bundle = bundle(&files)?;
        let mut decisions = decisions(&bundle);
        if decisions.is_empty() {
            files.put("nothing.rego", NO_RULE.as_bytes().to_vec());
            bundle = self::bundle(&files)?;
            decisions.push("remit_harness_nothing/decision".to_owned());
        }
        let named = |file: &str| names.get(file).map_or_else(|| file.to_owned(), Clone::clone);
        for decision in decisions {
            load(&bundle, &decision).map_err(|error| match error {
                LoadError::Policy(policy) => RegoError::Refused(Refused::named(&policy, &bundle, &named)),
                other => RegoError::Load(other),
            })?;
        }
        Ok(())
    }
}

/// Those that no bundle for a filter holds.
fn is_test(path: &str) -> bool {
    path.ends_with("_test.rego")
}

/// With room for large ones.
fn bundle(files: &Files) -> Result<Bundle, LoadError> {
    let room = PackOptions::default();
    let limits = BundleLimits { inflated_bytes: room.bytes, files: room.files, ..BundleLimits::default() };
    Ok(Bundle::from_files(files.iter().map(|(path, content)| (path, content.to_vec())), &limits)?)
}

/// The rules that decide, as far as that can be told: the default one and those with `entrypoint: true`, else the first.
pub(crate) fn decisions(bundle: &Bundle) -> Vec<String> {
    let is_identifier = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let rules: Vec<(String, String, u32)> = definitions(bundle)
        .into_iter()
        .filter(|definition| !definition.is_function)
        .filter_map(|definition| {
            let path = definition.rule.strip_prefix("data.")?.to_owned();
            path.split('.')
                .all(is_identifier)
                .then(|| (path.replace('.', "/"), definition.file, definition.line))
        })
        .collect();
    let mut entries = BTreeSet::new();
    for module in bundle.modules() {
        for block in annotations(&module.path, &module.text).iter().filter(|block| block.is_entrypoint) {
            let about =
                |(_, file, line): &&(String, String, u32)| *file == module.path && *line == block.about;
            entries.extend(rules.iter().find(about).map(|(path, ..)| path.clone()));
        }
    }
    entries.extend(rules.iter().find(|(path, ..)| path == DECISION).map(|(path, ..)| path.clone()));
    if entries.is_empty() {
        entries.extend(rules.into_iter().next().map(|(path, ..)| path));
    }
    entries.into_iter().collect()
}

/// As the filter loads it, wherever `http.send` goes.
pub(crate) fn load(bundle: &Bundle, decision: &str) -> Result<(), LoadError> {
    let limits = Limits { bundle_unpacked_bytes: PackOptions::default().bytes, ..Limits::default() };
    let mut hosts = serde_json::Map::new();
    let mut rounds = 0..ROUNDS;
    loop {
        let builtins: Builtins =
            serde_json::from_value(json!({"http_send": {"hosts": hosts}})).unwrap_or_default();
        let Err(error) = ActiveBundle::load_with(bundle, decision, &limits, &builtins) else { return Ok(()) };
        let LoadError::Policy(problem) = &error else { return Err(error) };
        let before = hosts.len();
        for one in problem.each() {
            if let PolicyError::HttpHost { host, .. } = one {
                hosts.insert(host.clone(), json!({"cluster": "any"}));
            }
        }
        if hosts.len() == before || rounds.next().is_none() {
            return Err(error);
        }
    }
}
