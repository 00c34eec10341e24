//! Loading: imports, exports, and the cache.
use super::guest::Guest;
use crate::host::state::VmState;
use crate::host::*;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn load(wat: &str) -> ModuleError {
    Module::from_bytes(&wat::parse_str(wat).unwrap(), &ModuleOptions::default()).unwrap_err()
}

/// An empty directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("remit-host-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

#[test]
fn refused_modules_are_named() {
    let fine = r#"(func (export "proxy_abi_version_0_2_1")) (memory (export "memory") 1)
        (func (export "malloc") (param i32) (result i32) (i32.const 0))"#;
    let table = [
        (r#"(import "env" "system" (func))"#, "import env.system is not on the allow-list"),
        (
            r#"(import "wasi_snapshot_preview1" "sock_send" (func))"#,
            "import wasi_snapshot_preview1.sock_send is not on the allow-list",
        ),
        (
            r#"(import "wasi_unstable" "fd_write" (func))"#,
            "import wasi_unstable.fd_write is not on the allow-list",
        ),
        (r#"(memory (export "memory") 1)"#, "export proxy_abi_version_0_2_1 is missing"),
        (r#"(func (export "proxy_abi_version_0_2_1"))"#, "export memory is missing"),
        (
            r#"(func (export "proxy_abi_version_0_2_1")) (func (export "memory"))"#,
            "export memory has another type than the ABI says",
        ),
        (
            r#"(func (export "proxy_abi_version_0_2_1")) (memory (export "memory") 1)"#,
            "export proxy_on_memory_allocate is missing",
        ),
    ];
    for (wat, expected) in table {
        assert_eq!(load(&format!("(module {wat})")).to_string(), expected);
    }
    let wrong = load(&format!(r#"(module (import "env" "proxy_log" (func)) {fine})"#));
    assert!(matches!(wrong, ModuleError::ImportType { .. }), "{wrong}");
    let options = ModuleOptions::default();
    assert!(matches!(Module::from_bytes(b"no", &options).unwrap_err(), ModuleError::Invalid { .. }));
    let path = PathBuf::from("/nonexistent/module.wasm");
    assert!(matches!(Module::load(&path, &options).unwrap_err(), ModuleError::Read { .. }));
    let callback = format!(r#"(module {fine} (func (export "proxy_on_tick")))"#);
    let module = Module::from_bytes(&wat::parse_str(callback).unwrap(), &options).unwrap();
    let error = Vm::start(&module, &SharedWorld::default(), VmOptions::default()).unwrap_err();
    assert_eq!(error, HostError::ExportType { name: "proxy_on_tick" });
}

#[test]
fn the_allow_list_is_what_the_host_links() {
    let engine = wasmtime::Engine::default();
    let mut linker = wasmtime::Linker::<VmState>::new(&engine);
    crate::host::abi::link(&mut linker).unwrap();
    crate::host::wasi::link(&mut linker).unwrap();
    let state = VmState::new(SharedWorld::default(), VmOptions::default());
    let mut store = wasmtime::Store::new(&engine, state);
    let linked: BTreeSet<(String, String)> =
        linker.iter(&mut store).map(|(module, name, _)| (module.to_owned(), name.to_owned())).collect();
    let env = ENV_IMPORTS.iter().map(|name| ("env".to_owned(), (*name).to_owned()));
    let wasi = WASI_IMPORTS.iter().map(|name| (WASI_MODULE.to_owned(), (*name).to_owned()));
    assert_eq!(linked, env.chain(wasi).collect());
}

#[test]
fn the_cache_is_used_and_never_trusted() {
    let cache = directory("cache");
    let options = ModuleOptions { cache: Some(cache.clone()), ..ModuleOptions::default() };
    let wasm = Guest::new().on("proxy_on_tick", "(call $say (i32.const 1))").wasm();
    let load = |options: &ModuleOptions| Module::from_bytes(&wasm, options).unwrap().from_cache();
    assert!(!load(&options));
    assert!(load(&options));
    // Another configuration is another artefact.
    let metered = ModuleOptions { metered: true, ..options.clone() };
    assert!(!load(&metered));
    let files: Vec<_> = std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    for damage in [0_usize, 20, 60, 5000] {
        for file in &files {
            let mut bytes = std::fs::read(file).unwrap();
            bytes[damage] ^= 1;
            std::fs::write(file, &bytes).unwrap();
        }
        assert!(!load(&options), "byte {damage}");
        assert!(load(&options), "repaired");
    }
    for file in &files {
        std::fs::write(file, b"").unwrap();
    }
    assert!(!load(&options));
    // A directory that cannot be made: compiled all the same.
    let blocked = cache.join("file");
    std::fs::write(&blocked, b"").unwrap();
    assert!(!load(&ModuleOptions { cache: Some(blocked.join("below")), ..options.clone() }));
    std::fs::remove_dir_all(&cache).unwrap();
}
