//! Rego for authors' tools: sources as the command line names them, the interpreter, and marks that tell what it did.

mod definitions;
mod loads;
mod marks;
mod recorder;
mod served;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regorus::unstable::{Module, Ref};
use regorus::{Engine, Value};
use remit_core::bundle::{Bundle, BundleError, BundleLimits, RegoVersion};
use remit_core::engine::LoadError;
use remit_core::json::{self, JsonError};
use remit_core::policy;

use crate::bundles::outside_roots;
use crate::pack::{Files, PackError, PackOptions};
use crate::refused::Refused;

pub(crate) use definitions::parses_as_old;
pub use definitions::{Definition, definitions};
pub(crate) use loads::{decisions, load};
pub(crate) use marks::{Kind, Marked, constant, mark, path_of};
pub(crate) use recorder::{Case, Recorder, Trail};

/// Nesting of JSON in a data file.
const DEPTH: usize = 64;

/// Why Rego cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum RegoError {
    /// The files.
    #[error(transparent)]
    Files(#[from] PackError),
    /// The data or the manifest.
    #[error("{}: {source}", root.display())]
    Bundle {
        /// The folder.
        root: PathBuf,
        /// What is wrong.
        source: BundleError,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A data file is not JSON.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong and where.
        source: JsonError,
    },
    /// A file that is neither Rego nor JSON.
    #[error("{}: neither a folder nor a .rego, .json, .tar.gz or .tgz file", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// The Rego does not parse, or does not make a policy together.
    #[error("{0}")]
    Refused(Refused),
    /// The catalog, the registry or the kill list in the data.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What the interpreter says.
    #[error("{message}")]
    Rego {
        /// What the parser says, with the place, on one line.
        message: String,
    },
}

/// A Rego file.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its path, as the command line named its folder.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Whether it is read as Rego v0.
    pub is_v0: bool,
}

/// Rego and data.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The Rego files.
    pub files: Vec<Source>,
    /// The data documents, to be merged.
    pub data: Vec<serde_json::Value>,
}

impl Sources {
    /// Loads folders and archives as bundles, tests included, and single `.rego` and `.json` files.
    ///
    /// # Errors
    ///
    /// See [`RegoError`].
    pub fn load(paths: &[PathBuf]) -> Result<Self, RegoError> {
        let mut sources = Self::default();
        let mut seen = BTreeSet::new();
        for path in paths {
            // Named twice, it is read once, however it is written.
            if seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
                sources.add(path)?;
            }
        }
        Ok(sources)
    }

    fn add(&mut self, path: &Path) -> Result<(), RegoError> {
        let name = path.to_string_lossy();
        let read = || {
            std::fs::read_to_string(path).map_err(|source| RegoError::Read { path: path.to_owned(), source })
        };
        if path.is_dir() || name.ends_with(".tar.gz") || name.ends_with(".tgz") {
            let bundle = bundle(path)?;
            let misplaced: Vec<String> = bundle.modules().iter().filter_map(outside_roots).collect();
            if !misplaced.is_empty() {
                let within = |message: String| path.join(message).display().to_string();
                return Err(RegoError::Refused(Refused::told(misplaced.into_iter().map(within).collect())));
            }
            let modules = bundle.modules().iter().chain(bundle.tests());
            self.files.extend(modules.map(|module| Source {
                path: path.join(&module.path).display().to_string(),
                text: module.text.clone(),
                is_v0: module.rego_version == RegoVersion::V0,
            }));
            self.data.push(serde_json::Value::Object(bundle.data().clone()));
        } else if name.ends_with(".rego") {
            self.files.push(Source { path: name.to_string(), text: read()?, is_v0: false });
        } else if name.ends_with(".json") {
            let value = json::parse(read()?.as_bytes(), DEPTH)
                .map_err(|source| RegoError::Json { path: path.to_owned(), source })?;
            self.data.push(value);
        } else if path.exists() {
            return Err(RegoError::Unknown { path: path.to_owned() });
        } else {
            read()?;
        }
        Ok(())
    }

    /// The modules of the files.
    ///
    /// # Errors
    ///
    /// [`RegoError::Refused`] where some do not parse.
    pub fn parse(&self) -> Result<Vec<Ref<Module>>, RegoError> {
        let mut engine = policy::parser();
        self.add_files(&mut engine)?;
        Ok(engine.get_modules().clone())
    }

    /// An interpreter with the files and the data, as OPA would evaluate them.
    ///
    /// # Errors
    ///
    /// [`RegoError::Refused`] where files do not parse, [`RegoError::Rego`] where two data documents overlap.
    pub fn engine(&self) -> Result<Engine, RegoError> {
        let mut engine = policy::parser();
        engine.set_gather_prints(true);
        engine.set_strict_builtin_errors(false);
        policy::serve(&mut engine);
        let evaluated = self.as_evaluated()?;
        let replaced =
            Self { files: served::replaced(&evaluated.files, &evaluated.parse()?), ..Self::default() };
        replaced.add_files(&mut engine)?;
        Self { files: vec![served::package()], ..Self::default() }.add_files(&mut engine)?;
        for document in &self.data {
            engine.add_data(Value::from(document.clone())).map_err(|error| rego(&error.to_string()))?;
        }
        Ok(engine)
    }

    /// The files as the filter has them evaluated: where the evaluator reads Rego differently from OPA, they are written so
    /// that it does not.
    fn as_evaluated(&self) -> Result<Self, RegoError> {
        let texts = self.files.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
        let is_v0 = |path: &str| self.files.iter().any(|file| file.is_v0 && file.path == path);
        let texts = remit_core::policy::faithful_texts(texts, &is_v0)
            .map_err(|error| RegoError::Refused(Refused::of_lines(&error)))?;
        let text = |file: &Source| texts.get(&file.path).unwrap_or(&file.text).clone();
        let files = self.files.iter().map(|file| Source { text: text(file), ..file.clone() }).collect();
        Ok(Self { files, data: Vec::new() })
    }

    fn add_files(&self, engine: &mut Engine) -> Result<(), RegoError> {
        let mut messages = Vec::new();
        for file in &self.files {
            if let Err(error) = policy::add_module(engine, file.is_v0, &file.path, &file.text) {
                messages.push(error.to_string());
            }
        }
        if messages.is_empty() { Ok(()) } else { Err(RegoError::Refused(Refused::told(messages))) }
    }
}

fn bundle(root: &Path) -> Result<Bundle, RegoError> {
    let options = PackOptions { tests: true, ..PackOptions::default() };
    let files = Files::read(root, &options)?;
    let limits = BundleLimits { files: options.files, ..BundleLimits::default() };
    Bundle::from_files(files.iter().map(|(path, content)| (path, content.to_vec())), &limits)
        .map_err(|source| RegoError::Bundle { root: root.to_owned(), source })
}

pub(crate) fn rego(message: &str) -> RegoError {
    RegoError::Rego { message: one_line(message) }
}

/// The evaluator's message without its picture: `file:line:column: what`.
pub(crate) fn one_line(message: &str) -> String {
    let lines = || message.lines().map(str::trim);
    let place = lines().find_map(|line| line.strip_prefix("--> "));
    let what = lines().find_map(|line| line.strip_prefix("error: "));
    match (place, what) {
        (Some(place), Some(what)) => format!("{place}: {what}"),
        _ => message.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}
