//! A compiled module whose imports and exports were checked.
use super::error::ModuleError;
use super::imports::is_allowed_import;
use super::state::VmState;
use super::ticker::Ticker;
use super::{abi, cache, wasi};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use wasmtime::{Config, Engine, InstancePre, Linker};

/// How a module is compiled. Each option costs speed, so each is off unless asked for.
#[derive(Clone, Debug, Default)]
pub struct ModuleOptions {
    /// Compile interruption points in, for wall-clock limits (about a quarter slower).
    pub interruptible: bool,
    /// Count instructions, for fuel limits (about half slower).
    pub metered: bool,
    /// Directory for compiled modules; `None`: compile each time.
    pub cache: Option<PathBuf>,
}

/// A compiled module, cheap to clone and to share between threads.
#[derive(Clone)]
pub struct Module {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    instance: InstancePre<VmState>,
    imports: Vec<(String, String)>,
    interruptible: bool,
    metered: bool,
    from_cache: bool,
    ticker: Mutex<Weak<Ticker>>,
}

impl Module {
    /// Loads a module from a file.
    pub fn load(path: &Path, options: &ModuleOptions) -> Result<Self, ModuleError> {
        let wasm =
            std::fs::read(path).map_err(|source| ModuleError::Read { path: path.to_owned(), source })?;
        Self::from_bytes(&wasm, options)
    }

    /// Loads a module from its bytes.
    pub fn from_bytes(wasm: &[u8], options: &ModuleOptions) -> Result<Self, ModuleError> {
        let engine_error = |error: wasmtime::Error| ModuleError::Engine { message: format!("{error:#}") };
        let mut config = Config::new();
        config.epoch_interruption(options.interruptible).consume_fuel(options.metered);
        let engine = Engine::new(&config).map_err(engine_error)?;
        let place = options.cache.as_deref().map(|directory| cache::location(directory, wasm, &engine));
        let cached = place.as_deref().and_then(|place| cache::load(place, &engine));
        let from_cache = cached.is_some();
        let module = match cached {
            Some(module) => module,
            None => {
                let module = wasmtime::Module::from_binary(&engine, wasm)
                    .map_err(|error| ModuleError::Invalid { message: format!("{error:#}") })?;
                if let Some(place) = &place {
                    cache::store(place, &module);
                }
                module
            }
        };
        let imports = check_imports(&module)?;
        check_exports(&module)?;
        let mut linker = Linker::new(&engine);
        abi::link(&mut linker).map_err(engine_error)?;
        wasi::link(&mut linker).map_err(engine_error)?;
        let instance = linker
            .instantiate_pre(&module)
            .map_err(|error| ModuleError::ImportType { message: format!("{error:#}") })?;
        let (interruptible, metered) = (options.interruptible, options.metered);
        let ticker = Mutex::new(Weak::new());
        let shared = Shared { engine, instance, imports, interruptible, metered, from_cache, ticker };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The module's imports as (module, name).
    pub fn imports(&self) -> &[(String, String)] {
        &self.shared.imports
    }

    /// Whether the compiled form came from the cache.
    pub fn from_cache(&self) -> bool {
        self.shared.from_cache
    }

    /// Whether instances can have a time limit.
    pub fn interruptible(&self) -> bool {
        self.shared.interruptible
    }

    /// Whether instances can have a fuel limit.
    pub fn metered(&self) -> bool {
        self.shared.metered
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub(crate) fn instance(&self) -> &InstancePre<VmState> {
        &self.shared.instance
    }

    pub(crate) fn ticker(&self) -> Option<Arc<Ticker>> {
        Ticker::of(&self.shared.engine, &self.shared.ticker)
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Module").field("imports", &self.shared.imports).finish_non_exhaustive()
    }
}

fn check_imports(module: &wasmtime::Module) -> Result<Vec<(String, String)>, ModuleError> {
    let mut imports = Vec::new();
    for import in module.imports() {
        let (module, name) = (import.module().to_owned(), import.name().to_owned());
        if !is_allowed_import(&module, &name) {
            return Err(ModuleError::ForbiddenImport { module, name });
        }
        imports.push((module, name));
    }
    Ok(imports)
}

fn check_exports(module: &wasmtime::Module) -> Result<(), ModuleError> {
    if module.get_export("proxy_abi_version_0_2_1").is_none() {
        return Err(ModuleError::MissingExport { name: "proxy_abi_version_0_2_1" });
    }
    match module.get_export("memory") {
        None => return Err(ModuleError::MissingExport { name: "memory" }),
        Some(export) if export.memory().is_none() => return Err(ModuleError::ExportType { name: "memory" }),
        Some(_) => {}
    }
    if module.get_export("malloc").is_none() && module.get_export("proxy_on_memory_allocate").is_none() {
        return Err(ModuleError::MissingExport { name: "proxy_on_memory_allocate" });
    }
    Ok(())
}
