//! `source.certificate`: no attribute of the proxy has a certificate, but a header may, and whether that is the connection's
//! the proxy knows.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Of the certificates in `x-forwarded-client-cert` the one with this digest (SHA-256 in hexadecimal digits, of the certificate
/// that the proxy's own TLS saw), in PEM and percent-encoded, as ext_authz gives it. What else a client says there counts
/// for nothing.
pub(super) fn forwarded<'h>(header: &'h str, digest: &str) -> Option<&'h str> {
    let mut certificates = header.split("Cert=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0));
    certificates
        .find(|certificate| digest_of(certificate).is_some_and(|found| found.eq_ignore_ascii_case(digest)))
}

/// Of one certificate, with nothing beside it: whoever reads the text would take that for the proxy's word as well.
fn digest_of(encoded: &str) -> Option<String> {
    // The proxy encodes it, and some readers take it for a space.
    if encoded.contains('+') {
        return None;
    }
    let mut parts = encoded.split('%');
    let mut pem = parts.next()?.to_owned();
    for part in parts {
        pem.push(char::from(u8::from_str_radix(part.get(..2)?, 16).ok()?));
        pem.push_str(part.get(2..)?);
    }
    let body = pem.trim_ascii().strip_prefix("-----BEGIN CERTIFICATE-----")?;
    let body = body.strip_suffix("-----END CERTIFICATE-----")?;
    let body: String = body.split_ascii_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    Some(Sha256::digest(der).iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_connections_own_certificate_counts() {
        // SHA-256 of "abc" (FIPS 180-2), which is as good as a certificate here.
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let pem =
            |body: &str| format!("-----BEGIN%20CERTIFICATE-----%0A{body}%0A-----END%20CERTIFICATE-----%0A");
        let (own, other) = (pem("YWJj"), pem("YWJk"));
        for (header, expected) in [
            (format!("Hash=x;Cert=\"{own}\""), Some(&own)),
            (format!("By=spiffe://p;Cert=\"{other}\",Hash=y;Cert=\"{own}\";Subject=\"CN=a\""), Some(&own)),
            (format!("Cert=\"{other}\""), None),
            (format!("Hash={digest}"), None),
            (format!("Cert=\"{}\"", pem("YW%4Bj")), None),
            // A second certificate, or words, that would travel along with the one that was proven.
            (format!("Cert=\"{own}{other}\""), None),
            (format!("Cert=\"{other}{own}\""), None),
            (format!("Cert=\"Subject:%20CN=admin%0A{own}\""), None),
            (format!("Cert=\"{own}CN=admin\""), None),
            (format!("Cert=\"{}\"", pem("YWJj+")), None),
            (format!("Cert=\"{}\"", own.replace("%0A", "%+A")), None),
            (format!("Cert=\"{own}"), None),
            ("Cert=\"%\"".to_owned(), None),
            ("Cert=\"%0\";Cert=\"%zz\";Cert=\"%é\"".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(forwarded(&header, digest), expected.map(String::as_str), "{header}");
            assert_eq!(forwarded(&header, ""), None);
        }
    }
}
