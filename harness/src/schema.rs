//! The JSON Schemas that are published: of the plugin configuration, and of the input that policies see.

use remit_core::config::Config;
use remit_core::decision::Outcome;
use remit_core::input::schema::Input;
use serde_json::json;

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

/// The schema of what a policy may answer: opa-envoy-plugin's decision, with `outcome` and `reasons` besides.
#[must_use]
pub fn decision() -> String {
    let headers = json!({
        "type": "object",
        "additionalProperties": {"type": ["string", "array"], "items": {"type": "string"}},
    });
    let headers = json!({"anyOf": [headers, {"type": "array", "items": headers}]});
    let names = json!({"type": "array", "items": {"type": "string"}});
    let outcomes: Vec<&str> =
        [Outcome::Allow, Outcome::Deny, Outcome::RequireApproval, Outcome::Modify, Outcome::Quarantine]
            .map(Outcome::as_str)
            .to_vec();
    let object = json!({
        "type": "object",
        "required": ["allowed"],
        "properties": {
            "allowed": {"type": "boolean", "description": "Whether the request goes through."},
            "outcome": {"enum": outcomes, "description": "More than allowed says; has to agree with it."},
            "reasons": {"type": "array", "items": {"type": "string"}, "description": "Reason codes."},
            "headers": headers,
            "response_headers_to_add": headers,
            "request_headers_to_remove": names,
            "query_parameters_to_remove": names,
            "query_parameters_to_set": headers,
            "dynamic_metadata": {"type": "object"},
            "body": {"type": "string", "description": "Of a denial."},
            "http_status": {"type": "integer", "description": "Of a denial; 403 where it is not there."},
        },
    });
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Decision",
        "description": "What a policy answers: a boolean, or an object.",
        "anyOf": [{"type": "boolean"}, object],
    });
    format!("{schema:#}\n")
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
