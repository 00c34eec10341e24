//! Programs written in Go that tests and benchmarks hold Remit against: real OPA, opa-envoy-plugin, Regal.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::{env, fs};

use anyhow::{Context, Result};

use crate::workspace;

/// A program, and the release of it that is built where Go is installed.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// What it is called on `PATH`.
    name: &'static str,
    /// The environment variable that names a binary.
    variable: &'static str,
    module: &'static str,
    /// The folder of its `main` in the module; with a slash before it, or empty.
    folder: &'static str,
    release: &'static str,
    /// Lines of `go.sum`, where the release is held against them and not against the public checksum database.
    checksums: &'static str,
}

/// OPA itself.
pub const OPA: Program = Program {
    name: "opa",
    variable: "REMIT_OPA",
    module: "github.com/open-policy-agent/opa",
    folder: "",
    release: "v1.22.0",
    checksums: "",
};

/// OPA as Envoy's external authorizer.
pub const OPA_ENVOY_PLUGIN: Program = Program {
    name: "opa-envoy-plugin",
    variable: "REMIT_OPA_ENVOY",
    module: "github.com/open-policy-agent/opa-envoy-plugin",
    folder: "/cmd/opa-envoy-plugin",
    release: "v1.14.0-envoy",
    checksums: "github.com/open-policy-agent/opa-envoy-plugin v1.14.0-envoy \
        h1:RN35n0PVD9xvM5BIwuxFfnO7DfDvTjyFxGQAgCN8KQQ=\n\
        github.com/open-policy-agent/opa-envoy-plugin v1.14.0-envoy/go.mod \
        h1:++NgaPFESeZuDMHmysHE1bGM5Q8wnrhiGoLwwQIEgHU=\n",
};

/// The linter of Rego.
pub const REGAL: Program = Program {
    name: "regal",
    variable: "REMIT_REGAL",
    module: "github.com/open-policy-agent/regal",
    folder: "",
    release: "v0.39.0",
    checksums: "",
};

/// Where a program is, or why there is none.
#[derive(Debug)]
pub enum Found {
    /// Its binary.
    At(PathBuf),
    /// Why there is none; whoever needs it says "skipped: …" with this.
    Missing(String),
}

/// What tests of packages that do not know this one are told: the variables of OPA and Regal, where these can be had.
#[must_use]
pub fn variables() -> &'static [(&'static str, PathBuf)] {
    static VARIABLES: OnceLock<Vec<(&str, PathBuf)>> = OnceLock::new();
    VARIABLES.get_or_init(|| {
        let mut variables = Vec::new();
        for program in [OPA, REGAL] {
            variables.extend(program.find_or_skip().map(|path| (program.variable, path)));
        }
        variables
    })
}

impl Program {
    /// The binary that its variable names, else the one on `PATH`, else what Go builds under the target folder, once.
    #[must_use]
    pub fn find(&self) -> Found {
        if let Some(path) = env::var_os(self.variable).filter(|path| !path.is_empty()) {
            return Found::At(path.into());
        }
        if let Some(path) = workspace::on_path(self.name) {
            return Found::At(path);
        }
        self.build()
    }

    /// As [`Program::find`]; where there is none, says so, and why: the caller leaves out what needs it.
    #[must_use]
    pub fn find_or_skip(&self) -> Option<PathBuf> {
        match self.find() {
            Found::At(path) => Some(path),
            Found::Missing(reason) => {
                println!("skipped: {} ({reason})", self.name);
                None
            }
        }
    }

    fn build(&self) -> Found {
        // Tests ask from several threads at once, and one build uses all cores.
        static BUILDING: Mutex<()> = Mutex::new(());
        let _building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = workspace::target_dir().join("go").join(format!("{}-{}", self.name, self.release));
        let path = folder.join(self.name);
        if path.is_file() {
            return Found::At(path);
        }
        if workspace::on_path("go").is_none() {
            return Found::Missing("no go".to_owned());
        }
        println!("Building {} {} (some minutes, once).", self.name, self.release);
        match self.build_in(&folder) {
            Ok(()) => Found::At(path),
            Err(error) => Found::Missing(format!("{error:#}")),
        }
    }

    /// In a module of its own: `go install` of a release also asks for the list of all releases, which not every module
    /// proxy has.
    fn build_in(&self, folder: &Path) -> Result<()> {
        let Self { name, module, release, .. } = self;
        fs::create_dir_all(folder)?;
        fs::write(folder.join("go.mod"), format!("module build\n\ngo 1.25\n\nrequire {module} {release}\n"))
            .with_context(|| format!("failed to write in {}", folder.display()))?;
        fs::write(folder.join("go.sum"), self.checksums)?;
        let package = format!("{module}{}", self.folder);
        let mut go = Command::new("go");
        go.current_dir(folder).args(["build", "-mod=mod", "-o", name, &package]);
        workspace::output(&mut go)?;
        Ok(())
    }
}
