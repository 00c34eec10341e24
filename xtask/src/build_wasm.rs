//! `cargo xtask build-wasm`: the filter as a `.wasm`, with whatever toolchain this machine can offer.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::shrink;
use crate::workspace::{self, WASM_TARGET};

/// What Debian needs to build for the target: compiler, cargo, std's source, linker, libc.
const DEBIAN_PACKAGES: [&str; 6] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22", "wasi-libc"];

/// Packages that apt would remove to install those.
const DEBIAN_CONFLICTS: [&str; 3] = ["rustc", "cargo", "rustup"];

/// The linker leaves five bytes for each number that it fills in, 6% of the module; the first flag writes them as short as
/// they are. The second has memory copied and compared in vectors, and sha2's own digests, which takes 2%: any engine for
/// `WebAssembly` 2.0 has them. `#[inline]` makes the compiler copy functions at every place up to a size meant for speed (325),
/// another 6%; with the third it copies small ones only, and V8 copies more by itself. The last names functions with the types that
/// they are for, which `layout.rs` goes by.
const FLAGS: [&str; 4] = [
    "-Clink-arg=--compress-relocations",
    "-Ctarget-feature=+simd128",
    "-Cllvm-args=-inlinehint-threshold=50",
    "-Csymbol-mangling-version=v0",
];

/// The largest module that is let pass, in bytes. Envoy compiles it in each start and for each new configuration before it serves, and
/// each worker holds what came of it: time to ready and memory go with this number. It grows by a few hundred bytes with each
/// struct that is read, each generic function that is used with one more type, each crate; so it is looked at with each change.
const MOST_BYTES: usize = 3_000_000;

/// A way to build for the target.
enum Toolchain {
    /// The cargo that runs this has the target's standard library.
    Installed,
    /// Debian's `rustc-web`, which builds the standard library along.
    Debian,
}

/// Builds the filter and returns the path of the module. Says what it does; cargo shows its own progress.
///
/// # Errors
/// When no toolchain for the target can be had, when the build fails, or when the module lacks a callback.
pub fn build() -> Result<PathBuf> {
    let begun = Instant::now();
    let shrunk = shrink::shrink(&link()?).context("failed to shrink the module")?;
    let path = workspace::filter_wasm();
    let changed = workspace::write_if_changed(&path, &shrunk)?;
    println!(
        "{} ({:.2} MB, {} in {:.1} s)",
        path.display(),
        megabytes(shrunk.len()),
        if changed { "built" } else { "unchanged" },
        begun.elapsed().as_secs_f64(),
    );
    Ok(path)
}

/// The module as the linker made it, with the names of its functions.
///
/// # Errors
/// When no toolchain for the target can be had, or the build fails.
pub(crate) fn link() -> Result<Vec<u8>> {
    let toolchain = Toolchain::find()?;
    let target_dir = workspace::target_dir().join("wasm").join(toolchain.name());
    let built = target_dir.join(WASM_TARGET).join("release/remit_filter.wasm");
    println!("Building the filter for {WASM_TARGET} with {}.", toolchain.description());
    if !built.exists() {
        println!("The first build takes 4 to 8 minutes on two cores; later ones only what changed.");
    }
    // Unpacks the dependencies, whose folders are named below.
    workspace::run(workspace::cargo().args(["fetch", "--quiet", "--locked", "--target", WASM_TARGET]))?;
    workspace::run(&mut toolchain.cargo_build(&target_dir)?)?;
    std::fs::read(&built).with_context(|| format!("failed to read {}", built.display()))
}

/// Clippy for what is compiled for the module alone.
///
/// # Errors
/// As [`build`], and when clippy warns.
pub fn clippy() -> Result<()> {
    if matches!(Toolchain::find()?, Toolchain::Debian) {
        println!("skipped for {WASM_TARGET}: Debian's compiler for it has no clippy");
        return Ok(());
    }
    let mut clippy = workspace::cargo();
    clippy.args(["clippy", "--package", "remit-filter", "--package", "remit-core", "--target", WASM_TARGET]);
    workspace::run(clippy.args(["--", "-D", "warnings"]))
}

/// Builds the filter, and fails where it is larger than it may be.
///
/// # Errors
/// As [`build`], and when the module is too large.
pub fn build_within_bounds() -> Result<()> {
    let path = build()?;
    let size = std::fs::metadata(&path).with_context(|| path.display().to_string())?.len();
    check_size(usize::try_from(size)?)
}

