//! The part of RFC 3986 that `http.send` needs: `http` and `https` with a host.

/// Where a call goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: &'static str,
    /// In lower case.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_default_port: bool,
    /// As written, for `:authority`.
    pub(super) authority: String,
    /// Path and query; what is no visible ASCII is escaped.
    pub(super) path: String,
}

impl Url {
    /// What is wrong with it in the words that follow `http.send:`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once("://").ok_or_else(|| "the URL has no scheme".to_owned())?;
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", 80),
            "https" => ("https", 443),
            other => return Err(format!("unsupported protocol scheme {other:?}")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).unwrap_or_default();
        let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        if authority.is_empty() || !authority.bytes().all(fine) {
            return Err("the URL's host is not plain: no user, no escapes".to_owned());
        }
        let after_brackets = authority.rfind(']').unwrap_or(0);
        let (host, port) = match authority.rfind(':').filter(|at| *at > after_brackets) {
            Some(at) => {
                let (host, port) = authority.split_at_checked(at).unwrap_or_default();
                let port = port.trim_start_matches(':').parse();
                (host, port.map_err(|_| "the URL's port is no port".to_owned())?)
            }
            None => (authority, default_port),
        };
        let mut escaped = String::with_capacity(path.len());
        if !path.starts_with('/') {
            escaped.push('/');
        }
        for byte in path.bytes() {
            if byte.is_ascii_graphic() {
                escaped.push(char::from(byte));
            } else {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
        Ok(Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
            is_default_port: port == default_port,
            authority: authority.to_owned(),
            path: escaped,
        })
    }

    /// Without the query, which may hold what nobody should read in a log.
    pub(super) fn audited(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{}://{}{path}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        for (text, expected) in [
            ("http://a.example", Some(("http", "a.example", 80, true, "/"))),
            ("https://A.example/x?y=1#z", Some(("https", "a.example", 443, true, "/x?y=1"))),
            ("http://a:8080?q", Some(("http", "a", 8080, false, "/?q"))),
            ("http://a:80/ä b", Some(("http", "a", 80, true, "/%C3%A4%20b"))),
            ("http://[::1]:81/", Some(("http", "[::1]", 81, false, "/"))),
            ("http://[::1]/", Some(("http", "[::1]", 80, true, "/"))),
            ("http://user@a/", None),
            ("http://a\r\nb/", None),
            ("http://a%00/", None),
            ("http:///x", None),
            ("http://a:99999/", None),
            ("ftp://a/", None),
            ("unix://a/?socket=x", None),
            ("a/b", None),
        ] {
            let url = Url::parse(text).ok();
            let seen = url.as_ref().map(|u| (u.scheme, u.host.as_str(), u.port, u.is_default_port, &*u.path));
            assert_eq!(seen, expected, "{text}");
        }
        assert_eq!(Url::parse("http://a/b?secret").unwrap().audited(), "http://a/b");
    }
}
