//! Requests to a registry: who asks, and over what.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::http::{Request, Response};
use ureq::{Agent, Body};

use super::{OciError, Reference};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The largest answer that is no bundle, in bytes.
pub(super) const MAX_DOCUMENT: u64 = 4 << 20;

/// How a registry is spoken to.
#[derive(Debug, Clone, Default)]
pub struct RegistryOptions {
    /// http in place of https.
    pub plain_http: bool,
    /// Who asks; nobody in particular without.
    pub credentials: Option<Credentials>,
}

/// A user's name and password, or token.
#[derive(Clone)]
pub struct Credentials {
    /// `user:password` in base64, as Docker keeps it and as HTTP wants it.
    basic: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

impl Credentials {
    /// Of a name and a password.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self { basic: STANDARD.encode(format!("{user}:{password}")) }
    }

    /// Of `REMIT_REGISTRY_USERNAME` and `REMIT_REGISTRY_PASSWORD`, else of Docker's configuration.
    ///
    /// # Errors
    ///
    /// [`OciError::DockerConfig`] when it cannot be read.
    pub fn find(registry: &str) -> Result<Option<Self>, OciError> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let (Some(user), Some(password)) = (set("REMIT_REGISTRY_USERNAME"), set("REMIT_REGISTRY_PASSWORD"))
        {
            return Ok(Some(Self::new(&user, &password)));
        }
        let folder = set("DOCKER_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".docker")));
        let Some(path) = folder.map(|folder| folder.join("config.json")).filter(|path| path.is_file()) else {
            return Ok(None);
        };
        let failed = |problem| OciError::DockerConfig { path: path.display().to_string(), problem };
        let content = std::fs::read(&path).map_err(|_| failed("cannot be read"))?;
        let config: Value = serde_json::from_slice(&content).map_err(|_| failed("not JSON"))?;
        Ok(Self::of_docker(&config, registry))
    }

    fn of_docker(config: &Value, registry: &str) -> Option<Self> {
        let auths = config.get("auths")?;
        let entry = auths.get(registry).or_else(|| auths.get(format!("https://{registry}")))?;
        let basic = entry.get("auth")?.as_str().filter(|auth| !auth.is_empty())?;
        Some(Self { basic: basic.to_owned() })
    }
}

/// A registry, with what it wants to see of us.
pub(super) struct Registry {
    agent: Agent,
    options: RegistryOptions,
    pub(super) base: String,
    host: String,
    authorization: Option<String>,
}

impl Registry {
    pub(super) fn new(reference: &Reference, options: &RegistryOptions) -> Result<Self, OciError> {
        let scheme = if options.plain_http { "http" } else { "https" };
        let mut config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .https_only(!options.plain_http)
            .user_agent(concat!("remit/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
            let pem = std::fs::read(path).map_err(|_| OciError::Certificates)?;
            let certificates: Vec<_> = ureq::tls::parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(OciError::Certificates);
            }
            let tls = ureq::tls::TlsConfig::builder();
            config = config
                .tls_config(tls.root_certs(ureq::tls::RootCerts::new_with_certs(&certificates)).build());
        }
        Ok(Self {
            agent: config.build().into(),
            options: options.clone(),
            base: format!("{scheme}://{}/v2/{}", reference.registry, reference.repository),
            host: format!("{scheme}://{}/", reference.registry),
            authorization: None,
        })
    }

