//! Where an issuer says that its keys are (RFC 8414, OpenID Connect Discovery), and which of that is believed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Place;
use crate::json::{self, JsonError};

/// Why an issuer's metadata cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// Not strict JSON.
    #[error("the metadata is not strict JSON")]
    Json(#[from] JsonError),
    /// `issuer` is not exactly the configured one (RFC 8414 section 3.3).
    #[error("the metadata is another issuer's: `issuer` must be exactly the configured one")]
    IssuerDiffers,
    /// `jwks_uri` is absent, or not an `https` URL without user, fragment and odd characters.
    #[error("the metadata's `jwks_uri` is missing or not a plain https URL")]
    JwksUri,
    /// `jwks_uri` is on a host that the configuration does not list.
    #[error(
        "the metadata's `jwks_uri` is at {authority:?}: list it in `jwks_authorities` to fetch from there"
    )]
    Authority {
        /// Host and port of the URL, at most 255 bytes.
        authority: String,
    },
}

/// An issuer's metadata: where it is, and where it may send us.
#[derive(Debug)]
pub struct Discovery {
    /// Exact value of `issuer`.
    pub issuer: String,
    /// The metadata document.
    pub metadata: Place,
    /// Hosts that keys may be fetched from besides the metadata's own, each with the proxy's cluster for it.
    pub jwks_authorities: BTreeMap<String, String>,
}

impl Discovery {
    /// Where the keys are, as the metadata says.
    ///
    /// # Errors
    ///
    /// See [`DiscoveryError`].
    pub fn locate(&self, metadata: &[u8]) -> Result<Place, DiscoveryError> {
        let document = json::parse(metadata, 16)?;
        let member = |name: &str| document.get(name).and_then(Value::as_str);
        if member("issuer") != Some(self.issuer.as_str()) {
            return Err(DiscoveryError::IssuerDiffers);
        }
        let (authority, path) = member("jwks_uri").and_then(split).ok_or(DiscoveryError::JwksUri)?;
        let own = canonical(&self.metadata.authority);
        let listed = self.jwks_authorities.iter().find(|(known, _)| canonical(known) == authority);
        let (known, cluster) = if authority == own {
            (&self.metadata.authority, &self.metadata.cluster)
        } else {
            listed.ok_or_else(|| DiscoveryError::Authority { authority: authority.clone() })?
        };
        Ok(Place { cluster: cluster.clone(), authority: known.clone(), path: path.to_owned() })
    }
}

/// Authority and path of an `https` URL.
fn split(url: &str) -> Option<(String, &str)> {
    let rest = url.strip_prefix("https://").filter(|rest| rest.bytes().all(|b| b.is_ascii_graphic()))?;
    let (authority, path) = rest.split_at_checked(rest.find(['/', '?', '#'])?)?;
    let plain = path.starts_with('/') && !path.contains('#') && !authority.contains('@');
    (plain && (1..=255).contains(&authority.len())).then(|| (canonical(authority), path))
}

/// Lower case, without the scheme's own port.
fn canonical(authority: &str) -> String {
    let lower = authority.to_ascii_lowercase();
    lower.strip_suffix(":443").map(str::to_owned).unwrap_or(lower)
}

/// The path of an issuer's metadata (RFC 8414 section 3.1); `None` when the issuer is not an `https` URL.
#[must_use]
pub fn well_known(issuer: &str) -> Option<String> {
    let rest = issuer.strip_prefix("https://").filter(|rest| !rest.contains(['?', '#']))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let found = format!("/.well-known/oauth-authorization-server/{path}");
    (!host.is_empty()).then(|| found.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn discovery() -> Discovery {
        let place =
            |path: &str| Place { cluster: "idp".into(), authority: "idp.example".into(), path: path.into() };
        Discovery {
            issuer: "https://idp.example/t".into(),
            metadata: place("/m"),
            jwks_authorities: [("Keys.example:8443".to_owned(), "keys".to_owned())].into(),
        }
    }

    #[test]
    fn keys_are_where_the_metadata_says_and_the_configuration_allows() {
        for (uri, expected) in [
            ("https://idp.example/jwks", Ok(("idp", "idp.example", "/jwks"))),
            ("https://IDP.example:443/jwks?x=1", Ok(("idp", "idp.example", "/jwks?x=1"))),
            ("https://keys.example:8443/a/b", Ok(("keys", "Keys.example:8443", "/a/b"))),
            ("https://keys.example/a", Err("is at \"keys.example\"")),
            ("https://idp.example.evil.example/jwks", Err("is at \"idp.example.evil.example\"")),
            ("https://idp.example:80/jwks", Err("is at \"idp.example:80\"")),
            ("https://evil.example\\@idp.example/", Err("not a plain https URL")),
            ("https://idp.example@evil.example/jwks", Err("not a plain https URL")),
            ("http://idp.example/jwks", Err("not a plain https URL")),
            ("HTTPS://idp.example/jwks", Err("not a plain https URL")),
            ("https://idp.example", Err("not a plain https URL")),
            ("https://idp.example?x", Err("not a plain https URL")),
            ("https:///jwks", Err("not a plain https URL")),
            ("https://idp.example/jwks#a", Err("not a plain https URL")),
            ("https://idp.example/jw ks", Err("not a plain https URL")),
            ("https://idp.example/jwks\r\nx: y", Err("not a plain https URL")),
            ("/jwks", Err("not a plain https URL")),
        ] {
            let metadata = json!({"issuer": "https://idp.example/t", "jwks_uri": uri}).to_string();
            let found = discovery().locate(metadata.as_bytes());
            match (found, expected) {
                (Ok(place), Ok((cluster, authority, path))) => {
                    assert_eq!(
                        (&*place.cluster, &*place.authority, &*place.path),
                        (cluster, authority, path)
                    );
                }
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{uri}: {error}");
                }
                (found, _) => panic!("{uri}: {found:?}"),
            }
        }
    }

    #[test]
    fn metadata_must_be_the_issuers_own() {
        for (metadata, expected) in [
            (r#"{"issuer":"https://idp.example/t/","jwks_uri":"https://idp.example/j"}"#, "another issuer's"),
            (r#"{"issuer":"https://evil.example","jwks_uri":"https://idp.example/j"}"#, "another issuer's"),
            (r#"{"jwks_uri":"https://idp.example/j"}"#, "another issuer's"),
            (
                r#"{"issuer":["https://idp.example/t"],"jwks_uri":"https://idp.example/j"}"#,
                "another issuer's",
            ),
            (r#"{"issuer":"https://idp.example/t"}"#, "missing"),
            (r#"{"issuer":"https://idp.example/t","jwks_uri":1}"#, "missing"),
            (r#"{"issuer":"a","issuer":"https://idp.example/t"}"#, "not strict JSON"),
            ("[]", "another issuer's"),
            ("<html>", "not strict JSON"),
        ] {
            let error = discovery().locate(metadata.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{metadata}: {error}");
        }
    }

    #[test]
    fn the_well_known_path_is_inserted() {
        for (issuer, expected) in [
            ("https://idp.example", Some("/.well-known/oauth-authorization-server")),
            ("https://idp.example/", Some("/.well-known/oauth-authorization-server")),
            ("https://idp.example/t/1", Some("/.well-known/oauth-authorization-server/t/1")),
            ("https://idp.example/t/1/", Some("/.well-known/oauth-authorization-server/t/1")),
            ("http://idp.example", None),
            ("https://", None),
            ("https://idp.example?x", None),
            ("urn:idp", None),
        ] {
            assert_eq!(well_known(issuer).as_deref(), expected, "{issuer}");
        }
    }
}
