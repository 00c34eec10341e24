//! What a token is bound to (RFC 7800 section 3.1): a key (RFC 9449 section 6.1) or a certificate (RFC 8705 section 3.1).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::TokenError;

/// The claim `cnf`. Every member that is there has to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confirmation {
    /// `jkt`: SHA-256 thumbprint (RFC 7638) of the key that DPoP proofs are signed with.
    pub key: Option<[u8; 32]>,
    /// `x5t#S256`: SHA-256 of the client's certificate in DER.
    pub certificate: Option<[u8; 32]>,
}

impl Confirmation {
    /// Reads `cnf`; `None` where there is none.
    pub(super) fn read(claims: &Map<String, Value>) -> Result<Option<Self>, TokenError> {
        const MALFORMED: TokenError = TokenError::ClaimMalformed { claim: "cnf" };
        let Some(claim) = claims.get("cnf") else { return Ok(None) };
        let members = claim.as_object().filter(|members| !members.is_empty()).ok_or(MALFORMED)?;
        let mut confirmation = Self::default();
        for (name, value) in members {
            let bound = match name.as_str() {
                "jkt" => &mut confirmation.key,
                "x5t#S256" => &mut confirmation.certificate,
                // A member that is passed over would be a bond that nobody checks.
                _ => return Err(TokenError::ConfirmationUnsupported),
            };
            let digest = value.as_str().and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            *bound = Some(digest.and_then(|digest| digest.try_into().ok()).ok_or(MALFORMED)?);
        }
        Ok(Some(confirmation))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_understood_is_refused() {
        let digest = URL_SAFE_NO_PAD.encode([7; 32]);
        let key = Some([7; 32]);
        for (cnf, expected) in [
            (json!({"jkt": digest}), Ok(Confirmation { key, certificate: None })),
            (json!({"x5t#S256": digest}), Ok(Confirmation { key: None, certificate: key })),
            (json!({"x5t#S256": digest, "jkt": digest}), Ok(Confirmation { key, certificate: key })),
            (json!({"jkt": digest, "kid": "k"}), Err("confirmation_unsupported")),
            (json!({"jwk": {"kty": "EC"}}), Err("confirmation_unsupported")),
            (json!({"jwe": "a.b.c.d.e"}), Err("confirmation_unsupported")),
            (json!({"x5t": digest}), Err("confirmation_unsupported")),
            (json!({}), Err("claim_malformed")),
            (json!(null), Err("claim_malformed")),
            (json!([digest]), Err("claim_malformed")),
            (json!(digest), Err("claim_malformed")),
            (json!({"jkt": 7}), Err("claim_malformed")),
            (json!({"jkt": ""}), Err("claim_malformed")),
            (json!({"jkt": format!("{digest}=")}), Err("claim_malformed")),
            (json!({"jkt": URL_SAFE_NO_PAD.encode([7; 31])}), Err("claim_malformed")),
            (json!({"jkt": URL_SAFE_NO_PAD.encode([7; 33])}), Err("claim_malformed")),
        ] {
            let claims = json!({ "cnf": cnf });
            let read = Confirmation::read(claims.as_object().unwrap());
            let read = read.map(Option::unwrap).map_err(|error| error.reason());
            assert_eq!(read.as_ref().copied().map_err(|reason| reason.as_str()), expected, "{cnf}");
        }
        assert_eq!(Confirmation::read(&Map::new()).unwrap(), None);
    }
}
