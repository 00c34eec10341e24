//! The filter asks its host for nothing that a supported Envoy does not have.

use remit_harness::host::is_allowed_import;
use remit_tests::proxy::compiled_module;

#[test]
fn every_import_is_one_that_envoy_offers() {
    // Loading refuses others as well; that it does is tested where it is done.
    let module = compiled_module().unwrap();
    assert!(!module.imports().is_empty());
    for (namespace, name) in module.imports() {
        assert!(is_allowed_import(namespace, name), "{namespace}.{name}");
    }
    // What the design needs from the host, and nothing can stand in for.
    for needed in ["proxy_get_shared_data", "proxy_set_shared_data", "proxy_send_local_response"] {
        assert!(module.imports().iter().any(|(_, name)| name == needed), "{needed}");
    }
}
