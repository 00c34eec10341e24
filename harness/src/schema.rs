//! The JSON Schemas that are published: of the plugin configuration, and of the input that policies see.

use remit_core::config::Config;
use remit_core::input::schema::Input;

/// The schema of the plugin configuration, as `envoy/config.schema.json` has it.
#[must_use]
pub fn config() -> String {
    format!("{:#}\n", schemars::schema_for!(Config).as_value())
}

/// The schema of the Rego input, as `policy-bundles/input.schema.json` has it.
#[must_use]
pub fn input() -> String {
    format!("{:#}\n", schemars::schema_for!(Input).as_value())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_published_schemas_are_current() {
        for (path, current, name) in [
            ("envoy/config.schema.json", config(), "config"),
            ("policy-bundles/input.schema.json", input(), "input"),
        ] {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
            let published = std::fs::read_to_string(file).unwrap_or_default();
            assert!(published == current, "{path} is stale: remit check --schema {name} > {path}");
        }
    }
}
