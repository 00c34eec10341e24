//! The configuration document: what is accepted is strict JSON within the caps.

use remit_core::config::Config;

use crate::text;

const EXAMPLE: &str = include_str!("../../../../tests/scenarios/delegation/config.json");

pub fn seeds() -> Vec<Vec<u8>> {
    let keys = r#""keys":{"secret":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
    let hs256 = format!(
        r#"{{"version":1,"resource":"https://t.example","issuers":[{{"issuer":"i","algorithms":["HS256"],{keys}}}],"decision":"remit/authz/decision","bundle":{{"inline":"AAAA"}}}}"#
    );
    let served = hs256.replace(
        keys,
        r#""keys":{"http":{"cluster":"c","authority":"a","path":"/k"}},"status_lists":[],"sender_constraint":"required""#,
    );
    vec![EXAMPLE.as_bytes().to_vec(), served.replace("HS256", "ES256").into_bytes(), hs256.into_bytes()]
}

/// Whether the core took it.
pub fn check(data: &[u8]) -> bool {
    let Ok(config) = Config::parse(data) else { return false };
    assert!(text::json(data, 128).is_some(), "not strict JSON");
    assert!(!config.issuers.is_empty(), "no issuer");
    for (number, issuer) in config.issuers.iter().enumerate() {
        assert!(!issuer.issuer.is_empty() && !issuer.algorithms.is_empty());
        let twice = |other: &&remit_core::config::Issuer| {
            other.issuer == issuer.issuer && other.carrier == issuer.carrier
        };
        assert!(config.issuers[..number].iter().find(twice).is_none(), "an issuer twice");
    }
    true
}