    /// Sends a request; where the registry asks who we are, once more with an answer.
    pub(super) fn send(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>, OciError> {
        let response = self.send_once(method, url, headers, body)?;
        if response.status().as_u16() != 401 || !url.starts_with(&self.host) {
            return Ok(response);
        }
        let challenges = response.headers().get_all("www-authenticate").iter();
        let challenges: Vec<_> =
            challenges.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
        self.authorization = Some(self.answer(&challenges)?);
        self.send_once(method, url, headers, body)
    }

    fn send_once(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response<Body>, OciError> {
        let failed = |source| OciError::Http { url: shown(url), source: Box::new(source) };
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // What the registry knows us by is not told to the places that it sends us to.
        if let Some(authorization) = self.authorization.as_ref().filter(|_| url.starts_with(&self.host)) {
            request = request.header("authorization", authorization);
        }
        let build = |error: ureq::http::Error| failed(ureq::Error::Http(error));
        match method {
            "GET" | "HEAD" => self.agent.run(request.body(()).map_err(build)?),
            _ => self.agent.run(request.body(body).map_err(build)?),
        }
        .map_err(failed)
    }

    /// What `authorization` has to say.
    fn answer(&self, challenges: &[String]) -> Result<String, OciError> {
        let basic =
            self.options.credentials.as_ref().map(|credentials| format!("Basic {}", credentials.basic));
        for challenge in challenges {
            let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
            if scheme.eq_ignore_ascii_case("bearer") {
                return self.token(parameters, basic.as_deref());
            }
            if scheme.eq_ignore_ascii_case("basic") {
                return basic.ok_or(OciError::Status { url: self.base.clone(), status: 401, hint: SIGN_IN });
            }
        }
        Err(OciError::Challenge { registry: self.host.clone() })
    }

    /// A token of the registry's token service (Docker Registry v2 token authentication).
    fn token(&self, parameters: &str, basic: Option<&str>) -> Result<String, OciError> {
        let parameter = |name: &str| quoted_parameter(parameters, name);
        let realm = parameter("realm").ok_or(OciError::Challenge { registry: self.host.clone() })?;
        let is_good =
            realm.starts_with("https://") || (self.options.plain_http && realm.starts_with("http://"));
        if !is_good {
            return Err(OciError::Realm { realm: shown(&realm) });
        }
        let mut url = realm.clone();
        let mut separator = if realm.contains('?') { '&' } else { '?' };
        for name in ["service", "scope"] {
            if let Some(value) = parameter(name) {
                url.push(separator);
                url.push_str(&format!("{name}={}", encoded(&value)));
                separator = '&';
            }
        }
        let failed = |source| OciError::Http { url: shown(&url), source: Box::new(source) };
        let mut request = self.agent.get(&url);
        if let Some(basic) = basic {
            request = request.header("authorization", basic);
        }
        let mut response = request.call().map_err(failed)?;
        if response.status().as_u16() != 200 {
            return Err(OciError::Status {
                url: shown(&url),
                status: response.status().as_u16(),
                hint: SIGN_IN,
            });
        }
        let body = response.body_mut().with_config().limit(MAX_DOCUMENT).read_to_vec().map_err(failed)?;
        let document: Value = serde_json::from_slice(&body).unwrap_or_default();
        let token = document.get("token").or_else(|| document.get("access_token")).and_then(Value::as_str);
        let token = token.ok_or(OciError::Challenge { registry: self.host.clone() })?;
        Ok(format!("Bearer {token}"))
    }
}

const SIGN_IN: &str =
    ": sign in with `docker login`, or set REMIT_REGISTRY_USERNAME and REMIT_REGISTRY_PASSWORD";

/// The status, as an error.
pub(super) fn refused(url: &str, response: &Response<Body>) -> OciError {
    let status = response.status().as_u16();
    let hint = match status {
        401 | 403 => SIGN_IN,
        404 => ": no such repository or tag",
        _ => "",
    };
    OciError::Status { url: shown(url), status, hint }
}

/// Without its query, which may hold a secret.
fn shown(url: &str) -> String {
    url.split('?').next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(300).collect()
}

/// `name="value"` among the parameters of a challenge (RFC 9110 section 11.2).
fn quoted_parameter(parameters: &str, name: &str) -> Option<String> {
    let mut rest = parameters;
    while let Some((before, after)) = rest.split_once('=') {
        let found = before.trim_matches([' ', ',']);
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if found.eq_ignore_ascii_case(name) {
            return Some(value.to_owned());
        }
        rest = next;
    }
    None
}

/// Percent-encoded for a query (RFC 3986).
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    text.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn challenges_are_read() {
        let parameters =
            r#"realm="https://auth.example/token",service="r, x", scope="repository:a:pull,push",n=7"#;
        for (name, expected) in [
            ("realm", Some("https://auth.example/token")),
            ("Service", Some("r, x")),
            ("scope", Some("repository:a:pull,push")),
            ("n", Some("7")),
            ("none", None),
        ] {
            assert_eq!(quoted_parameter(parameters, name).as_deref(), expected, "{name}");
        }
        assert_eq!(encoded("repository:a/b:pull,push x"), "repository%3Aa%2Fb%3Apull%2Cpush%20x");
        assert_eq!(shown("https://r/x?token=secret"), "https://r/x");
    }

    #[test]
    fn credentials_are_found_and_not_shown() {
        let config =
            json!({"auths": {"r:5000": {"auth": "dTpw"}, "https://ghcr.io": {"auth": "eDp5"}, "empty": {}}});
        for (registry, expected) in
            [("r:5000", Some("dTpw")), ("ghcr.io", Some("eDp5")), ("empty", None), ("r", None)]
        {
            let found = Credentials::of_docker(&config, registry);
            assert_eq!(found.map(|credentials| credentials.basic).as_deref(), expected, "{registry}");
        }
        let credentials = Credentials::new("u", "p");
        assert_eq!(
            (credentials.basic.as_str(), format!("{credentials:?}").as_str()),
            ("dTpw", "Credentials")
        );
    }
}
