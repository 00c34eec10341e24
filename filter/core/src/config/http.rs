//! What is fetched through a cluster of the proxy, and how a server is told who asks, in OPA's names.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

use super::{Checks, default_max_age, default_refresh, default_timeout};
use crate::shape::Misfit;
use crate::source::{Extra, Place, Plan, Polling, Target};

/// Something fetched through a cluster of the proxy, again and again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpSource {
    /// Name of the proxy's cluster.
    pub cluster: String,
    /// `:authority` of the request.
    pub authority: String,
    /// `:path` of the request.
    pub path: String,
    /// Further headers of each request, by name.
    #[serde(default)]
    pub headers: Headers,
    /// How the server knows who asks.
    #[serde(default)]
    pub credentials: Option<Credentials>,
    /// How long one fetch may take, in milliseconds.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// How often it is fetched again, in seconds; of bundles the longest time between two fetches.
    #[serde(default = "default_refresh")]
    pub refresh_seconds: u64,
    /// Bundles only: the shortest time between two fetches, in seconds; each waits for a random time between the two, so
    /// that workers and proxies do not all come at once. Default: half of `refresh_seconds`.
    #[serde(default)]
    pub min_refresh_seconds: Option<u64>,
    /// How long the last good answer may be used, in seconds; 0: for ever.
    #[serde(default = "default_max_age")]
    pub max_age_seconds: u64,
    /// Bundles only: how long the server may hold a fetch back until there is something new, in seconds, if it can (OPA's
    /// long polling). Absent: it is not asked to.
    #[serde(default)]
    pub long_polling_timeout_seconds: Option<u64>,
}

impl HttpSource {
    /// When to fetch. Nobody waits for it.
    #[must_use]
    pub fn plan(&self) -> Plan {
        Plan {
            timeout_ms: self.timeout_ms,
            refresh_seconds: self.refresh_seconds,
            min_refresh_seconds: None,
            max_age_seconds: self.max_age_seconds,
            refetch_seconds: u64::MAX,
            polling: None,
        }
    }

    /// When to fetch a bundle. Nobody waits for it.
    #[must_use]
    pub fn polled(&self) -> Plan {
        let half = self.refresh_seconds.div_ceil(2);
        let polling = Polling {
            min_refresh_seconds: self.min_refresh_seconds.unwrap_or(half),
            long_poll_seconds: self.long_polling_timeout_seconds,
        };
        Plan { polling: Some(polling), ..self.plan() }
    }

    /// What to fetch.
    #[must_use]
    pub fn target(&self) -> Target {
        let Self { cluster, authority, path, .. } = self.clone();
        Target::Fixed(Place { cluster, authority, path })
    }

    /// What is sent with each request.
    #[must_use]
    pub fn extra(&self) -> Extra {
        extra(&self.headers, self.credentials.as_ref())
    }

    pub(super) fn check(&self, at: &str, checks: &mut Checks) {
        let (timeout, refresh) = (self.timeout_ms, self.refresh_seconds);
        checks.fetch(at, &self.cluster, &self.path, timeout, refresh, self.max_age_seconds);
        checks.extra(at, &self.headers, self.credentials.as_ref());
        let least = self.min_refresh_seconds.is_none_or(|least| (1..=refresh).contains(&least));
        checks.that(least, at, "min_refresh_seconds: 1 to refresh_seconds");
        let wait = self.long_polling_timeout_seconds.is_none_or(|wait| (1..=3600).contains(&wait));
        checks.that(wait, at, "long_polling_timeout_seconds: 1 to 3600");
        // Between two answers of a server that holds fetches back.
        let held = self
            .long_polling_timeout_seconds
            .map_or(0, |wait| wait.saturating_add(timeout.div_ceil(1000)).saturating_add(refresh));
        let lasts = self.max_age_seconds == 0 || self.max_age_seconds >= held;
        checks.that(
            lasts,
            at,
            "max_age_seconds: 0, or at least long_polling_timeout_seconds, timeout_ms and refresh_seconds together",
        );
    }
}

/// Headers of requests by name, any of which may be a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Headers(BTreeMap<String, Secret>);