fn check_size(bytes: usize) -> Result<()> {
    let Some(over) = bytes.checked_sub(MOST_BYTES).filter(|over| *over > 0) else { return Ok(()) };
    bail!(
        "the module has {bytes} bytes, {over} more than the {MOST_BYTES} that it may have: see what the last change added (a crate, \
         a derive, a generic function for one more type), do it with less, or leave it out; who raises MOST_BYTES in \
         xtask/src/build_wasm.rs says there what it is worth"
    )
}

impl Toolchain {
    /// Design: installed target, else rustup, else Debian's packages, else one clear message.
    fn find() -> Result<Self> {
        if target_installed() || rustup_adds_target() {
            return Ok(Self::Installed);
        }
        if debian_ready() || debian_installs()? {
            return Ok(Self::Debian);
        }
        bail!(
            "no Rust standard library for {WASM_TARGET}: run `rustup target add {WASM_TARGET}`, or on Debian, \
             as root, `apt-get install {}`",
            DEBIAN_PACKAGES.join(" ")
        )
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Debian => "debian",
        }
    }

    fn description(&self) -> &'static str {
        match self {
            Self::Installed => "the installed target",
            Self::Debian => "Debian's rustc-web (standard library included)",
        }
    }

    fn cargo_build(&self, target_dir: &Path) -> Result<Command> {
        let mut own = FLAGS.map(str::to_owned).to_vec();
        own.extend(remapped_folders()?);
        let mut command = match self {
            Self::Installed => {
                let mut command = workspace::cargo();
                let flags: Vec<String> = own.iter().map(|flag| format!("{flag:?}")).collect();
                command.arg("--config").arg(format!("target.{WASM_TARGET}.rustflags=[{}]", flags.join(",")));
                command
            }
            Self::Debian => {
                let mut command = debian_cargo();
                let mut flags = vec!["-Lnative=/usr/lib/wasm32-wasi".to_owned()];
                flags.extend(own);
                command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
                command
            }
        };
        command
            .args(["build", "--release", "--package", "remit-filter", "--target", WASM_TARGET])
            .arg("--target-dir")
            .arg(target_dir);
        if matches!(self, Self::Debian) {
            command.arg("-Zbuild-std=std,panic_abort");
        }
        Ok(command)
    }
}

/// Debian's cargo with an environment of its own: what the outer cargo and rustup have set belongs to another compiler.
fn debian_cargo() -> Command {
    let mut command = Command::new("/usr/bin/cargo");
    command.current_dir(workspace::root());
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(belongs_to_outer_toolchain) {
            command.env_remove(name);
        }
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut search = vec![PathBuf::from("/usr/bin")];
    search.extend(env::split_paths(&path));
    if let Ok(search) = env::join_paths(search) {
        command.env("PATH", search);
    }
    command.env("RUSTC_BOOTSTRAP", "1");
    command
}

/// The module names source files where something could panic. Without the folders of the machine that built it the module
/// is smaller, tells nothing about that machine, and comes out the same on another one.
fn remapped_folders() -> Result<Vec<String>> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => Path::new(&env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?).join(".cargo"),
    };
    let sources = home.join("registry/src");
    let mut folders = vec![workspace::root()];
    // One for each registry; none where dependencies are vendored.
    for entry in std::fs::read_dir(sources).into_iter().flatten() {
        folders.push(entry?.path());
    }
    folders.sort();
    Ok(folders.iter().map(|folder| format!("--remap-path-prefix={}/=", folder.display())).collect())
}

fn belongs_to_outer_toolchain(name: &str) -> bool {
    // Settings of the person or the machine, not of a toolchain.
    const KEPT: [&str; 5] = [
        "CARGO_HOME",
        "CARGO_BUILD_JOBS",
        "CARGO_TERM_COLOR",
        "CARGO_TERM_PROGRESS_WHEN",
        "CARGO_TERM_QUIET",
    ];
    const KEPT_PREFIXES: [&str; 4] = ["CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTRIES_", "CARGO_SOURCE_"];
    if KEPT.contains(&name) || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return false;
    }
    name.starts_with("CARGO") || name.starts_with("RUST") || name == "LD_LIBRARY_PATH"
}

