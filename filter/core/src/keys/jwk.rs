//! One JSON Web Key (RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::material::Material;
use super::{Algorithm, Key, KeyFault, KeyLimits, MAX_RSA_BITS, MIN_RSA_BITS};

/// Members that only a private or symmetric key has.
const SECRET_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// What kind of key it is, and so for which algorithms.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl Kind {
    pub(super) fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::P256 => &[Algorithm::Es256],
            Self::P384 => &[Algorithm::Es384],
            Self::Ed25519 => &[Algorithm::EdDsa],
            Self::Rsa => &[
                Algorithm::Rs256,
                Algorithm::Rs384,
                Algorithm::Rs512,
                Algorithm::Ps256,
                Algorithm::Ps384,
                Algorithm::Ps512,
            ],
        }
    }
}

/// Prepares one key; `None` when it is meant for something else than `wanted`.
pub(super) fn read(jwk: &Value, wanted: &[Algorithm], limits: &KeyLimits) -> Result<Option<Key>, KeyFault> {
    let jwk = jwk.as_object().ok_or(KeyFault::NotAnObject)?;
    if let Some(member) = SECRET_MEMBERS.into_iter().find(|member| jwk.contains_key(*member)) {
        return Err(KeyFault::SecretMaterial { member });
    }
    let Some(kind) = kind(jwk)? else { return Ok(None) };
    let for_signatures = is_for_signatures(jwk)?;
    let algorithms: Vec<_> = match text(jwk, "alg")?.map(Algorithm::parse) {
        None => kind.algorithms().iter().copied().filter(|a| wanted.contains(a)).collect(),
        Some(None) => return Ok(None),
        Some(Some(named)) if !kind.algorithms().contains(&named) => {
            return Err(KeyFault::Inconsistent { member: "alg" });
        }
        Some(Some(named)) => wanted.iter().copied().filter(|a| *a == named).collect(),
    };
    if !for_signatures || algorithms.is_empty() {
        return Ok(None);
    }
    let kid = match text(jwk, "kid")? {
        Some(kid) if kid.is_empty() || kid.len() > limits.max_kid_bytes => {
            return Err(KeyFault::MemberMalformed { member: "kid" });
        }
        kid => kid.map(str::to_owned),
    };
    let material = match kind {
        Kind::P256 => Material::p256(&coordinate::<32>(jwk, "x")?, &coordinate(jwk, "y")?),
        Kind::P384 => Material::p384(&coordinate::<48>(jwk, "x")?, &coordinate(jwk, "y")?),
        Kind::Ed25519 => Material::ed25519(&coordinate(jwk, "x")?),
        Kind::Rsa => rsa(jwk, limits)?,
    };
    Ok(Some(Key { kid, algorithms, material: material.ok_or(KeyFault::InvalidPublicKey)? }))
}

/// The `kid` of a key that is at fault.
pub(super) fn named(jwk: &Value, limits: &KeyLimits) -> Option<String> {
    let kid = jwk.get("kid")?.as_str()?;
    (kid.len() <= limits.max_kid_bytes).then(|| kid.to_owned())
}

fn kind(jwk: &Map<String, Value>) -> Result<Option<Kind>, KeyFault> {
    let kty = text(jwk, "kty")?.ok_or(KeyFault::MemberMissing { member: "kty" })?;
    if !matches!(kty, "EC" | "OKP" | "RSA") {
        return Ok(None);
    }
    let crv = text(jwk, "crv")?;
    Ok(match (kty, crv) {
        ("RSA", None) => Some(Kind::Rsa),
        ("RSA", Some(_)) => return Err(KeyFault::Inconsistent { member: "crv" }),
        (_, None) => return Err(KeyFault::MemberMissing { member: "crv" }),
        ("EC", Some("P-256")) => Some(Kind::P256),
        ("EC", Some("P-384")) => Some(Kind::P384),
        ("OKP", Some("Ed25519")) => Some(Kind::Ed25519),
        ("EC", Some("Ed25519" | "Ed448" | "X25519" | "X448"))
        | ("OKP", Some("P-256" | "P-384" | "P-521")) => {
            return Err(KeyFault::Inconsistent { member: "crv" });
        }
        _ => None,
    })
}

/// RFC 7517 sections 4.2 and 4.3: both members may say so, and must then agree.
fn is_for_signatures(jwk: &Map<String, Value>) -> Result<bool, KeyFault> {
    let usage = text(jwk, "use")?;
    let Some(listed) = jwk.get("key_ops") else { return Ok(usage.is_none_or(|usage| usage == "sig")) };
    let malformed = KeyFault::MemberMalformed { member: "key_ops" };
    let listed = listed.as_array().ok_or(malformed)?;
    let operations: Vec<_> = listed.iter().map(|o| o.as_str().ok_or(malformed)).collect::<Result<_, _>>()?;
    if operations.iter().enumerate().any(|(i, operation)| operations.iter().take(i).any(|o| o == operation)) {
        return Err(malformed);
    }
    let only_signatures = operations.iter().all(|operation| matches!(*operation, "sign" | "verify"));
    match usage {
        Some("sig") if !only_signatures => Err(KeyFault::Inconsistent { member: "key_ops" }),
        Some("sig") | None => Ok(operations.contains(&"verify")),
        Some(_) => Ok(false),
    }
}

fn rsa(jwk: &Map<String, Value>, limits: &KeyLimits) -> Result<Option<Material>, KeyFault> {
    let modulus = octets(jwk, "n")?;
    let exponent = octets(jwk, "e")?;
    // RFC 7518 section 2, Base64urlUInt: the fewest octets.
    for (member, octets) in [("n", &modulus), ("e", &exponent)] {
        if octets.first().is_none_or(|first| *first == 0) {
            return Err(KeyFault::MemberMalformed { member });
        }
    }
    rsa_of(&modulus, &exponent, limits)
}

/// An RSA key whose numbers have no leading zeros; `None` when it is not valid.
pub(super) fn rsa_of(
    modulus: &[u8],
    exponent: &[u8],
    limits: &KeyLimits,
) -> Result<Option<Material>, KeyFault> {
    let unused = modulus.first().map_or(0, |first| first.leading_zeros());
    let bits = modulus.len().saturating_mul(8).saturating_sub(usize::try_from(unused).unwrap_or(0));
    let limit = limits.max_rsa_bits.min(MAX_RSA_BITS);
    if !(MIN_RSA_BITS..=limit).contains(&bits) {
        return Err(KeyFault::RsaModulusSize { bits, limit });
    }
    Ok(Material::rsa(modulus, exponent))
}

fn coordinate<const N: usize>(jwk: &Map<String, Value>, member: &'static str) -> Result<[u8; N], KeyFault> {
    octets(jwk, member)?.try_into().map_err(|_| KeyFault::MemberMalformed { member })
}

fn octets(jwk: &Map<String, Value>, member: &'static str) -> Result<Vec<u8>, KeyFault> {
    let text = text(jwk, member)?.ok_or(KeyFault::MemberMissing { member })?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyFault::MemberMalformed { member })
}

fn text<'j>(jwk: &'j Map<String, Value>, member: &'static str) -> Result<Option<&'j str>, KeyFault> {
    match jwk.get(member) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or(KeyFault::MemberMalformed { member }),
    }
}
