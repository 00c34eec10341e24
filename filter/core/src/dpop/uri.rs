//! URIs compared as RFC 9449 section 4.3 asks: normalised by syntax and scheme (RFC 3986 sections 6.2.2 and 6.2.3),
//! without query and fragment.

/// The normal form of the URI in a claim; `None` when it is no absolute `http` or `https` URI with a host.
pub(super) fn of_claim(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let rest = rest.split(['?', '#']).next()?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    normalised(scheme, authority, path)
}

/// The normal form of a URI in parts.
pub(super) fn normalised(scheme: &str, authority: &str, path: &str) -> Option<String> {
    let scheme = scheme.to_ascii_lowercase();
    let default = match scheme.as_str() {
        "http" => "80",
        "https" => "443",
        _ => return None,
    };
    let (host, port) = match authority.rsplit_once(':') {
        // A colon inside of the brackets of an IPv6 address begins no port.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    if host.is_empty() || authority.contains('@') || !port.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut normal = format!("{scheme}://{}", host.to_ascii_lowercase());
    if !port.is_empty() && port != default {
        normal.push(':');
        normal.push_str(port);
    }
    push_path(&mut normal, path)?;
    Some(normal)
}

/// RFC 3986 section 5.2.4, with unreserved characters unescaped and all other escapes in upper case.
fn push_path(normal: &mut String, path: &str) -> Option<()> {
    let path = unescaped(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for segment in path.strip_prefix('/').unwrap_or(&path).split('/') {
        ends_in_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    if ends_in_folder {
        segments.push("");
    }
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    if segments.is_empty() {
        normal.push('/');
    }
    Some(())
}

fn unescaped(path: &str) -> Option<String> {
    let mut parts = path.split('%');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // `from_str_radix` takes a sign.
        let byte =
            digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())??;
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&digits.to_ascii_uppercase());
        }
        out.push_str(rest);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_uris_have_one_form() {
        for (text, expected) in [
            ("https://resource.example.org/protected", Some("https://resource.example.org/protected")),
            (
                "HTTPS://Resource.Example.ORG:443/protected?a=1#f",
                Some("https://resource.example.org/protected"),
            ),
            ("https://a/p#f?x", Some("https://a/p")),
            ("https://a?x=/y", Some("https://a/")),
            ("https://a", Some("https://a/")),
            ("https://a/", Some("https://a/")),
            ("https://a:/p", Some("https://a/p")),
            ("https://a:80/p", Some("https://a:80/p")),
            ("http://a:80/p", Some("http://a/p")),
            ("https://[::1]/p", Some("https://[::1]/p")),
            ("https://[::1]:443/p", Some("https://[::1]/p")),
            ("https://[::1]:8443/p", Some("https://[::1]:8443/p")),
            ("https://a/%7euser/%2fx%3A", Some("https://a/~user/%2Fx%3A")),
            ("https://a/b/../c/./d", Some("https://a/c/d")),
            ("https://a/../../b", Some("https://a/b")),
            ("https://a/b/..", Some("https://a/")),
            ("https://a/b/.", Some("https://a/b/")),
            ("https://a/%2e%2E/b", Some("https://a/b")),
            ("https://a//b", Some("https://a//b")),
            ("https://a/P", Some("https://a/P")),
            ("https://a/b/", Some("https://a/b/")),
            ("ftp://a/b", None),
            ("//a/b", None),
            ("/b", None),
            ("a/b", None),
            ("https:a/b", None),
            ("https:///b", None),
            ("https://:443/b", None),
            ("https://u@a/b", None),
            ("https://a@b:443/", None),
            ("https://a:x/b", None),
            ("https://a:+443/b", None),
            ("https://a/%", None),
            ("https://a/%4", None),
            ("https://a/%+4", None),
            ("https://a/%\u{e4}", None),
            ("", None),
        ] {
            assert_eq!(of_claim(text).as_deref(), expected, "{text}");
        }
    }
}