fn target_installed() -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", WASM_TARGET]).current_dir(workspace::root());
    workspace::output(&mut command).is_ok_and(|dir| Path::new(&dir).is_dir())
}

fn rustup_adds_target() -> bool {
    if workspace::on_path("rustup").is_none() {
        return false;
    }
    println!("{WASM_TARGET} is not installed: trying `rustup target add {WASM_TARGET}`.");
    let mut command = Command::new("rustup");
    command.args(["target", "add", WASM_TARGET]).current_dir(workspace::root());
    match workspace::output(&mut command) {
        Ok(_) => target_installed(),
        Err(_) => {
            println!("rustup could not fetch it; looking for another way.");
            false
        }
    }
}

fn debian_ready() -> bool {
    DEBIAN_PACKAGES.iter().all(|package| debian_has(package))
}

fn debian_has(package: &str) -> bool {
    let mut command = Command::new("dpkg-query");
    command.args(["--show", "--showformat=${db:Status-Status}", package]);
    workspace::output(&mut command).is_ok_and(|status| status == "installed")
}

/// Installs Debian's packages; `false` where this is no Debian that has them, or nobody may install.
fn debian_installs() -> Result<bool> {
    if workspace::on_path("apt-get").is_none() {
        return Ok(false);
    }
    if let Some(package) = DEBIAN_CONFLICTS.iter().find(|package| debian_has(package)) {
        bail!(
            "the target {WASM_TARGET} would need Debian's `rustc-web`, which conflicts with the installed \
             package `{package}`: remove that first (`apt-get remove {package}`), or install the target with \
             rustup; nothing was changed"
        );
    }
    let Some(prefix) = root_prefix() else {
        return Ok(false);
    };
    println!("Installing Debian's packages (about half a minute): {}.", DEBIAN_PACKAGES.join(" "));
    let apt = |arguments: &[&str]| {
        let mut words = prefix.iter().chain(&["apt-get", "-q", "-y"]).chain(arguments);
        let mut command = Command::new(words.next().unwrap_or(&"apt-get"));
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive");
        workspace::output(&mut command)
    };
    apt(&["update"]).context("failed to refresh apt's package lists")?;
    let mut arguments = vec!["install", "--no-install-recommends", "--no-remove"];
    arguments.extend(DEBIAN_PACKAGES);
    apt(&arguments).context("failed to install Debian's packages for the wasm target")?;
    Ok(debian_ready())
}

/// What to put before a command that needs root: nothing for root, `sudo -n` where that works.
fn root_prefix() -> Option<&'static [&'static str]> {
    if workspace::output(Command::new("id").arg("-u")).is_ok_and(|id| id == "0") {
        return Some(&[]);
    }
    workspace::output(Command::new("sudo").args(["-n", "true"])).is_ok().then_some(&["sudo", "-n"])
}

fn megabytes(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)) / 1e6
}

#[cfg(test)]
mod tests {
    use super::{MOST_BYTES, belongs_to_outer_toolchain, check_size};

    #[test]
    fn a_module_that_has_grown_too_large_is_told_with_what_to_do() {
        assert!(check_size(MOST_BYTES).is_ok());
        let error = check_size(MOST_BYTES + 12).unwrap_err().to_string();
        assert!(error.starts_with("the module has 3000012 bytes, 12 more than the 3000000"), "{error}");
        assert!(error.contains("leave it out"), "{error}");
    }

    #[test]
    fn only_the_toolchains_own_variables_are_dropped() {
        for (name, dropped) in [
            ("CARGO", true),
            ("CARGO_MANIFEST_DIR", true),
            ("CARGO_TARGET_DIR", true),
            ("CARGO_ENCODED_RUSTFLAGS", true),
            ("RUSTC_WRAPPER", true),
            ("RUSTUP_TOOLCHAIN", true),
            ("RUSTFLAGS", true),
            ("LD_LIBRARY_PATH", true),
            ("CARGO_HOME", false),
            ("CARGO_HTTP_PROXY", false),
            ("CARGO_REGISTRIES_CRATES_IO_PROTOCOL", false),
            ("CARGO_NET_OFFLINE", false),
            ("PATH", false),
            ("HOME", false),
        ] {
            assert_eq!(belongs_to_outer_toolchain(name), dropped, "{name}");
        }
    }
}