/// How a server knows who asks (OPA's `services[_].credentials`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Credentials {
    /// A token in `authorization`.
    pub bearer: Bearer,
}

/// `authorization: <scheme> <token>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Bearer {
    /// The token; with the scheme `Basic`, name and password as RFC 7617 has them.
    pub token: Secret,
    /// What stands in front of it.
    #[serde(default = "default_scheme")]
    pub scheme: String,
}

/// What to do for credentials that OPA knows and a module of the proxy cannot have.
pub(super) fn of_credentials(mut misfit: Misfit) -> Misfit {
    if misfit.pointer.contains("/credentials/") && misfit.problem.starts_with("unknown field") {
        misfit.problem.push_str(
            ": the filter reads no files and asks nobody for a token. Give it as `bearer.token`, or leave `credentials` out \
             and have the cluster sign in: by the certificate of its transport socket, or by an HTTP filter of its own such as \
             credential_injector",
        );
    }
    misfit
}

/// A text that nobody is shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Secret(String);

impl fmt::Debug for Secret {
    /// Without the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Serialize for Secret {
    /// Without the text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("…")
    }
}

fn default_scheme() -> String {
    "Bearer".to_owned()
}

/// The headers that say who asks, beside those of every request.
pub(crate) fn extra(headers: &Headers, credentials: Option<&Credentials>) -> Extra {
    let named = headers.0.iter().map(|(name, Secret(value))| (name.to_ascii_lowercase(), value.clone()));
    let bearer = credentials.map(|Credentials { bearer: Bearer { scheme, token: Secret(token) } }| {
        ("authorization".to_owned(), format!("{scheme} {token}"))
    });
    Extra::new(named.chain(bearer).collect())
}

/// What requests have of their own, and what would make another request of them.
const OWN: [&str; 13] = [
    "accept",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "if-none-match",
    "prefer",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Checks {
    pub(super) fn extra(&mut self, at: &str, headers: &Headers, credentials: Option<&Credentials>) {
        let is_token = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        let names: Vec<String> = headers.0.keys().map(|name| name.to_ascii_lowercase()).collect();
        let twice = names
            .iter()
            .enumerate()
            .any(|(i, name)| names.iter().skip(i.saturating_add(1)).any(|other| other == name));
        self.that(!twice, at, "headers: no name twice, in whatever case");
        let is_own = |name: &str| OWN.contains(&name) || name.starts_with("x-envoy-");
        let good = names.iter().all(|name| is_token(name) && !is_own(name));
        self.that(good, at, "headers: names of headers, and none that a fetch has of its own");
        let is_value =
            |text: &str| text.trim() == text && text.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~'));
        self.that(
            headers.0.values().all(|Secret(value)| is_value(value)),
            at,
            "headers: values of visible ASCII",
        );
        let Some(Credentials { bearer }) = credentials else { return };
        let once = !names.iter().any(|name| name == "authorization");
        self.that(once, at, "credentials: `authorization` is among the headers, too");
        self.that(is_token(&bearer.scheme), at, "credentials.bearer.scheme: a word such as `Bearer`");
        let Secret(token) = &bearer.token;
        let good = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
        self.that(good, at, "credentials.bearer.token: visible ASCII without spaces, and not nothing");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::Config;
    use crate::engine::Engine;
    use crate::ids::UnixSeconds;

    /// A policy.
    fn inline() -> String {
        use base64::Engine as _;
        let policy = "package remit.authz\ndecision := true\n";
        base64::engine::general_purpose::STANDARD
            .encode(crate::bundle::testing::packed(&[("a.rego", policy)]))
    }

    /// A configuration in which everything that is fetched is fetched like this.
    fn document(more: &Value) -> Value {
        let http = |path: &str| {
            let mut http = json!({"cluster": "c", "authority": "a.example", "path": path});
            http.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            http
        };
        let issuer = |name: &str, keys: Value| json!({"issuer": name, "algorithms": ["ES256"], "keys": keys});
        let mut listed = issuer("https://i.example", json!({"http": http("/jwks")}));
        listed["status_lists"] = json!([{"uri": "https://l", "http": http("/list")}]);
        json!({
            "version": 1, "resource": "https://r",
            "issuers": [listed, issuer("https://d.example", json!({"discovery": http("/metadata")}))],
            "bundle": {"http": http("/b")},
            "candidate": {"bundle": {"http": http("/next")}},
            "status": http("/status")})
    }

    #[test]
    fn who_asks_is_told_to_whoever_is_asked_and_shown_to_nobody() {
        let more =
            json!({"headers": {"X-Api-Key": "k-secret"}, "credentials": {"bearer": {"token": "t-secret"}}});
        let mut engine = Engine::configure(document(&more).to_string().as_bytes()).unwrap();
        let due = engine.due(UnixSeconds(1));
        assert_eq!(due.len(), 4, "{due:?}");
        for (id, fetch) in &due {
            let extra: Vec<_> = fetch.extra.iter().collect();
            assert_eq!(extra, [("x-api-key", "k-secret"), ("authorization", "Bearer t-secret")], "{id:?}");
        }
        let call = engine.report(UnixSeconds(1)).unwrap();
        assert!(call.headers.contains(&("authorization".into(), "Bearer t-secret".into())));
        assert!(!String::from_utf8(call.body).unwrap().contains("secret"));
        let written = serde_json::to_string(&engine.config).unwrap();
        let shown = format!("{due:?} {:?} {written} {:?}", engine.config, engine.status_document());
        assert!(shown.contains("authorization") && !shown.contains("secret"), "{shown}");
        let basic = json!({"credentials": {"bearer": {"scheme": "Basic", "token": "dTpw"}}});
        let mut engine = Engine::configure(document(&basic).to_string().as_bytes()).unwrap();
        let (_, fetch) = engine.due(UnixSeconds(1)).remove(0);
        assert_eq!(fetch.extra.iter().collect::<Vec<_>>(), [("authorization", "Basic dTpw")]);
    }

    #[test]
    fn what_would_be_another_request_is_refused() {
        let bearer = |scheme: &str, token: &str| json!({"credentials": {"bearer": {"scheme": scheme, "token": token}}});
        let bearer_of = |token: &Value| json!({"credentials": {"bearer": {"token": token}}});
        for (more, expected) in [
            (json!({"headers": {":path": "/x"}}), "headers: names"),
            (json!({"headers": {"Host": "x"}}), "headers: names"),
            (json!({"headers": {"if-none-match": "x"}}), "headers: names"),
            (json!({"headers": {"X-Envoy-Max-Retries": "9"}}), "headers: names"),
            (json!({"headers": {"": "x"}}), "headers: names"),
            (json!({"headers": {"a b": "x"}}), "headers: names"),
            (json!({"headers": {"x-a": "1", "X-A": "2"}}), "headers: no name twice"),
            (json!({"headers": {"x-a": "1\r\nx-b: 2"}}), "headers: values"),
            (json!({"headers": {"x-a": " 1"}}), "headers: values"),
            (json!({"headers": {"x-a": "ü"}}), "headers: values"),
            (
                json!({"headers": {"Authorization": "x"}, "credentials": {"bearer": {"token": "t"}}}),
                "credentials: ",
            ),
            (bearer("", "t"), "credentials.bearer.scheme"),
            (bearer("Bearer x", "t"), "credentials.bearer.scheme"),
            (bearer("Bearer", ""), "credentials.bearer.token"),
            (bearer("Bearer", "t t"), "credentials.bearer.token"),
            (bearer("Bearer", "t\n"), "credentials.bearer.token"),
            (json!({"credentials": {"bearer": "t-secret"}}), "/credentials/bearer: invalid type: a string"),
            (json!({"credentials": "t-secret"}), "/credentials: invalid type: a string"),
            (bearer_of(&json!(5_318_008)), "/credentials/bearer/token: invalid type: a number"),
            (bearer_of(&json!(-5_318_008.5)), "/credentials/bearer/token: invalid type: a number"),
            (bearer_of(&json!(["t-secret"])), "/credentials/bearer/token: invalid type: sequence"),
            (json!({"headers": ["x-a: t-secret"]}), "/headers: invalid type: sequence"),
            (json!({"headers": {"x-a": 5_318_008}}), "/headers/x-a: invalid type: a number"),
            (json!({"headers": "x-a: t-secret"}), "/headers: invalid type: a string"),
            (json!({"timeout_ms": "t-secret"}), "/timeout_ms: invalid type: a string"),
        ] {
            let error = Config::parse(document(&more).to_string().as_bytes()).unwrap_err().to_string();
            let shows = ["-secret", "5318008"].iter().any(|secret| error.contains(secret));
            assert!(error.contains(expected) && !shows, "{more}: {error}");
        }
        let mut keys = document(&json!({}));
        keys["issuers"][0]["keys"] = json!("t-secret");
        let error = Config::parse(keys.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("/issuers/0/keys: unknown variant") && !error.contains("t-secret"), "{error}");
        let mut polled = document(&json!({}));
        polled["issuers"][0]["status_lists"][0]["http"]["long_polling_timeout_seconds"] = json!(5);
        let error = Config::parse(polled.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("/issuers/0/status_lists/0/http: min_refresh_seconds"), "{error}");
        for (max_age, refused) in [(39, true), (40, true), (45, false), (0, false)] {
            let mut polled = document(&json!({}));
            let more = json!({"long_polling_timeout_seconds": 30, "refresh_seconds": 10, "timeout_ms": 4500});
            let http = polled["bundle"]["http"].as_object_mut().unwrap();
            http.extend(more.as_object().unwrap().clone());
            http.insert("max_age_seconds".to_owned(), json!(max_age));
            let error = Config::parse(polled.to_string().as_bytes()).err().map(|error| error.to_string());
            let told =
                error.as_ref().is_some_and(|error| error.contains("/bundle/http: max_age_seconds: 0, or"));
            assert_eq!((error.is_some(), told), (refused, refused), "{max_age}: {error:?}");
        }
    }

    #[test]
    fn credentials_that_only_opa_can_have_are_refused_with_what_to_do() {
        for name in [
            "oauth2",
            "client_tls",
            "s3_signing",
            "gcp_metadata",
            "azure_managed_identity",
            "plugin",
            "bearer/token_path",
        ] {
            let credentials = match name.split_once('/') {
                Some((kind, member)) => json!({kind: {member: "t-secret"}}),
                None => json!({name: {"a": "t-secret"}}),
            };
            let document = document(&json!({ "credentials": credentials }));
            let error = Config::parse(document.to_string().as_bytes()).unwrap_err().to_string();
            let member = name.rsplit('/').next().unwrap();
            let expected = format!("/credentials/{name}: unknown field `{member}`, expected ");
            assert!(error.contains(&expected), "{error}");
            assert!(error.contains("Give it as `bearer.token`") && !error.contains("t-secret"), "{error}");
        }
    }

    #[test]
    fn other_hosts_are_not_told_who_asks() {
        let fetch = |more: Value| {
            let mut keys = json!({"cluster": "c", "authority": "a.example", "path": "/m", "credentials": {"bearer": {"token": "t"}}});
            keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let issuers = json!([{"issuer": "https://a.example", "algorithms": ["ES256"], "keys": {"discovery": keys}}]);
            let document = json!({"version": 1, "resource": "https://r", "issuers": issuers, "bundle": {"inline": inline()}});
            Engine::configure(document.to_string().as_bytes()).unwrap()
        };
        for (uri, told) in [("https://a.example/jwks", true), ("https://keys.example/jwks", false)] {
            let mut engine = fetch(json!({"jwks_authorities": {"keys.example": "k"}}));
            let (id, metadata) = engine.due(UnixSeconds(1)).remove(0);
            assert_eq!(metadata.extra.iter().count(), 1);
            let body = json!({"issuer": "https://a.example", "jwks_uri": uri}).to_string().into_bytes();
            let answer = crate::source::Answer::Response {
                status: 200,
                etag: None,
                fresh_seconds: None,
                content_type: None,
                body,
            };
            engine.answered(&id, answer, UnixSeconds(1)).unwrap();
            let (_, keys) = engine.due(UnixSeconds(1)).remove(0);
            assert_eq!(
                (keys.place.path.as_str(), keys.extra.iter().count()),
                ("/jwks", usize::from(told)),
                "{uri}"
            );
        }
    }
}
